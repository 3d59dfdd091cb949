/*
 * The idempotence window: the ids (hashed together with their stream) of the last events, and their
 * versions; guarded by the log's lock. Ids that were made here are among them: who has read an
 * event may send it again with its id.
 *
 * A ring holds the hashes in the order they came, a hash table their versions: 256 shards by the
 * highest byte of the hash, each of which doubles alone, so that no append waits until all of a
 * million have been moved.
 */
#include "base/alloc.h"
#include "store/internal.h"

#define SHARD_CAPACITY_MIN 8u

static size_t shard_number(uint64_t hash) { return (size_t)(hash >> 56); }

static struct ms_window_slot *slot_of(const struct ms_window_shard *shard, uint64_t hash) {
    size_t i = (size_t)hash & (shard->capacity - 1);
    while (shard->slots[i].hash != 0 && shard->slots[i].hash != hash)
        i = (i + 1) & (shard->capacity - 1);
    return &shard->slots[i];
}

static bool grow(struct ms_window *window, struct ms_window_shard *shard) {
    struct ms_window_shard bigger = {.capacity = shard->capacity > 0 ? shard->capacity * 2
                                                                     : SHARD_CAPACITY_MIN};
    bigger.slots = ms_calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < shard->capacity; i++)
        if (shard->slots[i].hash != 0)
            *slot_of(&bigger, shard->slots[i].hash) = shard->slots[i];
    ms_free(shard->slots);
    window->capacity += bigger.capacity - shard->capacity;
    shard->slots = bigger.slots;
    shard->capacity = bigger.capacity;
    ms_shard_hint_set(&shard->hint, shard->slots, shard->capacity);
    return true;
}

int ms_window_init(struct ms_window *window, size_t events) {
    *window = (struct ms_window){.ring_capacity = events > 0 ? events : 1};
    /* Demand-zero memory: it costs what is used of it. */
    window->ring = ms_calloc(window->ring_capacity, sizeof *window->ring);
    bool made = window->ring != NULL;
    for (size_t i = 0; made && i < MS_WINDOW_SHARDS; i++)
        made = grow(window, &window->shards[i]);
    if (made)
        return 0;
    ms_window_deinit(window);
    return MS_ENOMEM;
}

void ms_window_deinit(struct ms_window *window) {
    for (size_t i = 0; i < MS_WINDOW_SHARDS; i++)
        ms_free(window->shards[i].slots);
    ms_free(window->ring);
    *window = (struct ms_window){0};
}

bool ms_window_find(const struct ms_window *window, uint64_t hash, int64_t *ret_version) {
    const struct ms_window_shard *shard = &window->shards[shard_number(hash)];
    const struct ms_window_slot *slot = slot_of(shard, hash);
    if (slot->hash == 0)
        return false;
    *ret_version = slot->version;
    return true;
}

/* Backward-shift deletion keeps probe sequences whole. */
static void forget(struct ms_window *window, uint64_t hash) {
    struct ms_window_shard *shard = &window->shards[shard_number(hash)];
    struct ms_window_slot *slots = shard->slots;
    size_t mask = shard->capacity - 1, hole = (size_t)(slot_of(shard, hash) - slots);
    MS_ASSERT(slots[hole].hash == hash);
    for (size_t i = (hole + 1) & mask; slots[i].hash != 0; i = (i + 1) & mask) {
        size_t home = (size_t)slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            slots[hole] = slots[i];
            hole = i;
        }
    }
    slots[hole].hash = 0;
    shard->count--;
}

static void forget_oldest(struct ms_window *window) {
    size_t oldest =
        (window->ring_at + window->ring_capacity - window->count) % window->ring_capacity;
    forget(window, window->ring[oldest]);
    window->count--;
}

/* Room for one more in the shard. Without memory its sequences get longer; once it is full, the
 * window gets shorter. */
static void make_room(struct ms_window *window, struct ms_window_shard *shard) {
    if (window->count == window->ring_capacity)
        forget_oldest(window);
    if ((shard->count + 1) * 2 <= shard->capacity || grow(window, shard))
        return;
    while (shard->count + 1 == shard->capacity)
        forget_oldest(window);
}

void ms_window_prefetch(const struct ms_window *window, uint64_t hash) {
    const struct ms_window_shard *shard = &window->shards[shard_number(hash)];
    ms_shard_hint_fetch(&shard->hint, hash, sizeof *shard->slots);
}

void ms_window_add(struct ms_window *window, uint64_t hash, int64_t version) {
    struct ms_window_shard *shard = &window->shards[shard_number(hash)];
    struct ms_window_slot *slot = slot_of(shard, hash);
    if (slot->hash == hash) { /* again, e.g. to a stream at an exact version */
        slot->version = version;
        return;
    }
    make_room(window, shard);
    *slot_of(shard, hash) = (struct ms_window_slot){hash, version};
    shard->count++;
    window->ring[window->ring_at] = hash;
    window->ring_at = (window->ring_at + 1) % window->ring_capacity;
    window->count++;
}

static int rebuild_entry(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_batch_reader *batch, struct ms_error *err) {
    struct ms_stream_id stream;
    struct ms_record record;
    memcpy(stream.bytes, entry->header.stream_id, MS_STREAM_ID_LEN);
    int rc = ms_batch_reader_init(batch, entry->batch, (size_t)1 << 30, err);
    while (rc == 0 && (rc = ms_batch_reader_next(batch, &record, err)) > 0) {
        struct ms_bytes id = ms_event_record_id(&record);
        int64_t version = entry->header.first_version + (record.offset - entry->first_offset);
        if (id.data != NULL)
            ms_window_add(&store->window, ms_event_id_hash(&stream, id), version);
        rc = 0;
    }
    return rc;
}

int ms_window_rebuild(struct ms_store *store, struct ms_error *err) {
    uint64_t end = ms_log_end(store->log), size = store->window.ring_capacity;
    struct ms_log_cursor cursor;
    struct ms_batch_reader batch = {0};
    struct ms_log_entry entry;
    ms_log_cursor_init(&cursor, store->log, end > size ? end - size : 0);
    int rc;
    while ((rc = ms_log_cursor_next(&cursor, &entry, err)) > 0) {
        if (entry.header.flags & MS_ENTRY_HAS_STREAM)
            rc = rebuild_entry(store, &entry, &batch, err);
        if (rc < 0)
            break;
    }
    ms_batch_reader_deinit(&batch);
    ms_log_cursor_deinit(&cursor);
    return rc;
}
