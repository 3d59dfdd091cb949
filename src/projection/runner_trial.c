/*
 * Waiting for what comes of a retry or a skip; see runner.h.
 *
 *     command: begin ──batch──> the event is passed ──one more batch, or caught up──> over: 0
 *                  ├──an event can't be applied──> over: MS_ENOTAPPLIED
 *                  ├──what comes next was scavenged──> over: MS_EINCOMPLETE
 *                  └──the database is away, paused, retired──> over: MS_EAGAIN
 *
 * Who waits gives up after some seconds; the runner goes on all the same.
 */
#include "projection/runner_internal.h"

#define PATIENCE_US 10000000

/* Under the lock. */
static void finish(struct ms_runner *runner, struct ms_runner_trial *trial, int code,
                   const struct ms_error *why) {
    uint64_t applied = runner->status.applied;
    trial->over = true;
    trial->code = code;
    trial->outcome.applied = applied > trial->before ? applied - trial->before : 0;
    if (why != NULL)
        trial->error = *why;
    trial->error.code = code;
    pthread_cond_broadcast(&runner->done);
}

/* Under the lock. */
static void forget(struct ms_runner *runner, struct ms_runner_trial *trial) {
    struct ms_runner_trial **place = &runner->trials;
    while (*place != NULL && *place != trial)
        place = &(*place)->next;
    if (*place != NULL)
        *place = trial->next;
}

void ms_runner_trial_begin(struct ms_runner *runner, struct ms_runner_trial *trial,
                           uint64_t position, uint64_t uncounted) {
    pthread_mutex_lock(&runner->lock);
    *trial = (struct ms_runner_trial){.next = runner->trials,
                                      .position = position,
                                      .before = runner->status.applied + uncounted,
                                      .begun = true};
    runner->trials = trial;
    pthread_mutex_unlock(&runner->lock);
}

/* Under the lock. */
static void step_one(struct ms_runner *runner, struct ms_runner_trial *trial,
                     enum ms_runner_step step) {
    bool is_behind = runner->status.position > trial->position;
    switch (step) {
    case MS_RUNNER_MORE:
        if (is_behind && trial->passed && !runner->careful) /* else a bad one may be near */
            finish(runner, trial, 0, NULL);
        trial->passed |= is_behind;
        return;
    case MS_RUNNER_CAUGHT_UP:
        finish(runner, trial, 0, NULL);
        return;
    case MS_RUNNER_POISONED:
        trial->outcome.position = runner->poison.position;
        finish(runner, trial, MS_ENOTAPPLIED, &runner->failure);
        return;
    case MS_RUNNER_LACKING:
        finish(runner, trial, MS_EINCOMPLETE, NULL);
        ms_error_set(&trial->error, MS_EINCOMPLETE, "%s", runner->status.error);
        return;
    case MS_RUNNER_BROKEN:
        finish(runner, trial, runner->failure.code == MS_EFENCED ? MS_EFENCED : MS_EAGAIN,
               &runner->failure);
        return;
    }
}

void ms_runner_trials_step(struct ms_runner *runner, enum ms_runner_step step) {
    pthread_mutex_lock(&runner->lock);
    for (struct ms_runner_trial *trial = runner->trials; trial != NULL; trial = trial->next)
        if (!trial->over)
            step_one(runner, trial, step);
    pthread_mutex_unlock(&runner->lock);
}

void ms_runner_trials_end(struct ms_runner *runner, const char *why) {
    struct ms_error error = {0};
    (void)ms_error_set(&error, MS_EAGAIN, "%s", why);
    pthread_mutex_lock(&runner->lock);
    for (struct ms_runner_trial *trial = runner->trials; trial != NULL; trial = trial->next)
        if (!trial->over)
            finish(runner, trial, MS_EAGAIN, &error);
    pthread_mutex_unlock(&runner->lock);
}

/* Under the lock. */
static void give_up(struct ms_runner *runner, struct ms_runner_trial *trial) {
    struct ms_error why = {0};
    int code = runner->retired
                   ? ms_error_set(&why, MS_EAGAIN, "the version was replaced meanwhile")
                   : ms_error_set(&why, MS_ETIMEOUT,
                                  "it is being tried; what comes of it is not known yet");
    finish(runner, trial, code, &why);
}

int ms_runner_trial_wait(struct ms_runner *runner, struct ms_runner_trial *trial) {
    int64_t until_us = ms_runner_now_us(runner) + PATIENCE_US;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    int late = 0;
    pthread_mutex_lock(&runner->lock);
    while (!trial->over && !runner->retired && late == 0)
        late = pthread_cond_timedwait(&runner->done, &runner->lock, &until);
    if (!trial->over)
        give_up(runner, trial);
    forget(runner, trial);
    pthread_mutex_unlock(&runner->lock);
    return trial->code;
}

void ms_runner_retire(struct ms_runner *runner) {
    pthread_mutex_lock(&runner->lock);
    runner->retired = true;
    pthread_cond_broadcast(&runner->done);
    pthread_mutex_unlock(&runner->lock);
    ms_position_waiters_close(&runner->waiters);
}
