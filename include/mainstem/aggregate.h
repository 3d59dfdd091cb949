/*
 * Event-sourced aggregates on an embedded store (pattern: event-sourced aggregate with a
 * repository). mainstem.h includes this; its conventions hold here too.
 *
 * An aggregate's state is a fold of its stream's events. A command is decided on that state, and
 * the events it leads to are appended if the stream is still where the state came from; otherwise
 * state is loaded anew and the command decided again.
 *
 * docs/patterns/event-sourced-aggregate-in-c.md and examples/embed/order.c show a whole one.
 *
 * C99 and C++11.
 */
#ifndef MAINSTEM_AGGREGATE_H
#define MAINSTEM_AGGREGATE_H

#include <mainstem/mainstem.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mainstem_buffer;     /* opaque: what to_snapshot writes to */
struct mainstem_repository; /* opaque */
struct mainstem_aggregate;  /* opaque */
struct mainstem_decision;   /* opaque */

/* Appends bytes. */
MAINSTEM_API int mainstem_buffer_append(struct mainstem_buffer *buffer, const void *data,
                                        size_t size);

/* The callbacks are pure functions of their arguments: no I/O, no clock, no randomness, or
 * replaying would lead elsewhere. Each that returns int returns 0, or a code of its own (best
 * positive) that becomes the result of the call that led to it. They run on the caller's thread. */
struct mainstem_aggregate_type {
    uint32_t struct_size;
    uint32_t snapshot_every; /* events between snapshots; 0 = none are made */
    const char *topic;       /* the stream of the aggregate `id` is "<topic>-<id>" */
    size_t state_size;       /* bytes of one state, aligned for any type and zeroed before init */
    /* A state before the first event. NULL: all zero is it. */
    int (*init)(void *state);
    /* Folds one event in. Types it does not know it should ignore. Required. An event that was just
     * decided, and is not stored yet, has the position MAINSTEM_END and recorded_at_ms 0. */
    int (*apply)(void *state, const struct mainstem_recorded_event *event);
    /* Frees what the state refers to, not the state itself. NULL: nothing. */
    void (*free)(void *state);
    /* Both or none. Snapshots written under another snapshot_version are ignored: raise it when the
     * state's shape changes. */
    int (*to_snapshot)(const void *state, struct mainstem_buffer *out);
    int (*from_snapshot)(void *state, struct mainstem_bytes snapshot);
    uint32_t snapshot_version;
    uint32_t retries_max; /* of mainstem_execute on conflicts; 0 = 10 */
};

/* A repository of one aggregate type; the type and its strings are copied. Free it before the store
 * is closed, and after its aggregates. */
MAINSTEM_API int mainstem_repository_new(struct mainstem_store *store,
                                         const struct mainstem_aggregate_type *type,
                                         struct mainstem_repository **ret_repository,
                                         struct mainstem_error *err);
MAINSTEM_API_VOID void mainstem_repository_free(struct mainstem_repository *repository);

/* Brings one aggregate's state: the newest snapshot and the events behind it. One that has no
 * events has version -1. Free with mainstem_aggregate_free. Blocks. MAINSTEM_EIO,
 * MAINSTEM_ECORRUPT, or what a callback returned. */
MAINSTEM_API int mainstem_load(struct mainstem_repository *repository, const char *id,
                               struct mainstem_aggregate **ret_aggregate,
                               struct mainstem_error *err);
/* One thread at a time per aggregate, for all of these. The state is borrowed until the next call.
 * */
MAINSTEM_API const void *mainstem_aggregate_state(const struct mainstem_aggregate *aggregate);
/* Of the last event that the state has seen and the store has: -1, 0, 1 … */
MAINSTEM_API int64_t mainstem_aggregate_version(const struct mainstem_aggregate *aggregate);
MAINSTEM_API_VOID void mainstem_aggregate_free(struct mainstem_aggregate *aggregate);

/* Decides a command: looks at the state, emits events, returns 0. Or refuses it: returns a code of
 * its own, best through mainstem_refuse; what was emitted is dropped. */
typedef int mainstem_decide_fn(const void *state, const void *command,
                               struct mainstem_decision *decision);

/* Copies the event into the decision. Ids are made where there are none. MAINSTEM_ETOOBIG. */
MAINSTEM_API int mainstem_emit(struct mainstem_decision *decision,
                               const struct mainstem_event *event);
/* Returns `code` (not 0), and leaves the message for the caller's struct mainstem_error. */
MAINSTEM_API int mainstem_refuse(struct mainstem_decision *decision, int code, const char *message);

/* Decides on a loaded aggregate and applies what was emitted to its state; nothing is stored yet.
 * On failure the aggregate is as before, except when a callback failed in the middle of applying:
 * then it is only good for freeing, and every call says so with MAINSTEM_EINVAL. May be repeated
 * before saving. Returns what decide or apply returned, MAINSTEM_ETOOBIG. */
MAINSTEM_API int mainstem_decide(struct mainstem_aggregate *aggregate, mainstem_decide_fn *decide,
                                 const void *command, struct mainstem_error *err);

/* Appends what was decided since the last save, expecting the version that was loaded or saved;
 * with nothing decided it only checks that. Makes a snapshot when one is due (its failure is no
 * failure of the save). ret_result may be NULL. Blocks. Errors of mainstem_append; after
 * MAINSTEM_ECONFLICT load anew, after MAINSTEM_EUNKNOWN reopen the store and load anew. */
MAINSTEM_API int mainstem_save(struct mainstem_aggregate *aggregate,
                               struct mainstem_append_result *ret_result,
                               struct mainstem_error *err);

/* The whole cycle: load, decide, save; and again from the start on a conflict, up to retries_max
 * times. A command that emits nothing appends nothing. ret_result may be NULL. Blocks. Errors of
 * mainstem_load, mainstem_decide and mainstem_save. */
MAINSTEM_API int mainstem_execute(struct mainstem_repository *repository, const char *id,
                                  mainstem_decide_fn *decide, const void *command,
                                  struct mainstem_append_result *ret_result,
                                  struct mainstem_error *err);

#ifdef __cplusplus
}
#endif

#endif
