/* A runner with either database: what is in the tables is what the log says, once; events that
 * can't be applied stop it or are set aside. */
#include "projection_world.h"

static const char counters[] = "-- projection: counters\n"
                               "-- from: counter\n"
                               "create table counters (name text primary key, n bigint not null);\n"
                               "-- on: added\n"
                               "insert into counters values (:key, cast(:data ->> 'n' as bigint))\n"
                               "  on conflict (name) do update set n = counters.n + excluded.n;\n"
                               "-- query: all\n"
                               "select name, n from counters order by name;\n";

static const char strict_counters[] =
    "-- projection: counters\n"
    "-- from: counter\n"
    "-- on-error: park\n"
    "create table counters (name text primary key, n bigint not null check (n < 100));\n"
    "-- on: added\n"
    "insert into counters values (:key, cast(:data ->> 'n' as bigint))\n"
    "  on conflict (name) do update set n = counters.n + excluded.n;\n"
    "-- query: all\n"
    "select name, n from counters order by name;\n"
    "-- query: parked\n"
    "select stream, position, error <> '' from mainstem_parked order by position;\n"
    "-- query: commits\n"
    "select generation from mainstem_checkpoint;\n";

static const char stopping_counters[] =
    "-- projection: counters\n"
    "-- from: counter\n"
    "create table counters (name text primary key, n bigint not null check (n < 100));\n"
    "-- on: added\n"
    "insert into counters values (:key, cast(:data ->> 'n' as bigint))\n"
    "  on conflict (name) do update set n = counters.n + excluded.n;\n"
    "-- query: all\n"
    "select name, n from counters order by name;\n";

static void what_is_appended_is_applied_once(void **state) {
    struct projection_world *w = world_of(state);
    define(w, counters);
    for (int i = 0; i < 10; i++)
        append_json(w, i % 2 ? "counter-a" : "counter-b", "added", "{\"n\": 1}");
    start(w);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|5\nb|5\n");
    append_json(w, "counter-a", "added", "{\"n\": 10}");
    append_json(w, "other-a", "added", "{\"n\": 10}");
    append_json(w, "counter-a", "removed", "{\"n\": 10}");
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|15\nb|5\n");
    stop(w);
    append_json(w, "counter-c", "added", "{\"n\": 1}");
    start(w);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|15\nb|5\nc|1\n");
}

static void a_bad_event_stops_it_until_it_is_skipped(void **state) {
    struct projection_world *w = world_of(state);
    define(w, stopping_counters);
    append_json(w, "counter-a", "added", "{\"n\": 1}");
    uint64_t bad = append_json(w, "counter-a", "added", "{\"n\": 100}");
    append_json(w, "counter-b", "added", "{\"n\": 2}");
    start(w);
    struct ms_runner_status status = await_state(w, MS_RUNNER_STOPPED);
    assert_int_equal(status.error_position, bad);
    assert_non_null(strstr(status.error, w->target == MS_SQL_SQLITE
                                             ? "t.sql:5:1: CHECK constraint failed"
                                             : "t.sql:5:1: new row for relation \"counters\""));
    assert_string_equal(ask(w, "all"), "a|1\n");
    struct ms_runner_outcome outcome;
    assert_int_equal(ms_runner_retry(w->runner, (struct ms_bytes){0}, &outcome, &w->error),
                     MS_ENOTAPPLIED);
    assert_int_equal(outcome.applied, 0);
    assert_int_equal(outcome.position, bad);
    assert_string_equal(w->error.message, status.error);
    assert_int_equal(ms_runner_skip(w->runner, bad + 1, &outcome, &w->error), MS_ENOTFOUND);
    assert_int_equal(ms_runner_skip(w->runner, bad, &outcome, &w->error), 0);
    assert_int_equal(outcome.applied, 1);
    assert_string_equal(ask(w, "all"), "a|1\nb|2\n");
    stop(w);
    start(w);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|1\nb|2\n");
}

static void whoever_skips_is_told_of_the_next_bad_event(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_runner_outcome outcome;
    uint64_t bad[3];
    define(w, stopping_counters);
    for (int i = 0; i < 3; i++) {
        append_json(w, "counter-a", "added", "{\"n\": 1}");
        bad[i] = append_json(w, "counter-a", "added", "{\"n\": 100}");
    }
    start(w);
    await_state(w, MS_RUNNER_STOPPED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ms_runner_skip(w->runner, bad[i], &outcome, &w->error), MS_ENOTAPPLIED);
        assert_int_equal(outcome.applied, 1);
        assert_int_equal(outcome.position, bad[i + 1]);
    }
    assert_int_equal(ms_runner_skip(w->runner, bad[2], &outcome, &w->error), 0);
    assert_int_equal(outcome.applied, 0);
    assert_string_equal(ask(w, "all"), "a|3\n");
}

static void nobody_waits_for_a_runner_that_is_going(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_runner_outcome outcome;
    define(w, stopping_counters);
    append_json(w, "counter-a", "added", "{\"n\": 100}");
    start(w);
    await_state(w, MS_RUNNER_STOPPED);
    assert_int_equal(ms_runner_pause(w->runner, true, &w->error), 0);
    assert_int_equal(ms_runner_retry(w->runner, (struct ms_bytes){0}, &outcome, &w->error),
                     MS_ENOTFOUND);
    ms_runner_retire(w->runner); /* nobody waits for one that is going */
    assert_int_equal(ms_runner_pause(w->runner, false, &w->error), 0);
    await_state(w, MS_RUNNER_STOPPED);
    int code = ms_runner_retry(w->runner, (struct ms_bytes){0}, &outcome, &w->error);
    assert_true(code == MS_EAGAIN || code == MS_ENOTAPPLIED);
}

static void what_is_parked_holds_back_its_stream_only(void **state) {
    struct projection_world *w = world_of(state);
    struct ms_runner_outcome outcome;
    define(w, strict_counters);
    append_json(w, "counter-a", "added", "{\"n\": 60}");
    start(w);
    await_state(w, MS_RUNNER_LIVE);
    uint64_t bad = append_json(w, "counter-a", "added", "{\"n\": 60}");
    append_json(w, "counter-a", "added", "{\"n\": 1}");
    append_json(w, "counter-b", "added", "{\"n\": 2}");
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|60\nb|2\n");
    char expected[100];
    snprintf(expected, sizeof expected, "counter-a|%d|1\ncounter-a|%d|0\n", (int)bad, (int)bad + 1);
    assert_string_equal(ask(w, "parked"), expected);
    stop(w); /* what is parked is known after a restart too */
    start(w);
    append_json(w, "counter-a", "added", "{\"n\": 2}");
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|60\nb|2\n");
    assert_int_equal(ms_runner_retry(w->runner, ms_bytes_cstr("counter-a"), &outcome, &w->error),
                     MS_ENOTAPPLIED);
    assert_int_equal(outcome.applied, 0);
    assert_int_equal(outcome.position, bad);
    assert_int_equal(ms_runner_retry(w->runner, ms_bytes_cstr("counter-b"), &outcome, &w->error),
                     MS_ENOTFOUND);
    assert_int_equal(ms_runner_skip(w->runner, bad, &outcome, &w->error), 0);
    assert_int_equal(outcome.applied, 2);
    assert_string_equal(ask(w, "all"), "a|63\nb|2\n");
    assert_string_equal(ask(w, "parked"), "");
    append_json(w, "counter-a", "added", "{\"n\": 3}");
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|66\nb|2\n");
}

static void bad_events_among_many_cost_few_commits(void **state) {
    struct projection_world *w = world_of(state);
    enum { MANY = 200 };
    char stream[32], expected[100];
    uint64_t bad[2] = {0}, commits;
    define(w, strict_counters);
    start(w);
    await_state(w, MS_RUNNER_LIVE);
    assert_int_equal(ms_runner_pause(w->runner, true, &w->error), 0);
    for (int i = 0; i < MANY; i++) {
        bool is_bad = i == MANY / 4 || i == MANY - 3;
        snprintf(stream, sizeof stream, "counter-%03d", i);
        uint64_t position = append_json(w, stream, "added", is_bad ? "{\"n\": 100}" : "{\"n\": 1}");
        if (is_bad)
            bad[i > MANY / 2] = position;
    }
    assert_int_equal(ms_runner_pause(w->runner, false, &w->error), 0);
    await_applied(w);
    snprintf(expected, sizeof expected, "counter-050|%d|1\ncounter-197|%d|1\n", (int)bad[0],
             (int)bad[1]);
    assert_string_equal(ask(w, "parked"), expected);
    const char *rows = ask(w, "all");
    assert_int_equal(strlen(rows), (MANY - 2) * strlen("000|1\n"));
    struct ms_bytes answer = ms_bytes_cstr(ask(w, "commits"));
    answer.len--; /* the line feed */
    assert_int_equal(ms_parse_u64(answer, &commits), 0);
    assert_in_range(commits, 1, 15);
}

static void a_second_owner_is_noticed(void **state) {
    struct projection_world *w = world_of(state);
    define(w, counters);
    append_json(w, "counter-a", "added", "{\"n\": 1}");
    struct ms_target *other = open_target(w);
    start(w);
    await_applied(w);
    struct ms_checkpoint to = {.position = 5};
    assert_int_equal(ms_target_begin(other, &w->error), 0);
    assert_int_equal(ms_target_commit(other, &to, &w->error), MS_EFENCED);
    ms_target_free(other);
    assert_string_equal(ask(w, "all"), "a|1\n");
}

static void a_paused_one_waits(void **state) {
    struct projection_world *w = world_of(state);
    define(w, counters);
    start(w);
    await_state(w, MS_RUNNER_LIVE);
    assert_int_equal(ms_runner_pause(w->runner, true, &w->error), 0);
    append_json(w, "counter-a", "added", "{\"n\": 1}");
    assert_int_equal(await_state(w, MS_RUNNER_PAUSED).applied, 0);
    assert_string_equal(ask(w, "all"), "");
    assert_int_equal(ms_runner_pause(w->runner, false, &w->error), 0);
    await_applied(w);
    assert_string_equal(ask(w, "all"), "a|1\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_is_appended_is_applied_once),
        ON_BOTH(a_bad_event_stops_it_until_it_is_skipped),
        ON_BOTH(whoever_skips_is_told_of_the_next_bad_event),
        ON_BOTH(nobody_waits_for_a_runner_that_is_going),
        ON_BOTH(what_is_parked_holds_back_its_stream_only),
        ON_BOTH(bad_events_among_many_cost_few_commits),
        ON_BOTH(a_second_owner_is_noticed),
        ON_BOTH(a_paused_one_waits),
    };
    return cmocka_run_group_tests(tests, projection_group_set_up, projection_group_tear_down);
}
