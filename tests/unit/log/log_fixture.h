/* One world per test, with a bound on its time, and what tests of a log's life say often. */
#pragma once

#include <unistd.h>

#include "support/log_world.h"

#define HANG_S 30 /* no test here takes longer, unless it hangs */

static inline int setup(void **state) {
    static struct log_world w;
    log_world_init(&w, 1);
    *state = &w;
    alarm(HANG_S);
    return 0;
}

static inline int teardown(void **state) {
    alarm(0);
    log_world_deinit(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline void assert_good(struct log_world *w) {
    const char *wrong = log_world_check(w);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static inline struct ms_log_info info_of(struct log_world *w) {
    struct ms_log_info info;
    ms_log_info(w->log, &info);
    return info;
}

static inline void reopen(struct log_world *w) {
    assert_int_equal(log_world_close(w), 0);
    assert_int_equal(log_world_open(w), 0);
}
