/* Encoding, decoding and checking of blocks and entries; the byte tables are in block.h. Any
 * thread. */
#include "log/block.h"

#include "base/endian.h"
#include "wire/batch.h"

static const uint8_t block_magic[8] = {'M', 'S', 'T', 'M', 'B', 'L', 'K', '1'};

enum {
    BLOCK_AT_FORMAT = 8,
    BLOCK_AT_FLAGS = 10,
    BLOCK_AT_CRC = 12,
    BLOCK_AT_STORE = 16,
    BLOCK_AT_SHARD = 32,
    BLOCK_AT_EPOCH = 36,
    BLOCK_AT_SEGMENT = 40,
    BLOCK_AT_SEQUENCE = 48,
    BLOCK_AT_FIRST_POSITION = 56,
    BLOCK_AT_ENTRY_COUNT = 64,
    BLOCK_AT_RECORD_COUNT = 68,
    BLOCK_AT_LENGTH = 72,
    BLOCK_AT_SYNCED_THROUGH = 80,
    BLOCK_AT_COMMIT_TIME = 88,
    BLOCK_AT_PREVIOUS_HASH = 96,
    BLOCK_AT_ENTRIES_CRC = 112,

    ENTRY_AT_CRC = 0,
    ENTRY_AT_LENGTH = 4,
    ENTRY_AT_KIND = 8,
    ENTRY_AT_FLAGS = 9,
    ENTRY_AT_PARTITION = 10,
    ENTRY_AT_TOPIC = 12,
    ENTRY_AT_STREAM_ID = 16,
    ENTRY_AT_FIRST_VERSION = 32,
    ENTRY_AT_FIRST_POSITION = 40,
};
_Static_assert(BLOCK_AT_ENTRIES_CRC + 4 + 12 == MS_BLOCK_HEADER_LEN, "block header layout");
_Static_assert(ENTRY_AT_FIRST_POSITION + 8 == MS_ENTRY_HEADER_LEN, "entry header layout");
_Static_assert(MS_BATCH_CRC_START == MS_ENTRY_PAYLOAD_COVERED,
               "entry crc ends with the batch's crc");

static uint32_t block_header_crc(const uint8_t *bytes) {
    static const uint8_t zeros[4];
    uint32_t crc = ms_crc32c(0, bytes, BLOCK_AT_CRC);
    crc = ms_crc32c(crc, zeros, sizeof zeros);
    return ms_crc32c(crc, bytes + BLOCK_AT_STORE, MS_BLOCK_HEADER_LEN - BLOCK_AT_STORE);
}

void ms_block_header_write(const struct ms_block_header *header, uint8_t out[MS_BLOCK_HEADER_LEN]) {
    memset(out, 0, MS_BLOCK_HEADER_LEN);
    memcpy(out, block_magic, sizeof block_magic);
    ms_put_le16(out + BLOCK_AT_FORMAT,
                header->flags & MS_BLOCK_LOSSES ? MS_BLOCK_FORMAT_MAX : MS_BLOCK_FORMAT);
    ms_put_le16(out + BLOCK_AT_FLAGS, header->flags);
    memcpy(out + BLOCK_AT_STORE, header->store_uuid.bytes, sizeof header->store_uuid.bytes);
    ms_put_le32(out + BLOCK_AT_SHARD, header->shard);
    ms_put_le32(out + BLOCK_AT_EPOCH, header->epoch);
    ms_put_le64(out + BLOCK_AT_SEGMENT, header->segment);
    ms_put_le64(out + BLOCK_AT_SEQUENCE, header->sequence);
    ms_put_le64(out + BLOCK_AT_FIRST_POSITION, header->first_position);
    ms_put_le32(out + BLOCK_AT_ENTRY_COUNT, header->entry_count);
    ms_put_le32(out + BLOCK_AT_RECORD_COUNT, header->record_count);
    ms_put_le64(out + BLOCK_AT_LENGTH, header->length);
    ms_put_le64(out + BLOCK_AT_SYNCED_THROUGH, header->synced_through);
    ms_put_le64(out + BLOCK_AT_COMMIT_TIME, (uint64_t)header->commit_time_ms);
    memcpy(out + BLOCK_AT_PREVIOUS_HASH, header->previous_hash.bytes, 16);
    ms_put_le32(out + BLOCK_AT_ENTRIES_CRC, header->entries_crc);
    ms_put_le32(out + BLOCK_AT_CRC, block_header_crc(out));
}

int ms_block_header_read(const uint8_t bytes[MS_BLOCK_HEADER_LEN],
                         struct ms_block_header *ret_header) {
    if (memcmp(bytes, block_magic, sizeof block_magic) != 0)
        return MS_ENOTFOUND;
    if (ms_get_le32(bytes + BLOCK_AT_CRC) != block_header_crc(bytes))
        return MS_ECORRUPT;
    if (ms_get_le16(bytes + BLOCK_AT_FORMAT) > MS_BLOCK_FORMAT_MAX)
        return MS_EFORMAT;
    struct ms_block_header header = {
        .flags = ms_get_le16(bytes + BLOCK_AT_FLAGS),
        .shard = ms_get_le32(bytes + BLOCK_AT_SHARD),
        .epoch = ms_get_le32(bytes + BLOCK_AT_EPOCH),
        .segment = ms_get_le64(bytes + BLOCK_AT_SEGMENT),
        .sequence = ms_get_le64(bytes + BLOCK_AT_SEQUENCE),
        .first_position = ms_get_le64(bytes + BLOCK_AT_FIRST_POSITION),
        .entry_count = ms_get_le32(bytes + BLOCK_AT_ENTRY_COUNT),
        .record_count = ms_get_le32(bytes + BLOCK_AT_RECORD_COUNT),
        .length = ms_get_le64(bytes + BLOCK_AT_LENGTH),
        .synced_through = ms_get_le64(bytes + BLOCK_AT_SYNCED_THROUGH),
        .commit_time_ms = (int64_t)ms_get_le64(bytes + BLOCK_AT_COMMIT_TIME),
        .entries_crc = ms_get_le32(bytes + BLOCK_AT_ENTRIES_CRC),
    };
    memcpy(header.store_uuid.bytes, bytes + BLOCK_AT_STORE, sizeof header.store_uuid.bytes);
    memcpy(header.previous_hash.bytes, bytes + BLOCK_AT_PREVIOUS_HASH, 16);
    if (header.length < MS_BLOCK_HEADER_LEN || header.length > UINT32_MAX)
        return MS_ECORRUPT;
    *ret_header = header;
    return 0;
}

struct ms_hash128 ms_block_hash(const uint8_t bytes[MS_BLOCK_HEADER_LEN]) {
    return ms_hash128(bytes, MS_BLOCK_HEADER_LEN, 0);
}

static uint32_t entry_crc(const uint8_t *bytes, uint64_t segment, uint32_t epoch) {
    uint8_t place[12];
    ms_put_le64(place, segment);
    ms_put_le32(place + 8, epoch);
    uint32_t crc = ms_crc32c(0, bytes + ENTRY_AT_LENGTH, MS_ENTRY_HEADER_LEN - ENTRY_AT_LENGTH);
    crc = ms_crc32c(crc, place, sizeof place);
    return ms_crc32c(crc, bytes + MS_ENTRY_HEADER_LEN, MS_ENTRY_PAYLOAD_COVERED);
}

void ms_entry_header_write(const struct ms_entry_header *header, uint64_t segment, uint32_t epoch,
                           uint8_t *out) {
    MS_ASSERT(header->length >= MS_ENTRY_PAYLOAD_COVERED);
    ms_put_le32(out + ENTRY_AT_LENGTH, header->length);
    out[ENTRY_AT_KIND] = header->kind;
    out[ENTRY_AT_FLAGS] = header->flags;
    ms_put_le16(out + ENTRY_AT_PARTITION, header->partition);
    ms_put_le32(out + ENTRY_AT_TOPIC, header->topic);
    memcpy(out + ENTRY_AT_STREAM_ID, header->stream_id, sizeof header->stream_id);
    ms_put_le64(out + ENTRY_AT_FIRST_VERSION, (uint64_t)header->first_version);
    ms_put_le64(out + ENTRY_AT_FIRST_POSITION, header->first_position);
    ms_put_le32(out + ENTRY_AT_CRC, entry_crc(out, segment, epoch));
}

int ms_entry_header_read(const uint8_t *bytes, size_t len, uint64_t segment, uint32_t epoch,
                         struct ms_entry_header *ret_header) {
    if (len < MS_ENTRY_HEADER_LEN + MS_ENTRY_PAYLOAD_COVERED)
        return MS_ENEEDMORE;
    if (ms_get_le32(bytes + ENTRY_AT_CRC) != entry_crc(bytes, segment, epoch))
        return MS_ECORRUPT;
    struct ms_entry_header header = {
        .length = ms_get_le32(bytes + ENTRY_AT_LENGTH),
        .kind = bytes[ENTRY_AT_KIND],
        .flags = bytes[ENTRY_AT_FLAGS],
        .partition = ms_get_le16(bytes + ENTRY_AT_PARTITION),
        .topic = ms_get_le32(bytes + ENTRY_AT_TOPIC),
        .first_version = (int64_t)ms_get_le64(bytes + ENTRY_AT_FIRST_VERSION),
        .first_position = ms_get_le64(bytes + ENTRY_AT_FIRST_POSITION),
    };
    if (header.length < MS_ENTRY_PAYLOAD_COVERED)
        return MS_ECORRUPT;
    memcpy(header.stream_id, bytes + ENTRY_AT_STREAM_ID, sizeof header.stream_id);
    *ret_header = header;
    return 0;
}

/* Kinds that readers could do nothing with must not get into a log: what lies behind them would be
 * acknowledged and never read. */
static bool kind_belongs(uint8_t kind, uint16_t block_flags) {
    return kind == MS_ENTRY_BATCH ||
           (kind == MS_ENTRY_ANCHORS && (block_flags & MS_BLOCK_FOOTER) != 0) ||
           (kind == MS_ENTRY_FRAME && (block_flags & MS_BLOCK_REWRITTEN) != 0);
}

/* The payload's own checks; its record count through ret_records. */
static int check_payload(const struct ms_entry_header *entry, uint16_t block_flags,
                         const uint8_t *payload, uint32_t *ret_records, struct ms_error *err) {
    struct ms_bytes bytes = {payload, entry->length};
    if (!kind_belongs(entry->kind, block_flags))
        return ms_error_set(err, MS_ECORRUPT, "unknown kind %u", (unsigned)entry->kind);
    if (entry->kind != MS_ENTRY_BATCH) {
        uint32_t crc = ms_get_be32(payload + MS_BATCH_OFFSET_CRC);
        if (crc != ms_crc32c(0, payload + MS_BATCH_CRC_START, entry->length - MS_BATCH_CRC_START))
            return ms_error_set(err, MS_ECORRUPT, "checksum mismatch");
        *ret_records = 0;
        return 0;
    }
    struct ms_batch_header batch;
    int rc = ms_batch_read_header(bytes, &batch, err);
    if (rc != 0 || batch.length != entry->length)
        return ms_error_set(err, MS_ECORRUPT, "an entry's batch does not fill it");
    rc = ms_batch_check_crc(bytes, err);
    if (rc != 0)
        return ms_error_set(err, MS_ECORRUPT, "batch checksum mismatch");
    *ret_records = (uint32_t)(batch.last_offset_delta + 1);
    return 0;
}

int ms_block_check(const uint8_t *bytes, const struct ms_block_header *header, bool allow_gaps,
                   struct ms_error *err) {
    uint64_t at = MS_BLOCK_HEADER_LEN;
    uint64_t position = header->first_position;
    uint32_t entries_crc = 0, records = 0;
    for (uint32_t i = 0; i < header->entry_count; i++) {
        struct ms_entry_header entry;
        int rc = ms_entry_header_read(bytes + at, header->length - at, header->segment,
                                      header->epoch, &entry);
        if (rc != 0 || entry.length > header->length - at - MS_ENTRY_HEADER_LEN)
            return ms_error_set(err, MS_ECORRUPT, "entry %u at byte %llu of the block is damaged",
                                (unsigned)i, (unsigned long long)at);
        uint32_t count = 0;
        rc = check_payload(&entry, header->flags, bytes + at + MS_ENTRY_HEADER_LEN, &count, err);
        if (rc != 0) {
            ms_error_prefix(err, "entry %u at byte %llu of the block", (unsigned)i,
                            (unsigned long long)at);
            return rc; /* not the prefix's: without err it has no code to give back */
        }
        bool last = i + 1 == header->entry_count;
        bool in_order =
            allow_gaps ? entry.first_position >= position : entry.first_position == position;
        if (!in_order || last != ((entry.flags & MS_ENTRY_LAST_IN_BLOCK) != 0))
            return ms_error_set(err, MS_ECORRUPT, "entry %u of the block is out of order",
                                (unsigned)i);
        entries_crc = ms_crc32c(entries_crc, bytes + at, MS_ENTRY_HEADER_LEN);
        at += MS_ENTRY_HEADER_LEN + entry.length;
        position = entry.first_position + count;
        records += count;
    }
    if (at != header->length || entries_crc != header->entries_crc ||
        (!allow_gaps && records != header->record_count))
        return ms_error_set(err, MS_ECORRUPT, "the block's entries do not match its header");
    return 0;
}
