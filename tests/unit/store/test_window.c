/* The idempotence window against a plain array of the newest hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "os/random.h"
#include "store/internal.h"

#define WINDOW 1000u
#define STEPS 20000u

struct model {
    uint64_t hashes[STEPS];
    int64_t versions[STEPS];
    size_t count;
};

static int64_t *model_find(struct model *model, uint64_t hash) {
    size_t from = model->count > WINDOW ? model->count - WINDOW : 0;
    for (size_t i = from; i < model->count; i++)
        if (model->hashes[i] == hash)
            return &model->versions[i];
    return NULL;
}

static void model_add(struct model *model, uint64_t hash, int64_t version) {
    int64_t *known = model_find(model, hash);
    if (known != NULL) {
        *known = version;
        return;
    }
    model->hashes[model->count] = hash;
    model->versions[model->count++] = version;
}

/* Hashes that meet in few shards and few slots, so that probe sequences are long and broken up. */
static uint64_t crowded_hash(struct ms_random *random) {
    uint64_t draw = ms_random_u64(random);
    return (draw & 3) << 56 | ((draw >> 8) % 3000 + 1);
}

static void check_all(struct model *model, const struct ms_window *window) {
    for (size_t i = 0; i < model->count; i++) {
        int64_t version = -1, *expected = model_find(model, model->hashes[i]);
        bool found = ms_window_find(window, model->hashes[i], &version);
        assert_int_equal(found, expected != NULL);
        if (found)
            assert_int_equal(version, *expected);
    }
}

static void knows_the_newest(void **state) {
    (void)state;
    struct model *model = ms_calloc(1, sizeof *model);
    struct ms_window window;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 7);
    assert_int_equal(ms_window_init(&window, WINDOW), 0);
    for (size_t step = 0; step < STEPS; step++) {
        uint64_t hash =
            step < STEPS / 2 ? crowded_hash(&random.random) : ms_random_u64(&random.random) | 1;
        ms_window_add(&window, hash, (int64_t)step);
        model_add(model, hash, (int64_t)step);
        if (step % 2500 == 0)
            check_all(model, &window);
    }
    check_all(model, &window);
    assert_int_equal(window.count, WINDOW);
    ms_window_deinit(&window);
    ms_free(model);
}

static void an_empty_window_knows_nothing(void **state) {
    (void)state;
    struct ms_window window;
    int64_t version;
    assert_int_equal(ms_window_init(&window, 0), 0);
    assert_false(ms_window_find(&window, 1, &version));
    ms_window_add(&window, 1, 10);
    ms_window_add(&window, 2, 11); /* one place is the least that there is */
    assert_false(ms_window_find(&window, 1, &version));
    assert_true(ms_window_find(&window, 2, &version));
    assert_int_equal(version, 11);
    ms_window_deinit(&window);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_newest),
        cmocka_unit_test(an_empty_window_knows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
