/*
 * The keeper: has space ready before the sequencer needs it, and seals segments that are full.
 *
 * "Ready" means allocated, written with zeros and synced: a synced write into such space costs half
 * of one into space that is only allocated (DESIGN section 3 has the measurement), and it can't run
 * out of disk. The active segment is kept ready some way ahead of the writers; the next one (the
 * spare) is begun when the active one is a quarter full. Filling goes in 1 MiB writes with pauses,
 * so that it does not delay commits; when a writer already waits for room there are no pauses.
 *
 * No space: the step is given up, `no_space` makes the sequencer refuse, and it is tried again
 * every second, so service resumes by itself. One thread; in manual mode whoever needs the room.
 */
#include <stdio.h>
#include <time.h>

#include "log/internal.h"

#define FILL_WRITE_BYTES ((size_t)1 << 20)
#define FILL_WRITE_BYTES_MIN ((size_t)64 << 10)
#define FILL_STEP_BYTES ((uint64_t)8 << 20) /* one sync per step */
#define FILL_AHEAD_BYTES ((uint64_t)32 << 20)
#define FILL_PAUSE_US 4000
#define NO_SPACE_RETRY_S 1
#define WARN_FREE_PERCENT 15u
#define WARN_EVERY_US ((int64_t)600 * 1000000)

/* The same zeros many times over: a write of 1 MiB keeps 64 KiB of the processor's cache. */
static int write_zeros(struct ms_file *file, uint64_t offset, uint64_t len, struct ms_error *err) {
    static const _Alignas(MS_BLOCK_ALIGN) uint8_t zeros[FILL_WRITE_BYTES_MIN];
    struct ms_iovec iov[FILL_WRITE_BYTES / FILL_WRITE_BYTES_MIN];
    int count = 0;
    MS_ASSERT(len <= FILL_WRITE_BYTES);
    for (uint64_t at = 0; at < len; at += FILL_WRITE_BYTES_MIN) {
        uint64_t rest = len - at;
        size_t piece = rest < FILL_WRITE_BYTES_MIN ? (size_t)rest : FILL_WRITE_BYTES_MIN;
        iov[count++] = (struct ms_iovec){zeros, piece};
    }
    return ms_file_writev(file, offset, iov, count, err);
}

static void pause_between_writes(struct ms_log *log) {
    pthread_mutex_lock(&log->mutex);
    bool hurry = log->hungry || log->stop_keeper;
    pthread_mutex_unlock(&log->mutex);
    if (!hurry && !log->options.manual)
        ms_clock_sleep_us(log->env->clock, FILL_PAUSE_US);
}

/* Zeros from `from` on, as far as `to` or as the disk has room: *ret_end is how far it came. Where
 * there is no room for a whole write it tries smaller ones, so the last of a disk is used too.
 * MS_ENOSPC only when nothing was written. */
int ms_log_write_zeros(struct ms_log *log, struct ms_file *file, uint64_t from, uint64_t to,
                       uint64_t *ret_end, struct ms_error *err) {
    uint64_t at = from, most = FILL_WRITE_BYTES;
    int rc = 0;
    while (rc == 0 && at < to) {
        uint64_t len = to - at < most ? to - at : most;
        rc = write_zeros(file, at, len, err);
        if (rc == MS_ENOSPC && most > FILL_WRITE_BYTES_MIN) {
            most /= 4;
            rc = 0;
            continue;
        }
        at += rc == 0 ? len : 0;
        if (rc == 0 && at < to)
            pause_between_writes(log);
    }
    *ret_end = at;
    return rc == MS_ENOSPC && at > from ? 0 : rc;
}

int ms_log_open_for_zeros(struct ms_log *log, const char *path, int flags,
                          struct ms_file **ret_file, struct ms_error *err) {
    struct ms_vfs *vfs = log->env->vfs;
    if (atomic_load(&log->direct)) {
        int rc = ms_vfs_open(vfs, path, flags | MS_OPEN_DIRECT, ret_file, err);
        if (rc != MS_EUNSUPPORTED)
            return rc;
        atomic_store(&log->direct, false);
    }
    return ms_vfs_open(vfs, path, flags, ret_file, err);
}

/* The committer gives a spare its final name as soon as it is in use: the file is looked for again
 * under that one. Only a spare's first step makes a file. */
static int open_to_fill(struct ms_log *log, struct ms_segment *segment, bool create,
                        struct ms_file **ret_file, struct ms_error *err) {
    char path[MS_PATH_MAX];
    int rc = MS_ENOTFOUND;
    for (int attempt = 0; attempt < 2 && rc == MS_ENOTFOUND; attempt++) {
        pthread_mutex_lock(&log->mutex);
        memcpy(path, segment->path, strlen(segment->path) + 1);
        pthread_mutex_unlock(&log->mutex);
        rc = ms_log_open_for_zeros(log, path, MS_OPEN_WRITE | (create ? MS_OPEN_CREATE : 0),
                                   ret_file, err);
    }
    return rc;
}

/* Zeros go behind what is prepared and never over a block: a file that ends inside its last block's
 * padding is prepared up to a place before that. */
static uint64_t fill_from(const struct ms_segment *segment) {
    uint64_t ready = atomic_load(&segment->ready_bytes);
    uint64_t blocks_end = atomic_load(&segment->end_offset);
    return ready > blocks_end ? ready : blocks_end;
}

/* Prepares the next step of a segment; its ready_bytes moves when that is durable. MS_ENOSPC also
 * when it moved, but not as far as it should have. */
static int fill_step(struct ms_log *log, struct ms_segment *segment, uint64_t target,
                     struct ms_error *err) {
    uint64_t from = fill_from(segment);
    uint64_t to = from == 0 ? FILL_WRITE_BYTES : from + FILL_STEP_BYTES;
    to = to < target ? to : target;
    uint64_t end = from;
    struct ms_file *file;
    int rc = open_to_fill(log, segment, from == 0 && !segment->named, &file, err);
    if (rc != 0)
        return rc;
    rc = ms_log_write_zeros(log, file, from, to, &end, err);
    if (rc == MS_EUNSUPPORTED) { /* refused only when it came to writing */
        atomic_store(&log->direct, false);
        ms_file_close(file);
        rc = open_to_fill(log, segment, false, &file, err);
        if (rc != 0)
            return rc;
        rc = ms_log_write_zeros(log, file, from, to, &end, err);
    }
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    if (rc != 0)
        return rc;
    atomic_store_explicit(&segment->ready_bytes, end, memory_order_release);
    return end == to ? 0 : ms_error_set(err, MS_ENOSPC, "no disk space for the log");
}

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
    rc = fill_step(log, spare, spare->bytes_max, err);
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
    if (active_wants)
        return (struct chore){CHORE_FILL_ACTIVE, active, active->bytes_max};
    bool spare_wanted = log->active_offset >= active->bytes_max / 4 || log->hungry;
    if (log->spare == NULL && spare_wanted)
        return (struct chore){CHORE_MAKE_SPARE, NULL, 0};
    if (log->spare != NULL && atomic_load(&log->spare->ready_bytes) < log->spare->bytes_max)
        return (struct chore){CHORE_FILL_SPARE, log->spare, log->spare->bytes_max};
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
        rc = fill_step(log, chore->segment, chore->target, err);
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
    struct chore chore = next_chore(log);
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
    if (filling || chore.kind == CHORE_NONE) {
        log->hungry = false;
        log->wanted = 0;
    }
    if (filling) {
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
