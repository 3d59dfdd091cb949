/*
 * DeleteTopics, by name or by identity. A deleted topic is gone for everybody at once; one made
 * anew under its name is another topic. Deleting waits for the log, so a reader does it.
 */
#include "face/kafka/admin.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define IDS_VERSION 6

typedef struct ms_kafka_delete_topics_request_topic request_topic;
typedef struct ms_kafka_delete_topics_response_topic answer_topic;

static bool is_nil(const struct ms_uuid *id) {
    static const struct ms_uuid nil;
    return ms_uuid_equal(id, &nil);
}

static enum ms_kafka_error delete_by_id(struct ms_store *store, const request_topic *from,
                                        answer_topic *to, struct ms_error *err) {
    struct ms_topic_info info;
    struct ms_topic *topic = ms_store_topic_by_id(store, &from->topic_id);
    if (topic != NULL) {
        ms_topic_info_of(store, topic, &info);
        to->name = info.name;
    }
    int code = ms_store_delete_topic_by_id(store, &from->topic_id, err);
    return code == MS_ENOTFOUND ? MS_KAFKA_UNKNOWN_TOPIC_ID : ms_kafka_topic_error_of(code);
}

static enum ms_kafka_error delete_by_name(struct ms_store *store, const request_topic *from,
                                          answer_topic *to, struct ms_error *err) {
    struct ms_topic_info info;
    struct ms_topic *topic = ms_store_topic(store, from->name, false);
    if (topic == NULL) {
        (void)ms_error_set(err, MS_ENOTFOUND, "there is no such topic");
        return MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    ms_topic_info_of(store, topic, &info);
    to->topic_id = info.id;
    return ms_kafka_topic_error_of(ms_store_delete_topic(store, from->name, err));
}

static void answer_topic_of(struct ms_kafka_request *request, const request_topic *from,
                            bool repeated, answer_topic *to) {
    struct ms_store *store = request->loop->kafka->store;
    struct ms_error err = {0};
    enum ms_kafka_error error = MS_KAFKA_INVALID_REQUEST;
    *to = ms_kafka_delete_topics_response_topic_default;
    to->name = from->name;
    to->topic_id = from->topic_id;
    bool by_id = !is_nil(&from->topic_id);
    if (repeated)
        (void)ms_error_set(&err, MS_EINVAL, "the request names this topic more than once");
    else if (by_id == (from->name.data != NULL))
        (void)ms_error_set(&err, MS_EINVAL, "a topic is named by its name or by its id");
    else
        error = by_id ? delete_by_id(store, from, to, &err) : delete_by_name(store, from, to, &err);
    if (error == MS_KAFKA_NONE)
        return;
    to->error_code = (int16_t)error;
    to->error_message = ms_kafka_sentence(request, &err);
    ms_kafka_request_note_error(request, error);
}

/* The topics to be deleted, in the form of the newest version. */
static const request_topic *topics_of(struct ms_kafka_request *request, size_t *ret_count) {
    const struct ms_kafka_delete_topics_request *body = request->body;
    bool old = request->version < IDS_VERSION;
    int32_t count = old ? body->topic_names_count : body->topics_count;
    *ret_count = count > 0 ? (size_t)count : 0;
    if (!old)
        return body->topics != NULL ? body->topics
                                    : ms_kafka_places(request, 0, sizeof *body->topics);
    request_topic *topics = ms_kafka_places(request, count, sizeof *topics);
    for (size_t i = 0; topics != NULL && i < *ret_count; i++)
        topics[i].name = body->topic_names[i];
    return topics;
}

static void run(struct ms_kafka_request *request) {
    size_t count;
    struct ms_kafka_delete_topics_response *response =
        ms_arena_alloc(&request->arena, sizeof *response);
    const request_topic *topics = topics_of(request, &count);
    struct ms_bytes *names = ms_kafka_places(request, (int32_t)count, sizeof *names);
    answer_topic *answers = ms_kafka_places(request, (int32_t)count, sizeof *answers);
    request->context = NULL;
    if (response == NULL || topics == NULL || names == NULL || answers == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        names[i] = topics[i].name.data != NULL ? topics[i].name
                                               : ms_bytes_of(topics[i].topic_id.bytes, 16);
    bool *repeated = ms_kafka_repeated(request, names, count);
    if (repeated == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        answer_topic_of(request, &topics[i], repeated[i], &answers[i]);
    *response = ms_kafka_delete_topics_response_default;
    response->responses = answers;
    response->responses_count = (int32_t)count;
    request->context = response;
}

void ms_kafka_delete_topics(struct ms_kafka_request *request) {
    ms_kafka_request_submit(request, run, ms_kafka_answer_context);
}
