/*
 * DescribeTopicPartitions: metadata of topics in the order of their names, in pages of at most
 * PAGE_PARTITIONS partitions. A cursor says with which topic and partition the next page begins.
 * Nothing is made that isn't there. Answered on the loop.
 */
#include <stdlib.h>

#include "face/kafka/admin.h"
#include "face/kafka/cluster.h"
#include "face/kafka/handlers.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "store/partitions.h"
#include "wire/kafka/messages.h"

#define PAGE_PARTITIONS 2000
#define LEADER_EPOCH 0

typedef struct ms_kafka_describe_topic_partitions_response_topic answer_topic;
typedef struct ms_kafka_describe_topic_partitions_response_partition answer_partition;
typedef struct ms_kafka_describe_topic_partitions_response answer_all;

struct page {
    struct ms_kafka_request *request;
    struct ms_bytes *names; /* sorted, each once */
    size_t count, capacity;
    answer_all response;
    int32_t left; /* partitions that it has room for */
};

/* ---- which topics ---- */

static int add_name(void *context, const struct ms_topic_info *info) {
    struct page *page = context;
    if (page->count == page->capacity) {
        size_t capacity = page->capacity * 2 + 16;
        struct ms_bytes *names =
            ms_arena_alloc(&page->request->arena, capacity * sizeof *page->names);
        if (names == NULL)
            return MS_ENOMEM;
        if (page->count > 0)
            memcpy(names, page->names, page->count * sizeof *names);
        page->names = names;
        page->capacity = capacity;
    }
    page->names[page->count++] = info->name;
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return ms_bytes_compare(*(const struct ms_bytes *)a, *(const struct ms_bytes *)b);
}

static int gather_names(struct page *page) {
    const struct ms_kafka_describe_topic_partitions_request *body = page->request->body;
    int code = 0;
    if (body->topics_count <= 0)
        code = ms_store_list_topics(page->request->loop->kafka->store, false, add_name, page, NULL);
    for (int32_t i = 0; code == 0 && i < body->topics_count; i++)
        code = add_name(page, &(struct ms_topic_info){.name = body->topics[i].name});
    if (code != 0 || page->count == 0)
        return code;
    qsort(page->names, page->count, sizeof *page->names, compare_names);
    size_t kept = 1;
    for (size_t i = 1; i < page->count; i++)
        if (!ms_bytes_equal(page->names[i], page->names[kept - 1]))
            page->names[kept++] = page->names[i];
    page->count = kept;
    return 0;
}

/* ---- what they are ---- */

static int fill_partitions(struct page *page, int32_t first, int32_t end, answer_topic *to) {
    static int32_t replicas[] = {MS_KAFKA_NODE_ID};
    int32_t count = end > first ? end - first : 0;
    if (count > page->left)
        count = page->left;
    to->partitions = ms_kafka_places(page->request, count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return MS_ENOMEM;
    for (int32_t i = 0; i < count; i++) {
        answer_partition *partition = &to->partitions[i];
        *partition = ms_kafka_describe_topic_partitions_response_partition_default;
        partition->partition_index = first + i;
        partition->leader_id = MS_KAFKA_NODE_ID;
        partition->leader_epoch = LEADER_EPOCH;
        partition->replica_nodes = partition->isr_nodes = replicas;
        partition->replica_nodes_count = partition->isr_nodes_count = 1;
    }
    to->partitions_count = count;
    page->left -= count;
    return 0;
}

/* From its partition `first` on. *ret_rest: where the next page goes on with it, or -1. */
static int fill_topic(struct page *page, struct ms_bytes name, int32_t first, answer_topic *to,
                      int32_t *ret_rest) {
    struct ms_store *store = page->request->loop->kafka->store;
    struct ms_topic *topic = ms_store_topic(store, name, false);
    *to = ms_kafka_describe_topic_partitions_response_topic_default;
    to->name = name;
    *ret_rest = -1;
    if (topic == NULL) {
        to->error_code = MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        ms_kafka_request_note_error(page->request, to->error_code);
        return 0;
    }
    struct ms_topic_info info;
    ms_topic_info_of(store, topic, &info);
    to->topic_id = info.id;
    int code = fill_partitions(page, first, info.settings.partitions, to);
    if (first + to->partitions_count < info.settings.partitions)
        *ret_rest = first + to->partitions_count;
    return code;
}

static int set_cursor(struct page *page, struct ms_bytes name, int32_t partition) {
    struct ms_kafka_describe_topic_partitions_response_cursor *cursor =
        ms_arena_zalloc(&page->request->arena, sizeof *cursor);
    if (cursor == NULL)
        return MS_ENOMEM;
    cursor->topic_name = name;
    cursor->partition_index = partition;
    page->response.next_cursor = cursor;
    return 0;
}

static int fill(struct page *page) {
    const struct ms_kafka_describe_topic_partitions_request *body = page->request->body;
    int code = gather_names(page);
    page->response.topics =
        ms_kafka_places(page->request, (int32_t)page->count, sizeof *page->response.topics);
    if (code != 0 || page->response.topics == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; code == 0 && i < page->count; i++) {
        struct ms_bytes name = page->names[i];
        int32_t first = 0, rest;
        int order = body->cursor != NULL ? ms_bytes_compare(name, body->cursor->topic_name) : 1;
        if (order < 0)
            continue;
        if (order == 0 && body->cursor->partition_index > 0)
            first = body->cursor->partition_index;
        if (page->left == 0)
            return set_cursor(page, name, first);
        code = fill_topic(page, name, first, &page->response.topics[page->response.topics_count++],
                          &rest);
        if (code == 0 && rest >= 0)
            return set_cursor(page, name, rest);
    }
    return code;
}

void ms_kafka_describe_topic_partitions(struct ms_kafka_request *request) {
    const struct ms_kafka_describe_topic_partitions_request *body = request->body;
    int32_t limit = body->response_partition_limit;
    struct page page = {
        .request = request,
        .response = ms_kafka_describe_topic_partitions_response_default,
        .left = limit >= 1 && limit < PAGE_PARTITIONS ? limit : PAGE_PARTITIONS,
    };
    if (fill(&page) == 0)
        ms_kafka_answer(request, &page.response);
    else
        ms_kafka_request_close(request);
}
