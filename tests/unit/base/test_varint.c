/* Tests of base/varint and base/endian: published encodings, every length, truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/varint.h"

static void known_values_have_known_bytes(void **state) {
    (void)state;
    uint8_t out[MS_VARINT64_MAX_BYTES];
    assert_int_equal(ms_uvarint_put(out, 300), 2);
    assert_memory_equal(out, "\xac\x02", 2);
    assert_int_equal(ms_varint_put(out, -1), 1);
    assert_int_equal(out[0], 1);
    assert_int_equal(ms_varint_put(out, -2), 1);
    assert_int_equal(out[0], 3);
    assert_int_equal(ms_uvarint_put(out, UINT64_MAX), 10);
    assert_memory_equal(out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_true(ms_zigzag_encode(INT64_MIN) == UINT64_MAX);
    assert_true(ms_zigzag_decode(UINT64_MAX) == INT64_MIN);
}

static void values_of_every_length_round_trip(void **state) {
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)delta;
            uint8_t out[MS_VARINT64_MAX_BYTES];
            size_t len = ms_uvarint_put(out, value);
            assert_int_equal(ms_uvarint_size(value), len);
            uint64_t again = 0;
            assert_int_equal(ms_uvarint_get(out, len, &again), len);
            assert_true(again == value);
            for (size_t cut = 0; cut < len; cut++)
                assert_int_equal(ms_uvarint_get(out, cut, &again), 0);
            int64_t signed_value = (int64_t)value, signed_again = 0;
            len = ms_varint_put(out, signed_value);
            assert_int_equal(ms_varint_size(signed_value), len);
            assert_int_equal(ms_varint_get(out, len, &signed_again), len);
            assert_true(signed_again == signed_value);
        }
    }
}

static void values_past_64_bits_are_refused(void **state) {
    (void)state;
    uint64_t value = 7;
    const uint8_t too_big[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    assert_int_equal(ms_uvarint_get(too_big, sizeof too_big, &value), -1);
    assert_int_equal(ms_uvarint_get(too_long, sizeof too_long, &value), -1);
    assert_int_equal(ms_uvarint_get(too_long, 9, &value), 0);
    assert_int_equal(value, 7);
}

static void fixed_integers_have_their_byte_order(void **state) {
    (void)state;
    uint8_t at[9] = {0};
    ms_put_be64(at + 1, UINT64_C(0x0102030405060708));
    assert_memory_equal(at + 1, "\1\2\3\4\5\6\7\10", 8);
    assert_true(ms_get_be64(at + 1) == UINT64_C(0x0102030405060708));
    assert_true(ms_get_le64(at + 1) == UINT64_C(0x0807060504030201));
    assert_int_equal(ms_get_be16(at + 1), 0x0102);
    assert_int_equal(ms_get_le16(at + 1), 0x0201);
    assert_int_equal(ms_get_be32(at + 1), 0x01020304);
    assert_int_equal(ms_get_le32(at + 1), 0x04030201);
    ms_put_le32(at + 1, 0xa1b2c3d4);
    assert_memory_equal(at + 1, "\xd4\xc3\xb2\xa1\5", 5);
    ms_put_be16(at + 1, 0xbeef);
    assert_memory_equal(at, "\0\xbe\xef\xb2", 4);
    ms_put_le16(at + 1, 0xbeef);
    ms_put_be32(at + 3, 0x01020304);
    ms_put_le64(at, ms_get_le64(at));
    assert_memory_equal(at, "\0\xef\xbe\1\2\3\4", 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_known_bytes),
        cmocka_unit_test(values_of_every_length_round_trip),
        cmocka_unit_test(values_past_64_bits_are_refused),
        cmocka_unit_test(fixed_integers_have_their_byte_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
