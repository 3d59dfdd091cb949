/*
 * Writes an overlay generation as one sorted file and ingests it: keys of every kind and the
 * applied position together, so index and position move in one atomic step.
 *
 * Offsets of a partition rise from flush to flush, except that a record of a transaction gets its
 * offset when it is produced and comes here when it is committed. So extents that start below what
 * RocksDB holds of the partition are marked:
 *
 *   regular chunk starts at or after the end of all regular chunks before it; has no gap longer
 *   than
 *                   MS_CHUNK_GAP_MAX
 *   late chunk      offsets without any gap, so that no other chunk begins inside it
 *
 * The chunk with the greatest key <= offset then either holds the offset; or it is regular, and no
 * chunk before it does; or it is late, and the one before has to be asked (lookup_partition.c).
 *
 * Threads: one at a time; the generation is frozen.
 */
#include "index/internal.h"

#include <stdlib.h>

#include "base/alloc.h"

#define MS_CHUNK_GAP_MAX 4096

struct extent_chunk {
    struct ms_extent_state state;
    int64_t first_offset;
    size_t count; /* 0: no chunk is open */
    size_t len;
    uint8_t value[1 + MS_CHUNK_ENTRIES_MAX * MS_EXTENT_BYTES_MAX];
};

struct posting_chunk {
    uint64_t first, last;
    size_t count; /* 0: no chunk is open */
    size_t len;
    uint8_t value[MS_CHUNK_ENTRIES_MAX * MS_POSTING_BYTES_MAX];
};

struct flush {
    struct ms_index_db *db;
    const struct ms_overlay *overlay;
    struct ms_index_file file;
    struct ms_error *err;
    struct extent_chunk extents;
    struct posting_chunk postings;
};

static int put(struct flush *flush, const uint8_t *key, size_t key_len, const uint8_t *value,
               size_t value_len) {
    return ms_index_file_put(&flush->file, ms_bytes_of(key, key_len), ms_bytes_of(value, value_len),
                             flush->err);
}

static int out_of_memory(struct flush *flush) {
    return ms_error_set(flush->err, MS_ENOMEM, "index: out of memory while flushing");
}

/* ---- 'C', 'K', 'M' ---- */

static int write_times(struct flush *flush) {
    const struct ms_time_list *times = &flush->overlay->times;
    for (size_t i = 0; i < times->count; i++) {
        uint8_t key[MS_KEY_TIME_LEN], value[MS_VARINT64_MAX_BYTES];
        ms_key_time(key, times->items[i].ms);
        size_t len = ms_uvarint_put(value, times->items[i].position);
        int rc = put(flush, key, sizeof key, value, len);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_facts(struct flush *flush) {
    uint8_t key[1 + MS_INDEX_FACT_NAME_MAX];
    key[0] = MS_KEY_FACT;
    const struct ms_overlay_fact *fact = flush->overlay->facts.first[0];
    for (; fact; fact = ms_fact_list_next(fact)) {
        if (fact->name.len)
            memcpy(key + 1, fact->name.data, fact->name.len);
        struct ms_bytes name = ms_bytes_of(key, 1 + fact->name.len);
        int rc = fact->removed ? ms_index_file_remove(&flush->file, name, flush->err)
                               : put(flush, key, name.len, fact->value, fact->value_len);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_meta(struct flush *flush, const struct ms_uuid *store_uuid) {
    uint8_t key[MS_KEY_META_LEN] = {MS_KEY_META}, value[MS_META_LEN];
    ms_put_be64(value, flush->overlay->next);
    memcpy(value + 8, store_uuid->bytes, sizeof store_uuid->bytes);
    ms_put_be32(value + 24, MS_INDEX_FORMAT);
    return put(flush, key, sizeof key, value, sizeof value);
}

/* ---- 'P' ---- */

/* Where the regular chunks of a partition end in RocksDB; 0 when there is none. */
static int partition_end(struct flush *flush, rocksdb_iterator_t *iterator, uint32_t topic,
                         uint16_t partition, int64_t *ret_end) {
    uint8_t key[MS_KEY_PARTITION_LEN];
    ms_key_partition(key, topic, partition, INT64_MAX);
    struct ms_bytes prefix = ms_bytes_of(key, MS_KEY_PARTITION_PREFIX);
    int64_t end = 0;
    ms_iterator_seek_for_prev(iterator, ms_bytes_of(key, sizeof key));
    for (; ms_iterator_is_in(iterator, prefix); rocksdb_iter_prev(iterator)) {
        struct ms_bytes found = ms_iterator_key(iterator), value = ms_iterator_value(iterator);
        if (found.len != MS_KEY_PARTITION_LEN || value.len < 2)
            return ms_index_db_corrupt("offsets", flush->err);
        if (value.data[0] & MS_PARTITION_LATE)
            continue;
        int64_t first = (int64_t)ms_get_be64(found.data + MS_KEY_PARTITION_PREFIX);
        struct ms_extent_state state = {first, 0};
        for (size_t at = 1; at < value.len;) {
            struct ms_extent extent;
            size_t n = ms_extent_get(value.data + at, value.len - at, &state, &extent);
            if (n == 0)
                return ms_index_db_corrupt("offsets", flush->err);
            at += n;
        }
        end = state.end;
        break;
    }
    *ret_end = end;
    return ms_iterator_status(iterator, flush->err);
}

static int end_extents(struct flush *flush, const struct ms_overlay_partition *partition) {
    struct extent_chunk *chunk = &flush->extents;
    if (chunk->count == 0)
        return 0;
    uint8_t key[MS_KEY_PARTITION_LEN];
    ms_key_partition(key, partition->topic, partition->partition, chunk->first_offset);
    chunk->count = 0;
    return put(flush, key, sizeof key, chunk->value, chunk->len);
}

static int write_extent(struct flush *flush, const struct ms_overlay_partition *partition,
                        const struct ms_extent *extent, bool late) {
    struct extent_chunk *chunk = &flush->extents;
    uint8_t flags = late ? MS_PARTITION_LATE : 0;
    int64_t gap = chunk->count ? extent->start - chunk->state.end : 0;
    if (chunk->count == MS_CHUNK_ENTRIES_MAX || gap > (late ? 0 : MS_CHUNK_GAP_MAX) ||
        (chunk->count && chunk->value[0] != flags)) {
        int rc = end_extents(flush, partition);
        if (rc)
            return rc;
    }
    if (chunk->count == 0) {
        chunk->first_offset = extent->start;
        chunk->state = (struct ms_extent_state){extent->start, 0};
        chunk->value[0] = flags;
        chunk->len = 1;
    }
    chunk->len += ms_extent_put(chunk->value + chunk->len, &chunk->state, extent);
    chunk->count++;
    return 0;
}

static int compare_extents(const void *a, const void *b) {
    const struct ms_extent *left = a, *right = b;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* All extents of a partition whose run is not in order, sorted. Free *ret_extents. */
static int sort_extents(const struct ms_overlay_partition *partition,
                        struct ms_extent **ret_extents, size_t *ret_count) {
    const struct ms_run_chunk *oldest = ms_run_oldest(partition->extents);
    size_t count = 0;
    for (const struct ms_run_chunk *chunk = oldest; chunk; chunk = chunk->newer)
        count += chunk->count;
    struct ms_extent *extents = ms_calloc(count + MS_RUN_EXTENTS_MAX, sizeof *extents);
    if (!extents)
        return MS_ENOMEM;
    size_t filled = 0;
    for (const struct ms_run_chunk *chunk = oldest; chunk; chunk = chunk->newer)
        filled += ms_run_extents(chunk, extents + filled);
    MS_ASSERT(filled == count);
    qsort(extents, count, sizeof *extents, compare_extents);
    *ret_extents = extents;
    *ret_count = count;
    return 0;
}

static int write_sorted(struct flush *flush, const struct ms_overlay_partition *partition,
                        const struct ms_extent *extents, size_t count, int64_t end) {
    for (size_t i = 0; i < count; i++) {
        int rc = write_extent(flush, partition, &extents[i], extents[i].start < end);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_partition(struct flush *flush, const struct ms_overlay_partition *partition,
                           rocksdb_iterator_t *iterator) {
    int64_t end = 0;
    int rc = partition_end(flush, iterator, partition->topic, partition->partition, &end);
    if (rc)
        return rc;
    if (partition->unordered) {
        struct ms_extent *extents;
        size_t count;
        if (sort_extents(partition, &extents, &count) != 0)
            return out_of_memory(flush);
        rc = write_sorted(flush, partition, extents, count, end);
        ms_free(extents);
    } else {
        const struct ms_run_chunk *chunk = ms_run_oldest(partition->extents);
        for (; rc == 0 && chunk; chunk = chunk->newer) {
            struct ms_extent extents[MS_RUN_EXTENTS_MAX];
            size_t count = ms_run_extents(chunk, extents);
            rc = write_sorted(flush, partition, extents, count, end);
        }
    }
    return rc ? rc : end_extents(flush, partition);
}

static int write_partitions(struct flush *flush) {
    size_t count = flush->overlay->partitions.used;
    if (count == 0)
        return 0;
    const struct ms_overlay_partition **sorted = ms_calloc(count, sizeof *sorted);
    if (!sorted)
        return out_of_memory(flush);
    ms_overlay_partitions_sorted(flush->overlay, sorted);
    rocksdb_iterator_t *iterator = ms_index_db_iterate(flush->db, false);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_partition(flush, sorted[i], iterator);
    rocksdb_iter_destroy(iterator);
    ms_free(sorted);
    return rc;
}

/* ---- 'S' ---- */

static int write_append(struct flush *flush, const struct ms_stream_id *stream,
                        const struct ms_extent *append) {
    uint8_t key[MS_KEY_STREAM_LEN], value[MS_PLACE_BYTES_MAX];
    ms_key_stream(key, stream, ms_extent_end(append) - 1);
    size_t len = ms_uvarint_put(value, append->position);
    len += ms_uvarint_put(value + len, append->count);
    if (append->partition_plus_1 != 0)
        len += ms_uvarint_put(value + len, append->partition_plus_1);
    return put(flush, key, sizeof key, value, len);
}

static int write_stream(struct flush *flush, const struct ms_overlay_stream *stream) {
    int rc = write_append(flush, &stream->id, &stream->newest);
    for (const struct ms_run_chunk *chunk = stream->older; chunk; chunk = chunk->older) {
        struct ms_extent extents[MS_RUN_EXTENTS_MAX];
        for (size_t i = ms_run_extents(chunk, extents); rc == 0 && i-- > 0;)
            rc = write_append(flush, &stream->id, &extents[i]);
        if (rc)
            return rc;
    }
    return rc;
}

static int write_streams(struct flush *flush) {
    const struct ms_stream_table *table = &flush->overlay->streams;
    size_t most = 0;
    for (size_t i = 0; i < MS_STREAM_SHARDS; i++)
        most = table->shards[i].used > most ? table->shards[i].used : most;
    const struct ms_overlay_stream **sorted = ms_calloc(most, sizeof *sorted);
    if (!sorted)
        return out_of_memory(flush);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < MS_STREAM_SHARDS; i++) {
        ms_stream_table_sorted(table, i, sorted);
        for (size_t k = 0; rc == 0 && k < table->shards[i].used; k++)
            rc = write_stream(flush, sorted[k]);
    }
    ms_free(sorted);
    return rc;
}

/* ---- 'T' ---- */

static int end_postings(struct flush *flush, uint64_t term) {
    struct posting_chunk *chunk = &flush->postings;
    if (chunk->count == 0)
        return 0;
    uint8_t key[MS_KEY_TERM_LEN];
    ms_key_term(key, term, chunk->first);
    chunk->count = 0;
    return put(flush, key, sizeof key, chunk->value, chunk->len);
}

/* The overlay's chunks are coded as those on disk are: they are joined without decoding them. */
static int write_run(struct flush *flush, uint64_t term, const struct ms_run_chunk *newest) {
    struct posting_chunk *chunk = &flush->postings;
    const struct ms_run_chunk *run = ms_run_oldest(newest);
    for (; run; run = run->newer) {
        if (chunk->count + run->count > MS_CHUNK_ENTRIES_MAX) {
            int rc = end_postings(flush, term);
            if (rc)
                return rc;
        }
        if (chunk->count == 0) {
            chunk->first = run->low;
            chunk->len = 0;
        } else {
            chunk->len += ms_uvarint_put(chunk->value + chunk->len, run->low - chunk->last);
        }
        memcpy(chunk->value + chunk->len, run->data, run->used);
        chunk->len += run->used;
        chunk->last = run->high;
        chunk->count += run->count;
    }
    return end_postings(flush, term);
}

static int write_term(struct flush *flush, const struct ms_term_slot *slot) {
    if (!ms_posting_ref_is_single(slot->postings))
        return write_run(flush, slot->term, ms_posting_ref_run(slot->postings));
    uint8_t key[MS_KEY_TERM_LEN];
    ms_key_term(key, slot->term, ms_posting_ref_position(slot->postings));
    return put(flush, key, sizeof key, NULL, 0);
}

static int write_terms(struct flush *flush) {
    const struct ms_term_table *table = &flush->overlay->terms;
    size_t most = 0;
    for (size_t i = 0; i < MS_TERM_SHARDS; i++)
        most = table->shards[i].used > most ? table->shards[i].used : most;
    struct ms_term_slot *sorted = ms_calloc(most, sizeof *sorted);
    if (!sorted)
        return out_of_memory(flush);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < MS_TERM_SHARDS; i++) {
        ms_term_table_sorted(table, i, sorted);
        for (size_t k = 0; rc == 0 && k < table->shards[i].used; k++)
            rc = write_term(flush, &sorted[k]);
    }
    ms_free(sorted);
    return rc;
}

int ms_index_write_generation(struct ms_index_db *db, const struct ms_overlay *overlay,
                              const struct ms_uuid *store_uuid, struct ms_error *err) {
    struct flush *flush = ms_alloc(sizeof *flush);
    if (!flush)
        return ms_error_set(err, MS_ENOMEM, "index: out of memory while flushing");
    flush->db = db;
    flush->overlay = overlay;
    flush->err = err;
    flush->extents.count = flush->postings.count = 0;
    int rc = ms_index_file_open(db, &flush->file, err);
    if (rc) {
        ms_free(flush);
        return rc;
    }
    rc = write_times(flush);
    if (rc == 0)
        rc = write_facts(flush);
    if (rc == 0)
        rc = write_meta(flush, store_uuid);
    if (rc == 0)
        rc = write_partitions(flush);
    if (rc == 0)
        rc = write_streams(flush);
    if (rc == 0)
        rc = write_terms(flush);
    if (rc == 0)
        rc = ms_index_file_ingest(&flush->file, err);
    ms_index_file_close(&flush->file);
    ms_free(flush);
    return rc;
}
