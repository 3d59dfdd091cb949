/* The `mainstem` program. */
#include <unistd.h>

#include "cli/cli.h"

int main(int argc, char **argv) {
    struct ms_cli cli = {
        .env = ms_env_system(),
        .environment = (const char *const *)environ,
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .out_is_terminal = isatty(STDOUT_FILENO) == 1,
        .err_is_terminal = isatty(STDERR_FILENO) == 1,
    };
    return ms_cli_run(&cli, argc > 0 ? argc - 1 : 0, (const char *const *)argv + 1);
}
