/* Files that are refused: each mistake with its sentence and its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "projection/definition.h"
#include "projection/limits.h"

#define HEAD "-- projection: p\n-- from: a\n"
#define HANDLER "-- on: t\ninsert into x values (1);\n"

struct mistake {
    const char *text;
    int code;
    const char *message;
};

static const struct mistake mistakes[] = {
    /* what a file must say */
    {"", MS_EINVAL, "t.sql:1:1: no '-- projection: name' line says what this is"},
    {"-- from: a\n" HANDLER, MS_EINVAL,
     "t.sql:1:1: no '-- projection: name' line says what this is"},
    {"-- projection: p\n" HANDLER, MS_EINVAL,
     "t.sql:1:1: no '-- from:' line says what it reads; '-- from: *' is everything"},
    {HEAD "create table x (a);\n", MS_EINVAL, "t.sql:1:1: no '-- on:' section says what events do"},
    {HEAD "-- on: t\n" HANDLER, MS_EINVAL, "t.sql:3:1: this '-- on:' has no statement"},
    {HEAD "-- on: t\n;\n", MS_EINVAL, "t.sql:3:1: this '-- on:' has no statement"},
    {HEAD HANDLER "-- query: q\n-- the end\n", MS_EINVAL,
     "t.sql:5:1: this '-- query:' has no statement"},
    {HEAD "-- query: q\n" HANDLER, MS_EINVAL, "t.sql:3:1: this '-- query:' has no statement"},
    /* the head */
    {"-- projection: Order\n", MS_EINVAL,
     "t.sql:1:16: 'Order' is no name of a projection: a letter a-z, then a-z, 0-9 and _"},
    {"-- projection: a, b\n", MS_EINVAL,
     "t.sql:1:16: 'a, b' is no name of a projection: a letter a-z, then a-z, 0-9 and _"},
    {"-- projection: public\n", MS_ERESERVED,
     "t.sql:1:16: the name 'public' is reserved: it would be that of a schema in PostgreSQL"},
    {"-- projection: pg_x\n", MS_ERESERVED,
     "t.sql:1:16: the name 'pg_x' is reserved: it would be that of a schema in PostgreSQL"},
    {"-- projection:\n", MS_EINVAL, "t.sql:1:15: '-- projection:' says nothing"},
    {HEAD "-- projection: q\n", MS_EINVAL,
     "t.sql:3:1: a second '-- projection:', the first stands in line 1"},
    {"-- mode: sync\n-- mode: sync\n", MS_EINVAL,
     "t.sql:2:1: a second '-- mode:', the first stands in line 1"},
    {"-- mode: later\n", MS_EINVAL, "t.sql:1:10: 'later' where async or sync was expected"},
    {"-- on-error: skip\n", MS_EINVAL, "t.sql:1:14: 'skip' where stop or park was expected"},
    {"-- target: mysql\n", MS_EINVAL, "t.sql:1:12: 'mysql' where sqlite or postgres was expected"},
    {"-- from: a,\n", MS_EINVAL, "t.sql:1:12: a name is missing here"},
    {"-- from: a, stream:\n", MS_EINVAL, "t.sql:1:20: a stream's name is missing here"},
    {"-- from: a, $users\n", MS_ERESERVED,
     "t.sql:1:13: '$users': names beginning with '$' are the system's"},
    {HEAD "create table x (a);\n-- mode: sync\n", MS_EINVAL,
     "t.sql:4:1: '-- mode:' must stand before the first statement"},
    {HEAD HANDLER "-- from: b\n", MS_EINVAL,
     "t.sql:5:1: '-- from:' must stand before the first statement"},
    /* directives that are none, or not here */
    {"-- form: a\n", MS_EINVAL, "t.sql:1:1: '-- form:' is no directive; did you mean '-- from:'?"},
    {"-- migrate: alter table t add column n bigint\n", MS_EINVAL,
     "t.sql:1:1: '-- migrate:': tables are not migrated; change the file, and the new version is "
     "filled from the log beside the old one"},
    {HEAD HANDLER "delete from t;\n-- Migration: 2\n", MS_EINVAL,
     "t.sql:6:1: '-- Migration:': tables are not migrated; change the file, and the new version is "
     "filled from the log beside the old one"},
    {HEAD HANDLER "  -- on error: stop\n", MS_EINVAL,
     "t.sql:5:3: '-- on error:' is no directive; did you mean '-- on-error:'?"},
    {HEAD "create table x (a) -- on: t\n;\n", MS_EINVAL,
     "t.sql:3:20: '-- on:' inside the statement that begins in line 3; is its ';' missing?"},
    {HEAD "create table x (a);\ncreate table y (b)\n" HANDLER, MS_EINVAL,
     "t.sql:5:1: '-- on:' inside the statement that begins in line 4; is its ';' missing?"},
    {HEAD "create table x (a); -- on: t\n", MS_EINVAL,
     "t.sql:3:21: '-- on:' must stand on a line of its own"},
    {HEAD "/* x */ -- on: t\n", MS_EINVAL, "t.sql:3:9: '-- on:' must stand on a line of its own"},
    /* statements */
    {HEAD HANDLER "delete from x", MS_EINVAL,
     "t.sql:5:1: the statement that begins here has no ';' at its end"},
    {HEAD HANDLER "delete from x -- ;\n", MS_EINVAL,
     "t.sql:5:1: the statement that begins here has no ';' at its end"},
    {HEAD HANDLER "select 'a\n;\n", MS_EINVAL, "t.sql:5:8: the string that begins here has no end"},
    {HEAD HANDLER "/*", MS_EINVAL, "t.sql:5:1: the comment that begins here has no end"},
    {HEAD "-- on: t\ninsert into x values (?1);\n", MS_EINVAL,
     "t.sql:4:23: '?' begins no parameter here: they are written :name"},
    {HEAD "-- on: t\nCommit;\n", MS_EINVAL,
     "t.sql:4:1: 'Commit': transactions are the server's to begin and end"},
    {HEAD "begin;\n", MS_EINVAL,
     "t.sql:3:1: 'begin': transactions are the server's to begin and end"},
    /* types */
    {HEAD "-- on: order.*.paid\n", MS_EINVAL,
     "t.sql:3:8: 'order.*.paid': a '*' stands only at the end"},
    {HEAD "-- on: order.paid order.created\n", MS_EINVAL,
     "t.sql:3:8: 'order.paid order.created' has a blank in it; is a comma missing?"},
    /* parameters */
    {HEAD "-- on: t\nselect :data,\n  :tiemstamp;\n", MS_EINVAL,
     "t.sql:5:3: ':tiemstamp' is no field of an event; did you mean ':timestamp'?"},
    {HEAD "-- on: t\nselect :amount;\n", MS_EINVAL, "t.sql:4:8: ':amount' is no field of an event"},
    {HEAD "-- on: t\nselect :Data;\n", MS_EINVAL,
     "t.sql:4:8: ':Data' is no field of an event; did you mean ':data'?"},
    {HEAD "create table x (a default :data);\n", MS_EINVAL,
     "t.sql:3:27: ':data': the schema has no parameters"},
    {HEAD "-- on: t\nselect:data;\n", MS_EINVAL, "t.sql:4:7: put a space before ':data'"},
    /* queries */
    {HEAD HANDLER "-- query: q(a text)\nselect :data;\n", MS_EINVAL,
     "t.sql:6:8: ':data' is no declared parameter of the query"},
    {HEAD HANDLER "-- query: q(customer text)\nselect :custmer;\n", MS_EINVAL,
     "t.sql:6:8: ':custmer' is no declared parameter of the query; did you mean ':customer'?"},
    {HEAD HANDLER "-- query: q\nselect 1;\nselect 2;\n", MS_EINVAL,
     "t.sql:7:1: a query is one statement, and it has one already"},
    {HEAD HANDLER "-- query: q\ndelete from x returning *;\n", MS_EINVAL,
     "t.sql:6:1: 'delete': a query begins with select, with or values"},
    {HEAD HANDLER "-- query: q\nselect 1;\n-- query: q(a text)\nselect 2;\n", MS_EINVAL,
     "t.sql:7:11: the query 'q' is there already, in line 5"},
    {HEAD HANDLER "-- query: q(a text, a text)\nselect 1;\n", MS_EINVAL,
     "t.sql:5:21: the parameter 'a' is declared twice"},
    {HEAD HANDLER "-- query: q(as_of text)\nselect 1;\n", MS_ERESERVED,
     "t.sql:5:13: every query has the parameter 'as_of' already"},
    /* no text */
    {HEAD "-- on: t\nselect '\xff';\n", MS_EINVAL, "t.sql:4:9: this is not UTF-8"},
};

static void each_mistake_has_its_sentence_and_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct ms_projection_definition *definition = NULL;
        struct ms_error err = {0};
        int rc =
            ms_projection_parse("t.sql", ms_bytes_cstr(mistakes[i].text), NULL, &definition, &err);
        assert_string_equal(err.message, mistakes[i].message);
        assert_int_equal(rc, mistakes[i].code);
        assert_int_equal(err.code, rc);
        assert_null(definition);
    }
}

/* ---- limits ---- */

struct flood {
    const char *before, *repeated; /* %u in it is the number of the repetition */
    const char *after;
    unsigned limit;
    const char *what;
};

static const struct flood floods[] = {
    {"-- projection: p\n", "-- from: t%u\n", HANDLER, MS_PROJECTION_SOURCES_MAX,
     "more than 100 sources"},
    {HEAD, "-- on: t%u\nselect 1;\n", "", MS_PROJECTION_HANDLERS_MAX,
     "more than 500 '-- on:' sections"},
    {HEAD "-- on: x", ", t%u", "\nselect 1;\n", MS_PROJECTION_TYPES_MAX - 1,
     "more than 1000 event types"},
    {HEAD HANDLER, "-- query: q%u\nselect 1;\n", "", MS_PROJECTION_QUERIES_MAX,
     "more than 200 queries"},
    {HEAD, "select %u;\n", HANDLER, MS_PROJECTION_STATEMENTS_MAX - 1, "more than 2000 statements"},
};

static int parse_flood(const struct flood *flood, unsigned times, struct ms_error *err) {
    struct ms_projection_definition *definition = NULL;
    struct ms_buf text;
    ms_buf_init(&text, MS_PROJECTION_FILE_BYTES_MAX);
    assert_int_equal(ms_buf_append_cstr(&text, flood->before), 0);
    for (unsigned i = 0; i < times; i++) {
        const char *number = strstr(flood->repeated, "%u");
        assert_int_equal(ms_buf_append(&text, flood->repeated, (size_t)(number - flood->repeated)),
                         0);
        assert_int_equal(ms_buf_printf(&text, "%u%s", i, number + 2), 0);
    }
    assert_int_equal(ms_buf_append_cstr(&text, flood->after), 0);
    int rc = ms_projection_parse("t.sql", ms_buf_bytes(&text), NULL, &definition, err);
    ms_buf_deinit(&text);
    ms_projection_definition_free(definition);
    return rc;
}

static void each_limit_can_be_reached_and_not_passed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct ms_error err = {0};
        assert_int_equal(parse_flood(&floods[i], floods[i].limit, &err), 0);
        assert_int_equal(parse_flood(&floods[i], floods[i].limit + 1, &err), MS_ETOOBIG);
        const char *what = strstr(err.message, floods[i].what);
        assert_non_null(what);
        assert_string_equal(what, floods[i].what);
    }
}

static void the_largest_file_fits_into_the_memory_that_a_definition_may_have(void **state) {
    static const char head[] = HEAD "-- on: t\nselect ";
    size_t len = MS_PROJECTION_FILE_BYTES_MAX;
    char *text = ms_alloc(len);
    struct ms_projection_definition *definition = NULL;
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < len; i++) /* as many uses of parameters as there can be */
        text[i] = ":key,"[(i - sizeof head + 1) % 5];
    memcpy(text, head, sizeof head - 1);
    size_t end = sizeof head - 1 + (len - sizeof head) / 5 * 5;
    memset(text + end - 1, ' ', len - end + 1);
    text[len - 1] = ';';
    assert_int_equal(ms_projection_parse("t.sql", ms_bytes_of(text, len), NULL, &definition, NULL),
                     0);
    assert_true(definition->handlers[0].statements.items[0].use_count > 200000);
    ms_projection_definition_free(definition);
    ms_free(text);
}

/* ---- memory ---- */

static void a_lack_of_memory_is_told_and_leaves_nothing_behind(void **state) {
    static const char text[] =
        "-- projection: p\n-- from: a, stream:b-%41\ncreate table x (a);\n"
        "-- on: a, b\nselect :data;\n-- query: q(a text = 'b')\nselect :a;\n";
    (void)state;
    int rc = MS_ENOMEM;
    for (uint64_t n = 1; rc != 0; n++) {
        struct ms_projection_definition *definition = NULL;
        struct ms_error err = {0};
        ms_alloc_fail_nth(n);
        rc = ms_projection_parse("t.sql", MS_BYTES_LITERAL(text), NULL, &definition, &err);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(rc, failed ? MS_ENOMEM : 0);
        assert_int_equal(definition == NULL, failed);
        if (failed)
            assert_memory_equal(err.message, "t.sql", 5);
        assert_true(n < 1000);
        ms_projection_definition_free(definition);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_has_its_sentence_and_its_place),
        cmocka_unit_test(each_limit_can_be_reached_and_not_passed),
        cmocka_unit_test(the_largest_file_fits_into_the_memory_that_a_definition_may_have),
        cmocka_unit_test(a_lack_of_memory_is_told_and_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
