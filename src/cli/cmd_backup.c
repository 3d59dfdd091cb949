/* `mainstem backup DIR`: a consistent copy of a store, online. */
#include "cli/output.h"
#include "cli/target.h"

#define TEXT_BYTES_MAX ((size_t)1 << 20)

static void on_progress(void *context, uint64_t done, uint64_t total) {
    ms_progress_bytes(context, done, total);
}

int ms_cmd_backup(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_error error = {0};
    struct ms_target *target;
    struct ms_progress progress;
    struct ms_buf text;
    const char *dir = invocation->args[0];
    if (!ms_option_given(invocation, "data") && dir[0] != '/')
        return ms_usage(invocation, "a server makes the backup on its own host: give an absolute "
                                    "path (or --data DIR to work without a server)");
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    ms_buf_init(&text, TEXT_BYTES_MAX);
    ms_progress_begin(&progress, cli, "backed up");
    rc = ms_target_backup(target, dir, &(struct ms_target_progress){on_progress, &progress}, &text,
                          &error);
    ms_progress_end(&progress);
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = ms_output_object(&output, ms_buf_bytes(&text), NULL);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&text);
    ms_target_free(target);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(cli, rc, &error);
}
