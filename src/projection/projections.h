/*
 * Projections: read models that the server keeps, each with its versions.
 *
 *  deploy ──> version n fills (candidate) ──caught up──> current ──a newer one──> previous ──> gone
 *
 * What was deployed, switched and dropped are events of the streams "$apps-<projection>": a server
 * that starts reads them and goes on from there, and so does one that was restored from a backup,
 * which fills the tables anew. The tables are only ever derived.
 *
 *     projections.c         the table and its life      projections_admin.c  deploy, switch, drop …
 *     projections_log.c     the events in $apps         projections_keeper.c what happens by itself
 *     travel.c              answers as of the past
 *
 * Threads: any. Administration blocks (for I/O, for a batch that is being applied); finding a
 * version to ask does not.
 */
#pragma once

#include "projection/limits.h"
#include "projection/travel.h"

struct ms_projections;

struct ms_projections_options {
    struct ms_store *store;
    const struct ms_env *env; /* NULL: the system's */
    const char *dir;          /* of the SQLite files; made when it is missing */
    const char *postgres;     /* connection string, or NULL */
    int64_t keep_ms;          /* how long a version is kept, and kept up to date, after a newer one
                                 has taken over; default 1 h */
    void (*on_warning)(void *context, const char *message);
    /* Something worth a line in the log: a version has taken over … */
    void (*on_notice)(void *context, const char *message);
    void *context;
};
void ms_projections_options_init(struct ms_projections_options *options);

/* Reads the definitions from the log and starts what was running. A projection that can't be
 * started now (its database is away) is tried again, and told. MS_EIO, MS_ENOMEM, MS_ECORRUPT. */
int ms_projections_open(const struct ms_projections_options *options,
                        struct ms_projections **ret_projections, struct ms_error *err)
    MS_MUST_CHECK;
/* The server stops: what takes long (looking at the past) is given up. */
void ms_projections_stop(struct ms_projections *projections);
/* Nobody holds a version any more, or will release it soon. Takes NULL. */
void ms_projections_close(struct ms_projections *projections);

/* ---- administration ---- */

struct ms_deployed {
    struct ms_bytes name; /* in `name_text` */
    unsigned version;
    bool unchanged; /* it is the running version, or the one that fills: nothing was done */
    char name_text[MS_PROJECTION_NAME_MAX + 1];
};
enum {
    MS_DEPLOY_AGAIN = 1,      /* also when the file has not changed */
    MS_DEPLOY_INCOMPLETE = 2, /* also when events that it needs were scavenged */
};
/* `file` is what errors call it. `name`: what the file must define; absent: whatever it does.
 * `how`: MS_DEPLOY_… MS_EINVAL (file:line:column: what), MS_ERESERVED, MS_ETOOBIG, MS_EINCOMPLETE
 * (missing.h), MS_EAGAIN (the database is away), and what an append is refused with. */
int ms_projections_deploy(struct ms_projections *projections, const char *file,
                          struct ms_bytes content, struct ms_bytes name, unsigned how,
                          struct ms_deployed *ret_deployed, struct ms_error *err) MS_MUST_CHECK;
/* These: MS_ENOTFOUND when there is no such projection. */

/* The current version's file once more, from the beginning of the log. As deploying. */
int ms_projections_rebuild(struct ms_projections *projections, struct ms_bytes name,
                           bool allow_incomplete, struct ms_deployed *ret_deployed,
                           struct ms_error *err) MS_MUST_CHECK;
int ms_projections_pause(struct ms_projections *projections, struct ms_bytes name, bool paused,
                         struct ms_error *err) MS_MUST_CHECK;
/* Its versions go on where events are missing, from now on and after a restart. */
int ms_projections_allow_incomplete(struct ms_projections *projections, struct ms_bytes name,
                                    struct ms_error *err) MS_MUST_CHECK;
/* Version 0: the one before. MS_ENOTFOUND (no such version is kept); MS_EAGAIN: it has not caught
 * up, unless `force`. */
int ms_projections_switch(struct ms_projections *projections, struct ms_bytes name,
                          unsigned version, bool force, struct ms_error *err) MS_MUST_CHECK;
/* All of its versions and their tables. */
int ms_projections_drop(struct ms_projections *projections, struct ms_bytes name,
                        struct ms_error *err) MS_MUST_CHECK;
/* As ms_runner_retry and ms_runner_skip, of the version that it concerns: the one that is stopped
 * (there), or that has something parked, else the current one. *ret_tried is filled in also with
 * errors of the runner's; version 0: none was found. */
struct ms_projection_tried {
    unsigned version;
    struct ms_runner_outcome outcome;
};
int ms_projections_retry(struct ms_projections *projections, struct ms_bytes name,
                         struct ms_bytes stream, struct ms_projection_tried *ret_tried,
                         struct ms_error *err) MS_MUST_CHECK;
int ms_projections_skip(struct ms_projections *projections, struct ms_bytes name, uint64_t position,
                        struct ms_projection_tried *ret_tried, struct ms_error *err) MS_MUST_CHECK;

/* ---- looking ---- */

enum ms_version_role { MS_VERSION_CURRENT, MS_VERSION_CANDIDATE, MS_VERSION_PREVIOUS };
const char *ms_version_role_name(enum ms_version_role role);

struct ms_version_info {
    unsigned number;
    enum ms_version_role role;
    char hash[33];
    int64_t deployed_at_ms;
    bool running; /* false: its target can't be opened now, see status.error */
    bool allow_incomplete;
    uint64_t first_needed;     /* position; see missing.h */
    struct ms_missing missing; /* what its tables lack */
    struct ms_missing ahead;   /* what it has not applied yet, and can't any more */
    struct ms_runner_status status;
    enum ms_projection_mode mode;
    uint64_t sync_pending; /* appends that were acknowledged before it had applied them */
    enum ms_projection_on_error on_error;
    enum ms_sql_dialect target;
};
#define MS_PROJECTION_VERSIONS_MAX 3u
struct ms_projection_info {
    char name[MS_PROJECTION_NAME_MAX + 1];
    bool paused;
    struct ms_version_info versions[MS_PROJECTION_VERSIONS_MAX]; /* current first, if any */
    size_t count;
};
/* Called with the table locked: take a copy, and don't call back. */
typedef int ms_projection_fn(void *context, const struct ms_projection_info *info);
/* By name. */
int ms_projections_list(struct ms_projections *projections, ms_projection_fn *visit, void *context)
    MS_MUST_CHECK;
int ms_projections_get(struct ms_projections *projections, struct ms_bytes name,
                       ms_projection_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;

/* How long ago the oldest event was recorded that is not applied; 0: all are. Blocks for I/O. */
int64_t ms_projection_lag_ms(struct ms_store *store, const struct ms_env *env,
                             const struct ms_runner_status *status);
/* In Prometheus text format, appended. Blocks for I/O. */
int ms_projections_metrics(struct ms_projections *projections, struct ms_buf *out) MS_MUST_CHECK;
/* Appends what an operator should look at, as sentences; nothing when all is well. */
int ms_projections_health(struct ms_projections *projections, struct ms_buf *out) MS_MUST_CHECK;
const struct ms_projections_options *ms_projections_settings(
    const struct ms_projections *projections);

/* The version that answers now, held for the caller. MS_ENOTFOUND; MS_EAGAIN: the first is being
 * filled, or the database is away. */
int ms_projections_hold(struct ms_projections *projections, struct ms_bytes name,
                        struct ms_version **ret_version, struct ms_error *err) MS_MUST_CHECK;

/* All that are running, each held for the caller, the current one first; which may be none.
 * MS_ENOTFOUND: there is no such projection. */
int ms_projections_hold_all(struct ms_projections *projections, struct ms_bytes name,
                            struct ms_version *versions[MS_PROJECTION_VERSIONS_MAX],
                            size_t *ret_count, struct ms_error *err) MS_MUST_CHECK;

/* As ms_version_run, as of the past; see travel.h. */
int ms_projections_run_past(struct ms_projections *projections, struct ms_version *version,
                            const struct ms_travel *travel, const struct ms_query_run *run,
                            const struct ms_row_sink *sink, uint64_t *ret_position,
                            struct ms_error *err) MS_MUST_CHECK;

/* ---- projections of mode sync ---- */

/* A glance: there may be any. Takes NULL. */
bool ms_projections_any_sync(const struct ms_projections *projections);
/* Holds the current versions of those that are declared so and may read one of the topics (NULL:
 * whatever they read), at most `max`. */
size_t ms_projections_sync(struct ms_projections *projections, const struct ms_bytes *topics,
                           size_t topic_count, struct ms_version **versions, size_t max);
