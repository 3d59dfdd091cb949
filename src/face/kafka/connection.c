/* Connections: socket, order of answers, output; see connection.h. What is received: intake.c. */
#include "face/kafka/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"

/* One turn does at most this much for one connection, then the others have theirs. */
#define PUMP_ROUNDS 16
#define PIECES_MAX 64
/* How long a closed-down connection waits for its peer to read the last answer and close. */
#define LINGER_US 2000000
#define LINGER_STOPPING_US 250000

void ms_kafka_connection_drop(struct ms_kafka_connection *connection) {
    connection->closed = true;
    ms_kafka_loop_mark(connection->loop, connection);
}

/* ---- reading ---- */

/* Reads on while there is room, also when nothing can be begun now: that is how a peer that leaves
 * is noticed. */
static void arm_reading(struct ms_kafka_connection *connection) {
    bool room =
        connection->pending.len < MS_KAFKA_INPUT_BYTES && !ms_kafka_frame_whole(&connection->frame);
    bool wanted = !connection->peer_done && !connection->starved &&
                  (connection->lingering || (room && !connection->input_over));
    if (wanted == connection->reading)
        return;
    if (wanted)
        event_add(&connection->read_event, NULL);
    else
        event_del(&connection->read_event);
    connection->reading = wanted;
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_connection *connection = context;
    struct ms_kafka_loop *loop = connection->loop;
    (void)fd;
    (void)what;
    loop->now_us = ms_clock_monotonic_us(loop->kafka->env->clock);
    if (!connection->closed)
        ms_kafka_intake_receive(connection);
    ms_kafka_loop_mark(loop, connection);
}

/* ---- writing ---- */

static void arm_writing(struct ms_kafka_connection *connection, bool wanted) {
    if (wanted == connection->writing)
        return;
    if (wanted)
        event_add(&connection->write_event, NULL);
    else
        event_del(&connection->write_event);
    connection->writing = wanted;
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_connection *connection = context;
    (void)fd;
    (void)what;
    arm_writing(connection, false);
    ms_kafka_loop_mark(connection->loop, connection);
}

/* Our last byte is out: says so, and lets the peer read it before the socket goes (closing with
 * unread input would reset the connection and take the answer with it). */
static void shut_down(struct ms_kafka_connection *connection) {
    connection->lingering = true;
    connection->input_over = true;
    connection->active_us = connection->loop->now_us;
    (void)shutdown(connection->fd, SHUT_WR);
}

static void pop_first(struct ms_kafka_connection *connection) {
    struct ms_kafka_request *request = connection->first;
    bool closes = request->closes;
    connection->first = request->next;
    connection->depth--;
    if (!connection->first)
        connection->last = NULL;
    connection->active_us = connection->loop->now_us;
    ms_kafka_request_free(request);
    if (closes)
        shut_down(connection);
}

/* Takes `len` bytes off the answers, in order. */
static void sent(struct ms_kafka_connection *connection, size_t len) {
    connection->progress_us = connection->loop->now_us;
    connection->queued -= len;
    ms_counter_add(&connection->loop->metrics.bytes_out, len);
    for (struct ms_kafka_request *request = connection->first; len; request = request->next)
        len -= ms_kafka_output_sent(&request->output, &request->sending, len);
}

/* The next pieces of the answers that are complete, without a gap. */
static int gather(const struct ms_kafka_connection *connection, struct iovec *iov) {
    int count = 0;
    for (const struct ms_kafka_request *request = connection->first;
         request && request->state == MS_KAFKA_ANSWERED && count < PIECES_MAX;
         request = request->next) {
        count += ms_kafka_output_pieces(&request->output, &request->sending, iov + count,
                                        PIECES_MAX - count);
        if (request->closes)
            break;
    }
    return count;
}

static bool is_sent(const struct ms_kafka_request *request) {
    struct iovec next;
    return request->state == MS_KAFKA_ANSWERED &&
           ms_kafka_output_pieces(&request->output, &request->sending, &next, 1) == 0;
}

/* Sends what is there until the socket is full; true when a request left. */
static bool flush(struct ms_kafka_connection *connection) {
    bool some = false;
    while (!connection->writing && !connection->lingering && !connection->closed) {
        struct iovec iov[PIECES_MAX];
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = (size_t)gather(connection, iov);
        ssize_t len = message.msg_iovlen ? sendmsg(connection->fd, &message, MSG_NOSIGNAL) : 0;
        if (len > 0)
            sent(connection, (size_t)len);
        else if (len < 0 && errno == EAGAIN)
            arm_writing(connection, true);
        else if (len < 0 && errno != EINTR)
            connection->closed = true;
        while (!connection->lingering && connection->first && is_sent(connection->first)) {
            pop_first(connection);
            some = true;
        }
        if (message.msg_iovlen == 0)
            break;
    }
    return some;
}

void ms_kafka_connection_answered(struct ms_kafka_connection *connection, size_t bytes) {
    MS_ASSERT(connection->working > 0);
    connection->working--;
    if (connection->working == 0)
        connection->barrier = false;
    if (connection->queued == 0)
        connection->progress_us = connection->loop->now_us;
    connection->queued += bytes;
    ms_kafka_loop_mark(connection->loop, connection);
}

/* ---- life ---- */

void ms_kafka_connection_open(struct ms_kafka_loop *loop, int fd, const char *peer) {
    struct ms_kafka_connection *connection = ms_calloc(1, sizeof *connection);
    if (!connection) {
        ms_kafka_loop_warn(loop, "kafka: no memory for a connection");
        evutil_closesocket(fd);
        return;
    }
    int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connection->loop = loop;
    connection->fd = fd;
    connection->authenticated = !loop->config->options.authenticate;
    ms_buf_init(&connection->pending, 2 * MS_KAFKA_INPUT_BYTES);
    memcpy(connection->peer, peer, strlen(peer) + 1);
    connection->active_us = connection->progress_us = loop->now_us;
    event_assign(&connection->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable,
                 connection);
    ms_kafka_loop_adopt(loop, connection);
    atomic_fetch_add_explicit(&loop->kafka->connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->metrics.connections, 1, memory_order_relaxed);
    ms_counter_add(&loop->metrics.connections_opened, 1);
    arm_reading(connection);
}

void ms_kafka_connection_close(struct ms_kafka_connection *connection) {
    struct ms_kafka_loop *loop = connection->loop;
    while (connection->first) {
        struct ms_kafka_request *request = connection->first;
        connection->first = request->next;
        ms_kafka_request_cut_loose(request);
    }
    event_del(&connection->read_event);
    event_del(&connection->write_event);
    evutil_closesocket(connection->fd);
    ms_kafka_intake_release(connection);
    ms_kafka_loop_forget(loop, connection);
    atomic_fetch_sub_explicit(&loop->kafka->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&loop->metrics.connections, 1, memory_order_relaxed);
    ms_free(connection);
}

/* A peer that has sent its last byte still gets the answers that are being made, but nobody waits
 * for records on its behalf. */
static bool is_awaited(const struct ms_kafka_connection *connection) {
    const struct ms_kafka_request *first = connection->first;
    if (connection->held || (first && first->state == MS_KAFKA_ANSWERED))
        return true;
    for (const struct ms_kafka_request *request = first; request; request = request->next)
        if (request->state == MS_KAFKA_WORKING)
            return true;
    return false;
}

static void end_if_over(struct ms_kafka_connection *connection) {
    if (connection->closed || connection->lingering)
        return;
    if (connection->peer_done && !is_awaited(connection))
        connection->closed = true;
    else if (connection->loop->stopping && !connection->first)
        shut_down(connection);
}

void ms_kafka_connection_pump(struct ms_kafka_connection *connection) {
    bool more = true;
    if (!connection->retrying)
        connection->starved = false;
    for (int round = 0; more && round < PUMP_ROUNDS && !connection->closed; round++) {
        more = flush(connection);
        if (!connection->closed && ms_kafka_intake_resume(connection))
            more = true;
    }
    if (more && !connection->closed)
        ms_kafka_loop_mark(connection->loop, connection);
    else
        end_if_over(connection);
    if (connection->closed)
        ms_kafka_connection_close(connection);
    else
        arm_reading(connection);
}

void ms_kafka_connection_finish(struct ms_kafka_connection *connection) {
    connection->input_over = true;
    for (struct ms_kafka_request *request = connection->first; request; request = request->next)
        ms_kafka_request_hurry(request);
    ms_kafka_loop_mark(connection->loop, connection);
}

void ms_kafka_connection_tick(struct ms_kafka_connection *connection) {
    const struct ms_kafka_options *options = &connection->loop->config->options;
    int64_t now_us = connection->loop->now_us;
    int64_t idle_us = now_us - connection->active_us;
    bool timed_out = false;
    if (connection->lingering) {
        int64_t patience_us = connection->loop->stopping ? LINGER_STOPPING_US : LINGER_US;
        connection->closed |= idle_us > patience_us;
    } else if (connection->writing) {
        timed_out = now_us - connection->progress_us > options->write_timeout_ms * 1000;
    } else if (!connection->first) {
        timed_out = idle_us > options->idle_timeout_ms * 1000;
    }
    ms_kafka_intake_tick(connection);
    if (timed_out)
        ms_counter_add(&connection->loop->metrics.connections_timed_out, 1);
    if (timed_out || connection->closed)
        ms_kafka_connection_close(connection);
}

const char *ms_kafka_connection_local(struct ms_kafka_connection *connection) {
    struct ms_net_address address = {.len = sizeof address.storage};
    if (!connection->local[0] &&
        getsockname(connection->fd, (struct sockaddr *)&address.storage, &address.len) == 0)
        ms_net_address_host(&address, connection->local);
    return connection->local;
}
