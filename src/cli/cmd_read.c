/* `mainstem read`, `mainstem tail` and `mainstem export`: events, once or live. */
#include <errno.h>

#include "base/time.h"
#include "cli/output.h"
#include "cli/read_options.h"

struct printing {
    struct ms_output output;
    struct ms_progress *progress; /* NULL: none */
    uint64_t left, count;
    bool flush;
};

static int print_event(void *context, struct ms_bytes event) {
    struct printing *printing = context;
    int rc = ms_output_event(&printing->output, event);
    if (rc == 0 && printing->flush)
        rc = fflush(printing->output.file) == 0 ? 0 : MS_EIO;
    if (rc != 0)
        return rc;
    printing->count++;
    if (printing->progress)
        ms_progress_update(printing->progress, printing->count, 0, 0);
    return --printing->left == 0 ? 1 : 0;
}

/* ---- read ---- */

static int read_travel(struct ms_invocation *invocation, struct ms_target_read *read,
                       struct ms_error *err) {
    read->backward = ms_option_given(invocation, "backward");
    read->as_of = ms_option_text(invocation, "as-of");
    read->known_at = ms_option_text(invocation, "known-at");
    if (read->as_of && read->known_at)
        return ms_error_set(err, MS_EINVAL, "give --as-of or --known-at, not both");
    uint64_t position;
    int64_t us;
    if (read->as_of && ms_parse_u64(ms_bytes_cstr(read->as_of), &position) != 0 &&
        ms_time_parse(ms_bytes_cstr(read->as_of), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--as-of: a time such as 2026-11-23T10:52:54Z or a position was "
                            "expected, not \"%.64s\"",
                            read->as_of);
    if (read->known_at && ms_time_parse(ms_bytes_cstr(read->known_at), &us) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--known-at: a time such as 2026-11-23T10:52:54Z was expected, not "
                            "\"%.64s\"",
                            read->known_at);
    return 0;
}

static int print_events(struct ms_invocation *invocation, const struct ms_target_read *read,
                        struct ms_error *err) {
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, err);
    if (rc != 0)
        return rc;
    struct printing printing = {.left = read->limit};
    ms_output_init(&printing.output, invocation);
    rc = ms_target_read(target, read, print_event, &printing, err);
    ms_output_deinit(&printing.output);
    ms_target_free(target);
    return rc;
}

int ms_cmd_read(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target_read read;
    const char *stream = invocation->arg_count > 0 ? invocation->args[0] : NULL;
    int rc = ms_read_options(invocation, stream, &read, &error);
    if (rc == 0)
        rc = read_travel(invocation, &read, &error);
    if (rc != 0)
        return ms_usage(invocation, "%s", error.message);
    rc = print_events(invocation, &read, &error);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

/* ---- tail ---- */

int ms_cmd_tail(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target_read read;
    const char *stream = invocation->arg_count > 0 ? invocation->args[0] : NULL;
    if (ms_read_options(invocation, stream, &read, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    if (!ms_option_given(invocation, "from"))
        read.from_end = true;
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc == 0) {
        struct printing printing = {.left = read.limit, .flush = true};
        ms_output_init(&printing.output, invocation);
        rc = ms_target_subscribe(target, &read, print_event, &printing, &error);
        ms_output_deinit(&printing.output);
        ms_target_free(target);
    }
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}

/* ---- export ---- */

static int open_output(struct ms_invocation *invocation, FILE **ret_file, struct ms_error *err) {
    const char *path = ms_option_text(invocation, "output");
    if (!path || strcmp(path, "-") == 0) {
        *ret_file = invocation->cli->out;
        return 0;
    }
    *ret_file = fopen(path, "we");
    if (*ret_file)
        return 0;
    char reason[128];
    return ms_error_set(err, ms_error_from_errno(errno), "%s can't be written: %s", path,
                        strerror_r(errno, reason, sizeof reason));
}

static int export_to(struct ms_invocation *invocation, struct ms_target *target,
                     const struct ms_target_read *read, FILE *file, struct ms_error *err) {
    struct ms_progress progress;
    ms_progress_begin(&progress, invocation->cli, "exported");
    struct printing printing = {.left = read->limit, .progress = &progress};
    ms_output_init(&printing.output, invocation);
    printing.output.file = file;
    printing.output.json = printing.output.exact = true;
    int rc = ms_target_read(target, read, print_event, &printing, err);
    ms_output_deinit(&printing.output);
    ms_progress_end(&progress);
    if (rc == 0 && (fflush(file) != 0 || ferror(file)))
        rc = ms_error_set(err, MS_EIO, "the output could not be written");
    if (rc == 0)
        fprintf(invocation->cli->err, "exported %llu events in %.1f s\n",
                (unsigned long long)printing.count, ms_progress_seconds(&progress));
    return rc;
}

int ms_cmd_export(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target_read read;
    if (ms_read_options(invocation, NULL, &read, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    FILE *file;
    rc = open_output(invocation, &file, &error);
    if (rc == 0) {
        rc = export_to(invocation, target, &read, file, &error);
        if (file != invocation->cli->out && fclose(file) != 0 && rc == 0)
            rc = ms_error_set(&error, MS_EIO, "the output could not be written");
    }
    ms_target_free(target);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}
