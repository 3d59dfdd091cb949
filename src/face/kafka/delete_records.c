/*
 * DeleteRecords: partitions begin later (offset -1: at their high watermark). What lies before is
 * gone for consumers at once, and for good: a start never moves back. Refused for topics in which
 * only compaction removes, as Kafka does.
 *
 * A change waits for the log, so a reader makes it.
 */
#include "face/kafka/admin.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

typedef struct ms_kafka_delete_records_request_topic request_topic;
typedef struct ms_kafka_delete_records_request_partition request_partition;
typedef struct ms_kafka_delete_records_response_topic answer_topic;
typedef struct ms_kafka_delete_records_response_partition answer_partition;

static enum ms_kafka_error trim(struct ms_store *store, struct ms_topic *topic,
                                const request_partition *from, answer_partition *to) {
    struct ms_topic_info info;
    if (topic == NULL || from->partition_index < 0)
        return MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    ms_topic_info_of(store, topic, &info);
    if (info.settings.compact && info.settings.retention_ignored)
        return MS_KAFKA_POLICY_VIOLATION;
    int code = ms_store_trim_partition(store, topic, (uint32_t)from->partition_index, from->offset,
                                       &to->low_watermark, NULL);
    return code == MS_EINVAL ? MS_KAFKA_OFFSET_OUT_OF_RANGE : ms_kafka_error_of(code);
}

static int answer_topic_of(struct ms_kafka_request *request, const request_topic *from,
                           answer_topic *to) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_topic *topic = ms_store_topic(store, from->name, false);
    to->name = from->name;
    to->partitions = ms_kafka_places(request, from->partitions_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return MS_ENOMEM;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        answer_partition *partition = &to->partitions[to->partitions_count++];
        partition->partition_index = from->partitions[i].partition_index;
        partition->low_watermark = -1;
        partition->error_code = (int16_t)trim(store, topic, &from->partitions[i], partition);
        if (partition->error_code != MS_KAFKA_NONE)
            ms_kafka_request_note_error(request, partition->error_code);
    }
    return 0;
}

static void run(struct ms_kafka_request *request) {
    const struct ms_kafka_delete_records_request *body = request->body;
    struct ms_kafka_delete_records_response *response =
        ms_arena_alloc(&request->arena, sizeof *response);
    answer_topic *topics = ms_kafka_places(request, body->topics_count, sizeof *topics);
    request->context = NULL;
    if (response == NULL || topics == NULL)
        return;
    *response = ms_kafka_delete_records_response_default;
    response->topics = topics;
    for (int32_t i = 0; i < body->topics_count; i++)
        if (answer_topic_of(request, &body->topics[i], &topics[response->topics_count++]) != 0)
            return;
    request->context = response;
}

void ms_kafka_delete_records(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run, ms_kafka_answer_context);
}
