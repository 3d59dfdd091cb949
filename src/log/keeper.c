/*
 * The keeper: has space ready before the sequencer needs it, and seals segments that are full.
 *
 * What "ready" means is prepare.c's. The active segment is kept ready some way ahead of the
 * writers; the next one (the spare) is begun when the active one is a quarter full.
 *
 * No space: the step is given up, `no_space` makes the sequencer refuse, and it is tried again
 * every second, so service resumes by itself. One thread; in manual mode whoever needs the room.
 */
#include <stdio.h>
#include <time.h>

#include "log/internal.h"

#define FILL_AHEAD_BYTES ((uint64_t)32 << 20)
#define NO_SPACE_RETRY_S 1
#define WARN_FREE_PERCENT 15u
#define WARN_EVERY_US ((int64_t)600 * 1000000)

/* A full disk is announced while there is still time. */
static void warn_of_little_space(struct ms_log *log) {
    uint64_t free_bytes, total;
    int64_t now_us = ms_clock_monotonic_us(log->env->clock);
    if (log->options.on_warning == NULL ||
        (log->warned_us != 0 && now_us - log->warned_us < WARN_EVERY_US) ||
        ms_vfs_free_space(log->env->vfs, log->dir, &free_bytes, &total, NULL) != 0 ||
        free_bytes >= total / 100 * WARN_FREE_PERCENT)
        return;
    char text[200];
    snprintf(text, sizeof text, "only %llu MiB of %llu MiB are free for the log in %.100s",
             (unsigned long long)(free_bytes >> 20), (unsigned long long)(total >> 20), log->dir);
    log->warned_us = now_us;
    log->options.on_warning(log->options.context, text);
}

/* MS_ENOSPC with a spare: as much of it as there was room for. */
static int make_spare(struct ms_log *log, struct ms_segment **ret_spare, struct ms_error *err) {
    char name[40], path[MS_PATH_MAX];
    snprintf(name, sizeof name, "spare-%llu.tmp", (unsigned long long)log->spares_made++);
    int rc = ms_path_join(path, log->dir, name);
    if (rc != 0)
        return ms_error_set(err, rc, "path of the shard is too long");
    struct ms_segment *spare;
    rc = ms_segment_new(path, 0, log->options.segment_bytes, &spare);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for a segment");
    rc = ms_prepare_step(log, spare, spare->bytes_max, err);
    int opened = rc;
    if (atomic_load(&spare->ready_bytes) > 0)
        opened = ms_vfs_open(log->env->vfs, path, MS_OPEN_READ, &spare->reader, err);
    if (opened != 0) {
        /* Ours, and empty: gives back what it took. */
        ms_ignore(ms_vfs_unlink(log->env->vfs, path, NULL));
        ms_segment_unref(spare);
        return opened;
    }
    *ret_spare = spare;
    return rc;
}

/* What is to be done, decided under the lock. */
struct chore {
    enum {
        CHORE_NONE,
        CHORE_FILL_ACTIVE,
        CHORE_MAKE_SPARE,
        CHORE_FILL_SPARE,
        CHORE_SEAL,
        CHORE_BALLAST
    } kind;
    struct ms_segment *segment;
    uint64_t target;
};

/* What takes space. */
static struct chore next_filling(struct ms_log *log) {
    struct ms_segment *active = log->active;
    uint64_t ready = atomic_load(&active->ready_bytes);
    uint64_t most = log->wanted > FILL_AHEAD_BYTES ? log->wanted : FILL_AHEAD_BYTES;
    uint64_t ahead = log->active_offset + most;
    ahead = ahead < active->bytes_max ? ahead : active->bytes_max;
    bool active_wants =
        ready < ahead && (log->hungry || ready < log->active_offset + FILL_AHEAD_BYTES / 2);
    if (active_wants || ms_prepare_retractable(log))
        return (struct chore){CHORE_FILL_ACTIVE, active, active->bytes_max};
    bool spare_wanted = log->active_offset >= active->bytes_max / 4 || log->hungry;
    if (log->spare == NULL && spare_wanted)
        return (struct chore){CHORE_MAKE_SPARE, NULL, 0};
    /* Large groups need the disk for themselves: no more than what the first of them may take. */
    uint64_t enough = log->spare != NULL ? log->spare->bytes_max : 0;
    uint64_t first = ms_log_largest_append(&log->options);
    first = first > FILL_AHEAD_BYTES ? ms_block_padded(first) : FILL_AHEAD_BYTES;
    if (log->bulk && enough > first)
        enough = first;
    if (log->spare != NULL && atomic_load(&log->spare->ready_bytes) < enough)
        return (struct chore){CHORE_FILL_SPARE, log->spare, enough};
    return (struct chore){CHORE_NONE, NULL, 0};
}

static struct chore next_chore(struct ms_log *log) {
    if (log->ballast != MS_BALLAST_RELEASED) {
        struct chore filling = next_filling(log);
        if (filling.kind != CHORE_NONE)
            return filling;
    }
    if (log->to_seal_count > 0) {
        struct ms_segment *full = log->to_seal[0];
        /* Its last blocks must be on disk: the committer is past it. */
        if (atomic_load(&log->end) >= atomic_load(&full->end_position) &&
            log->durable_position >= atomic_load(&full->end_position))
            return (struct chore){CHORE_SEAL, full, 0};
    }
    if (log->ballast == MS_BALLAST_WANTED && !log->no_space)
        return (struct chore){CHORE_BALLAST, NULL, 0};
    return (struct chore){CHORE_NONE, NULL, 0};
}

bool ms_keeper_wanted(struct ms_log *log) { return next_chore(log).kind != CHORE_NONE; }

static void adopt_spare(struct ms_log *log, struct ms_segment *spare) {
    pthread_mutex_lock(&log->mutex);
    log->spare = spare;
    pthread_mutex_unlock(&log->mutex);
}

/* A segment that could not be sealed stays as it is: without footer it is scanned at the next
 * start. */
static void seal_oldest(struct ms_log *log, struct ms_segment *segment) {
    ms_ignore(ms_log_seal(log, segment, NULL));
    pthread_mutex_lock(&log->mutex);
    log->to_seal_count--;
    memmove(log->to_seal, log->to_seal + 1, log->to_seal_count * sizeof log->to_seal[0]);
    if (log->ballast == MS_BALLAST_GIVEN_UP)
        log->ballast = MS_BALLAST_WANTED;
    pthread_mutex_unlock(&log->mutex);
    ms_segment_unref(segment);
}

static void set_ballast(struct ms_log *log, bool there) {
    pthread_mutex_lock(&log->mutex);
    log->ballast = there ? MS_BALLAST_THERE : MS_BALLAST_GIVEN_UP;
    pthread_mutex_unlock(&log->mutex);
}

static int do_chore(struct ms_log *log, const struct chore *chore, struct ms_error *err) {
    int rc = 0;
    switch (chore->kind) {
    case CHORE_NONE:
        break;
    case CHORE_FILL_ACTIVE:
    case CHORE_FILL_SPARE:
        rc = ms_prepare_step(log, chore->segment, chore->target, err);
        break;
    case CHORE_MAKE_SPARE: {
        struct ms_segment *spare = NULL;
        rc = make_spare(log, &spare, err);
        if (spare != NULL)
            adopt_spare(log, spare);
        break;
    }
    case CHORE_SEAL:
        seal_oldest(log, chore->segment);
        break;
    case CHORE_BALLAST:
        set_ballast(log, ms_ballast_make(log, err) == 0);
        break;
    }
    return rc;
}

bool ms_keeper_step(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    ms_prepare_choose(log);
    struct chore chore = next_chore(log);
    if (chore.kind == CHORE_NONE) { /* whoever is hungry from now on wakes the keeper */
        log->hungry = false;
        log->wanted = 0;
    }
    struct ms_segment *held = ms_segment_ref(chore.segment);
    pthread_mutex_unlock(&log->mutex);
    struct ms_error error = {0};
    int rc = do_chore(log, &chore, &error);
    if (chore.kind == CHORE_MAKE_SPARE || chore.kind == CHORE_FILL_ACTIVE)
        warn_of_little_space(log);
    ms_segment_unref(held);
    pthread_mutex_lock(&log->mutex);
    bool filling =
        chore.kind != CHORE_NONE && chore.kind != CHORE_SEAL && chore.kind != CHORE_BALLAST;
    if (filling) {
        log->hungry = false;
        log->wanted = 0;
        /* Any failure to prepare space is treated as "no space now": nothing acknowledged depends
         * on it. */
        log->no_space = rc != 0;
        pthread_cond_broadcast(&log->room);
    }
    pthread_mutex_unlock(&log->mutex);
    return chore.kind != CHORE_NONE && rc == 0;
}

static void wait_for_chore(struct ms_log *log) {
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_sec += NO_SPACE_RETRY_S;
    if (log->no_space)
        pthread_cond_timedwait(&log->keeper_work, &log->mutex, &until);
    else if (!ms_keeper_wanted(log) && !log->stop_keeper)
        pthread_cond_wait(&log->keeper_work, &log->mutex);
}

void *ms_keeper_main(void *argument) {
    struct ms_log *log = argument;
    pthread_mutex_lock(&log->mutex);
    while (!log->stop_keeper) {
        pthread_mutex_unlock(&log->mutex);
        bool more = ms_keeper_step(log);
        pthread_mutex_lock(&log->mutex);
        if (!more && !log->stop_keeper)
            wait_for_chore(log);
    }
    pthread_mutex_unlock(&log->mutex);
    return NULL;
}
