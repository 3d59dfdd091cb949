/*
 * From the records of `__consumer_offsets` to consumer groups, at start. Records may come in any
 * order, so the newest of each key is kept as it is until ms_consumers_loaded, when who owns what
 * is put together. Under the lock.
 */
#include "base/alloc.h"
#include "group/consumer.h"

/* The group may be a classic one, which ms_groups_loaded finds out. */
static bool reserve_consumers(struct ms_group *group) {
    if (group->consumers != NULL)
        return true;
    group->consumers = ms_group_alloc(group->groups, sizeof *group->consumers);
    if (group->consumers == NULL)
        return false;
    *group->consumers = (struct ms_consumer_group){.stale = true};
    return true;
}

static struct ms_consumer *find_or_make(struct ms_group *group, struct ms_bytes id) {
    struct ms_consumer *member = ms_consumer_find(group, id);
    if (member != NULL)
        return member;
    member = ms_consumer_new(group, id, (struct ms_bytes){0});
    if (member == NULL)
        return NULL;
    member->found = ms_group_alloc(group->groups, sizeof *member->found);
    if (member->found == NULL)
        return NULL; /* the load fails, and with it the group goes */
    *member->found = (struct ms_consumer_found){0};
    return member;
}

static bool replace(struct ms_groups *groups, struct ms_bytes *own, struct ms_bytes with) {
    ms_group_drop(groups, own);
    return ms_group_copy(groups, with, own);
}

/* ---- one record ---- */

static int load_epoch(struct ms_group *group, const struct ms_group_key *key,
                      const struct ms_group_record *record, uint64_t sequence) {
    struct ms_consumer_group *consumers = group->consumers;
    bool of_group = key->kind == MS_GROUP_KEY_CONSUMER_GROUP;
    uint64_t *position = of_group ? &consumers->found_group : &consumers->found_target;
    int32_t epoch = 0;
    int rc = record->tombstone ? 0 : ms_consumer_epoch_value_read(record->value, &epoch);
    if (rc != 0 || sequence < *position)
        return rc;
    *position = sequence;
    if (!of_group) {
        consumers->target_epoch = epoch;
        return 0;
    }
    consumers->live = !record->tombstone;
    consumers->epoch = epoch;
    return 0;
}

static int load_description(struct ms_consumer *member, struct ms_bytes bytes) {
    struct ms_groups *groups = member->group->groups;
    struct ms_consumer_value value;
    int rc = ms_consumer_value_read(bytes, &value);
    if (rc != 0)
        return rc;
    struct ms_bytes *names = ms_calloc(value.name_count + 1, sizeof *names);
    if (names == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; ms_consumer_name_next(&value, &names[i]);)
        i++;
    struct ms_names *own = ms_names_new(groups, names, value.name_count);
    ms_free(names);
    if (own == NULL)
        return MS_ENOMEM;
    ms_group_release(groups, member->names);
    member->names = own;
    enum ms_assignor assignor = ms_assignor_of(value.assignor);
    member->assignor = assignor < MS_ASSIGNORS ? assignor : MS_ASSIGNOR_NONE;
    member->rebalance_timeout_ms = value.rebalance_timeout_ms >= 0 ? value.rebalance_timeout_ms : 0;
    return replace(groups, &member->instance_id, value.instance_id) &&
                   replace(groups, &member->rack_id, value.rack_id) &&
                   replace(groups, &member->client_id, value.client_id) &&
                   replace(groups, &member->client_host, value.client_host) &&
                   replace(groups, &member->pattern, value.pattern)
               ? 0
               : MS_ENOMEM;
}

/* Its value is kept, and read when all records are there. */
static int load_partitions(struct ms_consumer *member, enum ms_group_key_kind kind,
                           const struct ms_group_record *record) {
    struct ms_consumer_current_value current;
    struct ms_bytes target;
    struct ms_bytes *found =
        kind == MS_GROUP_KEY_CONSUMER_TARGET ? &member->found->target : &member->found->current;
    int rc = 0;
    if (!record->tombstone)
        rc = kind == MS_GROUP_KEY_CONSUMER_TARGET
                 ? ms_consumer_target_value_read(record->value, &target)
                 : ms_consumer_current_value_read(record->value, &current);
    if (rc != 0)
        return rc;
    struct ms_bytes value = record->tombstone ? (struct ms_bytes){0} : record->value;
    return replace(member->group->groups, found, value) ? 0 : MS_ENOMEM;
}

int ms_consumers_load(struct ms_turn *turn, struct ms_group *group, const struct ms_group_key *key,
                      const struct ms_group_record *record, uint64_t sequence) {
    (void)turn;
    if (!reserve_consumers(group))
        return MS_ENOMEM;
    if (key->kind == MS_GROUP_KEY_CONSUMER_GROUP || key->kind == MS_GROUP_KEY_CONSUMER_TARGET_EPOCH)
        return load_epoch(group, key, record, sequence);
    if (key->member_id.len == 0)
        return MS_EINVAL;
    struct ms_consumer *member = find_or_make(group, key->member_id);
    if (member == NULL || member->found == NULL)
        return MS_ENOMEM;
    size_t kind = key->kind == MS_GROUP_KEY_CONSUMER          ? 0
                  : key->kind == MS_GROUP_KEY_CONSUMER_TARGET ? 1
                                                              : 2;
    if (sequence < member->found->positions[kind])
        return 0;
    int rc = 0;
    if (kind != 0)
        rc = load_partitions(member, key->kind, record);
    else if (!record->tombstone)
        rc = load_description(member, record->value);
    if (rc != 0)
        return rc;
    member->found->positions[kind] = sequence;
    if (kind == 0)
        member->found->live = !record->tombstone;
    return 0;
}

/* ---- all of them ---- */

enum aspect { TARGET, OWNED, REVOKING };

struct placing {
    struct ms_consumer *member;
    enum aspect aspect;
};

/* What another one has already stays with it: records of one write never say so. */
static int place(void *context, const struct ms_uuid *id, uint32_t partition) {
    struct placing *placing = context;
    struct ms_consumer *member = placing->member;
    struct ms_group *group = member->group;
    if (partition >= MS_CONSUMER_PARTITIONS_MAX)
        return 0;
    struct ms_consumer_topic *topic = ms_consumer_topic_find_or_make(group, id);
    if (topic == NULL || !ms_consumer_topic_reserve(group, topic, partition + 1))
        return MS_ENOMEM;
    struct ms_consumer_slot *slot = &topic->slots[partition];
    if (placing->aspect == TARGET) {
        if (slot->target == NULL)
            slot->target = member;
        if (partition >= topic->partitions)
            topic->partitions = partition + 1;
    } else if (slot->owner == NULL) {
        slot->owner = member;
        slot->revoking = placing->aspect == REVOKING;
    }
    return 0;
}

static int place_all(struct ms_consumer *member, enum aspect aspect, struct ms_bytes partitions) {
    struct placing placing = {member, aspect};
    return ms_partitions_each(partitions, place, &placing);
}

static int open_member(struct ms_turn *turn, struct ms_consumer *member) {
    struct ms_groups *groups = turn->groups;
    struct ms_consumer_found *found = member->found;
    struct ms_consumer_current_value current = {0};
    struct ms_bytes target;
    int rc = 0;
    if (found->target.len > 0 && ms_consumer_target_value_read(found->target, &target) == 0)
        rc = place_all(member, TARGET, target);
    if (found->current.len > 0 && ms_consumer_current_value_read(found->current, &current) == 0) {
        if (rc == 0)
            rc = place_all(member, OWNED, current.owned);
        if (rc == 0)
            rc = place_all(member, REVOKING, current.revoking);
        member->epoch = current.epoch;
        member->previous_epoch = current.previous_epoch;
        member->state = current.state >= 0 && current.state <= MS_CONSUMER_UNRELEASED
                            ? (enum ms_consumer_state)current.state
                            : MS_CONSUMER_UNRELEASED;
    }
    ms_group_drop(groups, &found->target);
    ms_group_drop(groups, &found->current);
    ms_group_release(groups, found);
    member->found = NULL;
    member->untold = true;
    member->knows_id = true;
    ms_consumer_touch(turn, member);
    if (member->state == MS_CONSUMER_UNREVOKED)
        ms_timer_set(&groups->timers, &member->revocation,
                     turn->now_ms + member->rebalance_timeout_ms);
    return rc;
}

/* No memory for what it owns: nobody may be given that before the member says so itself. */
static void start_over(struct ms_turn *turn, struct ms_group *group) {
    while (group->consumers->first != NULL)
        ms_consumer_remove(turn, group->consumers->first, MS_GROUP_UNKNOWN_MEMBER);
}

void ms_consumers_loaded(struct ms_turn *turn, struct ms_group *group) {
    struct ms_consumer_group *consumers = group->consumers;
    struct ms_consumer *next;
    int rc = 0;
    group->type = MS_GROUP_TYPE_CONSUMER;
    group->generation = consumers->epoch;
    group->stored = true;
    ms_group_drop(turn->groups, &group->protocol_type);
    if (!ms_group_copy(turn->groups, MS_BYTES_LITERAL("consumer"), &group->protocol_type))
        rc = MS_ENOMEM;
    for (struct ms_consumer *m = consumers->first; m != NULL; m = next) {
        next = m->next;
        if (!m->found->live)
            ms_consumer_forget(m);
        else if (rc == 0)
            rc = open_member(turn, m);
    }
    if (rc != 0)
        start_over(turn, group);
    /* What the topics are is found out by the first heartbeat; names are of use before. */
    const struct ms_group_topics *topics = &turn->groups->options.topics;
    struct ms_group_topic seen;
    for (size_t t = 0; topics->find_id != NULL && t < consumers->topic_count; t++)
        if (topics->find_id(topics->context, &consumers->topics[t]->id, &seen))
            (void)ms_group_copy(turn->groups, seen.name, &consumers->topics[t]->name);
    ms_consumers_restate(turn, group);
}
