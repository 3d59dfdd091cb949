/* Restore; see backup.h. */
#include <stdio.h>

#include "base/time.h"
#include "log/cut.h"
#include "log/segment.h"
#include "store/backup.h"
#include "store/file_copy.h"
#include "store/internal.h"
#include "wire/json.h"

#define MANIFEST_MAX ((size_t)16 << 20)

struct restore {
    const struct ms_restore_options *options;
    const struct ms_env *env;
    struct ms_buf manifest;
    struct ms_arena arena;
    struct ms_uuid log_uuid;
    int64_t made_ms; /* when the backup was made */
    char from[MS_PATH_MAX], to[MS_PATH_MAX];
    uint64_t bytes_total;
    struct ms_restore_result result;
};

/* ---- the manifest ---- */

static int bad_manifest(const struct restore *r, const char *what, struct ms_error *err) {
    return ms_error_set(err, MS_ECORRUPT, "%s/MANIFEST.json: %s", r->options->backup, what);
}

static int text_member(struct restore *r, struct ms_json_value object, const char *name,
                       struct ms_bytes *ret_text, struct ms_error *err) {
    struct ms_json_value value;
    if (object.type != MS_JSON_OBJECT || !ms_json_get(object, name, &value) ||
        value.type != MS_JSON_STRING || ms_json_string(value, &r->arena, ret_text) != 0)
        return bad_manifest(r, name, err);
    return 0;
}

static int number_member(struct restore *r, struct ms_json_value object, const char *name,
                         uint64_t *ret_number, struct ms_error *err) {
    struct ms_json_value value;
    int64_t number;
    if (object.type != MS_JSON_OBJECT || !ms_json_get(object, name, &value) ||
        ms_json_i64(value, &number) != 0 || number < 0)
        return bad_manifest(r, name, err);
    *ret_number = (uint64_t)number;
    return 0;
}

static int read_manifest(struct restore *r, struct ms_json_value *ret_files, struct ms_error *err) {
    char path[MS_PATH_MAX];
    struct ms_json_value manifest;
    struct ms_bytes log, made;
    uint64_t format;
    int64_t made_us;
    int rc = ms_path_join(path, r->options->backup, "MANIFEST.json");
    if (rc == 0)
        rc = ms_vfs_read_file(r->env->vfs, path, &r->manifest, err);
    if (rc == MS_ENOTFOUND)
        return ms_error_set(err, rc,
                            "%s has no MANIFEST.json: no backup, or one that was not finished",
                            r->options->backup);
    if (rc == 0 && ms_json_parse(ms_buf_bytes(&r->manifest), 8, &manifest, err) != 0)
        rc = bad_manifest(r, "is not valid JSON", err);
    if (rc == 0)
        rc = number_member(r, manifest, "mainstem_backup", &format, err);
    if (rc == 0 && format > 1)
        rc = ms_error_set(err, MS_EFORMAT, "the backup was made by a newer version of Mainstem");
    if (rc == 0)
        rc = text_member(r, manifest, "log", &log, err);
    if (rc == 0 && ms_uuid_parse(log, &r->log_uuid) != 0)
        rc = bad_manifest(r, "log", err);
    if (rc == 0)
        rc = text_member(r, manifest, "created_at", &made, err);
    if (rc == 0 && ms_time_parse(made, &made_us) != 0)
        rc = bad_manifest(r, "created_at", err);
    if (rc == 0)
        r->made_ms = made_us / 1000;
    if (rc == 0)
        rc = number_member(r, manifest, "end", &r->result.end, err);
    if (rc == 0 && (!ms_json_get(manifest, "files", ret_files) || ret_files->type != MS_JSON_ARRAY))
        rc = bad_manifest(r, "files", err);
    return rc;
}

/* ---- files ---- */

static bool same_hash(const struct ms_hash128 *hash, struct ms_bytes hex) {
    char text[33];
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", hash->bytes[i]);
    return ms_bytes_equal_cstr(hex, text);
}

static int restore_file(struct restore *r, struct ms_json_value file, struct ms_error *err) {
    struct ms_bytes name, hex;
    struct ms_hash128 hash;
    uint64_t bytes, position;
    char from[MS_PATH_MAX], to[MS_PATH_MAX], text[MS_SEGMENT_NAME_LEN + 1] = {0};
    int rc = text_member(r, file, "name", &name, err);
    if (rc == 0)
        rc = text_member(r, file, "xxh3_128", &hex, err);
    if (rc == 0)
        rc = number_member(r, file, "bytes", &bytes, err);
    if (rc != 0)
        return rc;
    memcpy(text, name.data, name.len < sizeof text ? name.len : sizeof text - 1);
    if (name.len != MS_SEGMENT_NAME_LEN || !ms_segment_name_parse(text, &position))
        return bad_manifest(r, "a file that is no segment", err);
    if (ms_path_join(from, r->from, text) != 0 || ms_path_join(to, r->to, text) != 0)
        return ms_error_set(err, MS_EINVAL, "a path is too long");
    rc = ms_file_copy(r->env, from, to, bytes, &hash, err);
    if (rc == 0 && !same_hash(&hash, hex))
        rc = ms_error_set(err, MS_ECORRUPT, "%s does not match the backup's manifest", from);
    r->result.files++;
    r->result.bytes += bytes;
    if (rc == 0 && r->options->on_progress != NULL)
        r->options->on_progress(r->options->context, r->result.bytes, r->bytes_total);
    return rc;
}

static int restore_files(struct restore *r, struct ms_json_value files, struct ms_error *err) {
    struct ms_json_value file;
    uint64_t bytes;
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && ms_json_next_element(files, &at, &file)) {
        rc = number_member(r, file, "bytes", &bytes, err);
        r->bytes_total += rc == 0 ? bytes : 0;
    }
    at = 0;
    while (rc == 0 && ms_json_next_element(files, &at, &file))
        rc = restore_file(r, file, err);
    return rc == 0 ? ms_vfs_sync_dir(r->env->vfs, r->to, err) : rc;
}

/* ---- the cut ---- */

static int cut(struct restore *r, struct ms_error *err) {
    const struct ms_restore_options *o = r->options;
    struct ms_store_options defaults;
    ms_store_options_init(&defaults);
    struct ms_log_options options = {
        .env = r->env,
        .dir = r->to,
        .store_uuid = r->log_uuid,
        .read_only = true,
        .segment_bytes = o->segment_bytes != 0 ? o->segment_bytes : defaults.segment_bytes,
        .append_bytes_max = 4096,
        .tail_cache_bytes = 4096,
    };
    struct ms_log *log;
    uint64_t end = 0;
    int rc = ms_log_open(&options, &log, err);
    if (rc != 0)
        return rc;
    if (o->to == MS_RESTORE_TO_POSITION)
        rc = ms_log_cut_end_at_position(log, o->position, &end, err);
    else
        rc = ms_log_cut_end_at_time(log, o->time_ms, &end, err);
    if (rc == 0 && end < ms_log_end(log))
        rc = ms_log_cut(log, end, err);
    if (rc == 0)
        r->result.end = end;
    ms_ignore(ms_log_close(log, NULL)); /* read-only: there is nothing to fail */
    return rc;
}

/* A point that the backup does not reach: whoever names it expects events that aren't there. */
static int check_point(const struct restore *r, struct ms_error *err) {
    const struct ms_restore_options *o = r->options;
    char made[MS_TIME_TEXT_MAX];
    if (o->to == MS_RESTORE_TO_POSITION && o->position >= r->result.end)
        return ms_error_set(err, MS_EINVAL,
                            "position %llu is not in the backup, whose next event would get "
                            "position %llu",
                            (unsigned long long)o->position, (unsigned long long)r->result.end);
    if (o->to == MS_RESTORE_TO_TIME && o->time_ms > r->made_ms) {
        ms_time_format_us(r->made_ms * 1000, made);
        return ms_error_set(err, MS_EINVAL, "the backup was made before that time, at %s", made);
    }
    return 0;
}

static int fill(struct restore *r, struct ms_json_value files, struct ms_error *err) {
    int rc = restore_files(r, files, err);
    if (rc == 0 && r->options->to != MS_RESTORE_ALL)
        rc = cut(r, err);
    /* FORMAT comes last: until then the directory is no store. */
    ms_env_uuid_v4(r->env, &r->result.store_uuid);
    if (rc == 0)
        rc = ms_format_write(r->env, r->options->dir, &r->result.store_uuid, &r->log_uuid, err);
    return rc;
}

static int run(struct restore *r, struct ms_error *err) {
    struct ms_json_value files;
    int rc = read_manifest(r, &files, err);
    if (rc == 0)
        rc = check_point(r, err);
    if (rc == 0)
        rc = ms_dir_prepare_empty(r->env, r->options->dir, err);
    if (rc == 0 && (ms_path_join(r->from, r->options->backup, "shard-000") != 0 ||
                    ms_path_join(r->to, r->options->dir, "shard-000") != 0))
        rc = ms_error_set(err, MS_EINVAL, "a path is too long");
    if (rc == 0)
        rc = ms_shard_dir_claim(r->env, r->options->dir, r->to, err);
    if (rc != 0)
        return rc;
    rc = fill(r, files, err);
    if (rc != 0)
        ms_shard_dir_undo(r->env, r->options->dir, r->to);
    return rc;
}

int ms_store_restore(const struct ms_restore_options *options, struct ms_restore_result *ret_result,
                     struct ms_error *err) {
    struct restore r = {.options = options};
    r.env = options->env != NULL ? options->env : ms_env_system();
    ms_buf_init(&r.manifest, MANIFEST_MAX);
    ms_arena_init(&r.arena, MANIFEST_MAX);
    int rc = run(&r, err);
    ms_buf_deinit(&r.manifest);
    ms_arena_deinit(&r.arena);
    if (rc == 0)
        *ret_result = r.result;
    return rc;
}
