/*
 * The rebalance of a classic group: the drawing in group.h. A group prepares until everyone it
 * knows has joined, completes a generation, and is stable once the leader's assignments are
 * durable. Under the lock.
 */
#include "base/alloc.h"
#include "group/internal.h"

static int32_t rebalance_timeout_ms(const struct ms_group *group) {
    int32_t most = 0;
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        most = m->rebalance_timeout_ms > most ? m->rebalance_timeout_ms : most;
    return most;
}

static void set_timer(struct ms_turn *turn, struct ms_group *group, int64_t in_ms) {
    ms_timer_set(&turn->groups->timers, &group->timer, turn->now_ms + in_ms);
}

void ms_rebalance_answer_syncs(struct ms_turn *turn, struct ms_group *group,
                               enum ms_group_code code) {
    for (struct ms_member *m = group->first; m != NULL; m = m->next) {
        if (m->sync == NULL)
            continue;
        ms_sync_answer(turn, m, code);
        ms_member_touch(turn, m);
    }
}

static void forget_assignments(struct ms_group *group) {
    for (struct ms_member *m = group->first; m != NULL; m = m->next) {
        ms_group_drop(group->groups, &m->assignment);
        ms_group_drop(group->groups, &m->proposed);
    }
}

void ms_rebalance_prepare(struct ms_turn *turn, struct ms_group *group) {
    if (group->state == MS_GROUP_PREPARING || group->state == MS_GROUP_DEAD)
        return;
    if (group->state == MS_GROUP_COMPLETING) {
        ms_rebalance_answer_syncs(turn, group, MS_GROUP_REBALANCING);
        forget_assignments(group);
    }
    group->assigning = false;
    group->initial = group->state == MS_GROUP_EMPTY;
    group->member_added = false;
    turn->groups->rebalances++;
    ms_group_enter(turn, group, MS_GROUP_PREPARING);
    int64_t timeout_ms = rebalance_timeout_ms(group);
    ms_timer_stop(&turn->groups->timers, &group->timer);
    if (group->initial) {
        int64_t delay_ms = turn->groups->options.initial_rebalance_delay_ms;
        group->delay_left_ms = timeout_ms > delay_ms ? timeout_ms - delay_ms : 0;
        timeout_ms = delay_ms;
    }
    set_timer(turn, group, timeout_ms);
}

/* ---- choosing a protocol ---- */

static bool all_know(const struct ms_group *group, struct ms_bytes name) {
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        if (ms_protocols_find(m->protocols, name) == NULL)
            return false;
    return true;
}

/* Each member votes for the first of its protocols that all know. Candidates are those of the
 * oldest member, in its order. */
struct ms_bytes ms_rebalance_choose(const struct ms_group *group) {
    const struct ms_protocols *candidates = group->first != NULL ? group->first->protocols : NULL;
    struct ms_bytes known[MS_GROUP_PROTOCOLS_MAX];
    uint32_t votes[MS_GROUP_PROTOCOLS_MAX] = {0};
    size_t count = 0;
    for (size_t i = 0; candidates != NULL && i < candidates->count; i++)
        if (all_know(group, candidates->item[i].name))
            known[count++] = candidates->item[i].name;
    for (struct ms_member *m = group->first; count > 0 && m != NULL; m = m->next) {
        size_t vote = count;
        for (size_t i = 0; vote == count && i < m->protocols->count; i++)
            for (size_t k = 0; vote == count && k < count; k++)
                if (ms_bytes_equal(known[k], m->protocols->item[i].name))
                    vote = k;
        votes[vote]++;
    }
    size_t best = 0;
    for (size_t k = 1; k < count; k++)
        if (votes[k] > votes[best])
            best = k;
    return count > 0 ? known[best] : (struct ms_bytes){0};
}

/* ---- completing ---- */

static void remove_late_members(struct ms_turn *turn, struct ms_group *group) {
    struct ms_member *next;
    for (struct ms_member *m = group->first; m != NULL; m = next) {
        next = m->next;
        if (m->join == NULL && m->instance_id.len == 0)
            ms_member_remove(turn, m, MS_GROUP_UNKNOWN_MEMBER);
    }
}

/* A leader that has joined; false when there are members and none has. */
static bool elect(struct ms_group *group) {
    if (group->leader == NULL || group->leader->join != NULL)
        return true;
    for (struct ms_member *m = group->first; m != NULL; m = m->next) {
        if (m->join == NULL)
            continue;
        group->leader = m;
        return true;
    }
    return false;
}

static void empty_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    (void)turn, (void)write, (void)code; /* the next one, or a restart, says it again */
}

static void become_empty(struct ms_turn *turn, struct ms_group *group) {
    ms_group_drop(turn->groups, &group->protocol_name);
    ms_group_enter(turn, group, MS_GROUP_EMPTY);
    struct ms_write *write = ms_write_new(group, 1, 0, empty_stored);
    if (write == NULL)
        return;
    if (ms_group_encode(write, group, false) != 0) {
        ms_write_free(write);
        return;
    }
    group->stored = true;
    ms_write_queue(turn, write);
}

static void begin_generation(struct ms_turn *turn, struct ms_group *group) {
    struct ms_bytes name;
    if (!ms_group_copy(turn->groups, ms_rebalance_choose(group), &name) || name.len == 0) {
        set_timer(turn, group, 1000); /* memory: once more in a while */
        return;
    }
    ms_group_drop(turn->groups, &group->protocol_name);
    group->protocol_name = name;
    group->generation = group->generation < INT32_MAX ? group->generation + 1 : 0;
    forget_assignments(group);
    ms_group_enter(turn, group, MS_GROUP_COMPLETING);
    for (struct ms_member *m = group->first; m != NULL; m = m->next) {
        ms_join_answer(turn, m, MS_GROUP_OK);
        m->fresh = false;
        m->knows_id = true;
        m->awaits_sync = true;
        ms_member_touch(turn, m);
    }
    set_timer(turn, group, rebalance_timeout_ms(group));
}

static void complete(struct ms_turn *turn, struct ms_group *group) {
    remove_late_members(turn, group);
    group->initial = false;
    ms_timer_stop(&turn->groups->timers, &group->timer);
    if (!elect(group)) {
        /* Only static members, none of which is back: their sessions decide. */
        set_timer(turn, group, rebalance_timeout_ms(group));
    } else if (group->member_count > 0) {
        begin_generation(turn, group);
    } else {
        group->generation = group->generation < INT32_MAX ? group->generation + 1 : 0;
        become_empty(turn, group);
    }
}

void ms_rebalance_try_complete(struct ms_turn *turn, struct ms_group *group) {
    if (group->state == MS_GROUP_PREPARING && !group->initial && group->pending_count == 0 &&
        group->awaiting_join == group->member_count)
        complete(turn, group);
    else if (group->state == MS_GROUP_PREPARING && group->initial &&
             turn->groups->options.initial_rebalance_delay_ms == 0)
        complete(turn, group);
}

void ms_rebalance_after_removal(struct ms_turn *turn, struct ms_group *group) {
    if (group->state == MS_GROUP_STABLE || group->state == MS_GROUP_COMPLETING)
        ms_rebalance_prepare(turn, group);
    ms_rebalance_try_complete(turn, group);
}

/* ---- time ---- */

static void end_delay(struct ms_turn *turn, struct ms_group *group) {
    int64_t delay_ms = turn->groups->options.initial_rebalance_delay_ms;
    if (!group->member_added || group->delay_left_ms == 0) {
        complete(turn, group);
        return;
    }
    group->member_added = false;
    delay_ms = delay_ms < group->delay_left_ms ? delay_ms : group->delay_left_ms;
    group->delay_left_ms -= delay_ms;
    set_timer(turn, group, delay_ms);
}

static void end_syncs(struct ms_turn *turn, struct ms_group *group) {
    struct ms_member *next;
    bool removed = false;
    for (struct ms_member *m = group->first; m != NULL; m = next) {
        next = m->next;
        if (!m->awaits_sync)
            continue;
        ms_member_remove(turn, m, MS_GROUP_UNKNOWN_MEMBER);
        removed = true;
    }
    if (removed)
        ms_rebalance_after_removal(turn, group);
}

void ms_rebalance_expire(struct ms_turn *turn, struct ms_group *group) {
    switch (group->state) {
    case MS_GROUP_PREPARING:
        if (group->initial)
            end_delay(turn, group);
        else
            complete(turn, group);
        break;
    case MS_GROUP_COMPLETING:
    case MS_GROUP_STABLE:
        end_syncs(turn, group);
        break;
    case MS_GROUP_EMPTY:
    case MS_GROUP_DEAD:
    case MS_GROUP_ASSIGNING:
    case MS_GROUP_RECONCILING:
    case MS_GROUP_STATES:
        break;
    }
}

void ms_rebalance_synced(struct ms_turn *turn, struct ms_member *member) {
    struct ms_group *group = member->group;
    member->awaits_sync = false;
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        if (m->awaits_sync)
            return;
    ms_timer_stop(&turn->groups->timers, &group->timer);
}
