/*
 * CreateTopics: each topic is made, or refused with its own error.
 *
 * What is left open (-1 partitions, -1 replicas, a config that isn't named) has its default: as
 * many partitions as a topic that is made because a client named it (kafka.auto_create_partitions),
 * one replica, no streams, retention for ever. A topic has one replica, on this broker: a manual
 * assignment is taken when it says just that.
 *
 * Making a topic waits for the log, so a reader does it.
 */
#include "face/kafka/admin.h"
#include "face/kafka/cluster.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "face/kafka/topic_config.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define CONFIGS_VERSION 5
#define REPLICAS 1

typedef struct ms_kafka_create_topics_request_topic request_topic;
typedef struct ms_kafka_create_topics_response_topic answer_topic;

/* ---- what is asked for ---- */

static int check_assignments(const request_topic *from, struct ms_error *err) {
    for (int32_t i = 0; i < from->assignments_count; i++) {
        int32_t partition = from->assignments[i].partition_index;
        bool first = true;
        for (int32_t j = 0; j < i && j < (int32_t)MS_TOPIC_PARTITIONS_MAX; j++)
            first = first && from->assignments[j].partition_index != partition;
        if (!first || partition < 0 || partition >= from->assignments_count)
            return ms_error_set(err, MS_EINVAL,
                                "assignments must name the partitions 0 to %d, each once",
                                from->assignments_count - 1);
        if (from->assignments[i].broker_ids_count != REPLICAS ||
            from->assignments[i].broker_ids[0] != MS_KAFKA_NODE_ID)
            return ms_error_set(err, MS_EINVAL, "partition %d: the one replica is on broker %d",
                                partition, MS_KAFKA_NODE_ID);
    }
    return 0;
}

static enum ms_kafka_error take_partitions(const request_topic *from,
                                           struct ms_topic_settings *settings,
                                           struct ms_error *err) {
    int32_t count = from->num_partitions;
    if (from->assignments_count > 0) {
        if (count != -1 || from->replication_factor != -1) {
            (void)ms_error_set(err, MS_EINVAL,
                               "with assignments, partitions and replication factor must be -1");
            return MS_KAFKA_INVALID_REQUEST;
        }
        count = from->assignments_count;
    }
    if (count != -1 && (count < 1 || count > (int32_t)MS_TOPIC_PARTITIONS_MAX)) {
        (void)ms_error_set(err, MS_EINVAL, "partitions must be 1 to %u, not %d",
                           MS_TOPIC_PARTITIONS_MAX, count);
        return MS_KAFKA_INVALID_PARTITIONS;
    }
    if (from->replication_factor != -1 && from->replication_factor != REPLICAS) {
        (void)ms_error_set(err, MS_EINVAL,
                           "replication factor %d: there is one broker, so it is %d",
                           from->replication_factor, REPLICAS);
        return MS_KAFKA_INVALID_REPLICATION_FACTOR;
    }
    if (check_assignments(from, err) != 0)
        return MS_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    if (count > 0)
        settings->partitions = (uint16_t)count;
    return MS_KAFKA_NONE;
}

static enum ms_kafka_error take_configs(const request_topic *from,
                                        struct ms_topic_settings *settings, struct ms_error *err) {
    bool force = false;
    for (int32_t i = 0; i < from->configs_count; i++) {
        const struct ms_kafka_create_topics_request_config *given = &from->configs[i];
        if (ms_bytes_equal_cstr(given->name, MS_KAFKA_COMPACT_FORCE)) {
            force = ms_bytes_equal_cstr(given->value, "true");
            continue;
        }
        const struct ms_kafka_topic_config *config = ms_kafka_topic_config_find(given->name);
        int rc;
        if (config == NULL)
            rc = ms_error_set(err, MS_EINVAL, "there is no topic config '%.*s'",
                              (int)(given->name.len > 80 ? 80 : given->name.len), given->name.data);
        else if (given->value.data == NULL)
            rc = ms_error_set(err, MS_EINVAL, "%s: a value is needed", config->name);
        else
            rc = ms_kafka_topic_config_set(config, settings, given->value, err);
        if (rc != 0)
            return MS_KAFKA_INVALID_CONFIG;
    }
    return ms_topic_settings_check_compaction(NULL, settings, force, err) == 0
               ? MS_KAFKA_NONE
               : MS_KAFKA_POLICY_VIOLATION;
}

static enum ms_kafka_error error_of(const request_topic *from, int code) {
    bool system = from->name.len > 0 && from->name.data[0] == '$';
    if (code == MS_EINVAL || (code == MS_ERESERVED && system)) /* no name that Kafka knows */
        return MS_KAFKA_INVALID_TOPIC;
    return ms_kafka_topic_error_of(code);
}

/* ---- making it ---- */

static enum ms_kafka_error create(struct ms_kafka_request *request, const request_topic *from,
                                  struct ms_topic_settings *settings, struct ms_error *err) {
    const struct ms_kafka_create_topics_request *body = request->body;
    struct ms_store *store = request->loop->kafka->store;
    /* First of all: may there be such a topic? */
    int code = ms_store_create_topic(store, from->name, settings, true, err);
    if (code != 0)
        return error_of(from, code);
    enum ms_kafka_error error = take_partitions(from, settings, err);
    if (error == MS_KAFKA_NONE)
        error = take_configs(from, settings, err);
    if (error != MS_KAFKA_NONE)
        return error;
    code = ms_store_create_topic(store, from->name, settings, body->validate_only, err);
    /* The name is good: what is wrong now is in the configs. */
    return code != 0 ? ms_kafka_topic_error_of(code) : MS_KAFKA_NONE;
}

static int show_configs(struct ms_kafka_request *request, const struct ms_topic_settings *settings,
                        answer_topic *to) {
    to->configs =
        ms_kafka_places(request, (int32_t)ms_kafka_topic_config_count, sizeof *to->configs);
    if (to->configs == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; i < ms_kafka_topic_config_count; i++) {
        const struct ms_kafka_topic_config *config = &ms_kafka_topic_configs[i];
        char value[MS_KAFKA_CONFIG_VALUE_MAX];
        ms_kafka_topic_config_get(config, settings, value);
        char *copy = ms_arena_strdup(&request->arena, ms_bytes_cstr(value));
        if (copy == NULL)
            return MS_ENOMEM;
        to->configs[i] = (struct ms_kafka_create_topics_response_config){
            .name = ms_bytes_cstr(config->name),
            .value = ms_bytes_cstr(copy),
            .config_source = (int8_t)ms_kafka_topic_config_source(config, settings),
        };
    }
    to->configs_count = (int32_t)ms_kafka_topic_config_count;
    return 0;
}

static int show(struct ms_kafka_request *request, const struct ms_topic_settings *settings,
                answer_topic *to) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_topic *topic = ms_store_topic(store, to->name, false);
    if (topic != NULL) { /* not just validated */
        struct ms_topic_info info;
        ms_topic_info_of(store, topic, &info);
        to->topic_id = info.id;
    }
    to->num_partitions = settings->partitions;
    to->replication_factor = REPLICAS;
    return request->version >= CONFIGS_VERSION ? show_configs(request, settings, to) : 0;
}

static int answer_topic_of(struct ms_kafka_request *request, const request_topic *from,
                           bool repeated, answer_topic *to) {
    struct ms_topic_settings settings = ms_kafka_topic_settings(request);
    struct ms_error err = {0};
    enum ms_kafka_error error;
    *to = ms_kafka_create_topics_response_topic_default;
    to->name = from->name;
    if (repeated) {
        error = MS_KAFKA_INVALID_REQUEST;
        (void)ms_error_set(&err, MS_EINVAL, "the request names this topic more than once");
    } else {
        error = create(request, from, &settings, &err);
    }
    if (error == MS_KAFKA_NONE)
        return show(request, &settings, to);
    to->error_code = (int16_t)error;
    to->error_message = ms_kafka_sentence(request, &err);
    ms_kafka_request_note_error(request, error);
    return 0;
}

static void run(struct ms_kafka_request *request) {
    const struct ms_kafka_create_topics_request *body = request->body;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    struct ms_kafka_create_topics_response *response =
        ms_arena_alloc(&request->arena, sizeof *response);
    struct ms_bytes *names = ms_kafka_places(request, body->topics_count, sizeof *names);
    answer_topic *topics = ms_kafka_places(request, body->topics_count, sizeof *topics);
    request->context = NULL;
    if (response == NULL || names == NULL || topics == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        names[i] = body->topics[i].name;
    bool *repeated = ms_kafka_repeated(request, names, count);
    if (repeated == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        if (answer_topic_of(request, &body->topics[i], repeated[i], &topics[i]) != 0)
            return;
    *response = ms_kafka_create_topics_response_default;
    response->topics = topics;
    response->topics_count = (int32_t)count;
    request->context = response;
}

void ms_kafka_create_topics(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run, ms_kafka_answer_context);
}
