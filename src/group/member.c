/* Members: what they bring, who they say they are, how long they live. Under the lock. */
#include "base/hash.h"
#include "group/internal.h"

/* ---- protocols ---- */

struct ms_protocols *ms_protocols_new(struct ms_groups *groups,
                                      const struct ms_group_protocol *protocols, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += protocols[i].name.len + protocols[i].metadata.len;
    struct ms_protocols *own =
        ms_group_alloc(groups, sizeof *own + count * sizeof own->item[0] + bytes);
    if (own == NULL)
        return NULL;
    own->count = count;
    own->bytes = bytes;
    uint8_t *at = (uint8_t *)&own->item[count];
    for (size_t i = 0; i < count; i++) {
        struct ms_bytes name = protocols[i].name, metadata = protocols[i].metadata;
        own->item[i].name = ms_bytes_of(at, name.len);
        if (name.len > 0)
            memcpy(at, name.data, name.len);
        at += name.len;
        own->item[i].metadata = ms_bytes_of(at, metadata.len);
        if (metadata.len > 0)
            memcpy(at, metadata.data, metadata.len);
        at += metadata.len;
    }
    return own;
}

bool ms_protocols_equal(const struct ms_protocols *own, const struct ms_group_protocol *protocols,
                        size_t count) {
    if (own->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!ms_bytes_equal(own->item[i].name, protocols[i].name) ||
            !ms_bytes_equal(own->item[i].metadata, protocols[i].metadata))
            return false;
    return true;
}

const struct ms_group_protocol *ms_protocols_find(const struct ms_protocols *protocols,
                                                  struct ms_bytes name) {
    for (size_t i = 0; protocols != NULL && i < protocols->count; i++)
        if (ms_bytes_equal(protocols->item[i].name, name))
            return &protocols->item[i];
    return NULL;
}

struct ms_bytes ms_member_metadata(const struct ms_member *member) {
    const struct ms_group_protocol *protocol =
        ms_protocols_find(member->protocols, member->group->protocol_name);
    return protocol != NULL ? protocol->metadata : (struct ms_bytes){0};
}

/* ---- coming and going ---- */

static uint64_t hash_of(struct ms_bytes id) { return ms_hash64(id.data, id.len, 0); }

static void free_member(struct ms_member *member) {
    struct ms_groups *groups = member->group->groups;
    ms_group_drop(groups, &member->id);
    ms_group_drop(groups, &member->instance_id);
    ms_group_drop(groups, &member->client_id);
    ms_group_drop(groups, &member->client_host);
    ms_group_drop(groups, &member->assignment);
    ms_group_drop(groups, &member->proposed);
    ms_group_release(groups, member->protocols);
    ms_group_release(groups, member);
}

struct ms_member *ms_member_new(struct ms_group *group, struct ms_bytes id,
                                struct ms_bytes instance_id) {
    struct ms_groups *groups = group->groups;
    struct ms_member *member = ms_group_alloc(groups, sizeof *member);
    if (member == NULL)
        return NULL;
    *member = (struct ms_member){.group = group, .pending = true, .fresh = true};
    member->session.kind = MS_TIMER_SESSION;
    if (!ms_group_copy(groups, id, &member->id) ||
        !ms_group_copy(groups, instance_id, &member->instance_id) ||
        ms_timers_reserve(&groups->timers) != 0) {
        free_member(member);
        return NULL;
    }
    ms_table_put(&group->members, &member->node, hash_of(id));
    group->pending_count++;
    groups->pending_members++;
    return member;
}

void ms_member_admit(struct ms_member *member) {
    struct ms_group *group = member->group;
    MS_ASSERT(member->pending);
    member->pending = false;
    group->pending_count--;
    group->groups->pending_members--;
    group->member_count++;
    group->groups->members++;
    member->previous = group->last;
    if (group->last != NULL)
        group->last->next = member;
    else
        group->first = member;
    group->last = member;
    if (group->leader == NULL)
        group->leader = member;
}

static void unlink_member(struct ms_member *member) {
    struct ms_group *group = member->group;
    if (member->previous != NULL)
        member->previous->next = member->next;
    else
        group->first = member->next;
    if (member->next != NULL)
        member->next->previous = member->previous;
    else
        group->last = member->previous;
    group->member_count--;
    group->groups->members--;
    if (group->leader == member)
        group->leader = group->first;
}

void ms_member_remove(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code) {
    struct ms_group *group = member->group;
    ms_join_answer(turn, member, code);
    ms_sync_answer(turn, member, code);
    ms_timers_release(&group->groups->timers, &member->session);
    ms_table_take(&group->members, &member->node);
    if (member->pending) {
        group->pending_count--;
        group->groups->pending_members--;
    } else {
        unlink_member(member);
    }
    free_member(member);
}

bool ms_member_rename(struct ms_turn *turn, struct ms_member *member, struct ms_bytes id) {
    struct ms_group *group = member->group;
    struct ms_bytes copy;
    if (!ms_group_copy(group->groups, id, &copy))
        return false;
    ms_join_answer(turn, member, MS_GROUP_FENCED_INSTANCE);
    ms_sync_answer(turn, member, MS_GROUP_FENCED_INSTANCE);
    ms_table_take(&group->members, &member->node);
    ms_group_drop(group->groups, &member->id);
    member->id = copy;
    ms_table_put(&group->members, &member->node, hash_of(copy));
    return true;
}

void ms_member_set_assignment(struct ms_member *member, struct ms_bytes *assignment) {
    ms_group_drop(member->group->groups, &member->assignment);
    member->assignment = *assignment;
    *assignment = (struct ms_bytes){0};
}

/* ---- finding ---- */

static struct ms_member *find(const struct ms_group *group, struct ms_bytes id, bool pending) {
    uint64_t hash = hash_of(id);
    struct ms_table_node *node = ms_table_find(&group->members, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_member *member = MS_CONTAINER(node, struct ms_member, node);
        if (member->pending == pending && ms_bytes_equal(member->id, id))
            return member;
    }
    return NULL;
}

struct ms_member *ms_member_find(const struct ms_group *group, struct ms_bytes id) {
    return find(group, id, false);
}

struct ms_member *ms_member_find_pending(const struct ms_group *group, struct ms_bytes id) {
    return find(group, id, true);
}

struct ms_member *ms_member_find_instance(const struct ms_group *group, struct ms_bytes instance) {
    for (struct ms_member *m = group->first; instance.len > 0 && m != NULL; m = m->next)
        if (ms_bytes_equal(m->instance_id, instance))
            return m;
    return NULL;
}

enum ms_group_code ms_member_check(const struct ms_group *group, struct ms_bytes id,
                                   struct ms_bytes instance_id, struct ms_member **ret_member) {
    struct ms_member *member = ms_member_find(group, id);
    if (instance_id.len > 0 &&
        (member == NULL || !ms_bytes_equal(member->instance_id, instance_id)))
        return ms_member_find_instance(group, instance_id) != NULL ? MS_GROUP_FENCED_INSTANCE
                                                                   : MS_GROUP_UNKNOWN_MEMBER;
    if (member == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    *ret_member = member;
    return MS_GROUP_OK;
}

/* ---- sessions ---- */

void ms_member_touch(struct ms_turn *turn, struct ms_member *member) {
    ms_timer_set(&turn->groups->timers, &member->session,
                 turn->now_ms + member->session_timeout_ms);
}

void ms_member_expire(struct ms_turn *turn, struct ms_member *member) {
    struct ms_group *group = member->group;
    bool waits = member->join != NULL || member->sync != NULL;
    if (waits && !member->fresh) {
        ms_member_touch(turn, member); /* what it waits for has its own end */
        return;
    }
    bool pending = member->pending;
    ms_member_remove(turn, member, MS_GROUP_UNKNOWN_MEMBER);
    if (!pending)
        ms_rebalance_after_removal(turn, group);
    else
        ms_rebalance_try_complete(turn, group);
    ms_group_reap(group);
}
