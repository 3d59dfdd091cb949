/*
 * Writing Kafka record batches; batch.h has the table of the bytes, batch.c a worked example.
 *
 * Promises: an uncompressed record is sized first and then written straight into the output, once;
 * a batch that fails leaves the output as it was. Lengths stay within the format's 31 bits.
 *
 * One thread per writer.
 */
#include "base/endian.h"
#include "base/hash.h"
#include "base/varint.h"
#include "wire/batch.h"
#include "wire/compress.h"

#define RECORDS_LEN_MAX ((size_t)INT32_MAX - MS_BATCH_HEADER_LEN)
#define BATCH_MAGIC 2

/* ---- sizes ---- */

static inline size_t varint_size(int64_t value) {
    uint64_t raw = ms_zigzag_encode(value);
    return MS_LIKELY(raw < 0x80) ? 1 : ms_uvarint_size(raw);
}

/* With its length before it; NULL is null. */
static inline size_t bytes_size(const struct ms_bytes *bytes) {
    return bytes ? varint_size((int64_t)bytes->len) + bytes->len : 1;
}

struct record_size {
    size_t body, total; /* without and with the length before it */
};

static bool size_record(int64_t timestamp_delta, int32_t offset_delta, const struct ms_bytes *key,
                        const struct ms_bytes *value, const struct ms_record_header_in *headers,
                        size_t header_count, struct record_size *ret_size) {
    if ((key && key->len > RECORDS_LEN_MAX) || (value && value->len > RECORDS_LEN_MAX) ||
        header_count > RECORDS_LEN_MAX)
        return false;
    size_t body = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) + bytes_size(key) +
                  bytes_size(value) + varint_size((int64_t)header_count);
    for (size_t i = 0; i < header_count; i++) {
        if (headers[i].key.len > RECORDS_LEN_MAX || headers[i].value.len > RECORDS_LEN_MAX)
            return false;
        body += bytes_size(&headers[i].key) + bytes_size(&headers[i].value);
        if (body > RECORDS_LEN_MAX)
            return false;
    }
    *ret_size = (struct record_size){body, varint_size((int64_t)body) + body};
    return ret_size->total <= RECORDS_LEN_MAX;
}

/* ---- bytes ---- */

static inline uint8_t *put_varint(uint8_t *at, int64_t value) {
    uint64_t raw = ms_zigzag_encode(value);
    if (MS_LIKELY(raw < 0x80)) {
        *at = (uint8_t)raw;
        return at + 1;
    }
    return at + ms_uvarint_put(at, raw);
}

static inline uint8_t *put_bytes(uint8_t *at, const struct ms_bytes *bytes) {
    if (bytes == NULL)
        return put_varint(at, -1);
    at = put_varint(at, (int64_t)bytes->len);
    if (bytes->len)
        memcpy(at, bytes->data, bytes->len);
    return at + bytes->len;
}

static void put_header(const struct ms_batch_writer *writer, uint8_t *batch, size_t length) {
    unsigned attributes = writer->attributes & ~(unsigned)MS_BATCH_CODEC_MASK;
    ms_batch_patch(batch, 0, 0);
    ms_put_be32(batch + 8, (uint32_t)(length - 12));
    batch[16] = BATCH_MAGIC;
    ms_put_be16(batch + 21, (uint16_t)(attributes | (unsigned)writer->codec));
    ms_put_be32(batch + 23, (uint32_t)writer->count - 1);
    ms_put_be64(batch + 27, (uint64_t)writer->base_timestamp_ms);
    ms_put_be64(batch + 35, (uint64_t)writer->max_timestamp_ms);
    ms_put_be64(batch + 43, (uint64_t)writer->producer_id);
    ms_put_be16(batch + 51, (uint16_t)writer->producer_epoch);
    ms_put_be32(batch + 53, (uint32_t)writer->base_sequence);
    ms_put_be32(batch + 57, (uint32_t)writer->count);
    ms_put_be32(batch + MS_BATCH_OFFSET_CRC,
                ms_crc32c(0, batch + MS_BATCH_CRC_START, length - MS_BATCH_CRC_START));
}

/* ---- the writer ---- */

int ms_batch_begin(struct ms_batch_writer *writer, struct ms_buf *out, enum ms_codec codec,
                   int64_t base_timestamp_ms) {
    MS_ASSERT(codec >= MS_CODEC_NONE && codec <= MS_CODEC_ZSTD);
    uint8_t *header;
    *writer = (struct ms_batch_writer){
        .start = out->len,
        .codec = codec,
        .attributes = (uint16_t)codec,
        .base_timestamp_ms = base_timestamp_ms,
        .max_timestamp_ms = base_timestamp_ms,
        .producer_id = -1,
        .producer_epoch = -1,
        .base_sequence = -1,
    };
    int r = ms_buf_extend(out, MS_BATCH_HEADER_LEN, &header);
    if (r < 0)
        return r;
    writer->out = out;
    ms_buf_init(&writer->uncompressed, out->max);
    return 0;
}

void ms_batch_abort(struct ms_batch_writer *writer) {
    if (writer->out)
        writer->out->len = writer->start;
    ms_buf_deinit(&writer->uncompressed);
    writer->out = NULL;
}

static int withdraw(struct ms_batch_writer *writer, int code) {
    ms_batch_abort(writer);
    return code;
}

int ms_batch_add(struct ms_batch_writer *writer, int64_t timestamp_ms, const struct ms_bytes *key,
                 const struct ms_bytes *value, const struct ms_record_header_in *headers,
                 size_t header_count) {
    MS_ASSERT(writer->out);
    bool plain = writer->codec == MS_CODEC_NONE;
    struct ms_buf *into = plain ? writer->out : &writer->uncompressed;
    size_t records_len = plain ? into->len - writer->start - MS_BATCH_HEADER_LEN : into->len;
    int64_t timestamp_delta;
    struct record_size size;
    if (__builtin_sub_overflow(timestamp_ms, writer->base_timestamp_ms, &timestamp_delta))
        return withdraw(writer, MS_EINVAL);
    if (!size_record(timestamp_delta, writer->count, key, value, headers, header_count, &size) ||
        size.total > RECORDS_LEN_MAX - records_len)
        return withdraw(writer, MS_ETOOBIG);
    uint8_t *at;
    int r = ms_buf_extend(into, size.total, &at);
    if (r < 0)
        return withdraw(writer, r);

    const uint8_t *end = at + size.total;
    at = put_varint(at, (int64_t)size.body);
    *at++ = 0; /* attributes */
    at = put_varint(at, timestamp_delta);
    at = put_varint(at, writer->count);
    at = put_bytes(at, key);
    at = put_bytes(at, value);
    at = put_varint(at, (int64_t)header_count);
    for (size_t i = 0; i < header_count; i++) {
        at = put_bytes(at, &headers[i].key);
        at = put_bytes(at, &headers[i].value);
    }
    MS_ASSERT(at == end);
    if (writer->count == 0 || timestamp_ms > writer->max_timestamp_ms)
        writer->max_timestamp_ms = timestamp_ms;
    writer->count++;
    return 0;
}

int ms_batch_end(struct ms_batch_writer *writer) {
    MS_ASSERT(writer->out);
    struct ms_buf *out = writer->out;
    if (writer->count == 0)
        return withdraw(writer, MS_EINVAL);
    if (writer->codec != MS_CODEC_NONE) {
        int r = ms_compress(writer->codec, 0, ms_buf_bytes(&writer->uncompressed), out);
        if (r < 0)
            return withdraw(writer, r);
        if (out->len - writer->start > INT32_MAX)
            return withdraw(writer, MS_ETOOBIG);
    }
    put_header(writer, out->data + writer->start, out->len - writer->start);
    ms_buf_deinit(&writer->uncompressed);
    writer->out = NULL;
    return 0;
}
