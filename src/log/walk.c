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

/* Has `len` bytes at the walk's offset in memory, or what the file has of them. */
static int load(struct ms_walk *walk, size_t len, struct ms_error *err) {
    uint64_t left = walk->size - walk->offset;
    uint64_t have = walk->window + walk->buffer.len - walk->offset;
    uint8_t *place;
    len = (size_t)ms_block_padded(len);
    if (len > left)
        len = (size_t)left;
    if (walk->window + walk->buffer.len >= walk->offset && have >= len)
        return 0;
    if (len < WALK_READ_BYTES)
        len = left < WALK_READ_BYTES ? (size_t)left : WALK_READ_BYTES;
    ms_buf_clear(&walk->buffer);
    walk->window = walk->offset;
    if (ms_buf_extend(&walk->buffer, len, &place) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory to read a segment");
    return ms_file_read_exact(walk->file, walk->offset, place, len, err);
}

/* What is in memory from the walk's offset on. */
static struct ms_bytes at_hand(const struct ms_walk *walk) {
    size_t skipped = (size_t)(walk->offset - walk->window);
    return ms_bytes_of(walk->buffer.data + skipped, walk->buffer.len - skipped);
}

static bool zero_page(const uint8_t *bytes, size_t len) {
    return len > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static bool is_header(int rc) { return rc == 0 || rc == MS_EFORMAT; }

/* From here on: pages that are no block header, all zero or all not. */
static void take_stretch(const struct ms_walk *walk, struct ms_walk_step *step) {
    struct ms_bytes bytes = at_hand(walk);
    size_t at = 0;
    bool zeros = true;
    for (; at < bytes.len; at += MS_BLOCK_ALIGN) {
        size_t len = bytes.len - at < MS_BLOCK_ALIGN ? bytes.len - at : MS_BLOCK_ALIGN;
        bool zero = zero_page(bytes.data + at, len);
        struct ms_block_header header;
        if (at == 0)
            zeros = zero;
        else if (zero != zeros || (!zero && len >= MS_BLOCK_HEADER_LEN &&
                                   is_header(ms_block_header_read(bytes.data + at, &header))))
            break;
    }
    step->kind = zeros ? MS_WALK_ZEROS : MS_WALK_NOISE;
    step->length = at < bytes.len ? at : bytes.len;
}

/* The header checks, so its length is to be believed: what is inside the block is not searched for
 * others. */
static int take_block(struct ms_walk *walk, struct ms_walk_step *step, struct ms_error *err) {
    struct ms_error why = {0};
    uint64_t left = walk->size - walk->offset;
    bool whole = step->header.length <= left;
    if (!whole)
        step->header.length = left;
    int rc = load(walk, (size_t)step->header.length, err);
    if (rc != 0)
        return rc;
    bool gaps = (step->header.flags & (MS_BLOCK_REWRITTEN | MS_BLOCK_FOOTER)) != 0;
    step->kind = (step->header.flags & MS_BLOCK_FOOTER) != 0 ? MS_WALK_FOOTER : MS_WALK_BLOCK;
    step->bytes = at_hand(walk).data;
    step->length = ms_block_padded(step->header.length);
    if (step->length > left)
        step->length = left;
    if (!whole)
        (void)ms_error_set(&why, MS_ECORRUPT, "the block reaches behind the end of the file");
    else if (ms_block_check(step->bytes, &step->header, gaps, &why) == 0)
        return 0;
    step->kind = MS_WALK_DAMAGED;
    memcpy(step->why, why.message, sizeof step->why);
    return 0;
}

int ms_walk_next(struct ms_walk *walk, struct ms_walk_step *ret_step, struct ms_error *err) {
    if (walk->offset >= walk->size)
        return 0;
    int rc = load(walk, MS_BLOCK_ALIGN, err);
    if (rc != 0)
        return rc;
    struct ms_bytes bytes = at_hand(walk);
    *ret_step = (struct ms_walk_step){.offset = walk->offset};
    rc = bytes.len < MS_BLOCK_HEADER_LEN ? MS_ENOTFOUND
                                         : ms_block_header_read(bytes.data, &ret_step->header);
    if (rc == MS_EFORMAT)
        return ms_error_set(err, rc, "byte %llu was written by a newer version of Mainstem",
                            (unsigned long long)walk->offset);
    if (rc == 0)
        rc = take_block(walk, ret_step, err);
    else {
        take_stretch(walk, ret_step);
        rc = 0;
    }
    if (rc != 0)
        return rc;
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

/* `header` NULL: it isn't known what stood here. */
static int visit_damage(struct entry_visit *v, const struct ms_entry_header *header) {
    struct ms_walk_entry entry = {.damaged = true};
    if (header != NULL)
        entry.header = *header;
    v->damaged++;
    return v->visit(v->context, &entry);
}

static int visit_batch(struct entry_visit *v, const struct ms_entry_header *header,
                       const uint8_t *payload, int64_t commit_time_ms) {
    struct ms_bytes batch = {payload, header->length};
    if (header->length < MS_BATCH_HEADER_LEN || ms_batch_check_crc(batch, NULL) != 0)
        return visit_damage(v, header);
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
    if (rc != 0)
        return rc == MS_ENOMEM ? rc : visit_damage(v, NULL);
    while (rc == 0 && at < len) {
        struct ms_entry_header header;
        const uint8_t *entry = content->data + at + MS_FRAME_TIME_LEN;
        size_t left = len - at > MS_FRAME_TIME_LEN ? len - at - MS_FRAME_TIME_LEN : 0;
        if (ms_entry_header_read(entry, left, v->block->segment, v->block->epoch, &header) != 0 ||
            header.length > left - MS_ENTRY_HEADER_LEN) {
            rc = visit_damage(v, NULL);
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
            rc = visit_damage(&v, NULL);
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
