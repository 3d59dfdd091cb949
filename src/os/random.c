/*
 * The kernel's randomness, drawn in blocks, and xoshiro256** for what must repeat; see random.h.
 *
 * The block belongs to one thread, so drawing takes no lock. Two things keep bytes from being
 * handed out twice: what was handed out is wiped, and a fork empties the block of the child.
 */
#include "os/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/endian.h"
#include "base/error.h"

uint64_t ms_random_u64(struct ms_random *random) {
    uint8_t bytes[8];
    random->fill(random, bytes, sizeof bytes);
    return ms_get_le64(bytes);
}

/* Lemire's multiplication: the high half is the answer; low halves below 2^64 mod bound would
 * favour some answers and are drawn again. */
uint64_t ms_random_below(struct ms_random *random, uint64_t bound) {
    MS_ASSERT(bound > 0);
    unsigned __int128 product = (unsigned __int128)ms_random_u64(random) * bound;
    if ((uint64_t)product < bound) {
        uint64_t floor = (0 - bound) % bound;
        while ((uint64_t)product < floor)
            product = (unsigned __int128)ms_random_u64(random) * bound;
    }
    return (uint64_t)(product >> 64);
}

/* ---- the system's ---- */

#define BLOCK_BYTES 512

struct random_block {
    size_t left; /* unused bytes, at the end */
    uint8_t bytes[BLOCK_BYTES];
};

static _Thread_local struct random_block thread_block;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* Runs in the child on its only thread, the one that forked. */
static void forget_after_fork(void) { thread_block.left = 0; }

static void watch_forks(void) {
    int failed = pthread_atfork(NULL, NULL, forget_after_fork);
    MS_ASSERT(failed == 0);
}

static void fill_from_kernel(uint8_t *out, size_t len) {
    while (len > 0) {
        ssize_t got = getrandom(out, len, 0);
        MS_ASSERT(got >= 0 || errno == EINTR);
        if (got > 0) {
            out += got;
            len -= (size_t)got;
        }
    }
}

static void system_fill(struct ms_random *random, void *out, size_t len) {
    (void)random;
    if (len > BLOCK_BYTES / 2) {
        fill_from_kernel(out, len);
        return;
    }
    struct random_block *block = &thread_block;
    if (block->left < len) {
        pthread_once(&fork_once, watch_forks);
        fill_from_kernel(block->bytes, BLOCK_BYTES);
        block->left = BLOCK_BYTES;
    }
    uint8_t *drawn = block->bytes + BLOCK_BYTES - block->left;
    memcpy(out, drawn, len);
    explicit_bzero(drawn, len);
    block->left -= len;
}

struct ms_random *ms_random_system(void) {
    static struct ms_random random = {system_fill};
    return &random;
}

/* ---- the seeded ---- */

static inline uint64_t rotate_left(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

/* xoshiro256** by Blackman and Vigna. */
static uint64_t seeded_next(uint64_t state[4]) {
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

/* Whole numbers little endian; the unused bytes of the last one are dropped. */
static void seeded_fill(struct ms_random *random, void *out, size_t len) {
    struct ms_random_seeded *seeded = (struct ms_random_seeded *)random;
    uint8_t *at = out;
    pthread_mutex_lock(&seeded->mutex);
    while (len > 0) {
        uint8_t bytes[8];
        ms_put_le64(bytes, seeded_next(seeded->state));
        size_t piece = len < sizeof bytes ? len : sizeof bytes;
        memcpy(at, bytes, piece);
        at += piece;
        len -= piece;
    }
    pthread_mutex_unlock(&seeded->mutex);
}

/* SplitMix64 spreads the seed, as the generator's authors advise: a state of zeros would stay so.
 * */
static uint64_t splitmix_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

void ms_random_seeded_init(struct ms_random_seeded *random, uint64_t seed) {
    random->random.fill = seeded_fill;
    int failed = pthread_mutex_init(&random->mutex, NULL);
    MS_ASSERT(failed == 0);
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix_next(&seed);
}
