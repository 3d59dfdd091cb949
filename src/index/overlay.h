/*
 * One generation of the overlay: everything of a range of positions, in memory, until it is in
 * RocksDB.
 *
 *   base                                next
 *    |  folded by ms_overlay_fold, in log order -> |
 *
 * Adopted runs (ms_overlay_adopt) stand at any position below `next`, also below `base`.
 *
 * Memory: an append with a stream of its own, a type and a correlation id of its own costs about
 * 100 bytes (48 in the stream's node, 29 in the correlation id's slot, 15 in the hash of streams,
 * the rest in runs); one to a stream that the generation knows about 50.
 *
 * Threads: the mutable generation is changed under the index's write lock and read under its read
 * lock; a frozen one never changes again and is read without. References are counted from any
 * thread.
 */
#pragma once

#include <stdatomic.h>

#include "index/fact_list.h"
#include "index/stream_table.h"
#include "index/term_table.h"

/* Commit times closer than this to the one noted before are left out. */
#define MS_TIME_STEP_MS 100

struct ms_overlay_partition {
    uint32_t topic;
    uint16_t partition;
    bool unordered; /* the run's chunks overlap or go back: committed transactions do that */
    struct ms_run_chunk *extents; /* NULL: the slot is free */
};

struct ms_partition_table {
    struct ms_overlay_partition *slots;
    size_t capacity, used;
};

struct ms_overlay_time {
    int64_t ms;
    uint64_t position;
};

struct ms_time_list {
    struct ms_overlay_time *items; /* both members rise */
    size_t count, capacity;
    int64_t last_ms; /* noted last, here or in an older generation */
};

struct ms_overlay {
    atomic_uint refs;
    uint64_t base, next;
    uint64_t folded; /* like next, but moves with each append: where a failed fold goes on */
    bool partial;    /* a fold failed half-way and waits to be repeated */
    size_t entries;  /* appends and names of facts */
    struct ms_arena arena;
    struct ms_stream_table streams;
    struct ms_term_table terms;
    struct ms_partition_table partitions;
    struct ms_time_list times;
    struct ms_fact_list facts;
};

/* An empty generation that begins at `base`; one reference. MS_ENOMEM. */
int ms_overlay_new(uint64_t base, int64_t last_time_ms, struct ms_overlay **ret_overlay)
    MS_MUST_CHECK;
struct ms_overlay *ms_overlay_ref(struct ms_overlay *overlay);
void ms_overlay_unref(struct ms_overlay *overlay); /* takes NULL */

/* As ms_index_apply: facts first, then appends. On MS_ENOMEM `next` has not moved and the
 * generation is `partial`; the same calls again complete the fold. */
int ms_overlay_fold(struct ms_overlay *overlay, const struct ms_index_append *appends, size_t count,
                    uint64_t next) MS_MUST_CHECK;
int ms_overlay_fold_facts(struct ms_overlay *overlay, const struct ms_index_fact *facts,
                          size_t count) MS_MUST_CHECK;

/* As ms_index_adopt. On MS_ENOMEM the generation is `partial`, as above. */
int ms_overlay_adopt(struct ms_overlay *overlay, const struct ms_index_run *runs, size_t count)
    MS_MUST_CHECK;

static inline bool ms_overlay_is_empty(const struct ms_overlay *overlay) {
    return overlay->next == overlay->base && overlay->entries == 0;
}
size_t ms_overlay_bytes(const struct ms_overlay *overlay);

/* NULL when the partition isn't there. */
const struct ms_overlay_partition *ms_overlay_partition_find(const struct ms_overlay *overlay,
                                                             uint32_t topic, uint16_t partition);
/* All partitions, by topic and number, into *out, which has room for partitions.used pointers. */
void ms_overlay_partitions_sorted(const struct ms_overlay *overlay,
                                  const struct ms_overlay_partition **out);
/* Position of the newest noted commit time <= time_ms; false when all are later. */
bool ms_overlay_time_floor(const struct ms_overlay *overlay, int64_t time_ms,
                           uint64_t *ret_position);
