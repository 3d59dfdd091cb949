/* SyncGroup, Heartbeat, LeaveGroup: members of a generation. Under the lock but for ms_groups_…. */
#include "base/alloc.h"
#include "group/consumer.h"
#include "group/internal.h"

/* ---- answers to syncs ---- */

static void deliver(struct ms_group_request *request) {
    struct ms_group_sync *sync = MS_CONTAINER(request, struct ms_group_sync, request);
    struct ms_group_sync_answer bare = {.code = request->code};
    const struct ms_group_sync_answer *answer = request->memory;
    sync->done(sync, answer != NULL ? answer : &bare);
}

static void answer_assignment(struct ms_groups *groups, const struct ms_member *member,
                              struct ms_group_sync *sync) {
    const struct ms_group *group = member->group;
    struct ms_group_sync_answer *answer =
        ms_alloc(sizeof *answer + group->protocol_type.len + group->protocol_name.len +
                 member->assignment.len);
    if (answer != NULL) {
        uint8_t *at = (uint8_t *)(answer + 1);
        answer->code = MS_GROUP_OK;
        answer->protocol_type = ms_place(&at, group->protocol_type);
        answer->protocol_name = ms_place(&at, group->protocol_name);
        answer->assignment = ms_place(&at, member->assignment);
    }
    ms_request_answer(groups, &sync->request, answer != NULL ? MS_GROUP_OK : MS_GROUP_NOT_AVAILABLE,
                      answer);
}

void ms_sync_answer(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code) {
    struct ms_group_sync *sync = member->sync;
    if (sync == NULL)
        return;
    member->sync = NULL;
    if (code == MS_GROUP_OK)
        answer_assignment(turn->groups, member, sync);
    else
        ms_request_answer(turn->groups, &sync->request, code, NULL);
}

static void detach(struct ms_groups *groups, struct ms_group_request *request) {
    (void)groups;
    struct ms_member *member = request->owner;
    member->sync = NULL;
}

/* ---- the leader's assignments ---- */

static void assignments_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    struct ms_group *group = write->group;
    if (group->state != MS_GROUP_COMPLETING || group->generation != write->generation ||
        !group->assigning)
        return; /* a rebalance came in between */
    group->assigning = false;
    if (code != 0) {
        enum ms_group_code answer = ms_write_code(code, MS_GROUP_UNKNOWN_SERVER_ERROR);
        ms_rebalance_answer_syncs(turn, group, answer);
        ms_rebalance_prepare(turn, group);
        return;
    }
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        ms_member_set_assignment(m, &m->proposed);
    ms_group_enter(turn, group, MS_GROUP_STABLE);
    ms_rebalance_answer_syncs(turn, group, MS_GROUP_OK);
}

static enum ms_group_code propose(struct ms_group *group, const struct ms_group_sync *sync) {
    struct ms_groups *groups = group->groups;
    for (size_t i = 0; i < sync->assignment_count; i++) {
        struct ms_member *member = ms_member_find(group, sync->assignments[i].member_id);
        if (member == NULL)
            continue;
        if (sync->assignments[i].assignment.len > groups->options.member_bytes_max)
            return MS_GROUP_INVALID_REQUEST;
        ms_group_drop(groups, &member->proposed);
        if (!ms_group_copy(groups, sync->assignments[i].assignment, &member->proposed))
            return MS_GROUP_NOT_AVAILABLE;
    }
    return MS_GROUP_OK;
}

static enum ms_group_code store_assignments(struct ms_turn *turn, struct ms_group *group,
                                            const struct ms_group_sync *sync) {
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        ms_group_drop(group->groups, &m->proposed);
    enum ms_group_code code = propose(group, sync);
    if (code != MS_GROUP_OK)
        return code;
    struct ms_write *write = ms_write_new(group, 1, 0, assignments_stored);
    if (write == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    int rc = ms_group_encode(write, group, true);
    if (rc != 0) {
        ms_write_free(write);
        return ms_write_code(rc, MS_GROUP_UNKNOWN_SERVER_ERROR);
    }
    group->assigning = true;
    group->stored = true;
    ms_write_queue(turn, write);
    return MS_GROUP_OK;
}

/* ---- SyncGroup ---- */

static bool names_same(struct ms_bytes said, struct ms_bytes is) {
    return said.len == 0 || ms_bytes_equal(said, is);
}

static enum ms_group_code wait_for_assignment(struct ms_turn *turn, struct ms_member *member,
                                              struct ms_group_sync *sync) {
    struct ms_group *group = member->group;
    if (group->leader == member && !group->assigning) {
        enum ms_group_code code = store_assignments(turn, group, sync);
        if (code != MS_GROUP_OK)
            return code;
    }
    ms_sync_answer(turn, member, MS_GROUP_REBALANCING); /* an earlier try */
    member->sync = sync;
    ms_request_wait(&sync->request, member, detach);
    ms_rebalance_synced(turn, member);
    return MS_GROUP_OK;
}

static enum ms_group_code sync_locked(struct ms_turn *turn, struct ms_group_sync *sync) {
    struct ms_member *member;
    enum ms_group_code code = ms_turn_check(turn, sync->group);
    if (code != MS_GROUP_OK)
        return code;
    struct ms_group *group = ms_group_find(turn->groups, sync->group);
    if (group == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    code = ms_member_check(group, sync->member_id, sync->instance_id, &member);
    if (code != MS_GROUP_OK)
        return code;
    if (sync->generation != group->generation)
        return MS_GROUP_ILLEGAL_GENERATION;
    if (!names_same(sync->protocol_type, group->protocol_type) ||
        !names_same(sync->protocol_name, group->protocol_name))
        return MS_GROUP_INCONSISTENT_PROTOCOL;
    switch (group->state) {
    case MS_GROUP_PREPARING:
        return MS_GROUP_REBALANCING;
    case MS_GROUP_COMPLETING:
        ms_member_touch(turn, member);
        return wait_for_assignment(turn, member, sync);
    case MS_GROUP_STABLE:
        ms_member_touch(turn, member);
        ms_rebalance_synced(turn, member);
        answer_assignment(turn->groups, member, sync);
        return MS_GROUP_OK;
    case MS_GROUP_EMPTY:
    case MS_GROUP_DEAD:
    case MS_GROUP_ASSIGNING:
    case MS_GROUP_RECONCILING:
    case MS_GROUP_STATES:
        break;
    }
    return MS_GROUP_UNKNOWN_MEMBER;
}

void ms_groups_sync(struct ms_groups *groups, struct ms_group_sync *sync) {
    struct ms_turn turn;
    sync->request.deliver = deliver;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = sync_locked(&turn, sync);
    if (code != MS_GROUP_OK)
        ms_request_answer(groups, &sync->request, code, NULL);
    ms_turn_end(&turn);
}

/* ---- Heartbeat ---- */

static enum ms_group_code heartbeat_locked(struct ms_turn *turn,
                                           const struct ms_group_identity *identity) {
    struct ms_member *member;
    enum ms_group_code code = ms_turn_check(turn, identity->group);
    if (code != MS_GROUP_OK)
        return code;
    struct ms_group *group = ms_group_find(turn->groups, identity->group);
    if (group == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    code = ms_member_check(group, identity->member_id, identity->instance_id, &member);
    if (code != MS_GROUP_OK)
        return code;
    if (identity->generation != group->generation)
        return MS_GROUP_ILLEGAL_GENERATION;
    ms_member_touch(turn, member);
    return group->state == MS_GROUP_PREPARING ? MS_GROUP_REBALANCING : MS_GROUP_OK;
}

enum ms_group_code ms_groups_heartbeat(struct ms_groups *groups,
                                       const struct ms_group_identity *identity) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = heartbeat_locked(&turn, identity);
    ms_turn_end(&turn);
    return code;
}

/* ---- LeaveGroup ---- */

static enum ms_group_code leave_one(struct ms_turn *turn, struct ms_group *group,
                                    const struct ms_group_leaver *leaver) {
    enum ms_group_code code = MS_GROUP_OK;
    if (group->consumers != NULL)
        return ms_consumer_leave(turn, group, leaver);
    struct ms_member *member = ms_member_find_pending(group, leaver->member_id);
    bool pending = member != NULL;
    if (!pending && leaver->member_id.len == 0) {
        member = ms_member_find_instance(group, leaver->instance_id);
        code = member != NULL ? MS_GROUP_OK : MS_GROUP_UNKNOWN_MEMBER;
    } else if (!pending) {
        code = ms_member_check(group, leaver->member_id, leaver->instance_id, &member);
    }
    if (code != MS_GROUP_OK)
        return code;
    ms_member_remove(turn, member, MS_GROUP_UNKNOWN_MEMBER);
    if (!pending)
        ms_rebalance_after_removal(turn, group);
    else
        ms_rebalance_try_complete(turn, group);
    return MS_GROUP_OK;
}

enum ms_group_code ms_groups_leave(struct ms_groups *groups, struct ms_bytes id,
                                   struct ms_group_leaver *leavers, size_t count) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, id);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, id) : NULL;
    if (group != NULL && group->state == MS_GROUP_DEAD)
        code = MS_GROUP_NOT_AVAILABLE;
    for (size_t i = 0; i < count && code == MS_GROUP_OK; i++)
        leavers[i].code =
            group != NULL ? leave_one(&turn, group, &leavers[i]) : MS_GROUP_UNKNOWN_MEMBER;
    if (group != NULL)
        ms_group_reap(group);
    ms_turn_end(&turn);
    return code;
}
