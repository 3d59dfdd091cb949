/* The body of POST /v1/append as what the store takes. Sans-I/O; any thread. */
#pragma once

#include "store/store.h"

struct ms_http_multi_array {
    void *items;
    size_t count;
};

struct ms_http_multi {
    const struct ms_event_limits *limits;
    struct ms_arena *arena;
    struct ms_append_part *parts; /* arena */
    size_t part_count;
    struct ms_query_condition *queries; /* arena */
    size_t query_count;
    size_t event_count; /* of all parts */
};

/* The streams' names are in the arena, the events borrow from body and arena. `multi` comes with
 * limits and arena, the rest zero. MS_EINVAL names the place ("appends: [1]: expect: …"),
 * MS_ETOOBIG, MS_ENOMEM. */
int ms_http_multi_parse(struct ms_bytes body, struct ms_http_multi *multi, struct ms_error *err)
    MS_MUST_CHECK;
