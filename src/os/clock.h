/* Clocks as a seam. Any thread. */
#pragma once

#include <stdint.h>

struct ms_clock {
    int64_t (*now_us)(struct ms_clock *clock);       /* wall time, µs since 1970 UTC; may jump */
    int64_t (*monotonic_us)(struct ms_clock *clock); /* never goes back; for durations, deadlines */
    void (*sleep_us)(struct ms_clock *clock, int64_t us);
};

static inline int64_t ms_clock_now_us(struct ms_clock *clock) { return clock->now_us(clock); }
static inline int64_t ms_clock_monotonic_us(struct ms_clock *clock) {
    return clock->monotonic_us(clock);
}
static inline void ms_clock_sleep_us(struct ms_clock *clock, int64_t us) {
    clock->sleep_us(clock, us);
}

struct ms_clock *ms_clock_system(void);

/* A clock that moves only when told to (sleep moves it too). For tests. */
struct ms_clock_manual {
    struct ms_clock clock;
    _Atomic int64_t us;
};
void ms_clock_manual_init(struct ms_clock_manual *clock, int64_t start_us);
void ms_clock_manual_advance(struct ms_clock_manual *clock, int64_t us);
