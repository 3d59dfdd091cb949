/* `mainstem scavenge`: removes what deletes, truncation, rules and retention have marked. */
#include "base/time.h"
#include "cli/output.h"
#include "cli/target.h"

#define TEXT_BYTES_MAX ((size_t)1 << 20)

static int read_options(struct ms_invocation *invocation, struct ms_target_scavenge *scavenge,
                        struct ms_error *err) {
    const char *rate = ms_option_text(invocation, "bytes-per-second");
    scavenge->all = ms_option_given(invocation, "all");
    scavenge->wait = !ms_option_given(invocation, "no-wait");
    if (rate && ms_size_parse(ms_bytes_cstr(rate), &scavenge->bytes_per_second) != 0)
        return ms_error_set(err, MS_EINVAL,
                            "--bytes-per-second: a size such as 32MiB was expected, not \"%.64s\"",
                            rate);
    return 0;
}

static void on_progress(void *context, uint64_t done, uint64_t total) {
    ms_progress_parts(context, done, total, "segments");
}

int ms_cmd_scavenge(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_error error = {0};
    struct ms_target_scavenge scavenge = {0};
    struct ms_target *target;
    struct ms_progress progress;
    struct ms_buf text;
    if (read_options(invocation, &scavenge, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    int rc = ms_target_open(invocation, MS_TARGET_CHANGES, &target, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    ms_buf_init(&text, TEXT_BYTES_MAX);
    ms_progress_begin(&progress, cli, "scavenged");
    rc = ms_target_scavenge(target, &scavenge, &(struct ms_target_progress){on_progress, &progress},
                            &text, &error);
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
