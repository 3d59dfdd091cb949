/*
 * Query conditions (dynamic consistency boundaries): "fail if an event with one of these types and
 * all of these tags exists after position P".
 *
 * Before the lock the index and the events answer for everything published, up to position Q
 * (ms_query_prepare). Under the lock a ring of the newest events' terms answers for what was
 * sequenced from Q on (ms_query_check). The ring is kept only from the first query condition on; an
 * append is one run of equal positions in it, those of its last event. Terms are 64-bit hashes, and
 * a run may be of several events, so a match in the ring is only a hint: the append waits until
 * that run is published and is judged anew, by the events themselves.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define RING_TERMS ((size_t)1 << 18)

void ms_query_terms_deinit(struct ms_query_terms *terms) {
    ms_free(terms->ring);
    *terms = (struct ms_query_terms){0};
}

void ms_query_terms_note(struct ms_store *store, const struct ms_op_part *part) {
    struct ms_query_terms *terms = &store->query_terms;
    if (!terms->on || ms_topic_is_hidden(part->ref.topic))
        return;
    for (size_t i = 0; i < part->term_count; i++) {
        struct ms_query_term *slot = &terms->ring[terms->at];
        if (terms->count == terms->capacity)
            terms->from = slot->position + 1;
        else
            terms->count++;
        *slot = (struct ms_query_term){part->position + part->count - 1, part->terms[i]};
        terms->at = (terms->at + 1) % terms->capacity;
    }
}

static int switch_on(struct ms_store *store, struct ms_error *err) {
    struct ms_query_terms *terms = &store->query_terms;
    struct ms_query_term *ring = ms_calloc(RING_TERMS, sizeof *ring);
    if (ring == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for query conditions");
    ms_log_lock(store->log);
    bool first = !atomic_load(&terms->on);
    if (first) {
        terms->ring = ring;
        terms->capacity = RING_TERMS;
        terms->from = ms_log_next_position(store->log);
        atomic_store(&terms->on, true); /* looked at without the lock too */
    }
    ms_log_unlock(store->log);
    if (!first)
        ms_free(ring);
    return 0;
}

/* ---- below Q: index and events ---- */

struct search {
    uint64_t found;
    bool any;
};

static int note_match(void *context, const struct ms_read_event *event) {
    struct search *search = context;
    search->any = true;
    search->found = event->place.position;
    return 1;
}

static int search_published(struct ms_op *op, const struct ms_query_condition *query, uint64_t from,
                            uint64_t *ret_end, struct search *search, struct ms_error *err) {
    struct ms_all_read read = {
        .from = from,
        .limit = 1,
        .filter =
            {
                .types = query->types,
                .type_count = query->type_count,
                .tags = query->tags,
                .tag_count = query->tag_count,
            },
    };
    struct ms_all_read_result result;
    int rc = ms_store_read_all(op->store, &read, note_match, search, &result, err);
    if (rc == 0)
        *ret_end = result.end;
    return rc;
}

static void refuse(struct ms_op *op, size_t index, uint64_t position) {
    op->outcome = MS_OP_REFUSED;
    op->result.failed_query = index;
    op->result.matching_position = position;
    op->result.code = ms_error_set(&op->error, MS_EQUERYCONDITION,
                                   "query condition %zu: the event at position %llu matches it",
                                   index, (unsigned long long)position);
}

static uint64_t first_wanted(const struct ms_query_condition *query) {
    if (query->after_none)
        return 0;
    return query->after < UINT64_MAX ? query->after + 1 : UINT64_MAX;
}

/* A position that was never told here guards nothing: it is another store's, or of a time before a
 * restore. An empty store tells 0. */
static int check_after(struct ms_store *store, const struct ms_query_condition *query, size_t index,
                       struct ms_error *err) {
    if (query->after_none || query->after == 0 || query->after < ms_log_end(store->log))
        return 0;
    ms_log_lock(store->log);
    uint64_t end = ms_log_next_position(store->log);
    ms_log_unlock(store->log);
    if (query->after < end)
        return 0;
    return ms_error_set(err, MS_EINVAL,
                        "query condition %zu: position %llu lies behind the end of the log, whose "
                        "last position is %llu",
                        index, (unsigned long long)query->after,
                        (unsigned long long)(end > 0 ? end - 1 : 0));
}

int ms_query_prepare(struct ms_op *op, struct ms_error *err) {
    struct ms_store *store = op->store;
    int rc = store->query_terms.on ? 0 : switch_on(store, err);
    uint64_t covered = UINT64_MAX;
    op->query_match = false;
    for (size_t i = 0; rc == 0 && i < op->query_count; i++) {
        const struct ms_query_condition *query = &op->queries[i];
        struct search search = {0};
        uint64_t from = first_wanted(query), end = 0;
        if (query->type_count + query->tag_count == 0)
            return ms_error_set(err, MS_EINVAL, "query condition %zu names no type and no tag", i);
        rc = check_after(store, query, i, err);
        if (rc != 0)
            return rc;
        if (from < op->query_from)
            from = op->query_from;
        rc = search_published(op, query, from, &end, &search, err);
        if (rc == 0 && search.any) {
            op->query_match = true;
            op->query_match_index = i;
            op->query_match_position = search.found;
            break;
        }
        covered = end < covered ? end : covered;
    }
    if (rc == 0 && !op->query_match)
        op->query_from = covered;
    return rc;
}

/* ---- from Q on: the ring ---- */

/* A run is the ring's terms of one append: from `oldest` back to `newest`, counted backward from
 * the ring's end. */
struct run {
    const struct ms_query_terms *terms;
    size_t newest, oldest;
};

static const struct ms_query_term *term_at(const struct ms_query_terms *terms, size_t back) {
    return &terms->ring[(terms->at + terms->capacity - back) % terms->capacity];
}

static bool has_term(const struct run *run, uint64_t term) {
    for (size_t back = run->newest; back <= run->oldest; back++)
        if (term_at(run->terms, back)->term == term)
            return true;
    return false;
}

static bool run_matches(const struct run *run, const struct ms_query_condition *query) {
    bool match = query->type_count == 0;
    for (size_t i = 0; i < query->type_count && !match; i++)
        match = has_term(run, ms_index_term(MS_TERM_TYPE, query->types[i]));
    for (size_t i = 0; i < query->tag_count && match; i++)
        match = has_term(run, ms_index_term(MS_TERM_TAG, query->tags[i]));
    return match;
}

/* Newest first, while positions are at or behind `from`. */
static bool search_ring(const struct ms_query_terms *terms, const struct ms_query_condition *query,
                        uint64_t from, uint64_t *ret_position) {
    struct run run = {.terms = terms, .newest = 1};
    while (run.newest <= terms->count && term_at(terms, run.newest)->position >= from) {
        uint64_t position = term_at(terms, run.newest)->position;
        run.oldest = run.newest;
        while (run.oldest < terms->count && term_at(terms, run.oldest + 1)->position == position)
            run.oldest++;
        if (run_matches(&run, query)) {
            *ret_position = position;
            return true;
        }
        run.newest = run.oldest + 1;
    }
    return false;
}

int ms_query_check(struct ms_op *op) {
    const struct ms_query_terms *terms = &op->store->query_terms;
    if (op->query_match) {
        refuse(op, op->query_match_index, op->query_match_position);
        return MS_EQUERYCONDITION;
    }
    op->query_behind =
        op->query_from < terms->from; /* the ring begins later: when it is published */
    if (op->query_behind)
        return MS_EAGAIN;
    for (size_t i = 0; i < op->query_count; i++) {
        const struct ms_query_condition *query = &op->queries[i];
        uint64_t from = first_wanted(query), position;
        from = from > op->query_from ? from : op->query_from;
        if (search_ring(terms, query, from, &position)) {
            /* An append with such terms is under way. The answer must wait for it anyway: then the
             * events themselves decide. */
            op->query_behind = position >= ms_log_end(op->store->log);
            return MS_EAGAIN;
        }
    }
    return 0;
}
