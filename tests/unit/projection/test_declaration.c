/* Declarations of queries: types, defaults, and what is refused where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "projection/declaration.h"
#include "projection/limits.h"

static const struct ms_place start = {"t.sql", 3, 11};

static int parse(const char *text, struct ms_arena *arena, struct ms_declaration *declaration,
                 struct ms_error *err) {
    ms_arena_init(arena, (size_t)1 << 20);
    return ms_declaration_parse(ms_bytes_cstr(text), start, arena, declaration, err);
}

static void a_declaration_has_names_types_and_defaults(void **state) {
    struct ms_arena arena;
    struct ms_declaration declaration;
    (void)state;
    assert_int_equal(parse("orders(a text, b bigint = -10, c text = null , d INTEGER=7, e double, "
                           "f boolean = true, g json = '[1]')",
                           &arena, &declaration, NULL),
                     0);
    assert_true(ms_bytes_equal_cstr(declaration.name, "orders"));
    assert_int_equal(declaration.parameter_count, 7);
    const struct ms_query_parameter *parameters = declaration.parameters;
    for (size_t i = 0; i < 7; i++) {
        char name[2] = {(char)('a' + i), 0};
        assert_string_equal(parameters[i].name.data, name); /* terminated */
        assert_int_equal(parameters[i].name.len, 1);
    }
    assert_int_equal(parameters[0].type, MS_SQL_TYPE_TEXT);
    assert_false(parameters[0].has_default);
    assert_int_equal(parameters[1].type, MS_SQL_TYPE_BIGINT);
    assert_int_equal(parameters[1].otherwise.integer, -10);
    assert_true(parameters[2].has_default && parameters[2].otherwise.is_null);
    assert_int_equal(parameters[3].type, MS_SQL_TYPE_INTEGER);
    assert_int_equal(parameters[3].otherwise.integer, 7);
    assert_int_equal(parameters[4].type, MS_SQL_TYPE_DOUBLE);
    assert_int_equal(parameters[5].type, MS_SQL_TYPE_BOOLEAN);
    assert_true(parameters[5].otherwise.boolean);
    assert_int_equal(parameters[6].type, MS_SQL_TYPE_JSON);
    assert_true(ms_bytes_equal_cstr(parameters[6].otherwise.text, "[1]"));
    assert_int_equal(parameters[1].place.line, 3);
    assert_int_equal(parameters[1].place.column, 26);
    ms_arena_deinit(&arena);
}

static void a_query_without_parameters_needs_no_brackets(void **state) {
    static const char *const texts[] = {"total", "total()", "total ( )"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ms_arena arena;
        struct ms_declaration declaration;
        assert_int_equal(parse(texts[i], &arena, &declaration, NULL), 0);
        assert_true(ms_bytes_equal_cstr(declaration.name, "total"));
        assert_int_equal(declaration.parameter_count, 0);
        ms_arena_deinit(&arena);
    }
}

/* ---- defaults ---- */

static int default_of(const char *type, const char *text, struct ms_arena *arena,
                      struct ms_sql_value *ret_value, struct ms_error *err) {
    char whole[256];
    struct ms_declaration declaration;
    snprintf(whole, sizeof whole, "q(a %s = %s)", type, text);
    int rc = parse(whole, arena, &declaration, err);
    if (rc == 0)
        *ret_value = declaration.parameters[0].otherwise;
    return rc;
}

static void numbers_are_taken_whole(void **state) {
    static const struct {
        const char *type, *text;
        int64_t integer;
        double number;
    } rows[] = {
        {"bigint", "0", 0, 0},
        {"bigint", "9223372036854775807", INT64_MAX, 0},
        {"bigint", "-9223372036854775808", INT64_MIN, 0},
        {"integer", "2147483647", INT32_MAX, 0},
        {"integer", "-2147483648", INT32_MIN, 0},
        {"double", "1", 0, 1},
        {"double", "-1.5", 0, -1.5},
        {"double", "1e-3", 0, 1e-3},
        {"double", "1.25E+2", 0, 125},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_sql_value value;
        assert_int_equal(default_of(rows[i].type, rows[i].text, &arena, &value, NULL), 0);
        assert_true(value.integer == rows[i].integer && value.number == rows[i].number);
        assert_false(value.is_null);
        ms_arena_deinit(&arena);
    }
}

static void strings_are_unquoted(void **state) {
    static const struct {
        const char *type, *text, *value;
    } rows[] = {{"text", "''", ""},
                {"text", "'it''s'''", "it's'"},
                {"text", "'a\\n, b) é'", "a\\n, b) é"},
                {"json", "'{\"a\": \"it''s\"}'", "{\"a\": \"it's\"}"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_sql_value value;
        assert_int_equal(default_of(rows[i].type, rows[i].text, &arena, &value, NULL), 0);
        assert_true(ms_bytes_equal_cstr(value.text, rows[i].value));
        ms_arena_deinit(&arena);
    }
}

static void any_type_may_be_null(void **state) {
    static const char *const types[] = {"text", "bigint", "integer", "double", "boolean", "json"};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct ms_arena arena;
        struct ms_sql_value value;
        assert_int_equal(default_of(types[i], "NULL", &arena, &value, NULL), 0);
        assert_true(value.is_null);
        assert_string_equal(ms_sql_type_name((enum ms_sql_type)i), types[i]);
        ms_arena_deinit(&arena);
    }
}

static void a_default_of_another_type_is_refused(void **state) {
    static const struct {
        const char *type, *text, *message;
    } rows[] = {
        {"text", "1", "1 is no default of type text"},
        {"text", "true", "true is no default of type text"},
        {"bigint", "'1'", "'1' is no default of type bigint"},
        {"bigint", "1.5", "1.5 is no default of type bigint"},
        {"bigint", "9223372036854775808", "9223372036854775808 is no default of type bigint"},
        {"integer", "2147483648", "2147483648 is no default of type integer"},
        {"integer", "1e3", "1e3 is no default of type integer"},
        {"double", "1e999", "1e999 is no default of type double"},
        {"double", "0x10", "0x10 is no default of type double"},
        {"double", "- 1", "- is no default of type double"},
        {"double", "1-2", "1-2 is no default of type double"},
        {"boolean", "1", "1 is no default of type boolean"},
        {"boolean", "yes", "yes is no default of type boolean"},
        {"json", "true", "true is no default of type json"},
        {"json", "'{'",
         "the default is no JSON: line 1, column 2: expected a name in quotes or '}', but the text "
         "ends here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char wanted[256];
        struct ms_arena arena;
        struct ms_sql_value value;
        struct ms_error err = {0};
        assert_int_equal(default_of(rows[i].type, rows[i].text, &arena, &value, &err), MS_EINVAL);
        snprintf(wanted, sizeof wanted, "t.sql:3:%zu: %s", 11 + 7 + strlen(rows[i].type),
                 rows[i].message);
        assert_string_equal(err.message, wanted);
        ms_arena_deinit(&arena);
    }
}

/* ---- what is refused ---- */

static void mistakes_name_their_place(void **state) {
    static const struct {
        const char *text;
        int code;
        const char *message;
    } rows[] = {
        {"1", MS_EINVAL, "t.sql:3:11: '1' where a query's name was expected"},
        {"Q", MS_EINVAL,
         "t.sql:3:11: 'Q' is no name of a query: a letter a-z, then a-z, 0-9 and _"},
        {"q x", MS_EINVAL, "t.sql:3:13: 'x' where '(' or the end was expected"},
        {"q(a text) x", MS_EINVAL, "t.sql:3:21: 'x' where the end was expected"},
        {"q(", MS_EINVAL, "t.sql:3:13: the declaration ends where a parameter's name was expected"},
        {"q(a", MS_EINVAL,
         "t.sql:3:14: the declaration ends where a type (text, bigint, integer, double, boolean, "
         "json) was expected"},
        {"q(a varchar)", MS_EINVAL,
         "t.sql:3:15: 'varchar' where a type (text, bigint, integer, double, boolean, json) was "
         "expected"},
        {"q(a text", MS_EINVAL, "t.sql:3:19: the declaration ends where ',' or ')' was expected"},
        {"q(a text b text)", MS_EINVAL, "t.sql:3:20: 'b' where ',' or ')' was expected"},
        {"q(a text,)", MS_EINVAL, "t.sql:3:20: ')' where a parameter's name was expected"},
        {"q(:a text)", MS_EINVAL, "t.sql:3:13: ':a' where a parameter's name was expected"},
        {"q(a text =)", MS_EINVAL, "t.sql:3:21: ')' where a default was expected"},
        {"q(a text = 'b)", MS_EINVAL, "t.sql:3:22: the string that begins here has no end"},
        {"q(a text = current_user())", MS_EINVAL,
         "t.sql:3:22: current_user is no default of type text"},
        {"q(a_B text)", MS_EINVAL,
         "t.sql:3:13: 'a_B' is no name of a parameter: a letter a-z, then a-z, 0-9 and _"},
        {"q(a text, b text, a bigint)", MS_EINVAL,
         "t.sql:3:29: the parameter 'a' is declared twice"},
        {"q(a text, min_position bigint)", MS_ERESERVED,
         "t.sql:3:21: every query has the parameter 'min_position' already"},
        {"q(min_version text)", MS_ERESERVED,
         "t.sql:3:13: every query has the parameter 'min_version' already"},
        {"q(as_of text)", MS_ERESERVED,
         "t.sql:3:13: every query has the parameter 'as_of' already"},
        {"q(known_at text)", MS_ERESERVED,
         "t.sql:3:13: every query has the parameter 'known_at' already"},
        {"q(timeout text)", MS_ERESERVED,
         "t.sql:3:13: every query has the parameter 'timeout' already"},
        {"q(max_staleness text)", MS_ERESERVED,
         "t.sql:3:13: every query has the parameter 'max_staleness' already"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_declaration declaration;
        struct ms_error err = {0};
        assert_int_equal(parse(rows[i].text, &arena, &declaration, &err), rows[i].code);
        assert_string_equal(err.message, rows[i].message);
        ms_arena_deinit(&arena);
    }
}

static void too_many_parameters_are_an_error(void **state) {
    char text[2048];
    struct ms_arena arena;
    struct ms_declaration declaration;
    struct ms_error err = {0};
    size_t len = (size_t)snprintf(text, sizeof text, "q(p text");
    (void)state;
    for (unsigned i = 1; i < MS_PROJECTION_PARAMETERS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ", p%u text", i);
    snprintf(text + len, sizeof text - len, ")");
    assert_int_equal(parse(text, &arena, &declaration, &err), 0);
    ms_arena_deinit(&arena);
    snprintf(text + len, sizeof text - len, ", x text)");
    assert_int_equal(parse(text, &arena, &declaration, &err), MS_ETOOBIG);
    assert_non_null(strstr(err.message, ": more than 64 parameters of one query"));
    ms_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_declaration_has_names_types_and_defaults),
        cmocka_unit_test(a_query_without_parameters_needs_no_brackets),
        cmocka_unit_test(numbers_are_taken_whole),
        cmocka_unit_test(strings_are_unquoted),
        cmocka_unit_test(any_type_may_be_null),
        cmocka_unit_test(a_default_of_another_type_is_refused),
        cmocka_unit_test(mistakes_name_their_place),
        cmocka_unit_test(too_many_parameters_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
