/*
 * Append conditions as HTTP spells them (RFC 9110 section 13).
 *
 *   If-Match: "5"         exactly version 5 (unquoted 5 is taken too)
 *   If-Match: *           the stream exists
 *   If-None-Match: *      there is no stream
 *   neither               any
 *
 * What some texts call expectedVersion 0 for a new stream is `If-None-Match: *` here: version 0 is
 * the first event. Sans-I/O; any thread.
 */
#pragma once

#include "store/store.h"

/* Absent headers have data NULL. MS_EINVAL names the header and says what was expected. */
int ms_http_condition_parse(struct ms_bytes if_match, struct ms_bytes if_none_match,
                            struct ms_condition *ret_condition, struct ms_error *err) MS_MUST_CHECK;
/* The spelling of POST /v1/append's "expect": "any", "none", "exists" (as strings) or a version (a
 * number). */
int ms_http_condition_parse_expect(struct ms_bytes text, bool is_string,
                                   struct ms_condition *ret_condition, struct ms_error *err)
    MS_MUST_CHECK;
/* As problem documents show it: JSON text such as 5 or "none". `out` has 32 bytes. */
void ms_http_condition_format(const struct ms_condition *condition, char out[32]);
/* "none", "live", "deleted", "tombstoned". */
const char *ms_http_stream_state_name(enum ms_stream_state state);
