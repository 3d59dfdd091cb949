/* What tests of producers share: topics, batches from words, and what a consumer sees. */
#pragma once

#include <stdio.h>

#include "base/alloc.h"
#include "store/partitions.h"
#include "support/store_world.h"

static inline struct ms_topic *make_topic(struct store_world *w, const char *name,
                                          struct ms_topic_settings settings) {
    bool created;
    assert_int_equal(
        ms_store_put_topic(w->store, ms_bytes_cstr(name), &settings, &created, &w->error), 0);
    return ms_store_topic(w->store, ms_bytes_cstr(name), false);
}

static inline struct ms_topic_settings plain(struct store_world *w, uint16_t partitions) {
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.streams = false;
    settings.partitions = partitions;
    return settings;
}

/* Records "k=v" (or "v": null key), separated by spaces; the n-th has timestamp time_ms + n. */
static inline void encode(struct ms_buf *out, enum ms_codec codec, int64_t time_ms,
                          const char *records) {
    struct ms_batch_writer writer;
    char copy[512];
    int n = 0;
    snprintf(copy, sizeof copy, "%s", records);
    assert_int_equal(ms_batch_begin(&writer, out, codec, time_ms), 0);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        struct ms_bytes key = {0}, value = ms_bytes_cstr(equals != NULL ? equals + 1 : word);
        if (equals != NULL)
            key = ms_bytes_of(word, (size_t)(equals - word));
        assert_int_equal(
            ms_batch_add(&writer, time_ms + n++, equals != NULL ? &key : NULL, &value, NULL, 0), 0);
    }
    assert_int_equal(ms_batch_end(&writer), 0);
}

static inline struct store_answer produce_bytes(struct store_world *w, struct ms_topic *topic,
                                                uint32_t partition, struct ms_bytes batch) {
    struct ms_produce_request request = {.topic = topic, .partition = partition, .batch = batch};
    struct store_answer answer = {0};
    int32_t index;
    answer.refused =
        ms_store_produce(w->store, &request, store_answer_take, &answer, &index, &answer.error);
    store_wait(w, &answer);
    if (answer.refused != 0)
        answer.code = answer.refused;
    return answer;
}

static inline struct store_answer produce(struct store_world *w, struct ms_topic *topic,
                                          uint32_t partition, const char *records) {
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    encode(&batch, MS_CODEC_NONE, 1000, records);
    struct store_answer answer = produce_bytes(w, topic, partition, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    return answer;
}

/* What a consumer sees from `offset` on: "offset:key=value …". */
static inline const char *consume(struct store_world *w, struct ms_topic *topic, uint32_t partition,
                                  int64_t offset, size_t bytes_max) {
    static char text[4096];
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read read = {.topic = topic,
                                     .partition = partition,
                                     .offset = offset,
                                     .bytes_max = bytes_max,
                                     .oversized = true};
    struct ms_partition_read_result result;
    struct ms_batch_reader batch = {0};
    struct ms_record record;
    size_t len = 0;
    text[0] = 0;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, &w->error), 0);
    for (size_t i = 0; i < slices.count; i++) {
        struct ms_bytes left = slices.items[i].bytes;
        while (left.len > 0) {
            assert_int_equal(ms_batch_reader_init(&batch, left, 1 << 20, NULL), 0);
            assert_int_equal(ms_batch_check_crc(ms_bytes_of(left.data, batch.header.length), NULL),
                             0);
            while (ms_batch_reader_next(&batch, &record, NULL) > 0)
                len +=
                    (size_t)snprintf(text + len, sizeof text - len, "%s%lld:%.*s%s%.*s",
                                     len ? " " : "", (long long)record.offset, (int)record.key.len,
                                     (const char *)record.key.data, record.key_is_null ? "" : "=",
                                     (int)record.value.len, (const char *)record.value.data);
            left = ms_bytes_of(left.data + batch.header.length, left.len - batch.header.length);
        }
    }
    ms_batch_reader_deinit(&batch);
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
    return text;
}
