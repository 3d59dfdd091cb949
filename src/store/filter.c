/* Does an event match a filter? Any thread. */
#include "store/internal.h"

static bool has_tag(struct ms_bytes tags, struct ms_bytes tag) {
    while (tags.len > 0) {
        const uint8_t *comma = memchr(tags.data, ',', tags.len);
        size_t len = comma != NULL ? (size_t)(comma - tags.data) : tags.len;
        if (ms_bytes_equal(ms_bytes_of(tags.data, len), tag))
            return true;
        size_t step = comma != NULL ? len + 1 : len;
        tags = ms_bytes_of(tags.data + step, tags.len - step);
    }
    return false;
}

/* Of a list without members: any. */
static bool is_any_of(struct ms_bytes text, const struct ms_bytes *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (ms_bytes_equal(list[i], text))
            return true;
    return count == 0;
}

bool ms_filter_matches(const struct ms_filter *filter, const struct ms_read_event *event,
                       bool system) {
    if (system && !filter->include_system)
        return false;
    if (!is_any_of(event->place.topic, filter->topics, filter->topic_count))
        return false;
    if (filter->stream_prefix.data != NULL &&
        !ms_bytes_starts_with(event->place.stream, filter->stream_prefix))
        return false;
    if (!is_any_of(event->event.type, filter->types, filter->type_count))
        return false;
    for (size_t i = 0; i < filter->tag_count; i++)
        if (!has_tag(event->event.tags, filter->tags[i]))
            return false;
    return filter->correlation_id.data == NULL ||
           ms_bytes_equal(filter->correlation_id, event->event.correlation_id) ||
           ms_bytes_equal(filter->correlation_id, event->event.id);
}
