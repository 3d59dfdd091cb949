/*
 * The derived index of one shard, folded from the log: where each stream's appends stand, which
 * entries hold an event of a type, a tag or a correlation id, where each partition's offsets and
 * which commit times are.
 *
 * It stores positions only. It can be deleted at any time and is folded again from the log. Two
 * layers:
 *
 *   overlay in memory, covers what is published and not yet in RocksDB: one mutable generation and
 *   at most one frozen
 *              one that is being written. Readers look here first
 *   RocksDB reached only by sorted SST files that are ingested. The applied position is a key
 *   inside the same SST, so
 *              index and position are one atomic step. A generation is dropped only after its
 *              ingest returned
 *
 * Keys (one column family; first byte = kind; integers big endian, `~` = bitwise complement so that
 * the newest sorts first):
 *
 *   'S' stream id(16) ~last_version(8) -> position, record count, partition (uvarints), per append
 *                                                          or adopted run (ms_index_adopt);
 *                                                          the first key of a stream is its head
 *   'T' term(8) first position of chunk(8) -> delta-coded positions of entries one per term and
 *   flush 'P' topic(4) partition(2) first offset of chunk(8) -> delta-coded (offset, position)
 *   pairs
 *   'C' commit time ms(8) -> position at most one per 100 ms
 *   'K' name -> value the caller's own facts
 *   'M' -> applied position(8) store uuid(16) format
 *
 * A term is a 64-bit hash (ms_index_term); postings may therefore name entries that do not match:
 * who reads the entry compares. Postings are per entry (one append), not per record.
 *
 * Threads: ms_index_apply from one thread at a time, in log order; lookups from any thread, never
 * blocked by a flush; the flush runs on a thread of the index's own (or in ms_index_flush). A
 * lookup that begins after ms_index_apply returned sees its effect.
 */
#pragma once

#include "base/hash.h"
#include "os/env.h"

struct ms_index;

#define MS_STREAM_ID_LEN 16
struct ms_stream_id {
    uint8_t bytes[MS_STREAM_ID_LEN];
};

enum ms_term_kind { MS_TERM_TYPE = 1, MS_TERM_TAG = 2, MS_TERM_CORRELATION = 3, MS_TERM_TOPIC = 4 };
/* The term of a value: a hash that never changes (it is on disk). */
uint64_t ms_index_term(enum ms_term_kind kind, struct ms_bytes value);

/* A fact's name and value; terms in one ms_index_term_scan. */
#define MS_INDEX_FACT_NAME_MAX 4096
#define MS_INDEX_FACT_VALUE_MAX (16u << 20)
#define MS_INDEX_SCAN_TERMS_MAX 1024

struct ms_index_options {
    const struct ms_env *env;
    const char
        *dir; /* made when missing; NULL = in memory only (RocksDB's memory environment; tests) */
    struct ms_uuid store_uuid;
    size_t
        /* a generation is frozen and flushed at this many appends and facts (or 256 bytes of memory
         * for each of so many); default 1,000,000 */
        overlay_entries_max;
    size_t block_cache_bytes; /* RocksDB's block cache; default 64 MiB */
    bool manual; /* no thread: the caller calls ms_index_flush, else the overlay grows */
};

/* One append as the log published it. Borrowed for the call. */
struct ms_index_append {
    uint64_t position;     /* of the first record; rises from append to append; < 2^63 */
    uint32_t record_count; /* at least 1 */
    uint32_t topic;
    uint16_t partition;
    bool has_stream;
    struct ms_stream_id stream;
    int64_t
        /* when has_stream; the append holds last_version - record_count + 1 .. last_version */
        last_version;
    int64_t
        /* may be lower than that of an earlier append (a transaction that ended late) */
        first_offset;
    int64_t commit_time_ms;
    const uint64_t *terms; /* distinct */
    size_t term_count;
    bool no_offset; /* topic, partition and first_offset say nothing: found by stream and terms */
};

/* A fact of the caller's, replaced or removed at this place in log order (e.g. "topic/12" -> JSON).
 * */
struct ms_index_fact {
    struct ms_bytes name;
    struct ms_bytes value;
    bool remove;
};

/* Opens or makes it. An index of another store, another format or one that can't be read is moved
 * aside (renamed to "<dir>.damaged-<n>"; never deleted) and an empty one is made: *ret_applied is
 * then 0. MS_EIO, MS_ENOMEM, MS_ENOSPC, MS_ELOCKED. */
int ms_index_open(const struct ms_index_options *options, struct ms_index **ret_index,
                  uint64_t *ret_applied, struct ms_error *err) MS_MUST_CHECK;
/* What an index on disk is applied to, without opening or changing it (nor locking: it may be open
 * elsewhere, then the answer is a lower bound). MS_ENOTFOUND: there is none. MS_ECORRUPT: it can't
 * be read, or is of another store or format. MS_EIO, MS_ENOMEM. */
int ms_index_peek(const struct ms_index_options *options, uint64_t *ret_applied,
                  struct ms_error *err) MS_MUST_CHECK;
/* Moves the directory of a closed index aside as a damaged one, so that it can be opened anew and
 * empty: for an index that is ahead of its log. Nothing to do when there is none. MS_EIO. */
int ms_index_discard(const struct ms_index_options *options, struct ms_error *err) MS_MUST_CHECK;
/* Flushes (when flush is true) and closes. Takes NULL. */
void ms_index_close(struct ms_index *index, bool flush);

/* Folds appends and facts; `next_position` is the first position after them. Never does I/O. When
 * both generations are full it waits for the flush (that is how appends slow down:
 * ms_index_stats.stalls counts it). MS_ENOMEM: folded in part; the same call again completes it,
 * and must come before any other. MS_EINVAL: a fact beyond its limits; nothing was folded.
 * MS_ENOSPC, MS_EIO: folded, but the flush in the background has failed since the last call; it is
 * reported once and tried again by itself (no space: the log goes on; the overlay may then grow to
 * four times its size before appends wait). */
int ms_index_apply(struct ms_index *index, const struct ms_index_append *appends,
                   size_t append_count, const struct ms_index_fact *facts, size_t fact_count,
                   uint64_t next_position) MS_MUST_CHECK;

/* A run of a stream's records that stand at consecutive positions of one entry. */
struct ms_index_run {
    struct ms_stream_id stream;
    uint64_t position; /* of the first */
    int64_t last_version;
    uint32_t record_count; /* at least 1 */
    uint16_t partition;
};
/* Records that were folded without a stream become a stream's: its first ones, or the next of those
 * that were adopted before. Positions and versions rise from run to run of a stream, and the index
 * has none of it that is newer. Only those of the last call may come again: a start doesn't know
 * whether they were flushed. Called by whoever calls ms_index_apply, and fails like it. */
int ms_index_adopt(struct ms_index *index, const struct ms_index_run *runs, size_t count)
    MS_MUST_CHECK;

/* Everything up to here is in RocksDB. */
uint64_t ms_index_applied(struct ms_index *index);
/* Everything up to here is in RocksDB or the overlay. */
uint64_t ms_index_next_position(struct ms_index *index);
/* Freezes what there is and waits until it is ingested. MS_ENOSPC, MS_EIO, MS_ENOMEM, MS_ECORRUPT;
 * MS_EAGAIN while a fold is incomplete. */
int ms_index_flush(struct ms_index *index, struct ms_error *err) MS_MUST_CHECK;

/* Newest append of a stream. MS_ENOTFOUND. */
int ms_index_stream_head(struct ms_index *index, const struct ms_stream_id *stream,
                         int64_t *ret_version, uint64_t *ret_position, struct ms_error *err)
    MS_MUST_CHECK;

struct ms_index_place {
    uint64_t position; /* first record of the append */
    int64_t last_version;
    uint32_t record_count;
    int32_t partition; /* of a stream's newest append; -1 where it isn't known */
};
/* All lookups: MS_EIO, MS_ECORRUPT (RocksDB's files are damaged: close, ms_index_discard, open,
 * fold again), MS_ENOMEM. */

/* Appends of a stream that hold versions >= from (ascending) or <= from (descending), at most `max`
 * of them, in that order. *ret_count < max only when there are no more. */
int ms_index_stream_scan(struct ms_index *index, const struct ms_stream_id *stream, int64_t from,
                         bool descending, size_t max, struct ms_index_place *ret_places,
                         size_t *ret_count, struct ms_error *err) MS_MUST_CHECK;

/* First positions of entries in any of the terms' postings (a union, without repeats) that are >=
 * from (ascending) or <= from (descending), at most max, in order. */
int ms_index_term_scan(struct ms_index *index, const uint64_t *terms, size_t term_count,
                       uint64_t from, bool descending, size_t max, uint64_t *ret_positions,
                       size_t *ret_count, struct ms_error *err) MS_MUST_CHECK;

/* The entry of a partition that holds `offset`, or the next one after it (compaction leaves gaps).
 * MS_ENOTFOUND. */
int ms_index_offset(struct ms_index *index, uint32_t topic, uint16_t partition, int64_t offset,
                    uint64_t *ret_position, int64_t *ret_first_offset, struct ms_error *err)
    MS_MUST_CHECK;
/* The same, with all that is known of the entry. `in_memory`: MS_EAGAIN where RocksDB would have to
 * be asked. */
struct ms_index_offset_place {
    uint64_t position; /* of its first record */
    int64_t first_offset;
    uint32_t record_count;
};
int ms_index_offset_find(struct ms_index *index, uint32_t topic, uint16_t partition, int64_t offset,
                         bool in_memory, struct ms_index_offset_place *ret_place,
                         struct ms_error *err) MS_MUST_CHECK;

/* A position from which every event with commit time > time_ms is reached by reading forward, and
 * before which there is none; 0 when unknown. A lower bound: the reader compares exactly. */
int ms_index_time_floor(struct ms_index *index, int64_t time_ms, uint64_t *ret_position,
                        struct ms_error *err) MS_MUST_CHECK;

/* Facts. get: value appended to *out; MS_ENOTFOUND. list: all facts whose name begins with prefix
 * and sorts after `after` (empty: from the first), in name order, until visit returns non-zero
 * (which is then returned). */
int ms_index_fact_get(struct ms_index *index, struct ms_bytes name, struct ms_buf *out,
                      struct ms_error *err) MS_MUST_CHECK;
typedef int ms_index_fact_fn(void *context, struct ms_bytes name, struct ms_bytes value);
int ms_index_fact_list(struct ms_index *index, struct ms_bytes prefix, struct ms_bytes after,
                       ms_index_fact_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;

struct ms_index_stats {
    uint64_t applied, next_position;
    uint64_t overlay_entries, overlay_bytes;
    uint64_t flushes, flush_failures, stalls;
    uint64_t level0_files, sst_bytes, memory_bytes; /* memory: block cache, table readers */
    bool compacting;
};
void ms_index_stats(struct ms_index *index, struct ms_index_stats *ret_stats);
