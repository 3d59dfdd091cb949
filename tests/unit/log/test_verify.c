/* Verify: counts, findings with their place and reason, and what is no damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

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

static void a_whole_log_has_no_findings(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, 2, VALUE);
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(f.count, 0);
    assert_int_equal(result.segments, 3);
    assert_int_equal(result.events, w->count);
    assert_int_equal(result.entries, w->count);
    assert_int_equal(result.blocks, w->count + 2); /* and the first and the last mark */
    assert_int_equal(result.first_position, 0);
    assert_int_equal(result.end_position, w->count);
    assert_true(result.bytes > 2u << 20);
}

static void progress_goes_to_the_end(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, 2, VALUE);
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(f.progress_total, result.bytes);
    assert_true(f.progress > f.progress_total / 2 && f.progress <= f.progress_total);
}

static void an_empty_directory_is_fine_and_a_missing_one_is_not(void **state) {
    struct log_world *w = *state;
    struct findings f;
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(result.segments, 0);
    assert_int_equal(f.count, 0);
    struct ms_verify_options options = verify_options(w, &f);
    struct ms_error error = {0};
    options.dir = "nowhere";
    assert_int_equal(ms_log_verify(&options, &result, &error), MS_ENOTFOUND);
    assert_non_null(strstr(error.message, "nowhere"));
}

static void every_damaged_block_is_found_with_place_and_reason(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, 2, VALUE);
    struct ms_walk_step batch = block_at(w, 0, 2, false), entry = block_at(w, 0, 4, false),
                        header = block_at(w, 0, 6, false);
    flip(w, 0, batch.offset + 3000);
    flip(w, 0, entry.offset + MS_BLOCK_HEADER_LEN + 6);
    flip(w, 0, header.offset + 50);
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(result.damages, 3);
    assert_found(&f, "0.log", batch.offset, "entry 0 at byte 128 of the block: batch checksum");
    assert_found(&f, "0.log", entry.offset, "entry 0 at byte 128 of the block is damaged");
    assert_found(&f, "0.log", header.offset, "no block");
    assert_int_equal(result.segments, 3); /* it goes on behind */
    assert_int_equal(result.end_position, w->count);
}

static void a_clean_stop_and_a_crash_both_verify(void **state) {
    struct log_world *w = *state;
    struct findings f;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log_world_append(w, 500), 0);
    verify(w, &f); /* open in another process, as it were */
    assert_int_equal(f.count, 0);
    log_world_abandon(w);
    verify(w, &f);
    assert_int_equal(f.count, 0);
}

static void a_torn_tail_is_worth_knowing_but_no_damage(void **state) {
    struct log_world *w = *state;
    struct findings f;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log_world_append(w, 500), 0);
    log_world_abandon(w);
    struct ms_walk_step last = block_at(w, 0, 5, false);
    flip(w, 0, last.offset + 200);
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(result.damages, 0);
    assert_int_equal(f.count, 1);
    assert_found(&f, "0.log", last.offset, "torn tail");
    assert_int_equal(result.end_position, 4);
}

static void a_hole_names_the_events(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64], text[96];
    uint64_t segments[16];
    build(w, 3, VALUE);
    names(w, segments);
    world_remove(&w->world, log_world_segment(segments[1], path));
    struct ms_verify_result result = verify(w, &f);
    assert_int_equal(result.damages, 1);
    snprintf(text, sizeof text, "events %llu to %llu are gone", (unsigned long long)segments[1],
             (unsigned long long)segments[2] - 1);
    assert_found(&f, ".log", 0, text);
}

/* A sealed segment exchanged for one of an earlier life of the same log: each file is whole. */
static void a_segment_that_does_not_continue_the_chain_is_found(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64];
    uint64_t segments[16];
    ms_clock_manual_init(&w->world.clock, WORLD_START_US + 5000000); /* other headers */
    build(w, 2, VALUE);
    names(w, segments);
    log_world_segment(segments[1], path);
    struct log_world donor;
    log_world_init(&donor, 1);
    build(&donor, 2, VALUE);
    uint64_t size = world_file_size(&donor.world, path);
    uint8_t *bytes = ms_alloc(size);
    world_read(&donor.world, path, 0, bytes, size);
    log_world_deinit(&donor);
    world_write(&w->world, path, 0, bytes, size);
    ms_free(bytes);
    assert_true(verify(w, &f).damages > 0);
    assert_found(&f, ".log", 0, "does not continue the segment before it");
}

static void verifying_writes_nothing(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, 2, VALUE);
    flip(w, 0, block_at(w, 0, 2, false).offset + 3000);
    uint64_t before = ms_vfs_sim_count(w->world.sim, MS_SIM_WRITE) +
                      ms_vfs_sim_count(w->world.sim, MS_SIM_TRUNCATE) +
                      ms_vfs_sim_count(w->world.sim, MS_SIM_RENAME);
    verify(w, &f);
    assert_int_equal(before, ms_vfs_sim_count(w->world.sim, MS_SIM_WRITE) +
                                 ms_vfs_sim_count(w->world.sim, MS_SIM_TRUNCATE) +
                                 ms_vfs_sim_count(w->world.sim, MS_SIM_RENAME));
}

static void a_read_error_is_an_error_and_no_finding(void **state) {
    struct log_world *w = *state;
    struct findings f;
    struct ms_verify_result result;
    struct ms_error error = {0};
    build(w, 2, VALUE);
    for (uint64_t n = 1; n < 6; n++) {
        struct ms_verify_options options = verify_options(w, &f);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_READ, n, MS_EIO, false);
        assert_int_equal(ms_log_verify(&options, &result, &error), MS_EIO);
        assert_int_equal(f.count, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(a_whole_log_has_no_findings),
        test(progress_goes_to_the_end),
        test(an_empty_directory_is_fine_and_a_missing_one_is_not),
        test(every_damaged_block_is_found_with_place_and_reason),
        test(a_clean_stop_and_a_crash_both_verify),
        test(a_torn_tail_is_worth_knowing_but_no_damage),
        test(a_hole_names_the_events),
        test(a_segment_that_does_not_continue_the_chain_is_found),
        test(verifying_writes_nothing),
        test(a_read_error_is_an_error_and_no_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
