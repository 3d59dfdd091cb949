/* Contexts that are used again: the same one comes back, nothing of its last use is left in it, and
 * threads don't share one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "wire/codec_pool.h"
#include "wire/compress.h"

#define MAX ((size_t)64 << 20)
#define THREADS 4
#define ROUNDS 200

static void a_context_that_was_given_back_is_taken_again(void **state) {
    (void)state;
    ZSTD_DCtx *decoder = ms_zstd_decoder_take();
    ZSTD_CCtx *encoder = ms_zstd_encoder_take();
    LZ4F_dctx *lz4 = ms_lz4_decoder_take();
    assert_true(decoder != NULL && encoder != NULL && lz4 != NULL);
    ms_zstd_decoder_give(decoder);
    ms_zstd_encoder_give(encoder);
    ms_lz4_decoder_give(lz4, true);
    assert_ptr_equal(ms_zstd_decoder_take(), decoder);
    assert_ptr_equal(ms_zstd_encoder_take(), encoder);
    assert_ptr_equal(ms_lz4_decoder_take(), lz4);
    ms_zstd_decoder_give(decoder);
    ms_zstd_encoder_give(encoder);
    ms_lz4_decoder_give(lz4, false); /* it has grown: freed */
}

static void more_than_there_are_places_for(void **state) {
    (void)state;
    ZSTD_DCtx *decoders[20];
    for (int i = 0; i < 20; i++) {
        decoders[i] = ms_zstd_decoder_take();
        assert_non_null(decoders[i]);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(decoders[i], decoders[k]);
    }
    for (int i = 0; i < 20; i++)
        ms_zstd_decoder_give(decoders[i]);
}

/* A text of its own for each number, compressed and back. */
static bool comes_back(enum ms_codec codec, unsigned number) {
    static const char letters[] = "eventually consistent";
    char text[5000];
    struct ms_buf packed, unpacked;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = letters[(i * number + i / 7) % (sizeof letters - 1)];
    ms_buf_init(&packed, MAX);
    ms_buf_init(&unpacked, MAX);
    bool good = ms_compress(codec, 0, ms_bytes_of(text, sizeof text), &packed) == 0 &&
                ms_decompress(codec, ms_buf_bytes(&packed), MAX, &unpacked, NULL) == 0 &&
                unpacked.len == sizeof text && memcmp(unpacked.data, text, sizeof text) == 0;
    ms_buf_deinit(&packed);
    ms_buf_deinit(&unpacked);
    return good;
}

/* Cut short anywhere: the context is given back in the middle of a frame. */
static void nothing_of_a_failed_use_is_left(void **state) {
    (void)state;
    static const enum ms_codec codecs[] = {MS_CODEC_LZ4, MS_CODEC_ZSTD};
    char text[2000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 3)
        text[i] = (char)('a' + i % 23);
    for (size_t c = 0; c < 2; c++) {
        struct ms_buf packed, unpacked;
        ms_buf_init(&packed, MAX);
        ms_buf_init(&unpacked, MAX);
        assert_int_equal(ms_compress(codecs[c], 0, ms_bytes_of(text, sizeof text), &packed), 0);
        for (size_t len = 1; len < packed.len; len++) {
            assert_int_not_equal(
                ms_decompress(codecs[c], ms_bytes_of(packed.data, len), MAX, &unpacked, NULL), 0);
            assert_int_equal(unpacked.len, 0);
            assert_true(comes_back(codecs[c], (unsigned)len));
        }
        ms_buf_deinit(&packed);
        ms_buf_deinit(&unpacked);
    }
}

static void *pack_and_unpack(void *context) {
    unsigned *number = context;
    for (unsigned round = 0; round < ROUNDS; round++)
        if (!comes_back(MS_CODEC_LZ4, *number + round) || !comes_back(MS_CODEC_ZSTD, *number))
            return context;
    return NULL;
}

static void threads_share_no_context(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = 3 + i * 1000;
        assert_int_equal(pthread_create(&threads[i], NULL, pack_and_unpack, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_that_was_given_back_is_taken_again),
        cmocka_unit_test(more_than_there_are_places_for),
        cmocka_unit_test(nothing_of_a_failed_use_is_left),
        cmocka_unit_test(threads_share_no_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
