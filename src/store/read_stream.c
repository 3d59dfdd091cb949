/*
 * Reading one stream: the index says where its appends stand, the log's cursor brings them.
 *
 * Rules of the stream (metadata.c) are honoured here: what is truncated, too old or too far back is
 * passed over without an error. Blocks for I/O. Any thread.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define PLACES_PER_PAGE 128u

int ms_stream_find(struct ms_store *store, struct ms_bytes name, struct ms_arena *arena,
                   struct ms_stream_ref *ret_ref, struct ms_error *err) {
    struct ms_bytes topic_name, key;
    int rc = ms_name_split(name, ms_name_bytes_max(store), arena, &topic_name, &key, err);
    if (rc != 0)
        return rc;
    struct ms_topic *topic = ms_topics_find(store, topic_name);
    if (topic == NULL)
        return MS_ENOTFOUND;
    rc = ms_topic_check_streams(store, topic, err);
    if (rc != 0)
        return rc;
    *ret_ref = (struct ms_stream_ref){topic, key, ms_stream_id_of(store, topic, key)};
    return 0;
}

int ms_store_stream_key(struct ms_store *store, struct ms_bytes stream, struct ms_arena *arena,
                        struct ms_bytes *ret_key, struct ms_error *err) {
    struct ms_bytes topic_name;
    return ms_name_split(stream, ms_name_bytes_max(store), arena, &topic_name, ret_key, err);
}

struct stream_reading {
    struct ms_store *store;
    const struct ms_stream_read *read;
    struct ms_stream_ref ref;
    struct ms_head head;
    int64_t first, last; /* readable versions */
    int64_t next;        /* version to deliver next */
    int64_t oldest_ms;   /* $maxAge */
    size_t delivered;
    bool stopped;
    ms_read_fn *visit;
    void *context;
    struct ms_log_cursor cursor;
    struct ms_entry_reader events;
};

int64_t ms_head_first_readable(const struct ms_head *head) {
    const struct ms_stream_rules *rules = &head->rules;
    int64_t first = rules->truncate_before;
    if (rules->deleted_head >= 0 && rules->deleted_head + 1 > first)
        first = rules->deleted_head + 1;
    if (rules->max_count > 0 && head->version - rules->max_count + 1 > first)
        first = head->version - rules->max_count + 1;
    return first;
}

static bool in_time(const struct stream_reading *reading, const struct ms_read_event *event) {
    const struct ms_time_travel *travel = &reading->read->travel;
    if (event->event.timestamp_ms < reading->oldest_ms)
        return false;
    switch (travel->kind) {
    case MS_AS_OF_NOW:
        return true;
    case MS_AS_OF_TIME:
        return event->event.timestamp_ms <= travel->time_ms;
    case MS_AS_OF_POSITION:
        return event->place.position <= travel->position;
    case MS_KNOWN_AT:
        return event->place.recorded_at_us / 1000 <= travel->time_ms;
    }
    return true;
}

/* Delivers one event if it is wanted. */
static int deliver(struct stream_reading *reading, const struct ms_read_event *event) {
    int64_t version = event->place.version;
    if (version < 0 || version < reading->first || version > reading->last ||
        !ms_bytes_equal(event->place.key, reading->ref.key))
        return 0;
    bool wanted = reading->read->backward ? version <= reading->next : version >= reading->next;
    if (!wanted)
        return 0;
    reading->next = reading->read->backward ? version - 1 : version + 1;
    if (!in_time(reading, event))
        return 0;
    int rc = reading->visit(reading->context, event);
    if (rc < 0)
        return rc;
    reading->delivered++;
    reading->stopped = rc > 0 || reading->delivered == reading->read->limit;
    return 0;
}

static int deliver_forward(struct stream_reading *reading, struct ms_error *err) {
    struct ms_read_event event;
    int rc = 0;
    while (!reading->stopped && (rc = ms_entry_reader_next(&reading->events, &event, err)) > 0) {
        rc = deliver(reading, &event);
        if (rc < 0)
            return rc;
    }
    return reading->stopped ? 0 : rc;
}

static int deliver_backward(struct stream_reading *reading, const struct ms_log_entry *entry,
                            struct ms_error *err) {
    struct ms_read_event event;
    size_t count = 0;
    int rc = ms_entry_reader_begin(&reading->events, entry, err);
    if (rc == 0)
        rc = ms_entry_reader_count(&reading->events, &count, err);
    for (size_t n = count; rc == 0 && n > 0 && !reading->stopped; n--) {
        rc = ms_entry_reader_at(&reading->events, n - 1, &event, err);
        if (rc > 0)
            rc = deliver(reading, &event);
    }
    return rc;
}

/* May the entry hold what the index says of the place? Not when it was scavenged. One without a
 * stream may be from before the topic had any: its events say whose they are. */
static bool is_ours(const struct stream_reading *reading, const struct ms_log_entry *entry) {
    if (entry->header.flags & MS_ENTRY_HAS_STREAM)
        return memcmp(entry->header.stream_id, reading->ref.id.bytes, MS_STREAM_ID_LEN) == 0;
    return entry->header.topic == reading->ref.topic->number;
}

/* One append of the stream, or all of its events in an entry from before it was one. */
static int read_place(struct stream_reading *reading, const struct ms_index_place *place,
                      struct ms_error *err) {
    struct ms_log_entry entry;
    ms_log_cursor_seek(&reading->cursor, place->position);
    int rc = ms_log_cursor_next(&reading->cursor, &entry, err);
    if (rc < 0)
        return rc;
    if (rc == 0) { /* in the index a moment before it is visible in the log */
        reading->stopped = true;
        return 0;
    }
    if (entry.header.first_position > place->position + place->record_count - 1 ||
        !is_ours(reading, &entry))
        return 0; /* scavenged */
    if (reading->read->travel.kind == MS_AS_OF_POSITION && !reading->read->backward &&
        entry.header.first_position > reading->read->travel.position) {
        reading->stopped = true; /* the prefix ends here, and with it the stream */
        reading->next = reading->last + 1;
        return 0;
    }
    if (reading->read->backward)
        return deliver_backward(reading, &entry, err);
    rc = ms_entry_reader_begin(&reading->events, &entry, err);
    return rc != 0 ? rc : deliver_forward(reading, err);
}

/* Its events came with those of a place before, which is in the same entry. */
static bool is_passed(const struct stream_reading *reading, const struct ms_index_place *place) {
    return reading->read->backward
               ? place->last_version - (int64_t)place->record_count + 1 > reading->next
               : place->last_version < reading->next;
}

static int read_places(struct stream_reading *reading, struct ms_error *err) {
    struct ms_index_place places[PLACES_PER_PAGE];
    bool backward = reading->read->backward;
    int rc = 0;
    while (rc == 0 && !reading->stopped) {
        size_t count, wanted = reading->read->limit - reading->delivered;
        size_t max = wanted < PLACES_PER_PAGE ? wanted : PLACES_PER_PAGE;
        rc = ms_index_stream_scan(reading->store->index, &reading->ref.id, reading->next, backward,
                                  max, places, &count, err);
        for (size_t i = 0; rc == 0 && i < count && !reading->stopped; i++) {
            if (is_passed(reading, &places[i]))
                continue;
            rc = read_place(reading, &places[i], err);
            /* Whatever was passed over in this append, go on behind it. */
            int64_t last = places[i].last_version;
            /* What was appended since the head was looked up was not delivered: it is still ahead.
             * */
            int64_t seen = last < reading->last ? last : reading->last;
            if (rc == 0 && !reading->stopped && !backward && reading->next <= seen)
                reading->next = seen + 1;
            if (rc == 0 && !reading->stopped && backward &&
                reading->next > last - (int64_t)places[i].record_count)
                reading->next = last - (int64_t)places[i].record_count;
        }
        bool done = backward ? reading->next < reading->first : reading->next > reading->last;
        if (rc != 0 || count < max || done)
            break;
    }
    return rc;
}

static void place_reading(struct stream_reading *reading) {
    const struct ms_stream_read *read = reading->read;
    reading->first = ms_head_first_readable(&reading->head);
    reading->last = reading->head.version;
    if (reading->head.rules.max_age_ms > 0)
        reading->oldest_ms =
            ms_clock_now_us(reading->store->env->clock) / 1000 - reading->head.rules.max_age_ms;
    if (read->backward) {
        reading->next = read->from_end || read->from > reading->last ? reading->last : read->from;
    } else {
        reading->next = read->from_end ? reading->last + 1 : read->from;
        if (reading->next < reading->first)
            reading->next = reading->first;
    }
}

/* The index has an append a moment before readers may see it in the log. */
static void wait_until_visible(struct ms_store *store, uint64_t end_position) {
    while (ms_log_end(store->log) < end_position)
        ms_clock_sleep_us(store->env->clock, MS_PUBLICATION_PAUSE_US);
}

static void fill_result(const struct stream_reading *reading, uint64_t end,
                        struct ms_stream_read_result *result) {
    bool backward = reading->read->backward;
    result->state = ms_head_state(reading->head.version, &reading->head.rules);
    bool live = result->state == MS_STREAM_LIVE; /* else there is nothing to go on to */
    result->head = reading->head.version;
    result->first = reading->first;
    result->deleted_head = reading->head.rules.deleted_head;
    result->at_end =
        !live || (backward ? reading->next < reading->first : reading->next > reading->last);
    result->next = backward && result->at_end ? -1 : reading->next;
    result->position = end > 0 ? end - 1 : 0;
}

int ms_store_read_stream(struct ms_store *store, const struct ms_stream_read *read,
                         ms_read_fn *visit, void *context, struct ms_stream_read_result *ret_result,
                         struct ms_error *err) {
    struct stream_reading reading = {
        .store = store, .read = read, .visit = visit, .context = context, .oldest_ms = INT64_MIN};
    struct ms_arena arena;
    uint64_t end = ms_log_end(store->log);
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    ms_counter_add(&store->metrics.reads, 1);
    reading.head = (struct ms_head){.version = -1, .rules = MS_STREAM_RULES_NONE};
    int rc = ms_stream_find(store, read->stream, &arena, &reading.ref, err);
    bool known = rc == 0;
    if (rc == MS_ENOTFOUND)
        rc = 0;
    if (rc == 0 && known)
        rc = ms_heads_resolve(store, &reading.ref.id, &reading.head, err);
    if (rc == 0)
        wait_until_visible(store, reading.head.end_position);
    if (read->stored)
        reading.head.rules = MS_STREAM_RULES_NONE;
    if (rc == 0)
        place_reading(&reading);
    bool live = ms_head_state(reading.head.version, &reading.head.rules) == MS_STREAM_LIVE;
    if (rc == 0 && live && read->limit > 0 && reading.next >= 0) {
        ms_log_cursor_init(&reading.cursor, store->log, 0);
        ms_entry_reader_init(&reading.events, store);
        rc = read_places(&reading, err);
        ms_entry_reader_deinit(&reading.events);
        ms_log_cursor_deinit(&reading.cursor);
        ms_counter_add(&store->metrics.read_events, reading.delivered);
    }
    ms_arena_deinit(&arena);
    if (rc == 0)
        fill_result(&reading, end, ret_result);
    return ms_error_settle(err, rc, "reading a stream");
}
