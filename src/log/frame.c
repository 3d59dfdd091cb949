/* Frames; the layout is in frame.h. */
#include "log/frame.h"

#include "base/endian.h"
#include "wire/batch.h"
#include "wire/codec_pool.h"

#define FRAME_LEVEL 3

enum { FRAME_AT_LENGTH = 24, FRAME_AT_ENTRIES = 28 };

int ms_frame_write(struct ms_bytes content, uint32_t entries, struct ms_buf *out) {
    size_t start = out->len, bound = ZSTD_compressBound(content.len);
    uint8_t *place;
    int rc = ms_buf_extend(out, MS_FRAME_HEADER_LEN + bound, &place);
    if (rc != 0)
        return rc;
    ZSTD_CCtx *encoder = ms_zstd_encoder_take();
    size_t len = 0;
    if (encoder != NULL) {
        len = ZSTD_compressCCtx(encoder, place + MS_FRAME_HEADER_LEN, bound, content.data,
                                content.len, FRAME_LEVEL);
        ms_zstd_encoder_give(encoder);
    }
    if (encoder == NULL || ZSTD_isError(len)) {
        out->len = start;
        return MS_ENOMEM;
    }
    memset(place, 0, MS_FRAME_HEADER_LEN);
    ms_put_le32(place + FRAME_AT_LENGTH, (uint32_t)content.len);
    ms_put_le32(place + FRAME_AT_ENTRIES, entries);
    size_t covered = MS_FRAME_HEADER_LEN - MS_BATCH_CRC_START + len;
    ms_put_be32(place + MS_BATCH_OFFSET_CRC, ms_crc32c(0, place + MS_BATCH_CRC_START, covered));
    out->len = start + MS_FRAME_HEADER_LEN + len;
    return 0;
}

int ms_frame_read(struct ms_bytes payload, struct ms_blob **ret_content, size_t *ret_len) {
    if (payload.len < MS_FRAME_HEADER_LEN)
        return MS_ECORRUPT;
    uint32_t crc = ms_get_be32(payload.data + MS_BATCH_OFFSET_CRC);
    if (crc != ms_crc32c(0, payload.data + MS_BATCH_CRC_START, payload.len - MS_BATCH_CRC_START))
        return MS_ECORRUPT;
    size_t len = ms_get_le32(payload.data + FRAME_AT_LENGTH);
    if (len == 0 || len > MS_FRAME_CONTENT_MAX)
        return MS_ECORRUPT;
    struct ms_blob *blob;
    int rc = ms_blob_new(len, &blob);
    if (rc != 0)
        return rc;
    ZSTD_DCtx *decoder = ms_zstd_decoder_take();
    if (decoder == NULL) {
        ms_blob_unref(blob);
        return MS_ENOMEM;
    }
    size_t got = ZSTD_decompressDCtx(decoder, blob->data, len, payload.data + MS_FRAME_HEADER_LEN,
                                     payload.len - MS_FRAME_HEADER_LEN);
    ms_zstd_decoder_give(decoder);
    if (ZSTD_isError(got) || got != len) {
        ms_blob_unref(blob);
        return MS_ECORRUPT;
    }
    *ret_content = blob;
    *ret_len = len;
    return 0;
}
