/*
 * Snappy for record batches. Two forms are in use: one raw block, and the framing that the Java
 * clients write (big endian):
 *
 *   off size field
 *     0    8 magic                82 'S' 'N' 'A' 'P' 'P' 'Y' 00
 *     8    4 version              1
 *    12    4 compatible version   1
 *    16    4 block length         then so many bytes of a raw block, repeated to the end
 *
 * Streams may be joined: where a block length is due, another magic starts over.
 *
 * Promises: a block's claimed length is checked against the limit, and against what so few bytes
 * can stand for, before any memory is asked for.
 *
 * Sans-I/O; any thread.
 */
#include "wire/compress_snappy.h"

#include <snappy-c.h>

#include "base/endian.h"

#define BLOCK_LEN ((size_t)32 * 1024)
#define STREAM_HEADER_LEN 16u
/* The densest element is a 3-byte copy that stands for 64 bytes. */
#define EXPANSION_MAX 22u

static const uint8_t STREAM_MAGIC[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static bool starts_stream(struct ms_bytes input) {
    return ms_bytes_starts_with(input, ms_bytes_of(STREAM_MAGIC, sizeof STREAM_MAGIC));
}

/* `room` is what the limit leaves. */
static int decompress_block(struct ms_bytes block, size_t room, struct ms_buf *out,
                            struct ms_error *err) {
    const char *data = (const char *)block.data;
    size_t len;
    if (block.len == 0 || snappy_uncompressed_length(data, block.len, &len) != SNAPPY_OK ||
        len > block.len * EXPANSION_MAX)
        return ms_error_set(err, MS_EINVAL, "snappy: damaged block length");
    if (len > room)
        return ms_error_set(err, MS_ETOOBIG, "snappy: a block of %zu bytes, %zu are left", len,
                            room);
    int r = ms_buf_reserve(out, len);
    if (r < 0)
        return ms_error_set(err, r, "snappy: no room for a block of %zu bytes", len);
    if (len == 0)
        return snappy_validate_compressed_buffer(data, block.len) == SNAPPY_OK
                   ? 0
                   : ms_error_set(err, MS_EINVAL, "snappy: damaged block");
    if (snappy_uncompress(data, block.len, (char *)out->data + out->len, &len) != SNAPPY_OK)
        return ms_error_set(err, MS_EINVAL, "snappy: damaged block");
    out->len += len;
    return 0;
}

static int decompress_stream(struct ms_bytes input, size_t max, struct ms_buf *out,
                             struct ms_error *err) {
    size_t start = out->len;
    const uint8_t *at = input.data, *end = input.data + input.len;
    while (at < end) {
        size_t left = (size_t)(end - at);
        if (starts_stream(ms_bytes_of(at, left))) {
            if (left < STREAM_HEADER_LEN || ms_get_be32(at + 8) == 0 || ms_get_be32(at + 12) != 1)
                return ms_error_set(err, MS_EINVAL, "snappy: damaged stream header");
            at += STREAM_HEADER_LEN;
            continue;
        }
        if (left < 4 || ms_get_be32(at) > left - 4)
            return ms_error_set(err, MS_EINVAL, "snappy: truncated block");
        struct ms_bytes block = {at + 4, ms_get_be32(at)};
        int r = decompress_block(block, max - (out->len - start), out, err);
        if (r < 0)
            return r;
        at = block.data + block.len;
    }
    return 0;
}

int ms_snappy_decompress(struct ms_bytes input, size_t max, struct ms_buf *out,
                         struct ms_error *err) {
    if (starts_stream(input))
        return decompress_stream(input, max, out, err);
    return decompress_block(input, max, out, err);
}

int ms_snappy_compress(struct ms_bytes input, struct ms_buf *out) {
    uint8_t *place;
    int r = ms_buf_extend(out, STREAM_HEADER_LEN, &place);
    if (r < 0)
        return r;
    memcpy(place, STREAM_MAGIC, sizeof STREAM_MAGIC);
    ms_put_be32(place + 8, 1);
    ms_put_be32(place + 12, 1);
    for (size_t at = 0; at < input.len; at += BLOCK_LEN) {
        size_t len = input.len - at < BLOCK_LEN ? input.len - at : BLOCK_LEN;
        size_t compressed_len = snappy_max_compressed_length(len);
        r = ms_buf_reserve(out, 4 + compressed_len);
        if (r < 0)
            return r;
        place = out->data + out->len;
        snappy_status status =
            snappy_compress((const char *)input.data + at, len, (char *)place + 4, &compressed_len);
        MS_ASSERT(status == SNAPPY_OK); /* only fails when the output is too small */
        ms_put_be32(place, (uint32_t)compressed_len);
        out->len += 4 + compressed_len;
    }
    return 0;
}
