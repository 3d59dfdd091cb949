/* The broker's configs; see broker_config.h. */
#include "face/kafka/broker_config.h"

#include <stdio.h>

#include "face/kafka/loop.h"
#include "face/kafka/request.h"

static void put_number(char out[MS_KAFKA_CONFIG_VALUE_MAX], int64_t number) {
    snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%lld", (long long)number);
}

static void get_auto_create(const struct ms_kafka_request *request,
                            char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    bool made = request->loop->config->options.auto_create_partitions > 0;
    snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%s", made ? "true" : "false");
}

static void get_partitions(const struct ms_kafka_request *request,
                           char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    put_number(out, ms_kafka_topic_settings(request).partitions);
}

static void get_idle(const struct ms_kafka_request *request, char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    put_number(out, request->loop->config->options.idle_timeout_ms);
}

static void get_connections(const struct ms_kafka_request *request,
                            char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    put_number(out, request->loop->config->options.connections_max);
}

static void get_request_bytes(const struct ms_kafka_request *request,
                              char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    put_number(out, (int64_t)request->loop->config->options.request_bytes_max);
}

const struct ms_kafka_broker_config ms_kafka_broker_configs[] = {
    {"auto.create.topics.enable", MS_KAFKA_CONFIG_BOOLEAN, "true",
     "Topics are made when a client names them.", get_auto_create},
    {"broker.id", MS_KAFKA_CONFIG_INT, "1", "There is one broker.", NULL},
    {"compression.type", MS_KAFKA_CONFIG_STRING, "producer",
     "Of topics that don't say otherwise: batches are stored as they came.", NULL},
    {"connections.max.idle.ms", MS_KAFKA_CONFIG_LONG, "600000",
     "Connections on which nothing happens are closed.", get_idle},
    {"default.replication.factor", MS_KAFKA_CONFIG_INT, "1", "There is one broker.", NULL},
    {"delete.topic.enable", MS_KAFKA_CONFIG_BOOLEAN, "true", "Topics can be deleted.", NULL},
    {"inter.broker.protocol.version", MS_KAFKA_CONFIG_STRING, "3.9-IV0",
     "There are no other brokers; tells what to expect of this one.", NULL},
    {"log.cleaner.delete.retention.ms", MS_KAFKA_CONFIG_LONG, "86400000",
     "How long compaction keeps a record without a value.", NULL},
    {"log.cleanup.policy", MS_KAFKA_CONFIG_LIST, "delete", "Of topics that don't say otherwise.",
     NULL},
    {"log.flush.interval.messages", MS_KAFKA_CONFIG_LONG, "1",
     "Records are on the disk before they are acknowledged, together with their neighbours.", NULL},
    {"log.message.timestamp.type", MS_KAFKA_CONFIG_STRING, "CreateTime",
     "Of topics that don't say otherwise.", NULL},
    {"log.retention.bytes", MS_KAFKA_CONFIG_LONG, "-1", "Of topics that don't say otherwise: all.",
     NULL},
    {"log.retention.ms", MS_KAFKA_CONFIG_LONG, "-1",
     "Of topics that don't say otherwise: for ever (Kafka's default is 7 days).", NULL},
    {"max.connections", MS_KAFKA_CONFIG_INT, "10000", "Further connections are closed at once.",
     get_connections},
    {"message.max.bytes", MS_KAFKA_CONFIG_INT, "1048588",
     "The largest batch, in topics that don't say otherwise.", NULL},
    {"min.insync.replicas", MS_KAFKA_CONFIG_INT, "1", "There is one broker.", NULL},
    {"node.id", MS_KAFKA_CONFIG_INT, "1", "There is one broker.", NULL},
    {"num.partitions", MS_KAFKA_CONFIG_INT, "1", "Of topics that are made without saying how many.",
     get_partitions},
    {"offsets.retention.minutes", MS_KAFKA_CONFIG_INT, "10080",
     "How long a group without members keeps its offsets.", NULL},
    {"offsets.topic.replication.factor", MS_KAFKA_CONFIG_INT, "1", "There is one broker.", NULL},
    {"socket.request.max.bytes", MS_KAFKA_CONFIG_INT, "104857600",
     "A larger request closes its connection.", get_request_bytes},
    {"transaction.state.log.replication.factor", MS_KAFKA_CONFIG_INT, "1", "There is one broker.",
     NULL},
    {"unclean.leader.election.enable", MS_KAFKA_CONFIG_BOOLEAN, "false", "There is one broker.",
     NULL},
};
const size_t ms_kafka_broker_config_count =
    sizeof ms_kafka_broker_configs / sizeof *ms_kafka_broker_configs;

void ms_kafka_broker_config_get(const struct ms_kafka_broker_config *config,
                                const struct ms_kafka_request *request,
                                char out[MS_KAFKA_CONFIG_VALUE_MAX]) {
    if (config->get != NULL)
        config->get(request, out);
    else
        snprintf(out, MS_KAFKA_CONFIG_VALUE_MAX, "%s", config->standard);
}
