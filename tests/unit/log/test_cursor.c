/* Reading the log: from any position, over every seam, from memory and from files alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

static int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 11);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Appends of one to several entries, of a few bytes to many, over several segments and epochs. */
static void fill(struct log_world *w, bool seal) {
    assert_int_equal(log_world_open(w), 0);
    for (unsigned i = 0; i < 60; i++) {
        size_t len = i % 7 == 0 ? 60000 : 64 + i * 97 % 3000;
        assert_int_equal(log_world_put(w, 1 + i % 4, 1 + i % 3, 64 + len / (1 + i % 4), false), 0);
        if (i % 5 == 0)
            ms_log_run(w->log);
        if (i % 20 == 19) {
            assert_int_equal(log_world_close(w), 0);
            assert_int_equal(log_world_open(w), 0);
        }
        while (seal && ms_keeper_step(w->log))
            continue;
    }
    ms_log_run(w->log);
    assert_true(w->log->segment_count >= 2);
}

/* The first position of the entry that holds each position, by walking from 0. */
static uint64_t *expected_entries(struct log_world *w, uint64_t end) {
    static uint64_t first[4096];
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    assert_true(end < 4096);
    ms_log_cursor_init(&cursor, w->log, 0);
    while (ms_log_cursor_next(&cursor, &entry, NULL) > 0)
        for (uint64_t i = 0; i < entry.record_count; i++)
            first[entry.header.first_position + i] = entry.header.first_position;
    ms_log_cursor_deinit(&cursor);
    return first;
}

/* With one cursor, always forward: over less than what lies between two anchors, and over more. */
static void check_every_stride(struct log_world *w, const uint64_t *first, uint64_t end) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    for (uint64_t stride = 1; stride < 40; stride++) {
        ms_log_cursor_init(&cursor, w->log, 0);
        for (uint64_t position = 0; position < end; position += stride) {
            ms_log_cursor_seek(&cursor, position);
            if (position % 7 == 0) /* sought, not read */
                continue;
            assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 1);
            assert_int_equal(entry.header.first_position, first[position]);
        }
        ms_log_cursor_deinit(&cursor);
    }
}

static void check_every_start(struct log_world *w) {
    uint64_t end = ms_log_end(w->log), *first = expected_entries(w, end);
    struct ms_log_cursor cursor, seeking;
    struct ms_log_entry entry;
    assert_null(log_world_check(w));
    check_every_stride(w, first, end);
    ms_log_cursor_init(&seeking, w->log, 0);
    for (uint64_t from = 0; from < end; from++) {
        ms_log_cursor_init(&cursor, w->log, from);
        uint64_t position = first[from];
        for (int i = 0; i < 5 && position < end; i++) { /* and over the next seams */
            assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 1);
            assert_int_equal(entry.header.first_position, position);
            position += entry.record_count;
        }
        ms_log_cursor_deinit(&cursor);
        uint64_t other = from * 7919 % end;
        ms_log_cursor_seek(&seeking, other);
        assert_int_equal(ms_log_cursor_next(&seeking, &entry, NULL), 1);
        assert_int_equal(entry.header.first_position, first[other]);
        /* A rewritten one is in a frame, which is smaller. */
        size_t size = MS_ENTRY_HEADER_LEN + entry.batch.len;
        uint64_t reach = ms_log_reach(w->log, other);
        assert_true(reach >= size || seeking.segment->rewritten);
        assert_true(reach <= (size >= MS_ANCHOR_LARGE ? size : MS_ANCHOR_LARGE) + MS_ANCHOR_EVERY +
                                 MS_BLOCK_HEADER_LEN + MS_BLOCK_ALIGN);
    }
    ms_log_cursor_deinit(&seeking);
}

static void every_position_is_found_in_a_live_log(void **state) {
    struct log_world *w = *state;
    fill(w, false);
    check_every_start(w);
}

static void every_position_is_found_without_any_tail_cache(void **state) {
    struct log_world *w = *state;
    w->options.tail_cache_bytes = 0;
    fill(w, true);
    check_every_start(w);
}

static void every_position_is_found_with_everything_in_the_tail_cache(void **state) {
    struct log_world *w = *state;
    w->options.tail_cache_bytes = (size_t)64 << 20;
    fill(w, false);
    check_every_start(w);
}

static void every_position_is_found_after_reopening(void **state) {
    struct log_world *w = *state;
    fill(w, true);
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(log_world_open(w), 0);
    check_every_start(w);
    log_world_abandon(w);
    w->options.read_only = true;
    assert_int_equal(log_world_open(w), 0);
    check_every_start(w);
}

static int keep_all(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                    struct ms_error *err) {
    (void)context;
    (void)err;
    *ret_batch = entry->batch;
    return 0;
}

static void cursor_at_the_end_waits_there(void **state) {
    struct log_world *w = *state;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    assert_int_equal(log_world_open(w), 0);
    ms_log_cursor_init(&cursor, w->log, 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 0);
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 0);
        assert_int_equal(log_world_put(w, 1, 2, 40000, false), 0);
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 0);
        ms_log_run(w->log);
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 1);
        assert_int_equal(entry.header.first_position, i * 2);
    }
    assert_true(w->log->segment_count > 2);
    ms_log_cursor_deinit(&cursor);
    ms_log_cursor_init(&cursor, w->log, 1000000);
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 0);
    ms_log_cursor_deinit(&cursor);
}

/* A reader is inside a segment while it is sealed: the file is cut and gets its footer. */
static void reading_goes_on_while_segments_are_sealed(void **state) {
    struct log_world *w = *state;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    w->options.tail_cache_bytes = 0;
    assert_int_equal(log_world_open(w), 0);
    while (w->log->segment_count < 3)
        assert_int_equal(log_world_append(w, 30000), 0);
    ms_log_cursor_init(&cursor, w->log, 0);
    uint64_t position = 0, end = ms_log_end(w->log);
    while (position < end) {
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, NULL), 1);
        assert_int_equal(entry.header.first_position, position++);
        if (position % 3 == 0)
            (void)ms_keeper_step(w->log);
    }
    ms_log_cursor_deinit(&cursor);
}

static void damage_in_a_file_is_named(void **state) {
    struct log_world *w = *state;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    struct ms_error err = {0};
    char path[64];
    w->options.tail_cache_bytes = 0;
    assert_int_equal(log_world_open(w), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(log_world_append(w, 5000), 0);
    struct ms_anchor anchor;
    assert_true(ms_segment_find_anchor(w->log->segments[0], 3, &anchor));
    assert_int_equal(
        ms_vfs_sim_flip(w->world.sim, log_world_segment(0, path), anchor.offset + 4000, 0), 0);
    ms_log_cursor_init(&cursor, w->log, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ms_log_cursor_next(&cursor, &entry, &err), 1);
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, &err), MS_ECORRUPT);
    assert_non_null(strstr(err.message, "00000000000000000000.log"));
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, &err), MS_ECORRUPT);
    ms_log_cursor_seek(&cursor, 4);
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, &err), 1);
    assert_int_equal(entry.header.first_position, 4);
    ms_log_cursor_deinit(&cursor);
}

static void failed_reads_are_errors_and_may_be_repeated(void **state) {
    struct log_world *w = *state;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    w->options.tail_cache_bytes = 0;
    fill(w, true);
    uint64_t end = ms_log_end(w->log);
    ms_log_cursor_init(&cursor, w->log, 0);
    for (uint64_t position = 0; position < end;) {
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_READ, 1, MS_EIO, false);
        int rc = ms_log_cursor_next(&cursor, &entry, NULL);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_READ, 0, 0, false);
        if (rc < 0) {
            assert_int_equal(rc, MS_EIO);
            rc = ms_log_cursor_next(&cursor, &entry, NULL);
        }
        assert_int_equal(rc, 1);
        assert_int_equal(entry.header.first_position, position);
        position += entry.record_count;
    }
    ms_log_cursor_deinit(&cursor);
}

static void anchor_before_leads_to_what_stands_before(void **state) {
    struct log_world *w = *state;
    fill(w, true);
    uint64_t end = ms_log_end(w->log), *first = expected_entries(w, end);
    assert_int_equal(ms_log_anchor_before(w->log, 0), 0);
    for (uint64_t position = 1; position <= end; position++) {
        uint64_t anchor = ms_log_anchor_before(w->log, position);
        assert_true(anchor < position);
        assert_int_equal(first[anchor], anchor); /* where an entry begins */
        assert_true(position - anchor < 400);
    }
}

/* Reads from every position up to the end of what stood where `wrong` is now: whatever is given is
 * what was asked for, and who comes to the wrong block is told. */
static void assert_told(struct log_world *w, const struct ms_walk_step *wrong, uint64_t wrong_end) {
    uint64_t wrong_first = wrong->header.first_position;
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    for (uint64_t from = 0; from < wrong_end; from++) {
        uint64_t next = from;
        int rc;
        ms_log_cursor_init(&cursor, w->log, from);
        while ((rc = ms_log_cursor_next(&cursor, &entry, &w->error)) > 0) {
            assert_int_equal(entry.header.first_position, next);
            next += entry.record_count;
        }
        ms_log_cursor_deinit(&cursor);
        assert_int_equal(rc, MS_ECORRUPT);
        assert_true(next <= (from > wrong_first ? from : wrong_first));
    }
    ms_log_cursor_init(&cursor, w->log, wrong_end);
    assert_int_equal(ms_log_cursor_next(&cursor, &entry, &w->error), 1);
    assert_int_equal(entry.header.first_position, wrong_end);
    ms_log_cursor_deinit(&cursor);
}

static void a_block_in_anothers_place_is_damage(void **state) {
    struct log_world *w = *state;
    w->options.tail_cache_bytes = 0;
    build(w, 2, 60000);
    const size_t cases[][2] = {{2, 5}, {5, 2}}; /* block 0 is a mark */
    for (size_t i = 0; i < 2; i++) {
        struct ms_walk_step from = block_at(w, 0, cases[i][0], false);
        struct ms_walk_step to = block_at(w, 0, cases[i][1], false);
        struct ms_walk_step saved = block_at(w, 0, 8, false);
        copy_block(w, 0, &to, &saved); /* damage only: put back below */
        copy_block(w, 0, &from, &to);
        assert_int_equal(log_world_open(w), 0);
        assert_told(w, &to, block_at(w, 0, cases[i][1] + 1, false).header.first_position);
        log_world_abandon(w);
        copy_block(w, 0, &saved, &to);
    }
}

/* Blocks of a rewritten segment are no chain and have gaps between them. */
static void a_rewritten_block_in_anothers_place_is_damage(void **state) {
    struct log_world *w = *state;
    w->options.segment_bytes = (uint64_t)24 << 20;
    w->options.tail_cache_bytes = 0;
    build(w, 1, 60000);
    assert_int_equal(log_world_open(w), 0);
    struct ms_rewrite_options options = {.visit = keep_all, .keep_above_percent = 100};
    struct ms_rewrite_result result;
    assert_int_equal(ms_log_rewrite(w->log, &options, &result, &w->error), 0);
    assert_true(result.replaced);
    log_world_abandon(w);
    struct ms_walk_step first = block_at(w, 0, 1, false), second = block_at(w, 0, 2, false);
    struct ms_walk_step third = block_at(w, 0, 3, false);
    copy_block(w, 0, &second, &third); /* an earlier one over a later one */
    assert_int_equal(log_world_open(w), 0);
    assert_told(w, &third, block_at(w, 0, 4, false).header.first_position);
    log_world_abandon(w);
    copy_block(w, 0, &second, &first); /* a later one over an earlier one */
    assert_int_equal(log_world_open(w), 0);
    assert_told(w, &first, second.header.first_position);
    log_world_abandon(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(every_position_is_found_in_a_live_log),
        test(every_position_is_found_without_any_tail_cache),
        test(every_position_is_found_with_everything_in_the_tail_cache),
        test(every_position_is_found_after_reopening),
        test(cursor_at_the_end_waits_there),
        test(reading_goes_on_while_segments_are_sealed),
        test(damage_in_a_file_is_named),
        test(failed_reads_are_errors_and_may_be_repeated),
        test(anchor_before_leads_to_what_stands_before),
        test(a_block_in_anothers_place_is_damage),
        test(a_rewritten_block_in_anothers_place_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
