/*
 * The HTTP face, measured: keep-alive connections that append single events under exact versions.
 * One thread, plain sockets and epoll, one request in flight per connection.
 *
 *     bench-http --port N [--connections N] [--secs S] [--warm S] [--streams N] [--event-bytes N]
 *                [--server-pid N] [--topic T]
 *
 * The streams are those of a topic ("order") and must not be there yet. They are split among the
 * connections (stream % connections), so that no two appends meet; the version expected is the one
 * that the answer before told. Prints one line of JSON (measure.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define REQUEST_BYTES 65536
#define RESPONSE_BYTES 65536
#define EVENTS_PER_WAIT 128
#define BODY_BEGIN "{\"event_type\":\"order.created\",\"data\":"

struct connection {
    int fd;
    uint32_t index, stream;
    uint64_t began_ns;
    char request[REQUEST_BYTES];
    size_t request_len, sent;
    char response[RESPONSE_BYTES + 1];
    size_t received;
};

struct http_bench {
    uint16_t port;
    const char *topic;
    uint64_t connection_count, streams, event_bytes, server_pid;
    double secs, warm;
    struct connection *connections;
    int64_t *versions; /* -1: not there */
    struct bench_payloads payloads;
    struct bench_samples samples;
    uint64_t random, done;
    bool measuring;
    int epoll;
};

/* ---- requests ---- */

static int format_condition(char *out, size_t size, int64_t version) {
    if (version < 0)
        return snprintf(out, size, "If-None-Match: *\r\n");
    return snprintf(out, size, "If-Match: \"%lld\"\r\n", (long long)version);
}

static void make_request(struct http_bench *bench, struct connection *connection) {
    uint64_t per_connection = bench->streams / bench->connection_count;
    uint64_t pick = bench_random(&bench->random) % per_connection;
    char condition[64];
    connection->stream = (uint32_t)(pick * bench->connection_count + connection->index);
    int condition_len =
        format_condition(condition, sizeof condition, bench->versions[connection->stream]);
    size_t body_len = sizeof BODY_BEGIN - 1 + bench->payloads.size + 1;
    int head =
        snprintf(connection->request, REQUEST_BYTES,
                 "POST /v1/streams/%s-%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n%.*s\r\n" BODY_BEGIN,
                 bench->topic, connection->stream, bench->port, body_len, condition_len, condition);
    size_t at = (size_t)head;
    if (at + bench->payloads.size + 1 > REQUEST_BYTES)
        bench_die("events are too large for this client");
    memcpy(connection->request + at, bench_payload(&bench->payloads), bench->payloads.size);
    at += bench->payloads.size;
    connection->request[at++] = '}';
    connection->request_len = at;
    connection->sent = connection->received = 0;
    connection->began_ns = bench_now_ns();
}

static void send_more(struct http_bench *bench, struct connection *connection) {
    while (connection->sent < connection->request_len) {
        ssize_t sent = send(connection->fd, connection->request + connection->sent,
                            connection->request_len - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
            epoll_ctl(bench->epoll, EPOLL_CTL_MOD, connection->fd, &event);
            return;
        }
        if (sent < 0)
            bench_die("sending: %s", strerror(errno));
        connection->sent += (size_t)sent;
    }
}

/* ---- answers ---- */

/* The value of a header, NULL when it is not there. `head` is terminated. */
static const char *find_header(const char *head, const char *name) {
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " ");
    }
    return NULL;
}

/* True when the answer is whole. */
static bool parse_response(struct http_bench *bench, struct connection *connection) {
    char *response = connection->response;
    response[connection->received] = 0;
    char *end = strstr(response, "\r\n\r\n");
    if (end == NULL)
        return false;
    *end = 0;
    const char *length = find_header(response, "content-length");
    const char *etag = find_header(response, "etag");
    size_t body = length != NULL ? (size_t)strtoull(length, NULL, 10) : 0;
    bool created = strncmp(response, "HTTP/1.1 201", 12) == 0;
    if (created && (etag == NULL || etag[0] != '"'))
        bench_die("an answer without ETag");
    long long version = created ? strtoll(etag + 1, NULL, 10) : -1;
    *end = '\r';
    size_t whole = (size_t)(end - response) + 4 + body;
    if (connection->received < whole)
        return false;
    if (!created)
        bench_die("refused: %.600s", response);
    if (connection->received > whole)
        bench_die("more than one answer");
    bench->versions[connection->stream] = version;
    return true;
}

static void receive(struct http_bench *bench, struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->response + connection->received,
                       RESPONSE_BYTES - connection->received, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        bench_die("the server closed a connection");
    connection->received += (size_t)got;
    if (!parse_response(bench, connection))
        return;
    if (bench->measuring) {
        bench_samples_add(&bench->samples, bench_now_ns() - connection->began_ns);
        bench->done++;
    }
    make_request(bench, connection);
    send_more(bench, connection);
}

static void serve_events(struct http_bench *bench) {
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(bench->epoll, events, EVENTS_PER_WAIT, 1000);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
            epoll_ctl(bench->epoll, EPOLL_CTL_MOD, connection->fd, &event);
            send_more(bench, connection);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(bench, connection);
    }
}

/* ---- the run ---- */

static void open_connection(struct http_bench *bench, struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(bench->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        bench_die("connecting to 127.0.0.1:%u: %s", bench->port, strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(bench->epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

static void run(struct http_bench *bench) {
    char config[96];
    for (uint64_t i = 0; i < bench->connection_count; i++) {
        struct connection *connection = &bench->connections[i];
        connection->index = (uint32_t)i;
        open_connection(bench, connection);
        make_request(bench, connection);
        send_more(bench, connection);
    }
    uint64_t warm = bench_now_ns() + (uint64_t)(bench->warm * 1e9);
    while (bench_now_ns() < warm)
        serve_events(bench);
    int pid = (int)bench->server_pid;
    double cpu_s = pid > 0 ? bench_cpu_s(pid) : -1;
    uint64_t began = bench_now_ns(), end = began + (uint64_t)(bench->secs * 1e9);
    bench->measuring = true;
    while (bench_now_ns() < end)
        serve_events(bench);
    snprintf(config, sizeof config, "conditional append, c=%llu keep-alive connections",
             (unsigned long long)bench->connection_count);
    struct bench_result result = {
        .workload = "W1",
        .peer = "mainstem http",
        .config = config,
        .events = bench->done,
        .secs = (double)(bench_now_ns() - began) / 1e9,
        .cpu_s = pid > 0 ? bench_cpu_s(pid) - cpu_s : -1,
        .memory_mb = pid > 0 ? bench_rss_anon_mb(pid) : -1,
        .disk_per_event = -1,
        .samples = &bench->samples,
    };
    bench_print(&result);
}

static void take_option(struct http_bench *bench, const char *option, const char *text) {
    if (strcmp(option, "--topic") == 0 && text != NULL) {
        bench->topic = text;
        return;
    }
    uint64_t value = bench_number(option, text);
    if (strcmp(option, "--port") == 0)
        bench->port = (uint16_t)value;
    else if (strcmp(option, "--connections") == 0)
        bench->connection_count = value;
    else if (strcmp(option, "--secs") == 0)
        bench->secs = (double)value;
    else if (strcmp(option, "--warm") == 0)
        bench->warm = (double)value;
    else if (strcmp(option, "--streams") == 0)
        bench->streams = value;
    else if (strcmp(option, "--event-bytes") == 0)
        bench->event_bytes = value;
    else if (strcmp(option, "--server-pid") == 0)
        bench->server_pid = value;
    else
        bench_die("bench-http: unknown option %s", option);
}

int main(int argc, char **argv) {
    struct http_bench bench = {.topic = "order",
                               .connection_count = 64,
                               .secs = 5,
                               .warm = 1,
                               .streams = 100000,
                               .event_bytes = 300,
                               .random = 42};
    for (int i = 1; i < argc; i += 2)
        take_option(&bench, argv[i], argv[i + 1]);
    if (bench.port == 0 || bench.connection_count == 0 || bench.streams < bench.connection_count)
        bench_die("usage: bench-http --port N [--connections N] [--secs S] [--streams N] …");
    bench.connections = calloc(bench.connection_count, sizeof *bench.connections);
    bench.versions = malloc(bench.streams * sizeof *bench.versions);
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bench.connections == NULL || bench.versions == NULL || bench.epoll < 0)
        bench_die("no memory");
    memset(bench.versions, 0xff, bench.streams * sizeof *bench.versions); /* all -1 */
    bench_payloads_init(&bench.payloads, (size_t)bench.event_bytes, 1u << 15);
    run(&bench);
    for (uint64_t i = 0; i < bench.connection_count; i++)
        close(bench.connections[i].fd);
    close(bench.epoll);
    free(bench.connections);
    free(bench.versions);
    bench_payloads_free(&bench.payloads);
    bench_samples_free(&bench.samples);
    return 0;
}
