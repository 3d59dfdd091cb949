/*
 * The driver of librdkafka, second half: questions and administration; see rdkafka.h.
 */
#include <stdlib.h>
#include <string.h>

#include "rdkafka.h"

/* ---- questions ---- */

static int op_offsets(const json_t *args, json_t **ret_answer) {
    int64_t low, high;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
        any_handle(), text_of(args, "topic", ""), (int32_t)number_of(args, "partition", 0), &low,
        &high, WAIT_MS);
    if (err)
        return fail_with(err, "offsets");
    *ret_answer =
        json_pack("{s: I, s: I}", "earliest", (json_int_t)low, "latest", (json_int_t)high);
    return 0;
}

static int op_at_time(const json_t *args, json_t **ret_answer) {
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(places, text_of(args, "topic", ""),
                                      (int32_t)number_of(args, "partition", 0))
        ->offset = number_of(args, "time", 0);
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(any_handle(), places, WAIT_MS);
    *ret_answer = json_integer(places->elems[0].offset);
    rd_kafka_topic_partition_list_destroy(places);
    return fail_with(err, "offsets for times");
}

static int metadata(const char *name, const struct rd_kafka_metadata **ret_found) {
    rd_kafka_t *handle = any_handle();
    rd_kafka_topic_t *topic = name ? rd_kafka_topic_new(handle, name, NULL) : NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(handle, !name, topic, ret_found, WAIT_MS);
    if (topic)
        rd_kafka_topic_destroy(topic);
    return fail_with(err, "metadata");
}

static int op_metadata(const json_t *args, json_t **ret_answer) {
    const struct rd_kafka_metadata *found;
    if (metadata(text_of(args, "topic", NULL), &found))
        return -1;
    json_t *brokers = json_array(), *topics = json_object();
    for (int i = 0; i < found->broker_cnt; i++)
        json_array_append_new(brokers, json_pack("{s: s, s: i}", "host", found->brokers[i].host,
                                                 "port", found->brokers[i].port));
    for (int i = 0; i < found->topic_cnt; i++)
        json_object_set_new(topics, found->topics[i].topic,
                            json_integer(found->topics[i].partition_cnt));
    rd_kafka_metadata_destroy(found);
    *ret_answer = json_pack("{s: o, s: o}", "brokers", brokers, "topics", topics);
    return 0;
}

static int op_describe_cluster(const json_t *args, json_t **ret_answer) {
    (void)args;
    const struct rd_kafka_metadata *found;
    if (metadata(NULL, &found))
        return -1;
    char *id = rd_kafka_clusterid(any_handle(), WAIT_MS);
    *ret_answer = json_pack("{s: i, s: i, s: s?}", "brokers", found->broker_cnt, "controller",
                            (int)rd_kafka_controllerid(any_handle(), WAIT_MS), "cluster_id", id);
    rd_kafka_mem_free(any_handle(), id);
    rd_kafka_metadata_destroy(found);
    return 0;
}

/* ---- administration: a request, then its one event ---- */

static rd_kafka_queue_t *queue(void) {
    static rd_kafka_queue_t *made;
    return made ? made : (made = rd_kafka_queue_new(any_handle()));
}

/* The answer to what was asked last, or NULL after fail(). */
static rd_kafka_event_t *event(const char *what) {
    rd_kafka_event_t *found = rd_kafka_queue_poll(queue(), WAIT_MS);
    if (!found) {
        fail("%s: no answer", what);
        return NULL;
    }
    if (rd_kafka_event_error(found)) {
        fail("%s: %s", what, rd_kafka_event_error_string(found));
        rd_kafka_event_destroy(found);
        return NULL;
    }
    return found;
}

/* Whether the one topic of an answer went well. */
static int topic_result(const rd_kafka_topic_result_t **results, const char *what) {
    return fail_with(rd_kafka_topic_result_error(results[0]), what);
}

static int op_create_topic(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    char error[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        text_of(args, "topic", ""), (int)number_of(args, "partitions", 1), 1, error, sizeof(error));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(args, "configs"), name, value)
        rd_kafka_NewTopic_set_config(topic, name, json_string_value(value));
    rd_kafka_CreateTopics(any_handle(), &topic, 1, NULL, queue());
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_event_t *found = event("create topic");
    if (!found)
        return -1;
    size_t count;
    int rc = topic_result(
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(found), &count),
        "create topic");
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_delete_topic(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(text_of(args, "topic", ""));
    rd_kafka_DeleteTopics(any_handle(), &topic, 1, NULL, queue());
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_event_t *found = event("delete topic");
    if (!found)
        return -1;
    size_t count;
    int rc = topic_result(
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(found), &count),
        "delete topic");
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_create_partitions(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    char error[256];
    rd_kafka_NewPartitions_t *wanted = rd_kafka_NewPartitions_new(
        text_of(args, "topic", ""), (size_t)number_of(args, "total", 1), error, sizeof(error));
    rd_kafka_CreatePartitions(any_handle(), &wanted, 1, NULL, queue());
    rd_kafka_NewPartitions_destroy(wanted);
    rd_kafka_event_t *found = event("create partitions");
    if (!found)
        return -1;
    size_t count;
    int rc = topic_result(rd_kafka_CreatePartitions_result_topics(
                              rd_kafka_event_CreatePartitions_result(found), &count),
                          "create partitions");
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_describe_configs(const json_t *args, json_t **ret_answer) {
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, text_of(args, "topic", ""));
    rd_kafka_DescribeConfigs(any_handle(), &resource, 1, NULL, queue());
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *found = event("describe configs");
    if (!found)
        return -1;
    size_t count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(found), &count);
    int rc = fail_with(rd_kafka_ConfigResource_error(resources[0]), "describe configs");
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &count);
    *ret_answer = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        json_object_set_new(*ret_answer, rd_kafka_ConfigEntry_name(entries[i]),
                            value ? json_string(value) : json_null());
    }
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_alter_configs(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, text_of(args, "topic", ""));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(args, "configs"), name, value)
        rd_kafka_ConfigResource_set_config(resource, name, json_string_value(value));
    rd_kafka_AlterConfigs(any_handle(), &resource, 1, NULL, queue());
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *found = event("alter configs");
    if (!found)
        return -1;
    size_t count;
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(found), &count);
    int rc = fail_with(rd_kafka_ConfigResource_error(resources[0]), "alter configs");
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_delete_records(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(places, text_of(args, "topic", ""),
                                      (int32_t)number_of(args, "partition", 0))
        ->offset = number_of(args, "before", 0);
    rd_kafka_DeleteRecords_t *wanted = rd_kafka_DeleteRecords_new(places);
    rd_kafka_DeleteRecords(any_handle(), &wanted, 1, NULL, queue());
    rd_kafka_DeleteRecords_destroy(wanted);
    rd_kafka_topic_partition_list_destroy(places);
    rd_kafka_event_t *found = event("delete records");
    if (!found)
        return -1;
    const rd_kafka_topic_partition_list_t *results =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(found));
    int rc = fail_with(results->elems[0].err, "delete records");
    rd_kafka_event_destroy(found);
    return rc;
}

/* ---- groups ---- */

static int op_list_groups(const json_t *args, json_t **ret_answer) {
    (void)args;
    rd_kafka_ListConsumerGroups(any_handle(), NULL, queue());
    rd_kafka_event_t *found = event("list groups");
    if (!found)
        return -1;
    size_t count;
    const rd_kafka_ConsumerGroupListing_t **groups = rd_kafka_ListConsumerGroups_result_valid(
        rd_kafka_event_ListConsumerGroups_result(found), &count);
    *ret_answer = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(*ret_answer,
                              json_string(rd_kafka_ConsumerGroupListing_group_id(groups[i])));
    rd_kafka_event_destroy(found);
    return 0;
}

static int op_describe_group(const json_t *args, json_t **ret_answer) {
    const char *group = text_of(args, "group", "");
    rd_kafka_DescribeConsumerGroups(any_handle(), &group, 1, NULL, queue());
    rd_kafka_event_t *found = event("describe group");
    if (!found)
        return -1;
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(found), &count);
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
    int rc = error ? fail_with(rd_kafka_error_code(error), "describe group") : 0;
    *ret_answer = json_pack(
        "{s: s, s: i}", "state",
        rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(groups[0])),
        "members", (int)rd_kafka_ConsumerGroupDescription_member_count(groups[0]));
    rd_kafka_event_destroy(found);
    return rc;
}

/* Whether the one group of an answer went well. */
static int group_result(const rd_kafka_group_result_t *result, const char *what) {
    const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
    return error ? fail_with(rd_kafka_error_code(error), what) : 0;
}

static int op_delete_group(const json_t *args, json_t **ret_answer) {
    (void)ret_answer;
    rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(text_of(args, "group", ""));
    rd_kafka_DeleteGroups(any_handle(), &group, 1, NULL, queue());
    rd_kafka_DeleteGroup_destroy(group);
    rd_kafka_event_t *found = event("delete group");
    if (!found)
        return -1;
    size_t count;
    int rc = group_result(
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(found), &count)[0],
        "delete group");
    rd_kafka_event_destroy(found);
    return rc;
}

static int op_group_offsets(const json_t *args, json_t **ret_answer) {
    rd_kafka_ListConsumerGroupOffsets_t *wanted =
        rd_kafka_ListConsumerGroupOffsets_new(text_of(args, "group", ""), NULL);
    rd_kafka_ListConsumerGroupOffsets(any_handle(), &wanted, 1, NULL, queue());
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
    rd_kafka_event_t *found = event("group offsets");
    if (!found)
        return -1;
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(found), &count);
    int rc = group_result(groups[0], "group offsets");
    const rd_kafka_topic_partition_list_t *places = rd_kafka_group_result_partitions(groups[0]);
    *ret_answer = json_object();
    for (int i = 0; places && i < places->cnt; i++) {
        char partition[16];
        snprintf(partition, sizeof(partition), "%d", (int)places->elems[i].partition);
        if (strcmp(places->elems[i].topic, text_of(args, "topic", "")) == 0)
            json_object_set_new(*ret_answer, partition, json_integer(places->elems[i].offset));
    }
    rd_kafka_event_destroy(found);
    return rc;
}

const struct operation rdkafka_questions[] = {
    {"offsets", op_offsets},
    {"at_time", op_at_time},
    {"metadata", op_metadata},
    {"describe_cluster", op_describe_cluster},
    {"create_topic", op_create_topic},
    {"delete_topic", op_delete_topic},
    {"create_partitions", op_create_partitions},
    {"describe_configs", op_describe_configs},
    {"alter_configs", op_alter_configs},
    {"delete_records", op_delete_records},
    {"list_groups", op_list_groups},
    {"describe_group", op_describe_group},
    {"delete_group", op_delete_group},
    {"group_offsets", op_group_offsets},
    {NULL, NULL},
};
