/* CloudEvents 1.0: structured and batch mode, HTTP headers of binary mode, and writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/event_json.h"

static struct ms_arena arena;
static struct ms_buf out;
static struct ms_error err;

static int setup(void **state) {
    (void)state;
    ms_arena_init(&arena, (size_t)4 << 20);
    ms_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    ms_arena_deinit(&arena);
    ms_buf_deinit(&out);
    return 0;
}

static int try_parse(const char *body, struct ms_event **ret_events, size_t *ret_count) {
    struct ms_event_limits limits = ms_event_limits_default();
    err.message[0] = 0;
    return ms_events_parse(MS_FORMAT_CLOUDEVENTS, ms_bytes_cstr(body), &limits, &arena, ret_events,
                           ret_count, &err);
}

static const struct ms_event *parse_one(const char *body) {
    struct ms_event *events;
    size_t count;
    int r = try_parse(body, &events, &count);
    if (r < 0)
        print_message("%s: %s\n", body, err.message);
    assert_int_equal(r, 0);
    assert_int_equal(count, 1);
    return events;
}

static void assert_refused(const char *body, const char *message) {
    struct ms_event *events = NULL;
    size_t count = 0;
    int r = try_parse(body, &events, &count);
    if (r != MS_EINVAL || !strstr(err.message, message))
        fail_msg("%s gives %d \"%s\", not \"%s\"", body, r, err.message, message);
    assert_null(events);
}

static void assert_text(struct ms_bytes text, const char *expected) {
    if (!ms_bytes_equal_cstr(text, expected) || !text.data)
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, (const char *)text.data, expected);
}

static void assert_written(const struct ms_event *event, const struct ms_event_place *place,
                           const char *expected) {
    ms_buf_clear(&out);
    assert_int_equal(ms_event_write_json(&out, MS_FORMAT_CLOUDEVENTS, event, place), 0);
    assert_text(ms_buf_bytes(&out), expected);
    struct ms_json_value value;
    assert_int_equal(ms_json_parse(ms_buf_bytes(&out), MS_JSON_DEPTH_LIMIT, &value, NULL), 0);
}

/* ---- structured and batch ---- */

static void reads_every_attribute(void **state) {
    (void)state;
    const struct ms_event *event = parse_one(
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"type\":\"order.created\",\"source\":\"/shop\","
        "\"time\":\"1970-01-01T00:00:01Z\",\"subject\":\"123\",\"dataschema\":\"http://x/y\","
        "\"datacontenttype\":\"application/json\",\"data\":{ \"a\":1.10},\"eventversion\":2,"
        "\"correlationid\":\"c\",\"causationid\":\"k\",\"traceparent\":\"00-aa\","
        "\"tags\":\"x,y\",\"metadata\":\"{\\\"u\\\": 1}\",\"number\":7,\"flag\":true,"
        "\"empty\":\"\",\"nothing\":null}");
    assert_text(event->id, "e1");
    assert_text(event->type, "order.created");
    assert_text(event->source, "/shop");
    assert_int_equal(event->timestamp_ms, 1000);
    assert_text(event->content_type, "application/json");
    assert_text(event->data, "{ \"a\":1.10}");
    assert_text(event->version, "2");
    assert_text(event->correlation_id, "c");
    assert_text(event->causation_id, "k");
    assert_text(event->traceparent, "00-aa");
    assert_text(event->tags, "x,y");
    assert_text(event->metadata, "{\"u\": 1}");
    static const char *const extensions[][2] = {{"subject", "123"},
                                                {"dataschema", "http://x/y"},
                                                {"number", "7"},
                                                {"flag", "true"},
                                                {"empty", ""}};
    assert_int_equal(event->extension_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_text(event->extensions[i].name, extensions[i][0]);
        assert_text(event->extensions[i].value, extensions[i][1]);
    }
}

static void id_and_source_may_be_absent_and_null_is_absent(void **state) {
    (void)state;
    const struct ms_event *event = parse_one(
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":null,\"subject\":null,\"time\":null,"
        "\"data_base64\":null}");
    assert_null(event->id.data);
    assert_null(event->source.data);
    assert_true(event->data_is_null);
    assert_true(event->timestamp_ms == MS_TIMESTAMP_NONE);
    assert_int_equal(event->extension_count, 0);
}

static void data_follows_the_content_type(void **state) {
    (void)state;
    assert_text(parse_one("{\"specversion\":\"1.0\",\"type\":\"t\",\"data\":null}")->data, "null");
    assert_text(parse_one("{\"specversion\":\"1.0\",\"type\":\"t\",\"data\":\"<a/>\","
                          "\"datacontenttype\":\"text/xml\"}")
                    ->data,
                "<a/>");
    assert_text(parse_one("{\"specversion\":\"1.0\",\"type\":\"t\",\"data_base64\":\"Zm9v\","
                          "\"datacontenttype\":\"text/xml\"}")
                    ->data,
                "foo");
}

static void batch_is_an_array(void **state) {
    (void)state;
    struct ms_event *events;
    size_t count;
    assert_int_equal(try_parse("[{\"specversion\":\"1.0\",\"type\":\"a\"},"
                               "{\"type\":\"b\",\"specversion\":\"1.0\"}]",
                               &events, &count),
                     0);
    assert_int_equal(count, 2);
    assert_text(events[0].type, "a");
    assert_text(events[1].type, "b");
    assert_int_equal(try_parse("[]", &events, &count), 0);
    assert_int_equal(count, 0);
}

static void refuses_and_names_the_attribute(void **state) {
    (void)state;
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"type\":\"t\"}",
         "event 0, field 'specversion', line 1, column 1: the attribute is mis"},
        {"{\"specversion\":null,\"type\":\"t\"}", "field 'specversion'"},
        {"{\"specversion\":\"1.0\"}", "field 'type', line 1, column 1: the attribute is missing"},
        {"[{\"specversion\":\"1.0\",\"type\":\"t\"},\n{\"specversion\":\"0.3\"}]",
         "event 1, field 'specversion', line 2, column 16: expected \"1.0\""},
        {"{\"specversion\":1.0}", "field 'specversion', line 1, column 16: expected a string"},
        {"{\"specversion\":\"1.0\",\"type\":7}", "field 'type', line 1, column 29: expected a str"},
        {"{\"specversion\":\"1.0\",\"id\":1}", "field 'id'"},
        {"{\"specversion\":\"1.0\",\"subject\":1}", "field 'subject'"},
        {"{\"specversion\":\"1.0\",\"type\":\"\"}", "the text is empty"},
        {"{\"specversion\":\"1.0\",\"time\":\"now\"}", "expected an RFC 3339 time"},
        {"{\"specversion\":\"1.0\",\"foo\":{}}", "expected a string, an integer or a boolean"},
        {"{\"specversion\":\"1.0\",\"foo\":1.5}", "expected a string, an integer or a boolean"},
        {"{\"specversion\":\"1.0\",\"eventType\":\"t\"}", "characters a-z and 0-9"},
        {"{\"specversion\":\"1.0\",\"a_b\":\"t\"}", "field 'a_b'"},
        {"{\"specversion\":\"1.0\",\"foo\":\"1\",\"foo\":\"2\"}", "given twice"},
        {"{\"specversion\":\"1.0\",\"subject\":\"1\",\"subject\":\"2\"}", "given twice"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"id\":\"1\"}", "given twice"},
        {"{\"specversion\":\"1.0\",\"data\":1,\"data\":1}", "given twice"},
        {"{\"specversion\":\"1.0\",\"data_base64\":\"\",\"data_base64\":\"\"}", "given twice"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"data\":1,\"data_base64\":\"\"}", "exclude"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"data\":{},\"datacontenttype\":\"a/b\"}",
         "the content type is not JSON"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"metadata\":\"[]\"}", "metadata"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"metadata\":{}}", "field 'metadata'"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"tags\":\"a,,b\"}", "tag"},
        {"{\"specversion\":\"1.0\",\"type\":\"t\",\"eventversion\":\"v1\"}", "event_version"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].body, cases[i].message);
}

/* ---- binary mode ---- */

static int add_header(struct ms_event *event, const char *name, const char *value) {
    err.message[0] = 0;
    return ms_event_parse_binary_header(event, ms_bytes_cstr(name), ms_bytes_cstr(value), &arena,
                                        &err);
}

static void reads_http_headers(void **state) {
    (void)state;
    struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
    static const char *const headers[][2] = {{"ce-specversion", "1.0"},
                                             {"ce-id", "a%20b%22"},
                                             {"host", "example"},
                                             {"ce-type", "order.created"},
                                             {"ce-source", "\"/sh\\\"op%C3%A9\""},
                                             {"ce-time", "1970-01-01T00:00:01.000001Z"},
                                             {"content-type", "text/plain; charset=%41"},
                                             {"ce-subject", "123"},
                                             {"ce-eventversion", "1.2"},
                                             {"ce-correlationid", "c"},
                                             {"ce-causationid", "k"},
                                             {"ce-traceparent", "00-aa"},
                                             {"ce-tags", "a,b"},
                                             {"ce-metadata", "{\"a\":1}"},
                                             {"ce-dataschema", "http://x/%25"},
                                             {"ce-foo", ""},
                                             {"cex", "y"}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(add_header(&event, headers[i][0], headers[i][1]), 0);
    assert_text(event.id, "a b\"");
    assert_text(event.type, "order.created");
    assert_text(event.source, "/sh\"op\xc3\xa9");
    assert_int_equal(event.timestamp_ms, 1000);
    assert_text(event.time_text, "1970-01-01T00:00:01.000001Z");
    assert_text(event.content_type, "text/plain; charset=%41");
    assert_text(event.version, "1.2");
    assert_text(event.correlation_id, "c");
    assert_text(event.causation_id, "k");
    assert_text(event.traceparent, "00-aa");
    assert_text(event.tags, "a,b");
    assert_text(event.metadata, "{\"a\":1}");
    static const char *const extensions[][2] = {
        {"subject", "123"}, {"dataschema", "http://x/%"}, {"foo", ""}};
    assert_int_equal(event.extension_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_text(event.extensions[i].name, extensions[i][0]);
        assert_text(event.extensions[i].value, extensions[i][1]);
    }
    struct ms_event_limits limits = ms_event_limits_default();
    event.data_is_null = true;
    assert_int_equal(ms_event_check(&event, &limits, &err), 0);
}

static void refuses_bad_and_repeated_headers(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        {"ce-specversion", "0.3", "header 'ce-specversion': expected \"1.0\""},
        {"ce-id", "", "header 'ce-id': the text is empty"},
        {"ce-id", "100%", "header 'ce-id': the value is not percent-encoded UTF-8"},
        {"ce-id", "%ff", "not percent-encoded UTF-8"},
        {"ce-id", "\xff", "not percent-encoded UTF-8"},
        {"ce-id", "%00", "not percent-encoded UTF-8"},
        {"ce-id", "\"a\\\"", "not percent-encoded UTF-8"},
        {"ce-datacontenttype", "a/b", "binary mode has no such header"},
        {"ce-data", "x", "binary mode has no such header"},
        {"ce-", "x", "characters a-z and 0-9"},
        {"ce-a-b", "x", "header 'ce-a-b'"},
        {"ce-type", "other", "header 'ce-type': the header is given twice"},
        {"ce-time", "1970-01-01T00:00:01Z", "header 'ce-time': the header is given twice"},
        {"ce-subject", "x", "header 'ce-subject': the extension is given twice"},
        {"content-type", "x", "header 'content-type': the header is given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
        assert_int_equal(add_header(&event, "ce-type", "t"), 0);
        assert_int_equal(add_header(&event, "ce-subject", "t"), 0);
        assert_int_equal(add_header(&event, "content-type", "a/b"), 0);
        assert_int_equal(add_header(&event, "ce-time", "1970-01-01T00:00:00Z"), 0);
        struct ms_event before = event;
        int r = add_header(&event, cases[i].name, cases[i].value);
        if (r != MS_EINVAL || !strstr(err.message, cases[i].message))
            fail_msg("%s: %s gives %d \"%s\"", cases[i].name, cases[i].value, r, err.message);
        assert_memory_equal(&event, &before, sizeof event);
    }
}

static void header_time_must_be_rfc_3339(void **state) {
    (void)state;
    struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
    assert_int_equal(add_header(&event, "ce-time", "now"), MS_EINVAL);
    assert_non_null(strstr(err.message, "header 'ce-time': expected an RFC 3339 time"));
    assert_true(event.timestamp_ms == MS_TIMESTAMP_NONE);
}

static void header_extensions_are_bounded(void **state) {
    (void)state;
    struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
    char names[MS_EVENT_EXTENSIONS_MAX][16]; /* the event borrows them */
    for (unsigned i = 0; i < MS_EVENT_EXTENSIONS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "ce-x%u", i);
        assert_int_equal(add_header(&event, names[i], "v"), 0);
    }
    assert_int_equal(event.extension_count, MS_EVENT_EXTENSIONS_MAX);
    assert_int_equal(add_header(&event, "ce-y", "v"), MS_ETOOBIG);
    assert_int_equal(event.extension_count, MS_EVENT_EXTENSIONS_MAX);
}

static void header_memory_failures_are_reported(void **state) {
    (void)state;
    struct ms_arena none;
    struct ms_event event = {.timestamp_ms = MS_TIMESTAMP_NONE};
    ms_arena_init(&none, 0);
    static const char *const values[] = {"v", "\"v\""};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ms_event_parse_binary_header(&event, MS_BYTES_LITERAL("ce-x"),
                                                      ms_bytes_cstr(values[i]), &none, &err),
                         MS_ENOMEM);
        assert_int_equal(err.code, MS_ENOMEM);
    }
    assert_int_equal(event.extension_count, 0);
    ms_arena_deinit(&none);
}

/* ---- writing ---- */

static const struct ms_extension extensions[] = {
    {{(const uint8_t *)"subject", 7}, {(const uint8_t *)"s", 1}},
    {{(const uint8_t *)"position", 8}, {(const uint8_t *)"old", 3}},
    {{(const uint8_t *)"foo", 3}, {(const uint8_t *)"bar", 3}},
};

static struct ms_event full_event(void) {
    return (struct ms_event){
        .id = MS_BYTES_LITERAL("e1"),
        .type = MS_BYTES_LITERAL("t"),
        .source = MS_BYTES_LITERAL("shop"),
        .version = MS_BYTES_LITERAL("2"),
        .causation_id = MS_BYTES_LITERAL("k"),
        .traceparent = MS_BYTES_LITERAL("00-aa"),
        .timestamp_ms = 1000,
        .data = MS_BYTES_LITERAL("[1]"),
        .metadata = MS_BYTES_LITERAL("{\"u\":1}"),
        .tags = MS_BYTES_LITERAL("x,y"),
        .extensions = extensions,
        .extension_count = 3,
    };
}

static void writes_every_attribute_and_the_place(void **state) {
    (void)state;
    struct ms_event event = full_event();
    struct ms_event_place place = {.stream = MS_BYTES_LITERAL("order-1"),
                                   .topic = MS_BYTES_LITERAL("order"),
                                   .key = MS_BYTES_LITERAL("1"),
                                   .version = 0,
                                   .position = UINT64_MAX,
                                   .recorded_at_us = 1000001};
    assert_written(&event, &place,
                   "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"shop\",\"type\":\"t\","
                   "\"time\":\"1970-01-01T00:00:01.000Z\",\"subject\":\"1\","
                   "\"stream\":\"order-1\",\"streamversion\":\"0\","
                   "\"position\":\"18446744073709551615\","
                   "\"recordedat\":\"1970-01-01T00:00:01.000001Z\",\"eventversion\":\"2\","
                   "\"correlationid\":\"e1\",\"causationid\":\"k\",\"traceparent\":\"00-aa\","
                   "\"tags\":\"x,y\",\"metadata\":\"{\\\"u\\\":1}\",\"foo\":\"bar\","
                   "\"datacontenttype\":\"application/json\",\"data\":[1]}");
}

static void subject_is_the_key_else_the_extension(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data_is_null = true,
                             .extensions = extensions,
                             .extension_count = 1};
    struct ms_event_place place = {.version = -1, .key_is_null = true};
    assert_written(&event, &place,
                   "{\"specversion\":\"1.0\",\"source\":\"mainstem\",\"type\":\"t\","
                   "\"position\":\"0\",\"recordedat\":\"1970-01-01T00:00:00Z\","
                   "\"subject\":\"s\"}");
    place.key_is_null = false;
    static const char *const untextual[] = {"", "\xff"};
    for (size_t i = 0; i < 2; i++) {
        place.key = ms_bytes_cstr(untextual[i]);
        assert_written(&event, &place,
                       "{\"specversion\":\"1.0\",\"source\":\"mainstem\",\"type\":\"t\","
                       "\"position\":\"0\",\"recordedat\":\"1970-01-01T00:00:00Z\"}");
    }
    event.extension_count = 2;
    assert_written(&event, NULL,
                   "{\"specversion\":\"1.0\",\"source\":\"mainstem\",\"type\":\"t\","
                   "\"subject\":\"s\",\"position\":\"old\"}");
}

static void binary_data_is_base64(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .content_type = MS_BYTES_LITERAL("x/y"),
                             .data = MS_BYTES_LITERAL("\0\xff")};
    assert_written(&event, NULL,
                   "{\"specversion\":\"1.0\",\"source\":\"mainstem\",\"type\":\"t\","
                   "\"datacontenttype\":\"x/y\",\"data_base64\":\"AP8=\"}");
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct ms_event event = full_event();
    struct ms_buf first;
    ms_buf_init(&first, 1 << 16);
    assert_int_equal(ms_event_write_json(&first, MS_FORMAT_CLOUDEVENTS, &event, NULL), 0);
    assert_int_equal(ms_buf_append_u8(&first, 0), 0);
    assert_written(parse_one((const char *)first.data), NULL, (const char *)first.data);
    ms_buf_deinit(&first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_attribute),
        cmocka_unit_test(id_and_source_may_be_absent_and_null_is_absent),
        cmocka_unit_test(data_follows_the_content_type),
        cmocka_unit_test(batch_is_an_array),
        cmocka_unit_test(refuses_and_names_the_attribute),
        cmocka_unit_test(reads_http_headers),
        cmocka_unit_test(refuses_bad_and_repeated_headers),
        cmocka_unit_test(header_time_must_be_rfc_3339),
        cmocka_unit_test(header_extensions_are_bounded),
        cmocka_unit_test(header_memory_failures_are_reported),
        cmocka_unit_test(writes_every_attribute_and_the_place),
        cmocka_unit_test(subject_is_the_key_else_the_extension),
        cmocka_unit_test(binary_data_is_base64),
        cmocka_unit_test(what_is_written_is_read_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
