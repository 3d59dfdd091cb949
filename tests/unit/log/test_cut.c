/* Cutting a log at a point in its past: where the end is, and what is there afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"
#include "log/cut.h"

#define VALUE 90000

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

static void open_read_only(struct log_world *w) {
    w->options.read_only = true;
    assert_int_equal(log_world_open(w), 0);
}

static void close_read_only(struct log_world *w) {
    assert_int_equal(log_world_close(w), 0);
    w->options.read_only = false;
}

static void cut_keeps_exactly_what_is_before_it(void **state) {
    struct log_world *w = *state;
    build(w, 3, VALUE);
    size_t all = w->count;
    log_world_deinit(w);
    size_t step = (size_t)(world_setting("MS_CUT_STEP", 1) + 2) / 3;
    for (size_t end = 0; end <= all; end += step) {
        struct findings f;
        log_world_init(w, 1);
        build(w, 3, VALUE);
        open_read_only(w);
        assert_int_equal(ms_log_cut(w->log, end, &w->error), 0);
        close_read_only(w);
        assert_int_equal(verify(w, &f).damages, 0);
        w->count = end;
        assert_int_equal(log_world_open(w), 0);
        assert_int_equal(ms_log_end(w->log), end);
        assert_null(log_world_check(w));
        assert_int_equal(log_world_append(w, 100), 0); /* and it goes on from there */
        assert_null(log_world_check(w));
        assert_int_equal(log_world_close(w), 0);
        assert_int_equal(verify(w, &f).damages, 0);
        log_world_deinit(w);
    }
    log_world_init(w, 1);
}

static uint64_t end_at_position(struct log_world *w, uint64_t position) {
    uint64_t end = UINT64_MAX;
    assert_int_equal(ms_log_cut_end_at_position(w->log, position, &end, &w->error), 0);
    return end;
}

static void the_event_at_the_position_is_kept(void **state) {
    struct log_world *w = *state;
    build(w, 2, VALUE);
    open_read_only(w);
    for (uint64_t position = 0; position < w->count; position++)
        assert_int_equal(end_at_position(w, position), position + 1);
    assert_int_equal(end_at_position(w, w->count + 1000), w->count);
    close_read_only(w);
}

/* Five appends; the third has three joined entries of two events each. */
static void put_append(struct log_world *w, uint32_t entries) {
    uint64_t first = ms_log_next_position(w->log);
    bool waited;
    ms_log_lock(w->log);
    assert_int_equal(ms_log_admit(w->log, entries * 500, entries, false, &waited, NULL), 0);
    for (uint32_t i = 0; i < entries; i++) {
        struct ms_buf batch;
        ms_buf_init(&batch, 4096);
        log_world_batch(0, i, 2, 100, &batch);
        struct ms_log_put put = {
            .flags = i > 0 ? MS_ENTRY_JOINED : 0,
            .topic = 17,
            .record_count = 2,
            .batch = ms_buf_bytes(&batch),
        };
        assert_int_equal(ms_log_put(w->log, &put), first + 2 * i);
        ms_buf_deinit(&batch);
    }
    ms_log_unlock(w->log);
}

static void an_append_is_never_split(void **state) {
    struct log_world *w = *state;
    static const uint64_t ends[] = {0, 2, 2, 4, 4, 4, 4, 4, 4, 10, 10, 12};
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 5; i++)
        put_append(w, i == 2 ? 3 : 1);
    ms_log_run(w->log);
    assert_int_equal(log_world_close(w), 0);
    open_read_only(w);
    /* Events 0-1, 2-3, 4-9 (one append), 10-11, 12-13. */
    for (uint64_t position = 0; position < 12; position++)
        assert_int_equal(end_at_position(w, position), ends[position]);
    assert_int_equal(end_at_position(w, 13), 14);
    close_read_only(w);
}

static void a_time_keeps_what_had_been_recorded_by_then(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    int64_t times[40];
    while (w->log->segment_count < 3) {
        ms_clock_manual_advance(&w->world.clock, 1000000);
        times[w->count] = ms_clock_now_us(w->world.env.clock) / 1000;
        assert_int_equal(log_world_append(w, VALUE), 0);
    }
    while (ms_keeper_step(w->log))
        continue;
    assert_int_equal(log_world_close(w), 0);
    open_read_only(w);
    uint64_t end;
    for (size_t i = 0; i < w->count; i++) {
        assert_int_equal(ms_log_cut_end_at_time(w->log, times[i], &end, &w->error), 0);
        assert_int_equal(end, i + 1);
        assert_int_equal(ms_log_cut_end_at_time(w->log, times[i] - 1, &end, &w->error), 0);
        assert_int_equal(end, i);
    }
    assert_int_equal(ms_log_cut_end_at_time(w->log, INT64_MAX, &end, &w->error), 0);
    assert_int_equal(end, w->count);
    close_read_only(w);
}

static void a_damaged_log_is_not_cut_blindly(void **state) {
    struct log_world *w = *state;
    uint64_t end;
    build(w, 2, VALUE);
    flip(w, 0, block_at(w, 0, 3, false).offset + 2000);
    open_read_only(w);
    assert_int_equal(ms_log_cut_end_at_position(w->log, 5, &end, &w->error), MS_ECORRUPT);
    assert_int_equal(ms_log_cut(w->log, 6, &w->error), MS_ECORRUPT);
    close_read_only(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(cut_keeps_exactly_what_is_before_it),
        test(the_event_at_the_position_is_kept),
        test(an_append_is_never_split),
        test(a_time_keeps_what_had_been_recorded_by_then),
        test(a_damaged_log_is_not_cut_blindly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
