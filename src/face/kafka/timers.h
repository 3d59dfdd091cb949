/*
 * Deadlines of a loop: an intrusive pairing heap, so that setting one needs no memory and can't
 * fail. Setting is O(1), cancelling and the next deadline O(log n) in the long run.
 *
 *   first: the earliest         previous: the sibling on the left, or of the leftmost the parent
 *     |
 *   child -- next -- next       every child is due no earlier than its parent
 *     |
 *   child -- next
 *
 * One thread: the loop's. No clock of its own; times are microseconds of the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Embedded in what waits; zeroed before its first use. */
struct ms_kafka_timer {
    int64_t at_us;
    /* Called once when the time has come; the timer is not set then and may be set again or
     * freed. */
    void (*fire)(struct ms_kafka_timer *timer);
    bool set;
    struct ms_kafka_timer *child, *next, *previous;
};

struct ms_kafka_timers {
    struct ms_kafka_timer *first; /* NULL: none */
    int64_t fired_us;
};

/* Sets the timer, or moves it when it is set. A time that has passed is the next firing's: a timer
 * that sets itself again can't keep one from ending. */
void ms_kafka_timers_set(struct ms_kafka_timers *timers, struct ms_kafka_timer *timer,
                         int64_t at_us);
/* Does nothing when it isn't set. */
void ms_kafka_timers_cancel(struct ms_kafka_timers *timers, struct ms_kafka_timer *timer);
/* The earliest deadline, INT64_MAX when there is none. */
int64_t ms_kafka_timers_next_us(const struct ms_kafka_timers *timers);
/* Calls all that are due, the earliest first; returns how many. */
unsigned ms_kafka_timers_fire(struct ms_kafka_timers *timers, int64_t now_us);
