/*
 * A log that is opened and closed again and again without an append between: every start leaves a
 * mark, and marks have no positions. A segment full of them can't be followed by another, which
 * would have the same name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/recovery.h"
#include "support/log_world.h"

static void assert_good(struct log_world *w) {
    const char *wrong = log_world_check(w);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

/* Clean stops and deaths by turns; the epoch always goes up. */
static void start_idly(struct log_world *w, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        if (log_world_open(w) != 0)
            fail_msg("start %u: %s", i, w->error.message);
        uint32_t epoch = w->log->epoch;
        if (i % 3 == 0)
            log_world_abandon(w);
        else
            assert_int_equal(log_world_close(w), 0);
        assert_int_equal(log_world_open(w), 0);
        assert_true(w->log->epoch > epoch);
        log_world_abandon(w);
    }
}

static void append_and_check(struct log_world *w, size_t value_len) {
    assert_int_equal(log_world_open(w), 0);
    while (ms_keeper_step(w->log))
        continue;
    assert_int_equal(log_world_append(w, value_len), 0);
    assert_good(w);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    assert_int_equal(log_world_close(w), 0);
}

/* The smallest segments there can be: few marks crowd them. */
static void set_smallest_segments(struct log_world *w) {
    uint64_t least = w->options.append_bytes_max * 9 / 8 + MS_MARKS_ROOM;
    w->options.segment_bytes = MS_BLOCK_ALIGN;
    while (w->options.segment_bytes < ms_segment_footer_bytes(w->options.segment_bytes) + least)
        w->options.segment_bytes += MS_BLOCK_ALIGN;
}

static void idle_starts_use_up_no_segment(void **state) {
    (void)state;
    struct log_world w;
    log_world_init(&w, 1);
    set_smallest_segments(&w); /* of less than 100 blocks; each turn leaves two or three marks */
    start_idly(&w, 60);
    append_and_check(&w, 200);
    start_idly(&w, 60); /* beyond this segment's end, into one that holds no event */
    append_and_check(&w, 200);
    assert_int_equal(w.count, 2);
    log_world_deinit(&w);
}

static void the_largest_append_fits_behind_marks(void **state) {
    (void)state;
    for (unsigned starts = 1; starts < 12; starts++) {
        struct log_world w;
        log_world_init(&w, starts);
        set_smallest_segments(&w);
        start_idly(&w, starts);
        append_and_check(&w, w.options.append_bytes_max - 1000);
        append_and_check(&w, w.options.append_bytes_max - 1000);
        log_world_deinit(&w);
    }
}

/* The power is cut at each operation of starts, one of which empties the segment. */
static bool cut_while_beginning_again(uint64_t n, enum ms_sim_cut how) {
    struct log_world w;
    log_world_init(&w, n);
    set_smallest_segments(&w);
    start_idly(&w, 3);
    ms_vfs_sim_cut_at(w.world.sim, n);
    uint64_t offset = 0;
    bool emptied = false;
    while (!emptied && log_world_open(&w) == 0) {
        emptied = w.log->active_offset < offset;
        offset = w.log->active_offset;
        log_world_abandon(&w);
    }
    bool was_cut = ms_vfs_sim_is_cut(w.world.sim);
    assert_true(was_cut || emptied);
    ms_vfs_sim_cut(w.world.sim, how);
    log_world_abandon(&w);
    append_and_check(&w, 200);
    log_world_deinit(&w);
    return was_cut;
}

static void cuts_while_a_segment_begins_again(void **state) {
    (void)state;
    uint64_t n = 1, step = world_setting("MS_CUT_STEP", 1);
    while (cut_while_beginning_again(n, MS_SIM_CUT_LOSE_ALL))
        n += step;
    for (uint64_t i = 1; i <= n; i += step) {
        (void)cut_while_beginning_again(i, MS_SIM_CUT_KEEP_ALL);
        for (int again = 0; again < 2; again++)
            (void)cut_while_beginning_again(i, MS_SIM_CUT_RANDOM);
    }
    assert_true(n > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_starts_use_up_no_segment),
        cmocka_unit_test(the_largest_append_fits_behind_marks),
        cmocka_unit_test(cuts_while_a_segment_begins_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
