/*
 * The ballast: a file of zeros that is given up when the disk is full, so that the scavenger has
 * room to write a segment anew and so to free more. Made by the keeper when nothing else is to be
 * done; released by a rewrite, which makes it again of what it has freed. Between the two the
 * keeper takes no space. It outlives the process.
 *
 *   whole a sixteenth of a segment, at "ballast" in the shard's directory
 */
#include "base/alloc.h"
#include "log/internal.h"

#define BALLAST_FRACTION 16u
#define WRITE_BYTES ((size_t)64 << 10)

static uint64_t ballast_bytes(const struct ms_log *log) {
    return log->options.segment_bytes / BALLAST_FRACTION;
}

static int ballast_path(const struct ms_log *log, char out[MS_PATH_MAX], struct ms_error *err) {
    int rc = ms_path_join(out, log->dir, MS_BALLAST_NAME);
    return rc == 0 ? 0 : ms_error_set(err, rc, "the path of the shard is too long");
}

static int write_ballast(struct ms_log *log, struct ms_file *file, struct ms_error *err) {
    uint8_t *zeros = ms_calloc(1, WRITE_BYTES);
    if (zeros == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the ballast");
    int rc = 0;
    for (uint64_t at = 0; rc == 0 && at < ballast_bytes(log); at += WRITE_BYTES)
        rc = ms_file_write(file, at, zeros, WRITE_BYTES, err);
    ms_free(zeros);
    return rc == 0 ? ms_file_sync(file, err) : rc;
}

int ms_ballast_make(struct ms_log *log, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    int rc = ballast_path(log, path, err);
    if (rc == 0)
        rc = ms_vfs_open(log->env->vfs, path, MS_OPEN_WRITE | MS_OPEN_CREATE, &file, err);
    if (rc != 0)
        return rc;
    rc = write_ballast(log, file, err);
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
