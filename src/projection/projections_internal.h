/* What the files of projections.h share. */
#pragma once

#include "projection/projections.h"

struct projection_version {
    unsigned number;      /* 0: none */
    struct ms_bytes text; /* the file, allocated */
    char file[256];
    int64_t deployed_at_ms;
    bool allow_incomplete;
    uint64_t first_needed;
    struct ms_missing missing;                   /* as it was noted in the log */
    struct ms_missing ahead;                     /* as the keeper has seen it */
    uint64_t losses_seen;                        /* ms_store_losses then */
    struct ms_projection_definition *definition; /* while it isn't running */
    struct ms_version *running;                  /* NULL: not now */
    struct ms_error problem;                     /* why not */
    int64_t retry_us;
};

struct projection {
    struct projection *next; /* by name */
    char name[MS_PROJECTION_NAME_MAX + 1];
    bool paused;
    unsigned last_number;
    struct projection_version versions[MS_PROJECTION_VERSIONS_MAX]; /* by role */
    int64_t switched_at_ms; /* when the current one has taken over */
};

struct ms_projections {
    struct ms_projections_options options;
    struct ms_version_options version_options;
    char *dir, *postgres;
    /* One administrator at a time; taken before `lock`. */
    pthread_mutex_t admin;
    /* The table, for a moment. Versions are exchanged under both. */
    pthread_mutex_t lock;
    pthread_cond_t work; /* of the keeper */
    bool stopping, woken;
    struct projection *first;
    _Atomic unsigned sync_count; /* current versions declared so */
    struct ms_travels *travels;
    pthread_t keeper;
    bool has_keeper;
};

/* ---- projections.c ---- */
struct projection *ms_projections_find(struct ms_projections *projections, struct ms_bytes name);
/* A new one, in its place in the list; under both locks. */
struct projection *ms_projections_add(struct ms_projections *projections, struct ms_bytes name);
/* Out of the list and freed; its versions are empty. */
void ms_projections_forget(struct ms_projections *projections, struct projection *projection);
void ms_projections_count_sync(struct ms_projections *projections);
int ms_projections_no_such(struct ms_bytes name, struct ms_error *err);
/* Wakes the keeper. Any thread. */
void ms_projections_wake(void *projections);

/* ---- projections_admin.c: under `admin` ---- */

/* Starts what the slot describes. What does not fit the log any more is deployed again. */
void ms_projections_start_version(struct ms_projections *projections, struct projection *projection,
                                  enum ms_version_role role);
/* Empties the slot; `remove`: the tables too. */
void ms_projections_end_version(struct ms_projections *projections, struct projection *projection,
                                enum ms_version_role role, bool remove);
/* The version in `role` becomes the current one; the current one becomes the previous one. */
int ms_projections_take_over(struct ms_projections *projections, struct projection *projection,
                             enum ms_version_role role, struct ms_error *err) MS_MUST_CHECK;

/* ---- projections_past.c: under `admin` ---- */

/* What the version, which is not deployed yet, would lack of the past. MS_EINCOMPLETE unless that
 * is allowed. */
int ms_projections_look_back(struct ms_projections *projections, struct projection_version *version,
                             const struct ms_projection_definition *definition,
                             struct ms_error *err) MS_MUST_CHECK;
/* The keeper's: what has become missing since. */
void ms_projections_watch_past(struct ms_projections *projections, struct projection *projection,
                               struct projection_version *version);

/* ---- projections_log.c ---- */

enum projection_event {
    PROJECTION_DEPLOYED,
    PROJECTION_SWITCHED,
    PROJECTION_PAUSED,
    PROJECTION_RESUMED,
    PROJECTION_ALLOWED,
    PROJECTION_INCOMPLETE,
    PROJECTION_DROPPED
};
/* Appends it to "$apps-<projection>" and waits until it is durable. */
int ms_projections_note(struct ms_projections *projections, const struct projection *projection,
                        enum projection_event event, const struct projection_version *version,
                        struct ms_error *err) MS_MUST_CHECK;
/* Fills the table from the log; starts nothing. */
int ms_projections_load(struct ms_projections *projections, struct ms_error *err) MS_MUST_CHECK;

/* ---- projections_keeper.c ---- */
int ms_projections_start_keeper(struct ms_projections *projections, struct ms_error *err)
    MS_MUST_CHECK;
void ms_projections_stop_keeper(struct ms_projections *projections);
