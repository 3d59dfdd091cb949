/*
 * Open transactions: which producer may write where, what it has written, and the one append that
 * ends it.
 *
 *   ms_store_txn_set_epoch -> ms_txn      ms_store_txn_add -> its places
 *   ms_store_produce -> judged (ms_txn_judge), put, noted (ms_txn_sequenced) -> its pending batches
 *   ms_store_txn_end: takes places and pending from the transaction -> op -> sequenced -> durable
 *
 * While an end is being made, batches of the producer are refused (MS_EAGAIN): in the log nothing of
 * a transaction comes behind its markers. An end that fails gives back what it took.
 *
 * Entries of an end, all in one block: commits, in the order of the batches; markers; records.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define SLOTS_MIN 16u
#define OP_OVERHEAD_BYTES 512u
#define MARKER_VERSION 0
enum { MARKER_ABORT = 0, MARKER_COMMIT = 1 };

/* ---- the table ---- */

static size_t slot_of(const struct ms_txns *txns, int64_t producer_id) {
    size_t mask = txns->capacity - 1;
    size_t at = (size_t)(((uint64_t)producer_id * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (txns->slots[at] != NULL && txns->slots[at]->producer_id != producer_id)
        at = (at + 1) & mask;
    return at;
}

struct ms_txn *ms_txn_find(const struct ms_txns *txns, int64_t producer_id) {
    return txns->capacity == 0 ? NULL : txns->slots[slot_of(txns, producer_id)];
}

static int rehash(struct ms_txns *txns, size_t capacity) {
    struct ms_txns bigger = {.capacity = capacity, .count = txns->count};
    bigger.slots = ms_calloc(capacity, sizeof(struct ms_txn *));
    if (bigger.slots == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < txns->capacity; i++)
        if (txns->slots[i] != NULL)
            bigger.slots[slot_of(&bigger, txns->slots[i]->producer_id)] = txns->slots[i];
    ms_free(txns->slots);
    *txns = bigger;
    return 0;
}

int ms_txn_get(struct ms_txns *txns, int64_t producer_id, struct ms_txn **ret_txn) {
    struct ms_txn *txn = ms_txn_find(txns, producer_id);
    if (txn == NULL) {
        if ((txns->count + 1) * 2 > txns->capacity &&
            rehash(txns, txns->capacity == 0 ? SLOTS_MIN : txns->capacity * 2) != 0)
            return MS_ENOMEM;
        txn = ms_calloc(1, sizeof *txn);
        if (txn == NULL)
            return MS_ENOMEM;
        txn->producer_id = producer_id;
        txn->epoch = -1;
        txn->pending_end = &txn->pending;
        txns->slots[slot_of(txns, producer_id)] = txn;
        txns->count++;
    }
    *ret_txn = txn;
    return 0;
}

static void free_places(struct ms_txn_place *first) {
    while (first != NULL) {
        struct ms_txn_place *next = first->next;
        ms_free(first);
        first = next;
    }
}

void ms_txn_pending_free(struct ms_txn_pending *first) {
    while (first != NULL) {
        struct ms_txn_pending *next = first->next;
        ms_free(first);
        first = next;
    }
}

static void free_txn(struct ms_txn *txn) {
    free_places(txn->places);
    ms_txn_pending_free(txn->pending);
    ms_free(txn);
}

void ms_txns_deinit(struct ms_store *store) {
    struct ms_txns *txns = &store->txns;
    for (size_t i = 0; i < txns->capacity; i++)
        if (txns->slots[i] != NULL)
            free_txn(txns->slots[i]);
    ms_free(txns->slots);
    *txns = (struct ms_txns){0};
}

/* ---- places and pending batches ---- */

struct ms_txn_place *ms_txn_place_find(const struct ms_txn *txn, const struct ms_topic *topic,
                                       uint32_t partition) {
    struct ms_txn_place *place = txn->places;
    while (place != NULL && (place->topic != topic || place->partition != partition))
        place = place->next;
    return place;
}

struct ms_txn_place *ms_txn_place_new(struct ms_topic *topic, uint32_t partition,
                                      int64_t producer_id) {
    struct ms_txn_place *place = ms_calloc(1, sizeof *place);
    if (place != NULL) {
        place->topic = topic;
        place->partition = partition;
        place->producer_id = producer_id;
        place->first_offset = -1;
    }
    return place;
}

void ms_txn_add_place(struct ms_txn *txn, struct ms_txn_place *place) {
    place->next = txn->places;
    txn->places = place;
}

struct ms_txn_pending *ms_txn_pending_new(const struct ms_op_part *part) {
    size_t terms_bytes = part->term_count * sizeof *part->terms;
    struct ms_txn_pending *pending = ms_calloc(1, sizeof *pending + terms_bytes);
    if (pending == NULL)
        return NULL;
    pending->topic = part->ref.topic;
    pending->partition = part->partition;
    pending->count = part->count;
    pending->of_stream = part->pending_stream;
    pending->stream = part->ref.id;
    pending->term_count = part->term_count;
    memcpy(pending->terms, part->terms, terms_bytes);
    return pending;
}

void ms_txn_add_pending(struct ms_txn *txn, struct ms_txn_pending *pending) {
    pending->next = NULL;
    *txn->pending_end = pending;
    txn->pending_end = &pending->next;
    txn->pending_count++;
}

static int compare_pending(const void *a, const void *b) {
    const struct ms_txn_pending *const *x = a, *const *y = b;
    return (*x)->position < (*y)->position ? -1 : (*x)->position > (*y)->position;
}

int ms_txn_sort_pending(struct ms_txn *txn) {
    struct ms_txn_pending **all = ms_calloc(txn->pending_count + 1, sizeof *all);
    size_t count = 0;
    if (all == NULL)
        return MS_ENOMEM;
    for (struct ms_txn_pending *pending = txn->pending; pending != NULL; pending = pending->next)
        all[count++] = pending;
    qsort(all, count, sizeof *all, compare_pending);
    txn->pending = NULL;
    txn->pending_end = &txn->pending;
    txn->pending_count = 0;
    for (size_t i = 0; i < count; i++)
        ms_txn_add_pending(txn, all[i]);
    ms_free(all);
    return 0;
}

/* ---- a producer's batch ---- */

static bool refuse(struct ms_op *op, int code, const char *why) {
    op->outcome = MS_OP_REFUSED;
    op->result.code =
        ms_error_set(&op->error, code, "producer %lld, epoch %d: %s",
                     (long long)op->header.producer_id, op->header.producer_epoch, why);
    return false;
}

static bool judge_transaction(struct ms_op *op, const struct ms_txn *txn) {
    const struct ms_op_part *part = &op->parts[0];
    if (txn == NULL)
        return refuse(op, MS_ENOTXN, "it has no transactional id");
    op->place = ms_txn_place_find(txn, part->ref.topic, part->partition);
    if (op->place == NULL && !op->begins)
        return refuse(op, MS_ENOTXN, "the partition was not added to its transaction");
    if (txn->pending_count + op->part_count > MS_TXN_PENDING_MAX)
        return refuse(op, MS_ELIMIT, "its transaction has too many batches");
    return true;
}

static bool judge_sequence(struct ms_op *op, struct ms_partition *partition) {
    const struct ms_producer *known =
        ms_producer_find(&partition->producers, op->header.producer_id);
    int64_t offset;
    switch (ms_producer_judge(known, &op->header, &offset)) {
    case MS_SEQUENCE_NEXT:
        return true;
    case MS_SEQUENCE_REPEAT:
        op->outcome = MS_OP_CHECKED;
        op->result.repeated = true;
        op->repeat_offset = offset;
        return false;
    case MS_SEQUENCE_GAP:
        return refuse(op, MS_ESEQUENCE, "its sequence number is not the next one");
    case MS_SEQUENCE_FENCED:
        return refuse(op, MS_EFENCED, "there is a newer epoch");
    }
    return true;
}

bool ms_txn_judge(struct ms_op *op) {
    struct ms_store *store = op->store;
    const struct ms_op_part *part = &op->parts[0];
    if (!op->by_producer)
        return true;
    struct ms_partition *partition = ms_topic_partition(part->ref.topic, part->partition);
    const struct ms_txn *txn = ms_txn_find(&store->txns, op->header.producer_id);
    if (txn != NULL && op->header.producer_epoch != txn->epoch)
        return refuse(op, MS_EFENCED, "it is not the current epoch");
    if (txn != NULL && txn->ending)
        return refuse(op, MS_EAGAIN, "its transaction is being ended");
    if (!judge_sequence(op, partition))
        return false;
    if ((op->header.attributes & MS_BATCH_TRANSACTIONAL) && !judge_transaction(op, txn))
        return false;
    struct ms_producer *producer;
    int64_t now_ms = ms_clock_now_us(store->env->clock) / 1000;
    if (ms_producer_get(&partition->producers, op->header.producer_id, now_ms, &producer) != 0)
        return refuse(op, MS_ENOMEM, "no memory");
    return true;
}

static void note_pending(struct ms_op *op, struct ms_producer *producer) {
    struct ms_txn *txn = ms_txn_find(&op->store->txns, op->header.producer_id);
    struct ms_txn_place *place = op->place;
    if (place == NULL) {
        place = op->place = op->spare_place;
        op->spare_place = NULL;
        ms_txn_add_place(txn, place);
    }
    if (place->first_offset < 0)
        place->first_offset = op->parts[0].first_offset;
    producer->txn_first_offset = place->first_offset;
    for (size_t i = 0; i < op->part_count; i++) {
        struct ms_op_part *part = &op->parts[i];
        part->place = place;
        part->pending->first_offset = part->first_offset;
        part->pending->newest_ms = part->newest_ms;
        part->pending->position = part->position;
        ms_txn_add_pending(txn, part->pending);
        part->pending = NULL;
    }
}

static void note_batch(struct ms_op *op) {
    struct ms_op_part *first = &op->parts[0], *last = &op->parts[op->part_count - 1];
    struct ms_partition *partition = ms_topic_partition(first->ref.topic, first->partition);
    struct ms_producer *producer = ms_producer_find(&partition->producers, op->header.producer_id);
    int64_t now_ms = ms_clock_now_us(op->store->env->clock) / 1000;
    MS_ASSERT(producer != NULL);
    ms_producer_note(producer, &op->header, first->first_offset, now_ms, false);
    if (op->header.attributes & MS_BATCH_TRANSACTIONAL)
        note_pending(op, producer);
    *last->producer = *producer;
}

static void note_marker(struct ms_op *op, struct ms_op_part *part) {
    struct ms_partition *partition = ms_topic_partition(part->ref.topic, part->partition);
    struct ms_producer *producer = ms_producer_find(&partition->producers, op->header.producer_id);
    struct ms_batch_header header = {.attributes = MS_BATCH_CONTROL,
                                     .producer_id = op->header.producer_id,
                                     .producer_epoch = op->header.producer_epoch};
    if (producer == NULL) /* it was forgotten, which one with a transaction is not */
        return;
    ms_producer_note(producer, &header, part->first_offset,
                     ms_clock_now_us(op->store->env->clock) / 1000, false);
    producer->txn_first_offset = -1;
    *part->producer = *producer;
    if (part->aborted != NULL)
        part->aborted->last_offset = part->first_offset;
}

void ms_txn_sequenced(struct ms_op *op) {
    if (!op->by_producer)
        return;
    if (!op->ends) {
        note_batch(op);
        return;
    }
    for (size_t i = 0; i < op->part_count; i++)
        if (op->parts[i].kind == MS_PART_MARKER)
            note_marker(op, &op->parts[i]);
    struct ms_txn *txn = ms_txn_find(&op->store->txns, op->header.producer_id);
    if (txn != NULL) {
        txn->ending = false;
        txn->epoch = op->header.producer_epoch;
    }
}

/* ---- the coordinator's say ---- */

int ms_store_txn_set_epoch(struct ms_store *store, int64_t producer_id, int16_t epoch) {
    struct ms_txn *txn;
    ms_log_lock(store->log);
    int rc = ms_txn_get(&store->txns, producer_id, &txn);
    if (rc == 0)
        txn->epoch = epoch;
    ms_log_unlock(store->log);
    return rc;
}

void ms_store_txn_forget(struct ms_store *store, int64_t producer_id) {
    struct ms_txns *txns = &store->txns;
    ms_log_lock(store->log);
    struct ms_txn *txn = ms_txn_find(txns, producer_id);
    if (txn != NULL && txn->pending == NULL && !txn->ending) {
        size_t mask = txns->capacity - 1, hole = slot_of(txns, producer_id);
        free_txn(txn);
        txns->slots[hole] = NULL;
        txns->count--;
        for (size_t i = (hole + 1) & mask; txns->slots[i] != NULL; i = (i + 1) & mask) {
            struct ms_txn *moved = txns->slots[i];
            txns->slots[i] = NULL;
            txns->slots[slot_of(txns, moved->producer_id)] = moved;
        }
    }
    ms_log_unlock(store->log);
}

int ms_store_txn_add(struct ms_store *store, int64_t producer_id, int16_t epoch,
                     struct ms_topic *topic, uint32_t partition, struct ms_error *err) {
    struct ms_partition_state state;
    if (topic->system || ms_store_partition_state(store, topic, partition, &state) != 0)
        return ms_error_set(err, MS_ENOTFOUND, "there is no partition %u of topic '%s'",
                            (unsigned)partition, topic->name);
    struct ms_txn_place *place = ms_txn_place_new(topic, partition, producer_id);
    if (place == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a transaction");
    ms_log_lock(store->log);
    struct ms_txn *txn = ms_txn_find(&store->txns, producer_id);
    bool current = txn != NULL && txn->epoch == epoch && !txn->ending;
    if (current && ms_txn_place_find(txn, topic, partition) == NULL) {
        ms_txn_add_place(txn, place);
        place = NULL;
    }
    ms_log_unlock(store->log);
    ms_free(place);
    return current ? 0
                   : ms_error_set(err, MS_EFENCED, "producer %lld, epoch %d: not the current one",
                                  (long long)producer_id, epoch);
}

/* ---- ending ---- */

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
    ms_log_unlock(store->log);
    for (const struct ms_txn_place *place = e->places; place != NULL; place = place->next)
        e->place_count += place->first_offset >= 0;
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
    op->produce = op->ends = op->by_producer = op->wait = true;
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
    free_places(e->places);
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

/* ---- telling ---- */

int ms_store_txn_list(struct ms_store *store, ms_txn_open_fn *visit, void *context) {
    int rc = 0;
    ms_log_lock(store->log);
    for (size_t i = 0; rc == 0 && i < store->txns.capacity; i++) {
        const struct ms_txn *txn = store->txns.slots[i];
        if (txn == NULL)
            continue;
        for (const struct ms_txn_place *place = txn->places; rc == 0 && place != NULL;
             place = place->next) {
            struct ms_txn_open open = {
                .producer_id = txn->producer_id,
                .epoch = txn->epoch,
                .topic = place->topic,
                .partition = place->partition,
                .first_offset = place->first_offset,
                .started_ms = atomic_load(&place->started_ms),
            };
            if (place->first_offset >= 0)
                rc = visit(context, &open);
        }
    }
    ms_log_unlock(store->log);
    return rc;
}

int ms_store_producers(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                       ms_producer_fn *visit, void *context) {
    const struct ms_producer_table *table = &ms_topic_partition(topic, partition)->producers;
    int rc = 0;
    ms_log_lock(store->log);
    for (uint32_t i = 0; rc == 0 && i < table->capacity; i++) {
        const struct ms_producer *producer = &table->slots[i];
        if (producer->id == -1)
            continue;
        uint8_t n = producer->batch_count;
        struct ms_producer_info info = {
            .producer_id = producer->id,
            .epoch = producer->epoch,
            .last_sequence = n > 0 ? producer->batches[n - 1].last_sequence : -1,
            .last_timestamp_ms = producer->last_timestamp_ms,
            .txn_first_offset = producer->txn_first_offset,
        };
        rc = visit(context, &info);
    }
    ms_log_unlock(store->log);
    return rc;
}
