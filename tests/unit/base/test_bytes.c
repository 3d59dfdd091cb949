/* Tests of base/bytes: views, numbers, UTF-8, blobs and slices, buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"

/* ---- views ---- */

static int sign(int value) { return (value > 0) - (value < 0); }

static void compare_orders_like_memcmp_shorter_first(void **state) {
    (void)state;
    static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\xff"};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            assert_int_equal(
                sign(ms_bytes_compare(ms_bytes_cstr(sorted[i]), ms_bytes_cstr(sorted[j]))),
                sign(i - j));
    assert_int_equal(ms_bytes_compare((struct ms_bytes){0}, (struct ms_bytes){0}), 0);
}

static void empty_views_may_be_null(void **state) {
    (void)state;
    struct ms_bytes none = {0};
    assert_true(ms_bytes_equal(none, ms_bytes_cstr("")));
    assert_true(ms_bytes_equal(none, ms_bytes_cstr(NULL)));
    assert_true(ms_bytes_starts_with(none, none));
    assert_true(ms_bytes_starts_with(ms_bytes_cstr("abc"), none));
    assert_true(ms_bytes_starts_with(ms_bytes_cstr("abc"), MS_BYTES_LITERAL("ab")));
    assert_false(ms_bytes_starts_with(ms_bytes_cstr("ab"), ms_bytes_cstr("abc")));
    assert_false(ms_bytes_equal_cstr(ms_bytes_cstr("ab"), "ac"));
}

/* ---- numbers ---- */

static void unsigned_numbers_are_read_strictly(void **state) {
    (void)state;
    uint64_t value = 99;
    assert_int_equal(ms_parse_u64(ms_bytes_cstr("0"), &value), 0);
    assert_true(value == 0);
    assert_int_equal(ms_parse_u64(ms_bytes_cstr("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(ms_parse_u64(ms_bytes_cstr("0000000000000000000000000042"), &value), 0);
    assert_true(value == 42);
    static const char *const wrong[] = {"",
                                        " 1",
                                        "1 ",
                                        "+1",
                                        "-1",
                                        "0x10",
                                        "1.0",
                                        "1e3",
                                        "a",
                                        "/",
                                        ":",
                                        "18446744073709551616",
                                        "99999999999999999999",
                                        "100000000000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ms_parse_u64(ms_bytes_cstr(wrong[i]), &value), MS_EINVAL);
    assert_int_equal(ms_parse_u64(ms_bytes_of("1\0", 2), &value), MS_EINVAL);
    assert_int_equal(ms_parse_u64((struct ms_bytes){0}, &value), MS_EINVAL);
    assert_true(value == 42);
}

static void signed_numbers_reach_both_ends(void **state) {
    (void)state;
    int64_t value = 7;
    assert_int_equal(ms_parse_i64(ms_bytes_cstr("-9223372036854775808"), &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(ms_parse_i64(ms_bytes_cstr("9223372036854775807"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(ms_parse_i64(ms_bytes_cstr("-0"), &value), 0);
    assert_true(value == 0);
    assert_int_equal(ms_parse_i64(ms_bytes_cstr("-17"), &value), 0);
    assert_true(value == -17);
    static const char *const wrong[] = {
        "", "-", "--1", "+1", "- 1", "9223372036854775808", "1-", "-9223372036854775809"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ms_parse_i64(ms_bytes_cstr(wrong[i]), &value), MS_EINVAL);
    assert_true(value == -17);
}

/* ---- UTF-8 ---- */

static void utf8_accepts_every_scalar_value(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= 0x110010; c++) {
        uint8_t text[4];
        size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = len; i-- > 1;)
            text[i] = (uint8_t)(0x80 | (c >> 6 * (len - 1 - i) & 0x3f));
        text[0] = (uint8_t)(leads[len] | c >> 6 * (len - 1));
        bool wanted = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        if (ms_utf8_valid(ms_bytes_of(text, len)) != wanted)
            fail_msg("U+%04X", c);
        if (len > 1 && ms_utf8_valid(ms_bytes_of(text, len - 1)))
            fail_msg("U+%04X cut short", c);
    }
}

static void utf8_refuses_overlong_forms_and_stray_bytes(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xc2\x41",
        "\xe2\x82\x41",
        "\xf0\x9f\x98\x41",
        "\xed\xa0\x80",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(ms_utf8_valid(ms_bytes_cstr(wrong[i])));
    assert_true(ms_utf8_valid((struct ms_bytes){0}));
}

static void utf8_finds_the_wrong_byte_at_any_place(void **state) {
    (void)state;
    char text[100];
    for (size_t len = 1; len <= sizeof text; len++) {
        memset(text, 'a', len);
        assert_true(ms_utf8_valid(ms_bytes_of(text, len)));
        for (size_t at = 0; at < len; at++) {
            text[at] = (char)0x80;
            assert_false(ms_utf8_valid(ms_bytes_of(text, len)));
            text[at] = 'a';
            if (at + 1 < len) {
                memcpy(text + at, "\xc3\xa9", 2);
                assert_true(ms_utf8_valid(ms_bytes_of(text, len)));
                memcpy(text + at, "aa", 2);
            }
        }
    }
}

/* ---- blobs ---- */

static void large_blobs_are_aligned(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 65536, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ms_blob *blob;
        assert_int_equal(ms_blob_new(sizes[i], &blob), 0);
        assert_int_equal(blob->size, sizes[i]);
        assert_non_null(blob->data);
        memset(blob->data, 0xab, sizes[i]);
        if (sizes[i] >= 4096)
            assert_int_equal((uintptr_t)blob->data % 4096, 0);
        ms_blob_unref(blob);
    }
    ms_blob_unref(NULL);
    assert_null(ms_blob_ref(NULL));
}

static void slices_keep_their_blob(void **state) {
    (void)state;
    struct ms_blob *blob;
    assert_int_equal(ms_blob_new(10, &blob), 0);
    memcpy(blob->data, "0123456789", 10);
    struct ms_slice slice = ms_slice_of(blob, 3, 4);
    assert_int_equal(blob->refs, 2);
    ms_blob_unref(blob);
    assert_true(ms_bytes_equal_cstr(slice.bytes, "3456"));
    ms_slice_unref(&slice);
    assert_null(slice.blob);
    assert_int_equal(slice.bytes.len, 0);
    ms_slice_unref(&slice);
}

static void *ref_and_unref(void *argument) {
    struct ms_blob *blob = argument;
    for (int i = 0; i < 10000; i++) {
        struct ms_slice slice = ms_slice_of(blob, 0, 1);
        ms_slice_unref(&slice);
    }
    ms_blob_unref(blob);
    return NULL;
}

static void blobs_are_shared_between_threads(void **state) {
    (void)state;
    struct ms_blob *blob;
    assert_int_equal(ms_blob_new(1, &blob), 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, ms_blob_ref(blob)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(blob->refs, 1);
    ms_blob_unref(blob);
}

static void blobs_survive_every_failed_allocation(void **state) {
    (void)state;
    static const size_t sizes[] = {10, 10000};
    for (int i = 0; i < 2; i++) {
        struct ms_blob *blob = NULL;
        int n = 1;
        for (;; n++) {
            ms_alloc_fail_nth((uint64_t)n);
            int code = ms_blob_new(sizes[i], &blob);
            if (!ms_alloc_has_failed())
                break;
            assert_int_equal(code, MS_ENOMEM);
            assert_null(blob);
        }
        ms_alloc_fail_nth(0);
        assert_int_equal(n, i + 2);
        ms_blob_unref(blob);
    }
}

/* ---- buffers ---- */

static void buffers_hold_what_was_appended(void **state) {
    (void)state;
    struct ms_buf buf;
    ms_buf_init(&buf, 1000000);
    uint8_t *model = malloc(1000000);
    size_t len = 0;
    srandom(1);
    while (len < 900000) {
        uint8_t piece[300];
        size_t piece_len = (size_t)random() % sizeof piece;
        for (size_t i = 0; i < piece_len; i++)
            piece[i] = (uint8_t)random();
        if (random() % 2) {
            assert_int_equal(ms_buf_append(&buf, piece, piece_len), 0);
        } else {
            uint8_t *place = NULL;
            assert_int_equal(ms_buf_extend(&buf, piece_len, &place), 0);
            memcpy(place, piece, piece_len);
        }
        memcpy(model + len, piece, piece_len);
        len += piece_len;
        assert_int_equal(ms_buf_append_u8(&buf, 0x5a), 0);
        model[len++] = 0x5a;
    }
    assert_int_equal(buf.len, len);
    assert_memory_equal(buf.data, model, len);
    ms_buf_clear(&buf);
    assert_int_equal(ms_buf_bytes(&buf).len, 0);
    ms_buf_deinit(&buf);
    free(model);
}

static void buffers_end_at_their_maximum(void **state) {
    (void)state;
    for (size_t max = 0; max < 300; max++) {
        struct ms_buf buf;
        ms_buf_init(&buf, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(ms_buf_append_u8(&buf, (uint8_t)i), 0);
        uint8_t *place = NULL;
        assert_int_equal(ms_buf_append_u8(&buf, 1), MS_ETOOBIG);
        assert_int_equal(ms_buf_append(&buf, "x", 1), MS_ETOOBIG);
        assert_int_equal(ms_buf_append_cstr(&buf, "x"), MS_ETOOBIG);
        assert_int_equal(ms_buf_reserve(&buf, 1), MS_ETOOBIG);
        assert_int_equal(ms_buf_reserve(&buf, SIZE_MAX), MS_ETOOBIG);
        assert_int_equal(ms_buf_extend(&buf, 1, &place), MS_ETOOBIG);
        assert_int_equal(ms_buf_printf(&buf, "%d", 1), MS_ETOOBIG);
        assert_null(place);
        assert_int_equal(ms_buf_append(&buf, NULL, 0), 0);
        assert_int_equal(ms_buf_append_cstr(&buf, NULL), 0);
        assert_int_equal(ms_buf_printf(&buf, "%s", ""), 0);
        assert_int_equal(buf.len, max);
        assert_true(buf.capacity <= max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf.data[i], (uint8_t)i);
        ms_buf_deinit(&buf);
    }
}

static void room_can_be_exact(void **state) {
    (void)state;
    struct ms_buf buf;
    ms_buf_init(&buf, 1000);
    assert_int_equal(ms_buf_reserve_exact(&buf, 100), 0);
    assert_int_equal(buf.capacity, 100);
    assert_int_equal(ms_buf_append(&buf, "0123456789", 10), 0);
    assert_int_equal(ms_buf_reserve_exact(&buf, 90), 0);
    assert_int_equal(buf.capacity, 100);
    assert_int_equal(ms_buf_reserve_exact(&buf, 991), MS_ETOOBIG);
    assert_int_equal(ms_buf_reserve_exact(&buf, 200), 0);
    assert_int_equal(buf.capacity, 210);
    assert_memory_equal(buf.data, "0123456789", 10);
    ms_buf_deinit(&buf);
}

static void printf_may_fill_a_buffer_exactly(void **state) {
    (void)state;
    for (size_t max = 1; max < 200; max++) {
        struct ms_buf buf;
        ms_buf_init(&buf, max);
        assert_int_equal(ms_buf_append_u8(&buf, '>'), 0);
        assert_int_equal(ms_buf_printf(&buf, "%0*d", (int)max, 7), MS_ETOOBIG);
        assert_int_equal(buf.len, 1);
        if (max > 1)
            assert_int_equal(ms_buf_printf(&buf, "%0*d", (int)max - 1, 7), 0);
        assert_int_equal(buf.len, max);
        assert_int_equal(buf.data[max - 1], max > 1 ? '7' : '>');
        ms_buf_deinit(&buf);
    }
}

static void a_failed_append_changes_nothing(void **state) {
    (void)state;
    struct ms_buf buf;
    ms_buf_init(&buf, 100000);
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_buf_printf(&buf, "hello"), MS_ENOMEM);
    assert_int_equal(buf.len, 0);
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_buf_append_cstr(&buf, "hello"), 0);
    ms_alloc_fail_from(1);
    uint8_t big[1000] = {0};
    assert_int_equal(ms_buf_append(&buf, big, sizeof big), MS_ENOMEM);
    assert_int_equal(ms_buf_printf(&buf, "%01000d", 1), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&buf), "hello"));
    ms_buf_deinit(&buf);
}

static void an_unlimited_buffer_refuses_the_impossible(void **state) {
    (void)state;
    struct ms_buf buf;
    ms_buf_init(&buf, SIZE_MAX);
    assert_int_equal(ms_buf_append_u8(&buf, 1), 0);
    assert_int_equal(ms_buf_reserve(&buf, SIZE_MAX), MS_ETOOBIG);
    assert_int_equal(ms_buf_reserve(&buf, SIZE_MAX - 1), MS_ENOMEM);
    assert_int_equal(buf.len, 1);
    ms_buf_deinit(&buf);
}

static void a_zeroed_buffer_can_be_ended(void **state) {
    (void)state;
    struct ms_buf buf = {0};
    ms_buf_deinit(&buf);
    ms_buf_deinit(&buf);
    assert_int_equal(ms_buf_append_u8(&buf, 1), MS_ETOOBIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_orders_like_memcmp_shorter_first),
        cmocka_unit_test(empty_views_may_be_null),
        cmocka_unit_test(unsigned_numbers_are_read_strictly),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(utf8_accepts_every_scalar_value),
        cmocka_unit_test(utf8_refuses_overlong_forms_and_stray_bytes),
        cmocka_unit_test(utf8_finds_the_wrong_byte_at_any_place),
        cmocka_unit_test(large_blobs_are_aligned),
        cmocka_unit_test(slices_keep_their_blob),
        cmocka_unit_test(blobs_are_shared_between_threads),
        cmocka_unit_test(blobs_survive_every_failed_allocation),
        cmocka_unit_test(buffers_hold_what_was_appended),
        cmocka_unit_test(buffers_end_at_their_maximum),
        cmocka_unit_test(room_can_be_exact),
        cmocka_unit_test(printf_may_fill_a_buffer_exactly),
        cmocka_unit_test(a_failed_append_changes_nothing),
        cmocka_unit_test(an_unlimited_buffer_refuses_the_impossible),
        cmocka_unit_test(a_zeroed_buffer_can_be_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
