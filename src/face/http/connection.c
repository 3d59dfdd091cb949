/* Connections: socket, order of answers, output; see connection.h. The parser's side is intake.c.
 * */
#include "face/http/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "face/http/answer.h"
#include "face/http/log_entry.h"
#include "face/http/longpoll.h"
#include "face/http/loop.h"
#include "face/http/queries.h"
#include "face/http/server.h"
#include "face/http/sse.h"
#include "face/http/sync.h"

/* One turn does at most this much for one connection, then the others have theirs. */
#define PUMP_ROUNDS 16
/* A buffer of a connection that grew beyond this is given back once it is empty. */
#define KEPT_BUFFER_BYTES ((size_t)16 * 1024)
/* Above output_bytes_max a single answer may still need room: a page with its last, large event. */
#define OUTPUT_ROOM_BYTES ((size_t)64 * 1024 * 1024)
/* How long a closed-down connection waits for its peer to read the last answer and close. */
#define LINGER_US 2000000
#define LINGER_STOPPING_US 250000

size_t ms_http_connection_queued(const struct ms_http_connection *connection) {
    return connection->out.len - connection->out_at + connection->body.len - connection->body_at;
}

static struct ms_net_share *answers_of(const struct ms_http_connection *connection) {
    return &connection->loop->http->budget.answers;
}

/* Safe anywhere: the connection goes at the end of the turn. */
static void drop(struct ms_http_connection *connection) {
    connection->closed = true;
    ms_http_loop_mark(connection->loop, connection);
}

/* ---- reading ---- */

static void keep_pending(struct ms_http_connection *connection, struct ms_bytes rest) {
    if (connection->input_over)
        return;
    if (ms_buf_append_bytes(&connection->pending, rest) != 0)
        drop(connection);
}

static void received(struct ms_http_connection *connection, struct ms_bytes input) {
    connection->active_us = connection->loop->now_us;
    if (connection->lingering || connection->input_over)
        return;
    if (connection->pending.len == 0) {
        size_t used = ms_http_intake_feed(connection, input);
        input = ms_bytes_of(input.data + used, input.len - used);
    }
    if (input.len)
        keep_pending(connection, input);
}

/* The peer sends nothing more. What it asked for is still answered, unless that would never end. */
static void peer_finished(struct ms_http_connection *connection) {
    connection->peer_done = true;
    struct ms_http_request *first = connection->first;
    if (!first || connection->lingering || first->streaming || first->state == MS_HTTP_ARMED) {
        drop(connection);
        return;
    }
    if (connection->current)
        ms_http_intake_abort(connection, 400, "the connection ended in the middle of the request");
    connection->close_when_empty = true;
}

bool ms_http_connection_is_left(const struct ms_http_connection *connection) {
    char byte;
    return connection->peer_done ||
           (connection->input_over &&
            recv(connection->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct ms_http_connection *connection = context;
    struct ms_http_loop *loop = connection->loop;
    (void)what;
    loop->now_us = ms_clock_monotonic_us(loop->http->env->clock);
    ssize_t len = recv(fd, loop->input, MS_HTTP_INPUT_BYTES, 0);
    if (len < 0) {
        if (errno != EAGAIN && errno != EINTR)
            drop(connection);
        return;
    }
    if (len == 0)
        peer_finished(connection);
    else
        received(connection, ms_bytes_of(loop->input, (size_t)len));
    ms_http_loop_mark(loop, connection);
}

/* Reads on while there is room, also when nothing can be parsed now: that is how a peer that leaves
 * is noticed. */
static void arm_reading(struct ms_http_connection *connection) {
    bool wanted = !connection->peer_done && !connection->starved &&
                  (connection->lingering || connection->pending.len < MS_HTTP_INPUT_BYTES) &&
                  (connection->lingering || !connection->input_over);
    if (wanted == connection->reading)
        return;
    if (wanted)
        event_add(&connection->read_event, NULL);
    else
        event_del(&connection->read_event);
    connection->reading = wanted;
}

/* Parses what was left; true when something was consumed. */
static bool parse_pending(struct ms_http_connection *connection) {
    struct ms_buf *pending = &connection->pending;
    if (pending->len == 0 || !ms_http_intake_open(connection))
        return false;
    size_t used = ms_http_intake_feed(connection, ms_buf_bytes(pending));
    if (connection->input_over)
        used = pending->len;
    if (used < pending->len)
        memmove(pending->data, pending->data + used, pending->len - used);
    pending->len -= used;
    if (pending->len == 0 && pending->capacity > KEPT_BUFFER_BYTES) {
        size_t max = pending->max;
        ms_buf_deinit(pending);
        pending->max = max;
    }
    return used > 0;
}

/* ---- writing ---- */

static void arm_writing(struct ms_http_connection *connection, bool wanted) {
    if (wanted == connection->writing)
        return;
    if (wanted)
        event_add(&connection->write_event, NULL);
    else
        event_del(&connection->write_event);
    connection->writing = wanted;
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct ms_http_connection *connection = context;
    (void)fd;
    (void)what;
    arm_writing(connection, false);
    ms_http_loop_mark(connection->loop, connection);
}

static void output_drained(struct ms_http_connection *connection) {
    ms_buf_clear(&connection->out);
    connection->out_at = connection->body_at = 0;
    if (connection->out.capacity > KEPT_BUFFER_BYTES)
        ms_buf_deinit(&connection->out);
    connection->out.max = connection->loop->config->options.output_bytes_max + OUTPUT_ROOM_BYTES;
    ms_buf_deinit(&connection->body);
    ms_net_share_set(answers_of(connection), &connection->charged, 0);
    connection->active_us = connection->loop->now_us;
}

static void sent(struct ms_http_connection *connection, size_t len) {
    connection->progress_us = connection->loop->now_us;
    ms_counter_add(&connection->loop->metrics.bytes_out, len);
    size_t of_out = connection->out.len - connection->out_at;
    if (of_out > len)
        of_out = len;
    connection->out_at += of_out;
    connection->body_at += len - of_out;
}

static struct iovec rest_of(const struct ms_buf *buf, size_t at) {
    if (at == buf->len)
        return (struct iovec){0}; /* no memory, maybe */
    return (struct iovec){buf->data + at, buf->len - at};
}

/* Sends what is there until the socket is full; true when something went out. */
static bool flush(struct ms_http_connection *connection) {
    bool some = false;
    while (ms_http_connection_queued(connection) && !connection->writing) {
        struct iovec iov[2] = {rest_of(&connection->out, connection->out_at),
                               rest_of(&connection->body, connection->body_at)};
        size_t from = iov[0].iov_len ? 0 : 1;
        struct msghdr message = {.msg_iov = iov + from,
                                 .msg_iovlen = (from == 0 && iov[1].iov_len) ? 2 : 1};
        ssize_t len = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
        if (len >= 0) {
            some = true;
            sent(connection, (size_t)len);
            if (ms_http_connection_queued(connection) == 0)
                output_drained(connection);
        } else if (errno == EAGAIN) {
            arm_writing(connection, true);
        } else if (errno != EINTR) {
            connection->closed = true;
            break;
        }
    }
    return some;
}

/* ---- answers, in order ---- */

static void answered(struct ms_http_request *request) {
    struct ms_http_loop *loop = request->loop;
    int64_t duration_us =
        (request->streaming ? request->head_us : loop->now_us) - request->started_us;
    ms_http_metrics_request(&loop->metrics, request, duration_us);
    if (loop->config->options.on_request)
        ms_http_log_request(request, duration_us);
}

static void pop_first(struct ms_http_connection *connection) {
    struct ms_http_request *request = connection->first;
    answered(request);
    connection->first = request->next;
    connection->depth--;
    if (!connection->first) {
        connection->last = NULL;
        connection->barrier = false;
    }
    connection->charged += request->answer_charged;
    request->answer_charged = 0;
    if (ms_http_connection_queued(connection) == 0)
        ms_net_share_set(answers_of(connection), &connection->charged, 0);
    ms_http_request_free(request);
}

static int write_answer(struct ms_http_connection *connection, struct ms_http_request *request) {
    size_t before = ms_http_connection_queued(connection);
    int code = request->render ? request->render(request, &connection->out)
                               : ms_http_render(request, &connection->out);
    request->bytes_out = ms_http_connection_queued(connection) - before;
    return code;
}

/* Writes the FIFO's finished head; true when one was written. */
static bool write_answers(struct ms_http_connection *connection) {
    size_t max = connection->loop->config->options.output_bytes_max;
    bool some = false;
    while (connection->first && connection->first->state == MS_HTTP_ANSWERED &&
           connection->body.len == 0 && ms_http_connection_queued(connection) < max) {
        struct ms_http_request *request = connection->first;
        if (ms_http_connection_queued(connection) == 0)
            connection->progress_us = connection->loop->now_us;
        if (!request->streaming && write_answer(connection, request) != 0) {
            connection->closed = true;
            return false;
        }
        pop_first(connection);
        some = true;
    }
    return some;
}

/* ---- life ---- */

void ms_http_connection_open(struct ms_http_loop *loop, int fd, const char *peer) {
    struct ms_http_connection *connection = ms_calloc(1, sizeof *connection);
    if (connection) {
        connection->loop = loop;
        connection->fd = fd;
        if (ms_http_intake_parser_new(connection) != 0) {
            ms_free(connection);
            connection = NULL;
        }
    }
    if (!connection) {
        ms_http_loop_warn(loop, "http: no memory for a connection");
        evutil_closesocket(fd);
        return;
    }
    int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ms_buf_init(&connection->pending, 2 * MS_HTTP_INPUT_BYTES);
    ms_buf_init(&connection->out, loop->config->options.output_bytes_max + OUTPUT_ROOM_BYTES);
    memcpy(connection->peer, peer, strlen(peer) + 1);
    connection->active_us = connection->progress_us = loop->now_us;
    event_assign(&connection->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                 connection);
    connection->next = loop->connections;
    if (loop->connections)
        loop->connections->previous = connection;
    loop->connections = connection;
    loop->connection_count++;
    atomic_fetch_add_explicit(&loop->http->connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->metrics.connections, 1, memory_order_relaxed);
    ms_counter_add(&loop->metrics.connections_opened, 1);
    arm_reading(connection);
}

/* What other threads still work on is only cut loose; its mail frees it. */
static void release_requests(struct ms_http_connection *connection) {
    struct ms_http_request *request = connection->first;
    while (request) {
        struct ms_http_request *next = request->next;
        ms_http_longpoll_forget(request);
        ms_http_sse_forget(request);
        if (request->state == MS_HTTP_WORKING)
            request->connection = NULL;
        else
            ms_http_request_free(request);
        request = next;
    }
    connection->first = connection->last = connection->current = NULL;
}

void ms_http_connection_close(struct ms_http_connection *connection) {
    struct ms_http_loop *loop = connection->loop;
    release_requests(connection);
    event_del(&connection->read_event);
    event_del(&connection->write_event);
    evutil_closesocket(connection->fd);
    ms_http1_parser_free(connection->parser);
    ms_buf_deinit(&connection->pending);
    ms_buf_deinit(&connection->out);
    ms_buf_deinit(&connection->body);
    ms_net_share_set(answers_of(connection), &connection->charged, 0);
    ms_http_loop_forget(loop, connection);
    atomic_fetch_sub_explicit(&loop->http->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&loop->metrics.connections, 1, memory_order_relaxed);
    ms_free(connection);
}

/* Our last byte is out: says so, and lets the peer read it before the socket goes (closing with
 * unread input would reset the connection and take the answer with it). */
static void shut_down(struct ms_http_connection *connection) {
    connection->lingering = true;
    connection->input_over = true;
    connection->active_us = connection->loop->now_us;
    (void)shutdown(connection->fd, SHUT_WR);
}

static bool is_idle(const struct ms_http_connection *connection) {
    return !connection->first && ms_http_connection_queued(connection) == 0;
}

/* One round; true when another may achieve something. */
static bool pump_once(struct ms_http_connection *connection) {
    if (connection->first && connection->first->sse)
        ms_http_sse_take(connection->first);
    bool more = write_answers(connection);
    ms_http_intake_begin_first(connection);
    if (flush(connection) && connection->first)
        more = true; /* there is room for further answers */
    if (connection->first && connection->first->sse)
        ms_http_sse_pump(connection->first);
    if (!connection->closed && parse_pending(connection))
        more = true;
    return more;
}

/* What waits for events for a peer that has left ends; what has nothing left to do ends too. */
static void end_if_over(struct ms_http_connection *connection) {
    const struct ms_http_loop *loop = connection->loop;
    const struct ms_http_request *first = connection->first;
    if (connection->peer_done && first &&
        (first->streaming || (first->state == MS_HTTP_ARMED && !first->sync)))
        connection->closed = true;
    if (connection->closed || !is_idle(connection))
        return;
    bool unfinished = connection->message_us || connection->pending.len;
    if (connection->peer_done)
        connection->closed = true;
    else if (!connection->lingering &&
             (connection->close_when_empty || (loop->stopping && !unfinished)))
        shut_down(connection);
}

void ms_http_connection_pump(struct ms_http_connection *connection) {
    struct ms_http_loop *loop = connection->loop;
    bool more = true;
    for (int round = 0; more && round < PUMP_ROUNDS && !connection->closed; round++)
        more = pump_once(connection);
    if (more)
        ms_http_loop_mark(loop, connection);
    else
        end_if_over(connection);
    if (connection->closed)
        ms_http_connection_close(connection);
    else
        arm_reading(connection);
}

void ms_http_connection_finish(struct ms_http_connection *connection) {
    struct ms_http_request *first = connection->first;
    if (first)
        ms_http_longpoll_end(first);
    if (first)
        ms_http_query_end(first);
    for (struct ms_http_request *request = first; request; request = request->next)
        ms_http_sync_end(request);
    if (first && first->streaming)
        ms_http_sse_end(first);
    ms_http_loop_mark(connection->loop, connection);
}

/* ---- time ---- */

static void time_out(struct ms_http_connection *connection, int64_t now_us) {
    const struct ms_http_options *options = &connection->loop->config->options;
    bool queued = ms_http_connection_queued(connection) > 0;
    if (queued && now_us - connection->progress_us > options->write_timeout_ms * 1000) {
        connection->closed = true; /* the peer takes nothing */
    } else if (connection->lingering) {
        int64_t patience_us = connection->loop->stopping ? LINGER_STOPPING_US : LINGER_US;
        connection->closed = now_us - connection->active_us > patience_us;
    } else if (connection->message_us && (connection->reading || connection->starved) &&
               now_us - connection->message_us > options->read_timeout_ms * 1000) {
        if (connection->starved)
            ms_http_intake_abort(connection, 503, "there is no memory for the body right now");
        else
            ms_http_intake_abort(connection, 408, "the request did not arrive completely in time");
        ms_http_loop_mark(connection->loop, connection);
        ms_counter_add(&connection->loop->metrics.connections_timed_out, 1);
    } else if (!connection->message_us && is_idle(connection)) {
        connection->closed = now_us - connection->active_us > options->idle_timeout_ms * 1000;
    }
}

void ms_http_connection_tick(struct ms_http_connection *connection) {
    struct ms_http_loop *loop = connection->loop;
    struct ms_http_request *first = connection->first;
    time_out(connection, loop->now_us);
    if (connection->closed) {
        if (!connection->lingering)
            ms_counter_add(&loop->metrics.connections_timed_out, 1);
        ms_http_connection_close(connection);
        return;
    }
    for (struct ms_http_request *request = first; request; request = request->next)
        ms_http_sync_tick(request);
    if (first && first->streaming)
        ms_http_sse_tick(first);
    else if (first && first->query_run)
        ms_http_query_tick(first);
    else if (first)
        ms_http_longpoll_tick(first);
}
