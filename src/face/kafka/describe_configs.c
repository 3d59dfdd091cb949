/*
 * DescribeConfigs of topics and of the broker (named "1", or not at all). Answered on the loop:
 * nothing is read from the disk. A request without keys gets all configs, one with keys those that
 * there are.
 */
#include <stdio.h>

#include "face/kafka/admin.h"
#include "face/kafka/broker_config.h"
#include "face/kafka/cluster.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

typedef struct ms_kafka_describe_configs_request_resource request_resource;
typedef struct ms_kafka_describe_configs_response_resource answer_resource;
typedef struct ms_kafka_describe_configs_response_config answer_config;

static bool is_wanted(const request_resource *from, const char *name) {
    for (int32_t i = 0; i < from->configuration_keys_count; i++)
        if (ms_bytes_equal_cstr(from->configuration_keys[i], name))
            return true;
    return from->configuration_keys_count < 0; /* null: all */
}

static int copy_text(struct ms_kafka_request *request, const char *text, struct ms_bytes *ret) {
    char *copy = ms_arena_strdup(&request->arena, ms_bytes_cstr(text));
    if (copy == NULL)
        return MS_ENOMEM;
    *ret = ms_bytes_cstr(copy);
    return 0;
}

/* The value that holds, then the one that would hold without it. */
static int add_synonyms(struct ms_kafka_request *request, const char *standard, answer_config *to) {
    const struct ms_kafka_describe_configs_request *body = request->body;
    if (!body->include_synonyms)
        return 0;
    struct ms_kafka_describe_configs_response_synonym *synonyms =
        ms_kafka_places(request, 2, sizeof *synonyms);
    if (synonyms == NULL)
        return MS_ENOMEM;
    int32_t count = 0;
    if (to->config_source != MS_KAFKA_CONFIG_DEFAULT)
        synonyms[count++] = (struct ms_kafka_describe_configs_response_synonym){to->name, to->value,
                                                                                to->config_source};
    synonyms[count++] = (struct ms_kafka_describe_configs_response_synonym){
        to->name, ms_bytes_cstr(standard), MS_KAFKA_CONFIG_DEFAULT};
    to->synonyms = synonyms;
    to->synonyms_count = count;
    return 0;
}

static void add_documentation(const struct ms_kafka_request *request, const char *text,
                              answer_config *to) {
    const struct ms_kafka_describe_configs_request *body = request->body;
    if (body->include_documentation)
        to->documentation = ms_bytes_cstr(text);
}

static int show_topic_config(struct ms_kafka_request *request,
                             const struct ms_kafka_topic_config *config,
                             const struct ms_topic_settings *settings, answer_config *to) {
    char value[MS_KAFKA_CONFIG_VALUE_MAX];
    ms_kafka_topic_config_get(config, settings, value);
    *to = ms_kafka_describe_configs_response_config_default;
    to->name = ms_bytes_cstr(config->name);
    to->config_source = (int8_t)ms_kafka_topic_config_source(config, settings);
    to->is_default = to->config_source == MS_KAFKA_CONFIG_DEFAULT;
    to->config_type = (int8_t)config->type;
    add_documentation(request, config->documentation, to);
    int code = copy_text(request, value, &to->value);
    return code == 0 ? add_synonyms(request, config->standard, to) : code;
}

static int show_topic(struct ms_kafka_request *request, const request_resource *from,
                      answer_resource *to) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_topic *topic = ms_store_topic(store, from->resource_name, false);
    if (topic == NULL) {
        to->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        to->error_message = MS_BYTES_LITERAL("there is no such topic");
        return 0;
    }
    struct ms_topic_info info;
    ms_topic_info_of(store, topic, &info);
    int code = 0;
    to->configs =
        ms_kafka_places(request, (int32_t)ms_kafka_topic_config_count, sizeof *to->configs);
    if (to->configs == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; code == 0 && i < ms_kafka_topic_config_count; i++)
        if (is_wanted(from, ms_kafka_topic_configs[i].name))
            code = show_topic_config(request, &ms_kafka_topic_configs[i], &info.settings,
                                     &to->configs[to->configs_count++]);
    return code;
}

static int show_broker_config(struct ms_kafka_request *request,
                              const struct ms_kafka_broker_config *config, answer_config *to) {
    char value[MS_KAFKA_CONFIG_VALUE_MAX];
    ms_kafka_broker_config_get(config, request, value);
    bool standard = strcmp(value, config->standard) == 0;
    *to = ms_kafka_describe_configs_response_config_default;
    to->name = ms_bytes_cstr(config->name);
    to->read_only = true;
    to->config_source =
        (int8_t)(standard ? MS_KAFKA_CONFIG_DEFAULT : MS_KAFKA_CONFIG_STATIC_BROKER);
    to->is_default = standard;
    to->config_type = (int8_t)config->type;
    add_documentation(request, config->documentation, to);
    int code = copy_text(request, value, &to->value);
    return code == 0 ? add_synonyms(request, config->standard, to) : code;
}

static int show_broker(struct ms_kafka_request *request, const request_resource *from,
                       answer_resource *to) {
    char id[16];
    snprintf(id, sizeof id, "%d", MS_KAFKA_NODE_ID);
    if (from->resource_name.len > 0 && !ms_bytes_equal_cstr(from->resource_name, id)) {
        to->error_code = MS_KAFKA_INVALID_REQUEST;
        to->error_message = MS_BYTES_LITERAL("there is no such broker");
        return 0;
    }
    int code = 0;
    to->configs =
        ms_kafka_places(request, (int32_t)ms_kafka_broker_config_count, sizeof *to->configs);
    if (to->configs == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; code == 0 && i < ms_kafka_broker_config_count; i++)
        if (is_wanted(from, ms_kafka_broker_configs[i].name))
            code = show_broker_config(request, &ms_kafka_broker_configs[i],
                                      &to->configs[to->configs_count++]);
    return code;
}

static int show(struct ms_kafka_request *request, const request_resource *from,
                answer_resource *to) {
    *to = ms_kafka_describe_configs_response_resource_default;
    to->resource_type = from->resource_type;
    to->resource_name = from->resource_name;
    int code = 0;
    if (from->resource_type == MS_KAFKA_RESOURCE_TOPIC) {
        code = show_topic(request, from, to);
    } else if (from->resource_type == MS_KAFKA_RESOURCE_BROKER) {
        code = show_broker(request, from, to);
    } else {
        to->error_code = MS_KAFKA_INVALID_REQUEST;
        to->error_message = MS_BYTES_LITERAL("topics (2) and the broker (4) have configs");
    }
    if (to->error_code != MS_KAFKA_NONE)
        ms_kafka_request_note_error(request, to->error_code);
    return code;
}

void ms_kafka_describe_configs(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_configs_request *body = request->body;
    struct ms_kafka_describe_configs_response response = ms_kafka_describe_configs_response_default;
    response.results = ms_kafka_places(request, body->resources_count, sizeof *response.results);
    int code = response.results != NULL ? 0 : MS_ENOMEM;
    for (int32_t i = 0; code == 0 && i < body->resources_count; i++)
        code = show(request, &body->resources[i], &response.results[response.results_count++]);
    if (code == 0)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}
