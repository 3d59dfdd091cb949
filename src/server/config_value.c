/*
 * Settings' values: from text, to text, within limits. See config.h for the spellings.
 */
#include "base/time.h"
#include "server/config.h"

#include <stdio.h>

static const char *const TYPE_NAMES[] = {
    [MS_SETTING_BOOL] = "bool",     [MS_SETTING_INT] = "integer",
    [MS_SETTING_SIZE] = "size",     [MS_SETTING_DURATION] = "duration",
    [MS_SETTING_STRING] = "string", [MS_SETTING_ADDRESS] = "address",
    [MS_SETTING_ENUM] = "choice",   [MS_SETTING_LIST] = "list",
};

const char *ms_setting_type_name(enum ms_setting_type type) { return TYPE_NAMES[type]; }

/* ---- to text ---- */

struct unit {
    int64_t factor;
    const char *name;
};
static const struct unit SIZE_UNITS[] = {
    {MS_GIB(1), "GiB"}, {MS_MIB(1), "MiB"}, {MS_KIB(1), "KiB"}, {1, ""}};
static const struct unit DURATION_UNITS[] = {
    {MS_DAYS(1), "d"}, {MS_HOURS(1), "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};

/* The largest unit that loses nothing. */
static int format_in_units(const struct unit *units, int64_t value, struct ms_buf *out) {
    while (value % units->factor != 0)
        units++;
    return ms_buf_printf(out, "%lld%s", (long long)(value / units->factor), units->name);
}

int ms_setting_format_number(const struct ms_setting *setting, int64_t value, struct ms_buf *out) {
    if (value != 0 && setting->type == MS_SETTING_SIZE)
        return format_in_units(SIZE_UNITS, value, out);
    if (value != 0 && setting->type == MS_SETTING_DURATION)
        return format_in_units(DURATION_UNITS, value, out);
    return ms_buf_printf(out, "%lld", (long long)value);
}

/* The n-th of comma separated choices; absent past the last. */
static struct ms_bytes choice_at(const char *choices, int n) {
    const char *at = choices;
    for (; n > 0 && at; n--) {
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return at ? ms_bytes_of(at, strcspn(at, ",")) : ms_bytes_of(NULL, 0);
}

static const void *field_of(const struct ms_config *config, const struct ms_setting *setting) {
    return (const char *)config + setting->offset;
}

int ms_config_format(const struct ms_config *config, const struct ms_setting *setting,
                     struct ms_buf *out) {
    const void *field = field_of(config, setting);
    switch (setting->type) {
    case MS_SETTING_BOOL:
        return ms_buf_append_cstr(out, *(const bool *)field ? "true" : "false");
    case MS_SETTING_INT:
    case MS_SETTING_SIZE:
    case MS_SETTING_DURATION:
        return ms_setting_format_number(setting, *(const int64_t *)field, out);
    case MS_SETTING_STRING:
    case MS_SETTING_ADDRESS:
    case MS_SETTING_LIST:
        return ms_buf_append_cstr(out, *(const char *const *)field);
    case MS_SETTING_ENUM:
        return ms_buf_append_bytes(out, choice_at(setting->choices, *(const int *)field));
    }
    MS_ASSERT(false); /* every type is listed above */
    return 0;
}

int ms_setting_format_argument(const struct ms_setting *setting, struct ms_buf *out) {
    switch (setting->type) {
    case MS_SETTING_BOOL:
        return ms_buf_append_cstr(out, "BOOL");
    case MS_SETTING_INT:
        return ms_buf_append_cstr(out, "N");
    case MS_SETTING_SIZE:
        return ms_buf_append_cstr(out, "SIZE");
    case MS_SETTING_DURATION:
        return ms_buf_append_cstr(out, "DURATION");
    case MS_SETTING_ADDRESS:
        return ms_buf_append_cstr(out, "HOST:PORT");
    case MS_SETTING_STRING:
        return ms_buf_append_cstr(out, setting->choices);
    case MS_SETTING_LIST:
        return ms_buf_printf(out, "%s[,…]", setting->choices);
    case MS_SETTING_ENUM: {
        size_t start = out->len;
        int rc = ms_buf_append_cstr(out, setting->choices);
        for (size_t i = start; rc == 0 && i < out->len; i++)
            if (out->data[i] == ',')
                out->data[i] = '|';
        return rc;
    }
    }
    MS_ASSERT(false); /* every type is listed above */
    return 0;
}

/* ---- from text ---- */

#define SHOWN_MAX 64 /* of a bad value, in an error */

static int bad_value(struct ms_error *err, struct ms_bytes text, const char *expected) {
    return ms_error_set(err, MS_EINVAL, "\"%.*s\" is not %s",
                        (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX), (const char *)text.data,
                        expected);
}

static int parse_bool(struct ms_bytes text, bool *ret_value, struct ms_error *err) {
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (ms_bytes_equal_cstr(text, yes[i]) || ms_bytes_equal_cstr(text, no[i])) {
            *ret_value = ms_bytes_equal_cstr(text, yes[i]);
            return 0;
        }
    }
    return bad_value(err, text, "true or false");
}

static int out_of_limits(const struct ms_setting *setting, struct ms_bytes text,
                         struct ms_error *err) {
    struct ms_buf limits;
    ms_buf_init(&limits, 256);
    int rc = ms_setting_format_number(setting, setting->min, &limits);
    if (rc == 0)
        rc = ms_buf_append_cstr(&limits, " and ");
    if (rc == 0)
        rc = ms_setting_format_number(setting, setting->max, &limits);
    rc = ms_error_set(err, MS_EINVAL, "must be between %.*s, not %.*s",
                      (int)(rc == 0 ? limits.len : 0), (const char *)limits.data,
                      (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX), (const char *)text.data);
    ms_buf_deinit(&limits);
    return rc;
}

static int parse_number(const struct ms_setting *setting, struct ms_bytes text, int64_t *ret_value,
                        struct ms_error *err) {
    int64_t value = 0;
    uint64_t bytes = 0;
    if (setting->type == MS_SETTING_INT) {
        if (ms_parse_i64(text, &value) != 0)
            return bad_value(err, text, "a whole number");
    } else if (setting->type == MS_SETTING_DURATION) {
        if (ms_duration_parse_ms(text, &value) != 0)
            return bad_value(err, text, "a duration such as 250ms, 30s, 5m or 1h");
    } else {
        if (ms_size_parse(text, &bytes) != 0 || bytes > INT64_MAX)
            return bad_value(err, text, "a size such as 4096, 64KiB, 16MiB or 1GiB");
        value = (int64_t)bytes;
    }
    if (value < setting->min || value > setting->max)
        return out_of_limits(setting, text, err);
    *ret_value = value;
    return 0;
}

static int parse_choice(const struct ms_setting *setting, struct ms_bytes text, int *ret_value,
                        struct ms_error *err) {
    for (int i = 0;; i++) {
        struct ms_bytes choice = choice_at(setting->choices, i);
        if (!choice.data)
            break;
        if (ms_bytes_equal(choice, text)) {
            *ret_value = i;
            return 0;
        }
    }
    char expected[128];
    snprintf(expected, sizeof expected, "one of %s", setting->choices);
    return bad_value(err, text, expected);
}

/* host:port; an IPv6 host stands in brackets. Whether the host exists shows when it is bound. */
static int check_address(struct ms_bytes text, struct ms_error *err) {
    static const char *const expected = "an address such as 127.0.0.1:8080 or [::1]:8080";
    const uint8_t *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    if (!colon || colon == text.data)
        return bad_value(err, text, expected);
    size_t host_len = (size_t)(colon - text.data);
    bool bracketed = text.data[0] == '[';
    if (bracketed != (colon[-1] == ']') || (bracketed && host_len < 4))
        return bad_value(err, text, expected);
    if (!bracketed && memchr(text.data, ':', host_len))
        return bad_value(err, text, expected);
    uint64_t port;
    if (ms_parse_u64(ms_bytes_of(colon + 1, text.len - host_len - 1), &port) != 0 || port > 65535)
        return bad_value(err, text, "an address with a port from 0 to 65535");
    return 0;
}

static int set_string(struct ms_config *config, const char **field, struct ms_bytes text,
                      struct ms_error *err) {
    if (text.len && memchr(text.data, 0, text.len))
        return ms_error_set(err, MS_EINVAL, "must not contain a NUL byte");
    char *copy = ms_arena_strdup(&config->arena, text);
    if (!copy)
        return ms_error_set(err, MS_ENOMEM, "no memory for a setting's value");
    *field = copy;
    return 0;
}

static int set_field(struct ms_config *config, const struct ms_setting *setting,
                     struct ms_bytes text, struct ms_error *err) {
    void *field = (char *)config + setting->offset;
    switch (setting->type) {
    case MS_SETTING_BOOL:
        return parse_bool(text, field, err);
    case MS_SETTING_INT:
    case MS_SETTING_SIZE:
    case MS_SETTING_DURATION:
        return parse_number(setting, text, field, err);
    case MS_SETTING_ENUM:
        return parse_choice(setting, text, field, err);
    case MS_SETTING_ADDRESS: {
        bool none = text.len == 0 && !*setting->default_text; /* where empty has a meaning */
        int rc = none ? 0 : check_address(text, err);
        return rc != 0 ? rc : set_string(config, field, text, err);
    }
    case MS_SETTING_STRING:
    case MS_SETTING_LIST:
        return set_string(config, field, text, err);
    }
    MS_ASSERT(false); /* every type is listed above */
    return 0;
}

int ms_config_set(struct ms_config *config, const struct ms_setting *setting, struct ms_bytes text,
                  struct ms_config_origin origin, struct ms_error *err) {
    int rc = set_field(config, setting, text, err);
    if (rc == 0)
        config->origins[setting - ms_settings] = origin;
    return rc;
}
