/*
 * From durable to visible: what the committer hands over is folded into the index and noted for the
 * waiters; the same fold, from the log itself, brings an index up to date at start.
 *
 * Live: committer's thread, never any I/O. Replay: at open, before the store is shared.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define REPLAY_BATCH 4096u
#define BATCH_AT_MAX_TIMESTAMP 35
#define BATCH_AT_PRODUCER_ID 43
#define FACTS_MAX 256u
#define FACTS_PER_APPEND 4u /* an offset, an effect, a producer, an aborted transaction */
#define APPLY_ATTEMPTS 3

/* ---- live ---- */

struct fold {
    struct ms_store *store;
    size_t appends;
    struct ms_index_fact facts[FACTS_MAX];
    char names[FACTS_MAX][MS_FACT_NAME_MAX];
    uint8_t offsets[FACTS_MAX][MS_OFFSET_FACT_LEN];
    uint32_t offset_keys[FACTS_MAX]; /* topic << 12 | partition, 0 = another fact */
    uint8_t producers[FACTS_MAX][MS_PRODUCER_VALUE_MAX];
    size_t fact_count;
    uint64_t next_position;
};

static bool fold_reserve(struct ms_store *store, size_t count) {
    if (count <= store->publish_capacity)
        return true;
    size_t capacity = count * 2;
    struct ms_index_append *appends =
        ms_realloc(store->publish_appends, capacity * sizeof *appends);
    if (appends == NULL)
        return false;
    store->publish_appends = appends;
    store->publish_capacity = capacity;
    return true;
}

/* The index can't take what is durable: readers would miss it. The log stops, as for any loss of
 * durability, and the next start folds again. */
static void fold_failed(struct ms_store *store, int rc) {
    struct ms_error error;
    (void)ms_error_set(&error, rc, "the index can't take what was appended: %s", ms_error_text(rc));
    ms_log_fail(store->log, &error);
}

static int fold_flush(struct fold *fold) {
    struct ms_store *store = fold->store;
    int rc = MS_ENOMEM; /* then a part may be folded, and the same call completes it */
    for (int attempt = 0; attempt < APPLY_ATTEMPTS && rc == MS_ENOMEM; attempt++)
        rc = ms_index_apply(store->index, store->publish_appends, fold->appends, fold->facts,
                            fold->fact_count, fold->next_position);
    fold->appends = fold->fact_count = 0;
    if (rc == MS_ENOMEM || rc == MS_EINVAL)
        return rc;
    if (rc != 0) /* folded; only the flush behind it failed, and is tried again */
        ms_counter_add(&store->metrics.index_flush_failures, 1);
    return 0;
}

/* An append and the facts that follow from it go to the index in one step: what is flushed with the
 * append's position must be complete. */
static int fold_room(struct fold *fold) {
    bool room = fold->fact_count + FACTS_PER_APPEND <= FACTS_MAX;
    int rc = room ? 0 : fold_flush(fold);
    if (rc == 0 && !fold_reserve(fold->store, fold->appends + 1))
        rc = MS_ENOMEM;
    return rc;
}

/* Where a partition stands, so that a start needs not read the log for it. The newest value of a
 * fold wins. */
static void fold_offset(struct fold *fold, uint32_t topic, uint16_t partition, int64_t next_offset,
                        int64_t lead_ms) {
    uint32_t key = topic << 12 | partition;
    size_t slot = fold->fact_count;
    for (size_t i = 0; i < fold->fact_count; i++)
        if (fold->offset_keys[i] == key)
            slot = i;
    if (slot == fold->fact_count) {
        MS_ASSERT(slot < FACTS_MAX);
        fold->fact_count = slot + 1;
        size_t len = ms_offset_fact_name(topic, partition, fold->names[slot]);
        fold->facts[slot] = (struct ms_index_fact){
            .name = ms_bytes_of(fold->names[slot], len),
            .value = ms_bytes_of(fold->offsets[slot], MS_OFFSET_FACT_LEN),
        };
        fold->offset_keys[slot] = key;
    }
    memcpy(fold->offsets[slot], &next_offset, 8);
    memcpy(fold->offsets[slot] + 8, &lead_ms, 8);
}

static void fold_fact(struct fold *fold, struct ms_bytes name, struct ms_bytes value) {
    MS_ASSERT(fold->fact_count < FACTS_MAX);
    fold->facts[fold->fact_count] = (struct ms_index_fact){.name = name, .value = value};
    fold->offset_keys[fold->fact_count++] = 0;
}

/* What a partition knows of a producer; the newest of a fold is enough. */
static void fold_producer(struct fold *fold, uint32_t topic, uint16_t partition,
                          const struct ms_producer *producer) {
    uint8_t name[MS_PRODUCER_NAME_LEN];
    size_t slot = fold->fact_count;
    ms_producer_name(topic, partition, producer->id, name);
    for (size_t i = 0; i < fold->fact_count && slot == fold->fact_count; i++)
        if (fold->facts[i].name.len == sizeof name && fold->offset_keys[i] == 0 &&
            memcmp(fold->facts[i].name.data, name, sizeof name) == 0)
            slot = i;
    MS_ASSERT(slot < FACTS_MAX);
    if (slot == fold->fact_count) {
        fold->fact_count++;
        fold->offset_keys[slot] = 0;
        memcpy(fold->names[slot], name, sizeof name);
    }
    size_t len = ms_producer_write(producer, fold->producers[slot]);
    fold->facts[slot] = (struct ms_index_fact){.name = ms_bytes_of(fold->names[slot], sizeof name),
                                               .value = ms_bytes_of(fold->producers[slot], len)};
}

static void fold_aborted(struct fold *fold, uint32_t topic, uint16_t partition,
                         const struct ms_aborted *aborted) {
    size_t slot = fold->fact_count++;
    MS_ASSERT(slot < FACTS_MAX);
    uint8_t *name = (uint8_t *)fold->names[slot];
    ms_aborted_name(topic, partition, aborted->last_offset, name);
    ms_put_be64(fold->producers[slot], (uint64_t)aborted->producer_id);
    ms_put_be64(fold->producers[slot] + 8, (uint64_t)aborted->first_offset);
    fold->offset_keys[slot] = 0;
    fold->facts[slot] = (struct ms_index_fact){
        .name = ms_bytes_of(name, MS_ABORTED_NAME_LEN),
        .value = ms_bytes_of(fold->producers[slot], MS_ABORTED_VALUE_LEN),
    };
}

/* What is not visible by position is found by its offset only. */
static bool is_hidden(enum ms_part_kind kind) {
    return kind == MS_PART_PENDING || kind == MS_PART_MARKER;
}

static void fold_part(struct fold *fold, const struct ms_op_part *part, int64_t commit_time_ms) {
    struct ms_store *store = fold->store;
    int rc = fold_room(fold);
    if (rc != 0) {
        fold_failed(store, rc);
        return;
    }
    store->publish_appends[fold->appends++] = (struct ms_index_append){
        .position = part->position,
        .record_count = part->count,
        .topic = part->ref.topic->number,
        .partition = part->partition,
        .has_stream = part->of_stream,
        .stream = part->ref.id,
        .last_version = part->version,
        .first_offset = part->first_offset,
        .commit_time_ms = commit_time_ms,
        .terms = part->terms,
        .term_count = is_hidden(part->kind) ? 0 : part->term_count,
        .no_offset = part->kind == MS_PART_COMMIT,
    };
    fold->next_position = part->position + part->count;
    if (part->kind == MS_PART_COMMIT)
        return;
    struct ms_partition *partition = ms_topic_partition(part->ref.topic, part->partition);
    ms_partition_note_time(partition, part->newest_ms, commit_time_ms);
    fold_offset(fold, part->ref.topic->number, part->partition, part->first_offset + part->count,
                atomic_load_explicit(&partition->lead_ms, memory_order_relaxed));
    if (part->producer != NULL && part->producer->id >= 0)
        fold_producer(fold, part->ref.topic->number, part->partition, part->producer);
    if (part->aborted != NULL)
        fold_aborted(fold, part->ref.topic->number, part->partition, part->aborted);
}

/* What was folded ahead of an append. */
static void note_folded(struct ms_store *store, int rc) {
    if (rc == MS_ENOMEM || rc == MS_EINVAL)
        fold_failed(store, rc);
    else if (rc != 0) /* as in fold_flush */
        ms_counter_add(&store->metrics.index_flush_failures, 1);
}

/* Keyed records may be more facts than a fold has room for: they go to the index before their
 * append does, as in replay_effect. */
static void fold_records(struct fold *fold, struct ms_op *op) {
    struct ms_store *store = fold->store;
    int flushed = fold_flush(fold), rc = flushed != 0 ? flushed : MS_ENOMEM;
    ms_records_date(op);
    for (int i = 0; flushed == 0 && i < APPLY_ATTEMPTS && rc == MS_ENOMEM; i++)
        rc =
            ms_index_apply(store->index, NULL, 0, op->facts, op->fact_count, op->parts[0].position);
    note_folded(store, rc);
}

/* A page's runs reach the index before the page does, as in replay_effect: what is flushed with the
 * page's position must be complete, and what is adopted twice counts once. */
static void fold_versions(struct fold *fold, struct ms_op *op) {
    struct ms_store *store = fold->store;
    const struct ms_versions_page *page = op->effect.page;
    int flushed = fold_flush(fold), rc = flushed != 0 ? flushed : MS_ENOMEM;
    for (int i = 0; flushed == 0 && i < APPLY_ATTEMPTS && rc == MS_ENOMEM; i++)
        rc = ms_index_adopt(store->index, page->runs, page->run_count);
    note_folded(store, rc);
    ms_versions_fact_value(op->parts[0].position, page->first,
                           (uint8_t *)(uintptr_t)op->effect.value.data);
}

/* The topics that an append makes, the append, and what it changes. */
static void fold_op(struct fold *fold, struct ms_op *op, int64_t commit_time_ms) {
    for (const struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next)
        if (new->entered)
            fold_op(fold, new->creation, commit_time_ms);
    if (op->fact_count > 0)
        fold_records(fold, op);
    if (op->effect.kind == MS_EFFECT_VERSIONS)
        fold_versions(fold, op);
    for (size_t i = 0; i < op->part_count; i++)
        if (op->parts[i].count > 0)
            fold_part(fold, &op->parts[i], commit_time_ms);
    if (op->effect.kind != MS_EFFECT_NONE)
        fold_fact(fold, op->effect.name, op->effect.value);
}

static void note_op(struct ms_store *store, const struct ms_op *op) {
    for (const struct ms_op_topic *new = op->new_topics; new != NULL; new = new->next)
        if (new->entered)
            note_op(store, new->creation);
    for (size_t i = 0; i < op->part_count; i++)
        if (op->parts[i].count > 0 && op->parts[i].of_stream)
            ms_waiters_note(&store->waiters, &op->parts[i].ref.id);
}

/* After the index knows: whoever arms from now on finds the events by looking. */
static void note_waiters(struct ms_store *store, struct ms_log_ticket *tickets) {
    for (struct ms_log_ticket *ticket = tickets; ticket != NULL; ticket = ticket->next) {
        const struct ms_op *op = (struct ms_op *)ticket;
        if (op->outcome == MS_OP_APPENDED)
            note_op(store, op);
    }
}

void ms_publish(void *context, struct ms_log_ticket *tickets) {
    struct ms_store *store = context;
    struct fold fold;
    fold.store = store;
    fold.appends = fold.fact_count = 0;
    fold.next_position = ms_index_next_position(store->index);
    for (struct ms_log_ticket *ticket = tickets; ticket != NULL; ticket = ticket->next) {
        struct ms_op *op = (struct ms_op *)ticket;
        if (op->outcome == MS_OP_APPENDED)
            fold_op(&fold, op, ticket->commit_time_ms);
    }
    int rc = fold.appends > 0 ? fold_flush(&fold) : 0;
    if (rc != 0)
        fold_failed(store, rc);
    note_waiters(store, tickets);
}

void ms_published(void *context, uint64_t end) {
    struct ms_store *store = context;
    (void)end;
    ms_waiters_fire(&store->waiters);
}

/* ---- replay ---- */

struct replay {
    struct ms_store *store;
    struct ms_arena arena;
    struct fold fold;
};

static int copy_terms(struct ms_arena *arena, const struct ms_txn_pending *pending,
                      const uint64_t **ret_terms, size_t *ret_count) {
    uint64_t *terms = ms_arena_alloc(arena, (pending->term_count + 1) * sizeof *terms);
    if (terms == NULL)
        return MS_ENOMEM;
    memcpy(terms, pending->terms, pending->term_count * sizeof *terms);
    *ret_terms = terms;
    *ret_count = pending->term_count;
    return 0;
}

/* Facts of what the entry changes for its producer. */
static int replay_producer(struct replay *replay, const struct ms_log_entry *entry,
                           struct ms_topic *topic, const struct ms_txn_pending **ret_committed,
                           struct ms_error *err) {
    const struct ms_entry_header *header = &entry->header;
    int64_t id = (int64_t)ms_get_be64(entry->batch.data + BATCH_AT_PRODUCER_ID);
    if (id < 0)
        return 0;
    int rc = ms_txn_replay(replay->store, entry, topic, ret_committed, err);
    if (rc != 0 || (header->flags & MS_ENTRY_COMMIT))
        return rc;
    struct ms_partition *partition = ms_topic_partition(topic, header->partition);
    const struct ms_producer *producer = ms_producer_find(&partition->producers, id);
    if (producer != NULL)
        fold_producer(&replay->fold, header->topic, header->partition, producer);
    const struct ms_aborted *aborted = partition->aborted;
    if ((header->flags & MS_ENTRY_CONTROL) && aborted != NULL &&
        aborted->last_offset == entry->first_offset)
        fold_aborted(&replay->fold, header->topic, header->partition, aborted);
    return 0;
}

static int replay_entry(struct replay *replay, const struct ms_log_entry *entry,
                        struct ms_error *err) {
    struct ms_store *store = replay->store;
    struct fold *fold = &replay->fold;
    const struct ms_entry_header *header = &entry->header;
    struct ms_topic *topic = ms_topics_at(store, header->topic);
    if (topic == NULL || header->partition >= topic->settings.partitions)
        return ms_error_set(err, MS_ECORRUPT,
                            "position %llu belongs to a topic or partition that was never made",
                            (unsigned long long)header->first_position);
    const struct ms_txn_pending *committed = NULL;
    const uint64_t *terms = NULL;
    size_t term_count = 0;
    bool bare = (header->flags & (MS_ENTRY_PENDING | MS_ENTRY_CONTROL | MS_ENTRY_COMMIT)) != 0;
    int rc = fold_room(fold);
    if (rc == 0)
        rc = replay_producer(replay, entry, topic, &committed, err);
    if (rc == 0 && committed != NULL)
        rc = copy_terms(&replay->arena, committed, &terms, &term_count);
    else if (rc == 0 && !bare)
        rc = ms_batch_terms(entry->batch, topic, &replay->arena, &terms, &term_count);
    if (rc != 0)
        return ms_error_set(err, rc, "position %llu can't be indexed",
                            (unsigned long long)header->first_position);
    struct ms_index_append *append = &store->publish_appends[fold->appends++];
    *append = (struct ms_index_append){
        .position = header->first_position,
        .record_count = entry->record_count,
        .topic = header->topic,
        .partition = header->partition,
        .has_stream = (header->flags & MS_ENTRY_HAS_STREAM) != 0,
        .last_version = header->first_version + entry->record_count - 1,
        .first_offset = entry->first_offset,
        .commit_time_ms = entry->commit_time_ms,
        .terms = terms,
        .term_count = term_count,
        .no_offset = (header->flags & MS_ENTRY_COMMIT) != 0,
    };
    memcpy(append->stream.bytes, header->stream_id, MS_STREAM_ID_LEN);
    fold->next_position = header->first_position + entry->record_count;
    if (append->no_offset)
        return 0;
    int64_t next_offset = entry->first_offset + entry->record_count;
    struct ms_partition *partition = ms_topic_partition(topic, header->partition);
    partition->next_offset = next_offset;
    atomic_store(&partition->end_offset, next_offset);
    ms_partition_note_time(partition,
                           (int64_t)ms_get_be64(entry->batch.data + BATCH_AT_MAX_TIMESTAMP),
                           entry->commit_time_ms);
    fold_offset(fold, header->topic, header->partition, next_offset,
                atomic_load(&partition->lead_ms));
    return 0;
}

static int replay_flush(struct replay *replay, struct ms_error *err) {
    int rc = replay->fold.appends > 0 ? fold_flush(&replay->fold) : 0;
    ms_arena_reset(&replay->arena);
    return rc != 0 ? ms_error_set(err, rc, "the log can't be indexed: %s", ms_error_text(rc)) : 0;
}

/* Entries that change what later ones mean. The facts reach the index before the entry itself:
 * after a crash in between both are folded again. */
static int replay_effect(struct replay *replay, const struct ms_log_entry *entry,
                         struct ms_error *err) {
    struct ms_store *store = replay->store;
    uint32_t topic = entry->header.topic;
    bool rules = topic == MS_TOPIC_METADATA || (entry->header.flags & MS_ENTRY_TOMBSTONE) != 0;
    bool starts = topic == MS_TOPIC_STARTS, versions = topic == MS_TOPIC_VERSIONS;
    if (!rules && topic != MS_TOPIC_TOPICS && !starts && !versions && !ms_records_is_topic(topic))
        return 0;
    int rc = replay_flush(replay, err);
    if (rc != 0)
        return rc;
    if (ms_records_is_topic(topic))
        return ms_records_fold(store, entry, err);
    if (versions)
        return ms_versions_fold_entry(store, entry, err);
    if (starts)
        return ms_starts_fold_entry(store, entry, err);
    return rules ? ms_rules_fold(store, entry, err) : ms_topics_fold_entry(store, entry, err);
}

static void report(struct ms_store *store, uint64_t done, uint64_t total) {
    if (store->options.on_progress != NULL)
        store->options.on_progress(store->options.context, "indexing the log", done, total);
}

int ms_replay(struct ms_store *store, struct ms_error *err) {
    struct replay *replay = ms_calloc(1, sizeof *replay);
    if (replay == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to index the log");
    replay->store = replay->fold.store = store;
    ms_arena_init(&replay->arena, (size_t)1 << 30);
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t from = ms_index_next_position(store->index), end = ms_log_end(store->log);
    ms_log_cursor_init(&cursor, store->log, from);
    int rc;
    while ((rc = ms_log_cursor_next(&cursor, &entry, err)) > 0) {
        rc = replay_effect(replay, &entry, err);
        if (rc == 0)
            rc = replay_entry(replay, &entry, err);
        if (rc == 0 && replay->fold.appends >= REPLAY_BATCH) {
            rc = replay_flush(replay, err);
            report(store, entry.header.first_position - from, end - from);
        }
        if (rc != 0)
            break;
    }
    if (rc == 0)
        rc = replay_flush(replay, err);
    if (rc == 0)
        rc = ms_txn_replayed(store, err);
    ms_log_cursor_deinit(&cursor);
    ms_arena_deinit(&replay->arena);
    ms_free(replay);
    return rc;
}
