/* Patterns of topic names. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/pattern.h"
#include "os/random.h"

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

static void letters_stand_for_sets(void **state) {
    (void)state;
    assert_true(matches("\\d+\\D\\w\\W\\s\\S", "12x_- x"));
    assert_false(matches("\\d", "x"));
    assert_true(matches("[\\d.-]+[^\\w]", "1.-2!"));
    assert_true(matches("[[:alpha:]][[^:]", "a^"));
    assert_true(matches("[a-c-]+[]x]", "a-b]"));
    assert_false(matches("[a-c]", "d"));
    assert_true(matches("[\\]\\-]+\\.\\(", "]-].("));
    assert_true(matches("[[:xdigit:]]{4}", "0aF9"));
    assert_false(matches(".", "\n"));
}

static void repetitions_have_limits(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        size_t least, most; /* how many 'a' match */
    } table[] = {
        {"a*", 0, 99},          {"a+", 1, 99},         {"a?", 0, 1},      {"a{3}", 3, 3},
        {"a{2,}", 2, 99},       {"a{0,}", 0, 99},      {"a{1,}", 1, 99},  {"a{0,2}", 0, 2},
        {"a{1,4}", 1, 4},       {"a{2,5}", 2, 5},      {"b{0}aa", 2, 2},  {"(a{2}){1,2}?", 2, 4},
        {"(a|aa){2}", 2, 4},    {"(?:a?){3}b?", 0, 3}, {"(a+?)+", 1, 99}, {"(a*)*", 0, 99},
        {"((a?|b)*?)+", 0, 99},
    };
    char name[100];
    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t len = 0; len < sizeof name; len++) {
            struct ms_pattern compiled;
            assert_int_equal(ms_pattern_init(&compiled, ms_bytes_cstr(table[i].pattern)), 0);
            bool pair = i != 11 || len % 2 == 0;
            bool wanted = len >= table[i].least && len <= table[i].most && pair;
            if (ms_pattern_matches(&compiled, ms_bytes_of(name, len)) != wanted)
                fail_msg("%s of %zu", table[i].pattern, len);
            ms_pattern_deinit(&compiled);
        }
}

static void what_is_no_pattern_is_refused(void **state) {
    (void)state;
    static const char *const none[] = {
        "",
        "(",
        ")",
        "a)(b",
        "[a",
        "[",
        "[]",
        "[]-",
        "[z-a]",
        "[a-\\d]",
        "*a",
        "a|*",
        "(+a)",
        "a**",
        "a+{2}",
        "a???",
        "(?i)a",
        "(?<n>a)",
        "(?Pa)",
        "(?",
        "(a)\\1",
        "\\",
        "\\b",
        "\\pL",
        "[\\x]",
        "a{",
        "a{2",
        "a{,3}",
        "a{2,1}",
        "a{1001}",
        "a{2,1001}",
        "[[:nix:]]",
        "[[:alpha]",
        "((a{50}){50})",
        "(a{500}){5}",
        "{2}",
        "a{1000}{2}",
        "a{99999999999}",
        "(a{1000}b{1000})c{1000}",
    };
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
    assert_true(matches("(orders|payments|)-\\d{4}(\\.v[12])?", "payments-2024.v2"));
    assert_true(matches("(orders|payments|)-\\d{4}(\\.v[12])?", "-2024"));
    assert_true(matches("^(a|b|c|d)$", "c"));
    assert_false(matches("a^b|a$b", "ab"));
}

/* Each of these takes a library that tries one way after the other longer than the world stands. */
static void no_pattern_takes_long(void **state) {
    (void)state;
    char text[MS_PATTERN_BYTES_MAX + 1], name[MS_PATTERN_NAME_MAX + 1];
    memset(name, 'a', sizeof name);
    name[MS_PATTERN_NAME_MAX] = '\0';
    static const char *const pieces[] = {"((a?)?)?", "(a*)*", "(|a|)", "(a|a)*", "(a+)+"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t len = 1, piece = strlen(pieces[i]);
        text[0] = '(';
        for (; len + piece + 4 < sizeof text; len += piece)
            memcpy(text + len, pieces[i], piece);
        memcpy(text + len, ")+b", 4);
        assert_false(matches(text, name));
    }
}

/* The C library's expressions, where they are short and without what differs. */
static void random_patterns_match_as_the_c_library_says(void **state) {
    (void)state;
    static const char *const words[] = {"a",    "b",    "c",   ".",     "(",   "(", ")",
                                        ")",    "|",    "*",   "+",     "?",   "^", "$",
                                        "[ab]", "[^b]", "{2}", "{0,2}", "{1,}"};
    unsigned compared = 0, matched = 0;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 1);
    while (compared < 20000) {
        char text[64] = "", whole[80];
        uint64_t count = 1 + ms_random_below(&random.random, 9);
        size_t len = 0;
        for (uint64_t i = 0; i < count; i++)
            len += (size_t)snprintf(
                text + len, sizeof text - len, "%s",
                words[ms_random_below(&random.random, sizeof words / sizeof *words)]);
        struct ms_pattern pattern;
        regex_t regex;
        snprintf(whole, sizeof whole, "^(%s)$", text);
        bool lazy = strstr(text, "+?") || strstr(text, "}?"); /* there it is two repetitions */
        if (lazy || ms_pattern_init(&pattern, ms_bytes_cstr(text)) != 0)
            continue;
        /* Whatever is a pattern here is one there, but for repetitions of "^" and of nothing. */
        if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) == 0) {
            char name[8] = "";
            uint64_t letters = ms_random_below(&random.random, 6);
            for (uint64_t i = 0; i < letters; i++)
                name[i] = (char)('a' + ms_random_below(&random.random, 3));
            bool wanted = regexec(&regex, name, 0, NULL, 0) == 0;
            if (ms_pattern_matches(&pattern, ms_bytes_cstr(name)) != wanted)
                fail_msg("'%s' and '%s': %d is wanted", text, name, wanted);
            regfree(&regex);
            compared++;
            matched += wanted;
        }
        ms_pattern_deinit(&pattern);
    }
    assert_true(matched > 2000);
}

static void memory_that_fails_is_an_error(void **state) {
    (void)state;
    struct ms_pattern pattern;
    int rc = MS_ENOMEM;
    for (uint64_t n = 1; rc != 0; n++) {
        ms_alloc_fail_nth(n);
        rc = ms_pattern_init(&pattern, MS_BYTES_LITERAL("[ab]+"));
        ms_alloc_fail_nth(0);
        assert_true(rc == 0 || rc == MS_ENOMEM);
    }
    ms_pattern_deinit(&pattern);
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
        cmocka_unit_test(letters_stand_for_sets),
        cmocka_unit_test(repetitions_have_limits),
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(patterns_that_people_write_are_taken),
        cmocka_unit_test(no_pattern_takes_long),
        cmocka_unit_test(random_patterns_match_as_the_c_library_says),
        cmocka_unit_test(memory_that_fails_is_an_error),
        cmocka_unit_test(brackets_stand_in_each_other_to_a_depth),
        cmocka_unit_test(a_name_longer_than_any_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
