/*
 * Lookups by stream and by commit time; and the view that all lookups read through.
 *
 * Versions against keys: the complement sorts the newest version first, so going up in versions is
 * going back in keys.
 *
 *   keys of a stream     ~9        ~7          ~4          ~0
 *   appends              8..9      5..7        1..4        0
 *   ascending from 6               ^ SeekForPrev(~6), then Prev
 *   descending from 6              ^ the append that holds 6, else Seek(~6); then Next
 *
 * Threads: any.
 */
#include "index/internal.h"

/* ---- the view ---- */

void ms_index_view_take(struct ms_index *index, struct ms_index_view *ret_view) {
    ms_index_read_lock(index);
    ret_view->newer = ms_overlay_ref(index->mutable);
    ret_view->older = index->frozen ? ms_overlay_ref(index->frozen) : NULL;
    ms_index_unlock(index);
    ret_view->base = ret_view->older ? ret_view->older->base : ret_view->newer->base;
}

void ms_index_view_drop(struct ms_index_view *view) {
    ms_overlay_unref(view->newer);
    ms_overlay_unref(view->older);
}

/* ---- streams in a generation ---- */

/* What a scan wants, and what it has found so far. */
struct stream_scan {
    const struct ms_stream_id *stream;
    int64_t from;
    bool descending;
    size_t max, count;
    struct ms_index_place *places;
};

/* What was adopted may stand in RocksDB and in a generation: whatever its position, the view's base
 * doesn't tell. Then it is found twice, and counts once. */
static bool is_found(const struct stream_scan *scan, const struct ms_extent *append) {
    if (scan->count == 0)
        return false;
    const struct ms_index_place *last = &scan->places[scan->count - 1];
    int64_t version = ms_extent_end(append) - 1;
    return scan->descending ? version >= last->last_version : version <= last->last_version;
}

static void found(struct stream_scan *scan, const struct ms_extent *append) {
    if (is_found(scan, append))
        return;
    scan->places[scan->count++] = (struct ms_index_place){
        .position = append->position,
        .last_version = ms_extent_end(append) - 1,
        .record_count = append->count,
        .partition = (int32_t)append->partition_plus_1 - 1,
    };
}

static void ascend_generation(const struct ms_overlay_stream *stream, struct stream_scan *scan) {
    const struct ms_run_chunk *chunk = NULL;
    if (scan->from < stream->newest.start)
        chunk = ms_run_find(stream->older, (uint64_t)scan->from);
    for (; chunk && scan->count < scan->max; chunk = chunk->newer) {
        struct ms_extent extents[MS_RUN_EXTENTS_MAX];
        size_t count = ms_run_extents(chunk, extents);
        for (size_t i = 0; i < count && scan->count < scan->max; i++) {
            if (ms_extent_end(&extents[i]) > scan->from)
                found(scan, &extents[i]);
        }
    }
    if (scan->count < scan->max && ms_extent_end(&stream->newest) > scan->from)
        found(scan, &stream->newest);
}

static void descend_generation(const struct ms_overlay_stream *stream, struct stream_scan *scan) {
    if (scan->count < scan->max && stream->newest.start <= scan->from)
        found(scan, &stream->newest);
    const struct ms_run_chunk *chunk = NULL;
    if (scan->count < scan->max)
        chunk = ms_run_find(stream->older, (uint64_t)scan->from);
    for (; chunk && scan->count < scan->max; chunk = chunk->older) {
        struct ms_extent extents[MS_RUN_EXTENTS_MAX];
        for (size_t i = ms_run_extents(chunk, extents); i-- > 0 && scan->count < scan->max;) {
            if (extents[i].start <= scan->from)
                found(scan, &extents[i]);
        }
    }
}

/* Under the lock when the generation is the newer one of a view. */
static void scan_generation(const struct ms_overlay *overlay, struct stream_scan *scan) {
    const struct ms_overlay_stream *stream =
        overlay ? ms_stream_table_find(&overlay->streams, scan->stream) : NULL;
    if (stream && scan->descending)
        descend_generation(stream, scan);
    else if (stream)
        ascend_generation(stream, scan);
}

static void scan_newer(struct ms_index *index, const struct ms_index_view *view,
                       struct stream_scan *scan) {
    ms_index_read_lock(index);
    scan_generation(view->newer, scan);
    ms_index_unlock(index);
}

/* ---- streams in RocksDB ---- */

static int read_append(const rocksdb_iterator_t *iterator, struct ms_extent *ret_append,
                       struct ms_error *err) {
    struct ms_bytes key = ms_iterator_key(iterator), value = ms_iterator_value(iterator);
    uint64_t position, count, partition = 0;
    int a = ms_uvarint_get(value.data, value.len, &position);
    int b = a > 0 ? ms_uvarint_get(value.data + a, value.len - (size_t)a, &count) : 0;
    size_t used = b > 0 ? (size_t)(a + b) : 0;
    int c = 0;
    if (used > 0 && used < value.len)
        c = ms_uvarint_get(value.data + used, value.len - used, &partition);
    if (key.len != MS_KEY_STREAM_LEN || used == 0 || c < 0 || used + (size_t)c != value.len ||
        count == 0 || count > UINT32_MAX || partition > UINT16_MAX)
        return ms_index_db_corrupt("entry of a stream", err);
    uint64_t last = ~ms_get_be64(key.data + MS_KEY_STREAM_PREFIX);
    *ret_append = (struct ms_extent){(int64_t)(last - count + 1), position, (uint32_t)count,
                                     (uint16_t)partition};
    return 0;
}

/* Puts the iterator on the first append of a descending scan. */
static int seek_descending(rocksdb_iterator_t *iterator, const struct stream_scan *scan,
                           struct ms_bytes key, struct ms_bytes prefix, struct ms_error *err) {
    ms_iterator_seek(iterator, key);
    if (scan->from == INT64_MAX)
        return 0;
    struct ms_extent append;
    if (ms_iterator_is_in(iterator, prefix)) {
        int rc = read_append(iterator, &append, err);
        if (rc || ms_extent_end(&append) > scan->from)
            return rc;
    }
    /* Maybe an append that ends later holds the version. */
    ms_iterator_seek_for_prev(iterator, key);
    if (ms_iterator_is_in(iterator, prefix)) {
        int rc = read_append(iterator, &append, err);
        if (rc || append.start <= scan->from)
            return rc;
    }
    int rc = ms_iterator_status(iterator, err);
    if (rc == 0)
        ms_iterator_seek(iterator, key);
    return rc;
}

/* Adds what is below `base` in RocksDB. */
static int scan_database(struct ms_index *index, uint64_t base, struct stream_scan *scan,
                         struct ms_error *err) {
    if (base == 0)
        return 0; /* nothing has been written out yet */
    uint8_t bytes[MS_KEY_STREAM_LEN];
    ms_key_stream(bytes, scan->stream, scan->from);
    struct ms_bytes key = ms_bytes_of(bytes, sizeof bytes);
    struct ms_bytes prefix = ms_bytes_of(bytes, MS_KEY_STREAM_PREFIX);
    rocksdb_iterator_t *iterator = ms_index_db_iterate(index->db, true);
    int rc = 0;
    if (scan->descending)
        rc = seek_descending(iterator, scan, key, prefix, err);
    else
        ms_iterator_seek_for_prev(iterator, key);
    while (rc == 0 && ms_iterator_is_in(iterator, prefix)) {
        struct ms_extent append;
        rc = read_append(iterator, &append, err);
        if (rc)
            break;
        if (append.position < base)
            found(scan, &append);
        else if (!scan->descending)
            break;
        if (scan->count == scan->max)
            break;
        if (scan->descending)
            rocksdb_iter_next(iterator);
        else
            rocksdb_iter_prev(iterator);
    }
    if (rc == 0)
        rc = ms_iterator_status(iterator, err);
    rocksdb_iter_destroy(iterator);
    return rc;
}

/* ---- scans ---- */

/* True when all of the stream from `from` on is in the view's generations, so that RocksDB need not
 * be asked: their oldest append that counts begins at or before it. */
static bool overlay_reaches(struct ms_index *index, const struct ms_index_view *view,
                            const struct stream_scan *scan) {
    struct ms_index_place first;
    struct stream_scan probe = *scan;
    probe.max = 1;
    probe.places = &first;
    scan_generation(view->older, &probe);
    if (probe.count == 0)
        scan_newer(index, view, &probe);
    return probe.count && first.last_version - (int64_t)first.record_count + 1 <= scan->from;
}

static int ascend(struct ms_index *index, const struct ms_index_view *view,
                  struct stream_scan *scan, struct ms_error *err) {
    if (!overlay_reaches(index, view, scan)) {
        int rc = scan_database(index, view->base, scan, err);
        if (rc)
            return rc;
    }
    if (scan->count < scan->max)
        scan_generation(view->older, scan);
    if (scan->count < scan->max)
        scan_newer(index, view, scan);
    return 0;
}

static int descend(struct ms_index *index, const struct ms_index_view *view,
                   struct stream_scan *scan, struct ms_error *err) {
    scan_newer(index, view, scan);
    if (scan->count < scan->max)
        scan_generation(view->older, scan);
    if (scan->count == scan->max)
        return 0;
    if (scan->count) {
        const struct ms_index_place *last = &scan->places[scan->count - 1];
        scan->from = last->last_version - (int64_t)last->record_count;
    }
    return scan->from < 0 ? 0 : scan_database(index, view->base, scan, err);
}

int ms_index_stream_scan(struct ms_index *index, const struct ms_stream_id *stream, int64_t from,
                         bool descending, size_t max, struct ms_index_place *ret_places,
                         size_t *ret_count, struct ms_error *err) {
    if (max == 0 || (descending && from < 0)) {
        *ret_count = 0;
        return 0;
    }
    struct stream_scan scan = {
        .stream = stream,
        .from = from < 0 ? 0 : from,
        .descending = descending,
        .max = max,
        .places = ret_places,
    };
    struct ms_index_view view;
    ms_index_view_take(index, &view);
    int rc = descending ? descend(index, &view, &scan, err) : ascend(index, &view, &scan, err);
    ms_index_view_drop(&view);
    if (rc == 0)
        *ret_count = scan.count;
    return rc;
}

int ms_index_stream_head(struct ms_index *index, const struct ms_stream_id *stream,
                         int64_t *ret_version, uint64_t *ret_position, struct ms_error *err) {
    struct ms_index_place place;
    size_t count;
    int rc = ms_index_stream_scan(index, stream, INT64_MAX, true, 1, &place, &count, err);
    if (rc)
        return rc;
    if (count == 0)
        return ms_error_set(err, MS_ENOTFOUND, "index: no such stream");
    *ret_version = place.last_version;
    *ret_position = place.position;
    return 0;
}

/* ---- commit times ---- */

static int time_floor_in_database(struct ms_index *index, int64_t time_ms, uint64_t *ret_position,
                                  struct ms_error *err) {
    uint8_t bytes[MS_KEY_TIME_LEN];
    ms_key_time(bytes, time_ms);
    rocksdb_iterator_t *iterator = ms_index_db_iterate(index->db, false);
    ms_iterator_seek_for_prev(iterator, ms_bytes_of(bytes, sizeof bytes));
    int rc = 0;
    uint64_t position = 0;
    if (ms_iterator_is_in(iterator, ms_bytes_of(bytes, 1))) {
        struct ms_bytes value = ms_iterator_value(iterator);
        if (ms_uvarint_get(value.data, value.len, &position) <= 0)
            rc = ms_index_db_corrupt("commit time", err);
    }
    if (rc == 0)
        rc = ms_iterator_status(iterator, err);
    rocksdb_iter_destroy(iterator);
    if (rc == 0)
        *ret_position = position;
    return rc;
}

int ms_index_time_floor(struct ms_index *index, int64_t time_ms, uint64_t *ret_position,
                        struct ms_error *err) {
    if (time_ms < 0) {
        *ret_position = 0;
        return 0;
    }
    struct ms_index_view view;
    uint64_t position = 0;
    int rc = 0;
    ms_index_view_take(index, &view);
    ms_index_read_lock(index);
    bool known = ms_overlay_time_floor(view.newer, time_ms, &position);
    ms_index_unlock(index);
    if (!known && view.older)
        known = ms_overlay_time_floor(view.older, time_ms, &position);
    if (!known)
        rc = time_floor_in_database(index, time_ms, &position, err);
    ms_index_view_drop(&view);
    if (rc == 0)
        *ret_position = position;
    return rc;
}
