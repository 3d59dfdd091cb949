/*
 * CreatePartitions: topics get more partitions, up to `count` in all; they can't get fewer. Records
 * of a key that was there before may then go elsewhere than those before them (a stream's do not).
 * A change waits for the log, so a reader makes it.
 */
#include "face/kafka/admin.h"
#include "face/kafka/cluster.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "wire/kafka/messages.h"

typedef struct ms_kafka_create_partitions_request_topic request_topic;
typedef struct ms_kafka_create_partitions_response_topic answer_topic;

struct growth {
    const request_topic *from;
    enum ms_kafka_error error;
};

static int check_assignments(const request_topic *from, int32_t before, struct ms_error *err) {
    if (from->assignments_count < 0) /* null */
        return 0;
    if (from->assignments_count != from->count - before)
        return ms_error_set(err, MS_EINVAL, "%d assignments for %d new partitions",
                            from->assignments_count, from->count - before);
    for (int32_t i = 0; i < from->assignments_count; i++)
        if (from->assignments[i].broker_ids_count != 1 ||
            from->assignments[i].broker_ids[0] != MS_KAFKA_NODE_ID)
            return ms_error_set(err, MS_EINVAL, "partition %d: the one replica is on broker %d",
                                before + i, MS_KAFKA_NODE_ID);
    return 0;
}

static int grow(void *context, struct ms_topic_settings *settings, struct ms_error *err) {
    struct growth *growth = context;
    const request_topic *from = growth->from;
    int32_t before = settings->partitions;
    growth->error = MS_KAFKA_INVALID_PARTITIONS;
    if (from->count <= before)
        return ms_error_set(err, MS_EINVAL,
                            "the topic has %d partitions; they can only become more, not %d",
                            before, from->count);
    if (from->count > (int32_t)MS_TOPIC_PARTITIONS_MAX)
        return ms_error_set(err, MS_EINVAL, "a topic has at most %u partitions, not %d",
                            MS_TOPIC_PARTITIONS_MAX, from->count);
    growth->error = MS_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    int code = check_assignments(from, before, err);
    if (code == 0) {
        growth->error = MS_KAFKA_NONE;
        settings->partitions = (uint16_t)from->count;
    }
    return code;
}

static void answer_topic_of(struct ms_kafka_request *request, const request_topic *from,
                            bool repeated, answer_topic *to) {
    const struct ms_kafka_create_partitions_request *body = request->body;
    struct growth growth = {.from = from};
    struct ms_error err = {0};
    *to = ms_kafka_create_partitions_response_topic_default;
    to->name = from->name;
    if (repeated) {
        growth.error = MS_KAFKA_INVALID_REQUEST;
        (void)ms_error_set(&err, MS_EINVAL, "the request names this topic more than once");
    } else {
        int code = ms_store_change_topic(request->loop->kafka->store, from->name, grow, &growth,
                                         body->validate_only, &err);
        if (code != 0 && growth.error == MS_KAFKA_NONE)
            growth.error = ms_kafka_topic_error_of(code);
    }
    if (growth.error == MS_KAFKA_NONE)
        return;
    to->error_code = (int16_t)growth.error;
    to->error_message = ms_kafka_sentence(request, &err);
    ms_kafka_request_note_error(request, growth.error);
}

static void run(struct ms_kafka_request *request) {
    const struct ms_kafka_create_partitions_request *body = request->body;
    size_t count = body->topics_count > 0 ? (size_t)body->topics_count : 0;
    struct ms_kafka_create_partitions_response *response =
        ms_arena_alloc(&request->arena, sizeof *response);
    struct ms_bytes *names = ms_kafka_places(request, body->topics_count, sizeof *names);
    answer_topic *results = ms_kafka_places(request, body->topics_count, sizeof *results);
    request->context = NULL;
    if (response == NULL || names == NULL || results == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        names[i] = body->topics[i].name;
    bool *repeated = ms_kafka_repeated(request, names, count);
    if (repeated == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        answer_topic_of(request, &body->topics[i], repeated[i], &results[i]);
    *response = ms_kafka_create_partitions_response_default;
    response->results = results;
    response->results_count = (int32_t)count;
    request->context = response;
}

void ms_kafka_create_partitions(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run, ms_kafka_answer_context);
}
