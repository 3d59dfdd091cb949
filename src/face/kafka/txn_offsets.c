/*
 * TxnOffsetCommit: what a group has read, as part of a transaction. The transaction coordinator
 * says whether the producer may, the group coordinator whether the member may; the offsets are then
 * pending until the transaction ends.
 */
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "face/kafka/transactions.h"
#include "group/group.h"
#include "wire/kafka/messages.h"

#define IMPLIED_SINCE 5 /* no AddOffsetsToTxn is needed (KIP-890) */
#define NO_VERSION INT16_MAX

struct committing {
    struct ms_kafka_request *request;
    struct ms_group_commit commit;
};

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    struct committing *committing = commit->context;
    (void)code; /* every offset has it */
    ms_kafka_request_wake(committing->request);
}

static void forget(struct ms_kafka_request *request) {
    struct committing *committing = request->context;
    ms_groups_forget(request->loop->kafka->groups, &committing->commit.request);
}

/* All with the code of `offsets`. */
static void answer(struct ms_kafka_request *request, const struct ms_group_offset *offset) {
    const struct ms_kafka_txn_offset_commit_request *body = request->body;
    struct ms_kafka_txn_offset_commit_response response =
        ms_kafka_txn_offset_commit_response_default;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    response.topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.topics);
    bool whole = response.topics != NULL;
    for (size_t t = 0; whole && t < count; t++) {
        const struct ms_kafka_txn_offset_commit_request_topic *from = &body->topics[t];
        struct ms_kafka_txn_offset_commit_response_topic *to = &response.topics[t];
        to->name = from->name;
        to->partitions = ms_arena_zalloc(&request->arena, ((size_t)from->partitions_count + 1) *
                                                              sizeof *to->partitions);
        whole = to->partitions != NULL;
        for (int32_t p = 0; whole && p < from->partitions_count; p++, offset++) {
            to->partitions[p].partition_index = offset->partition;
            to->partitions[p].error_code = (int16_t)offset->code;
            ms_kafka_request_note_error(request, (int)offset->code);
        }
        to->partitions_count = from->partitions_count;
    }
    response.topics_count = (int32_t)count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

static void committed(struct ms_kafka_request *request) {
    const struct committing *committing = request->context;
    request->forget = NULL;
    answer(request, committing->commit.offsets);
}

static struct ms_group_offset *read_offsets(struct ms_kafka_request *request, int16_t code,
                                            size_t *ret_count) {
    const struct ms_kafka_txn_offset_commit_request *body = request->body;
    size_t count = 0;
    for (int32_t t = 0; t < body->topics_count; t++)
        count += (size_t)body->topics[t].partitions_count;
    struct ms_group_offset *offsets =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *offsets);
    struct ms_group_offset *to = offsets;
    for (int32_t t = 0; offsets != NULL && t < body->topics_count; t++) {
        const struct ms_kafka_txn_offset_commit_request_topic *topic = &body->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct ms_kafka_txn_offset_commit_request_partition *from = &topic->partitions[p];
            *to++ = (struct ms_group_offset){
                .topic = topic->name,
                .partition = from->partition_index,
                .offset = from->committed_offset,
                .leader_epoch = from->committed_leader_epoch,
                .metadata = from->committed_metadata,
                .commit_time_ms = -1,
                .code = (enum ms_group_code)code,
            };
        }
    }
    *ret_count = count;
    return offsets;
}

void ms_kafka_txn_offset_commit(struct ms_kafka_request *request) {
    const struct ms_kafka_txn_offset_commit_request *body = request->body;
    struct ms_txn_identity who = {body->transactional_id,
                                  {body->producer_id, body->producer_epoch}};
    enum ms_txn_code code =
        ms_txns_begin_offsets(ms_kafka_txns(request), &who, request->version >= IMPLIED_SINCE);
    struct committing *committing = ms_arena_zalloc(&request->arena, sizeof *committing);
    size_t count;
    struct ms_group_offset *offsets =
        read_offsets(request, ms_kafka_txn_error(request, code, NO_VERSION), &count);
    if (committing == NULL || offsets == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    if (code != MS_TXN_OK) {
        answer(request, offsets);
        return;
    }
    committing->request = request;
    committing->commit = (struct ms_group_commit){
        .identity = {body->group_id, body->member_id, body->group_instance_id,
                     request->version >= 3 ? body->generation_id : -1},
        .retention_ms = -1,
        .offsets = offsets,
        .offset_count = count,
        .producer_id = body->producer_id,
        .producer_epoch = body->producer_epoch,
        .done = on_committed,
        .context = committing,
    };
    request->context = committing;
    request->forget = forget;
    ms_kafka_request_arm(request, committed);
    ms_groups_txn_commit(request->loop->kafka->groups, &committing->commit);
}
