/*
 * Variable-length integers as the Kafka protocol and Protocol Buffers define them: 7 bits a byte,
 * least significant group first, the top bit says "more"; signed values zig-zag coded.
 *
 * Readers take the bytes that are there and return how many were consumed, 0 when the input ends
 * too soon and -1 when the value does not fit its type. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MS_VARINT32_MAX_BYTES 5
#define MS_VARINT64_MAX_BYTES 10

static inline uint64_t ms_zigzag_encode(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t ms_zigzag_decode(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Writes at most MS_VARINT64_MAX_BYTES at `at`; returns the count. */
static inline size_t ms_uvarint_put(uint8_t *at, uint64_t value) {
    size_t n = 0;
    while (value >= 0x80) {
        at[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[n++] = (uint8_t)value;
    return n;
}
static inline size_t ms_varint_put(uint8_t *at, int64_t value) {
    return ms_uvarint_put(at, ms_zigzag_encode(value));
}

static inline size_t ms_uvarint_size(uint64_t value) {
    size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
}
static inline size_t ms_varint_size(int64_t value) {
    return ms_uvarint_size(ms_zigzag_encode(value));
}

/* 64-bit; see the file comment for the returned count. */
static inline int ms_uvarint_get(const uint8_t *at, size_t len, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t n = 0; n < len && n < MS_VARINT64_MAX_BYTES; n++) {
        uint8_t byte = at[n];
        if (n == MS_VARINT64_MAX_BYTES - 1 && byte > 1)
            return -1;
        value |= (uint64_t)(byte & 0x7f) << (7 * n);
        if (byte < 0x80) {
            *ret_value = value;
            return (int)n + 1;
        }
    }
    return len >= MS_VARINT64_MAX_BYTES ? -1 : 0;
}
static inline int ms_varint_get(const uint8_t *at, size_t len, int64_t *ret_value) {
    uint64_t raw;
    int n = ms_uvarint_get(at, len, &raw);
    if (n > 0)
        *ret_value = ms_zigzag_decode(raw);
    return n;
}
