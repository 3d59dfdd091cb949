/* Segments in memory, their anchors and footers; layouts in segment.h. */
#include "log/segment.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "log/internal.h"
#include "wire/batch.h"

static const uint8_t trailer_magic[8] = {'M', 'S', 'T', 'M', 'E', 'N', 'D', '1'};

enum {
    FOOTER_AT_END_POSITION = 24,
    FOOTER_AT_END_OFFSET = 32,
    FOOTER_AT_SEQUENCE = 40,
    FOOTER_AT_HASH = 48,
    FOOTER_AT_TIME = 64,
    FOOTER_AT_EPOCHS = 72,
    FOOTER_AT_ANCHORS = 76,
    FOOTER_AT_LAST_EPOCH = 80,
    FOOTER_AT_LOSSES = 84,

    TRAILER_AT_OFFSET = 8,
    TRAILER_AT_LENGTH = 16,
    TRAILER_AT_CRC = 60,
};

static uint32_t anchors_max(uint64_t file_bytes) {
    return (uint32_t)(file_bytes / MS_ANCHOR_EVERY + 1);
}

static uint64_t payload_length(uint32_t epochs, uint32_t anchors, size_t losses) {
    return MS_SEGMENT_FOOTER_FIXED + (uint64_t)epochs * 4 +
           (uint64_t)anchors * sizeof(struct ms_anchor) + (uint64_t)losses * sizeof(struct ms_loss);
}

static uint64_t footer_length(uint32_t epochs, uint32_t anchors, size_t losses) {
    return MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN + payload_length(epochs, anchors, losses);
}

uint64_t ms_segment_footer_bytes(uint64_t segment_bytes) {
    uint64_t length = footer_length(MS_SEGMENT_EPOCHS_MAX, anchors_max(segment_bytes), 0);
    return ms_block_padded(length + MS_SEGMENT_TRAILER_LEN);
}

void ms_segment_name(uint64_t first_position, char out[MS_SEGMENT_NAME_LEN + 1]) {
    int n =
        snprintf(out, MS_SEGMENT_NAME_LEN + 1, "%020llu.log", (unsigned long long)first_position);
    MS_ASSERT(n == MS_SEGMENT_NAME_LEN);
}

bool ms_segment_name_parse(const char *name, uint64_t *ret_first_position) {
    if (strlen(name) != MS_SEGMENT_NAME_LEN || strcmp(name + 20, ".log") != 0)
        return false;
    return ms_parse_u64(ms_bytes_of(name, 20), ret_first_position) == 0;
}

int ms_segment_new(const char *path, uint64_t first_position, uint64_t file_bytes,
                   struct ms_segment **ret_segment) {
    size_t path_len = strlen(path) + 1;
    struct ms_segment *segment = ms_calloc(1, sizeof *segment + MS_PATH_MAX);
    if (segment == NULL)
        return MS_ENOMEM;
    MS_ASSERT(path_len <= MS_PATH_MAX);
    memcpy(segment->path, path, path_len);
    segment->first_position = first_position;
    segment->file_bytes = file_bytes;
    uint64_t footer = ms_segment_footer_bytes(file_bytes);
    segment->bytes_max = file_bytes > footer ? file_bytes - footer : 0;
    segment->anchor_capacity = anchors_max(file_bytes);
    segment->epochs = ms_calloc(MS_SEGMENT_EPOCHS_MAX, sizeof *segment->epochs);
    /* Demand-zero memory: an anchor array costs what is used of it. */
    segment->anchors = ms_calloc(segment->anchor_capacity, sizeof *segment->anchors);
    if (segment->epochs == NULL || segment->anchors == NULL) {
        ms_free(segment->epochs);
        ms_free(segment->anchors);
        ms_free(segment);
        return MS_ENOMEM;
    }
    atomic_init(&segment->refs, 1);
    atomic_init(&segment->end_position, first_position);
    atomic_init(&segment->state, MS_SEGMENT_ACTIVE);
    *ret_segment = segment;
    return 0;
}

struct ms_segment *ms_segment_ref(struct ms_segment *segment) {
    if (segment != NULL)
        atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
    return segment;
}

void ms_segment_unref(struct ms_segment *segment) {
    if (segment == NULL || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
        return;
    ms_file_close(segment->reader);
    ms_file_close(segment->writer);
    ms_losses_deinit(&segment->losses);
    ms_free(segment->epochs);
    ms_free(segment->anchors);
    ms_free(segment);
}

/* Index of the epoch in the segment's table, added when new. Opening a log whose last segment has
 * no room for another epoch begins a new segment (recovery.c). */
static uint32_t epoch_index(struct ms_segment *segment, uint32_t epoch) {
    uint32_t count = atomic_load_explicit(&segment->epoch_count, memory_order_relaxed);
    if (count > 0 && segment->epochs[count - 1] == epoch)
        return count - 1;
    MS_ASSERT(count < MS_SEGMENT_EPOCHS_MAX);
    segment->epochs[count] = epoch;
    atomic_store_explicit(&segment->epoch_count, count + 1, memory_order_release);
    return count;
}

void ms_segment_anchor(struct ms_segment *segment, const struct ms_anchor_place *place) {
    uint32_t count = atomic_load_explicit(&segment->anchor_count, memory_order_relaxed);
    uint64_t delta = place->position - segment->first_position;
    if (count == segment->anchor_capacity || delta > UINT32_MAX)
        return;
    segment->anchors[count] = (struct ms_anchor){
        .position_delta = (uint32_t)delta,
        .offset = (uint32_t)place->offset,
        .time_and_epoch = (uint64_t)place->commit_time_ms << 16 |
                          (place->block_start ? MS_ANCHOR_BLOCK_START : 0) |
                          epoch_index(segment, place->epoch),
    };
    atomic_store_explicit(&segment->anchor_count, count + 1, memory_order_release);
}

bool ms_segment_find_anchor(const struct ms_segment *segment, uint64_t position,
                            struct ms_anchor *ret_anchor) {
    uint32_t low = 0, high = atomic_load_explicit(&segment->anchor_count, memory_order_acquire);
    if (high == 0 || position < segment->first_position)
        return false;
    uint64_t delta = position - segment->first_position;
    /* Invariant: anchors[low] <= position < anchors[high]. The first anchor may be past the
     * position in a scavenged segment; reading then begins there. */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->anchors[middle].position_delta <= delta)
            low = middle;
        else
            high = middle;
    }
    *ret_anchor = segment->anchors[low];
    return true;
}

uint64_t ms_segment_next_anchor(const struct ms_segment *segment, uint64_t offset) {
    uint32_t low = 0, high = atomic_load_explicit(&segment->anchor_count, memory_order_acquire);
    uint32_t count = high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->anchors[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count ? segment->anchors[low].offset : atomic_load(&segment->end_offset);
}

uint32_t ms_anchor_epoch(const struct ms_segment *segment, const struct ms_anchor *anchor) {
    uint32_t index = (uint32_t)(anchor->time_and_epoch & MS_ANCHOR_EPOCH_MASK);
    MS_ASSERT(index < atomic_load_explicit(&segment->epoch_count, memory_order_acquire));
    return segment->epochs[index];
}

/* ---- footers ---- */

static void footer_payload_write(const struct ms_segment *segment, uint32_t epochs,
                                 uint32_t anchors, uint8_t *out, uint32_t length) {
    memset(out, 0, MS_SEGMENT_FOOTER_FIXED);
    ms_put_le64(out + FOOTER_AT_END_POSITION, segment->end_position);
    ms_put_le64(out + FOOTER_AT_END_OFFSET, segment->end_offset);
    ms_put_le64(out + FOOTER_AT_SEQUENCE, segment->last_sequence);
    memcpy(out + FOOTER_AT_HASH, segment->last_hash.bytes, 16);
    ms_put_le64(out + FOOTER_AT_TIME, (uint64_t)segment->last_commit_time_ms);
    ms_put_le32(out + FOOTER_AT_EPOCHS, epochs);
    ms_put_le32(out + FOOTER_AT_ANCHORS, anchors);
    ms_put_le32(out + FOOTER_AT_LAST_EPOCH, segment->last_epoch);
    if (segment->losses_known)
        ms_put_le32(out + FOOTER_AT_LOSSES, (uint32_t)segment->losses.count + 1);
    uint8_t *at = out + MS_SEGMENT_FOOTER_FIXED;
    memcpy(at, segment->epochs, (size_t)epochs * 4);
    at += (size_t)epochs * 4;
    memcpy(at, segment->anchors, (size_t)anchors * sizeof(struct ms_anchor));
    at += (size_t)anchors * sizeof(struct ms_anchor);
    if (segment->losses.count > 0)
        memcpy(at, segment->losses.items, segment->losses.count * sizeof(struct ms_loss));
    ms_put_be32(out + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, out + MS_BATCH_CRC_START, length - MS_BATCH_CRC_START));
}

/* The whole footer with padding and trailer, `total` bytes at out (zeroed, aligned). */
static void footer_write(const struct ms_segment *segment, const struct ms_segment_owner *owner,
                         uint8_t *out, uint64_t total) {
    uint32_t anchors = atomic_load(&segment->anchor_count);
    uint32_t epochs = atomic_load(&segment->epoch_count);
    uint64_t length = footer_length(epochs, anchors, segment->losses.count);
    uint8_t *entry = out + MS_BLOCK_HEADER_LEN;
    uint32_t payload = (uint32_t)(length - MS_BLOCK_HEADER_LEN - MS_ENTRY_HEADER_LEN);
    footer_payload_write(segment, epochs, anchors, entry + MS_ENTRY_HEADER_LEN, payload);
    struct ms_entry_header entry_header = {
        .length = payload,
        .kind = MS_ENTRY_ANCHORS,
        .flags = MS_ENTRY_LAST_IN_BLOCK | MS_ENTRY_CONTROL,
        .first_version = -1,
        .first_position = segment->end_position,
    };
    ms_entry_header_write(&entry_header, segment->first_position, owner->epoch, entry);
    struct ms_block_header header = {
        .flags = (uint16_t)(MS_BLOCK_FOOTER | (segment->last_os ? MS_BLOCK_OS : 0) |
                            (segment->losses.count > 0 ? MS_BLOCK_LOSSES : 0)),
        .store_uuid = owner->log_uuid,
        .shard = owner->shard,
        .epoch = owner->epoch,
        .segment = segment->first_position,
        .sequence = segment->last_sequence,
        .first_position = segment->end_position,
        .entry_count = 1,
        .length = length,
        .commit_time_ms = segment->last_commit_time_ms,
        .previous_hash = segment->last_hash,
        .entries_crc = ms_crc32c(0, entry, MS_ENTRY_HEADER_LEN),
    };
    ms_block_header_write(&header, out);
    uint8_t *trailer = out + total - MS_SEGMENT_TRAILER_LEN;
    memcpy(trailer, trailer_magic, sizeof trailer_magic);
    ms_put_le64(trailer + TRAILER_AT_OFFSET, segment->end_offset);
    ms_put_le64(trailer + TRAILER_AT_LENGTH, length);
    ms_put_le32(trailer + TRAILER_AT_CRC, ms_crc32c(0, trailer, TRAILER_AT_CRC));
}

int ms_segment_seal(struct ms_segment *segment, const struct ms_segment_owner *owner,
                    struct ms_error *err) {
    uint32_t anchors = atomic_load(&segment->anchor_count);
    uint32_t epochs = atomic_load(&segment->epoch_count);
    uint64_t length = footer_length(epochs, anchors, segment->losses.count);
    uint64_t total = ms_block_padded(length + MS_SEGMENT_TRAILER_LEN);
    struct ms_blob *blob;
    int rc = ms_blob_new(total, &blob);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for the footer of %s", segment->path);
    memset(blob->data, 0, total);
    footer_write(segment, owner, blob->data, total);
    struct ms_file *file = NULL;
    rc = ms_vfs_open(owner->env->vfs, segment->path, MS_OPEN_WRITE, &file, err);
    /* Cut first, so that a file with a valid trailer never has stale space behind it. */
    if (rc == 0)
        rc = ms_file_truncate(file, segment->end_offset, err);
    if (rc == 0)
        rc = ms_file_write(file, segment->end_offset, blob->data, total, err);
    if (rc == 0)
        rc = ms_file_sync(file, err);
    ms_file_close(file);
    ms_blob_unref(blob);
    if (rc == 0) {
        segment->file_bytes = segment->end_offset + total;
        atomic_store(&segment->state, MS_SEGMENT_SEALED);
    }
    return rc;
}

/* Anchors are followed without looking back, so those that can't be right are not taken. */
static bool anchors_make_sense(const struct ms_anchor *anchors, uint32_t count, uint32_t epochs,
                               uint64_t positions, uint64_t end_offset) {
    for (uint32_t i = 0; i < count; i++) {
        const struct ms_anchor *anchor = &anchors[i];
        if ((anchor->time_and_epoch & MS_ANCHOR_EPOCH_MASK) >= epochs ||
            anchor->offset >= end_offset || anchor->position_delta >= positions)
            return false;
        if (i > 0 && (anchor->offset <= anchors[i - 1].offset ||
                      anchor->position_delta < anchors[i - 1].position_delta))
            return false;
    }
    return true;
}

/* The list at the payload's end. */
static int load_losses(struct ms_segment *segment, const uint8_t *at, uint32_t count) {
    struct ms_losses losses = {.count = count, .capacity = count};
    losses.items = ms_calloc((size_t)count + 1, sizeof *losses.items);
    if (losses.items == NULL)
        return MS_ENOMEM;
    if (count > 0)
        memcpy(losses.items, at, count * sizeof *losses.items);
    if (!ms_losses_make_sense(&losses, segment->first_position)) {
        ms_losses_deinit(&losses);
        return MS_ENOTFOUND;
    }
    ms_losses_deinit(&segment->losses);
    segment->losses = losses;
    segment->losses_known = true;
    return 0;
}

/* `offset`: where the footer begins, and the blocks end. */
static int footer_load_payload(struct ms_segment *segment, const uint8_t *payload, uint32_t length,
                               uint64_t offset) {
    if (length < MS_SEGMENT_FOOTER_FIXED)
        return MS_ENOTFOUND;
    uint32_t epochs = ms_get_le32(payload + FOOTER_AT_EPOCHS);
    uint32_t anchors = ms_get_le32(payload + FOOTER_AT_ANCHORS);
    uint32_t known = ms_get_le32(payload + FOOTER_AT_LOSSES), losses = known > 0 ? known - 1 : 0;
    if (epochs > MS_SEGMENT_EPOCHS_MAX || length != payload_length(epochs, anchors, losses))
        return MS_ENOTFOUND;
    struct ms_anchor *table = ms_calloc(anchors + 1, sizeof *table);
    if (table == NULL)
        return MS_ENOMEM;
    memcpy(segment->epochs, payload + MS_SEGMENT_FOOTER_FIXED, (size_t)epochs * 4);
    memcpy(table, payload + MS_SEGMENT_FOOTER_FIXED + (size_t)epochs * 4, (size_t)anchors * 16);
    uint64_t end_position = ms_get_le64(payload + FOOTER_AT_END_POSITION);
    if (ms_get_le64(payload + FOOTER_AT_END_OFFSET) != offset ||
        end_position < segment->first_position ||
        !anchors_make_sense(table, anchors, epochs, end_position - segment->first_position,
                            offset)) {
        ms_free(table);
        return MS_ENOTFOUND;
    }
    const uint8_t *list = payload + payload_length(epochs, anchors, 0);
    int rc = known > 0 ? load_losses(segment, list, losses) : 0;
    if (rc != 0) {
        ms_free(table);
        return rc;
    }
    ms_free(segment->anchors);
    segment->anchors = table;
    segment->anchor_capacity = anchors;
    atomic_store(&segment->anchor_count, anchors);
    atomic_store(&segment->epoch_count, epochs);
    atomic_store(&segment->end_position, end_position);
    atomic_store(&segment->end_offset, offset);
    segment->last_sequence = ms_get_le64(payload + FOOTER_AT_SEQUENCE);
    memcpy(segment->last_hash.bytes, payload + FOOTER_AT_HASH, 16);
    segment->last_commit_time_ms = (int64_t)ms_get_le64(payload + FOOTER_AT_TIME);
    segment->last_epoch = ms_get_le32(payload + FOOTER_AT_LAST_EPOCH);
    atomic_store(&segment->state, MS_SEGMENT_SEALED);
    return 0;
}

/* Checks the footer block at `bytes` and takes it over. */
static int footer_load(struct ms_segment *segment, const struct ms_uuid *log_uuid,
                       const struct ms_blob *blob, uint64_t offset, struct ms_error *err) {
    struct ms_block_header header;
    const uint8_t *bytes = blob->data;
    uint64_t length = blob->size;
    if (ms_block_header_read(bytes, &header) != 0 || header.length != length ||
        !(header.flags & MS_BLOCK_FOOTER) || header.segment != segment->first_position ||
        !ms_uuid_equal(&header.store_uuid, log_uuid))
        return MS_ENOTFOUND;
    if (ms_block_check(bytes, &header, true, NULL) != 0)
        return MS_ENOTFOUND;
    int rc =
        footer_load_payload(segment, bytes + MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN,
                            (uint32_t)(length - MS_BLOCK_HEADER_LEN - MS_ENTRY_HEADER_LEN), offset);
    if (rc == 0)
        segment->last_os = (header.flags & MS_BLOCK_OS) != 0;
    if (rc == MS_ENOMEM)
        return ms_error_set(err, rc, "no memory for the anchors of %s", segment->path);
    return rc;
}

int ms_segment_load_footer(struct ms_segment *segment, const struct ms_uuid *log_uuid,
                           struct ms_error *err) {
    uint64_t size;
    int rc = ms_file_size(segment->reader, &size, err);
    if (rc != 0)
        return rc;
    uint8_t trailer[MS_SEGMENT_TRAILER_LEN];
    if (size < 2 * MS_BLOCK_ALIGN || size % MS_BLOCK_ALIGN != 0)
        return MS_ENOTFOUND;
    rc = ms_file_read_exact(segment->reader, size - sizeof trailer, trailer, sizeof trailer, err);
    if (rc != 0)
        return rc;
    uint64_t offset = ms_get_le64(trailer + TRAILER_AT_OFFSET);
    uint64_t length = ms_get_le64(trailer + TRAILER_AT_LENGTH);
    if (memcmp(trailer, trailer_magic, sizeof trailer_magic) != 0 ||
        ms_get_le32(trailer + TRAILER_AT_CRC) != ms_crc32c(0, trailer, TRAILER_AT_CRC) ||
        length < MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN || offset > size || length > size ||
        ms_block_padded(offset + length + MS_SEGMENT_TRAILER_LEN) != size)
        return MS_ENOTFOUND;
    struct ms_blob *blob;
    rc = ms_blob_new(length, &blob);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for the footer of %s", segment->path);
    rc = ms_file_read_exact(segment->reader, offset, blob->data, length, err);
    if (rc == 0)
        rc = footer_load(segment, log_uuid, blob, offset, err);
    if (rc == 0)
        segment->file_bytes = size;
    ms_blob_unref(blob);
    return rc;
}
