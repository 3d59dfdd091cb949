/*
 * The HTTP face: the store over HTTP/1.1, server-sent events and long polls.
 *
 * It promises: answers leave in request order and only from what is durable; a refused request has
 * stored nothing; memory stays bounded whatever clients send (connections_max, the pipeline depth,
 * output_bytes_max per connection, inflight_bytes_max for all of them; a socket over its bound is
 * not read from until it is below it again).
 *
 *   server.c        loops, listeners, life          loop.c        one event loop and its thread
 *   connection.c    a socket: order, output         intake.c      parsing, checks, starting
 *   request.c       one request                     answer.c      what is answered
 *   routes.c        the table of what is answered   openapi.c     the same as OpenAPI 3.1
 *   params.c        query parameters                condition.c   If-Match and friends
 *   media.c         content types, Accept           problem.c     errors as RFC 9457 documents
 *   guard.c         Host and Origin                 config.c      the options, shared by the loops
 *   event_body.c    a body as events                stream_key.c  a stream by topic and key
 *   append.c        POST of events                  append_multi.c  POST /v1/append
 *   outcome.c       what became of an append        documents.c   delete, metadata, snapshots
 *   reads.c         pages of events                 longpoll.c    ?wait=
 *   sse.c           subscriptions                   topics.c      topics and lists
 *   system.c        health, info, metrics           http_metrics.c, log_entry.c
 *   groups.c        consumer groups                 group_reset.c   setting their offsets
 *   sync.c          appends and projections of mode sync
 *   queries.c       queries of projections          query_params.c  their parameters
 *   rows.c          rows as JSON                    projections.c   read models, administration
 *   projection_errors.c what they can't apply
 *   partitions.c    the partitions of a topic       assignment.c    what members are assigned
 *   admin.c         backup, scavenge                budget.c      memory that clients make it hold
 *
 * Threads: everything here from any thread, one call at a time per object. Callbacks come from the
 * loops' threads and must not block.
 */
#pragma once

#include "group/group.h"
#include "projection/projections.h"
#include "store/store.h"
#include "wire/http1.h"

struct ms_http;

/* A finished request, for the access log and the slow-operation log. No payload, no query string of
 * events. Borrowed for the call. */
struct ms_http_log_entry {
    struct ms_bytes method, path;
    struct ms_bytes request_id;
    struct ms_bytes correlation_id; /* request header `Correlation-Id`, absent when there is none */
    struct ms_bytes peer;           /* "127.0.0.1:51234" */
    const char *route;              /* pattern, or "-" when nothing matched */
    int status;
    int64_t duration_us; /* from the headers to the answer, without what a long poll or an event
                            stream has waited for events */
    uint64_t bytes_in;   /* of the body */
    uint64_t bytes_out;  /* of the answer, head included */
    const char *problem; /* problem type of an error answer, NULL otherwise */
};

struct ms_http_options {
    const struct ms_env *env;      /* NULL: the system's */
    const char *listen;            /* "127.0.0.1:8080", "[::1]:8080"; port 0 picks a free one */
    unsigned threads;              /* event loops; 0 = one per core */
    unsigned reader_threads;       /* for blocking reads; default 2 */
    struct ms_http1_limits limits; /* header block 32 KiB, 100 headers, target 8 KiB, body 64 MiB */
    struct ms_event_limits event_limits;
    int64_t idle_timeout_ms;  /* between requests; default 75 s */
    int64_t read_timeout_ms;  /* from the first byte of a request to its last; default 60 s */
    int64_t write_timeout_ms; /* a peer that takes nothing for this long is dropped; default 60 s */
    unsigned connections_max; /* default 10,000; further ones are closed at once */
    size_t output_bytes_max;  /* queued output of one connection; beyond it waits; default 1 MiB */
    size_t inflight_bytes_max; /* bodies and answers in memory, all connections; one body has at
                                  most three quarters of it; default 256 MiB. See budget.h */
    unsigned pipeline_max;     /* requests of one connection being worked on; default 64 */
    size_t page_events_max;    /* largest ?limit=; default 10,000 */
    size_t page_bytes_max; /* a page of events ends with the one that crosses this; default 1 MiB */
    int64_t wait_ms_max;   /* largest ?wait=; default 5 min */
    int64_t heartbeat_ms;  /* comment line on an idle event stream; default 15 s */
    /* Host names accepted beside loopback and the listen address; "*" = all. */
    const char *const *allowed_hosts;
    size_t allowed_host_count;
    /* Origins whose pages may call from a browser; none = CORS is off; "*" = all. */
    const char *const *cors_origins;
    size_t cors_origin_count;
    const char *version; /* shown by /v1/info; default "dev" */
    /* The group coordinator; NULL: requests for groups are answered with 501. Must outlive the
     * face. */
    struct ms_groups *groups;
    /* Read models; NULL: 501. Must outlive the face. */
    struct ms_projections *projections;

    /* Called with the headers, before a body is read. 0 allows; 401, 403 or 429 refuses with that
     * status and *err's message. Default NULL: everyone may do everything. */
    int (*authorize)(void *context, const struct ms_http1_request *request, struct ms_error *err);
    /* Called once for every answered request; NULL = no log. */
    void (*on_request)(void *context, const struct ms_http_log_entry *entry);
    /* Additional Prometheus text for /metrics (the process, other modules); NULL = none. */
    int (*on_metrics)(void *context, struct ms_buf *out);
    /* Something the operator should know (a listener that failed, a limit reached); at most one
     * call per second. */
    void (*on_warning)(void *context, const char *message);
    void *context;
};
/* All defaults; listen on 127.0.0.1:8080. */
void ms_http_options_init(struct ms_http_options *options);

/* Binds, starts the threads and serves. The options are copied. The store must outlive it.
 * MS_EINVAL (bad address), MS_EEXIST (address in use), MS_ENOMEM, MS_EIO. */
int ms_http_start(struct ms_store *store, const struct ms_http_options *options,
                  struct ms_http **ret_http, struct ms_error *err) MS_MUST_CHECK;

#define MS_HTTP_ADDRESS_MAX 64
/* The address that it listens on, with the port that was picked: "127.0.0.1:43117". */
void ms_http_address(const struct ms_http *http, char out[MS_HTTP_ADDRESS_MAX]);

/* Takes over what may change while serving: limits, timeouts, maxima, hosts, origins, hooks.
 * listen, threads and reader_threads keep their values. MS_ENOMEM: nothing has changed. */
int ms_http_reload(struct ms_http *http, const struct ms_http_options *options,
                   struct ms_error *err) MS_MUST_CHECK;

/* /readyz answers 503 from now on (a load balancer takes the server out), everything else goes on.
 * */
void ms_http_set_ready(struct ms_http *http, bool ready);

/* Stops accepting, ends event streams and long polls, lets requests in flight finish for at most
 * drain_ms, closes, frees. Takes NULL. Call it before ms_store_close. */
void ms_http_stop(struct ms_http *http, int64_t drain_ms);

/* The face's own metrics in Prometheus text format, appended to *out. */
int ms_http_metrics(struct ms_http *http, struct ms_buf *out) MS_MUST_CHECK;
