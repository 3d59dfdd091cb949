/* Tests of base/alloc: the allocator's promises and its switch for failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/alloc.h"

static void size_zero_gives_memory_to_free(void **state) {
    (void)state;
    void *a = ms_alloc(0);
    void *b = ms_calloc(0, 8);
    void *c = ms_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    ms_free(a);
    ms_free(b);
    ms_free(c);
    ms_free(NULL);
}

static void calloc_zeroes_and_refuses_overflow(void **state) {
    (void)state;
    uint8_t *zeros = ms_calloc(3, 100);
    assert_non_null(zeros);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeros[i], 0);
    ms_free(zeros);
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(ms_calloc(huge, 3));
}

static void aligned_memory_is_aligned(void **state) {
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= 65536; alignment *= 2) {
        void *memory = ms_alloc_aligned(alignment, 100);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        ms_free(memory);
    }
}

static void strdup_terminates_a_copy(void **state) {
    (void)state;
    char *copy = ms_alloc_strdup(ms_bytes_of("abcdef", 3));
    assert_string_equal(copy, "abc");
    ms_free(copy);
    copy = ms_alloc_strdup((struct ms_bytes){0});
    assert_string_equal(copy, "");
    ms_free(copy);
    assert_null(ms_alloc_strdup(ms_bytes_of("", SIZE_MAX)));
}

static void only_the_nth_allocation_fails(void **state) {
    (void)state;
    ms_alloc_fail_nth(3);
    for (int i = 1; i <= 5; i++) {
        void *memory = ms_alloc(10);
        assert_int_equal(memory == NULL, i == 3);
        assert_int_equal(ms_alloc_has_failed(), i >= 3);
        ms_free(memory);
    }
    ms_alloc_fail_nth(0);
    assert_false(ms_alloc_has_failed());
}

static void every_kind_of_allocation_can_fail(void **state) {
    (void)state;
    ms_alloc_fail_from(1);
    assert_null(ms_alloc(1));
    assert_null(ms_calloc(1, 1));
    assert_null(ms_alloc_aligned(4096, 1));
    assert_null(ms_alloc_strdup(ms_bytes_cstr("x")));
    assert_null(ms_realloc(NULL, 1));
    assert_true(ms_alloc_has_failed());
    ms_alloc_fail_nth(0);
    void *memory = ms_alloc(1);
    assert_non_null(memory);
    ms_free(memory);
}

static void a_failed_realloc_leaves_the_block(void **state) {
    (void)state;
    char *block = ms_alloc_strdup(ms_bytes_cstr("kept"));
    ms_alloc_fail_nth(1);
    assert_null(ms_realloc(block, 1000));
    assert_string_equal(block, "kept");
    block = ms_realloc(block, 1000);
    assert_string_equal(block, "kept");
    ms_free(block);
    ms_alloc_fail_nth(0);
}

static void fail_from_fails_for_ever_after(void **state) {
    (void)state;
    ms_alloc_fail_from(2);
    void *first = ms_alloc(1);
    assert_non_null(first);
    for (int i = 0; i < 10; i++)
        assert_null(ms_alloc(1));
    ms_alloc_fail_nth(0);
    ms_free(first);
}

static void *allocate_many(void *failures) {
    for (int i = 0; i < 1000; i++) {
        void *memory = ms_alloc(1);
        if (!memory)
            atomic_fetch_add((atomic_int *)failures, 1);
        ms_free(memory);
    }
    return NULL;
}

static void of_many_threads_one_allocation_fails(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        atomic_int failures = 0;
        ms_alloc_fail_nth(1500);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, allocate_many, &failures), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(failures, 1);
    }
    ms_alloc_fail_nth(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_zero_gives_memory_to_free),
        cmocka_unit_test(calloc_zeroes_and_refuses_overflow),
        cmocka_unit_test(aligned_memory_is_aligned),
        cmocka_unit_test(strdup_terminates_a_copy),
        cmocka_unit_test(only_the_nth_allocation_fails),
        cmocka_unit_test(every_kind_of_allocation_can_fail),
        cmocka_unit_test(a_failed_realloc_leaves_the_block),
        cmocka_unit_test(fail_from_fails_for_ever_after),
        cmocka_unit_test(of_many_threads_one_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
