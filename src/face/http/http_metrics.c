/* The face's metrics; see http_metrics.h. */
#include "face/http/http_metrics.h"

#include <stdio.h>

#include "base/alloc.h"
#include "face/http/loop.h"
#include "face/http/request.h"
#include "face/http/server.h"

#define LABELS_MAX 256

void ms_http_metrics_request(struct ms_http_loop_metrics *metrics,
                             const struct ms_http_request *request, int64_t duration_us) {
    size_t route = ms_http_route_index(request->route);
    int class = request->answer.status / 100 - 2;
    if (class >= 0 && class < MS_HTTP_CLASSES)
        ms_counter_add(&metrics->requests[route][class], 1);
    if (!request->streaming)
        ms_histogram_add(&metrics->latency_us[route], duration_us > 0 ? (uint64_t)duration_us : 0);
}

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

static void add_loop(struct ms_http_loop_metrics *sum, const struct ms_http_loop_metrics *loop) {
    for (size_t i = 0; i < MS_HTTP_ROUTES_MAX; i++) {
        for (size_t j = 0; j < MS_HTTP_CLASSES; j++)
            add_counter(&sum->requests[i][j], &loop->requests[i][j]);
        add_histogram(&sum->latency_us[i], &loop->latency_us[i]);
    }
    add_counter(&sum->bytes_in, &loop->bytes_in);
    add_counter(&sum->bytes_out, &loop->bytes_out);
    add_counter(&sum->connections_opened, &loop->connections_opened);
    add_counter(&sum->connections_refused, &loop->connections_refused);
    add_counter(&sum->connections_timed_out, &loop->connections_timed_out);
    add_counter(&sum->protocol_errors, &loop->protocol_errors);
    add_counter(&sum->events_streamed, &loop->events_streamed);
    add_counter(&sum->appends_parked, &loop->appends_parked);
    add_gauge(&sum->connections, &loop->connections);
    add_gauge(&sum->event_streams, &loop->event_streams);
    add_gauge(&sum->event_streams_waiting, &loop->event_streams_waiting);
    add_gauge(&sum->long_polls, &loop->long_polls);
}

/* Routes have names that need no escaping. */
static const char *route_name(size_t route) {
    return route < ms_http_route_count() ? ms_http_route_at(route)->name : "none";
}

/* Only what has happened is written: a scrape stays small. */
static int write_requests(struct ms_buf *out, const struct ms_http_loop_metrics *sum) {
    const char *help = "Requests answered, by route and class of status.";
    for (size_t i = 0; i < MS_HTTP_ROUTES_MAX; i++) {
        for (int class = 0; class < MS_HTTP_CLASSES; class ++) {
            uint64_t count = ms_counter_get(&sum->requests[i][class]);
            if (count == 0)
                continue;
            char labels[LABELS_MAX];
            snprintf(labels, sizeof labels, "route=\"%s\",status=\"%dxx\"", route_name(i),
                     class + 2);
            int code = ms_metrics_counter(out, "mainstem_http_requests_total", help, labels, count);
            if (code != 0)
                return code;
            help = NULL;
        }
    }
    return 0;
}

static int write_latencies(struct ms_buf *out, const struct ms_http_loop_metrics *sum) {
    const char *help = "Time from a request's headers to its answer, by route.";
    for (size_t i = 0; i < MS_HTTP_ROUTES_MAX; i++) {
        if (ms_histogram_count(&sum->latency_us[i]) == 0)
            continue;
        char labels[LABELS_MAX];
        snprintf(labels, sizeof labels, "route=\"%s\"", route_name(i));
        int code = ms_metrics_histogram(out, "mainstem_http_request_duration_seconds", help, labels,
                                        &sum->latency_us[i], 1e-6);
        if (code != 0)
            return code;
        help = NULL;
    }
    return 0;
}

static int write_counters(struct ms_buf *out, const struct ms_http_loop_metrics *sum) {
    const struct {
        const char *name, *help;
        const struct ms_counter *counter;
    } counters[] = {
        {"mainstem_http_received_bytes_total", "Bytes of request bodies.", &sum->bytes_in},
        {"mainstem_http_sent_bytes_total", "Bytes sent.", &sum->bytes_out},
        {"mainstem_http_connections_total", "Connections accepted.", &sum->connections_opened},
        {"mainstem_http_connections_refused_total",
         "Connections closed at once by connections_max.", &sum->connections_refused},
        {"mainstem_http_connections_timed_out_total", "Connections closed by a timeout.",
         &sum->connections_timed_out},
        {"mainstem_http_protocol_errors_total", "Requests that were no valid HTTP.",
         &sum->protocol_errors},
        {"mainstem_http_events_streamed_total", "Events sent to subscriptions.",
         &sum->events_streamed},
        {"mainstem_http_appends_parked_total", "Appends that waited for the in-flight budget.",
         &sum->appends_parked},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof counters / sizeof *counters; i++)
        code = ms_metrics_counter(out, counters[i].name, counters[i].help, NULL,
                                  ms_counter_get(counters[i].counter));
    return code;
}

static int write_gauges(struct ms_buf *out, const struct ms_http *http,
                        const struct ms_http_loop_metrics *sum) {
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {"mainstem_http_connections", "Open connections.", (double)sum->connections},
        {"mainstem_http_event_streams", "Live server-sent event streams.",
         (double)sum->event_streams},
        {"mainstem_http_long_polls", "Reads waiting for an event.", (double)sum->long_polls},
        {"mainstem_http_event_streams_waiting",
         "Event streams that have more to send and wait for memory.",
         (double)sum->event_streams_waiting},
        {"mainstem_http_inflight_bytes", "Memory held by bodies and answers.",
         (double)ms_http_budget_used(&http->budget)},
        {"mainstem_http_body_bytes", "Memory held by request bodies being received.",
         (double)ms_net_share_used(&http->budget.bodies)},
        {"mainstem_http_answer_bytes", "Memory held by answers and event streams being sent.",
         (double)ms_net_share_used(&http->budget.answers)},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof gauges / sizeof *gauges; i++)
        code = ms_metrics_gauge(out, gauges[i].name, gauges[i].help, NULL, gauges[i].value);
    return code;
}

int ms_http_metrics(struct ms_http *http, struct ms_buf *out) {
    struct ms_http_loop_metrics *sum = ms_calloc(1, sizeof *sum); /* too large for a stack */
    if (!sum)
        return MS_ENOMEM;
    for (unsigned i = 0; i < http->loop_count; i++)
        add_loop(sum, &http->loops[i].metrics);
    size_t before = out->len;
    int code = write_requests(out, sum);
    if (code == 0)
        code = write_latencies(out, sum);
    if (code == 0)
        code = write_counters(out, sum);
    if (code == 0)
        code = write_gauges(out, http, sum);
    if (code != 0)
        out->len = before;
    ms_free(sum);
    return code;
}
