/*
 * The bytes of the index's keys and values in RocksDB. They are on disk: changing any of them means
 * a new MS_INDEX_FORMAT, and an index of another format is folded again from the log.
 *
 * Integers are big endian, `~` is the bitwise complement, uvarint and zig-zag as in base/varint.h.
 *
 *   key        offset size  meaning
 *   'C'        1      8     commit time, ms                   value: position (uvarint)
 *   'K'        1      n     name of a fact                    value: the fact
 *   'M'                                                       value: see below
 *   'P'        1      4     topic                             value: flags (1), extents
 *              5      2     partition
 *              7      8     first offset of the first extent
 *   'S' 1 16 stream id value: position, record count, of most also the
 *                                 partition + 1 (uvarints)
 *              17     8     ~last version
 *   'T'        1      8     term                              value: postings
 *              9      8     first position
 *
 *   postings uvarint distances, each from the position before it; the first position is in the key
 *   extents    for each: distance of its start from the end of the one before (zig-zag; 0 for the
 *              first), record count (uvarint), distance of its position from the one before
 *              (zig-zag; from 0 for the first)
 *   flags      bit 0: late, see flush.c
 *
 *   value of 'M'      offset size  meaning
 *                     0      8     applied position
 *                     8      16    store's UUID
 *                     24     4     MS_INDEX_FORMAT
 *
 * 'S' keys have a prefix of 17 bytes and 'T' keys one of 9, which is what the bloom filters hold.
 *
 * Any thread.
 */
#pragma once

#include "base/endian.h"
#include "base/varint.h"
#include "index/index.h"

#define MS_INDEX_FORMAT 2u

enum ms_key_kind {
    MS_KEY_TIME = 'C',
    MS_KEY_FACT = 'K',
    MS_KEY_META = 'M',
    MS_KEY_PARTITION = 'P',
    MS_KEY_STREAM = 'S',
    MS_KEY_TERM = 'T'
};

#define MS_KEY_TIME_LEN 9
#define MS_KEY_META_LEN 1
#define MS_KEY_PARTITION_PREFIX 7
#define MS_KEY_PARTITION_LEN 15
#define MS_KEY_STREAM_PREFIX 17
#define MS_KEY_STREAM_LEN 25
#define MS_KEY_TERM_PREFIX 9
#define MS_KEY_TERM_LEN 17

#define MS_META_LEN 28
#define MS_PARTITION_LATE 1u

/* Postings or extents in one key's value: a point lookup decodes no more than this. */
#define MS_CHUNK_ENTRIES_MAX 1024
/* Longest encodings of one of them. */
#define MS_POSTING_BYTES_MAX MS_VARINT64_MAX_BYTES
#define MS_EXTENT_BYTES_MAX (2 * MS_VARINT64_MAX_BYTES + MS_VARINT32_MAX_BYTES)
#define MS_PLACE_BYTES_MAX (MS_VARINT64_MAX_BYTES + 2 * MS_VARINT32_MAX_BYTES)

/* Consecutive offsets of a partition, or versions of a stream, that one append holds. */
struct ms_extent {
    int64_t start;
    uint64_t position; /* of the append's first record */
    uint32_t count;
    /* Of a stream's newest append: its partition + 1. 0: not known. Runs don't keep it. */
    uint16_t partition_plus_1;
};

static inline int64_t ms_extent_end(const struct ms_extent *extent) {
    return (int64_t)((uint64_t)extent->start + extent->count);
}

/* What the next extent's distances are counted from. */
struct ms_extent_state {
    int64_t end;
    uint64_t position;
};

static inline size_t ms_extent_put(uint8_t *at, struct ms_extent_state *state,
                                   const struct ms_extent *extent) {
    size_t n = ms_varint_put(at, (int64_t)((uint64_t)extent->start - (uint64_t)state->end));
    n += ms_uvarint_put(at + n, extent->count);
    n += ms_varint_put(at + n, (int64_t)(extent->position - state->position));
    *state = (struct ms_extent_state){ms_extent_end(extent), extent->position};
    return n;
}

/* Bytes read, or 0 when they are no extent. */
static inline size_t ms_extent_get(const uint8_t *at, size_t len, struct ms_extent_state *state,
                                   struct ms_extent *ret_extent) {
    int64_t gap, distance;
    uint64_t count;
    int a = ms_varint_get(at, len, &gap);
    if (a <= 0)
        return 0;
    int b = ms_uvarint_get(at + a, len - (size_t)a, &count);
    if (b <= 0 || count > UINT32_MAX)
        return 0;
    int c = ms_varint_get(at + a + b, len - (size_t)(a + b), &distance);
    if (c <= 0)
        return 0;
    ret_extent->start = (int64_t)((uint64_t)state->end + (uint64_t)gap);
    ret_extent->count = (uint32_t)count;
    ret_extent->partition_plus_1 = 0;
    ret_extent->position = state->position + (uint64_t)distance;
    state->end = (int64_t)((uint64_t)ret_extent->start + count);
    state->position = ret_extent->position;
    return (size_t)(a + b + c);
}

static inline void ms_key_time(uint8_t out[MS_KEY_TIME_LEN], int64_t time_ms) {
    out[0] = MS_KEY_TIME;
    ms_put_be64(out + 1, (uint64_t)time_ms);
}

static inline void ms_key_partition(uint8_t out[MS_KEY_PARTITION_LEN], uint32_t topic,
                                    uint16_t partition, int64_t offset) {
    out[0] = MS_KEY_PARTITION;
    ms_put_be32(out + 1, topic);
    ms_put_be16(out + 5, partition);
    ms_put_be64(out + 7, (uint64_t)offset);
}

static inline void ms_key_stream(uint8_t out[MS_KEY_STREAM_LEN], const struct ms_stream_id *stream,
                                 int64_t last_version) {
    out[0] = MS_KEY_STREAM;
    memcpy(out + 1, stream->bytes, MS_STREAM_ID_LEN);
    ms_put_be64(out + MS_KEY_STREAM_PREFIX, ~(uint64_t)last_version);
}

static inline void ms_key_term(uint8_t out[MS_KEY_TERM_LEN], uint64_t term, uint64_t position) {
    out[0] = MS_KEY_TERM;
    ms_put_be64(out + 1, term);
    ms_put_be64(out + MS_KEY_TERM_PREFIX, position);
}
