/*
 * Who waits for what: streams by id, and everything. The committer notes the streams of the group
 * it publishes and then wakes exactly the waiters concerned; arming is for one wake.
 *
 * No wake is lost: a reader arms first and then reads once more. Once ms_waiter_disarm has
 * returned, wake is neither running nor will it be called. Any thread.
 */
#include "store/internal.h"

void ms_waiters_init(struct ms_waiters *waiters) {
    *waiters = (struct ms_waiters){0};
    pthread_mutex_init(&waiters->lock, NULL);
    pthread_cond_init(&waiters->fired_done, NULL);
}

void ms_waiters_deinit(struct ms_waiters *waiters) {
    pthread_cond_destroy(&waiters->fired_done);
    pthread_mutex_destroy(&waiters->lock);
}

struct ms_stream_id ms_partition_waiter_id(uint32_t topic, uint16_t partition) {
    struct ms_stream_id id = {{0}};
    uint32_t hash = (topic * 0x9e3779b1u) ^ (partition * 0x85ebca6bu);
    memcpy(id.bytes, &hash, sizeof hash); /* the rest is zeros but for what tells them apart */
    memcpy(id.bytes + 8, &topic, sizeof topic);
    memcpy(id.bytes + 12, &partition, sizeof partition);
    return id;
}

static struct ms_waiter **bucket_of(struct ms_waiters *waiters, const struct ms_stream_id *stream) {
    uint32_t hash;
    memcpy(&hash, stream->bytes, sizeof hash);
    return &waiters->buckets[hash % MS_WAITER_BUCKETS];
}

static void unlink_waiter(struct ms_waiters *waiters, struct ms_waiter *waiter) {
    *waiter->place = waiter->next;
    if (waiter->next != NULL)
        waiter->next->place = waiter->place;
    waiter->place = NULL;
    if (!waiter->all)
        atomic_fetch_sub(&waiters->stream_count, 1);
}

static void arm_locked(struct ms_waiters *waiters, struct ms_waiter *waiter) {
    struct ms_waiter **list = waiter->all ? &waiters->all : bucket_of(waiters, &waiter->stream);
    waiter->next = *list;
    waiter->place = list;
    if (waiter->next != NULL)
        waiter->next->place = &waiter->next;
    *list = waiter;
    if (!waiter->all)
        atomic_fetch_add(&waiters->stream_count, 1);
}

void ms_waiter_arm(struct ms_waiters *waiters, struct ms_waiter *waiter) {
    pthread_mutex_lock(&waiters->lock);
    if (waiter->firing) {
        waiter->rearm = true; /* by the wake itself: nothing is published before it is over */
    } else if (waiter->place == NULL) {
        arm_locked(waiters, waiter);
    }
    pthread_mutex_unlock(&waiters->lock);
}

void ms_waiter_disarm(struct ms_waiters *waiters, struct ms_waiter *waiter) {
    pthread_mutex_lock(&waiters->lock);
    if (waiter->place != NULL)
        unlink_waiter(waiters, waiter);
    while (waiter->firing) {
        waiter->rearm = false;
        pthread_cond_wait(&waiters->fired_done, &waiters->lock);
    }
    if (waiter->place != NULL)
        unlink_waiter(waiters, waiter);
    pthread_mutex_unlock(&waiters->lock);
}

static void move_to_fired(struct ms_waiters *waiters, struct ms_waiter *waiter) {
    unlink_waiter(waiters, waiter);
    waiter->firing = true;
    waiter->next_fired = waiters->fired;
    waiters->fired = waiter;
}

void ms_waiters_note(struct ms_waiters *waiters, const struct ms_stream_id *stream) {
    if (atomic_load_explicit(&waiters->stream_count, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&waiters->lock);
    struct ms_waiter *next;
    for (struct ms_waiter *w = *bucket_of(waiters, stream); w != NULL; w = next) {
        next = w->next;
        if (memcmp(w->stream.bytes, stream->bytes, MS_STREAM_ID_LEN) == 0)
            move_to_fired(waiters, w);
    }
    pthread_mutex_unlock(&waiters->lock);
}

void ms_waiters_fire(struct ms_waiters *waiters) {
    pthread_mutex_lock(&waiters->lock);
    while (waiters->all != NULL)
        move_to_fired(waiters, waiters->all);
    struct ms_waiter *fired = waiters->fired;
    waiters->fired = NULL;
    pthread_mutex_unlock(&waiters->lock);
    if (fired == NULL)
        return;
    for (struct ms_waiter *w = fired; w != NULL; w = w->next_fired)
        w->wake(w->context);
    pthread_mutex_lock(&waiters->lock);
    for (struct ms_waiter *w = fired; w != NULL;) {
        struct ms_waiter *next = w->next_fired; /* w may be freed once firing is false */
        w->firing = false;
        if (w->rearm)
            arm_locked(waiters, w);
        w->rearm = false;
        w = next;
    }
    pthread_cond_broadcast(&waiters->fired_done);
    pthread_mutex_unlock(&waiters->lock);
}
