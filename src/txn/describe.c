/* What administrators see. */
#include <stdlib.h>

#include "txn/internal.h"

const char *ms_txn_state_name(enum ms_txn_state state) {
    switch (state) {
    case MS_TXN_EMPTY:
        return "Empty";
    case MS_TXN_ONGOING:
        return "Ongoing";
    case MS_TXN_COMPLETE_COMMIT:
        return "CompleteCommit";
    case MS_TXN_COMPLETE_ABORT:
        return "CompleteAbort";
    }
    return "Unknown";
}

static bool fill_in(const struct ms_txnid *txn, struct ms_arena *arena, struct ms_txn_info *info) {
    char *id = ms_arena_strdup(arena, ms_txnid_name(txn));
    *info = (struct ms_txn_info){.id = ms_bytes_of(id, txn->id_len),
                                 .state = txn->facts.state,
                                 .producer = txn->facts.producer,
                                 .timeout_ms = txn->facts.timeout_ms,
                                 .started_ms = txn->facts.started_ms};
    return id != NULL;
}

static int by_topic_and_partition(const void *a, const void *b) {
    const struct ms_txn_partition_name *one = a, *two = b;
    int order = ms_bytes_compare(one->topic, two->topic);
    return order != 0 ? order
                      : (one->partition > two->partition) - (one->partition < two->partition);
}

static bool fill_members(const struct ms_txnid *txn, struct ms_arena *arena,
                         struct ms_txn_info *info) {
    size_t count = txn->members.count + txn->has_offsets, i = 0;
    struct ms_txn_partition_name *names = ms_arena_alloc(arena, (count + 1) * sizeof *names);
    struct ms_table_node *node = NULL;
    if (names == NULL)
        return false;
    while ((node = ms_table_next(&txn->members, node)) != NULL) {
        const struct ms_txn_member *member = MS_CONTAINER(node, struct ms_txn_member, node);
        char *topic = ms_arena_strdup(arena, ms_bytes_of(member->topic, member->topic_len));
        if (topic == NULL)
            return false;
        names[i++] = (struct ms_txn_partition_name){ms_bytes_of(topic, member->topic_len),
                                                    member->partition};
    }
    if (txn->has_offsets)
        names[i++] = (struct ms_txn_partition_name){MS_TXN_OFFSETS_TOPIC, 0};
    qsort(names, count, sizeof *names, by_topic_and_partition);
    info->partitions = names;
    info->partition_count = count;
    return true;
}

/* An id whose first record isn't durable is none. */
static bool is_there(const struct ms_txnid *txn) { return txn->placed; }

enum ms_txn_code ms_txns_describe(struct ms_txns *txns, struct ms_bytes id, struct ms_arena *arena,
                                  struct ms_txn_info *ret_info) {
    struct ms_txn_turn turn;
    struct ms_txn_info info;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = ms_txn_turn_check(&turn, id);
    const struct ms_txnid *txn = code == MS_TXN_OK ? ms_txnid_find(txns, id) : NULL;
    if (code == MS_TXN_OK && (txn == NULL || !is_there(txn)))
        code = MS_TXN_NOT_FOUND;
    else if (code == MS_TXN_OK && (!fill_in(txn, arena, &info) || !fill_members(txn, arena, &info)))
        code = MS_TXN_NOT_AVAILABLE;
    ms_txn_turn_end(&turn);
    if (code == MS_TXN_OK)
        *ret_info = info;
    return code;
}

static bool passes(const struct ms_txn_turn *turn, const struct ms_txnid *txn,
                   const struct ms_txn_filter *filter) {
    bool producer = filter->producer_count == 0;
    for (size_t i = 0; i < filter->producer_count && !producer; i++)
        producer = filter->producer_ids[i] == txn->facts.producer.id;
    bool state = filter->states == 0 || (filter->states & 1u << txn->facts.state) != 0;
    bool duration =
        filter->duration_ms < 0 || (txn->facts.state == MS_TXN_ONGOING &&
                                    turn->wall_ms - txn->facts.started_ms > filter->duration_ms);
    return is_there(txn) && producer && state && duration;
}

static int by_id(const void *a, const void *b) {
    return ms_bytes_compare(((const struct ms_txn_info *)a)->id,
                            ((const struct ms_txn_info *)b)->id);
}

enum ms_txn_code ms_txns_list(struct ms_txns *txns, const struct ms_txn_filter *filter,
                              struct ms_arena *arena, struct ms_txn_info **ret_infos,
                              size_t *ret_count) {
    struct ms_txn_turn turn;
    size_t count = 0;
    ms_txn_turn_begin(&turn, txns);
    enum ms_txn_code code = ms_txn_turn_check(&turn, MS_BYTES_LITERAL("-"));
    struct ms_txn_info *infos = ms_arena_alloc(arena, (txns->ids.count + 1) * sizeof *infos);
    if (code == MS_TXN_OK && infos == NULL)
        code = MS_TXN_NOT_AVAILABLE;
    struct ms_table_node *node = NULL;
    while (code == MS_TXN_OK && (node = ms_table_next(&txns->ids, node)) != NULL) {
        const struct ms_txnid *txn = MS_CONTAINER(node, struct ms_txnid, node);
        if (passes(&turn, txn, filter) && !fill_in(txn, arena, &infos[count++]))
            code = MS_TXN_NOT_AVAILABLE;
    }
    ms_txn_turn_end(&turn);
    if (code != MS_TXN_OK)
        return code;
    qsort(infos, count, sizeof *infos, by_id);
    *ret_infos = infos;
    *ret_count = count;
    return MS_TXN_OK;
}

/* Most of the time there are few, and they are found before the end of the table. */
static int64_t oldest_open_ms(const struct ms_txn_turn *turn) {
    const struct ms_txns *txns = turn->txns;
    uint64_t left = txns->open;
    int64_t oldest_ms = 0;
    struct ms_table_node *node = NULL;
    while (left > 0 && (node = ms_table_next(&txns->ids, node)) != NULL) {
        const struct ms_txnid *txn = MS_CONTAINER(node, struct ms_txnid, node);
        if (txn->facts.state != MS_TXN_ONGOING)
            continue;
        left--;
        int64_t open_ms = turn->wall_ms - txn->facts.started_ms;
        oldest_ms = open_ms > oldest_ms ? open_ms : oldest_ms;
    }
    return oldest_ms;
}

void ms_txns_stats(struct ms_txns *txns, struct ms_txns_stats *ret_stats) {
    struct ms_txn_turn turn;
    ms_txn_turn_begin(&turn, txns);
    *ret_stats = (struct ms_txns_stats){.ids = txns->ids.count,
                                        .open = txns->open,
                                        .pending_offsets = txns->pending_offsets,
                                        .bytes = txns->bytes,
                                        .oldest_open_ms = oldest_open_ms(&turn),
                                        .commits = txns->commits,
                                        .aborts = txns->aborts,
                                        .timeouts = txns->timeouts,
                                        .writes_in_flight = txns->writes_in_flight,
                                        .failed_writes = txns->failed_writes};
    ms_txn_turn_end(&turn);
}
