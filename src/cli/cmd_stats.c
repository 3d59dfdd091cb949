/* `mainstem stats`: the state of a store. */
#include "cli/output.h"
#include "cli/target.h"

#define TEXT_BYTES_MAX ((size_t)1 << 20)

int ms_cmd_stats(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct ms_target *target;
    int rc = ms_target_open(invocation, MS_TARGET_READS, &target, &error);
    if (rc != 0)
        return ms_cli_fail(invocation->cli, rc, &error);
    struct ms_buf text;
    ms_buf_init(&text, TEXT_BYTES_MAX);
    rc = ms_target_info(target, &text, &error);
    if (rc == 0) {
        struct ms_output output;
        ms_output_init(&output, invocation);
        rc = ms_output_object(&output, ms_buf_bytes(&text), NULL);
        ms_output_deinit(&output);
    }
    ms_buf_deinit(&text);
    ms_target_free(target);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}
