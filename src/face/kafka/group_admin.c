/* DescribeGroups, ListGroups, DeleteGroups: what the tools ask about groups. */
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "group/group.h"
#include "wire/kafka/messages.h"

static struct ms_groups *groups_of(const struct ms_kafka_request *request) {
    return request->loop->kafka->groups;
}

/* ---- DescribeGroups ---- */

static int describe(struct ms_kafka_request *request, struct ms_bytes id,
                    struct ms_kafka_describe_groups_response_group *to) {
    struct ms_group_info info = {0};
    enum ms_group_code code = ms_groups_describe(groups_of(request), id, &request->arena, &info);
    *to = ms_kafka_describe_groups_response_group_default;
    to->group_id = id;
    to->group_state = ms_bytes_cstr(ms_group_state_name(MS_GROUP_DEAD));
    /* What Kafka says of a group that isn't there, or is of another type: it is dead. */
    if (code == MS_GROUP_NOT_FOUND || (code == MS_GROUP_OK && info.type != MS_GROUP_TYPE_CLASSIC))
        return 0;
    to->error_code = (int16_t)code;
    if (code != MS_GROUP_OK)
        return 0;
    to->group_state = ms_bytes_cstr(ms_group_state_name(info.state));
    to->protocol_type = info.protocol_type;
    to->protocol_data = info.protocol_name;
    to->members = ms_arena_alloc(&request->arena, (info.member_count + 1) * sizeof *to->members);
    if (to->members == NULL)
        return MS_ENOMEM;
    to->members_count = (int32_t)info.member_count;
    for (size_t i = 0; i < info.member_count; i++) {
        const struct ms_group_member_info *from = &info.members[i];
        struct ms_kafka_describe_groups_response_member *member = &to->members[i];
        *member = ms_kafka_describe_groups_response_member_default;
        member->member_id = from->member_id;
        if (from->instance_id.len > 0)
            member->group_instance_id = from->instance_id;
        member->client_id = from->client_id;
        member->client_host = from->client_host;
        member->member_metadata = from->metadata;
        member->member_assignment = from->assignment;
    }
    return 0;
}

void ms_kafka_describe_groups(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_groups_request *body = request->body;
    size_t count = body->groups_count > 0 ? (size_t)body->groups_count : 0;
    struct ms_kafka_describe_groups_response response = ms_kafka_describe_groups_response_default;
    response.groups = ms_arena_alloc(&request->arena, (count + 1) * sizeof *response.groups);
    int code = response.groups != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = describe(request, body->groups[i], &response.groups[i]);
    response.groups_count = (int32_t)count;
    if (code == 0)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

/* ---- ListGroups ---- */

/* Bits of the names that are known; a filter of unknown names only matches nothing. */
static uint32_t state_bits(const struct ms_bytes *names, int32_t count, bool *ret_nothing) {
    uint32_t bits = 0;
    for (int32_t i = 0; i < count; i++)
        for (int state = 0; state < MS_GROUP_STATES; state++)
            if (ms_bytes_equal_cstr(names[i], ms_group_state_name((enum ms_group_state)state)))
                bits |= 1u << state;
    *ret_nothing = count > 0 && bits == 0;
    return bits;
}

static uint32_t type_bits(const struct ms_bytes *names, int32_t count, bool *ret_nothing) {
    uint32_t bits = 0;
    for (int32_t i = 0; i < count; i++)
        for (int type = 0; type < MS_GROUP_TYPES; type++)
            if (ms_bytes_equal_cstr(names[i], ms_group_type_name((enum ms_group_type)type)))
                bits |= 1u << type;
    *ret_nothing = *ret_nothing || (count > 0 && bits == 0);
    return bits;
}

void ms_kafka_list_groups(struct ms_kafka_request *request) {
    const struct ms_kafka_list_groups_request *body = request->body;
    struct ms_kafka_list_groups_response response = ms_kafka_list_groups_response_default;
    struct ms_group_info *infos = NULL;
    size_t count = 0;
    bool nothing;
    uint32_t states = state_bits(body->states_filter, body->states_filter_count, &nothing);
    uint32_t types = type_bits(body->types_filter, body->types_filter_count, &nothing);
    enum ms_group_code code = MS_GROUP_OK;
    if (!nothing)
        code = ms_groups_list(groups_of(request), states, types, &request->arena, &infos, &count);
    count = code == MS_GROUP_OK ? count : 0;
    response.error_code = (int16_t)code;
    response.groups = ms_arena_alloc(&request->arena, (count + 1) * sizeof *response.groups);
    if (response.groups == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    for (size_t i = 0; i < count; i++)
        response.groups[i] = (struct ms_kafka_list_groups_response_group){
            .group_id = infos[i].group,
            .protocol_type = infos[i].protocol_type,
            .group_state = ms_bytes_cstr(ms_group_state_name(infos[i].state)),
            .group_type = ms_bytes_cstr(ms_group_type_name(infos[i].type)),
        };
    response.groups_count = (int32_t)count;
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}

/* ---- DeleteGroups ---- */

struct deleting {
    struct ms_kafka_request *request;
    struct deleting_group {
        struct ms_group_delete delete;
        struct deleting *all;
        enum ms_group_code code;
    } * groups;
    size_t count;
    atomic_size_t pending; /* groups without an outcome, and the handler while it runs */
};

static void one_done(struct deleting *deleting) {
    struct ms_kafka_request *request = deleting->request;
    if (atomic_fetch_sub(&deleting->pending, 1) == 1)
        ms_kafka_request_wake(request);
}

static void on_deleted(struct ms_group_delete *delete, enum ms_group_code code) {
    struct deleting_group *group = delete->context;
    group->code = code;
    one_done(group->all);
}

static void forget_delete(struct ms_kafka_request *request) {
    struct deleting *deleting = request->context;
    for (size_t i = 0; i < deleting->count; i++)
        ms_groups_forget(groups_of(request), &deleting->groups[i].delete.request);
}

static void deleted(struct ms_kafka_request *request) {
    const struct ms_kafka_delete_groups_request *body = request->body;
    const struct deleting *deleting = request->context;
    struct ms_kafka_delete_groups_response response = ms_kafka_delete_groups_response_default;
    request->forget = NULL;
    response.results =
        ms_arena_alloc(&request->arena, (deleting->count + 1) * sizeof *response.results);
    if (response.results == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    for (size_t i = 0; i < deleting->count; i++) {
        response.results[i] = (struct ms_kafka_delete_groups_response_group){
            .group_id = body->groups_names[i], .error_code = (int16_t)deleting->groups[i].code};
        ms_kafka_request_note_error(request, deleting->groups[i].code);
    }
    response.results_count = (int32_t)deleting->count;
    ms_kafka_answer(request, &response);
}

void ms_kafka_delete_groups(struct ms_kafka_request *request) {
    const struct ms_kafka_delete_groups_request *body = request->body;
    size_t count = body->groups_names_count > 0 ? (size_t)body->groups_names_count : 0;
    struct deleting *deleting = ms_arena_zalloc(&request->arena, sizeof *deleting);
    struct deleting_group *groups = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *groups);
    if (deleting == NULL || groups == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    *deleting = (struct deleting){.request = request, .groups = groups, .count = count};
    atomic_store(&deleting->pending, count + 1);
    request->context = deleting;
    request->forget = forget_delete;
    ms_kafka_request_arm(request, deleted);
    for (size_t i = 0; i < count; i++) {
        groups[i].all = deleting;
        groups[i].delete = (struct ms_group_delete){
            .group = body->groups_names[i], .done = on_deleted, .context = &groups[i]};
        ms_groups_delete(groups_of(request), &groups[i].delete);
    }
    one_done(deleting);
}
