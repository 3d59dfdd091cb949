/*
 * A target: the database that holds one version of a projection, its tables and its checkpoint.
 *
 *     runner ──begin, apply…, commit──> ms_target ──ops──> SQLite · PostgreSQL
 *     queries ──> ms_target_reader ──ops──> (other connections, which can only read)
 *
 * What events do and how far the projection is are one transaction: ms_target_commit moves the
 * checkpoint from what the writer believes it to be (compare and set), and finds out when another
 * has moved it. Tables of a target whose names begin with "mainstem_" are ours:
 *
 *     mainstem_checkpoint   one row: the projection's name and version, the store, the position
 *     mainstem_parked       events that are set aside
 *
 * Threads: a target, and each reader, is used by one at a time; different ones by different threads
 * at once.
 */
#pragma once

#include <stdatomic.h>

#include "projection/definition.h"
#include "projection/event_values.h"

/* How far a target is. */
struct ms_checkpoint {
    uint64_t position;      /* the first position that is not applied */
    struct ms_uuid store;   /* whose positions these are */
    struct ms_hash128 last; /* of the id of the event right before `position`: after a restore
                               another one may stand there */
    int64_t generation;     /* counts commits */
};

/* An event that is set aside, with what the database said of it; `error` is empty when it only
 * waits behind an earlier one of its stream. */
struct ms_parked {
    uint64_t position;
    struct ms_bytes stream, event_id, event_type, error;
    int64_t parked_at_ms;
};
/* Borrowed for the call; 0 to go on. */
typedef int ms_parked_fn(void *context, const struct ms_parked *parked);

/* ---- answers of queries ---- */

struct ms_row_sink {
    /* Once, before the rows. */
    int (*columns)(void *context, const struct ms_bytes *names, size_t count);
    /* For each row; values are borrowed for the call. 1: enough. */
    int (*row)(void *context, const struct ms_value *values, size_t count);
    void *context;
};
struct ms_query_run {
    const struct ms_projection_query *query; /* of the target's definition */
    const struct ms_value *values;           /* one for each declared parameter */
    int64_t timeout_ms;                      /* MS_ETIMEOUT when it takes longer */
    size_t bytes_max;                        /* of one value */
};

/* ---- what a database implements ---- */

struct ms_target;
struct ms_target_reader;

struct ms_target_ops {
    int (*begin)(struct ms_target *target, struct ms_error *err);
    int (*apply)(struct ms_target *target, size_t handler, struct ms_event_values *event,
                 struct ms_error *err);
    int (*park)(struct ms_target *target, const struct ms_parked *parked, struct ms_error *err);
    int (*unpark)(struct ms_target *target, uint64_t position, struct ms_error *err);
    int (*commit)(struct ms_target *target, const struct ms_checkpoint *to, struct ms_error *err);
    void (*rollback)(struct ms_target *target);
    int (*publish)(struct ms_target *target, struct ms_error *err);
    int (*drop)(struct ms_target *target, struct ms_error *err);
    void (*free)(struct ms_target *target);
    int (*reader_new)(struct ms_target *target, struct ms_target_reader **ret_reader,
                      struct ms_error *err);
    int (*run)(struct ms_target_reader *reader, const struct ms_query_run *run,
               const struct ms_row_sink *sink, uint64_t *ret_position, struct ms_error *err);
    int (*parked)(struct ms_target_reader *reader, struct ms_bytes stream, size_t limit,
                  ms_parked_fn *visit, void *context, struct ms_error *err);
    void (*reader_free)(struct ms_target_reader *reader);
};

/* What every implementation begins with. */
struct ms_target {
    const struct ms_target_ops *ops;
    const struct ms_projection_definition *definition; /* outlives the target */
    bool fresh; /* there was no checkpoint when it was opened: nothing is applied */
    struct ms_checkpoint checkpoint; /* the last one committed, or read when it was opened */
    uint64_t refused;     /* the position of the event that MS_EINVAL was about, or the one below */
    atomic_bool stopping; /* whoever waits for its database gives that up; set by any thread */
};
#define MS_TARGET_REFUSED_UNKNOWN UINT64_MAX /* where the database has not told */
struct ms_target_reader {
    struct ms_target *target;
};

/* ---- use ---- */

/* A target that has lost its database connects anew here, and reads the checkpoint: where that is
 * another than before, what is applied next begins there. MS_EAGAIN: it can't be reached;
 * MS_EFENCED: somebody else has moved the checkpoint. */
static inline int ms_target_begin(struct ms_target *target, struct ms_error *err) {
    return target->ops->begin(target, err);
}
/* Runs the statements of one of the definition's handlers. On failure the transaction is to be
 * rolled back. MS_EINVAL: the database refuses what they do with this event (*err says where and
 * why); MS_EAGAIN: the database can't be reached; MS_EIO, MS_ENOSPC, MS_ENOMEM. */
static inline int ms_target_apply(struct ms_target *target, size_t handler,
                                  struct ms_event_values *event, struct ms_error *err) {
    return target->ops->apply(target, handler, event, err);
}
/* Within a transaction. */
static inline int ms_target_park(struct ms_target *target, const struct ms_parked *parked,
                                 struct ms_error *err) {
    return target->ops->park(target, parked, err);
}
static inline int ms_target_unpark(struct ms_target *target, uint64_t position,
                                   struct ms_error *err) {
    return target->ops->unpark(target, position, err);
}
/* Moves the checkpoint, whose generation is counted here, and commits. MS_EFENCED: it is not where
 * this target has left it, so somebody else applies too. On failure it is rolled back; MS_EUNKNOWN:
 * whether it was committed is not known, the next begin finds out. A statement that a target has
 * sent ahead may fail here too, as in ms_target_apply. */
static inline int ms_target_commit(struct ms_target *target, const struct ms_checkpoint *to,
                                   struct ms_error *err) {
    return target->ops->commit(target, to, err);
}
static inline void ms_target_rollback(struct ms_target *target) { target->ops->rollback(target); }
/* The stable names that outside readers use show this version from now on. */
static inline int ms_target_publish(struct ms_target *target, struct ms_error *err) {
    return target->ops->publish(target, err);
}
/* Removes the version's tables for good, and frees it. */
static inline int ms_target_drop(struct ms_target *target, struct ms_error *err) {
    return target->ops->drop(target, err);
}
static inline void ms_target_free(struct ms_target *target) {
    if (target != NULL)
        target->ops->free(target);
}
/* The target must outlive it. */
static inline int ms_target_reader_new(struct ms_target *target,
                                       struct ms_target_reader **ret_reader, struct ms_error *err) {
    return target->ops->reader_new(target, ret_reader, err);
}
/* Answers a query from one state of the tables; *ret_position: of the checkpoint in it. MS_EINVAL:
 * the database refuses the values; MS_ETIMEOUT; MS_ETOOBIG; MS_EAGAIN; what the sink returns. */
static inline int ms_target_run(struct ms_target_reader *reader, const struct ms_query_run *run,
                                const struct ms_row_sink *sink, uint64_t *ret_position,
                                struct ms_error *err) {
    return reader->target->ops->run(reader, run, sink, ret_position, err);
}
/* What is parked, of one stream unless that is absent, by position. */
static inline int ms_target_parked(struct ms_target_reader *reader, struct ms_bytes stream,
                                   size_t limit, ms_parked_fn *visit, void *context,
                                   struct ms_error *err) {
    return reader->target->ops->parked(reader, stream, limit, visit, context, err);
}
static inline void ms_target_reader_free(struct ms_target_reader *reader) {
    if (reader != NULL)
        reader->target->ops->reader_free(reader);
}
