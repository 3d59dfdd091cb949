/*
 * A relay between a client of PostgreSQL and its server that breaks a connection at a commit: right
 * before it, so that the server never sees it, or right behind it, so that the client never sees
 * the answer. One thread, for a few connections at once.
 */
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define RELAY_CONNECTIONS 16

enum relay_cut { RELAY_CUT_NONE, RELAY_CUT_BEFORE, RELAY_CUT_AFTER };

struct relay {
    pthread_t thread;
    int listener, wake[2];
    int port, server_port;
    atomic_int cut;
    atomic_uint cuts;
    struct {
        int client, server; /* client -1: cut, until the server has ended; both -1: free */
    } connections[RELAY_CONNECTIONS];
};

static inline void relay_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void relay_send(int fd, const char *bytes, ssize_t len) {
    for (ssize_t at = 0, sent; at < len; at += sent)
        if ((sent = send(fd, bytes + at, (size_t)(len - at), MSG_NOSIGNAL)) <= 0)
            return;
}

static inline void relay_accept(struct relay *relay) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)relay->server_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = accept(relay->listener, NULL, NULL), server = socket(AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < RELAY_CONNECTIONS; i++)
        if (relay->connections[i].client < 0 && relay->connections[i].server < 0) {
            if (connect(server, (struct sockaddr *)&address, sizeof address) != 0)
                break;
            relay->connections[i].client = client;
            relay->connections[i].server = server;
            return;
        }
    close(client);
    close(server);
}

/* Statements are sent by their names; the transaction's end is one. */
static inline void relay_from_client(struct relay *relay, size_t i) {
    static const char commit[] = "\0commit\0"; /* in a Bind: an unnamed portal of it */
    static char bytes[1 << 20];
    int *client = &relay->connections[i].client, *server = &relay->connections[i].server;
    ssize_t len = recv(*client, bytes, sizeof bytes, 0);
    int cut = len > 0 && memmem(bytes, (size_t)len, commit, sizeof commit - 1) != NULL
                  ? atomic_exchange(&relay->cut, RELAY_CUT_NONE)
                  : RELAY_CUT_NONE;
    if (cut != RELAY_CUT_NONE)
        atomic_fetch_add(&relay->cuts, 1);
    if (len > 0 && cut != RELAY_CUT_BEFORE)
        relay_send(*server, bytes, len);
    if (len <= 0 || cut != RELAY_CUT_NONE)
        relay_close(client);
    if (len <= 0 || cut == RELAY_CUT_BEFORE)
        relay_close(server);
}

static inline void relay_from_server(struct relay *relay, size_t i) {
    static char bytes[1 << 20];
    int *client = &relay->connections[i].client, *server = &relay->connections[i].server;
    ssize_t len = recv(*server, bytes, sizeof bytes, 0);
    if (len > 0 && *client >= 0)
        relay_send(*client, bytes, len);
    if (len > 0)
        return;
    relay_close(client);
    relay_close(server);
}

static inline void *relay_main(void *context) {
    struct relay *relay = context;
    for (;;) {
        struct pollfd waits[2 + 2 * RELAY_CONNECTIONS] = {
            {.fd = relay->wake[0], .events = POLLIN}, {.fd = relay->listener, .events = POLLIN}};
        for (size_t i = 0; i < RELAY_CONNECTIONS; i++) {
            waits[2 + 2 * i] =
                (struct pollfd){.fd = relay->connections[i].client, .events = POLLIN};
            waits[3 + 2 * i] =
                (struct pollfd){.fd = relay->connections[i].server, .events = POLLIN};
        }
        if (poll(waits, sizeof waits / sizeof *waits, -1) < 0 || waits[0].revents != 0)
            return NULL;
        for (size_t i = 0; i < RELAY_CONNECTIONS; i++) {
            if (waits[2 + 2 * i].revents != 0)
                relay_from_client(relay, i);
            if (waits[3 + 2 * i].revents != 0 && relay->connections[i].server >= 0)
                relay_from_server(relay, i);
        }
        if (waits[1].revents != 0)
            relay_accept(relay);
    }
}

static inline void relay_start(struct relay *relay, int server_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    *relay = (struct relay){.server_port = server_port};
    for (size_t i = 0; i < RELAY_CONNECTIONS; i++)
        relay->connections[i].client = relay->connections[i].server = -1;
    relay->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(relay->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(relay->listener, 16), 0);
    assert_int_equal(getsockname(relay->listener, (struct sockaddr *)&address, &len), 0);
    relay->port = ntohs(address.sin_port);
    assert_int_equal(pipe(relay->wake), 0);
    assert_int_equal(pthread_create(&relay->thread, NULL, relay_main, relay), 0);
}

/* The next commit that comes by. */
static inline void relay_cut_next(struct relay *relay, enum relay_cut cut) {
    atomic_store(&relay->cut, cut);
}

static inline unsigned relay_cuts(struct relay *relay) { return atomic_load(&relay->cuts); }

static inline void relay_stop(struct relay *relay) {
    assert_int_equal(write(relay->wake[1], "x", 1), 1);
    pthread_join(relay->thread, NULL);
    for (size_t i = 0; i < RELAY_CONNECTIONS; i++) {
        relay_close(&relay->connections[i].client);
        relay_close(&relay->connections[i].server);
    }
    relay_close(&relay->listener);
    relay_close(&relay->wake[0]);
    relay_close(&relay->wake[1]);
}
