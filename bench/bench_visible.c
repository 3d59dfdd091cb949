/*
 * How soon an event that is appended over HTTP is seen in a read model. One thread, plain sockets
 * and epoll, one request in flight per connection.
 *
 *     bench-visible --port N [--mode append|seen|sync] [--rate N] [--connections N] [--secs S]
 *                   [--warm S] [--streams N] [--event-bytes N] [--server-pid N] [--peer NAME]
 *
 *     append   until the append is answered
 *     seen     and then, on the same connection, until a query with the append's position as its
 *              min_position is answered
 *     sync     until the append is answered, for a projection with "-- mode: sync"
 *
 * Events come at a steady rate, whether those before are answered or not (an open loop). Latency
 * counts from when an event was to be sent: if server or client falls behind, what waits pays.
 *
 * The projection is that of bench/sales.sql and must be deployed. Its rows are checked: the answer
 * of a query has at least the orders of its customer that were acknowledged before it was sent.
 * With `sync` one append in 16 is followed by such a query without min_position, in no figure.
 * Prints one line of JSON (measure.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define REQUEST_BYTES 8192
#define RESPONSE_BYTES 8192
#define EVENTS_PER_WAIT 128
#define CONNECTIONS_MAX 1024u
#define SYNC_CHECK_EVERY 16u
#define BODY_BEGIN "{\"event_type\":\"order.placed\",\"data\":"
#define PENDING "\r\nMainstem-Projection-Pending:"

enum mode { MODE_APPEND, MODE_SEEN, MODE_SYNC };
static const char *const mode_names[] = {"append", "seen", "sync"};

enum step { STEP_IDLE, STEP_APPEND, STEP_QUERY, STEP_CHECK };

struct connection {
    int fd;
    enum step step;
    uint64_t number, due_ns; /* of the event */
    uint32_t customer, want; /* orders that it must have at least */
    char request[REQUEST_BYTES];
    size_t request_len;
    char response[RESPONSE_BYTES + 1];
    size_t received;
};

struct bench {
    uint16_t port;
    enum mode mode;
    const char *peer;
    uint64_t rate, connection_count, customers, event_bytes, server_pid;
    double secs, warm;
    struct connection *connections;
    struct connection **idle;
    size_t idle_count;
    uint32_t *acknowledged; /* orders of each customer */
    struct bench_payloads payloads;
    struct bench_samples samples;
    uint64_t begin_ns, first, end; /* numbers of the events that count */
    uint64_t next, done, pending;
    int epoll;
};

static uint64_t due_ns(const struct bench *bench, uint64_t number) {
    return bench->begin_ns + number * UINT64_C(1000000000) / bench->rate;
}

/* ---- requests ---- */

static void send_request(struct connection *connection, enum step step) {
    connection->step = step;
    connection->received = 0;
    ssize_t sent = send(connection->fd, connection->request, connection->request_len, MSG_NOSIGNAL);
    if (sent != (ssize_t)connection->request_len)
        bench_die("a request of %zu bytes can't be sent: %s", connection->request_len,
                  strerror(errno));
}

static void send_append(struct bench *bench, struct connection *connection) {
    size_t body = sizeof BODY_BEGIN - 1 + bench->payloads.size + 1;
    connection->number = bench->next++;
    connection->due_ns = due_ns(bench, connection->number);
    connection->customer = (uint32_t)(connection->number * 7919 % bench->customers);
    int head = snprintf(connection->request, REQUEST_BYTES,
                        "POST /v1/streams/order-%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" BODY_BEGIN,
                        connection->customer, bench->port, body);
    size_t at = (size_t)head;
    if (at + bench->payloads.size + 1 > REQUEST_BYTES)
        bench_die("events are too large for this client");
    memcpy(connection->request + at, bench_payload(&bench->payloads), bench->payloads.size);
    at += bench->payloads.size;
    connection->request[at++] = '}';
    connection->request_len = at;
    send_request(connection, STEP_APPEND);
}

/* `position` < 0: as things are. */
static void send_query(struct bench *bench, struct connection *connection, long long position) {
    char wait[64] = "";
    if (position >= 0)
        snprintf(wait, sizeof wait, "&min_position=%lld", position);
    connection->want = bench->acknowledged[connection->customer];
    connection->request_len = (size_t)snprintf(
        connection->request, REQUEST_BYTES,
        "GET /v1/queries/sales/orders_of?customer=%u%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n",
        connection->customer, wait, bench->port);
    send_request(connection, position >= 0 ? STEP_QUERY : STEP_CHECK);
}

/* ---- answers ---- */

/* The number behind `name` in an answer; dies when it is not there. */
static long long number_behind(const struct connection *connection, const char *name) {
    const char *at = strstr(connection->response, name);
    if (at == NULL)
        bench_die("no %s in: %.600s", name, connection->response);
    return strtoll(at + strlen(name), NULL, 10);
}

/* The status of an answer; 0: it is not whole yet. */
static int status_of(struct connection *connection) {
    connection->response[connection->received] = 0;
    const char *end = strstr(connection->response, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t whole = (size_t)(end - connection->response) + 4 +
                   (size_t)number_behind(connection, "\r\nContent-Length: ");
    if (connection->received < whole)
        return 0;
    return (int)number_behind(connection, "HTTP/1.1 ");
}

static void finish(struct bench *bench, struct connection *connection) {
    connection->step = STEP_IDLE;
    bench->idle[bench->idle_count++] = connection;
    bench->done++;
}

static void measure(struct bench *bench, const struct connection *connection) {
    if (connection->number >= bench->first)
        bench_samples_add(&bench->samples, bench_now_ns() - connection->due_ns);
}

static void take_append(struct bench *bench, struct connection *connection) {
    bool pending = strstr(connection->response, PENDING) != NULL;
    bench->acknowledged[connection->customer]++;
    bench->pending += pending;
    if (bench->mode == MODE_SEEN) {
        send_query(bench, connection, number_behind(connection, "\"position\":"));
        return;
    }
    measure(bench, connection);
    if (bench->mode == MODE_SYNC && !pending && connection->number % SYNC_CHECK_EVERY == 0)
        send_query(bench, connection, -1);
    else
        finish(bench, connection);
}

static void take_query(struct bench *bench, struct connection *connection) {
    long long orders = number_behind(connection, "\"orders\":");
    if (orders < connection->want)
        bench_die("customer %u has %lld orders, %u were acknowledged", connection->customer, orders,
                  connection->want);
    if (connection->step == STEP_QUERY)
        measure(bench, connection);
    finish(bench, connection);
}

static void receive(struct bench *bench, struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->response + connection->received,
                       RESPONSE_BYTES - connection->received, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        bench_die("the server closed a connection");
    connection->received += (size_t)got;
    int status = status_of(connection);
    if (status == 0)
        return;
    if (status != (connection->step == STEP_APPEND ? 201 : 200))
        bench_die("refused: %.600s", connection->response);
    if (connection->step == STEP_APPEND)
        take_append(bench, connection);
    else
        take_query(bench, connection);
}

/* ---- the run ---- */

static void open_connection(struct bench *bench, struct connection *connection) {
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
    bench->idle[bench->idle_count++] = connection;
}

/* What is due goes out as long as a connection is free. */
static void send_due(struct bench *bench) {
    while (bench->next < bench->end && bench->idle_count > 0 &&
           bench_now_ns() >= due_ns(bench, bench->next))
        send_append(bench, bench->idle[--bench->idle_count]);
}

/* Until something is answered, or the next event is due. */
static void serve_answers(struct bench *bench) {
    struct epoll_event events[EVENTS_PER_WAIT];
    struct timespec wait = {.tv_sec = 1};
    uint64_t now = bench_now_ns(), due = due_ns(bench, bench->next);
    if (bench->next < bench->end && bench->idle_count > 0) {
        uint64_t left = due > now ? due - now : 0;
        wait = (struct timespec){(time_t)(left / 1000000000), (long)(left % 1000000000)};
    }
    int count = epoll_pwait2(bench->epoll, events, EVENTS_PER_WAIT, &wait, NULL);
    for (int i = 0; i < count; i++)
        receive(bench, events[i].data.ptr);
}

static void report(struct bench *bench, double secs, double cpu_s) {
    char workload[16], config[96], more[64];
    int pid = (int)bench->server_pid;
    snprintf(workload, sizeof workload, "%s", mode_names[bench->mode]);
    snprintf(config, sizeof config, "%llu a second, %llu B, %llu rows",
             (unsigned long long)bench->rate, (unsigned long long)bench->event_bytes,
             (unsigned long long)bench->customers);
    snprintf(more, sizeof more, "\"pending\":%llu", (unsigned long long)bench->pending);
    struct bench_result result = {
        .workload = workload,
        .peer = bench->peer,
        .config = config,
        .events = bench->samples.count,
        .secs = secs,
        .cpu_s = pid > 0 ? cpu_s : -1,
        .memory_mb = pid > 0 ? bench_rss_anon_mb(pid) : -1,
        .disk_per_event = -1,
        .samples = &bench->samples,
        .more = more,
    };
    bench_print(&result);
}

static void run(struct bench *bench) {
    int pid = (int)bench->server_pid;
    uint64_t began = 0;
    double cpu_s = 0;
    for (uint64_t i = 0; i < bench->connection_count; i++)
        open_connection(bench, &bench->connections[i]);
    bench->first = (uint64_t)(bench->warm * (double)bench->rate);
    bench->end = bench->first + (uint64_t)(bench->secs * (double)bench->rate);
    bench->begin_ns = bench_now_ns();
    while (bench->done < bench->end) {
        if (began == 0 && bench->next >= bench->first) {
            began = bench_now_ns();
            cpu_s = pid > 0 ? bench_cpu_s(pid) : 0;
        }
        send_due(bench);
        serve_answers(bench);
    }
    report(bench, (double)(bench_now_ns() - began) / 1e9, pid > 0 ? bench_cpu_s(pid) - cpu_s : -1);
}

/* ---- options ---- */

static enum mode mode_of(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof mode_names / sizeof *mode_names; i++)
        if (strcmp(name, mode_names[i]) == 0)
            return (enum mode)i;
    bench_die("--mode is append, seen or sync");
}

static void take_option(struct bench *bench, const char *option, const char *text) {
    if (strcmp(option, "--mode") == 0) {
        bench->mode = mode_of(text);
        return;
    }
    if (strcmp(option, "--peer") == 0 && text != NULL) {
        bench->peer = text;
        return;
    }
    uint64_t value = bench_number(option, text);
    if (strcmp(option, "--port") == 0)
        bench->port = (uint16_t)value;
    else if (strcmp(option, "--rate") == 0)
        bench->rate = value;
    else if (strcmp(option, "--connections") == 0)
        bench->connection_count = value;
    else if (strcmp(option, "--secs") == 0)
        bench->secs = (double)value;
    else if (strcmp(option, "--warm") == 0)
        bench->warm = (double)value;
    else if (strcmp(option, "--streams") == 0)
        bench->customers = value;
    else if (strcmp(option, "--event-bytes") == 0)
        bench->event_bytes = value;
    else if (strcmp(option, "--server-pid") == 0)
        bench->server_pid = value;
    else
        bench_die("bench-visible: unknown option %s", option);
}

int main(int argc, char **argv) {
    struct bench bench = {.peer = "mainstem",
                          .rate = 2000,
                          .connection_count = 128,
                          .secs = 5,
                          .warm = 1,
                          .customers = 20000,
                          .event_bytes = 300};
    for (int i = 1; i < argc; i += 2)
        take_option(&bench, argv[i], argv[i + 1]);
    if (bench.port == 0 || bench.rate == 0 || bench.customers == 0 || bench.secs < 1 ||
        bench.connection_count == 0 || bench.connection_count > CONNECTIONS_MAX)
        bench_die("usage: bench-visible --port N [--mode append|seen|sync] [--rate N] …");
    bench.connections = calloc(bench.connection_count, sizeof *bench.connections);
    bench.idle = calloc(bench.connection_count, sizeof *bench.idle);
    bench.acknowledged = calloc(bench.customers, sizeof *bench.acknowledged);
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bench.connections == NULL || bench.idle == NULL || bench.acknowledged == NULL ||
        bench.epoll < 0)
        bench_die("no memory");
    bench_payloads_init(&bench.payloads, (size_t)bench.event_bytes, 1u << 15);
    run(&bench);
    for (uint64_t i = 0; i < bench.connection_count; i++)
        close(bench.connections[i].fd);
    close(bench.epoll);
    free(bench.connections);
    free(bench.idle);
    free(bench.acknowledged);
    bench_payloads_free(&bench.payloads);
    bench_samples_free(&bench.samples);
    return 0;
}
