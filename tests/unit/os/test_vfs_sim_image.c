/* Tests of os/vfs_sim_image: random operations against plain arrays; sharing is not seen by the
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "os/vfs_sim_internal.h"

enum { LIMIT = 3 << 20 };

struct pair {
    struct sim_image image;
    uint8_t *model; /* LIMIT bytes, zeros past the size */
};

static void check(const struct pair *pair, uint64_t offset, size_t len) {
    static uint8_t out[LIMIT + 5000];
    ms_sim_image_read(&pair->image, offset, out, len);
    assert_memory_equal(out, pair->model + offset, len);
}

static void random_write(struct ms_random *random, struct sim_pool *pool, struct pair *pair) {
    static uint8_t data[70000];
    size_t len = (size_t)ms_random_below(random, ms_random_below(random, 2) ? 70000 : 600);
    uint64_t offset = ms_random_below(random, LIMIT - 70000);
    if (ms_random_below(random, 3) == 0)
        offset = sim_round_down(offset, 4096);
    bool zeros = ms_random_below(random, 3) == 0;
    memset(data, zeros ? 0 : (int)ms_random_below(random, 256), len);
    bool as_null = zeros && ms_random_below(random, 2);
    ms_sim_image_write(pool, &pair->image, offset, as_null ? NULL : data, len);
    memcpy(pair->model + offset, data, len);
    if (offset + len > pair->image.size)
        pair->image.size = offset + len;
}

static void random_operations_match_arrays(void **state) {
    (void)state;
    struct ms_random_seeded seeded;
    ms_random_seeded_init(&seeded, 3);
    struct ms_random *random = &seeded.random;
    struct sim_pool pool = {0};
    struct pair pairs[2] = {0};
    for (int i = 0; i < 2; i++)
        pairs[i].model = calloc(1, LIMIT);
    for (int step = 0; step < 1200; step++) {
        struct pair *pair = &pairs[ms_random_below(random, 2)];
        struct pair *other = pair == pairs ? pairs + 1 : pairs;
        uint64_t offset = ms_random_below(random, LIMIT);
        uint64_t len = ms_random_below(random, LIMIT - offset);
        switch (ms_random_below(random, 12)) {
        case 0: {
            ms_sim_image_truncate(&pool, &pair->image, offset);
            memset(pair->model + offset, 0, LIMIT - offset);
            break;
        }
        case 1: {
            uint64_t start = sim_round_down(offset, 4096), end = sim_round_up(offset + len, 4096);
            ms_sim_image_share(&pool, &pair->image, &other->image, offset, len);
            if (len > 0)
                memcpy(pair->model + start, other->model + start, end - start);
            break;
        }
        case 2:
            ms_sim_image_share_all(&pool, &pair->image, &other->image);
            memcpy(pair->model, other->model, LIMIT);
            break;
        default:
            random_write(random, &pool, pair);
            break;
        }
        check(pair, offset, (size_t)len);
        if (ms_sim_image_has_no_pages(&pair->image, offset, len))
            for (uint64_t i = offset; i < offset + len; i++)
                assert_int_equal(pair->model[i], 0);
        if (step % 50 == 0) {
            check(pair, 0, LIMIT);
            check(other, 0, LIMIT);
        }
    }
    for (int i = 0; i < 2; i++) {
        ms_sim_image_clear(&pool, &pairs[i].image);
        free(pairs[i].model);
    }
    ms_sim_pool_clear(&pool);
}

static void zeros_take_no_pages(void **state) {
    (void)state;
    struct sim_pool pool = {0};
    struct sim_image image = {0};
    static const uint8_t zeros[1 << 20], ones[4096] = {1};
    for (int i = 0; i < 256; i++)
        ms_sim_image_write(&pool, &image, (uint64_t)i << 20, zeros, sizeof zeros);
    assert_true(ms_sim_image_has_no_pages(&image, 0, 256 << 20));
    assert_int_equal(image.leaf_count, 0);
    ms_sim_image_write(&pool, &image, 123 << 20, ones, sizeof ones);
    assert_false(ms_sim_image_has_no_pages(&image, 0, 256 << 20));
    ms_sim_image_write(&pool, &image, 123 << 20, zeros, 4096);
    assert_true(ms_sim_image_has_no_pages(&image, 0, 256 << 20));
    ms_sim_image_clear(&pool, &image);
    ms_sim_pool_clear(&pool);
}

static void thrown_away_pages_become_stale_ones(void **state) {
    (void)state;
    struct sim_pool pool = {0};
    struct sim_image image = {0};
    uint8_t data[4096];
    memset(data, 0x77, sizeof data);
    ms_sim_image_write(&pool, &image, 0, data, sizeof data);
    ms_sim_image_truncate(&pool, &image, 0);
    assert_non_null(pool.stale[0]);
    assert_memory_equal(pool.stale[0]->bytes, data, sizeof data);
    ms_sim_image_clear(&pool, &image);
    ms_sim_pool_clear(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_match_arrays),
        cmocka_unit_test(zeros_take_no_pages),
        cmocka_unit_test(thrown_away_pages_become_stale_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
