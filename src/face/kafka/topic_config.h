/*
 * What Kafka's clients know of a topic's settings: one table of configs by Kafka's names, from
 * which CreateTopics, DescribeConfigs and both AlterConfigs are answered.
 *
 * Three kinds of them:
 *
 *   honoured   a setting of the topic (store.h), under Kafka's name
 *   kept       tells Kafka how to lay out and flush its files, which is done otherwise here: any
 *              value that Kafka takes is taken, kept and shown, and has no effect
 *   fixed      would promise what isn't done here: only its default is taken
 *
 * Where Kafka's default is another, ours is shown: retention.ms is -1, Kafka's is 7 days.
 *
 * A topic remembers which configs were set (configs_set): those have the source "dynamic topic
 * config", and so have those that differ from their defaults because another protocol has set them.
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "store/store.h"

#define MS_KAFKA_CONFIG_VALUE_MAX 64u

/* As DescribeConfigs numbers them. */
enum ms_kafka_config_type {
    MS_KAFKA_CONFIG_BOOLEAN = 1,
    MS_KAFKA_CONFIG_STRING = 2,
    MS_KAFKA_CONFIG_INT = 3,
    MS_KAFKA_CONFIG_LONG = 5,
    MS_KAFKA_CONFIG_DOUBLE = 6,
    MS_KAFKA_CONFIG_LIST = 7,
};
enum ms_kafka_config_source {
    MS_KAFKA_CONFIG_TOPIC = 1,
    MS_KAFKA_CONFIG_STATIC_BROKER = 4,
    MS_KAFKA_CONFIG_DEFAULT = 5,
};
enum ms_kafka_resource_type {
    MS_KAFKA_RESOURCE_TOPIC = 2,
    MS_KAFKA_RESOURCE_BROKER = 4,
};

struct ms_kafka_topic_config {
    const char *name;
    enum ms_kafka_config_type type;
    uint8_t bit;          /* in configs_set; never another config's */
    const char *standard; /* its default */
    /* NULL: fixed. The text is trimmed. MS_EINVAL. */
    int (*set)(const struct ms_kafka_topic_config *config, struct ms_topic_settings *settings,
               const char *text);
    void (*get)(const struct ms_kafka_topic_config *config,
                const struct ms_topic_settings *settings, char out[MS_KAFKA_CONFIG_VALUE_MAX]);
    size_t at;        /* numbers: of the setting in the settings, or its place in configs_kept */
    int64_t min, max; /* numbers */
    bool stays;       /* when others go back to their defaults */
    const char *documentation;
};

/* By name. */
extern const struct ms_kafka_topic_config ms_kafka_topic_configs[];
extern const size_t ms_kafka_topic_config_count;
/* NULL: there is none of this name. */
const struct ms_kafka_topic_config *ms_kafka_topic_config_find(struct ms_bytes name);

void ms_kafka_topic_config_get(const struct ms_kafka_topic_config *config,
                               const struct ms_topic_settings *settings,
                               char out[MS_KAFKA_CONFIG_VALUE_MAX]);
enum ms_kafka_config_source ms_kafka_topic_config_source(const struct ms_kafka_topic_config *config,
                                                         const struct ms_topic_settings *settings);

/* MS_EINVAL, with a sentence. */
int ms_kafka_topic_config_set(const struct ms_kafka_topic_config *config,
                              struct ms_topic_settings *settings, struct ms_bytes value,
                              struct ms_error *err) MS_MUST_CHECK;
/* Back to its default; one that is read only stays. */
void ms_kafka_topic_config_reset(const struct ms_kafka_topic_config *config,
                                 struct ms_topic_settings *settings);
/* Adds items to a list, or takes them out. MS_EINVAL: it is no list, or no such value. */
int ms_kafka_topic_config_change_list(const struct ms_kafka_topic_config *config,
                                      struct ms_topic_settings *settings, struct ms_bytes items,
                                      bool add, struct ms_error *err) MS_MUST_CHECK;

/* A request may say with it that it means a compaction which removes events of streams. It is not
 * remembered. */
#define MS_KAFKA_COMPACT_FORCE "mainstem.compact.force"

struct ms_kafka_request;
/* Of topics that Kafka's clients make: no streams, kafka.auto_create_partitions partitions. */
struct ms_topic_settings ms_kafka_topic_settings(const struct ms_kafka_request *request);
