/* Topics without streams for tests: producing records, reading partitions, filling and scavenging
 * segments. Include it behind cmocka. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "log/internal.h"
#include "log/rewrite.h"
#include "store/internal.h"
#include "support/store_world.h"

static inline struct ms_topic_settings plain_settings(struct store_world *w, uint16_t partitions) {
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.streams = false;
    settings.partitions = partitions;
    return settings;
}

static inline struct ms_topic *topic_named(struct store_world *w, const char *name) {
    struct ms_topic *topic = ms_store_topic(w->store, ms_bytes_cstr(name), false);
    assert_non_null(topic);
    return topic;
}

static inline void put_topic(struct store_world *w, const char *name,
                             struct ms_topic_settings settings) {
    bool created;
    assert_int_equal(
        ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error), 0);
}

/* ---- producing ---- */

struct produced_outcome {
    atomic_bool done;
    int code;
    int64_t first_offset;
};

static inline void on_produced(void *context, const struct ms_append_result *result) {
    struct produced_outcome *outcome = context;
    outcome->code = result->code;
    outcome->first_offset = result->code == 0 ? result->parts[0].first_offset : -1;
    atomic_store(&outcome->done, true);
}

static inline int64_t produce_batch(struct store_world *w, const char *topic, uint32_t partition,
                                    struct ms_bytes batch) {
    struct ms_produce_request request = {
        .topic = topic_named(w, topic), .partition = partition, .batch = batch};
    struct produced_outcome outcome = {0};
    int32_t index;
    if (ms_store_produce(w->store, &request, on_produced, &outcome, &index, &w->error) != 0)
        fail_msg("%s", w->error.message);
    if (!w->real)
        ms_store_run(w->store);
    while (!atomic_load(&outcome.done))
        ms_clock_sleep_us(ms_clock_system(), 50);
    assert_int_equal(outcome.code, 0);
    return outcome.first_offset;
}

static inline int64_t now_of(struct store_world *w) { return ms_clock_now_us(w->env.clock) / 1000; }

/* One record; a NULL value is a tombstone. The timestamp is now. Returns its offset. */
static inline int64_t produce_one(struct store_world *w, const char *topic, uint32_t partition,
                                  const char *key, const char *value) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes k = ms_bytes_cstr(key), v = ms_bytes_cstr(value != NULL ? value : "");
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, now_of(w)), 0);
    assert_int_equal(ms_batch_add(&writer, now_of(w), &k, value != NULL ? &v : NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    int64_t offset = produce_batch(w, topic, partition, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    return offset;
}

/* ---- segments ---- */

/* Everything appended so far is in sealed segments afterwards. */
static inline void fill_segment(struct store_world *w) {
    static char data[60000];
    struct ms_segment_info infos[256];
    memset(data, '1', sizeof data);
    struct ms_event event = {.type = MS_BYTES_LITERAL("filler"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = ms_bytes_of(data, sizeof data)};
    struct ms_append_part part = {MS_BYTES_LITERAL("filler-1"), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    uint64_t end = ms_store_end(w->store);
    for (bool sealed = false; !sealed;) {
        assert_int_equal(store_request(w, &request).code, 0);
        size_t count = ms_log_segments(w->store->log, infos, 256);
        assert_true(count <= 256);
        sealed = infos[count - 1].first_position >= end;
    }
    if (w->real) {
        for (bool all = false; !all; ms_clock_sleep_us(ms_clock_system(), 1000)) {
            size_t count = ms_log_segments(w->store->log, infos, 256);
            all = true;
            for (size_t i = 0; i + 1 < count; i++)
                all = all && infos[i].sealed;
        }
        return;
    }
    while (ms_keeper_step(w->store->log))
        continue;
}

static inline uint64_t scavenge_store(struct store_world *w, bool all) {
    struct ms_scavenge_options options = {.all = all};
    struct ms_scavenge_result result;
    if (ms_store_scavenge(w->store, &options, &result, &w->error) != 0)
        fail_msg("scavenge: %s", w->error.message);
    return result.events_removed;
}

/* ---- reading ---- */

typedef void take_record_fn(void *context, const struct ms_record *record);

/* All records of a partition from `offset` on, those before it left out. */
static inline void read_records(struct store_world *w, const char *topic, uint32_t partition,
                                int64_t offset, take_record_fn *take, void *context) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read_result result = {.more = true};
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    for (int64_t next = offset; result.more; next = result.next_offset) {
        struct ms_partition_read read = {.topic = topic_named(w, topic),
                                         .partition = partition,
                                         .offset = next,
                                         .bytes_max = 100000,
                                         .oversized = true};
        if (ms_store_read_partition(reader, &read, &slices, &result, &w->error) != 0)
            fail_msg("%s", w->error.message);
        for (size_t i = 0; i < slices.count; i++) {
            struct ms_bytes left = slices.items[i].bytes;
            while (left.len > 0) {
                assert_int_equal(ms_batch_reader_init(&batch, left, 1 << 24, NULL), 0);
                assert_int_equal(
                    ms_batch_check_crc(ms_bytes_of(left.data, batch.header.length), NULL), 0);
                assert_true(batch.header.record_count > 0);
                while (ms_batch_reader_next(&batch, &record, NULL) > 0)
                    if (record.offset >= offset)
                        take(context, &record);
                left = ms_bytes_of(left.data + batch.header.length, left.len - batch.header.length);
            }
        }
        ms_slice_list_clear(&slices);
    }
    ms_slice_list_deinit(&slices);
    ms_batch_reader_deinit(&batch);
    ms_partition_reader_free(reader);
}

static inline void add_record_text(void *context, const struct ms_record *record) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 2048 - len, "%s%lld:%.*s=%.*s", len > 0 ? " " : "",
             (long long)record->offset, (int)record->key.len, (const char *)record->key.data,
             (int)(record->value.len > 16 ? 16 : record->value.len),
             (const char *)record->value.data);
}

/* "0:a=1 1:b=2", a tombstone "2:a=". */
static inline const char *records_of(struct store_world *w, const char *topic, uint32_t partition,
                                     int64_t offset) {
    static char text[2048];
    text[0] = 0;
    read_records(w, topic, partition, offset, add_record_text, text);
    return text;
}

static inline struct ms_partition_state state_of(struct store_world *w, const char *topic,
                                                 uint32_t partition) {
    struct ms_partition_state state;
    assert_int_equal(ms_store_partition_state(w->store, topic_named(w, topic), partition, &state),
                     0);
    return state;
}
