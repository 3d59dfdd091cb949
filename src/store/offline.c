/* Data directories without a store; see offline.h. */
#include "store/offline.h"

#include "log/survey.h"
#include "log/walk.h"
#include "store/internal.h"

static int try_lock(struct ms_offline *o, bool change, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_file *file;
    if (ms_path_join(path, o->dir, "LOCK") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    if (!change) { /* a backup has none, and looking must not make one */
        int rc = ms_vfs_open(o->env->vfs, path, MS_OPEN_READ, &file, NULL);
        if (rc != 0)
            return 0;
        ms_file_close(file);
    }
    int rc = ms_vfs_lock(o->env->vfs, path, &o->lock, err);
    o->in_use = rc == MS_ELOCKED;
    if (change)
        return rc == MS_ELOCKED
                   ? ms_error_set(err, rc, "%s is in use by another process: stop it first", o->dir)
                   : rc;
    ms_file_close(o->lock);
    o->lock = NULL;
    return 0;
}

/* The log's uuid stands in every block. */
static int uuid_from_segment(struct ms_offline *o, uint64_t segment, bool *ret_found,
                             struct ms_error *err) {
    char name[MS_SEGMENT_NAME_LEN + 1], path[MS_PATH_MAX];
    struct ms_walk walk;
    struct ms_walk_step step;
    ms_segment_name(segment, name);
    if (ms_path_join(path, o->shard, name) != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    int rc = ms_walk_open(&walk, o->env, path, err);
    if (rc != 0)
        return rc;
    while ((rc = ms_walk_next(&walk, &step, err)) > 0) {
        *ret_found = step.kind == MS_WALK_BLOCK || step.kind == MS_WALK_DAMAGED;
        if (*ret_found) {
            o->log_uuid = step.header.store_uuid;
            break;
        }
    }
    ms_walk_close(&walk);
    return rc > 0 ? 0 : rc;
}

static int uuid_from_blocks(struct ms_offline *o, struct ms_error *err) {
    struct ms_verify_options options = {.env = o->env, .dir = o->shard};
    struct ms_survey_list list;
    bool found = false;
    int rc = ms_survey_list(&options, &list, err);
    if (rc == MS_ENOTFOUND)
        return ms_error_set(err, rc, "%s is no data directory: it has neither FORMAT nor shard-000",
                            o->dir);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && !found && i < list.count; i++)
        rc = uuid_from_segment(o, list.names[i], &found, err);
    ms_survey_list_free(&list);
    if (rc == 0 && !found)
        rc = ms_error_set(err, MS_ENOTFOUND,
                          "the file FORMAT of %s is lost, and no block says whose log it is",
                          o->dir);
    o->format_lost = true;
    return rc;
}

static int check_exists(const struct ms_offline *o, struct ms_error *err) {
    struct ms_dir_entry *entries;
    size_t count;
    int rc = ms_vfs_list(o->env->vfs, o->dir, &entries, &count, err);
    if (rc == 0)
        ms_dir_entries_free(entries, count);
    return rc == MS_ENOTFOUND ? ms_error_set(err, rc, "there is no data directory %s", o->dir) : rc;
}

static int index_options(const struct ms_offline *o, char dir[MS_PATH_MAX],
                         struct ms_index_options *ret_options, struct ms_error *err) {
    if (ms_path_join(dir, o->shard, "index") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    *ret_options =
        (struct ms_index_options){.env = o->env, .dir = dir, .store_uuid = o->store_uuid};
    return 0;
}

static void ask_index(struct ms_offline *o) {
    char dir[MS_PATH_MAX];
    struct ms_index_options options;
    uint64_t applied;
    if (!o->in_use && index_options(o, dir, &options, NULL) == 0 &&
        ms_index_peek(&options, &applied, NULL) == 0)
        o->known_end = applied;
}

int ms_offline_open(struct ms_offline *o, const struct ms_env *env, const char *dir, bool change,
                    struct ms_error *err) {
    *o = (struct ms_offline){.env = env, .dir = dir};
    if (ms_path_join(o->shard, dir, "shard-000") != 0)
        return ms_error_set(err, MS_EINVAL, "the path of the data directory is too long");
    int rc = check_exists(o, err);
    if (rc == 0)
        rc = try_lock(o, change, err);
    if (rc != 0)
        return rc;
    rc = ms_format_read(env, dir, &o->store_uuid, &o->log_uuid, err);
    if (rc == 0)
        ask_index(o);
    else if (rc == MS_ENOTFOUND || rc == MS_ECORRUPT)
        rc = uuid_from_blocks(o, err);
    if (rc != 0)
        ms_offline_close(o);
    return rc;
}

int ms_offline_restore_format(struct ms_offline *o, struct ms_error *err) {
    MS_ASSERT(o->lock != NULL);
    if (!o->format_lost)
        return 0;
    ms_env_uuid_v4(o->env, &o->store_uuid);
    int rc = ms_format_write(o->env, o->dir, &o->store_uuid, &o->log_uuid, err);
    o->format_lost = rc != 0;
    return rc;
}

int ms_offline_discard_index(struct ms_offline *o, struct ms_error *err) {
    char dir[MS_PATH_MAX];
    struct ms_index_options options;
    MS_ASSERT(o->lock != NULL);
    int rc = index_options(o, dir, &options, err);
    return rc != 0 ? rc : ms_index_discard(&options, err);
}

void ms_offline_close(struct ms_offline *o) {
    ms_file_close(o->lock);
    o->lock = NULL;
}
