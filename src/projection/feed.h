/*
 * The events that a projection needs, from a position on, in log order.
 *
 * Whatever can be left out without looking at an event is left out by the store: where sources are
 * topics, or types are spelled out, the index names the entries to read, and the others cost
 * nothing, or no more than their headers where they lie close together. Threads: one at a time;
 * `wake` comes from the committer's.
 */
#pragma once

#include "projection/matcher.h"
#include "store/store.h"

struct ms_feed;

/* The definition must outlive it. `wake`: there is something to poll for, after a poll that had
 * caught up. MS_ENOMEM, MS_EINVAL. */
int ms_feed_new(struct ms_store *store, const struct ms_projection_definition *definition,
                uint64_t from, void (*wake)(void *context), void *context,
                struct ms_feed **ret_feed, struct ms_error *err) MS_MUST_CHECK;
void ms_feed_free(struct ms_feed *feed); /* takes NULL; no wake after it */

/* The handlers are those that the event calls, at least one. 0 to go on, 1 to stop behind this
 * event, negative to fail with it: the next poll begins with it again then. */
typedef int ms_feed_fn(void *context, const struct ms_read_event *event,
                       struct ms_matcher_handlers handlers);
/* At most so many events are looked at. */
int ms_feed_poll(struct ms_feed *feed, size_t limit, ms_feed_fn *visit, void *context,
                 bool *ret_caught_up, struct ms_error *err) MS_MUST_CHECK;
/* The first position that was not looked at. */
uint64_t ms_feed_next(const struct ms_feed *feed);

/* The needed events up to a point in the past; from the log's beginning. */
int ms_feed_fold(struct ms_store *store, const struct ms_projection_definition *definition,
                 const struct ms_time_travel *travel, ms_feed_fn *visit, void *context,
                 struct ms_error *err) MS_MUST_CHECK;
