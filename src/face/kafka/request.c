/* One request; see request.h. Loop thread, except where noted. */
#include "face/kafka/request.h"

#include "base/alloc.h"
#include "face/kafka/connection.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"

/* Kept for reuse per loop, and what a kept one may hold on to. */
#define FREE_REQUESTS_MAX 256
#define KEPT_BUFFER_BYTES ((size_t)4 * 1024)

/* The head of one answer, without records: a list of very many topics. */
#define HEAD_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define ARENA_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct ms_kafka_request_slices {
    struct ms_kafka_request_slices *next;
    size_t count;
    struct ms_slice slices[];
};

static struct ms_kafka_request *request_of_mail(struct ms_net_mail *mail) {
    return (struct ms_kafka_request *)((char *)mail - offsetof(struct ms_kafka_request, mail));
}
static struct ms_kafka_request *request_of_wake(struct ms_net_mail *mail) {
    return (struct ms_kafka_request *)((char *)mail - offsetof(struct ms_kafka_request, wake_mail));
}
static struct ms_kafka_request *request_of_timer(struct ms_kafka_timer *timer) {
    return (struct ms_kafka_request *)((char *)timer - offsetof(struct ms_kafka_request, timer));
}
static struct ms_kafka_request *request_of_job(struct ms_net_job *job) {
    return (struct ms_kafka_request *)((char *)job - offsetof(struct ms_kafka_request, job));
}

/* ---- waiting ---- */

static void begin_waiting(struct ms_kafka_request *request) {
    if (request->waiting_us)
        return;
    request->waiting_us = request->loop->now_us;
    atomic_fetch_add_explicit(&request->loop->metrics.waiting, 1, memory_order_relaxed);
}

static void end_waiting(struct ms_kafka_request *request) {
    ms_kafka_loop_cancel_timer(request->loop, &request->timer);
    request->woken = NULL;
    if (!request->waiting_us)
        return;
    request->started_us += request->loop->now_us - request->waiting_us;
    request->waiting_us = 0;
    atomic_fetch_sub_explicit(&request->loop->metrics.waiting, 1, memory_order_relaxed);
}

static void fire(struct ms_kafka_timer *timer) {
    struct ms_kafka_request *request = request_of_timer(timer);
    request->expired(request);
}

void ms_kafka_request_wait(struct ms_kafka_request *request, int64_t at_us,
                           ms_kafka_step *expired) {
    MS_ASSERT(request->state == MS_KAFKA_OPEN);
    begin_waiting(request);
    request->expired = expired;
    bool stopping = request->loop->stopping;
    ms_kafka_loop_set_timer(request->loop, &request->timer,
                            stopping ? request->loop->now_us : at_us);
}

void ms_kafka_request_hurry(struct ms_kafka_request *request) {
    if (request->timer.set)
        ms_kafka_loop_set_timer(request->loop, &request->timer, request->loop->now_us);
}

void ms_kafka_request_arm(struct ms_kafka_request *request, ms_kafka_step *woken) {
    MS_ASSERT(request->state == MS_KAFKA_OPEN);
    begin_waiting(request);
    request->woken = woken;
    if (request->wake_pending) {
        request->wake_pending = false;
        woken(request);
    }
}

void ms_kafka_request_wake(void *context) {
    struct ms_kafka_request *request = context;
    if (!atomic_exchange_explicit(&request->wake_queued, true, memory_order_acq_rel))
        ms_net_mailbox_push(&request->loop->mailbox, &request->wake_mail);
}

static void deliver_wake(struct ms_net_mail *mail) {
    struct ms_kafka_request *request = request_of_wake(mail);
    atomic_store_explicit(&request->wake_queued, false, memory_order_relaxed);
    if (request->orphaned) {
        request->loop->outstanding--;
        ms_kafka_request_free(request);
    } else if (request->state == MS_KAFKA_OPEN && request->woken) {
        request->woken(request);
    } else {
        request->wake_pending = true; /* overtook the mail of what arms it, or the answer */
    }
}

/* ---- other threads ---- */

static void deliver_back(struct ms_net_mail *mail) {
    struct ms_kafka_request *request = request_of_mail(mail);
    request->loop->outstanding--;
    request->state = MS_KAFKA_OPEN;
    if (request->connection)
        request->resume(request);
    else
        ms_kafka_request_free(request);
}

void ms_kafka_request_handed_over(struct ms_kafka_request *request, ms_kafka_step *resume) {
    MS_ASSERT(request->state == MS_KAFKA_OPEN);
    end_waiting(request);
    request->state = MS_KAFKA_WORKING;
    request->resume = resume;
    request->loop->outstanding++;
}

void ms_kafka_request_kept(struct ms_kafka_request *request) {
    request->state = MS_KAFKA_OPEN;
    request->loop->outstanding--;
}

void ms_kafka_request_hand_back(struct ms_kafka_request *request) {
    ms_net_mailbox_push(&request->loop->mailbox, &request->mail);
}

/* On a reader. */
static void run_job(struct ms_net_job *job) {
    struct ms_kafka_request *request = request_of_job(job);
    request->run(request);
    ms_kafka_request_hand_back(request);
}

void ms_kafka_request_submit_to(struct ms_kafka_request *request, struct ms_net_readers *readers,
                                ms_kafka_step *run, ms_kafka_step *resume) {
    request->job.run = run_job;
    request->run = run;
    ms_kafka_request_handed_over(request, resume);
    ms_net_readers_push(readers, &request->job, false);
}

void ms_kafka_request_submit(struct ms_kafka_request *request, ms_kafka_step *run,
                             ms_kafka_step *resume) {
    ms_kafka_request_submit_to(request, &request->loop->kafka->readers, run, resume);
}

/* ---- answering ---- */

static void log_request(const struct ms_kafka_request *request, int64_t duration_us) {
    const struct ms_kafka_options *options = &request->loop->config->options;
    if (!options->on_request)
        return;
    struct ms_kafka_log_entry entry = {
        .api = request->api->name,
        .version = request->version,
        .client_id = request->header.client_id,
        .peer = ms_bytes_cstr(request->connection->peer),
        .duration_us = duration_us,
        .bytes_in = request->frame.len,
        .bytes_out = ms_kafka_output_bytes(&request->output),
        .error = request->error_code,
    };
    options->on_request(options->context, &entry);
}

/* The answer, or that there is none, is complete. */
static void complete(struct ms_kafka_request *request) {
    struct ms_kafka_loop *loop = request->loop;
    MS_ASSERT(request->state == MS_KAFKA_OPEN && request->connection);
    end_waiting(request);
    request->forget = NULL;
    request->state = MS_KAFKA_ANSWERED;
    size_t bytes = ms_kafka_output_bytes(&request->output);
    ms_net_share_set(&loop->kafka->answers, &request->answer_charged, bytes);
    int64_t duration_us = ms_clock_monotonic_us(loop->kafka->env->clock) - request->started_us;
    ms_counter_add(&loop->metrics.requests[request->api->index], 1);
    if (request->error_code)
        ms_counter_add(&loop->metrics.errors[request->api->index], 1);
    ms_histogram_add(&loop->metrics.latency_us[request->api->index],
                     duration_us > 0 ? (uint64_t)duration_us : 0);
    log_request(request, duration_us);
    ms_kafka_connection_answered(request->connection, bytes);
}

void ms_kafka_answer(struct ms_kafka_request *request, const void *response) {
    struct ms_kafka_output *output = &request->output;
    struct ms_error err = {0};
    if (ms_kafka_encode_response(request->api, request->version, request->header.correlation_id,
                                 response, output, &err) != 0) {
        ms_kafka_loop_warn(request->loop, "kafka: the answer to %s of %s can't be encoded: %s",
                           request->api->name, request->connection->peer, err.message);
        request->closes = true;
    }
    complete(request);
}

void ms_kafka_answer_nothing(struct ms_kafka_request *request) { complete(request); }

void ms_kafka_request_close(struct ms_kafka_request *request) {
    request->closes = true;
    if (request->state != MS_KAFKA_ANSWERED)
        complete(request);
}

void ms_kafka_request_note_error(struct ms_kafka_request *request, int code) {
    if (!request->error_code)
        request->error_code = code;
}

struct ms_slice *ms_kafka_request_slices(struct ms_kafka_request *request, size_t count) {
    struct ms_kafka_request_slices *slices = NULL;
    if (count <= (SIZE_MAX - sizeof *slices) / sizeof slices->slices[0])
        slices =
            ms_arena_zalloc(&request->arena, sizeof *slices + count * sizeof slices->slices[0]);
    if (!slices)
        return NULL;
    slices->count = count;
    slices->next = request->slices;
    request->slices = slices;
    return slices->slices;
}

size_t ms_kafka_request_room(const struct ms_kafka_request *request) {
    size_t max = request->loop->config->options.inflight_bytes_max / 2;
    size_t used = ms_net_share_used(&request->loop->kafka->answers);
    return used < max ? max - used : 0;
}

/* ---- life ---- */

/* An empty request that keeps its head's buffer. */
static void reset(struct ms_kafka_request *request, struct ms_kafka_connection *connection) {
    struct ms_buf head = request->output.head;
    ms_arena_deinit(&request->arena);
    memset(request, 0, offsetof(struct ms_kafka_request, memory));
    ms_arena_init_over(&request->arena, request->memory, sizeof request->memory, ARENA_BYTES_MAX);
    head.len = 0;
    head.max = HEAD_BYTES_MAX;
    request->output.head = head;
    request->output.arena = &request->arena;
    request->loop = connection->loop;
    request->connection = connection;
    request->mail.deliver = deliver_back;
    request->wake_mail.deliver = deliver_wake;
    request->timer.fire = fire;
    request->started_us = connection->loop->now_us;
}

struct ms_kafka_request *ms_kafka_request_new(struct ms_kafka_connection *connection) {
    struct ms_kafka_loop *loop = connection->loop;
    struct ms_kafka_request *request = loop->free_requests;
    if (request) {
        loop->free_requests = request->next;
        loop->free_request_count--;
    } else {
        request = ms_calloc(1, sizeof *request);
        if (!request)
            return NULL;
    }
    reset(request, connection);
    if (connection->last)
        connection->last->next = request;
    else
        connection->first = request;
    connection->last = request;
    connection->depth++;
    return request;
}

static void destroy(struct ms_kafka_request *request) {
    ms_arena_deinit(&request->arena);
    ms_buf_deinit(&request->output.head);
    ms_free(request);
}

void ms_kafka_request_list_free(struct ms_kafka_request *first) {
    while (first) {
        struct ms_kafka_request *next = first->next;
        destroy(first);
        first = next;
    }
}

static void release_memory(struct ms_kafka_request *request) {
    struct ms_kafka *kafka = request->loop->kafka;
    for (struct ms_kafka_request_slices *some = request->slices; some; some = some->next)
        for (size_t i = 0; i < some->count; i++)
            ms_slice_unref(&some->slices[i]);
    request->slices = NULL;
    ms_blob_unref(request->blob);
    request->blob = NULL;
    ms_net_share_set(&kafka->requests, &request->charged, 0);
    ms_net_share_set(&kafka->answers, &request->answer_charged, 0);
    if (request->favoured)
        atomic_store_explicit(&kafka->favour, false, memory_order_release);
    request->favoured = false;
}

void ms_kafka_request_free(struct ms_kafka_request *request) {
    struct ms_kafka_loop *loop = request->loop;
    end_waiting(request);
    request->connection = NULL;
    request->orphaned = false;
    release_memory(request);
    if (atomic_load_explicit(&request->wake_queued, memory_order_acquire)) {
        request->orphaned = true; /* its wake-up is in the mailbox; delivery comes back here */
        loop->outstanding++;
        return;
    }
    if (loop->free_request_count >= FREE_REQUESTS_MAX) {
        destroy(request);
        return;
    }
    ms_arena_deinit(&request->arena);
    if (request->output.head.capacity > KEPT_BUFFER_BYTES)
        ms_buf_deinit(&request->output.head);
    request->next = loop->free_requests;
    loop->free_requests = request;
    loop->free_request_count++;
}

void ms_kafka_request_cut_loose(struct ms_kafka_request *request) {
    ms_kafka_step *forget = request->forget;
    request->forget = NULL;
    if (forget && request->state != MS_KAFKA_ANSWERED)
        forget(request);
    if (request->state == MS_KAFKA_WORKING)
        request->connection = NULL;
    else
        ms_kafka_request_free(request);
}
