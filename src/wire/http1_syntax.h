/*
 * The strict reading of HTTP/1.1's lines: what http_parser lets pass and we don't (RFC 9112). Every
 * check takes one line as received, without its line feed; private to src/wire/http1*.c.
 *
 * A check returns NULL or what is wrong, a static sentence, with the status to answer in
 * *ret_status. Sans-I/O, no state; any thread.
 */
#pragma once

#include "wire/http1.h"

/* The longest chunk-size line, extensions and CRLF included: extensions mean nothing to us. */
#define MS_HTTP1_CHUNK_LINE_MAX 256u

/* RFC 9110 "token" characters. */
bool ms_http1_is_token_char(uint8_t c);

/* "GET /path HTTP/1.1\r": sets method, target, path, query and http10 of the request. */
const char *ms_http1_check_request_line(struct ms_bytes line, size_t target_bytes_max,
                                        struct ms_http1_request *request, int *ret_status);
/* "Name: value\r" */
const char *ms_http1_check_header_line(struct ms_bytes line, int *ret_status);
/* "1f;extension\r" */
const char *ms_http1_check_chunk_line(struct ms_bytes line, int *ret_status);

/* How the body is delimited and what is expected, from all headers together: sets content_length,
 * has_body and expect_continue. */
const char *ms_http1_check_headers(struct ms_http1_request *request, int *ret_status);
