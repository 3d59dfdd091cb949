/* Describing, listing and counting groups: copies, taken under the lock. */
#include <stdlib.h>

#include "group/consumer.h"

const char *ms_group_state_name(enum ms_group_state state) {
    switch (state) {
    case MS_GROUP_EMPTY:
        return "Empty";
    case MS_GROUP_PREPARING:
        return "PreparingRebalance";
    case MS_GROUP_COMPLETING:
        return "CompletingRebalance";
    case MS_GROUP_STABLE:
        return "Stable";
    case MS_GROUP_ASSIGNING:
        return "Assigning";
    case MS_GROUP_RECONCILING:
        return "Reconciling";
    case MS_GROUP_DEAD:
    case MS_GROUP_STATES:
        break;
    }
    return "Dead";
}

const char *ms_group_type_name(enum ms_group_type type) {
    return type == MS_GROUP_TYPE_CONSUMER ? "consumer" : "classic";
}

static bool copy(struct ms_arena *arena, struct ms_bytes bytes, struct ms_bytes *ret_copy) {
    char *text = ms_arena_strdup(arena, bytes);
    if (text == NULL)
        return false;
    *ret_copy = ms_bytes_of(text, bytes.len);
    return true;
}

static bool describe_head(const struct ms_group *group, struct ms_arena *arena,
                          struct ms_group_info *ret_info) {
    *ret_info = (struct ms_group_info){
        .type = group->type,
        .state = group->state,
        .generation = group->generation,
        .member_count = group->consumers != NULL ? group->consumers->count : group->member_count};
    return copy(arena, ms_group_id(group), &ret_info->group) &&
           copy(arena, group->protocol_type, &ret_info->protocol_type) &&
           (group->state != MS_GROUP_STABLE ||
            copy(arena, group->protocol_name, &ret_info->protocol_name));
}

static bool describe_member(const struct ms_member *member, struct ms_arena *arena,
                            struct ms_group_member_info *ret_info) {
    *ret_info = (struct ms_group_member_info){0};
    return copy(arena, member->id, &ret_info->member_id) &&
           copy(arena, member->instance_id, &ret_info->instance_id) &&
           copy(arena, member->client_id, &ret_info->client_id) &&
           copy(arena, member->client_host, &ret_info->client_host) &&
           (member->group->state != MS_GROUP_STABLE ||
            (copy(arena, ms_member_metadata(member), &ret_info->metadata) &&
             copy(arena, member->assignment, &ret_info->assignment)));
}

static bool describe(const struct ms_group *group, struct ms_arena *arena,
                     struct ms_group_info *ret_info) {
    if (group->consumers != NULL)
        return describe_head(group, arena, ret_info) &&
               ms_consumers_describe(group, arena, ret_info);
    struct ms_group_member_info *members =
        ms_arena_alloc(arena, group->member_count * sizeof *members);
    bool ok = members != NULL && describe_head(group, arena, ret_info);
    size_t count = 0;
    for (struct ms_member *m = group->first; ok && m != NULL; m = m->next)
        ok = describe_member(m, arena, &members[count++]);
    ret_info->members = members;
    return ok;
}

enum ms_group_code ms_groups_describe(struct ms_groups *groups, struct ms_bytes id,
                                      struct ms_arena *arena, struct ms_group_info *ret_info) {
    struct ms_turn turn;
    struct ms_group_info info = {.group = id, .state = MS_GROUP_DEAD};
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, id);
    struct ms_group *group = code == MS_GROUP_OK ? ms_group_find(groups, id) : NULL;
    if (code == MS_GROUP_OK && group == NULL)
        code = MS_GROUP_NOT_FOUND;
    else if (group != NULL && !describe(group, arena, &info))
        code = MS_GROUP_NOT_AVAILABLE;
    ms_turn_end(&turn);
    if (code == MS_GROUP_OK || code == MS_GROUP_NOT_FOUND)
        *ret_info = info;
    return code;
}

static bool is_wanted(const struct ms_group *group, uint32_t states, uint32_t types) {
    return (states == 0 || (states & 1u << group->state) != 0) &&
           (types == 0 || (types & 1u << group->type) != 0);
}

static int by_id(const void *a, const void *b) {
    const struct ms_group_info *one = a, *two = b;
    return ms_bytes_compare(one->group, two->group);
}

enum ms_group_code ms_groups_list(struct ms_groups *groups, uint32_t states, uint32_t types,
                                  struct ms_arena *arena, struct ms_group_info **ret_infos,
                                  size_t *ret_count) {
    struct ms_turn turn;
    size_t count = 0;
    ms_turn_begin(&turn, groups);
    enum ms_group_code code = ms_turn_check(&turn, MS_BYTES_LITERAL("any"));
    struct ms_group_info *infos = ms_arena_alloc(arena, groups->groups.count * sizeof *infos);
    if (code == MS_GROUP_OK && infos == NULL)
        code = MS_GROUP_NOT_AVAILABLE;
    struct ms_table_node *node = NULL;
    while (code == MS_GROUP_OK && (node = ms_table_next(&groups->groups, node)) != NULL) {
        struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        if (is_wanted(group, states, types) && !describe_head(group, arena, &infos[count++]))
            code = MS_GROUP_NOT_AVAILABLE;
    }
    ms_turn_end(&turn);
    if (code != MS_GROUP_OK)
        return code;
    if (count > 0)
        qsort(infos, count, sizeof *infos, by_id);
    *ret_infos = infos;
    *ret_count = count;
    return MS_GROUP_OK;
}

void ms_groups_stats(struct ms_groups *groups, struct ms_groups_stats *ret_stats) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    *ret_stats = (struct ms_groups_stats){.members = groups->members,
                                          .pending_members = groups->pending_members,
                                          .offsets = groups->offset_count,
                                          .bytes = groups->bytes,
                                          .rebalances = groups->rebalances,
                                          .writes_in_flight = groups->writes_in_flight,
                                          .failed_writes = groups->failed_writes};
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&groups->groups, node)) != NULL) {
        const struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        ret_stats->groups[group->state]++;
        ret_stats->types[group->type]++;
    }
    ms_turn_end(&turn);
}

void ms_groups_visit_offsets(struct ms_groups *groups,
                             void (*visit)(void *context, struct ms_bytes group,
                                           const struct ms_group_offset *offset),
                             void *context) {
    struct ms_turn turn;
    ms_turn_begin(&turn, groups);
    struct ms_table_node *node = NULL;
    while ((node = ms_table_next(&groups->groups, node)) != NULL) {
        struct ms_group *group = MS_CONTAINER(node, struct ms_group, node);
        struct ms_table_node *at = NULL;
        while ((at = ms_table_next(&group->offsets, at)) != NULL) {
            const struct ms_offset *offset = MS_CONTAINER(at, struct ms_offset, node);
            if (!offset->committed)
                continue;
            struct ms_group_offset view = ms_offset_view(offset);
            visit(context, ms_group_id(group), &view);
        }
    }
    ms_turn_end(&turn);
}
