/* Byte strings, blobs and buffers; see bytes.h for what belongs to whom. */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

int ms_bytes_compare(struct ms_bytes a, struct ms_bytes b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

int ms_parse_u64(struct ms_bytes text, uint64_t *ret_value) {
    if (text.len == 0)
        return MS_EINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return MS_EINVAL;
    }
    *ret_value = value;
    return 0;
}

int ms_parse_i64(struct ms_bytes text, int64_t *ret_value) {
    bool negative = text.len > 0 && text.data[0] == '-';
    if (negative)
        text = ms_bytes_of(text.data + 1, text.len - 1);
    uint64_t magnitude;
    if (ms_parse_u64(text, &magnitude) < 0)
        return MS_EINVAL;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return MS_EINVAL;
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}

/* ---- UTF-8 ---- */

static inline bool is_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* Length of the well-formed sequence of two or more bytes at `at`, 0 when there is none. The second
 * byte's range is what excludes overlong forms, surrogates and values past U+10FFFF. */
static size_t multibyte_len(const uint8_t *at, size_t left) {
    uint8_t lead = at[0];
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < len)
        return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_continuation(at[i]))
            return 0;
    return len;
}

bool ms_utf8_valid(struct ms_bytes text) {
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t i = 0;
    while (i < text.len) {
        /* Most text is ASCII: sixteen bytes a step. */
        while (text.len - i >= 16) {
            uint64_t words[2];
            memcpy(words, text.data + i, sizeof words);
            if ((words[0] | words[1]) & high_bits)
                break;
            i += 16;
        }
        /* One stretch of at most sixteen characters, then try the fast way again. */
        for (int steps = 0; steps < 16 && i < text.len; steps++) {
            if (text.data[i] < 0x80) {
                i++;
                continue;
            }
            size_t len = multibyte_len(text.data + i, text.len - i);
            if (len == 0)
                return false;
            i += len;
        }
    }
    return true;
}

/* ---- blobs ---- */

#define BLOB_PAGE 4096

static void release_joined(struct ms_blob *blob) { ms_free(blob); }

static void release_split(struct ms_blob *blob) {
    ms_free(blob->data);
    ms_free(blob);
}

int ms_blob_new(size_t size, struct ms_blob **ret_blob) {
    bool split = size >= BLOB_PAGE;
    struct ms_blob *blob = ms_alloc(sizeof *blob + (split ? 0 : size));
    if (!blob)
        return MS_ENOMEM;
    uint8_t *data = split ? ms_alloc_aligned(BLOB_PAGE, size) : (uint8_t *)(blob + 1);
    if (!data) {
        ms_free(blob);
        return MS_ENOMEM;
    }
    atomic_init(&blob->refs, 1);
    blob->size = size;
    blob->data = data;
    blob->release = split ? release_split : release_joined;
    *ret_blob = blob;
    return 0;
}

/* ---- buffers ---- */

/* Memory is one byte larger than `capacity`, so that ms_buf_printf's terminator has a place even
 * when the text fills `max` exactly. Capacities are 2^n - 1, memory blocks therefore powers of two.
 * */
#define BUF_CAPACITY_MIN 63

void ms_buf_init(struct ms_buf *buf, size_t max) { *buf = (struct ms_buf){.max = max}; }

void ms_buf_deinit(struct ms_buf *buf) {
    ms_free(buf->data);
    *buf = (struct ms_buf){0};
}

static int set_capacity(struct ms_buf *buf, size_t capacity) {
    uint8_t *data = ms_realloc(buf->data, capacity + 1);
    if (!data)
        return MS_ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int ms_buf_reserve_exact(struct ms_buf *buf, size_t extra) {
    if (extra <= buf->capacity - buf->len)
        return 0;
    return extra > buf->max - buf->len ? MS_ETOOBIG : set_capacity(buf, buf->len + extra);
}

int ms_buf_grow(struct ms_buf *buf, size_t extra) {
    if (extra > buf->max - buf->len)
        return MS_ETOOBIG;
    size_t wanted = buf->len + extra;
    size_t capacity = buf->capacity ? buf->capacity : BUF_CAPACITY_MIN;
    while (capacity < wanted)
        capacity = capacity > SIZE_MAX / 2 - 1 ? SIZE_MAX : 2 * capacity + 1;
    if (capacity > buf->max)
        capacity = buf->max;
    if (capacity == SIZE_MAX)
        return MS_ENOMEM;
    return set_capacity(buf, capacity);
}

int ms_buf_printf(struct ms_buf *buf, const char *format, ...) {
    if (!buf->data) {
        int code = ms_buf_grow(buf, 0);
        if (code < 0)
            return code;
    }
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = buf->capacity - buf->len;
    int len = vsnprintf((char *)buf->data + buf->len, room + 1, format, args);
    int code = len < 0 ? MS_EINVAL : 0;
    if (code == 0 && (size_t)len > room) {
        code = ms_buf_reserve(buf, (size_t)len);
        if (code == 0) {
            int len_again = vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, again);
            MS_ASSERT(len_again == len);
        }
    }
    va_end(again);
    va_end(args);
    if (code == 0)
        buf->len += (size_t)len;
    return code;
}
