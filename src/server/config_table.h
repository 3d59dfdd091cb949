/*
 * Every setting of the server, once. From this table come the fields of struct ms_config, the
 * command-line flag, the environment variable, the YAML key, default, limits, `--help`,
 * `config print|check`, what SIGHUP reloads, and docs/reference/configuration.md.
 *
 *   X(type, field, key, alias, default, min, max, choices, traits, help)
 *
 *   type      BOOL INT SIZE DURATION STRING ADDRESS ENUM LIST (config.h says how each is spelt)
 *   field     in struct ms_config
 *   key       YAML key; flag and variable follow from it: log.segment_bytes is --log-segment-bytes
 *             and MAINSTEM_LOG_SEGMENT_BYTES
 *   alias     a second, short flag without its dashes, or NULL
 *   default   as text, parsed like any other value
 *   min, max  inclusive; in bytes, milliseconds or units; 0, 0 where they mean nothing
 *   choices   of an ENUM, comma separated; for a STRING the word that stands for its value in help
 *   traits    MS_SETTING_RELOAD: SIGHUP changes it. MS_SETTING_NOT_IN_FILE: flag and variable only.
 *             MS_SETTING_SECRET: the value is never shown
 *   help      one sentence without a full stop
 */
#pragma once

#define MS_KIB(n) ((int64_t)(n) << 10)
#define MS_MIB(n) ((int64_t)(n) << 20)
#define MS_GIB(n) ((int64_t)(n) << 30)
#define MS_HOURS(n) ((int64_t)(n)*3600000)
#define MS_DAYS(n) ((int64_t)(n)*86400000)

/* clang-format off */
#define MS_CONFIG_TABLE(X) \
    X(STRING,   config_file, "config", NULL, "", 0, 0, "FILE", MS_SETTING_NOT_IN_FILE, \
      "YAML file with settings") \
    X(STRING,   data, "data", NULL, "mainstem-data", 0, 0, "DIR", 0, \
      "data directory; made when it is missing") \
    X(STRING,   ready_file, "ready_file", NULL, "", 0, 0, "FILE", 0, \
      "file that is written, as JSON, once the server serves: addresses of the faces and pid") \
    X(BOOL,     insecure, "insecure", NULL, "false", 0, 0, NULL, 0, \
      "allow listening beyond loopback although there is no authentication") \
    X(ENUM,     durability, "durability", NULL, "commit", 0, 0, "commit,os", 0, \
      "commit: acknowledge what is synced to disk; os: acknowledge what the operating system " \
      "has, which a power cut loses") \
    \
    X(ENUM,     log_write, "log.write", NULL, "direct", 0, 0, "direct,buffered", 0, \
      "direct: bypass the page cache, for large reads too, with a fallback where the file system " \
      "refuses it") \
    X(SIZE,     log_segment_bytes, "log.segment_bytes", NULL, "256MiB", \
      MS_MIB(1), MS_GIB(1), NULL, 0, \
      "size of a segment file; a multiple of 4096") \
    X(SIZE,     log_tail_cache_bytes, "log.tail_cache_bytes", NULL, "16MiB", \
      MS_MIB(1), MS_GIB(64), NULL, 0, \
      "memory that keeps the newest blocks for readers") \
    X(DURATION, log_idle_mark_ms, "log.idle_mark", NULL, "1s", \
      0, MS_DAYS(1), NULL, 0, \
      "after this time without an append 4 KiB are written behind the last one, once, which " \
      "prove after a crash that it was whole; 0 leaves that to the next start or stop") \
    X(SIZE,     log_inflight_bytes_max, "log.inflight_bytes_max", NULL, "256MiB", \
      MS_MIB(1), MS_GIB(64), NULL, 0, \
      "memory for appends that are accepted and not yet durable") \
    X(DURATION, log_scavenge_interval_ms, "log.scavenge_interval", NULL, "6h", \
      0, MS_DAYS(365), NULL, 0, \
      "time between runs of the scavenger, and from the start to the first; a run reads what may " \
      "hold something to drop and rewrites what gains a fifth; 0 runs it only when asked to") \
    X(SIZE,     log_scavenge_bytes_per_second, "log.scavenge_bytes_per_second", NULL, "32MiB", \
      MS_KIB(64), MS_GIB(64), NULL, 0, \
      "the most that the scavenger reads and writes in a second") \
    \
    X(INT,      store_head_cache_entries, "store.head_cache_entries", NULL, "1000000", \
      1000, 1000000000, NULL, 0, \
      "stream heads kept in memory") \
    X(INT,      store_idempotence_window, "store.idempotence_window", NULL, "1000000", \
      0, 1000000000, NULL, 0, \
      "newest events whose resend under the conditions any and exists is recognised") \
    X(INT,      store_topics_max, "store.topics_max", NULL, "10000", 1, 1000000, NULL, 0, \
      "topics that may exist") \
    X(INT,      store_topic_partitions, "store.topic_partitions", NULL, "4", 1, 1024, NULL, 0, \
      "partitions of a topic that an append makes") \
    X(SIZE,     index_cache_bytes, "index.cache_bytes", NULL, "64MiB", \
      MS_MIB(1), MS_GIB(64), NULL, 0, \
      "block cache of the index") \
    X(INT,      index_overlay_entries_max, "index.overlay_entries_max", NULL, "1000000", \
      1000, 100000000, NULL, 0, \
      "index entries held in memory before they are written out") \
    \
    X(SIZE,     limits_event_bytes_max, "limits.event_bytes_max", NULL, "16MiB", \
      MS_KIB(1), MS_MIB(256), NULL, 0, \
      "largest event: data, metadata and headers") \
    X(SIZE,     limits_append_bytes_max, "limits.append_bytes_max", NULL, "64MiB", \
      MS_KIB(1), MS_MIB(512), NULL, 0, \
      "largest append: all its events") \
    X(INT,      limits_append_events_max, "limits.append_events_max", NULL, "100000", \
      1, 1000000, NULL, 0, \
      "events in one append") \
    X(INT,      limits_name_bytes_max, "limits.name_bytes_max", NULL, "512", 16, 4096, NULL, 0, \
      "longest stream name, event type, event id or tag, in bytes") \
    X(INT,      limits_json_depth_max, "limits.json_depth_max", NULL, "64", 4, 512, NULL, 0, \
      "deepest nesting of JSON that is accepted") \
    \
    X(ADDRESS,  http_listen, "http.listen", "http", "127.0.0.1:8080", 0, 0, NULL, 0, \
      "address of the HTTP face; port 0 picks a free one") \
    X(INT,      http_threads, "http.threads", NULL, "0", 0, 256, NULL, 0, \
      "event loops; 0 means one per core") \
    X(INT,      http_reader_threads, "http.reader_threads", NULL, "2", 1, 64, NULL, 0, \
      "threads for reads that wait for the disk") \
    X(SIZE,     http_header_bytes_max, "http.header_bytes_max", NULL, "32KiB", \
      MS_KIB(1), MS_MIB(1), NULL, MS_SETTING_RELOAD, \
      "request line and headers of one request") \
    X(INT,      http_headers_max, "http.headers_max", NULL, "100", \
      8, 1000, NULL, MS_SETTING_RELOAD, \
      "headers of one request") \
    X(SIZE,     http_target_bytes_max, "http.target_bytes_max", NULL, "8KiB", \
      256, MS_MIB(1), NULL, MS_SETTING_RELOAD, \
      "longest request target: path and query") \
    X(SIZE,     http_body_bytes_max, "http.body_bytes_max", NULL, "64MiB", \
      MS_KIB(1), MS_GIB(1), NULL, MS_SETTING_RELOAD, \
      "largest request body") \
    X(DURATION, http_idle_timeout_ms, "http.idle_timeout", NULL, "75s", \
      100, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "a connection without a request is closed after this time") \
    X(DURATION, http_read_timeout_ms, "http.read_timeout", NULL, "60s", \
      100, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "from the first byte of a request to its last") \
    X(DURATION, http_write_timeout_ms, "http.write_timeout", NULL, "60s", \
      100, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "a peer that takes none of its answer for this long is dropped") \
    X(DURATION, http_drain_timeout_ms, "http.drain_timeout", NULL, "3s", \
      0, MS_HOURS(1), NULL, MS_SETTING_RELOAD, \
      "time that a graceful stop gives to requests in flight") \
    X(DURATION, http_wait_max_ms, "http.wait_max", NULL, "5m", \
      0, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "longest long poll (?wait=)") \
    X(DURATION, http_heartbeat_ms, "http.heartbeat", NULL, "15s", \
      100, MS_HOURS(1), NULL, MS_SETTING_RELOAD, \
      "comment line on an event stream that has nothing to say") \
    X(INT,      http_connections_max, "http.connections_max", NULL, "10000", \
      1, 1000000, NULL, MS_SETTING_RELOAD, \
      "connections; further ones are closed at once") \
    X(INT,      http_pipeline_max, "http.pipeline_max", NULL, "64", \
      1, 10000, NULL, MS_SETTING_RELOAD, \
      "requests of one connection that are worked on at a time") \
    X(SIZE,     http_output_bytes_max, "http.output_bytes_max", NULL, "1MiB", \
      MS_KIB(16), MS_GIB(1), NULL, MS_SETTING_RELOAD, \
      "queued output of one connection before it stops producing") \
    X(SIZE,     http_inflight_bytes_max, "http.inflight_bytes_max", NULL, "256MiB", \
      MS_MIB(1), MS_GIB(64), NULL, MS_SETTING_RELOAD, \
      "request bodies and answers in memory, over all connections: at least half of it is for " \
      "bodies alone, and one body has at most three quarters; subscriptions and reads that find " \
      "no room wait for it") \
    X(INT,      http_page_events_max, "http.page_events_max", NULL, "10000", \
      1000, 1000000, NULL, MS_SETTING_RELOAD, \
      "largest ?limit= of a page of events") \
    X(SIZE,     http_page_bytes_max, "http.page_bytes_max", NULL, "1MiB", \
      MS_KIB(16), MS_GIB(1), NULL, MS_SETTING_RELOAD, \
      "a page of events ends here; it holds at least one event") \
    X(LIST,     http_allowed_hosts, "http.allowed_hosts", NULL, "", \
      0, 0, "HOST", MS_SETTING_RELOAD, \
      "Host names that are accepted beside loopback and the listen address; * accepts all") \
    X(LIST,     http_cors_origins, "http.cors_origins", NULL, "", \
      0, 0, "ORIGIN", MS_SETTING_RELOAD, \
      "origins whose web pages may call the server; empty is none, * is all") \
    \
    X(ADDRESS,  kafka_listen, "kafka.listen", "kafka", "", 0, 0, NULL, 0, \
      "address of the Kafka face, 127.0.0.1:9092 as a rule; port 0 picks a free one; empty " \
      "leaves the face off") \
    X(ADDRESS,  kafka_advertised, "kafka.advertised", NULL, "", 0, 0, NULL, MS_SETTING_RELOAD, \
      "where Kafka clients are told to connect to; empty is where the face listens, or when that " \
      "is every interface the address at which the client reached it") \
    X(INT,      kafka_threads, "kafka.threads", NULL, "0", 0, 256, NULL, 0, \
      "event loops; 0 means one per core") \
    X(INT,      kafka_reader_threads, "kafka.reader_threads", NULL, "2", 1, 64, NULL, 0, \
      "threads for reads that wait for the disk") \
    X(SIZE,     kafka_request_bytes_max, "kafka.request_bytes_max", NULL, "100MiB", \
      MS_KIB(1), MS_GIB(1), NULL, MS_SETTING_RELOAD, \
      "largest request; a larger one closes its connection") \
    X(INT,      kafka_auto_create_partitions, "kafka.auto_create_partitions", NULL, "1", \
      0, 1024, NULL, MS_SETTING_RELOAD, \
      "partitions of a topic that is made because a client named it; 0 makes none") \
    X(DURATION, kafka_idle_timeout_ms, "kafka.idle_timeout", NULL, "10m", \
      100, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "a connection without a request is closed after this time") \
    X(DURATION, kafka_write_timeout_ms, "kafka.write_timeout", NULL, "60s", \
      100, MS_HOURS(24), NULL, MS_SETTING_RELOAD, \
      "a peer that takes none of its answer for this long is dropped") \
    X(DURATION, kafka_drain_timeout_ms, "kafka.drain_timeout", NULL, "3s", \
      0, MS_HOURS(1), NULL, MS_SETTING_RELOAD, \
      "time that a graceful stop gives to requests in flight") \
    X(INT,      kafka_connections_max, "kafka.connections_max", NULL, "10000", \
      1, 1000000, NULL, MS_SETTING_RELOAD, \
      "connections; further ones are closed at once") \
    X(INT,      kafka_pipeline_max, "kafka.pipeline_max", NULL, "64", \
      1, 10000, NULL, MS_SETTING_RELOAD, \
      "requests of one connection that are worked on at a time") \
    X(SIZE,     kafka_output_bytes_max, "kafka.output_bytes_max", NULL, "1MiB", \
      MS_KIB(16), MS_GIB(1), NULL, MS_SETTING_RELOAD, \
      "answers of one connection that wait to be sent before nothing more is read from it") \
    X(SIZE,     kafka_inflight_bytes_max, "kafka.inflight_bytes_max", NULL, "256MiB", \
      MS_MIB(1), MS_GIB(64), NULL, MS_SETTING_RELOAD, \
      "requests (one half) and answers (the other) in memory, over all connections; what finds " \
      "no room waits for it") \
    \
    X(DURATION, groups_initial_delay_ms, "groups.initial_rebalance_delay", NULL, "3s", \
      0, MS_HOURS(1), NULL, 0, \
      "how long the first member of an empty group waits for others; 0 does not wait") \
    X(DURATION, groups_offsets_retention_ms, "groups.offsets_retention", NULL, "168h", \
      MS_HOURS(1), MS_HOURS(24 * 36500), NULL, 0, \
      "committed offsets of a group without members are kept for this time") \
    X(INT,      groups_max, "groups.max", NULL, "10000", 1, 1000000, NULL, 0, \
      "consumer groups; further ones are refused") \
    X(INT,      groups_members_max, "groups.members_max", NULL, "1000", 1, 100000, NULL, 0, \
      "members of one group; further ones are refused") \
    X(DURATION, groups_consumer_session_ms, "groups.consumer_session_timeout", NULL, "45s", \
      1000, MS_HOURS(1), NULL, 0, \
      "a member of a consumer group (KIP-848) that is silent for this time is removed; members " \
      "of classic groups bring their own") \
    X(DURATION, groups_consumer_heartbeat_ms, "groups.consumer_heartbeat_interval", NULL, "5s", \
      100, 60000, NULL, 0, \
      "how often members of consumer groups are asked to be heard; less than the session timeout") \
    \
    X(DURATION, projections_keep_ms, "projections.keep", NULL, "1h", \
      0, MS_DAYS(365), NULL, 0, \
      "how long the version of a read model that another one has replaced is kept, and kept up " \
      "to date, so that it can be switched back to") \
    X(STRING,   projections_postgres, "projections.postgres", NULL, "", 0, 0, "CONNINFO", \
      MS_SETTING_SECRET, \
      "connection string of the PostgreSQL database that read models with '-- target: postgres' " \
      "are kept in; never shown") \
    \
    X(DURATION, txn_timeout_max_ms, "txn.timeout_max", NULL, "15m", \
      1000, MS_HOURS(24), NULL, 0, \
      "the longest timeout that a producer may ask for; an open transaction that is older than " \
      "its timeout is aborted") \
    X(DURATION, txn_id_retention_ms, "txn.id_retention", NULL, "168h", \
      MS_HOURS(1), MS_HOURS(24 * 36500), NULL, 0, \
      "a transactional id that nobody has used for this time is forgotten") \
    \
    X(ENUM,     logging_level, "logging.level", NULL, "info", \
      0, 0, "debug,info,warn,error", MS_SETTING_RELOAD, \
      "least important log lines that are written") \
    X(ENUM,     logging_format, "logging.format", NULL, "auto", \
      0, 0, "auto,text,json", MS_SETTING_RELOAD, \
      "auto: text on a terminal, JSON lines otherwise; both on standard error") \
    X(DURATION, logging_slow_operation_ms, "logging.slow_operation", NULL, "1s", \
      0, MS_HOURS(1), NULL, MS_SETTING_RELOAD, \
      "an operation that takes longer is logged as a warning; 0 logs none")
/* clang-format on */
