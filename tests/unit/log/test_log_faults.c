/* One thing goes wrong, at every place where it can: file operations and allocations. Afterwards a
 * start shows all that was acknowledged and nothing that was refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "support/log_world.h"

#define APPENDS 16u

static size_t len_of(unsigned i) { return i % 4 == 1 ? 150000 : 64 + i * 100; }

/* The script: open, append over several segments, sealing as it goes, close, open, close. */
static void run_script(struct log_world *w) {
    if (log_world_open(w) != 0)
        return;
    for (unsigned i = 0; i < APPENDS; i++) {
        int rc = log_world_put(w, 1 + i % 3, 2, len_of(i) / 3 + 64, false);
        if (rc == 0 && i % 3 != 1) /* groups of one and two */
            ms_log_run(w->log);
        if (i % 4 == 3)
            while (ms_keeper_step(w->log))
                continue;
    }
    ms_log_run(w->log);
    ms_ignore(log_world_close(w));
    if (log_world_open(w) == 0)
        ms_ignore(log_world_close(w));
}

static void check_after(struct log_world *w, const char *what, uint64_t n) {
    int rc = log_world_open(w);
    if (rc != 0)
        fail_msg("%s %llu: opening failed: %s", what, (unsigned long long)n, w->error.message);
    const char *wrong = log_world_check(w);
    if (wrong != NULL)
        fail_msg("%s %llu: %s", what, (unsigned long long)n, wrong);
    for (size_t i = 0; i < w->count; i++)
        if (w->appends[i].sequenced && w->appends[i].answers != 1)
            fail_msg("%s %llu: append %zu was answered %u times", what, (unsigned long long)n, i,
                     w->appends[i].answers);
    assert_true(w->failures <= 2); /* once for each time the log was open */
    assert_int_equal(log_world_append(w, 100), 0);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(log_world_open(w), 0);
    assert_null(log_world_check(w));
}

static uint64_t count_of(enum ms_sim_op op, bool buffered) {
    struct log_world w;
    log_world_init(&w, 1);
    w.options.buffered_writes = buffered;
    run_script(&w);
    uint64_t count = ms_vfs_sim_count(w.world.sim, op);
    log_world_deinit(&w);
    return count;
}

static void fail_each(enum ms_sim_op op, int code, bool sticky, bool buffered) {
    uint64_t count = count_of(op, buffered), step = world_setting("MS_FAULT_STEP", 1);
    assert_true(count > 0 && count < 5000);
    for (uint64_t n = 1; n <= count; n += step) {
        struct log_world w;
        log_world_init(&w, n);
        w.options.buffered_writes = buffered;
        ms_vfs_sim_fail_nth(w.world.sim, op, n, code, sticky);
        run_script(&w);
        ms_vfs_sim_fail_nth(w.world.sim, op, 0, 0, false);
        check_after(&w, ms_error_name(code), n);
        log_world_deinit(&w);
    }
}

static void any_failed_operation_leaves_the_log_sound(void **state) {
    (void)state;
    fail_each(MS_SIM_ANY, MS_EIO, false, false);
    fail_each(MS_SIM_ANY, MS_EIO, false, true);
}

static void storage_that_dies_leaves_the_log_sound(void **state) {
    (void)state;
    fail_each(MS_SIM_ANY, MS_EIO, true, false);
    fail_each(MS_SIM_ANY, MS_EIO, true, true);
}

static void space_that_runs_out_leaves_the_log_sound(void **state) {
    (void)state;
    fail_each(MS_SIM_WRITE, MS_ENOSPC, false, false);
    fail_each(MS_SIM_WRITE, MS_ENOSPC, true, true);
}

static void descriptors_that_run_out_leave_the_log_sound(void **state) {
    (void)state;
    fail_each(MS_SIM_OPEN, MS_ELIMIT, false, false);
    fail_each(MS_SIM_OPEN, MS_ELIMIT, true, true);
}

/* The n-th allocation of each call in turn fails: before = calls that go well. */
static bool fail_allocation(unsigned before, uint64_t n) {
    struct log_world w;
    log_world_init(&w, n);
    unsigned call = 0;
    bool open = false;
    for (unsigned i = 0; i < APPENDS + 4; i++, call++) {
        w.fail_alloc = call == before ? n : 0;
        if (i == 0 || i == APPENDS + 2)
            open = log_world_open(&w) == 0;
        else if (open && (i == APPENDS + 1 || i == APPENDS + 3))
            ms_ignore(log_world_close(&w));
        else if (open && log_world_put(&w, 2, 2, len_of(i) / 2 + 64, false) == 0)
            ms_log_run(w.log);
        w.fail_alloc = 0;
        if (i == APPENDS + 1)
            open = false;
    }
    bool failed = w.alloc_failed;
    if (w.log != NULL)
        ms_ignore(log_world_close(&w));
    check_after(&w, "allocation", n);
    log_world_deinit(&w);
    return failed;
}

static void memory_that_runs_out_leaves_the_log_sound(void **state) {
    (void)state;
    unsigned failures = 0;
    for (unsigned before = 0; before < APPENDS + 4; before++)
        for (uint64_t n = 1; fail_allocation(before, n); n++)
            failures++;
    assert_true(failures > 40);
}

/* Reading: an error, or the right events. */
static void memory_that_runs_out_while_reading_is_only_an_error(void **state) {
    (void)state;
    struct log_world w;
    bool failed = true;
    log_world_init(&w, 1);
    w.options.tail_cache_bytes = 0;
    assert_int_equal(log_world_open(&w), 0);
    for (unsigned i = 0; i < APPENDS; i++)
        assert_int_equal(log_world_append(&w, len_of(i)), 0);
    for (uint64_t n = 1; failed; n++) {
        struct ms_log_cursor cursor;
        struct ms_log_entry entry;
        int rc;
        uint64_t position = 0;
        ms_log_cursor_init(&cursor, w.log, 0);
        ms_alloc_fail_nth(n);
        while ((rc = ms_log_cursor_next(&cursor, &entry, NULL)) > 0)
            assert_int_equal(entry.header.first_position, position++);
        failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(rc, failed ? MS_ENOMEM : 0);
        while ((rc = ms_log_cursor_next(&cursor, &entry, NULL)) > 0) /* and again */
            assert_int_equal(entry.header.first_position, position++);
        assert_int_equal(rc, 0);
        assert_int_equal(position, APPENDS);
        ms_log_cursor_deinit(&cursor);
    }
    log_world_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_failed_operation_leaves_the_log_sound),
        cmocka_unit_test(storage_that_dies_leaves_the_log_sound),
        cmocka_unit_test(space_that_runs_out_leaves_the_log_sound),
        cmocka_unit_test(descriptors_that_run_out_leave_the_log_sound),
        cmocka_unit_test(memory_that_runs_out_leaves_the_log_sound),
        cmocka_unit_test(memory_that_runs_out_while_reading_is_only_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
