/*
 * Reading the log forward, from memory where it is there and from the segment's file otherwise.
 *
 * A position is found through the segment's anchors, then entries are walked. Nothing is ever
 * mapped: an I/O error is an error code, not a SIGBUS in somebody's process. What comes from a file
 * is verified, the entry's checksum and the batch's; what comes from the tail cache was never away.
 *
 * A checksum can't tell that a whole block stands where another one belongs (a misdirected write),
 * so the order is verified too: in a segment as it was first written each entry begins where the
 * one before it ended and the blocks reach to the segment's end; in a rewritten one, where
 * positions have gaps, positions rise and each block stands where the anchors say it does.
 */
#include "base/endian.h"
#include "log/frame.h"
#include "log/internal.h"
#include "wire/batch.h"

#define READ_BYTES_FIRST ((size_t)8 << 10)
#define READ_BYTES_MAX ((size_t)1 << 20)
/* An entry that is known to be larger than the next read is read at once, up to this. */
#define READ_BYTES_ENTRY (2 * READ_BYTES_MAX - MS_BLOCK_ALIGN)
/* Reads from here on go past the page cache, where the log was written past it. */
#define READ_BYTES_DIRECT ((size_t)256 << 10)
#define BATCH_AT_LAST_OFFSET_DELTA 23

void ms_log_cursor_init(struct ms_log_cursor *cursor, struct ms_log *log, uint64_t position) {
    *cursor = (struct ms_log_cursor){
        .log = log, .next_position = position, .read_bytes = READ_BYTES_FIRST};
}

void ms_log_cursor_deinit(struct ms_log_cursor *cursor) {
    ms_segment_unref(cursor->segment);
    ms_blob_unref(cursor->window);
    ms_blob_unref(cursor->frame);
    *cursor = (struct ms_log_cursor){0};
}

static void leave_frame(struct ms_log_cursor *cursor) {
    ms_blob_unref(cursor->frame);
    cursor->frame = NULL;
    cursor->frame_at = cursor->frame_len = 0;
}

/* No anchor is nearer to it than the place where the cursor stands: walking on finds it soonest.
 * Anchors behind what is visible are still being written. */
static bool is_on_the_way(const struct ms_log_cursor *cursor, uint64_t position) {
    struct ms_anchor anchor;
    return cursor->positioned && position > cursor->next_position &&
           position < ms_log_end(cursor->log) &&
           ms_segment_find_anchor(cursor->segment, position, &anchor) &&
           anchor.offset <= cursor->offset + cursor->at;
}

void ms_log_cursor_seek(struct ms_log_cursor *cursor, uint64_t position) {
    if (cursor->positioned && position == cursor->next_position)
        return;
    if (is_on_the_way(cursor, position)) {
        cursor->next_position = position;
        return;
    }
    cursor->next_position = position;
    cursor->positioned = false;
    cursor->read_bytes = READ_BYTES_FIRST;
    leave_frame(cursor);
}

static int damaged_at(const struct ms_log_cursor *cursor, const char *what, struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1];
    ms_segment_name(cursor->segment->first_position, name);
    return ms_error_set(err, MS_ECORRUPT, "segment %s in %s is damaged at byte %llu: %s", name,
                        cursor->log->dir, (unsigned long long)(cursor->offset + cursor->at), what);
}

static void drop_window(struct ms_log_cursor *cursor) {
    cursor->bytes = NULL;
    cursor->len = cursor->at = 0;
}

static void window_at(struct ms_log_cursor *cursor, uint64_t offset) {
    if (cursor->bytes != NULL && offset >= cursor->offset &&
        offset < cursor->offset + cursor->len) {
        cursor->at = (size_t)(offset - cursor->offset);
        return;
    }
    drop_window(cursor);
    cursor->offset = offset;
}

/* Through the anchors to the entry that holds next_position, or an entry a little before it. */
static int position_cursor(struct ms_log_cursor *cursor) {
    struct ms_segment *segment = ms_log_find_segment(cursor->log, cursor->next_position);
    if (segment == NULL)
        return MS_ENOTFOUND;
    if (segment != cursor->segment)
        drop_window(cursor);
    ms_segment_unref(cursor->segment);
    cursor->segment = segment;
    struct ms_anchor anchor = {0};
    if (ms_segment_find_anchor(segment, cursor->next_position, &anchor)) {
        window_at(cursor, anchor.offset);
        cursor->at_block_start = ms_anchor_is_block(&anchor);
        cursor->epoch = ms_anchor_epoch(segment, &anchor);
        cursor->commit_time_ms = ms_anchor_time_ms(&anchor);
        cursor->expected = segment->first_position + anchor.position_delta;
    } else {
        window_at(cursor, 0);
        cursor->at_block_start = true;
        cursor->expected = segment->first_position;
    }
    cursor->positioned = true;
    return 0;
}

static bool window_from_tail(struct ms_log_cursor *cursor, uint64_t offset) {
    struct ms_tail_block block;
    if (!ms_tail_find(&cursor->log->tail, cursor->segment->first_position, offset, &block))
        return false;
    ms_blob_unref(cursor->window);
    cursor->window = block.chunk;
    cursor->bytes = block.data + (offset - block.offset);
    cursor->len = block.len - (size_t)(offset - block.offset);
    cursor->from_tail = true;
    return true;
}

/* A large read of what hasn't been read lately: the device writes into memory that is used again.
 * MS_EUNSUPPORTED: read as usual. */
static int window_past_cache(struct ms_log_cursor *cursor, uint64_t offset, size_t want,
                             struct ms_error *err) {
    struct ms_log *log = cursor->log;
    uint64_t from = offset & ~(uint64_t)(MS_BLOCK_ALIGN - 1);
    size_t before = (size_t)(offset - from);
    if (!atomic_load_explicit(&log->direct, memory_order_relaxed) || want < READ_BYTES_DIRECT ||
        before + want > 2 * READ_BYTES_MAX)
        return MS_EUNSUPPORTED;
    struct ms_blob *blob;
    size_t len, whole = (size_t)ms_block_padded(before + want);
    int rc = ms_log_chunk_new(log, whole <= MS_CHUNK_BYTES ? MS_CHUNK_BYTES : whole, &blob);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to read the log");
    drop_window(cursor);
    ms_blob_unref(cursor->window);
    cursor->window = blob;
    cursor->from_tail = false;
    rc = ms_file_read(cursor->segment->reader, from, blob->data, whole, MS_READ_DIRECT, &len, err);
    if (rc == 0 && len < before + want)
        rc = ms_error_set(err, MS_ECORRUPT, "segment file %s ends early", cursor->segment->path);
    if (rc != 0)
        return rc;
    cursor->bytes = blob->data + before;
    cursor->len = want;
    return 0;
}

/* How much to read: as much as reading on has come to, or the large entry that lies there. */
static size_t read_size(const struct ms_log_cursor *cursor, uint64_t offset, size_t need) {
    size_t want = need > cursor->read_bytes ? need : cursor->read_bytes;
    uint64_t entry = ms_segment_next_anchor(cursor->segment, offset) - offset;
    return entry > want && entry <= READ_BYTES_ENTRY ? (size_t)entry : want;
}

static int window_from_file(struct ms_log_cursor *cursor, uint64_t offset, size_t need,
                            struct ms_error *err) {
    uint64_t end = atomic_load(&cursor->segment->end_offset);
    if (offset + need > end)
        return damaged_at(cursor, "an entry reaches behind the end", err);
    size_t want = read_size(cursor, offset, need);
    if (want > end - offset)
        want = (size_t)(end - offset);
    int direct = window_past_cache(cursor, offset, want, err);
    if (direct != MS_EUNSUPPORTED)
        return direct;
    struct ms_blob *blob = cursor->window;
    bool reuse = blob != NULL && !cursor->from_tail && blob->size >= want &&
                 atomic_load_explicit(&blob->refs, memory_order_acquire) == 1;
    if (!reuse) {
        int rc = ms_blob_new(want, &blob);
        if (rc != 0)
            return ms_error_set(err, rc, "no memory to read the log");
        ms_blob_unref(cursor->window);
        cursor->window = blob;
    }
    drop_window(cursor);
    cursor->from_tail = false;
    int rc = ms_file_read_exact(cursor->segment->reader, offset, blob->data, want, err);
    if (rc != 0)
        return rc;
    cursor->bytes = blob->data;
    cursor->len = want;
    if (cursor->read_bytes < READ_BYTES_MAX)
        cursor->read_bytes *= 2;
    return 0;
}

/* Makes `need` bytes at the cursor's place available. */
static int need_bytes(struct ms_log_cursor *cursor, size_t need, struct ms_error *err) {
    if (cursor->len - cursor->at >= need)
        return 0;
    uint64_t offset = cursor->offset + cursor->at;
    int rc = 0;
    if (!window_from_tail(cursor, offset))
        rc = cursor->in_memory ? MS_EAGAIN : window_from_file(cursor, offset, need, err);
    if (rc != 0)
        return rc;
    cursor->offset = offset;
    cursor->at = 0;
    return cursor->len >= need ? 0 : damaged_at(cursor, "an entry reaches behind its block", err);
}

/* The segment has nothing more: on to the next one. The active segment can't end before what is
 * visible does. */
static int leave_segment(struct ms_log_cursor *cursor, struct ms_error *err) {
    if (atomic_load(&cursor->segment->state) == MS_SEGMENT_ACTIVE)
        return damaged_at(cursor, "the blocks end before the events do", err);
    uint64_t end = atomic_load(&cursor->segment->end_position);
    if (!cursor->segment->rewritten && cursor->expected != end)
        return damaged_at(cursor, "the blocks end before the events do", err);
    if (cursor->next_position < end)
        cursor->next_position = end;
    cursor->positioned = false;
    drop_window(cursor);
    return 0;
}

/* May an entry (or a block that holds some) with this first position come next? */
static bool in_order(const struct ms_log_cursor *cursor, uint64_t first_position) {
    return cursor->segment->rewritten ? first_position >= cursor->expected
                                      : first_position == cursor->expected;
}

/* A block or frame that was copied over an earlier one of a rewritten segment is in order, but its
 * anchor is elsewhere. Anchors that were left out prove nothing; a block's first frame has that of
 * the block. */
static bool stands_at_its_anchor(const struct ms_log_cursor *cursor, uint64_t first_position,
                                 bool block) {
    struct ms_anchor anchor;
    return !cursor->segment->rewritten ||
           !ms_segment_find_anchor(cursor->segment, first_position, &anchor) ||
           cursor->segment->first_position + anchor.position_delta != first_position ||
           anchor.offset == cursor->offset + cursor->at || (ms_anchor_is_block(&anchor) && !block);
}

/* Reads a block header. 1: entries follow; 0: look again (a mark was passed, or the segment ended).
 * */
static int enter_block(struct ms_log_cursor *cursor, struct ms_error *err) {
    uint64_t offset = cursor->offset + cursor->at;
    if (offset >= atomic_load(&cursor->segment->end_offset))
        return leave_segment(cursor, err);
    int rc = need_bytes(cursor, MS_BLOCK_HEADER_LEN, err);
    if (rc != 0)
        return rc;
    struct ms_block_header header;
    if (ms_block_header_read(cursor->bytes + cursor->at, &header) != 0 ||
        header.segment != cursor->segment->first_position)
        return damaged_at(cursor, "no whole block header", err);
    if (header.entry_count == 0) {
        window_at(cursor, offset + ms_block_padded(header.length));
        return 0;
    }
    if (!in_order(cursor, header.first_position) ||
        !stands_at_its_anchor(cursor, header.first_position, true))
        return damaged_at(cursor, "a block stands where another one belongs", err);
    cursor->epoch = header.epoch;
    cursor->commit_time_ms = header.commit_time_ms;
    cursor->at += MS_BLOCK_HEADER_LEN;
    cursor->at_block_start = false;
    return 1;
}

static void step_over(struct ms_log_cursor *cursor, const struct ms_entry_header *header) {
    cursor->at += MS_ENTRY_HEADER_LEN + header->length;
    if (header->flags & MS_ENTRY_LAST_IN_BLOCK) {
        window_at(cursor, ms_block_padded(cursor->offset + cursor->at));
        cursor->at_block_start = true;
    }
}

/* Gives an entry whose header and payload are at hand. 1: it is in *ret_entry; 0: it was skipped.
 * */
static int give_entry(struct ms_log_cursor *cursor, const struct ms_entry_header *header,
                      const uint8_t *batch, bool verify, struct ms_log_entry *ret_entry,
                      struct ms_error *err) {
    uint32_t count = ms_get_be32(batch + BATCH_AT_LAST_OFFSET_DELTA) + 1;
    if (!in_order(cursor, header->first_position))
        return damaged_at(cursor, "an entry stands where another one belongs", err);
    cursor->expected = header->first_position + count;
    if (header->first_position + count <= cursor->next_position)
        return 0;
    struct ms_bytes bytes = {batch, header->length};
    if (verify && ms_batch_check_crc(bytes, NULL) != 0)
        return damaged_at(cursor, "an event's checksum is wrong", err);
    *ret_entry = (struct ms_log_entry){
        .header = *header,
        .batch = bytes,
        .first_offset = (int64_t)ms_get_be64(batch),
        .record_count = count,
        .commit_time_ms = cursor->commit_time_ms,
    };
    cursor->next_position = header->first_position + count;
    return 1;
}

/* The next entry of the frame at hand. The frame's own checksum has covered all of it. */
static int read_framed(struct ms_log_cursor *cursor, struct ms_log_entry *ret_entry,
                       struct ms_error *err) {
    const uint8_t *at = cursor->frame->data + cursor->frame_at;
    size_t left = cursor->frame_len - cursor->frame_at;
    struct ms_entry_header header;
    if (left < MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + MS_BATCH_HEADER_LEN ||
        ms_entry_header_read(at + MS_FRAME_TIME_LEN, left - MS_FRAME_TIME_LEN,
                             cursor->segment->first_position, cursor->epoch, &header) != 0 ||
        header.length > left - MS_FRAME_TIME_LEN - MS_ENTRY_HEADER_LEN)
        return damaged_at(cursor, "a frame's content is damaged", err);
    cursor->commit_time_ms = (int64_t)ms_get_le64(at);
    int rc = give_entry(cursor, &header, at + MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN, false,
                        ret_entry, err);
    cursor->frame_at += MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + header.length;
    return rc;
}

static int enter_frame(struct ms_log_cursor *cursor, const struct ms_entry_header *header,
                       const uint8_t *payload, struct ms_error *err) {
    if (!stands_at_its_anchor(cursor, header->first_position, false))
        return damaged_at(cursor, "a frame stands where another one belongs", err);
    struct ms_blob *content;
    size_t len;
    int rc = ms_frame_read(ms_bytes_of(payload, header->length), &content, &len);
    if (rc == MS_ENOMEM)
        return ms_error_set(err, rc, "no memory to read the log");
    if (rc != 0)
        return damaged_at(cursor, "a frame's checksum is wrong", err);
    leave_frame(cursor);
    cursor->frame = content;
    cursor->frame_len = len;
    step_over(cursor, header);
    return 0;
}

/* Reads one entry. 1: it is in *ret_entry; 0: it was skipped, or a frame was entered. */
static int read_entry(struct ms_log_cursor *cursor, struct ms_log_entry *ret_entry,
                      struct ms_error *err) {
    int rc = need_bytes(cursor, MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED, err);
    if (rc != 0)
        return rc;
    struct ms_entry_header header = {0};
    rc = ms_entry_header_read(cursor->bytes + cursor->at, cursor->len - cursor->at,
                              cursor->segment->first_position, cursor->epoch, &header);
    bool known = header.kind == MS_ENTRY_FRAME ||
                 (header.kind == MS_ENTRY_BATCH && header.length >= MS_BATCH_HEADER_LEN);
    if (rc != 0 || !known)
        return damaged_at(cursor, "an entry's checksum is wrong", err);
    rc = need_bytes(cursor, MS_ENTRY_HEADER_LEN + header.length, err);
    if (rc != 0)
        return rc;
    const uint8_t *payload = cursor->bytes + cursor->at + MS_ENTRY_HEADER_LEN;
    if (header.kind == MS_ENTRY_FRAME)
        return enter_frame(cursor, &header, payload, err);
    rc = give_entry(cursor, &header, payload, !cursor->from_tail, ret_entry, err);
    if (rc >= 0)
        step_over(cursor, &header);
    return rc;
}

int ms_log_cursor_next(struct ms_log_cursor *cursor, struct ms_log_entry *ret_entry,
                       struct ms_error *err) {
    uint64_t end = ms_log_end(cursor->log);
    int rc = 0;
    while (rc == 0 && cursor->next_position < end) {
        if (cursor->frame != NULL && cursor->frame_at < cursor->frame_len) {
            rc = read_framed(cursor, ret_entry, err);
            continue;
        }
        if (!cursor->positioned)
            rc = position_cursor(cursor);
        if (rc == 0 && cursor->at_block_start) {
            rc = enter_block(cursor, err);
            if (rc == 0)
                continue;
        }
        if (rc >= 0) /* 1 from enter_block: entries follow */
            rc = read_entry(cursor, ret_entry, err);
    }
    if (rc < 0) { /* where the cursor stands is not sure any more: the next call looks it up */
        cursor->positioned = false;
        drop_window(cursor);
        leave_frame(cursor);
    }
    return rc;
}

bool ms_log_cursor_at_hand(const struct ms_log_cursor *cursor) {
    return (cursor->frame != NULL && cursor->frame_at < cursor->frame_len) ||
           (cursor->positioned && cursor->at < cursor->len);
}

uint64_t ms_log_reach(struct ms_log *log, uint64_t position) {
    struct ms_segment *segment = ms_log_find_segment(log, position);
    struct ms_anchor anchor;
    uint64_t reach = 0;
    if (segment != NULL && ms_segment_find_anchor(segment, position, &anchor))
        reach = ms_segment_next_anchor(segment, anchor.offset) - anchor.offset;
    ms_segment_unref(segment);
    return reach;
}

uint64_t ms_log_anchor_before(struct ms_log *log, uint64_t position) {
    while (position > 0) {
        struct ms_segment *segment = ms_log_find_segment(log, position - 1);
        if (segment == NULL)
            return 0;
        struct ms_anchor anchor;
        uint64_t first = segment->first_position, found = first;
        if (ms_segment_find_anchor(segment, position - 1, &anchor))
            found = first + anchor.position_delta;
        ms_segment_unref(segment);
        if (found < position)
            return found;
        if (first == 0)
            return 0;
        position = first;
    }
    return 0;
}
