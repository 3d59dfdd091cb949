/*
 * A page: events copied out of the log's memory, to be handed out one by one.
 *
 *   bytes   the events' fields one after the other, up to the page's size
 *   large   the fields of one event that does not fit any more; it is the page's last
 *   events  what is handed out; pointing into the two
 *
 * The store's reads deliver events to a callback, in memory that is valid for the call; an iterator
 * hands them out when it is asked. What lies between is this copy, once, field by field. Topic
 * names live as long as the store and are not copied, a stream's name once for a run of its events.
 *
 * Memory: the size asked for, the largest event, and EVENTS_MAX places. One thread.
 */
#include "base/alloc.h"
#include "lib/lib.h"

#define EVENTS_FIRST 16u
#define EVENTS_MAX 1024u

void ms_lib_page_deinit(struct ms_lib_page *page) {
    ms_free(page->events);
    ms_free(page->bytes);
    ms_free(page->large);
    *page = (struct ms_lib_page){0};
}

int ms_lib_page_reset(struct ms_lib_page *page, size_t size) {
    ms_free(page->large);
    page->large = NULL;
    page->count = page->at = page->used = 0;
    page->stream = page->stream_copy = (struct ms_bytes){0};
    if (page->size == size)
        return 0;
    ms_free(page->bytes);
    page->bytes = ms_alloc(size);
    page->size = page->bytes != NULL ? size : 0;
    return page->bytes != NULL ? 0 : MS_ENOMEM;
}

static int make_place(struct ms_lib_page *page) {
    if (page->count < page->capacity)
        return 0;
    size_t capacity = page->capacity == 0 ? EVENTS_FIRST : page->capacity * 4;
    struct mainstem_recorded_event *events = ms_realloc(page->events, capacity * sizeof *events);
    if (events == NULL)
        return MS_ENOMEM;
    page->events = events;
    page->capacity = capacity;
    return 0;
}
_Static_assert(EVENTS_FIRST * 4 * 4 * 4 == EVENTS_MAX, "the places end where the page does");

/* ---- copying ---- */

static size_t bytes_of(const struct ms_read_event *event) {
    const struct ms_event *e = &event->event;
    size_t size = e->id.len + e->type.len + e->source.len + e->version.len + e->content_type.len +
                  e->correlation_id.len + e->causation_id.len + e->traceparent.len +
                  e->time_text.len + e->data.len + e->metadata.len + e->tags.len +
                  event->place.stream.len + event->place.key.len;
    if (MS_UNLIKELY(e->extension_count > 0)) {
        size += e->extension_count * sizeof(struct mainstem_extension) +
                _Alignof(struct mainstem_extension);
        for (size_t i = 0; i < e->extension_count; i++)
            size += e->extensions[i].name.len + e->extensions[i].value.len;
    }
    return size;
}

/* Moves a field to *to. What is absent stays so; what is empty needs any address. */
static inline void move(struct mainstem_bytes *field, uint8_t **to) {
    if (field->data == NULL)
        return;
    memcpy(*to, field->data, field->size);
    field->data = *to;
    *to += field->size;
}

static void move_extensions(struct mainstem_event *event, struct mainstem_extension *extensions,
                            uint8_t **to) {
    for (size_t i = 0; i < event->extension_count; i++) {
        move(&extensions[i].name, to);
        move(&extensions[i].value, to);
    }
}

static void move_fields(struct mainstem_recorded_event *event, uint8_t **to) {
    bool own_correlation = event->event.correlation_id.data == event->event.id.data;
    move(&event->event.id, to);
    move(&event->event.type, to);
    move(&event->event.data, to);
    move(&event->event.content_type, to);
    move(&event->event.metadata, to);
    move(&event->event.version, to);
    move(&event->event.source, to);
    if (own_correlation)
        event->event.correlation_id = event->event.id;
    else
        move(&event->event.correlation_id, to);
    move(&event->event.causation_id, to);
    move(&event->event.traceparent, to);
    move(&event->event.tags, to);
    move(&event->event.time, to);
    move(&event->key, to);
}

/* Mostly the name of the event before. */
static void move_stream(struct ms_lib_page *page, struct mainstem_recorded_event *event,
                        bool in_page, uint8_t **to) {
    struct ms_bytes name = ms_lib_bytes(event->stream);
    if (in_page && page->stream_copy.len > 0 && ms_bytes_equal(page->stream_copy, name)) {
        event->stream = ms_lib_bytes_out(page->stream_copy);
        return;
    }
    move(&event->stream, to);
    if (in_page)
        page->stream_copy = ms_lib_bytes(event->stream);
}

/* Where `size` bytes of an event go. */
static uint8_t *place_bytes(struct ms_lib_page *page, size_t size) {
    if (page->size - page->used >= size)
        return page->bytes + page->used;
    page->large = ms_alloc(size);
    return page->large;
}

int ms_lib_page_take(void *context, const struct ms_read_event *event) {
    struct ms_lib_page *page = context;
    size_t size = bytes_of(event);
    int rc = make_place(page);
    if (rc != 0)
        return rc;
    uint8_t *at = place_bytes(page, size);
    if (at == NULL)
        return MS_ENOMEM;
    bool in_page = page->large == NULL;
    struct mainstem_recorded_event *recorded = &page->events[page->count];
    struct mainstem_extension *extensions = NULL;
    uint8_t *to = at;
    if (MS_UNLIKELY(event->event.extension_count > 0)) {
        size_t align = _Alignof(struct mainstem_extension);
        to = (uint8_t *)(((uintptr_t)to + align - 1) & ~(uintptr_t)(align - 1));
        extensions = (struct mainstem_extension *)(void *)to;
        to += event->event.extension_count * sizeof *extensions;
    }
    ms_lib_recorded(event, extensions, recorded);
    if (extensions != NULL)
        move_extensions(&recorded->event, extensions, &to);
    move_fields(recorded, &to);
    move_stream(page, recorded, in_page, &to);
    MS_ASSERT((size_t)(to - at) <= size);
    if (in_page)
        page->used += (size_t)(to - at);
    page->count++;
    return !in_page || page->count == EVENTS_MAX || page->used == page->size;
}
