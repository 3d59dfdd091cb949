/* If-Match, If-None-Match and "expect" as conditions. */
#include "face/http/condition.h"
#include "http_cmocka.h"

static void no_header_means_any(void **state) {
    (void)state;
    struct ms_condition condition;
    assert_int_equal(ms_http_condition_parse(NO_BYTES, NO_BYTES, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_ANY);
}

static void if_match_takes_quoted_and_bare_versions(void **state) {
    (void)state;
    struct ms_condition condition;
    assert_int_equal(ms_http_condition_parse(B("\"7\""), NO_BYTES, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_VERSION);
    assert_int_equal(condition.version, 7);
    assert_int_equal(ms_http_condition_parse(B("0"), NO_BYTES, &condition, NULL), 0);
    assert_int_equal(condition.version, 0);
    assert_int_equal(
        ms_http_condition_parse(B("\"9223372036854775807\""), NO_BYTES, &condition, NULL), 0);
    assert_true(condition.version == INT64_MAX);
}

static void a_star_means_exists_or_none(void **state) {
    (void)state;
    struct ms_condition condition;
    assert_int_equal(ms_http_condition_parse(B("*"), NO_BYTES, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_EXISTS);
    assert_int_equal(ms_http_condition_parse(NO_BYTES, B("*"), &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_NONE);
}

static void refuses_what_is_no_version(void **state) {
    (void)state;
    static const char *const wrong[] = {"",      "x",       "\"\"",         "\"7",
                                        "7\"",   "W/\"7\"", "1.0",          "+1",
                                        " 7",    "7,8",     "\"7\", \"8\"", "\"-1\"",
                                        "\"*\"", "0x10",    "\"7\" ",       "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ms_condition condition = {MS_EXPECT_ANY, 99};
        struct ms_error err = {0};
        struct ms_bytes value = {(const uint8_t *)wrong[i], strlen(wrong[i])};
        assert_int_equal(ms_http_condition_parse(value, NO_BYTES, &condition, &err), MS_EINVAL);
        assert_mentions(&err, "If-Match");
        assert_int_equal(condition.version, 99);
    }
}

static void a_negative_version_is_told_about_if_none_match(void **state) {
    (void)state;
    struct ms_condition condition;
    struct ms_error err = {0};
    assert_int_equal(ms_http_condition_parse(B("-1"), NO_BYTES, &condition, &err), MS_EINVAL);
    assert_mentions(&err, "If-None-Match: *");
}

static void contradictory_headers_are_refused(void **state) {
    (void)state;
    struct ms_condition condition;
    assert_int_equal(ms_http_condition_parse(B("*"), B("*"), &condition, NULL), MS_EINVAL);
    assert_int_equal(ms_http_condition_parse(NO_BYTES, B("\"3\""), &condition, NULL), MS_EINVAL);
}

static void expect_takes_words_and_versions(void **state) {
    (void)state;
    struct ms_condition condition;
    assert_int_equal(ms_http_condition_parse_expect(B("any"), true, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_ANY);
    assert_int_equal(ms_http_condition_parse_expect(B("none"), true, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_NONE);
    assert_int_equal(ms_http_condition_parse_expect(B("exists"), true, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_EXISTS);
    assert_int_equal(ms_http_condition_parse_expect(B("12"), false, &condition, NULL), 0);
    assert_int_equal(condition.kind, MS_EXPECT_VERSION);
    assert_int_equal(condition.version, 12);
    assert_int_equal(ms_http_condition_parse_expect(B("12"), true, &condition, NULL), MS_EINVAL);
    assert_int_equal(ms_http_condition_parse_expect(B("any"), false, &condition, NULL), MS_EINVAL);
    assert_int_equal(ms_http_condition_parse_expect(B("-1"), false, &condition, NULL), MS_EINVAL);
    assert_int_equal(ms_http_condition_parse_expect(B("1e3"), false, &condition, NULL), MS_EINVAL);
}

static void conditions_are_shown_as_json(void **state) {
    (void)state;
    char text[32];
    ms_http_condition_format(&(struct ms_condition){MS_EXPECT_VERSION, 5}, text);
    assert_string_equal(text, "5");
    ms_http_condition_format(&(struct ms_condition){MS_EXPECT_NONE, 0}, text);
    assert_string_equal(text, "\"none\"");
    ms_http_condition_format(&(struct ms_condition){MS_EXPECT_VERSION, INT64_MAX}, text);
    assert_string_equal(text, "9223372036854775807");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_header_means_any),
        cmocka_unit_test(if_match_takes_quoted_and_bare_versions),
        cmocka_unit_test(a_star_means_exists_or_none),
        cmocka_unit_test(refuses_what_is_no_version),
        cmocka_unit_test(a_negative_version_is_told_about_if_none_match),
        cmocka_unit_test(contradictory_headers_are_refused),
        cmocka_unit_test(expect_takes_words_and_versions),
        cmocka_unit_test(conditions_are_shown_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
