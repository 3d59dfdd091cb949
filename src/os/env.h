/*
 * The world, as handed down at construction: files, clock, randomness.
 *
 * No code outside src/os opens, writes, syncs or renames a file, reads a clock or draws a random
 * number directly; it goes through the environment it was given. That is what makes simulation,
 * fault injection and several servers in one test process possible. Threads use <pthread.h>
 * directly: they are not simulated.
 */
#pragma once

#include "base/uuid.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/vfs.h"

struct ms_env {
    struct ms_vfs *vfs;
    struct ms_clock *clock;
    struct ms_random *random;
};

/* The real world: POSIX files, the system's clocks, the kernel's randomness. A constant; any
 * thread. */
const struct ms_env *ms_env_system(void);

/* A fresh UUID of version 7 / 4 from the environment's clock and randomness. */
void ms_env_uuid_v7(const struct ms_env *env, struct ms_uuid *ret_uuid);
void ms_env_uuid_v4(const struct ms_env *env, struct ms_uuid *ret_uuid);
