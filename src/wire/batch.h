/*
 * Kafka RecordBatch v2: the log's physical unit.
 *
 * Layout of the 61-byte header (big endian; "crc" = inside the checksum):
 *
 *   off size field                 crc   notes
 *     0    8 base offset            -    patched at append
 *     8    4 batch length           -    bytes after this field
 *    12    4 partition leader epoch -    patched at append
 *    16    1 magic                  -    2
 *    17    4 crc                    -    CRC-32C of bytes 21..end
 *    21    2 attributes             x    bits 0-2 codec, 3 log-append time, 4 transactional,
 *                                        5 control, 6 delete horizon
 *    23    4 last offset delta      x
 *    27    8 base timestamp         x    ms
 *    35    8 max timestamp          x    ms
 *    43    8 producer id            x    -1 none
 *    51    2 producer epoch         x    -1 none
 *    53    4 base sequence          x    -1 none
 *    57    4 record count           x
 *    61    … records                x    the codec covers all of them together
 *
 * Record: length varint · attributes i8 · timestamp delta varlong · offset delta varint · key
 * length varint (-1 null) · key · value length varint (-1 null) · value · header count varint · {
 * key length varint, key, value length varint (-1 null), value }. Varints are zig-zag.
 *
 * Sans-I/O. One thread per object. Specification: the Kafka protocol guide, "Record Batch".
 */
#pragma once

#include "base/bytes.h"

#define MS_BATCH_HEADER_LEN 61u
#define MS_BATCH_OFFSET_BASE_OFFSET 0u
#define MS_BATCH_OFFSET_LEADER_EPOCH 12u
#define MS_BATCH_OFFSET_CRC 17u
#define MS_BATCH_CRC_START 21u

enum ms_codec {
    MS_CODEC_NONE = 0,
    MS_CODEC_GZIP = 1,
    MS_CODEC_SNAPPY = 2,
    MS_CODEC_LZ4 = 3,
    MS_CODEC_ZSTD = 4,
};
enum {
    MS_BATCH_CODEC_MASK = 0x07,
    MS_BATCH_LOG_APPEND_TIME = 0x08,
    MS_BATCH_TRANSACTIONAL = 0x10,
    MS_BATCH_CONTROL = 0x20,
    MS_BATCH_DELETE_HORIZON = 0x40,
};

struct ms_batch_header {
    int64_t base_offset;
    uint32_t length; /* of the whole batch, header included (= batch length field + 12) */
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

/* Reads the header of the batch that begins `bytes`, which may hold more than the batch.
 * MS_ENEEDMORE when fewer than MS_BATCH_HEADER_LEN bytes or less than the whole batch is there
 * (ret_header->length is then valid if at least 12 bytes are); MS_EINVAL for another magic or
 * impossible lengths and counts. Does not check the CRC. */
int ms_batch_read_header(struct ms_bytes bytes, struct ms_batch_header *ret_header,
                         struct ms_error *err) MS_MUST_CHECK;

/* CRC of the batch against its crc field: MS_ECRC. `batch` is exactly the batch, else MS_EINVAL. */
int ms_batch_check_crc(struct ms_bytes batch, struct ms_error *err) MS_MUST_CHECK;

/* Everything a broker checks before it stores a producer's batch verbatim: magic, CRC, counts,
 * every record and record header well formed, offset delta = the record's index, last offset delta
 * + 1 = count, codec and attributes known, no attribute that is the server's to set (control,
 * log-append time, delete horizon), a producer id only with epoch and sequence, transactional only
 * with a producer id, no trailing bytes. decompressed_max bounds what a codec may produce (an
 * uncompressed batch is bounded by its own length). MS_ECRC, MS_EINVAL, MS_ETOOBIG,
 * MS_EUNSUPPORTED (unknown codec or attribute bit), MS_ENOMEM. */
int ms_batch_validate(struct ms_bytes batch, size_t decompressed_max,
                      struct ms_batch_header *ret_header, struct ms_error *err) MS_MUST_CHECK;

/* The same, and shows each record to `visit` (NULL: none), which may refuse it: what it returns
 * other than 0 is returned, and *ret_index is the record's place in the batch (-1 when the batch as
 * a whole is wrong). The record is borrowed for the call. */
struct ms_record;
typedef int ms_batch_visit_fn(void *context, const struct ms_record *record, struct ms_error *err);
int ms_batch_validate_each(struct ms_bytes batch, size_t decompressed_max, ms_batch_visit_fn *visit,
                           void *context, struct ms_batch_header *ret_header, int32_t *ret_index,
                           struct ms_error *err) MS_MUST_CHECK;

/* Pokes the two fields outside the CRC. */
void ms_batch_patch(uint8_t *batch, int64_t base_offset, int32_t leader_epoch);

/* ---- reading records ---- */

struct ms_record_header {
    struct ms_bytes key;
    struct ms_bytes value;
    bool value_is_null;
};

struct ms_record {
    int64_t offset;
    int64_t timestamp_ms; /* the batch's max timestamp when it has log-append time */
    struct ms_bytes key, value;
    bool key_is_null, value_is_null;
    int32_t header_count;
    struct ms_bytes headers; /* encoded; walk with ms_record_next_header */
};

struct ms_batch_reader {
    struct ms_batch_header header;
    struct ms_bytes records; /* decompressed */
    size_t at;
    int32_t next_index;
    struct ms_buf scratch; /* owns decompressed bytes */
};

/* `batch` must stay valid while the reader and its records are used; bytes behind it are ignored.
 * The CRC is not checked here. MS_EINVAL, MS_ETOOBIG (decompressed_max), MS_EUNSUPPORTED,
 * MS_ENOMEM; the reader then has no records. A zeroed struct may be deinit'ed; init on a used
 * reader reuses its scratch memory; never init an uninitialised struct. */
int ms_batch_reader_init(struct ms_batch_reader *reader, struct ms_bytes batch,
                         size_t decompressed_max, struct ms_error *err) MS_MUST_CHECK;
void ms_batch_reader_deinit(struct ms_batch_reader *reader);
/* 1 and a record, 0 at the end, MS_EINVAL. Offsets may have gaps (compaction). */
int ms_batch_reader_next(struct ms_batch_reader *reader, struct ms_record *ret_record,
                         struct ms_error *err) MS_MUST_CHECK;
/* Walks record->headers: *at starts at 0. 1 and a header, 0 at the end, MS_EINVAL. */
int ms_record_next_header(const struct ms_record *record, size_t *at,
                          struct ms_record_header *ret_header) MS_MUST_CHECK;

/* ---- writing ---- */

struct ms_batch_writer {
    struct ms_buf *out;
    size_t start; /* of the batch in out */
    enum ms_codec codec;
    uint16_t attributes;
    int64_t base_timestamp_ms, max_timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
    struct ms_buf uncompressed; /* records before compression, unused for MS_CODEC_NONE */
};

struct ms_record_header_in {
    struct ms_bytes key, value;
};

/* Appends one batch to *out; only the writer may touch *out until the batch has ended. Set
 * attributes beyond the codec, producer id … on the writer after begin. MS_ENOMEM, MS_ETOOBIG. */
int ms_batch_begin(struct ms_batch_writer *writer, struct ms_buf *out, enum ms_codec codec,
                   int64_t base_timestamp_ms) MS_MUST_CHECK;
/* key and value: NULL pointer = null, an empty ms_bytes = empty. MS_EINVAL when the timestamp is
 * too far from the base, MS_ETOOBIG, MS_ENOMEM. */
int ms_batch_add(struct ms_batch_writer *writer, int64_t timestamp_ms, const struct ms_bytes *key,
                 const struct ms_bytes *value, const struct ms_record_header_in *headers,
                 size_t header_count) MS_MUST_CHECK;
/* Compresses, fills the header in, computes the CRC; base offset and leader epoch are 0. MS_EINVAL
 * without any record, MS_ETOOBIG, MS_ENOMEM. On any failure of the three the batch is withdrawn
 * from *out and the writer is done. */
int ms_batch_end(struct ms_batch_writer *writer) MS_MUST_CHECK;
/* Withdraws a batch that was begun and is not to be ended. Harmless on a writer that is done. */
void ms_batch_abort(struct ms_batch_writer *writer);
