/* UUIDs of version 4 and 7 (RFC 9562, sections 5.4 and 5.7) and their text; see uuid.h. Any thread.
 *
 *   bytes   version 7                        version 4
 *   0..5    unix_ms, big endian              random
 *   6..7    0111, 12 random bits             0100, 12 random bits
 *   8..15   10, 62 random bits               10, 62 random bits
 */
#include "base/uuid.h"

static void stamp(struct ms_uuid *uuid, uint8_t version) {
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | (version << 4));
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

void ms_uuid_v7(uint64_t unix_ms, const uint8_t random_bytes[10], struct ms_uuid *ret_uuid) {
    for (int i = 0; i < 6; i++)
        ret_uuid->bytes[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
    memcpy(ret_uuid->bytes + 6, random_bytes, 10);
    stamp(ret_uuid, 7);
}

void ms_uuid_v4(const uint8_t random_bytes[16], struct ms_uuid *ret_uuid) {
    memcpy(ret_uuid->bytes, random_bytes, 16);
    stamp(ret_uuid, 4);
}

/* Where the two digits of each byte stand in the text. */
static const uint8_t digit_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

void ms_uuid_format(const struct ms_uuid *uuid, char out[MS_UUID_TEXT_LEN + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[digit_at[i]] = digits[uuid->bytes[i] >> 4];
        out[digit_at[i] + 1] = digits[uuid->bytes[i] & 15];
    }
    out[8] = out[13] = out[18] = out[23] = '-';
    out[MS_UUID_TEXT_LEN] = '\0';
}

/* The digit's value, or 0x10 and more for anything else. */
static unsigned hex_value(uint8_t character) {
    if (character >= '0' && character <= '9')
        return character - (unsigned)'0';
    unsigned lower = character | 0x20u;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 0x10;
}

int ms_uuid_parse(struct ms_bytes text, struct ms_uuid *ret_uuid) {
    if (text.len != MS_UUID_TEXT_LEN)
        return MS_EINVAL;
    const uint8_t *at = text.data;
    if (at[8] != '-' || at[13] != '-' || at[18] != '-' || at[23] != '-')
        return MS_EINVAL;
    struct ms_uuid uuid;
    unsigned seen = 0;
    for (int i = 0; i < 16; i++) {
        unsigned high = hex_value(at[digit_at[i]]);
        unsigned low = hex_value(at[digit_at[i] + 1]);
        seen |= high | low;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (seen & 0x10)
        return MS_EINVAL;
    *ret_uuid = uuid;
    return 0;
}
