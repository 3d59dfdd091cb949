/* Apps as they are read from a directory; see app.h. */
#include "domain/app.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define PATH_MAX_BYTES 4096

struct reading {
    struct ms_vfs *vfs;
    const char *dir;
    struct ms_app *app;
    size_t bytes;
    struct ms_error *err;
};

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

bool ms_app_is_module(const struct ms_app_file *file) { return ends_with(file->path, ".lua"); }

static int no_memory(struct reading *reading) {
    return ms_error_set(reading->err, MS_ENOMEM, "no memory for the app in %s", reading->dir);
}

/* ---- one file ---- */

static int keep(struct reading *reading, const char *path, const struct ms_buf *content) {
    struct ms_app *app = reading->app;
    struct ms_app_file *file = &app->files[app->count];
    uint8_t *copy = ms_arena_alloc(&app->arena, content->len + 1);
    file->path = ms_arena_strdup(&app->arena, ms_bytes_cstr(path));
    if (copy == NULL || file->path == NULL)
        return no_memory(reading);
    if (content->len > 0)
        memcpy(copy, content->data, content->len);
    file->content = ms_bytes_of(copy, content->len);
    app->count++;
    return 0;
}

static int read_file(struct reading *reading, const char *path) {
    char whole[2 * PATH_MAX_BYTES];
    struct ms_buf content;
    if (reading->app->count == MS_APP_FILES_MAX)
        return ms_error_set(reading->err, MS_ETOOBIG, "%s: an app has at most %u files",
                            reading->dir, MS_APP_FILES_MAX);
    if (snprintf(whole, sizeof whole, "%s/%s", reading->dir, path) >= (int)sizeof whole)
        return ms_error_set(reading->err, MS_ETOOBIG, "%s: the path is too long", reading->dir);
    ms_buf_init(&content, MS_APP_FILE_BYTES_MAX);
    int code = ms_vfs_read_file(reading->vfs, whole, &content, reading->err);
    if (code == MS_ETOOBIG)
        code = ms_error_set(reading->err, code, "%s: a file of an app has at most %zu bytes", whole,
                            MS_APP_FILE_BYTES_MAX);
    reading->bytes += content.len;
    if (code == 0 && reading->bytes > MS_APP_BYTES_MAX)
        code = ms_error_set(reading->err, MS_ETOOBIG, "%s: an app has at most %zu bytes",
                            reading->dir, MS_APP_BYTES_MAX);
    if (code == 0)
        code = keep(reading, path, &content);
    ms_buf_deinit(&content);
    return code;
}

/* ---- directories ---- */

static int read_dir(struct reading *reading, const char *below, unsigned depth);

static int read_entry(struct reading *reading, const char *below, const struct ms_dir_entry *entry,
                      unsigned depth) {
    char path[PATH_MAX_BYTES];
    const char *name = entry->name;
    if (name[0] == '.')
        return 0;
    int n = snprintf(path, sizeof path, "%s%s%s", below, *below != '\0' ? "/" : "", name);
    if (n >= (int)sizeof path)
        return ms_error_set(reading->err, MS_ETOOBIG, "%s: a path below it is too long",
                            reading->dir);
    if (entry->is_dir)
        return read_dir(reading, path, depth + 1);
    return ends_with(name, ".lua") || ends_with(name, ".sql") ? read_file(reading, path) : 0;
}

static int read_dir(struct reading *reading, const char *below, unsigned depth) {
    char whole[2 * PATH_MAX_BYTES];
    struct ms_dir_entry *entries;
    size_t count;
    if (depth > MS_APP_DEPTH_MAX)
        return ms_error_set(reading->err, MS_ETOOBIG, "%s: folders of an app nest %u deep at most",
                            reading->dir, MS_APP_DEPTH_MAX);
    if (snprintf(whole, sizeof whole, "%s%s%s", reading->dir, *below != '\0' ? "/" : "", below) >=
        (int)sizeof whole)
        return ms_error_set(reading->err, MS_ETOOBIG, "%s: the path is too long", reading->dir);
    int code = ms_vfs_list(reading->vfs, whole, &entries, &count, reading->err);
    if (code != 0)
        return code;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = read_entry(reading, below, &entries[i], depth);
    ms_dir_entries_free(entries, count);
    return code;
}

/* ---- the app ---- */

static int compare_files(const void *a, const void *b) {
    const struct ms_app_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int hash_files(struct reading *reading) {
    struct ms_app *app = reading->app;
    struct ms_hasher *hasher;
    if (ms_hasher_new(&hasher) != 0)
        return no_memory(reading);
    for (size_t i = 0; i < app->count; i++) {
        uint64_t len = app->files[i].content.len;
        ms_hasher_add(hasher, app->files[i].path, strlen(app->files[i].path) + 1);
        ms_hasher_add(hasher, &len, sizeof len);
        ms_hasher_add(hasher, app->files[i].content.data, app->files[i].content.len);
    }
    app->hash = ms_hasher_end(hasher);
    return 0;
}

static int read_all(struct reading *reading) {
    struct ms_app *app = reading->app;
    app->files = ms_arena_zalloc(&app->arena, MS_APP_FILES_MAX * sizeof *app->files);
    if (app->files == NULL)
        return no_memory(reading);
    int code = read_dir(reading, "", 0);
    if (code != 0)
        return code;
    if (app->count == 0)
        return ms_error_set(reading->err, MS_ENOTFOUND,
                            "%s has no file of an app: none that ends in .lua or .sql",
                            reading->dir);
    qsort(app->files, app->count, sizeof *app->files, compare_files);
    return hash_files(reading);
}

int ms_app_read(struct ms_vfs *vfs, const char *dir, struct ms_app **ret_app,
                struct ms_error *err) {
    struct ms_app *app = ms_calloc(1, sizeof *app);
    struct reading reading = {.vfs = vfs, .dir = dir, .app = app, .err = err};
    if (app == NULL)
        return no_memory(&reading);
    ms_arena_init(&app->arena, MS_APP_BYTES_MAX + ((size_t)4 << 20));
    int code = read_all(&reading);
    if (code != 0) {
        ms_app_free(app);
        return code;
    }
    *ret_app = app;
    return 0;
}

void ms_app_free(struct ms_app *app) {
    if (app == NULL)
        return;
    ms_arena_deinit(&app->arena);
    ms_free(app);
}
