/*
 * Names of topics, streams and event types in a projection file, and what it reads.
 *
 *     order.paid    this one          order.*    whatever begins with "order."
 *     *             all               a '*' elsewhere is refused
 *
 *     source            reads
 *     order             the topic (also order.*, with '*' at the end)
 *     stream:order-123  the stream, in any of its spellings (also stream:order-eu-*)
 *     type:order.*      events of these types, whatever topic they are in
 *     *                 everything
 *
 * The system's own topics ("$…" but "$streams") are read by none of them. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "projection/place.h"

struct ms_name_pattern {
    struct ms_bytes text; /* without the '*' */
    bool is_prefix;
};

enum ms_source_kind { MS_SOURCE_ALL, MS_SOURCE_TOPIC, MS_SOURCE_STREAM, MS_SOURCE_TYPE };

struct ms_source {
    enum ms_source_kind kind;
    struct ms_name_pattern name; /* matches everything for MS_SOURCE_ALL */
};

/* Borrows from the text. MS_EINVAL: empty, a blank or control character in it, a '*' not at its
 * end; MS_ETOOBIG. */
int ms_name_pattern_parse(struct ms_bytes text, struct ms_place place,
                          struct ms_name_pattern *ret_pattern, struct ms_error *err) MS_MUST_CHECK;
static inline bool ms_name_pattern_matches(const struct ms_name_pattern *pattern,
                                           struct ms_bytes name) {
    return pattern->is_prefix ? ms_bytes_starts_with(name, pattern->text)
                              : ms_bytes_equal(name, pattern->text);
}

/* The system's topics are read by nobody. */
bool ms_topic_is_the_systems(struct ms_bytes topic);
/* False: no event of this topic is one of the source's. Of a source with streams or types it can't
 * be told by the topic alone, but that no stream of it begins so. */
bool ms_source_may_read(const struct ms_source *source, struct ms_bytes topic);

/* Another spelling of a stream's name goes to the arena. MS_EINVAL: also what is no topic's or
 * stream's name, an unknown kind; MS_ERESERVED: the system's; MS_ETOOBIG, MS_ENOMEM. */
int ms_source_parse(struct ms_bytes text, struct ms_place place, struct ms_arena *arena,
                    struct ms_source *ret_source, struct ms_error *err) MS_MUST_CHECK;
