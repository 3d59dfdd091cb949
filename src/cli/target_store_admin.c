/* Backup and scavenge of a data directory. See target.h. */
#include "cli/target_store.h"
#include "store/backup.h"
#include "wire/json.h"

static struct ms_store *store_of(struct ms_target *target) {
    return ((struct ms_store_target *)target)->store;
}

static void show(const struct ms_target_progress *progress, uint64_t done, uint64_t total) {
    if (progress->show)
        progress->show(progress->context, done, total);
}

static bool backup_progress(void *context, uint64_t bytes_done, uint64_t bytes) {
    show(context, bytes_done, bytes);
    return true;
}

int ms_target_store_backup(struct ms_target *target, const char *dir,
                           const struct ms_target_progress *progress, struct ms_buf *out,
                           struct ms_error *err) {
    struct ms_backup_result result;
    struct ms_target_progress copy = *progress;
    int rc = ms_store_backup(store_of(target), dir, backup_progress, &copy, &result, err);
    if (rc != 0)
        return rc;
    rc = ms_buf_append_cstr(out, "{\"dir\":");
    if (rc == 0)
        rc = ms_json_write_string(out, ms_bytes_cstr(dir));
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"end\":%llu,\"files\":%llu,\"linked\":%llu,\"bytes\":%llu}",
                           (unsigned long long)result.end, (unsigned long long)result.files,
                           (unsigned long long)result.linked, (unsigned long long)result.bytes);
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the result");
}

static void scavenge_progress(void *context, uint64_t segments_done, uint64_t segments) {
    show(context, segments_done, segments);
}

int ms_target_store_scavenge(struct ms_target *target, const struct ms_target_scavenge *scavenge,
                             const struct ms_target_progress *progress, struct ms_buf *out,
                             struct ms_error *err) {
    struct ms_scavenge_result result = {0};
    struct ms_target_progress copy = *progress;
    struct ms_scavenge_options options = {
        .all = scavenge->all,
        .bytes_per_second = scavenge->bytes_per_second,
        .on_progress = scavenge_progress,
        .context = &copy,
    };
    int rc = ms_store_scavenge(store_of(target), &options, &result, err);
    if (rc != 0)
        return rc;
    rc = ms_buf_printf(
        out,
        "{\"segments\":%llu,\"rewritten\":%llu,\"bytes_before\":%llu,"
        "\"bytes_after\":%llu,\"bytes_written\":%llu,"
        "\"write_amplification\":%.2f,\"events_removed\":%llu}",
        (unsigned long long)result.segments, (unsigned long long)result.rewritten,
        (unsigned long long)result.bytes_before, (unsigned long long)result.bytes_after,
        (unsigned long long)result.bytes_written,
        ms_scavenge_amplification(result.bytes_written, result.bytes_before, result.bytes_after),
        (unsigned long long)result.events_removed);
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the result");
}
