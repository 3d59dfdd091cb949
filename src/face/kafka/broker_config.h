/*
 * What DescribeConfigs shows of the broker: the settings that Kafka's tools look for, as they are
 * here. They can't be changed over Kafka's protocol: the server's configuration has them. Any
 * thread that has the request.
 */
#pragma once

#include "face/kafka/topic_config.h"

struct ms_kafka_broker_config {
    const char *name;
    enum ms_kafka_config_type type;
    const char *standard; /* the value, unless the server's options say another */
    const char *documentation;
    /* Writes the value of the server's options; NULL: it is always the same. */
    void (*get)(const struct ms_kafka_request *request, char out[MS_KAFKA_CONFIG_VALUE_MAX]);
};

/* By name. */
extern const struct ms_kafka_broker_config ms_kafka_broker_configs[];
extern const size_t ms_kafka_broker_config_count;

void ms_kafka_broker_config_get(const struct ms_kafka_broker_config *config,
                                const struct ms_kafka_request *request,
                                char out[MS_KAFKA_CONFIG_VALUE_MAX]);
