/*
 * Streams as the store's appends know them: their heads, the rules that hold for them. Not for
 * anyone outside this directory. heads.c has the table.
 */
#pragma once

#include <stdatomic.h>

#include "store/topics.h"

struct ms_index_run;

#define MS_RULES_BYTES_MAX 64u

/* Rules that hold for a stream besides its events. */
struct ms_stream_rules {
    bool tombstoned;
    int64_t deleted_head;     /* soft deleted when the stream's head is this; -1 never */
    int64_t truncate_before;  /* 0 none */
    int64_t max_count;        /* 0 none */
    int64_t max_age_ms;       /* 0 none */
    int64_t metadata_version; /* -1 none */
};
#define MS_STREAM_RULES_NONE ((struct ms_stream_rules){.deleted_head = -1, .metadata_version = -1})

struct ms_head {
    struct ms_stream_id id;
    int64_t version;       /* -1: no events */
    uint64_t end_position; /* one past the last record */
    struct ms_stream_rules rules;
    uint16_t partition_plus_1; /* of its newest event; 0: not known */
    bool used;                 /* place taken */
    bool referenced;           /* since the clock hand passed */
};

#define MS_HEADS_SHARDS 256u

/* Where a shard's rows lie, to be fetched into the processor's cache by whoever will need one of
 * them under the lock: a hint, which may be out of date, and is never read through. */
struct ms_shard_hint {
    _Atomic(uintptr_t) rows; /* 0 none */
    _Atomic(size_t) mask;
};

static inline void ms_shard_hint_set(struct ms_shard_hint *hint, const void *rows,
                                     size_t capacity) {
    atomic_store_explicit(&hint->rows, (uintptr_t)rows, memory_order_relaxed);
    atomic_store_explicit(&hint->mask, capacity - 1, memory_order_relaxed);
}

static inline void ms_shard_hint_fetch(const struct ms_shard_hint *hint, uint64_t hash,
                                       size_t row_bytes) {
    uintptr_t rows = atomic_load_explicit(&hint->rows, memory_order_relaxed);
    size_t mask = atomic_load_explicit(&hint->mask, memory_order_relaxed);
    if (rows == 0)
        return;
    uintptr_t row = rows + ((size_t)hash & mask) * row_bytes;
    __builtin_prefetch((const void *)row, 1);
    if (row_bytes > 64) /* more than a line */
        __builtin_prefetch((const void *)(row + 64), 1);
}

struct ms_heads_shard {
    struct ms_head *table; /* open addressing, linear probing; NULL: nothing was ever in it */
    size_t capacity, count;
    struct ms_shard_hint hint;
};

struct ms_heads {
    struct ms_heads_shard shards[MS_HEADS_SHARDS];
    size_t capacity, count, count_max;
    size_t hand_shard, hand; /* where the clock stands */
    uint64_t evicted_end;    /* the highest end_position of any head evicted */
};

struct ms_stream_ref {
    struct ms_topic *topic;
    struct ms_bytes key;
    struct ms_stream_id id;
};

/* heads.c; under the log's lock */
void ms_heads_init(struct ms_heads *heads, size_t count_max);
void ms_heads_deinit(struct ms_heads *heads);
struct ms_head *ms_heads_find(struct ms_heads *heads, const struct ms_stream_id *id);
/* Without the lock: ms_heads_find will be quicker. */
void ms_heads_prefetch(const struct ms_heads *heads, const struct ms_stream_id *id);
/* Takes a place for a head that isn't there, evicting one that the index covers (below `applied`).
 * MS_ENOMEM: no place can be had. */
int ms_heads_add(struct ms_heads *heads, const struct ms_head *head, uint64_t applied,
                 struct ms_head **ret_head) MS_MUST_CHECK;
/* Versions of records that became events of streams, which those that are in memory, or were
 * resolved before, know nothing of. `end`: one past the page that says so. */
void ms_heads_adopt(struct ms_heads *heads, const struct ms_index_run *runs, size_t count,
                    uint64_t end);
/* Not under the lock: head and rules from the index. */
int ms_heads_resolve(struct ms_store *store, const struct ms_stream_id *id,
                     struct ms_head *ret_head, struct ms_error *err) MS_MUST_CHECK;
/* The first version that truncation, deletion and $maxCount leave readable. */
int64_t ms_head_first_readable(const struct ms_head *head);
enum ms_stream_state ms_head_state(int64_t version, const struct ms_stream_rules *rules);
