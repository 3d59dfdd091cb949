/* What the parts of the embedded target share. See target.h. */
#pragma once

#include <pthread.h>

#include "cli/target.h"

struct ms_store_slot;

struct ms_store_target {
    struct ms_target target;
    const struct ms_env *env;
    struct ms_store *store;
    struct ms_event_limits limits;
    FILE *progress;
    int64_t progress_at_us;
    bool progress_shown;

    struct ms_store_slot *slots; /* MS_TARGET_IN_FLIGHT_MAX */
    pthread_mutex_t mutex;       /* of finished; rank: leaf */
    pthread_cond_t changed;
    struct ms_store_slot *finished, **finished_end; /* in the order in which they were done */
};

int ms_store_slots_new(struct ms_store_target *store) MS_MUST_CHECK;
void ms_store_slots_free(struct ms_store_target *store);
int ms_target_store_append_start(struct ms_target *target, const struct ms_target_append *append,
                                 ms_target_appended_fn *done, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_store_poll(struct ms_target *target, struct ms_error *err) MS_MUST_CHECK;
int ms_target_store_read(struct ms_target *target, const struct ms_target_read *read,
                         ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
int ms_target_store_subscribe(struct ms_target *target, const struct ms_target_read *read,
                              ms_target_event_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;

int ms_target_store_backup(struct ms_target *target, const char *dir,
                           const struct ms_target_progress *progress, struct ms_buf *out,
                           struct ms_error *err) MS_MUST_CHECK;
int ms_target_store_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                             const struct ms_target_progress *progress, struct ms_buf *out,
                             struct ms_error *err) MS_MUST_CHECK;

/* Waits for one operation of the store that reports to a done function. */
struct ms_store_waiter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    int code;
    struct ms_error error;
};
void ms_store_waiter_init(struct ms_store_waiter *waiter);
void ms_store_waiter_deinit(struct ms_store_waiter *waiter);
/* An ms_append_done_fn; its context is the waiter. */
void ms_store_waiter_done(void *context, const struct ms_append_result *result);
int ms_store_waiter_wait(struct ms_store_waiter *waiter, struct ms_error *err) MS_MUST_CHECK;

/* Topics as JSON; the same documents as the HTTP face's. */
int ms_topic_write_json(struct ms_buf *out, const struct ms_topic_info *topic) MS_MUST_CHECK;
/* Changes the settings that the JSON object names; *ret_force: it says "force": true. MS_EINVAL
 * names an unknown or bad one. */
int ms_topic_read_settings(struct ms_bytes json, struct ms_topic_settings *settings,
                           bool *ret_force, struct ms_error *err) MS_MUST_CHECK;
