/* A world for tests in which nothing happens by itself: simulated files, a clock that moves when
 * told to, seeded randomness. One thread per world unless a test says otherwise. */
#pragma once

#include "os/env.h"
#include "os/vfs_sim.h"

struct world {
    struct ms_vfs_sim *sim;
    struct ms_clock_manual clock;
    struct ms_random_seeded random;
    struct ms_env env;
};

#define WORLD_START_US INT64_C(1700000000000000)

void world_init(struct world *world, uint64_t seed);
void world_deinit(struct world *world);
struct ms_vfs *world_vfs(struct world *world);

/* An environment variable that is a number, else `otherwise`: sizes of long tests. */
uint64_t world_setting(const char *name, uint64_t otherwise);

/* Whole files, each expecting success. */
uint64_t world_file_size(struct world *world, const char *path);
bool world_exists(struct world *world, const char *path);
void world_read(struct world *world, const char *path, uint64_t offset, void *out, size_t len);
/* Also past the end; durable when it returns. */
void world_write(struct world *world, const char *path, uint64_t offset, const void *data,
                 size_t len);
void world_truncate(struct world *world, const char *path, uint64_t size);
void world_copy(struct world *world, const char *from, const char *to);
void world_remove(struct world *world, const char *path);
/* How many names of the directory begin with `prefix`. */
size_t world_count(struct world *world, const char *dir, const char *prefix);
