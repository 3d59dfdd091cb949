/*
 * Offsets of open transactions: pending until the transaction ends, seen by nobody but those who
 * ask whether an offset is stable. Each stands in two lists: its offset's, and the table of its
 * producer's. Under the lock but for ms_groups_txn_end.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "group/internal.h"

static uint64_t hash_of(int64_t producer_id) {
    return ms_hash64(&producer_id, sizeof producer_id, 0);
}

struct ms_pending *ms_pending_new(struct ms_offset *offset, int64_t producer_id, uint64_t sequence,
                                  struct ms_offset_data *data) {
    struct ms_groups *groups = offset->group->groups;
    struct ms_pending *pending = ms_group_alloc(groups, sizeof *pending);
    if (pending == NULL) {
        ms_group_drop(groups, &data->metadata);
        return NULL;
    }
    *pending = (struct ms_pending){.next = offset->pending,
                                   .offset = offset,
                                   .producer_id = producer_id,
                                   .sequence = sequence,
                                   .data = *data};
    offset->pending = pending;
    offset->group->pending_offsets++;
    groups->offset_count++;
    ms_table_put(&groups->pendings, &pending->node, hash_of(producer_id));
    return pending;
}

void ms_pending_free(struct ms_pending *pending) {
    struct ms_offset *offset = pending->offset;
    struct ms_groups *groups = offset->group->groups;
    struct ms_pending **place = &offset->pending;
    while (*place != pending)
        place = &(*place)->next;
    *place = pending->next;
    offset->group->pending_offsets--;
    groups->offset_count--;
    ms_table_take(&groups->pendings, &pending->node);
    ms_group_drop(groups, &pending->data.metadata);
    ms_group_release(groups, pending);
}

/* The transaction has ended and the record's own outcome is known. */
static void resolve(struct ms_pending *pending) {
    if (pending->fate == MS_PENDING_COMMITTED) {
        ms_offset_apply(pending->offset, &pending->data, pending->sequence);
        pending->data.metadata = (struct ms_bytes){0};
    }
    ms_pending_free(pending);
}

void ms_pending_settle(struct ms_pending *pending, int code) {
    pending->durable = code == 0;
    if (code != 0)
        ms_pending_free(pending);
    else if (pending->fate != MS_PENDING_OPEN)
        resolve(pending);
}

/* The end's records come behind all that was committed before it; among themselves they keep their
 * order. */
static void decide_offset(struct ms_offset *offset, int64_t producer_id, bool commit) {
    struct ms_groups *groups = offset->group->groups;
    struct ms_pending *pending;
    for (pending = offset->pending; pending != NULL; pending = pending->next)
        groups->sequence += pending->producer_id == producer_id;
    uint64_t sequence = groups->sequence;
    for (pending = offset->pending; pending != NULL; pending = pending->next) { /* newest first */
        if (pending->producer_id != producer_id || pending->fate != MS_PENDING_OPEN)
            continue;
        pending->fate = commit ? MS_PENDING_COMMITTED : MS_PENDING_ABORTED;
        pending->sequence = sequence--;
    }
}

static void decide(struct ms_groups *groups, int64_t producer_id, bool commit) {
    uint64_t hash = hash_of(producer_id);
    struct ms_table_node *node = ms_table_find(&groups->pendings, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_pending *pending = MS_CONTAINER(node, struct ms_pending, node);
        if (pending->producer_id == producer_id && pending->fate == MS_PENDING_OPEN)
            decide_offset(pending->offset, producer_id, commit);
    }
}

void ms_groups_txn_end(struct ms_groups *groups, int64_t producer_id, bool commit) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    decide(groups, producer_id, commit);
    uint64_t hash = hash_of(producer_id);
    struct ms_table_node *node = ms_table_find(&groups->pendings, hash), *next;
    for (; node != NULL; node = next) {
        next = ms_table_chain(node, hash);
        struct ms_pending *pending = MS_CONTAINER(node, struct ms_pending, node);
        if (pending->producer_id != producer_id || !pending->durable)
            continue; /* ms_pending_settle goes on with the latter */
        struct ms_offset *offset = pending->offset;
        struct ms_group *group = offset->group;
        resolve(pending);
        ms_offset_reap(offset);
        ms_group_reap(group);
    }
    ms_turn_end(&turn);
}
