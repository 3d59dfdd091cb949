/* Rewriting sealed segments: what stays where, what a crash leaves, what readers see meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

#define VALUE 60000

static int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 1);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What a visitor does: every `drop_every`-th append goes (0 none), and it stops at the n-th. */
struct plan {
    uint64_t drop_every;
    uint64_t stop_at; /* visits; 0 never */
    uint64_t visits;
    bool stop;
};

static int visit(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                 struct ms_error *err) {
    struct plan *plan = context;
    if (++plan->visits == plan->stop_at)
        return ms_error_set(err, MS_ECANCELED, "enough");
    if (plan->drop_every == 0 || entry->header.first_position % plan->drop_every != 0)
        *ret_batch = entry->batch;
    return 0;
}

static bool stop(void *context) { return ((struct plan *)context)->stop; }

static int rewrite(struct log_world *w, uint64_t segment, struct plan *plan,
                   struct ms_rewrite_result *ret_result) {
    struct ms_rewrite_options options = {
        .segment = segment,
        .visit = visit,
        .context = plan,
        .stop = stop,
        .keep_above_percent = 100,
    };
    return ms_log_rewrite(w->log, &options, ret_result, &w->error);
}

static void begin(struct log_world *w, size_t segments) {
    build(w, segments, VALUE);
    assert_int_equal(log_world_open(w), 0);
}

static void assert_verifies(struct log_world *w) {
    struct findings f;
    if (verify(w, &f).damages > 0)
        fail_msg("%s@%llu %s", f.segment[0], (unsigned long long)f.list[0].offset, f.what[0]);
}

static void everything_kept_reads_the_same_and_is_smaller(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 2);
    struct plan plan = {0};
    assert_int_equal(rewrite(w, 0, &plan, &result), 0);
    assert_true(result.replaced);
    assert_int_equal(result.entries_before, plan.visits);
    assert_int_equal(result.entries_after, plan.visits);
    assert_true(result.bytes_after < result.bytes_before / 10); /* texts that repeat */
    assert_null(log_world_check(w));
    assert_int_equal(log_world_close(w), 0);
    assert_verifies(w);
    assert_int_equal(log_world_open(w), 0);
    assert_null(log_world_check(w));
}

static void what_is_dropped_leaves_a_gap_and_nothing_moves(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 2);
    uint64_t segments[16];
    names(w, segments);
    struct plan plan = {.drop_every = 3};
    assert_int_equal(rewrite(w, segments[1], &plan, &result), 0);
    for (int pass = 0; pass < 2; pass++) {
        struct present now = read_present(w); /* checks that each is at its position */
        for (size_t i = 0; i < w->count; i++) {
            bool dropped = i >= segments[1] && i < segments[2] && i % 3 == 0;
            assert_int_equal(now.append[i], !dropped);
        }
        assert_int_equal(log_world_close(w), 0);
        assert_verifies(w);
        assert_int_equal(log_world_open(w), 0);
    }
}

static void a_segment_of_which_nothing_stays_keeps_its_place(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 3);
    uint64_t segments[16], end = ms_log_end(w->log);
    names(w, segments);
    struct plan plan = {.drop_every = 1};
    assert_int_equal(rewrite(w, segments[1], &plan, &result), 0);
    assert_int_equal(result.entries_after, 0);
    assert_true(result.bytes_after <= 8192);
    assert_int_equal(read_present(w).count, w->count - (segments[2] - segments[1]));
    assert_int_equal(log_world_close(w), 0);
    assert_verifies(w);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(ms_log_end(w->log), end);
    assert_int_equal(read_present(w).count, w->count - (segments[2] - segments[1]));
    plan = (struct plan){0};
    assert_int_equal(rewrite(w, segments[1], &plan, &result), 0); /* an empty one again */
    assert_int_equal(plan.visits, 0);
}

static void a_rewritten_segment_can_be_rewritten(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    for (uint64_t every = 5; every >= 3; every -= 2) {
        struct plan plan = {.drop_every = every};
        assert_int_equal(rewrite(w, 0, &plan, &result), 0);
    }
    struct present now = read_present(w);
    uint64_t segments[16];
    names(w, segments);
    for (size_t i = 0; i < segments[1]; i++)
        assert_int_equal(now.append[i], i % 5 != 0 && i % 3 != 0);
    assert_int_equal(log_world_close(w), 0);
    assert_verifies(w);
}

static void one_that_gains_too_little_stays(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    struct plan plan = {0};
    struct ms_rewrite_options options = {
        .segment = 0, .visit = visit, .context = &plan, .keep_above_percent = 0};
    assert_int_equal(ms_log_rewrite(w->log, &options, &result, &w->error), 0);
    assert_false(result.replaced);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log."), 0);
    assert_null(log_world_check(w));
}

static void only_sealed_segments_are_rewritten(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    struct plan plan = {0};
    begin(w, 1);
    uint64_t segments[16];
    names(w, segments);
    assert_int_equal(rewrite(w, segments[1], &plan, &result), MS_ENOTFOUND); /* active */
    assert_int_equal(rewrite(w, 5, &plan, &result), MS_ENOTFOUND);
    assert_int_equal(plan.visits, 0);
}

static void a_visitor_that_fails_and_a_stop_change_nothing(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    struct plan plan = {.stop_at = 4, .drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), MS_ECANCELED);
    plan = (struct plan){.stop = true, .drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), MS_ECANCELED);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log."), 0);
    assert_null(log_world_check(w));
    assert_int_equal(log_world_close(w), 0);
    assert_verifies(w);
}

static void the_throttle_sets_the_pace(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    struct plan plan = {0};
    struct ms_rewrite_options options = {
        .segment = 0,
        .visit = visit,
        .context = &plan,
        .bytes_per_second = 100000,
        .keep_above_percent = 100,
    };
    int64_t before = ms_clock_monotonic_us(w->world.env.clock);
    assert_int_equal(ms_log_rewrite(w->log, &options, &result, &w->error), 0);
    int64_t took = ms_clock_monotonic_us(w->world.env.clock) - before;
    int64_t wanted = (int64_t)plan.visits * VALUE * 10;
    assert_true(took >= wanted && took < wanted + wanted / 5);
}

static void a_reader_in_the_middle_goes_on_with_the_old_file(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t position = 0;
    int rc;
    begin(w, 2);
    ms_log_cursor_init(&cursor, w->log, 0);
    for (int i = 0; i < 3; i++, position++)
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, &w->error), 1);
    struct plan plan = {.drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), 0);
    uint64_t segments[16];
    names(w, segments);
    while ((rc = ms_log_cursor_next(&cursor, &entry, &w->error)) > 0) {
        assert_true(entry.header.first_position >= position);
        position = entry.header.first_position + 1;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(position, w->count);
    ms_log_cursor_seek(&cursor, 0); /* and a new start sees the new one */
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, &w->error), 1);
    assert_int_equal(entry.header.first_position, 1);
    ms_log_cursor_deinit(&cursor);
}

static void a_reader_that_leaves_some_out_finds_the_others(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    begin(w, 2);
    uint64_t end = ms_log_end(w->log), whole = w->log->segments[1]->first_position;
    struct plan plan = {.drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), 0);
    for (uint64_t stride = 1; stride < 20; stride++) {
        ms_log_cursor_init(&cursor, w->log, 0);
        for (uint64_t position = 0; position + 1 < end; position += stride) {
            ms_log_cursor_seek(&cursor, position);
            assert_int_equal(ms_log_cursor_next(&cursor, &entry, &w->error), 1);
            uint64_t dropped = position < whole && position % 2 == 0;
            assert_int_equal(entry.header.first_position, position + dropped);
        }
        ms_log_cursor_deinit(&cursor);
    }
}

static void what_decided_is_durable_before_anything_is_dropped(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    assert_int_equal(log_world_put(w, 1, 1, 100, false), 0); /* sequenced, not yet written */
    struct plan plan = {.drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), 0);
    assert_int_equal(w->appends[w->count - 1].answers, 1);
    assert_int_equal(w->appends[w->count - 1].status, 0);
}

static void a_log_that_stopped_drops_nothing(void **state) {
    struct log_world *w = *state;
    struct ms_rewrite_result result;
    begin(w, 1);
    assert_int_equal(log_world_put(w, 1, 1, 100, false), 0);
    struct ms_error died = {.code = MS_EIO};
    ms_log_poison(w->log, &died);
    struct plan plan = {.drop_every = 2};
    assert_int_equal(rewrite(w, 0, &plan, &result), MS_ECLOSED);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log."), 0);
}

/* ---- trouble ---- */

/* Either everything is there, or what the plan keeps: never a mixture, never less. */
static void assert_old_or_new(struct log_world *w, uint64_t end) {
    struct present now = read_present(w);
    bool old = now.append[0];
    for (size_t i = 0; i < w->count; i++)
        assert_int_equal(now.append[i], old || i >= end || i % 2 != 0);
}

static void a_power_cut_at_any_moment_leaves_the_old_file_or_the_new_one(void **state) {
    struct log_world *w = *state;
    bool cut = true;
    for (uint64_t n = 1; cut; n++) {
        struct ms_rewrite_result result;
        struct plan plan = {.drop_every = 2};
        begin(w, 1);
        uint64_t segments[16];
        names(w, segments);
        ms_vfs_sim_cut_at(w->world.sim, n);
        ms_ignore(rewrite(w, 0, &plan, &result));
        cut = ms_vfs_sim_is_cut(w->world.sim);
        ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_RANDOM);
        log_world_abandon(w);
        assert_verifies(w);
        assert_int_equal(log_world_open(w), 0);
        assert_old_or_new(w, segments[1]);
        assert_int_equal(log_world_append(w, 10), 0);
        assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log."), 0);
        log_world_deinit(w);
        log_world_init(w, n + 1);
    }
}

static void any_failing_call_leaves_the_old_file_or_the_new_one(void **state) {
    struct log_world *w = *state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ms_rewrite_result result;
        struct plan plan = {.drop_every = 2};
        begin(w, 1);
        uint64_t segments[16];
        names(w, segments);
        uint64_t before = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, n, MS_EIO, false);
        int rc = rewrite(w, 0, &plan, &result);
        failed = ms_vfs_sim_count(w->world.sim, MS_SIM_ANY) - before >= n;
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, 0, 0, false);
        assert_true(rc == 0 || failed);
        assert_old_or_new(w, segments[1]);
        assert_int_equal(log_world_append(w, 10), 0); /* the log itself is not affected */
        plan = (struct plan){.drop_every = 2};
        assert_int_equal(rewrite(w, 0, &plan, &result), 0);
        assert_false(read_present(w).append[0]);
        log_world_deinit(w);
        log_world_init(w, n + 1);
    }
}

static void without_memory_nothing_is_changed(void **state) {
    struct log_world *w = *state;
    begin(w, 1);
    uint64_t segments[16];
    names(w, segments);
    int rc = MS_ENOMEM;
    for (uint64_t n = 1; rc == MS_ENOMEM; n++) {
        struct ms_rewrite_result result;
        struct plan plan = {.drop_every = 2};
        ms_alloc_fail_nth(n);
        rc = rewrite(w, 0, &plan, &result);
        ms_alloc_fail_nth(0);
        assert_true(rc == 0 || rc == MS_ENOMEM);
        assert_old_or_new(w, segments[1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(everything_kept_reads_the_same_and_is_smaller),
        test(what_is_dropped_leaves_a_gap_and_nothing_moves),
        test(a_segment_of_which_nothing_stays_keeps_its_place),
        test(a_rewritten_segment_can_be_rewritten),
        test(one_that_gains_too_little_stays),
        test(only_sealed_segments_are_rewritten),
        test(a_visitor_that_fails_and_a_stop_change_nothing),
        test(the_throttle_sets_the_pace),
        test(a_reader_in_the_middle_goes_on_with_the_old_file),
        test(a_reader_that_leaves_some_out_finds_the_others),
        test(what_decided_is_durable_before_anything_is_dropped),
        test(a_log_that_stopped_drops_nothing),
        test(a_power_cut_at_any_moment_leaves_the_old_file_or_the_new_one),
        test(any_failing_call_leaves_the_old_file_or_the_new_one),
        test(without_memory_nothing_is_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
