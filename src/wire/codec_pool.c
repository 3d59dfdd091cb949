/* Places for contexts that are used again; see codec_pool.h. */
#include "wire/codec_pool.h"

#include <stdatomic.h>
#include <stddef.h>

#define PLACES 8
#define KEPT_BYTES_MAX ((size_t)4 << 20)

struct pool {
    _Atomic(void *) places[PLACES];
};

static struct pool zstd_decoders, zstd_encoders, lz4_decoders;

static void *take(struct pool *pool) {
    for (int i = 0; i < PLACES; i++) {
        void *context = NULL;
        if (atomic_load_explicit(&pool->places[i], memory_order_relaxed) != NULL)
            context = atomic_exchange_explicit(&pool->places[i], NULL, memory_order_acquire);
        if (context != NULL)
            return context;
    }
    return NULL;
}

/* False: there is no place. */
static bool give(struct pool *pool, void *context) {
    for (int i = 0; i < PLACES; i++) {
        void *none = NULL;
        if (atomic_load_explicit(&pool->places[i], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(&pool->places[i], &none, context,
                                                    memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}

ZSTD_DCtx *ms_zstd_decoder_take(void) {
    ZSTD_DCtx *decoder = take(&zstd_decoders);
    return decoder != NULL ? decoder : ZSTD_createDCtx();
}

void ms_zstd_decoder_give(ZSTD_DCtx *decoder) {
    bool fit = ZSTD_sizeof_DCtx(decoder) <= KEPT_BYTES_MAX &&
               !ZSTD_isError(ZSTD_DCtx_reset(decoder, ZSTD_reset_session_and_parameters));
    if (!fit || !give(&zstd_decoders, decoder))
        (void)ZSTD_freeDCtx(decoder);
}

ZSTD_CCtx *ms_zstd_encoder_take(void) {
    ZSTD_CCtx *encoder = take(&zstd_encoders);
    return encoder != NULL ? encoder : ZSTD_createCCtx();
}

void ms_zstd_encoder_give(ZSTD_CCtx *encoder) {
    bool fit = ZSTD_sizeof_CCtx(encoder) <= KEPT_BYTES_MAX &&
               !ZSTD_isError(ZSTD_CCtx_reset(encoder, ZSTD_reset_session_and_parameters));
    if (!fit || !give(&zstd_encoders, encoder))
        (void)ZSTD_freeCCtx(encoder);
}

LZ4F_dctx *ms_lz4_decoder_take(void) {
    LZ4F_dctx *decoder = take(&lz4_decoders);
    if (decoder == NULL && LZ4F_isError(LZ4F_createDecompressionContext(&decoder, LZ4F_VERSION)))
        return NULL;
    return decoder;
}

void ms_lz4_decoder_give(LZ4F_dctx *decoder, bool small) {
    if (small)
        LZ4F_resetDecompressionContext(decoder);
    if (!small || !give(&lz4_decoders, decoder))
        (void)LZ4F_freeDecompressionContext(decoder);
}
