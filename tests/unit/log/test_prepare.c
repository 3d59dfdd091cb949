/* Preparing space: what counts as ready, zeros for small groups and allocation for large ones, and
 * the way back from those to these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/segment.h"
#include "log_fixture.h"

#define SEGMENT_BYTES ((uint64_t)40 << 20)
#define LARGE 200000u /* two of them are a large group */

static uint64_t count_of(struct log_world *w, enum ms_sim_op op) {
    return ms_vfs_sim_count(w->world.sim, op);
}

static void prepare_all(struct log_world *w) {
    while (ms_keeper_step(w->log))
        continue;
}

/* False when an append was not acknowledged. */
static bool append_group(struct log_world *w) {
    if (log_world_put(w, 1, 1, LARGE, false) != 0 || log_world_put(w, 1, 1, LARGE, false) != 0)
        return false;
    ms_log_run(w->log);
    prepare_all(w);
    return w->appends[w->count - 1].status == 0;
}

/* Until the groups count as large, and some space has been prepared for them. */
static void append_groups(struct log_world *w, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        assert_true(append_group(w));
}

static void what_is_ready_survives_a_cut(void **state) {
    struct log_world *w = *state;
    char path[64];
    w->options.segment_bytes = SEGMENT_BYTES;
    for (unsigned groups = 0; groups < 60; groups += 59) { /* with zeros, and allocated */
        assert_int_equal(log_world_open(w), 0);
        assert_int_equal(log_world_append(w, 100), 0);
        append_groups(w, groups);
        prepare_all(w);
        uint64_t ready = atomic_load(&w->log->active->ready_bytes);
        assert_true(ready > w->log->active_offset);
        assert_non_null(log_world_segment(w->log->active->first_position, path));
        ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_LOSE_ALL);
        log_world_abandon(w);
        assert_true(world_file_size(&w->world, path) >= ready);
    }
}

/* The file may end behind the last byte of a block that counts: what is prepared begins behind that
 * block's padding. */
static void no_zeros_over_a_block_that_ends_the_file(void **state) {
    struct log_world *w = *state;
    char path[64];
    uint8_t page[MS_BLOCK_ALIGN];
    assert_int_equal(log_world_open(w), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(log_world_append(w, 5000), 0);
    uint64_t end = w->log->active_offset;
    assert_non_null(log_world_segment(0, path));
    log_world_abandon(w);
    world_read(&w->world, path, end - sizeof page, page, sizeof page);
    size_t used = sizeof page;
    while (used > 0 && page[used - 1] == 0)
        used--;
    used += 8; /* a block may end with zeros of its own */
    assert_true(used < sizeof page);
    world_truncate(&w->world, path, end - sizeof page + used);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    prepare_all(w);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

static void large_groups_get_allocated_space(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = SEGMENT_BYTES;
    assert_int_equal(log_world_open(w), 0);
    prepare_all(w);
    assert_int_equal(count_of(w, MS_SIM_ALLOCATE), 0);
    append_groups(w, 60);
    assert_true(count_of(w, MS_SIM_ALLOCATE) > 0);
    assert_true(w->log->active->allocated_end > w->log->active_offset);
    assert_good(w);
    append_groups(w, 50); /* into the next segment */
    assert_true(w->log->active->first_position > 0);
    reopen(w);
    assert_good(w);
}

/* Small groups into space that is only allocated would take twice as long. */
static void small_groups_get_zeros_again(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = SEGMENT_BYTES;
    assert_int_equal(log_world_open(w), 0);
    append_groups(w, 60);
    struct ms_segment *active = w->log->active;
    uint64_t before = atomic_load(&active->ready_bytes);
    assert_true(active->allocated_end == before && before > w->log->active_offset + (8 << 20));
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(log_world_append(w, 100), 0);
    assert_true(ms_keeper_wanted(w->log));
    uint64_t writes = count_of(w, MS_SIM_WRITE), allocations = count_of(w, MS_SIM_ALLOCATE);
    prepare_all(w);
    assert_int_equal(active->allocated_end, 0);
    assert_int_equal(count_of(w, MS_SIM_ALLOCATE), allocations);
    assert_true(count_of(w, MS_SIM_WRITE) - writes >= 8); /* of 1 MiB */
    assert_true(atomic_load(&active->ready_bytes) > w->log->active_offset + (8 << 20));
    assert_good(w);
    reopen(w);
    assert_good(w);
}

/* A block that is open may use what it was promised. */
static void nothing_promised_is_taken_back(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = SEGMENT_BYTES;
    w->options.append_bytes_max = (size_t)16 << 20;
    assert_int_equal(log_world_open(w), 0);
    append_groups(w, 60);
    for (unsigned i = 0; i < 29; i++)
        assert_int_equal(log_world_append(w, 100), 0);
    assert_int_equal(log_world_put(w, 1, 1, 10 << 20, false), 0);
    uint64_t promised = w->log->open->offset + w->log->open->capacity;
    ms_log_lock(w->log);
    ms_prepare_choose(w->log);
    ms_log_unlock(w->log);
    assert_int_equal(w->log->active->allocated_end, 0);
    assert_true(atomic_load(&w->log->active->ready_bytes) >= promised);
    ms_log_run(w->log);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

/* Larger than what is prepared ahead, and the active segment can't take it: the next one must. */
static void the_largest_appends_meet_the_end_of_a_segment(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = (uint64_t)64 << 20;
    w->options.append_bytes_max = (size_t)36 << 20;
    assert_int_equal(log_world_open(w), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(log_world_append(w, 34 << 20), 0);
    assert_true(w->log->bulk);
    assert_true(w->log->active->first_position > 0);
    assert_good(w);
}

static void without_allocation_there_are_zeros(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = SEGMENT_BYTES;
    ms_vfs_sim_refuse_allocate(w->world.sim, true);
    assert_int_equal(log_world_open(w), 0);
    append_groups(w, 100);
    assert_int_equal(count_of(w, MS_SIM_ALLOCATE), 1);
    assert_int_equal(w->log->active->allocated_end, 0);
    assert_good(w);
}

static void large_groups_on_a_full_disk(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = SEGMENT_BYTES;
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)35 << 20);
    assert_int_equal(log_world_open(w), 0);
    unsigned groups = 0;
    while (append_group(w))
        groups++;
    assert_true(groups > 40); /* of 0.4 MB; the next segment has some of the disk too */
    assert_true(count_of(w, MS_SIM_ALLOCATE) > 0);
    assert_true(info_of(w).refusing_appends);
    assert_false(info_of(w).failed);
    assert_good(w);
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    prepare_all(w);
    append_groups(w, 3);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

/* Large groups, small ones, large ones again. */
static void run_script(struct log_world *w) {
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < 12 + 30 * turn; i++)
            if (!append_group(w))
                return;
        for (unsigned i = 0; i < 20; i++) {
            if (log_world_append(w, 100) != 0)
                return;
            prepare_all(w);
        }
    }
}

static void cuts_at_any_moment_lose_nothing(void **state) {
    (void)state;
    static const enum ms_sim_cut kinds[] = {MS_SIM_CUT_LOSE_ALL, MS_SIM_CUT_RANDOM};
    uint64_t step = 5 * world_setting("MS_CUT_STEP", 1);
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n += step) {
        struct log_world w;
        log_world_init(&w, n);
        w.options.segment_bytes = (uint64_t)16 << 20;
        ms_vfs_sim_cut_at(w.world.sim, n);
        if (log_world_open(&w) == 0)
            run_script(&w);
        was_cut = ms_vfs_sim_is_cut(w.world.sim);
        ms_vfs_sim_cut(w.world.sim, kinds[n % 2]);
        log_world_abandon(&w);
        assert_int_equal(log_world_open(&w), 0);
        const char *wrong = log_world_check(&w);
        if (wrong != NULL)
            fail_msg("cut at %llu: %s", (unsigned long long)n, wrong);
        assert_true(append_group(&w));
        assert_good(&w);
        log_world_deinit(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(what_is_ready_survives_a_cut),
        test(no_zeros_over_a_block_that_ends_the_file),
        test(large_groups_get_allocated_space),
        test(small_groups_get_zeros_again),
        test(nothing_promised_is_taken_back),
        test(the_largest_appends_meet_the_end_of_a_segment),
        test(without_allocation_there_are_zeros),
        test(large_groups_on_a_full_disk),
        cmocka_unit_test(cuts_at_any_moment_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
