/* Streams with parked events; see parked_streams.h. */
#include "projection/parked_streams.h"

#include "base/alloc.h"
#include "projection/list.h"

static struct ms_hash128 hash_of(struct ms_bytes stream) {
    return ms_hash128(stream.data, stream.len, 0);
}

/* Where it stands, or would. */
static size_t place_of(const struct ms_parked_streams *streams, const struct ms_hash128 *hash) {
    size_t low = 0, high = streams->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(streams->items[middle].bytes, hash->bytes, sizeof hash->bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool stands_at(const struct ms_parked_streams *streams, size_t at,
                      const struct ms_hash128 *hash) {
    return at < streams->count &&
           memcmp(streams->items[at].bytes, hash->bytes, sizeof hash->bytes) == 0;
}

void ms_parked_streams_deinit(struct ms_parked_streams *streams) {
    ms_free(streams->items);
    *streams = (struct ms_parked_streams){0};
}

bool ms_parked_streams_has(const struct ms_parked_streams *streams, struct ms_bytes stream) {
    if (streams->count == 0)
        return false;
    struct ms_hash128 hash = hash_of(stream);
    return stands_at(streams, place_of(streams, &hash), &hash);
}

int ms_parked_streams_add(struct ms_parked_streams *streams, struct ms_bytes stream) {
    struct ms_hash128 hash = hash_of(stream);
    size_t at = place_of(streams, &hash);
    if (!stands_at(streams, at, &hash)) {
        struct ms_hash128 *items =
            ms_list_grow_heap(streams->items, streams->count, &streams->capacity, sizeof *items);
        if (items == NULL)
            return MS_ENOMEM;
        streams->items = items;
        memmove(streams->items + at + 1, streams->items + at,
                (streams->count - at) * sizeof *streams->items);
        streams->items[at] = hash;
        streams->count++;
    }
    streams->events++;
    return 0;
}

void ms_parked_streams_remove(struct ms_parked_streams *streams, struct ms_bytes stream) {
    struct ms_hash128 hash = hash_of(stream);
    size_t at = place_of(streams, &hash);
    if (!stands_at(streams, at, &hash))
        return;
    streams->count--;
    memmove(streams->items + at, streams->items + at + 1,
            (streams->count - at) * sizeof *streams->items);
}

static int add_parked(void *context, const struct ms_parked *parked) {
    return ms_parked_streams_add(context, parked->stream);
}

int ms_parked_streams_load(struct ms_parked_streams *streams, struct ms_target *target,
                           struct ms_error *err) {
    struct ms_target_reader *reader;
    streams->count = 0;
    streams->events = 0;
    int code = ms_target_reader_new(target, &reader, err);
    if (code != 0)
        return code;
    code = ms_target_parked(reader, (struct ms_bytes){0}, SIZE_MAX, add_parked, streams, err);
    ms_target_reader_free(reader);
    return code;
}
