/* One request; see request.h. Loop thread, except where noted. */
#include "face/http/request.h"

#include "base/alloc.h"
#include "face/http/connection.h"
#include "face/http/loop.h"
#include "face/http/queries.h"
#include "face/http/sync.h"
#include "face/http/server.h"

/* Kept for reuse per loop, and what a kept one may hold on to. */
#define FREE_REQUESTS_MAX 1024
#define KEPT_BUFFER_BYTES ((size_t)4 * 1024)

/* Beside its events, a request's arena holds names, parameters and conditions. */
#define ARENA_OVERHEAD_BYTES ((size_t)1024 * 1024)
#define ARENA_BYTES_PER_EVENT 512
#define HEADERS_MAX ((size_t)64 * 1024)

static struct ms_http_request *request_of_mail(struct ms_net_mail *mail) {
    return (struct ms_http_request *)((char *)mail - offsetof(struct ms_http_request, mail));
}
static struct ms_http_request *request_of_wake(struct ms_net_mail *mail) {
    return (struct ms_http_request *)((char *)mail - offsetof(struct ms_http_request, wake_mail));
}

/* A page ends with the event that crosses its size; base64 and escapes make an event longer than it
 * was. */
static size_t answer_bytes_max(const struct ms_http_options *options) {
    return options->page_bytes_max + 2 * options->event_limits.event_bytes_max + 1024 * 1024;
}

static size_t arena_bytes_max(const struct ms_http_options *options) {
    return ARENA_OVERHEAD_BYTES + options->limits.body_bytes_max +
           options->event_limits.append_events_max * ARENA_BYTES_PER_EVENT * 2;
}

static void deliver_result(struct ms_net_mail *mail) {
    struct ms_http_request *request = request_of_mail(mail);
    request->loop->outstanding--;
    if (request->connection) {
        request->resume(request);
        if (request->connection)
            ms_http_loop_mark(request->loop, request->connection);
    } else {
        ms_http_request_free(request);
    }
}

static void deliver_wake(struct ms_net_mail *mail) {
    struct ms_http_request *request = request_of_wake(mail);
    atomic_store_explicit(&request->wake_queued, false, memory_order_relaxed);
    if (request->orphaned) {
        request->loop->outstanding--;
        ms_http_request_free(request);
    } else if (request->connection && request->state == MS_HTTP_ARMED) {
        request->woken(request);
        ms_http_loop_mark(request->loop, request->connection);
    } else {
        request->wake_pending = true; /* overtook the mail of the poll that armed it */
    }
}

/* Back to an empty request that keeps its buffers. */
static void reset(struct ms_http_request *request, const struct ms_http_options *options) {
    struct ms_arena arena = request->arena;
    struct ms_buf body = request->body, headers = request->answer.headers,
                  answer = request->answer.body;
    struct ms_http_loop *loop = request->loop;
    memset(request, 0, sizeof *request);
    ms_arena_reset(&arena);
    arena.max = arena_bytes_max(options);
    body.len = headers.len = answer.len = 0;
    body.max = options->limits.body_bytes_max;
    headers.max = HEADERS_MAX;
    answer.max = answer_bytes_max(options);
    request->arena = arena;
    request->body = body;
    request->answer.headers = headers;
    request->answer.body = answer;
    request->loop = loop;
    request->mail.deliver = deliver_result;
    request->wake_mail.deliver = deliver_wake;
}

struct ms_http_request *ms_http_request_new(struct ms_http_connection *connection) {
    struct ms_http_loop *loop = connection->loop;
    struct ms_http_request *request = loop->free_requests;
    if (request) {
        loop->free_requests = request->next;
        loop->free_request_count--;
    } else {
        request = ms_calloc(1, sizeof *request);
        if (!request)
            return NULL;
        request->loop = loop;
        ms_arena_init(&request->arena, 0);
    }
    reset(request, &loop->config->options);
    request->connection = connection;
    request->number = ++loop->request_number;
    request->started_us = loop->now_us;
    if (connection->last)
        connection->last->next = request;
    else
        connection->first = request;
    connection->last = request;
    connection->depth++;
    return request;
}

static void destroy(struct ms_http_request *request) {
    ms_arena_deinit(&request->arena);
    ms_buf_deinit(&request->body);
    ms_buf_deinit(&request->answer.headers);
    ms_buf_deinit(&request->answer.body);
    ms_free(request);
}

void ms_http_request_list_free(struct ms_http_request *first) {
    while (first) {
        struct ms_http_request *next = first->next;
        destroy(first);
        first = next;
    }
}

void ms_http_request_free(struct ms_http_request *request) {
    struct ms_http_loop *loop = request->loop;
    request->connection = NULL;
    request->orphaned = false;
    ms_subscription_free(request->subscription);
    request->subscription = NULL;
    ms_http_query_release(request);
    ms_http_sync_release(request);
    if (atomic_load_explicit(&request->wake_queued, memory_order_acquire)) {
        request->orphaned = true; /* its wake-up is in the mailbox; delivery comes back here */
        loop->outstanding++;
        return;
    }
    struct ms_http_budget *budget = &loop->http->budget;
    if (request->body_charged)
        ms_net_share_set(&budget->bodies, &request->body_charged, 0);
    if (request->answer_charged)
        ms_net_share_set(&budget->answers, &request->answer_charged, 0);
    ms_http_config_unref(request->config);
    request->config = NULL;
    if (request->body.capacity > KEPT_BUFFER_BYTES)
        ms_buf_deinit(&request->body);
    if (request->answer.body.capacity > KEPT_BUFFER_BYTES)
        ms_buf_deinit(&request->answer.body);
    if (loop->free_request_count >= FREE_REQUESTS_MAX) {
        destroy(request);
        return;
    }
    request->next = loop->free_requests;
    loop->free_requests = request;
    loop->free_request_count++;
}

void ms_http_request_handed_over(struct ms_http_request *request,
                                 void (*resume)(struct ms_http_request *request)) {
    request->state = MS_HTTP_WORKING;
    request->resume = resume;
    request->loop->outstanding++;
}

void ms_http_request_kept(struct ms_http_request *request) { request->loop->outstanding--; }

void ms_http_request_hand_back(struct ms_http_request *request) {
    ms_net_mailbox_push(&request->loop->mailbox, &request->mail);
}

/* On a reader. When `run` hands on, somebody else may have the request before it returns. */
static void run_job(struct ms_net_job *job) {
    struct ms_http_request *request =
        (struct ms_http_request *)((char *)job - offsetof(struct ms_http_request, job));
    bool hands_on = request->hands_on;
    request->run(request);
    if (!hands_on)
        ms_http_request_hand_back(request);
}

static void prepare_job(struct ms_http_request *request,
                        void (*run)(struct ms_http_request *request),
                        void (*resume)(struct ms_http_request *request)) {
    if (!request->config)
        request->config = ms_http_config_ref(request->loop->config);
    request->job.run = run_job;
    request->run = run;
    request->hands_on = false;
    ms_http_request_handed_over(request, resume);
}

void ms_http_request_submit_to(struct ms_http_request *request, struct ms_net_readers *readers,
                               void (*run)(struct ms_http_request *request),
                               void (*resume)(struct ms_http_request *request)) {
    prepare_job(request, run, resume);
    ms_net_readers_push(readers, &request->job, false);
}

void ms_http_request_submit_open(struct ms_http_request *request,
                                 void (*run)(struct ms_http_request *request),
                                 void (*resume)(struct ms_http_request *request)) {
    prepare_job(request, run, resume);
    request->hands_on = true;
    ms_net_readers_push(&request->loop->http->readers, &request->job, false);
}

void ms_http_request_submit_patient(struct ms_http_request *request,
                                    void (*run)(struct ms_http_request *request),
                                    void (*resume)(struct ms_http_request *request)) {
    prepare_job(request, run, resume);
    ms_net_readers_push(&request->loop->http->readers, &request->job, true);
}

void ms_http_request_submit(struct ms_http_request *request,
                            void (*run)(struct ms_http_request *request),
                            void (*resume)(struct ms_http_request *request)) {
    ms_http_request_submit_to(request, &request->loop->http->readers, run, resume);
}

void ms_http_request_arm(struct ms_http_request *request,
                         void (*woken)(struct ms_http_request *request)) {
    request->state = MS_HTTP_ARMED;
    request->armed_us = request->loop->now_us;
    request->woken = woken;
    if (request->wake_pending) {
        request->wake_pending = false;
        woken(request);
    }
}

void ms_http_request_wake(void *context) {
    struct ms_http_request *request = context;
    if (!atomic_exchange_explicit(&request->wake_queued, true, memory_order_acq_rel))
        ms_net_mailbox_push(&request->loop->mailbox, &request->wake_mail);
}

void ms_http_request_done(struct ms_http_request *request) {
    request->state = MS_HTTP_ANSWERED;
    if (request->connection)
        ms_http_loop_mark(request->loop, request->connection);
}

struct ms_bytes ms_http_request_id(const struct ms_http_request *request, char *scratch) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    if (request->id.len)
        return request->id;
    size_t len = strlen(request->loop->id_prefix);
    memcpy(scratch, request->loop->id_prefix, len);
    scratch[len++] = '-';
    char reversed[16];
    size_t n = 0;
    uint64_t number = request->number;
    do {
        reversed[n++] = digits[number & 31];
        number >>= 5;
    } while (number);
    while (n)
        scratch[len++] = reversed[--n];
    return ms_bytes_of(scratch, len);
}
