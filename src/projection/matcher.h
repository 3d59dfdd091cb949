/*
 * Which events a projection needs, and which of its handlers an event's type calls.
 *
 * A type that was seen is found by its hash; what it calls was worked out once. The cache is
 * emptied when it has reached its limit (limits.h) or there is no memory for more: a log with
 * endless new types costs time, but neither memory nor an error. One thread per matcher.
 */
#pragma once

#include "projection/definition.h"

struct ms_matcher;

/* The definition must outlive the matcher. MS_ENOMEM. */
int ms_matcher_new(const struct ms_projection_definition *definition,
                   struct ms_matcher **ret_matcher) MS_MUST_CHECK;
void ms_matcher_free(struct ms_matcher *matcher); /* takes NULL */

/* Indexes of the definition's handlers, in the order of the file. */
struct ms_matcher_handlers {
    const uint16_t *items;
    size_t count;
};
/* What a type calls, wherever the event comes from; valid until the next call. */
struct ms_matcher_handlers ms_matcher_handlers(struct ms_matcher *matcher, struct ms_bytes type);

/* The same for an event, none when no source has it. `stream` is the name in its canonical form,
 * absent for an event without a key. */
struct ms_matcher_handlers ms_matcher_needs(struct ms_matcher *matcher, struct ms_bytes topic,
                                            struct ms_bytes stream, struct ms_bytes type);
