/*
 * Bytes of the log: blocks and entries.
 *
 * A segment file is a row of blocks. A block is one group commit: it starts on a 4 KiB boundary, is
 * padded with zeros to one, and is never written again. All integers are little endian; the batches
 * inside entries are Kafka's and big endian.
 *
 * Block header, 128 bytes:
 *
 *   off size field
 *     0    8 magic            "MSTMBLK1"
 *     8    2 format           1, and 2 with flag losses; a newer one is refused with a sentence
 *    10 2 flags 1 os: not synced when it was acknowledged · 2 mark: no entries, written
 *                             after recovery · 4 clean: a mark of a clean stop · 8 footer ·
 *                             16 rewritten by the scavenger · 32 losses: a footer that lists
 *                             some (segment.h). A footer's os is the last block's
 *    12    4 header crc       CRC-32C of the 128 bytes with this field zero
 *    16   16 store uuid
 *    32    4 shard
 *    36    4 epoch            +1 each time the log is opened for writing
 *    40    8 segment          first position of the segment, its name
 *    48    8 sequence         dense count of blocks of the shard, marks included
 *    56    8 first position   of the first record; for a mark the next position
 *    64    4 entry count
 *    68    4 record count
 *    72    8 length           header and entries, without the padding
 *    80    8 synced through   every block with a sequence below it was durable when this was sealed
 *    88    8 commit time      ms since 1970 UTC, never less than the block's before
 *    96   16 previous hash    XXH3-128 of the previous block's header bytes (see ms_block_hash)
 *   112    4 entries crc      CRC-32C of all entry headers, one after the other
 *   116   12 zero
 *
 * Entry header, 48 bytes, followed by `length` bytes of payload (a record batch, or what the kind
 * says):
 *
 *     0 4 crc CRC-32C of bytes 4..47, then segment (8) and epoch (4) of the block, then
 *                             the payload's first 21 bytes: base offset, leader epoch, and the
 *                             batch's own crc, which covers the rest of it
 *     4    4 length           of the payload
 *     8    1 kind             1 batch · 2 anchors (footers only) · 3 frame: entries compressed
 *                             together by the scavenger (frame.h)
 *     9 1 flags 1 has a stream · 2 last entry of its block · 4 tombstone · 8 control ·
 *                             16 joined: belongs to the same append as the entry before it ·
 *                             32 pending: of a transaction · 64 commit of a pending entry
 *    10    2 partition
 *    12    4 topic            the topic's number
 *    16   16 stream id        zeros without a stream
 *    32    8 first version    of the first record; -1 without a stream
 *    40    8 first position   of the first record
 *
 * The first offset is the batch's base offset. The worked example that tests/unit/log/test_block.c
 * parses: a block of one entry with one record has length 128 + 48 + the batch's length, and takes
 * the next multiple of 4096 in the file.
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "base/hash.h"
#include "base/uuid.h"

#define MS_BLOCK_ALIGN 4096u
#define MS_BLOCK_HEADER_LEN 128u
#define MS_BLOCK_FORMAT 1u
#define MS_BLOCK_FORMAT_MAX 2u /* with MS_BLOCK_LOSSES: what must not be overlooked */
#define MS_ENTRY_HEADER_LEN 48u
/* Bytes of the payload that the entry's crc covers directly. A payload is at least that long. */
#define MS_ENTRY_PAYLOAD_COVERED 21u

enum {
    MS_BLOCK_OS = 1,
    MS_BLOCK_MARK = 2,
    MS_BLOCK_CLEAN = 4,
    MS_BLOCK_FOOTER = 8,
    MS_BLOCK_REWRITTEN = 16,
    MS_BLOCK_LOSSES = 32,
};

enum ms_entry_kind {
    MS_ENTRY_BATCH = 1,
    MS_ENTRY_ANCHORS = 2,
    MS_ENTRY_FRAME = 3,
};

enum {
    MS_ENTRY_HAS_STREAM = 1,
    MS_ENTRY_LAST_IN_BLOCK = 2,
    MS_ENTRY_TOMBSTONE = 4,
    MS_ENTRY_CONTROL = 8,
    MS_ENTRY_JOINED = 16,
    MS_ENTRY_PENDING = 32,
    MS_ENTRY_COMMIT = 64,
};

struct ms_block_header {
    uint16_t flags;
    struct ms_uuid store_uuid;
    uint32_t shard;
    uint32_t epoch;
    uint64_t segment;
    uint64_t sequence;
    uint64_t first_position;
    uint32_t entry_count;
    uint32_t record_count;
    uint64_t length;
    uint64_t synced_through;
    int64_t commit_time_ms;
    struct ms_hash128 previous_hash;
    uint32_t entries_crc;
};

struct ms_entry_header {
    uint32_t length;
    uint8_t kind;
    uint8_t flags;
    uint16_t partition;
    uint32_t topic;
    uint8_t stream_id[16];
    int64_t first_version;
    uint64_t first_position;
};

static inline uint64_t ms_block_padded(uint64_t length) {
    return (length + MS_BLOCK_ALIGN - 1) & ~(uint64_t)(MS_BLOCK_ALIGN - 1);
}

void ms_block_header_write(const struct ms_block_header *header, uint8_t out[MS_BLOCK_HEADER_LEN]);

/* MS_ENOTFOUND when the bytes don't begin with the magic, MS_EFORMAT when the format is newer,
 * MS_ECORRUPT when the header's crc or lengths are wrong. */
int ms_block_header_read(const uint8_t bytes[MS_BLOCK_HEADER_LEN],
                         struct ms_block_header *ret_header) MS_MUST_CHECK;

/* What the next block's `previous hash` is: it covers this block's header, which covers the entry
 * headers, which cover the batches. */
struct ms_hash128 ms_block_hash(const uint8_t bytes[MS_BLOCK_HEADER_LEN]);

/* Writes the header in front of the payload that is already there at out + MS_ENTRY_HEADER_LEN. */
void ms_entry_header_write(const struct ms_entry_header *header, uint64_t segment, uint32_t epoch,
                           uint8_t *out);

/* Reads and checks an entry whose header and first MS_ENTRY_PAYLOAD_COVERED payload bytes are at
 * `bytes`. MS_ENEEDMORE when `len` is too short for them, MS_ECORRUPT. */
int ms_entry_header_read(const uint8_t *bytes, size_t len, uint64_t segment, uint32_t epoch,
                         struct ms_entry_header *ret_header) MS_MUST_CHECK;

/* Checks everything inside a whole block (`bytes` holds header->length bytes): entries fill it
 * exactly, their crcs, the batches' crcs, positions contiguous, counts. Scavenged segments may have
 * gaps between positions: allow_gaps. MS_ECORRUPT with what and where. */
int ms_block_check(const uint8_t *bytes, const struct ms_block_header *header, bool allow_gaps,
                   struct ms_error *err) MS_MUST_CHECK;
