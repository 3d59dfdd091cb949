/* See findings.h. */
#include "cli/findings.h"

#define FINDING_BYTES_MAX ((size_t)64 << 10)

static int write_finding(struct ms_buf *out, const struct ms_verify_finding *finding) {
    int rc = ms_buf_append_cstr(out, "{\"segment\":");
    if (rc == 0)
        rc = ms_json_write_string(out, ms_bytes_cstr(finding->segment));
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"offset\":%llu,\"damage\":%s,\"what\":",
                           (unsigned long long)finding->offset, finding->damage ? "true" : "false");
    if (rc == 0)
        rc = ms_json_write_string(out, ms_bytes_cstr(finding->what));
    return rc == 0 ? ms_buf_append_u8(out, '}') : rc;
}

static void on_finding(void *context, const struct ms_verify_finding *finding) {
    struct ms_findings *f = context;
    FILE *out = f->invocation->cli->out;
    ms_progress_end(&f->progress);
    if (!ms_wants_json(f->invocation)) {
        fprintf(out, "%s %s at byte %llu: %s\n", finding->damage ? "damage" : "note",
                finding->segment, (unsigned long long)finding->offset, finding->what);
        return;
    }
    struct ms_buf text;
    ms_buf_init(&text, FINDING_BYTES_MAX);
    int rc = write_finding(&text, finding);
    if (rc == 0)
        rc = ms_output_object(&f->output, ms_buf_bytes(&text), NULL);
    ms_buf_deinit(&text);
    if (f->rc == 0)
        f->rc = rc;
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes) {
    struct ms_findings *f = context;
    ms_progress_bytes(&f->progress, bytes_done, bytes);
}

static void say_state(const struct ms_cli *cli, const struct ms_offline *offline) {
    if (offline->in_use)
        fprintf(cli->err, "mainstem: %s is in use: its newest blocks may look unfinished\n",
                offline->dir);
    if (offline->format_lost)
        fprintf(cli->err, "mainstem: the file FORMAT of %s is lost\n", offline->dir);
}

void ms_findings_begin(struct ms_findings *findings, struct ms_invocation *invocation,
                       const struct ms_offline *offline, const char *what) {
    *findings = (struct ms_findings){.invocation = invocation};
    say_state(invocation->cli, offline);
    ms_output_init(&findings->output, invocation);
    ms_progress_begin(&findings->progress, invocation->cli, what);
}

void ms_findings_end(struct ms_findings *findings) {
    ms_progress_end(&findings->progress);
    ms_output_deinit(&findings->output);
}

struct ms_verify_options ms_findings_options(struct ms_findings *findings,
                                             const struct ms_offline *offline) {
    return (struct ms_verify_options){
        .env = offline->env,
        .dir = offline->shard,
        .log_uuid = offline->log_uuid,
        .known_end = offline->known_end,
        .on_finding = on_finding,
        .on_progress = on_progress,
        .context = findings,
    };
}
