/*
 * GET of events: pages of a stream or of all events, as JSON array, CloudEvents batch or lines of
 * JSON.
 *
 * A page ends at `limit` events or with the event that crosses the page's size, whichever comes
 * first. Headers:
 *
 *   ETag, Mainstem-Head   the stream's last version
 *   Mainstem-Next         `from` to go on with, also when there is nothing yet
 *   Mainstem-Position     everything up to here was considered
 *   Link: <…>; rel="next" when there is more now
 */
#include "face/http/reads.h"

#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/longpoll.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "face/http/sse.h"
#include "wire/event_json.h"

/* One answer considers at most this many events; a filter that matches little then says where to go
 * on. */
#define SCAN_MAX 262144
/* A page when the server's memory is used up: small, but readers get on. How long a read waits when
 * there is not even room for that. */
#define SMALL_PAGE_BYTES ((size_t)64 * 1024)
#define PATIENCE_US 10000000

struct page {
    struct ms_http_request *request;
    size_t count;
};

struct ms_filter ms_http_read_filter(const struct ms_http_request *request) {
    const struct ms_http_params *params = &request->params;
    return (struct ms_filter){
        .topics = &params->topic,
        .topic_count = params->topic.data != NULL,
        .stream_prefix = params->stream_prefix,
        .types = params->types,
        .type_count = params->type_count,
        .tags = params->tags,
        .tag_count = params->tag_count,
        .correlation_id = params->correlation_id,
        .include_system = params->include_system,
    };
}

/* ---- the body; a reader's thread ---- */

void ms_http_flatten_lines(struct ms_buf *out, size_t from) {
    for (size_t i = from; i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}

static int visit(void *context, const struct ms_read_event *read) {
    struct page *page = context;
    struct ms_http_request *request = page->request;
    struct ms_buf *out = &request->answer.body;
    bool lines = request->accept == MS_HTTP_ANSWER_NDJSON;
    enum ms_event_format format =
        request->accept == MS_HTTP_ANSWER_CLOUDEVENTS ? MS_FORMAT_CLOUDEVENTS : MS_FORMAT_JSON;
    int code = 0;
    if (!lines)
        code = ms_buf_append_cstr(out, page->count ? ",\n" : "[\n");
    size_t from = out->len;
    if (code == 0)
        code = ms_event_write_json(out, format, &read->event, &read->place);
    if (code == 0 && lines) {
        ms_http_flatten_lines(out, from);
        code = ms_buf_append_u8(out, '\n');
    }
    if (code != 0)
        return code;
    page->count++;
    return out->len >= request->page_bytes ? 1 : 0;
}

static int finish_body(const struct page *page) {
    struct ms_http_request *request = page->request;
    if (request->accept == MS_HTTP_ANSWER_NDJSON)
        return 0;
    return ms_buf_append_cstr(&request->answer.body, page->count ? "\n]\n" : "[]\n");
}

static int add_next(struct ms_http_request *request, uint64_t next, bool more) {
    int code = ms_http_answer_header(request, "Mainstem-Next", "%llu", (unsigned long long)next);
    /* A page of no events would only lead to itself. */
    if (code == 0 && more && request->params.limit > 0)
        code = ms_http_answer_next_link(request, next);
    return code;
}

/* ---- a stream; a reader's thread ---- */

static void answer_no_stream(struct ms_http_request *request,
                             const struct ms_stream_read_result *result) {
    static const struct {
        int code;
        const char *before, *after;
    } states[] = {
        [MS_STREAM_NONE] = {MS_ENOTFOUND, "there is no stream", ""},
        [MS_STREAM_LIVE] = {0, "", ""},
        [MS_STREAM_DELETED] = {MS_EDELETED, "the stream", " was deleted; an append reopens it"},
        [MS_STREAM_TOMBSTONED] = {MS_ETOMBSTONED, "the stream", " was deleted for ever"},
    };
    struct ms_error err;
    int shown = request->stream.len > 200 ? 200 : (int)request->stream.len;
    int code = ms_error_set(&err, states[result->state].code, "%s \"%.*s\"%s",
                            states[result->state].before, shown, (const char *)request->stream.data,
                            states[result->state].after);
    ms_http_answer_error(request, code, &err);
}

static int add_stream_headers(struct ms_http_request *request,
                              const struct ms_stream_read_result *result) {
    long long head = result->head;
    int code = ms_http_answer_etag(request, result->head);
    if (code == 0)
        code = ms_http_answer_header(request, "Mainstem-Head", "%lld", head);
    if (code == 0)
        code = ms_http_answer_header(request, "Mainstem-Position", "%llu",
                                     (unsigned long long)result->position);
    if (code == 0 && result->next >= 0)
        code = add_next(request, (uint64_t)result->next, !result->at_end);
    return code;
}

static int read_stream(struct ms_http_request *request, struct ms_error *err) {
    const struct ms_http_params *params = &request->params;
    bool from_given = ms_http_param_given(params, MS_HTTP_PARAM_FROM);
    struct ms_stream_read read = {
        .stream = request->stream,
        .backward = params->backward,
        .from_end = params->from_end || (params->backward && !from_given),
        .from = (int64_t)params->from,
        .limit = params->limit,
        .travel = params->travel,
    };
    struct page page = {.request = request};
    struct ms_stream_read_result result;
    int code = ms_store_read_stream(request->loop->http->store, &read, visit, &page, &result, err);
    if (code != 0)
        return code;
    if (result.state != MS_STREAM_LIVE) {
        answer_no_stream(request, &result);
        return 0;
    }
    code = finish_body(&page);
    if (code == 0)
        code = add_stream_headers(request, &result);
    if (code == 0)
        ms_http_answer(request, 200, ms_http_answer_type_name(request->accept));
    return code;
}

/* ---- all events; a reader's thread ---- */

static int read_all(struct ms_http_request *request, struct ms_error *err) {
    const struct ms_http_params *params = &request->params;
    bool from_given = ms_http_param_given(params, MS_HTTP_PARAM_FROM);
    struct ms_all_read read = {
        .backward = params->backward,
        .from_end = params->from_end || (params->backward && !from_given),
        .from = params->from,
        .limit = params->limit,
        .scan_max = SCAN_MAX,
        .travel = params->travel,
        .filter = ms_http_read_filter(request),
    };
    struct page page = {.request = request};
    struct ms_all_read_result result;
    int code = ms_store_read_all(request->loop->http->store, &read, visit, &page, &result, err);
    if (code == 0)
        code = finish_body(&page);
    if (code == 0 && result.end > 0)
        code = ms_http_answer_header(request, "Mainstem-Position", "%llu",
                                     (unsigned long long)(result.end - 1));
    if (code == 0 && !(params->backward && result.at_end))
        code = add_next(request, result.next, !result.at_end);
    if (code == 0)
        ms_http_answer(request, 200, ms_http_answer_type_name(request->accept));
    return code;
}

void ms_http_read_page(struct ms_http_request *request) {
    struct ms_error err = {0};
    bool all = request->stream.data == NULL;
    int code = all ? read_all(request, &err) : read_stream(request, &err);
    if (code == 0)
        return;
    ms_buf_clear(&request->answer.headers);
    ms_http_answer_error(request, code, &err);
}

/* ---- the loop's side ---- */

static bool reserve(struct ms_http_request *request, size_t bytes, size_t limit) {
    request->page_bytes = bytes;
    return ms_net_share_raise(&request->loop->http->budget.answers, &request->answer_charged, bytes,
                              limit);
}

/* The request stays WAITING, so it is started again by the next turn of its connection. */
static void wait_for_memory(struct ms_http_request *request) {
    if (!request->parked_us)
        request->parked_us = request->loop->now_us;
    if (request->loop->now_us - request->parked_us < PATIENCE_US) {
        ms_http_loop_retry_later(request->loop, request->connection);
        return;
    }
    ms_http_answer_refusal(request, 503, "too much memory is held by answers being sent");
    if (ms_http_answer_header(request, "Retry-After", "1") != 0)
        request->keep_alive = false;
    ms_http_request_done(request);
}

static bool reserve_page(struct ms_http_request *request) {
    const struct ms_http_budget_limits *limits = &request->loop->config->budget;
    size_t page = request->loop->config->options.page_bytes_max;
    if (reserve(request, page, limits->large_pages))
        return true;
    size_t small = SMALL_PAGE_BYTES < limits->pages / 2 ? SMALL_PAGE_BYTES : limits->pages / 2;
    return reserve(request, page < small ? page : small, limits->pages);
}

void ms_http_read_resumed(struct ms_http_request *request) {
    ms_net_share_set(&request->loop->http->budget.answers, &request->answer_charged,
                     request->answer.body.len);
    ms_http_request_done(request);
}

static void start(struct ms_http_request *request) {
    if (request->accept == MS_HTTP_ANSWER_SSE)
        ms_http_sse_start(request);
    else if (!reserve_page(request))
        wait_for_memory(request);
    else if (request->params.wait_ms)
        ms_http_longpoll_start(request);
    else
        ms_http_request_submit(request, ms_http_read_page, ms_http_read_resumed);
}

void ms_http_read_stream_start(struct ms_http_request *request) { start(request); }

void ms_http_read_all_start(struct ms_http_request *request) {
    request->stream = (struct ms_bytes){0};
    start(request);
}
