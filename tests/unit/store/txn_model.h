/*
 * What a store must answer about transactions, worked out the slow way: every record ever produced,
 * by partition and offset, and what became of it. Nothing is ever taken out, so whatever the
 * scavenger does shows as a difference or is none.
 *
 *   t/0 t/1   compacted by key, without streams
 *   s/0       of streams, which are deleted now and then
 *   d/0       of which the beginning is deleted now and then
 *
 * A record's key and value follow from its partition and offset, so that a batch can be sent again.
 */
#pragma once

#include "txn_records.h"

#define MODEL_KEYS 24
#define MODEL_HISTORY 1200
#define MODEL_PARTITIONS 4
#define MODEL_COMPACTED 2 /* the first ones */
#define MODEL_PRODUCERS 3 /* with transactions; behind them one without, and none */
#define MODEL_IDEMPOTENT MODEL_PRODUCERS
#define MODEL_NOBODY (MODEL_PRODUCERS + 1)
#define MODEL_BATCH_MAX 3
#define MODEL_LAST 5 /* batches that a producer may send again */
#define MODEL_DAY_US ((int64_t)86400000000)
enum { MODEL_S = 2, MODEL_D = 3 };

static const struct {
    const char *topic;
    uint32_t number;
} model_places[MODEL_PARTITIONS] = {{"t", 0}, {"t", 1}, {"s", 0}, {"d", 0}};

enum model_kind { PLAIN, OPEN, COMMITTED, ABORTED, MARKER };

struct model_record {
    uint8_t kind, key, producer;
    bool tombstone;
    int32_t version; /* in s; -1 none (yet) */
};

struct model_partition {
    struct model_record records[MODEL_HISTORY]; /* by offset */
    int64_t start, end, stable;
};

struct model_sent {
    int64_t offset, at_us;
    int32_t sequence, count;
};

struct model_producer {
    struct txn_producer own;
    bool open, wrote[MODEL_PARTITIONS];
    struct model_sent last[MODEL_COMPACTED][MODEL_LAST]; /* of its epoch; the newest first */
};

struct model {
    struct store_world w;
    uint64_t random;
    struct model_partition partitions[MODEL_PARTITIONS];
    struct model_producer producers[MODEL_PRODUCERS + 1];
    int32_t heads[MODEL_KEYS], firsts[MODEL_KEYS]; /* of the streams of s; first readable */
    bool shaky;                                    /* the power may be cut within this step */
};

static inline uint32_t pick(struct model *m, uint32_t below) {
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

static inline bool model_is_committed(const struct model_record *record) {
    return record->kind == PLAIN || record->kind == COMMITTED;
}

static inline int64_t model_stable(const struct model_partition *p) {
    int64_t offset = 0;
    while (offset < p->end && p->records[offset].kind != OPEN)
        offset++;
    return offset > p->start ? offset : p->start;
}

/* ---- texts ---- */

struct model_text {
    char key[8], value[320];
};

static inline struct model_text model_text_of(int partition, int64_t offset, int key) {
    struct model_text text;
    size_t len = 20 + (size_t)(offset * 7919 % 280);
    snprintf(text.key, sizeof text.key, "k%d", key);
    memset(text.value, 'a' + (int)(offset % 26), len);
    text.value[len] = 0;
    int n = snprintf(text.value, 20, "%d.%lld", partition, (long long)offset);
    text.value[n] = ' ';
    return text;
}

/* ---- the model's side of history ---- */

static inline struct model_record *model_add(struct model *m, int partition, enum model_kind kind,
                                             int producer) {
    struct model_partition *p = &m->partitions[partition];
    struct model_record *record = &p->records[p->end++];
    *record =
        (struct model_record){.kind = (uint8_t)kind, .producer = (uint8_t)producer, .version = -1};
    if (kind == MARKER)
        return record;
    record->key = (uint8_t)pick(m, pick(m, 3) == 0 ? MODEL_KEYS : MODEL_KEYS / 6);
    record->tombstone = pick(m, 6) == 0;
    if (partition == MODEL_S && kind == PLAIN)
        record->version = m->heads[record->key]++;
    return record;
}

/* Records that turned out never to have been appended. */
static inline void model_take_back(struct model *m, int partition, int count) {
    struct model_partition *p = &m->partitions[partition];
    for (; count > 0; count--) {
        struct model_record *record = &p->records[--p->end];
        m->heads[record->key] -= record->version >= 0;
    }
}

/* Versions are given by the commit, in the order in which the records were produced. */
static inline void model_end(struct model *m, int producer, bool commit) {
    struct model_producer *p = &m->producers[producer];
    for (int i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_partition *partition = &m->partitions[i];
        if (!p->wrote[i])
            continue;
        for (int64_t offset = 0; offset < partition->end; offset++) {
            struct model_record *record = &partition->records[offset];
            if (record->kind != OPEN || record->producer != producer)
                continue;
            record->kind = (uint8_t)(commit ? COMMITTED : ABORTED);
            if (i == MODEL_S && commit)
                record->version = m->heads[record->key]++;
        }
        model_add(m, i, MARKER, producer);
        p->wrote[i] = false;
    }
    p->open = false;
}

/* ---- what is read, against it ---- */

struct model_seen {
    struct model *m;
    int partition;
    int64_t next;
    int64_t newest[MODEL_KEYS];
    bool at[MODEL_HISTORY];
    bool committed; /* only such may be seen */
};

static inline void model_check_text(struct model *m, int partition, int64_t offset,
                                    struct ms_bytes key, struct ms_bytes value) {
    const struct model_record *record = &m->partitions[partition].records[offset];
    struct model_text text = model_text_of(partition, offset, record->key);
    assert_true(ms_bytes_equal_cstr(key, text.key));
    if (!record->tombstone)
        assert_true(ms_bytes_equal_cstr(value, text.value));
}

static inline void model_see_record(void *context, const struct ms_record *record) {
    struct model_seen *seen = context;
    struct model_partition *p = &seen->m->partitions[seen->partition];
    if (record->offset < seen->next || record->offset >= p->end)
        fail_msg("offset %lld comes behind %lld", (long long)record->offset, (long long)seen->next);
    seen->next = record->offset + 1;
    const struct model_record *known = &p->records[record->offset];
    if (known->kind == MARKER)
        return;
    if (seen->committed && !model_is_committed(known))
        fail_msg("partition %d, offset %lld is not committed: kind %d, producer %d",
                 seen->partition, (long long)record->offset, known->kind, known->producer);
    model_check_text(seen->m, seen->partition, record->offset, record->key, record->value);
    assert_int_equal(record->value_is_null, known->tombstone);
    seen->newest[known->key] = record->offset;
    seen->at[record->offset] = true;
}

/* Who reads a compacted partition from the beginning knows the newest value of each key. */
static inline void model_check_newest(const struct model_seen *seen, int64_t below) {
    const struct model_partition *p = &seen->m->partitions[seen->partition];
    for (int key = 0; key < MODEL_KEYS; key++) {
        int64_t newest = -1;
        for (int64_t offset = 0; offset < below; offset++)
            if (model_is_committed(&p->records[offset]) && p->records[offset].key == key)
                newest = offset;
        bool gone = seen->newest[key] == -1 && newest >= 0 && p->records[newest].tombstone;
        if (!gone && seen->newest[key] != newest)
            fail_msg("partition %d, key %d: the newest is at %lld, read was %lld", seen->partition,
                     key, (long long)newest, (long long)seen->newest[key]);
    }
}

/* Something wants the record gone: the scavenger may, or may not yet, have followed. */
static inline bool model_may_be_gone(const struct model *m, int partition, int64_t offset) {
    const struct model_partition *p = &m->partitions[partition];
    const struct model_record *record = &p->records[offset];
    if (record->kind == MARKER || offset < p->start)
        return true;
    if (record->kind == OPEN)
        return false;
    if (partition < MODEL_COMPACTED)
        return offset < p->stable; /* model_check_newest knows better */
    if (record->kind == ABORTED)
        return true;
    return partition == MODEL_S && record->version < m->firsts[record->key];
}

static inline void model_check_present(const struct model_seen *seen, int64_t below) {
    const struct model_partition *p = &seen->m->partitions[seen->partition];
    for (int64_t offset = 0; offset < below; offset++)
        if (!seen->at[offset] && !model_may_be_gone(seen->m, seen->partition, offset))
            fail_msg("partition %d, offset %lld is missing: kind %d", seen->partition,
                     (long long)offset, p->records[offset].kind);
}

static const size_t model_fetch_sizes[] = {300, 5000, 1 << 20};

static inline void model_read(struct model *m, int partition, int64_t from, bool committed,
                              struct model_seen *seen) {
    *seen = (struct model_seen){.m = m, .partition = partition, .next = from};
    seen->committed = committed;
    for (int key = 0; key < MODEL_KEYS; key++)
        seen->newest[key] = -1;
    if (committed)
        read_committed(&m->w, model_places[partition].topic, model_places[partition].number, from,
                       model_fetch_sizes[pick(m, 3)], model_see_record, seen);
    else
        read_records(&m->w, model_places[partition].topic, model_places[partition].number, from,
                     model_see_record, seen);
}

static inline void model_check_partition(struct model *m, int partition,
                                         struct model_seen *committed,
                                         struct model_seen *everything) {
    struct model_partition *p = &m->partitions[partition];
    struct ms_partition_state state =
        state_of(&m->w, model_places[partition].topic, model_places[partition].number);
    int64_t stable = model_stable(p);
    assert_true(stable >= p->stable);
    p->stable = stable;
    assert_int_equal(state.stable_offset, stable);
    assert_int_equal(state.end_offset, p->end);
    assert_int_equal(state.start_offset, p->start);
    model_read(m, partition, p->start, true, committed);
    model_read(m, partition, p->start, false, everything);
    assert_true(committed->next <= stable);
    model_check_present(everything, p->end);
    if (partition < MODEL_COMPACTED)
        model_check_newest(committed, stable);
    /* From anywhere on one sees what one sees from the beginning, also where nothing is left. */
    struct model_seen later;
    int64_t from = p->start + (p->end > p->start ? pick(m, (uint32_t)(p->end - p->start)) : 0);
    model_read(m, partition, from, true, &later);
    for (int64_t offset = p->start; offset < p->end; offset++) {
        bool wanted =
            offset < stable && everything->at[offset] && model_is_committed(&p->records[offset]);
        assert_int_equal(committed->at[offset], wanted);
        assert_int_equal(later.at[offset], wanted && offset >= from);
    }
}

/* ---- events ---- */

static inline int model_see_event(void *context, const struct ms_read_event *event) {
    struct model_seen *seen = context;
    while (!ms_bytes_equal_cstr(event->place.topic, model_places[seen->partition].topic) ||
           event->place.partition != model_places[seen->partition].number)
        seen++;
    int64_t offset = event->place.offset;
    const struct model_record *known = &seen->m->partitions[seen->partition].records[offset];
    assert_true(model_is_committed(known));
    assert_false(seen->at[offset]);
    model_check_text(seen->m, seen->partition, offset, event->place.key, event->event.data);
    seen->at[offset] = true;
    return 0;
}

/* Read-all shows what is committed, whether or not Kafka's readers may see it yet. */
static inline void model_check_events(struct model *m, const struct model_seen *everything) {
    struct model_seen *events = calloc(MODEL_PARTITIONS, sizeof *events);
    static const char *const topics[] = {"t", "s", "d"};
    for (int i = 0; i < MODEL_PARTITIONS; i++)
        events[i] = (struct model_seen){.m = m, .partition = i};
    for (size_t i = 0; i < 3; i++) {
        struct ms_bytes topic_name = ms_bytes_cstr(topics[i]);
        struct ms_all_read read = {.limit = SIZE_MAX,
                                   .filter = {.topics = &topic_name, .topic_count = 1}};
        struct ms_all_read_result result;
        assert_int_equal(
            ms_store_read_all(m->w.store, &read, model_see_event, events, &result, &m->w.error), 0);
    }
    for (int i = 0; i < MODEL_PARTITIONS; i++) {
        const struct model_partition *p = &m->partitions[i];
        for (int64_t offset = 0; offset < p->end; offset++) {
            const struct model_record *record = &p->records[offset];
            bool wanted = everything[i].at[offset] && model_is_committed(record);
            bool hidden =
                offset < p->start || (i == MODEL_S && record->version < m->firsts[record->key]);
            if (events[i].at[offset] != wanted && !hidden)
                fail_msg("partition %d, offset %lld: %s", i, (long long)offset,
                         wanted ? "the event is missing" : "there is an event");
        }
    }
    free(events);
}

struct model_stream_seen {
    struct model *m;
    int key;
    int64_t next; /* version */
};

static inline int model_see_stream_event(void *context, const struct ms_read_event *event) {
    struct model_stream_seen *seen = context;
    const struct model_record *record = &seen->m->partitions[MODEL_S].records[event->place.offset];
    assert_int_equal(event->place.version, seen->next++);
    assert_int_equal(record->version, event->place.version);
    assert_int_equal(record->key, seen->key);
    model_check_text(seen->m, MODEL_S, event->place.offset, event->place.key, event->event.data);
    return 0;
}

static inline void model_check_streams(struct model *m) {
    for (int key = 0; key < MODEL_KEYS; key++) {
        char name[16];
        struct model_stream_seen seen = {.m = m, .key = key, .next = m->firsts[key]};
        struct ms_stream_read_result result;
        snprintf(name, sizeof name, "s-k%d", key);
        struct ms_stream_read read = {.stream = ms_bytes_cstr(name), .limit = SIZE_MAX};
        assert_int_equal(ms_store_read_stream(m->w.store, &read, model_see_stream_event, &seen,
                                              &result, &m->w.error),
                         0);
        assert_int_equal(seen.next, m->heads[key]);
        assert_int_equal(result.head, m->heads[key] - 1);
    }
}

static inline void model_check(struct model *m) {
    struct model_seen *committed = calloc(2 * MODEL_PARTITIONS, sizeof *committed);
    struct model_seen *everything = committed + MODEL_PARTITIONS;
    for (int i = 0; i < MODEL_PARTITIONS; i++)
        model_check_partition(m, i, &committed[i], &everything[i]);
    model_check_events(m, everything);
    model_check_streams(m);
    free(committed);
}
