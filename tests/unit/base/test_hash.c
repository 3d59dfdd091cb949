/* Tests of base/hash: published check values, continuing, equality of the ways to the same hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

static void crc32c_has_the_standard_values(void **state) {
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(ms_crc32c(0, "123456789", 9), 0xe3069283);
    /* RFC 3720, appendix B.4 */
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(ms_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(ms_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(ms_crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(ms_crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
    assert_int_equal(ms_crc32c(0, NULL, 0), 0);
    assert_int_equal(ms_crc32c(0x1234, NULL, 0), 0x1234);
}

/* Bit by bit, from the definition. */
static uint32_t slow_crc32c(const uint8_t *data, size_t len) {
    uint32_t state = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        state ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            state = state >> 1 ^ (state & 1 ? 0x82f63b78 : 0);
    }
    return ~state;
}

static void crc32c_of_every_length_and_split_is_right(void **state) {
    (void)state;
    uint8_t data[1100];
    srandom(2);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)random();
    for (size_t len = 0; len <= sizeof data; len += len < 300 ? 1 : 37) {
        uint32_t wanted = slow_crc32c(data, len);
        assert_int_equal(ms_crc32c(0, data, len), wanted);
        for (size_t split = 0; split <= len; split += 1 + len / 7)
            assert_int_equal(ms_crc32c(ms_crc32c(0, data, split), data + split, len - split),
                             wanted);
    }
}

static void hashes_have_known_values(void **state) {
    (void)state;
    /* The values of an empty input are published with XXH3. */
    assert_true(ms_hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    static const uint8_t empty128[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                         0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    struct ms_hash128 hash = ms_hash128("", 0, 0);
    assert_memory_equal(hash.bytes, empty128, 16);
}

static void seeds_and_content_change_the_hash(void **state) {
    (void)state;
    assert_true(ms_hash64("abc", 3, 0) != ms_hash64("abc", 3, 1));
    assert_true(ms_hash64("abc", 3, 0) != ms_hash64("abd", 3, 0));
    struct ms_hash128 a = ms_hash128("abc", 3, 0), b = ms_hash128("abc", 3, 1);
    assert_memory_not_equal(a.bytes, b.bytes, 16);
}

static void a_pair_hashes_like_the_whole(void **state) {
    (void)state;
    uint8_t data[3000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    static const size_t lens[] = {0, 1, 8, 16, 100, 240, 241, 511, 512, 513, 1024, 3000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t split = 0; split <= lens[i]; split += 1 + lens[i] / 11) {
            for (uint64_t seed = 0; seed < 3; seed++) {
                struct ms_hash128 whole = ms_hash128(data, lens[i], seed);
                struct ms_hash128 pair =
                    ms_hash128_pair(ms_bytes_of(split ? data : NULL, split),
                                    ms_bytes_of(data + split, lens[i] - split), seed);
                assert_memory_equal(pair.bytes, whole.bytes, 16);
            }
        }
    }
}

static void a_hasher_gives_the_hash_of_the_whole(void **state) {
    (void)state;
    uint8_t data[3000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 11 + i / 256);
    for (size_t len = 0; len <= sizeof data; len += 1 + len / 3) {
        for (size_t piece = 1; piece <= 1000; piece = piece * 3 + 1) {
            struct ms_hasher *hasher;
            assert_int_equal(ms_hasher_new(&hasher), 0);
            for (size_t at = 0; at < len; at += piece)
                ms_hasher_add(hasher, data + at, len - at < piece ? len - at : piece);
            struct ms_hash128 pieces = ms_hasher_end(hasher);
            struct ms_hash128 whole = ms_hash128(data, len, 0);
            assert_memory_equal(pieces.bytes, whole.bytes, 16);
        }
    }
}

static void a_hasher_needs_memory(void **state) {
    (void)state;
    struct ms_hasher *hasher = NULL;
    for (uint64_t n = 1;; n++) {
        ms_alloc_fail_nth(n);
        int code = ms_hasher_new(&hasher);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(code, failed ? MS_ENOMEM : 0);
        if (!failed)
            break;
        assert_null(hasher);
    }
    (void)ms_hasher_end(hasher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_has_the_standard_values),
        cmocka_unit_test(crc32c_of_every_length_and_split_is_right),
        cmocka_unit_test(hashes_have_known_values),
        cmocka_unit_test(seeds_and_content_change_the_hash),
        cmocka_unit_test(a_pair_hashes_like_the_whole),
        cmocka_unit_test(a_hasher_gives_the_hash_of_the_whole),
        cmocka_unit_test(a_hasher_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
