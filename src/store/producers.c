/*
 * What a partition remembers of its producers, so that a batch that is sent again is not appended
 * again, and one that was lost on the way is noticed: of each producer the epoch and the last five
 * batches, as many as a client has under way. Producers idle for a day are forgotten.
 *
 * Specification: KIP-98. Under the log's lock.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define CAPACITY_MIN 4u
#define SEQUENCES ((int64_t)INT32_MAX + 1)

/* ---- the table ---- */

static uint32_t slot_of(const struct ms_producer_table *table, int64_t id) {
    uint32_t mask = table->capacity - 1;
    uint32_t at = (uint32_t)(((uint64_t)id * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (table->slots[at].id != -1 && table->slots[at].id != id)
        at = (at + 1) & mask;
    return at;
}

struct ms_producer *ms_producer_find(const struct ms_producer_table *table, int64_t id) {
    if (table->capacity == 0)
        return NULL;
    struct ms_producer *found = &table->slots[slot_of(table, id)];
    return found->id == id ? found : NULL;
}

static bool is_idle(const struct ms_producer *producer, int64_t now_ms) {
    return producer->txn_first_offset < 0 &&
           producer->last_timestamp_ms < now_ms - MS_PRODUCER_IDLE_MS;
}

/* Into a table that is large enough for those that are not idle, and one more. */
static int rehash(struct ms_producer_table *table, int64_t now_ms) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < table->capacity; i++)
        live += table->slots[i].id != -1 && !is_idle(&table->slots[i], now_ms);
    struct ms_producer_table bigger = {.capacity = CAPACITY_MIN};
    while ((live + 1) * 2 > bigger.capacity)
        bigger.capacity *= 2;
    bigger.slots = ms_calloc(bigger.capacity, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return MS_ENOMEM;
    for (uint32_t i = 0; i < bigger.capacity; i++)
        bigger.slots[i].id = -1;
    for (uint32_t i = 0; i < table->capacity; i++) {
        const struct ms_producer *producer = &table->slots[i];
        if (producer->id == -1 || is_idle(producer, now_ms))
            continue;
        bigger.slots[slot_of(&bigger, producer->id)] = *producer;
        bigger.count++;
    }
    ms_free(table->slots);
    *table = bigger;
    return 0;
}

int ms_producer_get(struct ms_producer_table *table, int64_t id, int64_t now_ms,
                    struct ms_producer **ret_producer) {
    struct ms_producer *found = ms_producer_find(table, id);
    if (found == NULL) {
        if ((table->count + 1) * 4 > table->capacity * 3 && rehash(table, now_ms) != 0)
            return MS_ENOMEM;
        found = &table->slots[slot_of(table, id)];
        *found = (struct ms_producer){
            .id = id, .last_timestamp_ms = now_ms, .txn_first_offset = -1, .epoch = -1};
        table->count++;
    }
    *ret_producer = found;
    return 0;
}

int ms_producers_forget_idle(struct ms_producer_table *table, int64_t now_ms) {
    bool any = false;
    for (uint32_t i = 0; i < table->capacity; i++)
        any = any || (table->slots[i].id != -1 && is_idle(&table->slots[i], now_ms));
    return any ? rehash(table, now_ms) : 0;
}

void ms_producers_deinit(struct ms_producer_table *table) {
    ms_free(table->slots);
    *table = (struct ms_producer_table){0};
}

/* ---- sequences ---- */

static int32_t sequence_after(int32_t sequence, int64_t count) {
    return (int32_t)(((int64_t)sequence + count) % SEQUENCES);
}

static int32_t last_sequence(const struct ms_batch_header *header) {
    return sequence_after(header->base_sequence, header->last_offset_delta);
}

enum ms_sequence_verdict ms_producer_judge(const struct ms_producer *producer,
                                           const struct ms_batch_header *header,
                                           int64_t *ret_offset) {
    if (producer == NULL || producer->epoch < 0)
        return MS_SEQUENCE_NEXT; /* never seen, or forgotten: any sequence will do */
    if (header->producer_epoch < producer->epoch)
        return MS_SEQUENCE_FENCED;
    if (header->producer_epoch > producer->epoch)
        return header->base_sequence == 0 ? MS_SEQUENCE_NEXT : MS_SEQUENCE_GAP;
    for (uint8_t i = 0; i < producer->batch_count; i++) {
        const struct ms_producer_batch *batch = &producer->batches[i];
        if (batch->first_sequence == header->base_sequence &&
            batch->last_sequence == last_sequence(header)) {
            *ret_offset = batch->first_offset;
            return MS_SEQUENCE_REPEAT;
        }
    }
    if (producer->batch_count == 0)
        return MS_SEQUENCE_NEXT; /* only markers so far */
    int32_t last = producer->batches[producer->batch_count - 1].last_sequence;
    return header->base_sequence == sequence_after(last, 1) ? MS_SEQUENCE_NEXT : MS_SEQUENCE_GAP;
}

void ms_producer_note(struct ms_producer *producer, const struct ms_batch_header *header,
                      int64_t first_offset, int64_t now_ms, bool goes_on) {
    bool control = (header->attributes & MS_BATCH_CONTROL) != 0;
    producer->last_timestamp_ms = now_ms;
    if (header->producer_epoch != producer->epoch) {
        producer->epoch = header->producer_epoch;
        producer->batch_count = 0;
    }
    if (control || header->base_sequence < 0)
        return;
    if (goes_on && producer->batch_count > 0) {
        producer->batches[producer->batch_count - 1].last_sequence = last_sequence(header);
        return;
    }
    if (producer->batch_count == MS_PRODUCER_BATCHES) {
        memmove(producer->batches, producer->batches + 1,
                (MS_PRODUCER_BATCHES - 1) * sizeof *producer->batches);
        producer->batch_count--;
    }
    producer->batches[producer->batch_count++] =
        (struct ms_producer_batch){header->base_sequence, last_sequence(header), first_offset};
}

bool ms_producer_remembers(const struct ms_producer *producer, int64_t offset) {
    for (uint8_t i = 0; i < producer->batch_count; i++) {
        const struct ms_producer_batch *batch = &producer->batches[i];
        int64_t count =
            ((int64_t)batch->last_sequence - batch->first_sequence + SEQUENCES) % SEQUENCES + 1;
        if (offset >= batch->first_offset && offset < batch->first_offset + count)
            return true;
    }
    return false;
}

/* ---- facts ---- */

/*   0  2  epoch            2  1  number of batches      3  8  last timestamp, ms
 *  11  8  first offset of the open transaction, -1 none
 *  19 16  a batch: first sequence (4), last sequence (4), first offset (8); and so on */
#define VALUE_HEAD 19u
#define VALUE_BATCH 16u
_Static_assert(VALUE_HEAD + MS_PRODUCER_BATCHES * VALUE_BATCH <= MS_PRODUCER_VALUE_MAX, "room");

void ms_producer_name(uint32_t topic, uint32_t partition, int64_t id,
                      uint8_t out[MS_PRODUCER_NAME_LEN]) {
    memcpy(out, "p/", 2);
    ms_put_be32(out + 2, topic);
    ms_put_be16(out + 6, (uint16_t)partition);
    ms_put_be64(out + 8, (uint64_t)id);
}

size_t ms_producer_write(const struct ms_producer *producer, uint8_t out[MS_PRODUCER_VALUE_MAX]) {
    ms_put_be16(out, (uint16_t)producer->epoch);
    out[2] = producer->batch_count;
    ms_put_be64(out + 3, (uint64_t)producer->last_timestamp_ms);
    ms_put_be64(out + 11, (uint64_t)producer->txn_first_offset);
    uint8_t *at = out + VALUE_HEAD;
    for (uint8_t i = 0; i < producer->batch_count; i++, at += VALUE_BATCH) {
        ms_put_be32(at, (uint32_t)producer->batches[i].first_sequence);
        ms_put_be32(at + 4, (uint32_t)producer->batches[i].last_sequence);
        ms_put_be64(at + 8, (uint64_t)producer->batches[i].first_offset);
    }
    return (size_t)(at - out);
}

int ms_producer_read(struct ms_bytes value, struct ms_producer *ret_producer) {
    if (value.len < VALUE_HEAD || value.data[2] > MS_PRODUCER_BATCHES ||
        value.len != VALUE_HEAD + value.data[2] * VALUE_BATCH)
        return MS_ECORRUPT;
    struct ms_producer producer = {
        .epoch = (int16_t)ms_get_be16(value.data),
        .batch_count = value.data[2],
        .last_timestamp_ms = (int64_t)ms_get_be64(value.data + 3),
        .txn_first_offset = (int64_t)ms_get_be64(value.data + 11),
    };
    const uint8_t *at = value.data + VALUE_HEAD;
    for (uint8_t i = 0; i < producer.batch_count; i++, at += VALUE_BATCH)
        producer.batches[i] = (struct ms_producer_batch){
            (int32_t)ms_get_be32(at), (int32_t)ms_get_be32(at + 4), (int64_t)ms_get_be64(at + 8)};
    *ret_producer = producer;
    return 0;
}
