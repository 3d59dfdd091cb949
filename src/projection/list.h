/* Arrays in an arena that grow by one: they double when their count is a power of two. */
#pragma once

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
