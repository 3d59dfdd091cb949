/*
 * Errors as RFC 9457 problem documents.
 *
 *   {"type": "urn:mainstem:problem:wrong-expected-version",
 *    "title": "the stream is not at the expected version", "status": 412,
 *    "detail": "stream order-1 is at version 7, expected 5",
 *    "instance": "urn:mainstem:request:4f2c-19", "expected": 5, "actual": 7, …}
 *
 * `type` is one of base/error.h's list or of this file's table of statuses that only HTTP knows.
 * Sans-I/O; any thread.
 */
#pragma once

#include "base/bytes.h"

struct ms_http_problem {
    int status;
    const char *type, *title;
    struct ms_bytes detail;
    struct ms_bytes request_id;
    struct ms_bytes members; /* more members as JSON text, each preceded by a comma */
};

/* Status, type and title for a code of base/error.h. */
struct ms_http_problem ms_http_problem_of_code(int code);
/* For a status that HTTP itself gives a meaning (404 for no such resource, 405, 408, 431 …). */
struct ms_http_problem ms_http_problem_of_status(int status);

/* Appends the document. Bytes of the detail that are not UTF-8 become '?'. MS_ENOMEM, MS_ETOOBIG.
 * */
int ms_http_problem_write(struct ms_buf *out, const struct ms_http_problem *problem) MS_MUST_CHECK;
