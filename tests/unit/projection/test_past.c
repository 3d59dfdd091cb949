/* Honest about the past: where events that a projection needs were scavenged it is
 * refused, with topic and positions, unless that is allowed, and then it is remembered. */
#include <unistd.h>

#include "service_world.h"
#include "store/topic_records.h"

/* The other topic is no business of it. */
#define OTHER(source)                                                                              \
    "-- projection: counters\n"                                                                    \
    "-- from: " source "\n"                                                                        \
    "create table counters (name text primary key, n bigint not null);\n"                          \
    "-- on: added\n"                                                                               \
    "insert into counters values (:stream, 1)\n"                                                   \
    "  on conflict (name) do update set n = counters.n + 1;\n"                                     \
    "-- query: all\n"                                                                              \
    "select name, n from counters order by name;\n"

static void truncate_stream(struct service *s, const char *stream, int version) {
    char json[32];
    snprintf(json, sizeof json, "{\"$tb\":%d}", version);
    assert_int_equal(store_put_metadata(&s->w.store, stream, ANY, json).code, 0);
}

static void scavenge_all(struct service *s, uint64_t removed) {
    fill_segment(&s->w.store);
    assert_int_equal(scavenge_store(&s->w.store, true), removed);
}

/* Three events of counter-a, the first two of which are gone. */
static void lose_two(struct service *s, uint64_t *ret_first, uint64_t *ret_last) {
    *ret_first = append_json(&s->w, "counter-a", "added", "{}");
    append_json(&s->w, "else-a", "added", "{}");
    *ret_last = append_json(&s->w, "counter-a", "added", "{}");
    append_json(&s->w, "counter-a", "added", "{}");
    truncate_stream(s, "counter-a", 2);
    scavenge_all(s, 2);
}

static int try_deploy(struct service *s, const char *text, unsigned how) {
    struct ms_deployed deployed;
    return ms_projections_deploy(s->projections, "c.sql", ms_bytes_cstr(text), counters, how,
                                 &deployed, &s->w.error);
}

static void expect_said(struct service *s, uint64_t first, uint64_t last) {
    char text[128];
    snprintf(text, sizeof text,
             "events of topic 'counter' at positions %llu to %llu were scavenged",
             (unsigned long long)first, (unsigned long long)last);
    if (strstr(s->w.error.message, text) == NULL)
        fail_msg("%s", s->w.error.message);
}

static void expect_missing(const struct ms_missing *missing, uint64_t first, uint64_t last) {
    assert_true(missing->any);
    assert_string_equal(missing->topic, "counter");
    assert_int_equal(missing->first, first);
    assert_int_equal(missing->last, last);
}

/* ---- deploying ---- */

static void deploying_over_a_loss_is_refused_unless_allowed(void **state) {
    struct service *s = *state;
    uint64_t first, last;
    lose_two(s, &first, &last);
    assert_int_equal(try_deploy(s, COUNTERS("1"), 0), MS_EINCOMPLETE);
    expect_said(s, first, last);
    assert_int_equal(info_of(s).count, 0); /* nothing of it is there */
    assert_int_equal(try_deploy(s, COUNTERS("1"), MS_DEPLOY_INCOMPLETE), 0);
    await_current(s, 1);
    assert_string_equal(answer(s), "a|1\n");
    for (int i = 0; i < 2; i++) {
        struct ms_projection_info info = info_of(s);
        assert_true(info.versions[0].allow_incomplete);
        assert_int_equal(info.versions[0].first_needed, first);
        expect_missing(&info.versions[0].missing, first, last);
        assert_false(info.versions[0].ahead.any);
        reopen_service(s);
        await_current(s, 1);
    }
}

static void sources_say_what_is_needed(void **state) {
    static const struct {
        const char *file;
        bool needs;
    } rows[] = {
        {OTHER("counter"), true},
        {OTHER("else"), false},
        {OTHER("count*"), true},
        {OTHER("el*"), false},
        {OTHER("stream:counter-b"), true},
        {OTHER("stream:else-a"), false},
        {OTHER("stream:co*"), true},
        {OTHER("stream:counter-x*"), true},
        {OTHER("stream:counterx*"), false},
        {OTHER("stream:alone"), false},
        {OTHER("type:added"), true},
        {OTHER("*"), true},
        {OTHER("else, stream:counter-a"), true},
    };
    struct service *s = *state;
    uint64_t first, last;
    lose_two(s, &first, &last);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int code = try_deploy(s, rows[i].file, 0);
        if (code != (rows[i].needs ? MS_EINCOMPLETE : 0))
            fail_msg("%s: %d %s", rows[i].file, code, s->w.error.message);
    }
}

static void rebuilding_over_a_loss_is_refused_unless_allowed(void **state) {
    struct service *s = *state;
    struct ms_deployed deployed;
    uint64_t first, last;
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    first = append_json(&s->w, "counter-a", "added", "{}");
    last = append_json(&s->w, "counter-a", "added", "{}");
    assert_string_equal(answer(s), "a|2\n");
    truncate_stream(s, "counter-a", 2);
    scavenge_all(s, 2);
    append_json(&s->w, "counter-a", "added", "{}");
    assert_string_equal(answer(s), "a|3\n"); /* it has what is gone */
    assert_false(info_of(s).versions[0].missing.any);
    assert_int_equal(
        ms_projections_rebuild(s->projections, counters, false, &deployed, &s->w.error),
        MS_EINCOMPLETE);
    expect_said(s, first, last);
    assert_string_equal(answer(s), "a|3\n");
    assert_int_equal(ms_projections_rebuild(s->projections, counters, true, &deployed, &s->w.error),
                     0);
    await_current(s, 2);
    assert_string_equal(answer(s), "a|1\n");
    expect_missing(&info_of(s).versions[0].missing, first, last);
}

/* ---- starts ---- */

static void remove_tables(struct service *s, unsigned version) {
    char path[MS_PATH_MAX + 48];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/counters/v%u.db%s", s->w.dir, version, suffixes[i]);
        unlink(path);
    }
}

static void tables_that_are_gone_are_not_silently_built_from_less(void **state) {
    struct service *s = *state;
    deploy(s, COUNTERS("1"));
    uint64_t first = append_json(&s->w, "counter-a", "added", "{}");
    uint64_t last = append_json(&s->w, "counter-a", "added", "{}");
    await_current(s, 1);
    assert_string_equal(answer(s), "a|2\n");
    truncate_stream(s, "counter-a", 2);
    scavenge_all(s, 2);
    ms_projections_close(s->projections);
    remove_tables(s, 1);
    open_service(s);
    struct ms_projection_info info = info_of(s);
    assert_int_equal(info.count, 1);
    assert_false(info.versions[0].running);
    assert_non_null(strstr(info.versions[0].status.error, "topic 'counter'"));
    expect_missing(&info.versions[0].ahead, first, last);
    assert_int_equal(ms_projections_allow_incomplete(s->projections, counters, &s->w.error), 0);
    await_current(s, 2);
    assert_string_equal(answer(s), "");
    append_json(&s->w, "counter-a", "added", "{}");
    assert_string_equal(answer(s), "a|1\n");
}

static void what_was_allowed_stays_allowed_at_a_start(void **state) {
    struct service *s = *state;
    uint64_t first, last;
    lose_two(s, &first, &last);
    assert_int_equal(try_deploy(s, COUNTERS("1"), MS_DEPLOY_INCOMPLETE), 0);
    await_current(s, 1);
    ms_projections_close(s->projections);
    remove_tables(s, 1);
    open_service(s);
    await_current(s, 2);
    assert_string_equal(answer(s), "a|1\n");
    expect_missing(&info_of(s).versions[0].missing, first, last);
}

/* ---- losses ahead of a version ---- */

static struct ms_projection_info await_ahead(struct service *s, bool any) {
    for (;;) {
        struct ms_projection_info info = info_of(s);
        if (info.versions[0].ahead.any == any)
            return info;
        ms_clock_sleep_us(ms_clock_system(), 1000);
    }
}

static struct ms_projection_info await_incomplete(struct service *s) {
    for (;;) {
        struct ms_projection_info info = info_of(s);
        if (info.versions[0].status.state == MS_RUNNER_INCOMPLETE)
            return info;
        ms_clock_sleep_us(ms_clock_system(), 1000);
    }
}

static bool health_says(struct service *s, const char *what) {
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_projections_health(s->projections, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, '\0'), 0);
    bool says = strstr((const char *)out.data, what) != NULL;
    ms_buf_deinit(&out);
    return says;
}

static bool metrics_say(struct service *s, const char *what) {
    struct ms_buf out;
    ms_buf_init(&out, 65536);
    assert_int_equal(ms_projections_metrics(s->projections, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, '\0'), 0);
    bool says = strstr((const char *)out.data, what) != NULL;
    ms_buf_deinit(&out);
    return says;
}

/* Paused behind the first event; the second and third go. */
static void pass_checkpoint(struct service *s, uint64_t *ret_first, uint64_t *ret_last) {
    deploy(s, COUNTERS("1"));
    append_json(&s->w, "counter-a", "added", "{}");
    await_current(s, 1);
    assert_string_equal(answer(s), "a|1\n");
    assert_int_equal(ms_projections_pause(s->projections, counters, true, &s->w.error), 0);
    *ret_first = append_json(&s->w, "counter-a", "added", "{}");
    *ret_last = append_json(&s->w, "counter-a", "added", "{}");
    append_json(&s->w, "counter-a", "added", "{}");
    truncate_stream(s, "counter-a", 3);
    fill_segment(&s->w.store);
    assert_false(info_of(s).versions[0].ahead.any);
    assert_int_equal(scavenge_store(&s->w.store, true), 3);
}

static void a_paused_one_that_was_passed_is_told_and_does_not_go_on(void **state) {
    struct service *s = *state;
    uint64_t first, last;
    char text[128];
    pass_checkpoint(s, &first, &last);
    struct ms_projection_info info = await_ahead(s, true);
    assert_int_equal(info.versions[0].ahead.last, last);
    snprintf(text, sizeof text, "to %llu were scavenged before it has applied them",
             (unsigned long long)last);
    assert_true(health_says(s, "projection 'counters' version 1 needs what is gone"));
    assert_true(health_says(s, "topic 'counter'"));
    assert_true(health_says(s, text));
    assert_true(metrics_say(s, "mainstem_projection_scavenged_ahead{projection=\"counters\","
                               "version=\"1\",role=\"current\"} 1"));
    assert_int_equal(ms_projections_pause(s->projections, counters, false, &s->w.error), 0);
    for (int i = 0; i < 2; i++) {
        info = await_incomplete(s);
        assert_non_null(strstr(info.versions[0].status.error, "topic 'counter'"));
        assert_true(info.versions[0].ahead.any);
        assert_false(info.versions[0].missing.any);
        reopen_service(s);
    }
}

static int count_event(void *context, const struct ms_read_event *event) {
    size_t *count = context;
    *count += ms_bytes_equal_cstr(event->event.type, "projection.incomplete");
    return 0;
}

/* Until the keeper has told the log. */
static void await_noted(struct service *s) {
    struct ms_stream_read read = {.stream = MS_BYTES_LITERAL("$apps-counters"), .limit = 1000};
    struct ms_stream_read_result result;
    for (size_t count = 0; count == 0; ms_clock_sleep_us(ms_clock_system(), 1000))
        assert_int_equal(ms_store_read_stream(s->w.store.store, &read, count_event, &count, &result,
                                              &s->w.error),
                         0);
}

static void one_that_was_passed_goes_on_when_that_is_allowed(void **state) {
    struct service *s = *state;
    uint64_t first, last;
    pass_checkpoint(s, &first, &last);
    assert_int_equal(ms_projections_pause(s->projections, counters, false, &s->w.error), 0);
    await_incomplete(s);
    assert_int_equal(ms_projections_allow_incomplete(s->projections, counters, &s->w.error), 0);
    assert_string_equal(answer(s), "a|2\n"); /* the first and the last */
    await_ahead(s, false);
    for (int i = 0; i < 2; i++) {
        struct ms_projection_info info = info_of(s);
        assert_int_equal(info.versions[0].missing.last, last);
        assert_true(metrics_say(s, "mainstem_projection_incomplete{projection=\"counters\","
                                   "version=\"1\",role=\"current\"} 1"));
        await_noted(s); /* then it is known after a restart */
        reopen_service(s);
    }
}

/* What nothing was needed of is not looked for again after a restart. */
static void a_loss_behind_a_live_one_is_none_of_its(void **state) {
    struct service *s = *state;
    deploy(s, COUNTERS("1"));
    append_json(&s->w, "counter-a", "added", "{}");
    await_current(s, 1);
    append_json(&s->w, "counter-a", "looked_at", "{}"); /* no section takes it */
    assert_string_equal(answer(s), "a|1\n");
    truncate_stream(s, "counter-a", 2);
    scavenge_all(s, 2);
    assert_string_equal(answer(s), "a|1\n");
    for (int i = 0; i < 2; i++) {
        reopen_service(s);
        append_json(&s->w, "counter-b", "added", "{}");
        assert_string_equal(answer(s), i == 0 ? "a|1\nb|1\n" : "a|1\nb|2\n");
        assert_false(info_of(s).versions[0].ahead.any);
        assert_false(info_of(s).versions[0].missing.any);
    }
}

/* The tables are as far as the checkpoint says, and what comes next is gone: also when that was
 * found out in the middle of filling. */
static void a_loss_while_it_fills_is_noticed(void **state) {
    struct service *s = *state;
    uint64_t first, last;
    lose_two(s, &first, &last);
    struct ms_projection_definition *definition;
    assert_int_equal(
        ms_projection_parse("c.sql", ms_bytes_cstr(COUNTERS("1")), NULL, &definition, &s->w.error),
        0);
    s->w.definition = definition;
    start(&s->w); /* without the question that deploying asks */
    struct ms_runner_status status = await_state(&s->w, MS_RUNNER_INCOMPLETE);
    expect_missing(&status.ahead, first, last);
    assert_int_equal(status.applied, 0);
    assert_string_equal(ask(&s->w, "all"), "");
    assert_int_equal(ms_runner_allow_incomplete(s->w.runner, &s->w.error), 0);
    await_applied(&s->w);
    assert_string_equal(ask(&s->w, "all"), "a|1\n");
    ms_runner_status(s->w.runner, &status);
    expect_missing(&status.missing, first, last);
    assert_false(status.ahead.any);
}

/* ---- time travel ---- */

static int ask_past(struct service *s, struct ms_travel travel) {
    const struct ms_row_sink sink = {take_columns, take_row, &s->w.answer};
    struct ms_version *version;
    uint64_t position;
    assert_int_equal(ms_projections_hold(s->projections, counters, &version, &s->w.error), 0);
    struct ms_query_run run = {
        .query = ms_projection_find_query(ms_version_definition(version), ms_bytes_cstr("all")),
        .bytes_max = 1000,
    };
    ms_buf_clear(&s->w.answer);
    int code = ms_projections_run_past(s->projections, version, &travel, &run, &sink, &position,
                                       &s->w.error);
    assert_int_equal(ms_buf_append_u8(&s->w.answer, '\0'), 0);
    ms_version_release(version);
    return code;
}

static struct ms_travel as_of(uint64_t position, bool allow_incomplete) {
    return (struct ms_travel){{.kind = MS_AS_OF_POSITION, .position = position}, allow_incomplete};
}

static void the_past_is_refused_from_where_it_is_gone(void **state) {
    struct service *s = *state;
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    uint64_t kept = append_json(&s->w, "counter-b", "added", "{}");
    uint64_t first = append_json(&s->w, "counter-a", "added", "{}");
    uint64_t last = append_json(&s->w, "counter-a", "added", "{}");
    assert_string_equal(answer(s), "a|2\nb|1\n");
    assert_int_equal(ask_past(s, as_of(first, false)), 0); /* folded while it was there: kept */
    truncate_stream(s, "counter-a", 2);
    scavenge_all(s, 2);
    assert_int_equal(ask_past(s, as_of(first, false)), 0);
    assert_string_equal((const char *)s->w.answer.data, "a|1\nb|1\n");
    assert_int_equal(ask_past(s, as_of(kept, false)), 0); /* before anything is gone */
    assert_string_equal((const char *)s->w.answer.data, "b|1\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask_past(s, as_of(last, false)), MS_EINCOMPLETE);
        expect_said(s, first, last);
        assert_int_equal(ask_past(s, as_of(last, true)), 0); /* and kept for the next, … */
        assert_string_equal((const char *)s->w.answer.data, "b|1\n");
    } /* … who is refused all the same */
    struct ms_travel now = {{.kind = MS_KNOWN_AT, .time_ms = INT64_MAX / 2}, false};
    assert_int_equal(ask_past(s, now), MS_EINCOMPLETE);
    now.to.kind = MS_AS_OF_TIME;
    assert_int_equal(ask_past(s, now), MS_EINCOMPLETE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(deploying_over_a_loss_is_refused_unless_allowed),
        T(sources_say_what_is_needed),
        T(rebuilding_over_a_loss_is_refused_unless_allowed),
        T(tables_that_are_gone_are_not_silently_built_from_less),
        T(what_was_allowed_stays_allowed_at_a_start),
        T(a_paused_one_that_was_passed_is_told_and_does_not_go_on),
        T(one_that_was_passed_goes_on_when_that_is_allowed),
        T(a_loss_behind_a_live_one_is_none_of_its),
        T(a_loss_while_it_fills_is_noticed),
        T(the_past_is_refused_from_where_it_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
