/* Subscriptions as server-sent events; see sse.h. */
#include "face/http/sse.h"

#include <stdio.h>

#include "face/http/answer.h"
#include "face/http/connection.h"
#include "face/http/loop.h"
#include "face/http/reads.h"
#include "face/http/server.h"
#include "wire/event_json.h"
#include "wire/json.h"

/* What one poll delivers at most, and how much while little of the server's memory is left or there
 * is hardly anything to deliver. */
#define BATCH_EVENTS 1000
#define BATCH_BYTES ((size_t)256 * 1024)
#define SMALL_BATCH_BYTES ((size_t)16 * 1024)
/* The next batch is fetched when less than this waits for the peer. */
#define LOW_WATER_BYTES ((size_t)64 * 1024)

/* What a chunk adds to its data, at most. */
#define CHUNK_FRAME_BYTES 32

#define STREAM_TYPE "text/event-stream"

/* A batch's buffer that grew beyond this is given back once it is sent. */
#define KEPT_BATCH_BYTES ((size_t)4 * 1024)

struct ms_http_sse {
    const struct ms_http_sse_source *source;
    enum ms_http_sse_found found; /* what the reader's last job came to */
    size_t batch_bytes;
    size_t batch_events;
    size_t event_bytes; /* of the next event, when there was no memory for it; else 0 */
    bool may_grow;      /* the reader may make the batch a large one */
    bool arrived;       /* a batch is in answer.body, to be moved to the output */
    bool hungry;        /* in the loop's line */
    struct ms_http_request *previous_hungry, *next_hungry;
    bool told_caught_up; /* nothing was sent since */
    bool wants_poll;     /* there is more, or a wake-up came */
    bool stop_asked;     /* the server stops */
    bool counted;        /* in the metrics' gauge */
    int64_t polled_us;   /* when the last poll began */
    int64_t written_us;  /* when something was sent last */
};

/* ---- framing ---- */

int ms_http_sse_begin_event(struct ms_buf *out, uint64_t id) {
    int code = ms_buf_reserve(out, 64);
    if (code != 0)
        return code;
    uint8_t *at = out->data + out->len;
    at = MS_HTTP_PUT_LITERAL(at, "id: ");
    at = ms_http_put_u64(at, id);
    at = MS_HTTP_PUT_LITERAL(at, "\ndata: ");
    out->len = (size_t)(at - out->data);
    return 0;
}

int ms_http_sse_write_chunk(struct ms_buf *out, struct ms_bytes data) {
    if (data.len == 0)
        return 0;
    int code = ms_buf_reserve(out, data.len + CHUNK_FRAME_BYTES);
    if (code != 0)
        return code;
    char size[24];
    int len = snprintf(size, sizeof size, "%zx\r\n", data.len);
    uint8_t *at = ms_http_put(out->data + out->len, size, (size_t)len);
    at = ms_http_put(at, data.data, data.len);
    at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    out->len = (size_t)(at - out->data);
    return 0;
}

/* ---- a reader's thread ---- */

static bool is_of_stream(const struct ms_http_request *request) {
    return request->stream.data != NULL;
}

/* Pays for what the batch has become. One that has the whole share to itself and still isn't enough
 * for its first event gets more. */
static bool pay(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    struct ms_net_share *share = &request->loop->http->budget.answers;
    size_t limit = request->config->budget.events, len = request->answer.body.len;
    if (ms_net_share_raise(share, &request->answer_charged, len, limit))
        return true;
    if (sse->batch_events || request->answer_charged < limit)
        return false;
    ms_net_share_set(share, &request->answer_charged, len);
    return true;
}

static int visit(void *context, const struct ms_read_event *read) {
    struct ms_http_request *request = context;
    struct ms_buf *out = &request->answer.body;
    uint64_t id = is_of_stream(request) ? (uint64_t)read->place.version : read->place.position;
    size_t before = out->len;
    int code = ms_http_sse_begin_event(out, id);
    size_t from = out->len;
    if (code == 0)
        code = ms_event_write_json(out, MS_FORMAT_JSON, &read->event, &read->place);
    if (code == 0) {
        ms_http_flatten_lines(out, from);
        code = ms_buf_append_cstr(out, "\n\n");
    }
    if (code == 0 && !pay(request)) {
        request->sse->event_bytes = out->len - before;
        code = MS_EAGAIN;
    }
    if (code != 0) {
        out->len = before;
        return code;
    }
    request->sse->batch_events++;
    return out->len >= request->sse->batch_bytes ? 1 : 0;
}

/* How far all events were looked at, for a client that comes back: only what is behind is looked at
 * again. */
static int write_checkpoint(struct ms_http_request *request, struct ms_buf *out) {
    if (is_of_stream(request) || !request->subscription)
        return ms_buf_append_u8(out, '\n');
    uint64_t next = ms_subscription_next_position(request->subscription);
    if (next == 0)
        return ms_buf_append_u8(out, '\n');
    return ms_buf_printf(out, "id: %llu\n\n", (unsigned long long)(next - 1));
}

enum ms_http_sse_found ms_http_sse_end_with(struct ms_http_request *request, int code,
                                            const struct ms_error *err) {
    struct ms_buf *out = &request->answer.body;
    int written = ms_buf_printf(
        out,
        "event: end\ndata: {\"type\":\"urn:mainstem:problem:%s\",\"detail\":", ms_error_type(code));
    bool told = err->code == code && err->message[0] != 0;
    const char *detail = told ? err->message : ms_error_text(code);
    if (written == 0)
        written = ms_json_write_string(out, ms_bytes_cstr(detail));
    if (written == 0)
        written = ms_buf_append_cstr(out, "}\n\n");
    request->answer.problem = ms_error_type(code);
    return MS_HTTP_SSE_END; /* also when even that could not be written */
}

/* Only now that it has a reader's attention: thousands may have been waiting for that. */
static void grow_batch(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    if (sse->may_grow &&
        ms_net_share_raise(&request->loop->http->budget.answers, &request->answer_charged,
                           BATCH_BYTES, request->config->budget.large_batches))
        sse->batch_bytes = BATCH_BYTES;
}

static enum ms_http_sse_found poll_batch(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    struct ms_error err = {0};
    bool caught_up = false;
    sse->batch_events = 0;
    sse->event_bytes = 0;
    grow_batch(request);
    int code =
        ms_subscription_poll(request->subscription, BATCH_EVENTS, visit, request, &caught_up, &err);
    if (sse->batch_events)
        sse->told_caught_up = false;
    if (code != 0 && sse->event_bytes)
        return MS_HTTP_SSE_MORE; /* that event is still to come */
    if (code != 0)
        return ms_http_sse_end_with(request, code, &err);
    if (!caught_up)
        return MS_HTTP_SSE_MORE;
    if (!sse->told_caught_up) {
        code = ms_buf_append_cstr(&request->answer.body, ": caught up\n");
        if (code == 0)
            code = write_checkpoint(request, &request->answer.body);
        sse->told_caught_up = true;
    }
    return code == 0 ? MS_HTTP_SSE_ALL : ms_http_sse_end_with(request, code, &err);
}

static void run_batch(struct ms_http_request *request) {
    request->sse->found = request->sse->source->poll(request);
}

/* A stream that is gone for ever has nothing to say: that is an answer of its own, before any
 * stream of events. */
static int refuse_tombstoned(struct ms_http_request *request, struct ms_error *err) {
    struct ms_stream_read read = {.stream = request->stream, .limit = 0};
    struct ms_stream_read_result result;
    int code =
        ms_store_read_stream(request->loop->http->store, &read, visit, request, &result, err);
    if (code == 0 && result.state == MS_STREAM_TOMBSTONED)
        return ms_error_set(err, MS_ETOMBSTONED, "the stream was deleted for ever");
    return code;
}

static int subscribe(struct ms_http_request *request, struct ms_error *err) {
    const struct ms_http_params *params = &request->params;
    uint64_t from = request->has_last_event_id ? request->last_event_id + 1 : params->from;
    struct ms_subscription_options options = {
        .stream = request->stream,
        .from_version = (int64_t)from,
        .from_position = from,
        .from_end = params->from_end && !request->has_last_event_id,
        .filter = ms_http_read_filter(request),
        .wake = ms_http_request_wake,
        .context = request,
    };
    return ms_subscription_new(request->loop->http->store, &options, &request->subscription, err);
}

static int open_events(struct ms_http_request *request, struct ms_error *err) {
    int code = is_of_stream(request) ? refuse_tombstoned(request, err) : 0;
    return code == 0 ? subscribe(request, err) : code;
}

static const struct ms_http_sse_source events = {open_events, poll_batch, 0};

static void run_open(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = request->sse->source->open(request, &err);
    if (code == 0)
        code = ms_buf_append_cstr(&request->answer.body, "retry: 1000\n\n");
    if (code == 0) {
        run_batch(request);
        return;
    }
    ms_http_answer_error(request, code, &err);
    request->sse->found = MS_HTTP_SSE_REFUSAL;
}

/* ---- the loop ---- */

static void set_counted(struct ms_http_request *request, bool counted) {
    struct ms_http_sse *sse = request->sse;
    if (sse->counted == counted)
        return;
    sse->counted = counted;
    atomic_fetch_add_explicit(&request->loop->metrics.event_streams, counted ? 1 : -1,
                              memory_order_relaxed);
}

/* Room for a batch behind what is queued, and no more: a peer that doesn't read keeps it. */
static int make_room(struct ms_http_connection *connection, size_t len) {
    struct ms_buf *out = &connection->out;
    if (connection->out_at) {
        memmove(out->data, out->data + connection->out_at, out->len - connection->out_at);
        out->len -= connection->out_at;
        connection->out_at = 0;
    }
    return ms_buf_reserve_exact(out, len + CHUNK_FRAME_BYTES);
}

/* Moves what the reader wrote to the output. Failing here means that there is no memory: the
 * connection ends. */
static int send_body(struct ms_http_request *request) {
    struct ms_net_share *answers = &request->loop->http->budget.answers;
    struct ms_http_connection *connection = request->connection;
    struct ms_buf *body = &request->answer.body;
    if (ms_http_connection_queued(connection) == 0)
        connection->progress_us = request->loop->now_us;
    int code = make_room(connection, body->len);
    if (code != 0)
        return code;
    size_t before = connection->out.len;
    code = request->http10 ? ms_buf_append_bytes(&connection->out, ms_buf_bytes(body))
                           : ms_http_sse_write_chunk(&connection->out, ms_buf_bytes(body));
    request->bytes_out += connection->out.len - before;
    request->sse->written_us = request->loop->now_us;
    ms_net_share_set(answers, &request->answer_charged, 0);
    ms_net_share_set(answers, &connection->charged, connection->out.len + connection->body.len);
    size_t max = body->max;
    if (body->capacity > KEPT_BATCH_BYTES)
        ms_buf_deinit(body);
    ms_buf_clear(body);
    body->max = max;
    return code;
}

/* ---- those that wait for memory ---- */

static void set_hungry(struct ms_http_request *request, bool hungry) {
    struct ms_http_loop *loop = request->loop;
    struct ms_http_sse *sse = request->sse;
    if (sse->hungry == hungry)
        return;
    sse->hungry = hungry;
    atomic_fetch_add_explicit(&loop->metrics.event_streams_waiting, hungry ? 1 : -1,
                              memory_order_relaxed);
    if (hungry) {
        sse->previous_hungry = loop->last_hungry;
        sse->next_hungry = NULL;
        *(loop->last_hungry ? &loop->last_hungry->sse->next_hungry : &loop->hungry) = request;
        loop->last_hungry = request;
        ms_http_loop_feed_later(loop);
        return;
    }
    struct ms_http_request *previous = sse->previous_hungry, *next = sse->next_hungry;
    *(previous ? &previous->sse->next_hungry : &loop->hungry) = next;
    *(next ? &next->sse->previous_hungry : &loop->last_hungry) = previous;
}

static bool reserve(struct ms_http_request *request, size_t bytes, size_t limit) {
    request->sse->batch_bytes = bytes;
    return ms_net_share_raise(&request->loop->http->budget.answers, &request->answer_charged, bytes,
                              limit);
}

/* An event that was longer than its batch comes first. */
static bool is_long(const struct ms_http_request *request) {
    return request->sse->event_bytes > SMALL_BATCH_BYTES;
}

/* Pays for the next batch; false when there is no memory now. */
static bool reserve_batch(struct ms_http_request *request) {
    const struct ms_http_budget_limits *limits = &request->loop->config->budget;
    struct ms_http_sse *sse = request->sse;
    bool catches_up = sse->found == MS_HTTP_SSE_MORE && !is_long(request) && !request->loop->hungry;
    sse->may_grow = catches_up && reserve(request, SMALL_BATCH_BYTES, limits->large_batches);
    if (sse->may_grow)
        return true;
    if (ms_http_connection_queued(request->connection))
        return false; /* what is there must do */
    if (!is_long(request))
        return reserve(request, SMALL_BATCH_BYTES, limits->small_batches);
    size_t bytes = sse->event_bytes < limits->events ? sse->event_bytes : limits->events;
    return reserve(request, bytes, limits->events);
}

/* ---- the loop ---- */

static void stop_counting(struct ms_http_request *request) {
    set_hungry(request, false);
    set_counted(request, false);
}

static void finish(struct ms_http_request *request) {
    struct ms_http_connection *connection = request->connection;
    static const char last_chunk[] = "0\r\n\r\n";
    int code =
        request->http10 ? 0 : ms_buf_append(&connection->out, last_chunk, sizeof last_chunk - 1);
    if (code != 0)
        connection->closed = true;
    stop_counting(request);
    connection->input_over = connection->close_when_empty = true;
    ms_http_request_done(request);
}

static int send_head(struct ms_http_request *request) {
    ms_http_answer(request, 200, STREAM_TYPE);
    if (request->http10)
        request->keep_alive = false;
    int code = ms_http_answer_header(request, "X-Accel-Buffering", "no");
    if (code == 0)
        code = ms_http_render_stream_head(request,
                                          request->http10 ? "" : "Transfer-Encoding: chunked\r\n",
                                          &request->connection->out);
    request->streaming = true;
    request->head_us = request->loop->now_us;
    set_counted(request, true);
    return code;
}

static void woken(struct ms_http_request *request) { request->sse->wants_poll = true; }

/* The batch is moved when the connection has its turn; until then it costs what it is. */
static void resumed(struct ms_http_request *request) {
    if (request->sse->found == MS_HTTP_SSE_REFUSAL) {
        ms_http_request_done(request);
        return;
    }
    struct ms_net_share *answers = &request->loop->http->budget.answers;
    ms_net_share_set(answers, &request->answer_charged, request->answer.body.len);
    request->sse->arrived = true;
    ms_http_request_arm(request, woken);
}

static void take_batch(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    sse->arrived = false;
    int code = request->streaming ? 0 : send_head(request);
    if (request->head_only) {
        request->connection->input_over = request->connection->close_when_empty = true;
        stop_counting(request);
        ms_http_request_done(request);
        return;
    }
    ms_counter_add(&request->loop->metrics.events_streamed, sse->batch_events);
    if (code == 0)
        code = send_body(request);
    if (code != 0) {
        request->connection->closed = true;
        ms_http_request_done(request);
    } else if (sse->found == MS_HTTP_SSE_END || sse->stop_asked || request->loop->stopping) {
        finish(request);
    } else if (sse->found == MS_HTTP_SSE_MORE) {
        sse->wants_poll = true;
    }
}

static void submit(struct ms_http_request *request, void (*run)(struct ms_http_request *request)) {
    request->sse->wants_poll = false;
    request->sse->polled_us = request->loop->now_us;
    ms_http_request_submit_patient(request, run, resumed);
}

/* Without memory for a batch it is still opened: the peer learns that it is there. */
void ms_http_sse_start_from(struct ms_http_request *request,
                            const struct ms_http_sse_source *source) {
    request->sse = ms_arena_zalloc(&request->arena, sizeof *request->sse);
    if (!request->sse) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        ms_http_request_done(request);
        return;
    }
    request->sse->source = source;
    request->sse->found = MS_HTTP_SSE_MORE;
    (void)reserve_batch(request);
    submit(request, run_open);
}

void ms_http_sse_start(struct ms_http_request *request) {
    ms_http_sse_start_from(request, &events);
}

void ms_http_sse_take(struct ms_http_request *request) {
    if (request->state == MS_HTTP_ARMED && request->sse->arrived)
        take_batch(request);
}

void ms_http_sse_pump(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    size_t queued = ms_http_connection_queued(request->connection);
    if (request->state != MS_HTTP_ARMED || !sse->wants_poll || sse->hungry ||
        queued >= LOW_WATER_BYTES ||
        request->loop->now_us - sse->polled_us < sse->source->interval_us)
        return;
    if (reserve_batch(request))
        submit(request, run_batch);
    else if (queued == 0)
        set_hungry(request, true);
}

/* The first that finds nothing ends it, but for one with a long event: shorter ones may pass. */
void ms_http_sse_feed(struct ms_http_loop *loop) {
    struct ms_http_request *request = loop->hungry;
    bool some_for_long = true;
    while (request) {
        struct ms_http_request *next = request->sse->next_hungry;
        bool tried = some_for_long || !is_long(request);
        if (tried && reserve_batch(request)) {
            set_hungry(request, false);
            submit(request, run_batch);
        } else if (is_long(request)) {
            some_for_long = false;
        } else {
            break;
        }
        request = next;
    }
    if (loop->hungry)
        ms_http_loop_feed_later(loop);
}

void ms_http_sse_tick(struct ms_http_request *request) {
    struct ms_http_connection *connection = request->connection;
    struct ms_http_sse *sse = request->sse;
    int64_t quiet_us = request->loop->now_us - sse->written_us;
    if (sse->wants_poll)
        ms_http_loop_mark(request->loop, connection);
    if (request->state != MS_HTTP_ARMED || sse->arrived || ms_http_connection_queued(connection) ||
        quiet_us < request->loop->config->options.heartbeat_ms * 1000)
        return;
    struct ms_buf *body = &request->answer.body;
    int code = ms_buf_append_cstr(body, ": heartbeat\n");
    if (code == 0)
        code = write_checkpoint(request, body);
    if (code == 0)
        code = send_body(request);
    if (code != 0)
        connection->closed = true;
    ms_http_loop_mark(request->loop, connection);
}

void ms_http_sse_end(struct ms_http_request *request) {
    request->sse->stop_asked = true;
    if (request->state == MS_HTTP_ARMED && !request->sse->arrived)
        finish(request);
}

void ms_http_sse_forget(struct ms_http_request *request) {
    if (request->sse)
        stop_counting(request);
}
