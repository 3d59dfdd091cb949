/* Help on a terminal, from the table of commands. One thread. */
#include "cli/command.h"

#define NAME_COLUMNS 30
#define LINE_COLUMNS 90

/* Columns that UTF-8 text takes, when every character takes one. */
static size_t columns_of(const char *text, size_t len) {
    size_t columns = 0;
    for (size_t i = 0; i < len; i++)
        columns += (text[i] & 0xc0) != 0x80;
    return columns;
}

/* Appends words, broken at LINE_COLUMNS, each line indented; the first one begins at `column`. */
static int append_wrapped(struct ms_buf *out, const char *text, size_t indent, size_t column) {
    int rc = 0;
    bool line_is_empty = true;
    while (*text && rc == 0) {
        size_t len = strcspn(text, " ");
        size_t columns = columns_of(text, len);
        if (!line_is_empty && column + 1 + columns > LINE_COLUMNS) {
            rc = ms_buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
            line_is_empty = true;
        }
        if (rc == 0)
            rc = ms_buf_printf(out, "%s%.*s", line_is_empty ? "" : " ", (int)len, text);
        column += columns + !line_is_empty;
        line_is_empty = false;
        text += len + strspn(text + len, " ");
    }
    return rc == 0 ? ms_buf_append_u8(out, '\n') : rc;
}

/* "  left                  right", the right side wrapped; a long left side stands alone. */
static int append_row(struct ms_buf *out, const char *left, const char *right) {
    size_t len = columns_of(left, strlen(left));
    int rc = ms_buf_printf(out, "  %s", left);
    if (rc == 0 && len + 4 > NAME_COLUMNS)
        rc = ms_buf_printf(out, "\n%*s", NAME_COLUMNS, "");
    else if (rc == 0)
        rc = ms_buf_printf(out, "%*s", (int)(NAME_COLUMNS - 2 - len), "");
    return rc == 0 ? append_wrapped(out, right, NAME_COLUMNS, NAME_COLUMNS) : rc;
}

static int append_options(struct ms_buf *out, const struct ms_option *options) {
    int rc = 0;
    for (; options && options->name && rc == 0; options++) {
        char left[128];
        snprintf(left, sizeof left, "--%s%s%s", options->name, options->argument ? " " : "",
                 options->argument ? options->argument : "");
        rc = append_row(out, left, options->help);
    }
    return rc;
}

static int append_setting(struct ms_buf *out, const struct ms_setting *setting) {
    struct ms_buf left, right;
    ms_buf_init(&left, 1024);
    ms_buf_init(&right, 4096);
    char flag[MS_SETTING_NAME_MAX];
    ms_setting_flag(setting, flag);
    int rc = setting->alias ? ms_buf_printf(&left, "--%s ", setting->alias)
                            : ms_buf_printf(&left, "%s ", flag);
    if (rc == 0 && setting->type != MS_SETTING_BOOL)
        rc = ms_setting_format_argument(setting, &left);
    if (rc == 0)
        rc = ms_buf_append_u8(&left, 0);
    if (rc == 0)
        rc = ms_buf_append_cstr(&right, setting->help);
    if (rc == 0 && *setting->default_text)
        rc = ms_buf_printf(&right, "; default %s", setting->default_text);
    if (rc == 0)
        rc = ms_buf_append_u8(&right, 0);
    if (rc == 0)
        rc = append_row(out, (const char *)left.data, (const char *)right.data);
    ms_buf_deinit(&left);
    ms_buf_deinit(&right);
    return rc;
}

static int append_settings(struct ms_buf *out) {
    int rc = ms_buf_append_cstr(out, "\nSettings (also in a file and as variables, see "
                                     "`mainstem help --settings`):\n");
    for (size_t i = 0; i < MS_SETTING_COUNT && rc == 0; i++)
        rc = append_setting(out, &ms_settings[i]);
    return rc;
}

static int append_command_options(struct ms_buf *out, const struct ms_command *command) {
    int rc = ms_buf_append_cstr(out, "\nOptions:\n");
    if (rc == 0)
        rc = append_options(out, command->options);
    if (rc == 0 && command->traits & MS_COMMAND_TARGET)
        rc = append_options(out, ms_target_options);
    if (rc == 0 && command->traits & MS_COMMAND_JSON)
        rc = append_options(out, ms_json_options);
    if (rc == 0)
        rc = append_options(out, ms_help_options);
    if (rc == 0 && command->traits & MS_COMMAND_SETTINGS)
        rc = append_settings(out);
    return rc;
}

int ms_help_command(const struct ms_command *command, struct ms_buf *out) {
    int rc = ms_buf_printf(out, "Usage: mainstem %s%s%s [OPTION…]\n\n", command->name,
                           *command->arguments ? " " : "", command->arguments);
    if (rc == 0)
        rc = ms_buf_printf(out, "%s: ", command->name);
    if (rc == 0)
        rc = append_wrapped(out, command->summary, 0, strlen(command->name) + 2);
    if (rc == 0 && command->details) {
        rc = ms_buf_append_u8(out, '\n');
        if (rc == 0)
            rc = append_wrapped(out, command->details, 0, 0);
    }
    if (rc == 0)
        rc = append_command_options(out, command);
    if (rc == 0 && command->example)
        rc = ms_buf_printf(out, "\nExample:\n  %s\n", command->example);
    return rc;
}

/* ---- everything ---- */

static int append_statuses(struct ms_buf *out) {
    static const struct {
        int status;
        const char *text;
    } statuses[] = {
#define X(name, value, text) {value, text},
        MS_EXIT_LIST(X)
#undef X
    };
    int rc = ms_buf_append_cstr(out, "\nExit status:\n");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0] && rc == 0; i++) {
        char left[16];
        snprintf(left, sizeof left, "%d", statuses[i].status);
        rc = append_row(out, left, statuses[i].text);
    }
    return rc;
}

int ms_help_all(struct ms_buf *out) {
    int rc =
        ms_buf_append_cstr(out, "Mainstem: one durable append-only log, and the event store on "
                                "it.\n\nUsage: mainstem COMMAND [ARGUMENT…] [OPTION…]\n\n"
                                "Commands:\n");
    for (size_t i = 0; i < ms_command_count && rc == 0; i++) {
        char left[128];
        snprintf(left, sizeof left, "%s%s%s", ms_commands[i].name,
                 *ms_commands[i].arguments ? " " : "", ms_commands[i].arguments);
        rc = append_row(out, left, ms_commands[i].summary);
    }
    if (rc == 0)
        rc = append_statuses(out);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, "\n`mainstem COMMAND --help` tells more about a command.\n");
    return rc;
}
