/*
 * Records of `__transaction_state` that somebody else may have written: a list of them, as
 * keyed_records.h has it.
 *
 * Asserted: what can be read can be written, and reads the same again; a coordinator that loads
 * them all serves the ids that came of it, ends their transactions in time, and gives all
 * memory back.
 */
#include <stdlib.h>

#include "txn/record.h"
#include "txn/txn.h"

#include "../keyed_records.h"

#define RECORDS_MAX 64
#define WRITTEN_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)16 << 20)
#define HOUR_MS INT64_C(3600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- reading and writing ---- */

static int write_topics(struct ms_buf *out, struct ms_txn_value value) {
    struct ms_txn_topic_value topic;
    int rc = ms_txn_value_begin(out, &value);
    while (rc == 0 && ms_txn_topic_next(&value, &topic)) {
        rc = ms_txn_value_topic(out, topic.topic, topic.partition_count);
        for (uint32_t i = 0; rc == 0 && i < topic.partition_count; i++)
            rc = ms_txn_value_partition(out, ms_txn_topic_partition(&topic, i));
        if (rc == 0)
            rc = ms_txn_value_topic_end(out);
    }
    return rc == 0 ? ms_txn_value_end(out, &value) : rc;
}

static void compare_values(struct ms_txn_value a, struct ms_bytes written) {
    struct ms_txn_value b;
    struct ms_txn_topic_value x, y;
    MS_ASSERT(ms_txn_value_read(written, &b) == 0);
    MS_ASSERT(a.producer_id == b.producer_id && a.epoch == b.epoch && a.state == b.state);
    MS_ASSERT(a.timeout_ms == b.timeout_ms && a.changed_ms == b.changed_ms);
    MS_ASSERT(a.started_ms == b.started_ms && a.topic_count == b.topic_count);
    for (uint32_t left = a.topic_count; left > 0; left--) {
        MS_ASSERT(ms_txn_topic_next(&a, &x) && ms_txn_topic_next(&b, &y));
        MS_ASSERT(ms_bytes_equal(x.topic, y.topic) && ms_bytes_equal(x.partitions, y.partitions));
    }
    MS_ASSERT(!ms_txn_topic_next(&a, &x) && !ms_txn_topic_next(&b, &y));
}

static void check_value(struct ms_bytes bytes) {
    struct ms_txn_value value;
    struct ms_txn_pending_value pending;
    struct ms_buf out;
    int64_t next;
    ms_ignore(ms_txn_ids_value_read(bytes, &next));
    ms_ignore(ms_txn_pending_value_read(bytes, &pending));
    if (ms_txn_value_read(bytes, &value) != 0)
        return;
    ms_buf_init(&out, WRITTEN_MAX);
    MS_ASSERT(write_topics(&out, value) == 0);
    compare_values(value, ms_buf_bytes(&out));
    ms_buf_deinit(&out);
}

/* ---- a coordinator that finds them: its store takes everything ---- */

static void append(void *context, const struct ms_keyed_records *sets, size_t set_count,
                   void (*stored)(void *stored_context, int code), void *stored_context) {
    (void)context;
    (void)sets;
    MS_ASSERT(set_count > 0);
    stored(stored_context, 0);
}

static void end(void *context, const struct ms_txn_end *end,
                void (*stored)(void *stored_context, int code), void *stored_context) {
    (void)context;
    MS_ASSERT(end->producer_id >= 0 && end->epoch >= 0);
    stored(stored_context, 0);
}

static int set_epoch(void *context, int64_t producer_id, int16_t epoch) {
    (void)context;
    MS_ASSERT(producer_id >= 0 && epoch >= 0);
    return 0;
}

static int add(void *context, int64_t producer_id, int16_t epoch, struct ms_bytes topic,
               int32_t partition) {
    (void)context;
    (void)epoch;
    MS_ASSERT(producer_id >= 0 && topic.len > 0 && partition >= 0);
    return topic.data[0] == 'x' ? MS_ENOTFOUND : 0;
}

static void forget(void *context, int64_t producer_id) {
    (void)context;
    (void)producer_id;
}

static void ended(void *context, int64_t producer_id, bool commit) {
    (void)context;
    (void)producer_id;
    (void)commit;
}

static int visit_offset(void *context, int64_t producer_id, const struct ms_group_record *record,
                        uint64_t position) {
    (void)record;
    (void)position;
    MS_ASSERT(producer_id >= 0);
    (*(size_t *)context)++;
    return 0;
}

static void serve(struct ms_txns *txns, struct ms_clock_manual *clock) {
    struct ms_arena arena;
    struct ms_txn_filter all = {.duration_ms = -1};
    struct ms_txn_info *infos, info;
    struct ms_txns_stats stats;
    size_t count, offsets = 0;
    MS_ASSERT(ms_txns_visit_offsets(txns, visit_offset, &offsets) == 0);
    ms_arena_init(&arena, ARENA_MAX);
    MS_ASSERT(ms_txns_list(txns, &all, &arena, &infos, &count) == MS_TXN_OK);
    for (size_t i = 0; i < count; i++)
        MS_ASSERT(ms_txns_describe(txns, infos[i].id, &arena, &info) == MS_TXN_OK);
    ms_arena_deinit(&arena);
    for (int hour = 0; hour < 24 * 32; hour += 8) { /* no timeout is longer than 25 days */
        ms_clock_manual_advance(clock, 8 * HOUR_MS * 1000);
        (void)ms_txns_tick(txns);
    }
    ms_txns_stats(txns, &stats);
    MS_ASSERT(stats.open == 0 && stats.pending_offsets == 0 && stats.failed_writes == 0);
}

/* ---- the input ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_bytes rest = ms_bytes_of(data, size);
    struct ms_keyed_record record;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_txns *txns;
    ms_clock_manual_init(&clock, INT64_C(1700000000000000));
    ms_random_seeded_init(&random, 1);
    struct ms_env env = {.clock = &clock.clock, .random = &random.random};
    struct ms_txns_options options = {
        .env = &env,
        .store = {NULL, append, end, set_epoch, add, forget, ended},
        .bytes_max = (size_t)4 << 20,
    };
    MS_ASSERT(ms_txns_new(&options, &txns) == 0);
    for (uint64_t n = 0; n < RECORDS_MAX && next_record(&rest, &record); n++) {
        struct ms_txn_key key;
        ms_ignore(ms_txn_key_read(record.key, &key));
        check_value(record.value);
        int rc = ms_txns_load(txns, &record, n);
        MS_ASSERT(rc == 0 || rc == MS_EINVAL || rc == MS_ENOMEM);
    }
    struct ms_txn_producer producer = {size > 0 ? data[size - 1] : 0, 0};
    MS_ASSERT(ms_txns_load_open(txns, producer, MS_BYTES_LITERAL("t"), 1, 0) == 0);
    if (ms_txns_loaded(txns) == 0)
        serve(txns, &clock);
    ms_txns_stop(txns);
    ms_txns_free(txns);
    return 0;
}
