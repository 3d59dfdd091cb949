/* Waiting for projections of mode sync; see sync.h. */
#include "face/http/sync.h"

#include "face/http/answer.h"
#include "face/http/loop.h"
#include "face/http/server.h"

#define SYNC_MAX 16u
#define PATIENCE_US 2000000

struct ms_http_sync {
    struct ms_version *versions[SYNC_MAX]; /* held */
    struct ms_position_waiter waiters[SYNC_MAX];
    size_t count;
    int64_t until_us;
    void (*answer)(struct ms_http_request *request);
};

static struct ms_position_waiters *waiters_of(const struct ms_http_sync *sync, size_t i) {
    return ms_runner_waiters(ms_version_runner(sync->versions[i]));
}

void ms_http_sync_release(struct ms_http_request *request) {
    struct ms_http_sync *sync = request->sync;
    request->sync = NULL;
    for (size_t i = 0; sync && i < sync->count; i++) {
        ms_position_waiters_remove(waiters_of(sync, i), &sync->waiters[i]);
        ms_version_release(sync->versions[i]);
    }
}

/* A header for each that has not applied it. */
static void tell_pending(struct ms_http_request *request, const struct ms_http_sync *sync) {
    for (size_t i = 0; i < sync->count; i++) {
        struct ms_runner_status status;
        ms_runner_status(ms_version_runner(sync->versions[i]), &status);
        if (status.position > sync->waiters[i].position)
            continue;
        struct ms_bytes name = ms_version_definition(sync->versions[i])->name;
        (void)!ms_http_answer_header(request, "Mainstem-Projection-Pending", "%.*s@%lld",
                                     (int)name.len, (const char *)name.data,
                                     (long long)status.position - 1);
    }
}

static void finish(struct ms_http_request *request) {
    void (*answer)(struct ms_http_request * request) = request->sync->answer;
    tell_pending(request, request->sync);
    ms_http_sync_release(request);
    answer(request);
}

static bool is_over(const struct ms_http_request *request) {
    const struct ms_http_sync *sync = request->sync;
    bool over = request->loop->stopping || request->loop->now_us >= sync->until_us;
    for (size_t i = 0; !over && i < sync->count; i++)
        if (ms_position_waiters_applied(waiters_of(sync, i)) <= sync->waiters[i].position &&
            !ms_version_is_retired(sync->versions[i]))
            return false;
    return true;
}

static void woken(struct ms_http_request *request) {
    if (is_over(request))
        finish(request);
}

/* True when somebody will wake the request. */
static bool add_waiters(struct ms_http_request *request, struct ms_http_sync *sync,
                        uint64_t position) {
    bool waits = false;
    for (size_t i = 0; i < sync->count; i++) {
        sync->waiters[i].position = position;
        sync->waiters[i].wake = ms_http_request_wake;
        sync->waiters[i].context = request;
        waits |= ms_position_waiters_add(waiters_of(sync, i), &sync->waiters[i]);
    }
    return waits;
}

void ms_http_sync_wait(struct ms_http_request *request, uint64_t position,
                       void (*answer)(struct ms_http_request *request)) {
    struct ms_projections *projections = request->loop->http->projections;
    struct ms_version *versions[SYNC_MAX];
    size_t count = projections ? ms_projections_sync(projections, versions, SYNC_MAX) : 0;
    struct ms_http_sync *sync = count > 0 ? ms_arena_zalloc(&request->arena, sizeof *sync) : NULL;
    if (!sync) {
        for (size_t i = 0; i < count; i++)
            ms_version_release(versions[i]);
        answer(request);
        return;
    }
    memcpy(sync->versions, versions, count * sizeof *versions);
    sync->count = count;
    sync->until_us = request->loop->now_us + PATIENCE_US;
    sync->answer = answer;
    request->sync = sync;
    if (add_waiters(request, sync, position))
        ms_http_request_arm(request, woken);
    else
        finish(request);
}

void ms_http_sync_tick(struct ms_http_request *request) {
    if (request->sync && request->state == MS_HTTP_ARMED && is_over(request))
        finish(request);
}

void ms_http_sync_end(struct ms_http_request *request) {
    if (request->sync && request->state == MS_HTTP_ARMED)
        finish(request);
}
