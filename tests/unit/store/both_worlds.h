/* Tests that run in both kinds of world: the simulated one folds everything anew at a start, the
 * other has its index on disk. Include it behind cmocka. */
#pragma once

#include "support/store_world.h"

static inline int setup(void **state) {
    static struct store_world w;
    store_world_init(&w, 1);
    *state = &w;
    return store_world_open(&w);
}

static inline int setup_real(void **state) {
    static struct store_world w;
    store_world_init_real(&w);
    *state = &w;
    return store_world_open(&w);
}

static inline int teardown(void **state) {
    store_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define test_real(f)                                                                               \
    { #f " (index on disk)", f, setup_real, teardown, NULL }
#define BOTH(f) test(f), test_real(f)

/* Without the index, where there is one. */
static inline void reopen_anew(struct store_world *w) {
    assert_int_equal(store_world_close(w), 0);
    if (w->real)
        store_world_drop_index(w);
    assert_int_equal(store_world_open(w), 0);
}
