/* Directives: which comments are, which are almost, which are not; lists and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "projection/directive.h"

static struct ms_sql_token comment(const char *text) {
    return (struct ms_sql_token){MS_SQL_LINE_COMMENT, ms_bytes_cstr(text), {"t.sql", 4, 1}};
}

static void a_directive_is_a_name_and_a_value(void **state) {
    static const struct {
        const char *text;
        enum ms_directive_kind kind;
        const char *value;
        unsigned column;
    } rows[] = {
        {"-- projection: a", MS_DIRECTIVE_PROJECTION, "a", 16},
        {"--from:a, b \t", MS_DIRECTIVE_FROM, "a, b", 8},
        {"--  on :  a.*", MS_DIRECTIVE_ON, "a.*", 11},
        {"-- query: a(b text = 'x:y')", MS_DIRECTIVE_QUERY, "a(b text = 'x:y')", 11},
        {"-- mode:", MS_DIRECTIVE_MODE, "", 9},
        {"-- on-error: stop", MS_DIRECTIVE_ON_ERROR, "stop", 14},
        {"-- target: sqlite", MS_DIRECTIVE_TARGET, "sqlite", 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_directive directive;
        struct ms_sql_token token = comment(rows[i].text);
        assert_true(ms_directive_read(&token, &directive));
        assert_int_equal(directive.kind, rows[i].kind);
        assert_true(ms_bytes_equal_cstr(directive.value, rows[i].value));
        assert_int_equal(directive.place.line, 4);
        assert_int_equal(directive.value_place.line, 4);
        assert_int_equal(directive.value_place.column, rows[i].column);
    }
}

static void ordinary_comments_are_none_and_are_let_be(void **state) {
    static const char *const texts[] = {
        "--",
        "-- ",
        "--:",
        "-- : on",
        "-- money is cents",
        "-- note: money is cents",
        "-- see https://example.com",
        "-- on order.created",
        "-- on monday: more",
        "-- what: on: a",
        "-- the mode: sync",
        "-- queries: a",
        "--- on: a line",
        "-- éon: a",
        "-- todo-list: a",
        "-- a very long comment that goes on and on: b",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ms_directive directive;
        struct ms_sql_token token = comment(texts[i]);
        assert_false(ms_directive_read(&token, &directive));
        assert_int_equal(ms_directive_check_comment(&token, NULL), 0);
    }
}

static void what_is_almost_a_directive_is_refused_with_a_hint(void **state) {
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"-- form: a", "t.sql:4:1: '-- form:' is no directive; did you mean '-- from:'?"},
        {"-- From: a", "t.sql:4:1: '-- From:' is no directive; did you mean '-- from:'?"},
        {"-- ON: a", "t.sql:4:1: '-- ON:' is no directive; did you mean '-- on:'?"},
        {"-- om: a", "t.sql:4:1: '-- om:' is no directive; did you mean '-- on:'?"},
        {"-- on error: a",
         "t.sql:4:1: '-- on error:' is no directive; did you mean '-- on-error:'?"},
        {"-- on_error: a",
         "t.sql:4:1: '-- on_error:' is no directive; did you mean '-- on-error:'?"},
        {"-- projektion: a",
         "t.sql:4:1: '-- projektion:' is no directive; did you mean '-- projection:'?"},
        {"-- modes: a", "t.sql:4:1: '-- modes:' is no directive; did you mean '-- mode:'?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_error err = {0};
        struct ms_sql_token token = comment(rows[i].text);
        assert_int_equal(ms_directive_check_comment(&token, &err), MS_EINVAL);
        assert_string_equal(err.message, rows[i].message);
    }
}

static void a_list_has_items_with_places(void **state) {
    struct ms_directive directive;
    struct ms_sql_token token = comment("-- from: é ,b,\t c");
    struct ms_bytes item;
    struct ms_place place;
    (void)state;
    assert_true(ms_directive_read(&token, &directive));
    struct ms_directive_list list = ms_directive_list_of(&directive);
    static const struct {
        const char *item;
        unsigned column;
    } rows[] = {{"é", 10}, {"b", 13}, {"c", 17}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ms_directive_list_next(&list, &item, &place, NULL), 1);
        assert_true(ms_bytes_equal_cstr(item, rows[i].item));
        assert_int_equal(place.column, rows[i].column);
    }
    assert_int_equal(ms_directive_list_next(&list, &item, &place, NULL), 0);
}

static void an_empty_item_is_refused(void **state) {
    static const struct {
        const char *text, *message;
        int before;
    } rows[] = {{"-- on: a,,b", "t.sql:4:10: a name is missing here", 1},
                {"-- on: a,", "t.sql:4:10: a name is missing here", 1},
                {"-- on: ,a", "t.sql:4:8: a name is missing here", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_directive directive;
        struct ms_sql_token token = comment(rows[i].text);
        struct ms_bytes item;
        struct ms_place place;
        struct ms_error err = {0};
        assert_true(ms_directive_read(&token, &directive));
        struct ms_directive_list list = ms_directive_list_of(&directive);
        for (int n = 0; n < rows[i].before; n++)
            assert_int_equal(ms_directive_list_next(&list, &item, &place, NULL), 1);
        assert_int_equal(ms_directive_list_next(&list, &item, &place, &err), MS_EINVAL);
        assert_string_equal(err.message, rows[i].message);
    }
}

static void names_fit_schemas_and_files(void **state) {
    static const char *const good[] = {"a", "a1", "a_b", "z_"};
    static const char *const bad[] = {"", "1a", "_a", "A", "aB", "a-b", "a b", "a.b", "é", "a$"};
    struct ms_place place = {"t.sql", 1, 1};
    char longest[65];
    struct ms_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(ms_directive_check_name(ms_bytes_cstr(good[i]), "x", place, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ms_directive_check_name(ms_bytes_cstr(bad[i]), "x", place, NULL),
                         MS_EINVAL);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(ms_directive_check_name(ms_bytes_of(longest, 63), "query", place, &err), 0);
    assert_int_equal(ms_directive_check_name(ms_bytes_of(longest, 64), "query", place, &err),
                     MS_ETOOBIG);
    assert_string_equal(err.message,
                        "t.sql:1:1: the name of the query has 64 bytes, the limit is 63");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directive_is_a_name_and_a_value),
        cmocka_unit_test(ordinary_comments_are_none_and_are_let_be),
        cmocka_unit_test(what_is_almost_a_directive_is_refused_with_a_hint),
        cmocka_unit_test(a_list_has_items_with_places),
        cmocka_unit_test(an_empty_item_is_refused),
        cmocka_unit_test(names_fit_schemas_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
