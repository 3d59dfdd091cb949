/*
 * Blocks and entries. The first byte says what is put right (mend.h); the rest is a block, and
 * also, from behind a block header on, an entry.
 *
 * Asserted: what is read is written again byte for byte; a block that checks can be walked without
 * damage outside of frames, and its entries fill it and count what the header says.
 */
#include <stdlib.h>

#include "log/walk.h"
#include "mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t records, damaged;
};

static int visit(void *context, const struct ms_walk_entry *entry) {
    struct seen *seen = context;
    if (entry->damaged) {
        seen->damaged++;
        MS_ASSERT(entry->batch.len == 0 && entry->record_count == 0);
        return 0;
    }
    MS_ASSERT(entry->batch.len == entry->header.length);
    MS_ASSERT(ms_batch_check_crc(entry->batch, NULL) == 0);
    seen->records += entry->record_count;
    return 0;
}

static void check_header(const uint8_t *bytes) {
    struct ms_block_header header;
    uint8_t again[MS_BLOCK_HEADER_LEN];
    int rc = ms_block_header_read(bytes, &header);
    MS_ASSERT(rc == 0 || rc == MS_ENOTFOUND || rc == MS_EFORMAT || rc == MS_ECORRUPT);
    if (rc != 0)
        return;
    MS_ASSERT(header.length >= MS_BLOCK_HEADER_LEN && header.length <= UINT32_MAX);
    ms_block_header_write(&header, again);
    /* An older format and reserved bytes are not written again, and then the sum differs too. */
    if (ms_get_le16(bytes + 8) == MS_BLOCK_FORMAT && memcmp(bytes + 116, again + 116, 12) == 0)
        MS_ASSERT(memcmp(bytes, again, sizeof again) == 0);
}

static void check_entry(const uint8_t *bytes, size_t len) {
    struct ms_entry_header header;
    uint8_t again[MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED];
    int rc = ms_entry_header_read(bytes, len, 7, 3, &header);
    MS_ASSERT(rc == 0 || rc == MS_ENEEDMORE || rc == MS_ECORRUPT);
    MS_ASSERT((rc == MS_ENEEDMORE) == (len < sizeof again));
    if (rc != 0)
        return;
    MS_ASSERT(header.length >= MS_ENTRY_PAYLOAD_COVERED);
    memcpy(again, bytes, sizeof again);
    memset(again, 0xff, MS_ENTRY_HEADER_LEN);
    ms_entry_header_write(&header, 7, 3, again);
    MS_ASSERT(memcmp(bytes, again, sizeof again) == 0);
}

static bool has_frames(const uint8_t *block, const struct ms_block_header *header) {
    uint64_t at = MS_BLOCK_HEADER_LEN;
    bool found = false;
    for (uint32_t i = 0; i < header->entry_count; i++) {
        found |= block[at + 8] == MS_ENTRY_FRAME;
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(block + at + 4);
    }
    MS_ASSERT(at == header->length);
    return found;
}

static void check_block(const uint8_t *block, size_t size, bool gaps) {
    struct ms_walk_step step = {.kind = MS_WALK_BLOCK, .bytes = block, .length = size};
    struct seen seen = {0};
    struct ms_error err = {0};
    uint64_t damaged = 0;
    if (ms_block_header_read(block, &step.header) != 0 || step.header.length > size)
        return;
    int rc = ms_block_check(block, &step.header, gaps, &err);
    MS_ASSERT(rc == err.code && (rc == 0 || rc == MS_ECORRUPT));
    MS_ASSERT((rc == 0) == (err.message[0] == 0));
    MS_ASSERT(ms_walk_entries(&step, visit, &seen, &damaged) == 0 && damaged == seen.damaged);
    if (rc != 0 || has_frames(block, &step.header))
        return;
    MS_ASSERT(damaged == 0);
    MS_ASSERT(gaps || seen.records == step.header.record_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    enum mend how = (enum mend)(data[0] % 3);
    bool gaps = (data[0] & 0x80) != 0;
    struct mend_chain chain = {.store = mend_store, .segment = 7, .position = 7, .epoch = 3};
    /* Exactly as large as the block, so that a read past its end is seen. */
    uint8_t *block = malloc(--size ? size : 1);
    if (block == NULL)
        return 0;
    memcpy(block, data + 1, size);
    mend_block(block, size, how, &chain);
    if (size >= MS_BLOCK_HEADER_LEN) {
        check_header(block);
        check_block(block, size, gaps);
        uint32_t records;
        struct mend_chain place = {.segment = 7, .epoch = 3};
        if (how != MEND_NOTHING)
            ms_ignore(mend_entry(block + MS_BLOCK_HEADER_LEN, size - MS_BLOCK_HEADER_LEN, &place,
                                 how, &records));
        check_entry(block + MS_BLOCK_HEADER_LEN, size - MS_BLOCK_HEADER_LEN);
    }
    free(block);
    return 0;
}
