/* Projections as the server keeps them: deployed, filled beside the old version, switched, switched
 * back, dropped, and the same after a restart, also when the tables don't fit the log any more. */
#include <unistd.h>

#include "service_world.h"

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
    assert_int_equal(
        ms_projections_rebuild(s->projections, counters, false, &deployed, &s->w.error), 0);
    assert_int_equal(deployed.version, 2);
    await_current(s, 2);
    assert_string_equal(answer(s), "a|1\n");
    assert_int_equal(ms_projections_rebuild(s->projections, ms_bytes_cstr("none"), false, &deployed,
                                            &s->w.error),
                     MS_ENOTFOUND);
}

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
