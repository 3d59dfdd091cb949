/*
 * From the records of `__transaction_state`, and from what the store has found open, to
 * transactions, at start.
 */
#include "txn/internal.h"

/* ---- records ---- */

static int load_members(struct ms_txnid *txn, struct ms_txn_value *value) {
    struct ms_txn_topic_value topic;
    while (ms_txn_topic_next(value, &topic)) {
        if (ms_bytes_equal(topic.topic, MS_TXN_OFFSETS_TOPIC)) {
            txn->has_offsets = true;
            continue;
        }
        for (uint32_t i = 0; i < topic.partition_count; i++) {
            int32_t partition = ms_txn_topic_partition(&topic, i);
            if (ms_txn_member_find(txn, topic.topic, partition) != NULL)
                continue;
            struct ms_txn_member *member = ms_txn_member_new(txn->txns, topic.topic, partition);
            if (member == NULL)
                return MS_ENOMEM;
            ms_txn_member_put(txn, member);
        }
    }
    return 0;
}

static int load_id(struct ms_txns *txns, struct ms_bytes id, const struct ms_keyed_record *record) {
    struct ms_txn_value value;
    struct ms_txnid *txn = ms_txnid_find(txns, id);
    int rc = record->tombstone ? 0 : ms_txn_value_read(record->value, &value);
    if (rc != 0)
        return rc;
    if (record->tombstone) {
        if (txn != NULL)
            ms_txnid_free(txn);
        return 0;
    }
    if (txn == NULL && ms_txnid_make(txns, id, &txn) != MS_TXN_OK)
        return MS_ENOMEM;
    struct ms_txn_facts facts = {
        .state = (enum ms_txn_state)value.state,
        .producer = {value.producer_id, value.epoch},
        .previous = {value.previous_producer_id, value.previous_epoch},
        .timeout_ms = value.timeout_ms,
        .changed_ms = value.changed_ms,
        .started_ms = value.state == MS_TXN_ONGOING ? value.started_ms : -1,
    };
    ms_txnid_become(txn, &facts);
    return facts.state == MS_TXN_ONGOING ? load_members(txn, &value) : 0;
}

static int load_ids(struct ms_txns *txns, const struct ms_keyed_record *record) {
    int64_t next = 0;
    int rc = record->tombstone ? 0 : ms_txn_ids_value_read(record->value, &next);
    if (rc == 0 && next > txns->ids_end)
        txns->next_id = txns->ids_end = next;
    return rc;
}

static int load_pending(struct ms_txns *txns, const struct ms_txn_key *key,
                        const struct ms_keyed_record *record, uint64_t position) {
    struct ms_txn_pending_value value;
    if (record->tombstone)
        return 0;
    int rc = ms_txn_pending_value_read(record->value, &value);
    if (rc != 0)
        return rc;
    struct ms_txn_offset *pending = ms_txn_offset_new(txns, key->offset_key, &value);
    if (pending == NULL)
        return MS_ENOMEM;
    pending->producer_id = key->producer_id;
    pending->position = position;
    pending->next = txns->orphans;
    txns->orphans = pending;
    return 0;
}

int ms_txns_load(struct ms_txns *txns, const struct ms_keyed_record *record, uint64_t position) {
    struct ms_txn_key key;
    int rc = ms_txn_key_read(record->key, &key);
    if (rc != 0)
        return rc;
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    MS_ASSERT(!txns->loaded);
    switch (key.kind) {
    case MS_TXN_KEY_ID:
        rc = load_id(txns, key.id, record);
        break;
    case MS_TXN_KEY_PRODUCER_IDS:
        rc = load_ids(txns, record);
        break;
    case MS_TXN_KEY_PENDING:
        rc = load_pending(txns, &key, record, position);
        break;
    case MS_TXN_KEY_OTHER:
        break;
    }
    ms_txn_turn_end(&turn);
    return rc;
}

/* ---- what the store has found ---- */

/* A producer with a transaction that no transactional id knows. */
struct stray {
    struct ms_table_node node; /* first: ms_txns_free */
    struct ms_txn_producer producer;
};

static int load_stray(struct ms_txns *txns, struct ms_txn_producer producer) {
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&txns->strays, node)) != NULL)
        if (MS_CONTAINER(node, struct stray, node)->producer.id == producer.id)
            return 0;
    struct stray *stray = ms_txn_alloc(txns, sizeof *stray);
    if (stray == NULL)
        return MS_ENOMEM;
    stray->producer = producer;
    ms_table_put(&txns->strays, &stray->node, (uint64_t)producer.id);
    return 0;
}

/* It has written something, or committed an offset, since that time. */
static void open_at(struct ms_txnid *txn, int64_t started_ms) {
    struct ms_txn_facts facts = txn->facts;
    if (facts.state == MS_TXN_ONGOING)
        return;
    facts.state = MS_TXN_ONGOING;
    facts.started_ms = facts.changed_ms = started_ms;
    ms_txnid_become(txn, &facts);
}

int ms_txns_load_open(struct ms_txns *txns, struct ms_txn_producer producer, struct ms_bytes topic,
                      int32_t partition, int64_t started_ms) {
    struct ms_txn_turn turn;
    int rc = 0;
    ms_txn_turn_begin(&turn, txns);
    struct ms_txnid *txn = ms_txnid_find_producer(txns, producer.id);
    if (txn == NULL) {
        rc = load_stray(txns, producer);
    } else {
        open_at(txn, started_ms > 0 ? started_ms : turn.wall_ms);
        if (ms_txn_member_find(txn, topic, partition) == NULL) {
            struct ms_txn_member *member = ms_txn_member_new(txns, topic, partition);
            rc = member != NULL ? 0 : MS_ENOMEM;
            if (member != NULL)
                ms_txn_member_put(txn, member);
        }
    }
    ms_txn_turn_end(&turn);
    return rc;
}

/* ---- the end of loading ---- */

static void nothing(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    (void)turn;
    (void)write;
    (void)code; /* counted; the next start tries again */
}

/* Pending offsets find their transaction; those that have none are removed from the log. */
static int place_pendings(struct ms_txns *txns) {
    struct ms_txn_offset *left = NULL;
    size_t left_count = 0;
    while (txns->orphans != NULL) {
        struct ms_txn_offset *pending = txns->orphans;
        txns->orphans = pending->next;
        struct ms_txnid *txn = ms_txnid_find_producer(txns, pending->producer_id);
        if (txn != NULL && txn->facts.producer.epoch == pending->value.epoch) {
            open_at(txn, pending->value.started_ms);
            txn->has_offsets = true;
            pending->next = NULL;
            *txn->pendings_end = pending;
            txn->pendings_end = &pending->next;
            continue;
        }
        pending->next = left;
        left = pending;
        left_count++;
    }
    txns->orphans = left;
    if (left == NULL)
        return 0;
    struct ms_txn_write *write = ms_txn_write_new(txns, left_count, 0, nothing);
    int rc = write != NULL ? 0 : MS_ENOMEM;
    for (; rc == 0 && left != NULL; left = left->next)
        rc = ms_txn_offset_remove(write, left->producer_id, left->key);
    if (rc != 0)
        ms_txn_write_drop(write);
    else
        ms_txn_write_queue(write);
    while (rc == 0 && txns->orphans != NULL) {
        left = txns->orphans;
        txns->orphans = left->next;
        txns->pending_offsets--;
        ms_txn_release(txns, left);
    }
    return rc;
}

static int abort_strays(struct ms_txns *txns) {
    struct ms_table_node *node;
    while ((node = ms_table_next(&txns->strays, NULL)) != NULL) {
        struct stray *stray = MS_CONTAINER(node, struct stray, node);
        if (ms_txn_abort_stray(txns, stray->producer) != 0)
            return MS_ENOMEM;
        ms_table_take(&txns->strays, node);
        ms_txn_release(txns, stray);
    }
    return 0;
}

/* The store hears of an id what it is to know. A partition whose topic is gone is none any more. */
static int tell_store(struct ms_txnid *txn) {
    const struct ms_txn_store *store = &txn->txns->options.store;
    struct ms_txn_producer producer = txn->facts.producer;
    if (producer.id >= txn->txns->ids_end) /* written by somebody else */
        txn->txns->next_id = txn->txns->ids_end = producer.id + 1;
    if (ms_txnid_tell_epoch(txn) != MS_TXN_OK)
        return MS_ENOMEM;
    struct ms_table_node *node = NULL, *next;
    for (node = ms_table_next(&txn->members, NULL); node != NULL; node = next) {
        next = ms_table_next(&txn->members, node);
        struct ms_txn_member *member = MS_CONTAINER(node, struct ms_txn_member, node);
        struct ms_bytes topic = ms_bytes_of(member->topic, member->topic_len);
        int rc = store->add(store->context, producer.id, producer.epoch, topic, member->partition);
        if (rc == MS_ENOTFOUND) {
            ms_table_take(&txn->members, node);
            ms_txn_release(txn->txns, member);
        } else if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int ms_txns_loaded(struct ms_txns *txns) {
    struct ms_txn_turn turn;
    struct ms_table_node *node = NULL;
    ms_txn_turn_begin(&turn, txns);
    int rc = place_pendings(txns);
    if (rc == 0)
        rc = abort_strays(txns);
    while (rc == 0 && (node = ms_table_next(&txns->ids, node)) != NULL) {
        struct ms_txnid *txn = MS_CONTAINER(node, struct ms_txnid, node);
        rc = tell_store(txn);
        ms_txnid_arm(&turn, txn);
    }
    txns->loaded = rc == 0;
    ms_txn_turn_end(&turn);
    return rc;
}
