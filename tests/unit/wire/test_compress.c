/* The codecs: round trips, what other tools wrote, limits that are exact, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <snappy-c.h>

#include "base/endian.h"
#include "wire/compress.h"

#define MAX ((size_t)64 << 20)

static const enum ms_codec CODECS[] = {MS_CODEC_NONE, MS_CODEC_GZIP, MS_CODEC_SNAPPY, MS_CODEC_LZ4,
                                       MS_CODEC_ZSTD};
#define CODEC_COUNT (sizeof CODECS / sizeof CODECS[0])

static uint8_t text[300000];

/* Compressible, but not trivially: so that every codec emits several blocks. */
static int fill_text(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (uint8_t)("eventually consistent"[seed >> 28]);
    }
    return 0;
}

static int unpack(enum ms_codec codec, struct ms_bytes input, size_t max, struct ms_buf *out) {
    struct ms_error err = {0};
    int r = ms_decompress(codec, input, max, out, &err);
    assert_int_equal(err.code, r);
    return r;
}

static void pack(enum ms_codec codec, struct ms_bytes input, struct ms_buf *out) {
    ms_buf_init(out, MAX);
    assert_int_equal(ms_compress(codec, 0, input, out), 0);
}

static void assert_unpacks_to(enum ms_codec codec, struct ms_bytes input, const char *expected) {
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    assert_int_equal(unpack(codec, input, strlen(expected), &out), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    out.len = 0;
    assert_int_equal(unpack(codec, input, strlen(expected) - 1, &out), MS_ETOOBIG);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

/* ---- what it must do ---- */

static void every_codec_gives_back_what_it_got(void **state) {
    (void)state;
    static const size_t LENGTHS[] = {0, 1, 7, 100, 32767, 32768, 32769, 65536, 65537, 300000};
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
            struct ms_buf packed, out;
            size_t len = LENGTHS[i];
            pack(CODECS[c], ms_bytes_of(text, len), &packed);
            ms_buf_init(&out, MAX);
            assert_int_equal(ms_buf_append_cstr(&out, "before"), 0);
            assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), len, &out), 0);
            assert_int_equal(out.len, 6 + len);
            assert_memory_equal(out.data, "before", 6);
            assert_memory_equal(out.data + 6, text, len);
            assert_true(len < 32767 || c == 0 || packed.len < len);
            ms_buf_deinit(&out);
            ms_buf_deinit(&packed);
        }
    }
}

static void limits_are_exact(void **state) {
    (void)state;
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        struct ms_buf packed, out;
        pack(CODECS[c], ms_bytes_of(text, sizeof text), &packed);
        ms_buf_init(&out, MAX);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), sizeof text - 1, &out),
                         MS_ETOOBIG);
        assert_int_equal(out.len, 0);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), 0, &out), MS_ETOOBIG);
        ms_buf_deinit(&out);
        /* The buffer's own maximum counts as well. */
        ms_buf_init(&out, sizeof text);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), MAX, &out), 0);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), MAX, &out), MS_ETOOBIG);
        assert_int_equal(out.len, sizeof text);
        ms_buf_deinit(&out);
        ms_buf_init(&out, sizeof text - 1);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), MAX, &out), MS_ETOOBIG);
        ms_buf_deinit(&out);
        ms_buf_deinit(&packed);
    }
}

static void levels_are_checked(void **state) {
    (void)state;
    static const struct {
        enum ms_codec codec;
        int level, expected;
    } CASES[] = {
        {MS_CODEC_NONE, 0, 0},          {MS_CODEC_NONE, 1, MS_EINVAL},
        {MS_CODEC_GZIP, 9, 0},          {MS_CODEC_GZIP, 10, MS_EINVAL},
        {MS_CODEC_GZIP, -1, MS_EINVAL}, {MS_CODEC_SNAPPY, 1, MS_EINVAL},
        {MS_CODEC_LZ4, 12, 0},          {MS_CODEC_LZ4, 13, MS_EINVAL},
        {MS_CODEC_LZ4, -1, MS_EINVAL},  {MS_CODEC_ZSTD, -7, 0},
        {MS_CODEC_ZSTD, 19, 0},         {MS_CODEC_ZSTD, 23, MS_EINVAL},
        {MS_CODEC_ZSTD, -8, MS_EINVAL}, {(enum ms_codec)5, 0, MS_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ms_buf packed, out;
        ms_buf_init(&packed, MAX);
        ms_buf_init(&out, MAX);
        assert_int_equal(
            ms_compress(CASES[i].codec, CASES[i].level, ms_bytes_of(text, 1000), &packed),
            CASES[i].expected);
        if (CASES[i].expected == 0)
            assert_int_equal(unpack(CASES[i].codec, ms_buf_bytes(&packed), 1000, &out), 0);
        else
            assert_int_equal(packed.len, 0);
        ms_buf_deinit(&packed);
        ms_buf_deinit(&out);
    }
}

static void compressing_into_too_little_room_changes_nothing(void **state) {
    (void)state;
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        struct ms_buf packed;
        ms_buf_init(&packed, 100);
        assert_int_equal(ms_buf_append_cstr(&packed, "before"), 0);
        assert_int_equal(ms_compress(CODECS[c], 0, ms_bytes_of(text, sizeof text), &packed),
                         MS_ETOOBIG);
        assert_int_equal(packed.len, 6);
        ms_buf_deinit(&packed);
    }
}

static void input_past_31_bits_is_refused_unread(void **state) {
    (void)state;
    struct ms_bytes huge = ms_bytes_of(text, (size_t)INT32_MAX + 1);
    struct ms_buf out;
    ms_buf_init(&out, MAX);
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        assert_int_equal(unpack(CODECS[c], huge, MAX, &out), MS_ETOOBIG);
        assert_int_equal(ms_compress(CODECS[c], 0, huge, &out), MS_ETOOBIG);
        assert_int_equal(out.len, 0);
    }
    ms_buf_deinit(&out);
}

static void names_are_parsed_and_given(void **state) {
    (void)state;
    for (size_t c = 0; c < CODEC_COUNT; c++) {
        enum ms_codec codec = (enum ms_codec)77;
        assert_int_equal(ms_codec_parse(ms_bytes_cstr(ms_codec_name(CODECS[c])), &codec), 0);
        assert_int_equal(codec, CODECS[c]);
    }
    enum ms_codec codec = MS_CODEC_LZ4;
    assert_int_equal(ms_codec_parse(ms_bytes_cstr("LZ4"), &codec), MS_EINVAL);
    assert_int_equal(ms_codec_parse(ms_bytes_cstr("lz"), &codec), MS_EINVAL);
    assert_int_equal(ms_codec_parse(ms_bytes_cstr(""), &codec), MS_EINVAL);
    assert_int_equal(codec, MS_CODEC_LZ4);
    assert_null(ms_codec_name((enum ms_codec)5));
    assert_null(ms_codec_name((enum ms_codec) - 1));
}

/* ---- what others wrote: the gzip, lz4 and zstd commands, and snappy by hand ---- */

static const uint8_t GZIP[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
    0xc8, 0x40, 0x27, 0x75, 0x14, 0xd2, 0xab, 0x32, 0x0b, 0x14, 0x72, 0x53, 0x73, 0x93, 0x52, 0x8b,
    0x14, 0xf2, 0xf3, 0x52, 0xb9, 0x00, 0x95, 0x3a, 0x74, 0x1d, 0x29, 0x00, 0x00, 0x00};
#define GZIP_TEXT "hello hello hello hello, gzip member one\n"
static const uint8_t LZ4[] = {
    0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x1a, 0x00, 0x00, 0x00, 0x4f, 0x6c, 0x7a, 0x34,
    0x20, 0x04, 0x00, 0x05, 0xf0, 0x01, 0x62, 0x79, 0x20, 0x74, 0x68, 0x65, 0x20, 0x6c, 0x7a,
    0x34, 0x20, 0x74, 0x6f, 0x6f, 0x6c, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x08, 0x6c, 0x89, 0xa5};
#define LZ4_TEXT "lz4 lz4 lz4 lz4 lz4 lz4 lz4 by the lz4 tool\n"
/* Its header asks for a window of 8 MiB and doesn't know the length. */
static const uint8_t ZSTD[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x68, 0xc5, 0x00, 0x00, 0x80,
                               0x7a, 0x73, 0x74, 0x64, 0x20, 0x62, 0x79, 0x20, 0x74, 0x68,
                               0x65, 0x74, 0x6f, 0x6f, 0x6c, 0x0a, 0x02, 0x00, 0x2f, 0x43,
                               0x01, 0x5d, 0xb4, 0x58, 0x0e, 0xcd, 0xa5};
#define ZSTD_TEXT "zstd zstd zstd zstd zstd by the zstd tool\n"
/* Literal "abc", then a copy of 6 from 3 back. */
static const uint8_t SNAPPY[] = {9, 0x08, 'a', 'b', 'c', 0x09, 3};
#define SNAPPY_TEXT "abcabcabc"

static void input_of_other_tools_is_read(void **state) {
    (void)state;
    assert_unpacks_to(MS_CODEC_GZIP, ms_bytes_of(GZIP, sizeof GZIP), GZIP_TEXT);
    assert_unpacks_to(MS_CODEC_LZ4, ms_bytes_of(LZ4, sizeof LZ4), LZ4_TEXT);
    assert_unpacks_to(MS_CODEC_ZSTD, ms_bytes_of(ZSTD, sizeof ZSTD), ZSTD_TEXT);
    assert_unpacks_to(MS_CODEC_SNAPPY, ms_bytes_of(SNAPPY, sizeof SNAPPY), SNAPPY_TEXT);
}

static void joined_streams_are_read_as_one(void **state) {
    (void)state;
    uint8_t two[128];
    memcpy(two, GZIP, sizeof GZIP);
    memcpy(two + sizeof GZIP, GZIP, sizeof GZIP);
    assert_unpacks_to(MS_CODEC_GZIP, ms_bytes_of(two, 2 * sizeof GZIP), GZIP_TEXT GZIP_TEXT);
    memcpy(two, LZ4, sizeof LZ4);
    memcpy(two + sizeof LZ4, LZ4, sizeof LZ4);
    assert_unpacks_to(MS_CODEC_LZ4, ms_bytes_of(two, 2 * sizeof LZ4), LZ4_TEXT LZ4_TEXT);
    memcpy(two, ZSTD, sizeof ZSTD);
    memcpy(two + sizeof ZSTD, ZSTD, sizeof ZSTD);
    assert_unpacks_to(MS_CODEC_ZSTD, ms_bytes_of(two, 2 * sizeof ZSTD), ZSTD_TEXT ZSTD_TEXT);
}

#define JAVA_HEADER "\x82SNAPPY\0\0\0\0\1\0\0\0\1"
#define JAVA_BLOCK                                                                                 \
    "\0\0\0\7\x09\x08"                                                                             \
    "abc\x09\3"

static void java_framed_snappy_is_read(void **state) {
    (void)state;
    struct ms_buf out;
    assert_unpacks_to(MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER JAVA_BLOCK), SNAPPY_TEXT);
    assert_unpacks_to(MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER JAVA_BLOCK JAVA_BLOCK),
                      SNAPPY_TEXT SNAPPY_TEXT);
    assert_unpacks_to(MS_CODEC_SNAPPY,
                      MS_BYTES_LITERAL(JAVA_HEADER JAVA_BLOCK JAVA_HEADER JAVA_BLOCK),
                      SNAPPY_TEXT SNAPPY_TEXT);
    ms_buf_init(&out, MAX);
    assert_int_equal(unpack(MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER), 0, &out), 0);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

static void snappy_is_written_in_java_frames_of_32_kib(void **state) {
    (void)state;
    struct ms_buf packed;
    pack(MS_CODEC_SNAPPY, ms_bytes_of(text, 70000), &packed);
    assert_memory_equal(packed.data, JAVA_HEADER, 16);
    size_t at = 16, blocks = 0, total = 0;
    while (at < packed.len) {
        size_t block = ms_get_be32(packed.data + at), len;
        assert_int_equal(
            snappy_uncompressed_length((const char *)packed.data + at + 4, block, &len), SNAPPY_OK);
        assert_true(len <= 32768);
        total += len;
        at += 4 + block;
        blocks++;
    }
    assert_int_equal(at, packed.len);
    assert_int_equal(blocks, 3);
    assert_int_equal(total, 70000);
    ms_buf_deinit(&packed);
}

/* ---- damage and lies ---- */

static void damaged_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        enum ms_codec codec;
        struct ms_bytes input;
        int expected;
    } CASES[] = {
        {MS_CODEC_GZIP, MS_BYTES_LITERAL(""), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL(""), MS_EINVAL},
        {MS_CODEC_LZ4, MS_BYTES_LITERAL(""), MS_EINVAL},
        {MS_CODEC_ZSTD, MS_BYTES_LITERAL(""), MS_EINVAL},
        {MS_CODEC_GZIP, MS_BYTES_LITERAL("no gzip at all"), MS_EINVAL},
        {MS_CODEC_GZIP, MS_BYTES_LITERAL("\x78\x9c\3\0\0\0\0\1"), MS_EINVAL}, /* zlib's format */
        {MS_CODEC_LZ4, MS_BYTES_LITERAL("no lz4 at all"), MS_EINVAL},
        {MS_CODEC_ZSTD, MS_BYTES_LITERAL("no zstd at all"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\xff\xff\xff\xff\xff"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\1"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\0\1"), MS_EINVAL},
        /* A few bytes that claim 1 GiB: refused as a lie before memory is asked for. */
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\x80\x80\x80\x80\4abc"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\x82SNAPPY\0\0\0\0\1\0\0\0"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\x82SNAPPY\0\0\0\0\0\0\0\0\1"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL("\x82SNAPPY\0\0\0\0\1\0\0\0\2"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER "\0\0\0"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER "\0\0\0\0"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER "\0\0\0\2\0"), MS_EINVAL},
        {MS_CODEC_SNAPPY, MS_BYTES_LITERAL(JAVA_HEADER "\xff\xff\xff\xff\0"), MS_EINVAL},
        /* zstd: a content size of 4 GiB - 1; a window of 2 GiB. */
        {MS_CODEC_ZSTD, MS_BYTES_LITERAL("\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\1\0\0"), MS_ETOOBIG},
        {MS_CODEC_ZSTD, MS_BYTES_LITERAL("\x28\xb5\x2f\xfd\0\xa8\1\0\0"), MS_ETOOBIG},
        {(enum ms_codec)5, MS_BYTES_LITERAL("?"), MS_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct ms_buf out;
        ms_buf_init(&out, MAX);
        int r = unpack(CASES[i].codec, CASES[i].input, MAX, &out);
        if (r != CASES[i].expected)
            fail_msg("case %zu: %d instead of %d", i, r, CASES[i].expected);
        assert_int_equal(out.len, 0);
        assert_true(out.capacity < (size_t)1 << 20);
        ms_buf_deinit(&out);
    }
}

static void input_cut_anywhere_is_refused(void **state) {
    (void)state;
    for (size_t c = 1; c < CODEC_COUNT; c++) {
        struct ms_buf packed, out;
        pack(CODECS[c], ms_bytes_of(text, 40000), &packed);
        ms_buf_init(&out, MAX);
        for (size_t len = 0; len < packed.len; len += len < 100 ? 1 : 61) {
            uint8_t *copy = malloc(len + 1);
            memcpy(copy + 1, packed.data, len);
            int r = unpack(CODECS[c], ms_bytes_of(copy + 1, len), MAX, &out);
            free(copy);
            /* The Java framing has no end mark, so it may end after its header. */
            if (r == 0 && CODECS[c] == MS_CODEC_SNAPPY && len == 16)
                continue;
            assert_int_equal(r, MS_EINVAL);
            assert_int_equal(out.len, 0);
        }
        ms_buf_deinit(&out);
        ms_buf_deinit(&packed);
    }
}

static void bytes_after_the_end_are_refused(void **state) {
    (void)state;
    for (size_t c = 1; c < CODEC_COUNT; c++) {
        struct ms_buf packed, out;
        pack(CODECS[c], ms_bytes_of(text, 1000), &packed);
        assert_int_equal(ms_buf_append_cstr(&packed, "!"), 0);
        ms_buf_init(&out, MAX);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), MAX, &out), MS_EINVAL);
        assert_int_equal(out.len, 0);
        ms_buf_deinit(&out);
        ms_buf_deinit(&packed);
    }
}

static void changed_bytes_never_pass_the_limit(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (size_t c = 1; c < CODEC_COUNT; c++) {
        struct ms_buf packed, out;
        pack(CODECS[c], ms_bytes_of(text, 4000), &packed);
        ms_buf_init(&out, MAX);
        for (int round = 0; round < 2000; round++) {
            seed = seed * 1664525 + 1013904223;
            size_t at = (seed >> 8) % packed.len;
            uint8_t before = packed.data[at];
            packed.data[at] = (uint8_t)(seed >> 24);
            int r = unpack(CODECS[c], ms_buf_bytes(&packed), 5000, &out);
            assert_true(r == 0 || r == MS_EINVAL || r == MS_ETOOBIG);
            assert_true(r == 0 ? out.len <= 5000 : out.len == 0);
            packed.data[at] = before;
            ms_buf_clear(&out);
        }
        ms_buf_deinit(&out);
        ms_buf_deinit(&packed);
    }
}

static void bombs_stop_at_the_limit(void **state) {
    (void)state;
    size_t len = (size_t)32 << 20;
    uint8_t *zeros = calloc(1, len);
    for (size_t c = 1; c < CODEC_COUNT; c++) {
        struct ms_buf packed, out;
        pack(CODECS[c], ms_bytes_of(zeros, len), &packed);
        ms_buf_init(&out, MAX);
        assert_int_equal(unpack(CODECS[c], ms_buf_bytes(&packed), 100000, &out), MS_ETOOBIG);
        assert_int_equal(out.len, 0);
        assert_true(out.capacity < (size_t)1 << 20);
        ms_buf_deinit(&out);
        ms_buf_deinit(&packed);
    }
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_back_what_it_got),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(levels_are_checked),
        cmocka_unit_test(compressing_into_too_little_room_changes_nothing),
        cmocka_unit_test(input_past_31_bits_is_refused_unread),
        cmocka_unit_test(names_are_parsed_and_given),
        cmocka_unit_test(input_of_other_tools_is_read),
        cmocka_unit_test(joined_streams_are_read_as_one),
        cmocka_unit_test(java_framed_snappy_is_read),
        cmocka_unit_test(snappy_is_written_in_java_frames_of_32_kib),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(input_cut_anywhere_is_refused),
        cmocka_unit_test(bytes_after_the_end_are_refused),
        cmocka_unit_test(changed_bytes_never_pass_the_limit),
        cmocka_unit_test(bombs_stop_at_the_limit),
    };
    return cmocka_run_group_tests(tests, fill_text, NULL);
}
