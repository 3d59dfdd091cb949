/* See serve.h for the life of a server process. */
#include "server/serve.h"

#include <inttypes.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/serve_options.h"
#include "server/serve_signals.h"

#define OPTIONS_ARENA_MAX ((size_t)1 << 20)
#define LOG_STOPPED_DRAIN_MS 500
#define LOG_STOPPED_DEADLINE_S 5
#define PROGRESS_INTERVAL_US 1000000
#define READY_TEXT_MAX 256

/* In the data directory. */
#define PROJECTIONS_DIR "projections"

struct server {
    const struct ms_serve_options *options;
    const struct ms_env *env;
    struct ms_config *config;
    const char *ready_file; /* from here on own copies: a reload replaces the configuration */
    struct ms_arena arena;
    struct ms_store *store;
    struct ms_http *http;
    struct ms_txn_service *txns;
    struct ms_group_service *groups;
    struct ms_projections *projections;
    struct ms_kafka *kafka; /* NULL: off */
    int64_t progress_at_us;

    pthread_mutex_t mutex; /* of failure */
    struct ms_error failure;
};

/* ---- what the parts report ---- */

static void on_progress(void *context, const char *what, uint64_t done, uint64_t total) {
    struct server *server = context;
    int64_t now_us = ms_clock_monotonic_us(server->env->clock);
    if (done < total && now_us - server->progress_at_us < PROGRESS_INTERVAL_US)
        return;
    server->progress_at_us = now_us;
    MS_LOG(INFO, what, MS_FIELD_INT("done", done), MS_FIELD_INT("total", total));
}

static void on_failure(void *context, const struct ms_error *error) {
    struct server *server = context;
    MS_LOG(ERROR, "the log has stopped, nothing more will be acknowledged",
           MS_FIELD_TEXT("error", ms_error_type(error->code)),
           MS_FIELD_TEXT("detail", error->message));
    pthread_mutex_lock(&server->mutex);
    server->failure = *error;
    pthread_mutex_unlock(&server->mutex);
    ms_serve_signals_log_stopped();
}

static void on_warning(void *context, const char *message) {
    (void)context;
    MS_LOG(WARN, "http", MS_FIELD_TEXT("detail", message));
}

static void on_store_warning(void *context, const char *message) {
    (void)context;
    MS_LOG(WARN, "store", MS_FIELD_TEXT("detail", message));
}

static void on_request(void *context, const struct ms_http_log_entry *entry) {
    (void)context;
    const struct ms_log_field fields[] = {
        MS_FIELD_BYTES("method", entry->method),
        MS_FIELD_BYTES("path", entry->path),
        MS_FIELD_INT("status", entry->status),
        MS_FIELD_REAL("duration_ms", (double)entry->duration_us / 1000.0),
        MS_FIELD_BYTES("request_id", entry->request_id),
        MS_FIELD_BYTES("correlation_id", entry->correlation_id),
        MS_FIELD_BYTES("peer", entry->peer),
        MS_FIELD_TEXT("problem", entry->problem),
        MS_FIELD_INT("bytes_in", entry->bytes_in),
        MS_FIELD_INT("bytes_out", entry->bytes_out),
    };
    size_t count = sizeof fields / sizeof fields[0];
    enum ms_log_level level = entry->status >= 500 ? MS_LOG_WARN : MS_LOG_DEBUG;
    ms_log_output_write(level, "request", fields, count);
    ms_log_output_slow(entry->route ? entry->route : "-", entry->duration_us, fields, count);
}

static void on_kafka_warning(void *context, const char *message) {
    (void)context;
    MS_LOG(WARN, "kafka", MS_FIELD_TEXT("detail", message));
}

static void on_kafka_request(void *context, const struct ms_kafka_log_entry *entry) {
    (void)context;
    const struct ms_log_field fields[] = {
        MS_FIELD_TEXT("api", entry->api),
        MS_FIELD_INT("version", entry->version),
        MS_FIELD_INT("error", entry->error),
        MS_FIELD_REAL("duration_ms", (double)entry->duration_us / 1000.0),
        MS_FIELD_BYTES("client_id", entry->client_id),
        MS_FIELD_BYTES("peer", entry->peer),
        MS_FIELD_INT("bytes_in", entry->bytes_in),
        MS_FIELD_INT("bytes_out", entry->bytes_out),
    };
    size_t count = sizeof fields / sizeof fields[0];
    ms_log_output_write(MS_LOG_DEBUG, "kafka request", fields, count);
    ms_log_output_slow(entry->api, entry->duration_us, fields, count);
}

static int on_metrics(void *context, struct ms_buf *out) {
    struct server *server = context;
    int rc = ms_group_service_metrics(server->groups, out);
    if (rc == 0)
        rc = ms_txns_metrics(ms_txn_service_txns(server->txns), out);
    if (rc == 0)
        rc = ms_projections_metrics(server->projections, out);
    return rc == 0 && server->kafka ? ms_kafka_metrics(server->kafka, out) : rc;
}

/* ---- starting ---- */

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        MS_LOG(WARN, "the limit of open files could not be raised");
}

static int open_store(struct server *server, struct ms_error *err) {
    struct ms_store_options options;
    ms_serve_store_options(server->config, &options);
    options.dir = ms_arena_strdup(&server->arena, ms_bytes_cstr(server->config->data));
    if (!options.dir)
        return ms_error_set(err, MS_ENOMEM, "no memory to start");
    options.env = server->env;
    options.on_progress = on_progress;
    options.on_failure = on_failure;
    options.on_warning = on_store_warning;
    options.context = server;
    MS_LOG(INFO, "opening the store", MS_FIELD_TEXT("data", options.dir));
    int rc = ms_store_open(&options, &server->store, err);
    if (rc != 0)
        return rc;
    struct ms_store_info info;
    ms_store_info(server->store, &info);
    MS_LOG(INFO, "store open", MS_FIELD_INT("events", info.end),
           MS_FIELD_INT("log_bytes", info.log_bytes), MS_FIELD_INT("segments", info.segments),
           MS_FIELD_INT("recovery_ms", info.recovery_ms),
           MS_FIELD_INT("recovered_bytes", info.recovered_bytes),
           MS_FIELD_BOOL("torn_tail", info.recovered_torn_tail),
           MS_FIELD_BOOL("direct", info.direct));
    if (info.durability == MS_DURABILITY_OS)
        MS_LOG(WARN, "durability is os: a power cut loses acknowledged events");
    return 0;
}

static void set_http_hooks(struct server *server, struct ms_http_options *options) {
    options->env = server->env;
    options->on_request = on_request;
    options->on_warning = on_warning;
    options->on_metrics = on_metrics;
    options->groups = ms_group_service_groups(server->groups);
    options->projections = server->projections;
    options->context = server;
}

static void set_kafka_hooks(struct server *server, struct ms_kafka_options *options) {
    options->env = server->env;
    options->on_request = on_kafka_request;
    options->on_warning = on_kafka_warning;
    options->projections = server->projections;
    options->context = server;
}

static int start_coordinators(struct server *server, struct ms_error *err) {
    struct ms_txns_options txns_options;
    struct ms_groups_options groups_options;
    ms_serve_txns_options(server->config, server->env, &txns_options);
    ms_serve_groups_options(server->config, server->env, &groups_options);
    int rc = ms_txn_service_new(server->store, &txns_options, &server->txns, err);
    if (rc != 0)
        return rc;
    struct ms_group_txns group_txns = ms_txn_service_group_txns(server->txns);
    rc = ms_group_service_start(server->store, &groups_options, &group_txns, &server->groups, err);
    if (rc != 0)
        return rc;
    return ms_txn_service_start(server->txns, ms_group_service_groups(server->groups), err);
}

static void on_projection_warning(void *context, const char *message) {
    (void)context;
    MS_LOG(WARN, "projections", MS_FIELD_TEXT("detail", message));
}

static void on_projection_notice(void *context, const char *message) {
    (void)context;
    MS_LOG(INFO, "projections", MS_FIELD_TEXT("detail", message));
}

static int start_projections(struct server *server, struct ms_error *err) {
    struct ms_projections_options options;
    char dir[MS_PATH_MAX];
    if (ms_path_join(dir, server->config->data, PROJECTIONS_DIR) != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    ms_serve_projections_options(server->config, &options);
    options.store = server->store;
    options.env = server->env;
    options.dir = dir;
    options.on_warning = on_projection_warning;
    options.on_notice = on_projection_notice;
    options.context = server;
    return ms_projections_open(&options, &server->projections, err);
}

/* What waits for them is answered. */
static void stop_coordinators(struct server *server) {
    ms_txn_service_stop(server->txns);
    ms_group_service_stop(server->groups);
}

static void free_coordinators(struct server *server) {
    ms_txn_service_free(server->txns);
    ms_group_service_free(server->groups);
}

static int start_kafka(struct server *server, struct ms_error *err) {
    if (!*server->config->kafka_listen)
        return 0;
    struct ms_kafka_options options;
    int rc = ms_serve_kafka_options(server->config, &server->arena, &options, err);
    if (rc != 0)
        return rc;
    set_kafka_hooks(server, &options);
    options.groups = ms_group_service_groups(server->groups);
    options.txns = ms_txn_service_txns(server->txns);
    return ms_kafka_start(server->store, &options, &server->kafka, err);
}

static int start_http(struct server *server, struct ms_error *err) {
    struct ms_http_options options;
    int rc = ms_serve_http_options(server->config, &server->arena, &options, err);
    if (rc != 0)
        return rc;
    set_http_hooks(server, &options);
    return ms_http_start(server->store, &options, &server->http, err);
}

static int write_ready_file(struct server *server, const char *http_address,
                            const char *kafka_address, struct ms_error *err) {
    if (!*server->ready_file)
        return 0;
    char text[READY_TEXT_MAX], kafka[MS_KAFKA_ADDRESS_MAX + 16] = "";
    if (*kafka_address)
        snprintf(kafka, sizeof kafka, ",\"kafka\":\"%s\"", kafka_address);
    int len = snprintf(text, sizeof text, "{\"http\":\"%s\"%s,\"pid\":%" PRIdMAX "}\n",
                       http_address, kafka, (intmax_t)getpid());
    MS_ASSERT(len > 0 && len < READY_TEXT_MAX);
    return ms_vfs_replace_file(server->env->vfs, server->ready_file, ms_bytes_of(text, (size_t)len),
                               err);
}

static int remove_ready_file(struct server *server, struct ms_error *err) {
    if (!*server->ready_file)
        return 0;
    int rc = ms_vfs_unlink(server->env->vfs, server->ready_file, err);
    return rc == MS_ENOTFOUND ? 0 : rc;
}

static int announce(struct server *server, struct ms_error *err) {
    char http[MS_HTTP_ADDRESS_MAX], kafka[MS_KAFKA_ADDRESS_MAX] = "";
    ms_http_address(server->http, http);
    MS_LOG(INFO, "http listening", MS_FIELD_TEXT("address", http));
    fprintf(server->options->out, "http listening on %s\n", http);
    if (server->kafka) {
        ms_kafka_address(server->kafka, kafka);
        MS_LOG(INFO, "kafka listening", MS_FIELD_TEXT("address", kafka));
        fprintf(server->options->out, "kafka listening on %s\n", kafka);
    }
    fflush(server->options->out);
    return write_ready_file(server, http, kafka, err);
}

static int start(struct server *server, struct ms_error *err) {
    server->ready_file = ms_arena_strdup(&server->arena, ms_bytes_cstr(server->config->ready_file));
    if (!server->ready_file)
        return ms_error_set(err, MS_ENOMEM, "no memory to start");
    int rc = remove_ready_file(server, err);
    if (rc == 0)
        rc = open_store(server, err);
    if (rc == 0)
        rc = start_coordinators(server, err);
    if (rc == 0)
        rc = start_projections(server, err);
    if (rc == 0)
        rc = start_kafka(server, err);
    if (rc == 0) /* after the faces whose metrics it shows */
        rc = start_http(server, err);
    return rc == 0 ? announce(server, err) : rc;
}

/* ---- running ---- */

static void on_changed(void *context, const struct ms_setting *setting, bool applied) {
    (void)context;
    if (applied)
        MS_LOG(INFO, "setting changed", MS_FIELD_TEXT("setting", setting->key));
    else
        MS_LOG(WARN, "a changed setting needs a restart", MS_FIELD_TEXT("setting", setting->key));
}

static int reload_http(struct server *server, struct ms_arena *arena, struct ms_error *err) {
    struct ms_http_options options;
    int rc = ms_serve_http_options(server->config, arena, &options, err);
    if (rc != 0)
        return rc;
    set_http_hooks(server, &options);
    return ms_http_reload(server->http, &options, err);
}

static int reload_kafka(struct server *server, struct ms_arena *arena, struct ms_error *err) {
    if (!server->kafka)
        return 0;
    struct ms_kafka_options options;
    int rc = ms_serve_kafka_options(server->config, arena, &options, err);
    if (rc != 0)
        return rc;
    set_kafka_hooks(server, &options);
    options.groups = ms_group_service_groups(server->groups);
    options.txns = ms_txn_service_txns(server->txns);
    return ms_kafka_reload(server->kafka, &options, err);
}

static int apply_reload(struct server *server, struct ms_error *err) {
    ms_serve_apply_logging(server->config);
    struct ms_arena arena;
    ms_arena_init(&arena, OPTIONS_ARENA_MAX);
    int rc = reload_http(server, &arena, err);
    if (rc == 0)
        rc = reload_kafka(server, &arena, err);
    ms_arena_deinit(&arena);
    return rc;
}

static void reload(struct server *server) {
    struct ms_config fresh;
    struct ms_error error = {0};
    int rc = ms_config_load(server->options->sources, &fresh, &error);
    if (rc == 0) {
        rc = ms_config_reload(server->config, &fresh, on_changed, server, &error);
        if (rc == 0)
            rc = apply_reload(server, &error);
    }
    if (rc == 0)
        MS_LOG(INFO, "configuration reloaded");
    else
        MS_LOG(ERROR, "the configuration was not reloaded", MS_FIELD_TEXT("detail", error.message));
}

/* True when the log has stopped. */
static bool wait_for_end(struct server *server) {
    for (;;) {
        switch (ms_serve_signals_wait()) {
        case MS_SERVE_RELOAD:
            reload(server);
            break;
        case MS_SERVE_LOG_STOPPED:
            return true;
        case MS_SERVE_STOP:
            return false;
        }
    }
}

/* ---- stopping ---- */

static int stop(struct server *server, bool log_stopped, struct ms_error *err) {
    ms_serve_signals_stop_hard();
    if (log_stopped)
        ms_serve_signals_deadline(LOG_STOPPED_DEADLINE_S);
    int64_t began_us = ms_clock_monotonic_us(server->env->clock);
    MS_LOG(INFO, "stopping");
    if (server->ready_file && remove_ready_file(server, NULL) != 0)
        MS_LOG(WARN, "the ready file could not be removed");
    stop_coordinators(server);
    if (server->projections)
        ms_projections_stop(server->projections);
    ms_http_stop(server->http,
                 log_stopped ? LOG_STOPPED_DRAIN_MS : server->config->http_drain_timeout_ms);
    ms_kafka_stop(server->kafka,
                  log_stopped ? LOG_STOPPED_DRAIN_MS : server->config->kafka_drain_timeout_ms);
    ms_projections_close(server->projections);
    free_coordinators(server);
    int rc = ms_store_close(server->store, err);
    int64_t took_us = ms_clock_monotonic_us(server->env->clock) - began_us;
    MS_LOG(INFO, "stopped", MS_FIELD_REAL("duration_ms", (double)took_us / 1000.0));
    return rc;
}

static int run(struct server *server, bool *ret_log_stopped, struct ms_error *err) {
    int rc = start(server, err);
    if (rc != 0) {
        MS_LOG(ERROR, "the server can't start", MS_FIELD_TEXT("error", ms_error_type(rc)),
               MS_FIELD_TEXT("detail", err->message));
        stop_coordinators(server);
        ms_http_stop(server->http, 0);
        ms_kafka_stop(server->kafka, 0);
        ms_projections_close(server->projections);
        free_coordinators(server);
        ms_store_close(server->store, NULL);
        return rc;
    }
    *ret_log_stopped = wait_for_end(server);
    rc = stop(server, *ret_log_stopped, err);
    if (*ret_log_stopped) {
        pthread_mutex_lock(&server->mutex);
        *err = server->failure;
        pthread_mutex_unlock(&server->mutex);
        return err->code != 0 ? err->code : MS_ECLOSED;
    }
    return rc;
}

int ms_serve(const struct ms_serve_options *options, bool *ret_log_stopped, struct ms_error *err) {
    struct ms_error local = {0};
    struct server server = {.options = options, .env = options->env, .config = options->config};
    *ret_log_stopped = false;
    ms_arena_init(&server.arena, OPTIONS_ARENA_MAX);
    pthread_mutex_init(&server.mutex, NULL);
    ms_serve_signals_block();
    ms_serve_apply_logging(options->config);
    raise_file_limit();
    int rc = run(&server, ret_log_stopped, err ? err : &local);
    ms_serve_signals_restore();
    pthread_mutex_destroy(&server.mutex);
    ms_arena_deinit(&server.arena);
    return rc;
}
