/*
 * Files as a seam: a POSIX implementation (vfs_posix.c) and a simulated one (vfs_sim.h).
 *
 * Paths are ordinary paths. Writes to one file must not overlap in time; reads may come from any
 * thread at any time. All functions return 0 or a negative code: MS_ENOSPC, MS_ENOTFOUND, MS_EEXIST
 * (also: directory not empty), MS_ELOCKED, MS_ENOMEM, MS_EAGAIN, MS_ELIMIT (out of descriptors),
 * MS_EUNSUPPORTED, MS_EINVAL (a directory where a file is wanted or the reverse), MS_ETOOBIG (path
 * or file too long), else MS_EIO; *err names the path and the operation. A failed ms_file_sync is
 * always MS_EIO.
 *
 * What survives a power cut, and therefore what the simulation keeps: file content and size after
 * ms_file_sync (or each write through MS_OPEN_DSYNC); a name after ms_vfs_sync_dir of its
 * directory. Everything else may be there, be there in part, or be gone.
 */
#pragma once

#include "base/bytes.h"

enum {
    MS_OPEN_READ = 1,
    MS_OPEN_WRITE = 2,
    MS_OPEN_CREATE = 4,  /* create when missing */
    MS_OPEN_EXCL = 8,    /* with CREATE: MS_EEXIST when it is there */
    MS_OPEN_DIRECT = 16, /* O_DIRECT: offset, length and memory must be multiples of 4096.
                            MS_EUNSUPPORTED when the file system refuses; the caller falls back */
    MS_OPEN_DSYNC = 32,  /* each write returns only when it is durable */
    MS_OPEN_TRUNCATE = 64,
};

enum {
    MS_READ_NOWAIT = 1, /* MS_EAGAIN instead of waiting for the device */
    /* Past the page cache, where the file system can: for large reads of what is in no cache.
     * Offset, length and memory should be multiples of 4096, otherwise it says nothing. */
    MS_READ_DIRECT = 2,
};

struct ms_vfs;
struct ms_file;

struct ms_iovec {
    const void *data;
    size_t len;
};

struct ms_file_ops {
    int (*read)(struct ms_file *file, uint64_t offset, void *out, size_t len, int flags,
                size_t *ret_len, struct ms_error *err);
    int (*writev)(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov, int count,
                  struct ms_error *err);
    int (*sync)(struct ms_file *file, struct ms_error *err);
    int (*truncate)(struct ms_file *file, uint64_t size, struct ms_error *err);
    int (*allocate)(struct ms_file *file, uint64_t offset, uint64_t len, struct ms_error *err);
    int (*size)(struct ms_file *file, uint64_t *ret_size, struct ms_error *err);
    void (*close)(struct ms_file *file);
};

struct ms_file {
    const struct ms_file_ops *ops;
};

struct ms_dir_entry {
    char *name;
    bool is_dir;
    uint64_t size;
};

struct ms_vfs_ops {
    int (*open)(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                struct ms_error *err);
    int (*unlink)(struct ms_vfs *vfs, const char *path, struct ms_error *err);
    int (*rename)(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err);
    int (*link)(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err);
    /* MS_EEXIST: is a directory; MS_EINVAL: is a file. */
    int (*mkdir)(struct ms_vfs *vfs, const char *path, struct ms_error *err);
    int (*rmdir)(struct ms_vfs *vfs, const char *path, struct ms_error *err);
    int (*list)(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                size_t *ret_count, struct ms_error *err);
    int (*sync_dir)(struct ms_vfs *vfs, const char *path, struct ms_error *err);
    int (*free_space)(struct ms_vfs *vfs, const char *path, uint64_t *ret_free, uint64_t *ret_total,
                      struct ms_error *err);
    int (*lock)(struct ms_vfs *vfs, const char *path, struct ms_file **ret_lock,
                struct ms_error *err);
};

struct ms_vfs {
    const struct ms_vfs_ops *ops;
};

struct ms_vfs *ms_vfs_posix(void);

int ms_vfs_open(struct ms_vfs *vfs, const char *path, int flags, struct ms_file **ret_file,
                struct ms_error *err) MS_MUST_CHECK;
int ms_vfs_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err) MS_MUST_CHECK;
/* Replaces `to` atomically. Durable after ms_vfs_sync_dir of both directories. */
int ms_vfs_rename(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err)
    MS_MUST_CHECK;
int ms_vfs_link(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err)
    MS_MUST_CHECK;
int ms_vfs_mkdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) MS_MUST_CHECK;
/* Makes missing parents too; an existing directory is fine. What it makes is durable when it
 * returns. */
int ms_vfs_mkdir_all(struct ms_vfs *vfs, const char *path, struct ms_error *err) MS_MUST_CHECK;
int ms_vfs_rmdir(struct ms_vfs *vfs, const char *path, struct ms_error *err) MS_MUST_CHECK;
/* Entries sorted by name, without "." and ".."; free with ms_dir_entries_free. MS_ELIMIT when there
 * are more than MS_DIR_ENTRIES_MAX. */
#define MS_DIR_ENTRIES_MAX 1000000
int ms_vfs_list(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                size_t *ret_count, struct ms_error *err) MS_MUST_CHECK;
void ms_dir_entries_free(struct ms_dir_entry *entries, size_t count);
int ms_vfs_sync_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err) MS_MUST_CHECK;
int ms_vfs_free_space(struct ms_vfs *vfs, const char *path, uint64_t *ret_free, uint64_t *ret_total,
                      struct ms_error *err) MS_MUST_CHECK;
/* Takes an exclusive lock that ends with the process or with ms_file_close. MS_ELOCKED when another
 * has it (another open of the same process counts as another). Creates the file. */
int ms_vfs_lock(struct ms_vfs *vfs, const char *path, struct ms_file **ret_lock,
                struct ms_error *err) MS_MUST_CHECK;

/* Reads up to len bytes; ret_len < len only at the end of the file (short reads are retried
 * inside). */
int ms_file_read(struct ms_file *file, uint64_t offset, void *out, size_t len, int flags,
                 size_t *ret_len, struct ms_error *err) MS_MUST_CHECK;
/* Reads exactly len bytes: MS_ECORRUPT when the file ends before. */
int ms_file_read_exact(struct ms_file *file, uint64_t offset, void *out, size_t len,
                       struct ms_error *err) MS_MUST_CHECK;
/* Writes all (short writes are continued inside); on failure a part may have been written. */
int ms_file_write(struct ms_file *file, uint64_t offset, const void *data, size_t len,
                  struct ms_error *err) MS_MUST_CHECK;
int ms_file_writev(struct ms_file *file, uint64_t offset, const struct ms_iovec *iov, int count,
                   struct ms_error *err) MS_MUST_CHECK;
/* fdatasync. A failure is final for what was written before: never retry it and go on (RELIABILITY
 * 4.2). */
int ms_file_sync(struct ms_file *file, struct ms_error *err) MS_MUST_CHECK;
int ms_file_truncate(struct ms_file *file, uint64_t size, struct ms_error *err) MS_MUST_CHECK;
/* Takes room on the disk for these bytes, without writing them: what they held stays, what is new
 * reads as zeros, and the file grows to hold them. Afterwards writes there don't run out of space.
 * Durable after ms_file_sync. MS_EUNSUPPORTED where the file system can't; MS_ENOSPC may leave a
 * part of it taken. */
int ms_file_allocate(struct ms_file *file, uint64_t offset, uint64_t len, struct ms_error *err)
    MS_MUST_CHECK;
int ms_file_size(struct ms_file *file, uint64_t *ret_size, struct ms_error *err) MS_MUST_CHECK;
void ms_file_close(struct ms_file *file); /* takes NULL */

/* Whole small files. Reading: MS_ETOOBIG past `max`; the result is appended to *buf. Replacing:
 * written beside, synced, renamed over, directory synced: after a crash the old or the new content
 * is there, whole. "<path>.tmp" is where it is written; one file must not be replaced by two
 * threads at the same time. */
int ms_vfs_read_file(struct ms_vfs *vfs, const char *path, struct ms_buf *buf, struct ms_error *err)
    MS_MUST_CHECK;
int ms_vfs_replace_file(struct ms_vfs *vfs, const char *path, struct ms_bytes content,
                        struct ms_error *err) MS_MUST_CHECK;
/* Joins with '/', cuts to size: MS_ETOOBIG. */
#define MS_PATH_MAX 4096
int ms_path_join(char out[MS_PATH_MAX], const char *dir, const char *name) MS_MUST_CHECK;
/* The directory that holds `path`'s last component: "." when there is no slash. MS_ETOOBIG. */
int ms_path_parent(char out[MS_PATH_MAX], const char *path) MS_MUST_CHECK;
