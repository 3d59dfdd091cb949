/*
 * DescribeLogDirs: one directory, the store's.
 *
 * All topics share the segments of one log, and nobody counts a partition's bytes. A partition's
 * size is estimated: of the bytes of the log, the share that its offsets, from its first to its
 * last, have in all the positions of the log. It is right when records are alike and as long as
 * little was scavenged; it is 0 for an empty partition; and it adds up to no more than the log.
 *
 * Nothing is ever behind the log (offset lag 0), and nothing moves to another directory. Answered
 * on the loop.
 */
#include "face/kafka/admin.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

typedef struct ms_kafka_describe_log_dirs_response_topic answer_topic;
typedef struct ms_kafka_describe_log_dirs_response_partition answer_partition;

struct listing {
    struct ms_kafka_request *request;
    struct ms_store_info info;
    answer_topic *topics;
    int32_t count, capacity;
};

static int64_t estimate(const struct listing *listing, const struct ms_partition_state *state) {
    double records = (double)(state->end_offset - state->start_offset);
    return listing->info.end == 0
               ? 0
               : (int64_t)((double)listing->info.log_bytes * records / (double)listing->info.end);
}

static void add_partition(struct listing *listing, struct ms_topic *topic, int32_t partition,
                          answer_topic *to) {
    struct ms_partition_state state;
    if (partition < 0 || ms_store_partition_state(listing->request->loop->kafka->store, topic,
                                                  (uint32_t)partition, &state) != 0)
        return; /* what isn't there is left out */
    answer_partition *place = &to->partitions[to->partitions_count++];
    *place = ms_kafka_describe_log_dirs_response_partition_default;
    place->partition_index = partition;
    place->partition_size = estimate(listing, &state);
}

/* `partitions` NULL: all of them, `count`. */
static int add_topic(struct listing *listing, struct ms_topic *topic, struct ms_bytes name,
                     const int32_t *partitions, int32_t count) {
    if (listing->count == listing->capacity) {
        int32_t capacity = listing->capacity * 2 + 16;
        answer_topic *topics = ms_kafka_places(listing->request, capacity, sizeof *topics);
        if (topics == NULL)
            return MS_ENOMEM;
        if (listing->count > 0)
            memcpy(topics, listing->topics, (size_t)listing->count * sizeof *topics);
        listing->topics = topics;
        listing->capacity = capacity;
    }
    answer_topic *to = &listing->topics[listing->count];
    *to = ms_kafka_describe_log_dirs_response_topic_default;
    to->name = name;
    to->partitions = ms_kafka_places(listing->request, count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return MS_ENOMEM;
    for (int32_t i = 0; i < count; i++)
        add_partition(listing, topic, partitions != NULL ? partitions[i] : i, to);
    listing->count += to->partitions_count > 0;
    return 0;
}

static int visit_topic(void *context, const struct ms_topic_info *info) {
    struct listing *listing = context;
    struct ms_topic *topic =
        ms_store_topic(listing->request->loop->kafka->store, info->name, false);
    return topic != NULL ? add_topic(listing, topic, info->name, NULL, info->settings.partitions)
                         : 0;
}

static int fill(struct listing *listing) {
    struct ms_store *store = listing->request->loop->kafka->store;
    const struct ms_kafka_describe_log_dirs_request *body = listing->request->body;
    int code = 0;
    if (body->topics_count < 0)
        return ms_store_list_topics(store, false, visit_topic, listing, NULL);
    for (int32_t i = 0; code == 0 && i < body->topics_count; i++) {
        struct ms_topic *topic = ms_store_topic(store, body->topics[i].topic, false);
        if (topic != NULL)
            code = add_topic(listing, topic, body->topics[i].topic, body->topics[i].partitions,
                             body->topics[i].partitions_count);
    }
    return code;
}

void ms_kafka_describe_log_dirs(struct ms_kafka_request *request) {
    struct listing listing = {.request = request};
    ms_store_info(request->loop->kafka->store, &listing.info);
    if (fill(&listing) != 0) {
        ms_kafka_request_close(request);
        return;
    }
    struct ms_kafka_describe_log_dirs_response_log_dir dir =
        ms_kafka_describe_log_dirs_response_log_dir_default;
    dir.log_dir = ms_bytes_cstr(listing.info.dir);
    dir.topics = listing.topics;
    dir.topics_count = listing.count;
    struct ms_kafka_describe_log_dirs_response response =
        ms_kafka_describe_log_dirs_response_default;
    response.results = &dir;
    response.results_count = 1;
    ms_kafka_answer(request, &response);
}
