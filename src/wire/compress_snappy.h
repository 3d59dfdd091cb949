/*
 * Snappy as Kafka uses it; see compress_snappy.c for the framing. Private to compress.c, which
 * documents errors and limits in compress.h.
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "base/bytes.h"

int ms_snappy_decompress(struct ms_bytes input, size_t max, struct ms_buf *out,
                         struct ms_error *err) MS_MUST_CHECK;
int ms_snappy_compress(struct ms_bytes input, struct ms_buf *out) MS_MUST_CHECK;
