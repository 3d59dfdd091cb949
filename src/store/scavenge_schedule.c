/*
 * Scavenging on a schedule.
 *
 * A scheduled run costs nothing when nothing can have been marked since the last one: what marks is
 * counted (ms_scavenge_marks), and a run remembers whether it has met rules that mark by
 * themselves, as time passes or events come. It also gives way: whoever asks for a scavenge or a
 * backup gets scavenge_lock from it, and the next run goes on.
 */
#include <time.h>

#include "base/alloc.h"
#include "store/internal.h"

#define GIVE_WAY_PAUSE_US 1000

/* Changes whenever something may have been marked: by streams' rules, deleted topics, superseded
 * snapshots. */
uint64_t ms_scavenge_marks(struct ms_store *store) {
    uint64_t marks = atomic_load(&store->rule_changes);
    pthread_rwlock_rdlock(&store->topics.lock);
    for (size_t i = 0; i < store->topics.by_number_count; i++) {
        const struct ms_topic *topic = store->topics.by_number[i];
        marks += topic != NULL && atomic_load(&topic->deleted);
    }
    pthread_rwlock_unlock(&store->topics.lock);
    return marks + atomic_load(&ms_topics_at(store, MS_TOPIC_SNAPSHOTS)->events);
}

bool ms_scavenge_topics_act(struct ms_store *store) {
    bool any = false;
    pthread_rwlock_rdlock(&store->topics.lock);
    for (size_t i = 0; i < store->topics.by_number_count && !any; i++) {
        const struct ms_topic *topic = store->topics.by_number[i];
        any = topic != NULL && !atomic_load(&topic->deleted) &&
              (topic->settings.retention_ms >= 0 || topic->settings.retention_bytes >= 0 ||
               topic->settings.retention_count >= 0 ||
               (topic->settings.compact && atomic_load(&topic->events) > 0));
    }
    pthread_rwlock_unlock(&store->topics.lock);
    return any;
}

int ms_scavenge_lock(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    atomic_fetch_add(&scavenger->wanted, 1);
    int rc = pthread_mutex_trylock(&store->scavenge_lock);
    while (rc != 0 && atomic_load(&scavenger->running)) {
        ms_clock_sleep_us(store->env->clock, GIVE_WAY_PAUSE_US);
        rc = pthread_mutex_trylock(&store->scavenge_lock);
    }
    atomic_fetch_sub(&scavenger->wanted, 1);
    return rc == 0 ? 0 : MS_EAGAIN;
}

static bool asked_to_stop(void *context) {
    const struct ms_scavenger *scavenger = &((struct ms_store *)context)->scavenger;
    return atomic_load(&scavenger->stop) || atomic_load(&scavenger->wanted) > 0;
}

static void run_scheduled(struct ms_store *store) {
    struct ms_scavenge_options options = {
        .bytes_per_second = store->options.scavenge_bytes_per_second,
        .stop = asked_to_stop,
        .context = store,
    };
    struct ms_scavenge_result result;
    if (pthread_mutex_trylock(&store->scavenge_lock) != 0)
        return; /* one was asked for */
    atomic_store(&store->scavenger.running, true);
    /* A failure shows in the metrics (segments looked at, none rewritten) and is tried again. */
    ms_ignore(ms_scavenge_run(store, &options, true, &result, NULL));
    atomic_store(&store->scavenger.running, false);
}

static void wait_interval(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    int64_t ms = store->options.scavenge_interval_ms;
    until.tv_sec += (time_t)(ms / 1000) + 1;
    pthread_mutex_lock(&scavenger->lock);
    int rc = 0;
    while (!atomic_load(&scavenger->stop) && rc == 0)
        rc = pthread_cond_timedwait(&scavenger->wake, &scavenger->lock, &until);
    pthread_mutex_unlock(&scavenger->lock);
}

static void *scavenger_main(void *argument) {
    struct ms_store *store = argument;
    for (;;) {
        wait_interval(store);
        if (atomic_load(&store->scavenger.stop))
            return NULL;
        run_scheduled(store);
    }
}

int ms_scavenger_start(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    const struct ms_store_options *options = &store->options;
    if (options->scavenge_interval_ms <= 0 || options->manual || options->read_only)
        return 0;
    pthread_mutex_init(&scavenger->lock, NULL);
    pthread_cond_init(&scavenger->wake, NULL);
    scavenger->started = pthread_create(&scavenger->thread, NULL, scavenger_main, store) == 0;
    return scavenger->started ? 0 : MS_ENOMEM;
}

void ms_scavenger_stop(struct ms_store *store) {
    struct ms_scavenger *scavenger = &store->scavenger;
    if (scavenger->started) {
        pthread_mutex_lock(&scavenger->lock);
        atomic_store(&scavenger->stop, true);
        pthread_cond_signal(&scavenger->wake);
        pthread_mutex_unlock(&scavenger->lock);
        pthread_join(scavenger->thread, NULL);
        scavenger->started = false;
    }
    ms_free(scavenger->memos);
    scavenger->memos = NULL;
    scavenger->memo_count = 0;
}
