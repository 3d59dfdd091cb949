/* Randomness as a seam. Any thread. */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct ms_random {
    void (*fill)(struct ms_random *random, void *out, size_t len);
};

static inline void ms_random_fill(struct ms_random *random, void *out, size_t len) {
    random->fill(random, out, len);
}
uint64_t ms_random_u64(struct ms_random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t ms_random_below(struct ms_random *random, uint64_t bound);

/* The kernel's generator, buffered per thread so that a UUID costs no system call. */
struct ms_random *ms_random_system(void);

/* A seeded generator (xoshiro256**): the same seed gives the same numbers for ever. For tests and
 * generators. */
struct ms_random_seeded {
    struct ms_random random;
    pthread_mutex_t mutex;
    uint64_t state[4];
};
void ms_random_seeded_init(struct ms_random_seeded *random, uint64_t seed);
