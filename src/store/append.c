/*
 * Appending: conditions are judged and versions assigned under the log's lock, in memory only.
 *
 *   ms_store_append -> ms_op_new (encode.c) -> ms_op_submit
 *      lock -> heads known? -> conditions -> a resend? -> query conditions -> space -> put ->
 *      unlock … a head that isn't in memory is resolved from the index without the lock, and judged
 *      again …
 *   -> the block is durable -> publish.c -> ticket_done -> done
 *
 * Topics that are not there yet are made by the append itself, as its first entries. Whether they
 * are still not there is looked up, and they are numbered, under creation_lock, which is held while
 * the op is sequenced; when somebody was faster the op is made anew. A refused append makes none.
 *
 * Outcomes of a judgement: appended; refused; checked (no events); maybe a resend, which the worker
 * settles by comparing with what is stored (repeat.c). All of them wait until what they read is
 * durable.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define BATCH_AT_MAX_TIMESTAMP 35

static struct ms_op *op_of(struct ms_log_ticket *ticket) { return (struct ms_op *)ticket; }
_Static_assert(offsetof(struct ms_op, ticket) == 0, "op_of relies on it");

/* ---- finishing ---- */

void ms_budget_give_back(struct ms_store *store, uint64_t bytes) {
    uint64_t before = atomic_fetch_sub(&store->inflight, bytes);
    if (before >= store->options.inflight_bytes_max || atomic_load(&store->closing)) {
        pthread_mutex_lock(&store->budget_lock);
        pthread_cond_broadcast(&store->budget_freed);
        pthread_mutex_unlock(&store->budget_lock);
    }
}

void ms_op_finish(struct ms_op *op) {
    struct ms_store *store = op->store;
    struct ms_append_result *result = &op->result;
    result->parts = op->results;
    result->part_count = op->part_count;
    result->error = result->code != 0 ? &op->error : NULL;
    uint64_t took = (uint64_t)ms_clock_monotonic_us(store->env->clock) - op->started_us;
    ms_histogram_add(&store->metrics.append_us, took);
    if (result->code == 0 && result->repeated)
        ms_counter_add(&store->metrics.repeats, 1);
    else if (result->code == MS_ECONFLICT || result->code == MS_EQUERYCONDITION)
        ms_counter_add(&store->metrics.conflicts, 1);
    else if (result->code != 0)
        ms_counter_add(&store->metrics.refusals, 1);
    if (op->done != NULL)
        op->done(op->context, result);
    uint64_t budget = op->budget;
    ms_op_free(op);
    ms_budget_give_back(store, budget);
}

/* Readers of the partition see the part's records from now on. The log's end has moved already, and
 * who arms a waiter after the note finds the new end. */
static void show_part(struct ms_store *store, struct ms_op_part *part, int64_t commit_time_ms) {
    struct ms_partition *partition = ms_topic_partition(part->ref.topic, part->partition);
    if (part->kind == MS_PART_COMMIT)
        return;
    if (part->kind == MS_PART_PENDING)
        ms_txn_place_opens(partition, part->place, commit_time_ms);
    atomic_store_explicit(&partition->end_offset, part->first_offset + part->count,
                          memory_order_release);
    if (part->kind == MS_PART_MARKER) {
        ms_txn_place_ends(store, partition, part->place, part->aborted);
        part->place = NULL;
        part->aborted = NULL;
    }
    struct ms_stream_id id = ms_partition_waiter_id(part->ref.topic->number, part->partition);
    ms_waiters_note(&store->waiters, &id);
}

static void finish_appended(struct ms_op *op) {
    struct ms_store *store = op->store;
    uint64_t events = 0;
    for (const struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next)
        if (new->entered) {
            show_part(store, &new->creation->parts[0], op->ticket.commit_time_ms);
            events++;
        }
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        op->results[i] = (struct ms_append_part_result){
            .first_version = part->count > 0 ? part->first_version : part->version,
            .version = part->version,
            .partition = part->partition,
            .first_offset = part->count > 0 ? part->first_offset : -1,
        };
        if (part->count > 0) {
            op->result.position = part->position + part->count - 1;
            show_part(store, part, op->ticket.commit_time_ms);
        }
        events += part->count;
    }
    ms_counter_add(&store->metrics.appends, 1);
    ms_counter_add(&store->metrics.events, events);
    ms_op_finish(op);
}

static void settle(struct ms_op *op) {
    switch (op->outcome) {
    case MS_OP_APPENDED:
        finish_appended(op);
        break;
    case MS_OP_CHECKED:
    case MS_OP_REFUSED:
        ms_op_finish(op);
        break;
    case MS_OP_REPEAT:
        ms_worker_push(op->store, op);
        break;
    }
}

static void ticket_done(struct ms_log_ticket *ticket, int status) {
    struct ms_op *op = op_of(ticket);
    if (status == 0) {
        settle(op);
        return;
    }
    op->result.code = ms_error_set(&op->error, MS_EUNKNOWN,
                                   "the log stopped before the append was known to be durable: its "
                                   "outcome is unknown; resend it with the same event ids");
    ms_op_finish(op);
}

/* ---- sequencing ---- */

/* Under the lock: is every head in memory? Brings in what was resolved. */
static int bring_in(struct ms_op *op, struct ms_error *err) {
    struct ms_heads *heads = &op->store->heads;
    uint64_t covered = ms_index_next_position(op->store->index);
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        if (!part->of_stream || ms_heads_find(heads, &part->ref.id) != NULL)
            continue;
        if (!part->cold_known || heads->evicted_end > part->cold_applied) {
            part->cold_known = false;
            return MS_EAGAIN;
        }
        struct ms_head *head;
        int rc = ms_heads_add(heads, &part->cold, covered, &head);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory for stream heads");
    }
    return 0;
}

static int place_heads(struct ms_op *op, struct ms_error *err) {
    struct ms_heads *heads = &op->store->heads;
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        part->head = part->of_stream ? ms_heads_find(heads, &part->ref.id) : NULL;
        if (part->head == NULL && part->of_stream)
            return ms_error_set(
                err, MS_ELIMIT,
                "an append to %zu streams is too large for the cache of stream heads",
                op->part_count);
    }
    return 0;
}

static int bring_heads(struct ms_op *op, struct ms_error *err) {
    int rc = 0;
    for (struct ms_op_topic *new = op->new_topics; rc == 0 && new != NULL; new = new->next)
        rc = new->needed ? bring_in(new->creation, err) : 0;
    if (rc == 0)
        rc = bring_in(op, err);
    /* Bringing one in may move or evict others: only now do the places stand still. */
    for (struct ms_op_topic *new = op->new_topics; rc == 0 && new != NULL; new = new->next)
        rc = new->needed ? place_heads(new->creation, err) : 0;
    return rc == 0 ? place_heads(op, err) : rc;
}

int ms_op_resolve_heads(struct ms_op *op, struct ms_error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        if (part->cold_known || !part->of_stream)
            continue;
        part->cold_applied = ms_index_next_position(op->store->index);
        rc = ms_heads_resolve(op->store, &part->ref.id, &part->cold, err);
        part->cold_known = rc == 0;
    }
    return rc;
}

static uint8_t flags_of(const struct ms_op_part *part) {
    static const uint8_t flags[] = {[MS_PART_EVENTS] = 0,
                                    [MS_PART_PENDING] = MS_ENTRY_PENDING,
                                    [MS_PART_MARKER] = MS_ENTRY_CONTROL,
                                    [MS_PART_COMMIT] = MS_ENTRY_COMMIT};
    return (uint8_t)(part->entry_flags | flags[part->kind]);
}

static void put_part(struct ms_op *op, struct ms_op_part *part) {
    struct ms_store *store = op->store;
    struct ms_topic *topic = part->ref.topic;
    struct ms_head *head = part->head;
    /* A stream stays where it is, though its topic may have got more partitions, or a producer has
     * its own idea of where a key belongs. */
    if (head != NULL && head->partition_plus_1 != 0 && !op->produce)
        part->partition = (uint16_t)(head->partition_plus_1 - 1);
    struct ms_partition *partition = ms_topic_partition(topic, part->partition);
    if (part->kind != MS_PART_COMMIT)
        part->first_offset = partition->next_offset;
    part->first_version = part->version = -1;
    if (head != NULL) {
        part->first_version = head->version + 1;
        part->version = head->version + part->count;
    }
    struct ms_log_put put = {
        .flags = flags_of(part),
        .partition = part->partition,
        .topic = topic->number,
        .stream_id = head != NULL ? part->ref.id.bytes : NULL,
        .first_version = part->first_version,
        .first_offset = part->first_offset,
        .record_count = part->count,
        .batch = part->batch.data != NULL
                     ? part->batch
                     : ms_bytes_of(op->batches.data + part->batch_at, part->batch_len),
    };
    part->newest_ms = (int64_t)ms_get_be64(put.batch.data + BATCH_AT_MAX_TIMESTAMP);
    part->position = ms_log_put(store->log, &put);
    if (head != NULL) {
        head->version = part->version;
        head->end_position = part->position + part->count;
        head->partition_plus_1 = (uint16_t)(part->partition + 1);
    }
    if (part->kind != MS_PART_COMMIT) {
        partition->next_offset += part->count;
        atomic_fetch_add_explicit(&topic->events, part->count, memory_order_relaxed);
    }
    for (uint32_t i = 0; part->id_hashes != NULL && i < part->count; i++)
        ms_window_add(&store->window, part->id_hashes[i], part->first_version + i);
    if (part->kind == MS_PART_EVENTS || part->kind == MS_PART_COMMIT)
        ms_query_terms_note(store, part);
}

/* What the append changes besides its events. */
static void apply_effect(struct ms_op *op) {
    struct ms_op_effect *effect = &op->effect;
    if (effect->closes != NULL)
        effect->closes->closed = true;
    if (effect->kind == MS_EFFECT_VERSIONS && effect->adopts->had_streams)
        ms_heads_adopt(&op->store->heads, effect->page->runs, effect->page->run_count,
                       ms_log_next_position(op->store->log));
    if (effect->kind != MS_EFFECT_RULES)
        return;
    struct ms_head *head = op->parts[effect->part].head;
    if (effect->rules.deleted_head == INT64_MAX)
        effect->rules.deleted_head = head->version;
    effect->rules.tombstoned |= head->rules.tombstoned;
    effect->rules.metadata_version = head->rules.metadata_version;
    if (effect->part > 0) /* the first part is the metadata's own event */
        effect->rules.metadata_version = op->parts[0].version;
    head->rules = effect->rules;
    /* Whoever reads the rules has read the log up to here; and the head must not leave memory
     * before the index knows them. */
    head->end_position = ms_log_next_position(op->store->log);
    uint8_t *value = (uint8_t *)(uintptr_t)effect->value.data;
    effect->value.len = ms_rules_write(&effect->rules, value);
}

static void note_heads(struct ms_op *op) {
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        if (part->count == 0)
            part->version = part->head->version;
    }
}

static uint64_t newest_read(struct ms_op *op) {
    uint64_t newest = 0;
    if (op->by_producer) /* a sequence follows from whatever was sequenced */
        newest = ms_log_next_position(op->store->log);
    if (op->new_topics != NULL) /* that there is none may follow from anything before */
        newest = ms_log_next_position(op->store->log);
    if (op->result.code == MS_EQUERYCONDITION)
        newest = op->result.matching_position + 1;
    for (size_t i = 0; i < op->part_count; i++) {
        const struct ms_head *head = op->parts[i].head;
        if (head != NULL && head->end_position > newest)
            newest = head->end_position;
    }
    return newest;
}

static int admit(struct ms_op *op, struct ms_error *err) {
    size_t entries = 0, bytes = op->batches.len;
    bool waited = false;
    for (size_t i = 0; i < op->part_count; i++) {
        entries += op->parts[i].count > 0;
        bytes += op->parts[i].batch.len;
    }
    for (const struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next) {
        entries += new->needed;
        bytes += new->needed ? new->creation->batches.len : 0;
    }
    bool frees_space = op->effect.kind == MS_EFFECT_RULES || op->effect.kind == MS_EFFECT_START ||
                       op->effect.closes != NULL;
    int rc = ms_log_admit(op->store->log, bytes, entries, frees_space, &waited, err);
    return rc == 0 && waited ? MS_EAGAIN : rc;
}

/* All entries of an append but the first say that they belong to the one before. */
static int put_all(struct ms_op *op, struct ms_error *err) {
    struct ms_log *log = op->store->log;
    uint8_t joined = 0;
    int rc = admit(op, err);
    if (rc != 0)
        return rc;
    for (struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next)
        if (new->needed) {
            new->creation->parts[0].entry_flags |= joined;
            put_part(new->creation, &new->creation->parts[0]);
            ms_topics_enter(op->store, new->topic);
            new->entered = true;
            joined = MS_ENTRY_JOINED;
        }
    for (size_t i = 0; i < op->part_count; i++)
        if (op->parts[i].count > 0) {
            op->parts[i].entry_flags |= joined;
            put_part(op, &op->parts[i]);
            joined = MS_ENTRY_JOINED;
        }
    ms_txn_sequenced(op);
    apply_effect(op);
    note_heads(op);
    op->sequenced = true;
    ms_log_attach(log, &op->ticket);
    op->outcome = MS_OP_APPENDED;
    return 0;
}

/* Was one of its topics deleted since the op was made, or lost its streams? Producers' batches are
 * judged for themselves (produce.c). */
static bool meets_changed_topic(const struct ms_op *op) {
    for (size_t i = 0; i < op->part_count; i++) {
        const struct ms_op_part *part = &op->parts[i];
        if (part->ref.topic->closed ||
            (part->of_stream && !op->produce && !part->ref.topic->streams))
            return true;
    }
    return false;
}

/* Under the lock. MS_OK with *ret_answer: the op has its answer and waits for nothing. */
static int sequence(struct ms_op *op, bool *ret_answer, struct ms_error *err) {
    if (atomic_load(&op->store->closing) || ms_log_failed(op->store->log))
        return ms_error_set(err, MS_ECLOSED, "the store is closed");
    op->stale = !op->ends && meets_changed_topic(op);
    if (op->stale)
        return ms_error_set(err, MS_EAGAIN, "a topic is being deleted or changed");
    int rc = bring_heads(op, err);
    if (rc != 0)
        return rc;
    bool go_on = op->produce ? ms_op_judge_produce(op) : ms_op_judge(op);
    op->stale = op->replaces && op->result.code == MS_ECONFLICT && op->result.failed_part == 0;
    if (op->stale)
        return ms_error_set(err, MS_EAGAIN, "what was read to be replaced has changed");
    if (go_on && op->query_count > 0) {
        rc = ms_query_check(op);
        if (rc == MS_EAGAIN)
            return rc;
        go_on = rc == 0;
    }
    if (go_on && (op->batches.len > 0 || op->produce))
        return put_all(op, err);
    if (go_on) {
        op->outcome = MS_OP_CHECKED;
        note_heads(op);
    }
    if (op->outcome == MS_OP_CHECKED)
        for (size_t i = 0; i < op->part_count; i++)
            op->results[i] = (struct ms_append_part_result){
                .first_version = op->parts[i].version,
                .version = op->parts[i].version,
                .partition = op->parts[i].partition,
                .first_offset = op->by_producer ? op->repeat_offset : -1,
            };
    /* It names nothing that may still be lost: what was read, or what is visible already. */
    uint64_t read = newest_read(op), visible = ms_log_end(op->store->log);
    uint64_t end = read > visible ? read : visible;
    op->result.position = end > 0 ? end - 1 : 0;
    *ret_answer = !ms_log_attach_reader(op->store->log, read, &op->ticket);
    return 0;
}

/* A query condition met events that only the log has yet: until their commit. Or a deleted topic is
 * still in the table of topics, or the newest metadata can't be read yet. */
static void wait_for_publication(struct ms_store *store) {
    if (store->options.manual)
        ms_log_run(store->log);
    else
        ms_clock_sleep_us(store->env->clock, MS_PUBLICATION_PAUSE_US);
}

/* One attempt. Once it has succeeded the op may be gone. */
static int try_sequence(struct ms_op *op, bool *ret_answer, struct ms_error *err) {
    struct ms_store *store = op->store;
    bool making = op->new_topics != NULL;
    int rc = 0;
    if (making) {
        pthread_mutex_lock(&store->creation_lock);
        rc = ms_topics_prepare(op, err);
    }
    if (rc == 0) {
        ms_log_lock(store->log);
        rc = sequence(op, ret_answer, err);
        ms_log_unlock(store->log);
    }
    if (making)
        pthread_mutex_unlock(&store->creation_lock);
    return rc;
}

int ms_op_submit(struct ms_op *op, struct ms_error *err) {
    struct ms_store *store = op->store;
    op->ticket.done = ticket_done;
    for (;;) {
        bool answer = false;
        int rc = op->query_count > 0 ? ms_query_prepare(op, err) : 0;
        if (rc != 0)
            return rc;
        rc = try_sequence(op, &answer, err);
        if (rc == 0 && answer)
            settle(op);
        if (rc == MS_EAGAIN && op->stale)
            wait_for_publication(store);
        if (rc != MS_EAGAIN || op->stale)
            return rc;
        ms_counter_add(&store->metrics.retries, 1);
        if (op->query_behind)
            wait_for_publication(store);
        rc = ms_op_resolve_heads(op, err);
        if (rc != 0)
            return rc;
    }
}

/* ---- the API ---- */

static int budget_take(struct ms_store *store, uint64_t bytes, bool wait, struct ms_error *err) {
    uint64_t max = store->options.inflight_bytes_max;
    if (atomic_fetch_add(&store->inflight, bytes) < max)
        return 0;
    atomic_fetch_sub(&store->inflight, bytes);
    if (!wait || store->options.manual)
        return ms_error_set(err, MS_EAGAIN, "more than %llu bytes of appends are in flight",
                            (unsigned long long)max);
    pthread_mutex_lock(&store->budget_lock);
    while (atomic_load(&store->inflight) >= max && !atomic_load(&store->closing))
        pthread_cond_wait(&store->budget_freed, &store->budget_lock);
    atomic_fetch_add(&store->inflight, bytes);
    pthread_mutex_unlock(&store->budget_lock);
    return 0;
}

static int copy_queries(struct ms_op *op, const struct ms_append_request *request) {
    size_t count = request->query_condition_count;
    struct ms_query_condition *copies = ms_arena_alloc(&op->arena, count * sizeof *copies);
    if (copies == NULL)
        return MS_ENOMEM;
    memcpy(copies, request->query_conditions, count * sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        struct ms_query_condition *copy = &copies[i];
        size_t texts = copy->type_count + copy->tag_count;
        struct ms_bytes *all = ms_arena_alloc(&op->arena, (texts + 1) * sizeof *all);
        if (all == NULL)
            return MS_ENOMEM;
        for (size_t t = 0; t < texts; t++) {
            struct ms_bytes text =
                t < copy->type_count ? copy->types[t] : copy->tags[t - copy->type_count];
            char *dup = ms_arena_strdup(&op->arena, text);
            if (dup == NULL)
                return MS_ENOMEM;
            all[t] = ms_bytes_of(dup, text.len);
        }
        copy->types = all;
        copy->tags = all + copy->type_count;
    }
    op->queries = copies;
    op->query_count = count;
    return 0;
}

int ms_op_start(struct ms_op *op, ms_append_done_fn *done, void *context, bool wait,
                bool *ret_stale, struct ms_error *err) {
    struct ms_store *store = op->store;
    op->done = done;
    op->context = context;
    op->started_us = (uint64_t)ms_clock_monotonic_us(store->env->clock);
    int rc = 0;
    if (op->exempt)
        atomic_fetch_add(&store->inflight, op->budget);
    else
        rc = budget_take(store, op->budget, wait, err);
    if (rc != 0) {
        ms_op_free(op);
        return rc;
    }
    uint64_t budget = op->budget;
    rc = ms_op_submit(op, err);
    if (rc != 0) {
        *ret_stale = op->stale;
        ms_op_free(op);
        ms_budget_give_back(store, budget);
    }
    return rc;
}

static int append_once(struct ms_store *store, const struct ms_append_request *request,
                       ms_append_done_fn *done, void *context, bool *ret_stale,
                       struct ms_error *err) {
    struct ms_op *op;
    *ret_stale = false;
    int rc = ms_op_new(store, request, &op, err);
    if (rc != 0)
        return rc;
    if (request->query_condition_count > 0)
        rc = copy_queries(op, request);
    if (rc != 0) {
        ms_op_free(op);
        return ms_error_set(err, rc, "no memory for an append");
    }
    return ms_op_start(op, done, context, request->wait, ret_stale, err);
}

int ms_store_append(struct ms_store *store, const struct ms_append_request *request,
                    ms_append_done_fn *done, void *context, struct ms_error *err) {
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    bool stale;
    int rc;
    do
        rc = append_once(store, request, done, context, &stale, err);
    while (stale);
    return ms_error_settle(err, rc, "append");
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    struct ms_append_part_result *parts;
    struct ms_append_result *result;
    struct ms_error *err;
};

static void wake_waiting(void *context, const struct ms_append_result *result) {
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    for (size_t i = 0; waiting->parts != NULL && i < result->part_count; i++)
        waiting->parts[i] = result->parts[i];
    if (waiting->err != NULL && result->error != NULL)
        *waiting->err = *result->error;
    *waiting->result = *result;
    waiting->result->parts = waiting->parts;
    waiting->result->error = result->error != NULL ? waiting->err : NULL;
    waiting->done = true;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->lock);
}

int ms_store_append_wait(struct ms_store *store, const struct ms_append_request *request,
                         struct ms_append_part_result *part_results,
                         struct ms_append_result *ret_result, struct ms_error *err) {
    struct ms_append_result result = {0};
    struct waiting waiting = {.parts = part_results, .result = &result, .err = err};
    pthread_mutex_init(&waiting.lock, NULL);
    pthread_cond_init(&waiting.cond, NULL);
    int rc = ms_store_append(store, request, wake_waiting, &waiting, err);
    if (rc == 0) {
        if (store->options.manual)
            ms_store_run(store);
        pthread_mutex_lock(&waiting.lock);
        while (!waiting.done)
            pthread_cond_wait(&waiting.cond, &waiting.lock);
        pthread_mutex_unlock(&waiting.lock);
        rc = result.code;
        *ret_result = result;
    }
    pthread_cond_destroy(&waiting.cond);
    pthread_mutex_destroy(&waiting.lock);
    return rc;
}
