/*
 * Reading a partition: the index says where the batch that holds an offset stands, the log's cursor
 * brings it, and the caller gets references to the memory it is in.
 *
 * Batches that follow each other in the log (a topic that is alone, or busy) are found without
 * asking the index again, as far as what was read of the log goes. Small batches are copied
 * together, so that a reader who is slow to send them does not pin a block of the log for each. Any
 * thread; one per reader.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define PACK_BYTES ((size_t)64 << 10)
#define PACKED_BATCH_MAX ((size_t)4 << 10) /* larger ones are not copied */
#define BATCH_AT_MAX_TIMESTAMP 35
#define BATCH_AT_COUNT 57
#define MISSES_MAX 4u
#define DECOMPRESSED_MAX ((size_t)1 << 30)
#define LARGE_BYTES ((uint64_t)64 << 10) /* to be read for nothing */

struct ms_partition_reader {
    struct ms_store *store;
    struct ms_log_cursor cursor;
    struct ms_blob *pack; /* small batches are copied here */
    size_t pack_used;
    struct ms_batch_reader batch; /* for times */
};

struct partition_reading {
    struct ms_partition_reader *reader;
    const struct ms_partition_read *read;
    struct ms_slice_list *slices;
    int64_t start, next, end;
    size_t bytes, batches;
    bool follow; /* the next batch may be the next entry */
    bool more;
};

int ms_partition_reader_new(struct ms_store *store, struct ms_partition_reader **ret_reader) {
    struct ms_partition_reader *reader = ms_calloc(1, sizeof *reader);
    if (reader == NULL)
        return MS_ENOMEM;
    reader->store = store;
    ms_log_cursor_init(&reader->cursor, store->log, 0);
    *ret_reader = reader;
    return 0;
}

void ms_partition_reader_free(struct ms_partition_reader *reader) {
    if (reader == NULL)
        return;
    ms_log_cursor_deinit(&reader->cursor);
    ms_batch_reader_deinit(&reader->batch);
    ms_blob_unref(reader->pack);
    ms_free(reader);
}

/* ---- slices ---- */

void ms_slice_list_clear(struct ms_slice_list *list) {
    for (size_t i = 0; i < list->count; i++)
        ms_slice_unref(&list->items[i]);
    list->count = 0;
}

void ms_slice_list_deinit(struct ms_slice_list *list) {
    ms_slice_list_clear(list);
    ms_free(list->items);
    *list = (struct ms_slice_list){0};
}

static int add_slice(struct ms_slice_list *list, struct ms_blob *blob, struct ms_bytes bytes) {
    struct ms_slice *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    if (last != NULL && last->blob == blob && last->bytes.data + last->bytes.len == bytes.data) {
        last->bytes.len += bytes.len;
        return 0;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct ms_slice *items = ms_realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return MS_ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (struct ms_slice){ms_blob_ref(blob), bytes};
    return 0;
}

static int pack_batch(struct partition_reading *reading, struct ms_bytes batch) {
    struct ms_partition_reader *reader = reading->reader;
    if (reader->pack == NULL || reader->pack->size - reader->pack_used < batch.len) {
        struct ms_blob *pack;
        int rc = ms_blob_new(PACK_BYTES, &pack);
        if (rc != 0)
            return rc;
        ms_blob_unref(reader->pack);
        reader->pack = pack;
        reader->pack_used = 0;
    }
    uint8_t *at = reader->pack->data + reader->pack_used;
    memcpy(at, batch.data, batch.len);
    int rc = add_slice(reading->slices, reader->pack, ms_bytes_of(at, batch.len));
    reader->pack_used += rc == 0 ? batch.len : 0;
    return rc;
}

/* What the entry's bytes lie in. */
static struct ms_blob *memory_of(const struct ms_log_cursor *cursor, struct ms_bytes batch) {
    const struct ms_blob *frame = cursor->frame;
    bool framed =
        frame != NULL && batch.data >= frame->data && batch.data < frame->data + frame->size;
    return framed ? cursor->frame : cursor->window;
}

/* ---- finding entries ---- */

static bool is_wanted(const struct ms_partition_read *read, const struct ms_log_entry *entry,
                      int64_t next) {
    return entry->header.topic == read->topic->number &&
           entry->header.partition == read->partition && !(entry->header.flags & MS_ENTRY_COMMIT) &&
           entry->first_offset + (int64_t)entry->record_count > next;
}

/* The first offset from reading->next on whose entry ends behind the position `floor`. */
static int first_behind(struct partition_reading *reading, uint64_t floor, struct ms_error *err) {
    const struct ms_partition_read *read = reading->read;
    int64_t low = reading->next, high = reading->end;
    while (low < high) {
        struct ms_index_offset_place place;
        int64_t middle = low + (high - low) / 2;
        int rc =
            ms_index_offset_find(reading->reader->store->index, read->topic->number,
                                 (uint16_t)read->partition, middle, read->in_memory, &place, err);
        if (rc != 0 && rc != MS_ENOTFOUND)
            return rc;
        if (rc == 0 && place.position + place.record_count <= floor)
            low = place.first_offset + place.record_count;
        else
            high = middle;
    }
    reading->next = low;
    return 0;
}

/* Would an entry be read from the disk only to find that there is no room for it? */
static bool has_no_room(const struct partition_reading *reading, uint64_t position) {
    const struct ms_partition_read *read = reading->read;
    if (reading->batches == 0 || read->in_memory)
        return false;
    uint64_t reach = ms_log_reach(reading->reader->store->log, position);
    return reach >= LARGE_BYTES && reading->bytes + reach > read->bytes_max;
}

/* By the index. What was scavenged is still in it, in long rows maybe: after a few of them it is
 * asked for the first that stands behind the place in the log that was found instead. */
static int look_up_entry(struct partition_reading *reading, struct ms_log_entry *ret_entry,
                         struct ms_error *err) {
    struct ms_log_cursor *cursor = &reading->reader->cursor;
    const struct ms_partition_read *read = reading->read;
    for (unsigned misses = 0; reading->next < reading->end;) {
        struct ms_index_offset_place place;
        int rc = ms_index_offset_find(reading->reader->store->index, read->topic->number,
                                      (uint16_t)read->partition, reading->next, read->in_memory,
                                      &place, err);
        if (rc == MS_ENOTFOUND || (rc == 0 && place.first_offset >= reading->end))
            return 0;
        if (rc != 0)
            return rc;
        reading->more = has_no_room(reading, place.position);
        if (reading->more)
            return 0;
        ms_log_cursor_seek(cursor, place.position);
        rc = ms_log_cursor_next(cursor, ret_entry, err);
        if (rc > 0 && is_wanted(read, ret_entry, reading->next))
            return ret_entry->first_offset < reading->end; /* it may follow what was scavenged */
        if (rc < 0)
            return rc;
        reading->next = place.first_offset + place.record_count; /* scavenged */
        if (rc > 0 && ++misses > MISSES_MAX)
            rc = first_behind(reading, ret_entry->header.first_position, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The entry that holds reading->next, or the next one after it. 1, or 0 at the end. */
static int find_entry(struct partition_reading *reading, struct ms_log_entry *ret_entry,
                      struct ms_error *err) {
    int rc = 0;
    if (reading->follow && ms_log_cursor_at_hand(&reading->reader->cursor))
        rc = ms_log_cursor_next(&reading->reader->cursor, ret_entry, err);
    if (rc > 0 && is_wanted(reading->read, ret_entry, reading->next) &&
        ret_entry->first_offset <= reading->next)
        return 1;
    reading->follow = false;
    return rc < 0 ? rc : look_up_entry(reading, ret_entry, err);
}

/* ---- batches ---- */

static uint32_t records_in(const struct ms_log_entry *entry) {
    return ms_get_be32(entry->batch.data + BATCH_AT_COUNT);
}

static int take_entry(struct partition_reading *reading, const struct ms_log_entry *entry) {
    const struct ms_partition_read *read = reading->read;
    /* Clients that look at records only would never get past a batch without any. */
    bool empty = records_in(entry) == 0;
    bool fits = reading->bytes + entry->batch.len <= read->bytes_max ||
                (reading->bytes == 0 && read->oversized);
    if (!empty && (!fits || (read->batches_max > 0 && reading->batches == read->batches_max))) {
        reading->more = true;
        return 0;
    }
    int rc = 0;
    if (!empty) {
        struct ms_blob *memory = memory_of(&reading->reader->cursor, entry->batch);
        bool small = entry->batch.len <= PACKED_BATCH_MAX;
        rc = small ? pack_batch(reading, entry->batch)
                   : add_slice(reading->slices, memory, entry->batch);
        reading->bytes += entry->batch.len;
        reading->batches++;
    }
    reading->next = entry->first_offset + entry->record_count;
    reading->follow = true;
    return rc;
}

static int read_batches(struct partition_reading *reading, struct ms_error *err) {
    struct ms_log_entry entry;
    int rc = 0;
    while (!reading->more && reading->next < reading->end) {
        rc = find_entry(reading, &entry, err);
        if (rc == 0)
            break;
        if (rc == MS_EAGAIN && reading->batches > 0)
            reading->more = true;
        if (rc < 0)
            return reading->more ? 0 : rc;
        rc = take_entry(reading, &entry);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory to read a partition");
    }
    return 0;
}

int ms_store_partition_state(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                             struct ms_partition_state *ret_state) {
    if (atomic_load(&topic->deleted) || partition >= ms_topics_settings(store, topic).partitions)
        return MS_ENOTFOUND;
    struct ms_partition *p = ms_topic_partition(topic, partition);
    /* What is open may begin before the start that a trim has set. */
    int64_t stable = ms_partition_stable(p), start = ms_partition_start(p);
    *ret_state = (struct ms_partition_state){
        .start_offset = start,
        .end_offset = atomic_load_explicit(&p->end_offset, memory_order_acquire),
        .stable_offset = stable > start ? stable : start,
    };
    return 0;
}

static int partition_state(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                           struct ms_partition_state *ret_state, struct ms_error *err) {
    int rc = ms_store_partition_state(store, topic, partition, ret_state);
    return rc == 0 ? 0
                   : ms_error_set(err, rc, "there is no partition %u of topic '%s'",
                                  (unsigned)partition, topic->name);
}

int ms_store_read_partition(struct ms_partition_reader *reader,
                            const struct ms_partition_read *read, struct ms_slice_list *slices,
                            struct ms_partition_read_result *ret_result, struct ms_error *err) {
    struct ms_partition_read_result result = {0};
    int rc = partition_state(reader->store, read->topic, read->partition, &result.state, err);
    if (rc != 0)
        return rc;
    struct partition_reading reading = {
        .reader = reader,
        .read = read,
        .slices = slices,
        .next = read->offset,
        .end = read->stable ? result.state.stable_offset : result.state.end_offset,
    };
    size_t before = slices->count;
    reader->cursor.in_memory = read->in_memory;
    if (read->offset >= result.state.start_offset)
        rc = read_batches(&reading, err);
    while (rc != 0 && slices->count > before)
        ms_slice_unref(&slices->items[--slices->count]);
    result.next_offset = reading.next;
    result.bytes = reading.bytes;
    result.more = reading.more;
    if (rc == 0)
        *ret_result = result;
    return ms_error_settle(err, rc, "partition");
}

int ms_partition_walk(struct ms_partition_reader *reader, struct ms_topic *topic,
                      uint32_t partition, int64_t offset, ms_partition_visit_fn *visit,
                      void *context, struct ms_error *err) {
    struct ms_partition_read read = {.topic = topic, .partition = partition};
    struct ms_partition *p = ms_topic_partition(topic, partition);
    struct partition_reading reading = {
        .reader = reader,
        .read = &read,
        .next = offset,
        .end = atomic_load_explicit(&p->end_offset, memory_order_acquire),
    };
    struct ms_log_entry entry;
    int rc = 0;
    reader->cursor.in_memory = false;
    while (rc == 0 && reading.next < reading.end && (rc = find_entry(&reading, &entry, err)) > 0) {
        rc = visit(context, &entry, err);
        reading.next = entry.first_offset + entry.record_count;
        reading.follow = true;
    }
    return rc;
}

/* ---- by position ---- */

int ms_store_offset_at_position(struct ms_partition_reader *reader, struct ms_topic *topic,
                                uint32_t partition, uint64_t position, int64_t *ret_offset,
                                struct ms_error *err) {
    struct ms_partition_state state;
    struct ms_index_offset_place place;
    struct ms_store *store = reader->store;
    int rc = partition_state(store, topic, partition, &state, err);
    if (rc != 0)
        return rc;
    struct ms_partition_read read = {.topic = topic, .partition = partition};
    struct partition_reading reading = {.reader = reader, .read = &read, .end = state.end_offset};
    rc = first_behind(&reading, position, err);
    if (rc == 0)
        rc = ms_index_offset_find(store->index, topic->number, (uint16_t)partition, reading.next,
                                  false, &place, err);
    if (rc != 0 && rc != MS_ENOTFOUND)
        return ms_error_settle(err, rc, "partition");
    int64_t offset = state.end_offset;
    if (rc == 0 && place.first_offset < offset) {
        offset = place.first_offset;
        if (position > place.position)
            offset += (int64_t)(position - place.position);
    }
    *ret_offset = offset > state.start_offset ? offset : state.start_offset;
    return 0;
}

int ms_store_commit_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                         uint32_t partition, int64_t offset, int64_t *ret_time_ms,
                         struct ms_error *err) {
    struct ms_partition_state state;
    int rc = partition_state(reader->store, topic, partition, &state, err);
    if (rc != 0)
        return rc;
    struct ms_partition_read read = {.topic = topic, .partition = partition};
    struct partition_reading reading = {
        .reader = reader,
        .read = &read,
        .next = offset > state.start_offset ? offset : state.start_offset,
        .end = state.end_offset,
    };
    struct ms_log_entry entry;
    reader->cursor.in_memory = false;
    rc = find_entry(&reading, &entry, err);
    if (rc < 0)
        return ms_error_settle(err, rc, "partition");
    *ret_time_ms = rc > 0 ? entry.commit_time_ms : -1;
    return 0;
}

/* ---- in batches ---- */

/* 1: the batch has such a record, not before the partition's start. */
static int look_into(const struct partition_reading *reading, const struct ms_log_entry *entry,
                     int64_t time_ms, int64_t *ret_offset, int64_t *ret_timestamp_ms,
                     struct ms_error *err) {
    struct ms_batch_reader *batch = &reading->reader->batch;
    struct ms_record record;
    if ((int64_t)ms_get_be64(entry->batch.data + BATCH_AT_MAX_TIMESTAMP) < time_ms)
        return 0;
    int rc = ms_batch_reader_init(batch, entry->batch, DECOMPRESSED_MAX, err);
    while (rc == 0 && (rc = ms_batch_reader_next(batch, &record, err)) > 0) {
        if (record.timestamp_ms >= time_ms && record.offset >= reading->start) {
            *ret_offset = record.offset;
            *ret_timestamp_ms = record.timestamp_ms;
            return 1;
        }
        rc = 0;
    }
    return rc;
}

int ms_store_offset_at_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                            uint32_t partition, int64_t time_ms, int64_t *ret_offset,
                            int64_t *ret_timestamp_ms, struct ms_error *err) {
    struct ms_partition_state state;
    struct ms_store *store = reader->store;
    int rc = partition_state(store, topic, partition, &state, err);
    if (rc != 0)
        return rc;
    struct ms_partition_read read = {.topic = topic, .partition = partition};
    struct partition_reading reading = {
        .reader = reader,
        .read = &read,
        .start = state.start_offset,
        .next = state.start_offset,
        .end = state.end_offset,
    };
    /* A record's timestamp is at most lead_ms behind the time it was committed at. */
    int64_t lead_ms = atomic_load(&ms_topic_partition(topic, partition)->lead_ms), since;
    uint64_t floor = 0;
    *ret_offset = *ret_timestamp_ms = -1;
    if (state.end_offset == 0)
        return 0;
    if (!__builtin_sub_overflow(time_ms, lead_ms, &since) && since > 0)
        rc = ms_index_time_floor(store->index, since - 1, &floor, err);
    if (rc == 0)
        rc = first_behind(&reading, floor, err);
    reader->cursor.in_memory = false;
    struct ms_log_entry entry;
    while (rc == 0 && reading.next < reading.end && (rc = find_entry(&reading, &entry, err)) > 0) {
        rc = look_into(&reading, &entry, time_ms, ret_offset, ret_timestamp_ms, err);
        reading.next = entry.first_offset + entry.record_count;
        reading.follow = true;
    }
    return ms_error_settle(err, rc > 0 ? 0 : rc, "partition");
}

/* 1 and the entry that ends at reading->next or, where that was scavenged, the one before; 0 at the
 * start. */
static int entry_before(struct partition_reading *reading, struct ms_log_entry *ret_entry,
                        struct ms_error *err) {
    const struct ms_partition_read *read = reading->read;
    struct ms_log_cursor *cursor = &reading->reader->cursor;
    while (reading->next > reading->start) {
        struct ms_index_offset_place place;
        int rc =
            ms_index_offset_find(reading->reader->store->index, read->topic->number,
                                 (uint16_t)read->partition, reading->next - 1, false, &place, err);
        if (rc == MS_ENOTFOUND || (rc == 0 && place.first_offset >= reading->next)) {
            reading->next--; /* a gap */
            continue;
        }
        if (rc != 0)
            return rc;
        reading->next = place.first_offset;
        ms_log_cursor_seek(cursor, place.position);
        rc = ms_log_cursor_next(cursor, ret_entry, err);
        if (rc < 0 || (rc > 0 && is_wanted(read, ret_entry, place.first_offset - 1) &&
                       ret_entry->first_offset == place.first_offset))
            return rc;
    }
    return 0;
}

int ms_store_newest_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                         uint32_t partition, int64_t *ret_offset, int64_t *ret_timestamp_ms,
                         struct ms_error *err) {
    struct ms_partition_state state;
    int rc = partition_state(reader->store, topic, partition, &state, err);
    if (rc != 0)
        return rc;
    struct ms_partition_read read = {.topic = topic, .partition = partition};
    struct partition_reading reading = {
        .reader = reader,
        .read = &read,
        .start = state.start_offset,
        .next = state.end_offset,
    };
    int64_t lead_ms = atomic_load(&ms_topic_partition(topic, partition)->lead_ms), newest = -1;
    struct ms_log_entry entry;
    *ret_offset = *ret_timestamp_ms = -1;
    reader->cursor.in_memory = false;
    /* From the end: what was committed long enough before the best so far can't be newer. */
    while (rc == 0 && (rc = entry_before(&reading, &entry, err)) > 0) {
        int64_t batch_ms = (int64_t)ms_get_be64(entry.batch.data + BATCH_AT_MAX_TIMESTAMP), bound;
        if (!__builtin_add_overflow(entry.commit_time_ms, lead_ms, &bound) && bound < newest)
            break;
        rc = 0;
        if (records_in(&entry) > 0 && batch_ms >= newest) {
            newest = batch_ms;
            rc = look_into(&reading, &entry, newest, ret_offset, ret_timestamp_ms, err);
            rc = rc > 0 ? 0 : rc;
        }
    }
    return ms_error_settle(err, rc > 0 ? 0 : rc, "partition");
}

/* ---- waiting ---- */

void ms_store_wait_partition(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                             struct ms_waiter *waiter) {
    waiter->stream = ms_partition_waiter_id(topic->number, (uint16_t)partition);
    ms_waiter_arm(&store->waiters, waiter);
}

void ms_store_stop_waiting(struct ms_store *store, struct ms_waiter *waiter) {
    ms_waiter_disarm(&store->waiters, waiter);
}
