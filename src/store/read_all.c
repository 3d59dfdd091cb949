/*
 * Reading everything, in log order, with filters.
 *
 * Without a selective filter the log is walked. With one (a topic, types, tags, a correlation id)
 * the index names the entries that may match, and only those are read; the event itself decides.
 * The event that began a causation tree usually carries no correlation id: it is looked for in a
 * stretch of the log before its first effect. Blocks for I/O. Any thread.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define POSITIONS_PER_PAGE 256u
#define TERMS_MAX 64u
#define ROOT_LOOKBACK 50000u
#define SCAN_READ_HINT ((size_t)256 << 10)

/* ---- filters ---- */

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

static bool type_matches(const struct ms_filter *filter, struct ms_bytes type) {
    for (size_t i = 0; i < filter->type_count; i++)
        if (ms_bytes_equal(filter->types[i], type))
            return true;
    return filter->type_count == 0;
}

bool ms_filter_matches(const struct ms_filter *filter, const struct ms_read_event *event,
                       bool system) {
    if (system && !filter->include_system)
        return false;
    if (filter->topic.data != NULL && !ms_bytes_equal(filter->topic, event->place.topic))
        return false;
    if (filter->stream_prefix.data != NULL &&
        !ms_bytes_starts_with(event->place.stream, filter->stream_prefix))
        return false;
    if (!type_matches(filter, event->event.type))
        return false;
    for (size_t i = 0; i < filter->tag_count; i++)
        if (!has_tag(event->event.tags, filter->tags[i]))
            return false;
    return filter->correlation_id.data == NULL ||
           ms_bytes_equal(filter->correlation_id, event->event.correlation_id) ||
           ms_bytes_equal(filter->correlation_id, event->event.id);
}

/* ---- the walk ---- */

struct all_reading {
    struct ms_store *store;
    const struct ms_all_read *read;
    struct ms_topic *topic; /* the only one wanted, or NULL */
    uint64_t next;      /* forward: first position not yet considered; backward: the newest such */
    uint64_t from, end; /* positions considered at all: from <= p < end */
    size_t delivered, considered;
    bool stopped, at_end;
    ms_read_fn *visit;
    void *context;
    struct ms_log_cursor cursor;
    struct ms_entry_reader events;
};

static bool in_time(const struct all_reading *reading, const struct ms_read_event *event) {
    const struct ms_time_travel *travel = &reading->read->travel;
    switch (travel->kind) {
    case MS_AS_OF_NOW:
    case MS_AS_OF_POSITION: /* the range is bounded already */
        return true;
    case MS_AS_OF_TIME:
        return event->event.timestamp_ms <= travel->time_ms;
    case MS_KNOWN_AT:
        return event->place.recorded_at_us / 1000 <= travel->time_ms;
    }
    return true;
}

static int deliver(struct all_reading *reading, const struct ms_read_event *event) {
    const struct ms_all_read *read = reading->read;
    uint64_t position = event->place.position;
    bool wanted = read->backward ? position <= reading->next : position >= reading->next;
    if (!wanted || position < reading->from || position >= reading->end)
        return 0;
    reading->next = read->backward ? position - 1 : position + 1;
    reading->at_end = read->backward && position == reading->from;
    reading->considered++;
    if (ms_filter_matches(&read->filter, event, ms_topic_is_hidden(reading->events.topic)) &&
        in_time(reading, event)) {
        int rc = reading->visit(reading->context, event);
        if (rc < 0)
            return rc;
        reading->delivered++;
        reading->stopped = rc > 0 || reading->delivered == read->limit;
    }
    if (read->scan_max > 0 && reading->considered >= read->scan_max)
        reading->stopped = true;
    return 0;
}

/* Whole entries that can't match are passed over without being decoded. */
static bool entry_may_match(const struct all_reading *reading, const struct ms_log_entry *entry) {
    const struct ms_topic *topic = reading->events.topic;
    if (entry->header.flags & (MS_ENTRY_PENDING | MS_ENTRY_CONTROL))
        return false; /* they have no positions: a commit has */
    if (reading->topic != NULL && entry->header.topic != reading->topic->number)
        return false;
    if (topic == NULL || topic->number != entry->header.topic)
        topic = ms_topics_at(reading->store, entry->header.topic);
    return topic == NULL || (!atomic_load(&topic->deleted) &&
                             (!ms_topic_is_hidden(topic) || reading->read->filter.include_system));
}

static int pass_over(struct all_reading *reading, const struct ms_log_entry *entry) {
    uint64_t first = entry->header.first_position, last = first + entry->record_count - 1;
    reading->considered += entry->record_count;
    if (reading->read->backward) {
        if (first <= reading->next) {
            reading->at_end = first <= reading->from;
            reading->next = first > 0 ? first - 1 : 0;
        }
    } else if (last >= reading->next) {
        reading->next = last + 1;
    }
    if (reading->read->scan_max > 0 && reading->considered >= reading->read->scan_max)
        reading->stopped = true;
    return 0;
}

static int read_entry(struct all_reading *reading, const struct ms_log_entry *entry,
                      struct ms_error *err) {
    struct ms_read_event event;
    if (!entry_may_match(reading, entry))
        return pass_over(reading, entry);
    int rc = ms_entry_reader_begin(&reading->events, entry, err);
    if (!reading->read->backward) {
        while (rc == 0 && !reading->stopped &&
               (rc = ms_entry_reader_next(&reading->events, &event, err)) > 0)
            rc = deliver(reading, &event);
        return rc;
    }
    size_t count = 0;
    if (rc == 0)
        rc = ms_entry_reader_count(&reading->events, &count, err);
    for (size_t n = count; rc == 0 && n > 0 && !reading->stopped; n--) {
        rc = ms_entry_reader_at(&reading->events, n - 1, &event, err);
        if (rc > 0)
            rc = deliver(reading, &event);
    }
    return rc;
}

/* Forward over the log from reading->next to `end`. */
static int walk_forward(struct all_reading *reading, uint64_t end, struct ms_error *err) {
    struct ms_log_entry entry;
    int rc = 0;
    ms_log_cursor_seek(&reading->cursor, reading->next);
    if (reading->read->limit > 64)
        reading->cursor.read_bytes = SCAN_READ_HINT;
    while (rc == 0 && !reading->stopped && reading->next < end) {
        rc = ms_log_cursor_next(&reading->cursor, &entry, err);
        if (rc == 0) { /* nothing readable up to the end: scavenged */
            reading->next = end;
            return 0;
        }
        if (rc < 0 || entry.header.first_position >= end) {
            reading->next = rc < 0 ? reading->next : end;
            return rc < 0 ? rc : 0;
        }
        rc = read_entry(reading, &entry, err);
    }
    return rc;
}

/* One stretch of the log between an anchor and reading->next, entries last to first. */
static int walk_stretch(struct all_reading *reading, struct ms_buf *starts, struct ms_error *err) {
    struct ms_log_entry entry;
    uint64_t anchor = ms_log_anchor_before(reading->store->log, reading->next + 1);
    ms_buf_clear(starts);
    ms_log_cursor_seek(&reading->cursor, anchor);
    int rc = 0;
    while ((rc = ms_log_cursor_next(&reading->cursor, &entry, err)) > 0 &&
           entry.header.first_position <= reading->next) {
        uint64_t first = entry.header.first_position;
        if (ms_buf_append(starts, &first, sizeof first) != 0)
            return ms_error_set(err, MS_ENOMEM, "no memory to read backward");
    }
    rc = rc < 0 ? rc : 0;
    for (size_t n = starts->len / 8; rc == 0 && n > 0 && !reading->stopped; n--) {
        uint64_t first;
        memcpy(&first, starts->data + (n - 1) * 8, 8);
        ms_log_cursor_seek(&reading->cursor, first);
        rc = ms_log_cursor_next(&reading->cursor, &entry, err);
        rc = rc > 0 ? read_entry(reading, &entry, err) : rc;
    }
    /* What the stretch did not hold any more was scavenged. */
    if (rc == 0 && !reading->stopped && reading->next >= anchor) {
        reading->at_end = anchor <= reading->from;
        reading->next = anchor > 0 ? anchor - 1 : 0;
    }
    return rc;
}

static int walk_backward(struct all_reading *reading, uint64_t from, struct ms_error *err) {
    struct ms_buf starts;
    ms_buf_init(&starts, (size_t)1 << 24);
    int rc = 0;
    while (rc == 0 && !reading->stopped && !reading->at_end && reading->next >= from)
        rc = walk_stretch(reading, &starts, err);
    ms_buf_deinit(&starts);
    return rc;
}

/* ---- with the index ---- */

struct selection {
    uint64_t terms[TERMS_MAX];
    size_t count;
};

/* The most selective terms that every match must have one of; count 0: walk. */
static struct selection select_terms(const struct ms_filter *filter, const struct ms_topic *topic) {
    struct selection selection = {0};
    if (filter->correlation_id.data != NULL) {
        selection.terms[selection.count++] =
            ms_index_term(MS_TERM_CORRELATION, filter->correlation_id);
    } else if (filter->tag_count > 0) {
        selection.terms[selection.count++] = ms_index_term(MS_TERM_TAG, filter->tags[0]);
    } else if (filter->type_count > 0 && filter->type_count <= TERMS_MAX) {
        for (size_t i = 0; i < filter->type_count; i++)
            selection.terms[selection.count++] = ms_index_term(MS_TERM_TYPE, filter->types[i]);
    } else if (topic != NULL) {
        selection.terms[selection.count++] =
            ms_index_term(MS_TERM_TOPIC, ms_bytes_of(topic->id.bytes, 16));
    }
    return selection;
}

static int read_positions(struct all_reading *reading, const uint64_t *positions, size_t count,
                          struct ms_error *err) {
    struct ms_log_entry entry;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count && !reading->stopped; i++) {
        bool outside = reading->read->backward ? false : positions[i] >= reading->end;
        if (outside) {
            reading->next = reading->end;
            return 0;
        }
        ms_log_cursor_seek(&reading->cursor, positions[i]);
        rc = ms_log_cursor_next(&reading->cursor, &entry, err);
        if (rc > 0 && entry.header.first_position == positions[i])
            rc = read_entry(reading, &entry, err);
        else
            rc = rc < 0 ? rc : 0;
    }
    return rc;
}

/* Postings name the first position of an entry: a read may begin in the middle of one. */
static int entry_start(struct all_reading *reading, uint64_t position, uint64_t *ret_start,
                       struct ms_error *err) {
    struct ms_log_entry entry;
    *ret_start = position;
    ms_log_cursor_seek(&reading->cursor, position);
    int rc = ms_log_cursor_next(&reading->cursor, &entry, err);
    if (rc > 0 && entry.header.first_position < position)
        *ret_start = entry.header.first_position;
    return rc < 0 ? rc : 0;
}

static int index_forward(struct all_reading *reading, const struct selection *selection,
                         struct ms_error *err) {
    uint64_t positions[POSITIONS_PER_PAGE];
    uint64_t from = 0;
    int rc = entry_start(reading, reading->next, &from, err);
    while (rc == 0 && !reading->stopped && reading->next < reading->end) {
        size_t count = 0;
        rc = ms_index_term_scan(reading->store->index, selection->terms, selection->count, from,
                                false, POSITIONS_PER_PAGE, positions, &count, err);
        if (rc == 0)
            rc = read_positions(reading, positions, count, err);
        if (rc == 0 && !reading->stopped && count < POSITIONS_PER_PAGE)
            reading->next = reading->end;
        if (count > 0)
            from = positions[count - 1] + 1;
    }
    return rc;
}

static int index_backward(struct all_reading *reading, const struct selection *selection,
                          struct ms_error *err) {
    uint64_t positions[POSITIONS_PER_PAGE];
    int rc = 0;
    uint64_t from = reading->next;
    while (rc == 0 && !reading->stopped && !reading->at_end) {
        size_t count = 0;
        rc = ms_index_term_scan(reading->store->index, selection->terms, selection->count, from,
                                true, POSITIONS_PER_PAGE, positions, &count, err);
        if (rc == 0)
            rc = read_positions(reading, positions, count, err);
        bool more = count == POSITIONS_PER_PAGE && positions[count - 1] > reading->from;
        if (rc == 0 && !reading->stopped && !more)
            reading->at_end = true;
        if (count > 0 && positions[count - 1] > 0)
            from = positions[count - 1] - 1;
    }
    return rc;
}

/* Where the stretch begins in which the tree's first event is looked for, and its first effect. */
static int find_root_stretch(struct all_reading *reading, const struct selection *selection,
                             uint64_t *ret_from, uint64_t *ret_first, struct ms_error *err) {
    uint64_t first;
    size_t count = 0;
    int rc = ms_index_term_scan(reading->store->index, selection->terms, selection->count, 0, false,
                                1, &first, &count, err);
    if (rc != 0)
        return rc;
    if (count == 0) { /* no effects: perhaps the event itself, among the newest */
        *ret_first = reading->end;
        *ret_from = reading->end > ROOT_LOOKBACK ? reading->end - ROOT_LOOKBACK : 0;
        return 0;
    }
    *ret_first = first;
    *ret_from = first > ROOT_LOOKBACK ? first - ROOT_LOOKBACK : 0;
    return 0;
}

static int read_tree(struct all_reading *reading, const struct selection *selection,
                     struct ms_error *err) {
    uint64_t from, first;
    int rc = find_root_stretch(reading, selection, &from, &first, err);
    if (rc != 0)
        return rc;
    if (!reading->read->backward) {
        if (reading->next < from)
            reading->next = from;
        if (reading->next < first)
            rc = walk_forward(reading, first < reading->end ? first : reading->end, err);
        return rc != 0 || reading->stopped ? rc : index_forward(reading, selection, err);
    }
    if (reading->next >= first)
        rc = index_backward(reading, selection, err);
    if (rc != 0 || reading->stopped || first == 0)
        return rc;
    reading->at_end = false;
    reading->next = reading->next < first ? reading->next : first - 1;
    rc = walk_backward(reading, from > reading->from ? from : reading->from, err);
    if (rc == 0 && !reading->stopped)
        reading->at_end = true;
    return rc;
}

/* ---- the API ---- */

/* The range of positions that time travel allows. */
static void place_reading(struct all_reading *reading) {
    const struct ms_all_read *read = reading->read;
    reading->end = ms_log_end(reading->store->log);
    if (read->travel.kind == MS_AS_OF_POSITION && read->travel.position < reading->end)
        reading->end = read->travel.position + 1;
    if (read->backward) {
        bool beyond = read->from_end || read->from >= reading->end;
        reading->at_end = reading->end == 0;
        reading->next = beyond && reading->end > 0 ? reading->end - 1 : read->from;
    } else {
        reading->next = read->from_end ? reading->end : read->from;
    }
}

static int choose_and_read(struct all_reading *reading, struct ms_error *err) {
    const struct ms_filter *filter = &reading->read->filter;
    struct ms_bytes topic_name = filter->topic;
    struct ms_name_topic of_prefix;
    if (topic_name.data == NULL && ms_name_topic(filter->stream_prefix, &of_prefix))
        topic_name = ms_bytes_of(of_prefix.bytes, of_prefix.len);
    if (topic_name.data != NULL) {
        reading->topic = ms_topics_find(reading->store, topic_name);
        if (reading->topic == NULL) {
            reading->at_end = true;
            reading->next = reading->read->backward ? 0 : reading->end;
            return 0;
        }
    }
    struct selection selection = select_terms(filter, reading->topic);
    if (filter->correlation_id.data != NULL)
        return read_tree(reading, &selection, err);
    if (selection.count > 0)
        return reading->read->backward ? index_backward(reading, &selection, err)
                                       : index_forward(reading, &selection, err);
    return reading->read->backward ? walk_backward(reading, reading->from, err)
                                   : walk_forward(reading, reading->end, err);
}

int ms_store_read_all(struct ms_store *store, const struct ms_all_read *read, ms_read_fn *visit,
                      void *context, struct ms_all_read_result *ret_result, struct ms_error *err) {
    struct all_reading reading = {.store = store, .read = read, .visit = visit, .context = context};
    ms_counter_add(&store->metrics.reads, 1);
    place_reading(&reading);
    int rc = 0;
    bool some = read->backward ? !reading.at_end : reading.next < reading.end;
    if (some && read->limit > 0) {
        ms_log_cursor_init(&reading.cursor, store->log, reading.next);
        ms_entry_reader_init(&reading.events, store);
        rc = choose_and_read(&reading, err);
        ms_entry_reader_deinit(&reading.events);
        ms_log_cursor_deinit(&reading.cursor);
        ms_counter_add(&store->metrics.read_events, reading.delivered);
    }
    if (rc != 0)
        return ms_error_settle(err, rc, "reading all events");
    *ret_result = (struct ms_all_read_result){
        .next = reading.next,
        .at_end = read->backward ? reading.at_end : reading.next >= reading.end,
        .end = ms_log_end(store->log),
    };
    /* What was visible when the read began bounds what it has seen. */
    if (!read->backward && ret_result->end > reading.end)
        ret_result->end = reading.end;
    return 0;
}

uint64_t ms_store_end(struct ms_store *store) { return ms_log_end(store->log); }

/* ---- streams of a topic ---- */

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
