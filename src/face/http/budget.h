/*
 * The server-wide budget of memory that clients make it hold (inflight_bytes_max), in two shares
 * that take nothing from each other: request bodies, and answers. So clients that do not read their
 * answers stop no append, and slow uploads stop no read.
 *
 *   bodies   |-- any body --------------------------------|-- small bodies only --|
 *   answers  |-- large batches --|-- small batches and events --|-- pages only ---|
 *
 * Within a share, what is less important ends earlier: large bodies leave room for small ones;
 * subscriptions leave room for pages of events, and while they catch up for those that live.
 *
 * Any thread.
 */
#pragma once

#include <stdint.h>

#include "face/net/share.h"

/* Bodies up to here are small. */
#define MS_HTTP_SMALL_BODY_BYTES ((size_t)64 * 1024)

struct ms_http_budget {
    struct ms_net_share bodies, answers;
    /* Memory to be given back to the system: the most that was held since it was done last. */
    atomic_size_t peak;
    _Atomic(int64_t) trimmed_us;
};

/* How far each kind of holder may fill its share, in bytes. */
struct ms_http_budget_limits {
    size_t body;          /* one body: the room that it needs exists */
    size_t bodies;        /* all of them */
    size_t small_bodies;  /* the bodies' whole share */
    size_t large_batches; /* of subscriptions that catch up */
    size_t events;        /* of subscriptions: a batch that turned out longer than a small one */
    size_t small_batches;
    size_t large_pages;
    size_t pages; /* the answers' whole share */
};
/* Half of `whole` for each, more for bodies when one body (body_max) needs it. */
struct ms_http_budget_limits ms_http_budget_divide(size_t whole, size_t body_max);

/* Bodies and answers. */
size_t ms_http_budget_used(const struct ms_http_budget *budget);
/* Now and then, from a loop: when much less is held than was, the allocator gives free memory back
 * to the system. True when that is still to be done: call again. */
bool ms_http_budget_trim(struct ms_http_budget *budget, int64_t now_us);
