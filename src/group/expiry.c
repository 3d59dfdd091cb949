/*
 * What goes: offsets past their retention, groups of which nothing is left, groups that are
 * deleted. All of them leave tombstones first. Under the lock but for ms_groups_delete.
 *
 *   the commit brought a retention            from the commit
 *   a classic group that had members, EMPTY   from when it became empty
 *   a group that never had members            from the commit
 *   a consumer group that is EMPTY            from the commit
 *   a STABLE group of consumers, and any
 *   consumer group with members               from the commit, for topics that nobody reads
 */
#include "base/alloc.h"
#include "group/consumer.h"
#include "group/internal.h"

#define SWEEP_CHAINS 64u
#define TOMBSTONES_PER_WRITE 1000u

/* ---- retention ---- */

static bool is_read(const struct ms_group *group, struct ms_bytes topic) {
    if (group->consumers != NULL)
        return ms_consumers_read(group, topic);
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        if (ms_subscription_names(ms_member_metadata(m), topic))
            return true;
    return false;
}

/* When the retention of the offset began; -1: it is in use. */
static int64_t retained_since(const struct ms_offset *offset) {
    const struct ms_group *group = offset->group;
    int64_t committed_ms = offset->data.commit_time_ms;
    if (group->state == MS_GROUP_EMPTY && group->consumers == NULL) {
        bool had_members = group->protocol_type.len > 0 && group->state_since_ms >= 0;
        return had_members ? group->state_since_ms : committed_ms;
    }
    if (group->state == MS_GROUP_EMPTY)
        return committed_ms;
    bool settled = group->state == MS_GROUP_STABLE || group->consumers != NULL;
    if (!settled || !ms_bytes_equal_cstr(group->protocol_type, "consumer") ||
        is_read(group, ms_bytes_of(offset->topic, offset->topic_len)))
        return -1;
    return committed_ms;
}

static bool is_expired(const struct ms_turn *turn, const struct ms_offset *offset) {
    if (!offset->committed || offset->writes > 0 || offset->pending != NULL)
        return false;
    int64_t since_ms = retained_since(offset);
    if (since_ms < 0)
        return false;
    if (offset->data.expire_time_ms >= 0)
        return offset->data.expire_time_ms <= turn->wall_ms;
    return turn->wall_ms - since_ms >= turn->groups->options.offsets_retention_ms;
}

static void nothing_to_do(struct ms_turn *turn, struct ms_write *write, int code) {
    (void)turn, (void)write, (void)code; /* what failed is still there for the next sweep */
}

static void hand_in(struct ms_turn *turn, struct ms_write *write, int code) {
    if (code == 0 && write->item_count > 0)
        ms_write_queue(turn, write);
    else
        ms_write_free(write);
}

static void expire_offsets(struct ms_turn *turn, struct ms_group *group) {
    struct ms_write *write = NULL;
    struct ms_table_node *node = NULL;
    int rc = 0;
    while (rc == 0 && (node = ms_table_next(&group->offsets, node)) != NULL) {
        struct ms_offset *offset = MS_CONTAINER(node, struct ms_offset, node);
        if (!is_expired(turn, offset))
            continue;
        if (write == NULL)
            write = ms_write_new(group, TOMBSTONES_PER_WRITE, TOMBSTONES_PER_WRITE, nothing_to_do);
        if (write == NULL)
            return;
        rc = ms_offset_remove(write, offset);
        if (rc == 0 && write->item_count == TOMBSTONES_PER_WRITE) {
            ms_write_queue(turn, write);
            write = NULL;
        }
    }
    if (write != NULL)
        hand_in(turn, write, rc);
}

/* ---- groups ---- */

static void deletion_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    if (code != 0)
        write->group->state = MS_GROUP_EMPTY;
    if (write->request != NULL)
        ms_request_answer(turn->groups, write->request, ms_write_code(code, MS_GROUP_NOT_AVAILABLE),
                          NULL);
    write->request = NULL;
}

/* Tombstones for all of an empty group; it is DEAD until they are durable. NULL: memory. */
static struct ms_write *bury(struct ms_turn *turn, struct ms_group *group) {
    size_t offsets = group->offsets.count;
    size_t members = group->consumers != NULL ? ms_consumers_tombstones(group) : 0;
    struct ms_write *write = ms_write_new(group, offsets + 1 + members, offsets, deletion_stored);
    if (write == NULL)
        return NULL;
    int rc = ms_group_encode_tombstone(write, group);
    if (rc == 0 && group->consumers != NULL)
        rc = ms_consumers_encode_tombstones(write, group);
    struct ms_table_node *node = NULL;
    while (rc == 0 && (node = ms_table_next(&group->offsets, node)) != NULL)
        rc = ms_offset_remove(write, MS_CONTAINER(node, struct ms_offset, node));
    if (rc != 0) {
        ms_write_free(write);
        return NULL;
    }
    group->state = MS_GROUP_DEAD; /* since when it was empty is kept, should this fail */
    ms_write_queue(turn, write);
    return write;
}

static void sweep_group(struct ms_turn *turn, struct ms_group *group) {
    expire_offsets(turn, group);
    if (group->state == MS_GROUP_EMPTY && group->stored && group->writes == 0 &&
        group->members.count == 0 && group->offsets.count == 0)
        (void)bury(turn, group);
    ms_group_reap(group);
}

void ms_sweep(struct ms_turn *turn) {
    struct ms_groups *groups = turn->groups;
    size_t chains = groups->groups.mask + 1;
    size_t first = groups->sweep_chain < chains ? groups->sweep_chain : 0;
    size_t last = chains - first > SWEEP_CHAINS ? first + SWEEP_CHAINS : chains;
    for (size_t i = first; i < last; i++) {
        struct ms_table_node *node = ms_table_at(&groups->groups, i), *next;
        for (; node != NULL; node = next) {
            next = node->next;
            sweep_group(turn, MS_CONTAINER(node, struct ms_group, node));
        }
    }
    groups->sweep_chain = last < chains ? last : 0;
    int64_t pause_ms = last < chains ? 1 : groups->options.offsets_retention_check_ms;
    ms_timer_set(&groups->timers, &groups->sweep, turn->now_ms + pause_ms);
}

/* ---- DeleteGroups ---- */

static void deliver(struct ms_group_request *request) {
    struct ms_group_delete *deletion = MS_CONTAINER(request, struct ms_group_delete, request);
    deletion->done(deletion, request->code);
}

static void remove_pending_members(struct ms_turn *turn, struct ms_group *group) {
    struct ms_table_node *node;
    while ((node = ms_table_next(&group->members, NULL)) != NULL)
        ms_member_remove(turn, MS_CONTAINER(node, struct ms_member, node), MS_GROUP_UNKNOWN_MEMBER);
}

static enum ms_group_code delete_locked(struct ms_turn *turn, struct ms_group_delete *deletion) {
    enum ms_group_code code = ms_turn_check(turn, deletion->group);
    if (code != MS_GROUP_OK)
        return code;
    struct ms_group *group = ms_group_find(turn->groups, deletion->group);
    if (group == NULL)
        return MS_GROUP_NOT_FOUND;
    if (group->state == MS_GROUP_DEAD)
        return MS_GROUP_NOT_AVAILABLE;
    if (group->state != MS_GROUP_EMPTY || group->pending_offsets > 0)
        return MS_GROUP_NON_EMPTY;
    if (group->consumers != NULL && group->consumers->in_flight)
        return MS_GROUP_NOT_AVAILABLE; /* its last member's leaving */
    struct ms_write *write = bury(turn, group);
    if (write == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    remove_pending_members(turn, group);
    ms_write_attach(write, &deletion->request);
    return MS_GROUP_OK;
}

void ms_groups_delete(struct ms_groups *groups, struct ms_group_delete *deletion) {
    struct ms_turn turn;
    deletion->request.deliver = deliver;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = delete_locked(&turn, deletion);
    if (code != MS_GROUP_OK)
        ms_request_answer(groups, &deletion->request, code, NULL);
    ms_turn_end(&turn);
}
