/* Waiting for projections of mode sync; see sync.h. */
#include "face/kafka/sync.h"

#include "face/kafka/loop.h"
#include "face/kafka/server.h"
#include "projection/sync_wait.h"

struct ms_kafka_sync {
    struct ms_sync_wait *wait;
    ms_kafka_step *answer;
};

static void forget(struct ms_kafka_request *request) { ms_sync_wait_forget(request->sync->wait); }

static void finish(struct ms_kafka_request *request) {
    struct ms_kafka_sync *sync = request->sync;
    request->forget = NULL;
    ms_sync_wait_end(sync->wait, NULL, NULL);
    sync->answer(request);
}

static void woken(struct ms_kafka_request *request) {
    if (ms_sync_wait_is_over(request->sync->wait))
        finish(request);
}

/* NULL: nobody is waited for. */
static struct ms_kafka_sync *begin(struct ms_kafka_request *request, const struct ms_bytes *topics,
                                   size_t topic_count, uint64_t position) {
    struct ms_projections *projections = request->loop->kafka->projections;
    struct ms_kafka_sync *sync = ms_arena_zalloc(&request->arena, sizeof *sync);
    if (sync == NULL)
        return NULL;
    sync->wait = ms_sync_wait_begin(projections, topics, topic_count, position, &request->arena,
                                    ms_kafka_request_wake, request);
    return sync->wait != NULL ? sync : NULL;
}

void ms_kafka_sync_wait(struct ms_kafka_request *request, const struct ms_bytes *topics,
                        size_t topic_count, uint64_t position, int64_t until_us,
                        ms_kafka_step *answer) {
    struct ms_kafka_sync *sync = begin(request, topics, topic_count, position);
    if (sync == NULL) {
        answer(request);
        return;
    }
    sync->answer = answer;
    request->sync = sync;
    request->forget = forget;
    if (ms_sync_wait_is_over(sync->wait) || until_us <= request->loop->now_us) {
        finish(request);
        return;
    }
    ms_kafka_request_wait(request, until_us, finish);
    ms_kafka_request_arm(request, woken);
}
