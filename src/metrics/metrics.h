/*
 * Metrics: counters, gauges and histograms that cost one relaxed atomic add, and their Prometheus
 * text form.
 *
 * No registry and no hidden world: a module keeps its metrics in its own structs and writes them
 * out with the functions here. Names follow the Prometheus conventions
 * (mainstem_<module>_<what>_<unit>, counters end in _total, seconds and bytes as base units). Any
 * thread.
 */
#pragma once

#include <stdatomic.h>

#include "base/bytes.h"

struct ms_counter {
    atomic_uint_fast64_t value;
};
static inline void ms_counter_add(struct ms_counter *counter, uint64_t n) {
    atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}
static inline uint64_t ms_counter_get(const struct ms_counter *counter) {
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Powers of two from 1: bucket i counts values <= 2^i; the last one is +Inf. For microseconds and
 * for bytes alike. */
#define MS_HISTOGRAM_BUCKETS 28
struct ms_histogram {
    atomic_uint_fast64_t buckets[MS_HISTOGRAM_BUCKETS];
    atomic_uint_fast64_t sum;
};
void ms_histogram_add(struct ms_histogram *histogram, uint64_t value);
uint64_t ms_histogram_count(const struct ms_histogram *histogram);
/* Upper bound of the bucket in which the q-quantile (0..1) lies; 0 when empty. */
uint64_t ms_histogram_quantile(const struct ms_histogram *histogram, double q);

/* Each writes # HELP, # TYPE and the sample; with help NULL only the sample (further label sets of
 * the same family). `labels` is NULL or `name="value",…` already escaped (see ms_metrics_label). A
 * histogram's values are multiplied by `scale` (1e-6 turns microseconds into seconds). MS_ENOMEM,
 * MS_ETOOBIG. */
int ms_metrics_counter(struct ms_buf *out, const char *name, const char *help, const char *labels,
                       uint64_t value) MS_MUST_CHECK;
int ms_metrics_gauge(struct ms_buf *out, const char *name, const char *help, const char *labels,
                     double value) MS_MUST_CHECK;
int ms_metrics_histogram(struct ms_buf *out, const char *name, const char *help, const char *labels,
                         const struct ms_histogram *histogram, double scale) MS_MUST_CHECK;
/* A counter that is not a whole number (seconds). */
int ms_metrics_counter_real(struct ms_buf *out, const char *name, const char *help,
                            const char *labels, double value) MS_MUST_CHECK;
/* Appends name="value" with the value escaped as the exposition format orders. */
int ms_metrics_label(struct ms_buf *out, const char *name, struct ms_bytes value) MS_MUST_CHECK;

/* The process itself: resident and virtual memory, CPU seconds, open files and their limit,
 * threads, start time, under the names every Prometheus client library uses (process_…). Reads
 * /proc through `vfs`; what can't be read is left out. */
struct ms_vfs;
int ms_metrics_process(struct ms_buf *out, struct ms_vfs *vfs) MS_MUST_CHECK;
