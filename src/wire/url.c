/* Percent-encoding and query strings (RFC 3986, and '+' for space as HTML forms send it); declared
 * in http1.h. No state; any thread. */
#include "wire/http1.h"

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum { PLUS_IS_SPACE = 1, NUL_TOO = 2 };

static int decode(struct ms_bytes text, unsigned how, struct ms_arena *arena,
                  struct ms_bytes *ret_text) {
    uint8_t *out = ms_arena_alloc(arena, text.len ? text.len : 1);
    if (!out)
        return MS_ENOMEM;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '+' && (how & PLUS_IS_SPACE)) {
            c = ' ';
        } else if (c == '%') {
            int high = text.len - i > 2 ? hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
            if (low < 0)
                return MS_EINVAL;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c == 0 && !(how & NUL_TOO))
            return MS_EINVAL;
        out[len++] = c;
    }
    *ret_text = ms_bytes_of(out, len);
    return 0;
}

int ms_percent_decode(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_text) {
    return decode(text, 0, arena, ret_text);
}

int ms_percent_decode_bytes(struct ms_bytes text, struct ms_arena *arena,
                            struct ms_bytes *ret_bytes) {
    return decode(text, NUL_TOO, arena, ret_bytes);
}

int ms_query_next(struct ms_bytes query, size_t *at, struct ms_arena *arena,
                  struct ms_bytes *ret_name, struct ms_bytes *ret_value) {
    size_t from = *at;
    while (from < query.len && query.data[from] == '&')
        from++;
    if (from >= query.len)
        return 0;
    const uint8_t *ampersand = memchr(query.data + from, '&', query.len - from);
    size_t end = ampersand ? (size_t)(ampersand - query.data) : query.len;
    const uint8_t *equals = memchr(query.data + from, '=', end - from);
    size_t name_end = equals ? (size_t)(equals - query.data) : end;
    size_t value_start = equals ? name_end + 1 : end;

    struct ms_bytes name, value;
    int r = decode(ms_bytes_of(query.data + from, name_end - from), PLUS_IS_SPACE, arena, &name);
    if (r == 0)
        r = decode(ms_bytes_of(query.data + value_start, end - value_start), PLUS_IS_SPACE, arena,
                   &value);
    if (r < 0)
        return r;
    *ret_name = name;
    *ret_value = value;
    *at = end;
    return 1;
}
