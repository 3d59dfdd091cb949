/*
 * An event loop: one thread with its own listener (SO_REUSEPORT shares the port among the loops),
 * its connections, its mailbox and its free requests. Nothing of it is touched by other threads but
 * the mailbox and what is marked atomic.
 *
 *   each turn:  events (accept, receive) -> mail -> connections with something to do are pumped
 *
 * Output is therefore written once a turn and connection, whatever became ready in it. Event
 * streams have a line of their own, of which a turn serves some milliseconds: thousands that catch
 * up at once don't keep the others waiting.
 */
#pragma once

#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>

#include "face/http/config.h"
#include "face/http/http_metrics.h"
#include "face/net/mailbox.h"

struct ms_http;
struct ms_http_connection;
struct ms_http_request;

#define MS_HTTP_INPUT_BYTES ((size_t)64 * 1024)
#define MS_HTTP_DATE_MAX 40

struct ms_http_loop {
    struct ms_http *http;
    struct event_base *base;
    pthread_t thread;
    struct ms_net_mailbox mailbox;
    struct event *wake_event, *tick_event, *retry_event;
    struct evconnlistener *listener;
    int listen_fd;  /* until the listener owns it */
    uint8_t *input; /* MS_HTTP_INPUT_BYTES, what the connection being read received */

    struct ms_http_config *config;
    _Atomic(struct ms_http_config *)
        next_config; /* set by a reload, taken over between two turns */
    atomic_bool stop_asked;
    bool stopping;
    int64_t drain_until_us;

    struct ms_http_connection *connections; /* all of them */
    size_t connection_count;
    struct ms_http_connection *dirty;                 /* to be pumped at the end of this turn */
    struct ms_http_connection *streams, *last_stream; /* event streams to be pumped, in order */
    struct ms_http_request *hungry, *last_hungry; /* event streams that wait for memory; sse.c */
    struct ms_http_connection *retry; /* wait for memory: pumped again after some milliseconds */
    struct ms_http_request *free_requests;
    size_t free_request_count;
    size_t outstanding; /* requests whose mail has not come back */

    int64_t now_us; /* monotonic, read once a turn */
    int64_t date_second;
    char date[MS_HTTP_DATE_MAX]; /* "Date: …\r\n" */
    size_t date_len;
    uint64_t request_number;
    char id_prefix[16];
    int64_t warned_us;

    struct ms_http_loop_metrics metrics;
};

/* Makes the loop without starting its thread; takes listen_fd over on success. MS_ENOMEM, MS_EIO.
 * */
int ms_http_loop_init(struct ms_http_loop *loop, struct ms_http *http,
                      struct ms_http_config *config, int listen_fd, struct ms_error *err)
    MS_MUST_CHECK;
int ms_http_loop_start(struct ms_http_loop *loop, struct ms_error *err) MS_MUST_CHECK;
/* Any thread: stop within drain_ms. Then join. */
void ms_http_loop_stop(struct ms_http_loop *loop, int64_t drain_ms);
void ms_http_loop_join(struct ms_http_loop *loop);
void ms_http_loop_deinit(struct ms_http_loop *loop); /* takes a zeroed loop */
/* Any thread: the loop goes over to `config` (referenced here). */
void ms_http_loop_set_config(struct ms_http_loop *loop, struct ms_http_config *config);

/* The rest: loop thread only. */

/* The connection is pumped at the end of this turn, an event stream soon. */
void ms_http_loop_mark(struct ms_http_loop *loop, struct ms_http_connection *connection);
/* The connection is pumped again in a few milliseconds. */
void ms_http_loop_retry_later(struct ms_http_loop *loop, struct ms_http_connection *connection);
/* ms_http_sse_feed is called in a few milliseconds. */
void ms_http_loop_feed_later(struct ms_http_loop *loop);
/* Forgets a connection that is being closed. */
void ms_http_loop_forget(struct ms_http_loop *loop, struct ms_http_connection *connection);
/* "Date: …\r\n", renewed once a second. */
void ms_http_loop_date(struct ms_http_loop *loop);
/* options.on_warning, at most once a second. */
void ms_http_loop_warn(struct ms_http_loop *loop, const char *format, ...) MS_PRINTF(2, 3);
