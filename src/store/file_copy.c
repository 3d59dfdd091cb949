/* Copying and hashing files; see file_copy.h. */
#include "store/file_copy.h"

#define COPY_BYTES ((size_t)1 << 20)

static int copy_pieces(struct ms_file *from, struct ms_file *to, uint64_t bytes,
                       struct ms_hasher *hasher, struct ms_error *err) {
    struct ms_blob *blob;
    int rc = ms_blob_new(COPY_BYTES, &blob);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to copy a file");
    for (uint64_t at = 0; rc == 0 && at < bytes;) {
        size_t len = bytes - at < COPY_BYTES ? (size_t)(bytes - at) : COPY_BYTES;
        rc = ms_file_read_exact(from, at, blob->data, len, err);
        if (rc == 0)
            ms_hasher_add(hasher, blob->data, len);
        if (rc == 0 && to != NULL)
            rc = ms_file_write(to, at, blob->data, len, err);
        at += len;
    }
    ms_blob_unref(blob);
    return rc;
}

/* to NULL: only the hash. */
static int copy_or_hash(const struct ms_env *env, const char *from, const char *to, uint64_t bytes,
                        struct ms_hash128 *ret_hash, struct ms_error *err) {
    struct ms_file *source = NULL, *target = NULL;
    struct ms_hasher *hasher = NULL;
    int rc = ms_hasher_new(&hasher);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory to hash a file");
    rc = ms_vfs_open(env->vfs, from, MS_OPEN_READ, &source, err);
    if (rc == 0 && to != NULL)
        rc = ms_vfs_open(env->vfs, to, MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_EXCL, &target, err);
    if (rc == 0)
        rc = copy_pieces(source, target, bytes, hasher, err);
    if (rc == 0 && target != NULL)
        rc = ms_file_sync(target, err);
    ms_file_close(source);
    ms_file_close(target);
    struct ms_hash128 hash = ms_hasher_end(hasher);
    if (rc == 0)
        *ret_hash = hash;
    return rc;
}

int ms_file_copy(const struct ms_env *env, const char *from, const char *to, uint64_t bytes,
                 struct ms_hash128 *ret_hash, struct ms_error *err) {
    return copy_or_hash(env, from, to, bytes, ret_hash, err);
}

int ms_file_hash(const struct ms_env *env, const char *path, uint64_t bytes,
                 struct ms_hash128 *ret_hash, struct ms_error *err) {
    return copy_or_hash(env, path, NULL, bytes, ret_hash, err);
}

/* By name: a symbolic link on the way isn't followed. */
static int refuse_inside_store(const struct ms_env *env, const char *dir, struct ms_error *err) {
    char inner[MS_PATH_MAX], outer[MS_PATH_MAX], format[MS_PATH_MAX];
    if (ms_path_join(inner, dir, "") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the directory is too long");
    while (inner[0] != 0 && inner[strlen(inner) - 1] == '/')
        inner[strlen(inner) - 1] = 0;
    while (ms_path_parent(outer, inner) == 0 && strcmp(outer, inner) != 0) {
        struct ms_file *file;
        if (ms_path_join(format, outer, "FORMAT") == 0 &&
            ms_vfs_open(env->vfs, format, MS_OPEN_READ, &file, NULL) == 0) {
            ms_file_close(file);
            return ms_error_set(err, MS_EINVAL, "%s lies inside %s, which is a store or a backup",
                                dir, outer);
        }
        memcpy(inner, outer, strlen(outer) + 1);
    }
    return 0;
}

int ms_dir_prepare_empty(const struct ms_env *env, const char *dir, struct ms_error *err) {
    struct ms_dir_entry *entries;
    size_t count = 0;
    int rc = refuse_inside_store(env, dir, err);
    if (rc == 0)
        rc = ms_vfs_mkdir_all(env->vfs, dir, err);
    if (rc == 0)
        rc = ms_vfs_list(env->vfs, dir, &entries, &count, err);
    if (rc != 0)
        return rc;
    ms_dir_entries_free(entries, count);
    if (count > 0)
        return ms_error_set(err, MS_EEXIST, "%s is not empty", dir);
    return 0;
}

static void remove_entries(const struct ms_env *env, const char *dir, unsigned depth) {
    struct ms_dir_entry *entries;
    size_t count = 0;
    char path[MS_PATH_MAX];
    if (ms_vfs_list(env->vfs, dir, &entries, &count, NULL) != 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (ms_path_join(path, dir, entries[i].name) != 0)
            continue;
        if (!entries[i].is_dir) {
            ms_ignore(ms_vfs_unlink(env->vfs, path, NULL));
        } else if (depth > 0) {
            remove_entries(env, path, depth - 1);
            ms_ignore(ms_vfs_rmdir(env->vfs, path, NULL));
        }
    }
    ms_dir_entries_free(entries, count);
}

void ms_dir_clear(const struct ms_env *env, const char *dir) { remove_entries(env, dir, 1); }
