/* What vfs_posix.c (content) and vfs_posix_dir.c (names) share. Any thread. */
#pragma once

#include "os/vfs.h"

/* Fills *err with "<what> <path>: <the system's text>" and returns the code for errno_value. */
int ms_posix_fail(struct ms_error *err, int errno_value, const char *what, const char *path);

int ms_posix_unlink(struct ms_vfs *vfs, const char *path, struct ms_error *err);
int ms_posix_rename(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err);
int ms_posix_link(struct ms_vfs *vfs, const char *from, const char *to, struct ms_error *err);
int ms_posix_mkdir(struct ms_vfs *vfs, const char *path, struct ms_error *err);
int ms_posix_rmdir(struct ms_vfs *vfs, const char *path, struct ms_error *err);
int ms_posix_list(struct ms_vfs *vfs, const char *path, struct ms_dir_entry **ret_entries,
                  size_t *ret_count, struct ms_error *err);
int ms_posix_sync_dir(struct ms_vfs *vfs, const char *path, struct ms_error *err);
int ms_posix_free_space(struct ms_vfs *vfs, const char *path, uint64_t *ret_free,
                        uint64_t *ret_total, struct ms_error *err);
