/*
 * Reading and checking Kafka record batches; batch.h has the table of the bytes, batch_writer.c is
 * the other direction.
 *
 * Promises: whatever bytes come in, nothing outside them is read, nothing is allocated for an
 * uncompressed batch, and at most decompressed_max bytes are for a compressed one. Records are
 * borrowed from the batch (or from the reader's scratch memory) and never copied.
 *
 * Each object belongs to one thread; functions without an object may be called from any.
 *
 * Worked example (tests/unit/wire/test_batch.c reads these bytes): two records, the second with a
 * null value and a header whose value is null.
 *
 *   00 00 00 00 00 00 00 00     base offset 0
 *   00 00 00 56                 batch length 86 (whole batch: 98 bytes)
 *   00 00 00 00                 partition leader epoch 0
 *   02                          magic
 *   7e 0a fd e5                 CRC-32C of everything after this field
 *   00 00                       attributes: not compressed
 *   00 00 00 01                 last offset delta 1
 *   00 00 01 8b cf e5 68 00     base timestamp 1700000000000
 *   00 00 01 8b cf e5 68 05     max timestamp 1700000000005
 *   ff ff ff ff ff ff ff ff     producer id -1
 *   ff ff                       producer epoch -1
 *   ff ff ff ff                 base sequence -1
 *   00 00 00 02                 record count 2
 *   2c                          record 0: length 22
 *   00                          attributes, unused
 *   00                          timestamp delta 0
 *   00                          offset delta 0
 *   06 6b 65 79                 key length 3, key "key"
 *   0a 76 61 6c 75 65           value length 5, value "value"
 *   02                          header count 1
 *   0a 63 65 5f 69 64           header key length 5, key "ce_id"
 *   02 37                       header value length 1, value "7"
 *   1a                          record 1: length 13
 *   00                          attributes
 *   0a                          timestamp delta 5
 *   02                          offset delta 1
 *   00                          key length 0: an empty key
 *   01                          value length -1: a null value
 *   04                          header count 2
 *   02 61 00                    header "a" with an empty value
 *   04 62 62 01                 header "bb" with a null value
 */
#include "wire/batch.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/varint.h"
#include "wire/compress.h"

#define BATCH_LENGTH_OFFSET 8u
#define BATCH_LENGTH_END 12u /* what the batch length field doesn't count */
#define BATCH_MAGIC_OFFSET 16u
#define BATCH_MAGIC 2
/* length, attributes, timestamp delta, offset delta, key length, value length, header count */
#define RECORD_LEN_MIN 7u
#define HEADER_LEN_MIN 2u
#define BATCH_ATTRIBUTES_KNOWN                                                                     \
    (MS_BATCH_CODEC_MASK | MS_BATCH_LOG_APPEND_TIME | MS_BATCH_TRANSACTIONAL | MS_BATCH_CONTROL |  \
     MS_BATCH_DELETE_HORIZON)

_Static_assert(MS_BATCH_OFFSET_CRC + 4 == MS_BATCH_CRC_START, "the CRC covers what follows it");

/* ---- varints: one and two bytes inline, since nearly all are that short ---- */

struct cursor {
    const uint8_t *at, *end;
};

static inline size_t cursor_left(const struct cursor *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

__attribute__((noinline)) static bool take_long_varint(struct cursor *cursor, int64_t *ret_value) {
    int used = ms_varint_get(cursor->at, cursor_left(cursor), ret_value);
    if (used <= 0)
        return false;
    cursor->at += used;
    return true;
}

static inline bool take_varint64(struct cursor *cursor, int64_t *ret_value) {
    size_t left = cursor_left(cursor);
    if (MS_LIKELY(left >= 1 && cursor->at[0] < 0x80)) {
        *ret_value = ms_zigzag_decode(cursor->at[0]);
        cursor->at += 1;
        return true;
    }
    if (MS_LIKELY(left >= 2 && cursor->at[1] < 0x80)) {
        uint64_t raw = (uint64_t)(cursor->at[0] & 0x7f) | (uint64_t)cursor->at[1] << 7;
        *ret_value = ms_zigzag_decode(raw);
        cursor->at += 2;
        return true;
    }
    return take_long_varint(cursor, ret_value);
}

static inline bool take_varint32(struct cursor *cursor, int32_t *ret_value) {
    int64_t value;
    if (!take_varint64(cursor, &value) || value != (int32_t)value)
        return false;
    *ret_value = (int32_t)value;
    return true;
}

/* A length and that many bytes; -1 stands for null. */
static inline bool take_bytes(struct cursor *cursor, struct ms_bytes *ret_bytes, bool *ret_null) {
    int32_t len;
    if (!take_varint32(cursor, &len) || len < -1)
        return false;
    *ret_null = len < 0;
    if (len < 0) {
        *ret_bytes = (struct ms_bytes){0};
        return true;
    }
    if ((size_t)len > cursor_left(cursor))
        return false;
    *ret_bytes = ms_bytes_of(cursor->at, (size_t)len);
    cursor->at += len;
    return true;
}

static inline bool take_header(struct cursor *cursor, struct ms_record_header *ret_header) {
    bool key_is_null;
    return take_bytes(cursor, &ret_header->key, &key_is_null) && !key_is_null &&
           take_bytes(cursor, &ret_header->value, &ret_header->value_is_null);
}

/* ---- the batch header ---- */

static int check_header(const struct ms_batch_header *header, struct ms_error *err) {
    if (header->record_count < 0 || header->last_offset_delta < 0)
        return ms_error_set(err, MS_EINVAL,
                            "record batch: negative record count %d or last offset delta %d",
                            (int)header->record_count, (int)header->last_offset_delta);
    /* Compaction takes records out, so there may be fewer than offsets, but never more. */
    if (header->record_count - 1 > header->last_offset_delta)
        return ms_error_set(err, MS_EINVAL,
                            "record batch: %d records but a last offset delta of %d",
                            (int)header->record_count, (int)header->last_offset_delta);
    size_t records_len = header->length - MS_BATCH_HEADER_LEN;
    if ((header->attributes & MS_BATCH_CODEC_MASK) == MS_CODEC_NONE &&
        (uint32_t)header->record_count > records_len / RECORD_LEN_MIN)
        return ms_error_set(err, MS_EINVAL, "record batch: %d records do not fit %zu bytes",
                            (int)header->record_count, records_len);
    return 0;
}

int ms_batch_read_header(struct ms_bytes bytes, struct ms_batch_header *ret_header,
                         struct ms_error *err) {
    if (bytes.len < BATCH_LENGTH_END)
        return ms_error_set(err, MS_ENEEDMORE, "record batch: %zu bytes are less than a header",
                            bytes.len);
    const uint8_t *at = bytes.data;
    uint32_t after = ms_get_be32(at + BATCH_LENGTH_OFFSET);
    if (after < MS_BATCH_HEADER_LEN - BATCH_LENGTH_END || after > INT32_MAX - BATCH_LENGTH_END)
        return ms_error_set(err, MS_EINVAL, "record batch: impossible batch length %d",
                            (int)(int32_t)after);
    if (bytes.len > BATCH_MAGIC_OFFSET && at[BATCH_MAGIC_OFFSET] != BATCH_MAGIC)
        return ms_error_set(err, MS_EINVAL, "record batch: magic %u, only 2 is supported",
                            at[BATCH_MAGIC_OFFSET]);
    uint32_t length = after + BATCH_LENGTH_END;
    if (bytes.len < length) {
        ret_header->length = length;
        return ms_error_set(err, MS_ENEEDMORE, "record batch: %zu of %u bytes", bytes.len, length);
    }
    struct ms_batch_header header = {
        .base_offset = (int64_t)ms_get_be64(at),
        .length = length,
        .leader_epoch = (int32_t)ms_get_be32(at + MS_BATCH_OFFSET_LEADER_EPOCH),
        .crc = ms_get_be32(at + MS_BATCH_OFFSET_CRC),
        .attributes = ms_get_be16(at + 21),
        .last_offset_delta = (int32_t)ms_get_be32(at + 23),
        .base_timestamp_ms = (int64_t)ms_get_be64(at + 27),
        .max_timestamp_ms = (int64_t)ms_get_be64(at + 35),
        .producer_id = (int64_t)ms_get_be64(at + 43),
        .producer_epoch = (int16_t)ms_get_be16(at + 51),
        .base_sequence = (int32_t)ms_get_be32(at + 53),
        .record_count = (int32_t)ms_get_be32(at + 57),
    };
    int r = check_header(&header, err);
    if (r < 0)
        return r;
    *ret_header = header;
    return 0;
}

/* For callers that were promised the whole batch: too few bytes are damage, not a reason to wait.
 */
static int read_whole_header(struct ms_bytes batch, struct ms_batch_header *ret_header,
                             struct ms_error *err) {
    struct ms_batch_header header;
    int r = ms_batch_read_header(batch, &header, err);
    if (r == MS_ENEEDMORE)
        return ms_error_set(err, MS_EINVAL, "record batch: truncated to %zu bytes", batch.len);
    if (r < 0)
        return r;
    *ret_header = header;
    return 0;
}

static int read_exact_header(struct ms_bytes batch, struct ms_batch_header *ret_header,
                             struct ms_error *err) {
    struct ms_batch_header header;
    int r = read_whole_header(batch, &header, err);
    if (r < 0)
        return r;
    if (batch.len != header.length)
        return ms_error_set(err, MS_EINVAL, "record batch: %zu bytes follow the batch of %u",
                            batch.len - header.length, header.length);
    *ret_header = header;
    return 0;
}

static int check_crc(struct ms_bytes batch, const struct ms_batch_header *header,
                     struct ms_error *err) {
    uint32_t crc =
        ms_crc32c(0, batch.data + MS_BATCH_CRC_START, header->length - MS_BATCH_CRC_START);
    if (crc != header->crc)
        return ms_error_set(err, MS_ECRC, "record batch: CRC %08x, its bytes have %08x",
                            header->crc, crc);
    return 0;
}

int ms_batch_check_crc(struct ms_bytes batch, struct ms_error *err) {
    struct ms_batch_header header;
    int r = read_exact_header(batch, &header, err);
    return r < 0 ? r : check_crc(batch, &header, err);
}

void ms_batch_patch(uint8_t *batch, int64_t base_offset, int32_t leader_epoch) {
    ms_put_be64(batch + MS_BATCH_OFFSET_BASE_OFFSET, (uint64_t)base_offset);
    ms_put_be32(batch + MS_BATCH_OFFSET_LEADER_EPOCH, (uint32_t)leader_epoch);
}

/* ---- reading records ---- */

int ms_batch_reader_init(struct ms_batch_reader *reader, struct ms_bytes batch,
                         size_t decompressed_max, struct ms_error *err) {
    /* Whatever happens below, records of the batch before are gone. */
    reader->header = (struct ms_batch_header){0};
    reader->records = (struct ms_bytes){0};
    reader->at = 0;
    reader->next_index = 0;
    if (reader->scratch.data == NULL)
        ms_buf_init(&reader->scratch, decompressed_max);
    ms_buf_clear(&reader->scratch);
    reader->scratch.max = decompressed_max;

    struct ms_batch_header header;
    int r = read_whole_header(batch, &header, err);
    if (r < 0)
        return r;
    struct ms_bytes records =
        ms_bytes_of(batch.data + MS_BATCH_HEADER_LEN, header.length - MS_BATCH_HEADER_LEN);
    enum ms_codec codec = (enum ms_codec)(header.attributes & MS_BATCH_CODEC_MASK);
    /* A batch that compaction emptied keeps its header only, so there is nothing to unpack. */
    if (codec != MS_CODEC_NONE && !(header.record_count == 0 && records.len == 0)) {
        r = ms_decompress(codec, records, decompressed_max, &reader->scratch, err);
        if (r < 0)
            return r;
        /* Nothing unpacked may be a NULL pointer, which can't be walked: keep the one there is. */
        records.len = reader->scratch.len;
        if (records.len > 0)
            records.data = reader->scratch.data;
    }
    reader->header = header;
    reader->records = records;
    return 0;
}

void ms_batch_reader_deinit(struct ms_batch_reader *reader) {
    ms_buf_deinit(&reader->scratch);
    *reader = (struct ms_batch_reader){0};
}

__attribute__((noinline, cold)) static int bad_record(const struct ms_batch_reader *reader,
                                                      const char *what, struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL, "record batch: record %d of %d: %s",
                        (int)reader->next_index, (int)reader->header.record_count, what);
}

/* The record's fields from behind its length; `cursor` ends where the record does. NULL, or what
 * is wrong. */
static inline const char *parse_record(struct cursor *cursor, const struct ms_batch_header *header,
                                       struct ms_record *ret_record) {
    int64_t timestamp_delta;
    int32_t offset_delta, header_count;
    if (cursor_left(cursor) < RECORD_LEN_MIN - 1)
        return "it is too short";
    cursor->at += 1; /* attributes: no bit has a meaning yet */
    if (!take_varint64(cursor, &timestamp_delta) || !take_varint32(cursor, &offset_delta))
        return "damaged timestamp or offset delta";
    if (offset_delta < 0 || offset_delta > header->last_offset_delta)
        return "its offset is outside the batch";
    if (!take_bytes(cursor, &ret_record->key, &ret_record->key_is_null))
        return "damaged key";
    if (!take_bytes(cursor, &ret_record->value, &ret_record->value_is_null))
        return "damaged value";
    if (!take_varint32(cursor, &header_count) || header_count < 0)
        return "damaged header count";
    if ((size_t)header_count > cursor_left(cursor) / HEADER_LEN_MIN)
        return "more headers than fit";
    if (header_count == 0 && cursor->at != cursor->end)
        return "bytes after its last field";
    if (__builtin_add_overflow(header->base_timestamp_ms, timestamp_delta,
                               &ret_record->timestamp_ms))
        return "its timestamp overflows";
    if (header->attributes & MS_BATCH_LOG_APPEND_TIME)
        ret_record->timestamp_ms = header->max_timestamp_ms;
    /* A producer may put anything into the base offset, hence arithmetic that can't overflow. */
    ret_record->offset = (int64_t)((uint64_t)header->base_offset + (uint64_t)offset_delta);
    ret_record->header_count = header_count;
    ret_record->headers = ms_bytes_of(cursor->at, cursor_left(cursor));
    return NULL;
}

int ms_batch_reader_next(struct ms_batch_reader *reader, struct ms_record *ret_record,
                         struct ms_error *err) {
    struct cursor cursor = {reader->records.data, reader->records.data};
    if (reader->next_index >= reader->header.record_count) {
        if (reader->at != reader->records.len)
            return ms_error_set(err, MS_EINVAL, "record batch: %zu bytes after the last record",
                                reader->records.len - reader->at);
        return 0;
    }
    cursor.at += reader->at;
    cursor.end += reader->records.len;
    int32_t length;
    if (!take_varint32(&cursor, &length) || length < 0 || (size_t)length > cursor_left(&cursor))
        return bad_record(reader, "its length exceeds the batch", err);
    cursor.end = cursor.at + length;

    struct ms_record record;
    const char *wrong = parse_record(&cursor, &reader->header, &record);
    if (wrong)
        return bad_record(reader, wrong, err);
    reader->at = (size_t)(cursor.end - reader->records.data);
    reader->next_index++;
    *ret_record = record;
    return 1;
}

int ms_record_next_header(const struct ms_record *record, size_t *at,
                          struct ms_record_header *ret_header) {
    if (*at >= record->headers.len)
        return 0;
    const uint8_t *start = record->headers.data;
    struct cursor cursor = {start + *at, start + record->headers.len};
    struct ms_record_header header;
    if (!take_header(&cursor, &header))
        return MS_EINVAL;
    *at = (size_t)(cursor.at - start);
    *ret_header = header;
    return 1;
}

/* ---- what a producer's batch must be ---- */

static int check_producer_fields(const struct ms_batch_header *header, struct ms_error *err) {
    unsigned attributes = header->attributes;
    if (attributes & ~(unsigned)BATCH_ATTRIBUTES_KNOWN)
        return ms_error_set(err, MS_EUNSUPPORTED, "record batch: unknown attributes 0x%04x",
                            attributes);
    if ((attributes & MS_BATCH_CODEC_MASK) > MS_CODEC_ZSTD)
        return ms_error_set(err, MS_EUNSUPPORTED, "record batch: unknown codec %u",
                            attributes & MS_BATCH_CODEC_MASK);
    if (attributes & MS_BATCH_LOG_APPEND_TIME)
        return ms_error_set(err, MS_ETIMESTAMP,
                            "record batch: only the server stamps records when they are appended");
    if (attributes & (MS_BATCH_CONTROL | MS_BATCH_DELETE_HORIZON))
        return ms_error_set(err, MS_EINVAL,
                            "record batch: attributes 0x%04x are the server's to set", attributes);
    if (header->record_count < 1 || header->record_count - 1 != header->last_offset_delta)
        return ms_error_set(err, MS_EINVAL,
                            "record batch: %d records but a last offset delta of %d",
                            (int)header->record_count, (int)header->last_offset_delta);
    if (header->producer_id < -1)
        return ms_error_set(err, MS_EINVAL, "record batch: producer id %lld",
                            (long long)header->producer_id);
    if (header->producer_id >= 0 && (header->producer_epoch < 0 || header->base_sequence < 0))
        return ms_error_set(err, MS_EINVAL,
                            "record batch: producer id with epoch %d and base sequence %d",
                            header->producer_epoch, (int)header->base_sequence);
    if (header->producer_id < 0 && (attributes & MS_BATCH_TRANSACTIONAL))
        return ms_error_set(err, MS_EINVAL, "record batch: transactional without a producer id");
    return 0;
}

static bool headers_are_well_formed(const struct ms_record *record) {
    struct cursor cursor = {record->headers.data, record->headers.data};
    cursor.end += record->headers.len;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct ms_record_header header;
        if (!take_header(&cursor, &header))
            return false;
    }
    return cursor.at == cursor.end;
}

static int check_record(const struct ms_batch_reader *reader, const struct ms_record *record,
                        struct ms_error *err) {
    int32_t index = reader->next_index - 1;
    uint64_t delta = (uint64_t)record->offset - (uint64_t)reader->header.base_offset;
    if (delta != (uint64_t)index)
        return ms_error_set(err, MS_EINVAL, "record batch: record %d has offset delta %llu",
                            (int)index, (unsigned long long)delta);
    if (!headers_are_well_formed(record))
        return ms_error_set(err, MS_EINVAL, "record batch: record %d: damaged headers", (int)index);
    return 0;
}

int ms_batch_validate_each(struct ms_bytes batch, size_t decompressed_max, ms_batch_visit_fn *visit,
                           void *context, struct ms_batch_header *ret_header, int32_t *ret_index,
                           struct ms_error *err) {
    struct ms_batch_header header;
    *ret_index = -1;
    int r = read_exact_header(batch, &header, err);
    if (r == 0)
        r = check_crc(batch, &header, err);
    if (r == 0)
        r = check_producer_fields(&header, err);
    if (r < 0)
        return r;

    struct ms_batch_reader reader = {0};
    struct ms_record record;
    r = ms_batch_reader_init(&reader, batch, decompressed_max, err);
    while (r == 0 && (r = ms_batch_reader_next(&reader, &record, err)) == 1) {
        r = check_record(&reader, &record, err);
        if (r == 0 && visit != NULL) {
            r = visit(context, &record, err);
            *ret_index = r != 0 ? reader.next_index - 1 : -1;
        }
    }
    ms_batch_reader_deinit(&reader);
    if (r != 0)
        return r;
    *ret_header = header;
    return 0;
}

int ms_batch_validate(struct ms_bytes batch, size_t decompressed_max,
                      struct ms_batch_header *ret_header, struct ms_error *err) {
    int32_t index;
    return ms_batch_validate_each(batch, decompressed_max, NULL, NULL, ret_header, &index, err);
}
