/* Members of consumer groups: coming, going, being found, and what the group is then. Under the
 * lock. */
#include "group/consumer.h"

#include "base/alloc.h"
#include "base/hash.h"

static uint64_t hash_of(struct ms_bytes id) { return ms_hash64(id.data, id.len, 0); }

/* ---- the group's part ---- */

bool ms_consumers_begin(struct ms_turn *turn, struct ms_group *group) {
    struct ms_groups *groups = turn->groups;
    struct ms_bytes type;
    MS_ASSERT(group->state == MS_GROUP_EMPTY && group->consumers == NULL &&
              group->members.count == 0);
    struct ms_consumer_group *consumers = ms_group_alloc(groups, sizeof *consumers);
    if (consumers == NULL)
        return false;
    if (!ms_group_copy(groups, MS_BYTES_LITERAL("consumer"), &type)) {
        ms_group_release(groups, consumers);
        return false;
    }
    *consumers = (struct ms_consumer_group){.stale = true};
    group->consumers = consumers;
    group->type = MS_GROUP_TYPE_CONSUMER;
    group->generation = 0;
    ms_group_drop(groups, &group->protocol_type);
    ms_group_drop(groups, &group->protocol_name);
    group->protocol_type = type;
    if (group->stored)
        ms_consumers_mark(group, MS_MARK_CLASSIC);
    return true;
}

void ms_consumers_free(struct ms_group *group) {
    struct ms_groups *groups = group->groups;
    struct ms_consumer_group *consumers = group->consumers;
    if (consumers == NULL)
        return;
    MS_ASSERT(consumers->waiting == NULL);
    struct ms_consumer *next;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = next) {
        next = m->next;
        groups->members--;
        ms_consumer_free(m);
    }
    for (struct ms_consumer *m = consumers->gone; m != NULL; m = next) {
        next = m->next;
        ms_consumer_free(m);
    }
    for (size_t i = 0; i < consumers->topic_count; i++)
        ms_consumer_topic_free(group, consumers->topics[i]);
    ms_group_release(groups, consumers->topics);
    ms_table_deinit(&consumers->members);
    ms_group_release(groups, consumers);
    group->consumers = NULL;
}

static void end_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    (void)turn, (void)write, (void)code; /* a record with a higher position says it as well */
}

void ms_consumers_end(struct ms_turn *turn, struct ms_group *group) {
    MS_ASSERT(group->consumers->count == 0);
    struct ms_write *write = ms_write_new(group, ms_consumers_tombstones(group), 0, end_stored);
    if (write != NULL && group->stored && ms_consumers_encode_tombstones(write, group) == 0)
        ms_write_queue(turn, write);
    else if (write != NULL)
        ms_write_free(write);
    ms_consumers_free(group);
    group->type = MS_GROUP_TYPE_CLASSIC;
    group->generation = 0;
    ms_group_drop(turn->groups, &group->protocol_type);
}

void ms_consumers_mark(struct ms_group *group, unsigned marks) {
    group->consumers->marks |= marks;
    group->consumers->change++;
}

void ms_consumer_mark(struct ms_consumer *member, unsigned marks) {
    member->marks |= marks;
    member->group->consumers->change++;
}

static bool is_settled(const struct ms_consumer *member, int32_t target_epoch) {
    return member->state == MS_CONSUMER_STABLE && member->epoch == target_epoch;
}

void ms_consumers_restate(struct ms_turn *turn, struct ms_group *group) {
    const struct ms_consumer_group *consumers = group->consumers;
    enum ms_group_state state = MS_GROUP_STABLE;
    if (group->state == MS_GROUP_DEAD)
        return;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        if (!is_settled(m, consumers->target_epoch))
            state = MS_GROUP_RECONCILING;
    if (consumers->target_epoch != group->generation)
        state = MS_GROUP_ASSIGNING;
    if (consumers->count == 0)
        state = MS_GROUP_EMPTY;
    if (state != group->state)
        ms_group_enter(turn, group, state);
}

/* ---- assignors ---- */

static const char *const assignor_names[MS_ASSIGNORS] = {
    [MS_ASSIGNOR_NONE] = "",
    [MS_ASSIGNOR_UNIFORM] = "uniform",
    [MS_ASSIGNOR_RANGE] = "range",
};

enum ms_assignor ms_assignor_of(struct ms_bytes name) {
    enum ms_assignor assignor = MS_ASSIGNOR_NONE;
    while (assignor < MS_ASSIGNORS && !ms_bytes_equal_cstr(name, assignor_names[assignor]))
        assignor++;
    return assignor;
}

const char *ms_assignor_name(enum ms_assignor assignor) { return assignor_names[assignor]; }

/* ---- coming and going ---- */

void ms_consumer_free(struct ms_consumer *member) {
    struct ms_groups *groups = member->group->groups;
    ms_timers_release(&groups->timers, &member->session);
    ms_timers_release(&groups->timers, &member->revocation);
    ms_group_drop(groups, &member->id);
    ms_group_drop(groups, &member->instance_id);
    ms_group_drop(groups, &member->rack_id);
    ms_group_drop(groups, &member->client_id);
    ms_group_drop(groups, &member->client_host);
    ms_group_drop(groups, &member->pattern);
    ms_group_release(groups, member->names);
    ms_group_release(groups, member->topics);
    if (member->found != NULL) {
        ms_group_drop(groups, &member->found->target);
        ms_group_drop(groups, &member->found->current);
        ms_group_release(groups, member->found);
    }
    ms_group_release(groups, member);
}

/* In no group's table yet. NULL: memory. */
static struct ms_consumer *make(struct ms_group *group, struct ms_bytes id) {
    struct ms_groups *groups = group->groups;
    struct ms_consumer *member = ms_group_alloc(groups, sizeof *member);
    if (member == NULL)
        return NULL;
    *member = (struct ms_consumer){.group = group};
    member->session.kind = MS_TIMER_CONSUMER_SESSION;
    member->revocation.kind = MS_TIMER_REVOCATION;
    int timers = ms_timers_reserve(&groups->timers) == 0;
    timers += timers == 1 && ms_timers_reserve(&groups->timers) == 0;
    if (timers == 2 && ms_group_copy(groups, id, &member->id))
        return member;
    for (; timers > 0; timers--)
        ms_timers_release(&groups->timers, &member->session);
    ms_group_release(groups, member);
    return NULL;
}

struct ms_consumer *ms_consumer_new(struct ms_group *group, struct ms_bytes id,
                                    struct ms_bytes instance_id) {
    struct ms_consumer_group *consumers = group->consumers;
    struct ms_consumer *member = make(group, id);
    if (member == NULL)
        return NULL;
    member->names = ms_names_new(group->groups, NULL, 0);
    if (member->names == NULL || !ms_group_copy(group->groups, instance_id, &member->instance_id)) {
        ms_consumer_free(member);
        return NULL;
    }
    ms_table_put(&consumers->members, &member->node, hash_of(id));
    member->previous = consumers->last;
    if (consumers->last != NULL)
        consumers->last->next = member;
    else
        consumers->first = member;
    consumers->last = member;
    consumers->count++;
    group->groups->members++;
    return member;
}

/* From now on only its tombstones are of interest. */
static void bury(struct ms_consumer *member) {
    member->next = member->group->consumers->gone;
    member->previous = NULL;
    member->group->consumers->gone = member;
    member->writing = 0;
    ms_consumer_mark(member, MS_MARK_ALL_OF_CONSUMER);
}

static void unlink_member(struct ms_consumer *member) {
    struct ms_consumer_group *consumers = member->group->consumers;
    ms_table_take(&consumers->members, &member->node);
    if (member->previous != NULL)
        member->previous->next = member->next;
    else
        consumers->first = member->next;
    if (member->next != NULL)
        member->next->previous = member->previous;
    else
        consumers->last = member->previous;
    consumers->count--;
    member->group->groups->members--;
}

void ms_consumer_forget(struct ms_consumer *member) {
    unlink_member(member);
    ms_consumer_free(member);
}

void ms_consumer_remove(struct ms_turn *turn, struct ms_consumer *member, enum ms_group_code code) {
    struct ms_group *group = member->group;
    struct ms_consumer_group *consumers = group->consumers;
    ms_consume_refuse(turn, member, code);
    ms_timer_stop(&turn->groups->timers, &member->session);
    ms_timer_stop(&turn->groups->timers, &member->revocation);
    ms_consumer_release(member, true);
    for (size_t t = 0; t < consumers->topic_count; t++)
        for (uint32_t p = 0; p < consumers->topics[t]->slot_count; p++)
            if (consumers->topics[t]->slots[p].target == member)
                consumers->topics[t]->slots[p].target = NULL;
    unlink_member(member);
    consumers->stale = true; /* what it read may be read by nobody now */
    bury(member);
    ms_consumers_raise(turn, group);
}

bool ms_consumer_rename(struct ms_turn *turn, struct ms_consumer *member, struct ms_bytes id) {
    struct ms_group *group = member->group;
    struct ms_consumer *old = make(group, id); /* takes the old id */
    if (old == NULL)
        return false;
    ms_consume_refuse(turn, member, MS_GROUP_FENCED_INSTANCE);
    ms_table_take(&group->consumers->members, &member->node);
    struct ms_bytes new_id = old->id;
    old->id = member->id;
    member->id = new_id;
    ms_table_put(&group->consumers->members, &member->node, hash_of(new_id));
    bury(old);
    member->writing = 0; /* what is in flight is about the old id */
    ms_consumer_mark(member, MS_MARK_ALL_OF_CONSUMER);
    return true;
}

enum ms_group_code ms_consumer_leave(struct ms_turn *turn, struct ms_group *group,
                                     const struct ms_group_leaver *leaver) {
    struct ms_consumer *member = leaver->member_id.len > 0
                                     ? ms_consumer_find(group, leaver->member_id)
                                     : ms_consumer_find_instance(group, leaver->instance_id);
    if (member == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    if (leaver->instance_id.len > 0 && !ms_bytes_equal(member->instance_id, leaver->instance_id))
        return MS_GROUP_FENCED_INSTANCE;
    ms_consumer_remove(turn, member, MS_GROUP_UNKNOWN_MEMBER);
    ms_consumers_assign(turn, group);
    ms_consumers_flush(turn, group);
    return MS_GROUP_OK;
}

/* ---- finding ---- */

struct ms_consumer *ms_consumer_find(const struct ms_group *group, struct ms_bytes id) {
    uint64_t hash = hash_of(id);
    struct ms_table_node *node = ms_table_find(&group->consumers->members, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_consumer *member = MS_CONTAINER(node, struct ms_consumer, node);
        if (ms_bytes_equal(member->id, id))
            return member;
    }
    return NULL;
}

struct ms_consumer *ms_consumer_find_instance(const struct ms_group *group,
                                              struct ms_bytes instance) {
    struct ms_consumer *m = group->consumers->first;
    for (; instance.len > 0 && m != NULL; m = m->next)
        if (ms_bytes_equal(m->instance_id, instance))
            return m;
    return NULL;
}

enum ms_group_code ms_consumer_check(const struct ms_group *group, struct ms_bytes id,
                                     int32_t epoch, struct ms_consumer **ret_member) {
    struct ms_consumer *member = ms_consumer_find(group, id);
    if (member == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    if (member->epoch != epoch || epoch < 0) /* a static member that is away has -2 */
        return MS_GROUP_STALE_EPOCH;
    *ret_member = member;
    return MS_GROUP_OK;
}

/* ---- time ---- */

void ms_consumer_touch(struct ms_turn *turn, struct ms_consumer *member) {
    struct ms_groups *groups = turn->groups;
    ms_timer_set(&groups->timers, &member->session,
                 turn->now_ms + groups->options.consumer_session_timeout_ms);
}

void ms_consumer_expire(struct ms_turn *turn, struct ms_consumer *member) {
    struct ms_group *group = member->group;
    ms_consumer_remove(turn, member, MS_GROUP_UNKNOWN_MEMBER);
    ms_consumers_assign(turn, group);
    ms_consumers_flush(turn, group);
    ms_group_reap(group);
}

void ms_consumer_revocation_expire(struct ms_turn *turn, struct ms_consumer *member) {
    if (member->state == MS_CONSUMER_UNREVOKED)
        ms_consumer_expire(turn, member);
}
