/* Backup; see backup.h. */
#include "store/backup.h"

#include "base/alloc.h"
#include "base/time.h"
#include "log/rewrite.h"
#include "log/segment.h"
#include "store/file_copy.h"
#include "store/internal.h"

#define MANIFEST_MAX ((size_t)16 << 20)

struct backup {
    struct ms_store *store;
    const char *dir;
    char from[MS_PATH_MAX], to[MS_PATH_MAX]; /* shard directories */
    struct ms_buf manifest;
    struct ms_backup_result result;
    bool (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes);
    void *context;
    uint64_t bytes_total;
};

static int begin_manifest(struct backup *b) {
    char store[MS_UUID_TEXT_LEN + 1], log[MS_UUID_TEXT_LEN + 1], now[MS_TIME_TEXT_MAX];
    ms_uuid_format(&b->store->uuid, store);
    ms_uuid_format(&b->store->log_uuid, log);
    ms_time_format_us(ms_clock_now_us(b->store->env->clock), now);
    return ms_buf_printf(&b->manifest,
                         "{\"mainstem_backup\":1,\"store\":\"%s\",\"log\":\"%s\",\"end\":%llu,"
                         "\"created_at\":\"%s\",\"files\":[",
                         store, log, (unsigned long long)b->result.end, now);
}

static int list_file(struct backup *b, const char *name, uint64_t bytes,
                     const struct ms_hash128 *hash) {
    int rc = ms_buf_printf(&b->manifest, "%s\n{\"name\":\"%s\",\"bytes\":%llu,\"xxh3_128\":\"",
                           b->result.files > 0 ? "," : "", name, (unsigned long long)bytes);
    for (size_t i = 0; rc == 0 && i < sizeof hash->bytes; i++)
        rc = ms_buf_printf(&b->manifest, "%02x", hash->bytes[i]);
    return rc == 0 ? ms_buf_append_cstr(&b->manifest, "\"}") : rc;
}

/* Sealed files never change under their name's inode: a link is as good as a copy. */
static int take_segment(struct backup *b, const struct ms_segment_info *info,
                        struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1], from[MS_PATH_MAX], to[MS_PATH_MAX];
    struct ms_vfs *vfs = b->store->env->vfs;
    struct ms_hash128 hash;
    ms_segment_name(info->first_position, name);
    if (ms_path_join(from, b->from, name) != 0 || ms_path_join(to, b->to, name) != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the backup is too long");
    bool linked = info->sealed && ms_vfs_link(vfs, from, to, NULL) == 0;
    int rc = linked ? ms_file_hash(b->store->env, to, info->bytes, &hash, err)
                    : ms_file_copy(b->store->env, from, to, info->bytes, &hash, err);
    if (rc == 0 && list_file(b, name, info->bytes, &hash) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for the manifest");
    b->result.files++;
    b->result.linked += linked;
    b->result.bytes += info->bytes;
    if (rc == 0 && b->on_progress != NULL &&
        !b->on_progress(b->context, b->result.bytes, b->bytes_total))
        rc = ms_error_set(err, MS_ECANCELED, "the backup was stopped");
    return rc;
}

/* What is durable and visible now; the active segment may have grown since, which does not matter.
 * */
static int take_segments(struct backup *b, struct ms_error *err) {
    size_t max = ms_log_segments(b->store->log, NULL, 0) + 16;
    struct ms_segment_info *infos = ms_calloc(max, sizeof *infos);
    if (infos == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a backup");
    b->result.end = ms_log_end(b->store->log);
    size_t count = ms_log_segments(b->store->log, infos, max);
    for (size_t i = 0; i < count && i < max; i++)
        b->bytes_total += infos[i].bytes;
    int rc = begin_manifest(b);
    for (size_t i = 0; rc == 0 && i < count && i < max; i++)
        if (infos[i].bytes > 0)
            rc = take_segment(b, &infos[i], err);
    ms_free(infos);
    return rc;
}

static int write_manifest(struct backup *b, struct ms_error *err) {
    char path[MS_PATH_MAX];
    int rc = ms_buf_append_cstr(&b->manifest, "\n]}\n");
    if (rc == 0)
        rc = ms_path_join(path, b->dir, "MANIFEST.json");
    if (rc != 0)
        return ms_error_set(err, rc, "the manifest can't be written");
    return ms_vfs_replace_file(b->store->env->vfs, path, ms_buf_bytes(&b->manifest), err);
}

static int fill(struct backup *b, struct ms_error *err) {
    int rc = take_segments(b, err);
    if (rc == 0)
        rc = ms_vfs_sync_dir(b->store->env->vfs, b->to, err);
    if (rc == 0)
        rc = ms_format_write(b->store->env, b->dir, &b->store->uuid, &b->store->log_uuid, err);
    return rc == 0 ? write_manifest(b, err) : rc;
}

static int run(struct backup *b, struct ms_error *err) {
    int rc = ms_dir_prepare_empty(b->store->env, b->dir, err);
    if (rc == 0 && (ms_path_join(b->from, b->store->dir, "shard-000") != 0 ||
                    ms_path_join(b->to, b->dir, "shard-000") != 0))
        rc = ms_error_set(err, MS_EINVAL, "the path of the backup is too long");
    if (rc == 0)
        rc = ms_shard_dir_claim(b->store->env, b->dir, b->to, err);
    if (rc != 0)
        return rc;
    rc = fill(b, err);
    if (rc != 0)
        ms_shard_dir_undo(b->store->env, b->dir, b->to);
    return rc;
}

int ms_store_backup(struct ms_store *store, const char *dir,
                    bool (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes),
                    void *context, struct ms_backup_result *ret_result, struct ms_error *err) {
    struct backup b = {.store = store, .dir = dir, .on_progress = on_progress, .context = context};
    /* Rewritten segments must not change places with the ones in the list. */
    if (ms_scavenge_lock(store) != 0)
        return ms_error_set(err, MS_EAGAIN, "a scavenge or another backup is running");
    ms_buf_init(&b.manifest, MANIFEST_MAX);
    int rc = run(&b, err);
    pthread_mutex_unlock(&store->scavenge_lock);
    ms_buf_deinit(&b.manifest);
    if (rc == 0)
        *ret_result = b.result;
    return rc;
}
