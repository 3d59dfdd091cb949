/* Producers' batches: stored byte for byte, offsets without gaps, found by everybody else as
 * events, taken apart where there are streams; and reading partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "store/produce_world.h"

static int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    if (store_world_open(&w) != 0)
        return -1;
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- cases ---- */

static void batch_is_stored_byte_for_byte(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    for (int codec = MS_CODEC_NONE; codec <= MS_CODEC_ZSTD; codec++) {
        struct ms_buf batch;
        ms_buf_init(&batch, 1 << 20);
        encode(&batch, (enum ms_codec)codec, 1000, "a=1 b=2 3");
        struct store_answer answer = produce_bytes(w, topic, 0, ms_buf_bytes(&batch));
        assert_int_equal(answer.code, 0);
        assert_int_equal(answer.parts[0].first_offset, codec * 3);
        struct ms_partition_reader *reader;
        struct ms_slice_list slices = {0};
        struct ms_partition_read read = {
            .topic = topic, .offset = codec * 3 + 1, .bytes_max = 1 << 20};
        struct ms_partition_read_result result;
        assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
        assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, NULL), 0);
        assert_int_equal(slices.count, 1);
        assert_int_equal(slices.items[0].bytes.len, batch.len);
        ms_batch_patch(batch.data, codec * 3, 0);
        assert_memory_equal(slices.items[0].bytes.data, batch.data, batch.len);
        assert_int_equal(result.next_offset, codec * 3 + 3);
        assert_int_equal(result.state.end_offset, codec * 3 + 3);
        ms_slice_list_deinit(&slices);
        ms_partition_reader_free(reader);
        ms_buf_deinit(&batch);
    }
}

static void offsets_are_dense_and_survive_starts(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 3));
    assert_int_equal(produce(w, topic, 2, "a=1 b=2").parts[0].first_offset, 0);
    assert_int_equal(produce(w, topic, 0, "c=3").parts[0].first_offset, 0);
    assert_int_equal(produce(w, topic, 2, "d=4").parts[0].first_offset, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(consume(w, topic, 2, 0, 1 << 20), "0:a=1 1:b=2 2:d=4");
        assert_string_equal(consume(w, topic, 2, 1, 1 << 20), "0:a=1 1:b=2 2:d=4");
        assert_string_equal(consume(w, topic, 2, 2, 1 << 20), "2:d=4");
        assert_string_equal(consume(w, topic, 2, 3, 1 << 20), "");
        assert_string_equal(consume(w, topic, 0, 0, 1 << 20), "0:c=3");
        assert_string_equal(consume(w, topic, 1, 0, 1 << 20), "");
        store_world_reopen(w);
        topic = ms_store_topic(w->store, MS_BYTES_LITERAL("t"), false);
    }
    assert_int_equal(produce(w, topic, 2, "e=5").parts[0].first_offset, 3);
}

static void read_is_bounded_but_for_the_first_batch(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
        assert_int_equal(produce(w, topic, 1, "b=2").code, 0);
    }
    assert_string_equal(consume(w, topic, 0, 0, 1), "0:a=1");
    assert_string_equal(consume(w, topic, 0, 0, 150), "0:a=1 1:a=1");
    assert_string_equal(consume(w, topic, 1, 1, 1 << 20), "1:b=2 2:b=2");
}

static void refused_batch_leaves_nothing(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain(w, 1);
    settings.message_bytes_max = 300;
    struct ms_topic *topic = make_topic(w, "t", settings);
    settings.compact = true;
    struct ms_topic *compacted = make_topic(w, "c", settings);
    struct ms_buf batch;
    ms_buf_init(&batch, 1 << 20);
    encode(&batch, MS_CODEC_NONE, 1000, "a=1 2");
    struct ms_bytes bytes = ms_buf_bytes(&batch);
    assert_int_equal(produce_bytes(w, topic, 1, bytes).code, MS_ENOTFOUND);
    assert_int_equal(produce_bytes(w, compacted, 0, bytes).code, MS_EINVAL);
    assert_int_equal(produce_bytes(w, topic, 0, ms_bytes_of(bytes.data, 40)).code, MS_EINVAL);
    assert_int_equal(produce_bytes(w, topic, 0, ms_bytes_of(bytes.data, bytes.len - 1)).code,
                     MS_EINVAL);
    assert_int_equal(ms_buf_append_u8(&batch, 0), 0);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, MS_EINVAL);
    batch.len--;
    batch.data[batch.len - 1] ^= 1;
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, MS_ECRC);
    ms_buf_clear(&batch);
    char large[400];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    encode(&batch, MS_CODEC_NONE, 1000, large);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, MS_ETOOBIG);
    struct ms_topic *system = ms_store_topic(w->store, MS_BYTES_LITERAL("$topics"), true);
    assert_null(ms_store_topic(w->store, MS_BYTES_LITERAL("$topics"), false));
    assert_int_equal(produce(w, system, 0, "a=1").code, MS_ERESERVED);
    ms_buf_deinit(&batch);
    assert_string_equal(consume(w, topic, 0, 0, 1 << 20), "");
    assert_int_equal(produce(w, topic, 0, "a=1").parts[0].first_offset, 0);
}

static int note_event(void *context, const struct ms_read_event *event) {
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 1000 - len, "%s%.*s %.*s %lld", len ? ", " : "", (int)event->event.id.len,
             (const char *)event->event.id.data, (int)event->event.type.len,
             (const char *)event->event.type.data, (long long)event->place.version);
    return 0;
}

static const char *of_type(struct store_world *w, const char *type) {
    static char text[1000];
    struct ms_bytes types[] = {ms_bytes_cstr(type)};
    struct ms_all_read read = {.limit = 100, .filter = {.types = types, .type_count = 1}};
    struct ms_all_read_result result;
    text[0] = 0;
    assert_int_equal(ms_store_read_all(w->store, &read, note_event, text, &result, &w->error), 0);
    return text;
}

static void produced_record_is_an_event(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 2));
    assert_int_equal(produce(w, topic, 1, "a=1 2").code, 0);
    struct ms_buf batch;
    struct ms_batch_writer writer;
    struct ms_record_header_in headers[] = {
        {MS_BYTES_LITERAL("ce_type"), MS_BYTES_LITERAL("order.created")},
        {MS_BYTES_LITERAL("ce_id"), MS_BYTES_LITERAL("e-1")}};
    struct ms_bytes key = MS_BYTES_LITERAL("a"), value = MS_BYTES_LITERAL("{}");
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_LZ4, 1000), 0);
    assert_int_equal(ms_batch_add(&writer, 1000, &key, &value, headers, 2), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
    ms_buf_deinit(&batch);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(of_type(w, "order"), "order/1/0 order -1, order/1/1 order -1");
        assert_string_equal(of_type(w, "order.created"), "e-1 order.created -1");
        store_world_reopen(w); /* folded from the log */
    }
}

static void topic_without_streams_has_none(void **state) {
    struct store_world *w = *state;
    (void)make_topic(w, "order", plain(w, 1));
    assert_int_equal(store_append(w, "order-1", ANY, "a").code, MS_ENOSTREAMS);
    struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("order-1"), .limit = 1};
    struct ms_stream_read_result result;
    assert_int_equal(ms_store_read_stream(w->store, &read, NULL, NULL, &result, &w->error),
                     MS_ENOSTREAMS);
    assert_non_null(strstr(w->error.message, "PUT /v1/topics/order"));
}

static void empty_topic_may_get_streams(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", plain(w, 1));
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.partitions = 1;
    assert_ptr_equal(make_topic(w, "order", settings), topic);
    assert_int_equal(produce(w, topic, 0, "7=a").code, 0);
    assert_int_equal(store_stream(w, "order-7").head, 0);
    settings.streams = false;
    bool created;
    assert_int_equal(
        ms_store_put_topic(w->store, MS_BYTES_LITERAL("order"), &settings, &created, &w->error),
        MS_EUNSUPPORTED);
    assert_int_equal(produce(w, topic, 0, "7=b").code, 0);
    assert_int_equal(store_stream(w, "order-7").head, 1);
}

static void streams_get_versions_from_producers(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.partitions = 2;
    struct ms_topic *topic = make_topic(w, "order", settings);
    assert_int_equal(store_append(w, "order-7", ANY, "x").code, 0);
    struct store_answer answer = produce(w, topic, 0, "7=a 7=b 8=c d 7=e 8=f");
    assert_int_equal(answer.code, 0);
    int64_t first = answer.parts[0].first_offset;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_stream(w, "order-7").head, 3);
        assert_int_equal(store_stream(w, "order-8").head, 1);
        char wanted[200];
        snprintf(wanted, sizeof wanted, "%lld:7=a %lld:7=b %lld:8=c %lld:d %lld:7=e %lld:8=f",
                 (long long)first, (long long)first + 1, (long long)first + 2, (long long)first + 3,
                 (long long)first + 4, (long long)first + 5);
        assert_string_equal(consume(w, topic, 0, first, 1 << 20), wanted);
        char id[40];
        snprintf(id, sizeof id, "order/0/%lld", (long long)first + 4);
        assert_string_equal(store_ids(w, "order-7", 3), id);
        store_world_reopen(w);
        topic = ms_store_topic(w->store, MS_BYTES_LITERAL("order"), false);
    }
    assert_int_equal(store_append(w, "order-8", AT(1), "y").code, 0);
    assert_int_equal(store_delete(w, "order-8", ANY, true).code, 0);
    struct ms_partition_state before, after;
    assert_int_equal(ms_store_partition_state(w->store, topic, 0, &before), 0);
    assert_int_equal(produce(w, topic, 0, "7=g 8=h").code, MS_ETOMBSTONED);
    assert_int_equal(ms_store_partition_state(w->store, topic, 0, &after), 0);
    assert_int_equal(before.end_offset, after.end_offset); /* all or nothing */
    assert_int_equal(store_stream(w, "order-7").head, 3);
}

static void stream_stays_on_the_partition_of_its_last_event(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(w->store);
    settings.partitions = 4;
    struct ms_topic *topic = make_topic(w, "order", settings);
    uint16_t own = store_append(w, "order-7", ANY, "a").parts[0].partition;
    uint16_t other = (uint16_t)((own + 1) % 4);
    assert_int_equal(produce(w, topic, other, "7=x").code, 0);
    assert_int_equal(store_append(w, "order-7", ANY, "b").parts[0].partition, other);
    for (int i = 0; i < 8; i++) { /* the same from a cold start, with more partitions */
        store_world_reopen(w);
        settings.partitions = (uint16_t)(5 + i);
        topic = make_topic(w, "order", settings);
        char id[8];
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(store_append(w, "order-7", ANY, id).parts[0].partition, other);
    }
    assert_int_equal(store_stream(w, "order-7").head, 10);
}

static void producer_fields_go_on_in_the_runs_of_a_batch(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "order", ms_topic_settings_default(w->store));
    struct ms_buf batch;
    struct ms_batch_writer writer;
    struct ms_bytes keys[] = {MS_BYTES_LITERAL("a"), MS_BYTES_LITERAL("b")};
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = 5;
    writer.producer_epoch = 2;
    writer.base_sequence = INT32_MAX;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ms_batch_add(&writer, 1000, &keys[i], &keys[i], NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    assert_int_equal(produce_bytes(w, topic, 3, ms_buf_bytes(&batch)).code, 0);
    ms_buf_deinit(&batch);
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read read = {.topic = topic, .partition = 3, .bytes_max = 1 << 20};
    struct ms_partition_read_result result;
    struct ms_batch_header header;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, NULL), 0);
    struct ms_bytes bytes = slices.items[0].bytes; /* small batches are packed together */
    int32_t sequences[] = {INT32_MAX, 0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ms_batch_read_header(bytes, &header, NULL), 0);
        assert_int_equal(header.producer_id, 5);
        assert_int_equal(header.producer_epoch, 2);
        assert_int_equal(header.base_sequence, sequences[i]);
        bytes = ms_bytes_of(bytes.data + header.length, bytes.len - header.length);
    }
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
}

static void log_append_time_is_the_servers(void **state) {
    struct store_world *w = *state;
    struct ms_topic_settings settings = plain(w, 1);
    settings.log_append_time = true;
    struct ms_topic *topic = make_topic(w, "t", settings);
    assert_int_equal(produce(w, topic, 0, "a=1 b=2").code, 0);
    assert_string_equal(consume(w, topic, 0, 0, 1 << 20), "0:a=1 1:b=2"); /* its CRC is right */
    struct ms_partition_reader *reader;
    int64_t offset, time_ms, now_ms = ms_clock_now_us(w->env.clock) / 1000;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_offset_at_time(reader, topic, 0, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(time_ms, now_ms);
    ms_partition_reader_free(reader);
}

/* The codec of the batch that holds the offset. */
static unsigned codec_at(struct store_world *w, struct ms_topic *topic, int64_t offset) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read read = {
        .topic = topic, .offset = offset, .bytes_max = 1, .oversized = true};
    struct ms_partition_read_result result;
    struct ms_batch_header header = {0};
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, NULL), 0);
    assert_int_equal(slices.count, 1);
    assert_int_equal(ms_batch_read_header(slices.items[0].bytes, &header, NULL), 0);
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
    return header.attributes & MS_BATCH_CODEC_MASK;
}

static void batch_is_recompressed_where_the_topic_says_so(void **state) {
    struct store_world *w = *state;
    for (int wanted = MS_CODEC_NONE; wanted <= MS_CODEC_ZSTD; wanted++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", wanted);
        struct ms_topic_settings settings = plain(w, 1);
        settings.recompress = true;
        settings.compression = (enum ms_codec)wanted;
        settings.log_append_time = wanted % 2 == 1;
        struct ms_topic *topic = make_topic(w, name, settings);
        for (int codec = MS_CODEC_NONE; codec <= MS_CODEC_ZSTD; codec++) {
            struct ms_buf batch;
            ms_buf_init(&batch, 1 << 20);
            encode(&batch, (enum ms_codec)codec, 1000, "a=1 b=2");
            assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
            assert_int_equal(codec_at(w, topic, codec * 2), wanted);
            ms_buf_deinit(&batch);
        }
        assert_string_equal(consume(w, topic, 0, 0, 1 << 20),
                            "0:a=1 1:b=2 2:a=1 3:b=2 4:a=1 5:b=2 6:a=1 7:b=2 8:a=1 9:b=2");
    }
}

static void assert_at_time(struct store_world *w, struct ms_topic *topic, int64_t time_ms,
                           int64_t wanted_offset, int64_t wanted_ms) {
    struct ms_partition_reader *reader;
    int64_t offset, found_ms;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_offset_at_time(reader, topic, 0, time_ms, &offset, &found_ms, NULL),
                     0);
    assert_int_equal(offset, wanted_offset);
    assert_int_equal(found_ms, wanted_ms);
    ms_partition_reader_free(reader);
}

static void offset_is_found_by_time_however_timestamps_jump(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    int64_t now_ms = ms_clock_now_us(w->env.clock) / 1000;
    /* Old times, times of now, a time of the future and one of now again. */
    int64_t times[] = {5000, 6000, now_ms, now_ms + 3600000, now_ms + 100};
    for (int i = 0; i < 5; i++) {
        struct ms_buf batch;
        ms_buf_init(&batch, 1 << 20);
        encode(&batch, MS_CODEC_GZIP, times[i], "a=1 b=2");
        assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
        ms_buf_deinit(&batch);
        ms_clock_sleep_us(w->env.clock, 10000000);
    }
    for (int i = 0; i < 2; i++) {
        assert_at_time(w, topic, 0, 0, 5000);
        assert_at_time(w, topic, 5001, 1, 5001);
        assert_at_time(w, topic, 5002, 2, 6000);
        assert_at_time(w, topic, 6002, 4, now_ms);
        assert_at_time(w, topic, now_ms + 50, 6, now_ms + 3600000);
        assert_at_time(w, topic, now_ms + 3600001, 7, now_ms + 3600001);
        assert_at_time(w, topic, now_ms + 3600002, -1, -1);
        store_world_reopen(w);
        topic = ms_store_topic(w->store, MS_BYTES_LITERAL("t"), false);
    }
}

static void newest_timestamp_is_found(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct ms_partition_reader *reader;
    int64_t offset, time_ms, now_ms = ms_clock_now_us(w->env.clock) / 1000;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_newest_time(reader, topic, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, -1);
    int64_t times[] = {5000, now_ms + 50000, 6000, now_ms + 10000};
    for (int i = 0; i < 4; i++) {
        struct ms_buf batch;
        ms_buf_init(&batch, 1 << 20);
        encode(&batch, MS_CODEC_NONE, times[i], "a=1 b=2");
        assert_int_equal(produce_bytes(w, topic, 0, ms_buf_bytes(&batch)).code, 0);
        ms_buf_deinit(&batch);
        ms_clock_sleep_us(w->env.clock, 20000000);
    }
    assert_int_equal(ms_store_newest_time(reader, topic, 0, &offset, &time_ms, NULL), 0);
    assert_int_equal(offset, 3);
    assert_int_equal(time_ms, now_ms + 50001);
    ms_partition_reader_free(reader);
}

static int64_t offset_at(struct store_world *w, struct ms_topic *topic, uint32_t partition,
                         uint64_t position) {
    struct ms_partition_reader *reader;
    int64_t offset;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(
        ms_store_offset_at_position(reader, topic, partition, position, &offset, &w->error), 0);
    ms_partition_reader_free(reader);
    return offset;
}

static void offset_is_found_by_position(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    assert_int_equal(offset_at(w, topic, 0, 0), 0);
    uint64_t at[4];
    for (uint32_t i = 0; i < 4; i++) {
        at[i] = ms_store_end(w->store);
        assert_int_equal(produce(w, topic, i % 2, "a=1 b=2 c=3").code, 0);
    }
    for (int i = 0; i < 2; i++) { /* partition 0 has batches 0 and 2, partition 1 has 1 and 3 */
        assert_int_equal(offset_at(w, topic, 0, 0), 0);
        assert_int_equal(offset_at(w, topic, 0, at[0] + 1), 1);
        assert_int_equal(offset_at(w, topic, 0, at[0] + 3), 3);
        assert_int_equal(offset_at(w, topic, 0, at[2]), 3);
        assert_int_equal(offset_at(w, topic, 0, at[2] + 2), 5);
        assert_int_equal(offset_at(w, topic, 0, at[3]), 6);
        assert_int_equal(offset_at(w, topic, 1, at[0]), 0);
        assert_int_equal(offset_at(w, topic, 1, at[3] + 3), 6);
        assert_int_equal(offset_at(w, topic, 1, UINT64_MAX), 6);
        store_world_reopen(w);
        topic = ms_store_topic(w->store, MS_BYTES_LITERAL("t"), false);
    }
    struct ms_partition_reader *reader;
    int64_t offset = 7;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_offset_at_position(reader, topic, 2, 0, &offset, &w->error),
                     MS_ENOTFOUND);
    assert_string_equal(w->error.message, "there is no partition 2 of topic 't'");
    assert_int_equal(offset, 7);
    ms_partition_reader_free(reader);
}

static void commit_time_is_that_of_the_first_record_not_before_an_offset(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    struct ms_partition_reader *reader;
    int64_t began_ms = ms_clock_now_us(w->env.clock) / 1000, time_ms;
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    assert_int_equal(ms_store_commit_time(reader, topic, 0, 0, &time_ms, NULL), 0);
    assert_int_equal(time_ms, -1);
    assert_int_equal(produce(w, topic, 0, "a=1 b=2").code, 0);
    ms_clock_sleep_us(w->env.clock, 10000000);
    assert_int_equal(produce(w, topic, 0, "c=3").code, 0);
    const int64_t wanted[] = {began_ms, began_ms, began_ms + 10000, -1, -1};
    for (int64_t offset = 0; offset < 5; offset++) {
        assert_int_equal(ms_store_commit_time(reader, topic, 0, offset, &time_ms, NULL), 0);
        assert_int_equal(time_ms, wanted[offset]);
    }
    ms_partition_reader_free(reader);
}

static void count_wake(void *context) { ++*(int *)context; }

static void waiter_wakes_for_its_partition_only(void **state) {
    struct store_world *w = *state;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 2));
    int wakes = 0;
    struct ms_waiter waiter = {.wake = count_wake, .context = &wakes};
    ms_store_wait_partition(w->store, topic, 1, &waiter);
    assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
    assert_int_equal(wakes, 0);
    assert_int_equal(produce(w, topic, 1, "a=1").code, 0);
    assert_int_equal(wakes, 1);
    assert_int_equal(produce(w, topic, 1, "a=1").code, 0);
    assert_int_equal(wakes, 1); /* armed once, woken once */
    ms_store_wait_partition(w->store, topic, 1, &waiter);
    ms_store_stop_waiting(w->store, &waiter);
    assert_int_equal(produce(w, topic, 1, "a=1").code, 0);
    assert_int_equal(wakes, 1);
}

static void topic_is_found_by_its_identity_until_it_is_deleted(void **state) {
    struct store_world *w = *state;
    struct ms_topic_info info, again;
    char name[20];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "t%d", i);
        struct ms_topic *topic = make_topic(w, name, plain(w, 1));
        ms_topic_info_of(w->store, topic, &info);
        assert_ptr_equal(ms_store_topic_by_id(w->store, &info.id), topic);
        if (i % 3 == 0) {
            assert_int_equal(ms_store_delete_topic(w->store, ms_bytes_cstr(name), NULL), 0);
            assert_null(ms_store_topic_by_id(w->store, &info.id));
            assert_true(ms_topic_is_deleted(topic));
            assert_int_equal(produce(w, topic, 0, "a=1").code, MS_ENOTFOUND);
        }
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "t%d", i);
        struct ms_topic *topic = ms_store_topic(w->store, ms_bytes_cstr(name), false);
        assert_int_equal(topic == NULL, i % 3 == 0);
        if (topic == NULL)
            continue;
        ms_topic_info_of(w->store, topic, &again);
        assert_ptr_equal(ms_store_topic_by_id(w->store, &again.id), topic);
    }
}

static void the_version_of_topics_moves_with_every_change(void **state) {
    struct store_world *w = *state;
    bool created;
    uint64_t before = ms_store_topics_version(w->store), after;
    struct ms_topic *topic = make_topic(w, "t", plain(w, 1));
    after = ms_store_topics_version(w->store);
    assert_true(after > before);
    assert_int_equal(produce(w, topic, 0, "a=1").code, 0);
    assert_int_equal(ms_store_topics_version(w->store), after);
    struct ms_topic_settings settings = plain(w, 2);
    assert_int_equal(ms_store_put_topic(w->store, MS_BYTES_LITERAL("t"), &settings, &created, NULL),
                     0);
    before = ms_store_topics_version(w->store);
    assert_true(before > after);
    assert_int_equal(ms_store_delete_topic(w->store, MS_BYTES_LITERAL("t"), NULL), 0);
    assert_true(ms_store_topics_version(w->store) > before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(batch_is_stored_byte_for_byte),
        test(offsets_are_dense_and_survive_starts),
        test(read_is_bounded_but_for_the_first_batch),
        test(refused_batch_leaves_nothing),
        test(produced_record_is_an_event),
        test(topic_without_streams_has_none),
        test(empty_topic_may_get_streams),
        test(streams_get_versions_from_producers),
        test(stream_stays_on_the_partition_of_its_last_event),
        test(producer_fields_go_on_in_the_runs_of_a_batch),
        test(log_append_time_is_the_servers),
        test(batch_is_recompressed_where_the_topic_says_so),
        test(offset_is_found_by_time_however_timestamps_jump),
        test(newest_timestamp_is_found),
        test(offset_is_found_by_position),
        test(commit_time_is_that_of_the_first_record_not_before_an_offset),
        test(waiter_wakes_for_its_partition_only),
        test(topic_is_found_by_its_identity_until_it_is_deleted),
        test(the_version_of_topics_moves_with_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
