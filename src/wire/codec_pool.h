/*
 * Contexts of lz4 and zstd that are used again. To make one costs 60 to 160 KiB of fresh memory,
 * which is more than a usual batch is worth.
 *
 * Taken from and given back to a few places shared by all threads, without a lock: when they are
 * empty a context is made, when they are full it is freed. What has grown large is not kept. Any
 * thread.
 */
#pragma once

#include <lz4frame.h>
#include <stdbool.h>
#include <zstd.h>

/* As new: no parameters, no frame begun. NULL without memory. */
ZSTD_DCtx *ms_zstd_decoder_take(void);
void ms_zstd_decoder_give(ZSTD_DCtx *decoder);
ZSTD_CCtx *ms_zstd_encoder_take(void);
void ms_zstd_encoder_give(ZSTD_CCtx *encoder);
LZ4F_dctx *ms_lz4_decoder_take(void);
/* `small`: it has met no frame with blocks above 64 KiB. lz4 does not tell how large it is. */
void ms_lz4_decoder_give(LZ4F_dctx *decoder, bool small);
