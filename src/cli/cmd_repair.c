/* `mainstem repair DIR`: makes a damaged log one that opens, at the cost of what is lost. */
#include "cli/findings.h"
#include "log/repair.h"

#define SEGMENT_BYTES_MAX ((uint64_t)1 << 30)

static void print_repaired(struct ms_invocation *invocation, const struct ms_repair_result *r,
                           bool dry_run) {
    FILE *out = invocation->cli->out;
    if (ms_wants_json(invocation)) {
        fprintf(out,
                "{\"dry_run\":%s,\"segments_repaired\":%llu,\"segments_missing\":%llu,"
                "\"events_saved\":%llu,\"positions_lost\":%llu}\n",
                dry_run ? "true" : "false", (unsigned long long)r->segments_repaired,
                (unsigned long long)r->segments_missing, (unsigned long long)r->events_saved,
                (unsigned long long)r->positions_lost);
        return;
    }
    if (r->segments_repaired + r->segments_missing + r->end_missing == 0) {
        fprintf(out, "nothing to repair\n");
        return;
    }
    fprintf(out,
            "%s %llu segments anew with %llu events; %llu segments %s missing; %llu positions %s\n",
            dry_run ? "would write" : "wrote", (unsigned long long)r->segments_repaired,
            (unsigned long long)r->events_saved, (unsigned long long)r->segments_missing,
            dry_run ? "are" : "were", (unsigned long long)r->positions_lost,
            dry_run ? "would be lost" : "are lost");
    if (!dry_run && r->segments_repaired > 0)
        fprintf(out, "the damaged files are kept beside them as *.damaged-<n>\n");
    if (r->end_missing > 0)
        fprintf(out,
                "the index %s moved aside: it was made from %llu positions that are missing at "
                "the end\n",
                dry_run ? "would be" : "is", (unsigned long long)r->end_missing);
}

int ms_cmd_repair(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_error error = {0};
    struct ms_offline offline;
    struct ms_repair_result result = {0};
    struct ms_findings findings;
    bool dry_run = ms_option_given(invocation, "dry-run");
    int rc = ms_offline_open(&offline, cli->env, invocation->args[0], !dry_run, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    ms_findings_begin(&findings, invocation, &offline, "examined");
    struct ms_verify_options options = ms_findings_options(&findings, &offline);
    rc = ms_log_repair(&options, dry_run, SEGMENT_BYTES_MAX, &result, &error);
    ms_findings_end(&findings);
    if (rc == 0 && !dry_run && result.end_missing > 0)
        rc = ms_offline_discard_index(&offline, &error);
    if (rc == 0 && !dry_run)
        rc = ms_offline_restore_format(&offline, &error);
    if (rc == 0)
        print_repaired(invocation, &result, dry_run);
    ms_offline_close(&offline);
    if (rc == 0)
        rc = findings.rc;
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(cli, rc, &error);
}
