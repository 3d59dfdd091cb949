/* Describing consumer groups: copies, taken under the lock. */
#include "group/consumer.h"
#include "group/fields.h"

static bool copy(struct ms_arena *arena, struct ms_bytes bytes, struct ms_bytes *ret_copy) {
    char *text = ms_arena_strdup(arena, bytes);
    if (text == NULL)
        return false;
    *ret_copy = ms_bytes_of(text, bytes.len);
    return true;
}

static bool belongs(const struct ms_consumer_slot *slot, const struct ms_consumer *member,
                    bool target) {
    return target ? slot->target == member : slot->owner == member;
}

static bool describe_topic(const struct ms_consumer_topic *topic, const struct ms_consumer *member,
                           bool target, struct ms_arena *arena,
                           struct ms_group_partitions *ret_partitions) {
    size_t count = 0;
    for (uint32_t p = 0; p < topic->slot_count; p++)
        count += belongs(&topic->slots[p], member, target);
    *ret_partitions = (struct ms_group_partitions){.topic_id = topic->id, .count = count};
    if (count == 0)
        return true;
    int32_t *partitions = ms_arena_alloc(arena, count * sizeof *partitions);
    if (partitions == NULL || !copy(arena, topic->name, &ret_partitions->topic))
        return false;
    ret_partitions->partitions = partitions;
    for (uint32_t p = 0; p < topic->slot_count; p++)
        if (belongs(&topic->slots[p], member, target))
            *partitions++ = (int32_t)p;
    return true;
}

static bool describe_assignment(const struct ms_consumer *member, bool target,
                                struct ms_arena *arena,
                                const struct ms_group_partitions **ret_topics, size_t *ret_count) {
    const struct ms_consumer_group *consumers = member->group->consumers;
    struct ms_group_partitions *topics =
        ms_arena_alloc(arena, (consumers->topic_count + 1) * sizeof *topics);
    size_t count = 0;
    if (topics == NULL)
        return false;
    for (size_t t = 0; t < consumers->topic_count; t++) {
        if (!describe_topic(consumers->topics[t], member, target, arena, &topics[count]))
            return false;
        count += topics[count].count > 0;
    }
    *ret_topics = topics;
    *ret_count = count;
    return true;
}

static bool describe_member(const struct ms_consumer *member, struct ms_arena *arena,
                            struct ms_group_consumer_info *ret_info) {
    *ret_info = (struct ms_group_consumer_info){.epoch = member->epoch};
    struct ms_bytes *names = ms_arena_alloc(arena, (member->names->count + 1) * sizeof *names);
    bool whole = names != NULL && copy(arena, member->id, &ret_info->member_id) &&
                 copy(arena, member->instance_id, &ret_info->instance_id) &&
                 copy(arena, member->rack_id, &ret_info->rack_id) &&
                 copy(arena, member->client_id, &ret_info->client_id) &&
                 copy(arena, member->client_host, &ret_info->client_host) &&
                 copy(arena, member->pattern, &ret_info->pattern);
    for (size_t i = 0; whole && i < member->names->count; i++)
        whole = copy(arena, member->names->item[i], &names[i]);
    ret_info->topics = names;
    ret_info->topic_count = member->names->count;
    return whole &&
           describe_assignment(member, false, arena, &ret_info->assigned,
                               &ret_info->assigned_count) &&
           describe_assignment(member, true, arena, &ret_info->target, &ret_info->target_count);
}

/* ---- for those who ask as they ask of classic groups ---- */

/* What a classic consumer's assignment looks like:
 * i16 version | array of: string topic, array of i32 partition | bytes user data. */
static int write_assignment(struct ms_buf *out, const struct ms_group_partitions *topics,
                            size_t count) {
    int rc = ms_put_i16(out, 0);
    if (rc == 0)
        rc = ms_put_i32(out, (int32_t)count);
    for (size_t t = 0; rc == 0 && t < count; t++) {
        rc = ms_put_string(out, topics[t].topic);
        if (rc == 0)
            rc = ms_put_i32(out, (int32_t)topics[t].count);
        for (size_t i = 0; rc == 0 && i < topics[t].count; i++)
            rc = ms_put_i32(out, topics[t].partitions[i]);
    }
    return rc == 0 ? ms_put_i32(out, -1) : rc;
}

static bool describe_plainly(const struct ms_consumer *member, struct ms_arena *arena,
                             struct ms_group_member_info *ret_info) {
    const struct ms_group_partitions *topics;
    size_t count;
    struct ms_buf out;
    *ret_info = (struct ms_group_member_info){0};
    ms_buf_init(&out, MS_WRITE_BYTES_MAX);
    bool whole = copy(arena, member->id, &ret_info->member_id) &&
                 copy(arena, member->instance_id, &ret_info->instance_id) &&
                 copy(arena, member->client_id, &ret_info->client_id) &&
                 copy(arena, member->client_host, &ret_info->client_host) &&
                 describe_assignment(member, false, arena, &topics, &count) &&
                 write_assignment(&out, topics, count) == 0 &&
                 copy(arena, ms_buf_bytes(&out), &ret_info->assignment);
    ms_buf_deinit(&out);
    return whole;
}

bool ms_consumers_describe(const struct ms_group *group, struct ms_arena *arena,
                           struct ms_group_info *ret_info) {
    struct ms_group_member_info *members =
        ms_arena_alloc(arena, (group->consumers->count + 1) * sizeof *members);
    size_t count = 0;
    bool whole = members != NULL;
    for (struct ms_consumer *m = group->consumers->first; whole && m != NULL; m = m->next)
        whole = describe_plainly(m, arena, &members[count++]);
    ret_info->members = members;
    ret_info->member_count = count;
    return whole;
}

/* ---- in full ---- */

static bool describe(const struct ms_group *group, struct ms_arena *arena,
                     struct ms_consumer_group_info *ret_info) {
    const struct ms_consumer_group *consumers = group->consumers;
    enum ms_assignor assignor =
        consumers->assignor != MS_ASSIGNOR_NONE ? consumers->assignor : ms_consumers_choose(group);
    *ret_info = (struct ms_consumer_group_info){
        .base = {.type = group->type, .state = group->state, .generation = group->generation},
        .target_epoch = consumers->target_epoch,
        .assignor = ms_bytes_cstr(ms_assignor_name(assignor)),
        .member_count = consumers->count};
    struct ms_group_consumer_info *members =
        ms_arena_alloc(arena, (consumers->count + 1) * sizeof *members);
    bool whole = members != NULL && copy(arena, ms_group_id(group), &ret_info->base.group) &&
                 copy(arena, group->protocol_type, &ret_info->base.protocol_type);
    ret_info->members = members;
    for (struct ms_consumer *m = consumers->first; whole && m != NULL; m = m->next)
        whole = describe_member(m, arena, members++);
    return whole;
}

enum ms_group_code ms_groups_describe_consumers(struct ms_groups *groups, struct ms_bytes id,
                                                struct ms_arena *arena,
                                                struct ms_consumer_group_info *ret_info) {
    struct ms_turn turn;
    struct ms_consumer_group_info info = {.base = {.group = id, .state = MS_GROUP_DEAD}};
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, id);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, id) : NULL;
    if (code == MS_GROUP_OK && (group == NULL || group->consumers == NULL))
        code = MS_GROUP_NOT_FOUND;
    else if (code == MS_GROUP_OK && !describe(group, arena, &info))
        code = MS_GROUP_NOT_AVAILABLE;
    ms_turn_end(&turn);
    if (code == MS_GROUP_OK || code == MS_GROUP_NOT_FOUND)
        *ret_info = info;
    return code;
}
