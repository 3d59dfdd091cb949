/* What would be another the next time is no part of what PostgreSQL's tables are filled from. */
#include "projection_world.h"

#define HEAD "-- projection: p\n-- from: a\n"

static int check_definition(struct projection_world *w, const char *text) {
    w->error = (struct ms_error){0};
    define(w, text);
    int code = ms_postgres_check(w->definition, w->conninfo, &w->error);
    ms_projection_definition_free(w->definition);
    w->definition = NULL;
    return code;
}

static void what_is_applied_depends_on_events_alone(void **state) {
    struct projection_world *w = world_of(state);
    static const char *const bad[] = {
        "insert into x values (clock_timestamp()::text)",
        "insert into x values (pg_catalog . \"now\" ( )::text)",
        "insert into x values (NOW()::text)",
        "insert into x values (random()::text)",
        "insert into x values (gen_random_uuid()::text)",
        "insert into x values (nextval('s')::text)",
        "insert into x values (current_timestamp::text)",
        "insert into x values (localtimestamp(0)::text)",
        "insert into x values (current_user)",
        "insert into x values (current_setting('timezone'))",
        "insert into x values (age(:timestamp::timestamptz)::text)",
        "insert into x select t from x where t < (select statement_timestamp()::text)",
        "insert into x values (wild())",
        "update x set t = wild ( ) where t = 'a'",
    };
    static const char *const good[] = {
        "insert into x values (age(:timestamp::timestamptz, '2020-01-01'::timestamptz)::text)",
        "insert into x (t) values (tame(:timestamp))",
        "insert into x select string_agg(t, ',' order by t) from x group by t",
        "insert into x values (to_char(:timestamp::timestamptz, 'YYYY-MM-DD'))",
        "insert into x values ('now()' /* random() */)",
        "insert into x select now.t from x now where now.t <> 'random'",
    };
    static const char *const tables[] = {
        "create table y (t timestamptz default now())",
        "create table y (t timestamptz default current_timestamp)",
        "create table y (n bigserial)",
        "create table y (n bigint generated always as identity)",
        "create view y as select random() as r",
    };
    char text[1024];
    static const char format[] =
        HEAD "create table x (t text);\ncreate sequence s;\n"
             "create function wild() returns text language sql as $$ select 'a' $$;\n"
             "create function tame(t text) returns text language sql immutable as $$ select t $$;\n"
             "%s;\n-- on: added\n%s;\n-- query: all\nselect t, now() from x;\n";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, format, "create table y (t text)", bad[i]);
        assert_int_equal(check_definition(w, text), MS_EINVAL);
        if (strstr(w->error.message, "must depend on events alone") == NULL ||
            strncmp(w->error.message, "t.sql:9:", 8) != 0)
            fail_msg("%s: %s", bad[i], w->error.message);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(text, sizeof text, format, tables[i], "insert into x values ('a')");
        assert_int_equal(check_definition(w, text), MS_EINVAL);
        if (strncmp(w->error.message, "t.sql:7:", 8) != 0)
            fail_msg("%s: %s", tables[i], w->error.message);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, format, "create table y (t text)", good[i]);
        if (check_definition(w, text) != 0)
            fail_msg("%s: %s", good[i], w->error.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_POSTGRES(what_is_applied_depends_on_events_alone),
    };
    return cmocka_run_group_tests(tests, projection_group_set_up, projection_group_tear_down);
}
