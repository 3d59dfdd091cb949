/* The JSON scanner: what it accepts, what it refuses and where; walking changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/json.h"

#define ARENA_MAX ((size_t)1 << 20)
#define DEPTH_MAX 64

static struct ms_json_value parse(const char *text) {
    struct ms_json_value value;
    struct ms_error err = {0};
    int r = ms_json_parse(ms_bytes_cstr(text), DEPTH_MAX, &value, &err);
    if (r < 0)
        print_message("%s: %s\n", text, err.message);
    assert_int_equal(r, 0);
    return value;
}

static void assert_text(struct ms_bytes text, const char *expected) {
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void assert_refused(const char *text, size_t len, const char *message) {
    struct ms_error err = {0};
    struct ms_json_value value = {.type = MS_JSON_TRUE};
    /* A copy without a byte behind it, so that the sanitizer sees a read past the end. */
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int r = ms_json_parse(ms_bytes_of(copy, len), DEPTH_MAX, &value, &err);
    int silent = ms_json_parse(ms_bytes_of(copy, len), DEPTH_MAX, &value, NULL);
    free(copy);
    assert_int_equal(r, MS_EINVAL);
    assert_int_equal(silent, MS_EINVAL);
    assert_int_equal(value.type, MS_JSON_TRUE);
    assert_null(value.text.data);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" says \"%s\", not \"%s\"", text, err.message, message);
}

static void accepts_every_kind_of_value(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum ms_json_type type;
    } cases[] = {
        {"null", MS_JSON_NULL},
        {"true", MS_JSON_TRUE},
        {"false", MS_JSON_FALSE},
        {"0", MS_JSON_NUMBER},
        {"-0", MS_JSON_NUMBER},
        {"1.10", MS_JSON_NUMBER},
        {"-12.5e+10", MS_JSON_NUMBER},
        {"1E5", MS_JSON_NUMBER},
        {"2e-3", MS_JSON_NUMBER},
        {"12345678901234567890123", MS_JSON_NUMBER},
        {"\"\"", MS_JSON_STRING},
        {"\"a\\u00e9\\n\"", MS_JSON_STRING},
        {"\"\\ud83d\\ude00\"", MS_JSON_STRING},
        {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"", MS_JSON_STRING},
        {"[]", MS_JSON_ARRAY},
        {"[ ]", MS_JSON_ARRAY},
        {"[1,[],{},\"x\"]", MS_JSON_ARRAY},
        {"{}", MS_JSON_OBJECT},
        {"{ }", MS_JSON_OBJECT},
        {"{\"a\" : 1 , \"a\":{\"b\":[true,false,null]}}", MS_JSON_OBJECT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ms_json_value value = parse(cases[i].text);
        assert_int_equal(value.type, cases[i].type);
        assert_text(value.text, cases[i].text);
    }
}

static void extent_leaves_out_surrounding_space(void **state) {
    (void)state;
    assert_text(parse(" \t\r\n {\"a\": 1 }\n ").text, "{\"a\": 1 }");
    assert_text(parse("\n1.10 ").text, "1.10");
}

static void refuses_and_names_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, column 1: expected a value, but the text ends here"},
        {"  \n ", "line 2, column 2: expected a value, but"},
        {"{\n  \"a\": 1,\n  \"b\" : [1]  x}", "line 3, column 14: expected ',' or '}'"},
        {"[1 2]", "line 1, column 4: expected ',' or ']'"},
        {"[1,]", "column 4: expected a value"},
        {"[1", "column 3: expected ',' or ']', but the text ends here"},
        {"[,1]", "column 2: expected a value"},
        {"{\"a\":1,}", "column 8: expected a name in quotes"},
        {"{a:1}", "column 2: expected a name in quotes or '}'"},
        {"{\"\\x\":1}", "column 4: expected an escape"},
        {"{\"a\"}", "column 5: expected ':'"},
        {"{\"a\":}", "column 6: expected a value"},
        {"{\"a\":1]", "column 7: expected ',' or '}'"},
        {"{\"a\":1", "column 7: expected ',' or '}', but the text ends here"},
        {"{", "column 2: expected a name in quotes or '}', but"},
        {"1 2", "column 3: expected nothing more"},
        {"{}{}", "column 3: expected nothing more"},
        {"01", "column 2: a number has no leading zeros"},
        {"-", "column 2: expected a digit"},
        {"-a", "column 2: expected a digit"},
        {"+1", "column 1: expected a value"},
        {".5", "column 1: expected a value"},
        {"1.", "column 3: expected a digit"},
        {"1.e5", "column 3: expected a digit"},
        {"1e", "column 3: expected a digit"},
        {"1e+", "column 4: expected a digit"},
        {"NaN", "column 1: expected a value"},
        {"Infinity", "column 1: expected a value"},
        {"nul", "column 1: expected a value"},
        {"truE", "column 1: expected a value"},
        {"trues", "column 5: expected nothing more"},
        {"// no\n1", "column 1: expected a value"},
        {"'a'", "column 1: expected a value"},
        {"\"a", "column 3: expected '\"', but the text ends here"},
        {"\"12345678", "column 10: expected '\"'"},
        {"\"a\tb\"", "column 3: a control character"},
        {"\"1234567\n\"", "column 9: a control character"},
        {"\"\\x\"", "column 3: expected an escape"},
        {"\"\\", "column 3: expected an escape"},
        {"\"\\u12g4\"", "column 3: expected four hexadecimal digits"},
        {"\"\\u12", "column 3: expected four hexadecimal digits"},
        {"\"\\ud800\"", "column 3: a lone surrogate"},
        {"\"\\udc00\"", "column 3: a lone surrogate"},
        {"\"\\ud800\\u0041\"", "column 3: a lone surrogate"},
        {"\"\\ud800\\", "column 3: a lone surrogate"},
        {"\xef\xbb\xbf{}", "column 1: expected a value"},
        {"\"\xc3\xa9\xc3\xa9\" x", "line 1, column 6: expected nothing more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
    assert_refused("\"a\0b\"", 5, "a control character");
    assert_refused("\"\\\0\"", 4, "expected an escape");
    assert_refused("\0", 1, "expected a value");
}

static void refuses_what_is_not_utf8(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3",
        "\xc3(",
        "\xe0\x9f\xbf",
        "\xe2\x82",
        "\xe2(\xa1",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf0\x9f\x98",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xe2\x82(",
        "\xf0\x9f\x98(",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "\"1234567%s\"", bad[i]);
        assert_refused(text, (size_t)len, "line 1, column 9: the bytes are not UTF-8");
        len = snprintf(text, sizeof text, "\"%s", bad[i]);
        assert_refused(text, (size_t)len, "line 1, column 2: the bytes are not UTF-8");
    }
    static const char *const good[] = {"\xc2\x80",         "\xdf\xbf",        "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",     "\xee\x80\x80",    "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "\"%s\"", good[i]);
        (void)parse(text);
    }
}

/* Every position of a special byte within and across the eight bytes looked at together. */
static void finds_the_end_of_strings_at_every_alignment(void **state) {
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        char text[64] = "\"";
        memset(text + 1, ' ', len);
        memcpy(text + 1 + len, "\"", 2);
        assert_text(parse(text).text, text);
        text[1 + len] = 0x1f;
        assert_refused(text, len + 2, "a control character");
        assert_refused(text, len + 1, "expected '\"'");
    }
}

static int parse_nested(size_t depth, size_t depth_max, bool objects) {
    char *text = malloc(depth * 6 + 1);
    assert_non_null(text);
    size_t len = 0;
    for (size_t i = 0; i < depth; i++) {
        memcpy(text + len, objects ? "{\"a\":" : "[", objects ? 5 : 1);
        len += objects ? 5 : 1;
    }
    text[len++] = '1';
    memset(text + len, objects ? '}' : ']', depth);
    len += depth;
    struct ms_json_value value;
    int r = ms_json_parse(ms_bytes_of(text, len), depth_max, &value, NULL);
    free(text);
    return r;
}

static void depth_is_bounded(void **state) {
    (void)state;
    for (int objects = 0; objects < 2; objects++) {
        assert_int_equal(parse_nested(64, 64, objects), 0);
        assert_int_equal(parse_nested(65, 64, objects), MS_EINVAL);
        assert_int_equal(parse_nested(0, 0, objects), 0);
        assert_int_equal(parse_nested(1, 0, objects), MS_EINVAL);
        assert_int_equal(parse_nested(MS_JSON_DEPTH_LIMIT, SIZE_MAX, objects), 0);
        assert_int_equal(parse_nested(MS_JSON_DEPTH_LIMIT + 1, SIZE_MAX, objects), MS_EINVAL);
        assert_int_equal(parse_nested(1000000, SIZE_MAX, objects), MS_EINVAL);
    }
    struct ms_json_value value;
    struct ms_error err;
    assert_int_equal(ms_json_parse(ms_bytes_cstr("[[]]"), 1, &value, &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "column 2: arrays and objects are nested too deeply"));
}

/* Which kind of bracket closes is remembered per level, beyond one word of bits too. */
static void mixed_nesting_closes_in_order(void **state) {
    (void)state;
    char text[2048] = "";
    size_t len = 0;
    enum { LEVELS = 150 };
    for (int i = 0; i < LEVELS; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", i % 3 ? "[" : "{\"k\":");
    text[len++] = '0';
    for (int i = LEVELS - 1; i >= 0; i--)
        text[len++] = i % 3 ? ']' : '}';
    struct ms_json_value value;
    assert_int_equal(ms_json_parse(ms_bytes_of(text, len), LEVELS, &value, NULL), 0);
    for (size_t at = len - LEVELS; at < len; at++) {
        text[at] ^= ']' ^ '}';
        assert_int_equal(ms_json_parse(ms_bytes_of(text, len), LEVELS, &value, NULL), MS_EINVAL);
        text[at] ^= ']' ^ '}';
    }
}

static void walks_members_in_order(void **state) {
    (void)state;
    struct ms_json_value object =
        parse("{ \"a\" : 1 ,\"b\":\"}\\\"]\" , \"c\":[{\"x\":\"[{\"},[]],\"\":{},\"a\":null\n}");
    static const char *const expected[][2] = {{"\"a\"", "1"},
                                              {"\"b\"", "\"}\\\"]\""},
                                              {"\"c\"", "[{\"x\":\"[{\"},[]]"},
                                              {"\"\"", "{}"},
                                              {"\"a\"", "null"}};
    size_t at = 0, count = 0;
    struct ms_json_value name, value;
    while (ms_json_next_member(object, &at, &name, &value)) {
        assert_true(count < 5);
        assert_int_equal(name.type, MS_JSON_STRING);
        assert_text(name.text, expected[count][0]);
        assert_text(value.text, expected[count][1]);
        count++;
    }
    assert_int_equal(count, 5);
    assert_false(ms_json_next_member(object, &at, &name, &value));
    at = 0;
    assert_false(ms_json_next_member(parse("{ \n}"), &at, &name, &value));
}

static void walks_elements_in_order(void **state) {
    (void)state;
    struct ms_json_value array = parse("[ true , -1.50e2,\"a,b\",{\"k\":[1,2]} , [ ] ]");
    static const char *const expected[] = {"true", "-1.50e2", "\"a,b\"", "{\"k\":[1,2]}", "[ ]"};
    size_t at = 0, count = 0;
    struct ms_json_value value;
    while (ms_json_next_element(array, &at, &value)) {
        assert_true(count < 5);
        assert_text(value.text, expected[count]);
        count++;
    }
    assert_int_equal(count, 5);
    at = 0;
    assert_false(ms_json_next_element(parse("[]"), &at, &value));
    at = 0;
    assert_true(ms_json_next_element(parse("[1]"), &at, &value));
    assert_false(ms_json_next_element(parse("[1]"), &at, &value));
}

static void skips_strings_and_containers_of_every_length(void **state) {
    (void)state;
    for (int len = 0; len < 30; len++) {
        char text[160], inner[128];
        (void)snprintf(inner, sizeof inner, "{\"%.*s\\\\\":[\"%.*s\\\"\"]}", len,
                       "abcdefghijklmnopqrstuvwxyz0123456789", 30 - len,
                       "}]}]}]}]}]}]}]}]}]}]}]}]}]}]}]}]}]");
        (void)snprintf(text, sizeof text, "[%s,1]", inner);
        size_t at = 0;
        struct ms_json_value array = parse(text), value;
        assert_true(ms_json_next_element(array, &at, &value));
        assert_text(value.text, inner);
        assert_true(ms_json_next_element(array, &at, &value));
        assert_text(value.text, "1");
        assert_false(ms_json_next_element(array, &at, &value));
    }
}

static void strings_resolve_escapes(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, ARENA_MAX);
    struct ms_bytes text;
    struct ms_json_value plain = parse("\"plain \xc3\xa9\"");
    assert_int_equal(ms_json_string(plain, &arena, &text), 0);
    assert_ptr_equal(text.data, plain.text.data + 1);
    assert_text(text, "plain \xc3\xa9");
    assert_int_equal(ms_json_string(parse("\"\""), &arena, &text), 0);
    assert_non_null(text.data);
    assert_int_equal(text.len, 0);
    assert_int_equal(
        ms_json_string(
            parse("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\\u0041\\u00E9\\u20ac\\ud83d\\uDE00!\""), &arena,
            &text),
        0);
    assert_text(text, "a\"\\/\b\f\n\r\tzA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
    assert_int_equal(ms_json_string(parse("\"\\u0000\""), &arena, &text), 0);
    assert_int_equal(text.len, 1);
    assert_int_equal(text.data[0], 0);
    assert_int_equal(ms_json_string(parse("\"\\udbff\\udfff\\ud800\\udc00\""), &arena, &text), 0);
    assert_text(text, "\xf4\x8f\xbf\xbf\xf0\x90\x80\x80");
    ms_arena_deinit(&arena);
    ms_arena_init(&arena, 0);
    assert_int_equal(ms_json_string(parse("\"\\n\""), &arena, &text), MS_ENOMEM);
    ms_arena_deinit(&arena);
}

static void integers_are_strict(void **state) {
    (void)state;
    int64_t number = 7;
    assert_int_equal(ms_json_i64(parse("-9223372036854775808"), &number), 0);
    assert_true(number == INT64_MIN);
    assert_int_equal(ms_json_i64(parse("9223372036854775807"), &number), 0);
    assert_true(number == INT64_MAX);
    static const char *const bad[] = {
        "9223372036854775808", "-9223372036854775809", "1.0", "1e2", "\"1\"", "null", "[1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ms_json_i64(parse(bad[i]), &number), MS_EINVAL);
    assert_true(number == INT64_MAX);
}

static void get_compares_names_with_escapes_resolved(void **state) {
    (void)state;
    struct ms_json_value object =
        parse("{\"ab\":1,\"a\\u0062c\":2,\"\\u20ac\":3,\"ab\":4,\"\\\\\":5,\"a\\u0062\":6}");
    struct ms_json_value value;
    static const struct {
        const char *name, *value;
    } cases[] = {{"ab", "1"}, {"abc", "2"}, {"\xe2\x82\xac", "3"}, {"\\", "5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(ms_json_get(object, cases[i].name, &value));
        assert_text(value.text, cases[i].value);
    }
    assert_false(ms_json_get(object, "a", &value));
    assert_false(ms_json_get(object, "abcd", &value));
    assert_false(ms_json_get(object, "", &value));
    assert_false(ms_json_get(object, "\xe2\x82", &value));
    assert_true(ms_json_get(parse("{\"\":0}"), "", &value));
}

static void writes_strings_that_parse_back(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(
        ms_json_write_string(&out, ms_bytes_cstr("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9")), 0);
    assert_text(ms_buf_bytes(&out), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xc3\xa9\"");
    ms_buf_clear(&out);
    assert_int_equal(ms_json_write_string(&out, (struct ms_bytes){0}), 0);
    assert_text(ms_buf_bytes(&out), "\"\"");
    ms_buf_clear(&out);
    assert_int_equal(ms_json_write_string(&out, ms_bytes_cstr("a\xffz\xe2\x82")), 0);
    assert_text(ms_buf_bytes(&out), "\"a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
    ms_buf_deinit(&out);

    struct ms_arena arena;
    ms_arena_init(&arena, ARENA_MAX);
    ms_buf_init(&out, 4096);
    uint8_t all[128];
    for (int i = 0; i < 128; i++)
        all[i] = (uint8_t)i;
    assert_int_equal(ms_json_write_string(&out, ms_bytes_of(all, sizeof all)), 0);
    struct ms_json_value value;
    struct ms_bytes text;
    assert_int_equal(ms_json_parse(ms_buf_bytes(&out), 1, &value, NULL), 0);
    assert_int_equal(ms_json_string(value, &arena, &text), 0);
    assert_true(ms_bytes_equal(text, ms_bytes_of(all, sizeof all)));
    ms_arena_deinit(&arena);
    ms_buf_deinit(&out);
}

static void failed_write_leaves_the_buffer_alone(void **state) {
    (void)state;
    struct ms_buf out;
    for (size_t max = 3; max < 14; max++) {
        ms_buf_init(&out, max);
        assert_int_equal(ms_buf_append_cstr(&out, "abc"), 0);
        assert_int_equal(ms_json_write_string(&out, ms_bytes_cstr("12\n34\x01")), MS_ETOOBIG);
        assert_text(ms_buf_bytes(&out), "abc");
        ms_buf_deinit(&out);
    }
}

static void place_counts_lines_and_characters(void **state) {
    (void)state;
    struct ms_bytes text = MS_BYTES_LITERAL("ab\n\xc3\xa9\xe2\x82\xac x\r\n");
    unsigned line, column;
    ms_json_place(text, 0, &line, &column);
    assert_int_equal(line * 100 + column, 101);
    ms_json_place(text, 3, &line, &column);
    assert_int_equal(line * 100 + column, 201);
    ms_json_place(text, 8, &line, &column);
    assert_int_equal(line * 100 + column, 203);
    ms_json_place(text, SIZE_MAX, &line, &column);
    assert_int_equal(line * 100 + column, 301);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_kind_of_value),
        cmocka_unit_test(extent_leaves_out_surrounding_space),
        cmocka_unit_test(refuses_and_names_the_place),
        cmocka_unit_test(refuses_what_is_not_utf8),
        cmocka_unit_test(finds_the_end_of_strings_at_every_alignment),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(mixed_nesting_closes_in_order),
        cmocka_unit_test(walks_members_in_order),
        cmocka_unit_test(walks_elements_in_order),
        cmocka_unit_test(skips_strings_and_containers_of_every_length),
        cmocka_unit_test(strings_resolve_escapes),
        cmocka_unit_test(integers_are_strict),
        cmocka_unit_test(get_compares_names_with_escapes_resolved),
        cmocka_unit_test(writes_strings_that_parse_back),
        cmocka_unit_test(failed_write_leaves_the_buffer_alone),
        cmocka_unit_test(place_counts_lines_and_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
