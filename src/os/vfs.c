/* The calls through the seam, and what can be said with them alone: whole files, directory chains,
 * path arithmetic. See vfs.h. Any thread. */
#include "os/vfs.h"

#include "base/alloc.h"

/* ---- names ---- */

int ms_vfs_open(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                struct ms_error *err) {
    MS_ASSERT(flags & (MS_OPEN_READ | MS_OPEN_WRITE));
    MS_ASSERT(!(flags & (MS_OPEN_CREATE | MS_OPEN_TRUNCATE)) || (flags & MS_OPEN_WRITE));
    MS_ASSERT(!(flags & MS_OPEN_EXCL) || (flags & MS_OPEN_CREATE));
    return vfs->ops->open(vfs, path, flags, ret_file, err);
}

int ms_vfs_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    return vfs->ops->unlink(vfs, path, err);
}

int ms_vfs_rename(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    return vfs->ops->rename(vfs, from, to, err);
}

int ms_vfs_link(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    return vfs->ops->link(vfs, from, to, err);
}

int ms_vfs_mkdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    return vfs->ops->mkdir(vfs, path, err);
}

int ms_vfs_rmdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    return vfs->ops->rmdir(vfs, path, err);
}

int ms_vfs_list(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                size_t *ret_count, struct ms_error *err) {
    return vfs->ops->list(vfs, path, ret_entries, ret_count, err);
}

void ms_dir_entries_free(struct ms_dir_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++)
        ms_free(entries[i].name);
    ms_free(entries);
}

int ms_vfs_sync_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    return vfs->ops->sync_dir(vfs, path, err);
}

int ms_vfs_free_space(struct ms_vfs *vfs, const char *path, uint64_t *ret_free, uint64_t *ret_total,
                      struct ms_error *err) {
    return vfs->ops->free_space(vfs, path, ret_free, ret_total, err);
}

int ms_vfs_lock(struct ms_vfs *vfs, const char *path, struct ms_file **ret_lock,
                struct ms_error *err) {
    return vfs->ops->lock(vfs, path, ret_lock, err);
}

/* ---- content ---- */

int ms_file_read(struct ms_file *file, uint64_t offset, void *out, size_t len, int flags,
                 size_t *ret_len, struct ms_error *err) {
    return file->ops->read(file, offset, out, len, flags, ret_len, err);
}

int ms_file_read_exact(struct ms_file *file, uint64_t offset, void *out, size_t len,
                       struct ms_error *err) {
    size_t got;
    int code = file->ops->read(file, offset, out, len, 0, &got, err);
    if (code < 0)
        return code;
    if (got < len)
        return ms_error_set(err, MS_ECORRUPT,
                            "the file ends after %zu of %zu bytes wanted at offset %llu", got, len,
                            (unsigned long long)offset);
    return 0;
}

int ms_file_write(struct ms_file *file, uint64_t offset, const void *data, size_t len,
                  struct ms_error *err) {
    struct ms_iovec iov = {data, len};
    return file->ops->writev(file, offset, &iov, 1, err);
}

int ms_file_writev(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov, int count,
                   struct ms_error *err) {
    MS_ASSERT(count >= 0);
    return file->ops->writev(file, offset, iov, count, err);
}

int ms_file_sync(struct ms_file *file, struct ms_error *err) { return file->ops->sync(file, err); }

int ms_file_truncate(struct ms_file *file, uint64_t size, struct ms_error *err) {
    return file->ops->truncate(file, size, err);
}

int ms_file_allocate(struct ms_file *file, uint64_t offset, uint64_t len, struct ms_error *err) {
    return file->ops->allocate(file, offset, len, err);
}

int ms_file_size(struct ms_file *file, uint64_t *ret_size, struct ms_error *err) {
    return file->ops->size(file, ret_size, err);
}

void ms_file_close(struct ms_file *file) {
    if (file)
        file->ops->close(file);
}

/* ---- paths ---- */

int ms_path_join(char out[MS_PATH_MAX], const char *dir, const char *name) {
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    bool slash = dir_len > 0 && dir[dir_len - 1] != '/';
    if (dir_len >= MS_PATH_MAX || name_len >= MS_PATH_MAX - dir_len - slash)
        return MS_ETOOBIG;
    memcpy(out, dir, dir_len);
    if (slash)
        out[dir_len] = '/';
    memcpy(out + dir_len + slash, name, name_len + 1);
    return 0;
}

int ms_path_parent(char out[MS_PATH_MAX], const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len >= MS_PATH_MAX)
        return MS_ETOOBIG;
    memcpy(out, len ? path : ".", len ? len : 1);
    out[len ? len : 1] = '\0';
    return 0;
}

static int sync_parent(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    char parent[MS_PATH_MAX];
    int code = ms_path_parent(parent, path);
    if (code < 0)
        return ms_error_set(err, code, "path too long: %s", path);
    return ms_vfs_sync_dir(vfs, parent, err);
}

/* Makes one directory, durably; one that is there already is left as it is. */
static int ensure_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    int code = ms_vfs_mkdir(vfs, path, err);
    if (code == MS_EEXIST)
        return 0;
    return code < 0 ? code : sync_parent(vfs, path, err);
}

int ms_vfs_mkdir_all(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    char part[MS_PATH_MAX];
    size_t len = strlen(path);
    if (len >= MS_PATH_MAX)
        return ms_error_set(err, MS_ETOOBIG, "path too long: %s", path);
    int code = ensure_dir(vfs, path, err);
    if (code != MS_ENOTFOUND)
        return code;
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/' || part[i - 1] == '/')
            continue;
        part[i] = '\0';
        code = ensure_dir(vfs, part, err);
        if (code < 0)
            return code;
        part[i] = '/';
    }
    return ensure_dir(vfs, path, err);
}

/* ---- whole files ---- */

static int read_whole(struct ms_file *file, struct ms_buf *buf, struct ms_error *err) {
    uint64_t size;
    int code = ms_file_size(file, &size, err);
    if (code < 0)
        return code;
    if (size > buf->max - buf->len)
        return ms_error_set(err, MS_ETOOBIG, "%llu bytes, more than the %zu allowed",
                            (unsigned long long)size, buf->max - buf->len);
    size_t before = buf->len;
    uint8_t *place;
    code = ms_buf_extend(buf, (size_t)size, &place);
    if (code < 0)
        return ms_error_set(err, code, "no memory for %llu bytes", (unsigned long long)size);
    size_t got = 0;
    if (size > 0)
        code = ms_file_read(file, 0, place, (size_t)size, 0, &got, err);
    buf->len = code < 0 ? before : before + got;
    return code;
}

int ms_vfs_read_file(struct ms_vfs *vfs, const char *path, struct ms_buf *buf,
                     struct ms_error *err) {
    struct ms_file *file;
    int code = ms_vfs_open(vfs, path, MS_OPEN_READ, &file, err);
    if (code < 0)
        return code;
    code = read_whole(file, buf, err);
    ms_file_close(file);
    if (code < 0)
        ms_error_prefix(err, "read %s", path);
    return code;
}

static int write_synced(struct ms_vfs *vfs, const char *path, struct ms_bytes content,
                        struct ms_error *err) {
    struct ms_file *file;
    int flags = MS_OPEN_WRITE | MS_OPEN_CREATE | MS_OPEN_TRUNCATE;
    int code = ms_vfs_open(vfs, path, flags, &file, err);
    if (code < 0)
        return code;
    code = ms_file_write(file, 0, content.data, content.len, err);
    if (code == 0)
        code = ms_file_sync(file, err);
    ms_file_close(file);
    return code;
}

int ms_vfs_replace_file(struct ms_vfs *vfs, const char *path, struct ms_bytes content,
                        struct ms_error *err) {
    static const char suffix[] = ".tmp";
    char beside[MS_PATH_MAX];
    size_t len = strlen(path);
    if (len + sizeof suffix > MS_PATH_MAX)
        return ms_error_set(err, MS_ETOOBIG, "path too long: %s", path);
    memcpy(beside, path, len);
    memcpy(beside + len, suffix, sizeof suffix);

    int code = write_synced(vfs, beside, content, err);
    if (code == 0)
        code = ms_vfs_rename(vfs, beside, path, err);
    if (code < 0) {
        /* The first failure is the one to report; what is left beside is overwritten next time. */
        int ignored = ms_vfs_unlink(vfs, beside, NULL);
        (void)ignored;
        return code;
    }
    return sync_parent(vfs, path, err);
}
