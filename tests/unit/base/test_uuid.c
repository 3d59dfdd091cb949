/* Tests of base/uuid: versions, order in time, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uuid.h"

static const uint8_t ones[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void version_and_variant_are_stamped(void **state) {
    (void)state;
    static const uint8_t zeros[16] = {0};
    char text[MS_UUID_TEXT_LEN + 1];
    struct ms_uuid uuid;
    ms_uuid_v4(zeros, &uuid);
    ms_uuid_format(&uuid, text);
    assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
    ms_uuid_v4(ones, &uuid);
    ms_uuid_format(&uuid, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    ms_uuid_v7(0, zeros, &uuid);
    ms_uuid_format(&uuid, text);
    assert_string_equal(text, "00000000-0000-7000-8000-000000000000");
}

static void version_7_matches_the_specification(void **state) {
    (void)state;
    /* RFC 9562, appendix A.6 */
    static const uint8_t random_bytes[10] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc,
                                             0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char text[MS_UUID_TEXT_LEN + 1];
    struct ms_uuid uuid;
    ms_uuid_v7(UINT64_C(0x017f22e279b0), random_bytes, &uuid);
    ms_uuid_format(&uuid, text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void version_7_sorts_by_time(void **state) {
    (void)state;
    static const uint8_t zeros[10] = {0};
    struct ms_uuid before, after;
    for (uint64_t ms = 1; ms < UINT64_C(1) << 47; ms = ms * 3 + 1) {
        ms_uuid_v7(ms - 1, ones, &before);
        ms_uuid_v7(ms, zeros, &after);
        assert_true(memcmp(before.bytes, after.bytes, 16) < 0);
    }
}

static void text_round_trips_in_any_case(void **state) {
    (void)state;
    struct ms_uuid uuid, again;
    char text[MS_UUID_TEXT_LEN + 1];
    for (int i = 0; i < 16; i++)
        uuid.bytes[i] = (uint8_t)(i * 17 + 3);
    ms_uuid_format(&uuid, text);
    assert_int_equal(strlen(text), MS_UUID_TEXT_LEN);
    assert_int_equal(ms_uuid_parse(ms_bytes_cstr(text), &again), 0);
    assert_true(ms_uuid_equal(&uuid, &again));
    assert_int_equal(ms_uuid_parse(ms_bytes_cstr("ABCDEF01-2345-6789-abcd-efABCDEF0123"), &again),
                     0);
    ms_uuid_format(&again, text);
    assert_string_equal(text, "abcdef01-2345-6789-abcd-efabcdef0123");
    assert_false(ms_uuid_equal(&uuid, &again));
}

static void every_wrong_character_is_refused(void **state) {
    (void)state;
    const char *good = "01234567-89ab-cdef-0123-456789abcdef";
    struct ms_uuid uuid;
    memset(&uuid, 0x55, sizeof uuid);
    char text[MS_UUID_TEXT_LEN + 2];
    for (int at = 0; at < MS_UUID_TEXT_LEN; at++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, good, MS_UUID_TEXT_LEN + 1);
            text[at] = (char)c;
            bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            bool wanted = good[at] == '-' ? c == '-' : digit;
            struct ms_uuid parsed = uuid;
            int code = ms_uuid_parse(ms_bytes_of(text, MS_UUID_TEXT_LEN), &parsed);
            assert_int_equal(code, wanted ? 0 : MS_EINVAL);
            if (!wanted)
                assert_true(ms_uuid_equal(&parsed, &uuid));
        }
    }
    for (size_t len = 0; len < MS_UUID_TEXT_LEN; len++)
        assert_int_equal(ms_uuid_parse(ms_bytes_of(good, len), &uuid), MS_EINVAL);
    assert_int_equal(ms_uuid_parse(ms_bytes_of(good, MS_UUID_TEXT_LEN + 1), &uuid), MS_EINVAL);
    assert_int_equal(ms_uuid_parse((struct ms_bytes){0}, &uuid), MS_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_variant_are_stamped),
        cmocka_unit_test(version_7_matches_the_specification),
        cmocka_unit_test(version_7_sorts_by_time),
        cmocka_unit_test(text_round_trips_in_any_case),
        cmocka_unit_test(every_wrong_character_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
