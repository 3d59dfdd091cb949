/* Tests of index/run.c: chunks, their growth, finding a place in long runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "index/run.h"

static struct ms_arena arena;

static int make_arena(void **state) {
    (void)state;
    ms_arena_init(&arena, SIZE_MAX);
    return 0;
}

static int free_arena(void **state) {
    (void)state;
    ms_alloc_fail_nth(0);
    ms_arena_deinit(&arena);
    return 0;
}

static size_t chunk_count(const struct ms_run_chunk *newest) {
    size_t count = 0;
    for (const struct ms_run_chunk *chunk = newest; chunk; chunk = chunk->older)
        count++;
    return count;
}

static void postings_come_back_in_order(void **state) {
    (void)state;
    static const uint64_t steps[] = {1, 127, 128, 5, 1u << 20, 1, (uint64_t)1 << 60};
    struct ms_run_chunk *newest = NULL;
    uint64_t position = 0;
    for (size_t i = 0; i < 20000; i++) {
        position += i % 1000 == 999 ? steps[6] >> 10 : steps[i % 6];
        assert_int_equal(ms_run_add_posting(&arena, &newest, position), 0);
        assert_int_equal(newest->high, position);
    }
    size_t seen = 0;
    position = 0;
    for (const struct ms_run_chunk *chunk = ms_run_oldest(newest); chunk; chunk = chunk->newer) {
        uint64_t out[MS_RUN_POSTINGS_MAX];
        size_t count = ms_run_postings(chunk, out);
        assert_true(count > 0 && count <= MS_RUN_POSTINGS_MAX);
        assert_int_equal(out[0], chunk->low);
        assert_int_equal(out[count - 1], chunk->high);
        for (size_t k = 0; k < count; k++, seen++) {
            position += seen % 1000 == 999 ? steps[6] >> 10 : steps[seen % 6];
            assert_int_equal(out[k], position);
        }
    }
    assert_int_equal(seen, 20000);
}

static void extents_come_back_in_order(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    bool unordered = false;
    for (uint64_t i = 0; i < 5000; i++) {
        struct ms_extent extent = {(int64_t)(i * 7), i * 3 + 1, 1 + (uint32_t)(i % 7), 0};
        assert_int_equal(ms_run_add_extent(&arena, &newest, &extent, &unordered), 0);
    }
    assert_false(unordered);
    uint64_t i = 0;
    for (const struct ms_run_chunk *chunk = ms_run_oldest(newest); chunk; chunk = chunk->newer) {
        struct ms_extent out[MS_RUN_EXTENTS_MAX];
        size_t count = ms_run_extents(chunk, out);
        for (size_t k = 0; k < count; k++, i++) {
            assert_int_equal(out[k].start, i * 7);
            assert_int_equal(out[k].position, i * 3 + 1);
            assert_int_equal(out[k].count, 1 + i % 7);
        }
        assert_int_equal(chunk->low, out[0].start);
        assert_int_equal(chunk->high, ms_extent_end(&out[count - 1]));
    }
    assert_int_equal(i, 5000);
}

static void smallest_extents_fill_a_chunk_and_no_more(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    bool unordered = false;
    for (uint64_t i = 0; i < 3000; i++) {
        struct ms_extent extent = {(int64_t)i, i + 1, 1, 0};
        assert_int_equal(ms_run_add_extent(&arena, &newest, &extent, &unordered), 0);
        assert_true(newest->count <= MS_RUN_EXTENTS_MAX);
    }
    /* Only the first one's position takes more than a byte. */
    assert_true(newest->older->count >= MS_RUN_EXTENTS_MAX - 2);
}

static void extent_that_goes_back_begins_a_chunk(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    bool unordered = false;
    assert_int_equal(
        ms_run_add_extent(&arena, &newest, &(struct ms_extent){10, 1, 5, 0}, &unordered), 0);
    assert_int_equal(
        ms_run_add_extent(&arena, &newest, &(struct ms_extent){15, 2, 1, 0}, &unordered), 0);
    assert_false(unordered);
    assert_int_equal(chunk_count(newest), 1);
    assert_int_equal(
        ms_run_add_extent(&arena, &newest, &(struct ms_extent){3, 3, 2, 0}, &unordered), 0);
    assert_true(unordered);
    assert_int_equal(chunk_count(newest), 2);
    assert_int_equal(newest->low, 3);
    assert_int_equal(newest->high, 5);
}

static void newest_entry_again_changes_nothing(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL, *extents = NULL;
    bool unordered = false;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ms_run_add_posting(&arena, &newest, 7), 0);
        assert_int_equal(
            ms_run_add_extent(&arena, &extents, &(struct ms_extent){4, 9, 2, 0}, &unordered), 0);
    }
    assert_int_equal(newest->count, 1);
    assert_int_equal(extents->count, 1);
    assert_false(unordered);
}

static void find_agrees_with_a_walk_from_the_newest(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    for (uint64_t i = 1; i <= 200000; i++)
        assert_int_equal(ms_run_add_posting(&arena, &newest, i * 1000), 0);
    assert_true(chunk_count(newest) > 300);
    for (uint64_t target = 0; target < 200001 * (uint64_t)1000; target += 77777) {
        const struct ms_run_chunk *walked = newest;
        while (walked->older && walked->low > target)
            walked = walked->older;
        assert_ptr_equal(ms_run_find(newest, target), walked);
    }
    assert_ptr_equal(ms_run_find(newest, UINT64_MAX), newest);
    assert_ptr_equal(ms_run_find(newest, 0), ms_run_oldest(newest));
    assert_null(ms_run_find(NULL, 5));
    assert_null(ms_run_oldest(NULL));
}

/* Any chunk is reached in a number of steps that grows with the logarithm. */
static void jumps_are_few(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    for (uint64_t i = 1; i <= 1000000; i++)
        assert_int_equal(ms_run_add_posting(&arena, &newest, i * 100), 0);
    size_t chunks = chunk_count(newest);
    assert_true(chunks > 900);
    for (uint64_t target = 0; target < 100000000; target += 999983) {
        size_t steps = 0;
        const struct ms_run_chunk *chunk = newest;
        for (; chunk->older && chunk->low > target; steps++)
            chunk = chunk->jump->low > target ? chunk->jump : chunk->older;
        assert_true(steps < 40);
    }
}

static void failed_allocation_leaves_the_run_as_it_was(void **state) {
    (void)state;
    struct ms_run_chunk *newest = NULL;
    bool unordered = false;
    ms_alloc_fail_from(1);
    assert_int_equal(ms_run_add_posting(&arena, &newest, 1), MS_ENOMEM);
    assert_null(newest);
    assert_int_equal(
        ms_run_add_extent(&arena, &newest, &(struct ms_extent){1, 1, 1, 0}, &unordered), MS_ENOMEM);
    assert_null(newest);
    ms_alloc_fail_nth(0);
    for (uint64_t i = 0; i < 23; i++) /* the first chunk is full */
        assert_int_equal(ms_run_add_posting(&arena, &newest, i), 0);
    struct ms_run_chunk *before = newest;
    arena.max = arena.used;
    arena.at = arena.end;
    assert_int_equal(ms_run_add_posting(&arena, &newest, 100), MS_ENOMEM);
    assert_ptr_equal(newest, before);
    assert_null(newest->newer);
    assert_int_equal(newest->high, 22);
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, make_arena, free_arena)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_ARENA(postings_come_back_in_order),
        WITH_ARENA(extents_come_back_in_order),
        WITH_ARENA(smallest_extents_fill_a_chunk_and_no_more),
        WITH_ARENA(extent_that_goes_back_begins_a_chunk),
        WITH_ARENA(newest_entry_again_changes_nothing),
        WITH_ARENA(find_agrees_with_a_walk_from_the_newest),
        WITH_ARENA(jumps_are_few),
        WITH_ARENA(failed_allocation_leaves_the_run_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
