/* Walking over segment files: what lies where, and what is inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damage.h"

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

/* "BBFN": blocks, footers, damaged, noise, zeros, in order. */
static void shape(struct log_world *w, uint64_t segment, char *out, size_t max) {
    static const char letters[] = {'B', 'F', 'D', 'N', 'Z'};
    char path[64];
    struct ms_walk walk;
    struct ms_walk_step step;
    uint64_t offset = 0;
    size_t len = 0;
    int rc;
    assert_int_equal(ms_walk_open(&walk, &w->world.env, log_world_segment(segment, path), NULL), 0);
    while ((rc = ms_walk_next(&walk, &step, NULL)) > 0) {
        assert_int_equal(step.offset, offset);
        assert_true(step.length > 0);
        offset += step.length;
        if (len + 1 < max && (len == 0 || out[len - 1] != letters[step.kind]))
            out[len++] = letters[step.kind];
    }
    assert_int_equal(rc, 0);
    assert_int_equal(offset, walk.size);
    out[len] = 0;
    ms_walk_close(&walk);
}

static void a_sealed_segment_is_blocks_and_a_footer(void **state) {
    struct log_world *w = *state;
    char kinds[32];
    build(w, 1, 90000);
    shape(w, 0, kinds, sizeof kinds);
    assert_string_equal(kinds, "BF");
}

static void an_unsealed_one_ends_in_zeros(void **state) {
    struct log_world *w = *state;
    char kinds[32];
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_int_equal(log_world_close(w), 0);
    shape(w, 0, kinds, sizeof kinds);
    assert_string_equal(kinds, "BZ");
}

static void a_damaged_block_is_stepped_over_by_its_header(void **state) {
    struct log_world *w = *state;
    char kinds[32];
    build(w, 1, 90000);
    struct ms_walk_step block = block_at(w, 0, 3, false);
    flip(w, 0, block.offset + 5000);
    shape(w, 0, kinds, sizeof kinds);
    assert_string_equal(kinds, "BDBF");
}

static void without_its_header_a_block_is_noise(void **state) {
    struct log_world *w = *state;
    char kinds[32];
    build(w, 1, 90000);
    flip(w, 0, block_at(w, 0, 3, false).offset + 40);
    shape(w, 0, kinds, sizeof kinds);
    assert_string_equal(kinds, "BNBF");
}

static void a_block_behind_the_end_of_the_file_is_damaged(void **state) {
    struct log_world *w = *state;
    char kinds[32], path[64];
    build(w, 1, 90000);
    uint64_t offset = block_at(w, 0, 3, false).offset;
    world_truncate(&w->world, log_world_segment(0, path), offset + 9000);
    shape(w, 0, kinds, sizeof kinds);
    assert_string_equal(kinds, "BD");
}

static void a_block_of_a_newer_format_is_not_judged(void **state) {
    struct log_world *w = *state;
    char path[64];
    uint8_t header[MS_BLOCK_HEADER_LEN];
    static const uint8_t zeros[4];
    build(w, 1, 90000);
    uint64_t offset = block_at(w, 0, 2, false).offset;
    world_read(&w->world, log_world_segment(0, path), offset, header, sizeof header);
    ms_put_le16(header + 8, MS_BLOCK_FORMAT_MAX + 1);
    uint32_t crc = ms_crc32c(0, header, 12);
    crc = ms_crc32c(crc, zeros, 4);
    ms_put_le32(header + 12, ms_crc32c(crc, header + 16, sizeof header - 16));
    world_write(&w->world, path, offset, header, sizeof header);

    struct ms_walk walk;
    struct ms_walk_step step;
    struct ms_error error = {0};
    int rc;
    assert_int_equal(ms_walk_open(&walk, &w->world.env, path, NULL), 0);
    while ((rc = ms_walk_next(&walk, &step, &error)) > 0)
        continue;
    assert_int_equal(rc, MS_EFORMAT);
    assert_non_null(strstr(error.message, "newer"));
    ms_walk_close(&walk);
}

/* ---- entries ---- */

struct seen {
    size_t entries, damaged, unknown;
    uint64_t first, last;
};

static int see(void *context, const struct ms_walk_entry *entry) {
    struct seen *seen = context;
    seen->damaged += entry->damaged;
    seen->unknown += entry->damaged && entry->header.kind == 0;
    if (entry->damaged)
        return 0;
    if (seen->entries++ == 0)
        seen->first = entry->header.first_position;
    seen->last = entry->header.first_position;
    assert_true(entry->record_count > 0 && entry->commit_time_ms > 0);
    return 0;
}

/* Walks the entries of a block of 8 appends, `at` of which was damaged at a byte of the entry. */
static struct seen walk_one_block(struct log_world *w, size_t flip_at, uint64_t *ret_damaged) {
    char path[64];
    struct ms_walk walk;
    struct ms_walk_step step;
    struct seen seen = {0};
    assert_int_equal(log_world_open(w), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(log_world_put(w, 1, 2, 200, false), 0);
    ms_log_run(w->log);
    assert_int_equal(log_world_close(w), 0);
    uint64_t offset = block_at(w, 0, 1, false).offset; /* behind the mark */
    if (flip_at > 0)
        flip(w, 0, offset + flip_at);
    assert_int_equal(ms_walk_open(&walk, &w->world.env, log_world_segment(0, path), NULL), 0);
    while (ms_walk_next(&walk, &step, NULL) > 0 && step.offset != offset)
        continue;
    *ret_damaged = 0;
    assert_int_equal(ms_walk_entries(&step, see, &seen, ret_damaged), 0);
    ms_walk_close(&walk);
    return seen;
}

static void entries_of_a_block_come_in_order(void **state) {
    uint64_t damaged;
    struct seen seen = walk_one_block(*state, 0, &damaged);
    assert_int_equal(seen.entries, 8);
    assert_int_equal(seen.first, 0);
    assert_int_equal(seen.last, 14);
    assert_int_equal(damaged, 0);
}

static void a_damaged_batch_is_one_entry(void **state) {
    uint64_t damaged;
    struct seen seen =
        walk_one_block(*state, MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN + 100, &damaged);
    assert_int_equal(seen.entries, 7);
    assert_int_equal(seen.damaged, 1);
    assert_int_equal(seen.unknown, 0);
    assert_int_equal(damaged, 1);
    assert_int_equal(seen.first, 2);
}

static void a_damaged_entry_header_hides_the_rest(void **state) {
    uint64_t damaged;
    struct seen seen = walk_one_block(*state, MS_BLOCK_HEADER_LEN + 10, &damaged);
    assert_int_equal(seen.entries, 0);
    assert_int_equal(seen.unknown, 1);
    assert_int_equal(damaged, 1);
}

static int stop_at_once(void *context, const struct ms_walk_entry *entry) {
    (void)entry;
    ++*(int *)context;
    return MS_ECANCELED;
}

static void a_visitor_that_fails_ends_it(void **state) {
    struct log_world *w = *state;
    char path[64];
    struct ms_walk walk;
    struct ms_walk_step step;
    uint64_t damaged = 0;
    int calls = 0;
    build(w, 1, 90000);
    assert_int_equal(ms_walk_open(&walk, &w->world.env, log_world_segment(0, path), NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ms_walk_next(&walk, &step, NULL), 1);
    assert_int_equal(ms_walk_entries(&step, stop_at_once, &calls, &damaged), MS_ECANCELED);
    assert_int_equal(calls, 1);
    ms_walk_close(&walk);
}

static void a_missing_file_is_said_so(void **state) {
    struct log_world *w = *state;
    struct ms_walk walk;
    struct ms_error error = {0};
    assert_int_equal(ms_walk_open(&walk, &w->world.env, LOG_WORLD_DIR "/no", &error), MS_ENOTFOUND);
    assert_non_null(strstr(error.message, "no"));
    ms_walk_close(&walk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(a_sealed_segment_is_blocks_and_a_footer),
        test(an_unsealed_one_ends_in_zeros),
        test(a_damaged_block_is_stepped_over_by_its_header),
        test(without_its_header_a_block_is_noise),
        test(a_block_behind_the_end_of_the_file_is_damaged),
        test(a_block_of_a_newer_format_is_not_judged),
        test(entries_of_a_block_come_in_order),
        test(a_damaged_batch_is_one_entry),
        test(a_damaged_entry_header_hides_the_rest),
        test(a_visitor_that_fails_ends_it),
        test(a_missing_file_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
