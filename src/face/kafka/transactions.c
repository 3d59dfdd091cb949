/*
 * AddPartitionsToTxn, AddOffsetsToTxn, EndTxn: a transaction's course. Each is answered by the
 * coordinator (txn/txn.h) when it is durable.
 */
#include "face/kafka/transactions.h"

#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "face/kafka/sync.h"
#include "projection/sync_wait.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define FENCED_SINCE 2
#define BUMPS_SINCE 5 /* the epoch changes with each transaction (KIP-890) */

typedef struct ms_kafka_add_partitions_to_txn_request_topic asked_topic;
typedef struct ms_kafka_add_partitions_to_txn_response_topic answered_topic;

/* ---- what they share ---- */

struct ms_txns *ms_kafka_txns(const struct ms_kafka_request *request) {
    return request->loop->kafka->txns;
}

static void on_answer(struct ms_txn_request *asked) { ms_kafka_request_wake(asked->context); }

static void forget(struct ms_kafka_request *request) {
    struct ms_kafka_txn_call *call = request->context;
    ms_txns_forget(ms_kafka_txns(request), &call->asked);
}

struct ms_kafka_txn_call *ms_kafka_txn_call(struct ms_kafka_request *request,
                                            ms_kafka_step *answered) {
    struct ms_kafka_txn_call *call = ms_arena_zalloc(&request->arena, sizeof *call);
    if (call == NULL) {
        ms_kafka_request_close(request);
        return NULL;
    }
    call->request = request;
    call->asked.done = on_answer;
    call->asked.context = request;
    request->context = call;
    request->forget = forget;
    ms_kafka_request_arm(request, answered);
    return call;
}

const struct ms_txn_request *ms_kafka_txn_answer(struct ms_kafka_request *request) {
    const struct ms_kafka_txn_call *call = request->context;
    request->forget = NULL;
    return &call->asked;
}

int16_t ms_kafka_txn_error(struct ms_kafka_request *request, enum ms_txn_code code,
                           int16_t fenced_since) {
    int16_t error = (int16_t)code;
    if (code == MS_TXN_FENCED && request->version < fenced_since)
        error = MS_KAFKA_INVALID_PRODUCER_EPOCH;
    ms_kafka_request_note_error(request, error);
    return error;
}

/* ---- AddPartitionsToTxn ---- */

/* All partitions with the code, or, with `unknown`, those that are not there with theirs. */
static void answer_partitions(struct ms_kafka_request *request, int16_t code,
                              const bool *is_unknown) {
    const struct ms_kafka_add_partitions_to_txn_request *body = request->body;
    struct ms_kafka_add_partitions_to_txn_response response =
        ms_kafka_add_partitions_to_txn_response_default;
    int32_t count = body->v3_and_below_topics_count > 0 ? body->v3_and_below_topics_count : 0;
    answered_topic *topics = ms_arena_zalloc(&request->arena, ((size_t)count + 1) * sizeof *topics);
    bool whole = topics != NULL;
    size_t at = 0;
    for (int32_t t = 0; whole && t < count; t++) {
        const asked_topic *from = &body->v3_and_below_topics[t];
        answered_topic *to = &topics[t];
        to->name = from->name;
        to->results_by_partition =
            ms_arena_zalloc(&request->arena, ((size_t)from->partitions_count + 1) *
                                                 sizeof *to->results_by_partition);
        whole = to->results_by_partition != NULL;
        for (int32_t p = 0; whole && p < from->partitions_count; p++, at++) {
            to->results_by_partition[p].partition_index = from->partitions[p];
            to->results_by_partition[p].partition_error_code =
                is_unknown != NULL && is_unknown[at] ? MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : code;
        }
        to->results_by_partition_count = from->partitions_count;
    }
    response.results_by_topic_v3_and_below = topics;
    response.results_by_topic_v3_and_below_count = count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

static void partitions_added(struct ms_kafka_request *request) {
    const struct ms_txn_request *asked = ms_kafka_txn_answer(request);
    answer_partitions(request, ms_kafka_txn_error(request, asked->code, FENCED_SINCE), NULL);
}

static bool is_there(struct ms_kafka_request *request, struct ms_bytes name, int32_t partition) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_topic *topic = ms_store_topic(store, name, false);
    struct ms_partition_state state;
    return topic != NULL && partition >= 0 &&
           ms_store_partition_state(store, topic, (uint32_t)partition, &state) == 0;
}

/* How many are not there; -1: no memory. */
static int32_t read_partitions(struct ms_kafka_request *request,
                               struct ms_txn_partition_name **ret_names, bool **ret_unknown,
                               size_t *ret_count) {
    const struct ms_kafka_add_partitions_to_txn_request *body = request->body;
    size_t count = 0;
    for (int32_t t = 0; t < body->v3_and_below_topics_count; t++)
        count += (size_t)body->v3_and_below_topics[t].partitions_count;
    struct ms_txn_partition_name *names =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *names);
    bool *unknown = ms_arena_zalloc(&request->arena, count + 1);
    if (names == NULL || unknown == NULL)
        return -1;
    int32_t lacking = 0;
    size_t at = 0;
    for (int32_t t = 0; t < body->v3_and_below_topics_count; t++) {
        const asked_topic *topic = &body->v3_and_below_topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++, at++) {
            names[at] = (struct ms_txn_partition_name){topic->name, topic->partitions[p]};
            unknown[at] = !is_there(request, topic->name, topic->partitions[p]);
            lacking += unknown[at];
        }
    }
    *ret_names = names;
    *ret_unknown = unknown;
    *ret_count = count;
    return lacking;
}

void ms_kafka_add_partitions_to_txn(struct ms_kafka_request *request) {
    const struct ms_kafka_add_partitions_to_txn_request *body = request->body;
    struct ms_txn_partition_name *names;
    bool *unknown;
    size_t count;
    int32_t lacking = read_partitions(request, &names, &unknown, &count);
    if (lacking < 0) {
        ms_kafka_request_close(request);
        return;
    }
    if (lacking > 0) {
        ms_kafka_request_note_error(request, MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        answer_partitions(request, MS_KAFKA_OPERATION_NOT_ATTEMPTED, unknown);
        return;
    }
    struct ms_kafka_txn_call *call = ms_kafka_txn_call(request, partitions_added);
    if (call == NULL)
        return;
    struct ms_txn_identity who = {
        body->v3_and_below_transactional_id,
        {body->v3_and_below_producer_id, body->v3_and_below_producer_epoch}};
    ms_txns_add_partitions(ms_kafka_txns(request), &who, names, count, &call->asked);
}

/* ---- AddOffsetsToTxn ---- */

static void offsets_added(struct ms_kafka_request *request) {
    const struct ms_txn_request *asked = ms_kafka_txn_answer(request);
    struct ms_kafka_add_offsets_to_txn_response response =
        ms_kafka_add_offsets_to_txn_response_default;
    response.error_code = ms_kafka_txn_error(request, asked->code, FENCED_SINCE);
    ms_kafka_answer(request, &response);
}

/* The group is not looked at: whoever has one open transaction has one for all groups. */
void ms_kafka_add_offsets_to_txn(struct ms_kafka_request *request) {
    const struct ms_kafka_add_offsets_to_txn_request *body = request->body;
    struct ms_kafka_txn_call *call = ms_kafka_txn_call(request, offsets_added);
    if (call == NULL)
        return;
    struct ms_txn_identity who = {body->transactional_id,
                                  {body->producer_id, body->producer_epoch}};
    ms_txns_add_offsets(ms_kafka_txns(request), &who, &call->asked);
}

/* ---- EndTxn ---- */

static void answer_end(struct ms_kafka_request *request) {
    const struct ms_kafka_txn_call *call = request->context;
    const struct ms_txn_request *asked = &call->asked;
    struct ms_kafka_end_txn_response response = ms_kafka_end_txn_response_default;
    response.error_code = ms_kafka_txn_error(request, asked->code, FENCED_SINCE);
    response.producer_id = asked->producer.id;
    response.producer_epoch = asked->producer.epoch;
    ms_kafka_answer(request, &response);
}

static bool may_wait(const struct ms_kafka_request *request) {
    const struct ms_kafka_end_txn_request *body = request->body;
    return body->committed && ms_projections_any_sync(request->loop->kafka->projections);
}

/* What the transaction has produced becomes visible now: at the log's end at the latest. */
static void ended(struct ms_kafka_request *request) {
    const struct ms_txn_request *asked = ms_kafka_txn_answer(request);
    const struct ms_kafka_txn_call *call = request->context;
    uint64_t end = ms_store_end(request->loop->kafka->store);
    if (asked->code == MS_TXN_OK && end > 0 && may_wait(request))
        ms_kafka_sync_wait(request, call->topics, call->topic_count, end - 1,
                           request->loop->now_us + MS_SYNC_PATIENCE_US, answer_end);
    else
        answer_end(request);
}

/* One that has ended before, whose client asks again, has none any more: they stay unknown. */
static void note_topics(struct ms_kafka_request *request, struct ms_kafka_txn_call *call) {
    const struct ms_kafka_end_txn_request *body = request->body;
    struct ms_txn_info info;
    if (ms_txns_describe(ms_kafka_txns(request), body->transactional_id, &request->arena, &info) !=
            MS_TXN_OK ||
        info.partition_count == 0)
        return;
    call->topics = ms_arena_alloc(&request->arena, info.partition_count * sizeof *call->topics);
    for (size_t i = 0; call->topics != NULL && i < info.partition_count; i++)
        if (i == 0 || !ms_bytes_equal(info.partitions[i].topic, info.partitions[i - 1].topic))
            call->topics[call->topic_count++] = info.partitions[i].topic;
}

void ms_kafka_end_txn(struct ms_kafka_request *request) {
    const struct ms_kafka_end_txn_request *body = request->body;
    struct ms_kafka_txn_call *call = ms_kafka_txn_call(request, ended);
    if (call == NULL)
        return;
    if (may_wait(request))
        note_topics(request, call);
    struct ms_txn_identity who = {body->transactional_id,
                                  {body->producer_id, body->producer_epoch}};
    ms_txns_end(ms_kafka_txns(request), &who, body->committed, request->version >= BUMPS_SINCE,
                &call->asked);
}
