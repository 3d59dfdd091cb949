/* See serve_options.h. Each setting is used in one place: here. */
#include "server/serve_options.h"

static struct ms_event_limits event_limits(const struct ms_config *config) {
    struct ms_event_limits limits = ms_event_limits_default();
    limits.event_bytes_max = (size_t)config->limits_event_bytes_max;
    limits.append_bytes_max = (size_t)config->limits_append_bytes_max;
    limits.append_events_max = (size_t)config->limits_append_events_max;
    limits.name_bytes_max = (size_t)config->limits_name_bytes_max;
    limits.json_depth_max = (size_t)config->limits_json_depth_max;
    return limits;
}

void ms_serve_store_options(const struct ms_config *config, struct ms_store_options *ret_options) {
    struct ms_store_options options;
    ms_store_options_init(&options);
    options.dir = config->data;
    options.limits = event_limits(config);
    options.durability = (enum ms_durability)config->durability;
    options.buffered_writes = config->log_write != 0;
    options.segment_bytes = (uint64_t)config->log_segment_bytes;
    options.tail_cache_bytes = (size_t)config->log_tail_cache_bytes;
    options.idle_mark_ms = config->log_idle_mark_ms;
    options.inflight_bytes_max = (size_t)config->log_inflight_bytes_max;
    options.head_cache_entries = (size_t)config->store_head_cache_entries;
    options.idempotence_window = (size_t)config->store_idempotence_window;
    options.topics_max = (uint32_t)config->store_topics_max;
    options.topic_partitions = (uint16_t)config->store_topic_partitions;
    options.index_cache_bytes = (size_t)config->index_cache_bytes;
    options.index_overlay_entries_max = (size_t)config->index_overlay_entries_max;
    options.scavenge_interval_ms = config->log_scavenge_interval_ms;
    options.scavenge_bytes_per_second = (uint64_t)config->log_scavenge_bytes_per_second;
    *ret_options = options;
}

/* Splits comma separated names; spaces around a name and empty names are dropped. */
static int split_list(const char *text, struct ms_arena *arena, const char *const **ret_names,
                      size_t *ret_count) {
    size_t places = 1;
    for (const char *at = text; *at; at++)
        places += *at == ',';
    const char **names = ms_arena_zalloc(arena, places * sizeof *names);
    if (!names)
        return MS_ENOMEM;
    size_t count = 0;
    for (const char *at = text; *at;) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ",");
        size_t trimmed = len;
        while (trimmed > 0 && at[trimmed - 1] == ' ')
            trimmed--;
        if (trimmed > 0 && !(names[count++] = ms_arena_strdup(arena, ms_bytes_of(at, trimmed))))
            return MS_ENOMEM;
        at += len;
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

static void set_http_limits(const struct ms_config *config, struct ms_http_options *options) {
    options->limits.header_bytes_max = (size_t)config->http_header_bytes_max;
    options->limits.headers_max = (size_t)config->http_headers_max;
    options->limits.target_bytes_max = (size_t)config->http_target_bytes_max;
    options->limits.body_bytes_max = (size_t)config->http_body_bytes_max;
    options->event_limits = event_limits(config);
    options->idle_timeout_ms = config->http_idle_timeout_ms;
    options->read_timeout_ms = config->http_read_timeout_ms;
    options->write_timeout_ms = config->http_write_timeout_ms;
    options->wait_ms_max = config->http_wait_max_ms;
    options->heartbeat_ms = config->http_heartbeat_ms;
    options->connections_max = (unsigned)config->http_connections_max;
    options->pipeline_max = (unsigned)config->http_pipeline_max;
    options->output_bytes_max = (size_t)config->http_output_bytes_max;
    options->inflight_bytes_max = (size_t)config->http_inflight_bytes_max;
    options->page_events_max = (size_t)config->http_page_events_max;
    options->page_bytes_max = (size_t)config->http_page_bytes_max;
}

int ms_serve_http_options(const struct ms_config *config, struct ms_arena *arena,
                          struct ms_http_options *ret_options, struct ms_error *err) {
    struct ms_http_options options;
    ms_http_options_init(&options);
    options.listen = config->http_listen;
    options.threads = (unsigned)config->http_threads;
    options.reader_threads = (unsigned)config->http_reader_threads;
    options.version = MS_VERSION;
    set_http_limits(config, &options);
    int rc = split_list(config->http_allowed_hosts, arena, &options.allowed_hosts,
                        &options.allowed_host_count);
    if (rc == 0)
        rc = split_list(config->http_cors_origins, arena, &options.cors_origins,
                        &options.cors_origin_count);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for the settings of the HTTP face");
    *ret_options = options;
    return 0;
}

/* "host:port" or "[v6]:port", checked when it was set. */
static int split_advertised(const char *address, struct ms_arena *arena,
                            struct ms_kafka_options *options) {
    const char *colon = strrchr(address, ':');
    uint64_t port = 0;
    if (!colon || ms_parse_u64(ms_bytes_cstr(colon + 1), &port) != 0)
        return MS_EINVAL;
    bool brackets = address[0] == '[';
    size_t len = (size_t)(colon - address) - (brackets ? 2 : 0);
    options->advertised_host = ms_arena_strdup(arena, ms_bytes_of(address + brackets, len));
    options->advertised_port = (unsigned)port;
    return options->advertised_host ? 0 : MS_ENOMEM;
}

void ms_serve_projections_options(const struct ms_config *config,
                                  struct ms_projections_options *ret_options) {
    ms_projections_options_init(ret_options);
    ret_options->keep_ms = config->projections_keep_ms;
    if (*config->projections_postgres)
        ret_options->postgres = config->projections_postgres;
}

void ms_serve_groups_options(const struct ms_config *config, const struct ms_env *env,
                             struct ms_groups_options *ret_options) {
    *ret_options = (struct ms_groups_options){
        .env = env,
        .groups_max = (uint32_t)config->groups_max,
        .members_max = (uint32_t)config->groups_members_max,
        .initial_rebalance_delay_ms = (int32_t)config->groups_initial_delay_ms,
        .offsets_retention_ms = config->groups_offsets_retention_ms,
        .consumer_session_timeout_ms = (int32_t)config->groups_consumer_session_ms,
        .consumer_heartbeat_interval_ms = (int32_t)config->groups_consumer_heartbeat_ms,
    };
}

void ms_serve_txns_options(const struct ms_config *config, const struct ms_env *env,
                           struct ms_txns_options *ret_options) {
    *ret_options = (struct ms_txns_options){
        .env = env,
        .timeout_ms_max = (int32_t)config->txn_timeout_max_ms,
        .id_retention_ms = config->txn_id_retention_ms,
    };
}

int ms_serve_kafka_options(const struct ms_config *config, struct ms_arena *arena,
                           struct ms_kafka_options *ret_options, struct ms_error *err) {
    struct ms_kafka_options options;
    ms_kafka_options_init(&options);
    options.listen = config->kafka_listen;
    options.threads = (unsigned)config->kafka_threads;
    options.reader_threads = (unsigned)config->kafka_reader_threads;
    options.connections_max = (unsigned)config->kafka_connections_max;
    options.request_bytes_max = (size_t)config->kafka_request_bytes_max;
    options.output_bytes_max = (size_t)config->kafka_output_bytes_max;
    options.inflight_bytes_max = (size_t)config->kafka_inflight_bytes_max;
    options.idle_timeout_ms = config->kafka_idle_timeout_ms;
    options.write_timeout_ms = config->kafka_write_timeout_ms;
    options.pipeline_max = (unsigned)config->kafka_pipeline_max;
    options.auto_create_partitions = (unsigned)config->kafka_auto_create_partitions;
    if (*config->kafka_advertised) {
        int rc = split_advertised(config->kafka_advertised, arena, &options);
        if (rc != 0)
            return ms_error_set(err, rc, "kafka.advertised: %s", ms_error_text(rc));
    }
    *ret_options = options;
    return 0;
}

void ms_serve_apply_logging(const struct ms_config *config) {
    ms_log_output_set_level((enum ms_log_level)config->logging_level);
    ms_log_output_set_format((enum ms_log_format)config->logging_format);
    ms_log_output_set_slow_operation(config->logging_slow_operation_ms);
}
