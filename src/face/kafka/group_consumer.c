/*
 * ConsumerGroupHeartbeat, ConsumerGroupDescribe: consumer groups (KIP-848). The coordinator
 * (src/group) decides; an answer that says something new comes when that is durable, from whatever
 * thread finds out, which copies it into the request and wakes it.
 */
#include <string.h>

#include "face/kafka/group_request.h"
#include "face/kafka/handlers.h"
#include "wire/kafka/messages.h"

#define OWN_IDS_VERSION 1 /* from here on clients make their members' ids */
#define MEMBER_TYPE_CONSUMER 1

typedef struct ms_kafka_consumer_group_heartbeat_response heartbeat_response;
typedef struct ms_kafka_consumer_group_heartbeat_response_topic_partition heartbeat_topic;
typedef struct ms_kafka_consumer_group_describe_response_group described_group;
typedef struct ms_kafka_consumer_group_describe_response_member described_member;
typedef struct ms_kafka_consumer_group_describe_response_topic_partition described_topic;

/* ---- ConsumerGroupHeartbeat ---- */

struct beating {
    struct ms_kafka_request *request;
    struct ms_group_consume consume;
    heartbeat_response response;
    bool broken; /* no memory for the answer */
};

static const char *message_of(enum ms_group_code code) {
    switch ((int)code) {
    case MS_GROUP_INVALID_REQUEST:
        return "a field of the request is missing, too long or makes no sense with its epoch";
    case MS_GROUP_NOT_FOUND:
        return "there is no such group, or it has members of the classic protocol";
    case MS_GROUP_FULL:
        return "the group has as many members as it may have";
    case MS_GROUP_UNKNOWN_MEMBER:
        return "the group has no such member";
    case MS_GROUP_FENCED_INSTANCE:
        return "another member has this instance id";
    case MS_GROUP_FENCED_EPOCH:
        return "the member's epoch is another one: let go of all partitions and join again";
    case MS_GROUP_UNRELEASED_INSTANCE:
        return "the member with this instance id has not left, and its session has not ended";
    case MS_GROUP_UNSUPPORTED_ASSIGNOR:
        return "the assignors are: uniform, range";
    case MS_GROUP_INVALID_PATTERN:
        return "no POSIX extended regular expression, or one that would take too long";
    default:
        return NULL;
    }
}

static int copy_assignment(struct beating *beating, const struct ms_group_consume_answer *answer) {
    struct ms_arena *arena = &beating->request->arena;
    struct ms_kafka_consumer_group_heartbeat_response_assignment *assignment =
        ms_arena_zalloc(arena, sizeof *assignment);
    heartbeat_topic *topics = ms_arena_zalloc(arena, (answer->topic_count + 1) * sizeof *topics);
    if (assignment == NULL || topics == NULL)
        return MS_ENOMEM;
    for (size_t t = 0; t < answer->topic_count; t++) {
        const struct ms_group_partitions *from = &answer->topics[t];
        int32_t *partitions = ms_arena_alloc(arena, (from->count + 1) * sizeof *partitions);
        if (partitions == NULL)
            return MS_ENOMEM;
        memcpy(partitions, from->partitions, from->count * sizeof *partitions);
        topics[t].topic_id = from->topic_id;
        topics[t].partitions = partitions;
        topics[t].partitions_count = (int32_t)from->count;
    }
    assignment->topic_partitions = topics;
    assignment->topic_partitions_count = (int32_t)answer->topic_count;
    beating->response.assignment = assignment;
    return 0;
}

/* Any thread. */
static void on_beaten(struct ms_group_consume *consume,
                      const struct ms_group_consume_answer *answer) {
    struct beating *beating = consume->context;
    struct ms_kafka_request *request = beating->request;
    heartbeat_response *response = &beating->response;
    *response = ms_kafka_consumer_group_heartbeat_response_default;
    response->error_code = (int16_t)answer->code;
    response->member_epoch = answer->epoch;
    response->heartbeat_interval_ms = answer->heartbeat_interval_ms;
    const char *message = message_of(answer->code);
    if (message != NULL)
        response->error_message = ms_bytes_cstr(message);
    if (answer->code == MS_GROUP_OK) {
        response->member_id = answer->member_id;
        beating->broken = !ms_kafka_keep(&request->arena, &response->member_id) ||
                          (answer->assigns && copy_assignment(beating, answer) != 0);
    }
    ms_kafka_request_wake(request);
}

static void forget_beat(struct ms_kafka_request *request) {
    struct beating *beating = request->context;
    ms_groups_forget(ms_kafka_groups_of(request), &beating->consume.request);
}

static void beaten(struct ms_kafka_request *request) {
    struct beating *beating = request->context;
    request->forget = NULL;
    ms_kafka_request_note_error(request, beating->response.error_code);
    if (beating->broken)
        ms_kafka_request_close(request);
    else
        ms_kafka_answer(request, &beating->response);
}

/* NULL when the request doesn't say; `*ret_broken`: no memory. */
static const struct ms_group_partitions *owned_partitions(struct ms_kafka_request *request,
                                                          size_t *ret_count, bool *ret_broken) {
    const struct ms_kafka_consumer_group_heartbeat_request *body = request->body;
    *ret_count = 0;
    if (body->topic_partitions_count < 0)
        return NULL;
    size_t count = (size_t)body->topic_partitions_count;
    struct ms_group_partitions *owned =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *owned);
    *ret_broken = owned == NULL;
    for (size_t t = 0; owned != NULL && t < count; t++) {
        owned[t].topic_id = body->topic_partitions[t].topic_id;
        owned[t].partitions = body->topic_partitions[t].partitions;
        owned[t].count = body->topic_partitions[t].partitions_count > 0
                             ? (size_t)body->topic_partitions[t].partitions_count
                             : 0;
    }
    *ret_count = count;
    return owned;
}

void ms_kafka_consumer_group_heartbeat(struct ms_kafka_request *request) {
    const struct ms_kafka_consumer_group_heartbeat_request *body = request->body;
    static const struct ms_bytes no_topics[1];
    struct beating *beating = ms_arena_zalloc(&request->arena, sizeof *beating);
    bool broken = beating == NULL, says_topics = body->subscribed_topic_names_count >= 0;
    size_t owned_count;
    const struct ms_group_partitions *owned = owned_partitions(request, &owned_count, &broken);
    if (broken || beating == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    beating->request = request;
    beating->consume = (struct ms_group_consume){
        .group = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->instance_id,
        .rack_id = body->rack_id,
        .client_id = request->header.client_id,
        .client_host = ms_kafka_client_host(request),
        .epoch = body->member_epoch,
        .rebalance_timeout_ms = body->rebalance_timeout_ms,
        .topics = says_topics ? no_topics : NULL,
        .pattern = body->subscribed_topic_regex,
        .assignor = body->server_assignor,
        .owned = owned,
        .owned_count = owned_count,
        .makes_id = request->version < OWN_IDS_VERSION,
        .done = on_beaten,
        .context = beating,
    };
    if (body->subscribed_topic_names_count > 0) {
        beating->consume.topics = body->subscribed_topic_names;
        beating->consume.topic_count = (size_t)body->subscribed_topic_names_count;
    }
    request->context = beating;
    request->forget = forget_beat;
    ms_kafka_request_arm(request, beaten);
    ms_groups_consume(ms_kafka_groups_of(request), &beating->consume);
}

/* ---- ConsumerGroupDescribe ---- */

static int describe_topics(struct ms_kafka_request *request, const struct ms_group_partitions *from,
                           size_t count, described_topic **ret_topics) {
    described_topic *topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *topics);
    if (topics == NULL)
        return MS_ENOMEM;
    for (size_t t = 0; t < count; t++)
        topics[t] = (described_topic){
            .topic_id = from[t].topic_id,
            .topic_name = from[t].topic,
            .partitions = (int32_t *)from[t].partitions,
            .partitions_count = (int32_t)from[t].count,
        };
    *ret_topics = topics;
    return 0;
}

static int describe_member(struct ms_kafka_request *request,
                           const struct ms_group_consumer_info *from, described_member *to) {
    *to = ms_kafka_consumer_group_describe_response_member_default;
    to->member_id = from->member_id;
    if (from->instance_id.len > 0)
        to->instance_id = from->instance_id;
    if (from->rack_id.len > 0)
        to->rack_id = from->rack_id;
    if (from->pattern.len > 0)
        to->subscribed_topic_regex = from->pattern;
    to->member_epoch = from->epoch;
    to->client_id = from->client_id;
    to->client_host = from->client_host;
    to->subscribed_topic_names = (struct ms_bytes *)from->topics;
    to->subscribed_topic_names_count = (int32_t)from->topic_count;
    to->member_type = MEMBER_TYPE_CONSUMER;
    to->assignment.topic_partitions_count = (int32_t)from->assigned_count;
    to->target_assignment.topic_partitions_count = (int32_t)from->target_count;
    int rc = describe_topics(request, from->assigned, from->assigned_count,
                             &to->assignment.topic_partitions);
    return rc != 0 ? rc
                   : describe_topics(request, from->target, from->target_count,
                                     &to->target_assignment.topic_partitions);
}

static int describe_group(struct ms_kafka_request *request, struct ms_bytes id,
                          described_group *to) {
    struct ms_consumer_group_info info = {0};
    enum ms_group_code code =
        ms_groups_describe_consumers(ms_kafka_groups_of(request), id, &request->arena, &info);
    *to = ms_kafka_consumer_group_describe_response_group_default;
    to->group_id = id;
    to->error_code = (int16_t)code;
    ms_kafka_request_note_error(request, code);
    if (code == MS_GROUP_NOT_FOUND)
        to->error_message = MS_BYTES_LITERAL("there is no such group, or it is a classic one");
    if (code != MS_GROUP_OK)
        return 0;
    to->group_state = ms_bytes_cstr(ms_group_state_name(info.base.state));
    to->group_epoch = info.base.generation;
    to->assignment_epoch = info.target_epoch;
    to->assignor_name = info.assignor;
    to->members = ms_arena_alloc(&request->arena, (info.member_count + 1) * sizeof *to->members);
    int rc = to->members != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < info.member_count; i++)
        rc = describe_member(request, &info.members[i], &to->members[i]);
    to->members_count = (int32_t)info.member_count;
    return rc;
}

void ms_kafka_consumer_group_describe(struct ms_kafka_request *request) {
    const struct ms_kafka_consumer_group_describe_request *body = request->body;
    size_t count = body->group_ids_count > 0 ? (size_t)body->group_ids_count : 0;
    struct ms_kafka_consumer_group_describe_response response =
        ms_kafka_consumer_group_describe_response_default;
    response.groups = ms_arena_alloc(&request->arena, (count + 1) * sizeof *response.groups);
    int rc = response.groups != NULL ? 0 : MS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = describe_group(request, body->group_ids[i], &response.groups[i]);
    response.groups_count = (int32_t)count;
    if (rc == 0)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}
