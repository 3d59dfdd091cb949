/* What the handlers of transactions share: a request that the coordinator answers later. Loop
 * thread. */
#pragma once

#include "face/kafka/errors.h"
#include "face/kafka/request.h"
#include "txn/txn.h"

struct ms_kafka_txn_call {
    struct ms_kafka_request *request;
    struct ms_txn_request asked;
    /* Of an end: the topics that it makes visible, when a projection may have to apply it first. */
    struct ms_bytes *topics; /* NULL: whichever */
    size_t topic_count;
};

struct ms_txns *ms_kafka_txns(const struct ms_kafka_request *request);
/* In the request's arena and its `context`; `answered` is called on the loop when the coordinator
 * has answered. NULL: no memory, and the connection is being closed. */
struct ms_kafka_txn_call *ms_kafka_txn_call(struct ms_kafka_request *request,
                                            ms_kafka_step *answered);
/* Clients of versions before `fenced_since` know another code for it. The error is noted. */
int16_t ms_kafka_txn_error(struct ms_kafka_request *request, enum ms_txn_code code,
                           int16_t fenced_since);
/* First step of `answered`: what the coordinator said. */
const struct ms_txn_request *ms_kafka_txn_answer(struct ms_kafka_request *request);
