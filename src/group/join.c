/*
 * JoinGroup: who is let in, and what that means for the group.
 *
 *   no id, dynamic, require_member_id   pending until it joins with the id it is given
 *   no id, dynamic                      a new member
 *   no id, static                       a new member, or a member's new self (replace_static)
 *   an id                               pending: a new member; known: joins again
 *
 * Under the lock but for ms_groups_join.
 */
#include "base/alloc.h"
#include "group/consumer.h"
#include "group/internal.h"

/* A new member that can't know its id yet and goes away would hold up its group: after this it is
 * gone even when nobody says that its connection is. */
#define NEW_MEMBER_WAIT_MS (5 * 60 * 1000)

/* ---- answers ---- */

/* Answer, members and strings in one block. */
struct join_memory {
    struct ms_group_join_answer answer;
    struct ms_group_join_member members[];
};

static void deliver(struct ms_group_request *request) {
    struct ms_group_join *join = MS_CONTAINER(request, struct ms_group_join, request);
    struct ms_group_join_answer bare = {.code = request->code, .generation = -1};
    struct join_memory *memory = request->memory;
    join->done(join, memory != NULL ? &memory->answer : &bare);
}

static size_t members_bytes(const struct ms_group *group) {
    size_t bytes = 0;
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        bytes += sizeof(struct ms_group_join_member) + m->id.len + m->instance_id.len +
                 ms_member_metadata(m).len;
    return bytes;
}

/* The generation at hand as told to a member with that id; NULL: memory. */
static struct join_memory *describe(const struct ms_group *group, struct ms_bytes member_id,
                                    struct ms_bytes leader_id, bool with_members) {
    struct join_memory *memory =
        ms_alloc(sizeof *memory + member_id.len + leader_id.len + group->protocol_type.len +
                 group->protocol_name.len + (with_members ? members_bytes(group) : 0));
    if (memory == NULL)
        return NULL;
    size_t count = with_members ? group->member_count : 0;
    uint8_t *at = (uint8_t *)&memory->members[count];
    memory->answer =
        (struct ms_group_join_answer){.generation = group->generation,
                                      .member_id = ms_place(&at, member_id),
                                      .leader_id = ms_place(&at, leader_id),
                                      .protocol_type = ms_place(&at, group->protocol_type),
                                      .protocol_name = ms_place(&at, group->protocol_name),
                                      .members = memory->members,
                                      .member_count = count};
    struct ms_member *m = group->first;
    for (size_t i = 0; i < count; i++, m = m->next) {
        memory->members[i].member_id = ms_place(&at, m->id);
        memory->members[i].instance_id = ms_place(&at, m->instance_id);
        memory->members[i].metadata = ms_place(&at, ms_member_metadata(m));
    }
    return memory;
}

/* "Join again with this id." NULL: memory. */
static struct join_memory *describe_id(struct ms_bytes id) {
    struct join_memory *memory = ms_alloc(sizeof *memory + id.len);
    if (memory == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)memory->members;
    memory->answer = (struct ms_group_join_answer){
        .code = MS_GROUP_MEMBER_ID_REQUIRED, .generation = -1, .member_id = ms_place(&at, id)};
    return memory;
}

static void answer_code(struct ms_groups *groups, struct ms_group_join *join,
                        enum ms_group_code code) {
    ms_request_answer(groups, &join->request, code, NULL);
}

static void answer_memory(struct ms_groups *groups, struct ms_group_join *join,
                          struct join_memory *memory) {
    ms_request_answer(groups, &join->request, memory != NULL ? MS_GROUP_OK : MS_GROUP_NOT_AVAILABLE,
                      memory);
}

void ms_join_answer(struct ms_turn *turn, struct ms_member *member, enum ms_group_code code) {
    struct ms_group_join *join = member->join;
    struct ms_group *group = member->group;
    if (join == NULL)
        return;
    member->join = NULL;
    group->awaiting_join--;
    if (code != MS_GROUP_OK) {
        answer_code(turn->groups, join, code);
        return;
    }
    bool leads = group->leader == member;
    answer_memory(turn->groups, join, describe(group, member->id, group->leader->id, leads));
}

/* A generation that goes on, told to a member that joined again. */
static void answer_current(struct ms_turn *turn, struct ms_member *member,
                           struct ms_group_join *join, bool with_members) {
    struct ms_group *group = member->group;
    ms_member_touch(turn, member);
    answer_memory(turn->groups, join, describe(group, member->id, group->leader->id, with_members));
}

/* ---- waiting ---- */

static void detach(struct ms_groups *groups, struct ms_group_request *request) {
    struct ms_member *member = request->owner;
    struct ms_group *group = member->group;
    struct ms_turn turn = {.groups = groups,
                           .now_ms = ms_clock_monotonic_us(groups->options.env->clock) / 1000,
                           .wall_ms = ms_clock_now_us(groups->options.env->clock) / 1000};
    member->join = NULL;
    group->awaiting_join--;
    if (member->knows_id || member->instance_id.len > 0) {
        member->fresh = false;
        ms_member_touch(&turn, member);
        return;
    }
    ms_member_remove(&turn, member, MS_GROUP_UNKNOWN_MEMBER);
    ms_rebalance_after_removal(&turn, group);
    ms_group_reap(group);
}

static void wait_for_generation(struct ms_member *member, struct ms_group_join *join) {
    MS_ASSERT(member->join == NULL);
    member->join = join;
    member->group->awaiting_join++;
    ms_request_wait(&join->request, member, detach);
}

/* ---- letting in ---- */

/* What the request asks for fits what the group's members have. */
static bool fits(const struct ms_group *group, const struct ms_group_join *join) {
    if (join->protocol_type.len == 0 || join->protocol_count == 0)
        return false;
    if (group->member_count == 0)
        return true;
    if (!ms_bytes_equal(group->protocol_type, join->protocol_type))
        return false;
    for (size_t i = 0; i < join->protocol_count; i++) {
        struct ms_member *m = group->first;
        while (m != NULL && ms_protocols_find(m->protocols, join->protocols[i].name) != NULL)
            m = m->next;
        if (m == NULL)
            return true;
    }
    return false;
}

static bool has_room(const struct ms_group *group, const struct ms_group_join *join) {
    uint32_t most = group->groups->options.members_max;
    const struct ms_member *member = ms_member_find(group, join->member_id);
    if (member == NULL)
        member = ms_member_find_instance(group, join->instance_id);
    switch (group->state) {
    case MS_GROUP_PREPARING: /* those who don't come back make room */
        return (member != NULL && member->join != NULL) || group->awaiting_join < most;
    case MS_GROUP_COMPLETING:
    case MS_GROUP_STABLE:
        return member != NULL || group->member_count < most;
    case MS_GROUP_EMPTY:
    case MS_GROUP_DEAD:
    case MS_GROUP_ASSIGNING:
    case MS_GROUP_RECONCILING:
    case MS_GROUP_STATES:
        break;
    }
    return true;
}

/* Protocols, timeouts and the waiting request of a member are the join's from now on. False:
 * memory, nothing has changed. */
static bool take_over(struct ms_turn *turn, struct ms_member *member, struct ms_group_join *join) {
    struct ms_protocols *protocols =
        ms_protocols_new(turn->groups, join->protocols, join->protocol_count);
    if (protocols == NULL)
        return false;
    ms_group_release(turn->groups, member->protocols);
    member->protocols = protocols;
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    ms_join_answer(turn, member, MS_GROUP_REBALANCING); /* of an earlier try */
    wait_for_generation(member, join);
    return true;
}

static struct ms_bytes cut(struct ms_bytes text, size_t most) {
    while (text.len > most || (text.len > 0 && text.len == most && text.data[most - 1] >= 0x80))
        text.len--;
    return text;
}

/* A pending member joins the group. */
static enum ms_group_code let_in(struct ms_turn *turn, struct ms_member *member,
                                 struct ms_group_join *join) {
    struct ms_group *group = member->group;
    struct ms_groups *groups = turn->groups;
    struct ms_bytes type = {0}, client_id = {0}, client_host = {0};
    bool first = group->member_count == 0;
    if (!ms_group_copy(groups, cut(join->client_id, MS_GROUP_CLIENT_BYTES_MAX), &client_id) ||
        !ms_group_copy(groups, cut(join->client_host, MS_GROUP_CLIENT_BYTES_MAX), &client_host) ||
        (first && !ms_group_copy(groups, join->protocol_type, &type)) ||
        !take_over(turn, member, join)) {
        ms_group_drop(groups, &client_id);
        ms_group_drop(groups, &client_host);
        ms_group_drop(groups, &type);
        return MS_GROUP_NOT_AVAILABLE;
    }
    member->client_id = client_id;
    member->client_host = client_host;
    if (first) {
        ms_group_drop(groups, &group->protocol_type);
        group->protocol_type = type;
    }
    ms_member_admit(member);
    ms_timer_set(&groups->timers, &member->session, turn->now_ms + NEW_MEMBER_WAIT_MS);
    bool delayed = group->state == MS_GROUP_PREPARING && group->initial;
    ms_rebalance_prepare(turn, group);
    group->member_added |= delayed; /* by which the delay is extended */
    return MS_GROUP_OK;
}

/* ---- static members ---- */

static bool reads_the_same(const struct ms_group *group, const struct ms_protocols *before,
                           const struct ms_protocols *after) {
    const struct ms_group_protocol *a = ms_protocols_find(before, group->protocol_name);
    const struct ms_group_protocol *b = ms_protocols_find(after, group->protocol_name);
    if (a == NULL || b == NULL)
        return false;
    return ms_bytes_equal(a->metadata, b->metadata) ||
           !ms_bytes_equal_cstr(group->protocol_type, "consumer") ||
           ms_subscriptions_same(a->metadata, b->metadata);
}

/* The new self of a static member is on record, or couldn't be. Unless the group has moved on,
 * where its join is answered by the next generation, it goes on with the old assignment. */
static void replacement_stored(struct ms_turn *turn, struct ms_write *write, int code) {
    struct ms_group *group = write->group;
    struct ms_member *member = ms_member_find(group, ms_bytes_cstr(write->member_id));
    if (group->state != MS_GROUP_STABLE || group->generation != write->generation ||
        member == NULL || member->join == NULL)
        return;
    struct ms_group_join *join = member->join;
    if (code != 0) {
        ms_join_answer(turn, member, MS_GROUP_NOT_AVAILABLE);
        if (!ms_member_rename(turn, member, ms_bytes_cstr(write->old_member_id)))
            ms_member_touch(turn, member);
        return;
    }
    bool leads = group->leader == member, skips = leads && join->can_skip_assignment;
    member->join = NULL;
    group->awaiting_join--;
    member->fresh = false;
    member->knows_id = true;
    /* A leader that can't skip is told of its old self as the leader, so that it doesn't assign. */
    struct ms_bytes leader_id =
        leads && !skips ? ms_bytes_cstr(write->old_member_id) : group->leader->id;
    struct join_memory *memory = describe(group, member->id, leader_id, skips);
    if (memory != NULL)
        memory->answer.skip_assignment = skips;
    answer_memory(turn->groups, join, memory);
    ms_member_touch(turn, member);
}

static bool store_replacement(struct ms_turn *turn, struct ms_member *member,
                              struct ms_bytes old_id) {
    struct ms_write *write = ms_write_new(member->group, 1, 0, replacement_stored);
    if (write == NULL)
        return false;
    write->member_id = ms_alloc_strdup(member->id);
    write->old_member_id = ms_alloc_strdup(old_id);
    if (write->member_id == NULL || write->old_member_id == NULL ||
        ms_group_encode(write, member->group, false) != 0) {
        ms_write_free(write);
        return false;
    }
    member->group->stored = true;
    ms_write_queue(turn, write);
    return true;
}

/* A static member starts anew: same instance, no id. */
static enum ms_group_code replace_static(struct ms_turn *turn, struct ms_member *member,
                                         struct ms_group_join *join, struct ms_bytes new_id) {
    struct ms_group *group = member->group;
    struct ms_bytes old_id;
    if (!ms_group_copy(turn->groups, member->id, &old_id))
        return MS_GROUP_NOT_AVAILABLE;
    struct ms_protocols *before = member->protocols;
    member->protocols = NULL; /* kept for comparison */
    bool renamed = ms_member_rename(turn, member, new_id);
    if (!renamed || !take_over(turn, member, join)) {
        member->protocols = before;
        if (renamed) /* as if the old self had left */
            ms_timer_set(&turn->groups->timers, &member->session, turn->now_ms);
        ms_group_drop(turn->groups, &old_id);
        return MS_GROUP_NOT_AVAILABLE;
    }
    ms_member_touch(turn, member);
    member->knows_id = false;
    bool goes_on = group->state == MS_GROUP_STABLE &&
                   ms_bytes_equal(ms_rebalance_choose(group), group->protocol_name) &&
                   reads_the_same(group, before, member->protocols);
    if (!goes_on || !store_replacement(turn, member, old_id))
        ms_rebalance_prepare(turn, group);
    ms_group_release(turn->groups, before);
    ms_group_drop(turn->groups, &old_id);
    return MS_GROUP_OK;
}

/* ---- the request ---- */

static enum ms_group_code join_new(struct ms_turn *turn, struct ms_group *group,
                                   struct ms_group_join *join, struct ms_bytes new_id) {
    struct ms_member *member = ms_member_find_instance(group, join->instance_id);
    if (member != NULL)
        return replace_static(turn, member, join, new_id);
    if (group->pending_count >= turn->groups->options.members_max)
        return MS_GROUP_FULL;
    struct join_memory *memory = NULL;
    bool asks_back = join->require_member_id && join->instance_id.len == 0;
    if (asks_back && (memory = describe_id(new_id)) == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    member = ms_member_new(group, new_id, join->instance_id);
    if (member == NULL) {
        ms_free(memory);
        return MS_GROUP_NOT_AVAILABLE;
    }
    member->session_timeout_ms = join->session_timeout_ms;
    if (asks_back) {
        member->knows_id = true;
        ms_member_touch(turn, member);
        ms_request_answer(turn->groups, &join->request, MS_GROUP_MEMBER_ID_REQUIRED, memory);
        return MS_GROUP_OK;
    }
    enum ms_group_code code = let_in(turn, member, join);
    if (code != MS_GROUP_OK)
        ms_member_remove(turn, member, code);
    return code;
}

static enum ms_group_code join_again(struct ms_turn *turn, struct ms_group *group,
                                     struct ms_group_join *join) {
    struct ms_member *member = ms_member_find_pending(group, join->member_id);
    if (member != NULL)
        return join->instance_id.len > 0 ? MS_GROUP_INVALID_REQUEST : let_in(turn, member, join);
    enum ms_group_code code = ms_member_check(group, join->member_id, join->instance_id, &member);
    if (code != MS_GROUP_OK)
        return code;
    bool same = ms_protocols_equal(member->protocols, join->protocols, join->protocol_count);
    bool leads = group->leader == member;
    if (group->state == MS_GROUP_COMPLETING && same) { /* it didn't get its answer */
        answer_current(turn, member, join, leads);
        return MS_GROUP_OK;
    }
    if (group->state == MS_GROUP_STABLE && same && !leads) {
        answer_current(turn, member, join, false);
        return MS_GROUP_OK;
    }
    if (!take_over(turn, member, join))
        return MS_GROUP_NOT_AVAILABLE;
    if (!member->fresh)
        ms_member_touch(turn, member);
    ms_rebalance_prepare(turn, group);
    return MS_GROUP_OK;
}

static enum ms_group_code check(const struct ms_turn *turn, const struct ms_group_join *join) {
    const struct ms_groups_options *options = &turn->groups->options;
    enum ms_group_code code = ms_turn_check(turn, join->group);
    if (code != MS_GROUP_OK)
        return code;
    if (join->session_timeout_ms < options->session_timeout_ms_min ||
        join->session_timeout_ms > options->session_timeout_ms_max)
        return MS_GROUP_INVALID_SESSION_TIMEOUT;
    if (join->rebalance_timeout_ms < 0 || join->protocol_count > MS_GROUP_PROTOCOLS_MAX ||
        join->member_id.len > MS_GROUP_NAME_BYTES_MAX ||
        join->instance_id.len > MS_GROUP_NAME_BYTES_MAX ||
        join->protocol_type.len > MS_GROUP_NAME_BYTES_MAX)
        return MS_GROUP_INVALID_REQUEST;
    size_t left = options->member_bytes_max;
    for (size_t i = 0; i < join->protocol_count; i++) {
        const struct ms_group_protocol *p = &join->protocols[i];
        if (p->name.len == 0 || p->name.len > MS_GROUP_NAME_BYTES_MAX || p->name.len > left ||
            p->metadata.len > left - p->name.len)
            return MS_GROUP_INVALID_REQUEST;
        left -= p->name.len + p->metadata.len;
    }
    return MS_GROUP_OK;
}

/* A consumer group that is empty may become a classic one. */
static enum ms_group_code make_classic(struct ms_turn *turn, struct ms_group *group, bool is_new) {
    if (group->state != MS_GROUP_EMPTY)
        return MS_GROUP_INCONSISTENT_PROTOCOL;
    if (!is_new)
        return MS_GROUP_UNKNOWN_MEMBER;
    if (group->consumers->in_flight)
        return MS_GROUP_NOT_AVAILABLE;
    ms_consumers_end(turn, group);
    return MS_GROUP_OK;
}

static enum ms_group_code join_locked(struct ms_turn *turn, struct ms_group_join *join,
                                      struct ms_bytes new_id) {
    struct ms_group *group;
    enum ms_group_code code = check(turn, join);
    if (code != MS_GROUP_OK)
        return code;
    bool is_new = join->member_id.len == 0;
    if (!is_new && (group = ms_group_find(turn->groups, join->group)) == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    if (is_new && (code = ms_group_find_or_make(turn, join->group, &group)) != MS_GROUP_OK)
        return code;
    if (group->state == MS_GROUP_DEAD)
        code = MS_GROUP_NOT_AVAILABLE;
    else if (group->consumers != NULL)
        code = make_classic(turn, group, is_new);
    if (code != MS_GROUP_OK)
        (void)0; /* it isn't let in */
    else if (!has_room(group, join))
        code = MS_GROUP_FULL;
    else if (!fits(group, join))
        code = MS_GROUP_INCONSISTENT_PROTOCOL;
    else if (is_new)
        code = join_new(turn, group, join, new_id);
    else
        code = join_again(turn, group, join);
    ms_rebalance_try_complete(turn, group);
    ms_group_reap(group);
    return code;
}

void ms_groups_join(struct ms_groups *groups, struct ms_group_join *join) {
    /* Client id (or instance id), '-', a UUID. */
    char id[MS_GROUP_CLIENT_BYTES_MAX + 1 + MS_UUID_TEXT_LEN + 1];
    struct ms_uuid uuid;
    struct ms_bytes prefix = join->instance_id.len > 0 ? join->instance_id : join->client_id;
    prefix = cut(prefix, MS_GROUP_CLIENT_BYTES_MAX);
    ms_env_uuid_v4(groups->options.env, &uuid);
    if (prefix.len > 0)
        memcpy(id, prefix.data, prefix.len);
    id[prefix.len] = '-';
    ms_uuid_format(&uuid, id + prefix.len + 1);
    join->request.deliver = deliver;
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code =
        join_locked(&turn, join, ms_bytes_of(id, prefix.len + 1 + MS_UUID_TEXT_LEN));
    if (code != MS_GROUP_OK)
        answer_code(groups, join, code);
    ms_turn_end(&turn);
}
