/* The terms of one overlay generation; see term_table.h. Threads: as the generation's. */
#include "index/term_table.h"

#include <stdlib.h>

#include "base/alloc.h"

#define SHARD_CAPACITY_MIN 16u

_Static_assert(_Alignof(struct ms_run_chunk) >= 2, "a chunk's address is even");

void ms_term_table_deinit(struct ms_term_table *table) {
    for (size_t i = 0; i < MS_TERM_SHARDS; i++)
        ms_free(table->shards[i].slots);
    *table = (struct ms_term_table){0};
}

static inline size_t shard_of(uint64_t term) { return (size_t)(term >> 56); }

static inline uint32_t hash_of(uint64_t term) {
    return (uint32_t)((term * 0x9e3779b97f4a7c15u) >> 32);
}

void ms_term_table_prefetch(const struct ms_term_table *table, uint64_t term) {
    const struct ms_term_shard *shard = &table->shards[shard_of(term)];
    if (shard->capacity)
        __builtin_prefetch(&shard->slots[hash_of(term) & (shard->capacity - 1)]);
}

/* The slot of the term, or the free one where it belongs. There is at least one free slot. */
static struct ms_term_slot *find_slot(struct ms_term_slot *slots, uint32_t capacity,
                                      uint64_t term) {
    uint32_t at = hash_of(term) & (capacity - 1);
    while (slots[at].postings != 0 && slots[at].term != term)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static int grow_shard(struct ms_term_table *table, struct ms_term_shard *shard) {
    uint32_t capacity = shard->capacity ? shard->capacity * 2 : SHARD_CAPACITY_MIN;
    struct ms_term_slot *slots = ms_calloc(capacity, sizeof *slots);
    if (!slots)
        return MS_ENOMEM;
    for (uint32_t i = 0; i < shard->capacity; i++) {
        if (shard->slots[i].postings != 0)
            *find_slot(slots, capacity, shard->slots[i].term) = shard->slots[i];
    }
    table->bytes += (capacity - shard->capacity) * sizeof *slots;
    ms_free(shard->slots);
    shard->slots = slots;
    shard->capacity = capacity;
    return 0;
}

/* A term's second posting: both move into a run. */
static int make_run(struct ms_arena *arena, struct ms_term_slot *slot, uint64_t position) {
    struct ms_run_chunk *run = NULL;
    int rc = ms_run_add_posting(arena, &run, ms_posting_ref_position(slot->postings));
    if (rc)
        return rc;
    rc = ms_run_add_posting(arena, &run, position);
    if (rc == 0)
        slot->postings = (uintptr_t)run;
    return rc;
}

int ms_term_table_add(struct ms_term_table *table, struct ms_arena *arena, uint64_t term,
                      uint64_t position) {
    MS_ASSERT(position <= UINT64_MAX / 2);
    struct ms_term_shard *shard = &table->shards[shard_of(term)];
    struct ms_term_slot *slot =
        shard->capacity ? find_slot(shard->slots, shard->capacity, term) : NULL;
    if (!slot || slot->postings == 0) {
        if ((shard->used + 1) * 4 > shard->capacity * 3) {
            int rc = grow_shard(table, shard);
            if (rc)
                return rc;
            slot = find_slot(shard->slots, shard->capacity, term);
        }
        *slot = (struct ms_term_slot){term, position * 2 + 1};
        shard->used++;
        return 0;
    }
    if (ms_posting_ref_is_single(slot->postings)) {
        if (ms_posting_ref_position(slot->postings) == position)
            return 0;
        return make_run(arena, slot, position);
    }
    struct ms_run_chunk *run = ms_posting_ref_run(slot->postings);
    int rc = ms_run_add_posting(arena, &run, position);
    slot->postings = (uintptr_t)run;
    return rc;
}

ms_posting_ref ms_term_table_find(const struct ms_term_table *table, uint64_t term) {
    const struct ms_term_shard *shard = &table->shards[shard_of(term)];
    return shard->capacity ? find_slot(shard->slots, shard->capacity, term)->postings : 0;
}

static int compare_terms(const void *a, const void *b) {
    const struct ms_term_slot *left = a, *right = b;
    return left->term < right->term ? -1 : left->term > right->term;
}

void ms_term_table_sorted(const struct ms_term_table *table, size_t shard,
                          struct ms_term_slot *out) {
    const struct ms_term_shard *from = &table->shards[shard];
    size_t count = 0;
    for (uint32_t i = 0; i < from->capacity; i++) {
        if (from->slots[i].postings != 0)
            out[count++] = from->slots[i];
    }
    MS_ASSERT(count == from->used);
    if (count)
        qsort(out, count, sizeof *out, compare_terms);
}
