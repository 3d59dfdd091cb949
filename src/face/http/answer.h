/*
 * Answers: filling them in (by whoever the request belongs to at that time: loop or reader) and
 * writing them out (loop).
 *
 * Every answer has Content-Length, X-Request-Id, Date and, when the connection ends with it,
 * Connection: close.
 */
#pragma once

#include "face/http/problem.h"
#include "face/http/request.h"

/* ---- filling in ---- */

/* Sets status and content type (static text, NULL for none); the body is what is in answer.body. */
void ms_http_answer(struct ms_http_request *request, int status, const char *content_type);
/* A problem document instead of whatever the answer was, `members` as in problem.h. */
void ms_http_answer_problem(struct ms_http_request *request, struct ms_http_problem problem);
/* For a code of base/error.h with its message. */
void ms_http_answer_error(struct ms_http_request *request, int code, const struct ms_error *err);
/* For a status that only HTTP knows, with a sentence. */
void ms_http_answer_refusal(struct ms_http_request *request, int status, const char *format, ...)
    MS_PRINTF(3, 4);
/* A further header; what does not fit into memory turns the answer into a problem when it is
 * written. */
int ms_http_answer_header(struct ms_http_request *request, const char *name, const char *format,
                          ...) MS_PRINTF(3, 4) MS_MUST_CHECK;

/* ETag: "version", for conditions of writes. It is no validator of the page: what truncation and
 * the like leave out of it changes at the same version. */
int ms_http_answer_etag(struct ms_http_request *request, int64_t version) MS_MUST_CHECK;

/* Link: <the same request with this `from`>; rel="next". */
int ms_http_answer_next_link(struct ms_http_request *request, uint64_t next) MS_MUST_CHECK;

/* ---- writing ---- */

/* Head and body of a complete answer. MS_ENOMEM, MS_ETOOBIG. */
int ms_http_render(struct ms_http_request *request, struct ms_buf *out) MS_MUST_CHECK;
/* Only the head, without Content-Length; `framing` is a further header line ("Transfer-Encoding:
 * chunked\r\n"). */
int ms_http_render_stream_head(struct ms_http_request *request, const char *framing,
                               struct ms_buf *out) MS_MUST_CHECK;

/* Pieces for renderers that write an answer in one go: `at` has MS_HTTP_HEAD_ROOM + the id's + the
 * origin's length. */
#define MS_HTTP_HEAD_ROOM 768
uint8_t *ms_http_put_status(uint8_t *at, int status);
/* Date, X-Request-Id, CORS, Connection. */
uint8_t *ms_http_put_common(uint8_t *at, const struct ms_http_request *request);
size_t ms_http_common_room(const struct ms_http_request *request);

static inline uint8_t *ms_http_put(uint8_t *at, const void *data, size_t len) {
    memcpy(at, data, len);
    return at + len;
}
#define MS_HTTP_PUT_LITERAL(at, text) ms_http_put((at), (text), sizeof(text) - 1)
uint8_t *ms_http_put_u64(uint8_t *at, uint64_t value);
uint8_t *ms_http_put_i64(uint8_t *at, int64_t value);
