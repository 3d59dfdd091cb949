/*
 * The ballast: a file of zeros that is given up when the disk is full, so that the scavenger has
 * room to write a segment anew and so to free more. Made by the keeper when nothing else is to be
 * done; released by a rewrite, which makes it again of what it has freed. Between the two the
 * keeper takes no space. It outlives the process.
 *
 *   a sixteenth of a segment, at "ballast" in the shard's directory
 */
#include "log/internal.h"

#define BALLAST_FRACTION 16u

static uint64_t ballast_bytes(const struct ms_log *log) {
    return log->options.segment_bytes / BALLAST_FRACTION & ~(uint64_t)(MS_BLOCK_ALIGN - 1);
}

static int ballast_path(const struct ms_log *log, char out[MS_PATH_MAX], struct ms_error *err) {
    int rc = ms_path_join(out, log->dir, MS_BALLAST_NAME);
    return rc == 0 ? 0 : ms_error_set(err, rc, "the path of the shard is too long");
}

void ms_ballast_found(struct ms_log *log, uint64_t size) {
    if (size >= ballast_bytes(log))
        log->ballast = MS_BALLAST_THERE;
}

int ms_ballast_make(struct ms_log *log, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    int rc = ballast_path(log, path, err);
    if (rc == 0)
        rc = ms_log_open_for_zeros(log, path, MS_OPEN_WRITE | MS_OPEN_CREATE, &file, err);
    if (rc != 0)
        return rc;
    uint64_t end = 0;
    rc = ms_log_write_zeros(log, file, 0, ballast_bytes(log), &end, err);
    if (rc == 0 && end < ballast_bytes(log))
        rc = ms_error_set(err, MS_ENOSPC, "no disk space for the ballast");
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    if (rc != 0) /* a part of it is no use to anybody */
        ms_ignore(ms_vfs_unlink(log->env->vfs, path, NULL));
    return rc;
}

/* Is there so little room that a rewrite needs the ballast? */
static bool is_short(struct ms_log *log) {
    uint64_t free_bytes, total;
    return ms_vfs_free_space(log->env->vfs, log->dir, &free_bytes, &total, NULL) == 0 &&
           free_bytes < ballast_bytes(log);
}

bool ms_ballast_release(struct ms_log *log) {
    char path[MS_PATH_MAX];
    if (log->options.read_only || ballast_path(log, path, NULL) != 0 || !is_short(log))
        return false;
    pthread_mutex_lock(&log->mutex);
    bool there = log->ballast == MS_BALLAST_THERE;
    if (there)
        log->ballast = MS_BALLAST_RELEASED;
    pthread_mutex_unlock(&log->mutex);
    if (there)
        ms_ignore(ms_vfs_unlink(log->env->vfs, path, NULL));
    return there;
}

void ms_ballast_restore(struct ms_log *log) {
    bool made = ms_ballast_make(log, NULL) == 0;
    pthread_mutex_lock(&log->mutex);
    log->ballast = made ? MS_BALLAST_THERE : MS_BALLAST_WANTED;
    pthread_cond_signal(&log->keeper_work);
    pthread_mutex_unlock(&log->mutex);
}
