/*
 * POST /v1/streams/{stream}: events in any of their spellings, appended under a condition.
 *
 * The loop's thread parses and hands the events to the store, which encodes them before it returns;
 * the committer's thread copies the result (outcome.c) and the loop writes the answer. Nothing here
 * waits, and appends of one connection may be in flight together: the store keeps their order.
 *
 * A repeat under an Idempotency-Key is looked at once more by a reader: when the stream goes on
 * with a further event of the same key, the key was used for a longer append: a conflict.
 *
 * When the store's in-flight budget is used up the request is parked, together with everything
 * behind it on its connection, and tried again every few milliseconds for up to PARKED_US.
 */
#include <stdio.h>

#include "face/http/answer.h"
#include "face/http/connection.h"
#include "face/http/event_body.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/outcome.h"
#include "face/http/server.h"
#include "face/http/sync.h"
#include "wire/json.h"

#define PARKED_US 10000000

/* {"stream":"order-1","first_version":4,"version":5,"position":815}; without events there is no
 * first version, and the version is that of the stream, null when there is none. */
static int write_body(struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    struct ms_buf *out = &request->answer.body;
    ms_buf_clear(out);
    int code = ms_buf_append_cstr(out, "{\"stream\":");
    if (code == 0)
        code = ms_json_write_string(out, request->stream);
    if (code == 0)
        code = ms_buf_reserve(out, 160);
    if (code != 0)
        return code;
    uint8_t *at = out->data + out->len;
    if (request->event_count) {
        at = MS_HTTP_PUT_LITERAL(at, ",\"first_version\":");
        at = ms_http_put_i64(at, outcome->first_version);
    }
    at = MS_HTTP_PUT_LITERAL(at, ",\"version\":");
    if (outcome->version >= 0)
        at = ms_http_put_i64(at, outcome->version);
    else
        at = MS_HTTP_PUT_LITERAL(at, "null");
    at = MS_HTTP_PUT_LITERAL(at, ",\"position\":");
    at = ms_http_put_u64(at, outcome->position);
    if (outcome->repeated)
        at = MS_HTTP_PUT_LITERAL(at, ",\"repeated\":true");
    at = MS_HTTP_PUT_LITERAL(at, "}\n");
    out->len = (size_t)(at - out->data);
    return 0;
}

/* The hot path's answer, written in one go. */
static int render(struct ms_http_request *request, struct ms_buf *out) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    const struct ms_buf *body = &request->answer.body;
    int code = ms_buf_reserve(out, ms_http_common_room(request) + 128 + body->len);
    if (code != 0)
        return code;
    uint8_t *at = out->data + out->len;
    at = ms_http_put_status(at, request->answer.status);
    at = MS_HTTP_PUT_LITERAL(at, "Content-Type: application/json\r\n");
    if (outcome->version >= 0) {
        at = MS_HTTP_PUT_LITERAL(at, "ETag: \"");
        at = ms_http_put_i64(at, outcome->version);
        at = MS_HTTP_PUT_LITERAL(at, "\"\r\n");
    }
    at = MS_HTTP_PUT_LITERAL(at, "Mainstem-Position: ");
    at = ms_http_put_u64(at, outcome->position);
    at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    at = ms_http_put_common(at, request);
    at = MS_HTTP_PUT_LITERAL(at, "Content-Length: ");
    at = ms_http_put_u64(at, body->len);
    at = MS_HTTP_PUT_LITERAL(at, "\r\n\r\n");
    at = ms_http_put(at, body->data, body->len);
    out->len = (size_t)(at - out->data);
    return 0;
}

/* What `render` writes; for an answer with further headers. */
static int add_headers(struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    int code = outcome->version >= 0 ? ms_http_answer_etag(request, outcome->version) : 0;
    return code == 0 ? ms_http_answer_header(request, "Mainstem-Position", "%llu",
                                             (unsigned long long)outcome->position)
                     : code;
}

static void answer_append(struct ms_http_request *request) {
    const struct ms_http_append_outcome *outcome = &request->outcome;
    if (outcome->code != 0) {
        ms_http_outcome_answer_refusal(request);
    } else if (write_body(request) != 0) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
    } else {
        bool added = request->event_count > 0 && !outcome->repeated;
        ms_http_answer(request, added ? 201 : 200, "application/json");
        if (request->answer.headers.len == 0)
            request->render = render;
        else if (add_headers(request) != 0)
            ms_http_answer_error(request, MS_ENOMEM, NULL);
    }
    ms_http_request_done(request);
}

static int visit_next(void *context, const struct ms_read_event *read) {
    struct ms_http_request *request = context;
    char id[MS_HTTP_DERIVED_ID_MAX];
    if (ms_bytes_equal(read->event.id,
                       ms_http_derived_id(request->idempotency_key, request->event_count, id)))
        request->outcome.code = MS_EIDCONFLICT;
    return 1;
}

/* The events of an append follow each other: were there more of them, one would stand here. What
 * can't be read now is taken for the repeat that it looks like. A reader's thread. */
static void run_look_behind(struct ms_http_request *request) {
    struct ms_error ignored = {0};
    struct ms_http_append_outcome *outcome = &request->outcome;
    struct ms_all_read read = {.from = outcome->position + 1, .limit = 1, .scan_max = 1};
    struct ms_all_read_result result;
    (void)!ms_store_read_all(request->loop->http->store, &read, visit_next, request, &result,
                             &ignored);
    if (outcome->code != MS_EIDCONFLICT)
        return;
    outcome->failed_part = outcome->part_count > 0 ? outcome->part_count - 1 : 0;
    (void)ms_error_set(&request->error, MS_EIDCONFLICT,
                       "this Idempotency-Key was used for more than %zu event%s",
                       request->event_count, request->event_count == 1 ? "" : "s");
}

void ms_http_append_answer(struct ms_http_request *request,
                           void (*answer)(struct ms_http_request *request)) {
    struct ms_http_append_outcome *outcome = &request->outcome;
    bool looks = outcome->code == 0 && outcome->repeated && !outcome->looked_behind &&
                 request->idempotency_key.len;
    outcome->looked_behind |= looks;
    if (looks) /* then once more from here */
        ms_http_request_submit(request, run_look_behind, request->resume);
    else if (outcome->code == 0)
        ms_http_sync_wait(request, answer);
    else
        answer(request);
}

static void append_resumed(struct ms_http_request *request) {
    ms_http_append_answer(request, answer_append);
}

/* MS_EAGAIN: not now. */
static int hand_to_store(struct ms_http_request *request, struct ms_error *err) {
    ms_http_request_handed_over(request, request->resume);
    int code = ms_store_append(request->loop->http->store, &request->append, ms_http_outcome_done,
                               request, err);
    if (code != 0) {
        ms_http_request_kept(request);
    } else if (request->body_charged) {
        /* The store has its own copy: a large body is not kept until the answer. */
        ms_buf_deinit(&request->body);
        ms_net_share_set(&request->loop->http->budget.bodies, &request->body_charged, 0);
    }
    return code;
}

static void park(struct ms_http_request *request) {
    request->state = MS_HTTP_PARKED;
    request->parked_us = request->loop->now_us;
    request->connection->barrier = true;
    ms_counter_add(&request->loop->metrics.appends_parked, 1);
    ms_http_loop_retry_later(request->loop, request->connection);
}

static void refuse(struct ms_http_request *request, int code, const struct ms_error *err) {
    ms_http_answer_error(request, code, err);
    ms_http_request_done(request);
}

void ms_http_append_submit(struct ms_http_request *request,
                           void (*resume)(struct ms_http_request *request)) {
    struct ms_error err = {0};
    request->resume = resume;
    int code = hand_to_store(request, &err);
    if (code == MS_EAGAIN)
        park(request);
    else if (code != 0)
        refuse(request, code, &err);
}

void ms_http_append_start(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = ms_http_event_body_parse(request, &err);
    if (code != 0) {
        refuse(request, code, &err);
        return;
    }
    request->part = (struct ms_append_part){
        .stream = request->stream,
        .condition = request->condition,
        .events = request->events,
        .count = request->event_count,
    };
    request->append = (struct ms_append_request){.parts = &request->part, .part_count = 1};
    ms_http_append_submit(request, append_resumed);
}

bool ms_http_append_retry(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = hand_to_store(request, &err);
    bool patient = request->loop->now_us - request->parked_us < PARKED_US;
    if (code == MS_EAGAIN && patient) {
        request->state = MS_HTTP_PARKED;
        ms_http_loop_retry_later(request->loop, request->connection);
        return false;
    }
    if (code != 0)
        refuse(request, code, &err);
    return true;
}
