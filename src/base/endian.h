/* Fixed-width integers in byte streams: big endian for Kafka's formats, little endian for
 * Mainstem's own blocks. Any alignment. Any thread. */
#pragma once

#include <stdint.h>
#include <string.h>

#define MS_ENDIAN_PAIR(bits, to_be, to_le)                                                         \
    static inline uint##bits##_t ms_get_be##bits(const uint8_t *at) {                              \
        uint##bits##_t value;                                                                      \
        memcpy(&value, at, sizeof value);                                                          \
        return to_be(value);                                                                       \
    }                                                                                              \
    static inline void ms_put_be##bits(uint8_t *at, uint##bits##_t value) {                        \
        value = to_be(value);                                                                      \
        memcpy(at, &value, sizeof value);                                                          \
    }                                                                                              \
    static inline uint##bits##_t ms_get_le##bits(const uint8_t *at) {                              \
        uint##bits##_t value;                                                                      \
        memcpy(&value, at, sizeof value);                                                          \
        return to_le(value);                                                                       \
    }                                                                                              \
    static inline void ms_put_le##bits(uint8_t *at, uint##bits##_t value) {                        \
        value = to_le(value);                                                                      \
        memcpy(at, &value, sizeof value);                                                          \
    }

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MS_ENDIAN_SAME(value) (value)
MS_ENDIAN_PAIR(16, __builtin_bswap16, MS_ENDIAN_SAME)
MS_ENDIAN_PAIR(32, __builtin_bswap32, MS_ENDIAN_SAME)
MS_ENDIAN_PAIR(64, __builtin_bswap64, MS_ENDIAN_SAME)
#else
#error "Mainstem is built and tested on little-endian machines only"
#endif
