/*
 * The manual page, in the man macros of troff, from the table of commands. docs/man/mainstem.1 is
 * what this writes; a test compares them, and `mainstem help --man` makes it anew. One thread.
 */
#include "cli/command.h"

/* Text of troff: backslashes and hyphens are escaped, and no line begins with a control character.
 * */
static int append_text(struct ms_buf *out, const char *text) {
    int rc = 0;
    if (*text == '.' || *text == '\'')
        rc = ms_buf_append_cstr(out, "\\&");
    for (; *text && rc == 0; text++) {
        if (*text == '\\')
            rc = ms_buf_append_cstr(out, "\\e");
        else if (*text == '-')
            rc = ms_buf_append_cstr(out, "\\-");
        else
            rc = ms_buf_append_u8(out, (uint8_t)*text);
    }
    return rc;
}

static int append_line(struct ms_buf *out, const char *macro, const char *text) {
    int rc = ms_buf_append_cstr(out, macro);
    if (rc == 0)
        rc = append_text(out, text);
    return rc == 0 ? ms_buf_append_u8(out, '\n') : rc;
}

/* .TP with "--name ARGUMENT" and the help below it. */
static int append_options(struct ms_buf *out, const struct ms_option *options) {
    int rc = 0;
    for (; options && options->name && rc == 0; options++) {
        rc = ms_buf_append_cstr(out, ".TP\n\\fB\\-\\-");
        if (rc == 0)
            rc = append_text(out, options->name);
        if (rc == 0)
            rc = ms_buf_append_cstr(out, options->argument ? "\\fR \\fI" : "\\fR");
        if (rc == 0 && options->argument)
            rc = append_text(out, options->argument);
        if (rc == 0)
            rc = ms_buf_append_cstr(out, options->argument ? "\\fR\n" : "\n");
        if (rc == 0)
            rc = append_line(out, "", options->help);
    }
    return rc;
}

static int append_example(struct ms_buf *out, const char *example) {
    int rc = ms_buf_append_cstr(out, ".PP\n.nf\n.RS\n");
    if (rc == 0)
        rc = append_line(out, "", example);
    return rc == 0 ? ms_buf_append_cstr(out, ".RE\n.fi\n") : rc;
}

static int append_command(struct ms_buf *out, const struct ms_command *command) {
    int rc = ms_buf_append_cstr(out, ".SS \"mainstem ");
    if (rc == 0)
        rc = append_text(out, command->name);
    if (rc == 0 && *command->arguments)
        rc = ms_buf_append_u8(out, ' ');
    if (rc == 0)
        rc = append_text(out, command->arguments);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, "\"\n");
    if (rc == 0)
        rc = append_line(out, "", command->summary);
    if (rc == 0 && command->details) {
        rc = ms_buf_append_cstr(out, ".PP\n");
        if (rc == 0)
            rc = append_line(out, "", command->details);
    }
    if (rc == 0)
        rc = append_options(out, command->options);
    if (rc == 0 && command->example)
        rc = append_example(out, command->example);
    return rc;
}

static int append_setting(struct ms_buf *out, const struct ms_setting *setting) {
    char flag[MS_SETTING_NAME_MAX];
    ms_setting_flag(setting, flag);
    struct ms_buf argument;
    ms_buf_init(&argument, 1024);
    int rc = ms_setting_format_argument(setting, &argument);
    if (rc == 0)
        rc = ms_buf_append_u8(&argument, 0);
    if (rc == 0)
        rc = append_line(out, ".TP\n.B ", flag);
    if (rc == 0 && setting->alias) {
        out->len--; /* the line's end */
        rc = ms_buf_printf(out, ", \\-\\-%s\n", setting->alias);
    }
    if (rc == 0)
        rc = append_text(out, setting->help);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, " (");
    if (rc == 0)
        rc = append_text(out, (const char *)argument.data);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, *setting->default_text ? "; default " : "");
    if (rc == 0)
        rc = append_text(out, setting->default_text);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, setting->traits & MS_SETTING_RELOAD ? "; reloaded)\n" : ")\n");
    ms_buf_deinit(&argument);
    return rc;
}

static int append_settings(struct ms_buf *out) {
    int rc = ms_buf_append_cstr(
        out, ".SH SETTINGS\n"
             "The settings of\n.B mainstem serve\n"
             "are given as flags, as variables\n"
             "(\\fB\\-\\-log\\-segment\\-bytes\\fR is \\fBMAINSTEM_LOG_SEGMENT_BYTES\\fR) or in a "
             "YAML file\n(\\fBlog.segment_bytes\\fR). A flag beats the environment, which beats "
             "the file, which beats\nthe default.\n");
    for (size_t i = 0; i < MS_SETTING_COUNT && rc == 0; i++)
        rc = append_setting(out, &ms_settings[i]);
    return rc;
}

static int append_statuses(struct ms_buf *out) {
    static const struct {
        int status;
        const char *text;
    } statuses[] = {
#define X(name, value, text) {value, text},
        MS_EXIT_LIST(X)
#undef X
    };
    int rc = ms_buf_append_cstr(out, ".SH \"EXIT STATUS\"\n");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0] && rc == 0; i++) {
        rc = ms_buf_printf(out, ".TP\n.B %d\n", statuses[i].status);
        if (rc == 0)
            rc = append_line(out, "", statuses[i].text);
    }
    return rc;
}

static const char HEAD[] =
    ".\\\" Generated from the tables of the command by `mainstem help --man`; do not edit.\n"
    ".TH MAINSTEM 1 \"\" \"Mainstem\" \"User Commands\"\n"
    ".SH NAME\n"
    "mainstem \\- one durable append\\-only log, and the event store on it\n"
    ".SH SYNOPSIS\n"
    ".B mainstem\n"
    ".I COMMAND\n"
    "[\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
    ".SH DESCRIPTION\n"
    "Runs the server, and works with one (\\fB\\-\\-server\\fR) or straight on a data directory\n"
    "(\\fB\\-\\-data\\fR). Output is made for people on a terminal and is JSON lines in a pipe or "
    "with\n"
    "\\fB\\-\\-json\\fR; messages go to standard error.\n"
    ".SH COMMANDS\n";

static const char TAIL[] =
    ".SH ENVIRONMENT\n"
    ".TP\n"
    ".B MAINSTEM_SERVER\n"
    "The server that commands work with when neither \\fB\\-\\-server\\fR nor \\fB\\-\\-data\\fR "
    "is given.\n"
    ".TP\n"
    ".B MAINSTEM_CONFIG\n"
    "The configuration file of\n"
    ".BR \"mainstem serve\" .\n";

int ms_man_page(struct ms_buf *out) {
    int rc = ms_buf_append_cstr(out, HEAD);
    for (size_t i = 0; i < ms_command_count && rc == 0; i++)
        rc = append_command(out, &ms_commands[i]);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, ".SH \"COMMON OPTIONS\"\n"
                                     "Commands that work with a store take:\n");
    if (rc == 0)
        rc = append_options(out, ms_target_options);
    if (rc == 0)
        rc = append_options(out, ms_json_options);
    if (rc == 0)
        rc = append_options(out, ms_help_options);
    if (rc == 0)
        rc = append_settings(out);
    if (rc == 0)
        rc = append_statuses(out);
    return rc == 0 ? ms_buf_append_cstr(out, TAIL) : rc;
}
