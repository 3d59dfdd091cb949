/*
 * The committer: takes everything the sequencer has packed, makes it durable, and lets it be seen.
 *
 *   take    under the lock: seal the open block, move the queue to `committing`
 *   write   without the lock: the engine
 *   show    tail cache, on_publish, the readers' end, ticket->done in order
 *   settle under the lock: the durable position moves; answers that came to wait for the group
 *   while
 *           it was shown are given then. on_visible
 *
 * A group that can't be written goes back to the queue, and the log is poisoned: that answers it
 * with all the rest, in order.
 *
 * While one group is written the sequencer packs the next: the group's size adapts to the load by
 * itself. Clients that wait for an answer before they send again would so be split into two halves
 * that take turns; a write costs nearly the same whatever it carries, so after a group of many
 * tickets the committer waits a moment, at most a part of what a write takes, for about as many to
 * come back. It stops doing so while that does not help. One thread; in manual mode whoever calls
 * ms_log_run.
 */
#include <errno.h>
#include <time.h>

#include "log/internal.h"

#define GATHER_TICKETS_MIN 4u
#define GATHER_WAIT_US_MAX 200
#define GATHER_SCORE_MAX 8
#define GATHER_RETRY_EVERY 64u

struct group {
    struct ms_log_block *first;
    struct ms_log_ticket *tickets;
    size_t ticket_count;
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
    log->gather.write_us += (took - log->gather.write_us) / 8;
    uint64_t bytes = 0;
    for (const struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        uint64_t padded = ms_block_padded(block->len);
        bytes += padded;
        ms_counter_add(&metrics->blocks, 1);
        ms_counter_add(&metrics->entries, block->entry_count);
        ms_counter_add(&metrics->records, block->record_count);
        ms_counter_add(&metrics->bytes, padded);
        ms_counter_add(&metrics->padding_bytes, padded - block->len);
        ms_histogram_add(&metrics->block_entries, block->entry_count);
        ms_histogram_add(&metrics->block_bytes, padded);
    }
    ms_prepare_note_group(log, bytes);
}

/* Under the lock: the group's tickets, joined in order, become the caller's. */
static struct ms_log_ticket *detach_tickets(struct group *group) {
    struct ms_log_ticket *tickets = NULL, **end = &tickets;
    for (struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        *end = block->tickets;
        for (; *end != NULL; end = &(*end)->next) {
            (*end)->commit_time_ms = block->commit_time_ms;
            group->ticket_count++;
        }
        block->tickets = NULL;
        block->tickets_end = &block->tickets;
    }
    return tickets;
}

/* Under the lock: the group is durable. Blocks that are sealed from now on say so. */
static void note_durable(struct ms_log *log, struct group *group) {
    log->unmarked = false;
    for (struct ms_log_block *block = group->first; block != NULL; block = block->next) {
        group->bytes += ms_block_padded(block->len);
        group->end = block->first_position + block->record_count;
        log->unmarked = block->entry_count > 0;
        if (log->options.durability == MS_DURABILITY_COMMIT)
            log->synced_through = block->sequence + 1;
    }
    group->tickets = detach_tickets(group);
}

/* Under the lock: the group could not be written. Whoever looks before the log is poisoned finds it
 * waiting, as everything behind it. */
static void put_back(struct ms_log *log, struct group *group) {
    struct ms_log_block *last = group->first;
    while (last->next != NULL)
        last = last->next;
    last->next = log->sealed;
    if (log->sealed == NULL)
        log->sealed_end = &last->next;
    log->sealed = group->first;
    log->committing = NULL;
    group->first = NULL;
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
}

static void settle_group(struct ms_log *log, struct group *group) {
    pthread_mutex_lock(&log->mutex);
    struct ms_log_ticket *late = detach_tickets(group);
    log->committing = NULL;
    log->pending_bytes -= group->bytes;
    log->durable_position = group->end;
    pthread_mutex_unlock(&log->mutex);
    finish_tickets(late, 0);
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

static void write_group(struct ms_log *log, struct group *group) {
    struct ms_error error = {0};
    int64_t started_us = ms_clock_monotonic_us(log->env->clock);
    int rc = log->engine->ops->append(log->engine, group->first, &error);
    if (rc == 0)
        count_group(log, group, started_us);
    pthread_mutex_lock(&log->mutex);
    if (rc == 0)
        note_durable(log, group);
    else
        put_back(log, group);
    pthread_mutex_unlock(&log->mutex);
    if (rc != 0) {
        ms_log_poison(log, &error);
        return;
    }
    show_group(log, group);
    settle_group(log, group);
    log->gather.last_tickets = group->ticket_count;
    free_group(group);
}

bool ms_committer_step(struct ms_log *log) {
    struct group group = {0};
    pthread_mutex_lock(&log->mutex);
    bool some = !atomic_load(&log->failed) && take_group(log, &group);
    pthread_mutex_unlock(&log->mutex);
    if (some)
        write_group(log, &group);
    pthread_mutex_lock(&log->mutex);
    if (log->sealed == NULL && log->open == NULL)
        pthread_cond_broadcast(&log->drained);
    /* The keeper follows the writers. */
    if (some && !log->options.manual && ms_keeper_wanted(log))
        pthread_cond_signal(&log->keeper_work);
    pthread_mutex_unlock(&log->mutex);
    return some;
}

/* Is a pause worth trying? When it did not help lately, only now and then. */
static bool gather_wanted(struct ms_log *log) {
    struct ms_gather *gather = &log->gather;
    if (gather->last_tickets < GATHER_TICKETS_MIN || log->sealed != NULL || log->stop_committer)
        return false;
    if (gather->score > 0)
        return true;
    gather->skipped++;
    return gather->skipped % GATHER_RETRY_EVERY == 0;
}

/* Less than a second. */
static void add_ns(struct timespec *time, int64_t ns) {
    time->tv_nsec += ns;
    if (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec++;
    }
}

static struct timespec gather_until(const struct ms_gather *gather) {
    int64_t wait_us = gather->write_us / 2;
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    add_ns(&until, (wait_us < GATHER_WAIT_US_MAX ? wait_us : GATHER_WAIT_US_MAX) * 1000);
    return until;
}

/* Under the lock: gives the clients of the last group a moment to send again. */
static void gather(struct ms_log *log) {
    struct ms_gather *gather = &log->gather;
    if (!gather_wanted(log))
        return;
    size_t hoped = gather->last_tickets + log->open_tickets;
    struct timespec until = gather_until(gather);
    log->gather_target = hoped - hoped / 16;
    int rc = 0;
    while (rc == 0 && log->gather_target > 0)
        rc = pthread_cond_timedwait(&log->work, &log->mutex, &until);
    log->gather_target = 0;
    if (rc == 0)
        gather->score = GATHER_SCORE_MAX;
    else if (log->open_tickets < hoped / 2)
        gather->score--;
}

/* A mark that needs no preparing: an idle log is not worth a new segment. */
static bool mark_wanted(const struct ms_log *log) {
    return log->unmarked && log->options.idle_mark_ms > 0 && !log->closing &&
           log->options.durability == MS_DURABILITY_COMMIT &&
           log->active_offset + MS_BLOCK_ALIGN <= log->active->bytes_max &&
           log->active_offset + MS_BLOCK_ALIGN <= atomic_load(&log->active->ready_bytes);
}

/* Under the lock, with nothing to do: until there is something. An end that stays the end for a
 * while gets a mark. */
static void idle(struct ms_log *log) {
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_sec += log->options.idle_mark_ms / 1000;
    add_ns(&until, log->options.idle_mark_ms % 1000 * 1000000);
    while (log->sealed == NULL && log->open == NULL && !log->stop_committer) {
        log->committer_idle = true;
        if (!mark_wanted(log)) {
            pthread_cond_wait(&log->work, &log->mutex);
        } else if (pthread_cond_timedwait(&log->work, &log->mutex, &until) == ETIMEDOUT &&
                   log->open == NULL && log->sealed == NULL && mark_wanted(log)) {
            log->unmarked = false;
            ms_ignore(ms_sequencer_mark(log, MS_BLOCK_MARK, NULL));
        }
    }
}

static bool wait_for_work(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    if (log->gather.last_tickets > 0)
        gather(log);
    log->gather.last_tickets = 0;
    idle(log);
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
