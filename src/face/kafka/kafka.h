/*
 * The Kafka face: the store over Kafka's protocol.
 *
 * It promises: answers leave in request order, whatever order they complete in; a connection that
 * says something that is no valid request is closed; memory stays bounded whatever clients send
 * (connections_max, the pipeline depth, output_bytes_max per connection, inflight_bytes_max for all
 * of them; a socket over its bound is not read from until it is below it again).
 *
 *   server.c      loops, listeners, life           loop.c      one event loop and its thread
 *   connection.c  a socket: order, output          intake.c    from bytes to requests
 *   frame.c       a large request being received   request.c   one request and its hand-overs
 *   output.c      answers as gathered writes       timers.c    deadlines
 *   dispatch.c    which handler, which version     handlers.c  the table of handlers
 *   config.c      the options, shared by loops     metrics.c   what is counted
 *   errors.c      error codes
 *   api_versions.c, sasl.c                         the handlers of the connection itself
 *   produce.c fetch.c list_offsets.c leader_epoch.c metadata.c cluster.c
 *   sync.c        producers and projections of mode sync
 *   group_members.c group_offsets.c group_admin.c
 *   create_topics.c delete_topics.c create_partitions.c delete_records.c
 *   describe_configs.c alter_configs.c
 *   describe_topic_partitions.c log_dirs.c
 *   topic_config.c  a topic's settings by Kafka's names    broker_config.c  the server's
 *   admin.c       what those share
 *   init_producer_id.c transactions.c txn_offsets.c txn_admin.c
 *
 * Threads: everything here from any thread, one call at a time per object. Callbacks come from the
 * loops' threads and must not block.
 */
#pragma once

#include "store/store.h"

struct ms_groups;
struct ms_projections;
struct ms_txns;
struct ms_kafka;
struct ms_kafka_handler;

/* A finished request, for the log of slow operations. No payload. Borrowed for the call. */
struct ms_kafka_log_entry {
    const char *api; /* "Produce" */
    int version;
    struct ms_bytes client_id; /* absent when the client gave none */
    struct ms_bytes peer;      /* "127.0.0.1:51234" */
    int64_t duration_us;       /* from its last byte to the answer, without what it has waited
                                  for records or for a group */
    uint64_t bytes_in, bytes_out;
    int error; /* Kafka's error code that a handler noted, 0 = none */
};

struct ms_kafka_options {
    const struct ms_env *env; /* NULL: the system's */
    const char *listen;       /* "127.0.0.1:9092", "[::1]:9092"; port 0 picks a free one */
    /* Where clients are told to connect to. NULL and 0: where the server listens; when that is
     * every interface, the address at which the client reached it. */
    const char *advertised_host;
    unsigned advertised_port;
    unsigned threads;         /* event loops; 0 = one per core */
    unsigned reader_threads;  /* for blocking reads; default 2 */
    unsigned connections_max; /* default 10,000; further ones are closed at once */
    size_t request_bytes_max; /* a larger request closes its connection; default 100 MiB */
    size_t output_bytes_max;  /* answers of one connection that wait for the peer or for their turn;
                                  from there on nothing more is read from it; default 1 MiB */
    size_t inflight_bytes_max; /* requests (one half) and answers (the other) in memory, all
                                  connections; default 256 MiB. One request may go beyond it, so
                                  that there is always one that gets on */
    int64_t idle_timeout_ms;   /* default 10 min: nothing received, nothing worked on */
    int64_t write_timeout_ms; /* a peer that takes nothing for this long is dropped; default 60 s */
    unsigned pipeline_max;    /* requests of one connection being worked on; default 64 */
    unsigned auto_create_partitions; /* of topics made because a client named them; default 1; 0:
                                        none are made */

    /* The coordinators; must outlive the face. NULL: without groups, without transactions. */
    struct ms_groups *groups;
    struct ms_txns *txns;
    /* Those of mode sync are waited for; must outlive the face. NULL: none. */
    struct ms_projections *projections;

    /* What is answered. NULL: ms_kafka_handlers. Tests bring their own. */
    const struct ms_kafka_handler *handlers;
    size_t handler_count;

    /* Not NULL: a connection may do only what comes before authentication until this has allowed
     * it. 0 allows. No mechanism calls it yet. Default NULL: everyone may do everything. */
    int (*authenticate)(void *context, struct ms_bytes mechanism, struct ms_bytes token,
                        struct ms_error *err);
    /* Called once for every answered request; NULL = no log. */
    void (*on_request)(void *context, const struct ms_kafka_log_entry *entry);
    /* Something the operator should know (a peer that talks nonsense, a limit reached); at most one
     * call per second and loop. */
    void (*on_warning)(void *context, const char *message);
    void *context;
};
/* All defaults; listen on 127.0.0.1:9092. */
void ms_kafka_options_init(struct ms_kafka_options *options);

/* Binds, starts the threads and serves. The options are copied, but for the handlers. The store
 * must outlive it; it is what handlers reach as request->loop->kafka->store, and may be NULL when
 * they don't. MS_EINVAL (bad address or option), MS_EEXIST (address in use), MS_ENOMEM, MS_EIO. */
int ms_kafka_start(struct ms_store *store, const struct ms_kafka_options *options,
                   struct ms_kafka **ret_kafka, struct ms_error *err) MS_MUST_CHECK;

#define MS_KAFKA_ADDRESS_MAX 64
/* The address that it listens on, with the port that was picked: "127.0.0.1:43117". */
void ms_kafka_address(const struct ms_kafka *kafka, char out[MS_KAFKA_ADDRESS_MAX]);

/* Takes over what may change while serving: limits, timeouts, maxima, the advertised address,
 * hooks. listen, threads, reader_threads and handlers keep their values. MS_EINVAL, MS_ENOMEM:
 * nothing has changed. */
int ms_kafka_reload(struct ms_kafka *kafka, const struct ms_kafka_options *options,
                    struct ms_error *err) MS_MUST_CHECK;

/* Stops accepting and reading, answers what waits with what there is, lets requests in flight
 * finish for at most drain_ms, closes, frees. Takes NULL. Call it before ms_store_close. */
void ms_kafka_stop(struct ms_kafka *kafka, int64_t drain_ms);

/* The face's own metrics in Prometheus text format, appended to *out. MS_ENOMEM, MS_ETOOBIG: *out
 * is as before. */
int ms_kafka_metrics(struct ms_kafka *kafka, struct ms_buf *out) MS_MUST_CHECK;
