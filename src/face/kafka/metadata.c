/*
 * Metadata: the one broker, and topics with their partitions. Topics that a client names and that
 * are not there are made when it allows that: their records are not indexed as streams, and they
 * have kafka.auto_create_partitions partitions. Making one waits for the log, so a reader does it.
 *
 * Reserved names can't be made, and the system's topics are not shown.
 */
#include "face/kafka/cluster.h"
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "face/kafka/topic_config.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define LEADER_EPOCH 0
#define AUTO_CREATE_FLAG_VERSION 4
#define NULL_IS_ALL_VERSION 1

typedef struct ms_kafka_metadata_response_topic answer_topic;
typedef struct ms_kafka_metadata_request_topic request_topic;

static bool is_nil(const struct ms_uuid *id) {
    static const struct ms_uuid nil;
    return ms_uuid_equal(id, &nil);
}

/* ---- one topic ---- */

static int fill_topic(struct ms_kafka_request *request, struct ms_topic *topic, answer_topic *to) {
    static int32_t replicas[] = {MS_KAFKA_NODE_ID};
    struct ms_topic_info info;
    ms_topic_info_of(request->loop->kafka->store, topic, &info);
    size_t count = info.settings.partitions;
    *to = ms_kafka_metadata_response_topic_default;
    to->name = info.name;
    to->topic_id = info.id;
    to->partitions = ms_arena_alloc(&request->arena, count * sizeof *to->partitions);
    if (to->partitions == NULL)
        return MS_ENOMEM;
    to->partitions_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct ms_kafka_metadata_response_partition *partition = &to->partitions[i];
        *partition = ms_kafka_metadata_response_partition_default;
        partition->partition_index = (int32_t)i;
        partition->leader_id = MS_KAFKA_NODE_ID;
        partition->leader_epoch = LEADER_EPOCH;
        partition->replica_nodes = partition->isr_nodes = replicas;
        partition->replica_nodes_count = partition->isr_nodes_count = 1;
    }
    return 0;
}

static int create(struct ms_kafka_request *request, struct ms_bytes name) {
    struct ms_topic_settings settings = ms_kafka_topic_settings(request);
    int code = ms_store_create_topic(request->loop->kafka->store, name, &settings, false, NULL);
    return code == MS_EEXIST ? 0 : code; /* somebody else made it meanwhile */
}

static int error_of_creation(int code) {
    switch (code) {
    case 0:
        return MS_KAFKA_NONE;
    case MS_EINVAL:
        return MS_KAFKA_INVALID_TOPIC;
    case MS_ERESERVED:
        return MS_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    case MS_ELIMIT:
        return MS_KAFKA_POLICY_VIOLATION;
    default:
        return ms_kafka_error_of(code);
    }
}

/* *ret_missing: it would have to be made first; then, with `make`, it is. */
static int fill_named(struct ms_kafka_request *request, const request_topic *from, bool make,
                      bool *ret_missing, answer_topic *to) {
    struct ms_kafka *kafka = request->loop->kafka;
    bool by_id = from->name.data == NULL || !is_nil(&from->topic_id);
    struct ms_topic *topic = by_id ? ms_store_topic_by_id(kafka->store, &from->topic_id)
                                   : ms_store_topic(kafka->store, from->name, false);
    int error = by_id ? MS_KAFKA_UNKNOWN_TOPIC_ID : MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    *ret_missing = topic == NULL && !by_id;
    if (*ret_missing && make) {
        error = error_of_creation(create(request, from->name));
        topic = ms_store_topic(kafka->store, from->name, false);
    }
    if (topic != NULL)
        return fill_topic(request, topic, to);
    *to = ms_kafka_metadata_response_topic_default;
    to->name = from->name;
    to->topic_id = from->topic_id;
    to->error_code = (int16_t)error;
    return 0;
}

/* ---- all of them ---- */

struct listing {
    struct ms_kafka_request *request;
    struct ms_kafka_metadata_response *response;
    size_t capacity;
};

static int add_topic(void *context, const struct ms_topic_info *info) {
    struct listing *listing = context;
    struct ms_kafka_request *request = listing->request;
    struct ms_kafka_metadata_response *response = listing->response;
    size_t count = (size_t)response->topics_count;
    if (count == listing->capacity) {
        size_t capacity = count == 0 ? 16 : count * 2;
        answer_topic *topics = ms_arena_alloc(&request->arena, capacity * sizeof *topics);
        if (topics == NULL)
            return MS_ENOMEM;
        if (count > 0)
            memcpy(topics, response->topics, count * sizeof *topics);
        response->topics = topics;
        listing->capacity = capacity;
    }
    struct ms_topic *topic = ms_store_topic(request->loop->kafka->store, info->name, false);
    if (topic == NULL) /* deleted since */
        return 0;
    int code = fill_topic(request, topic, &response->topics[count]);
    response->topics_count += code == 0;
    return code;
}

static int fill_all(struct ms_kafka_request *request, struct ms_kafka_metadata_response *response) {
    struct listing listing = {.request = request, .response = response};
    return ms_store_list_topics(request->loop->kafka->store, false, add_topic, &listing, NULL);
}

/* ---- the request ---- */

static bool wants_all(const struct ms_kafka_request *request) {
    const struct ms_kafka_metadata_request *body = request->body;
    return request->version < NULL_IS_ALL_VERSION ? body->topics_count <= 0
                                                  : body->topics_count < 0;
}

static bool may_make(const struct ms_kafka_request *request) {
    const struct ms_kafka_metadata_request *body = request->body;
    return request->loop->config->options.auto_create_partitions > 0 &&
           (request->version < AUTO_CREATE_FLAG_VERSION || body->allow_auto_topic_creation);
}

static int fill(struct ms_kafka_request *request, bool make, bool *ret_missing) {
    const struct ms_kafka_metadata_request *body = request->body;
    struct ms_kafka_metadata_response *response = request->context;
    response->topics = NULL;
    response->topics_count = 0;
    *ret_missing = false;
    if (wants_all(request))
        return fill_all(request, response);
    size_t count = (size_t)body->topics_count;
    response->topics = ms_arena_alloc(&request->arena, (count + 1) * sizeof *response->topics);
    if (response->topics == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        bool missing;
        int code = fill_named(request, &body->topics[i], make, &missing, &response->topics[i]);
        if (code != 0)
            return code;
        *ret_missing = *ret_missing || missing;
    }
    response->topics_count = body->topics_count;
    return 0;
}

static void answer(struct ms_kafka_request *request, int code) {
    struct ms_kafka_metadata_response *response = request->context;
    struct ms_kafka_endpoint endpoint = ms_kafka_advertised(request);
    struct ms_kafka_metadata_response_broker broker = {
        .node_id = MS_KAFKA_NODE_ID, .host = endpoint.host, .port = endpoint.port};
    char cluster[MS_KAFKA_CLUSTER_ID_MAX];
    if (code != 0) {
        ms_kafka_request_close(request);
        return;
    }
    for (int32_t i = 0; i < response->topics_count; i++)
        if (response->topics[i].error_code != MS_KAFKA_NONE)
            ms_kafka_request_note_error(request, response->topics[i].error_code);
    response->brokers = &broker;
    response->brokers_count = 1;
    response->cluster_id = ms_kafka_cluster_id(request->loop->kafka->store, cluster);
    response->controller_id = MS_KAFKA_NODE_ID;
    ms_kafka_answer(request, response);
}

static void run(struct ms_kafka_request *request) {
    bool missing;
    if (fill(request, true, &missing) != 0)
        request->context = NULL;
}

static void resumed(struct ms_kafka_request *request) {
    answer(request, request->context != NULL ? 0 : MS_ENOMEM);
}

void ms_kafka_metadata(struct ms_kafka_request *request) {
    struct ms_kafka_metadata_response *response = ms_arena_alloc(&request->arena, sizeof *response);
    if (response == NULL) {
        ms_kafka_request_close(request);
        return;
    }
    *response = ms_kafka_metadata_response_default;
    request->context = response;
    bool missing = false;
    int code = fill(request, false, &missing);
    if (code == 0 && missing && may_make(request))
        ms_kafka_request_submit(request, run, resumed);
    else
        answer(request, code);
}
