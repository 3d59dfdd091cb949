/* The body of POST /v1/append. */
#include "face/http/append_multi.h"
#include "http_cmocka.h"

struct fixture {
    struct ms_arena arena;
    struct ms_event_limits limits;
    struct ms_http_multi multi;
    struct ms_error err;
};

static int setup(void **state) {
    static struct fixture fixture;
    fixture = (struct fixture){.limits = ms_event_limits_default()};
    ms_arena_init(&fixture.arena, 16 * 1024 * 1024);
    *state = &fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    ms_arena_deinit(&fixture->arena);
    return 0;
}

static int parse(struct fixture *fixture, const char *body) {
    ms_arena_reset(&fixture->arena);
    fixture->multi = (struct ms_http_multi){.limits = &fixture->limits, .arena = &fixture->arena};
    return ms_http_multi_parse(ms_bytes_cstr(body), &fixture->multi, &fixture->err);
}

static void a_whole_request_is_understood(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(
        parse(fixture,
              "{\"appends\":[{\"stream\":\"order-1\",\"expect\":\"none\",\"events\":["
              "{\"event_type\":\"a\"},{\"event_type\":\"b\",\"data\":1.10}]},"
              "{\"stream\":\"stock-\\u00e4\",\"expect\":7}],"
              "\"query_conditions\":[{\"types\":[\"a\",\"b\"],\"tags\":[\"t\"],\"after\":42},"
              "{\"tags\":[\"x\"]}]}"),
        0);
    const struct ms_http_multi *multi = &fixture->multi;
    assert_int_equal(multi->part_count, 2);
    assert_int_equal(multi->event_count, 2);
    assert_bytes(multi->parts[0].stream, "order-1");
    assert_int_equal(multi->parts[0].condition.kind, MS_EXPECT_NONE);
    assert_int_equal(multi->parts[0].count, 2);
    assert_bytes(multi->parts[0].events[1].type, "b");
    assert_bytes(multi->parts[0].events[1].data, "1.10");
    assert_bytes(multi->parts[1].stream, "stock-\xc3\xa4");
    assert_int_equal(multi->parts[1].condition.version, 7);
    assert_int_equal(multi->parts[1].count, 0);
    assert_int_equal(multi->query_count, 2);
    assert_int_equal(multi->queries[0].type_count, 2);
    assert_bytes(multi->queries[0].types[1], "b");
    assert_false(multi->queries[0].after_none);
    assert_int_equal(multi->queries[0].after, 42);
    assert_true(multi->queries[1].after_none);
    assert_bytes(multi->queries[1].tags[0], "x");
}

static void what_is_wrong_is_named_with_its_place(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *body, *mentions;
    } cases[] = {
        {"", ""},
        {"[]", "an object"},
        {"{}", "appends"},
        {"{\"appends\":[]}", "appends"},
        {"{\"appends\":{}}", "appends: expected an array"},
        {"{\"append\":[]}", "unknown field \"append\""},
        {"{\"appends\":[{\"expect\":\"any\"}]}", "appends: [0]: field \"stream\" is missing"},
        {"{\"appends\":[{\"stream\":\"a\"},{\"stream\":5}]}", "appends: [1]: stream: expected a"},
        {"{\"appends\":[{\"stream\":\"a\",\"expect\":\"some\"}]}", "expect: expected \"any\""},
        {"{\"appends\":[{\"stream\":\"a\",\"expect\":-1}]}", "expect"},
        {"{\"appends\":[{\"stream\":\"a\",\"stream\":\"b\"}]}", "given twice"},
        {"{\"appends\":[{\"stream\":\"a\",\"event\":[]}]}", "unknown field \"event\""},
        {"{\"appends\":[{\"stream\":\"a\",\"events\":[{\"data\":1}]}]}", "events: [0]"},
        {"{\"appends\":[{\"stream\":\"a\",\"events\":[5]}]}", "events: [0]"},
        {"{\"appends\":[{\"stream\":\"a\"}],\"query_conditions\":[{}]}", "needs types or tags"},
        {"{\"appends\":[{\"stream\":\"a\"}],\"query_conditions\":[{\"types\":[1]}]}",
         "query_conditions: [0]: types: [0]"},
        {"{\"appends\":[{\"stream\":\"a\"}],\"query_conditions\":[{\"tags\":[\"t\"],\"after\":-1}]"
         "}",
         "after: expected a position"},
        {"{\"appends\":[{\"stream\":\"a\"}]} x", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(fixture, cases[i].body), MS_EINVAL);
        assert_mentions(&fixture->err, cases[i].mentions);
    }
}

static void too_many_events_are_refused(void **state) {
    struct fixture *fixture = *state;
    fixture->limits.append_events_max = 2;
    const char *two = "{\"appends\":[{\"stream\":\"a\",\"events\":[{\"event_type\":\"x\"}]},"
                      "{\"stream\":\"b\",\"events\":[{\"event_type\":\"x\"}]}]}";
    const char *three = "{\"appends\":[{\"stream\":\"a\",\"events\":[{\"event_type\":\"x\"}]},"
                        "{\"stream\":\"b\",\"events\":[{\"event_type\":\"x\"},"
                        "{\"event_type\":\"y\"}]}]}";
    assert_int_equal(parse(fixture, two), 0);
    assert_int_equal(parse(fixture, three), MS_ETOOBIG);
}

static void memory_that_runs_out_is_an_ordinary_error(void **state) {
    struct fixture *fixture = *state;
    ms_arena_deinit(&fixture->arena);
    ms_arena_init(&fixture->arena, 48);
    assert_int_equal(parse(fixture, "{\"appends\":[{\"stream\":\"a\"}]}"), MS_ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_whole_request_is_understood),
        TEST(what_is_wrong_is_named_with_its_place),
        TEST(too_many_events_are_refused),
        TEST(memory_that_runs_out_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
