/*
 * Frames: entries of a segment that the scavenger has rewritten, compressed together with zstd.
 *
 * A frame is the payload of one entry of kind MS_ENTRY_FRAME, whose first position is that of the
 * first entry inside:
 *
 *     0   17 zero
 *    17    4 crc of everything behind it, big endian (where a batch has its own)
 *    21    3 zero
 *    24    4 length of the content, decompressed
 *    28    4 number of entries inside
 *    32    … the content, compressed
 *
 * Content: for each entry 8 bytes commit time (ms, little endian), then its header and batch
 * exactly as in a block (block.h).
 *
 * Sans-I/O; one thread per object.
 */
#pragma once

#include "log/block.h"

#define MS_FRAME_HEADER_LEN 32u
#define MS_FRAME_TIME_LEN 8u
#define MS_FRAME_CONTENT_TARGET ((size_t)64 << 10) /* a frame is closed when it has this much */
#define MS_FRAME_CONTENT_MAX ((size_t)544 << 20)   /* one entry of the largest append there is */

/* Appends the payload of a frame made of `content` to *out. MS_ENOMEM, MS_ETOOBIG. */
int ms_frame_write(struct ms_bytes content, uint32_t entries, struct ms_buf *out) MS_MUST_CHECK;

/* The content, decompressed into a new blob. MS_ECORRUPT, MS_ENOMEM. */
int ms_frame_read(struct ms_bytes payload, struct ms_blob **ret_content, size_t *ret_len)
    MS_MUST_CHECK;
