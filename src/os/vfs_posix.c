/*
 * Files of the operating system; see vfs.h for what each call promises.
 *
 * Three things the kernel does that callers must not have to know:
 *   - writes end short, also direct ones, and only the next attempt tells the reason
 *   - a file system may take O_DIRECT when opening and refuse it at the first write
 *   - a failed fdatasync leaves pages marked clean: a second one would "succeed" without the data,
 *     so no sync is repeated, not even after EINTR
 *
 * Any thread. The only place, with vfs_posix_dir.c, that calls the kernel for files.
 */
#include "os/vfs_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"

#define DIRECT_ALIGNMENT 4096
#define FILE_MODE 0640

struct posix_file {
    struct ms_file file;
    int fd;
    bool direct;
    atomic_bool nowait_refused; /* this file system does not know RWF_NOWAIT */
    atomic_int direct_reader;   /* of the same file; DIRECT_… when there is none */
    char path[];
};

enum { DIRECT_NOT_OPEN = -1, DIRECT_REFUSED = -2 };

static struct posix_file *posix_file_of(struct ms_file *file) { return (struct posix_file *)file; }

int ms_posix_fail(struct ms_error *err, int errno_value, const char *what, const char *path) {
    int code = ms_error_from_errno(errno_value);
    errno = errno_value;
    return ms_error_set(err, code, "%s %s: %m", what, path);
}

/* ---- reading ---- */

static bool is_aligned(uint64_t value) { return value % DIRECT_ALIGNMENT == 0; }

/* A descriptor of the same file that reads past the page cache, opened once it is wanted: by the
 * descriptor, since the path may lead to another file by now. */
static int direct_reader(struct posix_file *file) {
    int fd = atomic_load_explicit(&file->direct_reader, memory_order_acquire);
    if (fd != DIRECT_NOT_OPEN)
        return fd;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    int opened = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (opened < 0)
        opened = DIRECT_REFUSED;
    if (atomic_compare_exchange_strong(&file->direct_reader, &fd, opened))
        return opened;
    if (opened >= 0)
        close(opened);
    return fd;
}

/* One read that may wait only if `flags` allow it. As pread. */
static ssize_t read_some(struct posix_file *file, uint64_t offset, void *out, size_t len,
                         int flags) {
    bool nowait = (flags & MS_READ_NOWAIT) &&
                  !atomic_load_explicit(&file->nowait_refused, memory_order_relaxed);
    if (nowait) {
        struct iovec iov = {out, len};
        ssize_t got = preadv2(file->fd, &iov, 1, (off_t)offset, RWF_NOWAIT);
        if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
            return got;
        atomic_store_explicit(&file->nowait_refused, true, memory_order_relaxed);
    }
    if ((flags & MS_READ_DIRECT) && is_aligned(offset) && is_aligned(len) &&
        is_aligned((uintptr_t)out)) {
        int fd = direct_reader(file);
        ssize_t got = fd >= 0 ? pread(fd, out, len, (off_t)offset) : -1;
        if (got >= 0 || (fd >= 0 && errno != EINVAL))
            return got;
    }
    return pread(file->fd, out, len, (off_t)offset);
}

static int posix_read(struct ms_file *base, uint64_t offset, void *out, size_t len, int flags,
                      size_t *ret_len, struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    MS_ASSERT(!file->direct ||
              (is_aligned(offset) && is_aligned(len) && is_aligned((uintptr_t)out)));
    size_t done = 0;
    while (done < len) {
        ssize_t got = read_some(file, offset + done, (uint8_t *)out + done, len - done, flags);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ms_posix_fail(err, errno, "read", file->path);
        done += (size_t)got;
        /* An unaligned end is the end of the file, and no direct read could go on from there. */
        if (got == 0 || (file->direct && !is_aligned((uint64_t)got)))
            break;
    }
    *ret_len = done;
    return 0;
}

/* ---- writing ---- */

/* What is still to be written of a caller's vector. */
struct write_rest {
    const struct ms_iovec *iov;
    int count;
    size_t skip; /* bytes of iov[0] that are written */
};

static void advance(struct write_rest *rest, size_t len) {
    while (rest->count > 0 && rest->iov->len - rest->skip <= len) {
        len -= rest->iov->len - rest->skip;
        rest->skip = 0;
        rest->iov++;
        rest->count--;
    }
    rest->skip += len;
}

#define WRITE_IOV_MAX 64

static ssize_t write_some(int fd, uint64_t offset, const struct write_rest *rest) {
    struct iovec iov[WRITE_IOV_MAX];
    int count = rest->count < WRITE_IOV_MAX ? rest->count : WRITE_IOV_MAX;
    for (int i = 0; i < count; i++)
        iov[i] = (struct iovec){(void *)rest->iov[i].data, rest->iov[i].len};
    iov[0].iov_base = (uint8_t *)iov[0].iov_base + rest->skip;
    iov[0].iov_len -= rest->skip;
    return pwritev(fd, iov, count, (off_t)offset);
}

static bool iov_is_aligned(const struct ms_iovec *iov, int count) {
    for (int i = 0; i < count; i++)
        if (!is_aligned(iov[i].len) || !is_aligned((uintptr_t)iov[i].data))
            return false;
    return true;
}

static int write_failed(const struct posix_file *file, int errno_value, struct ms_error *err) {
    if (errno_value == EINVAL && file->direct)
        return ms_error_set(err, MS_EUNSUPPORTED, "write %s: direct writes are not supported",
                            file->path);
    return ms_posix_fail(err, errno_value, "write", file->path);
}

static int posix_writev(struct ms_file *base, uint64_t offset, const struct ms_iovec *iov,
                        int count, struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    MS_ASSERT(!file->direct || (is_aligned(offset) && iov_is_aligned(iov, count)));
    struct write_rest rest = {iov, count, 0};
    advance(&rest, 0); /* past empty pieces */
    bool stalled = false;
    while (rest.count > 0) {
        ssize_t written = write_some(file->fd, offset, &rest);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return write_failed(file, errno, err);
        /* After a short write the rest is tried again: it succeeds or tells the reason. A direct
         * write can go on only from an aligned place, so it repeats the last, partly written block.
         * */
        size_t progress = (size_t)written;
        if (file->direct)
            progress -= progress % DIRECT_ALIGNMENT;
        if (progress == 0 && stalled)
            return ms_error_set(err, MS_EIO, "write %s: the file system writes no further",
                                file->path);
        stalled = progress == 0;
        offset += progress;
        advance(&rest, progress);
    }
    return 0;
}

/* ---- the rest of a file's operations ---- */

static int posix_sync(struct ms_file *base, struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    if (fdatasync(file->fd) == 0)
        return 0;
    /* Whatever the reason: nobody may take this for something to wait for or to try again. */
    return ms_error_set(err, MS_EIO, "sync %s: %m", file->path);
}

static int posix_truncate(struct ms_file *base, uint64_t size, struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    int failed;
    do
        failed = ftruncate(file->fd, (off_t)size);
    while (failed && errno == EINTR);
    return failed ? ms_posix_fail(err, errno, "truncate", file->path) : 0;
}

static int posix_allocate(struct ms_file *base, uint64_t offset, uint64_t len,
                          struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    int failed;
    do
        failed = fallocate(file->fd, 0, (off_t)offset, (off_t)len);
    while (failed && errno == EINTR);
    return failed ? ms_posix_fail(err, errno, "allocate", file->path) : 0;
}

static int posix_size(struct ms_file *base, uint64_t *ret_size, struct ms_error *err) {
    struct posix_file *file = posix_file_of(base);
    struct stat status;
    if (fstat(file->fd, &status) < 0)
        return ms_posix_fail(err, errno, "stat", file->path);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static void posix_close(struct ms_file *base) {
    struct posix_file *file = posix_file_of(base);
    int reader = atomic_load(&file->direct_reader);
    if (reader >= 0)
        close(reader);
    close(file->fd); /* what had to be durable was synced; there is nothing to do about a failure */
    ms_free(file);
}

static const struct ms_file_ops posix_file_ops = {
    .read = posix_read,
    .writev = posix_writev,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .allocate = posix_allocate,
    .size = posix_size,
    .close = posix_close,
};

/* ---- opening ---- */

static int open_retrying(const char *path, int flags) {
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Owns fd from here on, also on failure. */
static int wrap_fd(int fd, const char *path, bool direct, struct ms_file **ret_file,
                   struct ms_error *err) {
    size_t path_size = strlen(path) + 1;
    struct posix_file *file = ms_alloc(sizeof *file + path_size);
    if (!file) {
        close(fd);
        return ms_error_set(err, MS_ENOMEM, "open %s: out of memory", path);
    }
    file->file.ops = &posix_file_ops;
    file->fd = fd;
    file->direct = direct;
    atomic_init(&file->nowait_refused, false);
    atomic_init(&file->direct_reader, DIRECT_NOT_OPEN);
    memcpy(file->path, path, path_size);
    *ret_file = &file->file;
    return 0;
}

static int os_flags(int flags) {
    int result = !(flags & MS_OPEN_WRITE) ? O_RDONLY : (flags & MS_OPEN_READ) ? O_RDWR : O_WRONLY;
    if (flags & MS_OPEN_CREATE)
        result |= O_CREAT;
    if (flags & MS_OPEN_EXCL)
        result |= O_EXCL;
    if (flags & MS_OPEN_DSYNC)
        result |= O_DSYNC;
    if (flags & MS_OPEN_TRUNCATE)
        result |= O_TRUNC;
    return result;
}

/* O_DIRECT is asked for after opening: an open that fails for it would leave a created file behind,
 * and the caller's second attempt with EXCL would then find it. */
static int make_direct(int fd, const char *path, int flags, struct ms_error *err) {
    int status = fcntl(fd, F_GETFL);
    if (status >= 0 && fcntl(fd, F_SETFL, status | O_DIRECT) == 0)
        return 0;
    int errno_value = errno;
    if (flags & MS_OPEN_EXCL)
        unlink(path);
    if (errno_value == EINVAL)
        return ms_error_set(err, MS_EUNSUPPORTED, "open %s: direct access is not supported", path);
    return ms_posix_fail(err, errno_value, "open", path);
}

static int posix_open(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                      struct ms_error *err) {
    (void)vfs;
    int fd = open_retrying(path, os_flags(flags));
    if (fd < 0)
        return ms_posix_fail(err, errno, "open", path);
    bool direct = flags & MS_OPEN_DIRECT;
    int code = direct ? make_direct(fd, path, flags, err) : 0;
    if (code < 0) {
        close(fd);
        return code;
    }
    return wrap_fd(fd, path, direct, ret_file, err);
}

/* flock and not fcntl: its locks belong to the open file description, so that a second open of the
 * same process is refused too and closing some other descriptor of the file does not drop the lock.
 * */
static int posix_lock(struct ms_vfs *vfs, const char *path, struct ms_file **ret_lock,
                      struct ms_error *err) {
    (void)vfs;
    int fd = open_retrying(path, O_RDWR | O_CREAT);
    if (fd < 0)
        return ms_posix_fail(err, errno, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int errno_value = errno;
        close(fd);
        if (errno_value == EWOULDBLOCK)
            return ms_error_set(err, MS_ELOCKED, "lock %s: somebody else holds it", path);
        return ms_posix_fail(err, errno_value, "lock", path);
    }
    return wrap_fd(fd, path, false, ret_lock, err);
}

static const struct ms_vfs_ops posix_ops = {
    .open = posix_open,
    .unlink = ms_posix_unlink,
    .rename = ms_posix_rename,
    .link = ms_posix_link,
    .mkdir = ms_posix_mkdir,
    .rmdir = ms_posix_rmdir,
    .list = ms_posix_list,
    .sync_dir = ms_posix_sync_dir,
    .free_space = ms_posix_free_space,
    .lock = posix_lock,
};

struct ms_vfs *ms_vfs_posix(void) {
    static struct ms_vfs vfs = {&posix_ops};
    return &vfs;
}
