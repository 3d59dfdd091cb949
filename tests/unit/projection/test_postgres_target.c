/* PostgreSQL as a target: connections that break in the middle lose nothing and repeat nothing;
 * errors say where, and never with what we connect; readers can't write; published names are
 * stable. */
#include "projection_world.h"
#include "projection/postgres_db.h"

#include "relay.h"

static const char counters[] = "-- projection: counters\n"
                               "-- from: counter\n"
                               "create table counters (name text primary key, n bigint not null);\n"
                               "-- on: added\n"
                               "insert into counters values (:key, cast(:data ->> 'n' as bigint))\n"
                               "  on conflict (name) do update set n = counters.n + excluded.n;\n"
                               "-- query: total\n"
                               "select coalesce(sum(n), 0) from counters;\n"
                               "-- query: all\n"
                               "select name, n from counters order by name;\n";

/* ---- events ---- */

#define STREAMS 10
#define MANY 200

/* `count` events that add 1, to all streams in turn. */
static void append_many(struct projection_world *w, unsigned count) {
    static unsigned number;
    static char ids[STREAMS][MANY][24], streams[STREAMS][24];
    static struct ms_event events[STREAMS][MANY];
    struct ms_append_part parts[STREAMS] = {0};
    struct ms_append_part_result results[STREAMS];
    struct ms_append_request request = {.parts = parts, .wait = true};
    struct ms_append_result answer;
    for (unsigned i = 0; i < count; i++) {
        unsigned stream = i % STREAMS;
        size_t at = parts[stream].count++;
        char *id = ids[stream][at];
        snprintf(id, sizeof ids[0][0], "many-%u", number++);
        snprintf(streams[stream], sizeof streams[0], "counter-%u", stream);
        events[stream][at] = (struct ms_event){.id = ms_bytes_cstr(id),
                                               .type = MS_BYTES_LITERAL("added"),
                                               .data = MS_BYTES_LITERAL("{\"n\": 1}"),
                                               .timestamp_ms = 1750000000000};
        parts[stream].stream = ms_bytes_cstr(streams[stream]);
        parts[stream].events = events[stream];
        request.part_count = stream >= request.part_count ? stream + 1 : request.part_count;
    }
    assert_int_equal(ms_store_append_wait(w->store.store, &request, results, &answer, &w->error),
                     0);
}

static void expect_total(struct projection_world *w, unsigned total) {
    char expected[24];
    snprintf(expected, sizeof expected, "%u\n", total);
    await_applied(w);
    assert_string_equal(ask(w, "total"), expected);
}

/* ---- what breaks ---- */

static void a_killed_server_loses_and_repeats_nothing(void **state) {
    struct projection_world *w = world_of(state);
    unsigned total = 0;
    define(w, counters);
    start(w);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++, total += MANY)
            append_many(w, MANY);
        postgres_world_kill(&projection_pg);
        append_many(w, MANY);
        total += MANY;
        postgres_world_resume(&projection_pg);
    }
    expect_total(w, total);
}

static void terminated_sessions_lose_and_repeat_nothing(void **state) {
    struct projection_world *w = world_of(state);
    unsigned total = 0;
    define(w, counters);
    start(w);
    for (int round = 0; round < 20; round++) {
        append_many(w, MANY);
        total += MANY;
        postgres_world_run(w->conninfo,
                           "select pg_terminate_backend(pid) from pg_stat_activity"
                           " where application_name = 'mainstem' and datname = current_database()");
    }
    expect_total(w, total);
}

/* The connection goes through a relay, which cuts it at a commit. */
static void cut_at_commit(struct projection_world *w, enum relay_cut cut) {
    struct relay relay;
    relay_start(&relay, projection_pg.port);
    snprintf(w->conninfo, sizeof w->conninfo,
             "host=127.0.0.1 port=%d user=keeper password=" POSTGRES_WORLD_PASSWORD
             " dbname=world_%u gssencmode=disable",
             relay.port, projection_pg.databases);
    define(w, counters);
    start(w);
    append_many(w, 5);
    expect_total(w, 5);
    for (unsigned round = 1; round <= 3; round++) {
        relay_cut_next(&relay, cut);
        append_many(w, 5);
        expect_total(w, 5 + 5 * round);
        assert_int_equal(relay_cuts(&relay), round);
    }
    stop(w);
    relay_stop(&relay);
}

static void a_commit_that_never_arrived_is_done_again(void **state) {
    cut_at_commit(world_of(state), RELAY_CUT_BEFORE);
}

static void a_commit_whose_answer_was_lost_is_not_repeated(void **state) {
    cut_at_commit(world_of(state), RELAY_CUT_AFTER);
}

static void a_second_owner_is_noticed_after_a_break(void **state) {
    struct projection_world *w = world_of(state);
    define(w, counters);
    start(w);
    append_many(w, 1);
    expect_total(w, 1);
    postgres_world_run(w->conninfo,
                       "update version_one.mainstem_checkpoint set generation = generation + 2;"
                       "select pg_terminate_backend(pid) from pg_stat_activity"
                       " where application_name = 'mainstem' and datname = current_database()");
    append_many(w, 1);
    struct ms_runner_status status = await_state(w, MS_RUNNER_FAILED);
    assert_non_null(strstr(status.error, "another process"));
}

static void a_database_that_fell_back_is_caught_up(void **state) {
    struct projection_world *w = world_of(state);
    char position[POSTGRES_WORLD_TEXT_MAX], sql[400];
    define(w, counters);
    start(w);
    append_many(w, 10);
    expect_total(w, 10);
    postgres_world_ask(w->conninfo, "select position from version_one.mainstem_checkpoint",
                       position);
    postgres_world_run(w->conninfo, "create table public.kept as select * from"
                                    " version_one.mainstem_checkpoint");
    append_many(w, 10);
    expect_total(w, 20);
    snprintf(sql, sizeof sql,
             "update version_one.counters set n = n - 1;"
             "delete from version_one.mainstem_checkpoint;"
             "insert into version_one.mainstem_checkpoint select * from public.kept;"
             "select pg_terminate_backend(pid) from pg_stat_activity"
             " where application_name = 'mainstem' and datname = current_database()");
    postgres_world_run(w->conninfo, sql);
    append_many(w, 10);
    expect_total(w, 30);
}

static void answers_larger_than_all_buffers_do_not_block(void **state) {
    struct projection_world *w = world_of(state);
    define(w, "-- projection: talkative\n-- from: counter\ncreate table t (n bigint);\n"
              "-- on: added\ninsert into t values (1) returning repeat('x', 20000);\n"
              "-- query: total\nselect count(*) from t;\n");
    for (int i = 0; i < 15; i++)
        append_many(w, MANY);
    start(w);
    expect_total(w, 15 * MANY);
}

static void what_fails_at_the_commit_is_found(void **state) {
    struct projection_world *w = world_of(state);
    define(w, "-- projection: deferred\n-- from: counter\n"
              "create table parents (n bigint primary key);\n"
              "insert into parents values (1);\n"
              "create table children (n bigint references parents deferrable initially deferred);\n"
              "-- on: added\ninsert into children values (cast(:data ->> 'n' as bigint));\n"
              "-- query: total\nselect count(*) from children;\n");
    append_many(w, 5);
    uint64_t bad = append_json(w, "counter-a", "added", "{\"n\": 2}");
    append_many(w, 5);
    start(w);
    struct ms_runner_status status = await_state(w, MS_RUNNER_STOPPED);
    assert_int_equal(status.error_position, bad);
    assert_non_null(strstr(status.error, "violates foreign key constraint"));
    struct ms_runner_outcome outcome;
    assert_int_equal(ms_runner_skip(w->runner, bad, &outcome, &w->error), 0);
    assert_int_equal(outcome.applied, 5);
    expect_total(w, 10);
}

/* ---- errors ---- */

static int try_open(struct projection_world *w, const char *conninfo) {
    struct ms_postgres_place place = {.conninfo = conninfo, .schema = "version_one"};
    struct ms_target *target = NULL;
    w->error = (struct ms_error){0};
    int code = ms_postgres_target_open(w->definition, &place, &target, &w->error);
    ms_target_free(target);
    return code;
}

static void no_error_has_what_we_connect_with(void **state) {
    struct projection_world *w = world_of(state);
    char wrong[POSTGRES_WORLD_TEXT_MAX], refused[POSTGRES_WORLD_TEXT_MAX];
    snprintf(wrong, sizeof wrong,
             "host=127.0.0.1 port=%d user=keeper password=hunter22 dbname=secretdb "
             "gssencmode=disable",
             projection_pg.port);
    snprintf(refused, sizeof refused, "postgresql://someuser:hunter22@127.0.0.1:1/secretdb");
    const struct {
        const char *conninfo;
        int code;
        const char *message;
    } cases[] = {
        {wrong, MS_EAGAIN, "password authentication failed"},
        {refused, MS_EAGAIN, "Connection refused"},
        {"host=nowhere.invalid password=hunter22 user=someuser", MS_EAGAIN, "PostgreSQL: "},
        {"host=localhost passwrod=hunter22", MS_EINVAL, "the connection string can't be read"},
        {"postgresql://someuser:hunter22@localhost:secretdb/x", MS_EAGAIN, "PostgreSQL: "},
        {"hunter22 someuser", MS_EINVAL, "the connection string can't be read"},
        {"host=@mainstem-nowhere-secretdb user=someuser", MS_EAGAIN, "PostgreSQL: "},
    };
    static const char *const secrets[] = {"hunter22", "someuser", "secretdb",
                                          "keeper",   "127.0.0",  "nowhere"};
    define(w, counters);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = try_open(w, cases[i].conninfo);
        if (code != cases[i].code || strstr(w->error.message, cases[i].message) == NULL)
            fail_msg("%d %s", code, w->error.message);
        for (size_t s = 0; s < sizeof secrets / sizeof *secrets; s++)
            if (strstr(w->error.message, secrets[s]) != NULL)
                fail_msg("%s", w->error.message);
    }
}

#define HEAD "-- projection: p\n-- from: a\n"
#define GOOD "-- on: t\ninsert into x values (1);\n"

static void a_mistake_is_told_with_its_place(void **state) {
    struct projection_world *w = world_of(state);
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD "create table x (a bigint);\n-- on: t\n"
              "insert into x /* äöü */ values (:position),\n  (:position + nme);\n",
         "t.sql:6:16: column \"nme\" does not exist"},
        {HEAD "create table x (a bigint);\ncreate tabel y (a bigint);\n" GOOD,
         "t.sql:4:8: syntax error at or near \"tabel\""},
        {HEAD "create table x (a bigint);\n" GOOD "-- query: q(v text)\nselect :v, b from x;\n",
         "t.sql:7:12: column \"b\" does not exist"},
        {HEAD "create table x (a bigint);\n-- on: t\ninsert into x values (:key);\n",
         "t.sql:5:23: column \"a\" is of type bigint but expression is of type text"},
        {HEAD "create table mainstem_x (a bigint);\n-- on: t\ninsert into x values (1);\n",
         "t.sql:3:14: 'mainstem_x': names that begin with 'mainstem_' are the server's"},
        {HEAD "create table x (a text);\n-- on: t\n"
              "insert into x select * from pg_read_file ('/etc/passwd');\n",
         "t.sql:5:29: 'pg_read_file': this function is not allowed"},
        {HEAD "create table x (a text);\n-- on: t\ncopy x from program 'id';\n",
         "t.sql:5:1: 'copy': '-- on:' has no such statements on PostgreSQL"},
        {HEAD "create table x (a text);\n" GOOD
              "-- query: q\nselect \"lo_import\"('/etc/passwd');\n",
         "t.sql:7:8: 'lo_import': this function is not allowed"},
        {HEAD "create table x (a text);\n" GOOD
              "-- query: q\nselect U&\"lo\\005fimport\"('/etc/passwd');\n",
         "t.sql:7:8: write this name without U&"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        define(w, cases[i].text);
        w->error = (struct ms_error){0};
        int code = ms_postgres_check(w->definition, w->conninfo, &w->error);
        if (code != MS_EINVAL || strcmp(w->error.message, cases[i].message) != 0)
            fail_msg("%d %s", code, w->error.message);
        ms_projection_definition_free(w->definition);
        w->definition = NULL;
    }
}

static void a_check_leaves_nothing_behind(void **state) {
    struct projection_world *w = world_of(state);
    char answer[POSTGRES_WORLD_TEXT_MAX];
    define(w, counters);
    assert_int_equal(ms_postgres_check(w->definition, w->conninfo, &w->error), 0);
    assert_string_equal(postgres_world_ask(w->conninfo,
                                           "select count(*) from pg_namespace"
                                           " where nspname like 'mainstem%'",
                                           answer),
                        "0");
}

static void a_text_with_nul_is_refused(void **state) {
    struct projection_world *w = world_of(state);
    define(w, HEAD "create table x (a text);\n" GOOD
                   "-- query: q(t text)\nselect a from x where a = :t;\n");
    start(w);
    struct ms_value value = {.kind = MS_VALUE_TEXT, .text = MS_BYTES_LITERAL("a\0b")};
    assert_int_equal(ask_with(w, "q", &value, 0), MS_EINVAL);
    assert_string_equal(w->error.message,
                        "t.sql:7:27: a text has a NUL character, which PostgreSQL can't hold");
}

/* ---- readers ---- */

static void queries_can_not_write(void **state) {
    struct projection_world *w = world_of(state);
    define(w,
           HEAD "create table x (a bigint);\n"
                "create sequence s;\n"
                "create function f() returns bigint language sql\n"
                "  as $$ insert into x values (1) returning a $$;\n" GOOD
                "-- query: deletes\nwith gone as (delete from x returning a) select a from gone;\n"
                "-- query: calls\nselect f();\n"
                "-- query: counts\nselect nextval('s');\n"
                "-- query: lives\nselect count(*) from x;\n");
    start(w);
    static const char *const writing[] = {"deletes", "calls", "counts"};
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
        assert_int_equal(ask_with(w, writing[i], NULL, 0), MS_EINVAL);
        assert_non_null(strstr(w->error.message, "read-only transaction"));
    }
    assert_string_equal(ask(w, "lives"), "0\n");
}

static void values_come_as_what_they_are(void **state) {
    struct projection_world *w = world_of(state);
    define(w,
           HEAD "create table x (a bigint);\n" GOOD "-- query: times\n"
                "select timestamptz '2026-01-31 12:00:00.5+02', timestamp '2026-01-31 12:00:00',\n"
                "       date '2026-01-31', timestamptz 'infinity', interval '1 day 2 hours';\n"
                "-- query: rest\n"
                "select true, 1.5::float4, 'NaN'::float8, 1e20::numeric, 'NaN'::numeric,\n"
                "       '{\"a\":1}'::jsonb, null, '\\x00ff'::bytea, 0.00::numeric, -1::smallint,\n"
                "       0.1::float8 + 0.2::float8;\n");
    start(w);
    assert_string_equal(ask(w, "times"),
                        "2026-01-31T10:00:00.5Z|2026-01-31T12:00:00|2026-01-31|infinity|P1DT2H\n");
    assert_string_equal(ask(w, "rest"), "1|1.5|NaN|100000000000000000000|NaN|{\"a\": 1}||\\x00ff|0|"
                                        "-1|0.3\n");
}

struct counting {
    size_t rows, wanted;
};

static int count_row(void *context, const struct ms_value *values, size_t count) {
    struct counting *counting = context;
    (void)values;
    (void)count;
    return ++counting->rows == counting->wanted;
}

static void an_answer_can_be_enough(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_target_reader *reader;
    uint64_t position;
    define(w, HEAD "create table x (a bigint);\n" GOOD "-- query: endless\n"
                   "with recursive more(n) as (select 1 union all select n + 1 from more)\n"
                   "  select n from more;\n");
    start(w);
    assert_int_equal(ms_runner_reader_new(w->runner, &reader, &w->error), 0);
    for (int i = 0; i < 3; i++) {
        struct counting counting = {.wanted = 5000};
        const struct ms_row_sink sink = {take_columns, count_row, &counting};
        struct ms_query_run run = {.query = &w->definition->queries[0], .bytes_max = 1000};
        if (ms_target_run(reader, &run, &sink, &position, &w->error) != 0)
            fail_msg("%s", w->error.message);
        assert_int_equal(counting.rows, 5000);
    }
    ms_target_reader_free(reader);
}

static void a_reader_outlives_its_server(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_target_reader *reader;
    uint64_t position;
    struct counting counting = {.wanted = 1};
    const struct ms_row_sink sink = {take_columns, count_row, &counting};
    define(w, counters);
    start(w);
    struct ms_query_run run = {.query = &w->definition->queries[0], .bytes_max = 1000};
    assert_int_equal(ms_runner_reader_new(w->runner, &reader, &w->error), 0);
    assert_int_equal(ms_target_run(reader, &run, &sink, &position, &w->error), 0);
    postgres_world_halt(&projection_pg);
    assert_int_equal(ms_target_run(reader, &run, &sink, &position, &w->error), MS_EAGAIN);
    postgres_world_resume(&projection_pg);
    assert_int_equal(ms_target_run(reader, &run, &sink, &position, &w->error), 0);
    ms_target_reader_free(reader);
}

/* A port at which nobody answers: the connection is made, and nothing is said. */
static int mute_listener(char *conninfo, size_t size) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(conninfo, size, "host=127.0.0.1 connect_timeout=3000 port=%u",
             ntohs(address.sin_port));
    return fd;
}

static void *stop_it(void *context) {
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

/* The test would take the connection's 3000 s. */
static void whoever_connects_can_be_stopped(void **state) {
    struct projection_world *w = world_of(state);
    char conninfo[128];
    atomic_bool stopping = false;
    pthread_t stopper;
    int fd = mute_listener(conninfo, sizeof conninfo);
    const struct ms_postgres_door door = {.conninfo = conninfo, .stopping = &stopping};
    struct ms_postgres_db db;
    assert_int_equal(pthread_create(&stopper, NULL, stop_it, &stopping), 0);
    assert_int_equal(ms_postgres_db_open(&db, &door, MS_POSTGRES_WRITER, &w->error), MS_EAGAIN);
    assert_non_null(strstr(w->error.message, "is being stopped"));
    pthread_join(stopper, NULL);
    close(fd);
}

/* ---- published names ---- */

static void publish_version(struct projection_world *w, const char *text, const char *schema) {
    struct ms_postgres_place place = {.conninfo = w->conninfo, .schema = schema};
    struct ms_target *target;
    ms_projection_definition_free(w->definition);
    define(w, text);
    if (ms_postgres_target_open(w->definition, &place, &target, &w->error) != 0 ||
        ms_target_publish(target, &w->error) != 0)
        fail_msg("%s", w->error.message);
    ms_target_free(target);
}

#define SALES "-- projection: sales\n-- from: a\n"

static void published_names_are_stable(void **state) {
    struct projection_world *w = world_of(state);
    char answer[POSTGRES_WORLD_TEXT_MAX];
    publish_version(w,
                    SALES "create table x (a bigint, b text);\ncreate table gone (a bigint);\n"
                          "insert into x values (1, 'one');\n" GOOD,
                    "sales_1");
    postgres_world_run(w->conninfo, "create role outsider login; grant usage on schema sales to"
                                    " outsider; grant select on sales.x to outsider;"
                                    "create table sales.theirs (a bigint)");
    assert_string_equal(postgres_world_ask(w->conninfo, "select b from sales.x", answer), "one");
    publish_version(w,
                    SALES "create table x (b bigint, c text);\ncreate view more as select 7 as n;\n"
                          "insert into x values (2, 'two');\n" GOOD,
                    "sales_2");
    assert_string_equal(
        postgres_world_ask(w->conninfo, "set role outsider; select c || b from sales.x", answer),
        "two2");
    assert_string_equal(
        postgres_world_ask(w->conninfo,
                           "select string_agg(relname, ' ' order by relname) from pg_class"
                           " where relnamespace = 'sales'::regnamespace",
                           answer),
        "more theirs x");
    struct ms_bytes sales = MS_BYTES_LITERAL("sales");
    assert_int_equal(ms_postgres_remove(w->conninfo, "sales_1", sales, &w->error), 0);
    assert_int_equal(ms_postgres_remove(w->conninfo, "sales_1", sales, &w->error), 0);
    assert_int_equal(ms_postgres_remove(w->conninfo, "sales", sales, &w->error), MS_EINVAL);
    assert_string_equal(postgres_world_ask(w->conninfo, "select c from sales.x", answer), "two");
    /* The schema stays while something of others is in it. */
    static const char there[] = "select count(*) from pg_namespace where nspname = 'sales'";
    assert_int_equal(ms_postgres_remove(w->conninfo, "sales_2", sales, &w->error), 0);
    assert_string_equal(postgres_world_ask(w->conninfo, there, answer), "1");
    postgres_world_run(w->conninfo, "drop table sales.theirs");
    assert_int_equal(ms_postgres_remove(w->conninfo, "sales_2", sales, &w->error), 0);
    assert_string_equal(postgres_world_ask(w->conninfo, there, answer), "0");
    postgres_world_run(w->conninfo, "drop owned by outsider; drop role outsider");
}

static void a_name_that_is_taken_is_left_alone(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_postgres_place place = {.conninfo = w->conninfo, .schema = "sales_1"};
    struct ms_target *target;
    define(w, SALES "create table x (a bigint);\n" GOOD);
    postgres_world_run(w->conninfo, "create schema sales; create view sales.x as select 1 as a");
    assert_int_equal(ms_postgres_target_open(w->definition, &place, &target, &w->error), 0);
    assert_int_equal(ms_target_publish(target, &w->error), MS_EINVAL);
    assert_non_null(strstr(w->error.message, "sales.x is there already"));
    ms_target_free(target);
}

static void a_schema_of_others_is_left_alone(void **state) {
    struct projection_world *w = world_of(state);
    define(w, counters);
    postgres_world_run(w->conninfo,
                       "create schema version_one; create table version_one.t (a int)");
    assert_int_equal(try_open(w, w->conninfo), MS_EINVAL);
    assert_non_null(strstr(w->error.message, "no projection's"));
    assert_int_equal(
        ms_postgres_remove(w->conninfo, "version_one", (struct ms_bytes){0}, &w->error), MS_EINVAL);
    postgres_world_run(w->conninfo, "drop table version_one.t");
    assert_int_equal(try_open(w, w->conninfo), 0);
    ms_projection_definition_free(w->definition);
    define(w, HEAD "create table x (a bigint);\n" GOOD);
    assert_int_equal(try_open(w, w->conninfo), MS_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_POSTGRES(a_killed_server_loses_and_repeats_nothing),
        ON_POSTGRES(terminated_sessions_lose_and_repeat_nothing),
        ON_POSTGRES(a_commit_that_never_arrived_is_done_again),
        ON_POSTGRES(a_commit_whose_answer_was_lost_is_not_repeated),
        ON_POSTGRES(a_second_owner_is_noticed_after_a_break),
        ON_POSTGRES(a_database_that_fell_back_is_caught_up),
        ON_POSTGRES(answers_larger_than_all_buffers_do_not_block),
        ON_POSTGRES(what_fails_at_the_commit_is_found),
        ON_POSTGRES(no_error_has_what_we_connect_with),
        ON_POSTGRES(a_mistake_is_told_with_its_place),
        ON_POSTGRES(a_check_leaves_nothing_behind),
        ON_POSTGRES(a_text_with_nul_is_refused),
        ON_POSTGRES(queries_can_not_write),
        ON_POSTGRES(values_come_as_what_they_are),
        ON_POSTGRES(an_answer_can_be_enough),
        ON_POSTGRES(a_reader_outlives_its_server),
        ON_POSTGRES(whoever_connects_can_be_stopped),
        ON_POSTGRES(published_names_are_stable),
        ON_POSTGRES(a_name_that_is_taken_is_left_alone),
        ON_POSTGRES(a_schema_of_others_is_left_alone),
    };
    return cmocka_run_group_tests(tests, projection_group_set_up, projection_group_tear_down);
}
