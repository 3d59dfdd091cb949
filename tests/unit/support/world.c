/* Worlds for tests; see world.h. */
#include "support/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/alloc.h"

void world_init(struct world *world, uint64_t seed) {
    MS_ASSERT(ms_vfs_sim_new(seed, &world->sim) == 0);
    ms_clock_manual_init(&world->clock, WORLD_START_US);
    ms_random_seeded_init(&world->random, seed ^ UINT64_C(0x6d61696e7374656d));
    world->env = (struct ms_env){
        .vfs = ms_vfs_sim_vfs(world->sim),
        .clock = &world->clock.clock,
        .random = &world->random.random,
    };
}

void world_deinit(struct world *world) {
    ms_vfs_sim_free(world->sim);
    world->sim = NULL;
}

struct ms_vfs *world_vfs(struct world *world) {
    return ms_vfs_sim_vfs(world->sim);
}

/* MS_TEST_CASES: a pattern for the names of the cases to run. */
__attribute__((constructor)) static void choose_cases(void) {
    const char *pattern = getenv("MS_TEST_CASES");
    if (pattern != NULL)
        cmocka_set_test_filter(pattern);
}

uint64_t world_setting(const char *name, uint64_t otherwise) {
    uint64_t value;
    const char *text = getenv(name);
    if (text == NULL || ms_parse_u64(ms_bytes_cstr(text), &value) != 0)
        return otherwise;
    return value;
}

static struct ms_file *open_file(struct world *world, const char *path, int flags) {
    struct ms_file *file;
    MS_ASSERT(ms_vfs_open(world_vfs(world), path, flags, &file, NULL) == 0);
    return file;
}

uint64_t world_file_size(struct world *world, const char *path) {
    struct ms_file *file = open_file(world, path, MS_OPEN_READ);
    uint64_t size;
    MS_ASSERT(ms_file_size(file, &size, NULL) == 0);
    ms_file_close(file);
    return size;
}

bool world_exists(struct world *world, const char *path) {
    struct ms_file *file;
    int rc = ms_vfs_open(world_vfs(world), path, MS_OPEN_READ, &file, NULL);
    if (rc == 0)
        ms_file_close(file);
    return rc == 0;
}

void world_read(struct world *world, const char *path, uint64_t offset, void *out, size_t len) {
    struct ms_file *file = open_file(world, path, MS_OPEN_READ);
    MS_ASSERT(ms_file_read_exact(file, offset, out, len, NULL) == 0);
    ms_file_close(file);
}

void world_write(struct world *world, const char *path, uint64_t offset, const void *data,
                 size_t len) {
    struct ms_file *file = open_file(world, path, MS_OPEN_WRITE | MS_OPEN_CREATE);
    MS_ASSERT(ms_file_write(file, offset, data, len, NULL) == 0);
    MS_ASSERT(ms_file_sync(file, NULL) == 0);
    ms_file_close(file);
    char dir[MS_PATH_MAX];
    MS_ASSERT(ms_path_parent(dir, path) == 0);
    MS_ASSERT(ms_vfs_sync_dir(world_vfs(world), dir, NULL) == 0);
}

void world_truncate(struct world *world, const char *path, uint64_t size) {
    struct ms_file *file = open_file(world, path, MS_OPEN_WRITE);
    MS_ASSERT(ms_file_truncate(file, size, NULL) == 0);
    MS_ASSERT(ms_file_sync(file, NULL) == 0);
    ms_file_close(file);
}

void world_copy(struct world *world, const char *from, const char *to) {
    uint64_t size = world_file_size(world, from);
    uint8_t *bytes = ms_alloc(size);
    MS_ASSERT(bytes != NULL);
    world_read(world, from, 0, bytes, size);
    if (world_exists(world, to))
        world_remove(world, to);
    world_write(world, to, 0, bytes, size);
    ms_free(bytes);
}

void world_remove(struct world *world, const char *path) {
    char dir[MS_PATH_MAX];
    MS_ASSERT(ms_vfs_unlink(world_vfs(world), path, NULL) == 0);
    MS_ASSERT(ms_path_parent(dir, path) == 0);
    MS_ASSERT(ms_vfs_sync_dir(world_vfs(world), dir, NULL) == 0);
}

size_t world_count(struct world *world, const char *dir, const char *prefix) {
    struct ms_dir_entry *entries;
    size_t count, found = 0;
    MS_ASSERT(ms_vfs_list(world_vfs(world), dir, &entries, &count, NULL) == 0);
    for (size_t i = 0; i < count; i++)
        found += ms_bytes_starts_with(ms_bytes_cstr(entries[i].name), ms_bytes_cstr(prefix));
    ms_dir_entries_free(entries, count);
    return found;
}
