/* Who is to own what: the target assignment of a consumer group, made for an epoch. Under the
 * lock. */
#include <stdlib.h>

#include "base/alloc.h"
#include "group/assign.h"
#include "group/consumer.h"

void ms_consumers_raise(struct ms_turn *turn, struct ms_group *group) {
    group->generation = group->generation < INT32_MAX ? group->generation + 1 : 1;
    turn->groups->rebalances++;
    ms_consumers_mark(group, MS_MARK_GROUP);
}

enum ms_assignor ms_consumers_choose(const struct ms_group *group) {
    uint32_t votes[MS_ASSIGNORS] = {0};
    for (const struct ms_consumer *m = group->consumers->first; m != NULL; m = m->next)
        votes[m->assignor]++;
    return votes[MS_ASSIGNOR_RANGE] > votes[MS_ASSIGNOR_UNIFORM] ? MS_ASSIGNOR_RANGE
                                                                 : MS_ASSIGNOR_UNIFORM;
}

/* ---- what the assignors work on ---- */

struct draft {
    struct ms_arena arena;
    struct ms_consumer **members; /* in the assignors' order */
    struct ms_assign assign;
};

/* Static members by their instance ids, then the others by their ids: so those who come back stay
 * where they were in a range. */
static int by_rank(const void *a, const void *b) {
    const struct ms_consumer *one = *(struct ms_consumer *const *)a;
    const struct ms_consumer *two = *(struct ms_consumer *const *)b;
    bool one_static = one->instance_id.len > 0, two_static = two->instance_id.len > 0;
    if (one_static != two_static)
        return one_static ? -1 : 1;
    return one_static ? ms_bytes_compare(one->instance_id, two->instance_id)
                      : ms_bytes_compare(one->id, two->id);
}

static bool draft_members(struct draft *draft, struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    size_t count = 0;
    struct ms_assign_member *members =
        ms_arena_alloc(&draft->arena, (consumers->count + 1) * sizeof *members);
    draft->members = ms_arena_alloc(&draft->arena, (consumers->count + 1) * sizeof *draft->members);
    if (members == NULL || draft->members == NULL)
        return false;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = m->next)
        draft->members[count++] = m;
    qsort(draft->members, count, sizeof *draft->members, by_rank);
    for (size_t i = 0; i < count; i++) {
        struct ms_consumer *member = draft->members[i];
        uint32_t *topics =
            ms_arena_alloc(&draft->arena, (member->topic_count + 1) * sizeof *topics);
        if (topics == NULL)
            return false;
        for (size_t t = 0; t < member->topic_count; t++)
            topics[t] = member->topics[t]->index;
        members[i] = (struct ms_assign_member){topics, member->topic_count};
        member->index = (uint32_t)i;
    }
    draft->assign.members = members;
    draft->assign.member_count = count;
    return true;
}

static bool draft_topics(struct draft *draft, struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    size_t total = 0;
    uint32_t *partitions =
        ms_arena_alloc(&draft->arena, (consumers->topic_count + 1) * sizeof *partitions);
    if (partitions == NULL)
        return false;
    for (size_t t = 0; t < consumers->topic_count; t++) {
        struct ms_consumer_topic *topic = consumers->topics[t];
        if (!ms_consumer_topic_reserve(group, topic, topic->present))
            return false;
        topic->index = (uint32_t)t;
        partitions[t] = topic->present;
        total += topic->present;
    }
    draft->assign.partitions = partitions;
    draft->assign.topic_count = consumers->topic_count;
    draft->assign.owners = ms_arena_alloc(&draft->arena, (total + 1) * sizeof(uint32_t));
    return draft->assign.owners != NULL;
}

static void draft_owners(struct draft *draft, const struct ms_group *group) {
    uint32_t *owner = draft->assign.owners;
    for (size_t t = 0; t < group->consumers->topic_count; t++) {
        const struct ms_consumer_topic *topic = group->consumers->topics[t];
        for (uint32_t p = 0; p < topic->present; p++, owner++)
            *owner =
                topic->slots[p].target != NULL ? topic->slots[p].target->index : MS_ASSIGN_NONE;
    }
}

/* ---- taking it over ---- */

static void set_target(struct ms_consumer_slot *slot, struct ms_consumer *member) {
    if (slot->target == member)
        return;
    if (slot->target != NULL)
        ms_consumer_mark(slot->target, MS_MARK_TARGET);
    slot->target = member;
    if (member != NULL)
        ms_consumer_mark(member, MS_MARK_TARGET);
}

static void adopt(const struct draft *draft, struct ms_group *group) {
    const uint32_t *owner = draft->assign.owners;
    for (size_t t = 0; t < group->consumers->topic_count; t++) {
        struct ms_consumer_topic *topic = group->consumers->topics[t];
        for (uint32_t p = 0; p < topic->present; p++, owner++)
            set_target(&topic->slots[p], *owner != MS_ASSIGN_NONE ? draft->members[*owner] : NULL);
        for (uint32_t p = topic->present; p < topic->slot_count; p++)
            set_target(&topic->slots[p], NULL);
        topic->partitions = topic->present;
    }
}

static bool make(struct draft *draft, struct ms_group *group) {
    if (!draft_topics(draft, group) || !draft_members(draft, group))
        return false;
    draft_owners(draft, group);
    enum ms_assignor assignor = ms_consumers_choose(group);
    int rc = assignor == MS_ASSIGNOR_RANGE ? ms_assign_range(&draft->assign)
                                           : ms_assign_uniform(&draft->assign);
    if (rc != 0)
        return false;
    group->consumers->assignor = assignor;
    return true;
}

void ms_consumers_assign(struct ms_turn *turn, struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    if (ms_consumers_look_at_topics(group) && consumers->target_epoch == group->generation)
        ms_consumers_raise(turn, group);
    if (consumers->target_epoch != group->generation && !consumers->stale) {
        struct draft draft = {0};
        ms_arena_init(&draft.arena, turn->groups->options.bytes_max);
        if (make(&draft, group)) {
            adopt(&draft, group);
            consumers->target_epoch = group->generation;
            ms_consumers_mark(group, MS_MARK_TARGET_EPOCH);
            ms_consumers_forget_topics(group);
        }
        ms_arena_deinit(&draft.arena);
    }
    ms_consumers_restate(turn, group);
}
