/*
 * What commands work on: a server (over HTTP) or a data directory (an embedded store). Each command
 * is written once against this interface.
 *
 *   target.c               choosing one from --server and --data; waiting for one append
 *   target_http.c          the vtable over HTTP: documents and topics
 *   target_http_append.c   appends in flight, on curl's multi interface
 *   target_http_read.c     pages of events
 *   target_http_sse.c      subscriptions
 *   target_http_admin.c    backup, scavenge
 *   target_http_groups.c   consumer groups
 *   target_http_projections.c  read models, and queries of them
 *   http_client.c          one HTTP exchange
 *   target_store.c         the vtable over a store: life, documents, topics
 *   target_store_append.c  appends in flight
 *   target_store_read.c    reads and subscriptions
 *   target_store_admin.c   backup, scavenge
 *
 * Events are plain JSON objects (src/wire/event_json.h): what comes out of a target is one object
 * without line breaks, what goes in has the fields of an event to be appended.
 *
 * One thread. All functions return 0 or the error codes of src/store/store.h; a server that can't
 * be reached is MS_ECLOSED.
 */
#pragma once

#include "cli/command.h"
#include "store/store.h"

struct ms_target;

/* Returns 0 to go on, 1 to stop after this event, a negative code to fail with it. */
typedef int ms_target_event_fn(void *context, struct ms_bytes event);

struct ms_target_read {
    const char *stream; /* NULL: all events */
    bool backward;
    bool has_from;
    uint64_t from; /* version or position, inclusive; without it from the beginning or the end */
    bool from_end; /* subscriptions: only what comes from now on */
    uint64_t limit;
    const char *as_of;    /* a time or a position; NULL: now */
    const char *known_at; /* a time */
    /* for all events */
    const char *topic, *stream_prefix, *correlation_id;
    const struct ms_bytes *types, *tags;
    size_t type_count, tag_count;
    bool include_system;
};

struct ms_target_part {
    struct ms_bytes stream;
    struct ms_condition condition;
    const struct ms_bytes *events; /* JSON objects */
    size_t count;
};
struct ms_target_append {
    const struct ms_target_part *parts;
    size_t part_count;
};
struct ms_target_append_result {
    int64_t first_version, version; /* of the first part */
    uint64_t position;
    bool repeated; /* the same events were there already; nothing was added */
};
/* Called from ms_target_append_start or ms_target_poll. `result` is NULL when code is not 0. */
typedef void ms_target_appended_fn(void *context, int code,
                                   const struct ms_target_append_result *result,
                                   const struct ms_error *err);

/* How far long work is; of bytes or of parts. */
typedef void ms_target_progress_fn(void *context, uint64_t done, uint64_t total);
struct ms_target_progress {
    ms_target_progress_fn *show; /* NULL: nobody looks */
    void *context;
};

struct ms_target_scavenge {
    bool all;
    uint64_t bytes_per_second; /* 0: no limit */
    bool wait;                 /* a server can go on alone */
};

/* A request about read models, as below /v1/projections. */
struct ms_target_projection {
    const char *method;
    struct ms_bytes name; /* absent: all of them */
    const char *verb;     /* "errors", "pause" …; NULL: the projection itself */
    struct ms_bytes body; /* JSON; of PUT the projection's file */
    bool allow_incomplete;
};

struct ms_target_parameter {
    struct ms_bytes name, value;
};
struct ms_target_query {
    struct ms_bytes projection, query;
    const struct ms_target_parameter *parameters;
    size_t parameter_count;
};

struct ms_target_ops {
    void (*free)(struct ms_target *target);
    int (*append_start)(struct ms_target *target, const struct ms_target_append *append,
                        ms_target_appended_fn *done, void *context, struct ms_error *err);
    int (*poll)(struct ms_target *target, struct ms_error *err);
    int (*read)(struct ms_target *target, const struct ms_target_read *read,
                ms_target_event_fn *visit, void *context, struct ms_error *err);
    int (*subscribe)(struct ms_target *target, const struct ms_target_read *read,
                     ms_target_event_fn *visit, void *context, struct ms_error *err);
    int (*delete_stream)(struct ms_target *target, struct ms_bytes stream,
                         struct ms_condition condition, bool tombstone, struct ms_error *err);
    int (*get_metadata)(struct ms_target *target, struct ms_bytes stream, struct ms_buf *out,
                        struct ms_error *err);
    int (*put_metadata)(struct ms_target *target, struct ms_bytes stream,
                        struct ms_condition condition, struct ms_bytes json, struct ms_error *err);
    int (*list_topics)(struct ms_target *target, ms_target_event_fn *visit, void *context,
                       struct ms_error *err);
    int (*get_topic)(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                     struct ms_error *err);
    int (*put_topic)(struct ms_target *target, struct ms_bytes name, struct ms_bytes settings,
                     bool *ret_created, struct ms_error *err);
    int (*delete_topic)(struct ms_target *target, struct ms_bytes name, struct ms_error *err);
    int (*get_partitions)(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                          struct ms_error *err);
    int (*list_groups)(struct ms_target *target, struct ms_buf *out, struct ms_error *err);
    int (*get_group)(struct ms_target *target, struct ms_bytes group, struct ms_buf *out,
                     struct ms_error *err);
    int (*reset_group)(struct ms_target *target, struct ms_bytes group, struct ms_bytes json,
                       struct ms_buf *out, struct ms_error *err);
    int (*delete_group)(struct ms_target *target, struct ms_bytes group, struct ms_error *err);
    int (*projection)(struct ms_target *target, const struct ms_target_projection *request,
                      struct ms_buf *out, struct ms_error *err);
    int (*query)(struct ms_target *target, const struct ms_target_query *query,
                 ms_target_event_fn *visit, void *context, struct ms_error *err);
    int (*info)(struct ms_target *target, struct ms_buf *out, struct ms_error *err);
    int (*backup)(struct ms_target *target, const char *dir,
                  const struct ms_target_progress *progress, struct ms_buf *out,
                  struct ms_error *err);
    int (*scavenge)(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                    const struct ms_target_progress *progress, struct ms_buf *out,
                    struct ms_error *err);
};

#define MS_TARGET_IN_FLIGHT_MAX 16
struct ms_target {
    const struct ms_target_ops *ops;
    bool keeps_order;   /* appends take effect in the order in which they were started */
    unsigned in_flight; /* appends started and not done; at most MS_TARGET_IN_FLIGHT_MAX */
};

/* What a command does with the target. A data directory that is not there is made for writing only;
 * a backup that is read stays as it is. */
enum ms_target_use { MS_TARGET_READS, MS_TARGET_CHANGES, MS_TARGET_WRITES };
/* From --data, --server, MAINSTEM_SERVER or the default server, to which it does not connect yet.
 * The errors of ms_store_open; MS_ENOTFOUND for a data directory that is only read and not there.
 * */
int ms_target_open(struct ms_invocation *invocation, enum ms_target_use use,
                   struct ms_target **ret_target, struct ms_error *err) MS_MUST_CHECK;
void ms_target_free(struct ms_target *target); /* takes NULL */

/* Starts an append; `done` is called once, later or from inside. The append is not referred to
 * after the call. MS_EAGAIN when MS_TARGET_IN_FLIGHT_MAX are in flight; refusals without `done`. */
int ms_target_append_start(struct ms_target *target, const struct ms_target_append *append,
                           ms_target_appended_fn *done, void *context, struct ms_error *err)
    MS_MUST_CHECK;
/* Waits until an append is done and calls its `done`. There must be one in flight. */
int ms_target_poll(struct ms_target *target, struct ms_error *err) MS_MUST_CHECK;
/* One append, waiting for it. */
int ms_target_append(struct ms_target *target, const struct ms_target_append *append,
                     struct ms_target_append_result *ret_result, struct ms_error *err)
    MS_MUST_CHECK;

/* Events of a stream, or all events that match: each as a JSON object, which may span lines where
 * its data or metadata does. A stream that is none or deleted is MS_ENOTFOUND,
 * a tombstoned one MS_ETOMBSTONED. */
int ms_target_read(struct ms_target *target, const struct ms_target_read *read,
                   ms_target_event_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;
/* The same and then live, until `visit` stops it. */
int ms_target_subscribe(struct ms_target *target, const struct ms_target_read *read,
                        ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;

int ms_target_delete_stream(struct ms_target *target, struct ms_bytes stream,
                            struct ms_condition condition, bool tombstone, struct ms_error *err)
    MS_MUST_CHECK;
/* Appends the JSON object to *out. MS_ENOTFOUND. */
int ms_target_get_metadata(struct ms_target *target, struct ms_bytes stream, struct ms_buf *out,
                           struct ms_error *err) MS_MUST_CHECK;
int ms_target_put_metadata(struct ms_target *target, struct ms_bytes stream,
                           struct ms_condition condition, struct ms_bytes json,
                           struct ms_error *err) MS_MUST_CHECK;

/* Topics are JSON objects as GET /v1/topics/{topic} answers them; settings as PUT takes them. */
int ms_target_list_topics(struct ms_target *target, ms_target_event_fn *visit, void *context,
                          struct ms_error *err) MS_MUST_CHECK;
int ms_target_get_topic(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                        struct ms_error *err) MS_MUST_CHECK;
int ms_target_put_topic(struct ms_target *target, struct ms_bytes name, struct ms_bytes settings,
                        bool *ret_created, struct ms_error *err) MS_MUST_CHECK;
int ms_target_delete_topic(struct ms_target *target, struct ms_bytes name, struct ms_error *err)
    MS_MUST_CHECK;

/* As GET /v1/topics/{topic}/partitions answers; appended to *out. MS_ENOTFOUND. */
int ms_target_get_partitions(struct ms_target *target, struct ms_bytes name, struct ms_buf *out,
                             struct ms_error *err) MS_MUST_CHECK;

/* Consumer groups as JSON, as the requests below /v1/groups take and answer it; appended to *out.
 * Only servers keep groups: MS_EUNSUPPORTED for a data directory. MS_ENOTFOUND, MS_ENOTEMPTY. */
int ms_target_list_groups(struct ms_target *target, struct ms_buf *out, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_get_group(struct ms_target *target, struct ms_bytes group, struct ms_buf *out,
                        struct ms_error *err) MS_MUST_CHECK;
int ms_target_reset_group(struct ms_target *target, struct ms_bytes group, struct ms_bytes json,
                          struct ms_buf *out, struct ms_error *err) MS_MUST_CHECK;
int ms_target_delete_group(struct ms_target *target, struct ms_bytes group, struct ms_error *err)
    MS_MUST_CHECK;

/* The answer is appended to *out (NULL: not wanted). Only servers keep projections: MS_EUNSUPPORTED
 * for a data directory. MS_ENOTFOUND, MS_EINVAL, MS_EAGAIN. */
int ms_target_projection(struct ms_target *target, const struct ms_target_projection *request,
                         struct ms_buf *out, struct ms_error *err) MS_MUST_CHECK;
/* Every row of a query's answer, page after page, each as a JSON object. Likewise; MS_ETIMEOUT. */
int ms_target_query(struct ms_target *target, const struct ms_target_query *query,
                    ms_target_event_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;

/* State of the store as a JSON object. */
int ms_target_info(struct ms_target *target, struct ms_buf *out, struct ms_error *err)
    MS_MUST_CHECK;

/* Makes a backup in a directory; of a server: of its host, absolute. The result as a JSON object is
 * appended to *out. The errors of ms_store_backup. */
int ms_target_backup(struct ms_target *target, const char *dir,
                     const struct ms_target_progress *progress, struct ms_buf *out,
                     struct ms_error *err) MS_MUST_CHECK;
/* Scavenges, and waits for it if wanted. What came out of it (or, not waiting, how far it is) is
 * appended to *out as a JSON object. The errors of ms_store_scavenge. */
int ms_target_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                       const struct ms_target_progress *progress, struct ms_buf *out,
                       struct ms_error *err) MS_MUST_CHECK;

/* ---- the two kinds ---- */

int ms_target_http_new(const struct ms_env *env, const char *url, FILE *messages,
                       struct ms_target **ret_target, struct ms_error *err) MS_MUST_CHECK;
/* Progress of a long opening goes to `progress` (NULL: nowhere). */
int ms_target_store_new(const struct ms_env *env, const char *dir, enum ms_target_use use,
                        FILE *progress, struct ms_target **ret_target, struct ms_error *err)
    MS_MUST_CHECK;

/* "any", "none", "exists" or a version. MS_EINVAL. */
int ms_condition_parse(const char *text, struct ms_condition *ret_condition, struct ms_error *err)
    MS_MUST_CHECK;
