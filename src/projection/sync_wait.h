/*
 * Projections of mode sync: whoever acknowledges an append waits until they have applied it.
 *
 *     durable ──> begin ──> wake … is_over? ──> end: who has not applied it is named and counted
 *
 * The events are durable by then, so nothing can undo the append any more: a projection that is too
 * slow, or stopped, is passed over once MS_SYNC_PATIENCE_US are over. One that reads none of the
 * topics is not waited for. The caller keeps the time, since each face has its own timers.
 *
 * Threads: one at a time per wait; `wake` comes from any.
 */
#pragma once

#include "projection/projections.h"

#define MS_SYNC_PATIENCE_US 2000000

struct ms_sync_wait;

/* What was appended to the topics (NULL: whichever) at `position` and below. In the arena; `wake`
 * is called whenever there may be news, until the end. NULL: nobody has to be waited for, or there
 * is no memory. `projections` may be NULL. */
struct ms_sync_wait *ms_sync_wait_begin(struct ms_projections *projections,
                                        const struct ms_bytes *topics, size_t topic_count,
                                        uint64_t position, struct ms_arena *arena,
                                        void (*wake)(void *context), void *context);
/* Everyone has applied it, or will not. */
bool ms_sync_wait_is_over(const struct ms_sync_wait *wait);
/* The append is acknowledged now: the projections that have not applied it are counted, and told to
 * `pending` if it is given; `position` is the last that they have applied, -1 none. No wake after
 * it. */
typedef void ms_sync_pending_fn(void *context, struct ms_bytes projection, int64_t position);
void ms_sync_wait_end(struct ms_sync_wait *wait, ms_sync_pending_fn *pending, void *context);
/* Nobody is there any more to be answered. Takes NULL, not one that was ended. */
void ms_sync_wait_forget(struct ms_sync_wait *wait);
