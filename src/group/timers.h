/*
 * Deadlines: a binary heap of timers that are part of what they belong to. A deadline that moves
 * into the future, as a session's does with every heartbeat, costs nothing: the timer keeps its
 * place and finds out when its old time comes. No lock; the owner's.
 */
#pragma once

#include "base/error.h"

struct ms_timer {
    int64_t due_ms; /* when it is wanted */
    int64_t key_ms; /* where it stands in the heap: at most due_ms */
    size_t place;   /* in the heap, from 1; 0: it is not set */
    uint8_t kind;   /* whose it is: the owner's to say */
};

struct ms_timers {
    struct ms_timer **heap; /* from 1 */
    size_t count, capacity, reserved;
};

void ms_timers_init(struct ms_timers *timers);
void ms_timers_deinit(struct ms_timers *timers);
/* Memory for one more timer, so that setting it can't fail. MS_ENOMEM. */
int ms_timers_reserve(struct ms_timers *timers) MS_MUST_CHECK;
/* Stops the timer and gives its reservation back. */
void ms_timers_release(struct ms_timers *timers, struct ms_timer *timer);
void ms_timer_set(struct ms_timers *timers, struct ms_timer *timer, int64_t due_ms);
void ms_timer_stop(struct ms_timers *timers, struct ms_timer *timer);
/* A timer that is due at `now_ms`, which is stopped; NULL when there is none. */
struct ms_timer *ms_timers_pop(struct ms_timers *timers, int64_t now_ms);
/* No timer is due before; INT64_MAX when none is set. */
int64_t ms_timers_next_ms(const struct ms_timers *timers);
