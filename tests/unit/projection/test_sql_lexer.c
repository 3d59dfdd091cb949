/* The lexer: every construct of SQL as each database reads it, places, and what has no end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "projection/sql_lexer.h"

#define SHOWN_MAX 1024

/* "W[select] P[:a]": the tokens, without those of white space. */
static const char letters[] = {
    [MS_SQL_END] = '$',           [MS_SQL_SPACE] = '_',       [MS_SQL_LINE_COMMENT] = 'L',
    [MS_SQL_BLOCK_COMMENT] = 'C', [MS_SQL_WORD] = 'W',        [MS_SQL_NUMBER] = 'N',
    [MS_SQL_STRING] = 'S',        [MS_SQL_QUOTED_NAME] = 'Q', [MS_SQL_BODY] = 'B',
    [MS_SQL_PARAMETER] = 'P',     [MS_SQL_CAST] = '|',        [MS_SQL_SEMICOLON] = ';',
    [MS_SQL_OPERATOR] = 'O',
};

/* Checks on the way that tokens follow one another without a gap. */
static int show(const char *text, enum ms_sql_dialect dialect, char out[SHOWN_MAX],
                struct ms_error *err) {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token;
    const uint8_t *at = (const uint8_t *)text;
    size_t len = 0;
    out[0] = '\0';
    ms_sql_lexer_init(&lexer, "t.sql", ms_bytes_cstr(text), dialect);
    for (;;) {
        int rc = ms_sql_next(&lexer, &token, err);
        if (rc != 0)
            return rc;
        if (token.kind == MS_SQL_END)
            break;
        assert_ptr_equal(token.text.data, at);
        assert_true(token.text.len > 0);
        at += token.text.len;
        if (token.kind == MS_SQL_SPACE)
            continue;
        len += (size_t)snprintf(out + len, SHOWN_MAX - len, "%s%c[%.*s]", len > 0 ? " " : "",
                                letters[token.kind], (int)token.text.len, token.text.data);
        assert_true(len < SHOWN_MAX);
    }
    assert_ptr_equal(at, text + strlen(text));
    return 0;
}

struct reading {
    const char *text, *sqlite, *postgres; /* NULL: refused, see the other table */
};

static const struct reading readings[] = {
    /* strings */
    {"'a' ''", "S['a'] S['']", "S['a'] S['']"},
    {"'it''s'", "S['it''s']", "S['it''s']"},
    {"'a''' b", "S['a'''] W[b]", "S['a'''] W[b]"},
    {"'a;b:c--d/*e'", "S['a;b:c--d/*e']", "S['a;b:c--d/*e']"},
    {"'a\nb'", "S['a\nb']", "S['a\nb']"},
    {"'a\\' b", "S['a\\'] W[b]", "S['a\\'] W[b]"}, /* a backslash is nothing in a plain string */
    {"E'a\\\\' b", "W[E] S['a\\\\'] W[b]", "S[E'a\\\\'] W[b]"},
    {"e'a\\'b' c", NULL, "S[e'a\\'b'] W[c]"},
    {"E'a''b'", "W[E] S['a''b']", "S[E'a''b']"},
    {"E'a' 'b'", "W[E] S['a'] S['b']", "S[E'a'] S['b']"},
    {"E'a'\n 'b\\'c' d", NULL, "S[E'a'\n 'b\\'c'] W[d]"}, /* goes on, and so do the escapes */
    {"E'a' -- c\n 'b'", "W[E] S['a'] L[-- c] S['b']", "S[E'a' -- c\n 'b']"},
    {"E'a'\n b", "W[E] S['a'] W[b]", "S[E'a'] W[b]"},
    {"te'a\\' b", "W[te] S['a\\'] W[b]", "W[te] S['a\\'] W[b]"}, /* the name ends in an e */
    {"x'00ff' N'a'", "W[x] S['00ff'] W[N] S['a']", "W[x] S['00ff'] W[N] S['a']"},
    /* names */
    {"\"a\"\"b;\" c", "Q[\"a\"\"b;\"] W[c]", "Q[\"a\"\"b;\"] W[c]"},
    {"`a``b;` c", "Q[`a``b;`] W[c]", "O[`] W[a] O[`] O[`] W[b] ;[;] O[`] W[c]"},
    {"[a ; b] c", "Q[[a ; b]] W[c]", "O[[] W[a] ;[;] W[b] O[]] W[c]"},
    {"a[1]", "W[a] Q[[1]]", "W[a] O[[] N[1] O[]]"},
    {"_a1$b é", "W[_a1$b] W[é]", "W[_a1$b] W[é]"},
    {"a$$b", "W[a$$b]", "W[a$$b]"}, /* within a name dollars begin nothing */
    /* numbers */
    {"1 2.5 .5 1e9 0xff", "N[1] N[2.5] O[.] N[5] N[1e9] N[0xff]",
     "N[1] N[2.5] O[.] N[5] N[1e9] N[0xff]"},
    {"1e-5", "N[1e] O[-] N[5]", "N[1e] O[-] N[5]"},
    /* comments */
    {"a -- b ; 'c\nd", "W[a] L[-- b ; 'c] W[d]", "W[a] L[-- b ; 'c] W[d]"},
    {"a--", "W[a] L[--]", "W[a] L[--]"},
    {"a - -b", "W[a] O[-] O[-] W[b]", "W[a] O[-] O[-] W[b]"},
    {"a /* b ; ' */ c", "W[a] C[/* b ; ' */] W[c]", "W[a] C[/* b ; ' */] W[c]"},
    {"/**/a", "C[/**/] W[a]", "C[/**/] W[a]"},
    {"/*/ a */b", "C[/*/ a */] W[b]", "C[/*/ a */] W[b]"}, /* the star does not count twice */
    {"/* a /* b */ c */ d", NULL, "C[/* a /* b */ c */] W[d]"},
    {"/*/*/**/*/*/a", NULL, "C[/*/*/**/*/*/] W[a]"},
    {"a*/b", "W[a] O[*] O[/] W[b]", "W[a] O[*] O[/] W[b]"},
    {"'-- a' -- 'b", "S['-- a'] L[-- 'b]", "S['-- a'] L[-- 'b]"},
    /* bodies in dollar quotes */
    {"$$a;'b$$ c", NULL, "B[$$a;'b$$] W[c]"},
    {"$f$ $$ $g$ $f$c", NULL, "B[$f$ $$ $g$ $f$] W[c]"},
    {"$é1$a$é1$", NULL, "B[$é1$a$é1$]"},
    {"$a b", NULL, "O[$] W[a] W[b]"},
    /* parameters */
    {":a :_b1 :A", "P[:a] P[:_b1] P[:A]", "P[:a] P[:_b1] P[:A]"},
    {":a::text", "P[:a] |[::] W[text]", "P[:a] |[::] W[text]"},
    {"a::text", "W[a] |[::] W[text]", "W[a] |[::] W[text]"},
    {":a$b :é", "P[:a$b] P[:é]", "P[:a$b] P[:é]"},
    {":a->>'b'", "P[:a] O[-] O[>] O[>] S['b']", "P[:a] O[-] O[>] O[>] S['b']"},
    {"(:a,:b)", "O[(] P[:a] O[,] P[:b] O[)]", "O[(] P[:a] O[,] P[:b] O[)]"},
    {":::a", "|[::] P[:a]", "|[::] P[:a]"},
    {"a := 1 : b", "W[a] O[:] O[=] N[1] O[:] W[b]", "W[a] O[:] O[=] N[1] O[:] W[b]"},
    {"1:2", "N[1] P[:2]", "N[1] O[:] N[2]"}, /* an array's slice */
    {"':a' \":b\" -- :c\n/* :d */", "S[':a'] Q[\":b\"] L[-- :c] C[/* :d */]",
     "S[':a'] Q[\":b\"] L[-- :c] C[/* :d */]"},
    {"a ? b @> c # d", NULL, "W[a] O[?] W[b] O[@] O[>] W[c] O[#] W[d]"},
    /* ends */
    {"a;b;", "W[a] ;[;] W[b] ;[;]", "W[a] ;[;] W[b] ;[;]"},
    {" \t\r\n\f", "", ""},
    {"", "", ""},
};

static void each_construct_is_read_as_its_database_reads_it(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        char out[SHOWN_MAX];
        const struct reading *reading = &readings[i];
        if (reading->sqlite != NULL) {
            assert_int_equal(show(reading->text, MS_SQL_SQLITE, out, NULL), 0);
            assert_string_equal(out, reading->sqlite);
        } else {
            assert_int_equal(show(reading->text, MS_SQL_SQLITE, out, NULL), MS_EINVAL);
        }
        assert_int_equal(show(reading->text, MS_SQL_POSTGRES, out, NULL), 0);
        assert_string_equal(out, reading->postgres);
    }
}

struct refusal {
    const char *text, *sqlite, *postgres; /* the message; NULL: not refused there */
};

static const struct refusal refusals[] = {
    {"a\n 'b\nc", "t.sql:2:2: the string that begins here has no end",
     "t.sql:2:2: the string that begins here has no end"},
    {"'a''", "t.sql:1:1: the string that begins here has no end",
     "t.sql:1:1: the string that begins here has no end"},
    {"é \"b", "t.sql:1:3: the name in quotes that begins here has no end",
     "t.sql:1:3: the name in quotes that begins here has no end"},
    {"`a", "t.sql:1:1: the name in backticks that begins here has no end", NULL},
    {"[a", "t.sql:1:1: the name in brackets that begins here has no end", NULL},
    {"a\n\n  /* b\n*", "t.sql:3:3: the comment that begins here has no end",
     "t.sql:3:3: the comment that begins here has no end"},
    {"/*/", "t.sql:1:1: the comment that begins here has no end",
     "t.sql:1:1: the comment that begins here has no end"},
    {"/* /* */",
     "t.sql:1:1: the comment that begins here has '/*' in it: SQLite would end both at the first "
     "'*/'",
     "t.sql:1:1: the comment that begins here has no end"},
    {"E'a\\'", NULL, "t.sql:1:1: the string that begins here has no end"},
    {"E'a'\n'b", "t.sql:2:1: the string that begins here has no end",
     "t.sql:1:1: the string that begins here has no end"},
    {"a $f$ b $g$", "t.sql:1:3: bodies in dollar quotes need '-- target: postgres'",
     "t.sql:1:3: the body between $f$ that begins here has no end"},
    {"a = $1", "t.sql:1:5: '$' begins no parameter here: they are written :name",
     "t.sql:1:5: '$' begins no parameter here: they are written :name"},
    {"a = $a", "t.sql:1:5: '$' begins no parameter here: they are written :name", NULL},
    {"a = ?", "t.sql:1:5: '?' begins no parameter here: they are written :name", NULL},
    {"a = @a", "t.sql:1:5: '@' begins no parameter here: they are written :name", NULL},
    {"a = #a", "t.sql:1:5: '#' begins no parameter here: they are written :name", NULL},
};

static void expect_refusal(const char *text, enum ms_sql_dialect dialect, const char *wanted) {
    char out[SHOWN_MAX];
    struct ms_error err = {0};
    int rc = show(text, dialect, out, &err);
    assert_int_equal(rc, wanted != NULL ? MS_EINVAL : 0);
    assert_string_equal(err.message, wanted != NULL ? wanted : "");
}

static void what_has_no_end_names_where_it_began(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        expect_refusal(refusals[i].text, MS_SQL_SQLITE, refusals[i].sqlite);
        expect_refusal(refusals[i].text, MS_SQL_POSTGRES, refusals[i].postgres);
    }
}

static void places_count_lines_and_characters(void **state) {
    static const struct {
        enum ms_sql_token_kind kind;
        unsigned line, column;
    } wanted[] = {{MS_SQL_WORD, 1, 1},      {MS_SQL_SPACE, 1, 3}, {MS_SQL_STRING, 1, 4},
                  {MS_SQL_WORD, 2, 2},      {MS_SQL_SPACE, 2, 3}, {MS_SQL_BLOCK_COMMENT, 3, 2},
                  {MS_SQL_PARAMETER, 4, 4}, {MS_SQL_END, 4, 6},   {MS_SQL_END, 4, 6}};
    struct ms_sql_lexer lexer;
    struct ms_sql_token token;
    (void)state;
    ms_sql_lexer_init(&lexer, "t.sql", MS_BYTES_LITERAL("aé 'é\n'b\n\t/*\n*/ :c"), MS_SQL_SQLITE);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        do
            assert_int_equal(ms_sql_next(&lexer, &token, NULL), 0);
        while (token.kind == MS_SQL_SPACE && wanted[i].kind != MS_SQL_SPACE);
        assert_int_equal(token.kind, wanted[i].kind);
        assert_int_equal(token.place.line, wanted[i].line);
        assert_int_equal(token.place.column, wanted[i].column);
        assert_string_equal(token.place.file, "t.sql");
    }
}

static void after_an_error_the_lexer_stays_where_it_is(void **state) {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token = {.kind = MS_SQL_CAST};
    (void)state;
    ms_sql_lexer_init(&lexer, "t.sql", MS_BYTES_LITERAL("'a"), MS_SQL_SQLITE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ms_sql_next(&lexer, &token, NULL), MS_EINVAL);
        assert_int_equal(lexer.at, 0);
        assert_int_equal(token.kind, MS_SQL_CAST); /* untouched */
    }
}

static void words_are_known_in_any_case(void **state) {
    struct ms_sql_lexer lexer;
    struct ms_sql_token token;
    (void)state;
    ms_sql_lexer_init(&lexer, "t.sql", MS_BYTES_LITERAL("SeLect'select'"), MS_SQL_SQLITE);
    assert_int_equal(ms_sql_next(&lexer, &token, NULL), 0);
    assert_true(ms_sql_token_is(&token, "select"));
    assert_false(ms_sql_token_is(&token, "selec"));
    assert_false(ms_sql_token_is(&token, "selects"));
    assert_false(ms_sql_token_is(&token, "insert"));
    assert_int_equal(ms_sql_next(&lexer, &token, NULL), 0);
    assert_false(ms_sql_token_is(&token, "'select'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_construct_is_read_as_its_database_reads_it),
        cmocka_unit_test(what_has_no_end_names_where_it_began),
        cmocka_unit_test(places_count_lines_and_characters),
        cmocka_unit_test(after_an_error_the_lexer_stays_where_it_is),
        cmocka_unit_test(words_are_known_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
