/* The Kafka face's life: binding, starting loops and readers, reloading, stopping. See kafka.h. */
#include "face/kafka/server.h"

#include <unistd.h>

#include "base/alloc.h"
#include "face/kafka/connection.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/net/listen.h"

_Static_assert(MS_KAFKA_ADDRESS_MAX == MS_NET_ADDRESS_MAX, "one length of addresses");

static void destroy(struct ms_kafka *kafka) {
    for (unsigned i = 0; i < kafka->loop_count; i++)
        ms_kafka_loop_deinit(&kafka->loops[i]);
    ms_net_readers_stop(&kafka->readers);
    ms_net_readers_stop(&kafka->switches);
    ms_free(kafka->loops);
    ms_kafka_frame_pool_deinit(&kafka->frames);
    ms_free(kafka);
}

static void stop_loops(struct ms_kafka *kafka, unsigned started, int64_t drain_ms) {
    for (unsigned i = 0; i < started; i++)
        ms_kafka_loop_stop(&kafka->loops[i], drain_ms);
    for (unsigned i = 0; i < started; i++)
        ms_kafka_loop_join(&kafka->loops[i]);
}

static int make_loops(struct ms_kafka *kafka, struct ms_kafka_config *config, unsigned count,
                      struct ms_net_address *address, struct ms_error *err) {
    int fds[MS_NET_LISTENERS_MAX];
    kafka->loops = ms_calloc(count, sizeof *kafka->loops);
    if (!kafka->loops)
        return ms_error_set(err, MS_ENOMEM, "no memory for the Kafka loops");
    int code = ms_net_listen("kafka", address, count, fds, err);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < count; i++) {
        if (code == 0)
            code = ms_kafka_loop_init(&kafka->loops[i], kafka, config, fds[i], err);
        if (code == 0)
            kafka->loop_count++;
        else
            close(fds[i]);
    }
    return code;
}

static int start_loops(struct ms_kafka *kafka, struct ms_error *err) {
    for (unsigned i = 0; i < kafka->loop_count; i++) {
        int code = ms_kafka_loop_start(&kafka->loops[i], err);
        if (code != 0) {
            stop_loops(kafka, i, 0);
            return code;
        }
    }
    return 0;
}

static int listen_on(struct ms_kafka *kafka, struct ms_kafka_config *config, struct ms_error *err) {
    struct ms_net_address address;
    int code = ms_net_address_resolve("kafka", config->options.listen, &address, err);
    if (code == 0)
        code = make_loops(kafka, config, ms_net_loop_count(config->options.threads), &address, err);
    if (code != 0)
        return code;
    ms_net_address_name(&address, kafka->address);
    ms_net_address_host(&address, kafka->host);
    kafka->port = ms_net_address_port(&address);
    kafka->any_address = ms_net_address_is_any(&address);
    return 0;
}

int ms_kafka_start(struct ms_store *store, const struct ms_kafka_options *options,
                   struct ms_kafka **ret_kafka, struct ms_error *err) {
    struct ms_kafka_config *config;
    int code = ms_kafka_config_new(options, &config, err);
    if (code != 0)
        return code;
    struct ms_kafka *kafka = ms_calloc(1, sizeof *kafka);
    if (!kafka) {
        ms_kafka_config_unref(config);
        return ms_error_set(err, MS_ENOMEM, "no memory for the Kafka face");
    }
    kafka->env = config->options.env;
    kafka->store = store;
    ms_kafka_frame_pool_init(&kafka->frames);
    kafka->groups = options->groups;
    kafka->txns = options->txns;
    kafka->projections = options->projections;
    unsigned lacking = (options->groups ? 0 : MS_KAFKA_GROUPS) | (options->txns ? 0 : MS_KAFKA_TXN);
    code = ms_kafka_dispatch_init(&kafka->dispatch, config->options.handlers,
                                  config->options.handler_count, lacking, err);
    if (code == 0)
        code = listen_on(kafka, config, err);
    if (code == 0)
        code = ms_net_readers_start(
            &kafka->readers, options->reader_threads ? options->reader_threads : 1, "kafka", err);
    if (code == 0)
        code = ms_net_readers_start(&kafka->switches, 1, "kafka", err);
    if (code == 0)
        code = start_loops(kafka, err);
    ms_kafka_config_unref(config);
    if (code != 0) {
        destroy(kafka);
        return code;
    }
    *ret_kafka = kafka;
    return 0;
}

void ms_kafka_address(const struct ms_kafka *kafka, char out[MS_KAFKA_ADDRESS_MAX]) {
    memcpy(out, kafka->address, MS_KAFKA_ADDRESS_MAX);
}

struct ms_kafka_endpoint ms_kafka_advertised(const struct ms_kafka_request *request) {
    const struct ms_kafka *kafka = request->loop->kafka;
    const struct ms_kafka_options *options = &request->loop->config->options;
    const char *host = options->advertised_host;
    if (!host)
        host = kafka->any_address ? ms_kafka_connection_local(request->connection) : kafka->host;
    unsigned port = options->advertised_port ? options->advertised_port : kafka->port;
    return (struct ms_kafka_endpoint){ms_bytes_cstr(host), (int32_t)port};
}

int ms_kafka_reload(struct ms_kafka *kafka, const struct ms_kafka_options *options,
                    struct ms_error *err) {
    struct ms_kafka_config *config;
    int code = ms_kafka_config_new(options, &config, err);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < kafka->loop_count; i++)
        ms_kafka_loop_set_config(&kafka->loops[i], config);
    ms_kafka_config_unref(config);
    return 0;
}

void ms_kafka_stop(struct ms_kafka *kafka, int64_t drain_ms) {
    if (!kafka)
        return;
    stop_loops(kafka, kafka->loop_count, drain_ms);
    destroy(kafka);
}
