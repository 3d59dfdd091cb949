/*
 * Apps: folders of modules (.lua) and read models (.sql), as they are read from a directory.
 *
 * Files are told apart by their paths below the folder, with '/', in the order of these. What is in
 * a folder of a name that begins with '.', and files that end otherwise, are not the app's. The
 * hash is of all paths and contents: the version of the app.
 *
 * Blocks for I/O. Any thread; one per app.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "os/vfs.h"

#define MS_APP_FILES_MAX 1000u
#define MS_APP_FILE_BYTES_MAX ((size_t)1 << 20)
#define MS_APP_BYTES_MAX ((size_t)16 << 20)
#define MS_APP_DEPTH_MAX 8u

struct ms_app_file {
    const char *path;
    struct ms_bytes content;
};

struct ms_app {
    struct ms_arena arena; /* everything below lives in it */
    struct ms_app_file *files;
    size_t count;
    struct ms_hash128 hash;
};

/* MS_ENOTFOUND: no such directory, or no file of an app in it; MS_ETOOBIG names the limit; MS_EIO,
 * MS_ENOMEM. */
int ms_app_read(struct ms_vfs *vfs, const char *dir, struct ms_app **ret_app, struct ms_error *err)
    MS_MUST_CHECK;
void ms_app_free(struct ms_app *app); /* takes NULL */

bool ms_app_is_module(const struct ms_app_file *file);
