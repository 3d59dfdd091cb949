/*
 * From bytes to requests that have begun: framing, memory for what is received, headers, bodies.
 *
 *   frame   size int32, then `size` bytes: header and body
 *
 * Memory for requests is one half of inflight_bytes_max. A request that finds it used up waits,
 * unread, and is tried again some milliseconds later. Many large ones could each hold a part and
 * wait for each other for ever; so one request at a time has the favour of going beyond: it gets
 * on, is answered and gives back what it holds. A peer that sends nothing for some seconds loses
 * it.
 *
 * What is no valid request closes the connection, once the answers before it have left.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/endian.h"
#include "face/kafka/connection.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"

#define SIZE_BYTES 4u
/* Up to here a request is copied into its own memory, half of which it leaves to the body. */
#define SMALL_FRAME_BYTES (MS_KAFKA_REQUEST_MEMORY / 2)
/* A buffer of a connection that grew beyond this is given back once it is empty. */
#define KEPT_BUFFER_BYTES ((size_t)1024)
/* What one turn receives of one large request. */
#define RECEIVE_BYTES_MAX ((size_t)1024 * 1024)
#define FAVOUR_IDLE_US 5000000

static struct ms_kafka *kafka_of(const struct ms_kafka_connection *connection) {
    return connection->loop->kafka;
}

/* ---- memory ---- */

static size_t requests_max(const struct ms_kafka_connection *connection) {
    return connection->loop->config->options.inflight_bytes_max / 2;
}

static void starve(struct ms_kafka_connection *connection) {
    connection->starved = true;
    ms_counter_add(&connection->loop->metrics.starved, 1);
    ms_kafka_loop_retry_later(connection->loop, connection);
}

/* Charges what a request needs; false: it has to wait. */
static bool charge(struct ms_kafka_connection *connection, size_t *charged, size_t wanted,
                   bool *favoured) {
    struct ms_kafka *kafka = kafka_of(connection);
    if (ms_net_share_raise(&kafka->requests, charged, wanted, requests_max(connection)))
        return true;
    bool taken = false;
    if (!*favoured)
        *favoured = atomic_compare_exchange_strong_explicit(
            &kafka->favour, &taken, true, memory_order_acquire, memory_order_relaxed);
    if (*favoured)
        ms_net_share_set(&kafka->requests, charged, wanted);
    else
        starve(connection);
    return *favoured;
}

static void give_favour_back(struct ms_kafka_connection *connection) {
    if (connection->frame.favoured)
        atomic_store_explicit(&kafka_of(connection)->favour, false, memory_order_release);
    connection->frame.favoured = false;
}

void ms_kafka_intake_tick(struct ms_kafka_connection *connection) {
    if (connection->loop->now_us - connection->active_us > FAVOUR_IDLE_US)
        give_favour_back(connection);
}

static void charge_pending(struct ms_kafka_connection *connection) {
    ms_net_share_set(&kafka_of(connection)->requests, &connection->pending_charged,
                     connection->pending.len);
}

void ms_kafka_intake_release(struct ms_kafka_connection *connection) {
    struct ms_kafka_frame *frame = &connection->frame;
    give_favour_back(connection);
    ms_blob_unref(frame->blob);
    ms_net_share_set(&kafka_of(connection)->requests, &frame->charged, 0);
    *frame = (struct ms_kafka_frame){0};
    ms_buf_deinit(&connection->pending);
    charge_pending(connection);
}

/* ---- what is no valid request ---- */

/* Stands in the FIFO, so that what was asked before is still answered. */
static void refuse(struct ms_kafka_request *request, const char *what) {
    struct ms_kafka_connection *connection = request->connection;
    ms_counter_add(&connection->loop->metrics.protocol_errors, 1);
    ms_kafka_loop_warn(connection->loop, "kafka: closing the connection of %s: %s",
                       connection->peer, what);
    request->state = MS_KAFKA_ANSWERED;
    request->closes = true;
    ms_kafka_connection_finish(connection);
}

static void refuse_size(struct ms_kafka_connection *connection, int32_t size) {
    struct ms_kafka_request *request = ms_kafka_request_new(connection);
    if (!request) {
        ms_kafka_connection_drop(connection);
        return;
    }
    char what[128];
    snprintf(what, sizeof what, "a request of %d bytes was announced, %u to %zu are possible", size,
             MS_KAFKA_REQUEST_HEADER_MIN, connection->loop->config->options.request_bytes_max);
    refuse(request, what);
}

/* ---- beginning ---- */

static bool decode(struct ms_kafka_request *request, struct ms_error *err) {
    void *body = NULL;
    if (ms_kafka_decode(request->api->request, request->version, request->rest, &request->arena,
                        &body, err) != 0)
        return false;
    request->body = body;
    /* What the body takes beyond the frame is there now, whatever the whole is. */
    ms_net_share_set(&kafka_of(request->connection)->requests, &request->charged,
                     request->charged + request->arena.used);
    return true;
}

static void begin(struct ms_kafka_request *request) {
    struct ms_kafka_connection *connection = request->connection;
    struct ms_error err = {0};
    if (request->rest.data && !decode(request, &err)) {
        char what[MS_ERROR_TEXT_MAX];
        snprintf(what, sizeof what, "%s in version %d: %.400s", request->api->name,
                 request->version, err.message);
        refuse(request, what);
        return;
    }
    request->state = MS_KAFKA_OPEN;
    connection->working++;
    connection->barrier = (request->handler->flags & MS_KAFKA_BARRIER) != 0;
    request->handler->handle(request);
}

/* A barrier waits for the others, a large answer for memory. */
static bool may_begin(const struct ms_kafka_request *request) {
    struct ms_kafka_connection *connection = request->connection;
    if ((request->handler->flags & MS_KAFKA_BARRIER) && connection->working > 0)
        return false;
    if ((request->handler->flags & MS_KAFKA_LARGE_ANSWER) && ms_kafka_request_room(request) == 0) {
        ms_kafka_loop_retry_later(connection->loop, connection);
        return false;
    }
    return true;
}

/* A request whose frame is complete: its header, its handler, and off it goes when it may. */
static void take(struct ms_kafka_request *request) {
    struct ms_kafka_connection *connection = request->connection;
    struct ms_error err = {0};
    struct ms_kafka_request_header *header = &request->header;
    if (ms_kafka_read_request_header(request->frame, header, &request->rest, &err) != 0) {
        refuse(request, err.message);
        return;
    }
    enum ms_kafka_route route =
        ms_kafka_dispatch_route(&kafka_of(connection)->dispatch, header, connection->authenticated,
                                &request->api, &request->handler, &err);
    request->version = header->version;
    switch (route) {
    case MS_KAFKA_ROUTE_REFUSE:
        refuse(request, err.message);
        return;
    case MS_KAFKA_ROUTE_UNSPOKEN:
        request->version = 0;
        request->rest = (struct ms_bytes){0};
        break;
    case MS_KAFKA_ROUTE_HANDLE:
        break;
    }
    if (may_begin(request))
        begin(request);
    else
        connection->held = request;
}

/* True when further requests may be taken now. */
static bool is_open(const struct ms_kafka_connection *connection) {
    const struct ms_kafka_options *options = &connection->loop->config->options;
    return !connection->input_over && !connection->closed && !connection->held &&
           !connection->barrier && !connection->starved &&
           connection->depth < options->pipeline_max &&
           connection->queued < options->output_bytes_max;
}

/* ---- frames ---- */

/* A frame that was received whole, as a request of its own memory. */
static void take_copy(struct ms_kafka_connection *connection, struct ms_bytes bytes, size_t charged,
                      bool favoured) {
    struct ms_kafka_request *request = ms_kafka_request_new(connection);
    if (!request) {
        ms_net_share_set(&kafka_of(connection)->requests, &charged, 0);
        if (favoured)
            atomic_store_explicit(&kafka_of(connection)->favour, false, memory_order_release);
        ms_kafka_connection_drop(connection);
        return;
    }
    request->charged = charged;
    request->favoured = favoured;
    uint8_t *copy = NULL;
    if (bytes.len <= SMALL_FRAME_BYTES)
        copy = ms_arena_alloc(&request->arena, bytes.len);
    else if (ms_blob_new(bytes.len, &request->blob) == 0)
        copy = request->blob->data;
    if (!copy) {
        ms_kafka_connection_drop(connection);
        return;
    }
    memcpy(copy, bytes.data, bytes.len);
    request->frame = ms_bytes_of(copy, bytes.len);
    take(request);
}

static void take_frame(struct ms_kafka_connection *connection) {
    struct ms_kafka_request *request = ms_kafka_request_new(connection);
    if (!request) {
        ms_kafka_connection_drop(connection);
        return;
    }
    struct ms_kafka_frame *frame = &connection->frame;
    request->blob = frame->blob;
    request->charged = frame->charged;
    request->favoured = frame->favoured;
    request->frame = ms_bytes_of(frame->blob->data, frame->size);
    *frame = (struct ms_kafka_frame){0};
    take(request);
}

/* Room for at least `least` bytes; false: not now, or never (the connection goes then). */
static bool make_room(struct ms_kafka_connection *connection, size_t least) {
    struct ms_kafka_frame *frame = &connection->frame;
    size_t wanted = ms_kafka_frame_wanted(frame);
    if (wanted < least)
        wanted = least;
    if (frame->blob && wanted == frame->blob->size)
        return true;
    if (!charge(connection, &frame->charged, wanted, &frame->favoured))
        return false;
    if (ms_kafka_frame_grow(frame, &connection->loop->kafka->frames, wanted) == 0)
        return true;
    ms_kafka_connection_drop(connection);
    return false;
}

/* The beginning of a frame whose end is still to come. */
static bool begin_frame(struct ms_kafka_connection *connection, size_t size, struct ms_bytes have) {
    struct ms_kafka_frame *frame = &connection->frame;
    frame->size = size;
    if (!make_room(connection, have.len))
        return false;
    memcpy(frame->blob->data, have.data, have.len);
    frame->filled = have.len;
    return true;
}

/* Takes the frames out of `input`, as many as may be taken now. Returns how much was consumed. */
static size_t consume(struct ms_kafka_connection *connection, struct ms_bytes input) {
    size_t max = connection->loop->config->options.request_bytes_max;
    size_t used = 0;
    while (is_open(connection) && input.len - used >= SIZE_BYTES) {
        struct ms_bytes rest =
            ms_bytes_of(input.data + used + SIZE_BYTES, input.len - used - SIZE_BYTES);
        int32_t size = (int32_t)ms_get_be32(input.data + used);
        if (size < (int32_t)MS_KAFKA_REQUEST_HEADER_MIN || (size_t)size > max) {
            refuse_size(connection, size);
            break;
        }
        if (rest.len < (size_t)size) {
            if (begin_frame(connection, (size_t)size, rest))
                used = input.len;
            break;
        }
        size_t charged = 0;
        bool favoured = false;
        if (!charge(connection, &charged, (size_t)size, &favoured))
            break;
        take_copy(connection, ms_bytes_of(rest.data, (size_t)size), charged, favoured);
        used += SIZE_BYTES + (size_t)size;
    }
    return used;
}

static bool consume_pending(struct ms_kafka_connection *connection) {
    struct ms_buf *pending = &connection->pending;
    size_t used = consume(connection, ms_buf_bytes(pending));
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
    charge_pending(connection);
    return used > 0;
}

bool ms_kafka_intake_resume(struct ms_kafka_connection *connection) {
    bool some = false;
    struct ms_kafka_request *held = connection->held;
    if (held && may_begin(held)) {
        connection->held = NULL;
        begin(held);
        some = true;
    }
    if (ms_kafka_frame_whole(&connection->frame) && is_open(connection)) {
        take_frame(connection);
        some = true;
    }
    if (connection->pending.len && !connection->frame.blob && consume_pending(connection))
        some = true;
    return some;
}

/* ---- receiving ---- */

static void received(struct ms_kafka_connection *connection, struct ms_bytes input) {
    if (connection->input_over)
        return;
    if (connection->pending.len == 0) {
        size_t used = consume(connection, input);
        if (connection->input_over)
            return;
        input = ms_bytes_of(input.data + used, input.len - used);
    }
    if (input.len == 0)
        return;
    if (ms_buf_append_bytes(&connection->pending, input) != 0)
        ms_kafka_connection_drop(connection);
    else
        (void)consume_pending(connection);
}

static void receive_into(struct ms_kafka_connection *connection, uint8_t *place, size_t room,
                         bool of_frame) {
    struct ms_kafka_loop *loop = connection->loop;
    ssize_t len = recv(connection->fd, place, room, 0);
    if (len < 0) {
        if (errno != EAGAIN && errno != EINTR)
            ms_kafka_connection_drop(connection);
        return;
    }
    if (len == 0) {
        connection->peer_done = true;
        if (connection->lingering)
            ms_kafka_connection_drop(connection);
        return;
    }
    if (!connection->lingering)
        connection->active_us = loop->now_us;
    ms_counter_add(&loop->metrics.bytes_in, (uint64_t)len);
    if (of_frame)
        connection->frame.filled += (size_t)len;
    else
        received(connection, ms_bytes_of(place, (size_t)len));
}

void ms_kafka_intake_receive(struct ms_kafka_connection *connection) {
    struct ms_kafka_frame *frame = &connection->frame;
    if (frame->blob && !connection->lingering) {
        if (!make_room(connection, 0))
            return;
        size_t room = frame->blob->size - frame->filled;
        if (room > RECEIVE_BYTES_MAX)
            room = RECEIVE_BYTES_MAX;
        receive_into(connection, frame->blob->data + frame->filled, room, true);
        return;
    }
    /* What is not received needs no memory: nobody reads ahead when that is used up. */
    bool favour_taken = atomic_load_explicit(&kafka_of(connection)->favour, memory_order_relaxed);
    if (favour_taken && !connection->lingering &&
        ms_net_share_used(&kafka_of(connection)->requests) >= requests_max(connection)) {
        starve(connection);
        return;
    }
    receive_into(connection, connection->loop->input, MS_KAFKA_INPUT_BYTES, false);
}
