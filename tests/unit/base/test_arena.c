/* Tests of base/arena: alignment, limits, reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/arena.h"

static void memory_is_aligned_and_does_not_overlap(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, 10 << 20);
    enum { COUNT = 3000 };
    static uint8_t *places[COUNT];
    static size_t sizes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = (size_t)(i * 37 % 700) + (i % 100 == 0 ? 20000 : 0);
        places[i] = ms_arena_alloc(&arena, sizes[i]);
        assert_non_null(places[i]);
        assert_int_equal((uintptr_t)places[i] % 16, 0);
        memset(places[i], i & 0xff, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(places[i][j], i & 0xff);
    assert_true(arena.used <= arena.max);
    ms_arena_deinit(&arena);
}

static void the_maximum_is_kept(void **state) {
    (void)state;
    for (size_t max = 0; max < 20000; max += 777) {
        struct ms_arena arena;
        ms_arena_init(&arena, max);
        size_t total = 0;
        while (ms_arena_alloc(&arena, 64)) {
            total += 64;
            assert_true(total <= max);
        }
        assert_true(arena.used <= max);
        /* What is lost to headers and ends of chunks is little. */
        assert_true(max < 200 || total + 200 + max / 16 >= max);
        assert_null(ms_arena_alloc(&arena, max));
        ms_arena_deinit(&arena);
    }
}

static void huge_sizes_are_refused(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, SIZE_MAX);
    assert_null(ms_arena_alloc(&arena, SIZE_MAX));
    assert_null(ms_arena_alloc(&arena, SIZE_MAX - 20));
    assert_non_null(ms_arena_alloc(&arena, 10));
    assert_null(ms_arena_alloc(&arena, SIZE_MAX));
    assert_null(ms_arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(ms_arena_strdup(&arena, ms_bytes_of("", SIZE_MAX)));
    ms_arena_deinit(&arena);
}

static void a_large_allocation_leaves_the_room_in_use(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 20);
    uint8_t *first = ms_arena_alloc(&arena, 16);
    assert_non_null(ms_arena_alloc(&arena, 100000));
    uint8_t *second = ms_arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    ms_arena_deinit(&arena);
}

static void reset_keeps_one_chunk_of_ordinary_size(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, 10 << 20);
    assert_non_null(ms_arena_alloc(&arena, 5 << 20));
    ms_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 1000; i++)
            assert_non_null(ms_arena_alloc(&arena, 300));
        ms_arena_reset(&arena);
        assert_in_range(arena.used, 4096, 65536);
    }
    /* The kept chunk serves the next small request without an allocation. */
    ms_alloc_fail_from(1);
    assert_non_null(ms_arena_alloc(&arena, 2000));
    ms_alloc_fail_nth(0);
    ms_arena_deinit(&arena);
    ms_arena_deinit(&arena);
}

static void zalloc_zeroes_reused_memory(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, 65536);
    memset(ms_arena_alloc(&arena, 1000), 0xee, 1000);
    ms_arena_reset(&arena);
    uint8_t *zeros = ms_arena_zalloc(&arena, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(zeros[i], 0);
    assert_null(ms_arena_zalloc(&arena, 70000));
    ms_arena_deinit(&arena);
}

static void strdup_terminates(void **state) {
    (void)state;
    struct ms_arena arena;
    ms_arena_init(&arena, 65536);
    assert_string_equal(ms_arena_strdup(&arena, ms_bytes_of("hello world", 5)), "hello");
    assert_string_equal(ms_arena_strdup(&arena, (struct ms_bytes){0}), "");
    ms_alloc_fail_from(1);
    static char big[10000];
    assert_null(ms_arena_strdup(&arena, ms_bytes_of(big, sizeof big)));
    ms_alloc_fail_nth(0);
    assert_non_null(ms_arena_strdup(&arena, ms_bytes_of(big, sizeof big)));
    ms_arena_deinit(&arena);
}

static void the_callers_memory_comes_first(void **state) {
    (void)state;
    struct ms_arena arena;
    _Alignas(MS_ARENA_ALIGNMENT) uint8_t memory[256];
    ms_arena_init_over(&arena, memory, sizeof memory, 65536);
    ms_alloc_fail_from(1);
    assert_ptr_equal(ms_arena_alloc(&arena, 100), memory);
    assert_ptr_equal(ms_arena_alloc(&arena, 16), memory + 112);
    assert_null(ms_arena_alloc(&arena, 200));
    ms_alloc_fail_nth(0);
    uint8_t *large = ms_arena_alloc(&arena, 60000); /* what is left of it stays in use */
    assert_non_null(large);
    memset(large, 1, 60000);
    assert_ptr_equal(ms_arena_alloc(&arena, 16), memory + 128);
    assert_null(ms_arena_alloc(&arena, 10000));
    ms_arena_reset(&arena);
    assert_int_equal(arena.used <= 65536, 1);
    assert_ptr_not_equal(ms_arena_alloc(&arena, 16), memory);
    ms_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(the_maximum_is_kept),
        cmocka_unit_test(huge_sizes_are_refused),
        cmocka_unit_test(a_large_allocation_leaves_the_room_in_use),
        cmocka_unit_test(reset_keeps_one_chunk_of_ordinary_size),
        cmocka_unit_test(zalloc_zeroes_reused_memory),
        cmocka_unit_test(strdup_terminates),
        cmocka_unit_test(the_callers_memory_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
