/*
 * The settings for people: `config print`, and the reference page that is generated from the table
 * and compared with docs/reference/configuration.md by a test. See config.h.
 */
#include <stdio.h>

#include "server/config.h"
#include "wire/json.h"

static const char *const SOURCE_NAMES[] = {
    [MS_SOURCE_DEFAULT] = "default",
    [MS_SOURCE_FILE] = "file",
    [MS_SOURCE_ENVIRONMENT] = "env",
    [MS_SOURCE_FLAG] = "flag",
};

/* ---- config print ---- */

static bool is_number_or_bool(enum ms_setting_type type) {
    return type == MS_SETTING_BOOL || type == MS_SETTING_INT;
}

static int append_quoted(const struct ms_config *config, const struct ms_setting *setting,
                         struct ms_buf *out) {
    if (is_number_or_bool(setting->type))
        return ms_config_format(config, setting, out);
    struct ms_buf text;
    ms_buf_init(&text, MS_CONFIG_FILE_BYTES_MAX);
    int rc = ms_config_format(config, setting, &text);
    if ((setting->traits & MS_SETTING_SECRET) && text.len > 0) {
        ms_buf_clear(&text);
        rc = ms_buf_append_cstr(&text, "(secret)");
    }
    if (rc == 0)
        rc = ms_json_write_string(out, ms_buf_bytes(&text));
    ms_buf_deinit(&text);
    return rc;
}

static int append_source(struct ms_config_origin origin, struct ms_buf *out) {
    int rc = ms_buf_append_cstr(out, SOURCE_NAMES[origin.source]);
    if (rc == 0 && origin.source == MS_SOURCE_FILE)
        rc = ms_buf_printf(out, " line %u", origin.line);
    return rc;
}

/* `key: "value"  # source`: a YAML file that says the same, since a JSON string is a YAML one. */
static int print_yaml_line(const struct ms_config *config, const struct ms_setting *setting,
                           struct ms_buf *out) {
    bool comment = (setting->traits & (MS_SETTING_NOT_IN_FILE | MS_SETTING_SECRET)) != 0;
    int rc = ms_buf_printf(out, "%s%s: ", comment ? "# " : "", setting->key);
    if (rc == 0)
        rc = append_quoted(config, setting, out);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, "  # ");
    if (rc == 0)
        rc = append_source(ms_config_origin_of(config, setting), out);
    if (rc == 0)
        rc = ms_buf_append_u8(out, '\n');
    return rc;
}

static int print_json_line(const struct ms_config *config, const struct ms_setting *setting,
                           struct ms_buf *out) {
    int rc = ms_buf_printf(out, "{\"key\":\"%s\",\"value\":", setting->key);
    if (rc == 0)
        rc = append_quoted(config, setting, out);
    struct ms_config_origin origin = ms_config_origin_of(config, setting);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"source\":\"%s\"", SOURCE_NAMES[origin.source]);
    if (rc == 0 && origin.source == MS_SOURCE_FILE)
        rc = ms_buf_printf(out, ",\"line\":%u", origin.line);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"reload\":%s}\n",
                           setting->traits & MS_SETTING_RELOAD ? "true" : "false");
    return rc;
}

int ms_config_print(const struct ms_config *config, bool json, struct ms_buf *out) {
    int rc = 0;
    for (size_t i = 0; i < MS_SETTING_COUNT && rc == 0; i++)
        rc = json ? print_json_line(config, &ms_settings[i], out)
                  : print_yaml_line(config, &ms_settings[i], out);
    return rc;
}

/* ---- the reference page ---- */

static const char PAGE_HEAD[] =
    "# Settings of `mainstem serve`\n"
    "\n"
    "<!-- Generated from src/server/config_table.h by `mainstem help --settings`; do not edit. "
    "-->\n"
    "\n"
    "A setting can be given in a YAML file (`--config FILE`), as an environment variable or as a\n"
    "flag. A flag beats the environment, which beats the file, which beats the default. An "
    "unknown\n"
    "key or a bad value is an error that names its line. `mainstem config print` shows the\n"
    "effective values and where each came from; `mainstem config check FILE` checks a file.\n"
    "\n"
    "In the file, `log.write: direct` and `log: {write: direct}` mean the same. Sizes are written\n"
    "`4096`, `64KiB`, `16MiB`, `1GiB`; durations `250ms`, `30s`, `5m`, `1h`, `7d`; lists as a "
    "YAML\n"
    "sequence or separated by commas.\n"
    "\n"
    "Settings marked *reload* are taken over from file and environment when the server gets\n"
    "SIGHUP; a change to any other is reported then and needs a restart.\n";

/* A heading for each first part of the keys; settings without a part come first. */
static const char *const GROUPS[][2] = {
    {"", "General"},
    {"log", "The log"},
    {"store", "The store"},
    {"index", "The index"},
    {"limits", "Limits of events"},
    {"http", "The HTTP face"},
    {"kafka", "The Kafka face"},
    {"groups", "Consumer groups"},
    {"projections", "Read models"},
    {"txn", "Transactions"},
    {"logging", "Log output"},
};

static bool in_group(const struct ms_setting *setting, const char *group) {
    const char *dot = strchr(setting->key, '.');
    size_t len = dot ? (size_t)(dot - setting->key) : 0;
    return strlen(group) == len && strncmp(setting->key, group, len) == 0;
}

static int append_limits(const struct ms_setting *setting, struct ms_buf *out) {
    if (setting->min == 0 && setting->max == 0)
        return 0;
    int rc = ms_buf_append_cstr(out, ", from ");
    if (rc == 0)
        rc = ms_setting_format_number(setting, setting->min, out);
    if (rc == 0)
        rc = ms_buf_append_cstr(out, " to ");
    if (rc == 0)
        rc = ms_setting_format_number(setting, setting->max, out);
    return rc;
}

static int append_kind(const struct ms_setting *setting, struct ms_buf *out) {
    int rc;
    if (setting->type == MS_SETTING_ENUM) {
        rc = ms_buf_append_cstr(out, "`");
        if (rc == 0)
            rc = ms_setting_format_argument(setting, out);
        if (rc == 0)
            rc = ms_buf_append_cstr(out, "`");
    } else {
        rc = ms_buf_append_cstr(out, ms_setting_type_name(setting->type));
    }
    return rc == 0 ? append_limits(setting, out) : rc;
}

static int append_setting(const struct ms_setting *setting, struct ms_buf *out) {
    char flag[MS_SETTING_NAME_MAX], variable[MS_SETTING_NAME_MAX];
    ms_setting_flag(setting, flag);
    ms_setting_variable(setting, variable);
    int rc =
        ms_buf_printf(out, "\n### `%s`\n\n%s.\n\n- flag `%s`", setting->key, setting->help, flag);
    if (rc == 0 && setting->alias)
        rc = ms_buf_printf(out, " or `--%s`", setting->alias);
    if (rc == 0)
        rc = ms_buf_printf(out, ", variable `%s`\n- ", variable);
    if (rc == 0)
        rc = append_kind(setting, out);
    if (rc == 0)
        rc = *setting->default_text ? ms_buf_printf(out, "; default `%s`", setting->default_text)
                                    : ms_buf_append_cstr(out, "; default empty");
    if (rc == 0 && setting->traits & MS_SETTING_RELOAD)
        rc = ms_buf_append_cstr(out, "; *reload*");
    if (rc == 0 && setting->traits & MS_SETTING_NOT_IN_FILE)
        rc = ms_buf_append_cstr(out, "; not in the file");
    return rc == 0 ? ms_buf_append_u8(out, '\n') : rc;
}

int ms_config_reference(struct ms_buf *out) {
    int rc = ms_buf_append_cstr(out, PAGE_HEAD);
    for (size_t g = 0; g < sizeof GROUPS / sizeof GROUPS[0] && rc == 0; g++) {
        rc = ms_buf_printf(out, "\n## %s\n", GROUPS[g][1]);
        for (size_t i = 0; i < MS_SETTING_COUNT && rc == 0; i++)
            if (in_group(&ms_settings[i], GROUPS[g][0]))
                rc = append_setting(&ms_settings[i], out);
    }
    return rc;
}
