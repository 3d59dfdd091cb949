/* Waiting for projections of mode sync; see sync.h. */
#include "face/http/sync.h"

#include "face/http/answer.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "projection/sync_wait.h"

struct ms_http_sync {
    struct ms_sync_wait *wait;
    int64_t until_us;
    void (*answer)(struct ms_http_request *request);
};

void ms_http_sync_release(struct ms_http_request *request) {
    if (request->sync)
        ms_sync_wait_forget(request->sync->wait);
    request->sync = NULL;
}

static void tell_pending(void *context, struct ms_bytes projection, int64_t position) {
    struct ms_http_request *request = context;
    (void)!ms_http_answer_header(request, "Mainstem-Projection-Pending", "%.*s@%lld",
                                 (int)projection.len, (const char *)projection.data,
                                 (long long)position);
}

static void finish(struct ms_http_request *request) {
    struct ms_http_sync *sync = request->sync;
    request->sync = NULL;
    ms_sync_wait_end(sync->wait, tell_pending, request);
    sync->answer(request);
}

static bool is_over(const struct ms_http_request *request) {
    const struct ms_http_sync *sync = request->sync;
    return request->loop->stopping || request->loop->now_us >= sync->until_us ||
           ms_sync_wait_is_over(sync->wait);
}

static void woken(struct ms_http_request *request) {
    if (is_over(request))
        finish(request);
}

/* Those of the streams that got events. NULL: no memory, or none did. */
static struct ms_bytes *topics_of(struct ms_http_request *request, size_t *ret_count) {
    const struct ms_append_request *append = &request->append;
    struct ms_bytes *topics =
        ms_arena_alloc(&request->arena, (append->part_count + 1) * sizeof *topics);
    size_t count = 0;
    for (size_t i = 0; topics && i < append->part_count; i++) {
        uint8_t *room = ms_arena_alloc(&request->arena, MS_STREAM_TOPIC_MAX);
        if (!room)
            return NULL;
        if (append->parts[i].count > 0)
            topics[count++] = ms_store_stream_topic(append->parts[i].stream, room);
    }
    *ret_count = count;
    return topics;
}

/* NULL: nobody is waited for. */
static struct ms_http_sync *begin(struct ms_http_request *request) {
    struct ms_projections *projections = request->loop->http->projections;
    size_t count;
    if (!ms_projections_any_sync(projections))
        return NULL;
    struct ms_bytes *topics = topics_of(request, &count);
    struct ms_http_sync *sync = topics ? ms_arena_zalloc(&request->arena, sizeof *sync) : NULL;
    if (!sync)
        return NULL;
    sync->wait = ms_sync_wait_begin(projections, topics, count, request->outcome.position,
                                    &request->arena, ms_http_request_wake, request);
    return sync->wait ? sync : NULL;
}

void ms_http_sync_wait(struct ms_http_request *request,
                       void (*answer)(struct ms_http_request *request)) {
    struct ms_http_sync *sync = begin(request);
    if (!sync) {
        answer(request);
        return;
    }
    sync->until_us = request->loop->now_us + MS_SYNC_PATIENCE_US;
    sync->answer = answer;
    request->sync = sync;
    if (is_over(request))
        finish(request);
    else
        ms_http_request_arm(request, woken);
}

void ms_http_sync_tick(struct ms_http_request *request) {
    if (request->sync && request->state == MS_HTTP_ARMED && is_over(request))
        finish(request);
}

void ms_http_sync_end(struct ms_http_request *request) {
    if (request->sync && request->state == MS_HTTP_ARMED)
        finish(request);
}
