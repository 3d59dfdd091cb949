/*
 * Reading everything, in log order, with filters.
 *
 * Without a selective filter the log is walked: whole entries that can't match are passed over by
 * their headers, of the others each event is decoded and asked. With one (topics, types, tags, a
 * correlation id) the index names the entries that may match (read_indexed.c). Blocks for I/O. Any
 * thread.
 */
#include "store/read_all.h"

#include "base/alloc.h"

#define SCAN_READ_HINT ((size_t)256 << 10)

/* ---- the walk ---- */

static bool in_time(const struct ms_all_reading *reading, const struct ms_read_event *event) {
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

static int deliver(struct ms_all_reading *reading, const struct ms_read_event *event) {
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

static bool is_wanted_topic(const struct ms_all_reading *reading, uint32_t number) {
    for (size_t i = 0; i < reading->topic_count; i++)
        if (reading->topics[i]->number == number)
            return true;
    return false;
}

/* Whole entries that can't match are passed over without being decoded. */
static bool entry_may_match(const struct ms_all_reading *reading,
                            const struct ms_log_entry *entry) {
    const struct ms_topic *topic = reading->events.topic;
    if (entry->header.flags & (MS_ENTRY_PENDING | MS_ENTRY_CONTROL))
        return false; /* they have no positions: a commit has */
    if (reading->by_topic && !is_wanted_topic(reading, entry->header.topic))
        return false;
    if (topic == NULL || topic->number != entry->header.topic)
        topic = ms_topics_at(reading->store, entry->header.topic);
    return topic == NULL || (!atomic_load(&topic->deleted) &&
                             (!ms_topic_is_hidden(topic) || reading->read->filter.include_system));
}

static int pass_over(struct ms_all_reading *reading, const struct ms_log_entry *entry) {
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

int ms_all_read_entry(struct ms_all_reading *reading, const struct ms_log_entry *entry,
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
int ms_all_walk_forward(struct ms_all_reading *reading, uint64_t end, struct ms_error *err) {
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
        rc = ms_all_read_entry(reading, &entry, err);
    }
    return rc;
}

/* One stretch of the log between an anchor and reading->next, entries last to first. */
static int walk_stretch(struct ms_all_reading *reading, struct ms_buf *starts,
                        struct ms_error *err) {
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
        rc = rc > 0 ? ms_all_read_entry(reading, &entry, err) : rc;
    }
    /* What the stretch did not hold any more was scavenged. */
    if (rc == 0 && !reading->stopped && reading->next >= anchor) {
        reading->at_end = anchor <= reading->from;
        reading->next = anchor > 0 ? anchor - 1 : 0;
    }
    return rc;
}

int ms_all_walk_backward(struct ms_all_reading *reading, uint64_t from, struct ms_error *err) {
    struct ms_buf starts;
    ms_buf_init(&starts, (size_t)1 << 24);
    int rc = 0;
    while (rc == 0 && !reading->stopped && !reading->at_end && reading->next >= from)
        rc = walk_stretch(reading, &starts, err);
    ms_buf_deinit(&starts);
    return rc;
}

/* ---- the API ---- */

/* The range of positions that time travel allows. */
static void place_reading(struct ms_all_reading *reading) {
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

static void add_topic(struct ms_all_reading *reading, struct ms_bytes name) {
    const struct ms_topic *topic = ms_topics_find(reading->store, name);
    if (topic != NULL)
        reading->topics[reading->topic_count++] = topic;
}

/* Those that are not there have no events: what comes with them lies behind the end. */
static void find_topics(struct ms_all_reading *reading) {
    const struct ms_filter *filter = &reading->read->filter;
    struct ms_name_topic of_prefix;
    if (filter->topic_count > 0) {
        reading->by_topic = filter->topic_count <= MS_ALL_TOPICS_MAX;
        for (size_t i = 0; reading->by_topic && i < filter->topic_count; i++)
            add_topic(reading, filter->topics[i]);
    } else if (ms_name_topic(filter->stream_prefix, &of_prefix)) {
        reading->by_topic = true;
        add_topic(reading, ms_bytes_of(of_prefix.bytes, of_prefix.len));
    }
}

static int choose_and_read(struct ms_all_reading *reading, struct ms_error *err) {
    bool backward = reading->read->backward;
    find_topics(reading);
    if (reading->by_topic && reading->topic_count == 0) {
        reading->at_end = true;
        reading->next = backward ? 0 : reading->end;
        return 0;
    }
    if (reading->read->filter.correlation_id.data != NULL)
        return ms_indexed_tree(reading, err);
    if (ms_indexed_can(reading))
        return backward ? ms_indexed_backward(reading, err) : ms_indexed_forward(reading, err);
    return backward ? ms_all_walk_backward(reading, reading->from, err)
                    : ms_all_walk_forward(reading, reading->end, err);
}

int ms_store_read_all(struct ms_store *store, const struct ms_all_read *read, ms_read_fn *visit,
                      void *context, struct ms_all_read_result *ret_result, struct ms_error *err) {
    struct ms_all_reading reading = {
        .store = store, .read = read, .visit = visit, .context = context};
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
