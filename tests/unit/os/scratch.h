/* A directory of the real file system for one test program: made fresh, removed with all that is in
 * it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "os/vfs.h"

static inline int scratch_make(char out[MS_PATH_MAX]) {
    const char *parent = getenv("TMPDIR");
    int code = ms_path_join(out, parent ? parent : P_tmpdir, "mainstem-test-XXXXXX");
    return code < 0 || !mkdtemp(out) ? -1 : 0;
}

static inline int scratch_remove(const char *dir) {
    struct ms_vfs *vfs = ms_vfs_posix();
    struct ms_dir_entry *entries;
    size_t count;
    int code = ms_vfs_list(vfs, dir, &entries, &count, NULL);
    if (code < 0)
        return code;
    for (size_t i = 0; i < count && code == 0; i++) {
        char path[MS_PATH_MAX];
        code = ms_path_join(path, dir, entries[i].name);
        if (code == 0)
            code = entries[i].is_dir ? scratch_remove(path) : ms_vfs_unlink(vfs, path, NULL);
    }
    ms_dir_entries_free(entries, count);
    return code < 0 ? code : ms_vfs_rmdir(vfs, dir, NULL);
}
