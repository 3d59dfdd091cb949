/*
 * The table as data, lookups in it, and what must hold between settings. See config.h.
 */
#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define MS_CONFIG_STRINGS_MAX ((size_t)1 << 20)

const struct ms_setting ms_settings[MS_SETTING_COUNT] = {
#define X(type_, field_, key_, alias_, default_, min_, max_, choices_, traits_, help_)             \
    {.type = MS_SETTING_##type_,                                                                   \
     .traits = (traits_),                                                                          \
     .key = (key_),                                                                                \
     .alias = (alias_),                                                                            \
     .default_text = (default_),                                                                   \
     .choices = (choices_),                                                                        \
     .help = (help_),                                                                              \
     .min = (min_),                                                                                \
     .max = (max_),                                                                                \
     .offset = offsetof(struct ms_config, field_)},
    MS_CONFIG_TABLE(X)
#undef X
};

int ms_config_init(struct ms_config *config, struct ms_error *err) {
    *config = (struct ms_config){0};
    ms_arena_init(&config->arena, MS_CONFIG_STRINGS_MAX);
    struct ms_config_origin origin = {.source = MS_SOURCE_DEFAULT};
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        int rc = ms_config_set(config, &ms_settings[i], ms_bytes_cstr(ms_settings[i].default_text),
                               origin, err);
        if (rc != 0) {
            ms_config_deinit(config);
            return rc;
        }
    }
    return 0;
}

void ms_config_deinit(struct ms_config *config) {
    ms_arena_deinit(&config->arena);
    *config = (struct ms_config){0};
}

struct ms_config_origin ms_config_origin_of(const struct ms_config *config,
                                            const struct ms_setting *setting) {
    return config->origins[setting - ms_settings];
}

/* ---- names ---- */

const struct ms_setting *ms_setting_by_key(struct ms_bytes key) {
    for (size_t i = 0; i < MS_SETTING_COUNT; i++)
        if (ms_bytes_equal_cstr(key, ms_settings[i].key))
            return &ms_settings[i];
    return NULL;
}

const struct ms_setting *ms_setting_by_flag(struct ms_bytes name) {
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char flag[MS_SETTING_NAME_MAX];
        ms_setting_flag(&ms_settings[i], flag);
        bool is_alias = ms_settings[i].alias && ms_bytes_equal_cstr(name, ms_settings[i].alias);
        if (is_alias || ms_bytes_equal_cstr(name, flag + 2))
            return &ms_settings[i];
    }
    return NULL;
}

void ms_setting_flag(const struct ms_setting *setting, char out[MS_SETTING_NAME_MAX]) {
    int len = snprintf(out, MS_SETTING_NAME_MAX, "--%s", setting->key);
    MS_ASSERT(len > 0 && len < MS_SETTING_NAME_MAX);
    for (char *at = out; *at; at++)
        if (*at == '.' || *at == '_')
            *at = '-';
}

void ms_setting_variable(const struct ms_setting *setting, char out[MS_SETTING_NAME_MAX]) {
    int len = snprintf(out, MS_SETTING_NAME_MAX, "MAINSTEM_%s", setting->key);
    MS_ASSERT(len > 0 && len < MS_SETTING_NAME_MAX);
    for (char *at = out; *at; at++)
        *at = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}

/* ---- between settings ---- */

/* By the address' number, so that a name such as 127.example.org does not pass. */
bool ms_address_is_loopback(const char *address) {
    const char *colon = strrchr(address, ':');
    char host[INET6_ADDRSTRLEN + 2] = "";
    size_t len = colon ? (size_t)(colon - address) : 0;
    if (len == 0 || len >= sizeof host)
        return false;
    memcpy(host, address, len);
    struct in_addr v4;
    struct in6_addr v6;
    if (host[0] == '[') {
        host[len - 1] = 0;
        return inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return strcmp(host, "localhost") == 0;
}

static int check_listen(const char *key, const char *address, bool insecure, struct ms_error *err) {
    if (insecure || !*address || ms_address_is_loopback(address))
        return 0;
    return ms_error_set(err, MS_EINVAL,
                        "%s is %s, which other machines can reach, and there is no "
                        "authentication yet: listen on 127.0.0.1, or say --insecure if "
                        "everyone on that network may read and write everything",
                        key, address);
}

int ms_config_check(const struct ms_config *config, struct ms_error *err) {
    if (config->log_segment_bytes % 4096 != 0)
        return ms_error_set(err, MS_EINVAL,
                            "log.segment_bytes must be a multiple of 4096, not %lld",
                            (long long)config->log_segment_bytes);
    if (config->limits_event_bytes_max > config->limits_append_bytes_max)
        return ms_error_set(err, MS_EINVAL,
                            "limits.event_bytes_max (%lld) is larger than limits.append_bytes_max "
                            "(%lld): such an event could never be appended",
                            (long long)config->limits_event_bytes_max,
                            (long long)config->limits_append_bytes_max);
    if (config->limits_append_bytes_max > config->log_inflight_bytes_max)
        return ms_error_set(err, MS_EINVAL,
                            "limits.append_bytes_max (%lld) is larger than log.inflight_bytes_max "
                            "(%lld): such an append could never be accepted",
                            (long long)config->limits_append_bytes_max,
                            (long long)config->log_inflight_bytes_max);
    if (config->data[0] == 0)
        return ms_error_set(err, MS_EINVAL, "data is empty: name a data directory");
    int rc = check_listen("http.listen", config->http_listen, config->insecure, err);
    return rc != 0 ? rc : check_listen("kafka.listen", config->kafka_listen, config->insecure, err);
}
