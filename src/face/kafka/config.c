/* Settings of the Kafka face; see config.h. Any thread. */
#include "face/kafka/config.h"

#include "base/alloc.h"
#include "face/kafka/handlers.h"

void ms_kafka_options_init(struct ms_kafka_options *options) {
    *options = (struct ms_kafka_options){
        .listen = "127.0.0.1:9092",
        .reader_threads = 2,
        .connections_max = 10000,
        .request_bytes_max = (size_t)100 * 1024 * 1024,
        .output_bytes_max = 1024 * 1024,
        .inflight_bytes_max = (size_t)256 * 1024 * 1024,
        .idle_timeout_ms = 10 * 60 * 1000,
        .write_timeout_ms = 60 * 1000,
        .pipeline_max = 64,
        .auto_create_partitions = 1,
    };
}

/* Limits of 0 would serve nobody: refused by name rather than surprising later. */
static int check(const struct ms_kafka_options *options, struct ms_error *err) {
    const struct {
        const char *name;
        bool good;
    } rules[] = {
        {"listen", options->listen != NULL},
        {"advertised_port", options->advertised_port <= UINT16_MAX},
        {"connections_max", options->connections_max > 0},
        {"request_bytes_max",
         options->request_bytes_max > 0 && options->request_bytes_max <= INT32_MAX},
        {"output_bytes_max", options->output_bytes_max > 0},
        {"inflight_bytes_max", options->inflight_bytes_max > 0},
        {"idle_timeout_ms", options->idle_timeout_ms > 0},
        {"write_timeout_ms", options->write_timeout_ms > 0},
        {"pipeline_max", options->pipeline_max > 0},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!rules[i].good)
            return ms_error_set(err, MS_EINVAL,
                                "kafka option %s must be given, more than 0 and within reason",
                                rules[i].name);
    }
    return 0;
}

static void config_free(struct ms_kafka_config *config) {
    ms_free((void *)config->options.listen);
    ms_free((void *)config->options.advertised_host);
    ms_free(config);
}

int ms_kafka_config_new(const struct ms_kafka_options *options, struct ms_kafka_config **ret_config,
                        struct ms_error *err) {
    int code = check(options, err);
    if (code != 0)
        return code;
    struct ms_kafka_config *config = ms_calloc(1, sizeof *config);
    if (!config)
        return ms_error_set(err, MS_ENOMEM, "no memory for the Kafka face's configuration");
    atomic_init(&config->refs, 1);
    config->options = *options;
    if (!config->options.env)
        config->options.env = ms_env_system();
    if (!config->options.handlers) {
        config->options.handlers = ms_kafka_handlers;
        config->options.handler_count = ms_kafka_handler_count;
    }
    const char *host = options->advertised_host;
    config->options.listen = ms_alloc_strdup(ms_bytes_cstr(options->listen));
    config->options.advertised_host = host && *host ? ms_alloc_strdup(ms_bytes_cstr(host)) : NULL;
    if (!config->options.listen || (host && *host && !config->options.advertised_host)) {
        config_free(config);
        return ms_error_set(err, MS_ENOMEM, "no memory for the Kafka face's configuration");
    }
    *ret_config = config;
    return 0;
}

struct ms_kafka_config *ms_kafka_config_ref(struct ms_kafka_config *config) {
    if (config)
        atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void ms_kafka_config_unref(struct ms_kafka_config *config) {
    if (config && atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) == 1)
        config_free(config);
}
