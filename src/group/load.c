/*
 * From the records of `__consumer_offsets` to groups, at start. What was removed leaves a trace
 * until ms_groups_loaded, so that records may come in any order: an offset that is not committed,
 * a group without members, each with the position of what said so.
 */
#include "group/consumer.h"
#include "group/internal.h"

/* ---- offsets ---- */

static int load_offset(struct ms_group *group, const struct ms_group_key *key,
                       const struct ms_group_record *record, uint64_t sequence,
                       int64_t producer_id) {
    struct ms_groups *groups = group->groups;
    struct ms_offset_value value = {0};
    int rc = record->tombstone ? 0 : ms_offset_value_read(record->value, &value);
    if (rc != 0 || (record->tombstone && producer_id >= 0))
        return MS_EINVAL;
    if (groups->offset_count >= groups->options.offsets_max)
        return MS_ENOMEM;
    struct ms_offset *offset = ms_offset_find_or_make(group, key->topic, key->partition);
    struct ms_offset_data data = {.offset = value.offset,
                                  .commit_time_ms = value.commit_time_ms,
                                  .expire_time_ms = value.expire_time_ms,
                                  .leader_epoch = value.leader_epoch};
    if (offset == NULL || !ms_group_copy(groups, value.metadata, &data.metadata))
        return MS_ENOMEM;
    if (producer_id < 0) {
        ms_offset_apply(offset, record->tombstone ? NULL : &data, sequence);
        return 0;
    }
    struct ms_pending *pending = ms_pending_new(offset, producer_id, sequence, &data);
    if (pending == NULL)
        return MS_ENOMEM;
    pending->durable = true;
    return 0;
}

/* ---- groups ---- */

static void clear(struct ms_turn *turn, struct ms_group *group) {
    while (group->first != NULL)
        ms_member_remove(turn, group->first, MS_GROUP_UNKNOWN_MEMBER);
    ms_group_drop(turn->groups, &group->protocol_type);
    ms_group_drop(turn->groups, &group->protocol_name);
    group->state = MS_GROUP_EMPTY;
    group->generation = 0;
    group->stored = false;
}

static int32_t session_within(const struct ms_groups_options *options, int32_t timeout_ms) {
    if (timeout_ms < options->session_timeout_ms_min)
        return options->session_timeout_ms_min;
    return timeout_ms > options->session_timeout_ms_max ? options->session_timeout_ms_max
                                                        : timeout_ms;
}

static int load_member(struct ms_group *group, const struct ms_member_value *value) {
    struct ms_groups *groups = group->groups;
    if (value->member_id.len == 0 || ms_member_find(group, value->member_id) != NULL)
        return MS_EINVAL;
    struct ms_member *member = ms_member_new(group, value->member_id, value->instance_id);
    if (member == NULL)
        return MS_ENOMEM;
    ms_member_admit(member);
    member->fresh = false;
    member->knows_id = true;
    member->session_timeout_ms = session_within(&groups->options, value->session_timeout_ms);
    member->rebalance_timeout_ms =
        value->rebalance_timeout_ms >= 0 ? value->rebalance_timeout_ms : member->session_timeout_ms;
    struct ms_group_protocol protocol = {group->protocol_name, value->subscription};
    member->protocols = ms_protocols_new(groups, &protocol, 1);
    return member->protocols != NULL &&
                   ms_group_copy(groups, value->client_id, &member->client_id) &&
                   ms_group_copy(groups, value->client_host, &member->client_host) &&
                   ms_group_copy(groups, value->assignment, &member->assignment)
               ? 0
               : MS_ENOMEM;
}

static int load_group(struct ms_turn *turn, struct ms_group *group,
                      const struct ms_group_record *record, uint64_t sequence) {
    struct ms_group_value value;
    struct ms_member_value member;
    int rc = record->tombstone ? 0 : ms_group_value_read(record->value, &value);
    if (rc != 0)
        return rc;
    if (sequence < group->position)
        return 0;
    group->position = sequence;
    clear(turn, group);
    if (record->tombstone)
        return 0;
    if (value.generation < 0 || (value.member_count > 0 && value.protocol_name.len == 0))
        return MS_EINVAL;
    if (!ms_group_copy(turn->groups, value.protocol_type, &group->protocol_type) ||
        !ms_group_copy(turn->groups, value.protocol_name, &group->protocol_name))
        return MS_ENOMEM;
    group->generation = value.generation;
    group->state_since_ms = value.state_time_ms;
    group->stored = true;
    while (rc == 0 && ms_group_member_next(&value, &member))
        rc = load_member(group, &member);
    if (rc != 0) {
        clear(turn, group);
        return rc;
    }
    struct ms_member *leader = ms_member_find(group, value.leader_id);
    if (leader != NULL)
        group->leader = leader;
    group->state = group->member_count > 0 ? MS_GROUP_STABLE : MS_GROUP_EMPTY;
    return 0;
}

/* ---- all of it ---- */

int ms_groups_load(struct ms_groups *groups, const struct ms_group_record *record,
                   uint64_t position, int64_t producer_id) {
    struct ms_group_key key;
    int rc = ms_group_key_read(record->key, &key);
    if (rc != 0 || key.kind == MS_GROUP_KEY_OTHER)
        return rc;
    if (key.group.len == 0 || key.group.len > MS_GROUP_ID_BYTES_MAX)
        return MS_EINVAL; /* nobody could ask for it */
    struct ms_turn turn;
    struct ms_group *group;
    ms_turn_begin(&turn, groups);
    MS_ASSERT(!groups->loaded);
    uint64_t sequence = position + 1;
    if (sequence > groups->sequence)
        groups->sequence = sequence;
    if (ms_group_find_or_make(&turn, key.group, &group) != MS_GROUP_OK)
        rc = MS_ENOMEM;
    else if (key.kind == MS_GROUP_KEY_OFFSET)
        rc = load_offset(group, &key, record, sequence, producer_id);
    else if (key.kind == MS_GROUP_KEY_GROUP)
        rc = load_group(&turn, group, record, sequence);
    else
        rc = ms_consumers_load(&turn, group, &key, record, sequence);
    ms_turn_end(&turn);
    return rc;
}

/* Of a group that was of both types the newer record says what it is. */
static bool is_of_consumers(const struct ms_group *group) {
    return group->consumers->live &&
           (!group->stored || group->consumers->found_group > group->position);
}

static void open_group(struct ms_turn *turn, struct ms_group *group) {
    struct ms_table_node *node, *next;
    for (node = ms_table_next(&group->offsets, NULL); node != NULL; node = next) {
        next = ms_table_next(&group->offsets, node);
        ms_offset_reap(MS_CONTAINER(node, struct ms_offset, node));
    }
    if (group->consumers != NULL && is_of_consumers(group)) {
        clear(turn, group);
        ms_consumers_loaded(turn, group);
    } else if (group->consumers != NULL) {
        ms_consumers_free(group);
    }
    for (struct ms_member *m = group->first; m != NULL; m = m->next)
        ms_member_touch(turn, m);
    ms_group_reap(group);
}

void ms_groups_loaded(struct ms_groups *groups) {
    struct ms_turn turn;
    struct ms_table_node *node, *next;
    ms_turn_begin(&turn, groups);
    for (node = ms_table_next(&groups->groups, NULL); node != NULL; node = next) {
        next = ms_table_next(&groups->groups, node);
        open_group(&turn, MS_CONTAINER(node, struct ms_group, node));
    }
    groups->loaded = true;
    ms_timer_set(&groups->timers, &groups->sweep,
                 turn.now_ms + groups->options.offsets_retention_check_ms);
    ms_turn_end(&turn);
}
