/* A server on a store in memory, and a client that sends bytes and reads answers. */
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "face/http/http.h"
#include "http_cmocka.h"
#include "os/vfs_sim.h"

#define WAIT_MS 10000
#define HOST "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

struct server {
    struct ms_vfs_sim *sim;
    struct ms_env env;
    struct ms_store_options store_options;
    struct ms_store *store;
    struct ms_http_options options;
    struct ms_http *http;
    unsigned port;
};

/* Before server_start the tests may change both kinds of options. */
static inline void server_init(struct server *server) {
    *server = (struct server){0};
    assert_int_equal(ms_vfs_sim_new(1, &server->sim), 0);
    server->env = *ms_env_system();
    server->env.vfs = ms_vfs_sim_vfs(server->sim);
    ms_store_options_init(&server->store_options);
    server->store_options.env = &server->env;
    server->store_options.dir = "data";
    server->store_options.segment_bytes = 16 * 1024 * 1024;
    server->store_options.index_in_memory = true;
    ms_http_options_init(&server->options);
    server->options.env = &server->env;
    server->options.listen = "127.0.0.1:0";
    server->options.threads = 2;
}

/* On a store that is open. */
static inline void server_serve(struct server *server) {
    struct ms_error err = {0};
    if (ms_http_start(server->store, &server->options, &server->http, &err) != 0)
        fail_msg("%s", err.message);
    char address[MS_HTTP_ADDRESS_MAX];
    ms_http_address(server->http, address);
    uint64_t port;
    assert_int_equal(ms_parse_u64(ms_bytes_cstr(strrchr(address, ':') + 1), &port), 0);
    server->port = (unsigned)port;
}

static inline void server_start(struct server *server) {
    struct ms_error err = {0};
    if (ms_store_open(&server->store_options, &server->store, &err) != 0)
        fail_msg("%s", err.message);
    server_serve(server);
}

static inline void server_stop(struct server *server) {
    struct ms_error err = {0};
    ms_http_stop(server->http, 2000);
    assert_int_equal(ms_store_close(server->store, &err), 0);
    ms_vfs_sim_free(server->sim);
}

/* Adds up all samples of a metric. */
static inline double server_metric(struct server *server, const char *name) {
    struct ms_buf out;
    ms_buf_init(&out, 4 * 1024 * 1024);
    assert_int_equal(ms_http_metrics(server->http, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    double sum = 0;
    size_t len = strlen(name);
    for (const char *at = strstr((char *)out.data, name); at; at = strstr(at + 1, name)) {
        const char *end = strchr(at, '\n');
        bool sample = at == (char *)out.data || at[-1] == '\n';
        if (sample && (at[len] == ' ' || at[len] == '{')) {
            const char *space = end;
            while (*space != ' ')
                space--;
            sum += strtod(space, NULL);
        }
    }
    ms_buf_deinit(&out);
    return sum;
}

/* Waits until the metric has this value. */
static inline void server_await(struct server *server, const char *name, double value) {
    double now = server_metric(server, name);
    for (int i = 0; i < WAIT_MS && now != value; i++) {
        ms_clock_sleep_us(server->env.clock, 1000);
        now = server_metric(server, name);
    }
    if (now != value)
        fail_msg("%s is %g, expected %g", name, now, value);
}

/* ---- the client ---- */

struct client {
    int fd;
    struct ms_buf in;
    size_t at; /* read so far */
};

static inline struct client client_open(const struct server *server) {
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    ms_buf_init(&client.in, 256 * 1024 * 1024);
    return client;
}

static inline void client_close(struct client *client) {
    close(client->fd);
    ms_buf_deinit(&client->in);
}

static inline void client_send_bytes(struct client *client, const void *data, size_t len) {
    while (len) {
        ssize_t sent = send(client->fd, data, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        data = (const char *)data + sent;
        len -= (size_t)sent;
    }
}

static inline void client_send(struct client *client, const char *text) {
    client_send_bytes(client, text, strlen(text));
}

/* Receives once; false at the end of the connection. */
static inline bool client_receive(struct client *client) {
    struct pollfd wanted = {.fd = client->fd, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, WAIT_MS), 1);
    static char piece[65536];
    ssize_t len = recv(client->fd, piece, sizeof piece, 0);
    if (len <= 0)
        return false;
    assert_int_equal(ms_buf_append(&client->in, piece, (size_t)len), 0);
    return true;
}

/* What was received and not looked at yet, terminated. */
static inline const char *client_text(struct client *client) {
    assert_int_equal(ms_buf_append_u8(&client->in, 0), 0);
    client->in.len--;
    return (const char *)client->in.data + client->at;
}

/* Waits until `text` has come and goes behind it; returns what was before and with it. */
static inline const char *client_expect(struct client *client, const char *text) {
    const char *found;
    size_t looked = 0, len = strlen(text); /* what was looked at is not looked at again */
    while (!(found = strstr(client_text(client) + looked, text))) {
        size_t waiting = client->in.len - client->at;
        looked = waiting >= len ? waiting - len + 1 : 0;
        if (!client_receive(client))
            fail_msg("the connection ended before \"%s\": %s", text, client_text(client));
    }
    size_t from = client->at;
    client->at = (size_t)(found - (const char *)client->in.data) + strlen(text);
    return (const char *)client->in.data + from;
}

static inline void client_expect_end(struct client *client) {
    while (client_receive(client))
        continue;
}

struct answer {
    int status;
    const char *head; /* terminated before the empty line; valid until the next answer */
    const char *body; /* terminated */
    size_t body_len;
};

/* The next answer with Content-Length (or none). */
static inline struct answer client_answer(struct client *client) {
    static char head[16384];
    static struct ms_buf body;
    const char *text = client_expect(client, "\r\n\r\n");
    size_t head_len = (size_t)((const char *)client->in.data + client->at - text) - 2;
    assert_true(head_len < sizeof head);
    memcpy(head, text, head_len);
    head[head_len] = '\0';
    const char *length = strstr(head, "Content-Length: ");
    struct answer answer = {.head = head, .body_len = length ? strtoul(length + 16, NULL, 10) : 0};
    answer.status = (int)strtol(head + 9, NULL, 10);
    while (client->in.len - client->at < answer.body_len)
        assert_true(client_receive(client));
    ms_buf_deinit(&body);
    ms_buf_init(&body, 256 * 1024 * 1024);
    if (answer.body_len)
        assert_int_equal(ms_buf_append(&body, client->in.data + client->at, answer.body_len), 0);
    assert_int_equal(ms_buf_append_u8(&body, 0), 0);
    answer.body = (const char *)body.data;
    client->at += answer.body_len;
    return answer;
}

static inline struct answer client_request(struct client *client, const char *text) {
    client_send(client, text);
    return client_answer(client);
}

static inline void assert_has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* Appends one event of `size` bytes of data to a stream. */
static inline void client_send_append(struct client *client, const char *stream, size_t size) {
    char head[512];
    size_t length = size + 36; /* what stands around the data */
    snprintf(head, sizeof head,
             "POST /v1/streams/%s HTTP/1.1\r\n" HOST JSON "Content-Length: %zu\r\n\r\n"
             "{\"event_type\":\"test.made\",\"data\":\"",
             stream, length);
    client_send(client, head);
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'x', size);
    client_send_bytes(client, data, size);
    free(data);
    client_send(client, "\"}");
}
