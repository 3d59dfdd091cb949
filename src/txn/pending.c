/*
 * Offsets that a transaction commits for groups. Until its end they are records of
 * `__transaction_state`, so that they survive a restart; its end removes those and, if it commits,
 * writes them to `__consumer_offsets`, in the same append. Under the lock but for ms_txns_….
 */
#include "txn/internal.h"

struct ms_txn_offset *ms_txn_offset_new(struct ms_txns *txns, struct ms_bytes key,
                                        const struct ms_txn_pending_value *value) {
    size_t value_len = value->offset_value.len;
    struct ms_txn_offset *pending = ms_txn_alloc(txns, sizeof *pending + key.len + value_len);
    if (pending == NULL)
        return NULL;
    uint8_t *bytes = (uint8_t *)(pending + 1);
    *pending = (struct ms_txn_offset){.value = *value, .key = ms_bytes_of(bytes, key.len)};
    pending->value.offset_value = ms_bytes_of(bytes + key.len, value_len);
    memcpy(bytes, key.data, key.len);
    if (value_len > 0)
        memcpy(bytes + key.len, value->offset_value.data, value_len);
    txns->pending_offsets++;
    return pending;
}

static void free_pending(struct ms_txns *txns, struct ms_txn_offset *pending) {
    txns->pending_offsets--;
    ms_txn_release(txns, pending);
}

void ms_txn_offsets_clear(struct ms_txnid *txn) {
    while (txn->pendings != NULL) {
        struct ms_txn_offset *pending = txn->pendings;
        txn->pendings = pending->next;
        free_pending(txn->txns, pending);
    }
    txn->pendings_end = &txn->pendings;
}

/* ---- the end's records ---- */

int ms_txn_offset_remove(struct ms_txn_write *write, int64_t producer_id, struct ms_bytes key) {
    ms_txn_write_key_begins(write, MS_RECORDS_TRANSACTION_STATE);
    int rc = ms_txn_pending_key_write(&write->bytes, producer_id, key);
    ms_txn_write_value_begins(write, MS_RECORDS_TRANSACTION_STATE);
    ms_txn_write_record_ends(write, MS_RECORDS_TRANSACTION_STATE, true);
    return rc;
}

static int write_offset(struct ms_txn_write *write, const struct ms_txn_offset *pending) {
    ms_txn_write_key_begins(write, MS_RECORDS_CONSUMER_OFFSETS);
    int rc = ms_buf_append_bytes(&write->bytes, pending->key);
    ms_txn_write_value_begins(write, MS_RECORDS_CONSUMER_OFFSETS);
    if (rc == 0)
        rc = ms_buf_append_bytes(&write->bytes, pending->value.offset_value);
    ms_txn_write_record_ends(write, MS_RECORDS_CONSUMER_OFFSETS, false);
    return rc;
}

int ms_txn_offsets_write(struct ms_txn_write *write, const struct ms_txnid *txn, bool commit) {
    int rc = 0;
    for (const struct ms_txn_offset *p = txn->pendings; rc == 0 && p != NULL; p = p->next) {
        rc = ms_txn_offset_remove(write, txn->facts.producer.id, p->key);
        if (rc == 0 && commit)
            rc = write_offset(write, p);
    }
    return rc;
}

/* ---- becoming pending ---- */

/* What of the write is still pending becomes durable, or goes. */
static void stored(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    struct ms_txnid *txn = write->txn;
    struct ms_txn_offset **place = &txn->pendings;
    while (*place != NULL) {
        struct ms_txn_offset *pending = *place;
        bool drop = code != 0 && pending->write == write;
        if (pending->write == write)
            pending->write = NULL;
        if (!drop) {
            place = &pending->next;
            continue;
        }
        *place = pending->next;
        free_pending(turn->txns, pending);
    }
    txn->pendings_end = place;
}

static int write_pending(struct ms_txn_write *write, struct ms_txn_offset *pending) {
    ms_txn_write_key_begins(write, MS_RECORDS_TRANSACTION_STATE);
    int rc = ms_txn_pending_key_write(&write->bytes, write->txn->facts.producer.id, pending->key);
    ms_txn_write_value_begins(write, MS_RECORDS_TRANSACTION_STATE);
    if (rc == 0)
        rc = ms_txn_pending_value_write(&write->bytes, &pending->value);
    ms_txn_write_record_ends(write, MS_RECORDS_TRANSACTION_STATE, false);
    return rc;
}

static int append_locked(struct ms_txnid *txn, const struct ms_group_record *records, size_t count,
                         struct ms_txn_write *write) {
    struct ms_txn_pending_value value = {.epoch = txn->facts.producer.epoch,
                                         .started_ms = txn->facts.started_ms};
    struct ms_txn_offset *list = NULL, **end = &list;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        value.offset_value = records[i].value;
        struct ms_txn_offset *pending = ms_txn_offset_new(txn->txns, records[i].key, &value);
        if (pending == NULL) {
            rc = MS_ENOMEM;
            break;
        }
        pending->write = write;
        *end = pending;
        end = &pending->next;
        rc = write_pending(write, pending);
    }
    if (rc == 0) {
        *txn->pendings_end = list;
        txn->pendings_end = end;
        return 0;
    }
    while (list != NULL) {
        struct ms_txn_offset *next = list->next;
        free_pending(txn->txns, list);
        list = next;
    }
    return rc;
}

/* Its transaction is open and not ending. */
static int find_open(const struct ms_txns *txns, struct ms_txn_producer producer,
                     struct ms_txnid **ret_txn) {
    if (txns->stopped || !txns->loaded)
        return MS_ECLOSED;
    struct ms_txnid *txn = ms_txnid_find_producer(txns, producer.id);
    if (txn == NULL || !ms_txn_producer_equal(txn->facts.producer, producer) ||
        txn->facts.state != MS_TXN_ONGOING || !txn->has_offsets)
        return MS_EFENCED;
    if (txn->busy)
        return MS_EAGAIN;
    *ret_txn = txn;
    return 0;
}

void ms_txns_append_offsets(struct ms_txns *txns, struct ms_txn_producer producer,
                            const struct ms_group_record *records, size_t count,
                            void (*done)(void *done_context, int code), void *done_context) {
    struct ms_txn_turn turn;
    struct ms_txnid *txn = NULL;
    struct ms_txn_write *write = NULL;
    ms_txn_turn_begin(&turn, txns);
    int rc = find_open(txns, producer, &txn);
    if (rc == 0) {
        write = ms_txn_write_new(txns, count, 0, stored);
        rc = write != NULL ? 0 : MS_ENOMEM;
    }
    if (rc == 0) {
        write->txn = txn;
        rc = append_locked(txn, records, count, write);
    }
    if (rc == 0) {
        write->told = done;
        write->told_context = done_context;
        ms_txn_write_queue(write);
    } else {
        ms_txn_write_drop(write);
    }
    ms_txn_turn_end(&turn);
    if (rc != 0)
        done(done_context, rc);
}

static int visit_one(const struct ms_txnid *txn,
                     int (*visit)(void *context, int64_t producer_id,
                                  const struct ms_group_record *record, uint64_t position),
                     void *context) {
    int rc = 0;
    for (const struct ms_txn_offset *p = txn->pendings; rc == 0 && p != NULL; p = p->next) {
        struct ms_group_record record = {p->key, p->value.offset_value, false};
        rc = visit(context, txn->facts.producer.id, &record, p->position);
    }
    return rc;
}

int ms_txns_visit_offsets(struct ms_txns *txns,
                          int (*visit)(void *context, int64_t producer_id,
                                       const struct ms_group_record *record, uint64_t position),
                          void *context) {
    struct ms_txn_turn turn;
    struct ms_table_node *node = NULL;
    int rc = 0;
    ms_txn_turn_begin(&turn, txns);
    while (rc == 0 && (node = ms_table_next(&txns->ids, node)) != NULL)
        rc = visit_one(MS_CONTAINER(node, struct ms_txnid, node), visit, context);
    ms_txn_turn_end(&turn);
    return rc;
}
