/* CRC-32C by ISA-L and XXH3 by xxHash; see hash.h. Any thread. */
#include "base/hash.h"

#include <isa-l/crc.h>
#include <limits.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"

/* ISA-L works on the bare register and takes an int as length: the inversions before and after that
 * CRC-32C prescribes are ours, and so is cutting long input into pieces. */
#define CRC_PIECE_MAX ((size_t)1 << 30)

uint32_t ms_crc32c(uint32_t crc, const void *data, size_t len) {
    _Static_assert(CRC_PIECE_MAX <= INT_MAX, "a piece must fit ISA-L's length");
    unsigned char *at = (unsigned char *)data;
    uint32_t state = ~crc;
    while (len > 0) {
        size_t piece = len < CRC_PIECE_MAX ? len : CRC_PIECE_MAX;
        state = crc32_iscsi(at, (int)piece, state);
        at += piece;
        len -= piece;
    }
    return ~state;
}

uint64_t ms_hash64(const void *data, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(data, len, seed);
}

static struct ms_hash128 canonical(XXH128_hash_t hash) {
    XXH128_canonical_t spelled;
    struct ms_hash128 result;
    _Static_assert(sizeof spelled.digest == sizeof result.bytes, "128 bits");
    XXH128_canonicalFromHash(&spelled, hash);
    memcpy(result.bytes, spelled.digest, sizeof result.bytes);
    return result;
}

struct ms_hash128 ms_hash128(const void *data, size_t len, uint64_t seed) {
    return canonical(XXH3_128bits_withSeed(data, len, seed));
}

#define STATE_ALIGN 64 /* what xxHash asks for */

/* Setting up the streaming state costs more than copying this much. */
#define PAIR_JOIN_MAX 512

struct ms_hash128 ms_hash128_pair(struct ms_bytes first, struct ms_bytes second, uint64_t seed) {
    if (first.len <= PAIR_JOIN_MAX && second.len <= PAIR_JOIN_MAX - first.len) {
        uint8_t joined[PAIR_JOIN_MAX];
        if (first.len)
            memcpy(joined, first.data, first.len);
        if (second.len)
            memcpy(joined + first.len, second.data, second.len);
        return ms_hash128(joined, first.len + second.len, seed);
    }
    /* Aligned by hand: the stack that gcc's address sanitizer puts in its place keeps less. */
    uint8_t room[sizeof(XXH3_state_t) + STATE_ALIGN];
    XXH3_state_t *state =
        (XXH3_state_t *)(((uintptr_t)room + STATE_ALIGN - 1) & ~(uintptr_t)(STATE_ALIGN - 1));
    XXH3_INITSTATE(state);
    XXH_errorcode failed = XXH3_128bits_reset_withSeed(state, seed);
    if (first.len)
        failed |= XXH3_128bits_update(state, first.data, first.len);
    if (second.len)
        failed |= XXH3_128bits_update(state, second.data, second.len);
    MS_ASSERT(failed == XXH_OK);
    return canonical(XXH3_128bits_digest(state));
}

struct ms_hasher {
    XXH3_state_t *state;
};

int ms_hasher_new(struct ms_hasher **ret_hasher) {
    struct ms_hasher *hasher = ms_alloc(sizeof *hasher);
    if (hasher == NULL)
        return MS_ENOMEM;
    hasher->state = ms_alloc_aligned(STATE_ALIGN, sizeof *hasher->state);
    if (hasher->state == NULL) {
        ms_free(hasher);
        return MS_ENOMEM;
    }
    XXH3_INITSTATE(hasher->state);
    (void)XXH3_128bits_reset(hasher->state);
    *ret_hasher = hasher;
    return 0;
}

void ms_hasher_add(struct ms_hasher *hasher, const void *data, size_t len) {
    XXH_errorcode failed = XXH3_128bits_update(hasher->state, data, len);
    MS_ASSERT(failed == XXH_OK);
}

struct ms_hash128 ms_hasher_end(struct ms_hasher *hasher) {
    struct ms_hash128 hash = canonical(XXH3_128bits_digest(hasher->state));
    ms_free(hasher->state);
    ms_free(hasher);
    return hash;
}
