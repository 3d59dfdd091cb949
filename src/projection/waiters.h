/*
 * Who waits until a projection has applied everything below a position. Any thread; `wake` is
 * called once per waiter, from the thread that gets there, with nothing locked that wake may need.
 */
#pragma once

#include <pthread.h>

#include "base/bytes.h"

struct ms_position_waiter {
    struct ms_position_waiter *next, **place; /* NULL: not in a list */
    uint64_t position;                        /* until this is applied; the event's own */
    bool patient;                             /* some milliseconds more don't matter */
    void (*wake)(void *context);              /* any thread; must not block */
    void *context;
};

struct ms_position_waiters {
    pthread_mutex_t lock;
    uint64_t applied; /* positions below it are */
    bool closed;
    struct ms_position_waiter *first;
    void (*hurry)(void *context); /* somebody waits who is not patient; any thread */
    void *context;
};

void ms_position_waiters_init(struct ms_position_waiters *waiters, uint64_t applied,
                              void (*hurry)(void *context), void *context);
void ms_position_waiters_deinit(struct ms_position_waiters *waiters);
uint64_t ms_position_waiters_applied(struct ms_position_waiters *waiters);
/* False: the position is applied already, or nothing will be any more; nobody is woken then. */
bool ms_position_waiters_add(struct ms_position_waiters *waiters,
                             struct ms_position_waiter *waiter);
/* Not woken after it returns. Takes one that was woken, or never added. */
void ms_position_waiters_remove(struct ms_position_waiters *waiters,
                                struct ms_position_waiter *waiter);
/* It may go back: to where a crash of the database has set it. */
void ms_position_waiters_move(struct ms_position_waiters *waiters, uint64_t applied);
/* Wakes everybody, now and from now on. */
void ms_position_waiters_close(struct ms_position_waiters *waiters);
