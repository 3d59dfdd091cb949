/*
 * The codecs of Kafka record batches: gzip (zlib), snappy (raw blocks and the Java framing
 * "\x82SNAPPY\0"), lz4 (frame format), zstd. Decompression never produces more than the limit it is
 * given, whatever the input claims. Joined gzip members, lz4 and zstd frames and snappy streams are
 * read as one.
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "wire/batch.h"

/* Appends the decompressed bytes to *out. MS_ETOOBIG past `max` bytes (or past out->max), MS_EINVAL
 * for damaged or missing input, MS_EUNSUPPORTED for an unknown codec, MS_ENOMEM. A zstd window
 * above the larger of 8 MiB and `max` is MS_ETOOBIG too. On failure *out is as before. */
int ms_decompress(enum ms_codec codec, struct ms_bytes input, size_t max, struct ms_buf *out,
                  struct ms_error *err) MS_MUST_CHECK;
/* Appends the compressed bytes to *out. level 0 = the codec's default; gzip 1..9, lz4 1..12, zstd
 * -7..22. Snappy is written in the Java framing, which every Kafka client reads. *out must have
 * room for the codec's worst case, the input and about a sixth more. MS_EINVAL (level),
 * MS_EUNSUPPORTED, MS_ETOOBIG, MS_ENOMEM; on failure *out is as before. */
int ms_compress(enum ms_codec codec, int level, struct ms_bytes input, struct ms_buf *out)
    MS_MUST_CHECK;

/* "none", "gzip", "snappy", "lz4", "zstd"; MS_EINVAL / NULL for anything else. */
int ms_codec_parse(struct ms_bytes name, enum ms_codec *ret_codec) MS_MUST_CHECK;
const char *ms_codec_name(enum ms_codec codec);
