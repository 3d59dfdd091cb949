/* The system's clocks and the manual one; see clock.h. Any thread. */
#include "os/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "base/error.h"

static int64_t read_clock_us(clockid_t id) {
    struct timespec now;
    int failed = clock_gettime(id, &now);
    MS_ASSERT(failed == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_now_us(struct ms_clock *clock) {
    (void)clock;
    return read_clock_us(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(struct ms_clock *clock) {
    (void)clock;
    return read_clock_us(CLOCK_MONOTONIC);
}

static void system_sleep_us(struct ms_clock *clock, int64_t us) {
    (void)clock;
    if (us <= 0)
        return;
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

struct ms_clock *ms_clock_system(void) {
    static struct ms_clock clock = {system_now_us, system_monotonic_us, system_sleep_us};
    return &clock;
}

static int64_t manual_us(struct ms_clock *clock) {
    return atomic_load(&((struct ms_clock_manual *)clock)->us);
}

static void manual_sleep_us(struct ms_clock *clock, int64_t us) {
    if (us > 0)
        ms_clock_manual_advance((struct ms_clock_manual *)clock, us);
}

void ms_clock_manual_init(struct ms_clock_manual *clock, int64_t start_us) {
    clock->clock = (struct ms_clock){manual_us, manual_us, manual_sleep_us};
    atomic_init(&clock->us, start_us);
}

void ms_clock_manual_advance(struct ms_clock_manual *clock, int64_t us) {
    MS_ASSERT(us >= 0);
    atomic_fetch_add(&clock->us, us);
}
