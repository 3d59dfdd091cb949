/* The event envelope: the mapping of event.h field by field, and what a foreign record becomes.
 * test_event_check.c has the rules of ms_event_check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/event.h"

#define MAX ((size_t)64 << 20)
#define TIME_MS INT64_C(1700000000123) /* 2023-11-14T22:13:20.123Z */
#define TEXT(literal) MS_BYTES_LITERAL(literal)

/* A batch of one record, and what reads it. */
struct stored {
    struct ms_buf out;
    struct ms_batch_reader reader;
    struct ms_record record;
    struct ms_arena arena;
};

static void stored_read(struct stored *stored) {
    struct ms_batch_header header;
    struct ms_bytes batch = ms_buf_bytes(&stored->out);
    assert_int_equal(ms_batch_validate(batch, MAX, &header, NULL), 0);
    stored->reader = (struct ms_batch_reader){0};
    assert_int_equal(ms_batch_reader_init(&stored->reader, batch, MAX, NULL), 0);
    assert_int_equal(ms_batch_reader_next(&stored->reader, &stored->record, NULL), 1);
    ms_arena_init(&stored->arena, MAX);
}

static void store_event(struct stored *stored, const struct ms_event *event,
                        const struct ms_bytes *key) {
    struct ms_batch_writer writer;
    ms_buf_init(&stored->out, MAX);
    assert_int_equal(ms_batch_begin(&writer, &stored->out, MS_CODEC_NONE, TIME_MS), 0);
    assert_int_equal(ms_event_write_record(&writer, event, key), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    stored_read(stored);
}

static void store_headers(struct stored *stored, const struct ms_record_header_in *headers,
                          size_t count) {
    struct ms_batch_writer writer;
    const struct ms_bytes value = TEXT("{}");
    ms_buf_init(&stored->out, MAX);
    assert_int_equal(ms_batch_begin(&writer, &stored->out, MS_CODEC_NONE, TIME_MS), 0);
    assert_int_equal(ms_batch_add(&writer, TIME_MS, NULL, &value, headers, count), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    stored_read(stored);
}

static void drop(struct stored *stored) {
    ms_arena_deinit(&stored->arena);
    ms_batch_reader_deinit(&stored->reader);
    ms_buf_deinit(&stored->out);
}

static struct ms_event read_event(struct stored *stored) {
    struct ms_event event;
    assert_int_equal(ms_event_read_record(&stored->record, &stored->arena, &event), 0);
    return event;
}

static void assert_text(struct ms_bytes bytes, const char *text) {
    if (text == NULL) {
        assert_null(bytes.data);
        assert_int_equal(bytes.len, 0);
        return;
    }
    assert_non_null(bytes.data);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

/* "name=value" of all headers, each followed by a ';'. */
static void assert_headers(const struct stored *stored, const char *expected) {
    char text[2048];
    size_t len = 0, at = 0;
    struct ms_record_header header;
    while (ms_record_next_header(&stored->record, &at, &header) == 1)
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%.*s;", (int)header.key.len,
                                (const char *)header.key.data, (int)header.value.len,
                                (const char *)header.value.data);
    assert_string_equal(text, expected);
}

static struct ms_event minimal(void) {
    return (struct ms_event){
        .id = TEXT("i1"),
        .type = TEXT("order.created"),
        .timestamp_ms = TIME_MS,
        .data = TEXT("{\"a\": 1.0}"),
    };
}

static const struct ms_extension TWO_EXTENSIONS[] = {
    {TEXT("dataschema"), TEXT("https://example.com/s")},
    {TEXT("x1"), TEXT("")},
};

static struct ms_event full(void) {
    return (struct ms_event){
        .id = TEXT("i1"),
        .type = TEXT("order.created"),
        .source = TEXT("/shop"),
        .version = TEXT("2.1"),
        .content_type = TEXT("text/plain"),
        .correlation_id = TEXT("c1"),
        .causation_id = TEXT("c0"),
        .traceparent = TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .time_text = TEXT("2023-11-14T22:13:20.123456Z"),
        .timestamp_ms = TIME_MS,
        .data = TEXT("hello"),
        .metadata = TEXT("{ \"user\" : 7 }"),
        .tags = TEXT("red,gr\xc3\xbcn"),
        .extensions = TWO_EXTENSIONS,
        .extension_count = 2,
    };
}

/* ---- the mapping ---- */

static void minimal_event_has_five_headers(void **state) {
    (void)state;
    struct stored stored;
    struct ms_event event = minimal();
    const struct ms_bytes key = TEXT("123");
    store_event(&stored, &event, &key);
    assert_headers(&stored, "ce_id=i1;ce_type=order.created;ce_source=mainstem;"
                            "ce_specversion=1.0;content-type=application/json;");
    assert_text(stored.record.key, "123");
    assert_text(stored.record.value, "{\"a\": 1.0}");
    assert_int_equal(stored.record.timestamp_ms, TIME_MS);

    struct ms_event read = read_event(&stored);
    assert_text(read.id, "i1");
    assert_text(read.type, "order.created");
    assert_text(read.source, "mainstem");
    assert_text(read.content_type, "application/json");
    assert_text(read.data, "{\"a\": 1.0}");
    assert_false(read.data_is_null);
    assert_text(read.version, NULL);
    assert_text(read.correlation_id, NULL);
    assert_text(read.causation_id, NULL);
    assert_text(read.traceparent, NULL);
    assert_text(read.time_text, NULL);
    assert_text(read.metadata, NULL);
    assert_text(read.tags, NULL);
    assert_int_equal(read.timestamp_ms, TIME_MS);
    assert_int_equal(read.extension_count, 0);
    drop(&stored);
}

static void full_event_is_mapped_and_read_back(void **state) {
    (void)state;
    struct stored stored;
    struct ms_event event = full();
    struct ms_event_limits limits = ms_event_limits_default();
    assert_int_equal(ms_event_check(&event, &limits, NULL), 0);
    store_event(&stored, &event, NULL);
    assert_true(stored.record.key_is_null);
    assert_headers(&stored,
                   "ce_id=i1;ce_type=order.created;ce_source=/shop;ce_specversion=1.0;"
                   "ce_time=2023-11-14T22:13:20.123456Z;content-type=text/plain;"
                   "ce_eventversion=2.1;ce_correlationid=c1;ce_causationid=c0;"
                   "ce_traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01;"
                   "ce_tags=red,gr\xc3\xbcn;ce_metadata={ \"user\" : 7 };"
                   "ce_dataschema=https://example.com/s;ce_x1=;");
    struct ms_event read = read_event(&stored);
    assert_text(read.id, "i1");
    assert_text(read.type, "order.created");
    assert_text(read.source, "/shop");
    assert_text(read.version, "2.1");
    assert_text(read.content_type, "text/plain");
    assert_text(read.correlation_id, "c1");
    assert_text(read.causation_id, "c0");
    assert_text(read.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_text(read.time_text, "2023-11-14T22:13:20.123456Z");
    assert_text(read.data, "hello");
    assert_text(read.metadata, "{ \"user\" : 7 }");
    assert_text(read.tags, "red,gr\xc3\xbcn");
    assert_int_equal(read.extension_count, 2);
    assert_text(read.extensions[0].name, "dataschema");
    assert_text(read.extensions[0].value, "https://example.com/s");
    assert_text(read.extensions[1].name, "x1");
    assert_text(read.extensions[1].value, "");
    assert_int_equal(ms_event_check(&read, &limits, NULL), 0);
    assert_text(ms_event_record_id(&stored.record), "i1");
    drop(&stored);
}

static void what_says_nothing_new_is_left_out(void **state) {
    (void)state;
    struct stored stored;
    struct ms_event event = minimal();
    event.correlation_id = event.id;
    event.time_text = TEXT("2023-11-14T23:13:20.123000000+01:00");
    store_event(&stored, &event, NULL);
    assert_headers(&stored, "ce_id=i1;ce_type=order.created;ce_source=mainstem;"
                            "ce_specversion=1.0;content-type=application/json;");
    assert_text(read_event(&stored).correlation_id, NULL);
    drop(&stored);
}

static void time_text_is_kept_when_it_says_more(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_kept;
    } CASES[] = {
        {"2023-11-14T22:13:20.123Z", false},        {"2023-11-14 22:13:20.1230Z", false},
        {"2023-11-14T22:13:20.123001Z", true},      {"2023-11-14T22:13:20.123000001Z", true},
        {"2023-11-14T22:13:20.124Z", true},         {"2023-11-14T22:13:20Z", true},
        {"2023-11-14T22:13:20.123000-00:30", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct stored stored;
        struct ms_event event = minimal();
        event.time_text = ms_bytes_cstr(CASES[i].text);
        store_event(&stored, &event, NULL);
        assert_text(read_event(&stored).time_text, CASES[i].is_kept ? CASES[i].text : NULL);
        drop(&stored);
    }
    struct stored stored;
    struct ms_event event = minimal();
    event.timestamp_ms = TIME_MS - 123;
    event.time_text = TEXT("2023-11-14T22:13:20Z");
    store_event(&stored, &event, NULL);
    assert_text(read_event(&stored).time_text, NULL);
    drop(&stored);
}

static void no_data_and_empty_data_differ(void **state) {
    (void)state;
    struct stored stored;
    struct ms_event event = minimal();
    event.data = (struct ms_bytes){0};
    store_event(&stored, &event, NULL);
    assert_false(stored.record.value_is_null);
    assert_false(read_event(&stored).data_is_null);
    assert_int_equal(read_event(&stored).data.len, 0);
    drop(&stored);
    event.data_is_null = true;
    store_event(&stored, &event, NULL);
    assert_true(stored.record.value_is_null);
    assert_true(read_event(&stored).data_is_null);
    drop(&stored);
}

static void most_extensions_fit(void **state) {
    (void)state;
    struct stored stored;
    struct ms_extension extensions[MS_EVENT_EXTENSIONS_MAX + 1];
    char names[MS_EVENT_EXTENSIONS_MAX + 1][MS_EVENT_EXTENSION_NAME_MAX + 1];
    struct ms_event event = full();
    struct ms_event_limits limits = ms_event_limits_default();
    struct ms_error err;
    for (size_t i = 0; i <= MS_EVENT_EXTENSIONS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "abcdefghijklmnopqr%02zu", i);
        extensions[i] = (struct ms_extension){ms_bytes_cstr(names[i]), ms_bytes_cstr(names[i] + 9)};
    }
    event.extensions = extensions;
    event.extension_count = MS_EVENT_EXTENSIONS_MAX;
    assert_int_equal(ms_event_check(&event, &limits, NULL), 0);
    store_event(&stored, &event, NULL);
    struct ms_event read = read_event(&stored);
    assert_int_equal(read.extension_count, MS_EVENT_EXTENSIONS_MAX);
    for (size_t i = 0; i < read.extension_count; i++) {
        assert_text(read.extensions[i].name, names[i]);
        assert_text(read.extensions[i].value, names[i] + 9);
    }
    drop(&stored);
    event.extension_count++;
    assert_int_equal(ms_event_check(&event, &limits, &err), MS_ETOOBIG);
    assert_string_equal(err.message, "65 extensions, the limit is 64");
    struct ms_batch_writer writer;
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_NONE, TIME_MS), 0);
    assert_int_equal(ms_event_write_record(&writer, &event, NULL), MS_EINVAL);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

static void write_withdraws_the_batch_over_a_bad_extension(void **state) {
    (void)state;
    static const struct ms_extension BAD[] = {
        {TEXT("Upper"), TEXT("x")},
        {TEXT(""), TEXT("x")},
        {TEXT("id"), TEXT("x")},
        {TEXT("abcdefghijklmnopqrstu"), TEXT("x")},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct ms_batch_writer writer;
        struct ms_buf out;
        struct ms_event event = minimal();
        event.extensions = &BAD[i];
        event.extension_count = 1;
        ms_buf_init(&out, MAX);
        assert_int_equal(ms_batch_begin(&writer, &out, MS_CODEC_ZSTD, TIME_MS), 0);
        assert_int_equal(ms_event_write_record(&writer, &event, NULL), MS_EINVAL);
        assert_int_equal(out.len, 0);
        ms_buf_deinit(&out);
    }
}

/* ---- records of others ---- */

static void record_without_headers_is_an_event(void **state) {
    (void)state;
    struct stored stored;
    store_headers(&stored, NULL, 0);
    struct ms_event read = read_event(&stored);
    assert_text(read.id, NULL);
    assert_text(read.type, NULL);
    assert_text(read.source, NULL);
    assert_text(read.content_type, NULL);
    assert_text(read.data, "{}");
    assert_int_equal(read.timestamp_ms, TIME_MS);
    assert_text(ms_event_record_id(&stored.record), NULL);
    drop(&stored);
}

static void foreign_headers_are_skipped(void **state) {
    (void)state;
    static const struct ms_record_header_in HEADERS[] = {
        {TEXT("trace"), TEXT("1")},
        {TEXT("CE_ID"), TEXT("2")},
        {TEXT("ce-id"), TEXT("3")},
        {TEXT("ce_"), TEXT("4")},
        {TEXT("ce_Upper"), TEXT("5")},
        {TEXT("ce_under_score"), TEXT("6")},
        {TEXT("ce_data"), TEXT("7")},
        {TEXT("ce_datacontenttype"), TEXT("8")},
        {TEXT(""), TEXT("9")},
        {TEXT("ce_idx"), TEXT("an extension")},
        {TEXT("ce_tipe"), TEXT("other")},
        {TEXT("content-tipe"), TEXT("10")},
    };
    struct stored stored;
    store_headers(&stored, HEADERS, sizeof HEADERS / sizeof HEADERS[0]);
    struct ms_event read = read_event(&stored);
    assert_text(read.id, NULL);
    assert_text(read.type, NULL);
    assert_text(read.content_type, NULL);
    assert_int_equal(read.extension_count, 2);
    assert_text(read.extensions[0].name, "idx");
    assert_text(read.extensions[0].value, "an extension");
    assert_text(read.extensions[1].name, "tipe");
    drop(&stored);
}

static void bad_header_values_count_as_absent(void **state) {
    (void)state;
    static const struct ms_record_header_in HEADERS[] = {
        {TEXT("ce_id"), TEXT("\xff\xfe")},
        {TEXT("ce_id"), TEXT("")},
        {TEXT("ce_id"), TEXT("good")},
        {TEXT("ce_id"), TEXT("late")},
        {TEXT("ce_type"), TEXT("plain ascii and then \xc0\x80")},
        {TEXT("ce_x"), TEXT("\xed\xa0\x80")},
        {TEXT("ce_x"), TEXT("first")},
        {TEXT("ce_x"), TEXT("second")},
        {TEXT("content-type"), TEXT("text/plain; charset=utf-8")},
    };
    struct stored stored;
    store_headers(&stored, HEADERS, sizeof HEADERS / sizeof HEADERS[0]);
    struct ms_event read = read_event(&stored);
    assert_text(read.id, "good");
    assert_text(ms_event_record_id(&stored.record), "good");
    assert_text(read.type, NULL);
    assert_text(read.content_type, "text/plain; charset=utf-8");
    assert_int_equal(read.extension_count, 1);
    assert_text(read.extensions[0].value, "first");
    drop(&stored);
}

static void extensions_past_the_limit_are_skipped(void **state) {
    (void)state;
    static struct ms_record_header_in headers[1000];
    static char names[1000][8];
    struct stored stored;
    for (size_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "ce_%zu", i);
        headers[i] = (struct ms_record_header_in){ms_bytes_cstr(names[i]), TEXT("v")};
    }
    store_headers(&stored, headers, 1000);
    struct ms_event read = read_event(&stored);
    assert_int_equal(read.extension_count, MS_EVENT_EXTENSIONS_MAX);
    assert_text(read.extensions[MS_EVENT_EXTENSIONS_MAX - 1].name, "63");
    drop(&stored);
}

static void null_headers_count_as_absent(void **state) {
    (void)state;
    /* ce_id null, ce_x null, ce_type "t" */
    struct ms_record record = {
        .header_count = 3,
        .headers = TEXT("\x0a"
                        "ce_id\x01"
                        "\x08"
                        "ce_x\x01"
                        "\x0e"
                        "ce_type\x02t"),
    };
    struct ms_arena arena;
    struct ms_event read;
    ms_arena_init(&arena, 0);
    assert_int_equal(ms_event_read_record(&record, &arena, &read), 0);
    assert_text(read.id, NULL);
    assert_text(read.type, "t");
    assert_int_equal(read.extension_count, 0);
    ms_arena_deinit(&arena);
}

static void damaged_records_are_refused(void **state) {
    (void)state;
    static const struct {
        int32_t count;
        struct ms_bytes headers;
    } CASES[] = {
        {1, TEXT("")},
        {0, TEXT("\x0a"
                 "ce_id\x02"
                 "7")},
        {2, TEXT("\x0a"
                 "ce_id\x02"
                 "7")},
        {1, TEXT("\x0a"
                 "ce_id\x02"
                 "7"
                 "\x0a"
                 "ce_id\x02"
                 "7")},
        {1, TEXT("\x0a"
                 "ce_id\x04"
                 "7")},
        {1, TEXT("\x0a"
                 "ce_id")},
        {1, TEXT("\x0a"
                 "ce_i")},
        {0, TEXT("\x08"
                 "ce_x\x02"
                 "7")},
        {1, TEXT("\x01\x00")},
    };
    struct ms_arena arena;
    ms_arena_init(&arena, MAX);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ms_record record = {.header_count = CASES[i].count, .headers = CASES[i].headers};
        struct ms_event read = {.timestamp_ms = 77};
        assert_int_equal(ms_event_read_record(&record, &arena, &read), MS_EINVAL);
        assert_int_equal(read.timestamp_ms, 77);
        (void)ms_event_record_id(&record);
    }
    ms_arena_deinit(&arena);
}

static void extensions_need_room_in_the_arena(void **state) {
    (void)state;
    struct stored stored;
    struct ms_arena arena;
    struct ms_event event = full(), read;
    store_event(&stored, &event, NULL);
    ms_arena_init(&arena, 0);
    assert_int_equal(ms_event_read_record(&stored.record, &arena, &read), MS_ENOMEM);
    ms_arena_deinit(&arena);
    drop(&stored);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimal_event_has_five_headers),
        cmocka_unit_test(full_event_is_mapped_and_read_back),
        cmocka_unit_test(what_says_nothing_new_is_left_out),
        cmocka_unit_test(time_text_is_kept_when_it_says_more),
        cmocka_unit_test(no_data_and_empty_data_differ),
        cmocka_unit_test(most_extensions_fit),
        cmocka_unit_test(write_withdraws_the_batch_over_a_bad_extension),
        cmocka_unit_test(record_without_headers_is_an_event),
        cmocka_unit_test(foreign_headers_are_skipped),
        cmocka_unit_test(bad_header_values_count_as_absent),
        cmocka_unit_test(extensions_past_the_limit_are_skipped),
        cmocka_unit_test(null_headers_count_as_absent),
        cmocka_unit_test(damaged_records_are_refused),
        cmocka_unit_test(extensions_need_room_in_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
