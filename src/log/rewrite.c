/* Rewriting sealed segments; see rewrite.h. Runs on the scavenger's thread. */
#include "log/rewrite.h"

#include "log/internal.h"
#include "log/segment_writer.h"

struct rewriter {
    struct ms_log *log;
    const struct ms_rewrite_options *options;
    struct ms_segment *old;
    struct ms_segment_writer writer;
    int64_t started_us;
    uint64_t read_bytes;
    struct ms_rewrite_result result;
};

/* ---- the pass over the old segment ---- */

static int throttle(struct rewriter *r, uint64_t bytes, struct ms_error *err) {
    const struct ms_rewrite_options *options = r->options;
    r->read_bytes += bytes;
    if (options->stop != NULL && options->stop(options->context))
        return ms_error_set(err, MS_ECANCELED, "the rewrite was stopped");
    if (options->bytes_per_second == 0)
        return 0;
    int64_t due_us = (int64_t)(r->read_bytes * 1000000 / options->bytes_per_second);
    int64_t now_us = ms_clock_monotonic_us(r->log->env->clock) - r->started_us;
    if (due_us > now_us + 1000)
        ms_clock_sleep_us(r->log->env->clock, due_us - now_us);
    return 0;
}

static int rewrite_entries(struct rewriter *r, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t end = atomic_load(&r->old->end_position);
    ms_log_cursor_init(&cursor, r->log, r->old->first_position);
    cursor.read_bytes = (size_t)256 << 10;
    int rc = 0;
    while (rc == 0 && cursor.next_position < end) {
        rc = ms_log_cursor_next(&cursor, &entry, err);
        if (rc <= 0 || entry.header.first_position >= end)
            break;
        struct ms_bytes batch = {0};
        r->result.entries_before++;
        rc = r->options->visit(r->options->context, &entry, &batch, err);
        if (rc == 0 && batch.len > 0) {
            rc = ms_segment_writer_add(&r->writer, &entry.header, entry.commit_time_ms, batch, err);
            r->result.entries_after++;
        }
        if (rc == 0)
            rc = throttle(r, MS_ENTRY_HEADER_LEN + entry.batch.len, err);
    }
    ms_log_cursor_deinit(&cursor);
    return rc < 0 ? rc : 0;
}

/* ---- files ---- */

static int read_first_header(struct rewriter *r, struct ms_block_header *ret_first,
                             struct ms_error *err) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    int rc = ms_file_read_exact(r->old->reader, 0, bytes, sizeof bytes, err);
    if (rc == 0 && ms_block_header_read(bytes, ret_first) != 0)
        rc = ms_error_set(err, MS_ECORRUPT, "segment %s is damaged at byte 0", r->old->path);
    return rc;
}

static int open_writer(struct rewriter *r, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 16], path[MS_PATH_MAX];
    struct ms_segment_owner owner = ms_log_owner(r->log);
    struct ms_block_header first;
    int rc = read_first_header(r, &first, err);
    if (rc != 0)
        return rc;
    ms_segment_name(r->old->first_position, name);
    memcpy(name + MS_SEGMENT_NAME_LEN, ".rewrite", sizeof ".rewrite");
    rc = ms_path_join(path, r->log->dir, name);
    if (rc != 0)
        return ms_error_set(err, rc, "the path of the shard is too long");
    return ms_segment_writer_open(&r->writer, &owner, path, r->log->options.segment_bytes, &first,
                                  err);
}

/* Of a cut the segment keeps what it has lost before its new end. */
static int cut_losses(struct ms_losses *losses, uint64_t end) {
    struct ms_losses kept = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < losses->count; i++) {
        const struct ms_loss *loss = &losses->items[i];
        if (loss->first < end)
            rc = ms_losses_note(&kept, loss->topic, loss->first,
                                loss->last < end ? loss->last : end - 1);
    }
    ms_losses_deinit(losses);
    *losses = kept;
    return rc;
}

/* Together with what was lost before. */
static int note_losses(struct rewriter *r, struct ms_error *err) {
    const struct ms_rewrite_options *options = r->options;
    struct ms_losses losses = {0};
    int rc = ms_log_losses_of(r->log, r->old, &losses, err);
    if (rc == 0 && options->lost != NULL)
        rc = options->lost(options->context, &losses, err);
    if (rc == 0 && options->cut_end != 0 && (rc = cut_losses(&losses, options->cut_end)) != 0)
        rc = ms_error_set(err, rc, "no memory for what was removed from the log");
    if (rc == 0)
        ms_segment_writer_set_losses(&r->writer, &losses);
    ms_losses_deinit(&losses);
    return rc;
}

/* The chain goes on behind the new file where it did behind the old one. */
static int finish_writer(struct rewriter *r, struct ms_error *err) {
    uint64_t cut = r->options->cut_end;
    struct ms_segment_end end = {
        .position = cut != 0 ? cut : atomic_load(&r->old->end_position),
        .last_sequence = r->old->last_sequence,
        .last_hash = r->old->last_hash,
        .last_commit_time_ms = r->old->last_commit_time_ms,
        .last_epoch = r->old->last_epoch,
        .last_os = r->old->last_os,
    };
    return ms_segment_writer_finish(&r->writer, &end, err);
}

/* What the caller decided by may still be on its way to the disk: it must not be lost when what it
 * made superfluous is gone already. */
static int wait_until_durable(struct ms_log *log, struct ms_error *err) {
    if (log->options.read_only)
        return 0;
    ms_log_lock(log);
    uint64_t sequenced = ms_log_next_position(log);
    ms_log_unlock(log);
    if (log->options.manual)
        ms_log_run(log);
    while (ms_log_end(log) < sequenced) {
        if (ms_log_failed(log))
            return ms_error_set(err, MS_ECLOSED, "the log has stopped");
        ms_clock_sleep_us(log->env->clock, 1000);
    }
    return 0;
}

/* Puts the new file in the old one's place, on disk and in the table. */
static int replace_old(struct rewriter *r, struct ms_error *err) {
    struct ms_log *log = r->log;
    struct ms_segment *new = r->writer.segment;
    char final[MS_PATH_MAX];
    memcpy(final, r->old->path, strlen(r->old->path) + 1);
    int rc = ms_vfs_open(log->env->vfs, new->path, MS_OPEN_READ, &new->reader, err);
    if (rc == 0)
        rc = ms_vfs_rename(log->env->vfs, new->path, final, err);
    if (rc != 0)
        return rc;
    /* From here on the new file is the segment, whether or not its name is durable yet: both say
     * the same. */
    r->result.replaced = true;
    memcpy(new->path, final, strlen(final) + 1);
    pthread_rwlock_wrlock(&log->segments_lock);
    ms_tail_forget(&log->tail, r->old->first_position);
    if (new->losses.count > 0)
        atomic_fetch_add(&log->losses_count, 1);
    for (size_t i = 0; i < log->segment_count; i++)
        if (log->segments[i] == r->old) {
            log->segments[i] = ms_segment_ref(new);
            ms_segment_unref(r->old); /* the table's reference; ours is left */
        }
    pthread_rwlock_unlock(&log->segments_lock);
    return ms_vfs_sync_dir(log->env->vfs, log->dir, err);
}

static bool worth_it(const struct rewriter *r) {
    return r->result.bytes_after * 100 <= r->result.bytes_before * r->options->keep_above_percent;
}

static int rewrite(struct rewriter *r, struct ms_error *err) {
    int rc = open_writer(r, err);
    if (rc == 0)
        rc = rewrite_entries(r, err);
    if (rc == 0)
        rc = note_losses(r, err);
    if (rc == 0)
        rc = finish_writer(r, err);
    if (rc != 0)
        return rc;
    r->result.bytes_before = r->old->file_bytes;
    r->result.bytes_after = r->writer.segment->file_bytes;
    if (!worth_it(r))
        return 0;
    rc = wait_until_durable(r->log, err);
    return rc == 0 ? replace_old(r, err) : rc;
}

static struct ms_segment *find_sealed(struct ms_log *log, uint64_t first_position) {
    struct ms_segment *segment = ms_log_find_segment(log, first_position);
    if (segment != NULL && (segment->first_position != first_position ||
                            atomic_load(&segment->state) != MS_SEGMENT_SEALED)) {
        ms_segment_unref(segment);
        return NULL;
    }
    return segment;
}

int ms_log_rewrite(struct ms_log *log, const struct ms_rewrite_options *options,
                   struct ms_rewrite_result *ret_result, struct ms_error *err) {
    struct rewriter r = {.log = log, .options = options};
    r.old = find_sealed(log, options->segment);
    if (r.old == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "there is no sealed segment at position %llu",
                            (unsigned long long)options->segment);
    r.started_us = ms_clock_monotonic_us(log->env->clock);
    bool short_of_space = ms_ballast_release(log);
    int rc = rewrite(&r, err);
    ms_segment_writer_close(&r.writer, r.result.replaced);
    ms_segment_unref(r.old);
    if (short_of_space)
        ms_ballast_restore(log);
    if (rc == 0)
        *ret_result = r.result;
    return rc;
}

size_t ms_log_segments(struct ms_log *log, struct ms_segment_info *ret_infos, size_t max) {
    pthread_rwlock_rdlock(&log->segments_lock);
    size_t count = log->segment_count;
    for (size_t i = 0; i < count && i < max; i++) {
        struct ms_segment *segment = log->segments[i];
        bool sealed = atomic_load(&segment->state) == MS_SEGMENT_SEALED;
        ret_infos[i] = (struct ms_segment_info){
            .first_position = segment->first_position,
            .end_position = atomic_load(&segment->end_position),
            .bytes = sealed ? segment->file_bytes : atomic_load(&segment->end_offset),
            .sealed = sealed,
            .rewritten = segment->rewritten,
            .last_commit_time_ms = sealed ? segment->last_commit_time_ms : 0,
        };
    }
    pthread_rwlock_unlock(&log->segments_lock);
    return count;
}
