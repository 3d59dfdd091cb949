/*
 * The codecs of Kafka record batches. Decompression runs every codec against one sink, which is
 * the only place that knows the limit: it hands out room in small steps, and once the limit is
 * reached it hands out a single spare byte, so that input which wants to go on shows itself.
 *
 * Memory besides the output: gzip 40 KiB, lz4 at most 8.2 MiB (its largest block twice), zstd the
 * window, at most the larger of 8 MiB and the limit.
 *
 * Sans-I/O; any thread.
 */
#include "wire/compress.h"

#include <lz4frame.h>
#include <lz4hc.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "wire/codec_pool.h"
#include "wire/compress_snappy.h"

#define SINK_STEP_MIN ((size_t)4 * 1024)
#define SINK_STEP_MAX ((size_t)64 * 1024)
#define USUAL_RATIO 4 /* room for input that shrank to a quarter is there at once */
#define INPUT_LEN_MAX ((size_t)INT32_MAX)
#define ZSTD_WINDOW_LOG_MIN 23 /* 8 MiB: what RFC 8878 asks every decoder to support */
#define ZSTD_WINDOW_LOG_MAX 27 /* what zstd's own tools accept */
#define LZ4_BLOCK_SIZE_AT 5    /* behind the magic number and the flags: bits 4 to 6 */
#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY_LEVEL 8

/* ---- the sink ---- */

struct sink {
    struct ms_buf *out;
    size_t left; /* bytes until the limit, the buffer's own included */
    size_t step; /* room is made in pieces of at least this size */
    uint8_t *at; /* the room offered last */
    size_t room;
    uint8_t spare;
};

static void sink_init(struct sink *sink, struct ms_buf *out, size_t max, size_t input_len) {
    size_t free_len = out->max - out->len;
    size_t step = SINK_STEP_MIN;
    while (step < SINK_STEP_MAX && step / USUAL_RATIO < input_len)
        step *= 2;
    *sink = (struct sink){.out = out, .left = max < free_len ? max : free_len, .step = step};
}

/* Offers sink->room bytes at sink->at, never none. */
static int sink_offer(struct sink *sink) {
    if (sink->left == 0) {
        sink->at = &sink->spare;
        sink->room = 1;
        return 0;
    }
    size_t room = sink->left < sink->step ? sink->left : sink->step;
    int r = ms_buf_reserve(sink->out, room);
    if (r < 0)
        return r;
    room = sink->out->capacity - sink->out->len;
    sink->at = sink->out->data + sink->out->len;
    sink->room = room < sink->left ? room : sink->left;
    return 0;
}

static int sink_take(struct sink *sink, size_t len) {
    MS_ASSERT(len <= sink->room);
    if (len > sink->left)
        return MS_ETOOBIG;
    sink->out->len += len;
    sink->left -= len;
    return 0;
}

static int sink_error(const char *codec, int code, struct ms_error *err) {
    return code == MS_ETOOBIG
               ? ms_error_set(err, code, "%s: more decompressed bytes than allowed", codec)
               : ms_error_set(err, code, "%s: out of memory", codec);
}

/* ---- gzip ---- */

static int gzip_inflate(z_stream *stream, struct sink *sink, struct ms_error *err) {
    for (;;) {
        int r = sink_offer(sink);
        if (r < 0)
            return sink_error("gzip", r, err);
        stream->next_out = sink->at;
        stream->avail_out = (uInt)(sink->room < UINT32_MAX ? sink->room : UINT32_MAX);
        uInt before = stream->avail_out;
        int z = inflate(stream, Z_NO_FLUSH);
        r = sink_take(sink, before - stream->avail_out);
        if (r < 0)
            return sink_error("gzip", r, err);
        if (z == Z_STREAM_END) {
            if (stream->avail_in == 0)
                return 0;
            /* Another member follows. */
            z = inflateReset(stream);
        }
        if (z == Z_MEM_ERROR)
            return sink_error("gzip", MS_ENOMEM, err);
        if (z == Z_BUF_ERROR || (z == Z_OK && stream->avail_in == 0 && stream->avail_out > 0))
            return ms_error_set(err, MS_EINVAL, "gzip: the input ends too soon");
        if (z != Z_OK)
            return ms_error_set(err, MS_EINVAL, "gzip: %s",
                                stream->msg ? stream->msg : "damaged input");
    }
}

static int gzip_decompress(struct ms_bytes input, struct sink *sink, struct ms_error *err) {
    z_stream stream = {.next_in = (z_const Bytef *)input.data, .avail_in = (uInt)input.len};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return sink_error("gzip", MS_ENOMEM, err);
    int r = gzip_inflate(&stream, sink, err);
    inflateEnd(&stream);
    return r;
}

static int gzip_compress(int level, struct ms_bytes input, struct ms_buf *out) {
    z_stream stream = {.next_in = (z_const Bytef *)input.data, .avail_in = (uInt)input.len};
    if (deflateInit2(&stream, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS,
                     GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return MS_ENOMEM;
    size_t bound = deflateBound(&stream, input.len);
    int r = ms_buf_reserve(out, bound);
    if (r == 0) {
        stream.next_out = out->data + out->len;
        stream.avail_out = (uInt)bound;
        int z = deflate(&stream, Z_FINISH);
        MS_ASSERT(z == Z_STREAM_END); /* promised by deflateBound */
        out->len += bound - stream.avail_out;
    }
    deflateEnd(&stream);
    return r;
}

/* ---- lz4 ---- */

static int lz4_error(size_t code, struct ms_error *err) {
    const char *name = LZ4F_getErrorName(code);
    return ms_error_set(err, strstr(name, "allocation") ? MS_ENOMEM : MS_EINVAL, "lz4: %s", name);
}

/* A single frame (`frames` is how many lz4_run met) whose header names blocks of at most 64 KiB, as
 * the Java clients write it. */
static bool lz4_is_small(struct ms_bytes input, unsigned frames) {
    return frames <= 1 && input.len > LZ4_BLOCK_SIZE_AT &&
           (input.data[LZ4_BLOCK_SIZE_AT] >> 4) <= LZ4F_max64KB;
}

static int lz4_run(LZ4F_dctx *context, struct ms_bytes input, struct sink *sink,
                   unsigned *ret_frames, struct ms_error *err) {
    size_t at = 0, hint, produced, consumed;
    do {
        int r = sink_offer(sink);
        if (r < 0)
            return sink_error("lz4", r, err);
        produced = sink->room;
        consumed = input.len - at;
        hint = LZ4F_decompress(context, sink->at, &produced, input.data + at, &consumed, NULL);
        if (LZ4F_isError(hint))
            return lz4_error(hint, err);
        r = sink_take(sink, produced);
        if (r < 0)
            return sink_error("lz4", r, err);
        at += consumed;
        *ret_frames += hint == 0 && at < input.len;
        /* A hint of 0 ends a frame; further frames may follow. */
        if (hint != 0 && consumed == 0 && produced == 0)
            return ms_error_set(err, MS_EINVAL, "lz4: the input ends too soon");
    } while (hint != 0 || at < input.len);
    return 0;
}

static int lz4_decompress(struct ms_bytes input, struct sink *sink, struct ms_error *err) {
    unsigned frames = 1;
    LZ4F_dctx *context = ms_lz4_decoder_take();
    if (context == NULL)
        return sink_error("lz4", MS_ENOMEM, err);
    int r = lz4_run(context, input, sink, &frames, err);
    ms_lz4_decoder_give(context, lz4_is_small(input, frames));
    return r;
}

static int lz4_compress(int level, struct ms_bytes input, struct ms_buf *out) {
    /* The Java clients read independent blocks only. */
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
    };
    size_t bound = LZ4F_compressFrameBound(input.len, &preferences);
    int r = ms_buf_reserve(out, bound);
    if (r < 0)
        return r;
    size_t len =
        LZ4F_compressFrame(out->data + out->len, bound, input.data, input.len, &preferences);
    if (LZ4F_isError(len))
        return MS_ENOMEM; /* there is room, so nothing else can be wrong */
    out->len += len;
    return 0;
}

/* ---- zstd ---- */

static int zstd_window_log(size_t max) {
    int log = ZSTD_WINDOW_LOG_MIN;
    while (log < ZSTD_WINDOW_LOG_MAX && max > (size_t)1 << log)
        log++;
    return log;
}

static int zstd_error(size_t code, struct ms_error *err) {
    ZSTD_ErrorCode zstd_code = ZSTD_getErrorCode(code);
    int r = MS_EINVAL;
    if (zstd_code == ZSTD_error_memory_allocation)
        r = MS_ENOMEM;
    else if (zstd_code == ZSTD_error_frameParameter_windowTooLarge)
        r = MS_ETOOBIG;
    return ms_error_set(err, r, "zstd: %s", ZSTD_getErrorName(code));
}

static int zstd_run(ZSTD_DCtx *context, struct ms_bytes input, struct sink *sink,
                    struct ms_error *err) {
    ZSTD_inBuffer in = {input.data, input.len, 0};
    size_t hint;
    do {
        int r = sink_offer(sink);
        if (r < 0)
            return sink_error("zstd", r, err);
        ZSTD_outBuffer out = {sink->at, sink->room, 0};
        size_t before = in.pos;
        hint = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(hint))
            return zstd_error(hint, err);
        r = sink_take(sink, out.pos);
        if (r < 0)
            return sink_error("zstd", r, err);
        /* A hint of 0 ends a frame; further frames may follow. */
        if (hint != 0 && in.pos == before && out.pos == 0)
            return ms_error_set(err, MS_EINVAL, "zstd: the input ends too soon");
    } while (hint != 0 || in.pos < in.size);
    return 0;
}

static int zstd_decompress(struct ms_bytes input, size_t max, struct sink *sink,
                           struct ms_error *err) {
    /* With room for all of it at once zstd needs no window of its own, and copies nothing. */
    unsigned long long content_len = ZSTD_getFrameContentSize(input.data, input.len);
    bool known = content_len != ZSTD_CONTENTSIZE_UNKNOWN && content_len != ZSTD_CONTENTSIZE_ERROR;
    if (known && content_len > sink->left)
        return sink_error("zstd", MS_ETOOBIG, err);
    if (known && ms_buf_reserve(sink->out, (size_t)content_len) < 0)
        return sink_error("zstd", MS_ENOMEM, err);
    ZSTD_DCtx *context = ms_zstd_decoder_take();
    if (context == NULL)
        return sink_error("zstd", MS_ENOMEM, err);
    size_t z = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, zstd_window_log(max));
    MS_ASSERT(!ZSTD_isError(z));
    int r = zstd_run(context, input, sink, err);
    ms_zstd_decoder_give(context);
    return r;
}

static int zstd_compress(int level, struct ms_bytes input, struct ms_buf *out) {
    size_t bound = ZSTD_compressBound(input.len);
    int r = ms_buf_reserve(out, bound);
    if (r < 0)
        return r;
    ZSTD_CCtx *context = ms_zstd_encoder_take();
    if (context == NULL)
        return MS_ENOMEM;
    size_t len = ZSTD_compressCCtx(context, out->data + out->len, bound, input.data, input.len,
                                   level ? level : ZSTD_CLEVEL_DEFAULT);
    ms_zstd_encoder_give(context);
    if (ZSTD_isError(len))
        return MS_ENOMEM; /* there is room, so nothing else can be wrong */
    out->len += len;
    return 0;
}

/* ---- the table ---- */

struct codec {
    const char *name;
    int level_min, level_max;
};
static const struct codec CODECS[] = {
    [MS_CODEC_NONE] = {"none", 0, 0},     [MS_CODEC_GZIP] = {"gzip", 0, Z_BEST_COMPRESSION},
    [MS_CODEC_SNAPPY] = {"snappy", 0, 0}, [MS_CODEC_LZ4] = {"lz4", 0, LZ4HC_CLEVEL_MAX},
    [MS_CODEC_ZSTD] = {"zstd", -7, 22},
};
#define CODEC_COUNT (sizeof CODECS / sizeof CODECS[0])

static int copy_plain(struct ms_bytes input, struct sink *sink, struct ms_error *err) {
    int r = input.len > sink->left ? MS_ETOOBIG : ms_buf_append_bytes(sink->out, input);
    return r < 0 ? sink_error("none", r, err) : 0;
}

static int decompress_with(enum ms_codec codec, struct ms_bytes input, size_t max,
                           struct ms_buf *out, struct ms_error *err) {
    struct sink sink;
    sink_init(&sink, out, max, input.len);
    switch (codec) {
    case MS_CODEC_NONE:
        return copy_plain(input, &sink, err);
    case MS_CODEC_GZIP:
        return gzip_decompress(input, &sink, err);
    case MS_CODEC_SNAPPY:
        return ms_snappy_decompress(input, sink.left, out, err);
    case MS_CODEC_LZ4:
        return lz4_decompress(input, &sink, err);
    case MS_CODEC_ZSTD:
        return zstd_decompress(input, max, &sink, err);
    }
    return ms_error_set(err, MS_EUNSUPPORTED, "unknown codec %d", (int)codec);
}

int ms_decompress(enum ms_codec codec, struct ms_bytes input, size_t max, struct ms_buf *out,
                  struct ms_error *err) {
    size_t start = out->len;
    if (codec != MS_CODEC_NONE && input.len == 0)
        return ms_error_set(err, MS_EINVAL, "compressed bytes are missing");
    if (input.len > INPUT_LEN_MAX)
        return ms_error_set(err, MS_ETOOBIG, "%zu compressed bytes are too many", input.len);
    int r = decompress_with(codec, input, max, out, err);
    if (r < 0)
        out->len = start;
    return r;
}

static int compress_with(enum ms_codec codec, int level, struct ms_bytes input,
                         struct ms_buf *out) {
    switch (codec) {
    case MS_CODEC_NONE:
        return ms_buf_append_bytes(out, input);
    case MS_CODEC_GZIP:
        return gzip_compress(level, input, out);
    case MS_CODEC_SNAPPY:
        return ms_snappy_compress(input, out);
    case MS_CODEC_LZ4:
        return lz4_compress(level, input, out);
    case MS_CODEC_ZSTD:
        return zstd_compress(level, input, out);
    }
    return MS_EUNSUPPORTED;
}

int ms_compress(enum ms_codec codec, int level, struct ms_bytes input, struct ms_buf *out) {
    size_t start = out->len;
    if ((size_t)codec >= CODEC_COUNT)
        return MS_EUNSUPPORTED;
    if (level < CODECS[codec].level_min || level > CODECS[codec].level_max)
        return MS_EINVAL;
    if (input.len > INPUT_LEN_MAX)
        return MS_ETOOBIG;
    int r = compress_with(codec, level, input, out);
    if (r < 0)
        out->len = start;
    return r;
}

int ms_codec_parse(struct ms_bytes name, enum ms_codec *ret_codec) {
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (ms_bytes_equal_cstr(name, CODECS[i].name)) {
            *ret_codec = (enum ms_codec)i;
            return 0;
        }
    }
    return MS_EINVAL;
}

const char *ms_codec_name(enum ms_codec codec) {
    return (size_t)codec < CODEC_COUNT ? CODECS[codec].name : NULL;
}
