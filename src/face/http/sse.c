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

/* What one poll delivers at most, and how much while the server's memory is used up: little, but
 * everybody gets on. */
#define BATCH_EVENTS 1000
#define BATCH_BYTES ((size_t)256 * 1024)
#define SMALL_BATCH_BYTES ((size_t)16 * 1024)
/* The next batch is fetched when less than this waits for the peer. */
#define LOW_WATER_BYTES ((size_t)64 * 1024)

#define STREAM_TYPE "text/event-stream"

enum found { FOUND_REFUSAL, FOUND_MORE, FOUND_ALL, FOUND_END };

struct ms_http_sse {
    enum found found; /* what the reader's last job came to */
    size_t batch_bytes;
    size_t batch_events;
    bool told_caught_up; /* nothing was sent since */
    bool wants_poll;     /* there is more, or a wake-up came */
    bool stop_asked;     /* the server stops */
    bool counted;        /* in the metrics' gauge */
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
    int code = ms_buf_reserve(out, data.len + 32);
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
    if (is_of_stream(request))
        return ms_buf_append_u8(out, '\n');
    uint64_t next = ms_subscription_next_position(request->subscription);
    if (next == 0)
        return ms_buf_append_u8(out, '\n');
    return ms_buf_printf(out, "id: %llu\n\n", (unsigned long long)(next - 1));
}

static enum found end_with(struct ms_http_request *request, int code, const struct ms_error *err) {
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
    return FOUND_END; /* also when even that could not be written */
}

static enum found poll_batch(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    struct ms_error err = {0};
    bool caught_up = false;
    sse->batch_events = 0;
    int code =
        ms_subscription_poll(request->subscription, BATCH_EVENTS, visit, request, &caught_up, &err);
    if (code != 0)
        return end_with(request, code, &err);
    if (sse->batch_events)
        sse->told_caught_up = false;
    if (!caught_up)
        return FOUND_MORE;
    if (!sse->told_caught_up) {
        code = ms_buf_append_cstr(&request->answer.body, ": caught up\n");
        if (code == 0)
            code = write_checkpoint(request, &request->answer.body);
        sse->told_caught_up = true;
    }
    return code == 0 ? FOUND_ALL : end_with(request, code, &err);
}

static void run_batch(struct ms_http_request *request) {
    request->sse->found = poll_batch(request);
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

static void run_open(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = is_of_stream(request) ? refuse_tombstoned(request, &err) : 0;
    if (code == 0)
        code = subscribe(request, &err);
    if (code == 0)
        code = ms_buf_append_cstr(&request->answer.body, "retry: 1000\n\n");
    if (code == 0) {
        run_batch(request);
        return;
    }
    ms_http_answer_error(request, code, &err);
    request->sse->found = FOUND_REFUSAL;
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

/* Moves what the reader wrote to the output. Failing here means that there is no memory: the
 * connection ends. */
static int send_body(struct ms_http_request *request) {
    struct ms_http_connection *connection = request->connection;
    struct ms_buf *body = &request->answer.body;
    if (ms_http_connection_queued(connection) == 0)
        connection->progress_us = request->loop->now_us;
    size_t before = connection->out.len;
    int code = request->http10 ? ms_buf_append_bytes(&connection->out, ms_buf_bytes(body))
                               : ms_http_sse_write_chunk(&connection->out, ms_buf_bytes(body));
    request->bytes_out += connection->out.len - before;
    request->sse->written_us = request->loop->now_us;
    ms_http_budget_set(request->loop->http, &request->charged, 0);
    ms_http_budget_set(request->loop->http, &connection->charged,
                       ms_http_connection_queued(connection));
    size_t max = body->max;
    if (body->capacity > 2 * BATCH_BYTES)
        ms_buf_deinit(body);
    ms_buf_clear(body);
    body->max = max;
    return code;
}

static void finish(struct ms_http_request *request) {
    struct ms_http_connection *connection = request->connection;
    static const char last_chunk[] = "0\r\n\r\n";
    int code =
        request->http10 ? 0 : ms_buf_append(&connection->out, last_chunk, sizeof last_chunk - 1);
    if (code != 0)
        connection->closed = true;
    set_counted(request, false);
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

static void resumed(struct ms_http_request *request) {
    struct ms_http_sse *sse = request->sse;
    if (sse->found == FOUND_REFUSAL) {
        ms_http_request_done(request);
        return;
    }
    int code = request->streaming ? 0 : send_head(request);
    if (request->head_only) {
        request->connection->input_over = request->connection->close_when_empty = true;
        set_counted(request, false);
        ms_http_request_done(request);
        return;
    }
    ms_counter_add(&request->loop->metrics.events_streamed, sse->batch_events);
    if (code == 0)
        code = send_body(request);
    if (code != 0) {
        request->connection->closed = true;
        ms_http_request_done(request);
    } else if (sse->found == FOUND_END || sse->stop_asked || request->loop->stopping) {
        finish(request);
    } else {
        sse->wants_poll = sse->found == FOUND_MORE;
        ms_http_request_arm(request, woken);
    }
}

static void submit(struct ms_http_request *request, void (*run)(struct ms_http_request *request)) {
    struct ms_http *http = request->loop->http;
    struct ms_http_sse *sse = request->sse;
    size_t max = request->loop->config->options.inflight_bytes_max;
    sse->batch_bytes = BATCH_BYTES;
    if (!ms_http_budget_raise(http, &request->charged, BATCH_BYTES, max)) {
        sse->batch_bytes = SMALL_BATCH_BYTES;
        ms_http_budget_set(http, &request->charged, SMALL_BATCH_BYTES);
    }
    sse->wants_poll = false;
    ms_http_request_submit(request, run, resumed);
}

void ms_http_sse_start(struct ms_http_request *request) {
    request->sse = ms_arena_zalloc(&request->arena, sizeof *request->sse);
    if (!request->sse) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        ms_http_request_done(request);
        return;
    }
    submit(request, run_open);
}

void ms_http_sse_pump(struct ms_http_request *request) {
    if (request->state == MS_HTTP_ARMED && request->sse->wants_poll &&
        ms_http_connection_queued(request->connection) < LOW_WATER_BYTES)
        submit(request, run_batch);
}

void ms_http_sse_tick(struct ms_http_request *request) {
    struct ms_http_connection *connection = request->connection;
    struct ms_http_sse *sse = request->sse;
    int64_t quiet_us = request->loop->now_us - sse->written_us;
    if (request->state != MS_HTTP_ARMED || ms_http_connection_queued(connection) ||
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
    if (request->state == MS_HTTP_ARMED)
        finish(request);
}

void ms_http_sse_forget(struct ms_http_request *request) {
    if (request->sse)
        set_counted(request, false);
}
