/*
 * Lookups by term: the union of several terms' postings, in order, without repeats.
 *
 * The layers hold ranges of positions that don't overlap (RocksDB below the view's base, then the
 * older generation, then the newer), so each is merged for itself, one after the other. Within a
 * layer each term has a cursor that decodes one chunk at a time.
 *
 * Threads: any.
 */
#include "index/internal.h"

#include "base/alloc.h"

/* Postings taken from the mutable generation before its lock is given up for a moment. */
#define LOCKED_POSTINGS_MAX 256

struct term_scan {
    const uint64_t *terms;
    size_t term_count;
    uint64_t low, high; /* positions wanted, both inclusive */
    bool descending;
    size_t max, count;
    uint64_t *positions;
    struct ms_error *err;
};

/* One term's postings in one layer. Positions stand in the order of the scan. */
struct cursor {
    rocksdb_iterator_t *iterator;     /* RocksDB; on the next chunk to load, or past the last */
    const struct ms_run_chunk *chunk; /* a generation: the next chunk to load; NULL past the last */
    uint64_t term;
    size_t at, count;
    uint64_t positions[MS_CHUNK_ENTRIES_MAX];
};

/* Leaves those of the scan's range, in the scan's order. */
static void take_range(struct cursor *cursor, const struct term_scan *scan) {
    uint64_t *positions = cursor->positions;
    size_t first = 0, last = cursor->count;
    while (first < last && positions[first] < scan->low)
        first++;
    while (last > first && positions[last - 1] > scan->high)
        last--;
    cursor->at = first;
    cursor->count = last;
    if (!scan->descending)
        return;
    for (size_t i = first, k = last; i + 1 < k; i++) {
        k--;
        uint64_t other = positions[i];
        positions[i] = positions[k];
        positions[k] = other;
    }
}

/* ---- cursors in RocksDB ---- */

static int decode_chunk(struct cursor *cursor, struct ms_error *err) {
    struct ms_bytes key = ms_iterator_key(cursor->iterator);
    struct ms_bytes value = ms_iterator_value(cursor->iterator);
    if (key.len != MS_KEY_TERM_LEN)
        return ms_index_db_corrupt("postings", err);
    uint64_t position = ms_get_be64(key.data + MS_KEY_TERM_PREFIX);
    size_t count = 0;
    cursor->positions[count++] = position;
    for (size_t at = 0; at < value.len;) {
        uint64_t distance;
        int n = ms_uvarint_get(value.data + at, value.len - at, &distance);
        if (n <= 0 || distance == 0 || position + distance < position ||
            count == MS_CHUNK_ENTRIES_MAX)
            return ms_index_db_corrupt("postings", err);
        at += (size_t)n;
        position += distance;
        cursor->positions[count++] = position;
    }
    cursor->count = count;
    return 0;
}

static void open_in_database(struct ms_index *index, struct cursor *cursor,
                             const struct term_scan *scan) {
    uint8_t bytes[MS_KEY_TERM_LEN];
    uint64_t from = scan->descending ? scan->high : scan->low;
    ms_key_term(bytes, cursor->term, from);
    struct ms_bytes key = ms_bytes_of(bytes, sizeof bytes);
    cursor->iterator = ms_index_db_iterate(index->db, true);
    /* The chunk that may hold `from` begins at or before it. */
    if (scan->descending || from != 0)
        ms_iterator_seek_for_prev(cursor->iterator, key);
    if (!scan->descending &&
        (from == 0 || !ms_iterator_is_in(cursor->iterator, ms_bytes_of(bytes, MS_KEY_TERM_PREFIX))))
        ms_iterator_seek(cursor->iterator, key);
}

static int load_from_database(struct cursor *cursor, const struct term_scan *scan) {
    uint8_t prefix[MS_KEY_TERM_LEN];
    ms_key_term(prefix, cursor->term, 0);
    while (cursor->at == cursor->count) {
        if (!ms_iterator_is_in(cursor->iterator, ms_bytes_of(prefix, MS_KEY_TERM_PREFIX)))
            return ms_iterator_status(cursor->iterator, scan->err);
        int rc = decode_chunk(cursor, scan->err);
        if (rc)
            return rc;
        bool beyond = !scan->descending && cursor->positions[0] > scan->high;
        take_range(cursor, scan);
        if (beyond)
            return 0;
        if (scan->descending)
            rocksdb_iter_prev(cursor->iterator);
        else
            rocksdb_iter_next(cursor->iterator);
    }
    return 0;
}

/* ---- cursors in a generation ---- */

static void open_in_generation(const struct ms_overlay *overlay, struct cursor *cursor,
                               const struct term_scan *scan) {
    ms_posting_ref ref = ms_term_table_find(&overlay->terms, cursor->term);
    if (ref == 0)
        return;
    if (ms_posting_ref_is_single(ref)) {
        cursor->positions[0] = ms_posting_ref_position(ref);
        cursor->count = 1;
        take_range(cursor, scan);
        return;
    }
    cursor->chunk = ms_run_find(ms_posting_ref_run(ref), scan->descending ? scan->high : scan->low);
}

static void load_from_generation(struct cursor *cursor, const struct term_scan *scan) {
    while (cursor->at == cursor->count && cursor->chunk) {
        cursor->count = ms_run_postings(cursor->chunk, cursor->positions);
        take_range(cursor, scan);
        cursor->chunk = scan->descending ? cursor->chunk->older : cursor->chunk->newer;
    }
}

/* ---- merging ---- */

static int refill(struct cursor *cursor, const struct term_scan *scan) {
    if (cursor->at < cursor->count)
        return 0;
    if (cursor->iterator)
        return load_from_database(cursor, scan);
    load_from_generation(cursor, scan);
    return 0;
}

/* Takes the next position of the union, if there is one. */
static int next_position(struct cursor **cursors, const struct term_scan *scan, bool *ret_more,
                         uint64_t *ret_position) {
    bool more = false;
    uint64_t next = 0;
    for (size_t i = 0; i < scan->term_count; i++) {
        int rc = refill(cursors[i], scan);
        if (rc)
            return rc;
        if (cursors[i]->at == cursors[i]->count)
            continue;
        uint64_t position = cursors[i]->positions[cursors[i]->at];
        if (!more || (scan->descending ? position > next : position < next))
            next = position;
        more = true;
    }
    for (size_t i = 0; more && i < scan->term_count; i++) {
        struct cursor *cursor = cursors[i];
        if (cursor->at < cursor->count && cursor->positions[cursor->at] == next)
            cursor->at++;
    }
    *ret_more = more;
    *ret_position = next;
    return 0;
}

/* Merges until `limit` positions were found, in all, or the layer has no more. */
static int merge(struct cursor **cursors, struct term_scan *scan, size_t limit) {
    while (scan->count < limit) {
        bool more;
        uint64_t position;
        int rc = next_position(cursors, scan, &more, &position);
        if (rc || !more)
            return rc;
        scan->positions[scan->count++] = position;
    }
    return 0;
}

static void reset(struct cursor *cursor, uint64_t term) {
    cursor->iterator = NULL;
    cursor->chunk = NULL;
    cursor->term = term;
    cursor->at = cursor->count = 0;
}

/* ---- layers ---- */

static int scan_database(struct ms_index *index, uint64_t base, struct cursor **cursors,
                         struct term_scan *scan) {
    uint64_t high = scan->high;
    if (base == 0 || scan->low >= base)
        return 0;
    if (scan->high >= base)
        scan->high = base - 1;
    for (size_t i = 0; i < scan->term_count; i++) {
        reset(cursors[i], scan->terms[i]);
        open_in_database(index, cursors[i], scan);
    }
    int rc = merge(cursors, scan, scan->max);
    for (size_t i = 0; i < scan->term_count; i++)
        rocksdb_iter_destroy(cursors[i]->iterator);
    scan->high = high;
    return rc;
}

static int scan_generation(const struct ms_overlay *overlay, struct cursor **cursors,
                           struct term_scan *scan, size_t limit) {
    for (size_t i = 0; i < scan->term_count; i++) {
        reset(cursors[i], scan->terms[i]);
        open_in_generation(overlay, cursors[i], scan);
    }
    return merge(cursors, scan, limit);
}

/* The mutable generation, a few postings at a time: folding must not wait for a long scan. */
static int scan_newer(struct ms_index *index, const struct ms_index_view *view,
                      struct cursor **cursors, struct term_scan *scan) {
    struct term_scan part = *scan;
    int rc = 0;
    while (rc == 0 && part.count < part.max) {
        size_t left = part.max - part.count;
        size_t limit = part.count + (left < LOCKED_POSTINGS_MAX ? left : LOCKED_POSTINGS_MAX);
        ms_index_read_lock(index);
        rc = scan_generation(view->newer, cursors, &part, limit);
        ms_index_unlock(index);
        if (rc || part.count < limit)
            break;
        uint64_t last = part.positions[part.count - 1];
        if (last == (part.descending ? part.low : part.high))
            break;
        if (part.descending)
            part.high = last - 1;
        else
            part.low = last + 1;
    }
    scan->count = part.count;
    return rc;
}

static int scan_layers(struct ms_index *index, const struct ms_index_view *view,
                       struct cursor **cursors, struct term_scan *scan) {
    int rc = 0;
    if (scan->descending) {
        rc = scan_newer(index, view, cursors, scan);
        if (rc == 0 && view->older)
            rc = scan_generation(view->older, cursors, scan, scan->max);
        if (rc == 0 && scan->count < scan->max)
            rc = scan_database(index, view->base, cursors, scan);
        return rc;
    }
    rc = scan_database(index, view->base, cursors, scan);
    if (rc == 0 && view->older)
        rc = scan_generation(view->older, cursors, scan, scan->max);
    if (rc == 0)
        rc = scan_newer(index, view, cursors, scan);
    return rc;
}

static struct cursor **new_cursors(size_t count) {
    struct cursor **cursors = ms_alloc(count * (sizeof *cursors + sizeof **cursors));
    if (!cursors)
        return NULL;
    struct cursor *first = (struct cursor *)(cursors + count);
    for (size_t i = 0; i < count; i++)
        cursors[i] = first + i;
    return cursors;
}

int ms_index_term_scan(struct ms_index *index, const uint64_t *terms, size_t term_count,
                       uint64_t from, bool descending, size_t max, uint64_t *ret_positions,
                       size_t *ret_count, struct ms_error *err) {
    if (term_count > MS_INDEX_SCAN_TERMS_MAX)
        return ms_error_set(err, MS_EINVAL, "index: more than %d terms in a scan",
                            MS_INDEX_SCAN_TERMS_MAX);
    if (term_count == 0 || max == 0) {
        *ret_count = 0;
        return 0;
    }
    struct cursor **cursors = new_cursors(term_count);
    if (!cursors)
        return ms_error_set(err, MS_ENOMEM, "index: out of memory in a scan");
    struct term_scan scan = {
        .terms = terms,
        .term_count = term_count,
        .low = descending ? 0 : from,
        .high = descending ? from : UINT64_MAX,
        .descending = descending,
        .max = max,
        .positions = ret_positions,
        .err = err,
    };
    struct ms_index_view view;
    ms_index_view_take(index, &view);
    int rc = scan_layers(index, &view, cursors, &scan);
    ms_index_view_drop(&view);
    ms_free(cursors);
    if (rc == 0)
        *ret_count = scan.count;
    return rc;
}
