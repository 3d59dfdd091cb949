/*
 * The local commit engine: the segment file itself.
 *
 * `durability: commit` with direct writes: one O_DIRECT|O_DSYNC write for all blocks of a group
 * that are neighbours in one segment. With buffered writes: write, then fdatasync. `durability:
 * os`: a buffered write and no sync, but for marks: before anything is acknowledged that a power
 * cut may take, the log says durably that it is such a log (recovery.h, row 11). Committer's thread
 * only.
 */
#include "base/alloc.h"
#include "log/internal.h"

#define IOV_MAX_BLOCKS 64

struct local_engine {
    struct ms_engine engine;
    struct ms_log *log;
};

/* Gives a segment that was prepared as a spare its name, durably, before its first block. */
static int name_segment(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
    ms_segment_name(segment->first_position, name);
    int rc = ms_path_join(path, log->dir, name);
    MS_ASSERT(rc == 0);
    /* The keeper may still be filling it: it finds the file under the one name or the other, never
     * under neither. */
    pthread_mutex_lock(&log->mutex);
    rc = ms_vfs_rename(log->env->vfs, segment->path, path, err);
    if (rc == 0) {
        memcpy(segment->path, path, strlen(path) + 1);
        segment->named = true;
    }
    pthread_mutex_unlock(&log->mutex);
    return rc == 0 ? ms_vfs_sync_dir(log->env->vfs, log->dir, err) : rc;
}

static int open_writer(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) {
    int flags = MS_OPEN_WRITE;
    if (log->options.durability == MS_DURABILITY_COMMIT && atomic_load(&log->direct))
        flags |= MS_OPEN_DIRECT | MS_OPEN_DSYNC;
    int rc = ms_vfs_open(log->env->vfs, segment->path, flags, &segment->writer, err);
    if (rc == MS_EUNSUPPORTED) {
        atomic_store(&log->direct, false);
        rc = ms_vfs_open(log->env->vfs, segment->path, MS_OPEN_WRITE, &segment->writer, err);
    }
    return rc;
}

static int prepare_segment(struct ms_log *log, struct ms_segment *segment, struct ms_error *err) {
    int rc = segment->named ? 0 : name_segment(log, segment, err);
    if (rc == 0 && segment->writer == NULL)
        rc = open_writer(log, segment, err);
    return rc;
}

/* Writes the blocks from first to the last neighbour in the same segment; *ret_next is what
 * follows. */
static int write_neighbours(struct ms_log *log, struct ms_log_block *first,
                            struct ms_log_block **ret_next, struct ms_error *err) {
    struct ms_segment *segment = first->segment;
    struct ms_iovec iov[IOV_MAX_BLOCKS];
    int count = 0;
    struct ms_log_block *block = first;
    bool sync = log->options.durability == MS_DURABILITY_COMMIT;
    for (; block != NULL && block->segment == segment && count < IOV_MAX_BLOCKS;
         block = block->next) {
        const uint8_t *data = block->data;
        size_t len = (size_t)ms_block_padded(block->len);
        sync |= (block->flags & MS_BLOCK_MARK) != 0;
        struct ms_iovec *last = count > 0 ? &iov[count - 1] : NULL;
        if (last != NULL && (const uint8_t *)last->data + last->len == data)
            last->len += len;
        else
            iov[count++] = (struct ms_iovec){data, len};
    }
    *ret_next = block;
    int rc = prepare_segment(log, segment, err);
    if (rc == 0)
        rc = ms_file_writev(segment->writer, first->offset, iov, count, err);
    bool synced_by_write =
        log->options.durability == MS_DURABILITY_COMMIT && atomic_load(&log->direct);
    if (rc == 0 && sync && !synced_by_write)
        rc = ms_file_sync(segment->writer, err);
    return rc;
}

static int local_append(struct ms_engine *engine, struct ms_log_block *first,
                        struct ms_error *err) {
    struct ms_log *log = ((struct local_engine *)engine)->log;
    while (first != NULL) {
        struct ms_log_block *next;
        int rc = write_neighbours(log, first, &next, err);
        if (rc != 0)
            return rc;
        first = next;
    }
    return 0;
}

/* The scavenger owns the local files; there is no second copy to trim. */
static int local_trim(struct ms_engine *engine, uint64_t before, struct ms_error *err) {
    (void)engine;
    (void)before;
    (void)err;
    return 0;
}

static void local_free(struct ms_engine *engine) { ms_free(engine); }

static const struct ms_engine_ops local_ops = {local_append, local_trim, local_free};

int ms_engine_local_new(struct ms_log *log, struct ms_engine **ret_engine) {
    struct local_engine *engine = ms_calloc(1, sizeof *engine);
    if (engine == NULL)
        return MS_ENOMEM;
    engine->engine.ops = &local_ops;
    engine->log = log;
    *ret_engine = &engine->engine;
    return 0;
}
