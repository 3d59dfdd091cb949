/* Deadlines; see timers.h. */
#include "face/kafka/timers.h"

#include <stddef.h>

/* Two heaps into one; each is a root without siblings, or NULL. */
static struct ms_kafka_timer *meld(struct ms_kafka_timer *a, struct ms_kafka_timer *b) {
    if (!a || !b)
        return a ? a : b;
    if (b->at_us < a->at_us) {
        struct ms_kafka_timer *swap = a;
        a = b;
        b = swap;
    }
    b->previous = a;
    b->next = a->child;
    if (a->child)
        a->child->previous = b;
    a->child = b;
    return a;
}

/* Siblings into one heap: in pairs from the left, then the pairs from the right. */
static struct ms_kafka_timer *meld_siblings(struct ms_kafka_timer *first) {
    struct ms_kafka_timer *pairs = NULL;
    while (first) {
        struct ms_kafka_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b)
            b->next = b->previous = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct ms_kafka_timer *root = NULL;
    while (pairs) {
        struct ms_kafka_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

/* Takes a timer that is not the root out of its siblings. */
static void unlink_sibling(struct ms_kafka_timer *timer) {
    if (timer->previous->child == timer)
        timer->previous->child = timer->next;
    else
        timer->previous->next = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
}

void ms_kafka_timers_cancel(struct ms_kafka_timers *timers, struct ms_kafka_timer *timer) {
    if (!timer->set)
        return;
    struct ms_kafka_timer *below = meld_siblings(timer->child);
    if (timer == timers->first) {
        timers->first = below;
    } else {
        unlink_sibling(timer);
        timers->first = meld(timers->first, below);
    }
    timer->child = timer->next = timer->previous = NULL;
    timer->set = false;
}

void ms_kafka_timers_set(struct ms_kafka_timers *timers, struct ms_kafka_timer *timer,
                         int64_t at_us) {
    ms_kafka_timers_cancel(timers, timer);
    timer->at_us = at_us > timers->fired_us ? at_us : timers->fired_us + 1;
    timer->set = true;
    timers->first = meld(timers->first, timer);
}

int64_t ms_kafka_timers_next_us(const struct ms_kafka_timers *timers) {
    return timers->first ? timers->first->at_us : INT64_MAX;
}

unsigned ms_kafka_timers_fire(struct ms_kafka_timers *timers, int64_t now_us) {
    unsigned count = 0;
    timers->fired_us = now_us;
    while (timers->first && timers->first->at_us <= now_us) {
        struct ms_kafka_timer *timer = timers->first;
        ms_kafka_timers_cancel(timers, timer);
        timer->fire(timer);
        count++;
    }
    return count;
}
