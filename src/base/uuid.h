/* UUIDs as values. Versions 4 and 7 (RFC 9562) are made from time and random bits that the caller
 * brings; reading clock and randomness is the business of src/os. Any thread. */
#pragma once

#include "base/bytes.h"

#define MS_UUID_TEXT_LEN 36

struct ms_uuid {
    uint8_t bytes[16];
};

void ms_uuid_v7(uint64_t unix_ms, const uint8_t random_bytes[10], struct ms_uuid *ret_uuid);
void ms_uuid_v4(const uint8_t random_bytes[16], struct ms_uuid *ret_uuid);
/* Lower case, with hyphens, MS_UUID_TEXT_LEN characters and a terminator. */
void ms_uuid_format(const struct ms_uuid *uuid, char out[MS_UUID_TEXT_LEN + 1]);
/* Any case; MS_EINVAL. */
int ms_uuid_parse(struct ms_bytes text, struct ms_uuid *ret_uuid) MS_MUST_CHECK;
static inline bool ms_uuid_equal(const struct ms_uuid *a, const struct ms_uuid *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
