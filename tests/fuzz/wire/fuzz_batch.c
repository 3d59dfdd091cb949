/*
 * Record batches from strangers. The input is a batch, and once more a batch whose length, magic
 * and CRC have been put right, so that mutations reach the records and the codecs behind them. The
 * bytes behind the header also go to a codec on their own.
 *
 * Asserted: no limit is passed; what validates can be walked completely with offsets in order; what
 * was read and written again with another codec reads the same.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "base/hash.h"
#include "wire/compress.h"

#define DECOMPRESSED_MAX ((size_t)256 * 1024)
#define REWRITTEN_MAX ((size_t)4 << 20)
#define HEADERS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the record once more; false when it has more headers than are tried here. */
static bool copy_record(struct ms_batch_writer *writer, const struct ms_record *record) {
    struct ms_record_header_in headers[HEADERS_MAX];
    struct ms_record_header header;
    size_t at = 0, count = 0;
    int r;
    while ((r = ms_record_next_header(record, &at, &header)) == 1) {
        if (count == HEADERS_MAX)
            return false;
        headers[count++] = (struct ms_record_header_in){header.key, header.value};
    }
    MS_ASSERT(r == 0 && count == (size_t)record->header_count);
    return ms_batch_add(writer, record->timestamp_ms, record->key_is_null ? NULL : &record->key,
                        record->value_is_null ? NULL : &record->value, headers, count) == 0;
}

static void compare(struct ms_bytes first, struct ms_bytes second) {
    struct ms_batch_reader a = {0}, b = {0};
    struct ms_record x, y;
    int r;
    MS_ASSERT(ms_batch_reader_init(&a, first, DECOMPRESSED_MAX, NULL) == 0);
    MS_ASSERT(ms_batch_reader_init(&b, second, REWRITTEN_MAX, NULL) == 0);
    while ((r = ms_batch_reader_next(&a, &x, NULL)) == 1) {
        MS_ASSERT(ms_batch_reader_next(&b, &y, NULL) == 1);
        MS_ASSERT(x.offset == a.header.base_offset + a.next_index - 1);
        MS_ASSERT(y.offset == b.next_index - 1 && x.timestamp_ms == y.timestamp_ms);
        MS_ASSERT(x.key_is_null == y.key_is_null && ms_bytes_equal(x.key, y.key));
        MS_ASSERT(x.value_is_null == y.value_is_null && ms_bytes_equal(x.value, y.value));
        MS_ASSERT(x.header_count == y.header_count);
    }
    MS_ASSERT(r == 0 && ms_batch_reader_next(&b, &y, NULL) == 0);
    MS_ASSERT(a.scratch.len <= DECOMPRESSED_MAX);
    ms_batch_reader_deinit(&a);
    ms_batch_reader_deinit(&b);
}

static void rewrite(struct ms_bytes batch, enum ms_codec codec) {
    struct ms_batch_reader reader = {0};
    struct ms_batch_writer writer;
    struct ms_record record;
    struct ms_buf out;
    bool is_copied = true;
    ms_buf_init(&out, REWRITTEN_MAX);
    MS_ASSERT(ms_batch_reader_init(&reader, batch, DECOMPRESSED_MAX, NULL) == 0);
    MS_ASSERT(ms_batch_begin(&writer, &out, codec, reader.header.base_timestamp_ms) == 0);
    while (is_copied && ms_batch_reader_next(&reader, &record, NULL) == 1)
        is_copied = copy_record(&writer, &record);
    if (is_copied) {
        struct ms_batch_header header;
        MS_ASSERT(ms_batch_end(&writer) == 0);
        MS_ASSERT(ms_batch_validate(ms_buf_bytes(&out), REWRITTEN_MAX, &header, NULL) == 0);
        compare(batch, ms_buf_bytes(&out));
    } else {
        ms_batch_abort(&writer);
    }
    ms_batch_reader_deinit(&reader);
    ms_buf_deinit(&out);
}

static void check_batch(uint8_t *batch, size_t len, enum ms_codec codec) {
    struct ms_batch_header header;
    struct ms_batch_reader reader = {0};
    struct ms_record record;
    struct ms_bytes bytes = ms_bytes_of(batch, len);
    if (ms_batch_reader_init(&reader, bytes, DECOMPRESSED_MAX, NULL) == 0)
        while (ms_batch_reader_next(&reader, &record, NULL) == 1)
            MS_ASSERT(record.headers.len <= reader.records.len);
    MS_ASSERT(reader.scratch.len <= DECOMPRESSED_MAX);
    ms_batch_reader_deinit(&reader);
    if (ms_batch_validate(bytes, DECOMPRESSED_MAX, &header, NULL) == 0) {
        ms_batch_patch(batch, 1000, 1);
        rewrite(bytes, codec);
    }
}

static void check_codec(struct ms_bytes bytes, enum ms_codec codec) {
    struct ms_buf out;
    ms_buf_init(&out, 2 * DECOMPRESSED_MAX);
    int r = ms_decompress(codec, bytes, DECOMPRESSED_MAX, &out, NULL);
    MS_ASSERT(r == 0 ? out.len <= DECOMPRESSED_MAX : out.len == 0);
    MS_ASSERT(out.capacity <= 2 * DECOMPRESSED_MAX);
    ms_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *batch = malloc(size + 1);
    if (batch == NULL)
        return 0;
    if (size > 0)
        memcpy(batch, data, size);
    check_batch(batch, size, MS_CODEC_NONE);
    if (size >= MS_BATCH_HEADER_LEN) {
        /* The CRC is made anew, so its place is free to choose the codecs. */
        enum ms_codec read_codec = (enum ms_codec)(batch[MS_BATCH_OFFSET_CRC] % 6);
        enum ms_codec write_codec = (enum ms_codec)(batch[MS_BATCH_OFFSET_CRC + 1] % 5);
        ms_put_be32(batch + 8, (uint32_t)(size - 12));
        batch[16] = 2;
        ms_put_be32(batch + MS_BATCH_OFFSET_CRC,
                    ms_crc32c(0, batch + MS_BATCH_CRC_START, size - MS_BATCH_CRC_START));
        check_batch(batch, size, write_codec);
        check_codec(ms_bytes_of(batch + MS_BATCH_HEADER_LEN, size - MS_BATCH_HEADER_LEN),
                    read_codec);
    }
    free(batch);
    return 0;
}
