/* InitProducerId: an id and an epoch, for producers that are idempotent or have transactions. */
#include "face/kafka/handlers.h"
#include "face/kafka/transactions.h"
#include "wire/kafka/messages.h"

#define FENCED_SINCE 4

static void answered(struct ms_kafka_request *request) {
    const struct ms_txn_request *asked = ms_kafka_txn_answer(request);
    struct ms_kafka_init_producer_id_response response = ms_kafka_init_producer_id_response_default;
    response.error_code = ms_kafka_txn_error(request, asked->code, FENCED_SINCE);
    response.producer_id = asked->producer.id;
    response.producer_epoch = asked->producer.epoch;
    ms_kafka_answer(request, &response);
}

void ms_kafka_init_producer_id(struct ms_kafka_request *request) {
    const struct ms_kafka_init_producer_id_request *body = request->body;
    struct ms_kafka_txn_call *call = ms_kafka_txn_call(request, answered);
    if (call == NULL)
        return;
    struct ms_txn_init init = {
        .transactional = body->transactional_id.data != NULL,
        .id = body->transactional_id,
        .timeout_ms = body->transaction_timeout_ms,
        .expected = {body->producer_id, body->producer_epoch},
    };
    if (request->version < 3) /* doesn't say */
        init.expected = MS_TXN_NO_PRODUCER;
    ms_txns_init(ms_kafka_txns(request), &init, &call->asked);
}
