/* One generation of the overlay; see overlay.h. Threads: as said there. */
#include "index/overlay.h"

#include <stdlib.h>

#include "base/alloc.h"

/* How many appends ahead of the fold the tables' slots are asked for, and then the streams' nodes.
 * */
#define PREFETCH_SLOTS 12
#define PREFETCH_NODES 6
#define PARTITIONS_CAPACITY_MIN 64
#define TIMES_CAPACITY_MIN 64

int ms_overlay_new(uint64_t base, int64_t last_time_ms, struct ms_overlay **ret_overlay) {
    struct ms_overlay *overlay = ms_calloc(1, sizeof *overlay);
    if (!overlay)
        return MS_ENOMEM;
    atomic_init(&overlay->refs, 1);
    overlay->base = overlay->next = overlay->folded = base;
    overlay->times.last_ms = last_time_ms;
    ms_arena_init(&overlay->arena,
                  SIZE_MAX); /* the generation as a whole is bounded by its index */
    *ret_overlay = overlay;
    return 0;
}

struct ms_overlay *ms_overlay_ref(struct ms_overlay *overlay) {
    atomic_fetch_add_explicit(&overlay->refs, 1, memory_order_relaxed);
    return overlay;
}

void ms_overlay_unref(struct ms_overlay *overlay) {
    if (!overlay || atomic_fetch_sub_explicit(&overlay->refs, 1, memory_order_acq_rel) != 1)
        return;
    ms_stream_table_deinit(&overlay->streams);
    ms_term_table_deinit(&overlay->terms);
    ms_free(overlay->partitions.slots);
    ms_free(overlay->times.items);
    ms_arena_deinit(&overlay->arena);
    ms_free(overlay);
}

size_t ms_overlay_bytes(const struct ms_overlay *overlay) {
    return sizeof *overlay + overlay->arena.used + overlay->streams.bytes + overlay->terms.bytes +
           overlay->partitions.capacity * sizeof *overlay->partitions.slots +
           overlay->times.capacity * sizeof *overlay->times.items;
}

/* ---- partitions ---- */

static struct ms_overlay_partition *partition_slot(struct ms_overlay_partition *slots,
                                                   size_t capacity, uint32_t topic,
                                                   uint16_t partition) {
    uint64_t hash = (((uint64_t)topic << 16) | partition) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 32) & (capacity - 1);
    while (slots[at].extents && (slots[at].topic != topic || slots[at].partition != partition))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static int grow_partitions(struct ms_partition_table *table) {
    size_t capacity = table->capacity ? table->capacity * 2 : PARTITIONS_CAPACITY_MIN;
    struct ms_overlay_partition *slots = ms_calloc(capacity, sizeof *slots);
    if (!slots)
        return MS_ENOMEM;
    for (size_t i = 0; i < table->capacity; i++) {
        const struct ms_overlay_partition *old = &table->slots[i];
        if (old->extents)
            *partition_slot(slots, capacity, old->topic, old->partition) = *old;
    }
    ms_free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

static int add_to_partition(struct ms_overlay *overlay, const struct ms_index_append *append) {
    struct ms_partition_table *table = &overlay->partitions;
    if ((table->used + 1) * 4 > table->capacity * 3) {
        int rc = grow_partitions(table);
        if (rc)
            return rc;
    }
    struct ms_overlay_partition *slot =
        partition_slot(table->slots, table->capacity, append->topic, append->partition);
    bool fresh = !slot->extents;
    struct ms_extent extent = {append->first_offset, append->position, append->record_count, 0};
    int rc = ms_run_add_extent(&overlay->arena, &slot->extents, &extent, &slot->unordered);
    if (rc == 0 && fresh) {
        slot->topic = append->topic;
        slot->partition = append->partition;
        table->used++;
    }
    return rc;
}

const struct ms_overlay_partition *ms_overlay_partition_find(const struct ms_overlay *overlay,
                                                             uint32_t topic, uint16_t partition) {
    const struct ms_partition_table *table = &overlay->partitions;
    if (table->capacity == 0)
        return NULL;
    const struct ms_overlay_partition *slot =
        partition_slot(table->slots, table->capacity, topic, partition);
    return slot->extents ? slot : NULL;
}

static int compare_partitions(const void *a, const void *b) {
    const struct ms_overlay_partition *const *left = a, *const *right = b;
    if ((*left)->topic != (*right)->topic)
        return (*left)->topic < (*right)->topic ? -1 : 1;
    return (int)(*left)->partition - (int)(*right)->partition;
}

void ms_overlay_partitions_sorted(const struct ms_overlay *overlay,
                                  const struct ms_overlay_partition **out) {
    const struct ms_partition_table *table = &overlay->partitions;
    size_t count = 0;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].extents)
            out[count++] = &table->slots[i];
    }
    MS_ASSERT(count == table->used);
    if (count)
        qsort(out, count, sizeof *out, compare_partitions);
}

/* ---- commit times ---- */

static int add_time(struct ms_time_list *times, int64_t ms, uint64_t position) {
    if (times->last_ms >= 0 && (ms < times->last_ms || ms - times->last_ms < MS_TIME_STEP_MS))
        return 0;
    if (times->count == times->capacity) {
        size_t capacity = times->capacity ? times->capacity * 2 : TIMES_CAPACITY_MIN;
        void *items = ms_realloc(times->items, capacity * sizeof *times->items);
        if (!items)
            return MS_ENOMEM;
        times->items = items;
        times->capacity = capacity;
    }
    times->items[times->count++] = (struct ms_overlay_time){ms, position};
    times->last_ms = ms;
    return 0;
}

bool ms_overlay_time_floor(const struct ms_overlay *overlay, int64_t time_ms,
                           uint64_t *ret_position) {
    const struct ms_time_list *times = &overlay->times;
    size_t low = 0,
           high = times->count; /* items before `low` are <= time_ms, from `high` on later */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times->items[middle].ms <= time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_position = times->items[low - 1].position;
    return true;
}

/* ---- folding ---- */

/* A fold is little but cache misses; asked for early, they overlap. */
static void prefetch(const struct ms_overlay *overlay, const struct ms_index_append *appends,
                     size_t count, size_t at) {
    if (at + PREFETCH_SLOTS < count) {
        const struct ms_index_append *append = &appends[at + PREFETCH_SLOTS];
        if (append->has_stream)
            ms_stream_table_prefetch(&overlay->streams, &append->stream);
        for (size_t i = 0; i < append->term_count; i++)
            ms_term_table_prefetch(&overlay->terms, append->terms[i]);
    }
    if (at + PREFETCH_NODES < count && appends[at + PREFETCH_NODES].has_stream)
        ms_stream_table_prefetch_node(&overlay->streams, &appends[at + PREFETCH_NODES].stream);
}

static int fold_append(struct ms_overlay *overlay, const struct ms_index_append *append) {
    MS_ASSERT(append->record_count > 0 && append->first_offset >= 0);
    int rc = 0;
    if (append->has_stream) {
        int64_t start = append->last_version - (int64_t)append->record_count + 1;
        MS_ASSERT(append->last_version >= 0 && start >= 0);
        struct ms_extent extent = {start, append->position, append->record_count,
                                   (uint16_t)(append->partition + 1)};
        rc = ms_stream_table_add(&overlay->streams, &overlay->arena, &append->stream, &extent);
    }
    for (size_t i = 0; rc == 0 && i < append->term_count; i++)
        rc =
            ms_term_table_add(&overlay->terms, &overlay->arena, append->terms[i], append->position);
    if (rc == 0 && !append->no_offset)
        rc = add_to_partition(overlay, append);
    if (rc == 0)
        rc = add_time(&overlay->times, append->commit_time_ms, append->position);
    return rc;
}

int ms_overlay_fold(struct ms_overlay *overlay, const struct ms_index_append *appends, size_t count,
                    uint64_t next) {
    MS_ASSERT(next >= overlay->next);
    for (size_t i = 0; i < count; i++) {
        const struct ms_index_append *append = &appends[i];
        prefetch(overlay, appends, count, i);
        if (append->position < overlay->folded) {
            MS_ASSERT(append->position >= overlay->next); /* folded by a call that failed */
            continue;
        }
        overlay->partial = true;
        int rc = fold_append(overlay, append);
        if (rc)
            return rc;
        overlay->folded = append->position + 1;
        overlay->entries++;
    }
    MS_ASSERT(next >= overlay->folded);
    overlay->folded = overlay->next = next;
    overlay->partial = false;
    return 0;
}

int ms_overlay_fold_facts(struct ms_overlay *overlay, const struct ms_index_fact *facts,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        overlay->partial = true;
        size_t known = overlay->facts.count;
        int rc = ms_fact_list_put(&overlay->facts, &overlay->arena, &facts[i]);
        if (rc)
            return rc;
        overlay->entries += overlay->facts.count - known;
    }
    return 0;
}

int ms_overlay_adopt(struct ms_overlay *overlay, const struct ms_index_run *runs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct ms_index_run *run = &runs[i];
        int64_t start = run->last_version - (int64_t)run->record_count + 1;
        MS_ASSERT(run->record_count > 0 && start >= 0);
        const struct ms_overlay_stream *known =
            ms_stream_table_find(&overlay->streams, &run->stream);
        if (known && ms_extent_end(&known->newest) > run->last_version)
            continue; /* adopted by a call that failed */
        overlay->partial = true;
        struct ms_extent extent = {start, run->position, run->record_count,
                                   (uint16_t)(run->partition + 1)};
        int rc = ms_stream_table_add(&overlay->streams, &overlay->arena, &run->stream, &extent);
        if (rc)
            return rc;
        overlay->entries++;
    }
    overlay->partial = false;
    return 0;
}
