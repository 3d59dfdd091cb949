/*
 * From bytes to requests: the parser's callbacks, the checks that refuse a request by its headers
 * (before a body is read), and starting what has arrived, in order. Loop thread.
 *
 * Order of the checks: Host, Origin, authorisation, the route, the body's kind, conditions,
 * parameters, Accept.
 *
 * A refused request without a body, or with a small one that is on its way, leaves the connection
 * open: the body is skipped. Else the connection ends with the refusal.
 */
#include <stdio.h>

#include "face/http/answer.h"
#include "face/http/condition.h"
#include "face/http/connection.h"
#include "face/http/guard.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "face/http/stream_key.h"

#define SKIPPED_BODY_BYTES_MAX (256 * 1024)
#define CLIENT_ID_MAX 128

/* ---- headers ---- */

static const struct {
    const char *name;
    size_t len;
    size_t offset;
} known_headers[] = {
#define KNOWN(text, member)                                                                        \
    { text, sizeof(text) - 1, offsetof(struct ms_http_headers, member) }
    KNOWN("host", host),
    KNOWN("origin", origin),
    KNOWN("accept", accept),
    KNOWN("content-type", content_type),
    KNOWN("content-encoding", content_encoding),
    KNOWN("if-match", if_match),
    KNOWN("if-none-match", if_none_match),
    KNOWN("idempotency-key", idempotency_key),
    KNOWN("last-event-id", last_event_id),
    KNOWN("mainstem-min-position", min_position),
    KNOWN("x-request-id", request_id),
    KNOWN("correlation-id", correlation_id),
    KNOWN("access-control-request-method", cors_method),
#undef KNOWN
};

/* The first of each counts; the parser has refused a second Host and Content-Length. A second
 * condition is refused here, since dropping one would store what should not be. */
static bool scan_header(struct ms_http_headers *headers, const struct ms_http1_header *header) {
    for (size_t i = 0; i < sizeof known_headers / sizeof *known_headers; i++) {
        if (header->name.len != known_headers[i].len ||
            memcmp(header->name.data, known_headers[i].name, header->name.len) != 0)
            continue;
        struct ms_bytes *place =
            (struct ms_bytes *)(void *)((char *)headers + known_headers[i].offset);
        bool is_condition = place == &headers->if_match || place == &headers->if_none_match;
        if (place->data && (place == &headers->content_type || place == &headers->content_encoding))
            headers->content_twice = true;
        if (place->data)
            return !is_condition;
        *place = header->value;
        if (!place->data)
            place->data = (const uint8_t *)""; /* empty is not absent */
        return true;
    }
    if (header->name.len > 3 && memcmp(header->name.data, "ce-", 3) == 0)
        headers->cloudevent = true;
    return true;
}

static struct ms_bytes keep(struct ms_http_request *request, struct ms_bytes text) {
    char *copy = ms_arena_strdup(&request->arena, text);
    return copy ? ms_bytes_of(copy, text.len) : (struct ms_bytes){0};
}

/* Ids end up in answers, logs and URNs: only harmless characters are taken over. */
static bool id_is_sane(struct ms_bytes id) {
    for (size_t i = 0; i < id.len; i++) {
        uint8_t byte = id.data[i];
        bool good = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                    (byte >= 'A' && byte <= 'Z') || (byte && strchr("-._:/+=@", byte));
        if (!good)
            return false;
    }
    return id.len > 0 && id.len <= CLIENT_ID_MAX;
}

/* Takes over what the headers say. False: a condition is given twice. */
static bool describe(struct ms_http_request *request, const struct ms_http1_request *http1) {
    struct ms_http_headers *headers = &request->headers;
    bool good = true;
    for (size_t i = 0; i < http1->header_count; i++)
        good &= scan_header(headers, &http1->headers[i]);
    request->http1 = http1;
    request->keep_alive = http1->keep_alive;
    request->http10 = http1->http10;
    if (!ms_http_method_parse(http1->method, &request->method))
        request->method = MS_HTTP_METHOD_COUNT;
    request->head_only = request->method == MS_HTTP_HEAD;
    request->method_text = request->method == MS_HTTP_METHOD_COUNT
                               ? keep(request, http1->method)
                               : ms_bytes_cstr(ms_http_method_name(request->method));
    request->path = keep(request, http1->path);
    if (http1->query.len)
        request->query = keep(request, http1->query);
    if (headers->min_position.len)
        request->min_position = keep(request, headers->min_position);
    if (id_is_sane(headers->request_id))
        request->id = keep(request, headers->request_id);
    if (id_is_sane(headers->correlation_id))
        request->correlation_id = keep(request, headers->correlation_id);
    return good;
}

/* ---- checks; each answers and returns false when it refuses ---- */

static bool admit_peer(struct ms_http_request *request) {
    struct ms_http *http = request->loop->http;
    const struct ms_http_options *options = &request->loop->config->options;
    const struct ms_http_headers *headers = &request->headers;
    struct ms_http_guard guard = {options, http->host, http->any_address};
    if (headers->host.data && !ms_http_guard_host(&guard, headers->host)) {
        ms_http_answer_refusal(
            request, 421, "the Host \"%.*s\" is not one of this server's; add it to allowed_hosts",
            headers->host.len > 100 ? 100 : (int)headers->host.len,
            (const char *)headers->host.data);
        return false;
    }
    enum ms_http_origin origin = ms_http_guard_origin(&guard, headers->origin, headers->host);
    bool reads = request->method == MS_HTTP_GET || request->method == MS_HTTP_HEAD;
    if (origin == MS_HTTP_ORIGIN_FOREIGN && !reads) {
        ms_http_answer_refusal(request, 403,
                               "pages of this origin may not call the server; see cors_origins");
        return false;
    }
    if (origin == MS_HTTP_ORIGIN_ALLOWED) {
        request->origin = keep(request, headers->origin);
        request->cors = request->origin.len > 0;
    }
    if (!options->authorize)
        return true;
    struct ms_error err = {0};
    int status = options->authorize(options->context, request->http1, &err);
    if (status != 0)
        ms_http_answer_refusal(request, status, "%s", err.message);
    if (status == 401 && ms_http_answer_header(request, "WWW-Authenticate", "Bearer") != 0)
        request->keep_alive = false;
    return status == 0;
}

/* "GET, HEAD, POST" */
static void list_methods(uint32_t methods, char out[64]) {
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < MS_HTTP_METHOD_COUNT; i++) {
        if ((methods >> i) & 1)
            len += (size_t)snprintf(out + len, 64 - len, "%s%s", len ? ", " : "",
                                    ms_http_method_name((enum ms_http_method)i));
    }
}

/* OPTIONS: what the resource knows, and for a browser's preflight what the page may do. */
static void answer_options(struct ms_http_request *request, uint32_t methods) {
    char allow[64];
    list_methods(methods | UINT32_C(1) << MS_HTTP_OPTIONS, allow);
    ms_http_answer(request, 204, NULL);
    int code = ms_http_answer_header(request, "Allow", "%s", allow);
    if (code == 0 && request->cors && request->headers.cors_method.data) {
        code = ms_http_answer_header(request, "Access-Control-Allow-Methods", "%s", allow);
        if (code == 0)
            code = ms_http_answer_header(
                request, "Access-Control-Allow-Headers",
                "Accept, Authorization, Content-Type, Correlation-Id, Idempotency-Key, If-Match, "
                "If-None-Match, Last-Event-ID, X-Request-Id, traceparent");
        if (code == 0)
            code = ms_http_answer_header(request, "Access-Control-Max-Age", "600");
    }
    if (code != 0)
        ms_http_answer_error(request, code, NULL);
}

static bool find_route(struct ms_http_request *request) {
    bool known = request->method != MS_HTTP_METHOD_COUNT;
    struct ms_http_match match =
        ms_http_route_find(known ? request->method : MS_HTTP_OPTIONS, request->path);
    request->route = match.route;
    if (match.route) {
        memcpy(request->captures, match.captures, sizeof match.captures);
        return true;
    }
    if (request->method == MS_HTTP_OPTIONS && match.allowed) {
        answer_options(request, match.allowed);
    } else if (match.allowed) {
        char allow[64];
        list_methods(match.allowed, allow);
        ms_http_answer_refusal(request, 405, "this resource knows %s", allow);
        if (ms_http_answer_header(request, "Allow", "%s", allow) != 0)
            request->keep_alive = false;
    } else {
        ms_http_answer_refusal(request, 404, "there is nothing at this path; see /openapi.json");
    }
    return false;
}

static bool decode_captures(struct ms_http_request *request) {
    for (size_t i = 0; i < MS_HTTP_CAPTURES && request->captures[i].data; i++) {
        struct ms_bytes raw = request->captures[i];
        int code = ms_percent_decode_bytes(raw, &request->arena, &request->captures[i]);
        if (code == MS_EINVAL)
            ms_http_answer_refusal(
                request, 400, "path: a %% is not followed by two hex digits in segment \"%.*s\"",
                raw.len > 100 ? 100 : (int)raw.len, (const char *)raw.data);
        else if (code != 0)
            ms_http_answer_error(request, code, NULL);
        if (code != 0)
            return false;
    }
    return true;
}

/* In the one spelling that the answers use, whatever the path's is. */
static bool name_stream(struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = 0;
    if (request->route->flags & MS_HTTP_ROUTE_KEY)
        code = ms_http_stream_of_key(request->captures[0], request->captures[1], &request->arena,
                                     &request->stream, &err);
    else if (request->route->flags & MS_HTTP_ROUTE_STREAM)
        code = ms_http_stream_of_name(request->captures[0], request->route->method != MS_HTTP_GET,
                                      &request->arena, &request->stream, &err);
    if (code != 0)
        ms_http_answer_error(request, code, &err);
    return code == 0;
}

/* What the headers say about a body that no route could make sense of. */
static bool check_content(struct ms_http_request *request) {
    const struct ms_http_headers *headers = &request->headers;
    struct ms_bytes encoding = headers->content_encoding;
    if (headers->content_twice) {
        ms_http_answer_refusal(request, 400, "Content-Type or Content-Encoding is given twice");
        return false;
    }
    if (!ms_http_encoding_is_identity(encoding)) {
        ms_http_answer_refusal(request, 415,
                               "header Content-Encoding: bodies are taken as they are (identity), "
                               "got \"%.*s\"",
                               encoding.len > 64 ? 64 : (int)encoding.len,
                               (const char *)encoding.data);
        if (ms_http_answer_header(request, "Accept-Encoding", "identity") != 0)
            request->keep_alive = false;
        return false;
    }
    return true;
}

static bool takes_type(const struct ms_http_request *request) {
    if (request->body_type == MS_HTTP_BODY_MISSING || request->body_type == MS_HTTP_BODY_OTHER)
        return false;
    return request->route->body == MS_HTTP_TAKES_EVENTS || request->body_type == MS_HTTP_BODY_JSON;
}

static bool check_body(struct ms_http_request *request) {
    const struct ms_http1_request *http1 = request->http1;
    bool has_body = http1->has_body && http1->content_length != 0;
    enum ms_http_body_kind takes = request->route->body;
    if (!check_content(request))
        return false;
    request->body_type = ms_http_body_type(request->headers.content_type);
    bool missing = request->body_type == MS_HTTP_BODY_MISSING;
    if (takes == MS_HTTP_TAKES_NONE) {
        if (has_body)
            ms_http_answer_refusal(request, 400, "%s takes no body here",
                                   ms_http_method_name(request->method));
        return !has_body;
    }
    if (takes == MS_HTTP_TAKES_EVENTS && request->headers.cloudevent)
        return true; /* binary mode: any content type, it is the data's */
    if (!has_body && (request->route->flags & MS_HTTP_ROUTE_BODY_OPTIONAL))
        return true;
    if (takes == MS_HTTP_TAKES_TEXT)
        return true; /* a file, whatever the client calls it */
    if (takes_type(request) && ms_http_charset_is_utf8(request->headers.content_type))
        return true;
    if (takes_type(request)) {
        ms_http_answer_refusal(request, 415, "header Content-Type: the charset can only be utf-8");
        return false;
    }
    ms_http_answer_refusal(
        request, 415, "%s: add the header Content-Type: application/json (curl: --json)%s",
        missing ? "there is no content type" : "the content type is not one that is taken here",
        takes == MS_HTTP_TAKES_EVENTS ? ", application/cloudevents+json, "
                                        "application/cloudevents-batch+json or application/x-ndjson"
                                      : "");
    return false;
}

static bool check_conditions(struct ms_http_request *request, bool once) {
    const struct ms_http_headers *headers = &request->headers;
    bool takes = request->route->flags & MS_HTTP_ROUTE_CONDITIONS;
    bool writes = request->route->method != MS_HTTP_GET;
    if (!takes) {
        bool given = writes && (headers->if_match.data || headers->if_none_match.data);
        if (given)
            ms_http_answer_refusal(request, 400,
                                   "headers If-Match and If-None-Match have no meaning here");
        return !given;
    }
    if (!once) {
        ms_http_answer_refusal(request, 400, "If-Match or If-None-Match is given twice");
        return false;
    }
    struct ms_error err = {0};
    int code = ms_http_condition_parse(headers->if_match, headers->if_none_match,
                                       &request->condition, &err);
    if (code != 0)
        ms_http_answer_error(request, code, &err);
    return code == 0;
}

static bool check_params(struct ms_http_request *request) {
    if (request->route->flags & MS_HTTP_ROUTE_ROWS)
        return true; /* query_params.c */
    const struct ms_http_options *options = &request->loop->config->options;
    struct ms_http_params_rules rules = {request->route->params, options->page_events_max,
                                         options->wait_ms_max};
    struct ms_error err = {0};
    int code =
        ms_http_params_parse(request->query, &rules, &request->arena, &request->params, &err);
    if (code != 0)
        ms_http_answer_error(request, code, &err);
    return code == 0;
}

/* What only makes sense for a page makes none for a live subscription, and the reverse. */
static bool check_subscription(struct ms_http_request *request) {
    static const enum ms_http_param no_good[] = {MS_HTTP_PARAM_LIMIT, MS_HTTP_PARAM_DIRECTION,
                                                 MS_HTTP_PARAM_AS_OF, MS_HTTP_PARAM_KNOWN_AT,
                                                 MS_HTTP_PARAM_WAIT};
    for (size_t i = 0; i < sizeof no_good / sizeof *no_good; i++) {
        if (!ms_http_param_given(&request->params, no_good[i]))
            continue;
        ms_http_answer_refusal(request, 400,
                               "query parameter \"%s\" does not go with text/event-stream",
                               ms_http_param_info(no_good[i])->name);
        return false;
    }
    struct ms_bytes last = request->headers.last_event_id;
    if (last.len == 0)
        return true;
    if (ms_parse_u64(last, &request->last_event_id) != 0 || request->last_event_id >= INT64_MAX) {
        ms_http_answer_refusal(request, 400, "header Last-Event-ID: expected a number from 0 on");
        return false;
    }
    request->has_last_event_id = true;
    return true;
}

/* Rows of a query. */
static bool check_accept_rows(struct ms_http_request *request) {
    if (ms_http_accept_parse(request->headers.accept, &request->accept) == 0 &&
        request->accept != MS_HTTP_ANSWER_CLOUDEVENTS)
        return true;
    ms_http_answer_refusal(
        request, 406, "rows come as application/json, application/x-ndjson or text/event-stream");
    return false;
}

static bool check_accept(struct ms_http_request *request) {
    if (request->route->flags & MS_HTTP_ROUTE_ROWS)
        return check_accept_rows(request);
    if (!(request->route->flags & MS_HTTP_ROUTE_EVENTS))
        return true;
    if (ms_http_accept_parse(request->headers.accept, &request->accept) != 0) {
        ms_http_answer_refusal(
            request, 406,
            "events come as application/json, application/cloudevents-batch+json, "
            "application/x-ndjson or text/event-stream");
        return false;
    }
    if (request->accept == MS_HTTP_ANSWER_SSE)
        return check_subscription(request);
    const struct ms_http_params *params = &request->params;
    if (params->wait_ms && (params->backward || params->travel.kind != MS_AS_OF_NOW)) {
        ms_http_answer_refusal(request, 400,
                               "query parameter \"wait\" looks ahead: it goes neither with "
                               "direction=backward nor with as_of or known_at");
        return false;
    }
    return true;
}

static bool admit(struct ms_http_request *request, bool conditions_once) {
    return admit_peer(request) && find_route(request) && decode_captures(request) &&
           name_stream(request) && check_body(request) &&
           check_conditions(request, conditions_once) && check_params(request) &&
           check_accept(request);
}

/* ---- the parser's callbacks ---- */

/* No further request is parsed; what is there is answered, then the connection closes. */
static void end_input(struct ms_http_connection *connection) {
    connection->input_over = true;
    connection->close_when_empty = true;
    connection->message_us = 0;
    connection->starved = false;
    connection->current = NULL;
    ms_buf_clear(&connection->pending);
}

static int on_headers(void *context, const struct ms_http1_request *http1) {
    struct ms_http_connection *connection = context;
    struct ms_http_request *request = ms_http_request_new(connection);
    if (!request)
        return MS_ENOMEM;
    connection->current = request;
    bool conditions_once = describe(request, http1);
    if (!request->path.data) {
        ms_http_answer_error(request, MS_ENOMEM, NULL);
        request->refused = true;
    } else {
        request->refused = !admit(request, conditions_once);
    }
    if (!request->refused) {
        request->wants_continue = http1->expect_continue && http1->has_body;
        return 0;
    }
    bool skippable = !http1->has_body || (!http1->expect_continue && http1->content_length >= 0 &&
                                          http1->content_length <= SKIPPED_BODY_BYTES_MAX);
    if (skippable)
        return 0;
    request->keep_alive = false;
    end_input(connection);
    ms_http_request_done(request);
    return MS_ECANCELED;
}

static int on_body(void *context, struct ms_bytes piece) {
    struct ms_http_connection *connection = context;
    struct ms_http_request *request = connection->current;
    request->body_len += piece.len;
    request->wants_continue = false;
    return request->refused ? 0 : ms_buf_append_bytes(&request->body, piece);
}

static void pause(struct ms_http_connection *connection) {
    ms_http1_pause(connection->parser);
    connection->parser_paused = true;
}

static void wait_for_turn(struct ms_http_connection *connection, struct ms_http_request *request) {
    struct ms_error err = {0};
    int code = request->route->prepare ? request->route->prepare(request, &err) : 0;
    if (code != 0) {
        ms_http_answer_error(request, code, &err);
        ms_http_request_done(request);
        return;
    }
    request->state = MS_HTTP_WAITING;
    connection->barrier = true;
}

static int on_complete(void *context) {
    struct ms_http_connection *connection = context;
    struct ms_http_request *request = connection->current;
    connection->current = NULL;
    connection->message_us = 0;
    ms_counter_add(&connection->loop->metrics.bytes_in, request->body_len);
    if (!request->keep_alive || connection->loop->stopping)
        end_input(connection);
    if (request->refused) {
        ms_http_request_done(request);
    } else if (request->route->flags & MS_HTTP_ROUTE_PIPELINED) {
        request->route->start(request);
    } else {
        wait_for_turn(connection, request);
    }
    if (!ms_http_intake_open(connection))
        pause(connection);
    return 0;
}

int ms_http_intake_parser_new(struct ms_http_connection *connection) {
    static const struct ms_http1_callbacks callbacks = {on_headers, on_body, on_complete};
    return ms_http1_parser_new(&connection->loop->config->options.limits, &callbacks, connection,
                               &connection->parser);
}

bool ms_http_intake_open(const struct ms_http_connection *connection) {
    const struct ms_http_options *options = &connection->loop->config->options;
    return !connection->input_over && !connection->barrier &&
           connection->depth < options->pipeline_max + (connection->current ? 1 : 0) &&
           ms_http_connection_queued(connection) < options->output_bytes_max;
}

void ms_http_intake_abort(struct ms_http_connection *connection, int status, const char *message) {
    struct ms_http_request *request = connection->current;
    if (!request) {
        request = ms_http_request_new(connection);
        if (!request) {
            connection->closed = true;
            return;
        }
        request->method_text = MS_BYTES_LITERAL("-");
        request->path = MS_BYTES_LITERAL("-");
    }
    request->keep_alive = false;
    request->refused = true;
    ms_http_answer_refusal(request, status, "%s", message);
    end_input(connection);
    ms_http_request_done(request);
}

/* A body that did not arrive in one piece is paid for from the server's budget for bodies; reading
 * stops while that is used up, for large ones a little earlier. */
static void charge_body(struct ms_http_connection *connection) {
    struct ms_http_request *request = connection->current;
    connection->starved = false;
    if (!request || request->refused)
        return;
    const struct ms_http_budget_limits *limits = &connection->loop->config->budget;
    int64_t announced = request->http1->content_length;
    size_t wanted = announced >= 0 ? (size_t)announced : request->body.len;
    if (wanted <= request->body_charged)
        return;
    size_t limit = wanted <= MS_HTTP_SMALL_BODY_BYTES ? limits->small_bodies : limits->bodies;
    if (!ms_net_share_raise(&connection->loop->http->budget.bodies, &request->body_charged, wanted,
                            limit)) {
        connection->starved = true;
        ms_http_loop_retry_later(connection->loop, connection);
    }
}

static void feed_failed(struct ms_http_connection *connection, int code, int status,
                        const struct ms_error *err) {
    if (connection->input_over)
        return; /* on_headers has answered already */
    if (status == 0) {
        connection->closed = true; /* no memory even for a refusal */
        if (code == MS_ETOOBIG)
            ms_http_loop_warn(connection->loop, "http: a body outgrew its buffer");
        return;
    }
    ms_counter_add(&connection->loop->metrics.protocol_errors, 1);
    ms_http_intake_abort(connection, status, err->message);
}

size_t ms_http_intake_feed(struct ms_http_connection *connection, struct ms_bytes input) {
    size_t at = 0;
    while (at < input.len && ms_http_intake_open(connection) && !connection->closed) {
        if (connection->parser_paused) {
            ms_http1_resume(connection->parser);
            connection->parser_paused = false;
        }
        size_t used = 0;
        int status = 0;
        struct ms_error err = {0};
        int code = ms_http1_feed(connection->parser, ms_bytes_of(input.data + at, input.len - at),
                                 &used, &status, &err);
        at += used;
        if (code != 0)
            feed_failed(connection, code, status, &err);
    }
    if (connection->input_over || connection->closed)
        return input.len;
    bool receiving = ms_http1_in_message(connection->parser);
    if (!receiving)
        connection->message_us = 0;
    else if (!connection->message_us)
        connection->message_us = connection->loop->now_us;
    charge_body(connection);
    return at;
}

/* ---- starting ---- */

static void say_continue(struct ms_http_connection *connection) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    connection->first->wants_continue = false;
    if (ms_buf_append(&connection->out, text, sizeof text - 1) != 0)
        connection->closed = true;
}

void ms_http_intake_begin_first(struct ms_http_connection *connection) {
    struct ms_http_request *first = connection->first;
    if (connection->starved)
        charge_body(connection);
    if (connection->last && connection->last->state == MS_HTTP_PARKED)
        connection->barrier = !ms_http_append_retry(connection->last);
    if (!first)
        return;
    if (first->state == MS_HTTP_READING && first->wants_continue)
        say_continue(connection);
    if (first->state == MS_HTTP_WAITING)
        first->route->start(first);
}
