/* What the files of the runner share: runner.c (thread, state, commands), runner_apply.c (batches),
 * runner_parked.c (events that are set aside). */
#pragma once

#include "projection/checkpoint.h"
#include "projection/parked_streams.h"
#include "projection/runner.h"

enum ms_runner_command_kind {
    MS_RUNNER_PAUSE,
    MS_RUNNER_RESUME,
    MS_RUNNER_ALLOW,
    MS_RUNNER_RETRY,
    MS_RUNNER_SKIP,
    MS_RUNNER_PUBLISH
};

/* Somebody waits for what comes of a retry or skip, on his stack; under `lock`. */
struct ms_runner_trial {
    struct ms_runner_trial *next;
    uint64_t position; /* of the event that it was about */
    uint64_t before;   /* status.applied when it began */
    bool passed;       /* the event is behind it */
    bool begun, over;
    int code;
    struct ms_runner_outcome outcome;
    struct ms_error error;
};

struct ms_runner_command { /* on the caller's stack, until it is done */
    enum ms_runner_command_kind kind;
    struct ms_bytes stream;
    uint64_t position;
    struct ms_runner_trial *trial; /* of a retry or skip: the outcome */
    int code;
    struct ms_error error;
    bool done;
};

struct ms_runner {
    struct ms_runner_options options;
    struct ms_target *target;
    pthread_t thread;
    struct ms_position_waiters waiters;

    /* ---- under `lock` ---- */
    pthread_mutex_t lock;
    pthread_cond_t work; /* woken, stopping, a command */
    pthread_cond_t done; /* of commands and trials */
    bool woken, stopping, retired;
    bool hurried; /* somebody waits for a position */
    struct ms_runner_command *command;
    struct ms_runner_trial *trials; /* not over */
    struct ms_runner_status status;
    uint64_t rate_applied; /* `applied` at rate_us */
    int64_t rate_us;

    /* ---- the thread's ---- */
    struct ms_feed *feed; /* NULL: to be made, from the checkpoint */
    bool paused;
    bool open;          /* a transaction is */
    int64_t generation; /* of the target's checkpoint, as far as we know */
    bool allow_incomplete;
    uint64_t losses_seen; /* ms_store_losses when it was last asked what is missing */
    bool moved;         /* it was another: a lost commit went through, or the database fell back */
    bool parked_is_old; /* `parked` is to be read anew */
    uint64_t in_batch;  /* events applied in it */
    int64_t batch_us;   /* when it began */
    bool unneeded;      /* nothing in the last stretch of the log was needed */
    bool careful;       /* each event is a transaction of its own … */
    uint64_t careful_begin, careful_end; /* … of these */
    bool alone;                          /* the batch is such an event */
    bool cut;                            /* the batch ends before such an event */
    bool skips;                          /* the event at skip_position is left out */
    uint64_t skip_position;
    struct ms_checkpoint last; /* behind the last event that was applied in the batch */
    int64_t last_event_ms;
    struct ms_parked_streams parked;
    /* The event whose statements failed, and why; cause 0: none. */
    int cause;
    struct ms_error failure;
    struct ms_parked poison; /* its strings are in `poison_text` */
    struct ms_buf poison_text;
    int64_t pause_ms; /* the next one, while the database fails */
};

/* For feeds: the log has grown. Any thread. */
void ms_runner_wake(void *runner);
int64_t ms_runner_now_us(const struct ms_runner *runner);
void ms_runner_set_state(struct ms_runner *runner, enum ms_runner_state state,
                         const struct ms_error *err);

/* ---- runner_apply.c ---- */

enum ms_runner_step {
    MS_RUNNER_MORE,      /* at once */
    MS_RUNNER_CAUGHT_UP, /* until the log grows */
    MS_RUNNER_POISONED,  /* `poison` can't be applied, and was not parked */
    MS_RUNNER_BROKEN,    /* the database or the log can't be used: `failure` */
    MS_RUNNER_LACKING,   /* what comes next was scavenged: status.ahead */
};
/* One batch. */
enum ms_runner_step ms_runner_batch(struct ms_runner *runner);
/* Is it the event, rather than the database, that is to blame? */
bool ms_runner_is_poison(int code);
/* Both of the target, with an eye on its checkpoint: MS_EAGAIN when it is not where it was left,
 * which a target finds out when it connects anew. What was read of the log does not fit then. */
int ms_runner_begin(struct ms_runner *runner, struct ms_error *err) MS_MUST_CHECK;
int ms_runner_commit(struct ms_runner *runner, const struct ms_checkpoint *to, struct ms_error *err)
    MS_MUST_CHECK;
/* The thread ends: a start need not look again at what nothing was needed of. */
void ms_runner_leave(struct ms_runner *runner);
/* Gives the transaction and the feed up; the next batch begins at the checkpoint. */
void ms_runner_reset(struct ms_runner *runner);

/* ---- runner_parked.c ---- */

/* Sets `poison` aside, as a transaction of its own. */
int ms_runner_park_poison(struct ms_runner *runner, struct ms_error *err) MS_MUST_CHECK;
/* Sets an event aside behind others of its stream, within the transaction. */
int ms_runner_park_behind(struct ms_runner *runner, const struct ms_read_event *event,
                          struct ms_error *err) MS_MUST_CHECK;
int ms_runner_retry_stream(struct ms_runner *runner, struct ms_bytes stream,
                           struct ms_runner_outcome *ret_outcome, struct ms_error *err)
    MS_MUST_CHECK;
int ms_runner_skip_parked(struct ms_runner *runner, uint64_t position,
                          struct ms_runner_outcome *ret_outcome, struct ms_error *err)
    MS_MUST_CHECK;

/* ---- runner_trial.c ---- */

/* The thread goes on behind the event at `position`, or with it; `uncounted` of what it goes
 * through are not applied. */
void ms_runner_trial_begin(struct ms_runner *runner, struct ms_runner_trial *trial,
                           uint64_t position, uint64_t uncounted);
/* After each batch. */
void ms_runner_trials_step(struct ms_runner *runner, enum ms_runner_step step);
/* Whatever they wait for does not happen now. */
void ms_runner_trials_end(struct ms_runner *runner, const char *why);
/* For the one who waits: until it is over, or patience is. */
int ms_runner_trial_wait(struct ms_runner *runner, struct ms_runner_trial *trial);
