/*
 * The body of a request as events.
 *
 *   application/json                      plain, one event or an array
 *   application/x-ndjson                  plain, one a line
 *   application/cloudevents+json          CloudEvents structured
 *   application/cloudevents-batch+json    CloudEvents batch
 *   any, with ce-… headers                CloudEvents binary: the body is the data
 *
 * Idempotency-Key: events without an id get <key>/<index> as theirs, so that a client which sends
 * the same request again, key included, repeats the same append. One event has the index 0: the
 * same key with more events is a conflict of ids (with fewer: append.c).
 *
 * Loop thread, within on_complete (the headers are looked at).
 */
#pragma once

#include "face/http/request.h"

/* Fills request->events and event_count (arena). MS_EINVAL, MS_ETOOBIG, MS_ENOMEM. */
int ms_http_event_body_parse(struct ms_http_request *request, struct ms_error *err) MS_MUST_CHECK;
/* The Idempotency-Key without quotes; absent when there is none. MS_EINVAL. */
int ms_http_idempotency_key(struct ms_http_request *request, struct ms_bytes *ret_key,
                            struct ms_error *err) MS_MUST_CHECK;
/* <key>/<index>, in `out`. */
#define MS_HTTP_DERIVED_ID_MAX 160
struct ms_bytes ms_http_derived_id(struct ms_bytes key, size_t index,
                                   char out[MS_HTTP_DERIVED_ID_MAX]);
/* Gives events without an id theirs; `first` of `total` is the index of events[0]. MS_ENOMEM. */
int ms_http_idempotency_apply(struct ms_http_request *request, struct ms_bytes key,
                              struct ms_event *events, size_t count, size_t first) MS_MUST_CHECK;
