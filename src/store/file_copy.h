/* Copying and hashing files for backup and restore. Blocks; any thread. */
#pragma once

#include "base/hash.h"
#include "os/env.h"

/* The first `bytes` of a file, copied to a new file and synced (its name is not: sync the
 * directory). MS_ECORRUPT when the file is shorter, MS_ENOSPC, MS_EIO, MS_ENOMEM. */
int ms_file_copy(const struct ms_env *env, const char *from, const char *to, uint64_t bytes,
                 struct ms_hash128 *ret_hash, struct ms_error *err) MS_MUST_CHECK;
int ms_file_hash(const struct ms_env *env, const char *path, uint64_t bytes,
                 struct ms_hash128 *ret_hash, struct ms_error *err) MS_MUST_CHECK;
/* Makes a directory; an empty one is fine, MS_EEXIST when there is anything in it, MS_EINVAL when
 * it would lie inside a store or a backup. */
int ms_dir_prepare_empty(const struct ms_env *env, const char *dir, struct ms_error *err)
    MS_MUST_CHECK;
/* Makes the directory of the shard in such a one. MS_EEXIST: somebody else was quicker, and nothing
 * there may be touched. */
int ms_shard_dir_claim(const struct ms_env *env, const char *dir, const char *shard,
                       struct ms_error *err) MS_MUST_CHECK;
/* Takes back what was begun since: segments, FORMAT, the manifest. As far as that goes. */
void ms_shard_dir_undo(const struct ms_env *env, const char *dir, const char *shard);
