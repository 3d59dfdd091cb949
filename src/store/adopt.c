/*
 * Switching streams on for a topic that has records (docs/decisions/0014).
 *
 *   catch up     the records are read in the order of their positions and given versions, page by
 *                page (versions.h), while producers go on
 *   gate         no further transaction may begin in the topic, and those that are open end; what
 *                was appended meanwhile is caught up with
 *   shut         producers are told to try again; the last records are given versions
 *   switch       the topic's change is appended (topic_changes.c), and batches are taken apart
 *
 * Whatever happens on the way, pages that are in the log say versions for good, and the next
 * attempt goes on behind them. Until the switch nobody sees them.
 *
 * Catching up can be done beforehand in small steps (ms_store_prepare_streams), by who must not be
 * busy for long. Any thread but the committer's and an event loop's; one at a time (adoption_lock).
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define POSITIONS_PER_SCAN 256u
#define OP_OVERHEAD_BYTES 512u
#define PAGE_OP_BYTES_MAX (MS_VERSIONS_PAGE_BYTES_MAX * 2) /* whatever appends are limited to */
#define ROUNDS_MAX 50u           /* of catching up with producers, before they are kept out */
#define NEAR_RECORDS 4096u       /* so close to the end it is worth while */
#define STEP_RECORDS 32768u      /* looked at in one step of preparing */
#define PAGE_RECORDS_MAX 65536u  /* looked at for one page, though few have keys: it ends then */
#define TRANSACTION_WAIT_MS 2000 /* for those that are open to end */
#define TRANSACTION_PAUSE_US 5000

struct adoption {
    struct ms_store *store;
    struct ms_topic *topic;
    struct ms_versions_page *page;            /* at hand */
    uint16_t slots[MS_VERSIONS_RUNS_MAX * 2]; /* newest run of a stream in it + 1; 0: free */
    uint64_t from;                            /* records before it have versions */
    uint64_t next;                            /* entries before it were looked at */
    uint64_t looked, looked_max;              /* records; at which to stop */
    uint64_t page_looked;                     /* since the page began */
    size_t name_max;
    struct ms_log_cursor cursor;
    struct ms_entry_reader events;
};

/* ---- a page ---- */

static void begin_page(struct adoption *a, uint64_t first) {
    a->page->first = first;
    a->page->run_count = 0;
    a->page_looked = 0;
    memset(a->slots, 0, sizeof a->slots);
}

static uint16_t *slot_of(struct adoption *a, const struct ms_stream_id *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    size_t mask = MS_VERSIONS_RUNS_MAX * 2 - 1, i = (size_t)hash & mask;
    while (a->slots[i] != 0 &&
           memcmp(a->page->runs[a->slots[i] - 1].stream.bytes, id->bytes, MS_STREAM_ID_LEN) != 0)
        i = (i + 1) & mask;
    return &a->slots[i];
}

static int encode_page(struct adoption *a, struct ms_op *op) {
    struct ms_term_list terms = {.arena = &op->arena, .untyped = true};
    struct ms_batch_writer writer;
    struct ms_buf value;
    uint8_t number[4];
    int64_t now_ms = ms_clock_now_us(a->store->env->clock) / 1000;
    ms_put_be32(number, a->topic->number);
    struct ms_bytes key = ms_bytes_of(number, sizeof number);
    ms_buf_init(&value, MS_VERSIONS_PAGE_BYTES_MAX);
    int rc = ms_versions_page_write(a->page, &value);
    struct ms_bytes bytes = ms_buf_bytes(&value);
    if (rc == 0)
        rc = ms_batch_begin(&writer, &op->batches, MS_CODEC_NONE, now_ms);
    if (rc == 0)
        rc = ms_batch_add(&writer, now_ms, &key, &bytes, NULL, 0);
    if (rc == 0)
        rc = ms_batch_end(&writer);
    ms_buf_deinit(&value);
    if (rc == 0)
        rc = ms_terms_add_topic(&terms, op->parts[0].ref.topic);
    op->parts[0].batch_len = op->batches.len;
    op->parts[0].terms = terms.terms;
    op->parts[0].term_count = terms.count;
    return rc;
}

static int fill_op(struct adoption *a, struct ms_op *op) {
    op->store = a->store;
    op->produce = op->wait = op->exempt = true;
    op->parts = ms_arena_zalloc(&op->arena, sizeof *op->parts);
    op->results = ms_arena_zalloc(&op->arena, sizeof *op->results);
    uint8_t *name = ms_arena_alloc(&op->arena, MS_VERSIONS_FACT_NAME_LEN);
    uint8_t *value = ms_arena_zalloc(&op->arena, MS_VERSIONS_FACT_VALUE_LEN);
    if (op->parts == NULL || op->results == NULL || name == NULL || value == NULL)
        return MS_ENOMEM;
    op->part_count = 1;
    op->parts[0] = (struct ms_op_part){
        .ref.topic = ms_topics_at(a->store, MS_TOPIC_VERSIONS),
        .count = 1,
        .first_version = -1,
        .version = -1,
    };
    ms_versions_fact_name(a->topic->number, a->page->end, name);
    op->effect.kind = MS_EFFECT_VERSIONS;
    op->effect.page = a->page;
    op->effect.adopts = a->topic;
    op->effect.name = ms_bytes_of(name, MS_VERSIONS_FACT_NAME_LEN);
    op->effect.value = ms_bytes_of(value, MS_VERSIONS_FACT_VALUE_LEN);
    int rc = encode_page(a, op);
    op->budget = op->batches.len + OP_OVERHEAD_BYTES;
    return rc;
}

/* Appends the page and waits until the index has it: the next one's versions go on from there. */
static int end_page(struct adoption *a, uint64_t end, struct ms_error *err) {
    struct ms_store *store = a->store;
    struct ms_settling settling;
    bool stale;
    a->page->end = end;
    struct ms_op *op = ms_op_take(&store->op_pool, PAGE_OP_BYTES_MAX);
    int rc = op != NULL ? fill_op(a, op) : MS_ENOMEM;
    if (rc != 0) {
        ms_op_free(op);
        return ms_error_set(err, rc, "no memory to give records versions");
    }
    ms_settling_init(&settling);
    rc = ms_op_start(op, ms_settling_done, &settling, true, &stale, err);
    if (rc == 0)
        rc = ms_settling_wait(&settling, store);
    ms_settling_deinit(&settling);
    if (rc == 0) {
        atomic_store(&a->topic->versions_end, end);
        begin_page(a, end);
    }
    return rc;
}

/* ---- records ---- */

static int last_version(struct adoption *a, const struct ms_stream_id *id, int64_t *ret_version,
                        struct ms_error *err) {
    uint16_t number = *slot_of(a, id);
    *ret_version = -1;
    if (number != 0) {
        *ret_version = a->page->runs[number - 1].last_version;
        return 0;
    }
    struct ms_index_place place;
    size_t count = 0;
    int rc = ms_index_stream_scan(a->store->index, id, INT64_MAX, true, 1, &place, &count, err);
    if (rc == 0 && count == 1)
        *ret_version = place.last_version;
    return rc;
}

static int begin_run(struct adoption *a, const struct ms_stream_id *id, uint64_t position,
                     uint16_t partition, struct ms_error *err) {
    struct ms_versions_page *page = a->page;
    int64_t version;
    int rc = page->run_count == MS_VERSIONS_RUNS_MAX ? end_page(a, position, err) : 0;
    if (rc == 0)
        rc = last_version(a, id, &version, err);
    if (rc != 0)
        return rc;
    page->runs[page->run_count] = (struct ms_index_run){
        .stream = *id,
        .position = position,
        .last_version = version + 1,
        .record_count = 1,
        .partition = partition,
    };
    *slot_of(a, id) = (uint16_t)++page->run_count;
    return 0;
}

static int refuse_key(const struct adoption *a, const struct ms_log_entry *entry,
                      const struct ms_record *record, struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL,
                        "topic '%s' can't have streams: the record at offset %lld of partition %u "
                        "has a key of %zu bytes, and a stream is named by at most %zu",
                        a->topic->name, (long long)record->offset,
                        (unsigned)entry->header.partition, record->key.len, a->name_max);
}

/* A run lies in one entry. */
static int adopt_record(struct adoption *a, const struct ms_log_entry *entry,
                        const struct ms_record *record, struct ms_error *err) {
    const struct ms_entry_header *header = &entry->header;
    uint64_t position = header->first_position + (uint64_t)(record->offset - entry->first_offset);
    if (record->key_is_null || position < a->from)
        return 0;
    if (record->key.len > a->name_max)
        return refuse_key(a, entry, record, err);
    struct ms_stream_id id = ms_stream_id_of(a->store, a->topic, record->key);
    size_t count = a->page->run_count;
    struct ms_index_run *run = count > 0 ? &a->page->runs[count - 1] : NULL;
    if (run == NULL || run->position < header->first_position ||
        run->position + run->record_count != position ||
        memcmp(run->stream.bytes, id.bytes, MS_STREAM_ID_LEN) != 0)
        return begin_run(a, &id, position, header->partition, err);
    run->record_count++;
    run->last_version++;
    return 0;
}

static int adopt_entry(struct adoption *a, const struct ms_log_entry *entry, struct ms_error *err) {
    struct ms_record record;
    if (atomic_load(&a->store->closing) || ms_log_failed(a->store->log))
        return ms_error_set(err, MS_ECLOSED, "the store is closed");
    if (atomic_load(&a->topic->deleted))
        return ms_error_set(err, MS_ENOTFOUND, "topic '%s' was deleted", a->topic->name);
    int rc = ms_entry_reader_begin(&a->events, entry, err);
    while (rc == 0 && (rc = ms_batch_reader_next(&a->events.batch, &record, err)) > 0)
        rc = adopt_record(a, entry, &record, err);
    if (rc == 0)
        a->next = entry->header.first_position + entry->record_count;
    a->looked += entry->record_count;
    a->page_looked += entry->record_count;
    ms_counter_add(&a->store->metrics.adopted_records, entry->record_count);
    return rc;
}

/* ---- the walk ---- */

/* Entries of the topic are those with its term; hidden ones have none. */
static bool is_wanted(const struct adoption *a, const struct ms_log_entry *entry,
                      uint64_t position) {
    return entry->header.first_position == position && entry->header.topic == a->topic->number &&
           !(entry->header.flags & (MS_ENTRY_PENDING | MS_ENTRY_CONTROL | MS_ENTRY_HAS_STREAM));
}

static int adopt_at(struct adoption *a, uint64_t position, struct ms_error *err) {
    struct ms_log_entry entry;
    ms_log_cursor_seek(&a->cursor, position);
    int rc = ms_log_cursor_next(&a->cursor, &entry, err);
    if (rc > 0)
        rc = is_wanted(a, &entry, position) ? adopt_entry(a, &entry, err) : 0;
    if (rc == 0 && a->next <= position)
        a->next = position + 1;
    return rc == 0 && a->page_looked >= PAGE_RECORDS_MAX ? end_page(a, a->next, err) : rc;
}

/* Gives versions to the records before `end`, or as many as looked_max allows. What fits into the
 * page at hand stays there. */
static int adopt_until(struct adoption *a, uint64_t end, struct ms_error *err) {
    uint64_t term = ms_index_term(MS_TERM_TOPIC, ms_bytes_of(a->topic->id.bytes, 16));
    uint64_t positions[POSITIONS_PER_SCAN];
    size_t count = POSITIONS_PER_SCAN;
    int rc = 0;
    while (rc == 0 && count == POSITIONS_PER_SCAN && a->next < end) {
        rc = ms_index_term_scan(a->store->index, &term, 1, a->next, false, POSITIONS_PER_SCAN,
                                positions, &count, err);
        while (rc == 0 && count > 0 && positions[count - 1] >= end)
            count--; /* and it is less than a page, which ends this */
        for (size_t i = 0; rc == 0 && i < count; i++) {
            if (a->looked >= a->looked_max)
                return 0;
            rc = adopt_at(a, positions[i], err);
        }
    }
    if (rc == 0 && a->next < end)
        a->next = end;
    return rc;
}

/* An earlier attempt may have ended a page within an entry. */
static int find_start(struct adoption *a, struct ms_error *err) {
    struct ms_log_entry entry;
    a->from = a->next = atomic_load(&a->topic->versions_end);
    ms_log_cursor_seek(&a->cursor, a->from);
    int rc = ms_log_cursor_next(&a->cursor, &entry, err);
    if (rc > 0 && entry.header.first_position < a->from)
        a->next = entry.header.first_position;
    begin_page(a, a->from);
    return rc < 0 ? rc : 0;
}

/* Until what came during the last round is little: producers will be kept out for as long as that
 * took. */
static int catch_up(struct adoption *a, struct ms_error *err) {
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        uint64_t before = a->looked;
        int rc = adopt_until(a, ms_log_end(a->store->log), err);
        if (rc != 0 || a->looked - before <= NEAR_RECORDS)
            return rc;
    }
    return ms_error_set(err, MS_EAGAIN,
                        "producers append to topic '%s' faster than its records can be given "
                        "versions: streams can be switched on when there are fewer",
                        a->topic->name);
}

/* ---- the gate ---- */

/* Under the lock. */
static const struct ms_txn *find_open_transaction(const struct adoption *a) {
    const struct ms_txns *txns = &a->store->txns;
    for (size_t i = 0; i < txns->capacity; i++) {
        const struct ms_txn_place *place = txns->slots[i] != NULL ? txns->slots[i]->places : NULL;
        for (; place != NULL; place = place->next)
            if (place->topic == a->topic && place->first_offset >= 0)
                return txns->slots[i];
    }
    return NULL;
}

/* Shuts the gate when no transaction is open behind it; else keeps further ones out. */
static bool try_to_shut(struct adoption *a, uint64_t *ret_end, int64_t *ret_producer) {
    struct ms_store *store = a->store;
    ms_log_lock(store->log);
    const struct ms_txn *open = find_open_transaction(a);
    bool shut = open == NULL && a->topic->ending == 0;
    a->topic->gate = shut ? MS_GATE_SHUT : MS_GATE_NO_BEGINNING;
    *ret_end = ms_log_next_position(store->log);
    *ret_producer = open != NULL ? open->producer_id : -1;
    ms_log_unlock(store->log);
    return shut;
}

static int shut_gate(struct adoption *a, uint64_t *ret_end, struct ms_error *err) {
    struct ms_clock *clock = a->store->env->clock;
    int64_t until_us = ms_clock_monotonic_us(clock) + (int64_t)TRANSACTION_WAIT_MS * 1000;
    int64_t producer;
    int rc = 0;
    while (rc == 0 && !try_to_shut(a, ret_end, &producer)) {
        if (a->store->options.manual || ms_clock_monotonic_us(clock) > until_us)
            return ms_error_set(
                err, MS_EAGAIN,
                "producer %lld has a transaction open in topic '%s': streams can be "
                "switched on when it has ended",
                (long long)producer, a->topic->name);
        ms_clock_sleep_us(clock, TRANSACTION_PAUSE_US);
        rc = adopt_until(a, ms_log_end(a->store->log), err);
    }
    return rc;
}

/* Everything that was sequenced before the gate was shut. */
static int wait_for_end(struct adoption *a, uint64_t end, struct ms_error *err) {
    struct ms_store *store = a->store;
    if (store->options.manual)
        ms_log_run(store->log);
    while (ms_log_end(store->log) < end) {
        if (ms_log_failed(store->log))
            return ms_error_set(err, MS_ECLOSED, "the log has stopped");
        ms_clock_sleep_us(store->env->clock, MS_PUBLICATION_PAUSE_US);
    }
    return 0;
}

static int adopt_all(struct adoption *a, struct ms_error *err) {
    uint64_t end = 0;
    int rc = find_start(a, err);
    if (rc == 0)
        rc = catch_up(a, err);
    if (rc == 0)
        rc = shut_gate(a, &end, err);
    if (rc == 0)
        rc = wait_for_end(a, end, err);
    if (rc == 0)
        rc = adopt_until(a, end, err);
    return rc == 0 && a->page->run_count > 0 ? end_page(a, end, err) : rc;
}

/* ---- the switch ---- */

bool ms_adoption_needed(struct ms_store *store, struct ms_topic *topic, bool streams) {
    struct ms_topic_settings settings = ms_topics_settings(store, topic);
    bool records = false;
    ms_log_lock(store->log);
    for (uint32_t p = 0; p < settings.partitions; p++)
        records |= ms_topic_partition(topic, p)->next_offset > 0;
    ms_log_unlock(store->log);
    return streams && !settings.streams && records;
}

typedef int adoption_fn(struct adoption *a, struct ms_error *err);

static int with_adoption(struct ms_store *store, struct ms_topic *topic, adoption_fn *run,
                         uint64_t looked_max, struct ms_error *err) {
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    struct adoption *a = ms_calloc(1, sizeof *a);
    struct ms_versions_page *page = ms_calloc(1, sizeof *page);
    int rc = MS_ENOMEM;
    if (a != NULL && page != NULL) {
        a->store = store;
        a->topic = topic;
        a->page = page;
        a->looked_max = looked_max;
        a->name_max = ms_name_bytes_max(store);
        ms_log_cursor_init(&a->cursor, store->log, 0);
        ms_entry_reader_init(&a->events, store);
        rc = run(a, err);
        ms_entry_reader_deinit(&a->events);
        ms_log_cursor_deinit(&a->cursor);
    }
    ms_free(page);
    ms_free(a);
    return rc > 0 ? rc : ms_error_settle(err, rc, "switching streams on");
}

int ms_adoption_begin(struct ms_store *store, struct ms_topic *topic, struct ms_error *err) {
    pthread_mutex_lock(&store->adoption_lock);
    if (ms_topics_settings(store, topic).streams)
        return 0; /* somebody was faster */
    return with_adoption(store, topic, adopt_all, UINT64_MAX, err);
}

void ms_adoption_end(struct ms_store *store, struct ms_topic *topic, bool switched) {
    ms_log_lock(store->log);
    if (switched)
        topic->streams = true;
    topic->gate = MS_GATE_OPEN;
    ms_log_unlock(store->log);
    pthread_mutex_unlock(&store->adoption_lock);
}

/* What is less than a step is left for the switch. */
static int adopt_some(struct adoption *a, struct ms_error *err) {
    int rc = find_start(a, err);
    if (rc == 0)
        rc = adopt_until(a, ms_log_end(a->store->log), err);
    if (rc != 0 || a->looked < a->looked_max)
        return rc;
    rc = end_page(a, a->next, err);
    return rc == 0 ? 1 : rc;
}

int ms_store_prepare_streams(struct ms_store *store, struct ms_bytes name, bool *ret_more,
                             struct ms_error *err) {
    struct ms_topic *topic = ms_topics_find(store, name);
    int rc = 0;
    *ret_more = false;
    if (topic == NULL || topic->system)
        return 0;
    pthread_mutex_lock(&store->adoption_lock);
    if (ms_adoption_needed(store, topic, true))
        rc = with_adoption(store, topic, adopt_some, STEP_RECORDS, err);
    pthread_mutex_unlock(&store->adoption_lock);
    *ret_more = rc > 0;
    return rc < 0 ? rc : 0;
}
