/*
 * Query conditions (dynamic consistency boundaries): "fail if an event with one of these types and
 * all of these tags exists after position P".
 *
 * Before the lock the index and the events answer for everything published, up to position Q
 * (ms_query_prepare). Under the lock a ring of the newest events' terms answers for what was
 * sequenced from Q on (ms_query_check). The ring is kept only from the first query condition on; an
 * event is one run of equal positions in it. Terms are 64-bit hashes: below Q candidates are
 * compared with the event itself, in the ring a match of hashes is taken for a match.
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
    if (!terms->on)
        return;
    for (size_t i = 0; i < part->term_count; i++) {
        struct ms_query_term *slot = &terms->ring[terms->at];
        if (terms->count == terms->capacity)
            terms->from = slot->position + 1;
        else
            terms->count++;
        *slot = (struct ms_query_term){part->position, part->terms[i]};
        terms->at = (terms->at + 1) % terms->capacity;
    }
}

static int switch_on(struct ms_store *store, struct ms_error *err) {
    struct ms_query_terms *terms = &store->query_terms;
    struct ms_query_term *ring = ms_calloc(RING_TERMS, sizeof *ring);
    if (ring == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for query conditions");
    ms_log_lock(store->log);
    bool first = !terms->on;
    if (first)
        *terms = (struct ms_query_terms){.on = true,
                                         .ring = ring,
                                         .capacity = RING_TERMS,
                                         .from = ms_log_next_position(store->log)};
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
    return query->after_none ? 0 : query->after + 1;
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

static bool has_term(const struct ms_query_term *run, size_t count, uint64_t term) {
    for (size_t i = 0; i < count; i++)
        if (run[i].term == term)
            return true;
    return false;
}

static bool run_matches(const struct ms_query_condition *query, const struct ms_query_term *run,
                        size_t count) {
    bool type = query->type_count == 0;
    for (size_t i = 0; i < query->type_count && !type; i++)
        type = has_term(run, count, ms_index_term(MS_TERM_TYPE, query->types[i]));
    for (size_t i = 0; i < query->tag_count && type; i++)
        type = has_term(run, count, ms_index_term(MS_TERM_TAG, query->tags[i]));
    return type;
}

#define RUN_MAX 256u

/* Newest first, while positions are at or behind `from`. */
static bool search_ring(const struct ms_query_terms *terms, const struct ms_query_condition *query,
                        uint64_t from, uint64_t *ret_position) {
    struct ms_query_term run[RUN_MAX];
    size_t len = 0;
    for (size_t back = 1; back <= terms->count + 1; back++) {
        const struct ms_query_term *term =
            &terms->ring[(terms->at + terms->capacity - back) % terms->capacity];
        bool end = back == terms->count + 1 || term->position < from;
        if (len > 0 && (end || term->position != run[0].position)) {
            if (run_matches(query, run, len)) {
                *ret_position = run[0].position;
                return true;
            }
            len = 0;
        }
        if (end)
            return false;
        if (len < RUN_MAX)
            run[len++] = *term;
    }
    return false;
}

int ms_query_check(struct ms_op *op) {
    const struct ms_query_terms *terms = &op->store->query_terms;
    if (op->query_match) {
        refuse(op, op->query_match_index, op->query_match_position);
        return MS_EQUERYCONDITION;
    }
    if (op->query_from < terms->from)
        return MS_EAGAIN;
    for (size_t i = 0; i < op->query_count; i++) {
        const struct ms_query_condition *query = &op->queries[i];
        uint64_t from = first_wanted(query), position;
        from = from > op->query_from ? from : op->query_from;
        if (search_ring(terms, query, from, &position)) {
            refuse(op, i, position);
            return MS_EQUERYCONDITION;
        }
    }
    return 0;
}
