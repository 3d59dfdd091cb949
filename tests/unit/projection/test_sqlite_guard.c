/* The clock is no part of what SQLite's tables are filled from. */
#include "projection_world.h"

#define HEAD "-- projection: p\n-- from: counter\n"

static int check_definition(struct projection_world *w, const char *table, const char *statement) {
    char text[1024];
    snprintf(text, sizeof text,
             HEAD
             "create table x (t text);\n%s;\n-- on: added\n%s;\n"
             "-- query: all\nselect t from x;\n-- query: asks\nselect datetime('now') > '2020';\n",
             table, statement);
    w->error = (struct ms_error){0};
    define(w, text);
    int code = ms_sqlite_check(w->definition, &w->error);
    ms_projection_definition_free(w->definition);
    w->definition = NULL;
    return code;
}

static void clocks_are_refused_where_they_stand(void **state) {
    struct projection_world *w = *state;
    static const struct {
        const char *statement;
        unsigned column;
    } bad[] = {
        {"insert into x values (datetime('now'))", 32},
        {"insert into x values (strftime('%s', \"t\", ' NOW '))", 43},
        {"insert into x values (date())", 23},
        {"insert into x values (strftime('%Y'))", 23},
        {"insert into x values (Current_Timestamp)", 23},
        {"insert into x values (datetime(:timestamp, 'localtime'))", 44},
        {"insert into x values (random())", 23},
    };
    static const char *const good[] = {
        "insert into x values (date(:timestamp))",
        "insert into x values (strftime('%Y', :timestamp, '+1 day'))",
        "insert into x values ('now' /* date() */)",
        "insert into x values (lower('now'))",
        "insert into x (t) select t as date from x",
    };
    char place[32];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(check_definition(w, "create table y (a)", bad[i].statement), MS_EINVAL);
        snprintf(place, sizeof place, "t.sql:6:%u: ", bad[i].column);
        if (strncmp(w->error.message, place, strlen(place)) != 0 &&
            strncmp(w->error.message, "t.sql:6:1: this function", 24) != 0)
            fail_msg("%s: %s", bad[i].statement, w->error.message);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (check_definition(w, "create table y (a)", good[i]) != 0)
            fail_msg("%s: %s", good[i], w->error.message);
    assert_int_equal(
        check_definition(w, "create table y (a default current_date)", "insert into x values (1)"),
        MS_EINVAL);
    assert_non_null(strstr(w->error.message, "t.sql:4:27: 'current_date'"));
}

/* However it is come by: it is null, as it will be in the next rebuild. */
static void what_is_hidden_from_the_eye_knows_no_clock(void **state) {
    struct projection_world *w = *state;
    define(w, HEAD "create table x (n bigint, a text, b text);\n-- on: added\n"
                   "insert into x values (:version, datetime('no' || 'w'), date(:data ->> 'at'));\n"
                   "-- query: all\nselect n, a is null as a, b from x order by n;\n"
                   "-- query: asks\nselect datetime('now') > '2020' as late;\n");
    append_json(w, "counter-a", "added", "{\"at\": \"now\"}");
    append_json(w, "counter-a", "added", "{\"at\": \"2026-01-02T03:04:05Z\"}");
    start(w);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "0|1|\n1|1|2026-01-02\n");
    assert_string_equal(ask(w, "asks"), "1\n"); /* a question may be of now */
}

static int set_up(void **state) {
    static struct projection_world w;
    projection_world_init(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    projection_world_deinit(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clocks_are_refused_where_they_stand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_hidden_from_the_eye_knows_no_clock, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
