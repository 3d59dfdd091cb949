/* Fields of the records of `__consumer_offsets`, plain and flexible. Any thread. */
#pragma once

#include "base/bytes.h"
#include "base/endian.h"
#include "base/uuid.h"
#include "base/varint.h"

/* ---- writing ---- */

static inline int ms_put_i16(struct ms_buf *out, int16_t value) {
    uint8_t bytes[2];
    ms_put_be16(bytes, (uint16_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static inline int ms_put_i32(struct ms_buf *out, int32_t value) {
    uint8_t bytes[4];
    ms_put_be32(bytes, (uint32_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static inline int ms_put_i64(struct ms_buf *out, int64_t value) {
    uint8_t bytes[8];
    ms_put_be64(bytes, (uint64_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static inline int ms_put_string(struct ms_buf *out, struct ms_bytes text) {
    if (text.len > INT16_MAX)
        return MS_ETOOBIG;
    int rc = ms_put_i16(out, (int16_t)text.len);
    return rc != 0 ? rc : ms_buf_append_bytes(out, text);
}

static inline int ms_put_string_or_null(struct ms_buf *out, struct ms_bytes text) {
    return text.len == 0 ? ms_put_i16(out, -1) : ms_put_string(out, text);
}

static inline int ms_put_bytes(struct ms_buf *out, struct ms_bytes bytes) {
    if (bytes.len > INT32_MAX)
        return MS_ETOOBIG;
    int rc = ms_put_i32(out, (int32_t)bytes.len);
    return rc != 0 ? rc : ms_buf_append_bytes(out, bytes);
}

static inline int ms_put_i8(struct ms_buf *out, int8_t value) {
    return ms_buf_append(out, &value, 1);
}

static inline int ms_put_uvarint(struct ms_buf *out, uint64_t value) {
    uint8_t bytes[MS_VARINT64_MAX_BYTES];
    return ms_buf_append(out, bytes, ms_uvarint_put(bytes, value));
}

/* Flexible: string, array count, and that there are no tags. */
static inline int ms_put_compact(struct ms_buf *out, struct ms_bytes text) {
    int rc = ms_put_uvarint(out, text.len + 1);
    return rc != 0 ? rc : ms_buf_append_bytes(out, text);
}

static inline int ms_put_compact_or_null(struct ms_buf *out, struct ms_bytes text) {
    return text.len == 0 ? ms_put_uvarint(out, 0) : ms_put_compact(out, text);
}

static inline int ms_put_count(struct ms_buf *out, size_t count) {
    return ms_put_uvarint(out, (uint64_t)count + 1);
}

static inline int ms_put_no_tags(struct ms_buf *out) { return ms_put_uvarint(out, 0); }

/* ---- reading: after an overrun everything is 0 and `bad` stays ---- */

struct ms_reader {
    struct ms_bytes rest;
    bool bad;
    bool flexible;
};

static inline const uint8_t *ms_take(struct ms_reader *reader, size_t len) {
    static const uint8_t zeros[16];
    if (reader->bad || len > reader->rest.len) {
        reader->bad = true;
        return zeros;
    }
    const uint8_t *at = reader->rest.data;
    if (len > 0)
        reader->rest = ms_bytes_of(at + len, reader->rest.len - len);
    return at;
}

static inline int8_t ms_take_i8(struct ms_reader *reader) { return (int8_t)*ms_take(reader, 1); }
static inline int16_t ms_take_i16(struct ms_reader *reader) {
    return (int16_t)ms_get_be16(ms_take(reader, 2));
}
static inline int32_t ms_take_i32(struct ms_reader *reader) {
    return (int32_t)ms_get_be32(ms_take(reader, 4));
}
static inline int64_t ms_take_i64(struct ms_reader *reader) {
    return (int64_t)ms_get_be64(ms_take(reader, 8));
}

static inline uint64_t ms_take_uvarint(struct ms_reader *reader) {
    uint64_t value = 0;
    int n = reader->bad ? -1 : ms_uvarint_get(reader->rest.data, reader->rest.len, &value);
    if (n <= 0) {
        reader->bad = true;
        return 0;
    }
    (void)ms_take(reader, (size_t)n);
    return value;
}

/* Length of what follows, whose plain form has an i16 (`wide`: i32) of it; -1 for null. */
static inline int64_t ms_take_length(struct ms_reader *reader, bool wide) {
    if (reader->flexible) {
        uint64_t raw = ms_take_uvarint(reader);
        reader->bad |= raw > INT32_MAX;
        return reader->bad ? -1 : (int64_t)raw - 1;
    }
    return wide ? ms_take_i32(reader) : ms_take_i16(reader);
}

static inline struct ms_bytes ms_take_sized(struct ms_reader *reader, bool wide, bool nullable) {
    int64_t len = ms_take_length(reader, wide);
    if (len < 0) {
        reader->bad |= len != -1 || !nullable;
        return (struct ms_bytes){0};
    }
    const uint8_t *at = ms_take(reader, (size_t)len);
    return reader->bad ? (struct ms_bytes){0} : ms_bytes_of(at, (size_t)len);
}

static inline struct ms_bytes ms_take_string(struct ms_reader *reader) {
    return ms_take_sized(reader, false, false);
}
static inline struct ms_bytes ms_take_string_or_null(struct ms_reader *reader) {
    return ms_take_sized(reader, false, true);
}
static inline struct ms_bytes ms_take_bytes(struct ms_reader *reader) {
    return ms_take_sized(reader, true, true);
}

static inline void ms_skip_tags(struct ms_reader *reader) {
    if (!reader->flexible)
        return;
    for (uint64_t count = ms_take_uvarint(reader); count > 0 && !reader->bad; count--) {
        (void)ms_take_uvarint(reader);
        uint64_t size = ms_take_uvarint(reader);
        if (size > reader->rest.len)
            reader->bad = true;
        (void)ms_take(reader, reader->bad ? 0 : (size_t)size);
    }
}
