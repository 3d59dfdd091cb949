/* One batch of an import: events gathered by stream. See import.h. */
#include "base/alloc.h"
#include "base/hash.h"
#include "cli/import.h"

#define NAMES_BYTES_MAX ((size_t)64 << 20)

int ms_import_batch_init(struct ms_import_batch *batch, size_t capacity, size_t bytes_max) {
    *batch = (struct ms_import_batch){.capacity = capacity, .table_size = 4};
    while (batch->table_size < capacity * 2)
        batch->table_size *= 2;
    ms_arena_init(&batch->arena, bytes_max + NAMES_BYTES_MAX);
    batch->parts = ms_calloc(capacity, sizeof *batch->parts);
    batch->entries = ms_calloc(capacity, sizeof *batch->entries);
    batch->events = ms_calloc(capacity, sizeof *batch->events);
    batch->table = ms_calloc(batch->table_size, sizeof *batch->table);
    if (batch->parts && batch->entries && batch->events && batch->table)
        return 0;
    ms_import_batch_deinit(batch);
    return MS_ENOMEM;
}

void ms_import_batch_deinit(struct ms_import_batch *batch) {
    ms_arena_deinit(&batch->arena);
    ms_free(batch->parts);
    ms_free(batch->entries);
    ms_free(batch->events);
    ms_free(batch->table);
    *batch = (struct ms_import_batch){0};
}

void ms_import_batch_clear(struct ms_import_batch *batch) {
    ms_arena_reset(&batch->arena);
    memset(batch->table, 0, batch->table_size * sizeof *batch->table);
    batch->part_count = batch->entry_count = batch->bytes = 0;
    batch->first_line = batch->last_line = 0;
}

/* The stream's place in the table, or the free place where it would stand. */
static uint32_t *find(const struct ms_import_batch *batch, struct ms_bytes stream) {
    size_t mask = batch->table_size - 1;
    size_t at = (size_t)ms_hash64(stream.data, stream.len, 0) & mask;
    while (batch->table[at] != 0 &&
           !ms_bytes_equal(batch->parts[batch->table[at] - 1].stream, stream))
        at = (at + 1) & mask;
    return &batch->table[at];
}

bool ms_import_batch_has(const struct ms_import_batch *batch, struct ms_bytes stream) {
    return *find(batch, stream) != 0;
}

static int copy(struct ms_import_batch *batch, struct ms_bytes text, struct ms_bytes *ret_copy) {
    char *place = ms_arena_strdup(&batch->arena, text);
    if (!place)
        return MS_ENOMEM;
    *ret_copy = ms_bytes_of(place, text.len);
    return 0;
}

int ms_import_batch_add(struct ms_import_batch *batch, struct ms_bytes stream,
                        struct ms_bytes event, uint64_t line) {
    MS_ASSERT(batch->entry_count < batch->capacity && !batch->in_flight);
    struct ms_bytes kept;
    int rc = copy(batch, event, &kept);
    if (rc != 0)
        return rc;
    uint32_t *place = find(batch, stream);
    if (*place == 0) {
        struct ms_bytes name;
        rc = copy(batch, stream, &name);
        if (rc != 0)
            return rc;
        batch->parts[batch->part_count++] =
            (struct ms_target_part){.stream = name, .condition = {.kind = MS_EXPECT_ANY}};
        *place = (uint32_t)batch->part_count;
    }
    batch->parts[*place - 1].count++;
    batch->entries[batch->entry_count++] =
        (struct ms_import_entry){.part = *place - 1, .event = kept};
    batch->bytes += event.len;
    if (batch->first_line == 0)
        batch->first_line = line;
    batch->last_line = line;
    return 0;
}

struct ms_target_append ms_import_batch_arrange(struct ms_import_batch *batch) {
    size_t at = 0;
    for (size_t i = 0; i < batch->part_count; i++) {
        batch->parts[i].events = batch->events + at;
        at += batch->parts[i].count;
        batch->parts[i].count = 0;
    }
    for (size_t i = 0; i < batch->entry_count; i++) {
        struct ms_target_part *part = &batch->parts[batch->entries[i].part];
        size_t place = (size_t)(part->events - batch->events) + part->count++;
        batch->events[place] = batch->entries[i].event;
    }
    return (struct ms_target_append){.parts = batch->parts, .part_count = batch->part_count};
}
