/* Checksums and hashes: CRC-32C (Castagnoli, by ISA-L) guards bytes on disk and on the wire, XXH3
 * names streams, chains blocks and fills hash tables. Neither is cryptographic. Any thread. */
#pragma once

#include "base/bytes.h"

/* CRC-32C of data, continuing from `crc` (start with 0). The value is the one Kafka, iSCSI and ext4
 * use. */
uint32_t ms_crc32c(uint32_t crc, const void *data, size_t len);

uint64_t ms_hash64(const void *data, size_t len, uint64_t seed);

/* 128-bit hash, canonical (big-endian) byte order. */
struct ms_hash128 {
    uint8_t bytes[16];
};
struct ms_hash128 ms_hash128(const void *data, size_t len, uint64_t seed);
/* Hash of two pieces one after the other, without joining them in memory. */
struct ms_hash128 ms_hash128_pair(struct ms_bytes first, struct ms_bytes second, uint64_t seed);

/* The same 128-bit hash over data that comes in pieces. One thread. */
struct ms_hasher;
int ms_hasher_new(struct ms_hasher **ret_hasher) MS_MUST_CHECK; /* MS_ENOMEM */
void ms_hasher_add(struct ms_hasher *hasher, const void *data, size_t len);
struct ms_hash128 ms_hasher_end(struct ms_hasher *hasher); /* frees it */
