/*
 * ConsumerGroupHeartbeat: the one request of a member of a consumer group.
 *
 *   epoch 0    joins, or joins again (it owns nothing then)
 *   epoch > 0  stays: says what has changed, hears what is new
 *   epoch -1   leaves;  -2: a static member leaves for a while
 *
 * What it does: the member's own part is updated; who is in the group, what they read and which
 * topics there are decide whether there is a new epoch and a new target; the member takes a step
 * towards the target; the answer waits until all of that is durable. Under the lock but for
 * ms_groups_consume.
 */
#include "base/alloc.h"
#include "group/consumer.h"
#include "group/pattern.h"

/* ---- answers ---- */

struct answer_memory {
    struct ms_group_consume_answer answer;
    struct ms_group_partitions topics[];
};

static void deliver(struct ms_group_request *request) {
    struct ms_group_consume *consume = MS_CONTAINER(request, struct ms_group_consume, request);
    struct ms_group_consume_answer bare = {.code = request->code};
    struct answer_memory *memory = request->memory;
    consume->done(consume, memory != NULL ? &memory->answer : &bare);
}

static bool owns(const struct ms_consumer_slot *slot, const struct ms_consumer *member) {
    return slot->owner == member && !slot->revoking;
}

static size_t owned_in(const struct ms_consumer_topic *topic, const struct ms_consumer *member) {
    size_t count = 0;
    for (uint32_t p = 0; p < topic->slot_count; p++)
        count += owns(&topic->slots[p], member);
    return count;
}

static void place_assignment(struct answer_memory *memory, uint8_t **at,
                             const struct ms_consumer *member) {
    const struct ms_consumer_group *consumers = member->group->consumers;
    size_t count = 0;
    for (size_t t = 0; t < consumers->topic_count; t++) {
        const struct ms_consumer_topic *topic = consumers->topics[t];
        size_t owned = owned_in(topic, member);
        if (owned == 0)
            continue;
        int32_t *partitions = (int32_t *)(void *)*at;
        *at += owned * sizeof *partitions;
        memory->topics[count++] = (struct ms_group_partitions){
            .topic_id = topic->id, .partitions = partitions, .count = owned};
        for (uint32_t p = 0; p < topic->slot_count; p++)
            if (owns(&topic->slots[p], member))
                *partitions++ = (int32_t)p;
    }
    memory->answer.topics = memory->topics;
    memory->answer.topic_count = count;
}

/* NULL: memory. */
static struct answer_memory *describe(const struct ms_consumer *member, bool assigns) {
    const struct ms_consumer_group *consumers = member->group->consumers;
    size_t topics = 0, partitions = 0;
    for (size_t t = 0; assigns && t < consumers->topic_count; t++) {
        size_t owned = owned_in(consumers->topics[t], member);
        topics += owned > 0;
        partitions += owned;
    }
    struct answer_memory *memory = ms_alloc(sizeof *memory + topics * sizeof memory->topics[0] +
                                            partitions * sizeof(int32_t) + member->id.len);
    if (memory == NULL)
        return NULL;
    const struct ms_groups_options *options = &member->group->groups->options;
    uint8_t *at = (uint8_t *)&memory->topics[topics];
    memory->answer = (struct ms_group_consume_answer){.epoch = member->epoch,
                                                      .heartbeat_interval_ms =
                                                          options->consumer_heartbeat_interval_ms,
                                                      .assigns = assigns};
    if (assigns)
        place_assignment(memory, &at, member);
    memory->answer.member_id = ms_place(&at, member->id);
    return memory;
}

/* ---- is it well formed? ---- */

static bool is_sized(const struct ms_group_consume *c, size_t bytes_max) {
    size_t bytes = 0;
    if (c->topic_count > MS_GROUP_TOPICS_MAX || (c->topics == NULL && c->topic_count > 0))
        return false;
    for (size_t i = 0; i < c->topic_count; i++) {
        bytes += c->topics[i].len;
        if (c->topics[i].len == 0 || c->topics[i].len > MS_GROUP_TOPIC_BYTES_MAX)
            return false;
    }
    return c->member_id.len <= MS_GROUP_NAME_BYTES_MAX &&
           c->instance_id.len <= MS_GROUP_NAME_BYTES_MAX &&
           c->rack_id.len <= MS_GROUP_NAME_BYTES_MAX && bytes <= bytes_max;
}

static bool joins_well(const struct ms_group_consume *c) {
    bool reads = c->topics != NULL || c->pattern.len > 0;
    return c->rebalance_timeout_ms >= 0 && c->owned_count == 0 && reads &&
           (c->makes_id || c->member_id.len > 0);
}

static enum ms_group_code check(const struct ms_turn *turn, const struct ms_group_consume *c) {
    enum ms_group_code code = ms_turn_check(turn, c->group);
    if (code != MS_GROUP_OK)
        return code == MS_GROUP_INVALID_GROUP_ID ? MS_GROUP_INVALID_REQUEST : code;
    bool fine = is_sized(c, turn->groups->options.member_bytes_max) &&
                c->epoch >= MS_GROUP_EPOCH_LEAVE_STATIC && c->rebalance_timeout_ms >= -1;
    if (c->epoch == MS_GROUP_EPOCH_JOIN)
        fine = fine && joins_well(c);
    else
        fine = fine && c->member_id.len > 0;
    if (c->epoch == MS_GROUP_EPOCH_LEAVE_STATIC)
        fine = fine && c->instance_id.len > 0;
    if (!fine)
        return MS_GROUP_INVALID_REQUEST;
    if (ms_assignor_of(c->assignor) == MS_ASSIGNORS)
        return MS_GROUP_UNSUPPORTED_ASSIGNOR;
    struct ms_pattern pattern;
    if (c->pattern.len == 0)
        return MS_GROUP_OK;
    int rc = ms_pattern_init(&pattern, c->pattern);
    if (rc == 0)
        ms_pattern_deinit(&pattern);
    else
        code = rc == MS_EINVAL ? MS_GROUP_INVALID_PATTERN : MS_GROUP_NOT_AVAILABLE;
    return code;
}

/* ---- what the member says of itself ---- */

static bool change_bytes(struct ms_groups *groups, struct ms_bytes *own, struct ms_bytes said,
                         bool *changed) {
    struct ms_bytes copy;
    if (said.data == NULL || ms_bytes_equal(*own, said))
        return true;
    if (!ms_group_copy(groups, said, &copy))
        return false;
    ms_group_drop(groups, own);
    *own = copy;
    *changed = true;
    return true;
}

static struct ms_bytes cut(struct ms_bytes text) {
    while (text.len > MS_GROUP_CLIENT_BYTES_MAX)
        text.len--;
    return text;
}

/* What it reads, and by which assignor it wants to be served. Who joins says everything: what it
 * leaves out it doesn't have. False: memory; what was taken over until then stays. */
static bool update(struct ms_turn *turn, struct ms_consumer *member,
                   const struct ms_group_consume *c) {
    struct ms_groups *groups = turn->groups;
    struct ms_group *group = member->group;
    bool other = false, reads_other = false;
    bool joins = c->epoch == MS_GROUP_EPOCH_JOIN;
    enum ms_assignor chosen = ms_consumers_choose(group);
    struct ms_bytes pattern = joins && c->pattern.data == NULL ? MS_BYTES_LITERAL("") : c->pattern;
    bool says_topics = joins || c->topics != NULL;
    bool whole = change_bytes(groups, &member->pattern, pattern, &reads_other) &&
                 change_bytes(groups, &member->rack_id, c->rack_id, &other) &&
                 change_bytes(groups, &member->client_id, cut(c->client_id), &other) &&
                 change_bytes(groups, &member->client_host, cut(c->client_host), &other);
    if (whole && says_topics && !ms_names_equal(member->names, c->topics, c->topic_count)) {
        struct ms_names *names = ms_names_new(groups, c->topics, c->topic_count);
        whole = names != NULL;
        if (whole) {
            ms_group_release(groups, member->names);
            member->names = names;
            reads_other = true;
        }
    }
    if (c->rebalance_timeout_ms >= 0 && c->rebalance_timeout_ms != member->rebalance_timeout_ms) {
        member->rebalance_timeout_ms = c->rebalance_timeout_ms;
        other = true;
    }
    if ((joins || c->assignor.len > 0) && ms_assignor_of(c->assignor) != member->assignor) {
        member->assignor = ms_assignor_of(c->assignor);
        other = true;
    }
    if (reads_other)
        group->consumers->stale = true;
    if (reads_other || chosen != ms_consumers_choose(group))
        ms_consumers_raise(turn, group);
    if (reads_other || other)
        ms_consumer_mark(member, MS_MARK_CONSUMER);
    return whole;
}

/* ---- joining ---- */

static enum ms_group_code make(struct ms_turn *turn, struct ms_group *group,
                               struct ms_group_consume *c, struct ms_bytes id,
                               struct ms_consumer **ret_member) {
    if (group->consumers->count >= turn->groups->options.members_max)
        return MS_GROUP_FULL;
    struct ms_consumer *member = ms_consumer_new(group, id, c->instance_id);
    if (member == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    member->rebalance_timeout_ms = c->rebalance_timeout_ms;
    member->knows_id = c->member_id.len > 0;
    ms_consumer_mark(member, MS_MARK_ALL_OF_CONSUMER);
    int32_t epoch = group->generation;
    group->consumers->stale = true;
    if (!update(turn, member, c)) {
        ms_consumer_remove(turn, member, MS_GROUP_NOT_AVAILABLE);
        return MS_GROUP_NOT_AVAILABLE;
    }
    if (group->generation == epoch)
        ms_consumers_raise(turn, group);
    *ret_member = member;
    return MS_GROUP_OK;
}

/* A static member's new self has nothing but what its old one left behind. */
static enum ms_group_code take_over(struct ms_turn *turn, struct ms_consumer *member,
                                    struct ms_bytes id) {
    if (!ms_bytes_equal(member->id, id)) {
        if (member->epoch != MS_GROUP_EPOCH_LEAVE_STATIC)
            return MS_GROUP_UNRELEASED_INSTANCE;
        if (!ms_consumer_rename(turn, member, id))
            return MS_GROUP_NOT_AVAILABLE;
        member->knows_id = true; /* else its instance id does */
    }
    if (member->epoch == MS_GROUP_EPOCH_LEAVE_STATIC) {
        member->epoch = member->previous_epoch = 0;
        ms_consumer_mark(member, MS_MARK_CURRENT);
    }
    return MS_GROUP_OK;
}

static enum ms_group_code join(struct ms_turn *turn, struct ms_group *group,
                               struct ms_group_consume *c, struct ms_bytes id,
                               struct ms_consumer **ret_member) {
    struct ms_consumer *member = ms_consumer_find_instance(group, c->instance_id);
    struct ms_consumer *same = ms_consumer_find(group, id);
    if (same != NULL && same != member && (c->instance_id.len > 0 || same->instance_id.len > 0))
        return MS_GROUP_FENCED_INSTANCE; /* the id belongs to another instance, or to none */
    enum ms_group_code code = MS_GROUP_OK;
    if (member != NULL)
        code = take_over(turn, member, id);
    else
        member = same;
    if (member == NULL)
        return make(turn, group, c, id, ret_member);
    if (code == MS_GROUP_OK && !update(turn, member, c))
        code = MS_GROUP_NOT_AVAILABLE;
    *ret_member = member;
    return code;
}

/* ---- staying ---- */

static enum ms_group_code find(const struct ms_group *group, const struct ms_group_consume *c,
                               struct ms_consumer **ret_member) {
    struct ms_consumer *member = ms_consumer_find(group, c->member_id);
    if (c->instance_id.len > 0) {
        struct ms_consumer *of_instance = ms_consumer_find_instance(group, c->instance_id);
        if (of_instance != NULL && of_instance != member)
            return MS_GROUP_FENCED_INSTANCE;
        member = of_instance;
    }
    if (member == NULL)
        return MS_GROUP_UNKNOWN_MEMBER;
    *ret_member = member;
    return MS_GROUP_OK;
}

/* It may come with the epoch before when it didn't get the answer that told it the newest. */
static bool is_current(const struct ms_consumer *member, const struct ms_group_consume *c) {
    if (c->epoch == member->epoch)
        return true;
    return c->epoch == member->previous_epoch && c->owned != NULL &&
           ms_consumer_owns(member, c->owned, c->owned_count);
}

static enum ms_group_code stay(struct ms_turn *turn, const struct ms_group *group,
                               const struct ms_group_consume *c, struct ms_consumer **ret_member) {
    struct ms_consumer *member;
    enum ms_group_code code = find(group, c, &member);
    if (code != MS_GROUP_OK)
        return code;
    if (!is_current(member, c))
        return MS_GROUP_FENCED_EPOCH;
    member->previous_epoch = c->epoch;
    if (!update(turn, member, c))
        return MS_GROUP_NOT_AVAILABLE;
    *ret_member = member;
    return MS_GROUP_OK;
}

/* ---- leaving ---- */

static enum ms_group_code leave(struct ms_turn *turn, struct ms_group *group,
                                struct ms_group_consume *c) {
    struct ms_consumer *member;
    enum ms_group_code code = find(group, c, &member);
    if (code != MS_GROUP_OK)
        return code;
    struct answer_memory *memory = describe(member, false);
    if (memory == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    memory->answer.epoch = c->epoch;
    bool for_good = c->epoch == MS_GROUP_EPOCH_LEAVE || member->instance_id.len == 0;
    if (for_good) {
        ms_consumer_remove(turn, member, MS_GROUP_UNKNOWN_MEMBER);
        ms_consumers_assign(turn, group);
    } else {
        ms_consume_refuse(turn, member, MS_GROUP_NOT_AVAILABLE);
        ms_consumer_release(member, false);
        ms_timer_stop(&turn->groups->timers, &member->revocation);
        member->state = MS_CONSUMER_STABLE;
        member->epoch = member->previous_epoch = MS_GROUP_EPOCH_LEAVE_STATIC;
        ms_consumer_mark(member, MS_MARK_CURRENT);
        ms_consumer_touch(turn, member);
        ms_consumers_restate(turn, group);
    }
    ms_consume_wait(turn, group, for_good ? NULL : member, c, memory);
    return MS_GROUP_OK;
}

/* ---- the request ---- */

static enum ms_group_code beat(struct ms_turn *turn, struct ms_group *group,
                               struct ms_group_consume *c, struct ms_bytes id) {
    struct ms_consumer *member;
    bool joins = c->epoch == MS_GROUP_EPOCH_JOIN;
    enum ms_group_code code =
        joins ? join(turn, group, c, id, &member) : stay(turn, group, c, &member);
    ms_consumers_assign(turn, group);
    if (code != MS_GROUP_OK)
        return code;
    ms_consumer_touch(turn, member);
    ms_consume_refuse(turn, member, MS_GROUP_NOT_AVAILABLE); /* an earlier try */
    static const struct ms_group_partitions nothing[1];
    ms_reconcile(turn, member, joins ? nothing : c->owned, joins ? 0 : c->owned_count);
    if (member->epoch <= 0) /* no target could be made for it */
        return MS_GROUP_NOT_AVAILABLE;
    bool asks = joins || (c->rebalance_timeout_ms >= 0 && c->owned != NULL);
    struct answer_memory *memory =
        describe(member, asks || member->untold || c->epoch != member->epoch);
    if (memory == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    ms_consume_wait(turn, group, member, c, memory);
    return MS_GROUP_OK;
}

/* A group for the request, of the right type. */
static enum ms_group_code find_group(struct ms_turn *turn, const struct ms_group_consume *c,
                                     struct ms_group **ret_group) {
    struct ms_group *group = ms_group_find(turn->groups, c->group);
    enum ms_group_code code = MS_GROUP_OK;
    bool joins = c->epoch == MS_GROUP_EPOCH_JOIN;
    if (group == NULL && joins)
        code = ms_group_find_or_make(turn, c->group, &group);
    else if (group == NULL)
        code = MS_GROUP_NOT_FOUND;
    if (code != MS_GROUP_OK)
        return code;
    if (group->state == MS_GROUP_DEAD)
        return MS_GROUP_NOT_AVAILABLE;
    if (group->type != MS_GROUP_TYPE_CONSUMER) {
        if (!joins || group->state != MS_GROUP_EMPTY)
            return MS_GROUP_NOT_FOUND;
        struct ms_table_node *node;
        while ((node = ms_table_next(&group->members, NULL)) != NULL) /* pending ones */
            ms_member_remove(turn, MS_CONTAINER(node, struct ms_member, node),
                             MS_GROUP_UNKNOWN_MEMBER);
        if (!ms_consumers_begin(turn, group)) {
            ms_group_reap(group);
            return MS_GROUP_NOT_AVAILABLE;
        }
    }
    *ret_group = group;
    return MS_GROUP_OK;
}

static enum ms_group_code consume_locked(struct ms_turn *turn, struct ms_group_consume *c,
                                         struct ms_bytes new_id) {
    struct ms_group *group;
    enum ms_group_code code = check(turn, c);
    if (code == MS_GROUP_OK)
        code = find_group(turn, c, &group);
    if (code != MS_GROUP_OK)
        return code;
    if (c->epoch < 0)
        code = leave(turn, group, c);
    else
        code = beat(turn, group, c, c->member_id.len > 0 ? c->member_id : new_id);
    ms_consumers_flush(turn, group);
    ms_group_reap(group);
    return code;
}

void ms_groups_consume(struct ms_groups *groups, struct ms_group_consume *consume) {
    char id[MS_UUID_TEXT_LEN + 1];
    struct ms_uuid uuid;
    struct ms_turn turn;
    ms_env_uuid_v4(groups->options.env, &uuid);
    ms_uuid_format(&uuid, id);
    consume->request.deliver = deliver;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = consume_locked(&turn, consume, ms_bytes_of(id, MS_UUID_TEXT_LEN));
    if (code != MS_GROUP_OK)
        ms_request_answer(groups, &consume->request, code, NULL);
    ms_turn_end(&turn);
}
