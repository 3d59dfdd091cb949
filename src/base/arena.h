/* Bump allocator for memory that lives as long as one request. It must be given its maximum when it
 * is made; nothing is freed singly. One thread. */
#pragma once

#include "base/bytes.h"

struct ms_arena_chunk;
struct ms_arena {
    struct ms_arena_chunk *chunks; /* newest first */
    uint8_t *at, *end;             /* free part of the newest chunk */
    size_t used;                   /* bytes of all chunks */
    size_t max;
};

void ms_arena_init(struct ms_arena *arena, size_t max);
/* Begins with `size` bytes of the caller's (aligned to 16), which `max` does not count and which
 * must outlive the arena's use: small requests then need no memory of the heap. They are not used
 * again after ms_arena_reset. */
void ms_arena_init_over(struct ms_arena *arena, void *memory, size_t size, size_t max);
void ms_arena_deinit(struct ms_arena *arena);
/* Forgets everything but keeps one chunk (of at most 64 KiB) for the next request. */
void ms_arena_reset(struct ms_arena *arena);

#define MS_ARENA_ALIGNMENT ((size_t)16)
static inline size_t ms_arena_round_up(size_t size) {
    return (size + (MS_ARENA_ALIGNMENT - 1)) & ~(MS_ARENA_ALIGNMENT - 1);
}
/* The slow part of ms_arena_alloc. */
void *ms_arena_alloc_chunk(struct ms_arena *arena, size_t size);
/* Memory aligned to 16, uninitialised; NULL when memory or `max` is exhausted. `max` counts whole
 * chunks. A size of 0 gives a pointer that must not be read through. */
static inline void *ms_arena_alloc(struct ms_arena *arena, size_t size) {
    /* Chunks end aligned, so when `size` fits, `size` rounded up fits too. */
    if (MS_UNLIKELY(!arena->at || size > (size_t)(arena->end - arena->at)))
        return ms_arena_alloc_chunk(arena, size);
    void *memory = arena->at;
    arena->at += ms_arena_round_up(size);
    return memory;
}
void *ms_arena_zalloc(struct ms_arena *arena, size_t size);
/* A terminated copy; NULL as above. */
char *ms_arena_strdup(struct ms_arena *arena, struct ms_bytes text);
