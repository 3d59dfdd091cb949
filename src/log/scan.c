/* Scanning one segment file; see scan.h. */
#include "log/scan.h"

#include "base/alloc.h"
#include "base/endian.h"

#define SCAN_READ_BYTES ((size_t)1 << 20)
#define PROGRESS_EVERY ((uint64_t)16 << 20)

/* ---- the chain ---- */

struct scan {
    struct ms_log *log;
    struct ms_segment *segment;
    uint64_t file_size;
    uint64_t offset; /* X */
    struct ms_buf buffer;
    uint64_t buffer_offset;
    uint64_t reported;
};

/* Makes `len` bytes at the scan's offset available; fewer at the end of the file: MS_ENEEDMORE. */
static int scan_need(struct scan *scan, uint64_t len, const uint8_t **ret_bytes,
                     struct ms_error *err) {
    uint64_t have_end = scan->buffer_offset + scan->buffer.len;
    if (scan->offset + len > scan->file_size)
        return MS_ENEEDMORE;
    if (scan->offset < scan->buffer_offset || scan->offset + len > have_end) {
        uint64_t want = len > SCAN_READ_BYTES ? len : SCAN_READ_BYTES;
        if (want > scan->file_size - scan->offset)
            want = scan->file_size - scan->offset;
        uint8_t *place;
        ms_buf_clear(&scan->buffer);
        if (ms_buf_extend(&scan->buffer, (size_t)want, &place) != 0)
            return ms_error_set(err, MS_ENOMEM, "no memory to scan %s", scan->segment->path);
        int rc = ms_file_read_exact(scan->segment->reader, scan->offset, place, (size_t)want, err);
        if (rc != 0)
            return rc;
        scan->buffer_offset = scan->offset;
    }
    *ret_bytes = scan->buffer.data + (scan->offset - scan->buffer_offset);
    return 0;
}

bool ms_scan_continues(const struct ms_log *log, const struct ms_segment *segment,
                       const struct ms_chain *chain, const struct ms_block_header *header) {
    if (!ms_uuid_equal(&header->store_uuid, &log->options.store_uuid) ||
        header->shard != log->options.shard || header->segment != segment->first_position ||
        header->flags & MS_BLOCK_FOOTER)
        return false;
    if (header->first_position != chain->position || header->epoch < chain->epoch)
        return false;
    return !chain->anchored || (header->sequence == chain->sequence &&
                                memcmp(&header->previous_hash, &chain->hash, 16) == 0);
}

static void anchor_block(struct scan *scan, const uint8_t *bytes,
                         const struct ms_block_header *header) {
    struct ms_anchor_place place = {
        .position = header->first_position,
        .offset = scan->offset,
        .commit_time_ms = header->commit_time_ms,
        .epoch = header->epoch,
        .block_start = true,
    };
    if (header->entry_count > 0)
        ms_segment_anchor(scan->segment, &place);
    place.block_start = false;
    size_t anchored_at = MS_BLOCK_HEADER_LEN;
    for (size_t at = MS_BLOCK_HEADER_LEN; at < header->length;) {
        size_t size = MS_ENTRY_HEADER_LEN + ms_get_le32(bytes + at + 4);
        if (at - anchored_at >= MS_ANCHOR_EVERY ||
            (size >= MS_ANCHOR_LARGE && at > MS_BLOCK_HEADER_LEN)) {
            place.position = ms_get_le64(bytes + at + 40);
            place.offset = scan->offset + at;
            ms_segment_anchor(scan->segment, &place);
            anchored_at = at;
        }
        at += size;
    }
}

/* The block at the scan's offset, when it continues the chain: 1 and it is taken; 0 when it
 * doesn't. */
static int scan_block(struct scan *scan, struct ms_chain *chain, struct ms_error *err) {
    const uint8_t *bytes;
    int rc = scan_need(scan, MS_BLOCK_HEADER_LEN, &bytes, err);
    if (rc != 0)
        return rc == MS_ENEEDMORE ? 0 : rc;
    struct ms_block_header header;
    /* A segment that was written anew is taken by its footer or not at all. */
    if (ms_block_header_read(bytes, &header) != 0 || header.flags & MS_BLOCK_REWRITTEN ||
        !ms_scan_continues(scan->log, scan->segment, chain, &header))
        return 0;
    rc = scan_need(scan, header.length, &bytes, err);
    if (rc != 0)
        return rc == MS_ENEEDMORE ? 0 : rc;
    if (ms_block_check(bytes, &header, false, NULL) != 0)
        return 0;
    anchor_block(scan, bytes, &header);
    chain->hash = ms_block_hash(bytes);
    chain->sequence = header.sequence + 1;
    chain->position = header.first_position + header.record_count;
    chain->epoch = header.epoch;
    chain->commit_time_ms = header.commit_time_ms;
    chain->os = (header.flags & MS_BLOCK_OS) != 0;
    chain->anchored = true;
    scan->log->clean_start = (header.flags & MS_BLOCK_CLEAN) != 0;
    scan->offset += ms_block_padded(header.length);
    return 1;
}

static void report_progress(struct scan *scan) {
    const struct ms_log_options *options = &scan->log->options;
    if (options->on_progress != NULL && scan->offset - scan->reported >= PROGRESS_EVERY) {
        options->on_progress(options->context, "scanning the log", scan->offset, scan->file_size);
        scan->reported = scan->offset;
    }
}

void ms_scan_leave(struct ms_segment *segment, const struct ms_chain *chain) {
    atomic_store(&segment->end_position, chain->position);
    segment->last_sequence = chain->sequence - 1;
    segment->last_hash = chain->hash;
    segment->last_commit_time_ms = chain->commit_time_ms;
    segment->last_epoch = chain->epoch;
    segment->last_os = chain->os;
}

int ms_scan_segment(struct ms_log *log, struct ms_segment *segment, struct ms_chain *chain,
                    struct ms_error *err) {
    struct scan scan = {.log = log, .segment = segment};
    int rc = ms_file_size(segment->reader, &scan.file_size, err);
    if (rc != 0)
        return rc;
    ms_buf_init(&scan.buffer, (size_t)1 << 31);
    while ((rc = scan_block(&scan, chain, err)) > 0)
        report_progress(&scan);
    ms_buf_deinit(&scan.buffer);
    if (rc != 0)
        return rc;
    log->recovered_bytes += scan.offset;
    atomic_store(&segment->end_offset, scan.offset);
    atomic_store(&segment->ready_bytes, scan.file_size & ~(uint64_t)(MS_BLOCK_ALIGN - 1));
    ms_scan_leave(segment, chain);
    return 0;
}

/* ---- behind the end of the chain ---- */

static bool all_zero(const uint8_t *bytes, size_t len) {
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* What a 4 KiB piece tells. */
static void probe_page(const struct ms_log *log, uint64_t segment, const uint8_t *bytes, size_t len,
                       struct ms_recovery_evidence *evidence) {
    struct ms_block_header header;
    if (all_zero(bytes, len))
        return;
    evidence->bytes = true;
    int rc = len < MS_BLOCK_HEADER_LEN ? MS_ENOTFOUND : ms_block_header_read(bytes, &header);
    evidence->newer_format |= rc == MS_EFORMAT;
    if (rc != 0 || header.segment != segment || header.shard != log->options.shard ||
        !ms_uuid_equal(&header.store_uuid, &log->options.store_uuid))
        return;
    evidence->blocks = true;
    evidence->rewritten |= (header.flags & MS_BLOCK_REWRITTEN) != 0;
    if (header.synced_through > evidence->synced_through)
        evidence->synced_through = header.synced_through;
}

int ms_scan_probe(struct ms_log *log, struct ms_segment *segment, uint64_t offset,
                  struct ms_recovery_evidence *evidence, struct ms_error *err) {
    uint64_t size;
    struct ms_blob *blob;
    int rc = ms_file_size(segment->reader, &size, err);
    uint64_t rest = rc == 0 && size > offset ? size - offset : 0;
    size_t piece = rest < SCAN_READ_BYTES ? (size_t)ms_block_padded(rest + 1) : SCAN_READ_BYTES;
    if (rc == 0 && (rc = ms_blob_new(piece, &blob)) != 0)
        rc = ms_error_set(err, rc, "no memory to probe %s", segment->path);
    if (rc != 0)
        return rc;
    while (rc == 0 && offset < size) {
        size_t len = 0;
        rc = ms_file_read(segment->reader, offset, blob->data, blob->size, 0, &len, err);
        if (rc != 0 || len == 0)
            break;
        for (size_t at = 0; at < len; at += MS_BLOCK_ALIGN)
            probe_page(log, segment->first_position, blob->data + at,
                       len - at < MS_BLOCK_ALIGN ? len - at : MS_BLOCK_ALIGN, evidence);
        offset += len;
    }
    ms_blob_unref(blob);
    return rc;
}
