/* How a member of a consumer group gets from what it owns to what the target gives it; the drawing
 * is in group.h. Under the lock. */
#include "group/consumer.h"

/* ---- what the member says it owns ---- */

static bool names(const struct ms_group_partitions *owned, size_t count, const struct ms_uuid *id,
                  uint32_t partition) {
    for (size_t t = 0; t < count; t++) {
        if (!ms_uuid_equal(&owned[t].topic_id, id))
            continue;
        for (size_t i = 0; i < owned[t].count; i++)
            if (owned[t].partitions[i] == (int32_t)partition)
                return true;
    }
    return false;
}

bool ms_consumer_owns(const struct ms_consumer *member, const struct ms_group_partitions *owned,
                      size_t owned_count) {
    for (size_t t = 0; t < owned_count; t++) {
        const struct ms_consumer_topic *topic =
            ms_consumer_topic_find(member->group, &owned[t].topic_id);
        for (size_t i = 0; i < owned[t].count; i++) {
            int32_t p = owned[t].partitions[i];
            if (topic == NULL || p < 0 || (uint32_t)p >= topic->slot_count ||
                topic->slots[p].owner != member || topic->slots[p].revoking)
                return false;
        }
    }
    return true;
}

/* ---- the member's slots ---- */

struct step {
    struct ms_consumer *member;
    const struct ms_group_partitions *owned;
    size_t owned_count;
    bool loses;       /* owns what the target gives to others */
    bool holds_on;    /* and hasn't let go of all of it */
    bool gains;       /* something of its target is free */
    bool has_to_wait; /* and something is not */
};

/* True: the member may still work on it. */
static bool still_has(const struct step *step, const struct ms_consumer_topic *topic, uint32_t p) {
    return step->owned == NULL || names(step->owned, step->owned_count, &topic->id, p);
}

static void each_slot(struct step *step,
                      void (*visit)(struct step *step, const struct ms_consumer_topic *topic,
                                    uint32_t partition)) {
    struct ms_consumer_group *consumers = step->member->group->consumers;
    for (size_t t = 0; t < consumers->topic_count; t++)
        for (uint32_t p = 0; p < consumers->topics[t]->slot_count; p++)
            visit(step, consumers->topics[t], p);
}

static void look_at(struct step *step, const struct ms_consumer_topic *topic, uint32_t p) {
    const struct ms_consumer_slot *slot = &topic->slots[p];
    bool mine = slot->owner == step->member, wanted = slot->target == step->member;
    if (mine && !wanted) {
        step->loses = true;
        step->holds_on |= still_has(step, topic, p);
    } else if (wanted && !mine) {
        step->gains |= slot->owner == NULL;
        step->has_to_wait |= slot->owner != NULL;
    }
}

static void find_unrevoked(struct step *step, const struct ms_consumer_topic *topic, uint32_t p) {
    const struct ms_consumer_slot *slot = &topic->slots[p];
    if (slot->owner == step->member && slot->revoking)
        step->holds_on |= still_has(step, topic, p);
}

static void begin_revoking(struct step *step, const struct ms_consumer_topic *topic, uint32_t p) {
    struct ms_consumer_slot *slot = &topic->slots[p];
    slot->revoking |= slot->owner == step->member && slot->target != step->member;
}

static void move(struct step *step, const struct ms_consumer_topic *topic, uint32_t p) {
    struct ms_consumer_slot *slot = &topic->slots[p];
    if (slot->owner == step->member && slot->target != step->member)
        *slot = (struct ms_consumer_slot){.target = slot->target};
    else if (slot->owner == NULL && slot->target == step->member)
        slot->owner = step->member;
}

void ms_consumer_release(struct ms_consumer *member, bool all) {
    struct ms_consumer_group *consumers = member->group->consumers;
    for (size_t t = 0; t < consumers->topic_count; t++)
        for (uint32_t p = 0; p < consumers->topics[t]->slot_count; p++) {
            struct ms_consumer_slot *slot = &consumers->topics[t]->slots[p];
            if (slot->owner == member && (all || slot->revoking))
                *slot = (struct ms_consumer_slot){.target = slot->target};
        }
}

/* ---- the step ---- */

static void wait_for_revocation(struct ms_turn *turn, struct ms_consumer *member) {
    member->state = MS_CONSUMER_UNREVOKED;
    ms_timer_set(&turn->groups->timers, &member->revocation,
                 turn->now_ms + member->rebalance_timeout_ms);
    member->untold = true;
    ms_consumer_mark(member, MS_MARK_CURRENT);
}

static void arrive(struct step *step, int32_t target_epoch) {
    struct ms_consumer *member = step->member;
    enum ms_consumer_state state = step->has_to_wait ? MS_CONSUMER_UNRELEASED : MS_CONSUMER_STABLE;
    if (!step->loses && !step->gains && member->state == state && member->epoch == target_epoch)
        return;
    each_slot(step, move);
    member->state = state;
    member->epoch = target_epoch;
    member->untold = true;
    ms_consumer_mark(member, MS_MARK_CURRENT);
}

void ms_reconcile(struct ms_turn *turn, struct ms_consumer *member,
                  const struct ms_group_partitions *owned, size_t owned_count) {
    struct ms_group *group = member->group;
    int32_t target_epoch = group->consumers->target_epoch;
    struct step step = {.member = member, .owned = owned, .owned_count = owned_count};
    if (member->state == MS_CONSUMER_STABLE && member->epoch == target_epoch)
        return;
    if (member->state == MS_CONSUMER_UNREVOKED) {
        each_slot(&step, find_unrevoked);
        if (step.holds_on)
            return;
        ms_consumer_release(member, false);
        ms_timer_stop(&turn->groups->timers, &member->revocation);
        ms_consumer_mark(member, MS_MARK_CURRENT);
    }
    each_slot(&step, look_at);
    if (step.holds_on) {
        each_slot(&step, begin_revoking);
        wait_for_revocation(turn, member);
    } else {
        arrive(&step, target_epoch);
    }
    ms_consumers_restate(turn, group);
}
