/*
 * Lookups by partition and offset: of all extents that end after the offset, the one that starts
 * first. Extents don't overlap; but as flush.c explains they need not come in order, so each layer
 * is asked until one holds the offset itself.
 *
 * Threads: any.
 */
#include "index/internal.h"

struct offset_search {
    uint32_t topic;
    uint16_t partition;
    int64_t offset;
    bool found;
    struct ms_extent best;
};

static void consider(struct offset_search *search, const struct ms_extent *extent) {
    if (ms_extent_end(extent) > search->offset &&
        (!search->found || extent->start < search->best.start)) {
        search->found = true;
        search->best = *extent;
    }
}

static bool is_held(const struct offset_search *search) {
    return search->found && search->best.start <= search->offset;
}

/* ---- in a generation ---- */

static void search_chunk(const struct ms_run_chunk *chunk, struct offset_search *search) {
    if (chunk->high <= (uint64_t)search->offset)
        return;
    struct ms_extent extents[MS_RUN_EXTENTS_MAX];
    size_t count = ms_run_extents(chunk, extents);
    for (size_t i = 0; i < count; i++) {
        if (ms_extent_end(&extents[i]) > search->offset) {
            consider(search, &extents[i]);
            return;
        }
    }
}

static void search_generation(const struct ms_overlay *overlay, struct offset_search *search) {
    const struct ms_overlay_partition *partition =
        ms_overlay_partition_find(overlay, search->topic, search->partition);
    if (!partition)
        return;
    const struct ms_run_chunk *chunk;
    if (partition->unordered) {
        for (chunk = partition->extents; chunk && !is_held(search); chunk = chunk->older)
            search_chunk(chunk, search);
        return;
    }
    chunk = ms_run_find(partition->extents, (uint64_t)search->offset);
    search_chunk(chunk, search);
    if (chunk->high <= (uint64_t)search->offset && chunk->newer)
        search_chunk(chunk->newer, search);
}

/* ---- in RocksDB ---- */

static int search_value(rocksdb_iterator_t *iterator, struct offset_search *search, bool *ret_late,
                        struct ms_error *err) {
    struct ms_bytes key = ms_iterator_key(iterator), value = ms_iterator_value(iterator);
    if (key.len != MS_KEY_PARTITION_LEN || value.len < 2)
        return ms_index_db_corrupt("offsets", err);
    int64_t first = (int64_t)ms_get_be64(key.data + MS_KEY_PARTITION_PREFIX);
    struct ms_extent_state state = {first, 0};
    for (size_t at = 1; at < value.len;) {
        struct ms_extent extent;
        size_t n = ms_extent_get(value.data + at, value.len - at, &state, &extent);
        if (n == 0)
            return ms_index_db_corrupt("offsets", err);
        at += n;
        if (ms_extent_end(&extent) > search->offset) {
            consider(search, &extent);
            break;
        }
    }
    *ret_late = value.data[0] & MS_PARTITION_LATE;
    return 0;
}

static int search_with(rocksdb_iterator_t *iterator, struct offset_search *search,
                       struct ms_error *err) {
    uint8_t bytes[MS_KEY_PARTITION_LEN];
    ms_key_partition(bytes, search->topic, search->partition, search->offset);
    struct ms_bytes key = ms_bytes_of(bytes, sizeof bytes);
    struct ms_bytes prefix = ms_bytes_of(bytes, MS_KEY_PARTITION_PREFIX);
    bool late = true;
    ms_iterator_seek_for_prev(iterator, key);
    while (late && ms_iterator_is_in(iterator, prefix)) {
        int rc = search_value(iterator, search, &late, err);
        if (rc || is_held(search))
            return rc;
        if (late)
            rocksdb_iter_prev(iterator);
    }
    int rc = ms_iterator_status(iterator, err);
    if (rc)
        return rc;
    /* Nothing holds it: the first chunk that begins later may have the next one. */
    ms_iterator_seek(iterator, key);
    if (ms_iterator_is_in(iterator, prefix)) {
        rc = search_value(iterator, search, &late, err);
        if (rc)
            return rc;
    }
    return ms_iterator_status(iterator, err);
}

static int search_database(struct ms_index *index, struct offset_search *search,
                           struct ms_error *err) {
    rocksdb_iterator_t *iterator = ms_index_db_iterate(index->db, false);
    int rc = search_with(iterator, search, err);
    rocksdb_iter_destroy(iterator);
    return rc;
}

int ms_index_offset_find(struct ms_index *index, uint32_t topic, uint16_t partition, int64_t offset,
                         bool in_memory, struct ms_index_offset_place *ret_place,
                         struct ms_error *err) {
    struct offset_search search = {
        .topic = topic, .partition = partition, .offset = offset < 0 ? 0 : offset};
    struct ms_index_view view;
    ms_index_view_take(index, &view);
    ms_index_read_lock(index);
    search_generation(view.newer, &search);
    ms_index_unlock(index);
    if (!is_held(&search) && view.older)
        search_generation(view.older, &search);
    int rc = 0;
    if (!is_held(&search))
        rc = in_memory ? MS_EAGAIN : search_database(index, &search, err);
    ms_index_view_drop(&view);
    if (rc)
        return rc;
    if (!search.found)
        return ms_error_set(err, MS_ENOTFOUND, "index: no entry at or after offset %lld",
                            (long long)offset);
    *ret_place =
        (struct ms_index_offset_place){search.best.position, search.best.start, search.best.count};
    return 0;
}

int ms_index_offset(struct ms_index *index, uint32_t topic, uint16_t partition, int64_t offset,
                    uint64_t *ret_position, int64_t *ret_first_offset, struct ms_error *err) {
    struct ms_index_offset_place place;
    int rc = ms_index_offset_find(index, topic, partition, offset, false, &place, err);
    if (rc == 0) {
        *ret_position = place.position;
        *ret_first_offset = place.first_offset;
    }
    return rc;
}
