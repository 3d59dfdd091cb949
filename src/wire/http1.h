/*
 * HTTP/1.1, server side, sans-I/O: bytes in, requests out, on http_parser.
 *
 * The caller feeds received bytes; the parser calls back at the end of the headers (so that limits,
 * authentication and routing can refuse before a body is read), for each piece of the body, and at
 * the end of the message. Pipelined requests arrive one after the other; a callback may pause the
 * parser until its answer has been sent. Which callbacks come, and how a refusal ends, does not
 * depend on how the bytes were split.
 *
 * Refused with the status in parentheses: malformed syntax (400), header block or trailers over the
 * limit (431), target over the limit (414), unknown version (505), both Content-Length and
 * Transfer-Encoding, or two lengths (400), missing or double Host in HTTP/1.1, or one that differs
 * from an absolute target (400), folded headers, bare CR or LF (400), chunk-size lines of more than
 * 256 bytes (400), body over the limit (413), unknown transfer coding, unknown method and CONNECT
 * (501). `Expect: 100-continue` is reported; other expectations are 417. Upgrade requests are
 * answered as plain ones. Trailers are checked and dropped; one empty line before a request is
 * skipped.
 *
 * One thread per parser; requests and responses: any thread.
 */
#pragma once

#include "base/arena.h"

/* header_bytes_max can be no more than this: http_parser has a limit of its own. */
#define MS_HTTP1_HEADER_BYTES_LIMIT 65536u

struct ms_http1_limits {
    size_t header_bytes_max; /* request line and all headers */
    size_t headers_max;
    size_t target_bytes_max;
    size_t body_bytes_max; /* default for every request; see ms_http1_set_body_max */
};

struct ms_http1_header {
    struct ms_bytes name;  /* lower case */
    struct ms_bytes value; /* without surrounding white space */
};

struct ms_http1_request {
    struct ms_bytes method, target; /* target as sent */
    struct ms_bytes path;           /* raw path, not percent-decoded */
    struct ms_bytes query;          /* without '?', raw; absent when there is none */
    const struct ms_http1_header *headers;
    size_t header_count;
    bool keep_alive;
    bool expect_continue; /* and there is a body to wait for */
    bool http10;
    int64_t content_length; /* -1: chunked or none */
    bool has_body;
};

struct ms_http1_parser;

struct ms_http1_callbacks {
    /* Return 0 to go on; any other value stops the parser: ms_http1_feed returns it. `request`
     * lives until on_complete returns. No callback may free the parser or feed it. */
    int (*on_headers)(void *context, const struct ms_http1_request *request);
    int (*on_body)(void *context, struct ms_bytes piece);
    int (*on_complete)(void *context);
};

/* MS_EINVAL when header_bytes_max is over MS_HTTP1_HEADER_BYTES_LIMIT, MS_ENOMEM. */
int ms_http1_parser_new(const struct ms_http1_limits *limits,
                        const struct ms_http1_callbacks *callbacks, void *context,
                        struct ms_http1_parser **ret_parser) MS_MUST_CHECK;
void ms_http1_parser_free(struct ms_http1_parser *parser); /* takes NULL */

/* Consumes up to all of `input`; *ret_consumed < input.len when a callback paused the parser or
 * failed. On a protocol error returns MS_EINVAL, MS_ETOOBIG or MS_EUNSUPPORTED, and *ret_status is
 * the status to answer before closing (MS_ENOMEM: 503). *ret_consumed and *ret_status are always
 * set; the status is 0 when there was no protocol error. After a failure every further call fails
 * likewise. After a request without keep_alive, input is consumed and ignored. */
int ms_http1_feed(struct ms_http1_parser *parser, struct ms_bytes input, size_t *ret_consumed,
                  int *ret_status, struct ms_error *err) MS_MUST_CHECK;
/* From a callback: no further callback until resume; feed then returns 0 with the rest unconsumed.
 * After resume call feed with that rest, even if it is empty. */
void ms_http1_pause(struct ms_http1_parser *parser);
void ms_http1_resume(struct ms_http1_parser *parser);
/* From on_headers: the most that this request's body may have. */
void ms_http1_set_body_max(struct ms_http1_parser *parser, size_t body_bytes_max);
/* True between the first byte of a request and its end: closing then is not a clean end. */
bool ms_http1_in_message(const struct ms_http1_parser *parser);

/* First header of that (lower-case) name; absent (data NULL) when there is none. */
struct ms_bytes ms_http1_header(const struct ms_http1_request *request, const char *name);

/* ---- targets ---- */

/* Percent-decodes into the arena ('+' stays '+'); MS_EINVAL for bad escapes and for NUL, MS_ENOMEM.
 * The text is never NULL. */
int ms_percent_decode(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_text)
    MS_MUST_CHECK;
/* The same for what may be any bytes, NUL too. */
int ms_percent_decode_bytes(struct ms_bytes text, struct ms_arena *arena,
                            struct ms_bytes *ret_bytes) MS_MUST_CHECK;
/* Walks name=value pairs of a query string; '+' means space here, empty pairs are skipped, a name
 * without '=' has an empty value. *at starts at 0. 1 and a pair, 0 at the end, MS_EINVAL,
 * MS_ENOMEM. */
int ms_query_next(struct ms_bytes query, size_t *at, struct ms_arena *arena,
                  struct ms_bytes *ret_name, struct ms_bytes *ret_value) MS_MUST_CHECK;

/* ---- responses ---- */

/* Appends "HTTP/1.1 200 OK\r\n". MS_EINVAL outside 100..999, MS_ENOMEM, MS_ETOOBIG. */
int ms_http1_write_status(struct ms_buf *out, int status) MS_MUST_CHECK;
/* Appends "Name: value\r\n"; MS_EINVAL when the value holds CR, LF or NUL, or the name is no token;
 * MS_ENOMEM, MS_ETOOBIG. On failure the buffer is as before. */
int ms_http1_write_header(struct ms_buf *out, const char *name, struct ms_bytes value)
    MS_MUST_CHECK;
/* "OK", "Not Found" …; "Unknown" for a status that has no name. */
const char *ms_http1_reason(int status);
