/*
 * What happens to projections by itself: a candidate that has caught up takes over, a version that
 * was kept long enough goes, what could not be started is tried again. One thread.
 */
#include <errno.h>
#include <time.h>

#include "projection/slots.h"

#define LOOK_US 1000000

static int64_t now_us(const struct ms_projections *projections) {
    return ms_clock_monotonic_us(projections->options.env->clock);
}

static bool has_caught_up(const struct projection_version *version) {
    struct ms_runner_status status;
    if (version->running == NULL)
        return false;
    ms_runner_status(ms_version_runner(version->running), &status);
    return status.caught_up;
}

static void look_after(struct ms_projections *projections, struct projection *projection) {
    struct projection_version *versions = projection->versions;
    int64_t now = now_us(projections);
    int64_t wall_ms = ms_clock_now_us(projections->options.env->clock) / 1000;
    for (size_t role = 0; role < MS_PROJECTION_VERSIONS_MAX; role++)
        if (versions[role].number != 0 && versions[role].running == NULL &&
            now >= versions[role].retry_us)
            ms_projections_start_version(projections, projection, (enum ms_version_role)role);
    for (size_t role = 0; role < MS_PROJECTION_VERSIONS_MAX; role++)
        if (versions[role].running != NULL)
            ms_projections_watch_past(projections, projection, &versions[role]);
    if (has_caught_up(&versions[MS_VERSION_CANDIDATE]))
        (void)!ms_projections_take_over(projections, projection, MS_VERSION_CANDIDATE, NULL);
    if (versions[MS_VERSION_PREVIOUS].number != 0 &&
        wall_ms - projection->switched_at_ms >= projections->options.keep_ms &&
        ms_projections_note(projections, projection, PROJECTION_DROPPED,
                            &versions[MS_VERSION_PREVIOUS], NULL) == 0)
        ms_projections_end_version(projections, projection, MS_VERSION_PREVIOUS, true);
}

/* False: it is to end. */
static bool wait_for_work(struct ms_projections *projections) {
    int64_t at_us = now_us(projections) + LOOK_US;
    struct timespec until = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    pthread_mutex_lock(&projections->lock);
    while (!projections->stopping && !projections->woken)
        if (pthread_cond_timedwait(&projections->work, &projections->lock, &until) == ETIMEDOUT)
            break;
    projections->woken = false;
    bool goes_on = !projections->stopping;
    pthread_mutex_unlock(&projections->lock);
    return goes_on;
}

static void *keeper_main(void *context) {
    struct ms_projections *projections = context;
    while (wait_for_work(projections)) {
        pthread_mutex_lock(&projections->admin);
        for (struct projection *p = projections->first; p != NULL; p = p->next)
            look_after(projections, p);
        pthread_mutex_unlock(&projections->admin);
    }
    return NULL;
}

int ms_projections_start_keeper(struct ms_projections *projections, struct ms_error *err) {
    if (pthread_create(&projections->keeper, NULL, keeper_main, projections) != 0)
        return ms_error_set(err, MS_EIO, "the thread that looks after projections can't be made");
    (void)pthread_setname_np(projections->keeper, "ms-projections");
    projections->has_keeper = true;
    return 0;
}

void ms_projections_stop_keeper(struct ms_projections *projections) {
    if (!projections->has_keeper)
        return;
    pthread_mutex_lock(&projections->lock);
    projections->stopping = true;
    pthread_cond_signal(&projections->work);
    pthread_mutex_unlock(&projections->lock);
    pthread_join(projections->keeper, NULL);
    projections->has_keeper = false;
}
