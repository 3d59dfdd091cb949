/* Health, readiness, information, metrics. Health and readiness are answered by the loop, so that
 * they work when the readers are busy; the rest is a reader's job. */
#include "face/http/answer.h"
#include "face/http/handlers.h"
#include "face/http/loop.h"
#include "face/http/server.h"
#include "wire/json.h"

#define WARNINGS_MAX ((size_t)16 << 10)

static void answer_health(struct ms_http_request *request, bool good, const char *status,
                          const struct ms_store_info *info) {
    struct ms_buf warnings;
    struct ms_projections *projections = request->loop->http->projections;
    ms_buf_init(&warnings, WARNINGS_MAX);
    int code = ms_buf_printf(
        &request->answer.body,
        "{\"status\":\"%s\",\"failed\":%s,\"refusing_appends\":%s,\"warnings\":", status,
        info->failed ? "true" : "false", info->refusing_appends ? "true" : "false");
    if (projections)
        (void)!ms_projections_health(projections, &warnings); /* what there is room for */
    if (code == 0)
        code = warnings.len > 0
                   ? ms_json_write_string(&request->answer.body, ms_buf_bytes(&warnings))
                   : ms_buf_append_cstr(&request->answer.body, "null");
    if (code == 0)
        code = ms_buf_append_cstr(&request->answer.body, "}\n");
    ms_buf_deinit(&warnings);
    if (code == 0)
        ms_http_answer(request, good ? 200 : 503, "application/json");
    else
        ms_http_answer_error(request, code, NULL);
    ms_http_request_done(request);
}

void ms_http_health_start(struct ms_http_request *request) {
    struct ms_store_info info;
    ms_store_info(request->loop->http->store, &info);
    answer_health(request, !info.failed, info.failed ? "failed" : "ok", &info);
}

/* A server without disk space for appends still answers reads: it stays ready and says so. */
void ms_http_ready_start(struct ms_http_request *request) {
    struct ms_store_info info;
    ms_store_info(request->loop->http->store, &info);
    bool ready = atomic_load_explicit(&request->loop->http->ready, memory_order_relaxed);
    bool good = ready && !info.failed && !request->loop->stopping;
    answer_health(request, good, good ? "ready" : "not ready", &info);
}

static int write_store(struct ms_buf *out, const struct ms_store_info *info) {
    char uuid[MS_UUID_TEXT_LEN + 1];
    ms_uuid_format(&info->uuid, uuid);
    int code = ms_buf_printf(
        out,
        "\"store\":{\"uuid\":\"%s\",\"end\":%llu,\"epoch\":%llu,\"segments\":%u,\"log_bytes\":%llu,"
        "\"durability\":\"%s\",\"direct\":%s,",
        uuid, (unsigned long long)info->end, (unsigned long long)info->epoch, info->segments,
        (unsigned long long)info->log_bytes,
        info->durability == MS_DURABILITY_COMMIT ? "commit" : "os",
        info->direct ? "true" : "false");
    if (code == 0)
        code = ms_buf_printf(
            out,
            "\"recovery\":{\"bytes\":%llu,\"ms\":%lld,\"torn_tail\":%s},\"refusing_appends\":%s,"
            "\"failed\":%s,\"index_lag\":%llu,\"inflight_bytes\":%llu,\"subscriptions\":%llu}",
            (unsigned long long)info->recovered_bytes, (long long)info->recovery_ms,
            info->recovered_torn_tail ? "true" : "false", info->refusing_appends ? "true" : "false",
            info->failed ? "true" : "false", (unsigned long long)info->index_lag,
            (unsigned long long)info->inflight_bytes, (unsigned long long)info->subscriptions);
    return code;
}

static int write_limits(struct ms_buf *out, const struct ms_http_options *options) {
    const struct ms_event_limits *limits = &options->event_limits;
    return ms_buf_printf(
        out,
        "\"limits\":{\"event_bytes\":%zu,\"append_bytes\":%zu,\"append_events\":%zu,"
        "\"name_bytes\":%zu,\"json_depth\":%zu,\"body_bytes\":%zu,\"header_bytes\":%zu,"
        "\"page_events\":%zu,\"page_bytes\":%zu,\"wait_ms\":%lld}",
        limits->event_bytes_max, limits->append_bytes_max, limits->append_events_max,
        limits->name_bytes_max, limits->json_depth_max, options->limits.body_bytes_max,
        options->limits.header_bytes_max, options->page_events_max, options->page_bytes_max,
        (long long)options->wait_ms_max);
}

static void run_info(struct ms_http_request *request) {
    const struct ms_http_options *options = &request->config->options;
    struct ms_http *http = request->loop->http;
    struct ms_buf *out = &request->answer.body;
    struct ms_store_info info;
    ms_store_info(http->store, &info);
    int64_t uptime_us = ms_clock_monotonic_us(http->env->clock) - http->started_us;
    int code = ms_buf_append_cstr(out, "{\"name\":\"mainstem\",\"version\":");
    if (code == 0)
        code = ms_json_write_string(out, ms_bytes_cstr(options->version));
    if (code == 0)
        code = ms_buf_printf(out, ",\"uptime_ms\":%lld,", (long long)(uptime_us / 1000));
    if (code == 0)
        code = write_store(out, &info);
    if (code == 0)
        code = ms_buf_append_u8(out, ',');
    if (code == 0)
        code = write_limits(out, options);
    if (code == 0)
        code = ms_buf_append_cstr(out, "}\n");
    if (code == 0)
        ms_http_answer(request, 200, "application/json");
    else
        ms_http_answer_error(request, code, NULL);
}

void ms_http_info_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_info, ms_http_request_done);
}

static void run_metrics(struct ms_http_request *request) {
    const struct ms_http_options *options = &request->config->options;
    struct ms_http *http = request->loop->http;
    struct ms_buf *out = &request->answer.body;
    int code = ms_store_metrics(http->store, out);
    if (code == 0)
        code = ms_http_metrics(http, out);
    if (code == 0)
        code = ms_metrics_process(out, http->env->vfs);
    if (code == 0 && options->on_metrics)
        code = options->on_metrics(options->context, out);
    if (code == 0)
        ms_http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8");
    else
        ms_http_answer_error(request, code, NULL);
}

void ms_http_metrics_start(struct ms_http_request *request) {
    ms_http_request_submit(request, run_metrics, ms_http_request_done);
}
