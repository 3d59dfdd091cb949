/*
 * Preparing space for the log: what is "ready" can't run out of disk, and one write makes a block
 * in it durable.
 *
 * For small groups it is written with zeros and synced: a synced write into such space costs half
 * of one into space that is only allocated (docs/decisions/0003). Filling goes in 1 MiB writes
 * with pauses, so that it does not delay commits; when a writer already waits for room there are
 * none.
 *
 * While the groups are large, allocating is enough: their writes take long anyway, and zeros would
 * take half of the disk's bandwidth (docs/decisions/0010). Once they are small again, what is
 * allocated far ahead of the writers is taken back and written with zeros.
 *
 * The keeper's thread, except where noted.
 */
#include "log/internal.h"

#define FILL_WRITE_BYTES ((size_t)1 << 20)
#define FILL_WRITE_BYTES_MIN ((size_t)64 << 10)
#define FILL_STEP_BYTES ((uint64_t)8 << 20) /* one sync per step */
#define FILL_PAUSE_US 4000
#define BULK_GROUP_BYTES ((uint64_t)256 << 10) /* on average, of the last groups */
#define BULK_AVERAGE_OF 8u
#define RETRACT_BEHIND_BYTES ((uint64_t)4 << 20)

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

/* ---- zeros or not ---- */

static bool groups_are_small(const struct ms_log *log) {
    return atomic_load_explicit(&log->group_bytes, memory_order_relaxed) < BULK_GROUP_BYTES / 2;
}

void ms_prepare_note_group(struct ms_log *log, uint64_t bytes) {
    uint64_t average = atomic_load_explicit(&log->group_bytes, memory_order_relaxed);
    average += bytes / BULK_AVERAGE_OF - average / BULK_AVERAGE_OF;
    atomic_store_explicit(&log->group_bytes, average, memory_order_relaxed);
}

/* Behind what the writers may have been promised already. */
static uint64_t retract_to(const struct ms_log *log) {
    uint64_t promised = log->open != NULL ? log->open->capacity : 0;
    uint64_t kept = promised > RETRACT_BEHIND_BYTES ? promised : RETRACT_BEHIND_BYTES;
    return ms_block_padded(log->active_offset + kept);
}

/* Not while there is no room for zeros, or it is somebody else's. */
bool ms_prepare_retractable(const struct ms_log *log) {
    if (log->no_space || log->ballast == MS_BALLAST_RELEASED)
        return false;
    return log->active->allocated_end > retract_to(log) && groups_are_small(log);
}

void ms_prepare_choose(struct ms_log *log) {
    uint64_t bytes = atomic_load_explicit(&log->group_bytes, memory_order_relaxed);
    log->bulk = log->bulk ? !groups_are_small(log) : bytes >= BULK_GROUP_BYTES;
    if (!ms_prepare_retractable(log))
        return;
    uint64_t to = retract_to(log);
    if (atomic_load(&log->active->ready_bytes) > to)
        atomic_store(&log->active->ready_bytes, to);
    log->active->allocated_end = 0;
}

/* ---- steps ---- */

static int allocate(struct ms_log *log, struct ms_segment *segment, struct ms_file *file,
                    uint64_t from, uint64_t to, struct ms_error *err) {
    int rc = ms_file_allocate(file, from, to - from, err);
    if (rc == MS_EUNSUPPORTED)
        log->no_allocate = true;
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->mutex);
    if (segment->allocated_end < to)
        segment->allocated_end = to;
    pthread_mutex_unlock(&log->mutex);
    return 0;
}

/* *ret_end: how far it came. What can't be allocated is written with zeros, as far as that goes. */
static int fill(struct ms_log *log, struct ms_segment *segment, struct ms_file *file, uint64_t from,
                uint64_t to, uint64_t *ret_end, struct ms_error *err) {
    if (log->bulk && !log->no_allocate && from > 0 &&
        allocate(log, segment, file, from, to, NULL) == 0) {
        *ret_end = to;
        return 0;
    }
    return ms_log_write_zeros(log, file, from, to, ret_end, err);
}

int ms_prepare_step(struct ms_log *log, struct ms_segment *segment, uint64_t target,
                    struct ms_error *err) {
    uint64_t from = fill_from(segment);
    uint64_t to = from == 0 ? FILL_WRITE_BYTES : from + FILL_STEP_BYTES;
    to = to < target ? to : target;
    uint64_t end = from;
    struct ms_file *file;
    int rc = open_to_fill(log, segment, from == 0 && !segment->named, &file, err);
    if (rc != 0)
        return rc;
    rc = fill(log, segment, file, from, to, &end, err);
    if (rc == MS_EUNSUPPORTED) { /* refused only when it came to writing */
        atomic_store(&log->direct, false);
        ms_file_close(file);
        rc = open_to_fill(log, segment, false, &file, err);
        if (rc != 0)
            return rc;
        rc = fill(log, segment, file, from, to, &end, err);
    }
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    if (rc != 0)
        return rc;
    atomic_store_explicit(&segment->ready_bytes, end, memory_order_release);
    return end == to ? 0 : ms_error_set(err, MS_ENOSPC, "no disk space for the log");
}
