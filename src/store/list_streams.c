/*
 * The streams of a topic, by the entries that began them: of each the index tells where those are.
 * Blocks for I/O. Any thread.
 */
#include "store/internal.h"

#define POSITIONS_PER_PAGE 256u

struct listing {
    struct ms_store *store;
    ms_stream_fn *visit;
    void *context;
    size_t limit, listed;
    uint64_t from; /* events before it are dealt with */
    bool stopped;
};

static int list_stream(struct listing *listing, const struct ms_stream_id *id,
                       const struct ms_read_event *event, struct ms_error *err) {
    struct ms_head head;
    int rc = ms_heads_resolve(listing->store, id, &head, err);
    if (rc != 0 || ms_head_state(head.version, &head.rules) != MS_STREAM_LIVE)
        return rc;
    rc = listing->visit(listing->context, event->place.stream, head.version, event->place.position);
    listing->listed++;
    listing->from = event->place.position + 1;
    listing->stopped = rc > 0 || listing->listed == listing->limit;
    return rc < 0 ? rc : 0;
}

/* From before its topic had streams: any record may be the first of one. */
static int list_records(struct listing *listing, struct ms_entry_reader *events,
                        struct ms_error *err) {
    struct ms_read_event event;
    int rc = 0;
    while (!listing->stopped && (rc = ms_entry_reader_next(events, &event, err)) > 0) {
        rc = 0;
        if (event.place.version != 0 || event.place.position < listing->from)
            continue;
        struct ms_stream_id id = ms_stream_id_of(listing->store, events->topic, event.place.key);
        rc = list_stream(listing, &id, &event, err);
        if (rc != 0)
            return rc;
    }
    return rc < 0 ? rc : 0;
}

static int list_entry(struct listing *listing, struct ms_entry_reader *events,
                      const struct ms_log_entry *entry, struct ms_error *err) {
    struct ms_read_event event;
    struct ms_stream_id id;
    bool of_stream = (entry->header.flags & MS_ENTRY_HAS_STREAM) != 0;
    if (of_stream && entry->header.first_version != 0)
        return 0;
    int rc = ms_entry_reader_begin(events, entry, err);
    if (rc == 0 && !of_stream)
        return events->versions_apart ? list_records(listing, events, err) : 0;
    if (rc == 0)
        rc = ms_entry_reader_next(events, &event, err);
    if (rc <= 0)
        return rc;
    memcpy(id.bytes, entry->header.stream_id, MS_STREAM_ID_LEN);
    return list_stream(listing, &id, &event, err);
}

static int list_at(struct listing *listing, struct ms_log_cursor *cursor,
                   struct ms_entry_reader *events, uint64_t position, struct ms_error *err) {
    struct ms_log_entry entry;
    ms_log_cursor_seek(cursor, position);
    int rc = ms_log_cursor_next(cursor, &entry, err);
    if (rc > 0)
        rc = list_entry(listing, events, &entry, err);
    if (rc == 0 && !listing->stopped && listing->from <= position)
        listing->from = position + 1;
    return rc;
}

/* Where a list was left within an entry. */
static int list_rest(struct listing *listing, const struct ms_topic *topic,
                     struct ms_log_cursor *cursor, struct ms_entry_reader *events,
                     struct ms_error *err) {
    struct ms_log_entry entry;
    ms_log_cursor_seek(cursor, listing->from);
    int rc = ms_log_cursor_next(cursor, &entry, err);
    bool within = rc > 0 && entry.header.first_position < listing->from &&
                  entry.header.topic == topic->number &&
                  !(entry.header.flags & (MS_ENTRY_HAS_STREAM | MS_ENTRY_PENDING));
    if (within)
        rc = list_entry(listing, events, &entry, err);
    return rc < 0 ? rc : 0;
}

int ms_store_list_streams(struct ms_store *store, struct ms_bytes topic_name, uint64_t from,
                          size_t limit, ms_stream_fn *visit, void *context, uint64_t *ret_next,
                          bool *ret_at_end, struct ms_error *err) {
    struct ms_topic *topic = ms_topics_find(store, topic_name);
    if (topic == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "there is no topic '%.*s'",
                            (int)(topic_name.len > 80 ? 80 : topic_name.len), topic_name.data);
    struct listing listing = {
        .store = store, .visit = visit, .context = context, .limit = limit, .from = from};
    uint64_t term = ms_index_term(MS_TERM_TOPIC, ms_bytes_of(topic->id.bytes, 16));
    uint64_t positions[POSITIONS_PER_PAGE];
    struct ms_log_cursor cursor;
    struct ms_entry_reader events;
    size_t count = POSITIONS_PER_PAGE;
    ms_log_cursor_init(&cursor, store->log, from);
    ms_entry_reader_init(&events, store);
    int rc = limit > 0 ? list_rest(&listing, topic, &cursor, &events, err) : 0;
    while (rc == 0 && !listing.stopped && count == POSITIONS_PER_PAGE && limit > 0) {
        rc = ms_index_term_scan(store->index, &term, 1, listing.from, false, POSITIONS_PER_PAGE,
                                positions, &count, err);
        for (size_t i = 0; rc == 0 && i < count && !listing.stopped; i++)
            rc = list_at(&listing, &cursor, &events, positions[i], err);
    }
    ms_entry_reader_deinit(&events);
    ms_log_cursor_deinit(&cursor);
    if (rc == 0) {
        *ret_next = listing.from;
        *ret_at_end = !listing.stopped;
    }
    return ms_error_settle(err, rc, "listing streams");
}
