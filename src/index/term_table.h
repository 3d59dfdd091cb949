/*
 * The terms of one overlay generation: term -> the positions of the entries that have it.
 *
 * Most terms (correlation ids) name one entry, which stands in the slot itself; the others have a
 * run. Sharded as the streams are (stream_table.h), by the first byte of the term as it is on disk.
 *
 * Threads: as the generation's.
 */
#pragma once

#include "index/run.h"

#define MS_TERM_SHARDS 256

/* One position (odd: position * 2 + 1) or a run's newest chunk (even); 0 = none. */
typedef uint64_t ms_posting_ref;

struct ms_term_slot {
    uint64_t term;
    ms_posting_ref postings; /* 0: the slot is free */
};

struct ms_term_shard {
    struct ms_term_slot *slots;
    uint32_t capacity, used;
};

struct ms_term_table {
    struct ms_term_shard shards[MS_TERM_SHARDS];
    size_t bytes;
};

static inline bool ms_posting_ref_is_single(ms_posting_ref ref) { return ref & 1; }
static inline uint64_t ms_posting_ref_position(ms_posting_ref ref) { return ref >> 1; }
static inline struct ms_run_chunk *ms_posting_ref_run(ms_posting_ref ref) {
    return (struct ms_run_chunk *)(uintptr_t)ref;
}

void ms_term_table_deinit(struct ms_term_table *table); /* takes a zeroed struct */
/* Brings the line that an add will touch into the cache. */
void ms_term_table_prefetch(const struct ms_term_table *table, uint64_t term);
/* Adds a posting; the newest one again changes nothing. MS_ENOMEM: fold it again. */
int ms_term_table_add(struct ms_term_table *table, struct ms_arena *arena, uint64_t term,
                      uint64_t position) MS_MUST_CHECK;
/* 0 when the term isn't there. */
ms_posting_ref ms_term_table_find(const struct ms_term_table *table, uint64_t term);
/* The used slots of a shard sorted by term: *out has room for the shard's `used`. */
void ms_term_table_sorted(const struct ms_term_table *table, size_t shard,
                          struct ms_term_slot *out);
