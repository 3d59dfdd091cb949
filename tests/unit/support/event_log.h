/* Events as a reader was given them, copied: what tests compare. One thread per log. */
#pragma once

#include "store/store.h"

struct seen_event {
    char *stream, *id, *type, *topic; /* NULL where absent */
    char *data, *tags, *correlation_id;
    size_t data_len;
    bool data_is_null;
    int64_t version, timestamp_ms, recorded_at_ms, offset;
    uint64_t position;
    uint32_t partition;
};

struct event_log {
    struct seen_event *events;
    size_t count, capacity;
    size_t stop_at; /* the visitor stops (returns 1) when it holds so many; 0 never */
    size_t fail_at; /* … returns MS_ECANCELED instead of taking this one, counted from 1; 0 never */
};

void event_log_clear(struct event_log *log); /* frees; a zeroed struct is an empty log */
/* An ms_read_fn; the context is the log. */
int event_log_take(void *log, const struct ms_read_event *event);
bool seen_event_equal(const struct seen_event *a, const struct seen_event *b);
/* Same events in the same order; `reversed`: b is read from its end. */
bool event_log_equal(const struct event_log *a, const struct event_log *b, bool reversed);
/* "id id id": for messages and short comparisons. */
const char *event_log_ids(const struct event_log *log, char *out, size_t max);
