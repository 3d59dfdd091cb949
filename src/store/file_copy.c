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

int ms_dir_prepare_empty(const struct ms_env *env, const char *dir, struct ms_error *err) {
    struct ms_dir_entry *entries;
    size_t count = 0;
    int rc = ms_vfs_mkdir_all(env->vfs, dir, err);
    if (rc == 0)
        rc = ms_vfs_list(env->vfs, dir, &entries, &count, err);
    if (rc != 0)
        return rc;
    ms_dir_entries_free(entries, count);
    if (count > 0)
        return ms_error_set(err, MS_EEXIST, "%s is not empty", dir);
    return 0;
}
