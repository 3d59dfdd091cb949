/* A heap of deadlines; timers.h says what it promises. The owner's lock. */
#include "group/timers.h"

#include "base/alloc.h"

#define FIRST_CAPACITY 16u

void ms_timers_init(struct ms_timers *timers) { *timers = (struct ms_timers){0}; }

void ms_timers_deinit(struct ms_timers *timers) {
    ms_free(timers->heap);
    *timers = (struct ms_timers){0};
}

int ms_timers_reserve(struct ms_timers *timers) {
    if (timers->reserved == timers->capacity) {
        size_t capacity = timers->capacity == 0 ? FIRST_CAPACITY : 2 * timers->capacity;
        struct ms_timer **heap = ms_realloc(timers->heap, (capacity + 1) * sizeof *heap);
        if (heap == NULL)
            return MS_ENOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timers->reserved++;
    return 0;
}

static void put(struct ms_timers *timers, size_t place, struct ms_timer *timer) {
    timers->heap[place] = timer;
    timer->place = place;
}

static void move_up(struct ms_timers *timers, struct ms_timer *timer) {
    size_t place = timer->place;
    while (place > 1 && timers->heap[place / 2]->key_ms > timer->key_ms) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void move_down(struct ms_timers *timers, struct ms_timer *timer) {
    size_t place = timer->place;
    for (;;) {
        size_t child = 2 * place;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child + 1]->key_ms < timers->heap[child]->key_ms)
            child++;
        if (timers->heap[child]->key_ms >= timer->key_ms)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

void ms_timer_set(struct ms_timers *timers, struct ms_timer *timer, int64_t due_ms) {
    timer->due_ms = due_ms;
    if (timer->place == 0) {
        MS_ASSERT(timers->count < timers->reserved);
        timer->key_ms = due_ms;
        put(timers, ++timers->count, timer);
        move_up(timers, timer);
    } else if (due_ms < timer->key_ms) {
        timer->key_ms = due_ms;
        move_up(timers, timer);
    }
}

void ms_timer_stop(struct ms_timers *timers, struct ms_timer *timer) {
    size_t place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    struct ms_timer *last = timers->heap[timers->count--];
    if (last == timer)
        return;
    put(timers, place, last);
    move_up(timers, last);
    move_down(timers, last);
}

void ms_timers_release(struct ms_timers *timers, struct ms_timer *timer) {
    ms_timer_stop(timers, timer);
    MS_ASSERT(timers->reserved > 0);
    timers->reserved--;
}

struct ms_timer *ms_timers_pop(struct ms_timers *timers, int64_t now_ms) {
    while (timers->count > 0 && timers->heap[1]->key_ms <= now_ms) {
        struct ms_timer *timer = timers->heap[1];
        if (timer->due_ms <= now_ms) {
            ms_timer_stop(timers, timer);
            return timer;
        }
        timer->key_ms = timer->due_ms;
        move_down(timers, timer);
    }
    return NULL;
}

int64_t ms_timers_next_ms(const struct ms_timers *timers) {
    return timers->count > 0 ? timers->heap[1]->key_ms : INT64_MAX;
}
