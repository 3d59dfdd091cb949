/*
 * Frames. The first byte chooses: the rest is a frame's payload as it lies in a segment (its sum
 * put right or not), or the content of one, a row of entries that are put right (mend.h) and
 * compressed.
 *
 * Asserted: a frame that was written reads the same; what claims more than the limit is refused;
 * walking a block with the frame in it visits every whole entry and never reads outside.
 */
#include <stdlib.h>

#include "log/walk.h"
#include "mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A claim is believed as far as memory goes (MS_FRAME_CONTENT_MAX); here larger ones only cost
 * time. */
#define CLAIM_MAX ((uint32_t)4 << 20)
#define SEGMENT UINT64_C(7)
#define EPOCH 3u

struct seen {
    uint64_t bytes, damaged;
};

static int visit(void *context, const struct ms_walk_entry *entry) {
    struct seen *seen = context;
    if (entry->damaged) {
        seen->damaged++;
        return 0;
    }
    MS_ASSERT(entry->batch.len == entry->header.length);
    MS_ASSERT(ms_batch_check_crc(entry->batch, NULL) == 0);
    seen->bytes += MS_FRAME_TIME_LEN + MS_ENTRY_HEADER_LEN + entry->batch.len;
    return 0;
}

/* The frame as the only entry of a block. */
static void check_in_block(struct ms_bytes payload, uint64_t content_len) {
    size_t length = MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN + payload.len;
    struct ms_walk_step step = {
        .kind = MS_WALK_BLOCK,
        .length = length,
        .header = {.flags = MS_BLOCK_REWRITTEN,
                   .segment = SEGMENT,
                   .epoch = EPOCH,
                   .length = length,
                   .entry_count = 1},
    };
    struct ms_entry_header header = {.length = (uint32_t)payload.len,
                                     .kind = MS_ENTRY_FRAME,
                                     .flags = MS_ENTRY_LAST_IN_BLOCK,
                                     .first_version = -1};
    struct seen seen = {0};
    uint64_t damaged = 0;
    uint8_t *block = calloc(1, length);
    if (block == NULL)
        return;
    memcpy(block + MS_BLOCK_HEADER_LEN + MS_ENTRY_HEADER_LEN, payload.data, payload.len);
    ms_entry_header_write(&header, SEGMENT, EPOCH, block + MS_BLOCK_HEADER_LEN);
    step.header.entries_crc = ms_crc32c(0, block + MS_BLOCK_HEADER_LEN, MS_ENTRY_HEADER_LEN);
    ms_block_header_write(&step.header, block);
    step.bytes = block;
    MS_ASSERT(ms_block_check(block, &step.header, true, NULL) == 0);
    MS_ASSERT(ms_walk_entries(&step, visit, &seen, &damaged) == 0 && damaged == seen.damaged);
    MS_ASSERT(seen.bytes <= content_len);
    MS_ASSERT(damaged > 0 || seen.bytes == content_len);
    free(block);
}

static void check_payload(uint8_t *payload, size_t len, enum mend how) {
    struct ms_blob *content;
    size_t content_len = 0;
    if (len >= MS_FRAME_HEADER_LEN && ms_get_le32(payload + 24) > CLAIM_MAX &&
        ms_get_le32(payload + 24) <= MS_FRAME_CONTENT_MAX)
        ms_put_le32(payload + 24, ms_get_le32(payload + 24) % CLAIM_MAX);
    if (how != MEND_NOTHING && len >= MS_FRAME_HEADER_LEN)
        mend_payload(payload, (uint32_t)len, MS_ENTRY_FRAME, how);
    int rc = ms_frame_read(ms_bytes_of(payload, len), &content, &content_len);
    MS_ASSERT(rc == 0 || rc == MS_ECORRUPT);
    MS_ASSERT(rc != 0 || (content_len > 0 && content_len <= MS_FRAME_CONTENT_MAX));
    if (rc == 0)
        ms_blob_unref(content);
    if (len >= MS_FRAME_HEADER_LEN) {
        mend_payload(payload, (uint32_t)len, MS_ENTRY_FRAME, MEND_SUMS);
        check_in_block(ms_bytes_of(payload, len), rc == 0 ? content_len : CLAIM_MAX);
    }
}

static void check_content(uint8_t *content, size_t len, enum mend how) {
    struct mend_chain place = {.segment = SEGMENT, .epoch = EPOCH};
    struct ms_buf payload;
    struct ms_blob *back;
    size_t back_len;
    uint32_t entries = 0, records;
    for (size_t at = MS_FRAME_TIME_LEN; how != MEND_NOTHING && at < len; entries++) {
        if (!mend_entry(content + at, len - at, &place, how, &records))
            break;
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(content + at + 4) + MS_FRAME_TIME_LEN;
    }
    ms_buf_init(&payload, 2 * len + 4096);
    MS_ASSERT(ms_frame_write(ms_bytes_of(content, len), entries, &payload) == 0);
    MS_ASSERT(ms_frame_read(ms_buf_bytes(&payload), &back, &back_len) == 0);
    MS_ASSERT(back_len == len && memcmp(back->data, content, len) == 0);
    ms_blob_unref(back);
    check_in_block(ms_buf_bytes(&payload), len);
    ms_buf_deinit(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    enum mend how = (enum mend)(data[0] % 3);
    bool payload = (data[0] & 0x80) != 0;
    uint8_t *bytes = malloc(--size);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data + 1, size);
    if (payload)
        check_payload(bytes, size, how);
    else
        check_content(bytes, size, how);
    free(bytes);
    return 0;
}
