/*
 * A run: what one term, stream or partition gathered in one overlay generation, as a list of chunks
 * of delta-coded bytes that grow from small (most runs hold a few entries) to MS_RUN_DATA_MAX.
 *
 *      oldest                                newest   <- all that the owner keeps
 *      chunk 0  <--- chunk 1 <--- chunk 2 <--- chunk 3      older (and newer, the other way)
 *         ^------------+------------^ | jump: an older chunk, chosen so that any
 *         +---------------------------------------+         chunk is reached in O(log n) steps
 *
 * A chunk holds postings (positions; the first is `low`, the others distances) or extents. Within a
 * chunk both are sorted, so a chunk covers [low, high]: positions for postings, [first start, last
 * end) for extents. Between chunks extents are sorted unless the owner noted otherwise
 * (ms_run_add_extent).
 *
 * Adding is idempotent for the newest entry: a fold that ran out of memory is simply folded again.
 * Memory comes from the generation's arena and goes with it. Threads: as the generation's.
 */
#pragma once

#include "base/arena.h"
#include "index/keys.h"

#define MS_RUN_DATA_MIN 22
#define MS_RUN_DATA_MAX 1014

struct ms_run_chunk {
    struct ms_run_chunk *older; /* NULL: the oldest */
    struct ms_run_chunk *newer;
    struct ms_run_chunk *jump; /* itself: the oldest */
    uint64_t low, high;
    uint64_t position; /* of the newest entry */
    uint32_t depth;    /* chunks older than this one */
    uint16_t count;    /* entries */
    uint16_t used, capacity;
    uint8_t data[];
};

/* Entries a chunk can hold: postings take a byte or more (and the first none), extents three. */
#define MS_RUN_POSTINGS_MAX (MS_RUN_DATA_MAX + 1)
#define MS_RUN_EXTENTS_MAX (MS_RUN_DATA_MAX / 3)
_Static_assert(MS_RUN_POSTINGS_MAX <= MS_CHUNK_ENTRIES_MAX, "a chunk is decoded into one array");

/* Adds an entry at the end of the run whose newest chunk is *newest (NULL: an empty run). Positions
 * only rise; the newest one again changes nothing. MS_ENOMEM: nothing was changed. */
int ms_run_add_posting(struct ms_arena *arena, struct ms_run_chunk **newest, uint64_t position)
    MS_MUST_CHECK;
/* As above; *unordered becomes true when the extent starts before the one before it ends. */
int ms_run_add_extent(struct ms_arena *arena, struct ms_run_chunk **newest,
                      const struct ms_extent *extent, bool *unordered) MS_MUST_CHECK;

/* The newest chunk of a sorted run with low <= target, else the oldest chunk. */
const struct ms_run_chunk *ms_run_find(const struct ms_run_chunk *newest, uint64_t target);
const struct ms_run_chunk *ms_run_oldest(const struct ms_run_chunk *newest);

/* Decode a whole chunk; return the count. */
size_t ms_run_postings(const struct ms_run_chunk *chunk, uint64_t out[MS_RUN_POSTINGS_MAX]);
size_t ms_run_extents(const struct ms_run_chunk *chunk, struct ms_extent out[MS_RUN_EXTENTS_MAX]);
