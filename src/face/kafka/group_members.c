/*
 * JoinGroup, SyncGroup, Heartbeat, LeaveGroup: members of classic groups. The coordinator
 * (src/group) decides; a join or a sync may be answered much later, from whatever thread completes
 * the group, which copies its answer into the request and wakes it.
 */
#include "face/kafka/group_request.h"
#include "face/kafka/handlers.h"
#include "wire/kafka/messages.h"

#define REBALANCE_TIMEOUT_VERSION 1
#define MEMBER_ID_REQUIRED_VERSION 4
#define PROTOCOL_TYPE_VERSION 7
#define NULL_PROTOCOL_VERSION 7
#define SKIP_ASSIGNMENT_VERSION 9
#define LEAVERS_VERSION 3

/* ---- JoinGroup ---- */

struct joining {
    struct ms_kafka_request *request;
    struct ms_group_join join;
    struct ms_kafka_join_group_response response;
    bool broken; /* no memory for the answer */
};

static int copy_members(struct joining *joining, const struct ms_group_join_answer *answer) {
    struct ms_arena *arena = &joining->request->arena;
    struct ms_kafka_join_group_response *response = &joining->response;
    response->members =
        ms_arena_alloc(arena, (answer->member_count + 1) * sizeof *response->members);
    if (response->members == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < answer->member_count; i++) {
        const struct ms_group_join_member *from = &answer->members[i];
        struct ms_kafka_join_group_response_member *to = &response->members[i];
        *to = ms_kafka_join_group_response_member_default;
        to->member_id = from->member_id;
        to->metadata = from->metadata;
        if (from->instance_id.len > 0)
            to->group_instance_id = from->instance_id;
        if (!ms_kafka_keep(arena, &to->member_id) || !ms_kafka_keep(arena, &to->metadata) ||
            (to->group_instance_id.len > 0 && !ms_kafka_keep(arena, &to->group_instance_id)))
            return MS_ENOMEM;
    }
    response->members_count = (int32_t)answer->member_count;
    return 0;
}

/* Any thread. */
static void on_joined(struct ms_group_join *join, const struct ms_group_join_answer *answer) {
    struct joining *joining = join->context;
    struct ms_kafka_request *request = joining->request;
    const struct ms_kafka_join_group_request *body = request->body;
    struct ms_kafka_join_group_response *response = &joining->response;
    *response = ms_kafka_join_group_response_default;
    response->error_code = (int16_t)answer->code;
    response->generation_id = answer->generation;
    response->protocol_type = answer->protocol_type;
    response->protocol_name = answer->protocol_name;
    response->leader = answer->leader_id;
    response->member_id = answer->member_id.len > 0 ? answer->member_id : body->member_id;
    response->skip_assignment = answer->skip_assignment;
    bool whole = ms_kafka_keep(&request->arena, &response->protocol_type) &&
                 ms_kafka_keep(&request->arena, &response->protocol_name) &&
                 ms_kafka_keep(&request->arena, &response->leader) &&
                 ms_kafka_keep(&request->arena, &response->member_id);
    /* There is no protocol in an answer that has none; before version 7 it can't be null. */
    if (whole && response->protocol_name.len == 0 && request->version >= NULL_PROTOCOL_VERSION)
        response->protocol_name = response->protocol_type = (struct ms_bytes){0};
    joining->broken = !whole || copy_members(joining, answer) != 0;
    ms_kafka_request_wake(request);
}

static void forget_join(struct ms_kafka_request *request) {
    struct joining *joining = request->context;
    ms_groups_forget(ms_kafka_groups_of(request), &joining->join.request);
}

static void joined(struct ms_kafka_request *request) {
    struct joining *joining = request->context;
    request->forget = NULL;
    ms_kafka_request_note_error(request, joining->response.error_code);
    if (joining->broken)
        ms_kafka_request_close(request);
    else
        ms_kafka_answer(request, &joining->response);
}

void ms_kafka_join_group(struct ms_kafka_request *request) {
    const struct ms_kafka_join_group_request *body = request->body;
    size_t count = body->protocols_count > 0 ? (size_t)body->protocols_count : 0;
    struct joining *joining = ms_arena_zalloc(&request->arena, sizeof *joining);
    struct ms_group_protocol *protocols =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *protocols);
    if (joining == NULL || protocols == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    for (size_t i = 0; i < count; i++)
        protocols[i] =
            (struct ms_group_protocol){body->protocols[i].name, body->protocols[i].metadata};
    joining->request = request;
    joining->join = (struct ms_group_join){
        .group = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .client_id = request->header.client_id,
        .client_host = ms_kafka_client_host(request),
        .protocol_type = body->protocol_type,
        .protocols = protocols,
        .protocol_count = count,
        .session_timeout_ms = body->session_timeout_ms,
        .rebalance_timeout_ms = request->version >= REBALANCE_TIMEOUT_VERSION
                                    ? body->rebalance_timeout_ms
                                    : body->session_timeout_ms,
        .require_member_id = request->version >= MEMBER_ID_REQUIRED_VERSION,
        .can_skip_assignment = request->version >= SKIP_ASSIGNMENT_VERSION,
        .done = on_joined,
        .context = joining,
    };
    request->context = joining;
    request->forget = forget_join;
    ms_kafka_request_arm(request, joined);
    ms_groups_join(ms_kafka_groups_of(request), &joining->join);
}

/* ---- SyncGroup ---- */

struct syncing {
    struct ms_kafka_request *request;
    struct ms_group_sync sync;
    struct ms_kafka_sync_group_response response;
    bool broken;
};

/* Any thread. */
static void on_synced(struct ms_group_sync *sync, const struct ms_group_sync_answer *answer) {
    struct syncing *syncing = sync->context;
    struct ms_kafka_request *request = syncing->request;
    struct ms_kafka_sync_group_response *response = &syncing->response;
    *response = ms_kafka_sync_group_response_default;
    response->error_code = (int16_t)answer->code;
    response->assignment = answer->assignment;
    syncing->broken = !ms_kafka_keep(&request->arena, &response->assignment);
    if (answer->protocol_type.len > 0) {
        response->protocol_type = answer->protocol_type;
        response->protocol_name = answer->protocol_name;
        syncing->broken = syncing->broken ||
                          !ms_kafka_keep(&request->arena, &response->protocol_type) ||
                          !ms_kafka_keep(&request->arena, &response->protocol_name);
    }
    ms_kafka_request_wake(request);
}

static void forget_sync(struct ms_kafka_request *request) {
    struct syncing *syncing = request->context;
    ms_groups_forget(ms_kafka_groups_of(request), &syncing->sync.request);
}

static void synced(struct ms_kafka_request *request) {
    struct syncing *syncing = request->context;
    request->forget = NULL;
    ms_kafka_request_note_error(request, syncing->response.error_code);
    if (syncing->broken)
        ms_kafka_request_close(request);
    else
        ms_kafka_answer(request, &syncing->response);
}

void ms_kafka_sync_group(struct ms_kafka_request *request) {
    const struct ms_kafka_sync_group_request *body = request->body;
    size_t count = body->assignments_count > 0 ? (size_t)body->assignments_count : 0;
    struct syncing *syncing = ms_arena_zalloc(&request->arena, sizeof *syncing);
    struct ms_group_assignment *assignments =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *assignments);
    if (syncing == NULL || assignments == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    for (size_t i = 0; i < count; i++)
        assignments[i] = (struct ms_group_assignment){body->assignments[i].member_id,
                                                      body->assignments[i].assignment};
    syncing->request = request;
    syncing->sync = (struct ms_group_sync){
        .group = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .protocol_type = body->protocol_type,
        .protocol_name = body->protocol_name,
        .generation = body->generation_id,
        .assignments = assignments,
        .assignment_count = count,
        .done = on_synced,
        .context = syncing,
    };
    request->context = syncing;
    request->forget = forget_sync;
    ms_kafka_request_arm(request, synced);
    ms_groups_sync(ms_kafka_groups_of(request), &syncing->sync);
}

/* ---- Heartbeat, LeaveGroup ---- */

void ms_kafka_heartbeat(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    struct ms_group_identity identity = {body->group_id, body->member_id, body->group_instance_id,
                                         body->generation_id};
    struct ms_kafka_heartbeat_response response = ms_kafka_heartbeat_response_default;
    response.error_code = (int16_t)ms_groups_heartbeat(ms_kafka_groups_of(request), &identity);
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}

void ms_kafka_leave_group(struct ms_kafka_request *request) {
    const struct ms_kafka_leave_group_request *body = request->body;
    bool several = request->version >= LEAVERS_VERSION;
    size_t count = !several ? 1 : body->members_count > 0 ? (size_t)body->members_count : 0;
    struct ms_kafka_leave_group_response response = ms_kafka_leave_group_response_default;
    struct ms_group_leaver *leavers =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *leavers);
    response.members = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.members);
    if (leavers == NULL || response.members == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    if (!several)
        leavers[0].member_id = body->member_id;
    for (size_t i = 0; several && i < count; i++)
        leavers[i] = (struct ms_group_leaver){.member_id = body->members[i].member_id,
                                              .instance_id = body->members[i].group_instance_id};
    enum ms_group_code code =
        ms_groups_leave(ms_kafka_groups_of(request), body->group_id, leavers, count);
    if (code == MS_GROUP_OK && !several)
        code = leavers[0].code;
    response.error_code = (int16_t)code;
    for (size_t i = 0; code == MS_GROUP_OK && several && i < count; i++) {
        response.members[i].member_id = leavers[i].member_id;
        response.members[i].group_instance_id = body->members[i].group_instance_id;
        response.members[i].error_code = (int16_t)leavers[i].code;
        response.members_count = (int32_t)count;
    }
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}
