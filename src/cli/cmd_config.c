/* `mainstem config print` and `mainstem config check`. */
#include "cli/command.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)

int ms_cmd_config_print(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_config_sources sources = {.vfs = cli->env->vfs,
                                        .environment = cli->environment,
                                        .flags = invocation->flags,
                                        .flag_count = invocation->flag_count};
    struct ms_config config;
    struct ms_error error = {0};
    int rc = ms_config_load(&sources, &config, &error);
    if (rc != 0) {
        ms_cli_fail(cli, rc, &error);
        return rc == MS_EINVAL ? MS_EXIT_USAGE : ms_cli_exit_status(rc);
    }
    struct ms_buf text;
    ms_buf_init(&text, TEXT_BYTES_MAX);
    rc = ms_config_print(&config, ms_option_given(invocation, "json"), &text);
    if (rc == 0)
        fwrite(text.data, 1, text.len, cli->out);
    ms_buf_deinit(&text);
    ms_config_deinit(&config);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(cli, rc, NULL);
}

/* The file alone, without environment and flags. */
int ms_cmd_config_check(struct ms_invocation *invocation) {
    struct ms_cli *cli = invocation->cli;
    struct ms_config config;
    struct ms_error error = {0};
    int rc = ms_config_init(&config, &error);
    if (rc != 0)
        return ms_cli_fail(cli, rc, &error);
    rc = ms_config_read_file(&config, cli->env->vfs, invocation->args[0], &error);
    if (rc == 0 && (rc = ms_config_check(&config, &error)) != 0)
        ms_error_prefix(&error, "%s", invocation->args[0]);
    ms_config_deinit(&config);
    if (rc != 0) {
        ms_cli_fail(cli, rc, &error);
        return rc == MS_EINVAL ? MS_EXIT_USAGE : ms_cli_exit_status(rc);
    }
    fprintf(cli->out, "%s is valid\n", invocation->args[0]);
    return MS_EXIT_OK;
}
