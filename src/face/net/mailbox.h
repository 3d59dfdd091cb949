/*
 * What other threads hand to a loop: an intrusive list that any thread pushes to without a lock,
 * and an eventfd that wakes the loop only when the list was empty, so that a block which completes
 * a thousand appends costs one system call.
 *
 *   committer, readers --push--> newest -> … -> oldest      the loop takes all and reverses it
 *
 * Order: what one thread pushed is delivered in the order it was pushed. Push: any thread. The
 * rest: the loop's thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct ms_error;

/* Embedded in what is handed over; in one mailbox at a time, and not pushed again before it was
 * delivered. */
struct ms_net_mail {
    struct ms_net_mail *next;
    void (*deliver)(struct ms_net_mail *mail); /* called on the loop's thread */
};

struct ms_net_mailbox {
    _Atomic(struct ms_net_mail *) newest;
    int wake_fd; /* readable when something was pushed */
};

/* MS_EIO (no eventfd). */
int ms_net_mailbox_init(struct ms_net_mailbox *mailbox, struct ms_error *err)
    __attribute__((warn_unused_result));
void ms_net_mailbox_deinit(struct ms_net_mailbox *mailbox);

void ms_net_mailbox_push(struct ms_net_mailbox *mailbox, struct ms_net_mail *mail);
/* Wakes the loop though nothing was pushed. Any thread. */
void ms_net_mailbox_wake(struct ms_net_mailbox *mailbox);
/* Takes back the wake-up: called when wake_fd was readable, before the mail is delivered. */
void ms_net_mailbox_woken(struct ms_net_mailbox *mailbox);
/* Delivers what is there, oldest first; returns how many. */
unsigned ms_net_mailbox_deliver(struct ms_net_mailbox *mailbox);
