/* Percent-encoding and query strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http1.h"

static int setup(void **state) {
    static struct ms_arena arena;
    ms_arena_init(&arena, 1 << 20);
    *state = &arena;
    return 0;
}

static int teardown(void **state) {
    ms_arena_deinit(*state);
    return 0;
}

static void percent_decode_resolves_escapes_only(void **state) {
    struct ms_bytes text;
    assert_int_equal(ms_percent_decode(ms_bytes_cstr("a%20b%2Fc%2fd+%C3%a9%25"), *state, &text), 0);
    assert_true(ms_bytes_equal_cstr(text, "a b/c/d+\xc3\xa9%"));
    assert_int_equal(ms_percent_decode((struct ms_bytes){0}, *state, &text), 0);
    assert_non_null(text.data);
    assert_int_equal(text.len, 0);
}

static void percent_decode_refuses_bad_escapes_and_nul(void **state) {
    static const char *const bad[] = {"%", "a%", "%4", "a%4", "%4g", "%g4", "%%41", "%00", "a%00b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ms_bytes text = {0};
        assert_int_equal(ms_percent_decode(ms_bytes_cstr(bad[i]), *state, &text), MS_EINVAL);
        assert_null(text.data);
    }
    struct ms_bytes text;
    assert_int_equal(ms_percent_decode(ms_bytes_of("%41", 2), *state, &text), MS_EINVAL);
    assert_int_equal(ms_percent_decode(MS_BYTES_LITERAL("a\0b"), *state, &text), MS_EINVAL);
}

static void bytes_may_be_any_but_escapes_are_escapes(void **state) {
    struct ms_bytes bytes;
    assert_int_equal(ms_percent_decode_bytes(ms_bytes_cstr("%00a%FF%00+"), *state, &bytes), 0);
    assert_true(ms_bytes_equal(bytes, MS_BYTES_LITERAL("\0a\xff\0+")));
    assert_int_equal(ms_percent_decode_bytes(ms_bytes_cstr("%00%0"), *state, &bytes), MS_EINVAL);
}

static void query_yields_pairs_in_order(void **state) {
    static const char *const expected[][2] = {{"a", "1"}, {"b c", "x y+"}, {"flag", ""},
                                              {"", "v"},  {"e", "f=g"},    {"a", "2"}};
    struct ms_bytes query = ms_bytes_cstr("&a=1&&b+c=x%20y%2b&flag&=v&e=f=g&a=2&&");
    size_t at = 0, count = 0;
    struct ms_bytes name, value;
    int r;
    while ((r = ms_query_next(query, &at, *state, &name, &value)) == 1) {
        assert_true(count < 6);
        assert_true(ms_bytes_equal_cstr(name, expected[count][0]));
        assert_true(ms_bytes_equal_cstr(value, expected[count][1]));
        count++;
    }
    assert_int_equal(r, 0);
    assert_int_equal(count, 6);
    at = 0;
    assert_int_equal(ms_query_next((struct ms_bytes){0}, &at, *state, &name, &value), 0);
}

static void query_refuses_bad_escapes(void **state) {
    static const char *const bad[] = {"%zz=1", "a=%", "a=%00", "%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t at = 0;
        struct ms_bytes name = {0}, value = {0};
        assert_int_equal(ms_query_next(ms_bytes_cstr(bad[i]), &at, *state, &name, &value),
                         MS_EINVAL);
        assert_int_equal(at, 0);
        assert_null(name.data);
    }
}

static void says_when_memory_is_short(void **state) {
    (void)state;
    struct ms_arena none;
    ms_arena_init(&none, 0);
    struct ms_bytes text, value;
    size_t at = 0;
    assert_int_equal(ms_percent_decode(ms_bytes_cstr("a"), &none, &text), MS_ENOMEM);
    assert_int_equal(ms_query_next(ms_bytes_cstr("a=b"), &at, &none, &text, &value), MS_ENOMEM);
    ms_arena_deinit(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_decode_resolves_escapes_only),
        cmocka_unit_test(percent_decode_refuses_bad_escapes_and_nul),
        cmocka_unit_test(bytes_may_be_any_but_escapes_are_escapes),
        cmocka_unit_test(query_yields_pairs_in_order),
        cmocka_unit_test(query_refuses_bad_escapes),
        cmocka_unit_test(says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
