/* Shared by the handlers that administer topics; see admin.h. */
#include "face/kafka/admin.h"

#include <stdlib.h>

enum ms_kafka_error ms_kafka_topic_error_of(int code) {
    switch (code) {
    case MS_EINVAL:
    case MS_EUNSUPPORTED:
        return MS_KAFKA_INVALID_CONFIG;
    default:
        return ms_kafka_error_of(code);
    }
}

struct ms_bytes ms_kafka_sentence(struct ms_kafka_request *request, const struct ms_error *err) {
    if (err->message[0] == 0)
        return (struct ms_bytes){0};
    char *text = ms_arena_strdup(&request->arena, ms_bytes_cstr(err->message));
    return text != NULL ? ms_bytes_cstr(text) : (struct ms_bytes){0};
}

struct named {
    struct ms_bytes name;
    size_t place;
};

static int compare_named(const void *a, const void *b) {
    return ms_bytes_compare(((const struct named *)a)->name, ((const struct named *)b)->name);
}

bool *ms_kafka_repeated(struct ms_kafka_request *request, const struct ms_bytes *names,
                        size_t count) {
    bool *repeated = ms_arena_zalloc(&request->arena, count + 1);
    struct named *sorted = ms_arena_alloc(&request->arena, (count + 1) * sizeof *sorted);
    if (repeated == NULL || sorted == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct named){names[i], i};
    qsort(sorted, count, sizeof *sorted, compare_named);
    for (size_t i = 1; i < count; i++)
        if (ms_bytes_equal(sorted[i - 1].name, sorted[i].name))
            repeated[sorted[i - 1].place] = repeated[sorted[i].place] = true;
    return repeated;
}

void ms_kafka_answer_context(struct ms_kafka_request *request) {
    if (request->context != NULL)
        ms_kafka_answer(request, request->context);
    else
        ms_kafka_request_close(request);
}

void *ms_kafka_places(struct ms_kafka_request *request, int32_t count, size_t size) {
    return ms_arena_zalloc(&request->arena, ((count > 0 ? (size_t)count : 0) + 1) * size);
}
