/*
 * Kafka clients' speed against a server that speaks Kafka's protocol: what librdkafka's own
 * rdkafka_performance measures, in a program that can be built from Debian's packages.
 *
 *     bench-kafka --brokers HOST:PORT --topic T [options] produce|consume|latency
 *
 *   --records N      default 1,000,000      --size BYTES      of a value, default 300
 *   --partitions N   produce: the records go to 0 … N-1 in turns, 1,000 at a time; consume: all of
 *                    them are read; default 1
 *   --linger MS      default 5              --rate N          latency: records a second, 5,000
 *   --compression C  default none           --offset N        consume: from there, default 0
 *   --set NAME=VALUE any librdkafka setting
 *
 * produce: acks=all; the time ends when the last record is acknowledged. consume: the time runs
 * from the first record to the last. latency: one producer and one consumer, linger 0; from the
 * call that produces a record to the call that returns it. The last line is "name value" pairs.
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_RECORDS 1000
#define QUEUE_MESSAGES "1000000"
#define QUEUE_KBYTES "1048576"
#define SETTINGS_MAX 16
#define CONSUME_BATCH 1000
#define CONSUME_TIMEOUT_MS 10000

struct options {
    const char *brokers, *topic, *compression;
    const char *settings[SETTINGS_MAX];
    size_t setting_count;
    long records, size, partitions, rate, offset;
    const char *linger;
};

static int64_t now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void fail(const char *what, const char *why) {
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

static void produce(const struct options *options) {
    rd_kafka_t *rk = producer(options, options->linger);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    char *value = malloc((size_t)options->size);
    for (long i = 0; i < options->size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(rk, 0, topic, &metadata, 10000) != 0)
        fail("metadata", "no answer");
    rd_kafka_metadata_destroy(metadata);
    int64_t started = now_us();
    for (long i = 0; i < options->records; i++) {
        put(rk, topic, (int32_t)(i / RUN_RECORDS % options->partitions), value,
            (size_t)options->size);
        if (i % RUN_RECORDS == 0)
            rd_kafka_poll(rk, 0);
    }
    while (delivered + refused < options->records)
        rd_kafka_poll(rk, 100);
    double seconds = (double)(now_us() - started) / 1e6;
    printf("records %ld refused %ld seconds %.3f records_per_second %.0f mb_per_second %.1f\n",
           delivered, refused, seconds, (double)delivered / seconds,
           (double)delivered * (double)options->size / seconds / 1e6);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(value);
}

/* ---- consume ---- */

static rd_kafka_t *consumer(const struct options *options) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "fetch.wait.max.ms", "100");
    set(conf, "queued.min.messages", "1000000"); /* above it librdkafka pauses for a second */
    return client(RD_KAFKA_CONSUMER, conf, options);
}

static void consume(const struct options *options) {
    rd_kafka_t *rk = consumer(options);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    for (int32_t p = 0; p < options->partitions; p++)
        if (rd_kafka_consume_start_queue(topic, p, options->offset, queue) != 0)
            fail("consume", rd_kafka_err2str(rd_kafka_last_error()));
    static rd_kafka_message_t *messages[CONSUME_BATCH];
    long records = 0;
    size_t bytes = 0;
    int64_t started = 0, last = 0;
    while (records < options->records) {
        ssize_t count =
            rd_kafka_consume_batch_queue(queue, CONSUME_TIMEOUT_MS, messages, CONSUME_BATCH);
        if (count <= 0)
            fail("consume", "nothing came for 10 s");
        last = now_us();
        if (started == 0)
            started = last;
        for (ssize_t i = 0; i < count; i++) {
            if (messages[i]->err == 0) {
                records++;
                bytes += messages[i]->len;
            } else if (messages[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                fail("consume", rd_kafka_message_errstr(messages[i]));
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    double seconds = (double)(last - started) / 1e6;
    printf("records %ld seconds %.3f records_per_second %.0f mb_per_second %.1f\n", records,
           seconds, (double)records / seconds, (double)bytes / seconds / 1e6);
    for (int32_t p = 0; p < options->partitions; p++)
        rd_kafka_consume_stop(topic, p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* ---- latency ---- */

struct receiving {
    const struct options *options;
    int64_t *took_us;
    long received;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool is_ready;
};

static void *receive(void *context) {
    struct receiving *r = context;
    rd_kafka_t *rk = consumer(r->options);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, r->options->topic, NULL);
    if (rd_kafka_consume_start(topic, 0, RD_KAFKA_OFFSET_END) != 0)
        fail("consume", rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_message_t *message = rd_kafka_consume(topic, 0, 1000); /* it has found the end then */
    if (message)
        rd_kafka_message_destroy(message);
    pthread_mutex_lock(&r->lock);
    r->is_ready = true;
    pthread_cond_signal(&r->ready);
    pthread_mutex_unlock(&r->lock);
    while (r->received < r->options->records) {
        message = rd_kafka_consume(topic, 0, CONSUME_TIMEOUT_MS);
        int64_t now = now_us(), sent;
        if (!message)
            fail("consume", "nothing came for 10 s");
        if (message->err == 0) {
            memcpy(&sent, message->payload, sizeof sent);
            r->took_us[r->received++] = now - sent;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return NULL;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void *poll_producer(void *context) {
    rd_kafka_t *rk = context;
    for (;;)
        rd_kafka_poll(rk, 1000);
    return NULL;
}

static void latency(const struct options *options) {
    struct receiving r = {.options = options,
                          .took_us = calloc((size_t)options->records, sizeof(int64_t)),
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .ready = PTHREAD_COND_INITIALIZER};
    pthread_t thread, poller;
    rd_kafka_t *rk = producer(options, "0");
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(rk, 0, topic, &metadata, 10000) != 0)
        fail("metadata", "no answer");
    rd_kafka_metadata_destroy(metadata);
    char *value = calloc(1, (size_t)options->size);
    pthread_create(&poller, NULL, poll_producer, rk);
    pthread_create(&thread, NULL, receive, &r);
    pthread_mutex_lock(&r.lock);
    while (!r.is_ready)
        pthread_cond_wait(&r.ready, &r.lock);
    pthread_mutex_unlock(&r.lock);
    int64_t started = now_us();
    for (long i = 0; i < options->records; i++) {
        int64_t due = started + i * 1000000 / options->rate, now = now_us();
        if (due > now) {
            struct timespec pause = {0, (due - now) * 1000};
            nanosleep(&pause, NULL);
        }
        now = now_us();
        memcpy(value, &now, sizeof now);
        put(rk, topic, 0, value, (size_t)options->size);
    }
    pthread_join(thread, NULL);
    qsort(r.took_us, (size_t)options->records, sizeof(int64_t), compare);
    long n = options->records;
    printf("records %ld p50_us %ld p90_us %ld p99_us %ld p999_us %ld max_us %ld\n", n,
           (long)r.took_us[n / 2], (long)r.took_us[n * 9 / 10], (long)r.took_us[n * 99 / 100],
           (long)r.took_us[n * 999 / 1000], (long)r.took_us[n - 1]);
}

/* ---- the command ---- */

static long number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < 0)
        fail(text, "expected a number");
    return value;
}

int main(int argc, char **argv) {
    struct options o = {.compression = "none",
                        .records = 1000000,
                        .size = 300,
                        .partitions = 1,
                        .rate = 5000,
                        .linger = "5"};
    static const struct option names[] = {{"brokers", 1, NULL, 'b'},
                                          {"topic", 1, NULL, 't'},
                                          {"records", 1, NULL, 'n'},
                                          {"size", 1, NULL, 's'},
                                          {"partitions", 1, NULL, 'p'},
                                          {"linger", 1, NULL, 'l'},
                                          {"rate", 1, NULL, 'r'},
                                          {"compression", 1, NULL, 'z'},
                                          {"offset", 1, NULL, 'o'},
                                          {"set", 1, NULL, 'X'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'b':
            o.brokers = optarg;
            break;
        case 't':
            o.topic = optarg;
            break;
        case 'n':
            o.records = number(optarg);
            break;
        case 's':
            o.size = number(optarg);
            break;
        case 'p':
            o.partitions = number(optarg);
            break;
        case 'l':
            o.linger = optarg;
            break;
        case 'r':
            o.rate = number(optarg);
            break;
        case 'z':
            o.compression = optarg;
            break;
        case 'o':
            o.offset = number(optarg);
            break;
        case 'X':
            if (o.setting_count == SETTINGS_MAX)
                fail(optarg, "too many settings");
            o.settings[o.setting_count++] = optarg;
            break;
        default:
            return 2;
        }
    }
    const char *what = optind + 1 == argc ? argv[optind] : "";
    if (!o.brokers || !o.topic || o.partitions < 1 || o.size < 8 || o.rate < 1)
        fail("usage",
             "bench-kafka --brokers HOST:PORT --topic T [options] produce|consume|latency");
    if (strcmp(what, "produce") == 0)
        produce(&o);
    else if (strcmp(what, "consume") == 0)
        consume(&o);
    else if (strcmp(what, "latency") == 0)
        latency(&o);
    else
        fail(what, "expected produce, consume or latency");
    return 0;
}
