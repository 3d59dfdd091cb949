/*
 * Produce: each partition's batch goes to the store, the answer leaves when all are durable.
 *
 *   handler -> ms_store_produce for each partition … committer: produced … the last one hands back
 *   -> projections of mode sync that read one of the topics have applied it -> answer
 *
 * The batches are borrowed from the request's own bytes until the store has packed them. Appends of
 * one request are sequenced in its order, those of a connection in the order of its requests. What
 * is produced in a transaction is seen when that is committed: its end waits for projections
 * (transactions.c), Produce does not.
 */
#include <stdatomic.h>

#include "base/endian.h"
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "face/kafka/sync.h"
#include "projection/sync_wait.h"
#include "store/partitions.h"
#include "txn/txn.h"
#include "wire/kafka/messages.h"

#define ACKS_ALL (-1)
#define IMPLIED_VERSION                                                                            \
    12 /* from here on a batch adds its partition to the transaction (KIP-890) */

/* Of a record batch. */
enum { ATTRIBUTES_AT = 21, PRODUCER_AT = 43, EPOCH_AT = 51, BATCH_HEADER_BYTES = 61 };
#define ATTRIBUTE_TRANSACTIONAL 0x10

struct produced { /* context of one partition's append */
    struct producing *producing;
    struct ms_kafka_produce_response_partition *answer;
    uint64_t position; /* of its last record */
};

struct produced_topic {
    struct ms_topic *topic; /* NULL: there is none */
    struct ms_bytes name;
    struct produced *partitions; /* as many as in the answer */
};

struct producing {
    struct ms_kafka_request *request;
    struct ms_kafka_produce_response response;
    struct produced_topic *topics;
    atomic_uint pending; /* partitions without an outcome, and the handler while it runs */
    bool broken;         /* there was no memory for all of it */
};

static void answer(struct ms_kafka_request *request) {
    struct producing *producing = request->context;
    const struct ms_kafka_produce_request *body = request->body;
    bool failed = false;
    for (int32_t t = 0; t < producing->response.responses_count; t++) {
        const struct ms_kafka_produce_response_topic *topic = &producing->response.responses[t];
        for (int32_t p = 0; p < topic->partition_responses_count; p++) {
            int code = topic->partition_responses[p].error_code;
            failed = failed || code != MS_KAFKA_NONE;
            if (code != MS_KAFKA_NONE)
                ms_kafka_request_note_error(request, code);
        }
    }
    if (producing->broken)
        ms_kafka_request_close(request);
    else if (body->acks != 0)
        ms_kafka_answer(request, &producing->response);
    else if (failed) /* the only way to tell */
        ms_kafka_request_close(request);
    else
        ms_kafka_answer_nothing(request);
}

/* ---- projections of mode sync ---- */

/* Those that got something; *ret_position: where the last of it is. */
static size_t appended_topics(const struct producing *producing, struct ms_bytes *topics,
                              uint64_t *ret_position) {
    uint64_t position = 0;
    size_t count = 0;
    for (int32_t t = 0; t < producing->response.responses_count; t++) {
        const struct ms_kafka_produce_response_topic *topic = &producing->response.responses[t];
        bool some = false;
        for (int32_t p = 0; p < topic->partition_responses_count; p++) {
            if (topic->partition_responses[p].error_code != MS_KAFKA_NONE)
                continue;
            some = true;
            if (producing->topics[t].partitions[p].position > position)
                position = producing->topics[t].partitions[p].position;
        }
        if (some)
            topics[count++] = producing->topics[t].name;
    }
    *ret_position = position;
    return count;
}

static int64_t until_us(const struct ms_kafka_request *request, int32_t timeout_ms) {
    int64_t theirs_us = request->started_us + (int64_t)timeout_ms * 1000;
    int64_t ours_us = request->loop->now_us + MS_SYNC_PATIENCE_US;
    return theirs_us < ours_us ? theirs_us : ours_us;
}

static void appended(struct ms_kafka_request *request) {
    const struct producing *producing = request->context;
    const struct ms_kafka_produce_request *body = request->body;
    bool waits = ms_projections_any_sync(request->loop->kafka->projections) && body->acks != 0 &&
                 body->transactional_id.data == NULL && !producing->broken;
    size_t count = (size_t)producing->response.responses_count;
    struct ms_bytes *topics =
        waits ? ms_arena_alloc(&request->arena, (count + 1) * sizeof *topics) : NULL;
    uint64_t position;
    if (topics == NULL) {
        answer(request);
        return;
    }
    count = appended_topics(producing, topics, &position);
    ms_kafka_sync_wait(request, topics, count, position, until_us(request, body->timeout_ms),
                       answer);
}

/* ---- producing ---- */

static void one_done(struct producing *producing) {
    struct ms_kafka_request *request = producing->request;
    if (atomic_fetch_sub_explicit(&producing->pending, 1, memory_order_acq_rel) == 1)
        ms_kafka_request_hand_back(request);
}

/* The committer's thread, or inside ms_store_produce. */
static void on_produced(void *context, const struct ms_append_result *result) {
    struct produced *produced = context;
    struct ms_kafka_produce_response_partition *partition = produced->answer;
    partition->error_code = (int16_t)ms_kafka_error_of(result->code);
    if (result->code == 0) {
        partition->base_offset = result->parts[0].first_offset;
        partition->log_append_time_ms = result->log_append_time_ms;
        produced->position = result->position;
    }
    one_done(produced->producing);
}

static struct ms_bytes message_of(struct ms_kafka_request *request, const struct ms_error *err) {
    char *text = ms_arena_strdup(&request->arena, ms_bytes_cstr(err->message));
    return text != NULL ? ms_bytes_cstr(text) : (struct ms_bytes){0};
}

/* Refused before it was sequenced. */
static void refuse(struct ms_kafka_request *request,
                   struct ms_kafka_produce_response_partition *partition, int code, int32_t index,
                   const struct ms_error *err) {
    partition->error_code = (int16_t)ms_kafka_error_of(code);
    partition->error_message = message_of(request, err);
    if (index < 0)
        return;
    struct ms_kafka_produce_response_record_error *record =
        ms_arena_zalloc(&request->arena, sizeof *record);
    if (record == NULL)
        return;
    record->batch_index = index;
    record->batch_index_error_message = partition->error_message;
    partition->record_errors = record;
    partition->record_errors_count = 1;
}

/* A transactional batch comes in a request that says whose it is, and no other batch does. When it
 * may begin the transaction itself the coordinator makes the partition a part of it. The batch may
 * still come too late: the store judges that. */
static int check_transaction(struct ms_kafka_request *request,
                             const struct ms_kafka_produce_request_partition *from,
                             struct ms_bytes topic) {
    const struct ms_kafka_produce_request *body = request->body;
    struct ms_txns *txns = request->loop->kafka->txns;
    const uint8_t *batch = from->records.bytes.data;
    bool transactional = body->transactional_id.data != NULL;
    if (from->records.bytes.len < BATCH_HEADER_BYTES)
        return MS_KAFKA_NONE; /* refused by the store */
    if (transactional != ((ms_get_be16(batch + ATTRIBUTES_AT) & ATTRIBUTE_TRANSACTIONAL) != 0))
        return MS_KAFKA_INVALID_RECORD;
    if (!transactional || (txns != NULL && request->version < IMPLIED_VERSION))
        return MS_KAFKA_NONE;
    if (txns == NULL)
        return MS_KAFKA_INVALID_TXN_STATE;
    struct ms_txn_identity who = {
        body->transactional_id,
        {(int64_t)ms_get_be64(batch + PRODUCER_AT), (int16_t)ms_get_be16(batch + EPOCH_AT)}};
    enum ms_txn_code code = ms_txns_begin(txns, &who, topic, from->index);
    return code == MS_TXN_FENCED ? MS_KAFKA_INVALID_PRODUCER_EPOCH : (int)code;
}

static void produce_partition(struct producing *producing, const struct produced_topic *made,
                              const struct ms_kafka_produce_request_partition *from,
                              struct ms_kafka_produce_response_partition *partition,
                              struct produced *produced) {
    struct ms_kafka_request *request = producing->request;
    struct ms_store *store = request->loop->kafka->store;
    struct ms_error err = {0};
    struct ms_partition_state state;
    int32_t index = -1;
    if (made->topic == NULL || from->index < 0 ||
        ms_store_partition_state(store, made->topic, (uint32_t)from->index, &state) != 0) {
        partition->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    partition->log_start_offset = state.start_offset;
    partition->error_code = (int16_t)check_transaction(request, from, made->name);
    if (partition->error_code != MS_KAFKA_NONE)
        return;
    struct ms_produce_request produce = {
        .topic = made->topic,
        .partition = (uint32_t)from->index,
        .batch = from->records.bytes,
        .wait = true,
    };
    *produced = (struct produced){.producing = producing, .answer = partition};
    atomic_fetch_add_explicit(&producing->pending, 1, memory_order_relaxed);
    int code = ms_store_produce(store, &produce, on_produced, produced, &index, &err);
    if (code != 0) {
        refuse(request, partition, code, index, &err);
        atomic_fetch_sub_explicit(&producing->pending, 1, memory_order_relaxed);
    }
}

static int produce_topic(struct producing *producing, size_t t, int refused) {
    struct ms_kafka_request *request = producing->request;
    struct ms_store *store = request->loop->kafka->store;
    const struct ms_kafka_produce_request *body = request->body;
    const struct ms_kafka_produce_request_topic *from = &body->topic_data[t];
    struct ms_kafka_produce_response_topic *topic = &producing->response.responses[t];
    struct produced_topic *made = &producing->topics[t];
    size_t count = (size_t)from->partition_data_count;
    topic->name = from->name;
    topic->topic_id = from->topic_id;
    topic->partition_responses =
        ms_arena_zalloc(&request->arena, count * sizeof *topic->partition_responses);
    made->partitions = ms_arena_alloc(&request->arena, count * sizeof *made->partitions);
    if (topic->partition_responses == NULL || made->partitions == NULL)
        return MS_ENOMEM;
    topic->partition_responses_count = from->partition_data_count;
    made->topic = request->version >= 13 ? ms_store_topic_by_id(store, &from->topic_id)
                                         : ms_store_topic(store, from->name, true);
    if (made->topic != NULL) {
        struct ms_topic_info info;
        ms_topic_info_of(store, made->topic, &info);
        made->name = info.name;
    }
    for (size_t i = 0; i < count; i++) {
        struct ms_kafka_produce_response_partition *partition = &topic->partition_responses[i];
        *partition = (struct ms_kafka_produce_response_partition){
            .index = from->partition_data[i].index,
            .error_code = (int16_t)refused,
            .base_offset = -1,
            .log_append_time_ms = -1,
            .log_start_offset = -1,
        };
        if (refused == MS_KAFKA_NONE)
            produce_partition(producing, made, &from->partition_data[i], partition,
                              &made->partitions[i]);
    }
    return 0;
}

void ms_kafka_produce(struct ms_kafka_request *request) {
    const struct ms_kafka_produce_request *body = request->body;
    size_t count = body->topic_data_count > 0 ? (size_t)body->topic_data_count : 0;
    struct producing *producing = ms_arena_zalloc(&request->arena, sizeof *producing);
    struct ms_kafka_produce_response_topic *topics =
        ms_arena_zalloc(&request->arena, (count + 1) * sizeof *topics);
    struct produced_topic *made = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *made);
    if (producing == NULL || topics == NULL || made == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    producing->request = request;
    producing->topics = made;
    producing->response.responses = topics;
    producing->response.responses_count = (int32_t)count;
    atomic_store(&producing->pending, 1);
    request->context = producing;
    int refused = MS_KAFKA_NONE;
    if (body->acks < ACKS_ALL || body->acks > 1)
        refused = MS_KAFKA_INVALID_REQUIRED_ACKS;
    ms_kafka_request_handed_over(request, appended);
    for (size_t t = 0; t < count && !producing->broken; t++)
        producing->broken = produce_topic(producing, t, refused) != 0;
    if (producing->broken)
        producing->response.responses_count = 0;
    one_done(producing);
}
