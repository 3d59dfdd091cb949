/*
 * The Prometheus text exposition format (version 0.0.4):
 *
 *   # HELP <name> <help; backslash and newline escaped>
 *   # TYPE <name> counter|gauge|histogram
 *   <name>{<labels>} <value>
 *
 * A histogram has cumulative `_bucket{le="…"}` samples, the last with le="+Inf", then `_sum` and
 * `_count`. Any thread; the samples of one histogram are read one after the other, so `_count` is
 * derived from the buckets that were printed and never contradicts them.
 */
#include "metrics/metrics.h"

#include <math.h>
#include <stdio.h>

static size_t bucket_of(uint64_t value) {
    if (value <= 1)
        return 0;
    size_t bits = 64u - (size_t)__builtin_clzll(value - 1); /* smallest i with value <= 2^i */
    return bits < MS_HISTOGRAM_BUCKETS - 1 ? bits : MS_HISTOGRAM_BUCKETS - 1;
}

void ms_histogram_add(struct ms_histogram *histogram, uint64_t value) {
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

static uint64_t bucket_get(const struct ms_histogram *histogram, size_t i) {
    return atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
}

uint64_t ms_histogram_count(const struct ms_histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i < MS_HISTOGRAM_BUCKETS; i++)
        count += bucket_get(histogram, i);
    return count;
}

uint64_t ms_histogram_quantile(const struct ms_histogram *histogram, double q) {
    uint64_t count = ms_histogram_count(histogram);
    if (count == 0)
        return 0;
    double rank = ceil((q < 0 ? 0 : q > 1 ? 1 : q) * (double)count);
    uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;
    uint64_t seen = 0;
    for (size_t i = 0; i < MS_HISTOGRAM_BUCKETS - 1; i++) {
        seen += bucket_get(histogram, i);
        if (seen >= wanted)
            return 1ull << i;
    }
    return UINT64_MAX;
}

/* ---- text ---- */

#define NUMBER_MAX 40

static void format_number(double value, char out[NUMBER_MAX]) {
    if (isnan(value))
        snprintf(out, NUMBER_MAX, "NaN");
    else if (isinf(value))
        snprintf(out, NUMBER_MAX, value > 0 ? "+Inf" : "-Inf");
    else if (fabs(value) < 1e15 && value == floor(value))
        snprintf(out, NUMBER_MAX, "%.0f", value);
    else
        snprintf(out, NUMBER_MAX, "%.9g", value);
}

static int append_escaped(struct ms_buf *out, struct ms_bytes text, bool quotes) {
    int rc = 0;
    for (size_t i = 0; i < text.len && rc == 0; i++) {
        uint8_t c = text.data[i];
        if (c == '\\')
            rc = ms_buf_append(out, "\\\\", 2);
        else if (c == '\n')
            rc = ms_buf_append(out, "\\n", 2);
        else if (c == '"' && quotes)
            rc = ms_buf_append(out, "\\\"", 2);
        else
            rc = ms_buf_append_u8(out, c);
    }
    return rc;
}

static int append_head(struct ms_buf *out, const char *name, const char *help, const char *type) {
    if (!help)
        return 0;
    int rc = ms_buf_printf(out, "# HELP %s ", name);
    if (rc == 0)
        rc = append_escaped(out, ms_bytes_cstr(help), false);
    if (rc == 0)
        rc = ms_buf_printf(out, "\n# TYPE %s %s\n", name, type);
    return rc;
}

static int append_sample(struct ms_buf *out, const char *name, const char *suffix,
                         const char *labels, const char *value) {
    if (labels && *labels)
        return ms_buf_printf(out, "%s%s{%s} %s\n", name, suffix, labels, value);
    return ms_buf_printf(out, "%s%s %s\n", name, suffix, value);
}

static int append_family(struct ms_buf *out, const char *name, const char *help, const char *type,
                         const char *labels, const char *value) {
    size_t before = out->len;
    int rc = append_head(out, name, help, type);
    if (rc == 0)
        rc = append_sample(out, name, "", labels, value);
    if (rc != 0)
        out->len = before;
    return rc;
}

int ms_metrics_counter(struct ms_buf *out, const char *name, const char *help, const char *labels,
                       uint64_t value) {
    char text[NUMBER_MAX];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return append_family(out, name, help, "counter", labels, text);
}

int ms_metrics_counter_real(struct ms_buf *out, const char *name, const char *help,
                            const char *labels, double value) {
    char text[NUMBER_MAX];
    format_number(value, text);
    return append_family(out, name, help, "counter", labels, text);
}

int ms_metrics_gauge(struct ms_buf *out, const char *name, const char *help, const char *labels,
                     double value) {
    char text[NUMBER_MAX];
    format_number(value, text);
    return append_family(out, name, help, "gauge", labels, text);
}

static int append_bucket(struct ms_buf *out, const char *name, const char *labels,
                         const char *bound, uint64_t cumulative) {
    bool labelled = labels && *labels;
    return ms_buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labelled ? labels : "",
                         labelled ? "," : "", bound, (unsigned long long)cumulative);
}

static int append_buckets(struct ms_buf *out, const char *name, const char *labels,
                          const struct ms_histogram *histogram, double scale, uint64_t *ret_count) {
    uint64_t cumulative = 0;
    for (size_t i = 0; i < MS_HISTOGRAM_BUCKETS; i++) {
        char bound[NUMBER_MAX] = "+Inf";
        if (i < MS_HISTOGRAM_BUCKETS - 1)
            format_number((double)(1ull << i) * scale, bound);
        cumulative += bucket_get(histogram, i);
        int rc = append_bucket(out, name, labels, bound, cumulative);
        if (rc != 0)
            return rc;
    }
    *ret_count = cumulative;
    return 0;
}

int ms_metrics_histogram(struct ms_buf *out, const char *name, const char *help, const char *labels,
                         const struct ms_histogram *histogram, double scale) {
    size_t before = out->len;
    uint64_t count = 0;
    int rc = append_head(out, name, help, "histogram");
    if (rc == 0)
        rc = append_buckets(out, name, labels, histogram, scale, &count);
    char text[NUMBER_MAX];
    format_number((double)atomic_load_explicit(&histogram->sum, memory_order_relaxed) * scale,
                  text);
    if (rc == 0)
        rc = append_sample(out, name, "_sum", labels, text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    if (rc == 0)
        rc = append_sample(out, name, "_count", labels, text);
    if (rc != 0)
        out->len = before;
    return rc;
}

int ms_metrics_label(struct ms_buf *out, const char *name, struct ms_bytes value) {
    size_t before = out->len;
    int rc = ms_buf_printf(out, "%s=\"", name);
    if (rc == 0)
        rc = append_escaped(out, value, true);
    if (rc == 0)
        rc = ms_buf_append_u8(out, '"');
    if (rc != 0)
        out->len = before;
    return rc;
}
