/* Inputs that are lists of records of a system topic:
 *
 *   u16 length of the key | u16 length of the value, 0xffff: a tombstone | key | value
 */
#pragma once

#include "base/endian.h"
#include "store/records.h"

#define TOMBSTONE 0xffff

/* Takes the next one off the input; false when no whole one is left. */
static inline bool next_record(struct ms_bytes *rest, struct ms_keyed_record *ret_record) {
    if (rest->len < 4)
        return false;
    size_t key = ms_get_be16(rest->data), value = ms_get_be16(rest->data + 2);
    bool tombstone = value == TOMBSTONE;
    value = tombstone ? 0 : value;
    if (rest->len < 4 + key + value)
        return false;
    *ret_record = (struct ms_keyed_record){ms_bytes_of(rest->data + 4, key),
                                           ms_bytes_of(rest->data + 4 + key, value), tombstone};
    *rest = ms_bytes_of(rest->data + 4 + key + value, rest->len - 4 - key - value);
    return true;
}
