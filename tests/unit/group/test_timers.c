/* Deadlines against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "group/timers.h"
#include "os/random.h"

#define TIMERS 100u

static void pops_exactly_what_is_due(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 3);
    struct ms_timers timers;
    ms_timers_init(&timers);
    struct ms_timer items[TIMERS] = {{0}};
    int64_t due[TIMERS]; /* -1: not set */
    for (size_t i = 0; i < TIMERS; i++) {
        due[i] = -1;
        assert_int_equal(ms_timers_reserve(&timers), 0);
    }
    int64_t now = 0;
    for (size_t step = 0; step < 20000; step++) {
        size_t i = ms_random_below(&random.random, TIMERS);
        if (ms_random_below(&random.random, 4) == 0) {
            ms_timer_stop(&timers, &items[i]);
            due[i] = -1;
        } else {
            due[i] = now + 1 + (int64_t)ms_random_below(&random.random, 1000);
            ms_timer_set(&timers, &items[i], due[i]);
        }
        now += (int64_t)ms_random_below(&random.random, 20);
        struct ms_timer *timer;
        while ((timer = ms_timers_pop(&timers, now)) != NULL) {
            size_t popped = (size_t)(timer - items);
            assert_in_range(due[popped], 0, now);
            due[popped] = -1;
        }
        for (size_t k = 0; k < TIMERS; k++) {
            assert_true(due[k] == -1 || due[k] > now);
            assert_true(due[k] == -1 || ms_timers_next_ms(&timers) <= due[k]);
        }
    }
    for (size_t i = 0; i < TIMERS; i++)
        ms_timers_release(&timers, &items[i]);
    assert_int_equal(ms_timers_next_ms(&timers), INT64_MAX);
    ms_timers_deinit(&timers);
}

static void a_reservation_can_fail_setting_cannot(void **state) {
    (void)state;
    struct ms_timers timers;
    ms_timers_init(&timers);
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_timers_reserve(&timers), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_timers_reserve(&timers), 0);
    struct ms_timer timer = {0};
    ms_alloc_fail_from(1);
    ms_timer_set(&timers, &timer, 5);
    ms_alloc_fail_nth(0);
    assert_null(ms_timers_pop(&timers, 4));
    assert_ptr_equal(ms_timers_pop(&timers, 5), &timer);
    ms_timers_deinit(&timers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pops_exactly_what_is_due),
        cmocka_unit_test(a_reservation_can_fail_setting_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
