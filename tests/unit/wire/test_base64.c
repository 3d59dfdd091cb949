/* Base64: the RFC's vectors, and that no value has a second spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/base64.h"

static const struct {
    const char *data, *text;
} vectors[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

static void reads_and_writes_the_vectors_of_rfc_4648(void **state) {
    (void)state;
    struct ms_arena arena;
    struct ms_buf out;
    ms_arena_init(&arena, 1 << 16);
    ms_buf_init(&out, 100);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct ms_bytes data;
        assert_int_equal(ms_base64_decode(ms_bytes_cstr(vectors[i].text), &arena, &data), 0);
        assert_non_null(data.data);
        assert_true(ms_bytes_equal_cstr(data, vectors[i].data));
        ms_buf_clear(&out);
        assert_int_equal(ms_base64_write(&out, ms_bytes_cstr(vectors[i].data)), 0);
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), vectors[i].text));
    }
    ms_buf_deinit(&out);
    ms_arena_deinit(&arena);
}

static void every_byte_survives(void **state) {
    (void)state;
    struct ms_arena arena;
    struct ms_buf out;
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    ms_arena_init(&arena, 1 << 20);
    ms_buf_init(&out, 1000);
    for (size_t len = 0; len <= sizeof all; len++) {
        struct ms_bytes data;
        ms_buf_clear(&out);
        assert_int_equal(ms_base64_write(&out, ms_bytes_of(all, len)), 0);
        assert_int_equal(out.len, (len + 2) / 3 * 4);
        assert_int_equal(ms_base64_decode(ms_buf_bytes(&out), &arena, &data), 0);
        assert_true(ms_bytes_equal(data, ms_bytes_of(all, len)));
    }
    ms_buf_deinit(&out);
    ms_arena_deinit(&arena);
}

static void refuses_every_other_spelling(void **state) {
    (void)state;
    static const char *const bad[] = {
        "Zg",   "Zg=",      "Zg===", "Zm9v\n", "Zm9v YmE=", "Zm-v",    "Zm_v",  "=Zg=", "Z===",
        "====", "Zg==Zm9v", "Zh==",  "Zm9=",   "Zm9v====",  "Z\xc3g=", "Zm9vZ", "Zm=v", "Zm9vZm8"};
    struct ms_arena arena;
    ms_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ms_bytes data = {0};
        assert_int_equal(ms_base64_decode(ms_bytes_cstr(bad[i]), &arena, &data), MS_EINVAL);
        assert_null(data.data);
    }
    ms_arena_deinit(&arena);
}

static void says_when_memory_or_room_is_short(void **state) {
    (void)state;
    struct ms_arena arena;
    struct ms_buf out;
    struct ms_bytes data;
    ms_arena_init(&arena, 0);
    assert_int_equal(ms_base64_decode(ms_bytes_cstr("Zm9v"), &arena, &data), MS_ENOMEM);
    ms_arena_deinit(&arena);
    ms_buf_init(&out, 3);
    assert_int_equal(ms_base64_write(&out, ms_bytes_cstr("f")), MS_ETOOBIG);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_the_vectors_of_rfc_4648),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(refuses_every_other_spelling),
        cmocka_unit_test(says_when_memory_or_room_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
