/* "Did you mean": near names are found, the nearest wins, far ones are not offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/suggest.h"

static const char *best_of(const char *wanted, const char *const *candidates, size_t count) {
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, ms_bytes_cstr(wanted));
    for (size_t i = 0; i < count; i++)
        ms_suggest_offer(&suggestion, candidates[i]);
    return suggestion.best;
}

static const char *const names[] = {"from", "form-data", "mode", "on", "query"};
#define NAMES names, sizeof names / sizeof names[0]

static void a_slip_of_the_keys_finds_the_name(void **state) {
    (void)state;
    assert_string_equal(best_of("form", NAMES), "from");    /* swapped */
    assert_string_equal(best_of("mod", NAMES), "mode");     /* removed */
    assert_string_equal(best_of("quuery", NAMES), "query"); /* inserted */
    assert_string_equal(best_of("quary", NAMES), "query");  /* replaced */
    assert_string_equal(best_of("query", NAMES), "query");
}

static void what_is_far_from_all_finds_nothing(void **state) {
    (void)state;
    assert_null(best_of("note", NAMES));
    assert_null(best_of("", NAMES));
    assert_null(best_of("on-monday", NAMES));
}

static void names_past_the_limit_are_not_looked_at(void **state) {
    (void)state;
    char longest[MS_SUGGEST_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *candidate = longest;
    assert_null(best_of(longest, &candidate, 1));
    longest[MS_SUGGEST_NAME_MAX] = '\0';
    assert_ptr_equal(best_of(longest, &candidate, 1), candidate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_keys_finds_the_name),
        cmocka_unit_test(what_is_far_from_all_finds_nothing),
        cmocka_unit_test(names_past_the_limit_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
