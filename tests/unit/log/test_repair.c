/* Repair: every kind of damage, what is saved, and that the log opens and verifies afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

#define VALUE 120000 /* about 8 appends a segment */
#define SEGMENTS 3

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

static void assert_clean(struct log_world *w) {
    struct findings f;
    struct ms_verify_result result = verify(w, &f);
    if (result.damages > 0)
        fail_msg("not clean: %s@%llu %s", f.segment[0], (unsigned long long)f.list[0].offset,
                 f.what[0]);
}

/* The repaired log opens read-only and for writing, holds `present` appends, takes a new one, and
 * still verifies. */
static struct present assert_mended(struct log_world *w, size_t present) {
    assert_clean(w);
    w->options.read_only = true;
    if (log_world_open(w) != 0)
        fail_msg("read-only: %s", w->error.message);
    struct present first = read_present(w);
    assert_int_equal(log_world_close(w), 0);
    w->options.read_only = false;
    if (log_world_open(w) != 0)
        fail_msg("opening: %s", w->error.message);
    struct present second = read_present(w);
    assert_memory_equal(first.append, second.append, sizeof first.append);
    assert_int_equal(second.count, present);
    assert_int_equal(log_world_append(w, 100), 0);
    second = read_present(w);
    assert_int_equal(second.count, present + 1);
    assert_int_equal(log_world_close(w), 0);
    assert_clean(w);
    return second;
}

/* Opening says that there is damage, and changes nothing. */
static void assert_refuses(struct log_world *w) {
    assert_int_equal(log_world_open(w), MS_ECORRUPT);
    assert_non_null(strstr(w->error.message, "repair"));
}

static uint64_t appends_total(struct log_world *w) { return w->count; }

static void an_undamaged_log_is_left_alone(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, SEGMENTS, VALUE);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(f.count, 0);
    assert_int_equal(result.segments_repaired, 0);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "0"), SEGMENTS + 1);
    assert_mended(w, appends_total(w));
}

static void a_damaged_batch_costs_its_append(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, SEGMENTS, VALUE);
    uint64_t segments[16];
    names(w, segments);
    struct ms_walk_step block = block_at(w, segments[1], 4, false);
    uint64_t position = block.header.first_position;
    flip(w, segments[1], block.offset + 30000);
    struct ms_verify_result found = verify(w, &f);
    assert_int_equal(found.damages, 1);
    assert_found(&f, ".log", block.offset, "batch checksum mismatch");
    struct ms_repair_result result = repair(w, &f, false);
    char text[64];
    snprintf(text, sizeof text, "events %llu to %llu are lost", (unsigned long long)position,
             (unsigned long long)position);
    assert_found(&f, ".log", block.offset, text);
    assert_int_equal(f.count, 1);
    assert_int_equal(result.segments_repaired, 1);
    assert_int_equal(result.positions_lost, 1);
    struct present now = assert_mended(w, appends_total(w) - 1);
    assert_false(now.append[append_at(w, position)->number]);
}

static void the_damaged_file_is_kept(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64], kept[96];
    build(w, SEGMENTS, VALUE);
    uint8_t before[4096], after[4096];
    struct ms_walk_step block = block_at(w, 0, 2, false);
    flip(w, 0, block.offset + 300);
    world_read(&w->world, log_world_segment(0, path), block.offset, before, sizeof before);
    uint64_t size = world_file_size(&w->world, path);
    repair(w, &f, false);
    snprintf(kept, sizeof kept, "%s.damaged-1", path);
    world_read(&w->world, kept, block.offset, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(world_file_size(&w->world, kept), size);
    flip(w, 0, 300); /* and again: the first one stays */
    repair(w, &f, false);
    assert_true(world_exists(&w->world, kept));
    snprintf(kept, sizeof kept, "%s.damaged-2", path);
    assert_true(world_exists(&w->world, kept));
}

static void dry_run_tells_and_changes_nothing(void **state) {
    struct log_world *w = *state;
    struct findings dry, wet;
    build(w, SEGMENTS, VALUE);
    flip(w, 0, block_at(w, 0, 3, false).offset + 40);
    flip(w, 0, block_at(w, 0, 5, false).offset + 40000);
    struct ms_dir_entry *entries;
    size_t before, after;
    uint64_t writes = ms_vfs_sim_count(w->world.sim, MS_SIM_WRITE);
    assert_int_equal(ms_vfs_list(world_vfs(&w->world), LOG_WORLD_DIR, &entries, &before, NULL), 0);
    ms_dir_entries_free(entries, before);
    struct ms_repair_result would = repair(w, &dry, true);
    assert_int_equal(ms_vfs_list(world_vfs(&w->world), LOG_WORLD_DIR, &entries, &after, NULL), 0);
    ms_dir_entries_free(entries, after);
    assert_int_equal(before, after);
    assert_int_equal(ms_vfs_sim_count(w->world.sim, MS_SIM_WRITE), writes);
    struct ms_repair_result did = repair(w, &wet, false);
    assert_memory_equal(&would, &did, sizeof did);
    assert_int_equal(dry.count, wet.count);
    for (size_t i = 0; i < dry.count; i++)
        assert_string_equal(dry.what[i], wet.what[i]);
    assert_int_equal(would.positions_lost, 2);
    assert_int_equal(dry.count, 2); /* told one by one */
    assert_mended(w, appends_total(w) - 2);
}

/* A flip at every interesting byte of every block of every segment. */
static void any_flip_in_any_block_can_be_mended(void **state) {
    static const uint64_t places[] = {9, 140, 200};
    struct log_world *w = *state;
    build(w, SEGMENTS, VALUE);
    log_world_deinit(w);
    uint64_t step = world_setting("MS_FLIP_STEP", 1);
    for (uint64_t number = 0; number < 27; number += step) { /* three of each */
        uint64_t place = places[number % 3], block_index = number / 3 % 3;
        struct findings f;
        uint64_t segments[16];
        log_world_init(w, 1);
        build(w, 2, VALUE);
        names(w, segments);
        uint64_t segment = segments[number / 9];
        size_t blocks = count_blocks(w, segment);
        size_t n = block_index < 2 ? block_index : blocks - 1;
        struct ms_walk_step block = block_at(w, segment, n < blocks ? n : 0, false);
        if (place < ms_block_padded(block.header.length))
            flip(w, segment, block.offset + place);
        uint64_t damages = verify(w, &f).damages;
        struct ms_repair_result result = repair(w, &f, false);
        assert_true(result.segments_repaired > 0 || damages == 0);
        if (damages == 0) { /* padding, or a torn tail: no acknowledged data but the mark */
            assert_int_equal(result.positions_lost, 0);
            assert_mended(w, appends_total(w));
        } else {
            assert_true(result.positions_lost <= 1);
            assert_mended(w, appends_total(w) - result.positions_lost);
        }
        log_world_deinit(w);
    }
    log_world_init(w, 1);
}

static void a_lost_footer_costs_nothing(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, SEGMENTS, VALUE);
    struct ms_walk_step footer = block_at(w, 0, 0, true);
    flip(w, 0, footer.offset + 200);
    assert_int_equal(verify(w, &f).damages, 0);
    assert_found(&f, ".log", footer.offset, "footer");
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, 0);
    assert_mended(w, appends_total(w));
}

static int keep_all(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                    struct ms_error *err) {
    (void)context;
    (void)err;
    *ret_batch = entry->batch;
    return 0;
}

/* Rewrites the sealed segments as the scavenger does, without removing anything. */
static void rewrite_all(struct log_world *w) {
    struct ms_segment_info infos[16];
    struct ms_rewrite_result result;
    assert_int_equal(log_world_open(w), 0);
    size_t count = ms_log_segments(w->log, infos, 16);
    for (size_t i = 0; i < count; i++) {
        struct ms_rewrite_options options = {
            .segment = infos[i].first_position, .visit = keep_all, .keep_above_percent = 1000};
        if (infos[i].sealed)
            assert_int_equal(ms_log_rewrite(w->log, &options, &result, &w->error), 0);
    }
    assert_int_equal(log_world_close(w), 0);
    assert_clean(w);
}

static void a_lost_footer_of_a_rewritten_segment_is_damage_and_costs_nothing(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, SEGMENTS, VALUE);
    rewrite_all(w);
    struct ms_walk_step footer = block_at(w, 0, 0, true);
    flip(w, 0, footer.offset + 200);
    assert_int_equal(verify(w, &f).damages, 1);
    assert_refuses(w);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_repaired, 1);
    assert_int_equal(result.positions_lost, 0);
    assert_mended(w, appends_total(w));
}

static void a_rewritten_last_segment_without_footer_is_never_cut(void **state) {
    struct log_world *w = *state;
    struct findings f;
    uint64_t segments[16];
    build(w, 1, VALUE);
    rewrite_all(w);
    size_t count = names(w, segments);
    char path[64];
    for (size_t i = 1; i < count; i++) /* as a restore to the end of the first leaves it */
        world_remove(&w->world, log_world_segment(segments[i], path));
    size_t kept = w->count = segments[1];
    flip(w, 0, block_at(w, 0, 0, true).offset + 200);
    assert_refuses(w);
    repair(w, &f, false);
    struct present now = assert_mended(w, kept);
    assert_true(now.append[kept - 1]);
}

static void a_damaged_frame_costs_what_is_in_it(void **state) {
    struct log_world *w = *state;
    struct findings f;
    build(w, SEGMENTS, VALUE);
    rewrite_all(w);
    struct ms_walk_step block = block_at(w, 0, 0, false);
    assert_true(block.header.flags & MS_BLOCK_REWRITTEN);
    assert_true(block.header.entry_count > 3);           /* frames */
    flip(w, 0, block.offset + block.header.length - 20); /* in the last one */
    assert_int_equal(verify(w, &f).damages, 1);
    struct ms_repair_result result = repair(w, &f, false);
    assert_true(result.positions_lost >= 1 && result.positions_lost <= 2);
    assert_found(&f, ".log", block.offset, "what was left of events");
    assert_mended(w, appends_total(w) - result.positions_lost);
}

static void a_damaged_frame_header_costs_the_frames_behind_it(void **state) {
    struct log_world *w = *state;
    struct findings f;
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    rewrite_all(w);
    names(w, segments);
    flip(w, segments[1], MS_BLOCK_HEADER_LEN + 9);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, segments[2] - segments[1]);
    assert_mended(w, appends_total(w) - result.positions_lost);
}

static void a_missing_segment_leaves_a_gap(void **state) {
    struct log_world *w = *state;
    for (size_t which = 0; which < SEGMENTS; which++) {
        struct findings f;
        char path[64];
        uint64_t segments[16];
        build(w, SEGMENTS, VALUE);
        names(w, segments);
        world_remove(&w->world, log_world_segment(segments[which], path));
        assert_refuses(w);
        struct ms_verify_result found = verify(w, &f);
        assert_true(found.damages >= 1);
        assert_found(&f, ".log", 0, "missing");
        struct ms_repair_result result = repair(w, &f, false);
        assert_int_equal(result.segments_missing, 1);
        assert_int_equal(result.positions_lost, segments[which + 1] - segments[which]);
        assert_found(&f, ".log", 0, "the segment is missing: events");
        assert_mended(w, appends_total(w) - result.positions_lost);
        log_world_deinit(w);
        log_world_init(w, 1);
    }
}

static void two_missing_segments_in_a_row_leave_one_gap(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64];
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    world_remove(&w->world, log_world_segment(segments[1], path));
    world_remove(&w->world, log_world_segment(segments[2], path));
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_missing, 1);
    assert_int_equal(result.positions_lost, segments[3] - segments[1]);
    assert_mended(w, appends_total(w) - result.positions_lost);
}

static void a_damaged_segment_next_to_a_missing_one_is_mended(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64];
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    world_remove(&w->world, log_world_segment(segments[1], path));
    flip(w, segments[2], 20);                                      /* its first block's header */
    flip(w, segments[0], block_at(w, 0, 3, false).offset + 20000); /* and before the hole */
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_missing, 1);
    assert_int_equal(result.segments_repaired, 2);
    assert_mended(w, appends_total(w) - result.positions_lost);
    assert_int_equal(result.positions_lost, segments[2] - segments[1] + 2);
}

static void all_segments_damaged_are_mended(void **state) {
    struct log_world *w = *state;
    struct findings f;
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    size_t count = names(w, segments);
    for (size_t i = 0; i + 1 < count; i++) {
        flip(w, segments[i], 20);
        flip(w, segments[i], block_at(w, segments[i], 3, false).offset + 20);
        flip(w, segments[i], block_at(w, segments[i], 0, true).offset + 20);
    }
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_repaired, count - 1);
    assert_mended(w, appends_total(w) - result.positions_lost);
    assert_true(result.positions_lost <= 2 * count);
}

static void a_truncated_segment_keeps_its_beginning(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64];
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    uint64_t cut = block_at(w, segments[1], 6, false).offset;
    world_truncate(&w->world, log_world_segment(segments[1], path), cut + 5000);
    assert_refuses(w);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_missing, 0);
    assert_int_equal(result.segments_repaired, 1);
    assert_mended(w, appends_total(w) - result.positions_lost);
    assert_int_equal(result.events_saved + result.positions_lost, segments[2] - segments[1]);
}

static void an_emptied_segment_is_a_gap(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64];
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    world_truncate(&w->world, log_world_segment(segments[1], path), 0);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, segments[2] - segments[1]);
    assert_mended(w, appends_total(w) - result.positions_lost);
}

static void a_segment_of_another_store_is_set_aside(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char path[64], kept[96];
    uint64_t segments[16];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    struct ms_uuid ours = w->options.store_uuid;
    uint8_t *foreign = ms_alloc((size_t)1 << 20);
    uint64_t size = world_file_size(&w->world, log_world_segment(segments[1], path));
    world_read(&w->world, path, 0, foreign, size);
    log_world_deinit(w);
    log_world_init(w, 2);
    w->options.store_uuid.bytes[15] = 77;
    build(w, SEGMENTS, VALUE);
    log_world_segment(segments[1], path);
    world_write(&w->world, path, 0, foreign, size);
    world_truncate(&w->world, path, size);
    ms_free(foreign);
    (void)ours;
    assert_refuses(w);
    assert_true(verify(w, &f).damages > 0);
    assert_found(&f, ".log", 0, "another store");
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, segments[2] - segments[1]);
    snprintf(kept, sizeof kept, "%s.damaged-1", path);
    assert_true(world_exists(&w->world, kept));
    assert_mended(w, appends_total(w) - result.positions_lost);
}

static void a_segment_that_begins_inside_another_is_set_aside(void **state) {
    struct log_world *w = *state;
    struct findings f;
    char from[64], to[64];
    build(w, SEGMENTS, VALUE);
    world_copy(&w->world, log_world_segment(0, from), log_world_segment(3, to));
    assert_refuses(w);
    assert_true(verify(w, &f).damages > 0);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, 0);
    assert_mended(w, appends_total(w));
}

/* ---- the last segment ---- */

static void damage_before_acknowledged_blocks_of_the_last_segment_is_mended(void **state) {
    struct log_world *w = *state;
    struct findings f;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(log_world_append(w, VALUE), 0);
    log_world_abandon(w);
    struct ms_walk_step block = block_at(w, 0, 4, false);
    flip(w, 0, block.offset + 1000);
    assert_refuses(w);
    assert_int_equal(verify(w, &f).damages, 1);
    assert_found(&f, ".log", block.offset, "checksum mismatch; later blocks prove");
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.positions_lost, 1);
    assert_mended(w, appends_total(w) - 1);
}

static void a_torn_tail_is_left_to_recovery(void **state) {
    struct log_world *w = *state;
    struct findings f;
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(log_world_append(w, VALUE), 0);
    log_world_abandon(w);
    struct ms_walk_step block = block_at(w, 0, 8, false); /* the last */
    flip(w, 0, block.offset + 1000);
    assert_int_equal(verify(w, &f).damages, 0);
    assert_found(&f, ".log", block.offset, "torn tail");
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_repaired, 0);
    assert_int_equal(f.count, 0);
}

/* ---- appends of several entries ---- */

/* One append of `entries` joined ones, as the store makes them. */
static void put_joined(struct log_world *w, uint32_t entries) {
    uint64_t first = ms_log_next_position(w->log);
    assert_int_equal(log_world_put(w, 0, 1, 1, false), 0); /* a place in the table */
    struct log_append *append = &w->appends[w->count - 1];
    append->entries = entries;
    append->value_len = 300;
    append->position = first;
    bool waited;
    ms_log_lock(w->log);
    assert_int_equal(ms_log_admit(w->log, entries * 1000, entries, false, &waited, NULL), 0);
    for (uint32_t i = 0; i < entries; i++) {
        struct ms_buf batch;
        ms_buf_init(&batch, 4096);
        log_world_batch(append->number, i, 1, 300, &batch);
        struct ms_log_put put = {
            .flags = i > 0 ? MS_ENTRY_JOINED : 0,
            .topic = 17,
            .record_count = 1,
            .batch = ms_buf_bytes(&batch),
        };
        assert_int_equal(ms_log_put(w->log, &put), first + i);
        ms_buf_deinit(&batch);
    }
    ms_log_unlock(w->log);
}

/* A block of: single, three joined, single, two joined, single; the flip hits entry `index`. */
static struct present mend_joined(struct log_world *w, unsigned index, unsigned byte, bool framed) {
    struct findings f;
    static const uint32_t sizes[] = {1, 3, 1, 2, 1};
    assert_int_equal(log_world_open(w), 0);
    for (size_t i = 0; i < 5; i++)
        put_joined(w, sizes[i]);
    ms_log_run(w->log);
    while (w->log->segment_count < 2)
        assert_int_equal(log_world_append(w, VALUE), 0);
    while (ms_keeper_step(w->log))
        continue;
    assert_int_equal(log_world_close(w), 0);
    if (framed)
        rewrite_all(w);
    struct ms_walk_step block = block_at(w, 0, framed ? 0 : 1, false);
    uint64_t at = block.offset + MS_BLOCK_HEADER_LEN;
    char path[64];
    for (unsigned i = 0; i < index; i++) {
        uint8_t header[MS_ENTRY_HEADER_LEN];
        world_read(&w->world, log_world_segment(0, path), at, header, sizeof header);
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(header + 4);
    }
    flip(w, 0, at + byte);
    struct ms_repair_result result = repair(w, &f, false);
    assert_int_equal(result.segments_repaired, 1);
    assert_clean(w);
    assert_int_equal(log_world_open(w), 0);
    struct present now = read_present(w); /* checks that no append is there in part */
    assert_int_equal(log_world_close(w), 0);
    return now;
}

/* Damage at 100 hits the batch of a single entry, of the three of one append (1 to 3), of others;
 * at 10 a header: the rest of the block can't be told apart, and it isn't known whether the append
 * before it went on. */
static void an_append_is_saved_whole_or_not_at_all(void **state) {
    struct log_world *w = *state;
    static const struct {
        unsigned index, byte;
        const char *saved; /* of the five */
    } rows[] = {
        {0, 100, "01111"}, {1, 100, "10111"}, {2, 100, "10111"}, {3, 100, "10111"},
        {4, 100, "11011"}, {6, 100, "11101"}, {7, 100, "11110"}, {0, 10, "00000"},
        {2, 10, "10000"},  {4, 10, "10000"},  {7, 10, "11100"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct present now = mend_joined(w, rows[i].index, rows[i].byte, false);
        for (size_t k = 0; k < 5; k++)
            if (now.append[k] != (rows[i].saved[k] == '1'))
                fail_msg("row %zu: append %zu", i, k);
        for (size_t k = 5; k < w->count; k++)
            assert_true(now.append[k]);
        log_world_deinit(w);
        log_world_init(w, 1);
    }
}

static void a_lost_frame_takes_no_part_of_an_append_with_it(void **state) {
    struct log_world *w = *state;
    struct present now = mend_joined(w, 0, 60, true); /* the frame that holds all five */
    for (size_t k = 0; k < 5; k++)
        assert_false(now.append[k]);
    assert_true(now.count > 0);
}

/* ---- trouble during repair ---- */

static void damage_two(struct log_world *w) {
    uint64_t segments[16];
    char path[64];
    build(w, SEGMENTS, VALUE);
    names(w, segments);
    flip(w, segments[0], block_at(w, segments[0], 3, false).offset + 20000);
    world_remove(&w->world, log_world_segment(segments[1], path));
}

static void a_power_cut_at_any_moment_leaves_something_to_repair(void **state) {
    struct log_world *w = *state;
    for (uint64_t n = 1;; n += 2) {
        struct findings f;
        struct ms_repair_result result;
        struct ms_error error = {0};
        damage_two(w);
        size_t lost = 0;
        ms_vfs_sim_cut_at(w->world.sim, n);
        struct ms_verify_options options = verify_options(w, &f);
        int rc = ms_log_repair(&options, false, w->options.segment_bytes, &result, &error);
        bool cut = ms_vfs_sim_is_cut(w->world.sim);
        ms_vfs_sim_cut(w->world.sim, MS_SIM_CUT_RANDOM);
        assert_true(cut || rc == 0);
        if (rc == 0)
            lost = result.positions_lost;
        struct ms_repair_result again = repair(w, &f, false);
        lost = lost > again.positions_lost ? lost : again.positions_lost;
        assert_clean(w);
        assert_int_equal(log_world_open(w), 0);
        assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "00000000000000000000.log.rewrite"),
                         0);
        struct present now = read_present(w);
        uint64_t segments[16];
        names(w, segments);
        assert_int_equal(now.count, appends_total(w) - 1 - (segments[2] - segments[1]));
        log_world_deinit(w);
        log_world_init(w, n + 1);
        if (!cut)
            break;
    }
}

static void any_failing_call_is_told_and_harmless(void **state) {
    struct log_world *w = *state;
    for (uint64_t n = 1;; n += 7) {
        struct findings f;
        struct ms_repair_result result;
        struct ms_error error = {0};
        damage_two(w);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, n, MS_EIO, false);
        struct ms_verify_options options = verify_options(w, &f);
        int rc = ms_log_repair(&options, false, w->options.segment_bytes, &result, &error);
        ms_vfs_sim_fail_nth(w->world.sim, MS_SIM_ANY, 0, 0, false);
        assert_true(rc == 0 || error.message[0] != 0);
        repair(w, &f, false);
        assert_clean(w);
        assert_int_equal(log_world_open(w), 0);
        struct present now = read_present(w);
        uint64_t segments[16];
        names(w, segments);
        assert_int_equal(now.count, appends_total(w) - 1 - (segments[2] - segments[1]));
        log_world_deinit(w);
        log_world_init(w, n + 1);
        if (rc == 0 && n > 100)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(an_undamaged_log_is_left_alone),
        test(a_damaged_batch_costs_its_append),
        test(the_damaged_file_is_kept),
        test(dry_run_tells_and_changes_nothing),
        test(any_flip_in_any_block_can_be_mended),
        test(a_lost_footer_costs_nothing),
        test(a_lost_footer_of_a_rewritten_segment_is_damage_and_costs_nothing),
        test(a_rewritten_last_segment_without_footer_is_never_cut),
        test(a_damaged_frame_costs_what_is_in_it),
        test(a_damaged_frame_header_costs_the_frames_behind_it),
        test(a_missing_segment_leaves_a_gap),
        test(two_missing_segments_in_a_row_leave_one_gap),
        test(a_damaged_segment_next_to_a_missing_one_is_mended),
        test(all_segments_damaged_are_mended),
        test(a_truncated_segment_keeps_its_beginning),
        test(an_emptied_segment_is_a_gap),
        test(a_segment_of_another_store_is_set_aside),
        test(a_segment_that_begins_inside_another_is_set_aside),
        test(damage_before_acknowledged_blocks_of_the_last_segment_is_mended),
        test(a_torn_tail_is_left_to_recovery),
        test(an_append_is_saved_whole_or_not_at_all),
        test(a_lost_frame_takes_no_part_of_an_append_with_it),
        test(a_power_cut_at_any_moment_leaves_something_to_repair),
        test(any_failing_call_is_told_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
