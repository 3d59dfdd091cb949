/*
 * The face's metrics: each loop counts for itself (no shared cache line on the way of a request), a
 * scrape adds up. Counting: the loop's thread. Reading: any thread.
 */
#pragma once

#include "metrics/metrics.h"

#define MS_HTTP_ROUTES_MAX                                                                         \
    48                    /* routes.c asserts that its table fits; the last place is for no route */
#define MS_HTTP_CLASSES 4 /* 2xx 3xx 4xx 5xx */

struct ms_http_loop_metrics {
    struct ms_counter requests[MS_HTTP_ROUTES_MAX][MS_HTTP_CLASSES];
    struct ms_histogram latency_us[MS_HTTP_ROUTES_MAX];
    struct ms_counter bytes_in, bytes_out;
    struct ms_counter connections_opened, connections_refused, connections_timed_out;
    struct ms_counter protocol_errors;
    struct ms_counter events_streamed;
    struct ms_counter appends_parked;
    atomic_int_fast64_t connections, event_streams, event_streams_waiting, long_polls;
};

struct ms_http;
struct ms_http_request;
/* Counts an answered request. */
void ms_http_metrics_request(struct ms_http_loop_metrics *metrics,
                             const struct ms_http_request *request, int64_t duration_us);
