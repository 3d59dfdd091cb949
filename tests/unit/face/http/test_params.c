/* Query parameters. */
#include <stdio.h>

#include "face/http/params.h"
#include "http_cmocka.h"

static const struct ms_http_params_rules all = {UINT32_MAX, 1000, 60000};

struct fixture {
    struct ms_arena arena;
    struct ms_http_params params;
    struct ms_error err;
};

static int setup(void **state) {
    static struct fixture fixture;
    fixture = (struct fixture){0};
    ms_arena_init(&fixture.arena, 1024 * 1024);
    *state = &fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    ms_arena_deinit(&fixture->arena);
    return 0;
}

static int parse(struct fixture *fixture, const char *query) {
    return ms_http_params_parse(ms_bytes_cstr(query), &all, &fixture->arena, &fixture->params,
                                &fixture->err);
}

static void nothing_given_means_defaults(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(
        ms_http_params_parse(NO_BYTES, &all, &fixture->arena, &fixture->params, &fixture->err), 0);
    assert_int_equal(fixture->params.given, 0);
    assert_int_equal(fixture->params.limit, MS_HTTP_LIMIT_DEFAULT);
    assert_int_equal(fixture->params.travel.kind, MS_AS_OF_NOW);
    struct ms_http_params_rules small = {UINT32_MAX, 10, 60000};
    assert_int_equal(
        ms_http_params_parse(NO_BYTES, &small, &fixture->arena, &fixture->params, NULL), 0);
    assert_int_equal(fixture->params.limit, 10);
}

static void every_parameter_is_taken(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture,
                           "from=7&limit=1000&direction=backward&as_of=42&wait=30s&"
                           "topic=order&stream_prefix=order-%C3%A4&type=a&type=b&tag=x%20y&"
                           "correlation_id=c%2B1&system&tombstone=true&version=0"),
                     0);
    const struct ms_http_params *params = &fixture->params;
    assert_int_equal(params->from, 7);
    assert_int_equal(params->limit, 1000);
    assert_true(params->backward && params->include_system && params->tombstone);
    assert_int_equal(params->travel.kind, MS_AS_OF_POSITION);
    assert_int_equal(params->travel.position, 42);
    assert_int_equal(params->wait_ms, 30000);
    assert_bytes(params->topic, "order");
    assert_bytes(params->stream_prefix, "order-\xc3\xa4");
    assert_int_equal(params->type_count, 2);
    assert_bytes(params->types[0], "a");
    assert_bytes(params->types[1], "b");
    assert_int_equal(params->tag_count, 1);
    assert_bytes(params->tags[0], "x y");
    assert_bytes(params->correlation_id, "c+1");
    assert_true(ms_http_param_given(params, MS_HTTP_PARAM_VERSION));
    assert_int_equal(params->version, 0);
}

static void times_select_the_past(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "as_of=2026-11-23T10:52:54.5Z"), 0);
    assert_int_equal(fixture->params.travel.kind, MS_AS_OF_TIME);
    assert_true(fixture->params.travel.time_ms == INT64_C(1795431174500));
    assert_int_equal(parse(fixture, "known_at=2026-11-23T12:52:54%2B02:00"), 0);
    assert_int_equal(fixture->params.travel.kind, MS_KNOWN_AT);
    assert_true(fixture->params.travel.time_ms == INT64_C(1795431174000));
    /* people forget to escape the plus */
    assert_int_equal(parse(fixture, "known_at=2026-11-23T12:52:54+02:00"), 0);
    assert_true(fixture->params.travel.time_ms == INT64_C(1795431174000));
    /* before 1970, rounded down */
    assert_int_equal(parse(fixture, "as_of=1969-12-31T23:59:59.9995Z"), 0);
    assert_true(fixture->params.travel.time_ms == -1);
}

static void from_end_is_no_number(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "from=end"), 0);
    assert_true(fixture->params.from_end);
}

static void wrong_values_are_refused_by_name(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *query, *name;
    } cases[] = {
        {"from=-1", "from"},
        {"from=", "from"},
        {"from=9223372036854775808", "from"},
        {"limit=1001", "limit"},
        {"limit=ten", "limit"},
        {"direction=up", "direction"},
        {"as_of=yesterday", "as_of"},
        {"as_of=", "as_of"},
        {"as_of=1&known_at=2026-11-23T10:52:54Z", "known_at"},
        {"known_at=2026-11-23T10:52:54Z&as_of=1", "as_of"},
        {"known_at=5", "known_at"},
        {"wait=61s", "wait"},
        {"wait=-1s", "wait"},
        {"wait=soon", "wait"},
        {"wait=30", "wait"},
        {"wait=00", "wait"},
        {"wait=", "wait"},
        {"topic=", "topic"},
        {"tag=", "tag"},
        {"system=maybe", "system"},
        {"tombstone=1", "tombstone"},
        {"version=-1", "version"},
        {"limit=1&limit=2", "limit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char quoted[40];
        snprintf(quoted, sizeof quoted, "\"%s\"", cases[i].name);
        assert_int_equal(parse(fixture, cases[i].query), MS_EINVAL);
        assert_mentions(&fixture->err, quoted);
        ms_arena_reset(&fixture->arena);
    }
}

static void a_wait_needs_its_unit(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "wait=30"), MS_EINVAL);
    assert_mentions(&fixture->err, "30s");
    assert_int_equal(parse(fixture, "wait=0"), 0);
    assert_int_equal(fixture->params.wait_ms, 0);
    assert_int_equal(parse(fixture, "wait=30ms"), 0);
    assert_int_equal(fixture->params.wait_ms, 30);
    assert_int_equal(parse(fixture, "wait=PT30S"), 0);
    assert_int_equal(fixture->params.wait_ms, 30000);
}

static void a_wrong_as_of_is_told_about_both_spellings(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "as_of=noon"), MS_EINVAL);
    assert_mentions(&fixture->err, "position");
    assert_mentions(&fixture->err, "RFC 3339");
    assert_int_equal(parse(fixture, "known_at=noon"), MS_EINVAL);
    assert_null(strstr(fixture->err.message, "position"));
}

static void an_unknown_parameter_is_named_with_those_known(void **state) {
    struct fixture *fixture = *state;
    struct ms_http_params_rules few = {MS_HTTP_PARAM_BIT(FROM) | MS_HTTP_PARAM_BIT(LIMIT), 10, 0};
    assert_int_equal(
        ms_http_params_parse(B("frm=1"), &few, &fixture->arena, &fixture->params, &fixture->err),
        MS_EINVAL);
    assert_mentions(&fixture->err, "\"frm\"");
    assert_mentions(&fixture->err, "from, limit");
    /* known elsewhere, not here */
    assert_int_equal(
        ms_http_params_parse(B("topic=x"), &few, &fixture->arena, &fixture->params, &fixture->err),
        MS_EINVAL);
    assert_mentions(&fixture->err, "\"topic\"");
    struct ms_http_params_rules none = {0, 10, 0};
    assert_int_equal(
        ms_http_params_parse(B("x"), &none, &fixture->arena, &fixture->params, &fixture->err),
        MS_EINVAL);
    assert_mentions(&fixture->err, "none");
}

static void bad_escapes_are_refused(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(parse(fixture, "topic=%zz"), MS_EINVAL);
    assert_int_equal(parse(fixture, "topic=%4"), MS_EINVAL);
    assert_int_equal(parse(fixture, "topic=a%00b"), MS_EINVAL);
}

static void a_list_has_an_end(void **state) {
    struct fixture *fixture = *state;
    char query[1024] = "";
    for (size_t i = 0; i < MS_HTTP_PARAM_LIST_MAX; i++)
        memcpy(query + 7 * i, "type=t&", 8);
    assert_int_equal(parse(fixture, query), 0);
    assert_int_equal(fixture->params.type_count, MS_HTTP_PARAM_LIST_MAX);
    memcpy(query + strlen(query), "type=t", 7);
    assert_int_equal(parse(fixture, query), MS_EINVAL);
}

static void without_memory_parsing_fails_cleanly(void **state) {
    struct fixture *fixture = *state;
    struct ms_arena tiny;
    ms_arena_init(&tiny, 64);
    fixture->params.limit = 77;
    assert_int_equal(
        ms_http_params_parse(B("type=a"), &all, &tiny, &fixture->params, &fixture->err), MS_ENOMEM);
    assert_int_equal(fixture->params.limit, 77);
    ms_arena_deinit(&tiny);
}

static void encoding_keeps_only_unreserved_characters(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1024);
    assert_int_equal(ms_http_percent_encode(&out, B("aZ09-._~ /%\"\xc3\xa4")), 0);
    assert_buf(&out, "aZ09-._~%20%2F%25%22%C3%A4");
    ms_buf_deinit(&out);
}

static void a_next_link_keeps_the_other_parameters(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1024);
    uint32_t dropped = MS_HTTP_PARAM_BIT(FROM) | MS_HTTP_PARAM_BIT(WAIT);
    assert_int_equal(ms_http_query_without(&out, B("from=1&type=a%20b&&wait=1s&limit=5"), dropped),
                     0);
    assert_buf(&out, "?type=a%20b&limit=5&");
    ms_buf_clear(&out);
    assert_int_equal(ms_http_query_without(&out, NO_BYTES, dropped), 0);
    assert_buf(&out, "?");
    ms_buf_clear(&out);
    assert_int_equal(ms_http_query_without(&out, B("type=a>b\"<c"), dropped), 0);
    assert_buf(&out, "?type=a%3Eb%22%3Cc&");
    ms_buf_deinit(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_given_means_defaults),
        TEST(every_parameter_is_taken),
        TEST(times_select_the_past),
        TEST(from_end_is_no_number),
        TEST(wrong_values_are_refused_by_name),
        TEST(a_wait_needs_its_unit),
        TEST(a_wrong_as_of_is_told_about_both_spellings),
        TEST(an_unknown_parameter_is_named_with_those_known),
        TEST(bad_escapes_are_refused),
        TEST(a_list_has_an_end),
        TEST(without_memory_parsing_fails_cleanly),
        TEST(encoding_keeps_only_unreserved_characters),
        TEST(a_next_link_keeps_the_other_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
