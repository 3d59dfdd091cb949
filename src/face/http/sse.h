/*
 * Subscriptions as server-sent events (text/event-stream, WHATWG HTML section 9.2).
 *
 *   retry: 1000       once, at the start
 *   id: 41            version in a stream, position among all events
 *   data: {…}         the event as plain JSON; no `event:` line, so onmessage gets them all
 *   : caught up       each time everything there was has been sent; among all events followed by
 *   id: 97            how far was looked, so that a resumed filter does not look twice
 *   : heartbeat       when nothing else was sent for heartbeat_ms
 *   event: end        the stream was deleted for ever; then the connection closes
 *
 * A client that comes back says Last-Event-ID and goes on behind it.
 *
 *            +-> WORKING (a reader polls a batch into answer.body) --+
 *     output |                                                      | moved to the output
 *   is small +-- (blocked: the peer does not keep up) <- more there -+
 *   and there|                                                      |
 *   is memory+-- (hungry: the budget is used up) <------ more there -+
 *            +-- ARMED <------------------------------- caught up ---+
 *
 * Memory per subscriber is one batch and the output below its bound, however slow the peer is: what
 * it has not read stays in the log. Memory of all of them is bounded by the budget's share for
 * answers (budget.h). A batch is paid for before it is read: a small one, which its reader makes a
 * large one while there is plenty and the subscription catches up; when there isn't, only if
 * nothing waits for the peer. An event that is longer than its batch is paid for when it turns up;
 * when that fails it stays in the log. Who finds no memory is hungry: in the loop's line, fed in
 * order. Loop thread, except for what sse.c marks.
 */
#pragma once

#include "face/http/request.h"

/* What a poll has come to. */
enum ms_http_sse_found {
    MS_HTTP_SSE_REFUSAL, /* no stream was begun: the answer is a problem */
    MS_HTTP_SSE_MORE,    /* poll again when what there is was sent */
    MS_HTTP_SSE_ALL,     /* poll again after ms_http_request_wake */
    MS_HTTP_SSE_END,
};
/* What a stream consists of. Both are called on a reader's thread. */
struct ms_http_sse_source {
    int (*open)(struct ms_http_request *request, struct ms_error *err);
    /* Appends whole events to answer.body. */
    enum ms_http_sse_found (*poll)(struct ms_http_request *request);
    int64_t interval_us; /* at least, between two polls */
};
/* Turns the request into a stream of what the source, a constant, has. */
void ms_http_sse_start_from(struct ms_http_request *request,
                            const struct ms_http_sse_source *source);
/* For sources: the stream ends with an event that says why. */
enum ms_http_sse_found ms_http_sse_end_with(struct ms_http_request *request, int code,
                                            const struct ms_error *err);
void ms_http_sse_start(struct ms_http_request *request);
/* Moves what a reader brought to the output. */
void ms_http_sse_take(struct ms_http_request *request);
/* The output may have become smaller: polls on. */
void ms_http_sse_pump(struct ms_http_request *request);
/* Gives those that wait for memory what there is. */
void ms_http_sse_feed(struct ms_http_loop *loop);
/* Heartbeats. */
void ms_http_sse_tick(struct ms_http_request *request);
/* The server stops: ends the stream cleanly. */
void ms_http_sse_end(struct ms_http_request *request);
/* The peer is gone. Takes any request. */
void ms_http_sse_forget(struct ms_http_request *request);

/* ---- framing; sans-I/O, any thread ---- */

/* Appends "id: …\ndata: "; the data follows, without line breaks, and then "\n\n". */
int ms_http_sse_begin_event(struct ms_buf *out, uint64_t id) MS_MUST_CHECK;
/* Appends the chunk of HTTP/1.1's chunked coding that holds `data`; nothing when it is empty. */
int ms_http_sse_write_chunk(struct ms_buf *out, struct ms_bytes data) MS_MUST_CHECK;
