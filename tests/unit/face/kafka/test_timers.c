/* Deadlines: order, cancelling, moving, against a list that is searched. */
#include "face/kafka/timers.h"
#include "kafka_cmocka.h"

#define COUNT 500
#define STEPS 20000

struct alarm {
    struct ms_kafka_timer timer; /* first, so that a timer is its alarm */
    unsigned fired;
    int64_t wanted_us; /* 0: not set */
};

static int64_t last_us;
static unsigned fired;
static struct ms_kafka_timers timers;

static void ring(struct ms_kafka_timer *timer) {
    struct alarm *alarm = (struct alarm *)(void *)timer;
    assert_false(timer->set);
    assert_true(timer->at_us >= last_us);
    assert_int_equal(alarm->wanted_us, timer->at_us);
    last_us = timer->at_us;
    alarm->wanted_us = 0;
    alarm->fired++;
    fired++;
}

static int64_t earliest(const struct alarm *alarms) {
    int64_t at_us = INT64_MAX;
    for (size_t i = 0; i < COUNT; i++)
        if (alarms[i].wanted_us && alarms[i].wanted_us < at_us)
            at_us = alarms[i].wanted_us;
    return at_us;
}

static int reset(void **state) {
    (void)state;
    timers = (struct ms_kafka_timers){0};
    last_us = 0;
    fired = 0;
    return 0;
}

static void deadlines_come_in_order_whatever_is_set_moved_and_cancelled(void **state) {
    (void)state;
    static struct alarm alarms[COUNT];
    uint64_t seed = 1;
    int64_t now_us = 1000;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct alarm *alarm = &alarms[(seed >> 33) % COUNT];
        alarm->timer.fire = ring;
        unsigned what = (seed >> 20) % 8;
        if (what < 5) {
            alarm->wanted_us = now_us + 1 + (int64_t)((seed >> 40) % 1000);
            ms_kafka_timers_set(&timers, &alarm->timer, alarm->wanted_us);
        } else if (what < 7) {
            alarm->wanted_us = 0;
            ms_kafka_timers_cancel(&timers, &alarm->timer);
        } else {
            now_us += 20;
            last_us = 0;
            ms_kafka_timers_fire(&timers, now_us);
            assert_true(earliest(alarms) > now_us);
        }
        assert_int_equal(ms_kafka_timers_next_us(&timers), earliest(alarms));
    }
    last_us = 0;
    ms_kafka_timers_fire(&timers, INT64_MAX - 1);
    assert_int_equal(earliest(alarms), INT64_MAX);
    assert_null(timers.first);
    assert_true(fired > 100);
}

static void again(struct ms_kafka_timer *timer) {
    fired++;
    ms_kafka_timers_set(&timers, timer, 0);
}

static void one_that_sets_itself_again_fires_once_a_time(void **state) {
    (void)state;
    struct ms_kafka_timer timer = {.fire = again};
    ms_kafka_timers_set(&timers, &timer, 5);
    assert_int_equal(ms_kafka_timers_fire(&timers, 4), 0);
    assert_int_equal(ms_kafka_timers_fire(&timers, 5), 1);
    assert_int_equal(ms_kafka_timers_next_us(&timers), 6);
    assert_int_equal(ms_kafka_timers_fire(&timers, 6), 1);
    ms_kafka_timers_cancel(&timers, &timer);
    ms_kafka_timers_cancel(&timers, &timer);
    assert_int_equal(ms_kafka_timers_fire(&timers, 100), 0);
    assert_int_equal(fired, 2);
}

static struct ms_kafka_timer other;
static void cancel_other(struct ms_kafka_timer *timer) {
    (void)timer;
    fired++;
    ms_kafka_timers_cancel(&timers, &other);
}

static void one_may_cancel_another_that_is_due(void **state) {
    (void)state;
    struct ms_kafka_timer timer = {.fire = cancel_other};
    other = (struct ms_kafka_timer){.fire = cancel_other};
    ms_kafka_timers_set(&timers, &other, 7);
    ms_kafka_timers_set(&timers, &timer, 6);
    assert_int_equal(ms_kafka_timers_fire(&timers, 10), 1);
    assert_int_equal(fired, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(deadlines_come_in_order_whatever_is_set_moved_and_cancelled, reset),
        cmocka_unit_test_setup(one_that_sets_itself_again_fires_once_a_time, reset),
        cmocka_unit_test_setup(one_may_cancel_another_that_is_due, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
