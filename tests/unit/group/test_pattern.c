/* Patterns of topic names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "group/pattern.h"

static bool matches(const char *pattern, const char *name) {
    struct ms_pattern compiled;
    assert_int_equal(ms_pattern_init(&compiled, ms_bytes_cstr(pattern)), 0);
    bool yes = ms_pattern_matches(&compiled, ms_bytes_cstr(name));
    ms_pattern_deinit(&compiled);
    return yes;
}

static void a_pattern_stands_for_whole_names(void **state) {
    (void)state;
    assert_true(matches("order.*", "orders"));
    assert_true(matches("order.*", "order"));
    assert_false(matches("order", "orders"));
    assert_false(matches("rder.*", "orders"));
    assert_true(matches("a|b", "a"));
    assert_true(matches("a|b", "b"));
    assert_false(matches("a|b", "ab"));
    assert_true(matches("^a$|^b$", "b"));
    assert_true(matches("t-[0-9]{2,3}", "t-123"));
    assert_false(matches("t-[0-9]{2,3}", "t-1234"));
    assert_true(matches("a\\.b", "a.b"));
    assert_false(matches("a\\.b", "axb"));
    assert_true(matches(".*?s", "orders"));
}

static void what_is_no_pattern_is_refused(void **state) {
    (void)state;
    static const char *const none[] = {"",           "(",      "a)(b",      "[a",
                                       "*a",         "(?:a)",  "(?i)a",     "(a)\\1",
                                       "a{2001}",    "a{2,1}", "[[:nix:]]", "((a{50}){50})",
                                       "(a{500}){5}", "a+++++++++++++++++++++++++++++++++++++",
                                       "((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+", "a{99999999999}",
                                       "(a{1000}b{1000})c{1000}"};
    struct ms_pattern compiled;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (ms_pattern_init(&compiled, ms_bytes_cstr(none[i])) != MS_EINVAL)
            fail_msg("%s", none[i]);
    assert_int_equal(ms_pattern_init(&compiled, MS_BYTES_LITERAL("a\0b")), MS_EINVAL);
    char text[MS_PATTERN_BYTES_MAX + 2];
    memset(text, 'a', sizeof text);
    assert_int_equal(ms_pattern_init(&compiled, ms_bytes_of(text, MS_PATTERN_BYTES_MAX + 1)),
                     MS_EINVAL);
    memcpy(text, "(", 1);
    memcpy(text + 1000, "){20}", 5);
    assert_int_equal(ms_pattern_init(&compiled, ms_bytes_of(text, 1005)), MS_EINVAL);
}

static void patterns_that_people_write_are_taken(void **state) {
    (void)state;
    assert_true(matches("[a-z]+-[a-z]+-[0-9]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+-[a-z]+[+]?",
                        "a-b-1-c-d-e-f-g-h-i+"));
    assert_true(matches("a{1000}|b", "b"));
    assert_true(matches("[^]a](b|[]{2}|[[:digit:]{+])+", "xb22{+"));
    assert_true(matches("((a|b)+[.])*c", "ab.ba.c"));
}

static void brackets_stand_in_each_other_to_a_depth(void **state) {
    (void)state;
    char text[256];
    struct ms_pattern compiled;
    for (size_t depth = 60; depth < 70; depth++) {
        memset(text, '(', depth);
        text[depth] = 'a';
        memset(text + depth + 1, ')', depth);
        int rc = ms_pattern_init(&compiled, ms_bytes_of(text, 2 * depth + 1));
        assert_int_equal(rc, depth < 64 ? 0 : MS_EINVAL);
        if (rc == 0)
            ms_pattern_deinit(&compiled);
    }
}

static void a_name_longer_than_any_matches_nothing(void **state) {
    (void)state;
    char name[MS_PATTERN_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[MS_PATTERN_NAME_MAX + 1] = '\0';
    assert_false(matches(".*", name));
    name[MS_PATTERN_NAME_MAX] = '\0';
    assert_true(matches(".*", name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_stands_for_whole_names),
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(patterns_that_people_write_are_taken),
        cmocka_unit_test(brackets_stand_in_each_other_to_a_depth),
        cmocka_unit_test(a_name_longer_than_any_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
