/*
 * ListOffsets: a partition's offsets by time, and by the times that mean something else.
 *
 *   -1 latest: the next record's; with read_committed the last stable one
 *   -2 earliest    -4 earliest that is here: the same, nothing is elsewhere
 *   -3 of the newest timestamp    -5 latest that is elsewhere: none
 *
 * What a look at the partition answers is answered on the loop; times are looked up by a reader.
 */
#include "face/kafka/errors.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

enum {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_NEWEST = -3,
    TIME_EARLIEST_LOCAL = -4,
    TIME_LATEST_TIERED = -5,
};
#define LEADER_EPOCH 0
#define READ_COMMITTED 1

static bool needs_reading(int64_t timestamp) { return timestamp >= 0 || timestamp == TIME_NEWEST; }

static int look_up(struct ms_partition_reader *reader, struct ms_topic *topic,
                   const struct ms_kafka_list_offsets_request_partition *from,
                   struct ms_kafka_list_offsets_response_partition *to) {
    uint32_t partition = (uint32_t)from->partition_index;
    if (reader == NULL)
        return MS_ENOMEM;
    if (from->timestamp == TIME_NEWEST)
        return ms_store_newest_time(reader, topic, partition, &to->offset, &to->timestamp, NULL);
    return ms_store_offset_at_time(reader, topic, partition, from->timestamp, &to->offset,
                                   &to->timestamp, NULL);
}

static void answer_partition(struct ms_store *store, struct ms_partition_reader *reader,
                             struct ms_topic *topic, bool committed,
                             const struct ms_kafka_list_offsets_request_partition *from,
                             struct ms_kafka_list_offsets_response_partition *to) {
    struct ms_partition_state state;
    *to = ms_kafka_list_offsets_response_partition_default;
    to->partition_index = from->partition_index;
    if (topic == NULL || from->partition_index < 0 ||
        ms_store_partition_state(store, topic, (uint32_t)from->partition_index, &state) != 0) {
        to->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    if (from->current_leader_epoch > LEADER_EPOCH) {
        to->error_code = MS_KAFKA_UNKNOWN_LEADER_EPOCH;
        return;
    }
    int64_t end = committed ? state.stable_offset : state.end_offset;
    if (needs_reading(from->timestamp)) {
        to->error_code = (int16_t)ms_kafka_error_of(look_up(reader, topic, from, to));
        if (committed && to->offset >= end) /* can't be fetched yet */
            to->offset = to->timestamp = -1;
    } else if (from->timestamp == TIME_LATEST)
        to->offset = end;
    else if (from->timestamp == TIME_EARLIEST || from->timestamp == TIME_EARLIEST_LOCAL)
        to->offset = state.start_offset;
    else if (from->timestamp != TIME_LATEST_TIERED)
        to->error_code = MS_KAFKA_INVALID_REQUEST;
    if (to->offset >= 0)
        to->leader_epoch = LEADER_EPOCH;
}

static int fill(struct ms_kafka_request *request, struct ms_partition_reader *reader,
                struct ms_kafka_list_offsets_response *response) {
    const struct ms_kafka_list_offsets_request *body = request->body;
    struct ms_store *store = request->loop->kafka->store;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    response->topics = ms_arena_zalloc(&request->arena, (count + 1) * sizeof *response->topics);
    if (response->topics == NULL)
        return MS_ENOMEM;
    response->topics_count = (int32_t)count;
    for (size_t t = 0; t < count; t++) {
        const struct ms_kafka_list_offsets_request_topic *from = &body->topics[t];
        struct ms_kafka_list_offsets_response_topic *topic = &response->topics[t];
        size_t partitions = from->partitions_count > 0 ? (size_t)from->partitions_count : 0;
        topic->name = from->name;
        topic->partitions =
            ms_arena_zalloc(&request->arena, (partitions + 1) * sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return MS_ENOMEM;
        topic->partitions_count = (int32_t)partitions;
        struct ms_topic *found = ms_store_topic(store, from->name, false);
        for (size_t p = 0; p < partitions; p++)
            answer_partition(store, reader, found, body->isolation_level == READ_COMMITTED,
                             &from->partitions[p], &topic->partitions[p]);
    }
    return 0;
}

static void run(struct ms_kafka_request *request) {
    struct ms_partition_reader *reader = NULL;
    struct ms_kafka_list_offsets_response *response =
        ms_arena_zalloc(&request->arena, sizeof *response);
    bool whole = response != NULL &&
                 ms_partition_reader_new(request->loop->kafka->store, &reader) == 0 &&
                 fill(request, reader, response) == 0;
    ms_partition_reader_free(reader);
    request->context = whole ? response : NULL;
}

static void resumed(struct ms_kafka_request *request) {
    if (request->context != NULL)
        ms_kafka_answer(request, request->context);
    else
        ms_kafka_request_close(request);
}

void ms_kafka_list_offsets(struct ms_kafka_request *request) {
    const struct ms_kafka_list_offsets_request *body = request->body;
    for (int32_t t = 0; t < body->topics_count; t++)
        for (int32_t p = 0; p < body->topics[t].partitions_count; p++)
            if (needs_reading(body->topics[t].partitions[p].timestamp)) {
                ms_kafka_request_submit(request, run, resumed);
                return;
            }
    struct ms_kafka_list_offsets_response response = {0};
    if (fill(request, NULL, &response) == 0)
        ms_kafka_answer(request, &response);
    else
        ms_kafka_request_close(request);
}
