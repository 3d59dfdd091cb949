/*
 * Kafka clients' speed against a server that speaks Kafka's protocol: what librdkafka's own
 * rdkafka_performance measures, in a program that can be built from Debian's packages.
 *
 *     bench-kafka --brokers HOST:PORT --topic T [options] produce|consume|both|latency|idle
 *
 *   produce  acks=all; the time ends when the last record is acknowledged
 *   consume  from asking for the first record to having the last
 *   both     one producer and one consumer at once; until the last record is read
 *   latency  one producer and one consumer, linger 0; from the time a record is due to the call
 *            that returns it
 *   idle     opens connections that say who they are and then nothing more
 *
 *   --records N      default 1,000,000      --size BYTES       of a value, default 300
 *   --partitions N   records go to all of them in turns, or are read from all; default 1
 *   --run N          records that go to a partition before its turn ends, default 1,000
 *   --first N        the first of the partitions, default 0
 *   --linger MS      default 5              --compression C    default none
 *   --rate N         latency: records a second, default 5,000
 *   --connections N  idle: default 1,000
 *   --server-pid PID also prints what the server used
 *   --config TEXT    how the measurement is called; --set NAME=VALUE any librdkafka setting
 *
 * Prints one line of JSON, see measure.h.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define QUEUE_MESSAGES "1000000"
#define QUEUE_KBYTES "1048576"
#define SETTINGS_MAX 16
#define CONSUME_BATCH 1000
#define POLL_RECORDS 1000
#define CONSUME_TIMEOUT_MS 10000

struct options {
    const char *brokers, *topic, *compression, *linger, *config;
    const char *settings[SETTINGS_MAX];
    size_t setting_count;
    long records, size, partitions, run, first, rate, connections;
    int server_pid;
};

_Noreturn static void fail(const char *what, const char *why) {
    fprintf(stderr, "bench-kafka: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        fail(name, why);
}

static void set_extras(rd_kafka_conf_t *conf, const struct options *options) {
    for (size_t i = 0; i < options->setting_count; i++) {
        char name[128];
        const char *equals = strchr(options->settings[i], '=');
        if (!equals || (size_t)(equals - options->settings[i]) >= sizeof name)
            fail(options->settings[i], "expected NAME=VALUE");
        memcpy(name, options->settings[i], (size_t)(equals - options->settings[i]));
        name[equals - options->settings[i]] = 0;
        set(conf, name, equals + 1);
    }
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                          const struct options *options) {
    char why[512];
    set(conf, "bootstrap.servers", options->brokers);
    set_extras(conf, options);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        fail("client", why);
    return rk;
}

/* What a measurement took, of the time and of the server. */
struct window {
    uint64_t began_ns, ended_ns;
    double cpu_s;
};

static void begin(struct window *w, const struct options *options) {
    w->cpu_s = options->server_pid ? bench_cpu_s(options->server_pid) : 0;
    w->began_ns = bench_now_ns();
}

static void end(struct window *w, const struct options *options) {
    w->ended_ns = bench_now_ns();
    w->cpu_s = options->server_pid ? bench_cpu_s(options->server_pid) - w->cpu_s : -1;
}

static void print(const struct options *options, const char *workload, const char *what,
                  const struct window *w, struct bench_samples *samples) {
    char config[200], more[64];
    double secs = (double)(w->ended_ns - w->began_ns) / 1e9;
    snprintf(config, sizeof config, "%s%s%s", what, options->config ? ", " : "",
             options->config ? options->config : "");
    snprintf(more, sizeof more, "\"mb_per_s\":%.1f",
             (double)options->records * (double)options->size / secs / 1e6);
    bench_print(&(struct bench_result){
        .workload = workload,
        .peer = "mainstem kafka",
        .config = config,
        .events = (uint64_t)options->records,
        .secs = secs,
        .cpu_s = w->cpu_s,
        .memory_mb = options->server_pid ? bench_rss_anon_mb(options->server_pid) : -1,
        .disk_per_event = -1,
        .samples = samples,
        .more = more,
    });
}

/* ---- produce ---- */

static long delivered, refused;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    if (message->err && refused++ == 0)
        fprintf(stderr, "bench-kafka: not delivered: %s\n", rd_kafka_err2str(message->err));
    delivered += !message->err;
}

static rd_kafka_t *producer(const struct options *options, const char *linger) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "linger.ms", linger);
    set(conf, "acks", "all");
    set(conf, "queue.buffering.max.messages", QUEUE_MESSAGES);
    set(conf, "queue.buffering.max.kbytes", QUEUE_KBYTES);
    set(conf, "compression.codec", options->compression);
    set(conf, "socket.nagle.disable", "true"); /* as newer versions do by themselves */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return client(RD_KAFKA_PRODUCER, conf, options);
}

static void put(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition, void *value,
                size_t len) {
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, len, NULL, 0, NULL) !=
           0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
}

static void wait_for_metadata(rd_kafka_t *rk, rd_kafka_topic_t *topic) {
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(rk, 0, topic, &metadata, 10000) != 0)
        fail("metadata", "no answer");
    rd_kafka_metadata_destroy(metadata);
}

static void put_all(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *options) {
    char *value = malloc((size_t)options->size);
    for (long i = 0; i < options->size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    for (long i = 0; i < options->records; i++) {
        long partition = options->first + i / options->run % options->partitions;
        put(rk, topic, (int32_t)partition, value, (size_t)options->size);
        if (i % POLL_RECORDS == 0)
            rd_kafka_poll(rk, 0);
    }
    while (delivered + refused < options->records)
        rd_kafka_poll(rk, 100);
    if (refused > 0)
        fail("produce", "records were refused");
    free(value);
}

static void produce(struct options *options) {
    rd_kafka_t *rk = producer(options, options->linger);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    struct window w;
    wait_for_metadata(rk, topic);
    begin(&w, options);
    put_all(rk, topic, options);
    end(&w, options);
    print(options, "W2", "produce", &w, NULL);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- consume ---- */

static rd_kafka_t *consumer(const struct options *options) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "fetch.wait.max.ms", "100");
    set(conf, "queued.min.messages", "1000000"); /* above it librdkafka pauses for a second */
    return client(RD_KAFKA_CONSUMER, conf, options);
}

/* Takes all records of the partitions from the first one on. */
static void take_all(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *options,
                     struct window *w) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    for (long p = options->first; p < options->first + options->partitions; p++)
        if (rd_kafka_consume_start_queue(topic, (int32_t)p, 0, queue) != 0)
            fail("consume", rd_kafka_err2str(rd_kafka_last_error()));
    static rd_kafka_message_t *messages[CONSUME_BATCH];
    for (long records = 0; records < options->records;) {
        ssize_t count =
            rd_kafka_consume_batch_queue(queue, CONSUME_TIMEOUT_MS, messages, CONSUME_BATCH);
        if (count <= 0)
            fail("consume", "nothing came for 10 s");
        for (ssize_t i = 0; i < count; i++) {
            if (messages[i]->err && messages[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
                fail("consume", rd_kafka_message_errstr(messages[i]));
            records += !messages[i]->err;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    end(w, options);
    for (long p = options->first; p < options->first + options->partitions; p++)
        rd_kafka_consume_stop(topic, (int32_t)p);
    rd_kafka_queue_destroy(queue);
}

static void consume(struct options *options) {
    rd_kafka_t *rk = consumer(options);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    struct window w;
    wait_for_metadata(rk, topic);
    begin(&w, options);
    take_all(rk, topic, options, &w);
    print(options, "W3", "consume", &w, NULL);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- both at once ---- */

static void *produce_beside(void *context) {
    const struct options *options = context;
    rd_kafka_t *rk = producer(options, options->linger);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    wait_for_metadata(rk, topic);
    put_all(rk, topic, options);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return NULL;
}

static void both(struct options *options) {
    pthread_t thread;
    struct window w;
    rd_kafka_t *rk = consumer(options);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    wait_for_metadata(rk, topic);
    begin(&w, options);
    if (pthread_create(&thread, NULL, produce_beside, options) != 0)
        fail("thread", "can't be started");
    take_all(rk, topic, options, &w);
    pthread_join(thread, NULL);
    print(options, "W2", "produce and consume at once", &w, NULL);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- latency ---- */

struct receiving {
    const struct options *options;
    struct bench_samples samples;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool is_ready;
};

static void say_ready(struct receiving *r) {
    pthread_mutex_lock(&r->lock);
    r->is_ready = true;
    pthread_cond_signal(&r->ready);
    pthread_mutex_unlock(&r->lock);
}

static void *receive(void *context) {
    struct receiving *r = context;
    rd_kafka_t *rk = consumer(r->options);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, r->options->topic, NULL);
    if (rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_END) != 0)
        fail("consume", rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_message_t *message = rd_kafka_consume(topic, 0, 1000); /* it has found the end then */
    if (message)
        rd_kafka_message_destroy(message);
    say_ready(r);
    for (long received = 0; received < r->options->records;) {
        message = rd_kafka_consume(topic, 0, CONSUME_TIMEOUT_MS);
        uint64_t now = bench_now_ns(), due;
        if (!message)
            fail("consume", "nothing came for 10 s");
        if (message->err == 0) {
            memcpy(&due, message->payload, sizeof due);
            if (received++ >= r->options->rate) /* the first second warms up */
                bench_samples_add(&r->samples, now - due);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return NULL;
}

static void *poll_producer(void *context) {
    rd_kafka_t *rk = context;
    for (;;)
        rd_kafka_poll(rk, 1000);
    return NULL;
}

static void put_at_rate(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *options) {
    char *value = calloc(1, (size_t)options->size);
    uint64_t began = bench_now_ns();
    prctl(PR_SET_TIMERSLACK, 1);
    for (long i = 0; i < options->records; i++) {
        uint64_t due = began + (uint64_t)i * 1000000000u / (uint64_t)options->rate;
        struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        memcpy(value, &due, sizeof due);
        put(rk, topic, 0, value, (size_t)options->size);
    }
    free(value);
}

static void latency(struct options *options) {
    struct receiving r = {
        .options = options,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .ready = PTHREAD_COND_INITIALIZER,
    };
    pthread_t thread, poller;
    struct window w;
    rd_kafka_t *rk = producer(options, "0");
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    wait_for_metadata(rk, topic);
    pthread_create(&poller, NULL, poll_producer, rk);
    pthread_create(&thread, NULL, receive, &r);
    pthread_mutex_lock(&r.lock);
    while (!r.is_ready)
        pthread_cond_wait(&r.ready, &r.lock);
    pthread_mutex_unlock(&r.lock);
    begin(&w, options);
    put_at_rate(rk, topic, options);
    pthread_join(thread, NULL);
    end(&w, options);
    print(options, "W4", "produce to consume, linger 0", &w, &r.samples);
    bench_samples_free(&r.samples);
}

/* ---- idle connections ---- */

static struct sockaddr_in address(const char *broker) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(broker, ':');
    if (!colon || (size_t)(colon - broker) >= sizeof host)
        fail(broker, "expected IP:PORT");
    memcpy(host, broker, (size_t)(colon - broker));
    host[colon - broker] = 0;
    to.sin_port = htons((uint16_t)bench_number("the port", colon + 1));
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        fail(broker, "expected an address of IPv4");
    return to;
}

/* Asks for the versions (api 18, version 0) and reads the answer, as each client does at first. */
static int greet(const struct sockaddr_in *to) {
    static const uint8_t request[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff};
    uint8_t answer[4096];
    uint32_t len;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
        fail("connect", "refused");
    if (send(fd, request, sizeof request, 0) != sizeof request ||
        recv(fd, &len, 4, MSG_WAITALL) != 4)
        fail("ApiVersions", "no answer");
    len = ntohl(len);
    if (len > sizeof answer || recv(fd, answer, len, MSG_WAITALL) != (ssize_t)len)
        fail("ApiVersions", "a strange answer");
    return fd;
}

static void idle(struct options *options) {
    struct sockaddr_in to = address(options->brokers);
    int *fds = calloc((size_t)options->connections, sizeof *fds);
    char config[100];
    struct window w;
    double before = bench_rss_anon_mb(options->server_pid);
    begin(&w, options);
    for (long i = 0; i < options->connections; i++)
        fds[i] = greet(&to);
    end(&w, options);
    double after = bench_rss_anon_mb(options->server_pid);
    snprintf(config, sizeof config, "%ld idle connections: server %.1f MB before, %.1f MB then",
             options->connections, before, after);
    bench_print(&(struct bench_result){.workload = "idle",
                                       .peer = "mainstem kafka",
                                       .config = config,
                                       .events = (uint64_t)options->connections,
                                       .secs = (double)(w.ended_ns - w.began_ns) / 1e9,
                                       .cpu_s = w.cpu_s,
                                       .memory_mb = after,
                                       .disk_per_event = -1});
    for (long i = 0; i < options->connections; i++)
        close(fds[i]);
    free(fds);
}

/* ---- the command ---- */

enum {
    RECORDS = 256,
    SIZE,
    PARTITIONS,
    RUN,
    FIRST,
    RATE,
    CONNECTIONS,
    SERVER_PID,
    LINGER,
    COMPRESSION,
    BROKERS,
    TOPIC,
    CONFIG,
    SET
};

static void take_option(struct options *o, int option) {
    long *numbers[] = {&o->records, &o->size, &o->partitions, &o->run,
                       &o->first,   &o->rate, &o->connections};
    if (option >= RECORDS && option <= CONNECTIONS)
        *numbers[option - RECORDS] = (long)bench_number("this option", optarg);
    else if (option == SERVER_PID)
        o->server_pid = (int)bench_number("--server-pid", optarg);
    else if (option == LINGER)
        o->linger = optarg;
    else if (option == COMPRESSION)
        o->compression = optarg;
    else if (option == BROKERS)
        o->brokers = optarg;
    else if (option == TOPIC)
        o->topic = optarg;
    else if (option == CONFIG)
        o->config = optarg;
    else if (option == SET && o->setting_count < SETTINGS_MAX)
        o->settings[o->setting_count++] = optarg;
    else
        exit(2);
}

static void usage(void) {
    fail("usage", "bench-kafka --brokers HOST:PORT --topic T [options] "
                  "produce|consume|both|latency|idle");
}

int main(int argc, char **argv) {
    struct options o = {.compression = "none",
                        .linger = "5",
                        .records = 1000000,
                        .size = 300,
                        .partitions = 1,
                        .run = 1000,
                        .rate = 5000,
                        .connections = 1000};
    static const struct option names[] = {{"records", 1, NULL, RECORDS},
                                          {"size", 1, NULL, SIZE},
                                          {"partitions", 1, NULL, PARTITIONS},
                                          {"run", 1, NULL, RUN},
                                          {"first", 1, NULL, FIRST},
                                          {"rate", 1, NULL, RATE},
                                          {"connections", 1, NULL, CONNECTIONS},
                                          {"server-pid", 1, NULL, SERVER_PID},
                                          {"linger", 1, NULL, LINGER},
                                          {"compression", 1, NULL, COMPRESSION},
                                          {"brokers", 1, NULL, BROKERS},
                                          {"topic", 1, NULL, TOPIC},
                                          {"config", 1, NULL, CONFIG},
                                          {"set", 1, NULL, SET},
                                          {NULL, 0, NULL, 0}};
    static const struct {
        const char *name;
        void (*play)(struct options *options);
    } modes[] = {{"produce", produce},
                 {"consume", consume},
                 {"both", both},
                 {"latency", latency},
                 {"idle", idle}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;)
        take_option(&o, c);
    if (!o.brokers || !o.topic || o.partitions < 1 || o.run < 1 || o.size < 8 || o.rate < 1 ||
        optind + 1 != argc)
        usage();
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[optind], modes[i].name) == 0) {
            modes[i].play(&o);
            return 0;
        }
    }
    usage();
}
