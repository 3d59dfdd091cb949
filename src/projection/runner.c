/* Runners: the thread, its states and what it is told to do; see runner.h. */
#include "projection/runner.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "projection/runner_internal.h"

#define PAUSE_MS_MIN 100
#define PAUSE_MS_MAX 10000
#define RATE_US 2000000
#define POISON_TEXT_MAX ((size_t)64 << 10)
#define FOR_EVER INT64_MAX
#define NAP_MS 5

const char *ms_runner_state_name(enum ms_runner_state state) {
    static const char *const names[] = {"filling",  "live",   "paused",    "stopped",
                                        "retrying", "failed", "incomplete"};
    return names[state];
}

int64_t ms_runner_now_us(const struct ms_runner *runner) {
    return ms_clock_monotonic_us(runner->options.env->clock);
}

void ms_runner_wake(void *context) {
    struct ms_runner *runner = context;
    pthread_mutex_lock(&runner->lock);
    runner->woken = true;
    pthread_cond_signal(&runner->work);
    pthread_mutex_unlock(&runner->lock);
}

static void hurry(void *context) {
    struct ms_runner *runner = context;
    pthread_mutex_lock(&runner->lock);
    runner->hurried = true;
    pthread_cond_signal(&runner->work);
    pthread_mutex_unlock(&runner->lock);
}

/* ---- state ---- */

static void tell_change(struct ms_runner *runner) {
    if (runner->options.changed != NULL)
        runner->options.changed(runner->options.context);
}

void ms_runner_set_state(struct ms_runner *runner, enum ms_runner_state state,
                         const struct ms_error *err) {
    pthread_mutex_lock(&runner->lock);
    bool changed = runner->status.state != state;
    runner->status.state = state;
    if (err != NULL)
        snprintf(runner->status.error, sizeof runner->status.error, "%s",
                 err->message[0] != '\0' ? err->message : ms_error_text(err->code));
    else if (state == MS_RUNNER_LIVE && runner->status.parked == 0)
        runner->status.error[0] = '\0';
    pthread_mutex_unlock(&runner->lock);
    if (changed)
        tell_change(runner);
}

/* Neither paused, nor stopped. */
static void set_running(struct ms_runner *runner) {
    ms_runner_set_state(runner, runner->status.caught_up ? MS_RUNNER_LIVE : MS_RUNNER_FILLING,
                        NULL);
}

static void note_caught_up(struct ms_runner *runner) {
    bool first = !runner->status.caught_up;
    pthread_mutex_lock(&runner->lock);
    runner->status.caught_up = true;
    runner->status.progress_us = ms_runner_now_us(runner);
    pthread_mutex_unlock(&runner->lock);
    set_running(runner);
    if (first)
        tell_change(runner);
}

void ms_runner_status(struct ms_runner *runner, struct ms_runner_status *ret_status) {
    int64_t now = ms_runner_now_us(runner);
    pthread_mutex_lock(&runner->lock);
    if (now - runner->rate_us >= RATE_US) {
        runner->status.rate = (double)(runner->status.applied - runner->rate_applied) * 1e6 /
                              (double)(now - runner->rate_us);
        runner->rate_applied = runner->status.applied;
        runner->rate_us = now;
    }
    *ret_status = runner->status;
    pthread_mutex_unlock(&runner->lock);
    ret_status->end = ms_store_end(runner->options.store);
}

struct ms_position_waiters *ms_runner_waiters(struct ms_runner *runner) {
    return &runner->waiters;
}

/* ---- what it is told to do ---- */

static int retry_stream(struct ms_runner *runner, struct ms_runner_command *command) {
    struct ms_runner_outcome *outcome = &command->trial->outcome;
    int code = ms_runner_retry_stream(runner, command->stream, outcome, &command->error);
    if (code != 0 || outcome->applied > 0)
        return code;
    return ms_error_set(&command->error, MS_ENOTFOUND, "nothing is parked of stream '%.*s'",
                        MS_PLACE_SHOWN(command->stream));
}

static int run_retry(struct ms_runner *runner, struct ms_runner_command *command) {
    enum ms_runner_state state = runner->status.state;
    if (command->stream.data != NULL)
        return retry_stream(runner, command);
    if (state != MS_RUNNER_STOPPED && state != MS_RUNNER_RETRYING)
        return ms_error_set(&command->error, MS_ENOTFOUND,
                            "the projection has not been stopped by an event");
    ms_runner_trial_begin(runner, command->trial,
                          state == MS_RUNNER_STOPPED ? runner->status.error_position : 0, 0);
    set_running(runner);
    return 0;
}

/* What is skipped counts among the events gone through. */
static int run_skip(struct ms_runner *runner, struct ms_runner_command *command) {
    bool stopped = runner->status.state == MS_RUNNER_STOPPED;
    if (!stopped || command->position != runner->status.error_position)
        return ms_runner_skip_parked(runner, command->position, &command->trial->outcome,
                                     &command->error);
    ms_runner_reset(runner);
    runner->skips = runner->careful = true;
    runner->skip_position = command->position;
    runner->careful_begin = 0;
    runner->careful_end = command->position + 1;
    ms_runner_trial_begin(runner, command->trial, command->position, 1);
    set_running(runner);
    return 0;
}

static int run_pause(struct ms_runner *runner, bool paused) {
    runner->paused = paused;
    if (paused) {
        ms_runner_set_state(runner, MS_RUNNER_PAUSED, NULL);
        ms_runner_trials_end(runner, "the projection was paused meanwhile");
    } else {
        set_running(runner);
    }
    return 0;
}

static int run_allow(struct ms_runner *runner) {
    runner->allow_incomplete = true;
    pthread_mutex_lock(&runner->lock);
    runner->status.ahead.any = false;
    pthread_mutex_unlock(&runner->lock);
    if (runner->status.state == MS_RUNNER_INCOMPLETE)
        set_running(runner);
    return 0;
}

static void run_command(struct ms_runner *runner, struct ms_runner_command *command) {
    switch (command->kind) {
    case MS_RUNNER_PAUSE:
    case MS_RUNNER_RESUME:
        command->code = run_pause(runner, command->kind == MS_RUNNER_PAUSE);
        break;
    case MS_RUNNER_ALLOW:
        command->code = run_allow(runner);
        break;
    case MS_RUNNER_RETRY:
        command->code = run_retry(runner, command);
        break;
    case MS_RUNNER_SKIP:
        command->code = run_skip(runner, command);
        break;
    case MS_RUNNER_PUBLISH:
        command->code = ms_target_publish(runner->target, &command->error);
        break;
    }
    pthread_mutex_lock(&runner->lock);
    command->done = true;
    pthread_cond_broadcast(&runner->done);
    pthread_mutex_unlock(&runner->lock);
}

/* Hands it to the thread and waits. */
static int command(struct ms_runner *runner, struct ms_runner_command *command,
                   struct ms_error *err) {
    pthread_mutex_lock(&runner->lock);
    while (runner->command != NULL)
        pthread_cond_wait(&runner->done, &runner->lock);
    runner->command = command;
    pthread_cond_signal(&runner->work);
    while (!command->done)
        pthread_cond_wait(&runner->done, &runner->lock);
    runner->command = NULL;
    pthread_cond_broadcast(&runner->done);
    pthread_mutex_unlock(&runner->lock);
    if (command->code != 0 && err != NULL)
        *err = command->error;
    return ms_error_settle(err, command->code, "projection");
}

int ms_runner_pause(struct ms_runner *runner, bool paused, struct ms_error *err) {
    struct ms_runner_command pause = {.kind = paused ? MS_RUNNER_PAUSE : MS_RUNNER_RESUME};
    return command(runner, &pause, err);
}

int ms_runner_allow_incomplete(struct ms_runner *runner, struct ms_error *err) {
    struct ms_runner_command allow = {.kind = MS_RUNNER_ALLOW};
    return command(runner, &allow, err);
}

/* The command, and then what comes of it. */
static int try_again(struct ms_runner *runner, struct ms_runner_command *todo,
                     struct ms_runner_outcome *ret_outcome, struct ms_error *err) {
    struct ms_runner_trial trial = {0};
    todo->trial = &trial;
    int code = command(runner, todo, err);
    if (code == 0 && trial.begun) {
        code = ms_runner_trial_wait(runner, &trial);
        if (code != 0 && err != NULL)
            *err = trial.error;
    }
    *ret_outcome = trial.outcome;
    return code;
}

int ms_runner_retry(struct ms_runner *runner, struct ms_bytes stream,
                    struct ms_runner_outcome *ret_outcome, struct ms_error *err) {
    struct ms_runner_command retry = {.kind = MS_RUNNER_RETRY, .stream = stream};
    return try_again(runner, &retry, ret_outcome, err);
}

int ms_runner_skip(struct ms_runner *runner, uint64_t position,
                   struct ms_runner_outcome *ret_outcome, struct ms_error *err) {
    struct ms_runner_command skip = {.kind = MS_RUNNER_SKIP, .position = position};
    return try_again(runner, &skip, ret_outcome, err);
}

int ms_runner_publish(struct ms_runner *runner, struct ms_error *err) {
    struct ms_runner_command publish = {.kind = MS_RUNNER_PUBLISH};
    return command(runner, &publish, err);
}

int ms_runner_reader_new(struct ms_runner *runner, struct ms_target_reader **ret_reader,
                         struct ms_error *err) {
    return ms_target_reader_new(runner->target, ret_reader, err);
}

/* ---- the thread ---- */

/* On the monotonic clock, as the condition variable's. */
static struct timespec in_ms(const struct ms_runner *runner, int64_t ms) {
    int64_t at_us = ms_runner_now_us(runner) + ms * 1000;
    return (struct timespec){.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
}

/* Until there is something to do: a command, a wake-up if it is to be minded, the time is over.
 * False: it is to end. */
static bool wait_for_work(struct ms_runner *runner, bool minds_log, int64_t ms) {
    struct ms_runner_command *todo = NULL;
    struct timespec until = ms != FOR_EVER ? in_ms(runner, ms) : (struct timespec){0};
    pthread_mutex_lock(&runner->lock);
    for (int over = 0; over == 0 && !runner->stopping && (!minds_log || !runner->woken);) {
        if (runner->command != NULL && !runner->command->done)
            break;
        over = ms == FOR_EVER ? pthread_cond_wait(&runner->work, &runner->lock)
                              : pthread_cond_timedwait(&runner->work, &runner->lock, &until);
    }
    if (runner->command != NULL && !runner->command->done)
        todo = runner->command;
    if (minds_log)
        runner->woken = false;
    bool stopping = runner->stopping;
    pthread_mutex_unlock(&runner->lock);
    if (todo != NULL)
        run_command(runner, todo);
    return !stopping;
}

/* The log grows by what is not needed here. It is looked at now and then, not at each append, as
 * long as nobody waits for this projection to be past it. */
static void nap(struct ms_runner *runner) {
    struct timespec until = in_ms(runner, NAP_MS);
    int over = 0;
    pthread_mutex_lock(&runner->lock);
    while (over == 0 && !runner->hurried && !runner->stopping && runner->command == NULL)
        over = pthread_cond_timedwait(&runner->work, &runner->lock, &until);
    runner->hurried = false;
    pthread_mutex_unlock(&runner->lock);
}

static void stop_at_poison(struct ms_runner *runner) {
    pthread_mutex_lock(&runner->lock);
    runner->status.error_position = runner->poison.position;
    pthread_mutex_unlock(&runner->lock);
    ms_runner_set_state(runner, MS_RUNNER_STOPPED, &runner->failure);
}

static void stop_incomplete(struct ms_runner *runner) {
    struct ms_error err = {0};
    ms_ignore(ms_missing_refuse(&runner->status.ahead, runner->target->definition->name, &err));
    ms_runner_set_state(runner, MS_RUNNER_INCOMPLETE, &err);
}

static void take_break(struct ms_runner *runner) {
    bool fenced = runner->failure.code == MS_EFENCED;
    ms_runner_reset(runner);
    runner->pause_ms = runner->pause_ms == 0 ? PAUSE_MS_MIN : runner->pause_ms * 2;
    if (runner->pause_ms > PAUSE_MS_MAX)
        runner->pause_ms = PAUSE_MS_MAX;
    ms_runner_set_state(runner, fenced ? MS_RUNNER_FAILED : MS_RUNNER_RETRYING, &runner->failure);
}

/* How long to wait for work before the next batch; 0: not at all. */
static int64_t act_on(struct ms_runner *runner, enum ms_runner_step step, bool *ret_minds_log) {
    *ret_minds_log = false;
    switch (step) {
    case MS_RUNNER_MORE:
        if (runner->status.state == MS_RUNNER_RETRYING)
            set_running(runner);
        return 0;
    case MS_RUNNER_CAUGHT_UP:
        note_caught_up(runner);
        if (runner->unneeded)
            nap(runner);
        *ret_minds_log = true;
        return FOR_EVER;
    case MS_RUNNER_POISONED:
        stop_at_poison(runner);
        return FOR_EVER;
    case MS_RUNNER_LACKING:
        stop_incomplete(runner);
        return FOR_EVER;
    case MS_RUNNER_BROKEN:
        take_break(runner);
        break;
    }
    return runner->pause_ms;
}

static int64_t run_batch(struct ms_runner *runner, bool *ret_minds_log) {
    enum ms_runner_step step = ms_runner_batch(runner);
    int64_t wait_ms = act_on(runner, step, ret_minds_log);
    ms_runner_trials_step(runner, step);
    return wait_ms;
}

static bool is_at_rest(const struct ms_runner *runner) {
    enum ms_runner_state state = runner->status.state;
    return runner->paused || state == MS_RUNNER_STOPPED || state == MS_RUNNER_FAILED ||
           state == MS_RUNNER_INCOMPLETE;
}

static void *runner_main(void *context) {
    struct ms_runner *runner = context;
    bool minds_log = false, goes_on = true;
    int64_t wait_ms = 0;
    if (runner->paused)
        ms_runner_set_state(runner, MS_RUNNER_PAUSED, NULL);
    while (goes_on) {
        if (is_at_rest(runner)) {
            minds_log = false;
            wait_ms = FOR_EVER;
        } else {
            wait_ms = run_batch(runner, &minds_log);
        }
        goes_on = wait_for_work(runner, minds_log, wait_ms);
    }
    ms_runner_leave(runner);
    ms_runner_reset(runner);
    return NULL;
}

/* ---- life ---- */

static void init_locks(struct ms_runner *runner) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->work, &monotonic);
    pthread_cond_init(&runner->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void destroy(struct ms_runner *runner) {
    pthread_mutex_destroy(&runner->lock);
    pthread_cond_destroy(&runner->work);
    pthread_cond_destroy(&runner->done);
    ms_position_waiters_deinit(&runner->waiters);
    ms_parked_streams_deinit(&runner->parked);
    ms_buf_deinit(&runner->poison_text);
    ms_free(runner);
}

int ms_runner_start(const struct ms_runner_options *options, struct ms_runner **ret_runner,
                    struct ms_error *err) {
    struct ms_runner *runner = ms_calloc(1, sizeof *runner);
    struct ms_store_info info;
    if (runner == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection");
    runner->options = *options;
    runner->target = options->target;
    runner->paused = options->paused;
    runner->allow_incomplete = options->allow_incomplete;
    runner->losses_seen = UINT64_MAX; /* it looks before anything is applied */
    ms_store_info(options->store, &info);
    runner->last.store = info.uuid;
    runner->generation = runner->target->checkpoint.generation;
    runner->status.position = runner->target->checkpoint.position;
    runner->rate_us = runner->status.progress_us = ms_runner_now_us(runner);
    ms_buf_init(&runner->poison_text, POISON_TEXT_MAX);
    ms_position_waiters_init(&runner->waiters, runner->status.position, hurry, runner);
    init_locks(runner);
    int code = ms_parked_streams_load(&runner->parked, runner->target, err);
    runner->status.parked = runner->parked.events;
    if (code == 0 && pthread_create(&runner->thread, NULL, runner_main, runner) != 0)
        code = ms_error_set(err, MS_EIO, "thread of a projection: %s", ms_error_text(MS_EIO));
    if (code != 0) {
        destroy(runner);
        return code;
    }
    (void)pthread_setname_np(runner->thread, "ms-projection");
    *ret_runner = runner;
    return 0;
}

static void end_thread(struct ms_runner *runner) {
    atomic_store(&runner->target->stopping, true);
    pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    pthread_cond_signal(&runner->work);
    pthread_mutex_unlock(&runner->lock);
    pthread_join(runner->thread, NULL);
    ms_position_waiters_close(&runner->waiters);
}

void ms_runner_stop(struct ms_runner *runner) {
    if (runner == NULL)
        return;
    end_thread(runner);
    ms_target_free(runner->target);
    destroy(runner);
}

int ms_runner_drop(struct ms_runner *runner, struct ms_error *err) {
    end_thread(runner);
    int code = ms_target_drop(runner->target, err);
    destroy(runner);
    return code;
}
