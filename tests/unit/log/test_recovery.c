/* Recovery: a test for each row of the decision table in recovery.h, on logs that were really
 * written, and that no damage to what was acknowledged goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recovery_world.h"

static int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 7);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- the rows ---- */

static void decision_table_as_data(void **state) {
    (void)state;
    const struct {
        struct ms_recovery_evidence evidence;
        enum ms_recovery_verdict verdict;
    } rows[] = {
        {{0}, MS_RECOVERY_END},
        {{.bytes = true}, MS_RECOVERY_TORN},
        {{.bytes = true, .newer_format = true}, MS_RECOVERY_REFUSE},
        {{.bytes = true, .newer_format = true, .blocks = true, .synced_through = 9},
         MS_RECOVERY_REFUSE},
        {{.bytes = true, .blocks = true, .synced_through = 0}, MS_RECOVERY_TORN},
        {{.bytes = true, .blocks = true, .synced_through = 4}, MS_RECOVERY_TORN},
        {{.bytes = true, .blocks = true, .synced_through = 5}, MS_RECOVERY_TORN},
        {{.bytes = true, .blocks = true, .synced_through = 6}, MS_RECOVERY_DAMAGE},
        {{.bytes = true, .blocks = true, .synced_through = 100}, MS_RECOVERY_DAMAGE},
        {{.missing = true}, MS_RECOVERY_DAMAGE},
        {{.missing = true, .bytes = true}, MS_RECOVERY_DAMAGE},
        {{.missing = true, .bytes = true, .newer_format = true}, MS_RECOVERY_REFUSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ms_recovery_decide(&rows[i].evidence, 5), rows[i].verdict);
}

static void row_1_zeros_behind_the_end_are_its_end(void **state) {
    struct log_world *w = *state;
    start(w, 5);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    assert_false(w->log->recovered_torn_tail);
    assert_false(w->log->clean_start);
    assert_good(w);
    assert_int_equal(log_world_close(w), 0);
    reopen_and_go_on(w);
}

static void row_2_newer_format_is_refused(void **state) {
    struct log_world *w = *state;
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    char path[64];
    start(w, 5);
    log_world_abandon(w);
    struct ms_block_header header = header_at(w, 0, find_block(w, 0, 4));
    ms_block_header_write(&header, bytes);
    ms_put_le16(bytes + 8, MS_BLOCK_FORMAT_MAX + 1);
    ms_put_le32(bytes + 12, 0);
    ms_put_le32(bytes + 12, ms_crc32c(0, bytes, sizeof bytes));
    world_write(&w->world, log_world_segment(0, path), end_of_blocks(w, 0), bytes, sizeof bytes);
    assert_refused(w, MS_EFORMAT, "newer");
}

static void row_3_damage_before_what_was_durable_is_refused(void **state) {
    struct log_world *w = *state;
    start(w, 6);
    log_world_abandon(w);
    uint64_t offset = find_block(w, 0, 3);
    flip(w, 0, offset + 300);
    char words[64];
    snprintf(words, sizeof words, "damaged at byte %llu", (unsigned long long)offset);
    assert_refused(w, MS_ECORRUPT, words);
    assert_refused(w, MS_ECORRUPT, "00000000000000000000.log");
}

static void row_3_mark_of_a_clean_stop_guards_the_last_block(void **state) {
    struct log_world *w = *state;
    start(w, 3);
    assert_int_equal(log_world_close(w), 0);
    flip(w, 0, find_block(w, 0, 2) + 200);
    assert_refused(w, MS_ECORRUPT, "damaged");
}

static void row_3_mark_of_a_recovery_guards_the_last_block(void **state) {
    struct log_world *w = *state;
    start(w, 3);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    log_world_abandon(w);
    flip(w, 0, find_block(w, 0, 2) + 200);
    assert_refused(w, MS_ECORRUPT, "damaged");
}

static void row_4_last_block_torn_is_cut(void **state) {
    struct log_world *w = *state;
    char path[64];
    start(w, 3);
    assert_int_equal(log_world_put(w, 1, 1, 20000, false), 0);
    ms_log_run(w->log);
    log_world_abandon(w);
    uint64_t offset = find_block(w, 0, 3);
    /* The power went in the middle of it, so nobody was told. */
    flip(w, 0, offset + 15000);
    w->appends[3].status = MS_EUNKNOWN;
    w->options.read_only = true;
    uint64_t before = fingerprint(w);
    assert_int_equal(log_world_open(w), 0);
    assert_true(w->log->recovered_torn_tail);
    assert_int_equal(ms_log_end(w->log), 3);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(fingerprint(w), before);
    w->options.read_only = false;
    assert_int_equal(log_world_open(w), 0);
    assert_true(w->log->recovered_torn_tail);
    assert_int_equal(ms_log_end(w->log), 3);
    assert_good(w);
    log_world_abandon(w);
    assert_true(world_file_size(&w->world, log_world_segment(0, path)) >= offset);
    reopen_and_go_on(w);
}

static void row_4_garbage_behind_the_end_is_cut(void **state) {
    struct log_world *w = *state;
    char path[64], garbage[9000];
    start(w, 3);
    log_world_abandon(w);
    memset(garbage, 0xa5, sizeof garbage);
    uint64_t end = end_of_blocks(w, 0);
    world_write(&w->world, log_world_segment(0, path), end + 12288, garbage, sizeof garbage);
    assert_int_equal(log_world_open(w), 0);
    assert_true(w->log->recovered_torn_tail);
    assert_int_equal(log_world_close(w), 0);
    reopen_and_go_on(w);
    assert_false(w->log->recovered_torn_tail);
}

/* Blocks of one group: the first was lost, the second arrived. Neither was acknowledged. */
static void row_4_later_blocks_of_the_same_group_prove_nothing(void **state) {
    struct log_world *w = *state;
    start(w, 2);
    for (int i = 0; i < 8; i++) /* more than a chunk: two blocks */
        assert_int_equal(log_world_put(w, 1, 1, 150000, false), 0);
    ms_log_lock(w->log);
    ms_log_unlock(w->log);
    ms_log_run(w->log);
    log_world_abandon(w);
    uint64_t first = find_block(w, 0, 2);
    struct ms_block_header header = header_at(w, 0, first);
    assert_true(header.entry_count < 8);
    for (size_t i = 2; i < w->count; i++)
        w->appends[i].status = MS_EUNKNOWN;
    flip(w, 0, first + 100000);
    assert_int_equal(log_world_open(w), 0);
    assert_true(w->log->recovered_torn_tail);
    assert_int_equal(ms_log_end(w->log), 2);
    assert_good(w);
    assert_int_equal(log_world_close(w), 0);
    reopen_and_go_on(w);
}

static void row_5_later_segment_without_content_does_not_count(void **state) {
    struct log_world *w = *state;
    char path[64];
    static uint8_t zeros[65536];
    start(w, 3);
    log_world_abandon(w);
    world_write(&w->world, log_world_segment(77, path), 0, zeros, sizeof zeros);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(ms_log_end(w->log), 3);
    assert_false(world_exists(&w->world, path));
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000077.log.torn-"), 1);
    assert_int_equal(log_world_close(w), 0);
    reopen_and_go_on(w);
}

/* The next segment had its name already when the power went; its first block is not there. */
static void row_5_empty_segment_in_its_place_is_written_on(void **state) {
    struct log_world *w = *state;
    char path[64];
    static uint8_t zeros[65536];
    start(w, 3);
    log_world_abandon(w);
    world_write(&w->world, log_world_segment(3, path), 0, zeros, sizeof zeros);
    reopen_and_go_on(w);
    assert_int_equal(ms_log_end(w->log), 4);
}

static void set_aside_segments_are_never_overwritten(void **state) {
    struct log_world *w = *state;
    char path[64];
    start(w, 3);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t bytes[5000];
        memset(bytes, 1 + i, sizeof bytes);
        log_world_abandon(w);
        world_write(&w->world, log_world_segment(77, path), 0, bytes, sizeof bytes);
        assert_int_equal(log_world_open(w), 0);
        assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000077.log.torn-"),
                         i + 1u);
    }
    assert_good(w);
}

static void row_6_missing_segment_is_a_hole(void **state) {
    struct log_world *w = *state;
    char path[64];
    write_segments(w, 4, 200000);
    uint64_t second = first_of(w, 1);
    assert_int_equal(log_world_close(w), 0);
    world_remove(&w->world, log_world_segment(second, path));
    assert_refused(w, MS_ECORRUPT, "missing");
}

static void row_6_missing_first_segment_is_a_hole(void **state) {
    struct log_world *w = *state;
    char path[64];
    write_segments(w, 3, 200000);
    assert_int_equal(log_world_close(w), 0);
    world_remove(&w->world, log_world_segment(0, path));
    assert_refused(w, MS_ECORRUPT, "missing");
}

/* The same store, restored in part from another point in time. */
static void row_7_segment_of_another_history_is_refused(void **state) {
    struct log_world *w = *state, other;
    char path[64];
    write_segments(w, 4, 200000);
    uint64_t second = first_of(w, 1), third = first_of(w, 2);
    assert_int_equal(log_world_close(w), 0);
    log_world_init(&other, 8);
    other.world.clock.us += 5000000;
    write_segments(&other, 4, 200000);
    assert_int_equal(first_of(&other, 1), second);
    assert_int_equal(log_world_close(&other), 0);
    log_world_segment(second, path);
    uint64_t size = world_file_size(&other.world, path);
    uint8_t *bytes = ms_alloc(size);
    world_read(&other.world, path, 0, bytes, size);
    world_remove(&w->world, path);
    world_write(&w->world, path, 0, bytes, size);
    ms_free(bytes);
    log_world_deinit(&other);
    (void)third;
    assert_refused(w, MS_ECORRUPT, path);
}

static void row_8_file_of_another_store_is_refused(void **state) {
    struct log_world *w = *state;
    start(w, 3);
    log_world_abandon(w);
    w->options.store_uuid.bytes[0] ^= 1;
    assert_refused(w, MS_ECORRUPT, "another");
    w->options.store_uuid.bytes[0] ^= 1;
    w->options.shard = 3;
    assert_refused(w, MS_ECORRUPT, "another");
}

static void row_8_sealed_files_of_another_store_are_refused(void **state) {
    struct log_world *w = *state;
    write_segments(w, 3, 200000);
    assert_int_equal(log_world_close(w), 0);
    w->options.store_uuid.bytes[0] ^= 1;
    assert_refused(w, MS_ECORRUPT, "another");
    w->options.store_uuid.bytes[0] ^= 1;
    w->options.shard = 3;
    assert_refused(w, MS_ECORRUPT, "another");
}

static void row_8_renamed_file_is_refused(void **state) {
    struct log_world *w = *state;
    char from[64], to[64];
    write_segments(w, 3, 200000);
    uint64_t last = first_of(w, 2), end = ms_log_end(w->log);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_close(w), 0);
    world_copy(&w->world, log_world_segment(last, from), log_world_segment(end, to));
    assert_refused(w, MS_ECORRUPT, "damaged");
}

static void row_9_log_of_sealed_segments_only_begins_a_new_one(void **state) {
    struct log_world *w = *state;
    char path[64];
    write_segments(w, 3, 200000);
    uint64_t last = first_of(w, 2);
    assert_int_equal(log_world_close(w), 0);
    world_remove(&w->world, log_world_segment(last, path));
    /* What the removed segment held was acknowledged, and only its absence could say so where
     * nothing is known of it (test_known_end.c). The two sealed ones are taken as they are. */
    for (size_t i = last; i < w->count; i++)
        w->appends[i].status = MS_EUNKNOWN;
    reopen_and_go_on(w);
}

/* ---- nothing acknowledged goes missing silently ---- */

/* Opens and reads everything: all is there, or somebody complains. */
static bool complains(struct log_world *w, unsigned expected) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    unsigned seen = 0;
    int rc = log_world_open(w);
    if (rc != 0) {
        assert_int_equal(rc, MS_ECORRUPT);
        return true;
    }
    ms_log_cursor_init(&cursor, w->log, 0);
    while ((rc = ms_log_cursor_next(&cursor, &entry, &w->error)) > 0)
        seen++;
    ms_log_cursor_deinit(&cursor);
    assert_int_equal(log_world_close(w), 0);
    if (rc == 0)
        assert_int_equal(seen, expected);
    else
        assert_int_equal(rc, MS_ECORRUPT);
    return rc < 0;
}

static void no_flipped_bit_makes_an_event_vanish(void **state) {
    struct log_world *w = *state;
    w->options.read_only = false;
    write_segments(w, 4, 150000);
    unsigned expected = (unsigned)w->count;
    uint64_t firsts[4];
    for (size_t i = 0; i < 4; i++)
        firsts[i] = first_of(w, i);
    assert_int_equal(log_world_close(w), 0);
    w->options.read_only = true;
    unsigned complaints = 0;
    uint64_t flips = world_setting("MS_FLIPS", 60);
    for (uint64_t i = 0; i < flips; i++) {
        char path[64];
        uint64_t segment = firsts[ms_random_below(&w->world.random.random, 4)];
        uint64_t size = world_file_size(&w->world, log_world_segment(segment, path));
        uint64_t offset = ms_random_below(&w->world.random.random, size);
        flip(w, segment, offset);
        complaints += complains(w, expected);
        flip(w, segment, offset);
    }
    assert_true(complaints > flips / 2);
    assert_false(complains(w, expected));
}

/* Bytes all over the headers of every block of a small log that was closed properly. */
static void no_damaged_header_makes_an_event_vanish(void **state) {
    struct log_world *w = *state;
    start(w, 4);
    assert_int_equal(log_world_close(w), 0);
    w->options.read_only = true;
    uint64_t step = world_setting("MS_FLIP_STEP", 1);
    for (unsigned n = 0; n < 4; n++) {
        uint64_t offset = find_block(w, 0, n);
        for (uint64_t at = 0; at < MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN; at += 3 * step) {
            flip(w, 0, offset + at);
            assert_true(complains(w, 4));
            flip(w, 0, offset + at);
        }
    }
}

static void cutting_a_segment_that_is_not_the_last_is_noticed(void **state) {
    struct log_world *w = *state;
    char path[64], copy[80];
    write_segments(w, 3, 150000);
    unsigned expected = (unsigned)w->count;
    uint64_t second = first_of(w, 1);
    assert_int_equal(log_world_close(w), 0);
    log_world_segment(second, path);
    snprintf(copy, sizeof copy, "%s.copy", path);
    world_copy(&w->world, path, copy);
    uint64_t size = world_file_size(&w->world, path);
    w->options.read_only = true;
    for (uint64_t cut = 0; cut + 65536 < size; cut += 65536) {
        world_truncate(&w->world, path, cut);
        assert_true(complains(w, expected));
        world_copy(&w->world, copy, path);
    }
    assert_false(complains(w, expected));
}

/* A footer is derived: whatever becomes of it, the blocks are read. */
static void damaged_footers_are_done_without(void **state) {
    struct log_world *w = *state;
    char path[64];
    write_segments(w, 3, 150000);
    unsigned expected = (unsigned)w->count;
    assert_int_equal(log_world_close(w), 0);
    uint64_t size = world_file_size(&w->world, log_world_segment(0, path));
    uint64_t footer = size - 4096;
    w->options.read_only = true;
    uint64_t step = world_setting("MS_FLIP_STEP", 1);
    for (uint64_t offset = footer; offset < size; offset += 7 * step) {
        flip(w, 0, offset);
        assert_false(complains(w, expected));
        flip(w, 0, offset);
    }
}

/* What recovery keeps survives a power cut right after it was read. */
static void what_is_kept_is_durable_before_it_is_served(void **state) {
    struct log_world *w = *state;
    w->options.durability = MS_DURABILITY_OS; /* nothing is synced by appending */
    start(w, 5);
    assert_int_equal(log_world_put(w, 1, 1, 300, false), 0);
    ms_log_run(w->log);
    ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_KEEP_ALL); /* the process dies, the machine goes on */
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    assert_good(w);
    uint64_t end = ms_log_end(w->log);
    assert_int_equal(end, 6);
    ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_LOSE_ALL);
    log_world_abandon(w);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(ms_log_end(w->log), end);
    assert_good(w);
}

static void foreign_names_in_the_directory_are_left_alone(void **state) {
    struct log_world *w = *state;
    static const char *const names[] = {"00000000000000000000.log.bak", "0.log", "notes.txt",
                                        "99999999999999999999.log", "0000000000000000000a.log"};
    char path[64];
    start(w, 2);
    assert_int_equal(log_world_close(w), 0);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, LOG_WORLD_DIR "/%s", names[i]);
        world_write(&w->world, path, 0, "x", 1);
    }
    reopen_and_go_on(w);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, LOG_WORLD_DIR "/%s", names[i]);
        assert_true(world_exists(&w->world, path));
    }
}

static void spare_space_of_an_earlier_run_is_given_back(void **state) {
    struct log_world *w = *state;
    start(w, 2);
    log_world_abandon(w);
    world_write(&w->world, LOG_WORLD_DIR "/spare-77.tmp", 0, "xyz", 3);
    w->options.read_only = true;
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_close(w), 0);
    assert_true(world_exists(&w->world, LOG_WORLD_DIR "/spare-77.tmp"));
    w->options.read_only = false;
    reopen_and_go_on(w);
    assert_false(world_exists(&w->world, LOG_WORLD_DIR "/spare-77.tmp"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decision_table_as_data),
        test(row_1_zeros_behind_the_end_are_its_end),
        test(row_2_newer_format_is_refused),
        test(row_3_damage_before_what_was_durable_is_refused),
        test(row_3_mark_of_a_clean_stop_guards_the_last_block),
        test(row_3_mark_of_a_recovery_guards_the_last_block),
        test(row_4_last_block_torn_is_cut),
        test(row_4_garbage_behind_the_end_is_cut),
        test(row_4_later_blocks_of_the_same_group_prove_nothing),
        test(row_5_later_segment_without_content_does_not_count),
        test(row_5_empty_segment_in_its_place_is_written_on),
        test(set_aside_segments_are_never_overwritten),
        test(row_6_missing_segment_is_a_hole),
        test(row_6_missing_first_segment_is_a_hole),
        test(row_7_segment_of_another_history_is_refused),
        test(row_8_file_of_another_store_is_refused),
        test(row_8_sealed_files_of_another_store_are_refused),
        test(row_8_renamed_file_is_refused),
        test(row_9_log_of_sealed_segments_only_begins_a_new_one),
        test(no_flipped_bit_makes_an_event_vanish),
        test(no_damaged_header_makes_an_event_vanish),
        test(cutting_a_segment_that_is_not_the_last_is_noticed),
        test(damaged_footers_are_done_without),
        test(what_is_kept_is_durable_before_it_is_served),
        test(foreign_names_in_the_directory_are_left_alone),
        test(spare_space_of_an_earlier_run_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
