/* `mainstem serve`. The server's life is src/server/serve.c. */
#include "cli/command.h"
#include "server/log_output.h"
#include "server/serve.h"

int ms_cmd_serve(struct ms_invocation *invocation) {
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
    ms_log_output_init(
        &(struct ms_log_output_options){.clock = cli->env->clock, .level = MS_LOG_INFO});
    struct ms_serve_options options = {
        .env = cli->env, .config = &config, .sources = &sources, .out = cli->out};
    bool log_stopped;
    rc = ms_serve(&options, &log_stopped, &error);
    ms_config_deinit(&config);
    if (log_stopped)
        return MS_EXIT_LOG_STOPPED;
    if (rc == MS_EEXIST)
        return MS_EXIT_UNAVAILABLE; /* the address is in use */
    return ms_cli_exit_status(rc);  /* it has been logged */
}
