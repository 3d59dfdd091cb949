/* The plain JSON spelling of events: every field in and out, what is refused and where, and that
 * data stays the bytes that it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/event_json.h"

#define ARENA_MAX ((size_t)4 << 20)

static struct ms_arena arena;
static struct ms_buf out;
static struct ms_event *events;
static size_t count;
static struct ms_error err;

static int setup(void **state) {
    (void)state;
    ms_arena_init(&arena, ARENA_MAX);
    ms_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    ms_arena_deinit(&arena);
    ms_buf_deinit(&out);
    return 0;
}

static int try_parse(const char *body) {
    struct ms_event_limits limits = ms_event_limits_default();
    events = NULL;
    count = 77;
    err.message[0] = 0;
    return ms_events_parse(MS_FORMAT_JSON, ms_bytes_cstr(body), &limits, &arena, &events, &count,
                           &err);
}

static const struct ms_event *parse_one(const char *body) {
    int r = try_parse(body);
    if (r < 0)
        print_message("%s: %s\n", body, err.message);
    assert_int_equal(r, 0);
    assert_int_equal(count, 1);
    return events;
}

static void assert_refused(const char *body, int code, const char *message) {
    int r = try_parse(body);
    if (r != code || !strstr(err.message, message))
        fail_msg("%s gives %d \"%s\", not %d \"%s\"", body, r, err.message, code, message);
    assert_null(events);
    assert_int_equal(count, 77);
    struct ms_event_limits limits = ms_event_limits_default();
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, ms_bytes_cstr(body), &limits, &arena, &events,
                                     &count, NULL),
                     code);
}

static void assert_text(struct ms_bytes text, const char *expected) {
    if (!ms_bytes_equal_cstr(text, expected) || !text.data)
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, (const char *)text.data, expected);
}

static void assert_written(const struct ms_event *event, const struct ms_event_place *place,
                           const char *expected) {
    ms_buf_clear(&out);
    assert_int_equal(ms_event_write_json(&out, MS_FORMAT_JSON, event, place), 0);
    assert_text(ms_buf_bytes(&out), expected);
    struct ms_json_value value;
    assert_int_equal(ms_json_parse(ms_buf_bytes(&out), MS_JSON_DEPTH_LIMIT, &value, NULL), 0);
}

/* ---- reading ---- */

static void reads_every_field(void **state) {
    (void)state;
    const struct ms_event *event = parse_one(
        "{\"event_type\":\"order.created\",\"data\":{ \"a\" : 1.10 },\"event_id\":\"e1\","
        "\"event_version\":2,\"timestamp\":\"2026-11-23T10:52:54.123Z\",\"source\":\"shop\","
        "\"correlation_id\":\"c\",\"causation_id\":\"k\",\"metadata\":{\"user\": \"u\\u00e9\"},"
        "\"tags\":[\"x\",\"y z\"],\"content_type\":\"application/json\","
        "\"traceparent\":\"00-aa\",\"extensions\":{\"subject\":\"s\",\"foo\":\"bar\"}}");
    assert_text(event->type, "order.created");
    assert_text(event->data, "{ \"a\" : 1.10 }");
    assert_false(event->data_is_null);
    assert_text(event->id, "e1");
    assert_text(event->version, "2");
    assert_true(event->timestamp_ms == INT64_C(1795431174123));
    assert_null(event->time_text.data);
    assert_text(event->source, "shop");
    assert_text(event->correlation_id, "c");
    assert_text(event->causation_id, "k");
    assert_text(event->metadata, "{\"user\": \"u\\u00e9\"}");
    assert_text(event->tags, "x,y z");
    assert_text(event->content_type, "application/json");
    assert_text(event->traceparent, "00-aa");
    assert_int_equal(event->extension_count, 2);
    assert_text(event->extensions[0].name, "subject");
    assert_text(event->extensions[0].value, "s");
    assert_text(event->extensions[1].name, "foo");
    assert_text(event->extensions[1].value, "bar");
}

static void absent_and_null_fields_stay_absent(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"event_type\":\"t\"}",
        "{\"event_type\":\"t\",\"event_id\":null,\"event_version\":null,\"timestamp\":null,"
        "\"source\":null,\"correlation_id\":null,\"causation_id\":null,\"metadata\":null,"
        "\"tags\":null,\"content_type\":null,\"traceparent\":null,\"extensions\":null,"
        "\"data_base64\":null}"};
    for (size_t i = 0; i < 2; i++) {
        const struct ms_event *event = parse_one(bodies[i]);
        assert_null(event->id.data);
        assert_null(event->version.data);
        assert_null(event->source.data);
        assert_null(event->correlation_id.data);
        assert_null(event->causation_id.data);
        assert_null(event->traceparent.data);
        assert_null(event->metadata.data);
        assert_null(event->tags.data);
        assert_null(event->content_type.data);
        assert_null(event->data.data);
        assert_null(event->time_text.data);
        assert_true(event->data_is_null);
        assert_true(event->timestamp_ms == MS_TIMESTAMP_NONE);
        assert_int_equal(event->extension_count, 0);
    }
    assert_null(parse_one("{\"event_type\":\"t\",\"tags\":[]}")->tags.data);
}

static void data_is_exactly_the_bytes_received(void **state) {
    (void)state;
    static const char *const values[] = {"null",
                                         "true",
                                         "1.10",
                                         "12345678901234567890123",
                                         "\"\\u00e9\\/\"",
                                         "[ 1,\n2 ]",
                                         "{ \"b\":1, \"a\" :2,\"a\": 3 }",
                                         "\"\""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"data\" :  %s  ,\"event_type\":\"t\"}", values[i]);
        const struct ms_event *event = parse_one(body);
        assert_text(event->data, values[i]);
        assert_false(event->data_is_null);
        assert_null(event->content_type.data);
    }
}

static void data_of_other_types_is_text_or_base64(void **state) {
    (void)state;
    const struct ms_event *event = parse_one(
        "{\"event_type\":\"t\",\"data\":\"a\\n\\u00e9\",\"content_type\":\"text/plain\"}");
    assert_text(event->data, "a\n\xc3\xa9");
    event = parse_one("{\"event_type\":\"t\",\"data_base64\":\"AP8=\",\"content_type\":\"x/y\"}");
    assert_int_equal(event->data.len, 2);
    assert_memory_equal(event->data.data, "\0\xff", 2);
    event = parse_one("{\"event_type\":\"t\",\"data_base64\":\"\",\"content_type\":\"x/y\"}");
    assert_false(event->data_is_null);
    assert_int_equal(event->data.len, 0);
    assert_non_null(event->data.data);
    event = parse_one("{\"event_type\":\"t\",\"data\":null,\"content_type\":\"x/y\"}");
    assert_true(event->data_is_null);
    event = parse_one(
        "{\"event_type\":\"t\",\"data\":{},\"content_type\":\"application/vnd.x+json; v=1\"}");
    assert_text(event->data, "{}");
}

static void base64_without_content_type_is_json_or_octets(void **state) {
    (void)state;
    const struct ms_event *event =
        parse_one("{\"event_type\":\"t\",\"data_base64\":\"eyJhIjoxfQ==\"}");
    assert_text(event->data, "{\"a\":1}");
    assert_null(event->content_type.data);
    event = parse_one("{\"event_type\":\"t\",\"data_base64\":\"AP8=\"}");
    assert_text(event->content_type, "application/octet-stream");
}

static void time_text_is_kept_when_it_says_more(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        bool kept;
    } cases[] = {
        {"1970-01-01T00:00:01Z", 1000, false},        {"1970-01-01T02:00:01.5+02:00", 1500, false},
        {"1970-01-01T00:00:00.001000000Z", 1, false}, {"1970-01-01T00:00:00.001001Z", 1, true},
        {"1970-01-01T00:00:00.001000001Z", 1, true},  {"1969-12-31T23:59:59.9999Z", -1, true},
        {"1969-12-31T23:59:59.999Z", -1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"event_type\":\"t\",\"timestamp\":\"%s\"}",
                       cases[i].text);
        const struct ms_event *event = parse_one(body);
        assert_true(event->timestamp_ms == cases[i].ms);
        if (cases[i].kept)
            assert_text(event->time_text, cases[i].text);
        else
            assert_null(event->time_text.data);
    }
}

static void version_is_an_integer_or_major_minor(void **state) {
    (void)state;
    assert_text(parse_one("{\"event_type\":\"t\",\"event_version\":10}")->version, "10");
    assert_text(parse_one("{\"event_type\":\"t\",\"event_version\":\"10\"}")->version, "10");
    assert_text(parse_one("{\"event_type\":\"t\",\"event_version\":\"1.10\"}")->version, "1.10");
    static const char *const bad[] = {"1.10",      "1e2",  "-1", "\"1.\"", "\".1\"",
                                      "\"1.2.3\"", "\"\"", "[]", "\"v1\"", "true"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"event_type\":\"t\",\"event_version\":%s}", bad[i]);
        assert_refused(body, MS_EINVAL, "event 0");
    }
}

static void arrays_hold_events_in_order(void **state) {
    (void)state;
    assert_int_equal(try_parse(" [ {\"event_type\":\"a\"} , {\"event_type\":\"b\",\"data\":1} ] "),
                     0);
    assert_int_equal(count, 2);
    assert_text(events[0].type, "a");
    assert_true(events[0].data_is_null);
    assert_text(events[1].type, "b");
    assert_text(events[1].data, "1");
    assert_int_equal(try_parse("[]"), 0);
    assert_int_equal(count, 0);
}

static void refuses_and_names_index_field_and_place(void **state) {
    (void)state;
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{", "line 1, column 2: expected a name in quotes or '}'"},
        {"1", "event 0, line 1, column 1: expected an event, which is an object"},
        {"[{\"event_type\":\"t\"},\n 7]", "event 1, line 2, column 2: expected an event"},
        {"{}", "event 0, line 1, column 1: event_type is missing"},
        {"[{\"event_type\":\"t\"},\n {\"data\":1}]", "event 1, line 2, column 2: event_type"},
        {"[{\"event_type\":\"t\"},\n {\"event_type\":\"t\",\n  \"event_id\":7}]",
         "event 1, field 'event_id', line 3, column 14: expected a string"},
        {"{\"event_type\":\"\"}", "field 'event_type', line 1, column 15: the text is empty"},
        {"{\"event_type\":\"t\",\"event_typ\":1}",
         "field 'event_typ', line 1, column 19: unknown field, did you mean 'event_type'?"},
        {"{\"eventid\":1}", "did you mean 'event_id'?"},
        {"{\"Data\":1}", "did you mean 'data'?"},
        {"{\"payload\":1}", "field 'payload', line 1, column 2: unknown field; known are "
                            "event_type, data, event_id, event_version, timestamp, source, "
                            "correlation_id, causation_id, traceparent, metadata, tags, "
                            "content_type, data_base64, extensions"},
        {"{\"position\":1}", "field 'position', line 1, column 2: the field is the server's"},
        {"{\"a\\nb\\u0000cdefgh\":1}", "field 'a?b?cdefgh'"},
        {"{\"correlation_id_of_the_request\":1}", "unknown field; known are"},
        {"{\"\":1}", "event 0, field '', line"},
        {"{\"event_type\":\"t\",\"event_type\":\"t\"}", "column 19: the field is given twice"},
        {"{\"event_type\":\"t\",\"source\":null,\"source\":\"x\"}", "given twice"},
        {"{\"event_type\":\"t\",\"d\\u0061ta\":1,\"data\":2}", "given twice"},
        {"{\"event_type\":\"t\",\"timestamp\":\"yesterday\"}", "expected an RFC 3339 time"},
        {"{\"event_type\":\"t\",\"timestamp\":1}", "field 'timestamp', line 1, column 31"},
        {"{\"event_type\":\"t\",\"metadata\":[]}", "expected an object"},
        {"{\"event_type\":\"t\",\"tags\":\"x\"}", "expected an array of strings"},
        {"{\"event_type\":\"t\",\"tags\":[\"x\",1]}", "column 31: expected a string"},
        {"{\"event_type\":\"t\",\"tags\":[\"x\",\"\"]}", "column 31: a tag is not empty"},
        {"{\"event_type\":\"t\",\"tags\":[\"a,b\"]}", "a tag is not empty and holds no ','"},
        {"{\"event_type\":\"t\",\"tags\":[\"a\\u0007b\"]}", "event 0"},
        {"{\"event_type\":\"t\",\"extensions\":[]}", "expected an object of strings"},
        {"{\"event_type\":\"t\",\"extensions\":{\"a\":1}}", "column 37: expected a string"},
        {"{\"event_type\":\"t\",\"extensions\":{\"A\":\"\"}}", "characters a-z and 0-9"},
        {"{\"event_type\":\"t\",\"extensions\":{\"aaaaaaaaaaaaaaaaaaaaa\":\"\"}}", "1 to 20"},
        {"{\"event_type\":\"t\",\"extensions\":{\"a\":\"1\",\"a\":\"2\"}}", "given twice"},
        {"{\"event_type\":\"t\",\"extensions\":{\"type\":\"x\"}}", "extension type"},
        {"{\"event_type\":\"t\",\"data\":1,\"data_base64\":\"\"}", "exclude each other"},
        {"{\"event_type\":\"t\",\"data_base64\":1}", "field 'data_base64'"},
        {"{\"event_type\":\"t\",\"data_base64\":\"Zg\"}", "expected base64"},
        {"{\"event_type\":\"t\",\"data\":{},\"content_type\":\"text/plain\"}",
         "field 'data', line 1, column 26: the content type is not JSON"},
        {"{\"event_type\":\"t\",\"data_base64\":\"AP8=\",\"content_type\":\"text/json\"}",
         "the content type is JSON but the data is not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].body, MS_EINVAL, cases[i].message);
}

static void limits_are_kept(void **state) {
    (void)state;
    struct ms_event_limits limits = ms_event_limits_default();
    limits.append_events_max = 2;
    struct ms_bytes three =
        ms_bytes_cstr("[{\"event_type\":\"t\"},{\"event_type\":\"t\"},{\"event_type\":\"t\"}]");
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, three, &limits, &arena, &events, &count, &err),
                     MS_ETOOBIG);
    assert_string_equal(err.message, "more than 2 events");
    limits.append_events_max = 3;
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, three, &limits, &arena, &events, &count, &err),
                     0);
    limits.append_bytes_max = 3;
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, three, &limits, &arena, &events, &count, &err),
                     0);
    limits.append_bytes_max = 2;
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, three, &limits, &arena, &events, &count, &err),
                     MS_ETOOBIG);
    assert_non_null(strstr(err.message, "event 2"));
    limits = ms_event_limits_default();
    limits.event_bytes_max = 10;
    struct ms_bytes big = ms_bytes_cstr("{\"event_type\":\"t\",\"data\":\"0123456789\"}");
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, big, &limits, &arena, &events, &count, &err),
                     MS_ETOOBIG);
    limits = ms_event_limits_default();
    limits.json_depth_max = 2;
    struct ms_bytes deep = ms_bytes_cstr("{\"event_type\":\"t\",\"data\":[[]]}");
    assert_int_equal(ms_events_parse(MS_FORMAT_JSON, deep, &limits, &arena, &events, &count, &err),
                     MS_EINVAL);
    char many[4096] = "{\"event_type\":\"t\",\"extensions\":{";
    for (unsigned i = 0; i <= MS_EVENT_EXTENSIONS_MAX; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "%s\"x%u\":\"\"",
                       i ? "," : "", i);
    (void)snprintf(many + strlen(many), sizeof many - strlen(many), "}}");
    assert_refused(many, MS_ETOOBIG, "more than 64 extensions");
}

static void embedded_object_is_parsed_alone(void **state) {
    (void)state;
    struct ms_json_value root, value;
    struct ms_bytes body = ms_bytes_cstr("{\"event\":\n {\"event_type\":\"t\",\n\"x\":1}}");
    struct ms_event_limits limits = ms_event_limits_default();
    struct ms_event event = {.timestamp_ms = 5};
    assert_int_equal(ms_json_parse(body, 64, &root, NULL), 0);
    assert_true(ms_json_get(root, "event", &value));
    assert_int_equal(ms_event_parse_value(MS_FORMAT_JSON, value, &limits, &arena, &event, &err),
                     MS_EINVAL);
    assert_int_equal(event.timestamp_ms, 5);
    assert_non_null(strstr(err.message, "field 'x', line 2, column 1: unknown field"));
    assert_null(strstr(err.message, "event 0"));
    body = ms_bytes_cstr("{\"event_type\":\"t\"}");
    assert_int_equal(ms_json_parse(body, 64, &root, NULL), 0);
    assert_int_equal(ms_event_parse_value(MS_FORMAT_JSON, root, &limits, &arena, &event, &err), 0);
    assert_text(event.type, "t");
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    struct ms_event_limits limits = ms_event_limits_default();
    struct ms_bytes body = ms_bytes_cstr(
        "[{\"event_type\":\"\\u0041\",\"ta\\u0067s\":[\"\\u0041\"],\"data_base64\":\"Zg==\","
        "\"content_type\":\"x/y\",\"extensions\":{\"\\u0061\":\"\\u0062\",\"c\":\"d\"}}]");
    size_t max = 0;
    int r;
    do {
        struct ms_arena small;
        struct ms_event *list = NULL;
        size_t n;
        ms_arena_init(&small, max);
        r = ms_events_parse(MS_FORMAT_JSON, body, &limits, &small, &list, &n, &err);
        assert_true(r == 0 || r == MS_ENOMEM);
        assert_true(r == 0 || err.code == MS_ENOMEM);
        ms_arena_deinit(&small);
        max += 16;
    } while (r != 0 && max < 100000);
    assert_int_equal(r, 0);
    assert_true(max > 300);
}

static void json_content_types_are_recognised(void **state) {
    (void)state;
    static const char *const yes[] = {"application/json", "Application/JSON; charset=utf-8",
                                      "text/json",        " application/json ;x",
                                      "a/b+json",         "application/cloudevents+json; v=1"};
    static const char *const no[] = {"",
                                     "application/jsonx",
                                     "application/json5",
                                     "+json",
                                     ";json",
                                     "text/plain",
                                     "application/x-json",
                                     "json",
                                     "text/plain; a+json"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(ms_content_type_is_json(ms_bytes_cstr(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(ms_content_type_is_json(ms_bytes_cstr(no[i])));
    assert_false(ms_content_type_is_json((struct ms_bytes){0}));
}

/* ---- writing ---- */

static const struct ms_extension extensions[] = {
    {{(const uint8_t *)"foo", 3}, {(const uint8_t *)"b\"r", 3}},
    {{(const uint8_t *)"subject", 7}, {(const uint8_t *)"s", 1}},
};

static struct ms_event full_event(void) {
    return (struct ms_event){
        .id = MS_BYTES_LITERAL("e1"),
        .type = MS_BYTES_LITERAL("order.created"),
        .source = MS_BYTES_LITERAL("shop"),
        .version = MS_BYTES_LITERAL("2"),
        .content_type = MS_BYTES_LITERAL("text/json"),
        .correlation_id = MS_BYTES_LITERAL("c"),
        .causation_id = MS_BYTES_LITERAL("k"),
        .traceparent = MS_BYTES_LITERAL("00-aa"),
        .timestamp_ms = 1000,
        .data = MS_BYTES_LITERAL("{ \"a\" :1.10}"),
        .metadata = MS_BYTES_LITERAL("{\"u\":1}"),
        .tags = MS_BYTES_LITERAL("x,y z"),
        .extensions = extensions,
        .extension_count = 2,
    };
}

static void writes_every_field_and_the_place(void **state) {
    (void)state;
    struct ms_event event = full_event();
    struct ms_event_place place = {.stream = MS_BYTES_LITERAL("order-1"),
                                   .topic = MS_BYTES_LITERAL("order"),
                                   .key = MS_BYTES_LITERAL("1"),
                                   .partition = 3,
                                   .offset = 4,
                                   .version = 0,
                                   .position = UINT64_MAX,
                                   .recorded_at_us = 1000001};
    assert_written(
        &event, &place,
        "{\"event_id\":\"e1\",\"event_type\":\"order.created\",\"event_version\":2,"
        "\"stream\":\"order-1\",\"version\":0,\"topic\":\"order\",\"partition\":3,\"offset\":4,"
        "\"position\":18446744073709551615,\"timestamp\":\"1970-01-01T00:00:01.000Z\","
        "\"recorded_at\":\"1970-01-01T00:00:01.000001Z\",\"source\":\"shop\","
        "\"correlation_id\":\"c\",\"causation_id\":\"k\",\"traceparent\":\"00-aa\","
        "\"tags\":[\"x\",\"y z\"],\"metadata\":{\"u\":1},"
        "\"extensions\":{\"foo\":\"b\\\"r\",\"subject\":\"s\"},\"content_type\":\"text/json\","
        "\"data\":{ \"a\" :1.10}}");
}

static void writes_what_is_absent_as_absent(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                             .id = MS_BYTES_LITERAL("i"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data_is_null = true};
    assert_written(&event, NULL,
                   "{\"event_id\":\"i\",\"event_type\":\"t\",\"correlation_id\":\"i\"}");
    struct ms_event_place place = {.version = -1, .topic = MS_BYTES_LITERAL("o")};
    assert_written(&event, &place,
                   "{\"event_id\":\"i\",\"event_type\":\"t\",\"topic\":\"o\",\"partition\":0,"
                   "\"offset\":0,\"position\":0,\"recorded_at\":\"1970-01-01T00:00:00Z\","
                   "\"correlation_id\":\"i\"}");
}

static void time_text_wins_and_impossible_times_are_left_out(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                             .timestamp_ms = 5,
                             .time_text = MS_BYTES_LITERAL("1970-01-01T00:00:00.0051Z"),
                             .data_is_null = true};
    assert_written(&event, NULL,
                   "{\"event_type\":\"t\",\"timestamp\":\"1970-01-01T00:00:00.0051Z\"}");
    event.time_text = (struct ms_bytes){0};
    event.timestamp_ms = INT64_C(253402300799999);
    assert_written(&event, NULL,
                   "{\"event_type\":\"t\",\"timestamp\":\"9999-12-31T23:59:59.999Z\"}");
    event.timestamp_ms++;
    assert_written(&event, NULL, "{\"event_type\":\"t\"}");
    event.timestamp_ms = INT64_MAX;
    assert_written(&event, NULL, "{\"event_type\":\"t\"}");
}

static void data_that_only_claims_to_be_json_is_base64(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data = MS_BYTES_LITERAL("{\"a\":")};
    assert_written(&event, NULL, "{\"event_type\":\"t\",\"data_base64\":\"eyJhIjo=\"}");
    event.data = MS_BYTES_LITERAL("");
    assert_written(&event, NULL, "{\"event_type\":\"t\",\"data_base64\":\"\"}");
    event.data = MS_BYTES_LITERAL("1} ,\"x\":{2");
    assert_written(&event, NULL, "{\"event_type\":\"t\",\"data_base64\":\"MX0gLCJ4Ijp7Mg==\"}");
    event.data = MS_BYTES_LITERAL("1");
    event.content_type = MS_BYTES_LITERAL("text/plain");
    assert_written(
        &event, NULL,
        "{\"event_type\":\"t\",\"content_type\":\"text/plain\",\"data_base64\":\"MQ==\"}");
}

static void foreign_metadata_and_names_never_break_the_text(void **state) {
    (void)state;
    struct ms_event event = {.type = MS_BYTES_LITERAL("t\xff"),
                             .timestamp_ms = MS_TIMESTAMP_NONE,
                             .data_is_null = true,
                             .metadata = MS_BYTES_LITERAL("not } json"),
                             .extensions = extensions,
                             .extension_count = 1};
    assert_written(&event, NULL,
                   "{\"event_type\":\"t\xef\xbf\xbd\","
                   "\"extensions\":{\"metadata\":\"not } json\",\"foo\":\"b\\\"r\"}}");
    event.metadata = MS_BYTES_LITERAL("[]");
    event.extension_count = 0;
    assert_written(&event, NULL,
                   "{\"event_type\":\"t\xef\xbf\xbd\",\"extensions\":{\"metadata\":\"[]\"}}");
}

static void versions_that_are_no_integers_are_text(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"0", "0"},
                                           {"12", "12"},
                                           {"1.10", "\"1.10\""},
                                           {"007", "\"007\""},
                                           {"-1", "\"-1\""},
                                           {"x", "\"x\""},
                                           {"99999999999999999999", "\"99999999999999999999\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ms_event event = {.type = MS_BYTES_LITERAL("t"),
                                 .version = ms_bytes_cstr(cases[i][0]),
                                 .timestamp_ms = MS_TIMESTAMP_NONE,
                                 .data_is_null = true};
        char expected[128];
        (void)snprintf(expected, sizeof expected, "{\"event_type\":\"t\",\"event_version\":%s}",
                       cases[i][1]);
        assert_written(&event, NULL, expected);
    }
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct ms_event event = full_event();
    struct ms_buf first;
    ms_buf_init(&first, 1 << 16);
    assert_int_equal(ms_event_write_json(&first, MS_FORMAT_JSON, &event, NULL), 0);
    assert_int_equal(ms_buf_append_u8(&first, 0), 0);
    const struct ms_event *back = parse_one((const char *)first.data);
    assert_written(back, NULL, (const char *)first.data);
    ms_buf_deinit(&first);
}

static void failed_write_leaves_the_buffer_alone(void **state) {
    (void)state;
    struct ms_event event = full_event();
    struct ms_event_place place = {.stream = MS_BYTES_LITERAL("s-1"), .key_is_null = true};
    for (int format = MS_FORMAT_JSON; format <= MS_FORMAT_CLOUDEVENTS; format++) {
        ms_buf_clear(&out);
        assert_int_equal(ms_event_write_json(&out, format, &event, &place), 0);
        size_t needed = out.len;
        for (size_t max = 1; max < needed + 1; max++) {
            struct ms_buf small;
            ms_buf_init(&small, max);
            assert_int_equal(ms_buf_append_u8(&small, 'x'), 0);
            assert_int_equal(ms_event_write_json(&small, format, &event, &place), MS_ETOOBIG);
            assert_int_equal(small.len, 1);
            ms_buf_deinit(&small);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(absent_and_null_fields_stay_absent),
        cmocka_unit_test(data_is_exactly_the_bytes_received),
        cmocka_unit_test(data_of_other_types_is_text_or_base64),
        cmocka_unit_test(base64_without_content_type_is_json_or_octets),
        cmocka_unit_test(time_text_is_kept_when_it_says_more),
        cmocka_unit_test(version_is_an_integer_or_major_minor),
        cmocka_unit_test(arrays_hold_events_in_order),
        cmocka_unit_test(refuses_and_names_index_field_and_place),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(embedded_object_is_parsed_alone),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(json_content_types_are_recognised),
        cmocka_unit_test(writes_every_field_and_the_place),
        cmocka_unit_test(writes_what_is_absent_as_absent),
        cmocka_unit_test(time_text_wins_and_impossible_times_are_left_out),
        cmocka_unit_test(data_that_only_claims_to_be_json_is_base64),
        cmocka_unit_test(foreign_metadata_and_names_never_break_the_text),
        cmocka_unit_test(versions_that_are_no_integers_are_text),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(failed_write_leaves_the_buffer_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
