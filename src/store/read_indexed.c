/*
 * Reading the entries that the index names; the event itself decides.
 *
 * What a filter asks for often has two terms, the type and the topic, and which of them is rare
 * differs from filter to filter and from one part of the log to another. So both are asked for a
 * page of postings: the one whose page reaches further passes over more of the log. Where postings
 * are dense the cursor walks from one to the next, past the headers of what lies between.
 */
#include "store/read_all.h"

#define POSITIONS_PER_PAGE 256u
#define TERMS_MAX MS_ALL_TOPICS_MAX
#define ROOT_LOOKBACK 50000u
/* So little of the log is read sooner than the index. It is what somebody who follows it has. */
#define WALK_SPAN 32u

/* Every match has one of these terms. */
struct selection {
    uint64_t terms[TERMS_MAX];
    size_t count;
};
#define SELECTIONS_MAX 2

struct page {
    uint64_t positions[POSITIONS_PER_PAGE];
    size_t count; /* less than a page: there are no more */
};

/* ---- what to look for ---- */

static bool selects_types(const struct ms_filter *filter) {
    return filter->type_count > 0 && filter->type_count <= TERMS_MAX;
}

bool ms_indexed_can(const struct ms_all_reading *reading) {
    const struct ms_filter *filter = &reading->read->filter;
    return filter->correlation_id.data != NULL || filter->tag_count > 0 || selects_types(filter) ||
           reading->by_topic;
}

static void add_term(struct selection *selection, enum ms_term_kind kind, struct ms_bytes value) {
    selection->terms[selection->count++] = ms_index_term(kind, value);
}

/* How many ways there are to find the events: the first is taken to be the most selective. */
static size_t select_terms(const struct ms_all_reading *reading,
                           struct selection ret_selections[SELECTIONS_MAX]) {
    const struct ms_filter *filter = &reading->read->filter;
    struct selection *selection = ret_selections;
    selection[0].count = selection[1].count = 0;
    if (filter->correlation_id.data != NULL) {
        add_term(selection, MS_TERM_CORRELATION, filter->correlation_id);
        return 1;
    }
    if (filter->tag_count > 0) {
        add_term(selection, MS_TERM_TAG, filter->tags[0]);
        return 1;
    }
    if (selects_types(filter)) {
        for (size_t i = 0; i < filter->type_count; i++)
            add_term(selection, MS_TERM_TYPE, filter->types[i]);
        selection++;
    }
    if (reading->by_topic) {
        for (size_t i = 0; i < reading->topic_count; i++)
            add_term(selection, MS_TERM_TOPIC, ms_bytes_of(reading->topics[i]->id.bytes, 16));
        selection++;
    }
    return (size_t)(selection - ret_selections);
}

static int scan(const struct ms_all_reading *reading, const struct selection *selection,
                uint64_t from, struct page *ret_page, struct ms_error *err) {
    ret_page->count = 0;
    return ms_index_term_scan(reading->store->index, selection->terms, selection->count, from,
                              reading->read->backward, POSITIONS_PER_PAGE, ret_page->positions,
                              &ret_page->count, err);
}

static bool reaches_further(const struct page *a, const struct page *b) {
    return a->count < POSITIONS_PER_PAGE ||
           (b->count == POSITIONS_PER_PAGE &&
            a->positions[a->count - 1] > b->positions[b->count - 1]);
}

static int scan_forward(const struct ms_all_reading *reading, const struct selection *selections,
                        size_t count, uint64_t from, struct page *ret_page, struct ms_error *err) {
    struct page other;
    int rc = scan(reading, &selections[0], from, ret_page, err);
    if (rc != 0 || count < 2 || ret_page->count < POSITIONS_PER_PAGE)
        return rc;
    rc = scan(reading, &selections[1], from, &other, err);
    if (rc == 0 && reaches_further(&other, ret_page))
        *ret_page = other;
    return rc;
}

/* ---- reading it ---- */

static int read_page(struct ms_all_reading *reading, const struct page *page,
                     struct ms_error *err) {
    struct ms_log_entry entry;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->count && !reading->stopped; i++) {
        uint64_t position = page->positions[i];
        bool outside = reading->read->backward ? false : position >= reading->end;
        if (outside) {
            reading->next = reading->end;
            return 0;
        }
        ms_log_cursor_seek(&reading->cursor, position);
        rc = ms_log_cursor_next(&reading->cursor, &entry, err);
        if (rc > 0 && entry.header.first_position == position)
            rc = ms_all_read_entry(reading, &entry, err);
        else
            rc = rc < 0 ? rc : 0;
    }
    return rc;
}

/* Postings name the first position of an entry: a read may begin in the middle of one. */
static int entry_start(struct ms_all_reading *reading, uint64_t position, uint64_t *ret_start,
                       struct ms_error *err) {
    struct ms_log_entry entry;
    *ret_start = position;
    ms_log_cursor_seek(&reading->cursor, position);
    int rc = ms_log_cursor_next(&reading->cursor, &entry, err);
    if (rc > 0 && entry.header.first_position < position)
        *ret_start = entry.header.first_position;
    return rc < 0 ? rc : 0;
}

int ms_indexed_forward(struct ms_all_reading *reading, struct ms_error *err) {
    struct selection selections[SELECTIONS_MAX];
    struct page page;
    uint64_t from = 0;
    if (reading->end - reading->next <= WALK_SPAN)
        return ms_all_walk_forward(reading, reading->end, err);
    size_t count = select_terms(reading, selections);
    int rc = entry_start(reading, reading->next, &from, err);
    while (rc == 0 && !reading->stopped && reading->next < reading->end) {
        rc = scan_forward(reading, selections, count, from, &page, err);
        if (rc == 0)
            rc = read_page(reading, &page, err);
        if (rc == 0 && !reading->stopped && page.count < POSITIONS_PER_PAGE)
            reading->next = reading->end;
        if (page.count > 0)
            from = page.positions[page.count - 1] + 1;
    }
    return rc;
}

int ms_indexed_backward(struct ms_all_reading *reading, struct ms_error *err) {
    struct selection selections[SELECTIONS_MAX];
    struct page page;
    uint64_t from = reading->next;
    int rc = 0;
    (void)select_terms(reading, selections);
    while (rc == 0 && !reading->stopped && !reading->at_end) {
        rc = scan(reading, &selections[0], from, &page, err);
        if (rc == 0)
            rc = read_page(reading, &page, err);
        bool more =
            page.count == POSITIONS_PER_PAGE && page.positions[page.count - 1] > reading->from;
        if (rc == 0 && !reading->stopped && !more)
            reading->at_end = true;
        if (page.count > 0 && page.positions[page.count - 1] > 0)
            from = page.positions[page.count - 1] - 1;
    }
    return rc;
}

/* ---- trees of causation ---- */

/* Where the stretch begins in which the tree's first event is looked for, and its first effect. */
static int find_root_stretch(struct ms_all_reading *reading, uint64_t *ret_from,
                             uint64_t *ret_first, struct ms_error *err) {
    uint64_t term = ms_index_term(MS_TERM_CORRELATION, reading->read->filter.correlation_id);
    uint64_t first;
    size_t count = 0;
    int rc = ms_index_term_scan(reading->store->index, &term, 1, 0, false, 1, &first, &count, err);
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

int ms_indexed_tree(struct ms_all_reading *reading, struct ms_error *err) {
    uint64_t from, first;
    int rc = find_root_stretch(reading, &from, &first, err);
    if (rc != 0)
        return rc;
    if (!reading->read->backward) {
        if (reading->next < from)
            reading->next = from;
        if (reading->next < first)
            rc = ms_all_walk_forward(reading, first < reading->end ? first : reading->end, err);
        if (rc != 0 || reading->stopped || reading->next >= reading->end)
            return rc;
        return ms_indexed_forward(reading, err);
    }
    if (reading->next >= first)
        rc = ms_indexed_backward(reading, err);
    if (rc != 0 || reading->stopped || first == 0)
        return rc;
    reading->at_end = false;
    reading->next = reading->next < first ? reading->next : first - 1;
    rc = ms_all_walk_backward(reading, from > reading->from ? from : reading->from, err);
    if (rc == 0 && !reading->stopped)
        reading->at_end = true;
    return rc;
}
