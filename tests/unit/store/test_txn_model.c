/* Random histories of transactions in a compacted topic, scavenged and reopened at random moments,
 * against a model that forgets nothing: who reads committed ends up with the newest committed
 * record of each key, nothing moves, nothing open is touched, and in the end nothing is left of
 * what nobody needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "txn_records.h"

#define KEYS 24
#define HISTORY 3000
#define PARTITIONS 2
#define PRODUCERS 3
#define DAY_US ((int64_t)86400000000)

enum kind { PLAIN, OPEN, COMMITTED, ABORTED, MARKER };

struct model_record {
    uint8_t kind, key, producer;
    bool tombstone;
};

struct model_partition {
    struct model_record records[HISTORY]; /* by offset */
    int64_t end, stable;
};

struct model {
    struct store_world w;
    uint64_t random;
    struct model_partition partitions[PARTITIONS];
    struct txn_producer producers[PRODUCERS];
    bool open[PRODUCERS], wrote[PRODUCERS][PARTITIONS];
};

static uint32_t pick(struct model *m, uint32_t below) {
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

/* ---- making history ---- */

static void texts_of(int partition, int64_t offset, int key, char out_key[8], char out_value[600]) {
    size_t len = 20 + (size_t)(offset * 7919 % 500);
    snprintf(out_key, 8, "k%d", key);
    memset(out_value, 'a' + (int)(offset % 26), len);
    out_value[len] = 0;
    int n = snprintf(out_value, 20, "%d.%lld", partition, (long long)offset);
    out_value[n] = ' ';
}

static struct model_record *next_record(struct model *m, int partition, enum kind kind,
                                        int producer) {
    struct model_partition *p = &m->partitions[partition];
    struct model_record *record = &p->records[p->end++];
    *record = (struct model_record){.kind = (uint8_t)kind, .producer = (uint8_t)producer};
    if (kind != MARKER) {
        record->key = (uint8_t)pick(m, pick(m, 3) == 0 ? KEYS : KEYS / 6);
        record->tombstone = pick(m, 6) == 0;
    }
    return record;
}

static void put_record(struct model *m, int producer) {
    int partition = (int)pick(m, PARTITIONS);
    int64_t offset = m->partitions[partition].end;
    char key[8], value[600];
    if (offset >= HISTORY - 2 * PRODUCERS)
        return;
    struct model_record *record =
        next_record(m, partition, producer < 0 ? PLAIN : OPEN, producer < 0 ? 0 : producer);
    texts_of(partition, offset, record->key, key, value);
    const char *text = record->tombstone ? NULL : value;
    int64_t got;
    if (producer < 0) {
        got = produce_one(&m->w, "t", (uint32_t)partition, key, text);
    } else {
        struct txn_producer *p = &m->producers[producer];
        if (!m->wrote[producer][partition])
            txn_open(&m->w, p, "t", (uint32_t)partition);
        m->open[producer] = m->wrote[producer][partition] = true;
        got = txn_put(&m->w, p, "t", (uint32_t)partition, key, text);
    }
    assert_int_equal(got, offset);
}

static void end_one(struct model *m, int producer, bool commit) {
    struct txn_producer *p = &m->producers[producer];
    if (!m->open[producer])
        return;
    if (getenv("TRACE"))
        fprintf(stderr, "end %d commit %d\n", producer, commit);
    if (pick(m, 2) == 0) { /* as KIP-890 has it */
        p->epoch++;
        memset(p->sequence, 0, sizeof p->sequence);
    }
    txn_end(&m->w, p, commit);
    for (int i = 0; i < PARTITIONS; i++) {
        struct model_partition *partition = &m->partitions[i];
        if (!m->wrote[producer][i])
            continue;
        for (int64_t offset = 0; offset < partition->end; offset++) {
            struct model_record *record = &partition->records[offset];
            if (record->kind == OPEN && record->producer == producer)
                record->kind = (uint8_t)(commit ? COMMITTED : ABORTED);
        }
        next_record(m, i, MARKER, producer);
        m->wrote[producer][i] = false;
    }
    m->open[producer] = false;
}

static void reopen(struct model *m) {
    assert_int_equal(store_world_close(&m->w), 0);
    if (m->w.real && pick(m, 2) == 0)
        store_world_drop_index(&m->w);
    assert_int_equal(store_world_open(&m->w), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(
            ms_store_txn_set_epoch(m->w.store, m->producers[i].id, m->producers[i].epoch), 0);
}

/* ---- looking ---- */

struct seen {
    struct model *m;
    int partition;
    int64_t next;
    int64_t newest[KEYS];
    bool at[HISTORY];
    bool committed; /* only such may be seen */
};

static bool is_committed(const struct model_record *record) {
    return record->kind == PLAIN || record->kind == COMMITTED;
}

static void check_text(struct seen *seen, int64_t offset, struct ms_bytes key,
                       struct ms_bytes value) {
    const struct model_record *record = &seen->m->partitions[seen->partition].records[offset];
    char want_key[8], want_value[600];
    texts_of(seen->partition, offset, record->key, want_key, want_value);
    assert_true(ms_bytes_equal_cstr(key, want_key));
    if (!record->tombstone)
        assert_true(ms_bytes_equal_cstr(value, want_value));
}

static void see_record(void *context, const struct ms_record *record) {
    struct seen *seen = context;
    struct model_partition *p = &seen->m->partitions[seen->partition];
    if (record->offset < seen->next || record->offset >= p->end)
        fail_msg("offset %lld comes behind %lld", (long long)record->offset, (long long)seen->next);
    seen->next = record->offset + 1;
    const struct model_record *known = &p->records[record->offset];
    if (known->kind == MARKER)
        return;
    if (seen->committed && !is_committed(known))
        fail_msg("partition %d, offset %lld is not committed: kind %d, producer %d",
                 seen->partition, (long long)record->offset, known->kind, known->producer);
    check_text(seen, record->offset, record->key, record->value);
    assert_int_equal(record->value_is_null, known->tombstone);
    seen->newest[known->key] = record->offset;
    seen->at[record->offset] = true;
}

static int64_t stable_of(const struct model_partition *p) {
    for (int64_t offset = 0; offset < p->end; offset++)
        if (p->records[offset].kind == OPEN)
            return offset;
    return p->end;
}

static void check_newest(const struct seen *seen, int64_t below) {
    const struct model_partition *p = &seen->m->partitions[seen->partition];
    for (int key = 0; key < KEYS; key++) {
        int64_t newest = -1;
        for (int64_t offset = 0; offset < below; offset++)
            if (is_committed(&p->records[offset]) && p->records[offset].key == key)
                newest = offset;
        bool gone = seen->newest[key] == -1 && newest >= 0 && p->records[newest].tombstone;
        if (!gone && seen->newest[key] != newest)
            fail_msg("partition %d, key %d: the newest is at %lld, read was %lld", seen->partition,
                     key, (long long)newest, (long long)seen->newest[key]);
    }
}

static int see_event(void *context, const struct ms_read_event *event) {
    struct seen *seen = (struct seen *)context + event->place.partition;
    const struct model_record *known =
        &seen->m->partitions[seen->partition].records[event->place.offset];
    assert_true(is_committed(known));
    check_text(seen, event->place.offset, event->place.key, event->event.data);
    seen->at[event->place.offset] = true;
    return 0;
}

/* Read-all shows what is committed, whether or not Kafka's readers may see it yet. */
static void check_events(struct model *m, struct seen *committed, struct seen *everything) {
    struct seen *events = calloc(PARTITIONS, sizeof *events);
    struct ms_all_read read = {.limit = SIZE_MAX, .filter.topic = MS_BYTES_LITERAL("t")};
    struct ms_all_read_result result;
    for (int i = 0; i < PARTITIONS; i++)
        events[i] = (struct seen){.m = m, .partition = i};
    assert_int_equal(ms_store_read_all(m->w.store, &read, see_event, events, &result, &m->w.error),
                     0);
    for (int i = 0; i < PARTITIONS; i++) {
        const struct model_partition *p = &m->partitions[i];
        for (int64_t offset = 0; offset < p->end; offset++) {
            bool wanted = offset < p->stable
                              ? committed[i].at[offset]
                              : everything[i].at[offset] && is_committed(&p->records[offset]);
            if (events[i].at[offset] != wanted)
                fail_msg("partition %d, offset %lld: %s", i, (long long)offset,
                         wanted ? "the event is missing" : "there is an event");
        }
    }
    free(events);
}

static void check_partition(struct model *m, int partition, struct seen *committed,
                            struct seen *everything) {
    struct model_partition *p = &m->partitions[partition];
    struct ms_partition_state state = state_of(&m->w, "t", (uint32_t)partition);
    int64_t stable = stable_of(p);
    assert_true(stable >= p->stable);
    p->stable = stable;
    assert_int_equal(state.stable_offset, stable);
    assert_int_equal(state.end_offset, p->end);
    assert_int_equal(state.start_offset, 0);
    *committed = (struct seen){.m = m, .partition = partition, .committed = true};
    *everything = (struct seen){.m = m, .partition = partition};
    for (int key = 0; key < KEYS; key++)
        committed->newest[key] = everything->newest[key] = -1;
    static const size_t sizes[] = {300, 5000, 1 << 20};
    read_committed(&m->w, "t", (uint32_t)partition, 0, sizes[pick(m, 3)], see_record, committed);
    check_newest(committed, stable);
    read_records(&m->w, "t", (uint32_t)partition, 0, see_record, everything);
    for (int64_t offset = stable; offset < p->end; offset++)
        if (p->records[offset].kind != MARKER && !everything->at[offset])
            fail_msg("partition %d, offset %lld is gone behind the stable one", partition,
                     (long long)offset);
    /* From anywhere on no record appears that was not there from the beginning. */
    struct seen later = {.m = m, .partition = partition, .committed = true};
    int64_t from = p->end > 0 ? pick(m, (uint32_t)p->end) : 0;
    read_committed(&m->w, "t", (uint32_t)partition, from, sizes[pick(m, 3)], see_record, &later);
    for (int64_t offset = from; offset < stable; offset++)
        assert_int_equal(later.at[offset], committed->at[offset]);
}

static void check_all(struct model *m) {
    struct seen *committed = calloc(2 * PARTITIONS, sizeof *committed);
    for (int i = 0; i < PARTITIONS; i++)
        check_partition(m, i, &committed[i], &committed[PARTITIONS + i]);
    check_events(m, committed, committed + PARTITIONS);
    free(committed);
}

/* ---- the end ---- */

static void count_wanted(struct model *m, int *ret_pending, int *ret_plain) {
    *ret_pending = *ret_plain = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        const struct model_partition *p = &m->partitions[i];
        int64_t newest[KEYS];
        for (int key = 0; key < KEYS; key++)
            newest[key] = -1;
        for (int64_t offset = 0; offset < p->end; offset++)
            if (is_committed(&p->records[offset]))
                newest[p->records[offset].key] = offset;
        for (int key = 0; key < KEYS; key++) {
            if (newest[key] < 0 || p->records[newest[key]].tombstone)
                continue;
            *ret_pending += p->records[newest[key]].kind == COMMITTED;
            *ret_plain += p->records[newest[key]].kind == PLAIN;
        }
        *ret_plain += p->end > 0 && p->records[p->end - 1].kind == PLAIN &&
                      (newest[p->records[p->end - 1].key] != p->end - 1 ||
                       p->records[p->end - 1].tombstone); /* the last word, empty */
    }
}

static size_t aborted_left(struct model *m) {
    size_t sum = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        struct ms_arena arena;
        struct ms_txn_aborted *aborted;
        size_t count;
        ms_arena_init(&arena, 1 << 20);
        assert_int_equal(ms_store_aborted(m->w.store, topic_named(&m->w, "t"), i, 0, INT64_MAX,
                                          &arena, &aborted, &count),
                         0);
        ms_arena_deinit(&arena);
        sum += count;
    }
    return sum;
}

/* A day later, everything sealed and decided. */
static void check_nothing_is_left_over(struct model *m) {
    int pending, plain;
    for (int i = 0; i < PRODUCERS; i++)
        end_one(m, i, i % 2 == 0);
    fill_segment(&m->w);
    ms_clock_manual_advance(&m->w.world.clock, DAY_US + 1000000);
    for (int i = 0; i < 5; i++) {
        scavenge_store(&m->w, true);
        check_all(m);
    }
    count_wanted(m, &pending, &plain);
    struct stored_entries stored = entries_of(&m->w, topic_named(&m->w, "t")->number);
    assert_int_equal(stored.pending, pending);
    assert_int_equal(stored.commits, pending);
    assert_int_equal(stored.others, plain);
    assert_true(stored.markers <= pending + PARTITIONS);
    assert_true(aborted_left(m) <= PARTITIONS); /* of a last word */
}

static void step(struct model *m) {
    uint32_t what = pick(m, 1000);
    if (getenv("TRACE"))
        fprintf(stderr, "what %u ends %d %d\n", what, (int)m->partitions[0].end,
                (int)m->partitions[1].end);
    if (what < 300)
        put_record(m, -1);
    else if (what < 780)
        put_record(m, (int)pick(m, PRODUCERS));
    else if (what < 900)
        end_one(m, (int)pick(m, PRODUCERS), pick(m, 3) > 0);
    else if (what < 930)
        fill_segment(&m->w);
    else if (what < 940 && !m->w.real)
        ms_clock_manual_advance(&m->w.world.clock, DAY_US / 2);
    else if (what < 980) {
        scavenge_store(&m->w, pick(m, 2) == 0);
        check_all(m);
    } else {
        reopen(m);
        check_all(m);
    }
}

static void run_model(bool real, uint64_t seed, int steps) {
    struct model *m = calloc(1, sizeof *m);
    m->random = seed;
    if (real)
        store_world_init_real(&m->w);
    else
        store_world_init(&m->w, seed);
    m->w.options.compaction_bytes_max = seed % 3 == 0 ? 1 : (size_t)1 << 20;
    assert_int_equal(store_world_open(&m->w), 0);
    struct ms_topic_settings settings = plain_settings(&m->w, PARTITIONS);
    settings.compact = settings.retention_ignored = true;
    settings.delete_retention_ms = seed % 2 == 0 ? 0 : MS_DELETE_RETENTION_MS;
    put_topic(&m->w, "t", settings);
    for (int i = 0; i < PRODUCERS; i++)
        m->producers[i].id = 70 + i;
    for (int i = 0; i < steps; i++) {
        if (getenv("TRACE"))
            fprintf(stderr, "seed %d step %d\n", (int)seed, i);
        step(m);
    }
    if (!real)
        check_nothing_is_left_over(m);
    reopen(m);
    check_all(m);
    store_world_deinit(&m->w);
    free(m);
}

static void random_histories_are_as_the_model_says(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_model(false, seed, 1200);
}

static void random_histories_on_real_files(void **state) {
    (void)state;
    for (uint64_t seed = 101; seed <= 102; seed++)
        run_model(true, seed, 700);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_are_as_the_model_says),
        cmocka_unit_test(random_histories_on_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
