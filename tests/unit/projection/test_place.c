/* Places and the errors that say them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "projection/place.h"

static void columns_count_characters_and_begin_anew_in_each_line(void **state) {
    struct ms_place start = {"a.sql", 3, 5};
    (void)state;
    struct ms_place place = ms_place_after(start, MS_BYTES_LITERAL("aé€😀"));
    assert_int_equal(place.line, 3);
    assert_int_equal(place.column, 9);
    place = ms_place_after(start, MS_BYTES_LITERAL("x\n\né"));
    assert_int_equal(place.line, 5);
    assert_int_equal(place.column, 2);
    place = ms_place_after(start, MS_BYTES_LITERAL(""));
    assert_int_equal(place.column, 5);
}

static void an_error_says_where_and_returns_its_code(void **state) {
    struct ms_error err = {0};
    (void)state;
    assert_int_equal(
        ms_place_error((struct ms_place){"a.sql", 3, 5}, MS_ETOOBIG, &err, "more than %u", 7u),
        MS_ETOOBIG);
    assert_int_equal(err.code, MS_ETOOBIG);
    assert_string_equal(err.message, "a.sql:3:5: more than 7");
    assert_int_equal(ms_place_error((struct ms_place){"a.sql", 3, 5}, MS_EINVAL, NULL, "x"),
                     MS_EINVAL);
}

static void a_long_path_leaves_room_for_what_went_wrong(void **state) {
    char path[1000];
    struct ms_error err = {0};
    (void)state;
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)ms_place_error((struct ms_place){path, 1, 2}, MS_EINVAL, &err, "what went wrong");
    assert_non_null(strstr(err.message, "p:1:2: what went wrong"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_count_characters_and_begin_anew_in_each_line),
        cmocka_unit_test(an_error_says_where_and_returns_its_code),
        cmocka_unit_test(a_long_path_leaves_room_for_what_went_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
