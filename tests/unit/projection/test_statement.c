/* Statements: parameters are numbered, rewritten for both databases and found again; where they
 * end, triggers included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "projection/limits.h"
#include "projection/statement.h"

#define TEXT_MAX 4096u

static const struct ms_place start = {"t.sql", 1, 1};

static int read_in(struct ms_arena *arena, const char *text, enum ms_sql_dialect dialect,
                   struct ms_sql_statement *statement, struct ms_error *err) {
    ms_arena_init(arena, (size_t)1 << 20);
    return ms_sql_statement_init(statement, ms_bytes_cstr(text), start, dialect, arena, err);
}

static void expect_rewritten(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                             const char *wanted) {
    struct ms_buf out;
    ms_buf_init(&out, TEXT_MAX);
    assert_int_equal(ms_sql_rewrite(statement, dialect, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, '\0'), 0);
    assert_string_equal(out.data, wanted);
    ms_buf_deinit(&out);
}

/* ---- rewriting ---- */

static const struct {
    const char *text, *sqlite, *postgres;
} rewritings[] = {
    {"select 1", "select 1", "select 1"},
    {"select :a, :b, :a", "select ?1, ?2, ?1", "select $1, $2, $1"},
    {":a", "?1", "$1"},
    {"values(:data->>'a',:key)", "values(?1->>'a',?2)", "values($1->>'a',$2)"},
    {"select :a::text", "select ?1::text", "select $1::text"},
    {"select ':a', \":a\", :b", "select ':a', \":a\", ?1", "select ':a', \":a\", $1"},
    {"select -- :a\n :b /* :c */", "select -- :a\n ?1 /* :c */", "select -- :a\n $1 /* :c */"},
    {"f(:ab,:a,:abc)", "f(?1,?2,?3)", "f($1,$2,$3)"},
};

static void parameters_are_numbered_by_first_appearance(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rewritings / sizeof rewritings[0]; i++) {
        struct ms_arena arena;
        struct ms_sql_statement statement;
        assert_int_equal(read_in(&arena, rewritings[i].text, MS_SQL_SQLITE, &statement, NULL), 0);
        expect_rewritten(&statement, MS_SQL_SQLITE, rewritings[i].sqlite);
        expect_rewritten(&statement, MS_SQL_POSTGRES, rewritings[i].postgres);
        ms_arena_deinit(&arena);
    }
}

static void the_names_and_first_places_are_told(void **state) {
    struct ms_arena arena;
    struct ms_sql_statement statement;
    (void)state;
    assert_int_equal(read_in(&arena, "select :b,\n  :a, :b", MS_SQL_SQLITE, &statement, NULL), 0);
    assert_int_equal(statement.parameter_count, 2);
    assert_int_equal(statement.use_count, 3);
    assert_true(ms_bytes_equal_cstr(statement.parameters[0].name, "b"));
    assert_true(ms_bytes_equal_cstr(statement.parameters[1].name, "a"));
    assert_int_equal(statement.parameters[0].place.column, 8);
    assert_int_equal(statement.parameters[1].place.line, 2);
    assert_int_equal(statement.parameters[1].place.column, 3);
    assert_true(ms_sql_token_is(&statement.first, "select"));
    ms_arena_deinit(&arena);
}

static void what_would_grow_together_is_refused(void **state) {
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"limit:n", "t.sql:1:6: put a space before ':n'"},
        {"select 1:n", "t.sql:1:9: put a space before ':n'"},
        {"select :a:b", "t.sql:1:10: put a space before ':b'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_sql_statement statement;
        struct ms_error err = {0};
        assert_int_equal(read_in(&arena, rows[i].text, MS_SQL_SQLITE, &statement, &err), MS_EINVAL);
        assert_string_equal(err.message, rows[i].message);
        ms_arena_deinit(&arena);
    }
}

static void too_many_parameters_are_an_error(void **state) {
    char text[TEXT_MAX] = "select ";
    struct ms_arena arena;
    struct ms_sql_statement statement;
    struct ms_error err = {0};
    size_t len = strlen(text), full = 0;
    (void)state;
    for (unsigned i = 0; i <= MS_PROJECTION_PARAMETERS_MAX; i++) {
        full = len;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s:p%u", i > 0 ? "," : "", i);
    }
    assert_int_equal(read_in(&arena, text, MS_SQL_SQLITE, &statement, &err), MS_ETOOBIG);
    assert_non_null(strstr(err.message, ": more than 64 different parameters in one statement"));
    ms_arena_deinit(&arena);
    text[full] = '\0';
    assert_int_equal(read_in(&arena, text, MS_SQL_SQLITE, &statement, &err), 0);
    assert_int_equal(statement.parameter_count, MS_PROJECTION_PARAMETERS_MAX);
    ms_arena_deinit(&arena);
}

/* ---- a property: putting the names back gives the text ---- */

static uint32_t draw(uint64_t *random, uint32_t below) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % below;
}

/* Replaces "?N" and "$N" outside of what hides them: nothing else in these texts looks like one,
 * for the pieces have '?' and '$' in no other place. */
static size_t put_back(const struct ms_sql_statement *statement, struct ms_bytes rewritten,
                       char sign, char out[TEXT_MAX]) {
    size_t len = 0;
    for (size_t i = 0; i < rewritten.len; i++) {
        if (rewritten.data[i] != sign) {
            out[len++] = (char)rewritten.data[i];
            continue;
        }
        size_t number = 0;
        for (;
             i + 1 < rewritten.len && rewritten.data[i + 1] >= '0' && rewritten.data[i + 1] <= '9';
             i++)
            number = number * 10 + (size_t)(rewritten.data[i + 1] - '0');
        assert_in_range(number, 1, statement->parameter_count);
        struct ms_bytes name = statement->parameters[number - 1].name;
        out[len++] = ':';
        memcpy(out + len, name.data, name.len);
        len += name.len;
    }
    return len;
}

static void expect_put_back(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                            const char *text) {
    char out[TEXT_MAX];
    struct ms_buf rewritten;
    ms_buf_init(&rewritten, TEXT_MAX);
    assert_int_equal(ms_sql_rewrite(statement, dialect, &rewritten), 0);
    char sign = dialect == MS_SQL_SQLITE ? '?' : '$';
    size_t len = put_back(statement, ms_buf_bytes(&rewritten), sign, out);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(out, text, len);
    ms_buf_deinit(&rewritten);
}

static void parameters_put_back_give_the_same_text(void **state) {
    static const char *const pieces[] = {
        "select",   ":a",    ":bc",     ":d_1",  ":key", "'it''s :a'", "\"n:a\"",   "-- :a\n",
        "/* :a */", "::",    "->> 'x'", "1.5e3", "(",    ")",          ",",         "é",
        "\n",       ":data", "E'x'",    "a_b",   "':'",  "- -",        ":metadata",
    };
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        uint64_t random = seed;
        char text[TEXT_MAX] = "x";
        size_t len = 1;
        for (uint32_t n = draw(&random, 40); n > 0; n--)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s",
                                    pieces[draw(&random, sizeof pieces / sizeof pieces[0])]);
        for (int dialect = MS_SQL_SQLITE; dialect <= MS_SQL_POSTGRES; dialect++) {
            struct ms_arena arena;
            struct ms_sql_statement statement;
            assert_int_equal(read_in(&arena, text, (enum ms_sql_dialect)dialect, &statement, NULL),
                             0);
            expect_put_back(&statement, MS_SQL_SQLITE, text);
            expect_put_back(&statement, MS_SQL_POSTGRES, text);
            ms_arena_deinit(&arena);
        }
    }
}

/* ---- the way back to the file ---- */

static void a_byte_of_the_rewritten_text_has_its_place_in_the_file(void **state) {
    /* select :customer_id, :b␤from x where :customer_id = y
       select ?1, ?2␤from x where ?1 = y */
    static const struct {
        size_t offset;
        unsigned line, column;
    } rows[] = {{0, 7, 3},   {7, 7, 10},  {8, 7, 10},  {9, 7, 22},  {11, 7, 24},
                {13, 7, 26}, {14, 8, 1},  {27, 8, 14}, {28, 8, 14}, {30, 8, 27},
                {32, 8, 29}, {33, 8, 30}, {999, 8, 30}};
    struct ms_arena arena;
    struct ms_sql_statement statement;
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 16);
    assert_int_equal(ms_sql_statement_init(
                         &statement,
                         MS_BYTES_LITERAL("select :customer_id, :b\nfrom x where :customer_id = y"),
                         (struct ms_place){"t.sql", 7, 3}, MS_SQL_SQLITE, &arena, NULL),
                     0);
    expect_rewritten(&statement, MS_SQL_SQLITE, "select ?1, ?2\nfrom x where ?1 = y");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_place place = ms_sql_place_of(&statement, MS_SQL_SQLITE, rows[i].offset);
        assert_int_equal(place.line, rows[i].line);
        assert_int_equal(place.column, rows[i].column);
    }
    ms_arena_deinit(&arena);
}

/* ---- ends ---- */

/* How many ';' of the text end a statement. */
static unsigned ends_in(const char *text, enum ms_sql_dialect dialect) {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token;
    enum ms_sql_split_state split = MS_SQL_SPLIT_START;
    unsigned ends = 0;
    ms_sql_lexer_init(&lexer, "t.sql", ms_bytes_cstr(text), dialect);
    do {
        assert_int_equal(ms_sql_next(&lexer, &token, NULL), 0);
        if (token.kind != MS_SQL_SPACE && token.kind != MS_SQL_LINE_COMMENT &&
            token.kind != MS_SQL_BLOCK_COMMENT && token.kind != MS_SQL_END)
            ends += ms_sql_split(&split, dialect, &token);
    } while (token.kind != MS_SQL_END);
    return ends;
}

static const struct {
    const char *text;
    unsigned sqlite, postgres;
} splits[] = {
    {"a; b; c;", 3, 3},
    {"a ';' \";\" /* ; */ -- ;\n;", 1, 1},
    {"create table a (b); c;", 2, 2},
    {"create trigger t after insert on a begin update b set c = 1; delete from d; end; e;", 2, 4},
    {"CREATE TEMP TRIGGER t begin select 1; END ; x;", 2, 3},
    {"create temporary trigger t begin select case 1 when 1 then 2 end; end /* ; */ ; x;", 2, 3},
    {"create trigger t begin select 1;; end end; end; x;", 2, 5},
    {"create view trigger_view as select 1; x;", 2, 2},
    {"create index trigger on a(b); x;", 2, 2},
    {"create; x;", 2, 2},
    {"insert into a values ('create trigger'); x;", 2, 2},
};

static void a_semicolon_ends_a_statement_but_not_within_a_trigger(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        assert_int_equal(ends_in(splits[i].text, MS_SQL_SQLITE), splits[i].sqlite);
        assert_int_equal(ends_in(splits[i].text, MS_SQL_POSTGRES), splits[i].postgres);
    }
    assert_int_equal(ends_in("create function f() as $$ begin; end; $$; x;", MS_SQL_POSTGRES), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_numbered_by_first_appearance),
        cmocka_unit_test(the_names_and_first_places_are_told),
        cmocka_unit_test(what_would_grow_together_is_refused),
        cmocka_unit_test(too_many_parameters_are_an_error),
        cmocka_unit_test(parameters_put_back_give_the_same_text),
        cmocka_unit_test(a_byte_of_the_rewritten_text_has_its_place_in_the_file),
        cmocka_unit_test(a_semicolon_ends_a_statement_but_not_within_a_trigger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
