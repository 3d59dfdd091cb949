/* Tests of os/clock: the system's clocks move, the manual one only when told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "os/clock.h"

static void system_clock_agrees_with_time(void **state) {
    (void)state;
    struct ms_clock *clock = ms_clock_system();
    int64_t before = (int64_t)time(NULL);
    int64_t now = ms_clock_now_us(clock);
    int64_t after = (int64_t)time(NULL);
    assert_true(now >= (before - 1) * 1000000 && now <= (after + 1) * 1000000);
}

static void monotonic_clock_never_goes_back_and_sleep_takes_time(void **state) {
    (void)state;
    struct ms_clock *clock = ms_clock_system();
    int64_t last = ms_clock_monotonic_us(clock);
    for (int i = 0; i < 10000; i++) {
        int64_t now = ms_clock_monotonic_us(clock);
        assert_true(now >= last);
        last = now;
    }
    ms_clock_sleep_us(clock, 2000);
    assert_true(ms_clock_monotonic_us(clock) - last >= 2000);
    ms_clock_sleep_us(clock, 0);
    ms_clock_sleep_us(clock, -5);
}

static void manual_clock_moves_only_when_told(void **state) {
    (void)state;
    struct ms_clock_manual manual;
    ms_clock_manual_init(&manual, 1000);
    struct ms_clock *clock = &manual.clock;
    assert_int_equal(ms_clock_now_us(clock), 1000);
    assert_int_equal(ms_clock_monotonic_us(clock), 1000);
    ms_clock_manual_advance(&manual, 5);
    assert_int_equal(ms_clock_now_us(clock), 1005);
    ms_clock_sleep_us(clock, 100);
    assert_int_equal(ms_clock_monotonic_us(clock), 1105);
    ms_clock_sleep_us(clock, -100);
    assert_int_equal(ms_clock_now_us(clock), 1105);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_clock_agrees_with_time),
        cmocka_unit_test(monotonic_clock_never_goes_back_and_sleep_takes_time),
        cmocka_unit_test(manual_clock_moves_only_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
