/* Projections as the server keeps them: deployed, filled beside the old version, switched, switched
 * back, dropped, and the same after a restart, also when the tables don't fit the log any more. */
#include <unistd.h>

#include "projection/projections.h"
#include "projection_world.h"

struct service {
    struct projection_world w;
    struct ms_projections *projections;
};

#define COUNTERS(step)                                                                             \
    "-- projection: counters\n"                                                                    \
    "-- from: counter\n"                                                                           \
    "create table counters (name text primary key, n bigint not null);\n"                          \
    "-- on: added\n"                                                                               \
    "insert into counters values (:key, " step ")\n"                                               \
    "  on conflict (name) do update set n = counters.n + excluded.n;\n"                            \
    "-- query: all\n"                                                                              \
    "select name, n from counters order by name;\n"

static const struct ms_bytes counters = {(const uint8_t *)"counters", 8};

static void open_service(struct service *s) {
    struct ms_projections_options options;
    ms_projections_options_init(&options);
    options.store = s->w.store.store;
    options.dir = s->w.dir;
    if (ms_projections_open(&options, &s->projections, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
}

static void reopen_service(struct service *s) {
    ms_projections_close(s->projections);
    open_service(s);
}

static int set_up(void **state) {
    struct service *s = calloc(1, sizeof *s);
    projection_world_init(&s->w);
    open_service(s);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct service *s = *state;
    ms_projections_close(s->projections);
    projection_world_deinit(&s->w);
    free(s);
    return 0;
}

static unsigned deploy(struct service *s, const char *text) {
    struct ms_deployed deployed;
    if (ms_projections_deploy(s->projections, "c.sql", ms_bytes_cstr(text), counters, false,
                              &deployed, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
    assert_true(ms_bytes_equal_cstr(deployed.name, "counters"));
    return deployed.version;
}

static int take_info(void *context, const struct ms_projection_info *info) {
    struct ms_projection_info *to = context;
    *to = *info;
    return 0;
}

static struct ms_projection_info info_of(struct service *s) {
    struct ms_projection_info info = {0};
    int code = ms_projections_get(s->projections, counters, take_info, &info, &s->w.error);
    assert_true(code == 0 || code == MS_ENOTFOUND);
    return info;
}

static void await_current(struct service *s, unsigned number) {
    for (;;) {
        struct ms_projection_info info = info_of(s);
        if (info.count > 0 && info.versions[0].role == MS_VERSION_CURRENT &&
            info.versions[0].number == number)
            return;
        ms_clock_sleep_us(ms_clock_system(), 1000);
    }
}

/* What the current version answers, once it has applied all there is. */
static const char *answer(struct service *s) {
    const struct ms_row_sink sink = {take_columns, take_row, &s->w.answer};
    struct ms_version *version;
    uint64_t position;
    if (ms_projections_hold(s->projections, counters, &version, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
    struct ms_query_run run = {
        .query = ms_projection_find_query(ms_version_definition(version), ms_bytes_cstr("all")),
        .bytes_max = 1000,
    };
    s->w.runner = ms_version_runner(version);
    await_applied(&s->w);
    s->w.runner = NULL;
    ms_buf_clear(&s->w.answer);
    assert_int_equal(ms_version_run(version, &run, &sink, &position, &s->w.error), 0);
    assert_int_equal(ms_buf_append_u8(&s->w.answer, '\0'), 0);
    ms_version_release(version);
    return (const char *)s->w.answer.data;
}

static void a_changed_file_takes_over_when_it_has_caught_up(void **state) {
    struct service *s = *state;
    for (int i = 0; i < 5; i++)
        append_json(&s->w, "counter-a", "added", "{}");
    assert_int_equal(deploy(s, COUNTERS("1")), 1);
    await_current(s, 1);
    assert_string_equal(answer(s), "a|5\n");
    assert_int_equal(deploy(s, COUNTERS("1")), 1); /* nothing new */
    assert_int_equal(deploy(s, COUNTERS("2")), 2);
    await_current(s, 2);
    append_json(&s->w, "counter-b", "added", "{}");
    assert_string_equal(answer(s), "a|10\nb|2\n");
    assert_int_equal(ms_projections_switch(s->projections, counters, 0, false, &s->w.error), 0);
    assert_string_equal(answer(s), "a|5\nb|1\n");
    assert_int_equal(ms_projections_switch(s->projections, counters, 7, false, &s->w.error),
                     MS_ENOTFOUND);
    reopen_service(s);
    await_current(s, 1);
    assert_string_equal(answer(s), "a|5\nb|1\n");
    assert_int_equal(info_of(s).count, 2);
    assert_int_equal(ms_projections_drop(s->projections, counters, &s->w.error), 0);
    assert_int_equal(info_of(s).count, 0);
    reopen_service(s);
    assert_int_equal(info_of(s).count, 0);
}

static void a_broken_file_changes_nothing(void **state) {
    struct service *s = *state;
    struct ms_deployed deployed;
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    assert_int_equal(ms_projections_deploy(s->projections, "c.sql",
                                           ms_bytes_cstr(COUNTERS("nowhere")), counters, false,
                                           &deployed, &s->w.error),
                     MS_EINVAL);
    assert_string_equal(s->w.error.message, "c.sql:5:36: no such column: nowhere");
    assert_int_equal(info_of(s).count, 1);
    append_json(&s->w, "counter-a", "added", "{}");
    assert_string_equal(answer(s), "a|1\n");
}

static void tables_that_are_gone_are_built_anew(void **state) {
    struct service *s = *state;
    char path[MS_PATH_MAX + 40];
    append_json(&s->w, "counter-a", "added", "{}");
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    ms_projections_close(s->projections);
    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        snprintf(path, sizeof path, "%s/counters/v1.db%s", s->w.dir, suffixes[i]);
        unlink(path);
    }
    open_service(s);
    await_current(s, 2);
    assert_string_equal(answer(s), "a|1\n");
}

static void pausing_survives_a_restart(void **state) {
    struct service *s = *state;
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    assert_int_equal(ms_projections_pause(s->projections, counters, true, &s->w.error), 0);
    reopen_service(s);
    struct ms_projection_info info = info_of(s);
    assert_true(info.paused);
    append_json(&s->w, "counter-a", "added", "{}");
    assert_int_equal(ms_projections_pause(s->projections, counters, false, &s->w.error), 0);
    assert_string_equal(answer(s), "a|1\n");
}

static void rebuilding_fills_the_same_again(void **state) {
    struct service *s = *state;
    struct ms_deployed deployed;
    deploy(s, COUNTERS("1"));
    await_current(s, 1);
    append_json(&s->w, "counter-a", "added", "{}");
    assert_int_equal(ms_projections_rebuild(s->projections, counters, &deployed, &s->w.error), 0);
    assert_int_equal(deployed.version, 2);
    await_current(s, 2);
    assert_string_equal(answer(s), "a|1\n");
    assert_int_equal(
        ms_projections_rebuild(s->projections, ms_bytes_cstr("none"), &deployed, &s->w.error),
        MS_ENOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_changed_file_takes_over_when_it_has_caught_up),
        T(a_broken_file_changes_nothing),
        T(tables_that_are_gone_are_built_anew),
        T(pausing_survives_a_restart),
        T(rebuilding_fills_the_same_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
