/*
 * ApiVersions: which APIs are offered, and in which versions. The first thing that a client asks.
 *
 * A client that asks in a version that isn't spoken here gets the list too, in version 0 with error
 * UNSUPPORTED_VERSION, and asks again (KIP-511).
 *
 * With a transaction coordinator the feature transaction.version is final at 2: clients that know it
 * let transactions begin by themselves, and change their epoch with each (KIP-890).
 */
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "wire/kafka/messages.h"

#define UNSUPPORTED_VERSION 35
#define FEATURE_FROM_ZERO                                                                          \
    4 /* the first version whose clients can read that a feature begins at 0 */

static void add_features(const struct ms_kafka_request *request,
                         struct ms_kafka_api_versions_response *response,
                         struct ms_kafka_api_versions_response_supported_feature *supported,
                         struct ms_kafka_api_versions_response_finalized_feature *finalized) {
    if (request->loop->kafka->txns == NULL || request->body == NULL)
        return;
    *supported = (struct ms_kafka_api_versions_response_supported_feature){
        MS_BYTES_LITERAL("transaction.version"), request->version < FEATURE_FROM_ZERO, 2};
    *finalized = (struct ms_kafka_api_versions_response_finalized_feature){
        MS_BYTES_LITERAL("transaction.version"), 2, 2};
    response->supported_features = supported;
    response->supported_features_count = 1;
    response->finalized_features = finalized;
    response->finalized_features_count = 1;
    response->finalized_features_epoch = 1;
}

void ms_kafka_api_versions(struct ms_kafka_request *request) {
    const struct ms_kafka_dispatch *dispatch = &request->loop->kafka->dispatch;
    struct ms_kafka_api_versions_response response = ms_kafka_api_versions_response_default;
    struct ms_kafka_api_versions_response_api_key keys[MS_KAFKA_APIS_MAX];
    response.api_keys = keys;
    response.api_keys_count = 0;
    for (size_t i = 0; i < ms_kafka_api_count; i++) {
        const struct ms_kafka_api *api = &ms_kafka_apis[i];
        if (dispatch->handlers[api->index])
            keys[response.api_keys_count++] =
                (struct ms_kafka_api_versions_response_api_key){api->key, api->min, api->max};
    }
    struct ms_kafka_api_versions_response_supported_feature supported;
    struct ms_kafka_api_versions_response_finalized_feature finalized;
    add_features(request, &response, &supported, &finalized);
    if (!request->body)
        response.error_code = UNSUPPORTED_VERSION;
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}
