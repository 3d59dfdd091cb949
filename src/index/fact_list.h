/*
 * The facts of one overlay generation, sorted by name: a skip list. A removed fact stays as a
 * marker, since it hides the one in RocksDB.
 *
 * Threads: as the generation's.
 */
#pragma once

#include "base/arena.h"
#include "index/index.h"

#define MS_FACT_HEIGHT_MAX 12

struct ms_overlay_fact {
    struct ms_bytes name;
    uint8_t *value;
    size_t value_len, value_capacity;
    bool removed;
    uint8_t height;
    struct ms_overlay_fact *next[]; /* one per level of this fact */
};

struct ms_fact_list {
    struct ms_overlay_fact *first[MS_FACT_HEIGHT_MAX];
    size_t count;
};

/* Replaces or removes a fact. MS_ENOMEM: nothing was changed. */
int ms_fact_list_put(struct ms_fact_list *list, struct ms_arena *arena,
                     const struct ms_index_fact *fact) MS_MUST_CHECK;
/* The fact of that name, maybe removed; NULL when there is none. */
const struct ms_overlay_fact *ms_fact_list_find(const struct ms_fact_list *list,
                                                struct ms_bytes name);
/* The first fact whose name is >= name, or > name; go on with ms_fact_list_next. */
const struct ms_overlay_fact *ms_fact_list_seek(const struct ms_fact_list *list,
                                                struct ms_bytes name, bool after);
static inline const struct ms_overlay_fact *ms_fact_list_next(const struct ms_overlay_fact *fact) {
    return fact->next[0];
}
