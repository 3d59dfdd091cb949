/* DescribeTransactions, ListTransactions, DescribeProducers: what administrators ask. */
#include <string.h>

#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "face/kafka/transactions.h"
#include "store/transactions.h"
#include "wire/kafka/messages.h"

typedef struct ms_kafka_describe_transactions_response_transaction described;
typedef struct ms_kafka_describe_producers_response_partition described_partition;

/* ---- DescribeTransactions ---- */

static bool fill_topics(struct ms_kafka_request *request, const struct ms_txn_info *info,
                        described *to) {
    struct ms_kafka_describe_transactions_response_topic *topic = NULL;
    int32_t *partitions =
        ms_arena_alloc(&request->arena, (info->partition_count + 1) * sizeof *partitions);
    to->topics = ms_arena_zalloc(&request->arena, (info->partition_count + 1) * sizeof *to->topics);
    if (partitions == NULL || to->topics == NULL)
        return false;
    for (size_t i = 0; i < info->partition_count; i++) {
        const struct ms_txn_partition_name *name = &info->partitions[i];
        if (topic == NULL || !ms_bytes_equal(topic->topic, name->topic)) {
            topic = &to->topics[to->topics_count++];
            topic->topic = name->topic;
            topic->partitions = &partitions[i];
        }
        partitions[i] = name->partition;
        topic->partitions_count++;
    }
    return true;
}

static bool describe(struct ms_kafka_request *request, struct ms_bytes id, described *to) {
    struct ms_txn_info info;
    enum ms_txn_code code = ms_txns_describe(ms_kafka_txns(request), id, &request->arena, &info);
    *to = ms_kafka_describe_transactions_response_transaction_default;
    to->transactional_id = id;
    to->error_code = ms_kafka_txn_error(request, code, 0);
    if (code != MS_TXN_OK)
        return true;
    to->transaction_state = ms_bytes_cstr(ms_txn_state_name(info.state));
    to->transaction_timeout_ms = info.timeout_ms;
    to->transaction_start_time_ms = info.started_ms;
    to->producer_id = info.producer.id;
    to->producer_epoch = info.producer.epoch;
    return fill_topics(request, &info, to);
}

void ms_kafka_describe_transactions(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_transactions_request *body = request->body;
    struct ms_kafka_describe_transactions_response response =
        ms_kafka_describe_transactions_response_default;
    int32_t count = body->transactional_ids_count > 0 ? body->transactional_ids_count : 0;
    described *all = ms_arena_zalloc(&request->arena, ((size_t)count + 1) * sizeof *all);
    bool whole = all != NULL;
    for (int32_t i = 0; whole && i < count; i++)
        whole = describe(request, body->transactional_ids[i], &all[i]);
    response.transaction_states = all;
    response.transaction_states_count = count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

/* ---- ListTransactions ---- */

/* Kafka's states; those that nothing is ever in here have no bit. */
static const struct {
    const char *name;
    uint32_t bit;
} states[] = {
    {"Empty", 1u << MS_TXN_EMPTY},
    {"Ongoing", 1u << MS_TXN_ONGOING},
    {"CompleteCommit", 1u << MS_TXN_COMPLETE_COMMIT},
    {"CompleteAbort", 1u << MS_TXN_COMPLETE_ABORT},
    {"PrepareCommit", 0},
    {"PrepareAbort", 0},
    {"PrepareEpochFence", 0},
    {"Dead", 0},
};
#define NO_STATE (1u << 31)

/* False: no such state. */
static bool add_state(struct ms_bytes name, uint32_t *bits) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (ms_bytes_equal_cstr(name, states[i].name)) {
            *bits |= states[i].bit != 0 ? states[i].bit : NO_STATE;
            return true;
        }
    }
    return false;
}

static bool read_states(struct ms_kafka_request *request,
                        struct ms_kafka_list_transactions_response *response, uint32_t *bits) {
    const struct ms_kafka_list_transactions_request *body = request->body;
    int32_t count = body->state_filters_count > 0 ? body->state_filters_count : 0;
    struct ms_bytes *unknown =
        ms_arena_alloc(&request->arena, ((size_t)count + 1) * sizeof *unknown);
    if (unknown == NULL)
        return false;
    response->unknown_state_filters = unknown;
    for (int32_t i = 0; i < count; i++)
        if (!add_state(body->state_filters[i], bits))
            unknown[response->unknown_state_filters_count++] = body->state_filters[i];
    if (count > 0 && *bits == 0)
        *bits = NO_STATE;
    return true;
}

void ms_kafka_list_transactions(struct ms_kafka_request *request) {
    const struct ms_kafka_list_transactions_request *body = request->body;
    struct ms_kafka_list_transactions_response response =
        ms_kafka_list_transactions_response_default;
    struct ms_txn_filter filter = {
        .producer_ids = body->producer_id_filters,
        .producer_count =
            body->producer_id_filters_count > 0 ? (size_t)body->producer_id_filters_count : 0,
        .duration_ms = request->version >= 1 ? body->duration_filter : -1,
    };
    struct ms_txn_info *infos = NULL;
    size_t count = 0;
    bool whole = read_states(request, &response, &filter.states);
    enum ms_txn_code code = MS_TXN_OK;
    if (whole)
        code = ms_txns_list(ms_kafka_txns(request), &filter, &request->arena, &infos, &count);
    response.error_code = ms_kafka_txn_error(request, code, 0);
    response.transaction_states =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.transaction_states);
    whole = whole && response.transaction_states != NULL;
    for (size_t i = 0; whole && i < count; i++)
        response.transaction_states[i] = (struct ms_kafka_list_transactions_response_transaction){
            .transactional_id = infos[i].id,
            .producer_id = infos[i].producer.id,
            .transaction_state = ms_bytes_cstr(ms_txn_state_name(infos[i].state)),
        };
    response.transaction_states_count = (int32_t)count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}

/* ---- DescribeProducers ---- */

struct producers {
    described_partition *partition;
    int32_t capacity; /* of active_producers; 0: only counts */
};

static int take_producer(void *context, const struct ms_producer_info *info) {
    struct producers *producers = context;
    described_partition *to = producers->partition;
    int32_t i = to->active_producers_count;
    if (producers->capacity > 0 && i == producers->capacity)
        return 1; /* more than there were a moment ago */
    to->active_producers_count++;
    if (producers->capacity > 0)
        to->active_producers[i] = (struct ms_kafka_describe_producers_response_active_producer){
            .producer_id = info->producer_id,
            .producer_epoch = info->epoch,
            .last_sequence = info->last_sequence,
            .last_timestamp = info->last_timestamp_ms,
            .current_txn_start_offset = info->txn_first_offset,
        };
    return 0;
}

/* False: no memory. */
static bool describe_partition(struct ms_kafka_request *request, struct ms_topic *topic,
                               described_partition *to) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_partition_state state;
    if (topic == NULL || to->partition_index < 0 ||
        ms_store_partition_state(store, topic, (uint32_t)to->partition_index, &state) != 0) {
        to->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    struct producers producers = {to, 0};
    uint32_t partition = (uint32_t)to->partition_index;
    (void)!ms_store_producers(store, topic, partition, take_producer, &producers); /* counts */
    producers.capacity = to->active_producers_count;
    to->active_producers_count = 0;
    to->active_producers = ms_arena_zalloc(&request->arena, ((size_t)producers.capacity + 1) *
                                                                sizeof *to->active_producers);
    if (to->active_producers != NULL && producers.capacity > 0)
        (void)!ms_store_producers(store, topic, partition, take_producer, &producers);
    return to->active_producers != NULL;
}

void ms_kafka_describe_producers(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_producers_request *body = request->body;
    struct ms_kafka_describe_producers_response response =
        ms_kafka_describe_producers_response_default;
    int32_t count = body->topics_count > 0 ? body->topics_count : 0;
    response.topics =
        ms_arena_zalloc(&request->arena, ((size_t)count + 1) * sizeof *response.topics);
    bool whole = response.topics != NULL;
    for (int32_t t = 0; whole && t < count; t++) {
        const struct ms_kafka_describe_producers_request_topic *from = &body->topics[t];
        struct ms_kafka_describe_producers_response_topic *to = &response.topics[t];
        struct ms_topic *topic = ms_store_topic(request->loop->kafka->store, from->name, false);
        to->name = from->name;
        to->partitions = ms_arena_zalloc(
            &request->arena, ((size_t)from->partition_indexes_count + 1) * sizeof *to->partitions);
        whole = to->partitions != NULL;
        for (int32_t p = 0; whole && p < from->partition_indexes_count; p++) {
            to->partitions[p] = ms_kafka_describe_producers_response_partition_default;
            to->partitions[p].partition_index = from->partition_indexes[p];
            whole = describe_partition(request, topic, &to->partitions[p]);
            ms_kafka_request_note_error(request, to->partitions[p].error_code);
        }
        to->partitions_count = from->partition_indexes_count;
    }
    response.topics_count = count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}
