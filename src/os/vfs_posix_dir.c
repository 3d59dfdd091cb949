/* Names and directories of the operating system; see vfs.h for what each call promises. Any thread.
 * */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "os/vfs_posix.h"

#define DIR_MODE 0750

int ms_posix_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    (void)vfs;
    return unlink(path) < 0 ? ms_posix_fail(err, errno, "unlink", path) : 0;
}

int ms_posix_rename(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    (void)vfs;
    if (rename(from, to) == 0)
        return 0;
    int code = ms_error_from_errno(errno);
    return ms_error_set(err, code, "rename %s to %s: %m", from, to);
}

int ms_posix_link(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err) {
    (void)vfs;
    if (link(from, to) == 0)
        return 0;
    int code = ms_error_from_errno(errno);
    return ms_error_set(err, code, "link %s to %s: %m", from, to);
}

int ms_posix_mkdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    (void)vfs;
    if (mkdir(path, DIR_MODE) == 0)
        return 0;
    int errno_value = errno;
    struct stat status;
    if (errno_value == EEXIST && stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        return ms_error_set(err, MS_EINVAL, "mkdir %s: a file of that name is there", path);
    return ms_posix_fail(err, errno_value, "mkdir", path);
}

int ms_posix_rmdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    (void)vfs;
    return rmdir(path) < 0 ? ms_posix_fail(err, errno, "rmdir", path) : 0;
}

/* ---- listing ---- */

struct dir_list {
    struct ms_dir_entry *entries;
    size_t count;
    size_t capacity;
};

static int list_add(struct dir_list *list, const char *name, const struct stat *status) {
    if (list->count == MS_DIR_ENTRIES_MAX)
        return MS_ELIMIT;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        struct ms_dir_entry *entries = ms_realloc(list->entries, capacity * sizeof *entries);
        if (!entries)
            return MS_ENOMEM;
        list->entries = entries;
        list->capacity = capacity;
    }
    char *copy = ms_alloc_strdup(ms_bytes_cstr(name));
    if (!copy)
        return MS_ENOMEM;
    list->entries[list->count++] = (struct ms_dir_entry){
        .name = copy,
        .is_dir = S_ISDIR(status->st_mode),
        .size = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0,
    };
    return 0;
}

static int list_all(DIR *dir, const char *path, struct dir_list *list, struct ms_error *err) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? ms_posix_fail(err, errno, "list", path) : 0;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        struct stat status;
        if (fstatat(dirfd(dir), name, &status, 0) < 0) {
            if (errno == ENOENT)
                continue; /* removed since, or a link to nowhere */
            return ms_posix_fail(err, errno, "list", path);
        }
        int code = list_add(list, name, &status);
        if (code < 0)
            return ms_error_set(err, code, "list %s: %s", path, ms_error_text(code));
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct ms_dir_entry *)a)->name, ((const struct ms_dir_entry *)b)->name);
}

int ms_posix_list(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                  size_t *ret_count, struct ms_error *err) {
    (void)vfs;
    DIR *dir = opendir(path);
    if (!dir)
        return ms_posix_fail(err, errno, "list", path);
    struct dir_list list = {0};
    int code = list_all(dir, path, &list, err);
    closedir(dir);
    if (code < 0) {
        ms_dir_entries_free(list.entries, list.count);
        return code;
    }
    if (list.count > 1)
        qsort(list.entries, list.count, sizeof *list.entries, compare_names);
    *ret_entries = list.entries;
    *ret_count = list.count;
    return 0;
}

/* ---- the file system ---- */

int ms_posix_sync_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err) {
    (void)vfs;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ms_posix_fail(err, errno, "open directory", path);
    int failed = fsync(fd);
    int code = failed ? ms_error_set(err, MS_EIO, "sync directory %s: %m", path) : 0;
    close(fd);
    return code;
}

int ms_posix_free_space(struct ms_vfs *vfs, const char *path, uint64_t *ret_free,
                        uint64_t *ret_total, struct ms_error *err) {
    (void)vfs;
    struct statvfs status;
    if (statvfs(path, &status) < 0)
        return ms_posix_fail(err, errno, "statvfs", path);
    *ret_free = (uint64_t)status.f_bavail * status.f_frsize;
    *ret_total = (uint64_t)status.f_blocks * status.f_frsize;
    return 0;
}
