/*
 * The streams of one overlay generation: stream id -> its newest append, and a run of the older
 * ones.
 *
 * 256 shards by the first byte of the id, each an open-addressing table of (node number, tag): a
 * table that is full doubles alone, so no append waits for more than 1/256 of everything to be
 * moved, and visiting the shards in order gives the ids almost sorted. Stream ids are hashes
 * already.
 *
 * Threads: as the generation's.
 */
#pragma once

#include "index/run.h"

#define MS_STREAM_SHARDS 256

struct ms_overlay_stream {
    struct ms_stream_id id;
    struct ms_extent newest;
    struct ms_run_chunk *older; /* of extents; NULL when there was one append only */
};

struct ms_stream_slot {
    uint32_t node; /* number + 1; 0 = free */
    uint32_t tag;
};

struct ms_stream_shard {
    struct ms_stream_slot *slots;
    uint32_t capacity, used;
};

struct ms_stream_table {
    struct ms_stream_shard shards[MS_STREAM_SHARDS];
    struct ms_overlay_stream **blocks;
    uint32_t block_capacity;
    uint32_t node_count;
    size_t bytes;
};

void ms_stream_table_deinit(struct ms_stream_table *table); /* takes a zeroed struct */
/* Brings what an add will touch into the cache: first the slot, some appends later the node it
 * names. */
void ms_stream_table_prefetch(const struct ms_stream_table *table, const struct ms_stream_id *id);
void ms_stream_table_prefetch_node(const struct ms_stream_table *table,
                                   const struct ms_stream_id *id);
/* Adds an append; the newest one again changes nothing. MS_ENOMEM: fold it again. */
int ms_stream_table_add(struct ms_stream_table *table, struct ms_arena *arena,
                        const struct ms_stream_id *id, const struct ms_extent *append)
    MS_MUST_CHECK;
/* NULL when it isn't there. */
const struct ms_overlay_stream *ms_stream_table_find(const struct ms_stream_table *table,
                                                     const struct ms_stream_id *id);
/* The streams of a shard sorted by id: *out has room for the shard's `used` pointers. */
void ms_stream_table_sorted(const struct ms_stream_table *table, size_t shard,
                            const struct ms_overlay_stream **out);
