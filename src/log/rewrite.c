/* Rewriting sealed segments; see rewrite.h. Runs on the scavenger's thread. */
#include "log/rewrite.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/frame.h"
#include "log/internal.h"
#include "wire/batch.h"

#define REWRITE_BLOCK_BYTES ((size_t)1 << 20)

struct rewriter {
    struct ms_log *log;
    const struct ms_rewrite_options *options;
    struct ms_segment *old, *new;
    struct ms_file *file;
    struct ms_block_header first; /* of the old segment */
    struct ms_buf content;        /* of the frame at hand */
    uint64_t content_position;
    int64_t content_time_ms;
    uint32_t content_entries;
    struct ms_buf block; /* header space and entries */
    struct ms_anchor_place anchors[64];
    size_t anchor_count;
    uint32_t block_entries, entries_crc;
    uint64_t block_position;
    bool any_block;
    bool closing; /* the frame being flushed is the last of all */
    int64_t started_us;
    uint64_t read_bytes;
    struct ms_rewrite_result result;
};

/* ---- blocks ---- */

static int begin_block(struct rewriter *r) {
    uint8_t *place;
    ms_buf_clear(&r->block);
    r->block_entries = r->entries_crc = 0;
    r->anchor_count = 0;
    return ms_buf_extend(&r->block, MS_BLOCK_HEADER_LEN, &place);
}

static void fill_block_header(struct rewriter *r, uint8_t *bytes) {
    struct ms_block_header header = {
        .flags = MS_BLOCK_REWRITTEN,
        .store_uuid = r->log->options.store_uuid,
        .shard = r->log->options.shard,
        .epoch = r->log->epoch,
        .segment = r->old->first_position,
        .sequence = r->first.sequence,
        .first_position = r->any_block ? r->block_position : r->old->first_position,
        .entry_count = r->block_entries,
        .length = r->block.len,
        .synced_through = r->first.synced_through,
        .commit_time_ms = r->first.commit_time_ms,
        .previous_hash = r->first.previous_hash,
        .entries_crc = r->entries_crc,
    };
    ms_block_header_write(&header, bytes);
}

static int flush_block(struct rewriter *r, struct ms_error *err) {
    if (r->block_entries == 0 && r->any_block)
        return 0;
    uint64_t padded = ms_block_padded(r->block.len), offset = atomic_load(&r->new->end_offset);
    uint8_t *padding;
    fill_block_header(r, r->block.data);
    if (ms_buf_extend(&r->block, (size_t)(padded - r->block.len), &padding) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory to rewrite a segment");
    memset(padding, 0, (size_t)(r->block.data + r->block.len - padding));
    int rc = ms_file_write(r->file, offset, r->block.data, r->block.len, err);
    for (size_t i = 0; i < r->anchor_count; i++) {
        r->anchors[i].offset += offset;
        ms_segment_anchor(r->new, &r->anchors[i]);
    }
    atomic_store(&r->new->end_offset, offset + padded);
    r->any_block = true;
    return rc != 0 ? rc : begin_block(r);
}

/* Marks the last entry of a block: frames are complete when they are added, so it is done by one
 * more look at the last header. */
static void flag_last(struct rewriter *r, size_t at) {
    struct ms_entry_header header;
    uint8_t *bytes = r->block.data + at;
    int rc = ms_entry_header_read(bytes, r->block.len - at, r->old->first_position, r->log->epoch,
                                  &header);
    MS_ASSERT(rc == 0);
    header.flags |= MS_ENTRY_LAST_IN_BLOCK;
    ms_entry_header_write(&header, r->old->first_position, r->log->epoch, bytes);
}

/* ---- frames ---- */

static void note_anchor(struct rewriter *r, size_t at) {
    bool first = r->block_entries == 0;
    r->anchors[r->anchor_count++] = (struct ms_anchor_place){
        .position = r->content_position,
        .offset = first ? 0 : at,
        .commit_time_ms = r->content_time_ms,
        .epoch = r->log->epoch,
        .block_start = first,
    };
}

/* Adds the frame at hand to the block; blocks end with a frame. */
static int flush_frame(struct rewriter *r, struct ms_error *err) {
    if (r->content_entries == 0)
        return 0;
    size_t at = r->block.len;
    uint8_t *place;
    int rc = ms_buf_extend(&r->block, MS_ENTRY_HEADER_LEN, &place);
    if (rc == 0)
        rc = ms_frame_write(ms_buf_bytes(&r->content), r->content_entries, &r->block);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to rewrite a segment");
    if (r->block_entries == 0)
        r->block_position = r->content_position;
    note_anchor(r, at);
    struct ms_entry_header header = {
        .length = (uint32_t)(r->block.len - at - MS_ENTRY_HEADER_LEN),
        .kind = MS_ENTRY_FRAME,
        .first_version = -1,
        .first_position = r->content_position,
    };
    ms_entry_header_write(&header, r->old->first_position, r->log->epoch, r->block.data + at);
    bool full = r->block.len >= REWRITE_BLOCK_BYTES || r->anchor_count == 64;
    if (full || r->closing)
        flag_last(r, at);
    r->entries_crc = ms_crc32c(r->entries_crc, r->block.data + at, MS_ENTRY_HEADER_LEN);
    r->block_entries++;
    r->content_entries = 0;
    ms_buf_clear(&r->content);
    return full ? flush_block(r, err) : 0;
}

static int add_entry(struct rewriter *r, const struct ms_log_entry *entry, struct ms_bytes batch,
                     struct ms_error *err) {
    size_t size = MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + batch.len;
    uint8_t *at = NULL;
    int rc = 0;
    if (r->content_entries > 0 && r->content.len + size > MS_FRAME_CONTENT_TARGET)
        rc = flush_frame(r, err);
    if (rc == 0 && ms_buf_extend(&r->content, size, &at) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory to rewrite a segment");
    if (rc != 0)
        return rc;
    if (r->content_entries == 0) {
        r->content_position = entry->header.first_position;
        r->content_time_ms = entry->commit_time_ms;
    }
    struct ms_entry_header header = entry->header;
    header.length = (uint32_t)batch.len;
    header.flags &= (uint8_t)~MS_ENTRY_LAST_IN_BLOCK;
    ms_put_le64(at, (uint64_t)entry->commit_time_ms);
    uint8_t *place = at + MS_FRAME_TIME_LEN;
    memcpy(place + MS_ENTRY_HEADER_LEN, batch.data, batch.len);
    ms_entry_header_write(&header, r->old->first_position, r->log->epoch, place);
    r->content_entries++;
    r->result.entries_after++;
    return 0;
}

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
        if (rc == 0 && batch.len > 0)
            rc = add_entry(r, &entry, batch, err);
        if (rc == 0)
            rc = throttle(r, MS_ENTRY_HEADER_LEN + entry.batch.len, err);
    }
    ms_log_cursor_deinit(&cursor);
    r->closing = true;
    if (rc >= 0)
        rc = flush_frame(r, err);
    return rc == 0 ? flush_block(r, err) : rc;
}

/* ---- files ---- */

static int create_new(struct rewriter *r, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 16], path[MS_PATH_MAX];
    ms_segment_name(r->old->first_position, name);
    memcpy(name + MS_SEGMENT_NAME_LEN, ".rewrite", sizeof ".rewrite");
    int rc = ms_path_join(path, r->log->dir, name);
    if (rc == 0)
        rc = ms_segment_new(r->log, path, r->old->first_position, r->log->options.segment_bytes,
                            &r->new);
    if (rc != 0)
        return ms_error_set(err, rc, "can't prepare the rewriting of a segment");
    r->new->named = r->new->rewritten = true;
    r->new->last_sequence = r->old->last_sequence;
    r->new->last_hash = r->old->last_hash;
    r->new->last_epoch = r->old->last_epoch;
    r->new->last_commit_time_ms = r->old->last_commit_time_ms;
    atomic_store(&r->new->end_position, r->options->cut_end != 0
                                            ? r->options->cut_end
                                            : atomic_load(&r->old->end_position));
    atomic_store(&r->new->state, MS_SEGMENT_FULL);
    return ms_vfs_open(r->log->env->vfs, path, MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_TRUNCATE,
                       &r->file, err);
}

static int read_first_header(struct rewriter *r, struct ms_error *err) {
    uint8_t bytes[MS_BLOCK_HEADER_LEN];
    int rc = ms_file_read_exact(r->old->reader, 0, bytes, sizeof bytes, err);
    if (rc == 0 && ms_block_header_read(bytes, &r->first) != 0)
        rc = ms_error_set(err, MS_ECORRUPT, "segment %s is damaged at byte 0", r->old->path);
    return rc;
}

/* Puts the new file in the old one's place, on disk and in the table. */
static int replace_old(struct rewriter *r, struct ms_error *err) {
    struct ms_log *log = r->log;
    char final[MS_PATH_MAX];
    memcpy(final, r->old->path, strlen(r->old->path) + 1);
    int rc = ms_vfs_open(log->env->vfs, r->new->path, MS_OPEN_READ, &r->new->reader, err);
    if (rc == 0)
        rc = ms_vfs_rename(log->env->vfs, r->new->path, final, err);
    if (rc == 0)
        rc = ms_vfs_sync_dir(log->env->vfs, log->dir, err);
    if (rc != 0)
        return rc;
    memcpy(r->new->path, final, strlen(final) + 1);
    pthread_rwlock_wrlock(&log->segments_lock);
    ms_tail_forget(&log->tail, r->old->first_position);
    for (size_t i = 0; i < log->segment_count; i++)
        if (log->segments[i] == r->old) {
            log->segments[i] = ms_segment_ref(r->new);
            ms_segment_unref(r->old); /* the table's reference; ours is left */
        }
    pthread_rwlock_unlock(&log->segments_lock);
    return 0;
}

static bool worth_it(const struct rewriter *r) {
    return r->result.bytes_after * 100 <= r->result.bytes_before * r->options->keep_above_percent;
}

static int rewrite(struct rewriter *r, struct ms_error *err) {
    int rc = read_first_header(r, err);
    if (rc == 0)
        rc = create_new(r, err);
    if (rc == 0)
        rc = begin_block(r);
    if (rc == 0)
        rc = rewrite_entries(r, err);
    if (rc == 0)
        rc = ms_segment_seal(r->new, err);
    if (rc != 0)
        return rc;
    r->result.bytes_before = r->old->file_bytes;
    r->result.bytes_after = r->new->file_bytes;
    if (!worth_it(r))
        return 0;
    rc = replace_old(r, err);
    r->result.replaced = rc == 0;
    return rc;
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
    ms_buf_init(&r.content, MS_FRAME_CONTENT_MAX);
    ms_buf_init(&r.block, MS_FRAME_CONTENT_MAX * 2);
    int rc = rewrite(&r, err);
    ms_file_close(r.file);
    if (!r.result.replaced && r.new != NULL) /* ours alone: nobody has seen it */
        ms_ignore(ms_vfs_unlink(log->env->vfs, r.new->path, NULL));
    ms_segment_unref(r.new);
    ms_segment_unref(r.old);
    ms_buf_deinit(&r.content);
    ms_buf_deinit(&r.block);
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
            .last_commit_time_ms = segment->last_commit_time_ms,
        };
    }
    pthread_rwlock_unlock(&log->segments_lock);
    return count;
}
