/*
 * OffsetCommit, OffsetFetch, OffsetDelete: what groups have read. A commit is answered when it is
 * durable. Topics are not looked up: a group may keep its place in a topic that is made later, or
 * was deleted.
 */
#include <string.h>

#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "group/group.h"
#include "wire/kafka/messages.h"

#define GROUPS_VERSION 8
#define MEMBER_EPOCH_VERSION 9

typedef struct ms_kafka_offset_fetch_request_topic fetch_topic;
typedef struct ms_kafka_offset_fetch_response_topic fetched_topic;

static struct ms_groups *groups_of(const struct ms_kafka_request *request) {
    return request->loop->kafka->groups;
}

/* ---- OffsetCommit ---- */

struct committing {
    struct ms_kafka_request *request;
    struct ms_group_commit commit;
};

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *committing = commit->context;
    (void)code; /* every offset has it */
    ms_kafka_request_wake(committing->request);
}

static void forget_commit(struct ms_kafka_request *request) {
    struct committing *committing = request->context;
    ms_groups_forget(groups_of(request), &committing->commit.request);
}

/* Who commits by an older version doesn't know of epochs, nor that a group can be missing. */
static int commit_code(const struct ms_kafka_request *request, enum ms_group_code code) {
    bool knows = request->version >= MEMBER_EPOCH_VERSION;
    if (code == MS_GROUP_NOT_FOUND && !knows)
        return MS_GROUP_ILLEGAL_GENERATION;
    return code == MS_GROUP_STALE_EPOCH && !knows ? MS_KAFKA_UNSUPPORTED_VERSION : (int)code;
}

static void committed(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_commit_request *body = request->body;
    const struct committing *committing = request->context;
    const struct ms_group_offset *offset = committing->commit.offsets;
    struct ms_kafka_offset_commit_response response = ms_kafka_offset_commit_response_default;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    request->forget = NULL;
    response.topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.topics);
    bool whole = response.topics != NULL;
    for (size_t t = 0; whole && t < count; t++) {
        const struct ms_kafka_offset_commit_request_topic *from = &body->topics[t];
        struct ms_kafka_offset_commit_response_topic *to = &response.topics[t];
        to->name = from->name;
        to->partitions = ms_arena_zalloc(&request->arena, ((size_t)from->partitions_count + 1) *
                                                              sizeof *to->partitions);
        whole = to->partitions != NULL;
        for (int32_t p = 0; whole && p < from->partitions_count; p++, offset++) {
            to->partitions[p].partition_index = offset->partition;
            to->partitions[p].error_code = (int16_t)commit_code(request, offset->code);
            ms_kafka_request_note_error(request, to->partitions[p].error_code);
        }
        to->partitions_count = from->partitions_count;
    }
    response.topics_count = (int32_t)count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

static struct ms_group_offset *read_offsets(struct ms_kafka_request *request, size_t *ret_count) {
    const struct ms_kafka_offset_commit_request *body = request->body;
    size_t count = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        count += (size_t)body->topics[t].partitions_count;
    struct ms_group_offset *offsets =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *offsets);
    struct ms_group_offset *to = offsets;
    for (int32_t t = 0; offsets != NULL && t < body->topics_count; t++) {
        const struct ms_kafka_offset_commit_request_topic *topic = &body->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct ms_kafka_offset_commit_request_partition *from = &topic->partitions[p];
            *to++ = (struct ms_group_offset){
                .topic = topic->name,
                .partition = from->partition_index,
                .offset = from->committed_offset,
                .leader_epoch = from->committed_leader_epoch,
                .metadata = from->committed_metadata,
                .commit_time_ms = -1,
            };
        }
    }
    *ret_count = count;
    return offsets;
}

void ms_kafka_offset_commit(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_commit_request *body = request->body;
    struct committing *committing = ms_arena_zalloc(&request->arena, sizeof *committing);
    size_t count;
    struct ms_group_offset *offsets = read_offsets(request, &count);
    if (committing == NULL || offsets == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    committing->request = request;
    committing->commit = (struct ms_group_commit){
        .identity = {body->group_id, body->member_id, body->group_instance_id,
                     body->generation_id_or_member_epoch},
        .retention_ms = body->retention_time_ms,
        .offsets = offsets,
        .offset_count = count,
        .producer_id = -1,
        .producer_epoch = -1,
        .done = on_committed,
        .context = committing,
    };
    request->context = committing;
    request->forget = forget_commit;
    ms_kafka_request_arm(request, committed);
    ms_groups_commit(groups_of(request), &committing->commit);
}

/* ---- OffsetFetch ---- */

struct fetched_group {
    fetched_topic *topics;
    int32_t topics_count;
    enum ms_group_code code;
};

static int fill_topic(struct ms_kafka_request *request, const struct ms_group_offset *offsets,
                      size_t count, struct ms_bytes name, enum ms_group_code code,
                      fetched_topic *to) {
    to->name = name;
    to->partitions = ms_arena_alloc(&request->arena, (count + 1) * sizeof *to->partitions);
    if (to->partitions == NULL)
        return MS_ENOMEM;
    to->partitions_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct ms_kafka_offset_fetch_response_partition *partition = &to->partitions[i];
        bool known = code == MS_GROUP_OK && offsets[i].code == MS_GROUP_OK;
        *partition = ms_kafka_offset_fetch_response_partition_default;
        partition->partition_index = offsets[i].partition;
        partition->committed_offset = known ? offsets[i].offset : -1;
        partition->committed_leader_epoch = known ? offsets[i].leader_epoch : -1;
        partition->metadata =
            known && offsets[i].metadata.data != NULL ? offsets[i].metadata : MS_BYTES_LITERAL("");
        partition->error_code = (int16_t)(code != MS_GROUP_OK ? code : offsets[i].code);
    }
    return 0;
}

/* All that the group has: runs of a topic. */
static int fetch_all(struct ms_kafka_request *request, struct ms_bytes group, bool stable,
                     struct fetched_group *to) {
    struct ms_group_offset *offsets = NULL;
    size_t count = 0, topics = 0;
    to->code =
        ms_groups_fetch_all(groups_of(request), group, stable, &request->arena, &offsets, &count);
    count = to->code == MS_GROUP_OK ? count : 0;
    for (size_t i = 0; i < count; i++)
        topics += i == 0 || !ms_bytes_equal(offsets[i].topic, offsets[i - 1].topic);
    to->topics = ms_arena_zalloc(&request->arena, (topics + 1) * sizeof *to->topics);
    if (to->topics == NULL)
        return MS_ENOMEM;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && ms_bytes_equal(offsets[end].topic, offsets[i].topic);)
            end++;
        if (fill_topic(request, &offsets[i], end - i, offsets[i].topic, MS_GROUP_OK,
                       &to->topics[to->topics_count++]) != 0)
            return MS_ENOMEM;
    }
    return 0;
}

static int fetch_some(struct ms_kafka_request *request, struct ms_bytes group, bool stable,
                      const fetch_topic *topics, int32_t topics_count, struct fetched_group *to) {
    size_t count = 0;
    for (int32_t t = 0; t < topics_count; t++)
        count += (size_t)topics[t].partition_indexes_count;
    struct ms_group_offset *offsets =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *offsets);
    to->topics = ms_arena_zalloc(&request->arena, ((size_t)topics_count + 1) * sizeof *to->topics);
    if (offsets == NULL || to->topics == NULL)
        return MS_ENOMEM;
    struct ms_group_offset *at = offsets;
    for (int32_t t = 0; t < topics_count; t++)
        for (int32_t p = 0; p < topics[t].partition_indexes_count; p++, at++) {
            at->topic = topics[t].name;
            at->partition = topics[t].partition_indexes[p];
        }
    to->code = ms_groups_fetch(groups_of(request), group, stable, &request->arena, offsets, count);
    at = offsets;
    for (int32_t t = 0; t < topics_count; t++) {
        size_t partitions = (size_t)topics[t].partition_indexes_count;
        if (fill_topic(request, at, partitions, topics[t].name, to->code, &to->topics[t]) != 0)
            return MS_ENOMEM;
        at += partitions;
    }
    to->topics_count = topics_count;
    return 0;
}

static int fetch_group(struct ms_kafka_request *request, const struct ms_group_identity *who,
                       const fetch_topic *topics, int32_t topics_count, struct fetched_group *to) {
    const struct ms_kafka_offset_fetch_request *body = request->body;
    struct ms_bytes group = who->group;
    *to = (struct fetched_group){.code = ms_groups_check_fetch(groups_of(request), who)};
    if (to->code == MS_GROUP_UNKNOWN_MEMBER || to->code == MS_GROUP_STALE_EPOCH) {
        ms_kafka_request_note_error(request, to->code);
        return 0;
    }
    int code = topics_count < 0
                   ? fetch_all(request, group, body->require_stable, to)
                   : fetch_some(request, group, body->require_stable, topics, topics_count, to);
    ms_kafka_request_note_error(request, to->code);
    return code;
}

static int fill_groups(struct ms_kafka_request *request,
                       struct ms_kafka_offset_fetch_response *response) {
    const struct ms_kafka_offset_fetch_request *body = request->body;
    size_t count = body->groups_count > 0 ? (size_t)body->groups_count : 0;
    response->groups = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response->groups);
    if (response->groups == NULL)
        return MS_ENOMEM;
    response->groups_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct ms_kafka_offset_fetch_request_group *from = &body->groups[i];
        struct fetched_group group;
        struct ms_group_identity who = {from->group_id, from->member_id, {0}, from->member_epoch};
        if (fetch_group(request, &who, from->topics, from->topics_count, &group) != 0)
            return MS_ENOMEM;
        response->groups[i] = (struct ms_kafka_offset_fetch_response_group){
            .group_id = from->group_id,
            .topics = group.topics,
            .topics_count = group.topics_count,
            .error_code = (int16_t)group.code,
        };
    }
    return 0;
}

void ms_kafka_offset_fetch(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_fetch_request *body = request->body;
    struct ms_kafka_offset_fetch_response response = ms_kafka_offset_fetch_response_default;
    int code;
    if (request->version >= GROUPS_VERSION) {
        code = fill_groups(request, &response);
    } else {
        struct fetched_group group;
        struct ms_group_identity who = {.group = body->group_id, .generation = -1};
        code = fetch_group(request, &who, body->topics, body->topics_count, &group);
        response.topics = group.topics;
        response.topics_count = group.topics_count;
        response.error_code = (int16_t)group.code;
    }
    if (code == 0)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

/* ---- OffsetDelete ---- */

struct deleting {
    struct ms_kafka_request *request;
    struct ms_group_delete_offsets delete;
    enum ms_group_code code;
};

static void on_deleted(struct ms_group_delete_offsets *delete, enum ms_group_code code) {
    struct deleting *deleting = delete->context;
    deleting->code = code;
    ms_kafka_request_wake(deleting->request);
}

static void forget_delete(struct ms_kafka_request *request) {
    struct deleting *deleting = request->context;
    ms_groups_forget(groups_of(request), &deleting->delete.request);
}

static void deleted(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_delete_request *body = request->body;
    const struct deleting *deleting = request->context;
    const struct ms_group_offset *offset = deleting->delete.offsets;
    struct ms_kafka_offset_delete_response response = ms_kafka_offset_delete_response_default;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    request->forget = NULL;
    response.error_code = (int16_t)deleting->code;
    response.topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.topics);
    bool whole = response.topics != NULL;
    for (size_t t = 0; whole && deleting->code == MS_GROUP_OK && t < count; t++) {
        const struct ms_kafka_offset_delete_request_topic *from = &body->topics[t];
        struct ms_kafka_offset_delete_response_topic *to = &response.topics[t];
        to->name = from->name;
        to->partitions = ms_arena_zalloc(&request->arena, ((size_t)from->partitions_count + 1) *
                                                              sizeof *to->partitions);
        whole = to->partitions != NULL;
        for (int32_t p = 0; whole && p < from->partitions_count; p++, offset++) {
            to->partitions[p].partition_index = offset->partition;
            to->partitions[p].error_code = (int16_t)offset->code;
        }
        to->partitions_count = from->partitions_count;
        response.topics_count = (int32_t)count;
    }
    ms_kafka_request_note_error(request, response.error_code);
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

void ms_kafka_offset_delete(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_delete_request *body = request->body;
    struct deleting *deleting = ms_arena_zalloc(&request->arena, sizeof *deleting);
    size_t count = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        count += (size_t)body->topics[t].partitions_count;
    struct ms_group_offset *offsets =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *offsets);
    if (deleting == NULL || offsets == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    struct ms_group_offset *at = offsets;
    for (int32_t t = 0; t < body->topics_count; t++)
        for (int32_t p = 0; p < body->topics[t].partitions_count; p++, at++) {
            at->topic = body->topics[t].name;
            at->partition = body->topics[t].partitions[p].partition_index;
        }
    deleting->request = request;
    deleting->delete = (struct ms_group_delete_offsets){
        .group = body->group_id,
        .offsets = offsets,
        .offset_count = count,
        .done = on_deleted,
        .context = deleting,
    };
    request->context = deleting;
    request->forget = forget_delete;
    ms_kafka_request_arm(request, deleted);
    ms_groups_delete_offsets(groups_of(request), &deleting->delete);
}
