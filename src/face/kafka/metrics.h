/*
 * The face's metrics: each loop counts for itself (no shared cache line on the way of a request), a
 * scrape adds up. Counting: the loop's thread. Reading: any thread.
 */
#pragma once

#include "face/kafka/dispatch.h"
#include "metrics/metrics.h"

struct ms_kafka_loop_metrics {
    struct ms_counter requests[MS_KAFKA_APIS_MAX], errors[MS_KAFKA_APIS_MAX];
    struct ms_histogram latency_us[MS_KAFKA_APIS_MAX];
    struct ms_counter bytes_in, bytes_out;
    struct ms_counter connections_opened, connections_refused, connections_timed_out;
    struct ms_counter protocol_errors;
    struct ms_counter starved;
    struct ms_counter fetch_wakes;
    atomic_int_fast64_t connections, waiting;
};
