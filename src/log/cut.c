/* Cutting a copy of a log; see cut.h. */
#include "log/cut.h"

#include "log/internal.h"
#include "log/rewrite.h"

/* First entry that is not wanted any more decides; *ret_end is where its append began. */
static int find_end(struct ms_log *log, uint64_t from, uint64_t position, int64_t time_ms,
                    uint64_t *ret_end, struct ms_error *err) {
    struct ms_log_cursor cursor;
    struct ms_log_entry entry;
    uint64_t append = from, end = ms_log_end(log);
    int rc;
    ms_log_cursor_init(&cursor, log, from);
    while ((rc = ms_log_cursor_next(&cursor, &entry, err)) > 0) {
        if (!(entry.header.flags & MS_ENTRY_JOINED))
            append = entry.header.first_position;
        uint64_t last = entry.header.first_position + entry.record_count - 1;
        if (last > position || entry.commit_time_ms > time_ms) {
            end = append;
            break;
        }
    }
    ms_log_cursor_deinit(&cursor);
    if (rc >= 0)
        *ret_end = end;
    return rc < 0 ? rc : 0;
}

int ms_log_cut_end_at_position(struct ms_log *log, uint64_t position, uint64_t *ret_end,
                               struct ms_error *err) {
    struct ms_segment *segment = ms_log_find_segment(log, position);
    uint64_t from = segment != NULL ? segment->first_position : 0;
    ms_segment_unref(segment);
    return find_end(log, from, position, INT64_MAX, ret_end, err);
}

int ms_log_cut_end_at_time(struct ms_log *log, int64_t time_ms, uint64_t *ret_end,
                           struct ms_error *err) {
    uint64_t from = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct ms_segment *segment = log->segments[i];
        from = segment->first_position;
        if (segment->last_commit_time_ms > time_ms)
            break;
    }
    return find_end(log, from, UINT64_MAX, time_ms, ret_end, err);
}

static int keep_entry(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) {
    const uint64_t *end = context;
    (void)err;
    if (entry->header.first_position < *end)
        *ret_batch = entry->batch;
    return 0;
}

/* The last segment that keeps anything ends at `end` now, sealed. */
static int end_segment(struct ms_log *log, struct ms_segment *segment, uint64_t end,
                       struct ms_error *err) {
    int rc = 0;
    if (atomic_load(&segment->state) != MS_SEGMENT_SEALED) {
        atomic_store(&segment->end_position, ms_log_end(log));
        rc = ms_log_seal(log, segment, err);
    }
    if (rc != 0 || atomic_load(&segment->end_position) <= end)
        return rc;
    struct ms_rewrite_options options = {
        .segment = segment->first_position,
        .visit = keep_entry,
        .context = &end,
        .cut_end = end,
        .keep_above_percent = 1000,
    };
    struct ms_rewrite_result result;
    return ms_log_rewrite(log, &options, &result, err);
}

int ms_log_cut(struct ms_log *log, uint64_t end, struct ms_error *err) {
    MS_ASSERT(log->options.read_only);
    int rc = 0;
    for (size_t i = log->segment_count; rc == 0 && i > 0; i--) {
        struct ms_segment *segment = log->segments[i - 1];
        if (segment->first_position < end) {
            rc = end_segment(log, segment, end, err);
            break;
        }
        rc = ms_vfs_unlink(log->env->vfs, segment->path, err);
    }
    return rc == 0 ? ms_vfs_sync_dir(log->env->vfs, log->dir, err) : rc;
}
