/* The streams of one overlay generation; see stream_table.h. Threads: as the generation's. */
#include "index/stream_table.h"

#include <stdlib.h>

#include "base/alloc.h"

#define NODES_PER_BLOCK 1024u
#define SHARD_CAPACITY_MIN 16u

void ms_stream_table_deinit(struct ms_stream_table *table) {
    for (size_t i = 0; i < MS_STREAM_SHARDS; i++)
        ms_free(table->shards[i].slots);
    for (uint32_t i = 0; i * NODES_PER_BLOCK < table->node_count; i++)
        ms_free(table->blocks[i]);
    ms_free(table->blocks);
    *table = (struct ms_stream_table){0};
}

static inline struct ms_overlay_stream *node_at(const struct ms_stream_table *table,
                                                uint32_t number) {
    return &table->blocks[number / NODES_PER_BLOCK][number % NODES_PER_BLOCK];
}

/* Every bit counts, so that ids which are no good hashes (tests) don't pile up. */
static inline uint32_t tag_of(const struct ms_stream_id *id) {
    uint64_t hash = ms_get_le64(id->bytes) ^ (ms_get_le64(id->bytes + 8) * 0x9e3779b97f4a7c15u);
    hash *= 0xd6e8feb86659fd93u;
    return (uint32_t)(hash >> 32);
}

static inline bool same_id(const struct ms_stream_id *a, const struct ms_stream_id *b) {
    return memcmp(a->bytes, b->bytes, MS_STREAM_ID_LEN) == 0;
}

void ms_stream_table_prefetch(const struct ms_stream_table *table, const struct ms_stream_id *id) {
    const struct ms_stream_shard *shard = &table->shards[id->bytes[0]];
    if (shard->capacity)
        __builtin_prefetch(&shard->slots[tag_of(id) & (shard->capacity - 1)]);
}

void ms_stream_table_prefetch_node(const struct ms_stream_table *table,
                                   const struct ms_stream_id *id) {
    const struct ms_stream_shard *shard = &table->shards[id->bytes[0]];
    if (shard->capacity == 0)
        return;
    uint32_t node = shard->slots[tag_of(id) & (shard->capacity - 1)].node;
    if (node)
        __builtin_prefetch(node_at(table, node - 1));
}

/* The slot of the id, or the free one where it belongs. The shard has at least one free slot. */
static struct ms_stream_slot *find_slot(const struct ms_stream_table *table,
                                        const struct ms_stream_shard *shard, uint32_t tag,
                                        const struct ms_stream_id *id) {
    uint32_t mask = shard->capacity - 1;
    for (uint32_t at = tag & mask;; at = (at + 1) & mask) {
        struct ms_stream_slot *slot = &shard->slots[at];
        if (slot->node == 0)
            return slot;
        if (slot->tag == tag && same_id(&node_at(table, slot->node - 1)->id, id))
            return slot;
    }
}

static int grow_shard(struct ms_stream_table *table, struct ms_stream_shard *shard) {
    uint32_t capacity = shard->capacity ? shard->capacity * 2 : SHARD_CAPACITY_MIN;
    struct ms_stream_slot *slots = ms_calloc(capacity, sizeof *slots);
    if (!slots)
        return MS_ENOMEM;
    for (uint32_t i = 0; i < shard->capacity; i++) {
        if (shard->slots[i].node == 0)
            continue;
        uint32_t at = shard->slots[i].tag & (capacity - 1);
        while (slots[at].node != 0)
            at = (at + 1) & (capacity - 1);
        slots[at] = shard->slots[i];
    }
    table->bytes += (capacity - shard->capacity) * sizeof *slots;
    ms_free(shard->slots);
    shard->slots = slots;
    shard->capacity = capacity;
    return 0;
}

/* Makes sure that node number node_count exists. */
static int reserve_node(struct ms_stream_table *table) {
    if (table->node_count % NODES_PER_BLOCK != 0)
        return 0;
    uint32_t block = table->node_count / NODES_PER_BLOCK;
    if (block == table->block_capacity) {
        uint32_t capacity = block ? block * 2 : 16;
        void *blocks = ms_realloc(table->blocks, capacity * sizeof *table->blocks);
        if (!blocks)
            return MS_ENOMEM;
        table->blocks = blocks;
        table->block_capacity = capacity;
        table->bytes += (capacity - block) * sizeof *table->blocks;
    }
    table->blocks[block] = ms_alloc(NODES_PER_BLOCK * sizeof **table->blocks);
    if (!table->blocks[block])
        return MS_ENOMEM;
    table->bytes += NODES_PER_BLOCK * sizeof **table->blocks;
    return 0;
}

static int add_stream(struct ms_stream_table *table, struct ms_stream_shard *shard, uint32_t tag,
                      const struct ms_stream_id *id, const struct ms_extent *append) {
    if ((shard->used + 1) * 4 > shard->capacity * 3) {
        int rc = grow_shard(table, shard);
        if (rc)
            return rc;
    }
    int rc = reserve_node(table);
    if (rc)
        return rc;
    uint32_t number = table->node_count++;
    *node_at(table, number) = (struct ms_overlay_stream){.id = *id, .newest = *append};
    *find_slot(table, shard, tag, id) = (struct ms_stream_slot){number + 1, tag};
    shard->used++;
    return 0;
}

int ms_stream_table_add(struct ms_stream_table *table, struct ms_arena *arena,
                        const struct ms_stream_id *id, const struct ms_extent *append) {
    struct ms_stream_shard *shard = &table->shards[id->bytes[0]];
    uint32_t tag = tag_of(id);
    struct ms_stream_slot *slot = shard->capacity ? find_slot(table, shard, tag, id) : NULL;
    if (!slot || slot->node == 0)
        return add_stream(table, shard, tag, id, append);
    struct ms_overlay_stream *stream = node_at(table, slot->node - 1);
    if (append->position == stream->newest.position)
        return 0;
    MS_ASSERT(append->position > stream->newest.position);
    MS_ASSERT(append->start >= ms_extent_end(&stream->newest));
    bool unordered = false;
    int rc = ms_run_add_extent(arena, &stream->older, &stream->newest, &unordered);
    if (rc == 0)
        stream->newest = *append;
    return rc;
}

const struct ms_overlay_stream *ms_stream_table_find(const struct ms_stream_table *table,
                                                     const struct ms_stream_id *id) {
    const struct ms_stream_shard *shard = &table->shards[id->bytes[0]];
    if (shard->capacity == 0)
        return NULL;
    const struct ms_stream_slot *slot = find_slot(table, shard, tag_of(id), id);
    return slot->node ? node_at(table, slot->node - 1) : NULL;
}

static int compare_ids(const void *a, const void *b) {
    const struct ms_overlay_stream *const *left = a, *const *right = b;
    return memcmp((*left)->id.bytes, (*right)->id.bytes, MS_STREAM_ID_LEN);
}

void ms_stream_table_sorted(const struct ms_stream_table *table, size_t shard,
                            const struct ms_overlay_stream **out) {
    const struct ms_stream_shard *from = &table->shards[shard];
    size_t count = 0;
    for (uint32_t i = 0; i < from->capacity; i++) {
        if (from->slots[i].node != 0)
            out[count++] = node_at(table, from->slots[i].node - 1);
    }
    MS_ASSERT(count == from->used);
    if (count)
        qsort(out, count, sizeof *out, compare_ids);
}
