/* Tests of os/random: no byte twice, also across threads and forks; seeded numbers stay the same
 * for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/random.h"

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void assert_all_different(uint64_t *values, size_t count) {
    qsort(values, count, sizeof *values, compare_u64);
    for (size_t i = 1; i < count; i++)
        assert_true(values[i - 1] != values[i]);
}

enum { PER_THREAD = 2000, THREADS = 4 };

static void *draw_many(void *out) {
    uint64_t *values = out;
    for (int i = 0; i < PER_THREAD; i++)
        values[i] = ms_random_u64(ms_random_system());
    return NULL;
}

static void system_numbers_differ_in_all_threads(void **state) {
    (void)state;
    static uint64_t values[THREADS * PER_THREAD];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_many, values + i * PER_THREAD), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_all_different(values, THREADS * PER_THREAD);
}

static void pieces_of_every_length_are_filled(void **state) {
    (void)state;
    static uint8_t bytes[3000];
    for (size_t len = 0; len <= 2000; len += 1 + len / 5) {
        uint8_t seen[2000] = {0};
        for (int round = 0; round < 40; round++) {
            memset(bytes, 0, sizeof bytes);
            ms_random_fill(ms_random_system(), bytes + 1, len);
            for (size_t i = 0; i < len; i++)
                seen[i] |= bytes[1 + i];
            assert_int_equal(bytes[0], 0);
            assert_int_equal(bytes[1 + len], 0);
        }
        for (size_t i = 0; i < len; i++)
            assert_int_not_equal(seen[i], 0);
    }
}

static void a_forked_child_draws_other_numbers(void **state) {
    (void)state;
    (void)ms_random_u64(ms_random_system());
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    uint64_t values[20];
    for (int i = 0; i < 10; i++)
        values[i] = ms_random_u64(ms_random_system());
    if (child == 0)
        _exit(write(pipe_fds[1], values, 80) == 80 ? 0 : 1);
    assert_int_equal(read(pipe_fds[0], values + 10, 80), 80);
    int status;
    waitpid(child, &status, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_all_different(values, 20);
}

static void a_seed_gives_the_same_numbers_for_ever(void **state) {
    (void)state;
    /* xoshiro256** from SplitMix64(0): its first state words are published with SplitMix64. */
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 0);
    assert_true(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(random.state[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(ms_random_u64(&random.random) == UINT64_C(0x99ec5f36cb75f2b4));
    assert_true(ms_random_u64(&random.random) == UINT64_C(0xbf6e1f784956452a));
    random.state[0] = 1;
    random.state[1] = 2;
    random.state[2] = 3;
    random.state[3] = 4;
    /* The generator's published test vector. */
    static const uint64_t wanted[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (int i = 0; i < 4; i++)
        assert_true(ms_random_u64(&random.random) == wanted[i]);
}

static void seeded_bytes_are_little_endian_numbers(void **state) {
    (void)state;
    struct ms_random_seeded a, b;
    ms_random_seeded_init(&a, 42);
    ms_random_seeded_init(&b, 42);
    uint8_t bytes[11];
    ms_random_fill(&a.random, bytes, sizeof bytes);
    uint64_t first = ms_random_u64(&b.random), second = ms_random_u64(&b.random);
    for (int i = 0; i < 8; i++)
        assert_int_equal(bytes[i], (uint8_t)(first >> 8 * i));
    for (int i = 0; i < 3; i++)
        assert_int_equal(bytes[8 + i], (uint8_t)(second >> 8 * i));
    assert_true(ms_random_u64(&a.random) == ms_random_u64(&b.random));
    ms_random_seeded_init(&b, 43);
    assert_true(ms_random_u64(&a.random) != ms_random_u64(&b.random));
}

static void numbers_below_a_bound_are_even(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 7);
    int counts[10] = {0};
    for (int i = 0; i < 100000; i++)
        counts[ms_random_below(&random.random, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ms_random_below(&random.random, 1), 0);
    /* Where a plain remainder would give the lower part twice the share. */
    uint64_t bound = UINT64_C(3) << 62;
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t value = ms_random_below(&random.random, bound);
        assert_true(value < bound);
        low += value < bound / 3;
    }
    assert_in_range(low, 9500, 10500);
    assert_true(ms_random_below(&random.random, UINT64_MAX) < UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_numbers_differ_in_all_threads),
        cmocka_unit_test(pieces_of_every_length_are_filled),
        cmocka_unit_test(a_forked_child_draws_other_numbers),
        cmocka_unit_test(a_seed_gives_the_same_numbers_for_ever),
        cmocka_unit_test(seeded_bytes_are_little_endian_numbers),
        cmocka_unit_test(numbers_below_a_bound_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
