/* Transactions in topics of tests, and what their readers see. Include it behind cmocka. */
#pragma once

#include "store/transactions.h"
#include "topic_records.h"

struct txn_producer {
    int64_t id;
    int16_t epoch;
    int32_t sequence[4]; /* the next one, by partition */
};

static inline void txn_open(struct store_world *w, const struct txn_producer *p, const char *topic,
                            uint32_t partition) {
    assert_int_equal(ms_store_txn_set_epoch(w->store, p->id, p->epoch), 0);
    assert_int_equal(
        ms_store_txn_add(w->store, p->id, p->epoch, topic_named(w, topic), partition, &w->error),
        0);
}

/* One record of the producer's transaction; a NULL value is a tombstone. Returns its offset. */
static inline int64_t txn_put(struct store_world *w, struct txn_producer *p, const char *topic,
                              uint32_t partition, const char *key, const char *value) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    struct ms_bytes k = ms_bytes_cstr(key), v = ms_bytes_cstr(value != NULL ? value : "");
    ms_buf_init(&batch, 1 << 20);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, now_of(w)), 0);
    writer.producer_id = p->id;
    writer.producer_epoch = p->epoch;
    writer.base_sequence = p->sequence[partition]++;
    writer.attributes |= MS_BATCH_TRANSACTIONAL;
    assert_int_equal(ms_batch_add(&writer, now_of(w), &k, value != NULL ? &v : NULL, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    int64_t offset = produce_batch(w, topic, partition, ms_buf_bytes(&batch));
    ms_buf_deinit(&batch);
    return offset;
}

static inline void txn_end(struct store_world *w, const struct txn_producer *p, bool commit) {
    struct ms_txn_end end = {.producer_id = p->id, .epoch = p->epoch, .commit = commit};
    struct produced_outcome outcome = {0};
    assert_int_equal(ms_store_txn_end(w->store, &end, on_produced, &outcome, &w->error), 0);
    if (!w->real)
        ms_store_run(w->store);
    while (!atomic_load(&outcome.done))
        ms_clock_sleep_us(ms_clock_system(), 50);
    assert_int_equal(outcome.code, 0);
}

/* ---- what is stored ---- */

struct stored_entries {
    int pending, commits, markers, others; /* of the topic */
};

static inline struct stored_entries entries_of(struct store_world *w, uint32_t topic_number) {
    struct stored_entries stored = {0};
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    ms_log_cursor_init(&cursor, w->store->log, 0);
    while (ms_log_cursor_next(&cursor, &entry, NULL) > 0) {
        unsigned flags = entry.header.flags;
        if (entry.header.topic != topic_number)
            continue;
        stored.pending += (flags & MS_ENTRY_PENDING) != 0;
        stored.commits += (flags & MS_ENTRY_COMMIT) != 0;
        stored.markers += (flags & MS_ENTRY_CONTROL) != 0;
        stored.others += (flags & (MS_ENTRY_PENDING | MS_ENTRY_COMMIT | MS_ENTRY_CONTROL)) == 0;
    }
    ms_log_cursor_deinit(&cursor);
    return stored;
}

/* ---- reading as Kafka's clients do ---- */

#define COMMITTED_PRODUCERS 64

/* The consumer's own bookkeeping of aborted transactions, over one fetch. */
struct committed_reading {
    struct ms_txn_aborted *aborted;
    size_t aborted_count, aborted_at;
    int64_t skipping[COMMITTED_PRODUCERS];
    size_t skipping_count;
};

static inline bool is_skipped(struct committed_reading *r, int64_t producer_id, bool over) {
    for (size_t i = 0; i < r->skipping_count; i++)
        if (r->skipping[i] == producer_id) {
            if (over)
                r->skipping[i] = r->skipping[--r->skipping_count];
            return true;
        }
    return false;
}

static inline void take_committed_batch(struct committed_reading *r, struct ms_batch_reader *batch,
                                        int64_t offset, take_record_fn *take, void *context) {
    const struct ms_batch_header *header = &batch->header;
    int64_t last = header->base_offset + header->last_offset_delta;
    struct ms_record record;
    for (; r->aborted_at < r->aborted_count && r->aborted[r->aborted_at].first_offset <= last;
         r->aborted_at++) {
        assert_true(r->skipping_count < COMMITTED_PRODUCERS);
        if (!is_skipped(r, r->aborted[r->aborted_at].producer_id, false))
            r->skipping[r->skipping_count++] = r->aborted[r->aborted_at].producer_id;
    }
    if (header->attributes & MS_BATCH_CONTROL) {
        assert_int_equal(ms_batch_reader_next(batch, &record, NULL), 1);
        if (record.key.data[3] == 0) /* it aborts */
            is_skipped(r, header->producer_id, true);
        return;
    }
    if ((header->attributes & MS_BATCH_TRANSACTIONAL) && is_skipped(r, header->producer_id, false))
        return;
    while (ms_batch_reader_next(batch, &record, NULL) > 0)
        if (record.offset >= offset)
            take(context, &record);
}

/* All records of a partition from `offset` on, in fetches of about that many bytes. */
static inline void read_committed(struct store_world *w, const char *topic, uint32_t partition,
                                  int64_t offset, size_t bytes_max, take_record_fn *take,
                                  void *context) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read_result result = {.more = true};
    struct ms_batch_reader batch = {0};
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 24);
    assert_int_equal(ms_partition_reader_new(w->store, &reader), 0);
    for (int64_t next = offset; result.more; next = result.next_offset) {
        struct ms_partition_read read = {.topic = topic_named(w, topic),
                                         .partition = partition,
                                         .offset = next,
                                         .bytes_max = bytes_max,
                                         .oversized = true,
                                         .stable = true};
        struct committed_reading r = {0};
        assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, &w->error), 0);
        assert_int_equal(ms_store_aborted(w->store, read.topic, partition, next, result.next_offset,
                                          &arena, &r.aborted, &r.aborted_count),
                         0);
        for (size_t i = 0; i < slices.count; i++) {
            struct ms_bytes left = slices.items[i].bytes;
            while (left.len > 0) {
                assert_int_equal(ms_batch_reader_init(&batch, left, 1 << 24, NULL), 0);
                take_committed_batch(&r, &batch, offset, take, context);
                left = ms_bytes_of(left.data + batch.header.length, left.len - batch.header.length);
            }
        }
        ms_slice_list_clear(&slices);
        ms_arena_reset(&arena);
    }
    ms_slice_list_deinit(&slices);
    ms_batch_reader_deinit(&batch);
    ms_partition_reader_free(reader);
    ms_arena_deinit(&arena);
}

static inline const char *committed_of(struct store_world *w, const char *topic,
                                       uint32_t partition) {
    static char text[2048];
    text[0] = 0;
    read_committed(w, topic, partition, 0, 1 << 20, add_record_text, text);
    return text;
}
