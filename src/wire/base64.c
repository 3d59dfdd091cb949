/* Base64: see base64.h. No state; any thread. */
#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Six bits per character plus one, so that 0 means "not in the alphabet". */
static const uint8_t bits_plus_one[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Decodes the `count` (2 to 4) characters of a group into count - 1 bytes. */
static bool decode_group(const uint8_t *text, size_t count, uint8_t *out) {
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t bits = i < count ? bits_plus_one[text[i]] : 1;
        if (bits == 0)
            return false;
        group = group << 6 | (bits - 1);
    }
    out[0] = (uint8_t)(group >> 16);
    if (count > 2)
        out[1] = (uint8_t)(group >> 8);
    if (count > 3)
        out[2] = (uint8_t)group;
    uint32_t unused = count == 2 ? 0xffff : count == 3 ? 0xff : 0;
    return (group & unused) == 0;
}

int ms_base64_decode(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_data) {
    if (text.len % 4 != 0)
        return MS_EINVAL;
    if (text.len == 0) {
        *ret_data = MS_BYTES_LITERAL("");
        return 0;
    }
    size_t padding = text.data[text.len - 1] != '=' ? 0 : text.data[text.len - 2] != '=' ? 1 : 2;
    size_t len = text.len / 4 * 3 - padding;
    uint8_t *data = ms_arena_alloc(arena, len);
    if (!data)
        return MS_ENOMEM;
    size_t last = text.len - 4;
    uint8_t *to = data;
    for (size_t i = 0; i < last; i += 4, to += 3) {
        if (!decode_group(text.data + i, 4, to))
            return MS_EINVAL;
    }
    if (!decode_group(text.data + last, 4 - padding, to))
        return MS_EINVAL;
    *ret_data = ms_bytes_of(data, len);
    return 0;
}

int ms_base64_write(struct ms_buf *out, struct ms_bytes data) {
    if (data.len > SIZE_MAX / 4 * 3 - 3)
        return MS_ETOOBIG;
    uint8_t *to;
    int r = ms_buf_extend(out, (data.len + 2) / 3 * 4, &to);
    if (r < 0)
        return r;
    for (size_t i = 0; i < data.len; i += 3, to += 4) {
        size_t n = data.len - i < 3 ? data.len - i : 3;
        uint32_t group = (uint32_t)data.data[i] << 16;
        if (n > 1)
            group |= (uint32_t)data.data[i + 1] << 8;
        if (n > 2)
            group |= data.data[i + 2];
        to[0] = (uint8_t)alphabet[group >> 18];
        to[1] = (uint8_t)alphabet[group >> 12 & 63];
        to[2] = n > 1 ? (uint8_t)alphabet[group >> 6 & 63] : '=';
        to[3] = n > 2 ? (uint8_t)alphabet[group & 63] : '=';
    }
    return 0;
}
