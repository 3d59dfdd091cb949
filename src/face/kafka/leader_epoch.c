/*
 * OffsetForLeaderEpoch: consumers ask where an epoch of the leader ended, to notice that a log was
 * cut behind their backs. There is one epoch, 0, and what was acknowledged is never cut: it ends
 * where the partition does.
 */
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define LEADER_EPOCH 0

static void answer_partition(struct ms_store *store, struct ms_topic *topic,
                             const struct ms_kafka_offset_for_leader_epoch_request_partition *from,
                             struct ms_kafka_offset_for_leader_epoch_response_partition *to) {
    struct ms_partition_state state;
    *to = ms_kafka_offset_for_leader_epoch_response_partition_default;
    to->partition = from->partition;
    if (topic == NULL || from->partition < 0 ||
        ms_store_partition_state(store, topic, (uint32_t)from->partition, &state) != 0)
        to->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (from->current_leader_epoch > LEADER_EPOCH)
        to->error_code = MS_KAFKA_UNKNOWN_LEADER_EPOCH;
    else if (from->leader_epoch == LEADER_EPOCH) {
        to->leader_epoch = LEADER_EPOCH;
        to->end_offset = state.end_offset;
    }
}

void ms_kafka_offset_for_leader_epoch(struct ms_kafka_request *request) {
    const struct ms_kafka_offset_for_leader_epoch_request *body = request->body;
    struct ms_store *store = request->loop->kafka->store;
    struct ms_kafka_offset_for_leader_epoch_response response =
        ms_kafka_offset_for_leader_epoch_response_default;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    response.topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response.topics);
    bool whole = response.topics != NULL;
    for (size_t t = 0; whole && t < count; t++) {
        const struct ms_kafka_offset_for_leader_epoch_request_topic *from = &body->topics[t];
        struct ms_kafka_offset_for_leader_epoch_response_topic *topic = &response.topics[t];
        size_t partitions = from->partitions_count > 0 ? (size_t)from->partitions_count : 0;
        topic->topic = from->topic;
        topic->partitions =
            ms_arena_alloc(&request->arena, (partitions + 1) * sizeof *topic->partitions);
        whole = topic->partitions != NULL;
        topic->partitions_count = (int32_t)partitions;
        struct ms_topic *found = ms_store_topic(store, from->topic, false);
        for (size_t p = 0; whole && p < partitions; p++)
            answer_partition(store, found, &from->partitions[p], &topic->partitions[p]);
    }
    response.topics_count = (int32_t)count;
    if (whole)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}
