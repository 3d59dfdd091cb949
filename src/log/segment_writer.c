/* Writing segments anew; see segment_writer.h. */
#include "log/segment_writer.h"

#include "base/endian.h"
#include "log/frame.h"

#define BLOCK_BYTES ((size_t)1 << 20)

static int no_memory(struct ms_error *err, int rc) {
    return ms_error_set(err, rc, "no memory to write a segment anew");
}

/* ---- blocks ---- */

static int begin_block(struct ms_segment_writer *w) {
    uint8_t *place;
    ms_buf_clear(&w->block);
    w->block_entries = w->entries_crc = 0;
    w->anchor_count = 0;
    return ms_buf_extend(&w->block, MS_BLOCK_HEADER_LEN, &place);
}

static void write_block_header(const struct ms_segment_writer *w, uint8_t *bytes) {
    struct ms_block_header header = {
        .flags = MS_BLOCK_REWRITTEN,
        .store_uuid = w->owner.log_uuid,
        .shard = w->owner.shard,
        .epoch = w->owner.epoch,
        .segment = w->segment->first_position,
        .sequence = w->first.sequence,
        .first_position = w->any_block ? w->block_position : w->segment->first_position,
        .entry_count = w->block_entries,
        .length = w->block.len,
        .synced_through = w->first.synced_through,
        .commit_time_ms = w->first.commit_time_ms,
        .previous_hash = w->first.previous_hash,
        .entries_crc = w->entries_crc,
    };
    ms_block_header_write(&header, bytes);
}

static void publish_anchors(struct ms_segment_writer *w, uint64_t offset) {
    for (size_t i = 0; i < w->anchor_count; i++) {
        w->anchors[i].offset += offset;
        ms_segment_anchor(w->segment, &w->anchors[i]);
    }
}

/* The first block is written also when it is empty: the next segment leans on it. */
static int flush_block(struct ms_segment_writer *w, struct ms_error *err) {
    if (w->block_entries == 0 && w->any_block)
        return 0;
    uint64_t padded = ms_block_padded(w->block.len), offset = atomic_load(&w->segment->end_offset);
    size_t padding = (size_t)(padded - w->block.len);
    uint8_t *place;
    write_block_header(w, w->block.data);
    int rc = ms_buf_extend(&w->block, padding, &place);
    if (rc != 0)
        return no_memory(err, rc);
    if (padding > 0)
        memset(place, 0, padding);
    rc = ms_file_write(w->file, offset, w->block.data, w->block.len, err);
    if (rc != 0)
        return rc;
    publish_anchors(w, offset);
    atomic_store(&w->segment->end_offset, offset + padded);
    w->any_block = true;
    rc = begin_block(w);
    return rc == 0 ? 0 : no_memory(err, rc);
}

/* ---- frames ---- */

/* An anchor at a block says what the block's header says. */
static void note_anchor(struct ms_segment_writer *w, size_t at) {
    bool first = w->block_entries == 0;
    w->anchors[w->anchor_count++] = (struct ms_anchor_place){
        .position = first && !w->any_block ? w->segment->first_position : w->content_position,
        .offset = first ? 0 : at,
        .commit_time_ms = w->content_time_ms,
        .epoch = w->owner.epoch,
        .block_start = first,
    };
}

static void write_frame_header(struct ms_segment_writer *w, size_t at, bool last_in_block) {
    struct ms_entry_header header = {
        .length = (uint32_t)(w->block.len - at - MS_ENTRY_HEADER_LEN),
        .kind = MS_ENTRY_FRAME,
        .flags = last_in_block ? MS_ENTRY_LAST_IN_BLOCK : 0,
        .first_version = -1,
        .first_position = w->content_position,
    };
    uint8_t *bytes = w->block.data + at;
    ms_entry_header_write(&header, w->segment->first_position, w->owner.epoch, bytes);
    w->entries_crc = ms_crc32c(w->entries_crc, bytes, MS_ENTRY_HEADER_LEN);
}

/* Adds the frame at hand to the block; blocks end with a frame. */
static int flush_frame(struct ms_segment_writer *w, struct ms_error *err) {
    if (w->content_entries == 0)
        return 0;
    size_t at = w->block.len;
    uint8_t *place;
    int rc = ms_buf_extend(&w->block, MS_ENTRY_HEADER_LEN, &place);
    if (rc == 0)
        rc = ms_frame_write(ms_buf_bytes(&w->content), w->content_entries, &w->block);
    if (rc != 0)
        return no_memory(err, rc);
    if (w->block_entries == 0)
        w->block_position = w->content_position;
    note_anchor(w, at);
    bool full = w->block.len >= BLOCK_BYTES || w->anchor_count == MS_SEGMENT_WRITER_ANCHORS;
    write_frame_header(w, at, full || w->closing);
    w->block_entries++;
    w->content_entries = 0;
    ms_buf_clear(&w->content);
    return full ? flush_block(w, err) : 0;
}

int ms_segment_writer_add(struct ms_segment_writer *w, const struct ms_entry_header *header,
                          int64_t commit_time_ms, struct ms_bytes batch, struct ms_error *err) {
    size_t size = MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + batch.len;
    uint8_t *at;
    int rc = 0;
    if (w->content_entries > 0 && w->content.len + size > MS_FRAME_CONTENT_TARGET)
        rc = flush_frame(w, err);
    if (rc != 0)
        return rc;
    rc = ms_buf_extend(&w->content, size, &at);
    if (rc != 0)
        return no_memory(err, rc);
    if (w->content_entries == 0) {
        w->content_position = header->first_position;
        w->content_time_ms = commit_time_ms;
    }
    struct ms_entry_header written = *header;
    written.length = (uint32_t)batch.len;
    written.flags &= (uint8_t)~MS_ENTRY_LAST_IN_BLOCK;
    ms_put_le64(at, (uint64_t)commit_time_ms);
    uint8_t *place = at + MS_FRAME_TIME_LEN;
    memcpy(place + MS_ENTRY_HEADER_LEN, batch.data, batch.len);
    ms_entry_header_write(&written, w->segment->first_position, w->owner.epoch, place);
    w->content_entries++;
    return 0;
}

/* ---- life ---- */

void ms_segment_writer_set_losses(struct ms_segment_writer *w, struct ms_losses *losses) {
    w->segment->losses = *losses;
    w->segment->losses_known = true;
    *losses = (struct ms_losses){0};
}

int ms_segment_writer_open(struct ms_segment_writer *w, const struct ms_segment_owner *owner,
                           const char *path, uint64_t segment_bytes,
                           const struct ms_block_header *first, struct ms_error *err) {
    *w = (struct ms_segment_writer){.owner = *owner, .first = *first};
    ms_buf_init(&w->content, MS_FRAME_CONTENT_MAX);
    ms_buf_init(&w->block, MS_FRAME_CONTENT_MAX * 2);
    int rc = ms_segment_new(path, first->segment, segment_bytes, &w->segment);
    if (rc == 0)
        rc = begin_block(w);
    if (rc != 0)
        return no_memory(err, rc);
    w->segment->named = w->segment->rewritten = true;
    atomic_store(&w->segment->state, MS_SEGMENT_FULL);
    return ms_vfs_open(owner->env->vfs, path, MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_TRUNCATE,
                       &w->file, err);
}

int ms_segment_writer_finish(struct ms_segment_writer *w, const struct ms_segment_end *end,
                             struct ms_error *err) {
    w->closing = true;
    int rc = flush_frame(w, err);
    if (rc == 0)
        rc = flush_block(w, err);
    if (rc != 0)
        return rc;
    atomic_store(&w->segment->end_position, end->position);
    w->segment->last_sequence = end->last_sequence;
    w->segment->last_hash = end->last_hash;
    w->segment->last_commit_time_ms = end->last_commit_time_ms;
    w->segment->last_epoch = end->last_epoch;
    w->segment->last_os = end->last_os;
    return ms_segment_seal(w->segment, &w->owner, err);
}

void ms_segment_writer_close(struct ms_segment_writer *w, bool keep_file) {
    if (w->file != NULL && !keep_file) /* nobody else has seen it */
        ms_ignore(ms_vfs_unlink(w->owner.env->vfs, w->segment->path, NULL));
    ms_file_close(w->file);
    ms_segment_unref(w->segment);
    ms_buf_deinit(&w->content);
    ms_buf_deinit(&w->block);
    *w = (struct ms_segment_writer){0};
}
