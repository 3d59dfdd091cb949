/*
 * What is part of a transaction: partitions, and the offsets of groups. What clients add is durable
 * before they are answered; what begins by itself (KIP-890) is in memory only, since its records
 * show it after a start. Under the lock but for ms_txns_….
 */
#include "base/hash.h"
#include "txn/internal.h"

enum ms_txn_code ms_txn_check(const struct ms_txn_turn *turn, const struct ms_txn_identity *who,
                              struct ms_txnid **ret_txn) {
    enum ms_txn_code code = ms_txn_turn_check(turn, who->id);
    if (code != MS_TXN_OK)
        return code;
    struct ms_txnid *txn = ms_txnid_find(turn->txns, who->id);
    if (txn == NULL || txn->facts.producer.id != who->producer.id)
        return MS_TXN_INVALID_PRODUCER_ID_MAPPING;
    if (txn->facts.producer.epoch != who->producer.epoch)
        return MS_TXN_FENCED;
    if (txn->busy)
        return MS_TXN_CONCURRENT;
    *ret_txn = txn;
    return MS_TXN_OK;
}

/* ---- the table ---- */

static uint64_t hash_of(struct ms_bytes topic, int32_t partition) {
    return ms_hash64(topic.data, topic.len, (uint64_t)(uint32_t)partition);
}

static bool is_member(const struct ms_txn_member *member, struct ms_bytes topic,
                      int32_t partition) {
    return member->partition == partition &&
           ms_bytes_equal(ms_bytes_of(member->topic, member->topic_len), topic);
}

struct ms_txn_member *ms_txn_member_find(const struct ms_txnid *txn, struct ms_bytes topic,
                                         int32_t partition) {
    uint64_t hash = hash_of(topic, partition);
    struct ms_table_node *node = ms_table_find(&txn->members, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_txn_member *member = MS_CONTAINER(node, struct ms_txn_member, node);
        if (is_member(member, topic, partition))
            return member;
    }
    return NULL;
}

struct ms_txn_member *ms_txn_member_new(struct ms_txns *txns, struct ms_bytes topic,
                                        int32_t partition) {
    struct ms_txn_member *member = ms_txn_alloc(txns, sizeof *member + topic.len);
    if (member == NULL)
        return NULL;
    *member = (struct ms_txn_member){.partition = partition, .topic_len = topic.len};
    if (topic.len > 0)
        memcpy(member->topic, topic.data, topic.len);
    return member;
}

void ms_txn_member_put(struct ms_txnid *txn, struct ms_txn_member *member) {
    struct ms_bytes topic = ms_bytes_of(member->topic, member->topic_len);
    ms_table_put(&txn->members, &member->node, hash_of(topic, member->partition));
}

static void remove_member(struct ms_txnid *txn, struct ms_txn_member *member) {
    ms_table_take(&txn->members, &member->node);
    ms_txn_release(txn->txns, member);
}

void ms_txn_members_clear(struct ms_txnid *txn) {
    struct ms_table_node *node;
    while ((node = ms_table_next(&txn->members, NULL)) != NULL)
        remove_member(txn, MS_CONTAINER(node, struct ms_txn_member, node));
}

static enum ms_txn_code tell_member(const struct ms_txnid *txn, struct ms_bytes topic,
                                    int32_t partition) {
    const struct ms_txn_store *store = &txn->txns->options.store;
    struct ms_txn_producer producer = txn->facts.producer;
    int rc = store->add(store->context, producer.id, producer.epoch, topic, partition);
    if (rc == 0)
        return MS_TXN_OK;
    return rc == MS_ENOTFOUND ? MS_TXN_UNKNOWN_PARTITION : MS_TXN_NOT_AVAILABLE;
}

void ms_txnid_open(const struct ms_txn_turn *turn, struct ms_txnid *txn) {
    if (txn->facts.state == MS_TXN_ONGOING)
        return;
    struct ms_txn_facts facts = txn->facts;
    facts.state = MS_TXN_ONGOING;
    facts.started_ms = facts.changed_ms = turn->wall_ms;
    ms_txnid_become(txn, &facts);
    ms_txnid_arm(turn, txn);
}

/* ---- AddPartitionsToTxn, AddOffsetsToTxn ---- */

static void added(struct ms_txn_turn *turn, struct ms_txn_write *write, int code) {
    struct ms_txnid *txn = write->txn;
    enum ms_txn_code answer = ms_txn_write_code(code);
    if (code == 0) {
        ms_txnid_become(txn, &write->facts);
        ms_txnid_arm(turn, txn);
        txn->has_offsets = txn->has_offsets || write->adds_offsets;
        answer = ms_txnid_tell_epoch(txn);
        while (answer == MS_TXN_OK && write->added != NULL) {
            struct ms_txn_member *member = write->added;
            answer =
                tell_member(txn, ms_bytes_of(member->topic, member->topic_len), member->partition);
            if (answer != MS_TXN_OK)
                break;
            write->added = member->next;
            ms_txn_member_put(txn, member);
        }
    }
    ms_txn_request_answer(turn->txns, write->request, answer, MS_TXN_NO_PRODUCER);
}

static enum ms_txn_code store_added(struct ms_txn_turn *turn, struct ms_txnid *txn,
                                    struct ms_txn_member *members, bool offsets,
                                    struct ms_txn_request *request) {
    struct ms_txn_facts facts = txn->facts;
    if (facts.state != MS_TXN_ONGOING)
        facts.started_ms = turn->wall_ms;
    facts.state = MS_TXN_ONGOING;
    facts.changed_ms = turn->wall_ms;
    struct ms_txn_write *write = ms_txn_write_of(txn, &facts, members, offsets, added);
    if (write == NULL)
        return MS_TXN_NOT_AVAILABLE;
    ms_txn_request_wait(request, &write->request);
    ms_txn_write_queue(write);
    return MS_TXN_OK;
}

static bool is_in(const struct ms_txn_member *list, const struct ms_txn_partition_name *name) {
    for (; list != NULL; list = list->next)
        if (is_member(list, name->topic, name->partition))
            return true;
    return false;
}

static void free_list(struct ms_txns *txns, struct ms_txn_member *list) {
    while (list != NULL) {
        struct ms_txn_member *next = list->next;
        ms_txn_release(txns, list);
        list = next;
    }
}

/* Those of `names` that are not in the transaction. */
static enum ms_txn_code make_members(struct ms_txnid *txn,
                                     const struct ms_txn_partition_name *names, size_t count,
                                     struct ms_txn_member **ret_members) {
    struct ms_txns *txns = txn->txns;
    struct ms_txn_member *list = NULL;
    size_t total = txn->members.count;
    enum ms_txn_code code = MS_TXN_OK;
    for (size_t i = 0; code == MS_TXN_OK && i < count; i++) {
        if (ms_txn_member_find(txn, names[i].topic, names[i].partition) != NULL ||
            is_in(list, &names[i]))
            continue;
        struct ms_txn_member *member = NULL;
        if (names[i].topic.len == 0 || names[i].topic.len > MS_GROUP_TOPIC_BYTES_MAX)
            code = MS_TXN_INVALID_REQUEST;
        else if (++total > txns->options.partitions_max)
            code = MS_TXN_POLICY_VIOLATION;
        else if ((member = ms_txn_member_new(txns, names[i].topic, names[i].partition)) == NULL)
            code = MS_TXN_NOT_AVAILABLE;
        if (member != NULL) {
            member->next = list;
            list = member;
        }
    }
    if (code != MS_TXN_OK)
        free_list(txns, list);
    else
        *ret_members = list;
    return code;
}

static enum ms_txn_code add_partitions(struct ms_txn_turn *turn, const struct ms_txn_identity *who,
                                       const struct ms_txn_partition_name *names, size_t count,
                                       struct ms_txn_request *request) {
    struct ms_txnid *txn;
    struct ms_txn_member *members = NULL;
    enum ms_txn_code code = ms_txn_check(turn, who, &txn);
    if (code == MS_TXN_OK && count > turn->txns->options.partitions_max)
        code = MS_TXN_POLICY_VIOLATION;
    if (code == MS_TXN_OK)
        code = make_members(txn, names, count, &members);
    if (code == MS_TXN_OK && members == NULL)
        ms_txn_request_answer(turn->txns, request, MS_TXN_OK, MS_TXN_NO_PRODUCER);
    else if (code == MS_TXN_OK)
        code = store_added(turn, txn, members, false, request);
    return code;
}

void ms_txns_add_partitions(struct ms_txns *txns, const struct ms_txn_identity *who,
                            const struct ms_txn_partition_name *partitions, size_t count,
                            struct ms_txn_request *request) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = add_partitions(&turn, who, partitions, count, request);
    if (code != MS_TXN_OK)
        ms_txn_request_answer(txns, request, code, MS_TXN_NO_PRODUCER);
    ms_txn_turn_end(&turn);
}

void ms_txns_add_offsets(struct ms_txns *txns, const struct ms_txn_identity *who,
                         struct ms_txn_request *request) {
    struct ms_txn_turn turn;
    struct ms_txnid *txn;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = ms_txn_check(&turn, who, &txn);
    if (code == MS_TXN_OK && txn->has_offsets)
        ms_txn_request_answer(txns, request, MS_TXN_OK, MS_TXN_NO_PRODUCER);
    else if (code == MS_TXN_OK)
        code = store_added(&turn, txn, NULL, true, request);
    if (code != MS_TXN_OK)
        ms_txn_request_answer(txns, request, code, MS_TXN_NO_PRODUCER);
    ms_txn_turn_end(&turn);
}

/* ---- what begins by itself ---- */

static enum ms_txn_code begin_locked(const struct ms_txn_turn *turn, struct ms_txnid *txn,
                                     struct ms_bytes topic, int32_t partition) {
    if (ms_txn_member_find(txn, topic, partition) != NULL)
        return MS_TXN_OK;
    if (txn->members.count >= turn->txns->options.partitions_max)
        return MS_TXN_POLICY_VIOLATION;
    enum ms_txn_code code = ms_txnid_tell_epoch(txn);
    if (code != MS_TXN_OK)
        return code;
    struct ms_txn_member *member = ms_txn_member_new(turn->txns, topic, partition);
    if (member == NULL)
        return MS_TXN_NOT_AVAILABLE;
    code = tell_member(txn, topic, partition);
    if (code != MS_TXN_OK) {
        ms_txn_release(turn->txns, member);
        return code;
    }
    ms_txnid_open(turn, txn);
    ms_txn_member_put(txn, member);
    return MS_TXN_OK;
}

enum ms_txn_code ms_txns_begin(struct ms_txns *txns, const struct ms_txn_identity *who,
                               struct ms_bytes topic, int32_t partition) {
    struct ms_txn_turn turn;
    struct ms_txnid *txn;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = ms_txn_check(&turn, who, &txn);
    if (code == MS_TXN_OK && (topic.len == 0 || topic.len > MS_GROUP_TOPIC_BYTES_MAX))
        code = MS_TXN_INVALID_REQUEST;
    if (code == MS_TXN_OK)
        code = begin_locked(&turn, txn, topic, partition);
    ms_txn_turn_end(&turn);
    return code;
}

enum ms_txn_code ms_txns_begin_offsets(struct ms_txns *txns, const struct ms_txn_identity *who,
                                       bool implied) {
    struct ms_txn_turn turn;
    struct ms_txnid *txn;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = ms_txn_check(&turn, who, &txn);
    if (code == MS_TXN_OK && implied) {
        ms_txnid_open(&turn, txn);
        txn->has_offsets = true;
    } else if (code == MS_TXN_OK && !txn->has_offsets) {
        code = MS_TXN_INVALID_STATE;
    }
    ms_txn_turn_end(&turn);
    return code;
}
