/* A server of the Kafka face with handlers of the test's own, and a client that sends bytes and
 * receives frames. */
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endian.h"
#include "face/kafka/handlers.h"
#include "face/kafka/kafka.h"
#include "kafka_cmocka.h"
#include "os/env.h"
#include "wire/kafka/messages.h"

#define WAIT_MS 20000
#define B(text) MS_BYTES_LITERAL(text)
#define MIB ((size_t)1024 * 1024)

struct server {
    struct ms_kafka_options options;
    struct ms_store *store; /* NULL: the handlers need none */
    struct ms_kafka *kafka;
    unsigned port;
    pthread_mutex_t mutex; /* of what the loops report */
    unsigned warnings, requests;
    char warning[MS_ERROR_TEXT_MAX];
    int64_t duration_us; /* of the last request */
};

static inline void server_warned(void *context, const char *message) {
    struct server *server = context;
    pthread_mutex_lock(&server->mutex);
    server->warnings++;
    size_t len = strlen(message);
    memcpy(server->warning, message, len + 1);
    pthread_mutex_unlock(&server->mutex);
}

static inline void server_served(void *context, const struct ms_kafka_log_entry *entry) {
    struct server *server = context;
    pthread_mutex_lock(&server->mutex);
    server->requests++;
    server->duration_us = entry->duration_us;
    pthread_mutex_unlock(&server->mutex);
}

/* Before server_start the tests may change the options. */
static inline void server_init(struct server *server, const struct ms_kafka_handler *handlers,
                               size_t count) {
    *server = (struct server){0};
    pthread_mutex_init(&server->mutex, NULL);
    ms_kafka_options_init(&server->options);
    server->options.listen = "127.0.0.1:0";
    server->options.threads = 1;
    server->options.handlers = handlers;
    server->options.handler_count = count;
    server->options.on_warning = server_warned;
    server->options.on_request = server_served;
    server->options.context = server;
}

static inline void server_start_over(struct server *server, struct ms_store *store) {
    struct ms_error err = {0};
    if (ms_kafka_start(store, &server->options, &server->kafka, &err) != 0)
        fail_msg("%s", err.message);
    char address[MS_KAFKA_ADDRESS_MAX];
    ms_kafka_address(server->kafka, address);
    uint64_t port;
    assert_int_equal(ms_parse_u64(ms_bytes_cstr(strrchr(address, ':') + 1), &port), 0);
    server->port = (unsigned)port;
}

static inline void server_start(struct server *server) { server_start_over(server, server->store); }

static inline void server_stop(struct server *server) {
    ms_kafka_stop(server->kafka, 5000);
    pthread_mutex_destroy(&server->mutex);
}

static inline void assert_warned(struct server *server, const char *text) {
    pthread_mutex_lock(&server->mutex);
    bool found = strstr(server->warning, text) != NULL;
    pthread_mutex_unlock(&server->mutex);
    if (!found)
        fail_msg("\"%s\" does not mention \"%s\"", server->warning, text);
}

/* Adds up all samples of a metric. */
static inline double server_metric(struct server *server, const char *name) {
    struct ms_buf out;
    ms_buf_init(&out, 4 * MIB);
    assert_int_equal(ms_kafka_metrics(server->kafka, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    double sum = 0;
    size_t len = strlen(name);
    for (const char *at = strstr((char *)out.data, name); at; at = strstr(at + 1, name)) {
        const char *end = strchr(at, '\n');
        bool sample = at == (char *)out.data || at[-1] == '\n';
        if (sample && (at[len] == ' ' || at[len] == '{')) {
            while (*end != ' ')
                end--;
            sum += strtod(end, NULL);
        }
    }
    ms_buf_deinit(&out);
    return sum;
}

static inline void pause_ms(int ms) { ms_clock_sleep_us(ms_clock_system(), (int64_t)ms * 1000); }
static inline int64_t clock_us(void) { return ms_clock_monotonic_us(ms_clock_system()); }

/* Waits until the metric has this value. */
static inline void server_await(struct server *server, const char *name, double value) {
    double now = server_metric(server, name);
    for (int i = 0; i < WAIT_MS && now != value; i++) {
        pause_ms(1);
        now = server_metric(server, name);
    }
    if (now != value)
        fail_msg("%s is %g, expected %g", name, now, value);
}

/* ---- the client ---- */

/* A connected socket; receive_bytes 0 leaves the system's buffer as it is. */
static inline int client_open_slow(const struct server *server, int receive_bytes) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (receive_bytes)
        assert_int_equal(
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}
static inline int client_open(const struct server *server) { return client_open_slow(server, 0); }

static inline void client_send(int fd, const void *data, size_t len) {
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        data = (const char *)data + sent;
        len -= (size_t)sent;
    }
}

static inline void client_send_buf(int fd, const struct ms_buf *buf) {
    client_send(fd, buf->data, buf->len);
}

/* Receives exactly so much; false at the end of the connection. */
static inline bool client_receive_exactly(int fd, void *place, size_t len) {
    while (len) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wanted, 1, WAIT_MS), 1);
        ssize_t got = recv(fd, place, len, 0);
        if (got <= 0)
            return false;
        place = (char *)place + got;
        len -= (size_t)got;
    }
    return true;
}

/* The bytes behind the frame's size; false at the end of the connection. */
static inline bool client_receive(int fd, struct ms_buf *frame) {
    uint8_t size[4], *place;
    frame->len = 0;
    if (!client_receive_exactly(fd, size, sizeof size))
        return false;
    assert_int_equal(ms_buf_extend(frame, ms_get_be32(size), &place), 0);
    return client_receive_exactly(fd, place, frame->len);
}

static inline void client_expect_end(int fd) {
    char byte;
    assert_false(client_receive_exactly(fd, &byte, 1));
}

/* Appends a request's frame. */
static inline void frame_request(struct ms_buf *out, int16_t key, int16_t version,
                                 int32_t correlation_id, const void *value) {
    struct ms_arena arena;
    ms_arena_init(&arena, MIB);
    struct ms_kafka_output output = {.arena = &arena};
    ms_buf_init(&output.head, 256 * MIB);
    assert_int_equal(ms_kafka_encode_request(ms_kafka_api_find(key), version, correlation_id,
                                             B("test"), value, &output, NULL),
                     0);
    assert_int_equal(ms_buf_append_bytes(out, ms_buf_bytes(&output.head)), 0);
    ms_buf_deinit(&output.head);
    ms_arena_deinit(&arena);
}

/* ---- Heartbeat as a request that says what is to be done with it ---- */

/* `what` is for the test's handler; number comes back as the error code, and the correlation id is
 * the number too. */
static inline void frame_heartbeat(struct ms_buf *out, const char *what, int16_t number) {
    struct ms_kafka_heartbeat_request request = ms_kafka_heartbeat_request_default;
    request.group_id = ms_bytes_cstr(what);
    request.generation_id = number;
    frame_request(out, 12, 0, number, &request);
}

static inline void client_heartbeat(int fd, const char *what, int16_t number) {
    struct ms_buf out;
    ms_buf_init(&out, MIB);
    frame_heartbeat(&out, what, number);
    client_send_buf(fd, &out);
    ms_buf_deinit(&out);
}

static inline void client_expect_heartbeat(int fd, int16_t number) {
    struct ms_buf frame;
    ms_buf_init(&frame, MIB);
    assert_true(client_receive(fd, &frame));
    assert_int_equal(frame.len, 6);
    assert_int_equal(ms_get_be32(frame.data), number);
    assert_int_equal((int16_t)ms_get_be16(frame.data + 4), number);
    ms_buf_deinit(&frame);
}

static inline void client_quiet(int fd, int ms) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, ms), 0);
}
