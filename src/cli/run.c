/* Which command runs, and how a failure ends. See cli.h. */
#include <stdarg.h>

#include "cli/command.h"

int ms_cli_exit_status(int code) {
    switch ((enum ms_error_code)code) {
    case MS_OK:
        return MS_EXIT_OK;
    case MS_ECONFLICT:
    case MS_EIDCONFLICT:
    case MS_EQUERYCONDITION:
    case MS_EEXIST:
    case MS_ENOSTREAMS:
    case MS_ESEQUENCE:
    case MS_EFENCED:
    case MS_ENOTXN:
    case MS_ENOTEMPTY:
    case MS_EINCOMPLETE:
        return MS_EXIT_CONFLICT;
    case MS_ENOTFOUND:
    case MS_EDELETED:
    case MS_ETOMBSTONED:
    case MS_ESCAVENGED:
        return MS_EXIT_NOT_FOUND;
    case MS_EAGAIN:
    case MS_ECLOSED:
    case MS_ETIMEOUT:
    case MS_ELOCKED:
    case MS_ELIMIT:
        return MS_EXIT_UNAVAILABLE;
    case MS_EUNKNOWN:
        return MS_EXIT_UNKNOWN;
    case MS_EINVAL:
    case MS_ETIMESTAMP:
    case MS_ENOTAPPLIED:
    case MS_ENOMEM:
    case MS_EIO:
    case MS_ETOOBIG:
    case MS_ENOSPC:
    case MS_ECORRUPT:
    case MS_EFORMAT:
    case MS_ERESERVED:
    case MS_EUNSUPPORTED:
    case MS_ENEEDMORE:
    case MS_EMEDIATYPE:
    case MS_ECRC:
    case MS_ECANCELED:
        return MS_EXIT_FAILURE;
    }
    return MS_EXIT_FAILURE;
}

int ms_cli_fail(struct ms_cli *cli, int code, const struct ms_error *err) {
    bool has_message = err && err->code == code && err->message[0];
    fprintf(cli->err, "mainstem: %s\n", has_message ? err->message : ms_error_text(code));
    return ms_cli_exit_status(code);
}

const char *ms_cli_variable(const struct ms_cli *cli, const char *name) {
    size_t len = strlen(name);
    for (const char *const *at = cli->environment; at && *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}

int ms_usage(struct ms_invocation *invocation, const char *format, ...) {
    char message[MS_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const struct ms_command *command = invocation->command;
    fprintf(invocation->cli->err, "mainstem%s%s: %s\nTry `mainstem %s%s--help`.\n",
            command ? " " : "", command ? command->name : "", message, command ? command->name : "",
            command ? " " : "");
    return MS_EXIT_USAGE;
}

static int print_help(struct ms_invocation *invocation) {
    struct ms_buf text;
    ms_buf_init(&text, MS_INVOCATION_BYTES_MAX);
    int rc = invocation->command ? ms_help_command(invocation->command, &text) : ms_help_all(&text);
    if (rc == 0)
        fwrite(text.data, 1, text.len, invocation->cli->out);
    ms_buf_deinit(&text);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, NULL);
}

static int dispatch(struct ms_invocation *invocation, int argc, const char *const *argv) {
    struct ms_error error = {0};
    if (ms_args_parse(invocation, argc, argv, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    if (invocation->help)
        return print_help(invocation);
    if (invocation->command->traits & MS_COMMAND_TARGET && ms_option_given(invocation, "server") &&
        ms_option_given(invocation, "data"))
        return ms_usage(invocation, "give --server or --data, not both");
    return invocation->command->run(invocation);
}

int ms_cli_run(struct ms_cli *cli, int argc, const char *const *argv) {
    struct ms_invocation invocation = {.cli = cli};
    ms_arena_init(&invocation.arena, MS_INVOCATION_BYTES_MAX);
    int status = dispatch(&invocation, argc, argv);
    ms_arena_deinit(&invocation.arena);
    if (fflush(cli->out) != 0 || ferror(cli->out)) {
        fprintf(cli->err, "mainstem: the output could not be written\n");
        return status == MS_EXIT_OK ? MS_EXIT_FAILURE : status;
    }
    return status;
}
