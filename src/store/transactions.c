/*
 * Open transactions: which producer may write where, and what it has written.
 *
 *   ms_store_txn_set_epoch -> ms_txn      ms_store_txn_add -> its places
 *   ms_store_produce -> judged (ms_txn_judge), put, noted (ms_txn_sequenced) -> its pending batches
 *   ms_store_txn_end (txn_end.c) takes places and pending batches from the transaction
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "store/internal.h"

#define SLOTS_MIN 16u

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

void ms_txn_places_free(struct ms_txn_place *first) {
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
    ms_txn_places_free(txn->places);
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
        if (op->parts[i].kind == MS_PART_MARKER) {
            op->parts[i].ref.topic->ending--;
            note_marker(op, &op->parts[i]);
        }
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
