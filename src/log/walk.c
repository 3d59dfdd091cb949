/* Walking over segment files; see walk.h. */
#include "log/walk.h"

#include "base/endian.h"
#include "log/frame.h"
#include "wire/batch.h"

#define WALK_READ_BYTES ((size_t)1 << 20)
#define BATCH_AT_LAST_OFFSET_DELTA 23

int ms_walk_open(struct ms_walk *walk, const struct ms_env *env, const char *path,
                 struct ms_error *err) {
    *walk = (struct ms_walk){0};
    ms_buf_init(&walk->buffer, (size_t)1 << 31);
    int rc = ms_vfs_open(env->vfs, path, MS_OPEN_READ, &walk->file, err);
    if (rc == 0)
        rc = ms_file_size(walk->file, &walk->size, err);
    if (rc != 0)
        ms_walk_close(walk);
    return rc;
}

void ms_walk_close(struct ms_walk *walk) {
    ms_file_close(walk->file);
    ms_buf_deinit(&walk->buffer);
    *walk = (struct ms_walk){0};
}

static int load(struct ms_walk *walk, size_t len, struct ms_error *err) {
    uint8_t *place;
    if (len > walk->size - walk->offset)
        len = (size_t)(walk->size - walk->offset);
    ms_buf_clear(&walk->buffer);
    if (ms_buf_extend(&walk->buffer, len, &place) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory to read a segment");
    return ms_file_read_exact(walk->file, walk->offset, place, len, err);
}

static bool zero_page(const uint8_t *bytes, size_t len) {
    return len > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* From the buffer's start: pages that are no block header, all zero or all not. */
static void take_stretch(const struct ms_walk *walk, struct ms_walk_step *step) {
    const struct ms_buf *buffer = &walk->buffer;
    size_t at = 0;
    bool zeros = true;
    for (; at < buffer->len; at += MS_BLOCK_ALIGN) {
        size_t len = buffer->len - at < MS_BLOCK_ALIGN ? buffer->len - at : MS_BLOCK_ALIGN;
        bool zero = zero_page(buffer->data + at, len);
        struct ms_block_header header;
        if (at == 0)
            zeros = zero;
        else if (zero != zeros || (!zero && len >= MS_BLOCK_HEADER_LEN &&
                                   ms_block_header_read(buffer->data + at, &header) == 0))
            break;
    }
    step->kind = zeros ? MS_WALK_ZEROS : MS_WALK_NOISE;
    step->length = at < buffer->len ? at : buffer->len;
}

static int take_block(struct ms_walk *walk, struct ms_walk_step *step, struct ms_error *err) {
    struct ms_error why = {0};
    bool whole = step->header.length <= walk->size - walk->offset;
    int rc = 0;
    if (whole && step->header.length > walk->buffer.len)
        rc = load(walk, (size_t)step->header.length, err);
    if (rc != 0)
        return rc;
    bool gaps = (step->header.flags & (MS_BLOCK_REWRITTEN | MS_BLOCK_FOOTER)) != 0;
    step->kind = (step->header.flags & MS_BLOCK_FOOTER) != 0 ? MS_WALK_FOOTER : MS_WALK_BLOCK;
    step->bytes = walk->buffer.data;
    step->length = ms_block_padded(step->header.length);
    if (!whole)
        (void)ms_error_set(&why, MS_ECORRUPT, "the block reaches behind the end of the file");
    else if (ms_block_check(step->bytes, &step->header, gaps, &why) == 0)
        return 0;
    step->kind = MS_WALK_DAMAGED;
    if (!whole) {
        step->header.length = walk->buffer.len;
        step->length = walk->size - walk->offset;
    }
    memcpy(step->why, why.message, sizeof step->why);
    return 0;
}

int ms_walk_next(struct ms_walk *walk, struct ms_walk_step *ret_step, struct ms_error *err) {
    if (walk->offset >= walk->size)
        return 0;
    int rc = load(walk, WALK_READ_BYTES, err);
    if (rc != 0)
        return rc;
    *ret_step = (struct ms_walk_step){.offset = walk->offset};
    bool block = walk->buffer.len >= MS_BLOCK_HEADER_LEN &&
                 ms_block_header_read(walk->buffer.data, &ret_step->header) == 0;
    if (block)
        rc = take_block(walk, ret_step, err);
    else
        take_stretch(walk, ret_step);
    if (rc != 0)
        return rc;
    /* Contents that don't check may hide the next header: look at every page. */
    if (ret_step->kind == MS_WALK_DAMAGED)
        ret_step->length = MS_BLOCK_ALIGN;
    walk->offset += ret_step->length;
    return 1;
}

/* ---- entries ---- */

struct entry_visit {
    const struct ms_block_header *block;
    ms_walk_entry_fn *visit;
    void *context;
    uint64_t damaged;
};

static int visit_batch(struct entry_visit *v, const struct ms_entry_header *header,
                       const uint8_t *payload, int64_t commit_time_ms) {
    struct ms_bytes batch = {payload, header->length};
    if (header->length < MS_BATCH_HEADER_LEN || ms_batch_check_crc(batch, NULL) != 0) {
        v->damaged++;
        return 0;
    }
    struct ms_walk_entry entry = {
        .header = *header,
        .batch = batch,
        .record_count = ms_get_be32(payload + BATCH_AT_LAST_OFFSET_DELTA) + 1,
        .commit_time_ms = commit_time_ms,
    };
    return v->visit(v->context, &entry);
}

static int visit_frame(struct entry_visit *v, const struct ms_entry_header *frame,
                       const uint8_t *payload) {
    struct ms_blob *content;
    size_t len, at = 0;
    int rc = ms_frame_read(ms_bytes_of(payload, frame->length), &content, &len);
    if (rc == MS_ENOMEM)
        return rc;
    if (rc != 0) {
        v->damaged++;
        return 0;
    }
    while (rc == 0 && len - at > MS_FRAME_TIME_LEN) {
        struct ms_entry_header header;
        const uint8_t *entry = content->data + at + MS_FRAME_TIME_LEN;
        size_t left = len - at - MS_FRAME_TIME_LEN;
        if (ms_entry_header_read(entry, left, v->block->segment, v->block->epoch, &header) != 0 ||
            header.length > left - MS_ENTRY_HEADER_LEN) {
            v->damaged++;
            break;
        }
        rc = visit_batch(v, &header, entry + MS_ENTRY_HEADER_LEN,
                         (int64_t)ms_get_le64(content->data + at));
        at += MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + header.length;
    }
    ms_blob_unref(content);
    return rc;
}

int ms_walk_entries(const struct ms_walk_step *step, ms_walk_entry_fn *visit, void *context,
                    uint64_t *ret_damaged) {
    struct entry_visit v = {.block = &step->header, .visit = visit, .context = context};
    uint64_t at = MS_BLOCK_HEADER_LEN, length = step->header.length;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < step->header.entry_count; i++) {
        struct ms_entry_header header;
        const uint8_t *bytes = step->bytes + at;
        if (at >= length ||
            ms_entry_header_read(bytes, length - at, step->header.segment, step->header.epoch,
                                 &header) != 0 ||
            header.length > length - at - MS_ENTRY_HEADER_LEN) {
            /* Without this header the place of the next entry is not known. */
            v.damaged += step->header.entry_count - i;
            break;
        }
        if (header.kind == MS_ENTRY_BATCH)
            rc = visit_batch(&v, &header, bytes + MS_ENTRY_HEADER_LEN, step->header.commit_time_ms);
        else if (header.kind == MS_ENTRY_FRAME)
            rc = visit_frame(&v, &header, bytes + MS_ENTRY_HEADER_LEN);
        at += MS_ENTRY_HEADER_LEN + header.length;
    }
    *ret_damaged += v.damaged;
    return rc;
}
