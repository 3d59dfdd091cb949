/* Runs of delta-coded entries in an overlay generation; see run.h. Threads: as the generation's. */
#include "index/run.h"

/* The jump pointers of a skew-binary list: two jumps of the same length join into one. */
static struct ms_run_chunk *jump_from(struct ms_run_chunk *older) {
    struct ms_run_chunk *jump = older->jump;
    bool same_length = older->depth - jump->depth == jump->depth - jump->jump->depth;
    return same_length ? jump->jump : older;
}

static struct ms_run_chunk *add_chunk(struct ms_arena *arena, struct ms_run_chunk *older) {
    size_t capacity = older ? 2 * (size_t)older->capacity + 42 : MS_RUN_DATA_MIN;
    if (capacity > MS_RUN_DATA_MAX)
        capacity = MS_RUN_DATA_MAX;
    struct ms_run_chunk *chunk =
        ms_arena_alloc(arena, offsetof(struct ms_run_chunk, data) + capacity);
    if (!chunk)
        return NULL;
    *chunk = (struct ms_run_chunk){.older = older, .capacity = (uint16_t)capacity};
    chunk->jump = older ? jump_from(older) : chunk;
    chunk->depth = older ? older->depth + 1 : 0;
    if (older)
        older->newer = chunk;
    return chunk;
}

int ms_run_add_posting(struct ms_arena *arena, struct ms_run_chunk **newest, uint64_t position) {
    struct ms_run_chunk *chunk = *newest;
    if (chunk && position == chunk->high)
        return 0;
    MS_ASSERT(!chunk || position > chunk->high);
    uint8_t bytes[MS_POSTING_BYTES_MAX];
    size_t len = chunk ? ms_uvarint_put(bytes, position - chunk->high) : 0;
    if (!chunk || len > (size_t)(chunk->capacity - chunk->used)) {
        chunk = add_chunk(arena, chunk);
        if (!chunk)
            return MS_ENOMEM;
        chunk->low = position;
        *newest = chunk;
    } else {
        memcpy(chunk->data + chunk->used, bytes, len);
        chunk->used = (uint16_t)(chunk->used + len);
    }
    chunk->high = position;
    chunk->position = position;
    chunk->count++;
    return 0;
}

int ms_run_add_extent(struct ms_arena *arena, struct ms_run_chunk **newest,
                      const struct ms_extent *extent, bool *unordered) {
    struct ms_run_chunk *chunk = *newest;
    if (chunk && extent->position == chunk->position)
        return 0;
    MS_ASSERT(!chunk || extent->position > chunk->position);
    MS_ASSERT(extent->start >= 0 && extent->count > 0);
    bool sorted = !chunk || (uint64_t)extent->start >= chunk->high;
    uint8_t bytes[MS_EXTENT_BYTES_MAX];
    size_t len = 0;
    if (chunk && sorted) {
        struct ms_extent_state state = {(int64_t)chunk->high, chunk->position};
        len = ms_extent_put(bytes, &state, extent);
    }
    if (!chunk || !sorted || len > (size_t)(chunk->capacity - chunk->used)) {
        chunk = add_chunk(arena, chunk);
        if (!chunk)
            return MS_ENOMEM;
        chunk->low = (uint64_t)extent->start;
        struct ms_extent_state state = {extent->start, 0};
        len = ms_extent_put(bytes, &state, extent);
        MS_ASSERT(len <= chunk->capacity);
        *newest = chunk;
        if (!sorted)
            *unordered = true;
    }
    memcpy(chunk->data + chunk->used, bytes, len);
    chunk->used = (uint16_t)(chunk->used + len);
    chunk->high = (uint64_t)ms_extent_end(extent);
    chunk->position = extent->position;
    chunk->count++;
    return 0;
}

const struct ms_run_chunk *ms_run_find(const struct ms_run_chunk *newest, uint64_t target) {
    const struct ms_run_chunk *chunk = newest;
    while (chunk && chunk->low > target && chunk->older)
        chunk = chunk->jump->low > target ? chunk->jump : chunk->older;
    return chunk;
}

const struct ms_run_chunk *ms_run_oldest(const struct ms_run_chunk *newest) {
    const struct ms_run_chunk *chunk = newest;
    while (chunk && chunk->older)
        chunk = chunk->jump;
    return chunk;
}

size_t ms_run_postings(const struct ms_run_chunk *chunk, uint64_t out[MS_RUN_POSTINGS_MAX]) {
    out[0] = chunk->low;
    const uint8_t *at = chunk->data;
    for (size_t i = 1; i < chunk->count; i++) {
        uint64_t distance = 0;
        at += ms_uvarint_get(at, (size_t)(chunk->data + chunk->used - at), &distance);
        out[i] = out[i - 1] + distance;
    }
    return chunk->count;
}

size_t ms_run_extents(const struct ms_run_chunk *chunk, struct ms_extent out[MS_RUN_EXTENTS_MAX]) {
    struct ms_extent_state state = {(int64_t)chunk->low, 0};
    const uint8_t *at = chunk->data;
    for (size_t i = 0; i < chunk->count; i++)
        at += ms_extent_get(at, (size_t)(chunk->data + chunk->used - at), &state, &out[i]);
    return chunk->count;
}
