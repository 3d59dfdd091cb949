/* Copies of events; see event_log.h. */
#include "support/event_log.h"

#include <stdio.h>

#include "base/alloc.h"

static char *copy(struct ms_bytes bytes) {
    if (bytes.data == NULL)
        return NULL;
    char *text = ms_alloc_strdup(bytes);
    MS_ASSERT(text != NULL);
    return text;
}

static void clear_event(struct seen_event *event) {
    char *texts[] = {event->stream, event->id,   event->type,          event->topic,
                     event->data,   event->tags, event->correlation_id};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ms_free(texts[i]);
}

void event_log_clear(struct event_log *log) {
    for (size_t i = 0; i < log->count; i++)
        clear_event(&log->events[i]);
    ms_free(log->events);
    log->events = NULL;
    log->count = log->capacity = 0;
}

int event_log_take(void *context, const struct ms_read_event *event) {
    struct event_log *log = context;
    if (log->fail_at > 0 && log->count + 1 == log->fail_at)
        return MS_ECANCELED;
    if (log->count == log->capacity) {
        log->capacity = log->capacity == 0 ? 16 : log->capacity * 2;
        log->events = ms_realloc(log->events, log->capacity * sizeof *log->events);
        MS_ASSERT(log->events != NULL);
    }
    const struct ms_event *e = &event->event;
    log->events[log->count++] = (struct seen_event){
        .stream = copy(event->place.stream),
        .id = copy(e->id),
        .type = copy(e->type),
        .topic = copy(event->place.topic),
        .data = copy(e->data),
        .data_len = e->data.len,
        .data_is_null = e->data_is_null,
        .tags = copy(e->tags),
        .correlation_id = copy(e->correlation_id),
        .version = event->place.version,
        .timestamp_ms = e->timestamp_ms,
        .recorded_at_ms = event->place.recorded_at_us / 1000,
        .offset = event->place.offset,
        .position = event->place.position,
        .partition = event->place.partition,
    };
    return log->stop_at > 0 && log->count >= log->stop_at ? 1 : 0;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool seen_event_equal(const struct seen_event *a, const struct seen_event *b) {
    return same_text(a->stream, b->stream) && same_text(a->id, b->id) &&
           same_text(a->type, b->type) && same_text(a->topic, b->topic) &&
           same_text(a->tags, b->tags) && same_text(a->correlation_id, b->correlation_id) &&
           a->data_len == b->data_len &&
           (a->data_len == 0 || memcmp(a->data, b->data, a->data_len) == 0) &&
           a->data_is_null == b->data_is_null && a->version == b->version &&
           a->timestamp_ms == b->timestamp_ms && a->recorded_at_ms == b->recorded_at_ms &&
           a->position == b->position && a->partition == b->partition && a->offset == b->offset;
}

bool event_log_equal(const struct event_log *a, const struct event_log *b, bool reversed) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!seen_event_equal(&a->events[i], &b->events[reversed ? b->count - 1 - i : i]))
            return false;
    return true;
}

const char *event_log_ids(const struct event_log *log, char *out, size_t max) {
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < log->count && at + 1 < max; i++)
        at += (size_t)snprintf(out + at, max - at, i > 0 ? " %s" : "%s", log->events[i].id);
    return out;
}
