/* Waiting for positions; see waiters.h. */
#include "projection/waiters.h"

void ms_position_waiters_init(struct ms_position_waiters *waiters, uint64_t applied,
                              void (*hurry)(void *context), void *context) {
    *waiters = (struct ms_position_waiters){.applied = applied, .hurry = hurry, .context = context};
    pthread_mutex_init(&waiters->lock, NULL);
}

void ms_position_waiters_deinit(struct ms_position_waiters *waiters) {
    MS_ASSERT(waiters->first == NULL);
    pthread_mutex_destroy(&waiters->lock);
}

uint64_t ms_position_waiters_applied(struct ms_position_waiters *waiters) {
    pthread_mutex_lock(&waiters->lock);
    uint64_t applied = waiters->applied;
    pthread_mutex_unlock(&waiters->lock);
    return applied;
}

static void unlink_waiter(struct ms_position_waiter *waiter) {
    *waiter->place = waiter->next;
    if (waiter->next != NULL)
        waiter->next->place = waiter->place;
    waiter->place = NULL;
}

bool ms_position_waiters_add(struct ms_position_waiters *waiters,
                             struct ms_position_waiter *waiter) {
    pthread_mutex_lock(&waiters->lock);
    bool waits = !waiters->closed && waiter->position >= waiters->applied;
    if (waits) {
        waiter->next = waiters->first;
        waiter->place = &waiters->first;
        if (waiters->first != NULL)
            waiters->first->place = &waiter->next;
        waiters->first = waiter;
    }
    bool hurries = waits && !waiter->patient; /* it may be gone behind the lock */
    pthread_mutex_unlock(&waiters->lock);
    if (hurries)
        waiters->hurry(waiters->context);
    return waits;
}

void ms_position_waiters_remove(struct ms_position_waiters *waiters,
                                struct ms_position_waiter *waiter) {
    pthread_mutex_lock(&waiters->lock);
    if (waiter->place != NULL)
        unlink_waiter(waiter);
    pthread_mutex_unlock(&waiters->lock);
}

/* Under the lock, so that a removed one is not woken any more. */
static void wake_those_below(struct ms_position_waiters *waiters) {
    struct ms_position_waiter *waiter = waiters->first, *next;
    for (; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (!waiters->closed && waiter->position >= waiters->applied)
            continue;
        unlink_waiter(waiter);
        waiter->wake(waiter->context);
    }
}

void ms_position_waiters_move(struct ms_position_waiters *waiters, uint64_t applied) {
    pthread_mutex_lock(&waiters->lock);
    waiters->applied = applied;
    wake_those_below(waiters);
    pthread_mutex_unlock(&waiters->lock);
}

void ms_position_waiters_close(struct ms_position_waiters *waiters) {
    pthread_mutex_lock(&waiters->lock);
    waiters->closed = true;
    wake_those_below(waiters);
    pthread_mutex_unlock(&waiters->lock);
}
