/* What the tests of the simulated file system share: short ways to make, write and look at files.
 * Every helper expects success. */
#pragma once

#include <string.h>

#include "os/random.h"
#include "os/vfs_sim.h"

enum {
    RW = MS_OPEN_READ | MS_OPEN_WRITE,
    RWC = MS_OPEN_READ | MS_OPEN_WRITE | MS_OPEN_CREATE,
};

static inline struct ms_vfs_sim *sim_new(uint64_t seed) {
    struct ms_vfs_sim *sim;
    assert_int_equal(ms_vfs_sim_new(seed, &sim), 0);
    return sim;
}

static inline struct ms_file *sim_open(struct ms_vfs_sim *sim, const char *path, int flags) {
    struct ms_file *file;
    assert_int_equal(ms_vfs_open(ms_vfs_sim_vfs(sim), path, flags, &file, NULL), 0);
    return file;
}

static inline int sim_try_open(struct ms_vfs_sim *sim, const char *path) {
    struct ms_file *file;
    int code = ms_vfs_open(ms_vfs_sim_vfs(sim), path, MS_OPEN_READ, &file, NULL);
    if (code == 0)
        ms_file_close(file);
    return code;
}

static inline bool sim_exists(struct ms_vfs_sim *sim, const char *path) {
    int code = sim_try_open(sim, path);
    assert_true(code == 0 || code == MS_ENOTFOUND);
    return code == 0;
}

/* Makes the file with this content; `durably`: synced, and its name too. */
static inline void sim_put(struct ms_vfs_sim *sim, const char *path, const char *content,
                           bool durably) {
    struct ms_file *file = sim_open(sim, path, RWC | MS_OPEN_TRUNCATE);
    assert_int_equal(ms_file_write(file, 0, content, strlen(content), NULL), 0);
    if (durably) {
        char parent[MS_PATH_MAX];
        assert_int_equal(ms_file_sync(file, NULL), 0);
        assert_int_equal(ms_path_parent(parent, path), 0);
        assert_int_equal(ms_vfs_sync_dir(ms_vfs_sim_vfs(sim), parent, NULL), 0);
    }
    ms_file_close(file);
}

/* Reads a whole file into `out`; returns its size. */
static inline size_t sim_get(struct ms_vfs_sim *sim, const char *path, void *out, size_t max) {
    struct ms_file *file = sim_open(sim, path, MS_OPEN_READ);
    uint64_t size;
    size_t got;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_true(size <= max);
    assert_int_equal(ms_file_read(file, 0, out, max, 0, &got, NULL), 0);
    assert_int_equal(got, size);
    ms_file_close(file);
    return got;
}

static inline bool sim_content_is(struct ms_vfs_sim *sim, const char *path, const char *wanted) {
    static char out[1 << 16];
    size_t len = sim_get(sim, path, out, sizeof out);
    return len == strlen(wanted) && memcmp(out, wanted, len) == 0;
}
