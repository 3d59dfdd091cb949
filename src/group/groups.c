/* Making, stopping and ticking; the table of groups; memory that counts. */
#include "group/group.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "group/consumer.h"
#include "group/internal.h"

/* ---- memory that counts ---- */

/* Before each piece: its size. */
#define SIZE_BYTES MS_ARENA_ALIGNMENT

void *ms_group_alloc(struct ms_groups *groups, size_t size) {
    if (size == 0 || size > groups->options.bytes_max ||
        groups->bytes > groups->options.bytes_max - size)
        return NULL;
    uint8_t *memory = ms_alloc(SIZE_BYTES + size);
    if (memory == NULL)
        return NULL;
    memcpy(memory, &size, sizeof size);
    groups->bytes += size;
    return memory + SIZE_BYTES;
}

void ms_group_release(struct ms_groups *groups, void *memory) {
    if (memory == NULL)
        return;
    uint8_t *begin = (uint8_t *)memory - SIZE_BYTES;
    size_t size;
    memcpy(&size, begin, sizeof size);
    MS_ASSERT(groups->bytes >= size);
    groups->bytes -= size;
    ms_free(begin);
}

bool ms_group_copy(struct ms_groups *groups, struct ms_bytes bytes, struct ms_bytes *ret_copy) {
    if (bytes.len == 0) {
        *ret_copy = (struct ms_bytes){0};
        return true;
    }
    uint8_t *copy = ms_group_alloc(groups, bytes.len);
    if (copy == NULL)
        return false;
    memcpy(copy, bytes.data, bytes.len);
    *ret_copy = ms_bytes_of(copy, bytes.len);
    return true;
}

void ms_group_drop(struct ms_groups *groups, struct ms_bytes *bytes) {
    ms_group_release(groups, (void *)bytes->data);
    *bytes = (struct ms_bytes){0};
}

/* ---- the table of groups ---- */

struct ms_group *ms_group_find(struct ms_groups *groups, struct ms_bytes id) {
    uint64_t hash = ms_hash64(id.data, id.len, 0);
    struct ms_table_node *node = ms_table_find(&groups->groups, hash);
    for (; node != NULL; node = ms_table_chain(node, hash)) {
        struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        if (ms_bytes_equal(ms_group_id(group), id))
            return group;
    }
    return NULL;
}

enum ms_group_code ms_group_find_or_make(struct ms_turn *turn, struct ms_bytes id,
                                         struct ms_group **ret_group) {
    struct ms_groups *groups = turn->groups;
    *ret_group = ms_group_find(groups, id);
    if (*ret_group != NULL)
        return MS_GROUP_OK;
    if (groups->groups.count >= groups->options.groups_max)
        return MS_GROUP_POLICY_VIOLATION;
    struct ms_group *group = ms_group_alloc(groups, sizeof *group + id.len);
    if (group == NULL)
        return MS_GROUP_NOT_AVAILABLE;
    if (ms_timers_reserve(&groups->timers) != 0) {
        ms_group_release(groups, group);
        return MS_GROUP_NOT_AVAILABLE;
    }
    *group = (struct ms_group){.groups = groups, .id_len = id.len};
    group->state_since_ms = turn->wall_ms;
    group->timer.kind = MS_TIMER_REBALANCE;
    memcpy(group->id, id.data, id.len);
    ms_table_put(&groups->groups, &group->node, ms_hash64(id.data, id.len, 0));
    *ret_group = group;
    return MS_GROUP_OK;
}

void ms_group_enter(struct ms_turn *turn, struct ms_group *group, enum ms_group_state state) {
    group->state = state;
    group->state_since_ms = turn->wall_ms;
}

static void free_group(struct ms_group *group) {
    struct ms_groups *groups = group->groups;
    ms_table_take(&groups->groups, &group->node);
    ms_timers_release(&groups->timers, &group->timer);
    ms_table_deinit(&group->members);
    ms_table_deinit(&group->offsets);
    ms_consumers_free(group);
    ms_group_drop(groups, &group->protocol_type);
    ms_group_drop(groups, &group->protocol_name);
    ms_group_release(groups, group);
}

void ms_group_reap(struct ms_group *group) {
    bool idle = group->state == MS_GROUP_DEAD || (group->state == MS_GROUP_EMPTY && !group->stored);
    if (idle && group->writes == 0 && group->members.count == 0 && group->offsets.count == 0)
        free_group(group);
}

/* ---- records ---- */

int ms_group_encode_tombstone(struct ms_write *write, const struct ms_group *group) {
    ms_write_key_begins(write);
    int rc = ms_group_key_write(&write->bytes, ms_group_id(group));
    if (rc != 0)
        return rc;
    ms_write_value_begins(write);
    ms_write_record_ends(write, true);
    return 0;
}

int ms_group_encode(struct ms_write *write, const struct ms_group *group, bool proposed) {
    ms_write_key_begins(write);
    int rc = ms_group_key_write(&write->bytes, ms_group_id(group));
    ms_write_value_begins(write);
    struct ms_group_value value = {.protocol_type = group->protocol_type,
                                   .protocol_name = group->protocol_name,
                                   .generation = group->generation,
                                   .state_time_ms = group->state_since_ms,
                                   .member_count = group->member_count};
    if (group->leader != NULL)
        value.leader_id = group->leader->id;
    if (rc == 0)
        rc = ms_group_value_write(&write->bytes, &value);
    for (struct ms_member *m = group->first; rc == 0 && m != NULL; m = m->next) {
        struct ms_member_value member = {.member_id = m->id,
                                         .instance_id = m->instance_id,
                                         .client_id = m->client_id,
                                         .client_host = m->client_host,
                                         .rebalance_timeout_ms = m->rebalance_timeout_ms,
                                         .session_timeout_ms = m->session_timeout_ms,
                                         .subscription = ms_member_metadata(m),
                                         .assignment = proposed ? m->proposed : m->assignment};
        rc = ms_member_value_write(&write->bytes, &member);
    }
    if (rc == 0)
        ms_write_record_ends(write, false);
    return rc;
}

/* ---- making, ending ---- */

#define OR_DEFAULT(field, value)                                                                   \
    do {                                                                                           \
        if (options->field == 0)                                                                   \
            options->field = (value);                                                              \
    } while (0)

static void fill_in(struct ms_groups_options *options) {
    OR_DEFAULT(groups_max, 10000);
    OR_DEFAULT(members_max, 1000);
    OR_DEFAULT(offsets_max, 1000000);
    OR_DEFAULT(bytes_max, (size_t)128 << 20);
    OR_DEFAULT(member_bytes_max, (size_t)1 << 20);
    OR_DEFAULT(offset_metadata_bytes_max, 4096);
    OR_DEFAULT(session_timeout_ms_min, 6000);
    OR_DEFAULT(session_timeout_ms_max, 30 * 60 * 1000);
    OR_DEFAULT(offsets_retention_ms, INT64_C(7) * 24 * 3600 * 1000);
    OR_DEFAULT(offsets_retention_check_ms, 10 * 60 * 1000);
    OR_DEFAULT(consumer_session_timeout_ms, 45 * 1000);
    OR_DEFAULT(consumer_heartbeat_interval_ms, 5 * 1000);
}

static bool limits_make_sense(const struct ms_groups_options *o) {
    return o->session_timeout_ms_min > 0 &&
           o->session_timeout_ms_max >= o->session_timeout_ms_min &&
           o->initial_rebalance_delay_ms >= 0 && o->offsets_retention_ms > 0 &&
           o->offsets_retention_check_ms > 0 && o->member_bytes_max <= INT32_MAX &&
           o->consumer_heartbeat_interval_ms > 0 &&
           o->consumer_session_timeout_ms > o->consumer_heartbeat_interval_ms &&
           o->offset_metadata_bytes_max <= INT16_MAX && o->store.append != NULL && o->env != NULL;
}

int ms_groups_new(const struct ms_groups_options *options, struct ms_groups **ret_groups) {
    struct ms_groups_options filled = *options;
    fill_in(&filled);
    if (!limits_make_sense(&filled))
        return MS_EINVAL;
    struct ms_groups *groups = ms_calloc(1, sizeof *groups);
    if (groups == NULL)
        return MS_ENOMEM;
    groups->options = filled;
    ms_timers_init(&groups->timers);
    if (ms_timers_reserve(&groups->timers) != 0) {
        ms_free(groups);
        return MS_ENOMEM;
    }
    ms_table_init(&groups->groups);
    ms_table_init(&groups->pendings);
    pthread_mutex_init(&groups->mutex, NULL);
    pthread_cond_init(&groups->delivered, NULL);
    *ret_groups = groups;
    return 0;
}

static void free_members(struct ms_turn *turn, struct ms_group *group, enum ms_group_code code) {
    struct ms_table_node *node, *next;
    for (node = ms_table_next(&group->members, NULL); node != NULL; node = next) {
        next = ms_table_next(&group->members, node);
        ms_member_remove(turn, MS_CONTAINER(node, struct ms_member, node), code);
    }
}

void ms_groups_stop(struct ms_groups *groups) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    groups->stopped = true;
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&groups->groups, node)) != NULL) {
        struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        for (struct ms_member *m = group->first; m != NULL; m = m->next) {
            ms_join_answer(&turn, m, MS_GROUP_NOT_AVAILABLE);
            ms_sync_answer(&turn, m, MS_GROUP_NOT_AVAILABLE);
        }
        if (group->consumers != NULL)
            ms_consumers_refuse_all(&turn, group);
    }
    ms_turn_end(&turn);
}

void ms_groups_free(struct ms_groups *groups) {
    if (groups == NULL)
        return;
    MS_ASSERT(groups->answers == NULL && groups->writes_in_flight == 0 &&
              groups->deliveries == NULL);
    struct ms_turn turn = {.groups = groups};
    struct ms_table_node *node;
    while ((node = ms_table_next(&groups->groups, NULL)) != NULL) {
        struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        free_members(&turn, group, MS_GROUP_NOT_AVAILABLE);
        ms_offset_free_all(group);
        free_group(group);
    }
    MS_ASSERT(groups->bytes == 0 && groups->offset_count == 0 && groups->answers == NULL);
    ms_table_deinit(&groups->groups);
    ms_table_deinit(&groups->pendings);
    ms_timers_deinit(&groups->timers);
    pthread_cond_destroy(&groups->delivered);
    pthread_mutex_destroy(&groups->mutex);
    ms_free(groups);
}

/* ---- time ---- */

static void fire(struct ms_turn *turn, struct ms_timer *timer) {
    switch ((enum ms_timer_kind)timer->kind) {
    case MS_TIMER_SWEEP:
        ms_sweep(turn);
        break;
    case MS_TIMER_SESSION:
        ms_member_expire(turn, MS_CONTAINER(timer, struct ms_member, session));
        break;
    case MS_TIMER_REBALANCE:
        ms_rebalance_expire(turn, MS_CONTAINER(timer, struct ms_group, timer));
        break;
    case MS_TIMER_CONSUMER_SESSION:
        ms_consumer_expire(turn, MS_CONTAINER(timer, struct ms_consumer, session));
        break;
    case MS_TIMER_REVOCATION:
        ms_consumer_revocation_expire(turn, MS_CONTAINER(timer, struct ms_consumer, revocation));
        break;
    }
}

#define IDLE_TICK_MS 60000

int64_t ms_groups_tick(struct ms_groups *groups) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    if (groups->loaded && !groups->stopped) {
        struct ms_timer *timer;
        while ((timer = ms_timers_pop(&groups->timers, turn.now_ms)) != NULL)
            fire(&turn, timer);
    }
    int64_t next_ms = ms_timers_next_ms(&groups->timers);
    int64_t idle_ms = turn.now_ms + IDLE_TICK_MS;
    if (!groups->loaded || groups->stopped || next_ms > idle_ms)
        next_ms = idle_ms;
    groups->promised_tick_ms = next_ms;
    ms_turn_end(&turn);
    return next_ms > turn.now_ms ? next_ms - turn.now_ms : 0;
}
