/* Answers; see answer.h. */
#include "face/http/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "face/http/condition.h"
#include "face/http/connection.h"
#include "face/http/loop.h"

#define PROBLEM_TYPE "application/problem+json"

void ms_http_answer(struct ms_http_request *request, int status, const char *content_type) {
    request->answer.status = status;
    request->answer.content_type = content_type;
    request->answer.problem = NULL;
}

void ms_http_answer_problem(struct ms_http_request *request, struct ms_http_problem problem) {
    char scratch[MS_HTTP_ID_MAX];
    struct ms_http_answer *answer = &request->answer;
    problem.request_id = ms_http_request_id(request, scratch);
    answer->status = problem.status;
    answer->content_type = PROBLEM_TYPE;
    answer->problem = problem.type;
    ms_buf_clear(&answer->body);
    if (ms_http_problem_write(&answer->body, &problem) != 0)
        answer->content_type = NULL; /* no memory for words: the status still says it */
    request->render = NULL;
}

void ms_http_answer_error(struct ms_http_request *request, int code, const struct ms_error *err) {
    struct ms_http_problem problem = ms_http_problem_of_code(code);
    if (err && err->code == code && err->message[0] != 0)
        problem.detail = ms_bytes_cstr(err->message);
    ms_http_answer_problem(request, problem);
}

void ms_http_answer_refusal(struct ms_http_request *request, int status, const char *format, ...) {
    char text[MS_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct ms_http_problem problem = ms_http_problem_of_status(status);
    problem.detail = ms_bytes_cstr(text);
    ms_http_answer_problem(request, problem);
}

int ms_http_answer_header(struct ms_http_request *request, const char *name, const char *format,
                          ...) {
    char value[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    MS_ASSERT(len >= 0 && (size_t)len < sizeof value);
    return ms_http1_write_header(&request->answer.headers, name, ms_bytes_of(value, (size_t)len));
}

int ms_http_answer_etag(struct ms_http_request *request, int64_t version) {
    return ms_http_answer_header(request, "ETag", "\"%lld\"", (long long)version);
}

/* Link: </v1/streams/order-1?limit=100&from=100>; rel="next" */
int ms_http_answer_next_link(struct ms_http_request *request, uint64_t next) {
    struct ms_buf link;
    ms_buf_init(&link, (size_t)64 * 1024);
    int code = ms_buf_append_u8(&link, '<');
    if (code == 0)
        code = ms_http_target_escape(&link, request->path);
    if (code == 0)
        code = ms_http_query_without(&link, request->query,
                                     MS_HTTP_PARAM_BIT(FROM) | MS_HTTP_PARAM_BIT(WAIT));
    if (code == 0)
        code = ms_buf_printf(&link, "from=%llu>; rel=\"next\"", (unsigned long long)next);
    if (code == 0)
        code = ms_http1_write_header(&request->answer.headers, "Link", ms_buf_bytes(&link));
    ms_buf_deinit(&link);
    return code;
}

uint8_t *ms_http_put_u64(uint8_t *at, uint64_t value) {
    uint8_t digits[20];
    size_t n = 0;
    do {
        digits[n++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        *at++ = digits[--n];
    return at;
}

uint8_t *ms_http_put_i64(uint8_t *at, int64_t value) {
    if (value < 0)
        *at++ = '-';
    return ms_http_put_u64(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

uint8_t *ms_http_put_status(uint8_t *at, int status) {
    const char *reason = ms_http1_reason(status);
    at = MS_HTTP_PUT_LITERAL(at, "HTTP/1.1 ");
    at = ms_http_put_u64(at, (uint64_t)status);
    *at++ = ' ';
    at = ms_http_put(at, reason, strlen(reason));
    return MS_HTTP_PUT_LITERAL(at, "\r\n");
}

size_t ms_http_common_room(const struct ms_http_request *request) {
    return MS_HTTP_HEAD_ROOM + request->id.len + (request->cors ? request->origin.len : 0);
}

static bool ends_connection(const struct ms_http_request *request) {
    return !request->keep_alive || request->loop->stopping ||
           (request->connection && request->connection->close_when_empty &&
            request->connection->last == request);
}

uint8_t *ms_http_put_common(uint8_t *at, const struct ms_http_request *request) {
    const struct ms_http_loop *loop = request->loop;
    char scratch[MS_HTTP_ID_MAX];
    struct ms_bytes id = ms_http_request_id(request, scratch);
    at = ms_http_put(at, loop->date, loop->date_len);
    at = MS_HTTP_PUT_LITERAL(at, "X-Request-Id: ");
    at = ms_http_put(at, id.data, id.len);
    at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    if (request->cors) {
        at = MS_HTTP_PUT_LITERAL(at, "Access-Control-Allow-Origin: ");
        at = ms_http_put(at, request->origin.data, request->origin.len);
        at = MS_HTTP_PUT_LITERAL(at,
                                 "\r\nVary: Origin\r\nAccess-Control-Expose-Headers: ETag, Link, "
                                 "Location, Mainstem-Position, Mainstem-Next, Mainstem-Head, "
                                 "X-Request-Id\r\n");
    }
    if (ends_connection(request))
        at = MS_HTTP_PUT_LITERAL(at, "Connection: close\r\n");
    else if (request->http10)
        at = MS_HTTP_PUT_LITERAL(at, "Connection: keep-alive\r\n");
    return at;
}

static uint8_t *put_head(uint8_t *at, struct ms_http_request *request) {
    const struct ms_http_answer *answer = &request->answer;
    at = ms_http_put_status(at, answer->status);
    if (answer->content_type) {
        at = MS_HTTP_PUT_LITERAL(at, "Content-Type: ");
        at = ms_http_put(at, answer->content_type, strlen(answer->content_type));
        at = MS_HTTP_PUT_LITERAL(at, "\r\nX-Content-Type-Options: nosniff\r\n");
    }
    if (request->method == MS_HTTP_GET)
        at = MS_HTTP_PUT_LITERAL(at, "Cache-Control: no-store\r\n");
    if (request->route && (request->route->flags & MS_HTTP_ROUTE_EVENTS))
        at = MS_HTTP_PUT_LITERAL(at, "Vary: Accept\r\n");
    if (answer->headers.len)
        at = ms_http_put(at, answer->headers.data, answer->headers.len);
    return ms_http_put_common(at, request);
}

int ms_http_render(struct ms_http_request *request, struct ms_buf *out) {
    struct ms_http_answer *answer = &request->answer;
    size_t body_len = answer->content_type ? answer->body.len : 0;
    int code = ms_buf_reserve(out, ms_http_common_room(request) + answer->headers.len);
    if (code != 0)
        return code;
    uint8_t *at = put_head(out->data + out->len, request);
    if (answer->status != 204) {
        at = MS_HTTP_PUT_LITERAL(at, "Content-Length: ");
        at = ms_http_put_u64(at, body_len);
        at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    }
    at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    out->len = (size_t)(at - out->data);
    if (request->head_only || body_len == 0)
        return 0;
    /* A large body is not copied: the connection sends it from where it is, when nothing else is in
     * its place. */
    struct ms_buf *place = request->connection ? &request->connection->body : NULL;
    if (body_len >= (size_t)64 * 1024 && place && out == &request->connection->out) {
        MS_ASSERT(place->len == 0);
        ms_buf_deinit(place);
        *place = answer->body;
        answer->body = (struct ms_buf){.max = place->max};
        return 0;
    }
    return ms_buf_append_bytes(out, ms_buf_bytes(&answer->body));
}

int ms_http_render_stream_head(struct ms_http_request *request, const char *framing,
                               struct ms_buf *out) {
    size_t framing_len = strlen(framing);
    int code = ms_buf_reserve(out, ms_http_common_room(request) + request->answer.headers.len +
                                       framing_len + 2);
    if (code != 0)
        return code;
    uint8_t *at = put_head(out->data + out->len, request);
    at = ms_http_put(at, framing, framing_len);
    at = MS_HTTP_PUT_LITERAL(at, "\r\n");
    out->len = (size_t)(at - out->data);
    return 0;
}
