/*
 * Media types: what a body is and what an answer should be (RFC 9110 sections 8.3 and 12.5).
 * Sans-I/O; any thread.
 */
#pragma once

#include "base/bytes.h"

/* What the body of an append is. */
enum ms_http_body_type {
    MS_HTTP_BODY_MISSING, /* no Content-Type */
    MS_HTTP_BODY_JSON,
    MS_HTTP_BODY_NDJSON,
    MS_HTTP_BODY_CLOUDEVENT,  /* application/cloudevents+json */
    MS_HTTP_BODY_CLOUDEVENTS, /* application/cloudevents-batch+json */
    MS_HTTP_BODY_OTHER,
};
enum ms_http_body_type ms_http_body_type(struct ms_bytes content_type);
/* True when its parameter charset is utf-8 or not there. */
bool ms_http_charset_is_utf8(struct ms_bytes content_type);
/* True for a Content-Encoding that changes nothing: absent or identity. */
bool ms_http_encoding_is_identity(struct ms_bytes encoding);

/* What events can be answered as. */
enum ms_http_answer_type {
    MS_HTTP_ANSWER_JSON,
    MS_HTTP_ANSWER_CLOUDEVENTS,
    MS_HTTP_ANSWER_NDJSON,
    MS_HTTP_ANSWER_SSE,
};
#define MS_HTTP_ANSWER_TYPES 4
/* The Content-Type header's value. */
const char *ms_http_answer_type_name(enum ms_http_answer_type type);

/* The best one by `accept` (absent: JSON), by weight and then in the order above; wildcards never
 * choose SSE. MS_EUNSUPPORTED when nothing fits. */
int ms_http_accept_parse(struct ms_bytes accept, enum ms_http_answer_type *ret_type) MS_MUST_CHECK;
