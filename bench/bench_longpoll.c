/*
 * How late long polls are: many Fetch requests over Kafka's protocol that wait for a partition in
 * which nothing happens, each until a random deadline, while a writer may keep the server busy.
 *
 *     bench-longpoll --port N --quiet TOPIC --busy TOPIC [options]
 *
 *   --connections N   each with one fetch at a time, default 500
 *   --seconds N       default 5
 *   --wait-ms N       deadlines are 10 … N ms away, default 500
 *   --writers N       connections that write batches of 10 KB without a pause, default 1; 0: idle
 *
 * Topics with one partition, which are there. Lateness is the time from a deadline, counted from
 * when the request was sent, to when its answer was read; it can't be negative. The last line is
 * "name value" pairs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/endian.h"
#include "measure.h"
#include "wire/batch.h"
#include "wire/kafka/messages.h"

#define FETCH 1
#define FETCH_VERSION 4
#define PRODUCE 0
#define PRODUCE_VERSION 3
#define WAIT_MS_MIN 10
#define RECORD_BYTES 10000
#define ANSWER_BYTES_MAX 4096
#define REQUEST_BYTES_MAX ((size_t)1 << 16)
#define EVENTS_MAX 64

struct options {
    uint16_t port;
    const char *quiet, *busy;
    unsigned connections, writers, wait_ms;
    double secs;
};

struct connection {
    int fd;
    bool writes;
    uint64_t deadline_ns;
    uint8_t answer[ANSWER_BYTES_MAX];
    size_t answer_len;
};

static struct options options = {.connections = 500, .writers = 1, .wait_ms = 500, .secs = 5};
static uint64_t random_state = 1;
static struct bench_samples late;
static uint64_t written, early;

/* ---- requests ---- */

static void send_request(int fd, int16_t key, int16_t version, const void *body) {
    struct ms_arena arena;
    struct ms_kafka_output output = {.arena = &arena};
    struct ms_error err = {0};
    ms_arena_init(&arena, REQUEST_BYTES_MAX);
    ms_buf_init(&output.head, REQUEST_BYTES_MAX);
    if (ms_kafka_encode_request(ms_kafka_api_find(key), version, 1, MS_BYTES_LITERAL("bench"), body,
                                &output, &err) != 0)
        bench_die("a request can't be encoded: %s", err.message);
    if (write(fd, output.head.data, output.head.len) != (ssize_t)output.head.len)
        bench_die("a request can't be sent: %s", strerror(errno));
    ms_buf_deinit(&output.head);
    ms_arena_deinit(&arena);
}

static void send_fetch(struct connection *c) {
    struct ms_kafka_fetch_request_partition partition = ms_kafka_fetch_request_partition_default;
    struct ms_kafka_fetch_request_topic topic = ms_kafka_fetch_request_topic_default;
    struct ms_kafka_fetch_request request = ms_kafka_fetch_request_default;
    partition.partition_max_bytes = 1 << 20;
    topic.topic = ms_bytes_cstr(options.quiet);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.min_bytes = 1;
    request.max_wait_ms =
        (int32_t)(WAIT_MS_MIN + bench_random(&random_state) % (options.wait_ms - WAIT_MS_MIN + 1));
    c->deadline_ns = bench_now_ns() + (uint64_t)request.max_wait_ms * 1000000;
    send_request(c->fd, FETCH, FETCH_VERSION, &request);
}

static void send_produce(struct connection *c) {
    static uint8_t value[RECORD_BYTES];
    static struct ms_buf batch;
    if (batch.len == 0) {
        struct ms_batch_writer writer;
        struct ms_bytes bytes = ms_bytes_of(value, sizeof value);
        ms_buf_init(&batch, REQUEST_BYTES_MAX);
        if (ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1) != 0 ||
            ms_batch_add(&writer, 1, NULL, &bytes, NULL, 0) != 0 || ms_batch_end(&writer) != 0)
            bench_die("no memory for a batch");
    }
    struct ms_kafka_produce_request_partition partition =
        ms_kafka_produce_request_partition_default;
    struct ms_kafka_produce_request_topic topic = ms_kafka_produce_request_topic_default;
    struct ms_kafka_produce_request request = ms_kafka_produce_request_default;
    partition.records.bytes = ms_buf_bytes(&batch);
    topic.name = ms_bytes_cstr(options.busy);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    request.acks = -1;
    request.timeout_ms = 10000;
    send_request(c->fd, PRODUCE, PRODUCE_VERSION, &request);
}

/* ---- connections ---- */

static int connect_to_server(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        bench_die("no connection to port %u: %s", (unsigned)options.port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void open_all(int poller, struct connection *connections, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        c->fd = connect_to_server();
        c->writes = i >= options.connections;
        if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0)
            bench_die("epoll: %s", strerror(errno));
        if (c->writes)
            send_produce(c);
        else
            send_fetch(c);
    }
}

/* A whole answer has come, and the next request goes out. */
static void answered(struct connection *c, uint64_t now_ns) {
    c->answer_len = 0;
    if (c->writes) {
        written++;
        send_produce(c);
        return;
    }
    if (now_ns < c->deadline_ns)
        early++;
    else
        bench_samples_add(&late, now_ns - c->deadline_ns);
    send_fetch(c);
}

static void receive(struct connection *c) {
    ssize_t got = read(c->fd, c->answer + c->answer_len, sizeof c->answer - c->answer_len);
    uint64_t now_ns = bench_now_ns();
    if (got <= 0)
        bench_die("the server has closed a connection");
    c->answer_len += (size_t)got;
    if (c->answer_len >= 4 && c->answer_len >= 4 + ms_get_be32(c->answer))
        answered(c, now_ns);
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double at(double quantile) { /* in milliseconds */
    size_t i = (size_t)((double)(late.count - 1) * quantile);
    return (double)late.at[i] / 1e5;
}

static void run(void) {
    unsigned count = options.connections + options.writers;
    struct connection *connections = calloc(count, sizeof *connections);
    int poller = epoll_create1(0);
    if (!connections || poller < 0)
        bench_die("no memory");
    open_all(poller, connections, count);
    uint64_t end_ns = bench_now_ns() + (uint64_t)(options.secs * 1e9);
    while (bench_now_ns() < end_ns) {
        struct epoll_event events[EVENTS_MAX];
        int ready = epoll_wait(poller, events, EVENTS_MAX, 100);
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    if (late.count == 0)
        bench_die("no fetch has been answered");
    qsort(late.at, late.count, sizeof *late.at, compare);
    printf("connections %u fetches %zu early %llu late_p50_ms %.2f late_p99_ms %.2f "
           "late_max_ms %.2f writes_per_second %.0f\n",
           options.connections, late.count, (unsigned long long)early, at(0.5), at(0.99), at(1),
           (double)written / options.secs);
    for (unsigned i = 0; i < count; i++)
        close(connections[i].fd);
    close(poller);
    free(connections);
    bench_samples_free(&late);
}

/* ---- the command ---- */

int main(int argc, char **argv) {
    enum { PORT, QUIET, BUSY, CONNECTIONS, SECONDS, WAIT_MS, WRITERS };
    static const struct option known[] = {
        {"port", required_argument, NULL, PORT},
        {"quiet", required_argument, NULL, QUIET},
        {"busy", required_argument, NULL, BUSY},
        {"connections", required_argument, NULL, CONNECTIONS},
        {"seconds", required_argument, NULL, SECONDS},
        {"wait-ms", required_argument, NULL, WAIT_MS},
        {"writers", required_argument, NULL, WRITERS},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == QUIET)
            options.quiet = optarg;
        else if (option == BUSY)
            options.busy = optarg;
        else if (option == PORT)
            options.port = (uint16_t)bench_number("--port", optarg);
        else if (option == CONNECTIONS)
            options.connections = (unsigned)bench_number("--connections", optarg);
        else if (option == SECONDS)
            options.secs = (double)bench_number("--seconds", optarg);
        else if (option == WAIT_MS)
            options.wait_ms = (unsigned)bench_number("--wait-ms", optarg);
        else if (option == WRITERS)
            options.writers = (unsigned)bench_number("--writers", optarg);
        else
            return 2;
    }
    if (!options.quiet || !options.busy || options.port == 0 || options.wait_ms < WAIT_MS_MIN)
        bench_die("--port, --quiet and --busy are needed, and --wait-ms of %d at least",
                  WAIT_MS_MIN);
    run();
    return 0;
}
