/* `mainstem restore BACKUP`: a new store from a backup, whole or up to a point in its past. */
#include "base/time.h"
#include "cli/output.h"
#include "store/backup.h"

static int read_point(struct ms_invocation *invocation, struct ms_restore_options *options,
                      struct ms_error *err) {
    const char *to = ms_option_text(invocation, "to");
    int64_t us;
    if (!to)
        return 0;
    if (ms_parse_u64(ms_bytes_cstr(to), &options->position) == 0) {
        options->to = MS_RESTORE_TO_POSITION;
        return 0;
    }
    if (ms_time_parse(ms_bytes_cstr(to), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--to: a position or an RFC 3339 time such as 2026-11-23T10:52:54Z was "
                            "expected, not \"%.64s\"",
                            to);
    options->to = MS_RESTORE_TO_TIME;
    options->time_ms = us / 1000;
    return 0;
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes) {
    ms_progress_bytes(context, bytes_done, bytes);
}

static void print_result(struct ms_invocation *invocation, const struct ms_restore_result *r,
                         const char *dir) {
    FILE *out = invocation->cli->out;
    char uuid[MS_UUID_TEXT_LEN + 1];
    ms_uuid_format(&r->store_uuid, uuid);
    if (ms_wants_json(invocation))
        fprintf(out, "{\"store\":\"%s\",\"end\":%llu,\"files\":%llu,\"bytes\":%llu}\n", uuid,
                (unsigned long long)r->end, (unsigned long long)r->files,
                (unsigned long long)r->bytes);
    else
        fprintf(out,
                "restored store %s into %s: %llu files, %llu bytes, the next event gets position "
                "%llu\n",
                uuid, dir, (unsigned long long)r->files, (unsigned long long)r->bytes,
                (unsigned long long)r->end);
}

int ms_cmd_restore(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_progress progress;
    struct ms_restore_result result;
    struct ms_restore_options options = {
        .env = invocation->cli->env,
        .backup = invocation->args[0],
        .dir = ms_option_text(invocation, "data"),
        .on_progress = on_progress,
        .context = &progress,
    };
    if (!options.dir)
        return ms_usage(invocation, "say with --data DIR where the store is to be");
    if (read_point(invocation, &options, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    ms_progress_begin(&progress, invocation->cli, "restored");
    int rc = ms_store_restore(&options, &result, &error);
    ms_progress_end(&progress);
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    print_result(invocation, &result, options.dir);
    return MS_EXIT_OK;
}
