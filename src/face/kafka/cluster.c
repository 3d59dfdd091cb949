/* FindCoordinator and DescribeCluster: always this server; see cluster.h. */
#include "face/kafka/cluster.h"

#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "wire/kafka/messages.h"

#define KEYS_VERSION 4
#define BROKERS_ENDPOINT 1

enum { COORDINATOR_GROUP = 0, COORDINATOR_TRANSACTION = 1 };

struct ms_bytes ms_kafka_cluster_id(struct ms_store *store, char out[MS_KAFKA_CLUSTER_ID_MAX]) {
    struct ms_store_info info;
    ms_store_info(store, &info);
    ms_uuid_format(&info.uuid, out);
    return ms_bytes_of(out, MS_UUID_TEXT_LEN);
}

static void answer_keys(struct ms_kafka_request *request, int error) {
    const struct ms_kafka_find_coordinator_request *body = request->body;
    struct ms_kafka_endpoint endpoint = ms_kafka_advertised(request);
    size_t count = body->coordinator_keys_count > 0 ? (size_t)body->coordinator_keys_count : 0;
    struct ms_kafka_find_coordinator_response response = ms_kafka_find_coordinator_response_default;
    response.coordinators =
        ms_arena_alloc(&request->arena, (count + 1) * sizeof *response.coordinators);
    if (response.coordinators == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    response.coordinators_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct ms_kafka_find_coordinator_response_coordinator *to = &response.coordinators[i];
        *to = ms_kafka_find_coordinator_response_coordinator_default;
        to->key = body->coordinator_keys[i];
        to->error_code = (int16_t)error;
        to->node_id = error == MS_KAFKA_NONE ? MS_KAFKA_NODE_ID : -1;
        to->host = endpoint.host;
        to->port = endpoint.port;
    }
    ms_kafka_answer(request, &response);
}

void ms_kafka_find_coordinator(struct ms_kafka_request *request) {
    const struct ms_kafka_find_coordinator_request *body = request->body;
    bool known = body->key_type == COORDINATOR_GROUP || body->key_type == COORDINATOR_TRANSACTION;
    int error = known ? MS_KAFKA_NONE : MS_KAFKA_INVALID_REQUEST;
    ms_kafka_request_note_error(request, error);
    if (request->version >= KEYS_VERSION) {
        answer_keys(request, error);
        return;
    }
    struct ms_kafka_endpoint endpoint = ms_kafka_advertised(request);
    struct ms_kafka_find_coordinator_response response = ms_kafka_find_coordinator_response_default;
    response.error_code = (int16_t)error;
    response.node_id = known ? MS_KAFKA_NODE_ID : -1;
    response.host = endpoint.host;
    response.port = endpoint.port;
    ms_kafka_answer(request, &response);
}

void ms_kafka_describe_cluster(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_cluster_request *body = request->body;
    struct ms_kafka_endpoint endpoint = ms_kafka_advertised(request);
    struct ms_kafka_describe_cluster_response_broker broker =
        ms_kafka_describe_cluster_response_broker_default;
    struct ms_kafka_describe_cluster_response response = ms_kafka_describe_cluster_response_default;
    char cluster[MS_KAFKA_CLUSTER_ID_MAX];
    broker.broker_id = MS_KAFKA_NODE_ID;
    broker.host = endpoint.host;
    broker.port = endpoint.port;
    response.endpoint_type = body->endpoint_type;
    response.cluster_id = ms_kafka_cluster_id(request->loop->kafka->store, cluster);
    response.controller_id = MS_KAFKA_NODE_ID;
    response.brokers = &broker;
    response.brokers_count = 1;
    if (body->endpoint_type != BROKERS_ENDPOINT) { /* there are no controllers apart */
        response.error_code = MS_KAFKA_INVALID_REQUEST;
        response.brokers_count = 0;
    }
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}
