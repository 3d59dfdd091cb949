/* `mainstem help` and `mainstem version`. */
#include "cli/command.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)

/* The command named by the arguments, or NULL. */
static const struct ms_command *named_command(const struct ms_invocation *invocation) {
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", invocation->args[0], invocation->arg_count > 1 ? " " : "",
             invocation->arg_count > 1 ? invocation->args[1] : "");
    for (size_t i = 0; i < ms_command_count; i++)
        if (strcmp(ms_commands[i].name, name) == 0)
            return &ms_commands[i];
    return NULL;
}

/* Help of each command of a group such as `stream`. 0: there is no such group. */
static int help_group(const char *group, struct ms_buf *out, size_t *ret_count) {
    size_t len = strlen(group), count = 0;
    int rc = 0;
    for (size_t i = 0; i < ms_command_count && rc == 0; i++) {
        if (strncmp(ms_commands[i].name, group, len) != 0 || ms_commands[i].name[len] != ' ')
            continue;
        rc = count++ ? ms_buf_append_u8(out, '\n') : 0;
        if (rc == 0)
            rc = ms_help_command(&ms_commands[i], out);
    }
    *ret_count = count;
    return rc;
}

static int help_named(struct ms_invocation *invocation, struct ms_buf *out) {
    const struct ms_command *command = named_command(invocation);
    if (command)
        return ms_help_command(command, out);
    size_t count = 0;
    int rc = invocation->arg_count == 1 ? help_group(invocation->args[0], out, &count) : 0;
    return rc == 0 && count == 0 ? MS_ENOTFOUND : rc;
}

int ms_cmd_help(struct ms_invocation *invocation) {
    struct ms_buf text;
    ms_buf_init(&text, TEXT_BYTES_MAX);
    int rc;
    if (ms_option_given(invocation, "man"))
        rc = ms_man_page(&text);
    else if (ms_option_given(invocation, "settings"))
        rc = ms_config_reference(&text);
    else if (invocation->arg_count > 0)
        rc = help_named(invocation, &text);
    else
        rc = ms_help_all(&text);
    if (rc == 0)
        fwrite(text.data, 1, text.len, invocation->cli->out);
    ms_buf_deinit(&text);
    if (rc == MS_ENOTFOUND)
        return ms_usage(invocation, "there is no command %s", invocation->args[0]);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, NULL);
}

int ms_cmd_version(struct ms_invocation *invocation) {
    if (ms_option_given(invocation, "json"))
        fprintf(invocation->cli->out, "{\"name\":\"mainstem\",\"version\":\"%s\"}\n", MS_VERSION);
    else
        fprintf(invocation->cli->out, "mainstem %s\n", MS_VERSION);
    return MS_EXIT_OK;
}
