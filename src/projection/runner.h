/*
 * A runner keeps one version of a projection up to date: a thread that reads what it needs from the
 * log and applies it, a batch and the checkpoint behind it in one transaction.
 *
 *                 caught up                    the log grows
 *     filling ──────────────> live (waits) <──────────────────> live (applies)
 *        │                      │
 *        ├── pause/resume ──────┤          an event's statements fail, and it isn't parked
 *        └──────────────────────┴──────────────────────────────> stopped ──retry, skip──> (on)
 *                               the database fails ──> retrying, by itself, with growing pauses
 *                               the log has lost what comes next ──> incomplete ──allow──> (on)
 *
 * When a batch fails it is rolled back and gone through again: up to the event that the database
 * has refused, then that one in a transaction of its own; where it has not told which, all of them
 * so. What is parked is parked per stream: later events of that stream queue behind it.
 *
 * Threads: any, unless said otherwise.
 */
#pragma once

#include "projection/feed.h"
#include "projection/missing.h"
#include "projection/target.h"
#include "projection/waiters.h"

struct ms_runner;

enum ms_runner_state {
    MS_RUNNER_FILLING, /* has never caught up */
    MS_RUNNER_LIVE,
    MS_RUNNER_PAUSED,
    MS_RUNNER_STOPPED,    /* by an event; see error */
    MS_RUNNER_RETRYING,   /* the database can't be used now */
    MS_RUNNER_FAILED,     /* for good: somebody else applies, or the log can't be read */
    MS_RUNNER_INCOMPLETE, /* events were scavenged that it had not applied; see ahead */
};
const char *ms_runner_state_name(enum ms_runner_state state);

struct ms_runner_options {
    struct ms_store *store;
    const struct ms_env *env;
    struct ms_target *target; /* the runner's from now on; freed with it */
    bool paused;
    bool parks;            /* as its file says; a version that fills stops all the same */
    bool live;             /* it has caught up before, in another process */
    bool allow_incomplete; /* it goes on where events are missing */
    /* It has caught up for the first time, or changed its state. By the runner's thread. */
    void (*changed)(void *context);
    void *context;
};

struct ms_runner_status {
    enum ms_runner_state state;
    bool caught_up;          /* ever */
    uint64_t position;       /* the first that is not applied */
    uint64_t end;            /* of the log */
    uint64_t applied;        /* events, since it runs */
    uint64_t parked;         /* events that are set aside */
    uint64_t error_position; /* of the event that stopped it, or that was parked last */
    int64_t progress_us;     /* monotonic: when `position` moved last, or there was nothing to do */
    int64_t event_ms;        /* the time of the newest event applied; 0: none since it runs */
    double rate;             /* events applied a second, of the last seconds */
    struct ms_missing missing;     /* what it has gone on without */
    struct ms_missing ahead;       /* what it would not go on without */
    char error[MS_ERROR_TEXT_MAX]; /* the last one; "" when it is over */
};

/* Starts its thread. On failure the target is still the caller's. MS_ENOMEM, MS_EIO. */
int ms_runner_start(const struct ms_runner_options *options, struct ms_runner **ret_runner,
                    struct ms_error *err) MS_MUST_CHECK;
/* Ends the thread, behind the batch it is at, and frees the target. Takes NULL. */
void ms_runner_stop(struct ms_runner *runner);
/* The same, but the target and its tables are removed. */
int ms_runner_drop(struct ms_runner *runner, struct ms_error *err) MS_MUST_CHECK;

void ms_runner_status(struct ms_runner *runner, struct ms_runner_status *ret_status);
struct ms_position_waiters *ms_runner_waiters(struct ms_runner *runner);

/* These wait until the runner's thread has done it. */
int ms_runner_pause(struct ms_runner *runner, bool paused, struct ms_error *err) MS_MUST_CHECK;
/* From now on it goes on where events are missing. */
int ms_runner_allow_incomplete(struct ms_runner *runner, struct ms_error *err) MS_MUST_CHECK;

/* What came of trying again. It is waited for, some seconds at most: MS_ENOTAPPLIED, an event can't
 * be applied (what the database says); MS_EAGAIN, the database can't be used now, or the projection
 * was paused or replaced; MS_ETIMEOUT, it is not known yet, or there is more to be done. */
struct ms_runner_outcome {
    uint64_t applied;  /* events, also when it ended with an error */
    uint64_t position; /* MS_ENOTAPPLIED: of the event */
};
/* The event that stopped it is tried again; MS_ENOTFOUND when none has. With a stream: what is
 * parked of it is applied in order, as far as that works; MS_ENOTFOUND when nothing is. */
int ms_runner_retry(struct ms_runner *runner, struct ms_bytes stream,
                    struct ms_runner_outcome *ret_outcome, struct ms_error *err) MS_MUST_CHECK;
/* Goes on without the event at this position: the one that stopped it, or the first parked one of
 * its stream, whose others are then tried. MS_ENOTFOUND. Any other error is of what came behind. */
int ms_runner_skip(struct ms_runner *runner, uint64_t position,
                   struct ms_runner_outcome *ret_outcome, struct ms_error *err) MS_MUST_CHECK;
/* It is to be stopped: nobody waits for an outcome any longer. */
void ms_runner_retire(struct ms_runner *runner);
/* The stable names show this version. */
int ms_runner_publish(struct ms_runner *runner, struct ms_error *err) MS_MUST_CHECK;
/* A reader of its target; freed before the runner. */
int ms_runner_reader_new(struct ms_runner *runner, struct ms_target_reader **ret_reader,
                         struct ms_error *err) MS_MUST_CHECK;
