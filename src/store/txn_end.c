/*
 * Ending a transaction: one append of all that follows from it.
 *
 *   take: places and pending batches leave the transaction -> op -> sequenced -> durable -> done
 *           '-- give back <-- what could not be sequenced
 *
 * While an end is being made, batches of the producer are refused (MS_EAGAIN): in the log nothing
 * of a transaction comes behind its markers.
 *
 * Entries of an end, all in one block: commits, in the order of the batches; markers; records.
 */
#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define OP_OVERHEAD_BYTES 512u
#define MARKER_VERSION 0
enum { MARKER_ABORT = 0, MARKER_COMMIT = 1 };

/* What an end has taken from the transaction. */
struct ending {
    struct ms_store *store;
    const struct ms_txn_end *end;
    struct ms_txn_place *places, *written, *unwritten; /* all; then, once handed over, apart */
    struct ms_txn_pending *pending, **pending_end;
    size_t place_count, pending_count;
};

static void take(struct ending *e) {
    struct ms_store *store = e->store;
    ms_log_lock(store->log);
    struct ms_txn *txn = ms_txn_find(&store->txns, e->end->producer_id);
    if (txn != NULL) {
        txn->ending = true;
        e->places = txn->places;
        e->pending = txn->pending;
        e->pending_end = txn->pending != NULL ? txn->pending_end : &e->pending;
        e->pending_count = txn->pending_count;
        txn->places = NULL;
        txn->pending = NULL;
        txn->pending_end = &txn->pending;
        txn->pending_count = 0;
    }
    for (const struct ms_txn_place *place = e->places; place != NULL; place = place->next) {
        e->place_count += place->first_offset >= 0;
        place->topic->ending += place->first_offset >= 0;
    }
    ms_log_unlock(store->log);
}

static struct ms_txn_place *join(struct ms_txn_place *first, struct ms_txn_place *rest) {
    struct ms_txn_place **end = &first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = rest;
    return first;
}

static void give_back(struct ending *e) {
    struct ms_store *store = e->store;
    e->places = join(e->places, join(e->written, e->unwritten));
    ms_log_lock(store->log);
    for (const struct ms_txn_place *place = e->places; place != NULL; place = place->next)
        place->topic->ending -= place->first_offset >= 0;
    struct ms_txn *txn = ms_txn_find(&store->txns, e->end->producer_id);
    if (txn != NULL) {
        txn->ending = false;
        txn->places = e->places;
        txn->pending = e->pending;
        txn->pending_end = e->pending != NULL ? e->pending_end : &txn->pending;
        txn->pending_count = (uint32_t)e->pending_count;
    }
    ms_log_unlock(store->log);
}

static struct ms_op_part *next_part(struct ms_op *op) {
    struct ms_op_part *part = &op->parts[op->part_count++];
    *part = (struct ms_op_part){.first_version = -1, .version = -1};
    part->batch_at = op->batches.len;
    return part;
}

/* An empty batch that spans what the pending one does. */
static int add_commit(struct ms_op *op, const struct ms_txn_pending *pending) {
    struct ms_op_part *part = next_part(op);
    uint8_t *batch;
    int rc = ms_buf_extend(&op->batches, MS_BATCH_HEADER_LEN, &batch);
    if (rc != 0)
        return rc;
    memset(batch, 0, MS_BATCH_HEADER_LEN);
    ms_put_be32(batch + 8, MS_BATCH_HEADER_LEN - 12);
    batch[16] = 2;
    ms_put_be16(batch + 21, MS_BATCH_TRANSACTIONAL);
    ms_put_be32(batch + 23, pending->count - 1);
    ms_put_be64(batch + 27, (uint64_t)pending->newest_ms);
    ms_put_be64(batch + 35, (uint64_t)pending->newest_ms);
    ms_put_be64(batch + 43, (uint64_t)op->header.producer_id);
    ms_put_be16(batch + 51, (uint16_t)op->header.producer_epoch);
    ms_put_be32(batch + 53, UINT32_MAX);
    ms_put_be32(batch + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, batch + MS_BATCH_CRC_START, MS_BATCH_HEADER_LEN - MS_BATCH_CRC_START));
    part->kind = MS_PART_COMMIT;
    part->ref.topic = pending->topic;
    part->ref.id = part->cold.id = pending->stream;
    part->of_stream = pending->of_stream;
    part->partition = (uint16_t)pending->partition;
    part->count = pending->count;
    part->first_offset = pending->first_offset;
    part->terms = pending->terms; /* until the op is over */
    part->term_count = pending->term_count;
    part->batch_len = MS_BATCH_HEADER_LEN;
    return 0;
}

static int add_marker(struct ms_op *op, const struct ms_txn_end *end,
                      const struct ms_txn_place *place, int64_t now_ms) {
    struct ms_op_part *part = next_part(op);
    struct ms_batch_writer writer;
    uint8_t key[4], value[6];
    ms_put_be16(key, MARKER_VERSION);
    ms_put_be16(key + 2, end->commit ? MARKER_COMMIT : MARKER_ABORT);
    ms_put_be16(value, MARKER_VERSION);
    ms_put_be32(value + 2, (uint32_t)end->coordinator_epoch);
    struct ms_bytes key_bytes = ms_bytes_of(key, sizeof key);
    struct ms_bytes value_bytes = ms_bytes_of(value, sizeof value);
    int rc = ms_batch_begin(&writer, &op->batches, MS_CODEC_NONE, now_ms);
    writer.attributes |= MS_BATCH_TRANSACTIONAL | MS_BATCH_CONTROL;
    writer.producer_id = end->producer_id;
    writer.producer_epoch = end->epoch;
    if (rc == 0)
        rc = ms_batch_add(&writer, now_ms, &key_bytes, &value_bytes, NULL, 0);
    if (rc == 0)
        rc = ms_batch_end(&writer);
    part->kind = MS_PART_MARKER;
    part->ref.topic = place->topic;
    part->partition = (uint16_t)place->partition;
    part->count = 1;
    part->batch_len = op->batches.len - part->batch_at;
    part->place = (struct ms_txn_place *)(uintptr_t)place;
    part->producer = ms_arena_zalloc(&op->arena, sizeof *part->producer);
    if (rc == 0 && !end->commit) {
        part->aborted = ms_calloc(1, sizeof *part->aborted);
        if (part->aborted != NULL) {
            part->aborted->producer_id = end->producer_id;
            part->aborted->first_offset = place->first_offset;
        }
    }
    if (part->producer != NULL)
        part->producer->id = -1; /* until it is sequenced */
    bool whole = part->producer != NULL && (end->commit || part->aborted != NULL);
    return rc == 0 && !whole ? MS_ENOMEM : rc;
}

static int fill(struct ms_op *op, const struct ending *e) {
    const struct ms_txn_end *end = e->end;
    int64_t now_ms = ms_clock_now_us(e->store->env->clock) / 1000;
    size_t parts = (end->commit ? e->pending_count : 0) + e->place_count + end->set_count;
    op->parts = ms_arena_zalloc(&op->arena, (parts + 1) * sizeof *op->parts);
    op->results = ms_arena_zalloc(&op->arena, (parts + 1) * sizeof *op->results);
    int rc = op->parts != NULL && op->results != NULL ? 0 : MS_ENOMEM;
    for (const struct ms_txn_pending *p = e->pending; rc == 0 && end->commit && p != NULL;
         p = p->next)
        rc = add_commit(op, p);
    for (const struct ms_txn_place *place = e->places; rc == 0 && place != NULL;
         place = place->next)
        if (place->first_offset >= 0)
            rc = add_marker(op, end, place, now_ms);
    return rc == 0 ? ms_records_add(op, end->sets, end->set_count) : rc;
}

static int make_op(struct ending *e, struct ms_op **ret_op, struct ms_error *err) {
    struct ms_store *store = e->store;
    struct ms_op *op = ms_op_take(&store->op_pool, store->options.limits.append_bytes_max);
    if (op == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to end a transaction");
    op->store = store;
    op->produce = op->ends = op->by_producer = op->wait = op->exempt = true;
    op->header.producer_id = e->end->producer_id;
    op->header.producer_epoch = e->end->epoch;
    int rc = fill(op, e);
    if (rc != 0) {
        ms_op_free(op);
        return ms_error_set(err, rc, "a transaction can't be ended: %s", ms_error_text(rc));
    }
    op->budget = op->batches.len + OP_OVERHEAD_BYTES;
    *ret_op = op;
    return 0;
}

/* Nothing was written and nothing is to be: done at once. */
static int end_of_nothing(struct ending *e, ms_append_done_fn *done, void *context) {
    struct ms_append_result result = {.log_append_time_ms = -1};
    ms_log_lock(e->store->log);
    struct ms_txn *txn = ms_txn_find(&e->store->txns, e->end->producer_id);
    if (txn != NULL) {
        txn->ending = false;
        txn->epoch = e->end->epoch;
    }
    ms_log_unlock(e->store->log);
    ms_txn_places_free(e->places);
    done(context, &result);
    return 0;
}

/* The op frees them when it is over: the batches, and the places that nothing was written to. */
static void hand_over(struct ending *e, struct ms_op *op) {
    struct ms_txn_place *next;
    for (struct ms_txn_place *place = e->places; place != NULL; place = next) {
        next = place->next;
        struct ms_txn_place **list = place->first_offset >= 0 ? &e->written : &e->unwritten;
        place->next = *list;
        *list = place;
    }
    e->places = NULL;
    op->ended_pending = e->pending;
    op->unwritten_places = e->unwritten;
}

int ms_store_txn_end(struct ms_store *store, const struct ms_txn_end *end, ms_append_done_fn *done,
                     void *context, struct ms_error *err) {
    struct ending e = {.store = store, .end = end};
    struct ms_op *op = NULL;
    bool stale;
    if (store->options.read_only)
        return ms_error_set(err, MS_ECLOSED, "the store is open for reading only");
    take(&e);
    if (e.place_count == 0 && end->set_count == 0)
        return end_of_nothing(&e, done, context);
    int rc = make_op(&e, &op, err);
    if (rc == 0) {
        hand_over(&e, op);
        rc = ms_op_start(op, done, context, true, &stale, err);
    }
    if (rc != 0)
        give_back(&e);
    return ms_error_settle(err, rc, "transaction");
}
