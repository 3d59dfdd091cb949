/*
 * For fuzz targets of the log: puts the sums of damaged blocks right, so that mutations reach what
 * stands behind the checks. The byte tables are in log/block.h, log/frame.h and log/segment.h; the
 * offsets are written out here once more, so that a mistake in one place is seen in the other.
 *
 * MEND_SUMS    checksums only; what they cover stays what the input says
 * MEND_SENSE   also whose block it is, its place in the chain, its lengths, counts and flags: all
 *              that can be known without understanding the entries
 */
#pragma once

#include "base/endian.h"
#include "log/block.h"
#include "log/frame.h"
#include "log/segment.h"
#include "wire/batch.h"

enum mend { MEND_NOTHING, MEND_SUMS, MEND_SENSE };

static const struct ms_uuid mend_store = {{1, 2, 3, 4, 5, 6, 7, 8}};

/* Where the chain stands. */
struct mend_chain {
    struct ms_uuid store;
    uint64_t segment, sequence, position;
    struct ms_hash128 hash;
    uint32_t epoch;
};

static inline uint32_t mend_u32(uint64_t value, uint64_t max) {
    return (uint32_t)(value < max ? value : max);
}

/* The payload of an entry, exactly `len` bytes. */
static inline void mend_payload(uint8_t *payload, uint32_t len, uint8_t kind, enum mend how) {
    if (len < MS_BATCH_CRC_START)
        return;
    if (kind == MS_ENTRY_BATCH && len >= MS_BATCH_HEADER_LEN && how == MEND_SENSE) {
        ms_put_be32(payload + 8, len - 12);
        payload[16] = 2;
    }
    ms_put_be32(payload + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, payload + MS_BATCH_CRC_START, len - MS_BATCH_CRC_START));
}

/* An entry with `left` bytes to the end of its block or frame, and its records; false when there is
 * no room for one. */
static inline bool mend_entry(uint8_t *entry, uint64_t left, const struct mend_chain *chain,
                              enum mend how, uint32_t *ret_records) {
    if (left < MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED)
        return false;
    uint8_t *payload = entry + MS_ENTRY_HEADER_LEN;
    uint64_t room = left - MS_ENTRY_HEADER_LEN;
    uint32_t len = ms_get_le32(entry + 4);
    if (len > room || len < MS_ENTRY_PAYLOAD_COVERED) {
        if (how != MEND_SENSE)
            return false;
        len = mend_u32(room, UINT32_MAX);
        ms_put_le32(entry + 4, len);
    }
    mend_payload(payload, len, entry[8], how);
    uint8_t place[12];
    ms_put_le64(place, chain->segment);
    ms_put_le32(place + 8, chain->epoch);
    uint32_t crc = ms_crc32c(0, entry + 4, MS_ENTRY_HEADER_LEN - 4);
    crc = ms_crc32c(crc, place, sizeof place);
    ms_put_le32(entry, ms_crc32c(crc, payload, MS_ENTRY_PAYLOAD_COVERED));
    bool batch = entry[8] == MS_ENTRY_BATCH && len >= MS_BATCH_HEADER_LEN;
    *ret_records = batch ? ms_get_be32(payload + 23) + 1 : 0;
    return true;
}

/* Positions and the flag of the last entry; before the sums. */
static inline void mend_order(uint8_t *block, uint64_t length, uint64_t position, bool gaps) {
    uint64_t at = MS_BLOCK_HEADER_LEN, previous = 0;
    uint32_t records = 0, count = 0;
    while (length - at >= MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED) {
        uint8_t *entry = block + at;
        struct mend_chain any = {0};
        uint32_t here = 0;
        if (!mend_entry(entry, length - at, &any, MEND_SENSE, &here))
            break;
        if (!gaps)
            ms_put_le64(entry + 40, position + records);
        entry[9] &= (uint8_t)~MS_ENTRY_LAST_IN_BLOCK;
        records += here;
        previous = at;
        count++;
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(entry + 4);
    }
    if (previous > 0) {
        /* The last one takes what is left. */
        ms_put_le32(block + previous + 4,
                    mend_u32(length - previous - MS_ENTRY_HEADER_LEN, UINT32_MAX));
        block[previous + 9] |= MS_ENTRY_LAST_IN_BLOCK;
    }
    ms_put_le32(block + 64, count);
    if (!gaps)
        ms_put_le32(block + 68, records);
}

static inline void mend_identity(uint8_t *block, uint64_t length, const struct mend_chain *chain) {
    uint16_t flags = ms_get_le16(block + 10);
    bool gaps = (flags & (MS_BLOCK_FOOTER | MS_BLOCK_REWRITTEN)) != 0;
    memcpy(block, "MSTMBLK1", 8);
    ms_put_le16(block + 8, MS_BLOCK_FORMAT);
    memcpy(block + 16, chain->store.bytes, 16);
    ms_put_le64(block + 40, chain->segment);
    ms_put_le64(block + 72, length);
    if (!(flags & MS_BLOCK_FOOTER)) {
        ms_put_le64(block + 48, chain->sequence);
        memcpy(block + 96, chain->hash.bytes, 16);
        if (ms_get_le32(block + 36) < chain->epoch)
            ms_put_le32(block + 36, chain->epoch);
    }
    if (!gaps)
        ms_put_le64(block + 56, chain->position);
    if (!(flags & MS_BLOCK_MARK))
        mend_order(block, length, chain->position, gaps);
}

/* A block with `room` bytes to the end of its file. The chain goes on behind it. */
static inline void mend_block(uint8_t *block, uint64_t room, enum mend how,
                              struct mend_chain *chain) {
    if (how == MEND_NOTHING || room < MS_BLOCK_HEADER_LEN)
        return;
    uint64_t length = ms_get_le64(block + 72);
    if (length < MS_BLOCK_HEADER_LEN || length > room)
        length = how == MEND_SENSE ? room : MS_BLOCK_HEADER_LEN;
    ms_put_le32(block + 32, 0); /* the shard, which verify is not told */
    if (how == MEND_SENSE)
        mend_identity(block, length, chain);
    struct mend_chain place = {.segment = ms_get_le64(block + 40),
                               .epoch = ms_get_le32(block + 36)};
    uint64_t at = MS_BLOCK_HEADER_LEN;
    uint32_t crc = 0, records = 0, count = ms_get_le32(block + 64);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t here;
        if (!mend_entry(block + at, length - at, &place, how, &here))
            break;
        crc = ms_crc32c(crc, block + at, MS_ENTRY_HEADER_LEN);
        records += here;
        at += MS_ENTRY_HEADER_LEN + ms_get_le32(block + at + 4);
    }
    ms_put_le32(block + 112, crc);
    ms_put_le32(block + 12, 0);
    ms_put_le32(block + 12, ms_crc32c(0, block, MS_BLOCK_HEADER_LEN));
    if (ms_get_le16(block + 10) & MS_BLOCK_FOOTER)
        return;
    chain->hash = ms_block_hash(block);
    chain->sequence = ms_get_le64(block + 48) + 1;
    chain->position = ms_get_le64(block + 56) + records;
    chain->epoch = place.epoch;
}

/* The trailer at the end of a file whose footer begins at `footer`. */
static inline void mend_trailer(uint8_t *file, uint64_t size, uint64_t footer, enum mend how) {
    uint8_t *trailer = file + size - MS_SEGMENT_TRAILER_LEN;
    if (how == MEND_NOTHING || size < MS_SEGMENT_TRAILER_LEN)
        return;
    if (how == MEND_SENSE) {
        memcpy(trailer, "MSTMEND1", 8);
        ms_put_le64(trailer + 8, footer);
        ms_put_le64(trailer + 16, ms_get_le64(file + footer + 72));
    }
    if (memcmp(trailer, "MSTMEND1", 8) == 0)
        ms_put_le32(trailer + 60, ms_crc32c(0, trailer, 60));
}
