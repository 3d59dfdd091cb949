/* Copying and hashing files; see file_copy.h. */
#include "store/file_copy.h"

#include "log/segment.h"

#define COPY_BYTES ((size_t)1 << 20)
#define LEVELS_MAX 64u

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

/* 0: a store or a backup. MS_ENOTFOUND: neither. Others: it can't be looked at. */
static int find_format(const struct ms_env *env, const char *dir) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    int rc = ms_path_join(path, dir, "FORMAT");
    if (rc == 0)
        rc = ms_vfs_open(env->vfs, path, MS_OPEN_READ, &file, NULL);
    if (rc == 0)
        ms_file_close(file);
    return rc;
}

static bool is_dir(const struct ms_env *env, const char *path) {
    struct ms_dir_entry *entries;
    size_t count;
    if (ms_vfs_list(env->vfs, path, &entries, &count, NULL) != 0)
        return false;
    ms_dir_entries_free(entries, count);
    return true;
}

/* `at` becomes what is above it: by name, or as the file system has it (links followed, and above
 * "." too). False at the top. */
static bool go_up(char at[MS_PATH_MAX], bool by_name) {
    char above[MS_PATH_MAX];
    int rc = by_name ? ms_path_parent(above, at) : ms_path_join(above, at, "..");
    if (rc != 0 || strcmp(above, at) == 0)
        return false;
    memcpy(at, above, strlen(above) + 1);
    return true;
}

/* From the nearest directory that is there upwards. */
static int refuse_inside_store(const struct ms_env *env, const char *dir, struct ms_error *err) {
    char nearest[MS_PATH_MAX], at[MS_PATH_MAX];
    bool itself = true, there = true;
    if (ms_path_join(nearest, dir, "") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the directory is too long");
    while (there && !is_dir(env, nearest)) {
        there = go_up(nearest, true);
        itself = false;
    }
    bool by_name = strstr(dir, "..") == NULL;
    for (int way = by_name ? 0 : 1; way < 2 && there; way++) {
        memcpy(at, nearest, strlen(nearest) + 1);
        int rc = itself ? MS_ENOTFOUND : find_format(env, at);
        for (unsigned level = 0; rc == MS_ENOTFOUND && level < LEVELS_MAX; level++)
            rc = go_up(at, way == 0) ? find_format(env, at) : MS_ETOOBIG;
        if (rc == 0)
            return ms_error_set(err, MS_EINVAL, "%s lies inside a store or a backup: %s", dir, at);
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

int ms_shard_dir_claim(const struct ms_env *env, const char *dir, const char *shard,
                       struct ms_error *err) {
    int rc = ms_vfs_mkdir(env->vfs, shard, err);
    if (rc == MS_EEXIST)
        return ms_error_set(err, rc, "%s is being used by somebody else", dir);
    return rc == 0 ? ms_vfs_sync_dir(env->vfs, dir, err) : rc;
}

static void unlink_in(const struct ms_env *env, const char *dir, const char *name) {
    char path[MS_PATH_MAX];
    if (ms_path_join(path, dir, name) == 0)
        ms_ignore(ms_vfs_unlink(env->vfs, path, NULL));
}

void ms_shard_dir_undo(const struct ms_env *env, const char *dir, const char *shard) {
    static const char *const files[] = {"MANIFEST.json", "MANIFEST.json.tmp", "FORMAT",
                                        "FORMAT.tmp"};
    struct ms_dir_entry *entries;
    size_t count = 0;
    uint64_t ignored;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink_in(env, dir, files[i]);
    if (ms_vfs_list(env->vfs, shard, &entries, &count, NULL) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_dir && ms_segment_name_parse(entries[i].name, &ignored))
            unlink_in(env, shard, entries[i].name);
    ms_dir_entries_free(entries, count);
    ms_ignore(ms_vfs_rmdir(env->vfs, shard, NULL));
}
