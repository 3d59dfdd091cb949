/* Settings of the HTTP face; see config.h. Any thread. */
#include "face/http/config.h"

#include "base/alloc.h"

void ms_http_options_init(struct ms_http_options *options) {
    *options = (struct ms_http_options){
        .listen = "127.0.0.1:8080",
        .reader_threads = 2,
        .limits = {.header_bytes_max = 32 * 1024,
                   .headers_max = 100,
                   .target_bytes_max = 8 * 1024,
                   .body_bytes_max = (size_t)64 * 1024 * 1024},
        .event_limits = ms_event_limits_default(),
        .idle_timeout_ms = 75 * 1000,
        .read_timeout_ms = 60 * 1000,
        .write_timeout_ms = 60 * 1000,
        .connections_max = 10000,
        .output_bytes_max = 1024 * 1024,
        .inflight_bytes_max = (size_t)256 * 1024 * 1024,
        .pipeline_max = 64,
        .page_events_max = 10000,
        .page_bytes_max = 1024 * 1024,
        .wait_ms_max = 5 * 60 * 1000,
        .heartbeat_ms = 15 * 1000,
        .version = "dev",
    };
}

/* Limits of 0 would serve nobody: refused by name rather than surprising later. */
static int check(const struct ms_http_options *options, struct ms_error *err) {
    const struct {
        const char *name;
        bool good;
    } rules[] = {
        {"listen", options->listen != NULL},
        {"limits", options->limits.header_bytes_max > 0 &&
                       options->limits.header_bytes_max <= MS_HTTP1_HEADER_BYTES_LIMIT &&
                       options->limits.headers_max > 0 && options->limits.target_bytes_max > 0 &&
                       options->limits.body_bytes_max > 0},
        {"idle_timeout_ms", options->idle_timeout_ms > 0},
        {"read_timeout_ms", options->read_timeout_ms > 0},
        {"write_timeout_ms", options->write_timeout_ms > 0},
        {"connections_max", options->connections_max > 0},
        {"output_bytes_max", options->output_bytes_max > 0},
        {"inflight_bytes_max", options->inflight_bytes_max > 0},
        {"pipeline_max", options->pipeline_max > 0},
        {"page_events_max", options->page_events_max > 0},
        {"page_bytes_max", options->page_bytes_max > 0},
        {"heartbeat_ms", options->heartbeat_ms > 0},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!rules[i].good)
            return ms_error_set(err, MS_EINVAL,
                                "http option %s must be given, more than 0 and within reason",
                                rules[i].name);
    }
    return 0;
}

static void free_list(const char *const *list, size_t count) {
    for (size_t i = 0; list && i < count; i++)
        ms_free((void *)list[i]);
    ms_free((void *)list);
}

static int copy_list(const char *const *list, size_t count, const char *const **ret_list) {
    const char **copy = ms_calloc(count ? count : 1, sizeof *copy);
    if (!copy)
        return MS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        copy[i] = ms_alloc_strdup(ms_bytes_cstr(list[i]));
        if (!copy[i]) {
            free_list(copy, i);
            return MS_ENOMEM;
        }
    }
    *ret_list = copy;
    return 0;
}

static void config_free(struct ms_http_config *config) {
    struct ms_http_options *options = &config->options;
    free_list(options->allowed_hosts, options->allowed_host_count);
    free_list(options->cors_origins, options->cors_origin_count);
    ms_free((void *)options->listen);
    ms_free((void *)options->version);
    ms_free(config);
}

int ms_http_config_new(const struct ms_http_options *options, struct ms_http_config **ret_config,
                       struct ms_error *err) {
    int code = check(options, err);
    if (code != 0)
        return code;
    struct ms_http_config *config = ms_calloc(1, sizeof *config);
    if (!config)
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP face's configuration");
    atomic_init(&config->refs, 1);
    config->options = *options;
    if (!config->options.env)
        config->options.env = ms_env_system();
    /* A body that the budget could never hold would wait for ever. */
    config->budget =
        ms_http_budget_divide(options->inflight_bytes_max, options->limits.body_bytes_max);
    config->options.limits.body_bytes_max = config->budget.body;
    config->options.allowed_hosts = config->options.cors_origins = NULL;
    config->options.listen = ms_alloc_strdup(ms_bytes_cstr(options->listen));
    config->options.version = ms_alloc_strdup(ms_bytes_cstr(options->version));
    if (!config->options.listen || !config->options.version ||
        copy_list(options->allowed_hosts, options->allowed_host_count,
                  &config->options.allowed_hosts) != 0 ||
        copy_list(options->cors_origins, options->cors_origin_count,
                  &config->options.cors_origins) != 0) {
        config_free(config);
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP face's configuration");
    }
    *ret_config = config;
    return 0;
}

struct ms_http_config *ms_http_config_ref(struct ms_http_config *config) {
    if (config)
        atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void ms_http_config_unref(struct ms_http_config *config) {
    if (config && atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) == 1)
        config_free(config);
}
