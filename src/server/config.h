/*
 * The configuration: values of the settings in config_table.h, and where each came from.
 *
 * A flag beats the environment, which beats the file, which beats the default. An unknown key, a
 * value that does not parse, and a value outside its limits are errors that name the place: flag,
 * variable, or file and line.
 *
 *   type      spelling                                     field
 *   BOOL      true false yes no on off 1 0                 bool
 *   INT       decimal                                      int64_t
 *   SIZE      4096, 64KiB, 16MiB, 1GiB (10MB is decimal)   int64_t, bytes
 *   DURATION  250ms, 30s, 5m, 1h, 7d                       int64_t, milliseconds
 *   STRING    any                                          const char *
 *   ADDRESS   host:port or [v6]:port; empty where that    const char *
 *             is the default
 *   ENUM      one of the choices                           int, its place among the choices
 *   LIST      comma separated; a sequence in YAML          const char *, comma separated
 *
 *   config.c         table, defaults, lookup, setting a value, checks between settings
 *   config_value.c   text to value and back
 *   config_file.c    YAML
 *   config_load.c    the order of sources; what a reload changes
 *   config_print.c   `config print`, help, and the reference page
 *
 * One thread per struct; functions without a struct from any thread.
 */
#pragma once

#include "base/arena.h"
#include "server/config_table.h"

enum ms_setting_type {
    MS_SETTING_BOOL,
    MS_SETTING_INT,
    MS_SETTING_SIZE,
    MS_SETTING_DURATION,
    MS_SETTING_STRING,
    MS_SETTING_ADDRESS,
    MS_SETTING_ENUM,
    MS_SETTING_LIST
};

enum {
    MS_SETTING_RELOAD = 1,
    MS_SETTING_NOT_IN_FILE = 2,
    MS_SETTING_SECRET = 4,
};

enum ms_config_source { MS_SOURCE_DEFAULT, MS_SOURCE_FILE, MS_SOURCE_ENVIRONMENT, MS_SOURCE_FLAG };
struct ms_config_origin {
    enum ms_config_source source;
    unsigned line; /* in the file */
};

#define MS_CONFIG_FIELD_BOOL bool
#define MS_CONFIG_FIELD_INT int64_t
#define MS_CONFIG_FIELD_SIZE int64_t
#define MS_CONFIG_FIELD_DURATION int64_t
#define MS_CONFIG_FIELD_STRING const char *
#define MS_CONFIG_FIELD_ADDRESS const char *
#define MS_CONFIG_FIELD_ENUM int
#define MS_CONFIG_FIELD_LIST const char *

enum ms_setting_index {
#define X(type, field, ...) MS_SETTING_AT_##field,
    MS_CONFIG_TABLE(X)
#undef X
        MS_SETTING_COUNT
};

struct ms_config {
#define X(type, field, ...) MS_CONFIG_FIELD_##type field;
    MS_CONFIG_TABLE(X)
#undef X
    struct ms_config_origin origins[MS_SETTING_COUNT];
    struct ms_arena arena; /* of the strings */
};

struct ms_setting {
    enum ms_setting_type type;
    unsigned traits;
    const char *key, *alias, *default_text, *choices, *help;
    int64_t min, max;
    size_t offset; /* of its field */
};
extern const struct ms_setting ms_settings[MS_SETTING_COUNT];

/* All defaults. MS_ENOMEM. */
int ms_config_init(struct ms_config *config, struct ms_error *err) MS_MUST_CHECK;
void ms_config_deinit(struct ms_config *config); /* takes a zeroed struct */

/* NULL when there is none. The flag is given without its dashes. */
const struct ms_setting *ms_setting_by_key(struct ms_bytes key);
const struct ms_setting *ms_setting_by_flag(struct ms_bytes name);

#define MS_SETTING_NAME_MAX 64
/* "--log-segment-bytes" and "MAINSTEM_LOG_SEGMENT_BYTES". */
void ms_setting_flag(const struct ms_setting *setting, char out[MS_SETTING_NAME_MAX]);
void ms_setting_variable(const struct ms_setting *setting, char out[MS_SETTING_NAME_MAX]);

/* Parses text and sets the value. MS_EINVAL says what was expected, and the limits; MS_ENOMEM. */
int ms_config_set(struct ms_config *config, const struct ms_setting *setting, struct ms_bytes text,
                  struct ms_config_origin origin, struct ms_error *err) MS_MUST_CHECK;
/* Appends the value as text that ms_config_set reads back. */
int ms_config_format(const struct ms_config *config, const struct ms_setting *setting,
                     struct ms_buf *out) MS_MUST_CHECK;
struct ms_config_origin ms_config_origin_of(const struct ms_config *config,
                                            const struct ms_setting *setting);

/* What can't be said of one setting alone: sizes that contradict each other, listening beyond
 * loopback without `insecure`. MS_EINVAL. */
int ms_config_check(const struct ms_config *config, struct ms_error *err) MS_MUST_CHECK;
/* 127.0.0.0/8, ::1 and localhost. */
bool ms_address_is_loopback(const char *address);

/* ---- sources ---- */

struct ms_config_flag {
    const struct ms_setting *setting;
    const char *value;
};
struct ms_vfs;
struct ms_config_sources {
    struct ms_vfs *vfs;             /* to read the file */
    const char *const *environment; /* "NAME=value", ends with NULL; NULL = none */
    const struct ms_config_flag *flags;
    size_t flag_count;
};

/* Defaults, then the file named by --config or MAINSTEM_CONFIG, then the environment, then the
 * flags, then ms_config_check. On failure *ret_config is untouched. MS_EINVAL, MS_ENOTFOUND (the
 * file), MS_ETOOBIG, MS_ENOMEM, MS_EIO. */
int ms_config_load(const struct ms_config_sources *sources, struct ms_config *ret_config,
                   struct ms_error *err) MS_MUST_CHECK;

#define MS_CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)
/* Sets what a YAML file says; errors begin with "path:line: ". */
int ms_config_read_file(struct ms_config *config, struct ms_vfs *vfs, const char *path,
                        struct ms_error *err) MS_MUST_CHECK;
/* The same from memory; `name` stands for the path. */
int ms_config_read_yaml(struct ms_config *config, const char *name, struct ms_bytes text,
                        struct ms_error *err) MS_MUST_CHECK;

/* Takes `fresh` over into `config`, except the settings that can't change while the server runs,
 * which stay as they are; then calls `changed` for each setting that differed. `fresh` is consumed
 * in any case; on failure `config` is as before. MS_ENOMEM. */
typedef void ms_config_changed_fn(void *context, const struct ms_setting *setting, bool applied);
int ms_config_reload(struct ms_config *config, struct ms_config *fresh,
                     ms_config_changed_fn *changed, void *context, struct ms_error *err)
    MS_MUST_CHECK;

/* ---- output ---- */

/* Every setting with its effective value and its source: YAML with comments, or one JSON object. */
int ms_config_print(const struct ms_config *config, bool json, struct ms_buf *out) MS_MUST_CHECK;
/* docs/reference/configuration.md */
int ms_config_reference(struct ms_buf *out) MS_MUST_CHECK;
/* "64MiB", "30s" and the like for a number of this setting; plain digits for other types. */
int ms_setting_format_number(const struct ms_setting *setting, int64_t value, struct ms_buf *out)
    MS_MUST_CHECK;
/* What follows the flag in help: "SIZE", "commit|os", "FILE"; NULL for a bool. */
int ms_setting_format_argument(const struct ms_setting *setting, struct ms_buf *out) MS_MUST_CHECK;
const char *ms_setting_type_name(enum ms_setting_type type);
