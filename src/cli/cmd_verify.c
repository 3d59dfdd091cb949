/* `mainstem verify DIR`: is everything that was acknowledged still there and whole? */
#include "cli/findings.h"

static void print_verified(struct ms_invocation *invocation, const struct ms_verify_result *r,
                           bool good) {
    FILE *out = invocation->cli->out;
    if (ms_wants_json(invocation))
        fprintf(out,
                "{\"good\":%s,\"damages\":%llu,\"segments\":%llu,\"blocks\":%llu,\"entries\":%llu,"
                "\"events\":%llu,\"bytes\":%llu,\"end\":%llu}\n",
                good ? "true" : "false", (unsigned long long)r->damages,
                (unsigned long long)r->segments, (unsigned long long)r->blocks,
                (unsigned long long)r->entries, (unsigned long long)r->events,
                (unsigned long long)r->bytes, (unsigned long long)r->end_position);
    else
        fprintf(out,
                "%s: %llu segments, %llu blocks, %llu events, %llu bytes; positions 0 to %llu\n",
                good ? "good" : "DAMAGED", (unsigned long long)r->segments,
                (unsigned long long)r->blocks, (unsigned long long)r->events,
                (unsigned long long)r->bytes,
                (unsigned long long)(r->end_position > 0 ? r->end_position - 1 : 0));
}

int ms_cmd_verify(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_error error = {0};
    struct ms_offline offline;
    struct ms_verify_result result = {0};
    struct ms_findings findings;
    int rc = ms_offline_open(&offline, cli->env, invocation->args[0], false, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    ms_findings_begin(&findings, invocation, &offline, "verified");
    struct ms_verify_options options = ms_findings_options(&findings, &offline);
    rc = ms_log_verify(&options, &result, &error);
    bool good = result.damages == 0 && !offline.format_lost;
    ms_findings_end(&findings);
    if (rc == 0)
        print_verified(invocation, &result, good);
    ms_offline_close(&offline);
    if (rc == 0)
        rc = findings.rc;
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    if (!good)
        fprintf(cli->err, "mainstem: restore a backup, or see `mainstem repair --dry-run %s`\n",
                invocation->args[0]);
    return good ? MS_EXIT_OK : MS_EXIT_FAILURE;
}
