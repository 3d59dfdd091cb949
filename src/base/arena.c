/* Bump allocator; see arena.h. One thread. */
#include "base/arena.h"

#include "base/alloc.h"

struct ms_arena_chunk {
    struct ms_arena_chunk *next; /* older */
    size_t size;                 /* of the whole chunk, this header included */
};

/* Chunks grow from the first size to the second; larger ones only for single large allocations. */
#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)64 * 1024)

_Static_assert(sizeof(struct ms_arena_chunk) % MS_ARENA_ALIGNMENT == 0, "memory starts aligned");

static void use_chunk(struct ms_arena *arena, struct ms_arena_chunk *chunk) {
    arena->at = chunk ? (uint8_t *)(chunk + 1) : NULL;
    arena->end = chunk ? (uint8_t *)chunk + chunk->size : NULL;
}

void ms_arena_init(struct ms_arena *arena, size_t max) { *arena = (struct ms_arena){.max = max}; }

void ms_arena_init_over(struct ms_arena *arena, void *memory, size_t size, size_t max) {
    MS_ASSERT((uintptr_t)memory % MS_ARENA_ALIGNMENT == 0);
    *arena = (struct ms_arena){
        .max = max,
        .at = memory,
        .end = (uint8_t *)memory + size / MS_ARENA_ALIGNMENT * MS_ARENA_ALIGNMENT,
    };
}

static void free_chunks(struct ms_arena_chunk *chunk) {
    while (chunk) {
        struct ms_arena_chunk *next = chunk->next;
        ms_free(chunk);
        chunk = next;
    }
}

void ms_arena_deinit(struct ms_arena *arena) {
    free_chunks(arena->chunks);
    *arena = (struct ms_arena){0};
}

/* Keeps the largest chunk of ordinary size: one huge request must not make its connection hold on
 * to that much memory for ever. */
void ms_arena_reset(struct ms_arena *arena) {
    struct ms_arena_chunk *kept = NULL;
    struct ms_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct ms_arena_chunk *next = chunk->next;
        if (chunk->size <= CHUNK_MAX && (!kept || chunk->size > kept->size)) {
            ms_free(kept);
            kept = chunk;
        } else {
            ms_free(chunk);
        }
        chunk = next;
    }
    if (kept)
        kept->next = NULL;
    arena->chunks = kept;
    arena->used = kept ? kept->size : 0;
    use_chunk(arena, kept);
}

/* The size of the next chunk with room for `size` bytes; 0 when `max` does not allow it. */
static size_t next_chunk_size(const struct ms_arena *arena, size_t size) {
    size_t left = arena->max - arena->used;
    if (left < sizeof(struct ms_arena_chunk) || size > left - sizeof(struct ms_arena_chunk))
        return 0;
    size_t chunk_size = arena->used < CHUNK_MIN ? CHUNK_MIN : arena->used;
    if (chunk_size > CHUNK_MAX)
        chunk_size = CHUNK_MAX;
    if (chunk_size > left)
        chunk_size = left;
    if (chunk_size < size + sizeof(struct ms_arena_chunk))
        chunk_size = size + sizeof(struct ms_arena_chunk);
    return chunk_size / MS_ARENA_ALIGNMENT * MS_ARENA_ALIGNMENT;
}

void *ms_arena_alloc_chunk(struct ms_arena *arena, size_t size) {
    if (size > SIZE_MAX - MS_ARENA_ALIGNMENT)
        return NULL;
    size_t rounded = ms_arena_round_up(size);
    size_t chunk_size = next_chunk_size(arena, rounded);
    struct ms_arena_chunk *chunk = chunk_size ? ms_alloc(chunk_size) : NULL;
    if (!chunk)
        return NULL;
    chunk->size = chunk_size;
    arena->used += chunk_size;
    size_t free_before = arena->at ? (size_t)(arena->end - arena->at) : 0;
    size_t free_after = chunk_size - sizeof *chunk - rounded;
    if (free_after < free_before) {
        /* The chunk in use has more room left than this one will have: go on with that one. */
        struct ms_arena_chunk **place = arena->chunks ? &arena->chunks->next : &arena->chunks;
        chunk->next = *place;
        *place = chunk;
        return chunk + 1;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    use_chunk(arena, chunk);
    arena->at += rounded;
    return chunk + 1;
}

void *ms_arena_zalloc(struct ms_arena *arena, size_t size) {
    void *memory = ms_arena_alloc(arena, size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

char *ms_arena_strdup(struct ms_arena *arena, struct ms_bytes text) {
    if (text.len == SIZE_MAX)
        return NULL;
    char *copy = ms_arena_alloc(arena, text.len + 1);
    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}
