/*
 * The order of sources, and what a reload takes over. See config.h.
 */
#include "server/config.h"

static const char *find_variable(const char *const *environment, const char *name) {
    size_t len = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

static int apply_environment(struct ms_config *config, const char *const *environment,
                             struct ms_error *err) {
    struct ms_config_origin origin = {.source = MS_SOURCE_ENVIRONMENT};
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char name[MS_SETTING_NAME_MAX];
        ms_setting_variable(&ms_settings[i], name);
        const char *value = find_variable(environment, name);
        if (!value)
            continue;
        int rc = ms_config_set(config, &ms_settings[i], ms_bytes_cstr(value), origin, err);
        if (rc != 0) {
            ms_error_prefix(err, "environment variable %s", name);
            return rc;
        }
    }
    return 0;
}

static int apply_flags(struct ms_config *config, const struct ms_config_flag *flags, size_t count,
                       struct ms_error *err) {
    struct ms_config_origin origin = {.source = MS_SOURCE_FLAG};
    for (size_t i = 0; i < count; i++) {
        int rc =
            ms_config_set(config, flags[i].setting, ms_bytes_cstr(flags[i].value), origin, err);
        if (rc != 0) {
            char name[MS_SETTING_NAME_MAX];
            ms_setting_flag(flags[i].setting, name);
            ms_error_prefix(err, "%s", name);
            return rc;
        }
    }
    return 0;
}

/* The file's name has to be known before the other sources are read in their order. */
static const char *find_file(const struct ms_config_sources *sources) {
    const struct ms_setting *setting = &ms_settings[MS_SETTING_AT_config_file];
    for (size_t i = sources->flag_count; i > 0; i--)
        if (sources->flags[i - 1].setting == setting)
            return sources->flags[i - 1].value;
    char name[MS_SETTING_NAME_MAX];
    ms_setting_variable(setting, name);
    return find_variable(sources->environment, name);
}

static int load(struct ms_config *config, const struct ms_config_sources *sources,
                struct ms_error *err) {
    const char *file = find_file(sources);
    int rc = 0;
    if (file && *file)
        rc = ms_config_read_file(config, sources->vfs, file, err);
    if (rc == 0)
        rc = apply_environment(config, sources->environment, err);
    if (rc == 0)
        rc = apply_flags(config, sources->flags, sources->flag_count, err);
    if (rc == 0)
        rc = ms_config_check(config, err);
    return rc;
}

int ms_config_load(const struct ms_config_sources *sources, struct ms_config *ret_config,
                   struct ms_error *err) {
    struct ms_config config;
    int rc = ms_config_init(&config, err);
    if (rc != 0)
        return rc;
    rc = load(&config, sources, err);
    if (rc != 0)
        ms_config_deinit(&config);
    else
        *ret_config = config;
    return rc;
}

/* ---- reload ---- */

/* Puts the value in force back into `fresh` when it can't change while the server runs. */
static int reload_setting(const struct ms_config *config, struct ms_config *fresh,
                          const struct ms_setting *setting, struct ms_buf texts[2],
                          bool *ret_differs) {
    ms_buf_clear(&texts[0]);
    ms_buf_clear(&texts[1]);
    int rc = ms_config_format(config, setting, &texts[0]);
    if (rc == 0)
        rc = ms_config_format(fresh, setting, &texts[1]);
    if (rc != 0)
        return rc;
    *ret_differs = !ms_bytes_equal(ms_buf_bytes(&texts[0]), ms_buf_bytes(&texts[1]));
    if (!*ret_differs || setting->traits & MS_SETTING_RELOAD)
        return 0;
    return ms_config_set(fresh, setting, ms_buf_bytes(&texts[0]),
                         ms_config_origin_of(config, setting), NULL);
}

int ms_config_reload(struct ms_config *config, struct ms_config *fresh,
                     ms_config_changed_fn *changed, void *context, struct ms_error *err) {
    struct ms_buf texts[2];
    ms_buf_init(&texts[0], MS_CONFIG_FILE_BYTES_MAX);
    ms_buf_init(&texts[1], MS_CONFIG_FILE_BYTES_MAX);
    bool differs[MS_SETTING_COUNT] = {false};
    int rc = 0;
    for (size_t i = 0; i < MS_SETTING_COUNT && rc == 0; i++)
        rc = reload_setting(config, fresh, &ms_settings[i], texts, &differs[i]);
    ms_buf_deinit(&texts[0]);
    ms_buf_deinit(&texts[1]);
    if (rc != 0) {
        ms_config_deinit(fresh);
        return ms_error_set(err, rc, "no memory to compare the settings");
    }
    ms_config_deinit(config);
    *config = *fresh;
    *fresh = (struct ms_config){0};
    for (size_t i = 0; i < MS_SETTING_COUNT; i++)
        if (differs[i])
            changed(context, &ms_settings[i], (ms_settings[i].traits & MS_SETTING_RELOAD) != 0);
    return 0;
}
