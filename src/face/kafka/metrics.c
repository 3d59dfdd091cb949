/* The face's metrics; see metrics.h. */
#include "face/kafka/metrics.h"

#include <stdio.h>

#include "base/alloc.h"
#include "face/kafka/loop.h"
#include "face/kafka/server.h"

#define LABELS_MAX 128

static void add_counter(struct ms_counter *to, const struct ms_counter *from) {
    ms_counter_add(to, ms_counter_get(from));
}

static void add_gauge(atomic_int_fast64_t *to, const atomic_int_fast64_t *from) {
    *to += atomic_load_explicit(from, memory_order_relaxed);
}

static void add_histogram(struct ms_histogram *to, const struct ms_histogram *from) {
    for (size_t i = 0; i < MS_HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += atomic_load_explicit(&from->buckets[i], memory_order_relaxed);
    to->sum += atomic_load_explicit(&from->sum, memory_order_relaxed);
}

static void add_loop(struct ms_kafka_loop_metrics *sum, const struct ms_kafka_loop_metrics *loop) {
    for (size_t i = 0; i < ms_kafka_api_count; i++) {
        add_counter(&sum->requests[i], &loop->requests[i]);
        add_counter(&sum->errors[i], &loop->errors[i]);
        add_histogram(&sum->latency_us[i], &loop->latency_us[i]);
    }
    add_counter(&sum->bytes_in, &loop->bytes_in);
    add_counter(&sum->bytes_out, &loop->bytes_out);
    add_counter(&sum->connections_opened, &loop->connections_opened);
    add_counter(&sum->connections_refused, &loop->connections_refused);
    add_counter(&sum->connections_timed_out, &loop->connections_timed_out);
    add_counter(&sum->protocol_errors, &loop->protocol_errors);
    add_counter(&sum->starved, &loop->starved);
    add_counter(&sum->fetch_wakes, &loop->fetch_wakes);
    add_gauge(&sum->connections, &loop->connections);
    add_gauge(&sum->waiting, &loop->waiting);
}

/* Only what has happened is written: a scrape stays small. */
static int write_by_api(struct ms_buf *out, const char *name, const char *help,
                        const struct ms_counter *counters) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < ms_kafka_api_count; i++) {
        uint64_t count = ms_counter_get(&counters[i]);
        if (count == 0)
            continue;
        char labels[LABELS_MAX];
        snprintf(labels, sizeof labels, "api=\"%s\"", ms_kafka_apis[i].name);
        code = ms_metrics_counter(out, name, help, labels, count);
        help = NULL;
    }
    return code;
}

static int write_latencies(struct ms_buf *out, const struct ms_kafka_loop_metrics *sum) {
    const char *help =
        "Time from a request's last byte to its answer, without long polls' waiting.";
    int code = 0;
    for (size_t i = 0; code == 0 && i < ms_kafka_api_count; i++) {
        if (ms_histogram_count(&sum->latency_us[i]) == 0)
            continue;
        char labels[LABELS_MAX];
        snprintf(labels, sizeof labels, "api=\"%s\"", ms_kafka_apis[i].name);
        code = ms_metrics_histogram(out, "mainstem_kafka_request_duration_seconds", help, labels,
                                    &sum->latency_us[i], 1e-6);
        help = NULL;
    }
    return code;
}

static int write_counters(struct ms_buf *out, const struct ms_kafka_loop_metrics *sum) {
    const struct {
        const char *name, *help;
        const struct ms_counter *counter;
    } counters[] = {
        {"mainstem_kafka_received_bytes_total", "Bytes of requests.", &sum->bytes_in},
        {"mainstem_kafka_sent_bytes_total", "Bytes sent.", &sum->bytes_out},
        {"mainstem_kafka_connections_total", "Connections accepted.", &sum->connections_opened},
        {"mainstem_kafka_connections_refused_total",
         "Connections closed at once by connections_max.", &sum->connections_refused},
        {"mainstem_kafka_connections_timed_out_total", "Connections closed by a timeout.",
         &sum->connections_timed_out},
        {"mainstem_kafka_protocol_errors_total",
         "Connections closed since they sent no valid request.", &sum->protocol_errors},
        {"mainstem_kafka_starved_total", "Times that a request waited for memory.", &sum->starved},
        {"mainstem_kafka_fetch_wakes_total",
         "Times that a waiting fetch looked again since one of its partitions had grown.",
         &sum->fetch_wakes},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof counters / sizeof *counters; i++)
        code = ms_metrics_counter(out, counters[i].name, counters[i].help, NULL,
                                  ms_counter_get(counters[i].counter));
    return code;
}

static int write_gauges(struct ms_buf *out, const struct ms_kafka *kafka,
                        const struct ms_kafka_loop_metrics *sum) {
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {"mainstem_kafka_connections", "Open connections.", (double)sum->connections},
        {"mainstem_kafka_waiting_requests",
         "Requests that wait for records, for a group or for a projection.", (double)sum->waiting},
        {"mainstem_kafka_request_bytes", "Memory held by requests.",
         (double)ms_net_share_used(&kafka->requests)},
        {"mainstem_kafka_answer_bytes", "Memory held by answers being sent.",
         (double)ms_net_share_used(&kafka->answers)},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof gauges / sizeof *gauges; i++)
        code = ms_metrics_gauge(out, gauges[i].name, gauges[i].help, NULL, gauges[i].value);
    return code;
}

int ms_kafka_metrics(struct ms_kafka *kafka, struct ms_buf *out) {
    struct ms_kafka_loop_metrics *sum = ms_calloc(1, sizeof *sum); /* too large for a stack */
    if (!sum)
        return MS_ENOMEM;
    for (unsigned i = 0; i < kafka->loop_count; i++)
        add_loop(sum, &kafka->loops[i].metrics);
    size_t before = out->len;
    int code = write_by_api(out, "mainstem_kafka_requests_total", "Requests answered, by API.",
                            sum->requests);
    if (code == 0)
        code = write_by_api(out, "mainstem_kafka_errors_total",
                            "Requests answered with an error, by API.", sum->errors);
    if (code == 0)
        code = write_latencies(out, sum);
    if (code == 0)
        code = write_counters(out, sum);
    if (code == 0)
        code = write_gauges(out, kafka, sum);
    if (code != 0)
        out->len = before;
    ms_free(sum);
    return code;
}
