/* Arrays that grow by one: in an arena they double when their count is a power of two, on the heap
 * when their capacity is reached. */
#pragma once

#include "base/alloc.h"
#include "base/arena.h"

/* The array with room for one more than `count` elements of `size` bytes, at another place perhaps;
 * NULL when memory is exhausted. */
static inline void *ms_list_grow(struct ms_arena *arena, void *items, size_t count, size_t size) {
    if (count > 0 && (count & (count - 1)) != 0)
        return items;
    void *grown = ms_arena_alloc(arena, (count > 0 ? count * 2 : 1) * size);
    if (grown != NULL && count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

/* The same on the heap; the caller keeps what it returns, and frees it. */
static inline void *ms_list_grow_heap(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return items;
    size_t wanted = *capacity > 0 ? *capacity * 2 : 16;
    void *grown = ms_realloc(items, wanted * size);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}
