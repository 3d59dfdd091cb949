/*
 * The committer: takes everything the sequencer has packed, makes it durable, and lets it be seen.
 *
 *   take    under the lock: seal the open block, move the queue to `committing`
 *   write   without the lock: the engine
 *   settle  under the lock: durable position moves, tickets are detached
 *   show    tail cache, on_publish, the readers' end, ticket->done in order, on_visible
 *
 * While one group is written the sequencer packs the next: the group's size adapts to the load by
 * itself. One thread; in manual mode whoever calls ms_log_run.
 */
#include "log/internal.h"

struct group {
    struct ms_log_block *first;
    struct ms_log_ticket *tickets;
    uint64_t end;
    uint64_t bytes;
};

static bool take_group(struct ms_log *log, struct group *group) {
    ms_sequencer_seal_open(log);
    if (log->sealed == NULL)
        return false;
    group->first = log->sealed;
    log->committing = log->sealed;
    log->sealed = NULL;
    log->sealed_end = &log->sealed;
    return true;
}

static void count_group(struct ms_log *log, const struct group *group, int64_t started_us) {
    struct ms_log_metrics *metrics = &log->metrics;
    int64_t took = ms_clock_monotonic_us(log->env->clock) - started_us;
    ms_histogram_add(&metrics->commit_us, (uint64_t)took);
    for (const struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        uint64_t padded = ms_block_padded(block->len);
        ms_counter_add(&metrics->blocks, 1);
        ms_counter_add(&metrics->entries, block->entry_count);
        ms_counter_add(&metrics->records, block->record_count);
        ms_counter_add(&metrics->bytes, padded);
        ms_counter_add(&metrics->padding_bytes, padded - block->len);
        ms_histogram_add(&metrics->block_entries, block->entry_count);
        ms_histogram_add(&metrics->block_bytes, padded);
    }
}

/* Under the lock: the group is durable (or lost); its tickets, joined in order, become the
 * caller's. */
static void settle_group(struct ms_log *log, struct group *group, bool durable) {
    struct ms_log_ticket **end = &group->tickets;
    for (struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        *end = block->tickets;
        for (; *end != NULL; end = &(*end)->next)
            (*end)->commit_time_ms = block->commit_time_ms;
        block->tickets = NULL;
        group->bytes += ms_block_padded(block->len);
        group->end = block->first_position + block->record_count;
        if (durable && log->options.durability == MS_DURABILITY_COMMIT)
            log->synced_through = block->sequence + 1;
    }
    log->committing = NULL;
    log->pending_bytes -= group->bytes;
    if (durable)
        log->durable_position = group->end;
}

static void finish_tickets(struct ms_log_ticket *tickets, int status) {
    while (tickets != NULL) {
        struct ms_log_ticket *next = tickets->next;
        tickets->done(tickets, status);
        tickets = next;
    }
}

static void show_group(struct ms_log *log, struct group *group) {
    for (struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        uint64_t end = block->offset + ms_block_padded(block->len);
        ms_tail_add(&log->tail, block);
        atomic_store(&block->segment->end_offset, end);
    }
    if (log->options.on_publish != NULL && group->tickets != NULL)
        log->options.on_publish(log->options.context, group->tickets);
    atomic_store_explicit(&log->end, group->end, memory_order_release);
    finish_tickets(group->tickets, 0);
    if (log->options.on_visible != NULL)
        log->options.on_visible(log->options.context, group->end);
}

static void free_group(struct group *group) {
    while (group->first != NULL) {
        struct ms_log_block *next = group->first->next;
        ms_log_block_free(group->first);
        group->first = next;
    }
}

bool ms_committer_step(struct ms_log *log) {
    struct group group = {0};
    pthread_mutex_lock(&log->mutex);
    bool some = !atomic_load(&log->failed) && take_group(log, &group);
    pthread_mutex_unlock(&log->mutex);
    if (!some)
        return false;
    struct ms_error error = {0};
    int64_t started_us = ms_clock_monotonic_us(log->env->clock);
    int rc = log->engine->ops->append(log->engine, group.first, &error);
    if (rc == 0)
        count_group(log, &group, started_us);
    pthread_mutex_lock(&log->mutex);
    settle_group(log, &group, rc == 0);
    pthread_mutex_unlock(&log->mutex);
    if (rc == 0)
        show_group(log, &group);
    else
        ms_log_poison(log, &error);
    if (rc != 0)
        finish_tickets(group.tickets, MS_EUNKNOWN);
    free_group(&group);
    pthread_mutex_lock(&log->mutex);
    if (log->sealed == NULL && log->open == NULL)
        pthread_cond_broadcast(&log->drained);
    /* The keeper follows the writers. */
    if (!log->options.manual && ms_keeper_wanted(log))
        pthread_cond_signal(&log->keeper_work);
    pthread_mutex_unlock(&log->mutex);
    return true;
}

static bool wait_for_work(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    while (log->sealed == NULL && log->open == NULL && !log->stop_committer) {
        log->committer_idle = true;
        pthread_cond_wait(&log->work, &log->mutex);
    }
    log->committer_idle = false;
    bool go_on = !log->stop_committer;
    pthread_mutex_unlock(&log->mutex);
    return go_on;
}

void *ms_committer_main(void *argument) {
    struct ms_log *log = argument;
    while (wait_for_work(log))
        if (!ms_committer_step(log) && atomic_load(&log->failed))
            break;
    return NULL;
}
