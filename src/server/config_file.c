/*
 * The configuration file: YAML, read by libyaml's document loader, so that every node has its line.
 *
 * Keys may be nested or dotted, in any mixture: `log: {write: direct}` is `log.write: direct`.
 * Unknown keys, keys given twice, keys without a value and values of the wrong shape are errors.
 * Errors begin with "file:line: ". One thread per configuration.
 */
#include <stdio.h>
#include <yaml.h>

#include "base/suggest.h"
#include "os/vfs.h"
#include "server/config.h"

#define KEY_MAX 128
#define NESTING_MAX 8 /* also ends documents whose anchors contain themselves */

struct reader {
    struct ms_config *config;
    const char *name;
    yaml_document_t document;
    unsigned lines[MS_SETTING_COUNT]; /* where each setting was given; 0 = not yet */
};

static unsigned line_of(const yaml_node_t *node) { return (unsigned)node->start_mark.line + 1; }

static struct ms_bytes scalar_text(const yaml_node_t *node) {
    return ms_bytes_of(node->data.scalar.value, node->data.scalar.length);
}

static void place_error(const struct reader *reader, const yaml_node_t *node,
                        struct ms_error *err) {
    ms_error_prefix(err, "%s:%u", reader->name, line_of(node));
}

static int unknown_key(const char *key, struct ms_error *err) {
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, ms_bytes_cstr(key));
    for (size_t i = 0; i < MS_SETTING_COUNT; i++)
        if (!(ms_settings[i].traits & MS_SETTING_NOT_IN_FILE))
            ms_suggest_offer(&suggestion, ms_settings[i].key);
    if (suggestion.best)
        return ms_error_set(err, MS_EINVAL, "unknown setting %s; did you mean %s?", key,
                            suggestion.best);
    return ms_error_set(err, MS_EINVAL, "unknown setting %s", key);
}

/* A sequence of scalars becomes the comma separated text that a flag would have. */
static int join_sequence(struct reader *reader, const yaml_node_t *sequence, struct ms_buf *out,
                         struct ms_error *err) {
    const yaml_node_item_t *item = sequence->data.sequence.items.start;
    for (; item < sequence->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(&reader->document, *item);
        if (node->type != YAML_SCALAR_NODE)
            return ms_error_set(err, MS_EINVAL, "the list must hold plain values");
        struct ms_bytes text = scalar_text(node);
        if (text.len == 0 || memchr(text.data, ',', text.len))
            return ms_error_set(err, MS_EINVAL,
                                "a value of the list must not be empty or contain a comma");
        int rc = out->len ? ms_buf_append_u8(out, ',') : 0;
        if (rc == 0)
            rc = ms_buf_append_bytes(out, text);
        if (rc != 0)
            return ms_error_set(err, rc, "the list is too long");
    }
    return 0;
}

static int set_scalar(struct reader *reader, const struct ms_setting *setting,
                      const yaml_node_t *value, struct ms_error *err) {
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct ms_bytes text = scalar_text(value);
    if (plain && (text.len == 0 || ms_bytes_equal_cstr(text, "~")))
        return ms_error_set(err, MS_EINVAL, "has no value");
    struct ms_config_origin origin = {.source = MS_SOURCE_FILE, .line = line_of(value)};
    return ms_config_set(reader->config, setting, text, origin, err);
}

static int set_list(struct reader *reader, const struct ms_setting *setting,
                    const yaml_node_t *value, struct ms_error *err) {
    if (setting->type != MS_SETTING_LIST)
        return ms_error_set(err, MS_EINVAL, "must be one value, not a list");
    struct ms_buf text;
    ms_buf_init(&text, MS_CONFIG_FILE_BYTES_MAX);
    int rc = join_sequence(reader, value, &text, err);
    struct ms_config_origin origin = {.source = MS_SOURCE_FILE, .line = line_of(value)};
    if (rc == 0)
        rc = ms_config_set(reader->config, setting, ms_buf_bytes(&text), origin, err);
    ms_buf_deinit(&text);
    return rc;
}

static int set_value(struct reader *reader, const struct ms_setting *setting,
                     const yaml_node_t *value, struct ms_error *err) {
    if (value->type == YAML_SCALAR_NODE)
        return set_scalar(reader, setting, value, err);
    if (value->type == YAML_SEQUENCE_NODE)
        return set_list(reader, setting, value, err);
    return ms_error_set(err, MS_EINVAL, "must be a value, not a group of settings");
}

static bool is_group(const char *key) {
    size_t len = strlen(key);
    for (size_t i = 0; i < MS_SETTING_COUNT; i++)
        if (strncmp(ms_settings[i].key, key, len) == 0 && ms_settings[i].key[len] == '.')
            return true;
    return false;
}

static int read_mapping(struct reader *reader, const yaml_node_t *mapping, const char *prefix,
                        int depth, struct ms_error *err);

static int read_setting(struct reader *reader, const char *key, const yaml_node_t *key_node,
                        const yaml_node_t *value, struct ms_error *err) {
    const struct ms_setting *setting = ms_setting_by_key(ms_bytes_cstr(key));
    int rc;
    if (!setting)
        rc = unknown_key(key, err);
    else if (setting->traits & MS_SETTING_NOT_IN_FILE)
        rc = ms_error_set(err, MS_EINVAL, "%s can't be set in a file", key);
    else if (reader->lines[setting - ms_settings])
        rc = ms_error_set(err, MS_EINVAL, "%s was set in line %u already", key,
                          reader->lines[setting - ms_settings]);
    else if ((rc = set_value(reader, setting, value, err)) != 0)
        ms_error_prefix(err, "%s", key);
    if (rc != 0) {
        place_error(reader, key_node, err);
        return rc;
    }
    reader->lines[setting - ms_settings] = line_of(key_node);
    return 0;
}

static int read_member(struct reader *reader, const yaml_node_t *key_node, const yaml_node_t *value,
                       const char *prefix, int depth, struct ms_error *err) {
    char key[KEY_MAX];
    int len = -1;
    if (key_node->type == YAML_SCALAR_NODE)
        len = snprintf(
            key, sizeof key, "%s%s%.*s", prefix, *prefix ? "." : "",
            (int)(key_node->data.scalar.length < KEY_MAX ? key_node->data.scalar.length : KEY_MAX),
            (const char *)key_node->data.scalar.value);
    if (len <= 0 || len >= KEY_MAX) {
        ms_error_set(err, MS_EINVAL, "a setting's name was expected");
        place_error(reader, key_node, err);
        return MS_EINVAL;
    }
    if (value->type == YAML_MAPPING_NODE && is_group(key))
        return read_mapping(reader, value, key, depth + 1, err);
    return read_setting(reader, key, key_node, value, err);
}

static int read_mapping(struct reader *reader, const yaml_node_t *mapping, const char *prefix,
                        int depth, struct ms_error *err) {
    if (depth > NESTING_MAX) {
        ms_error_set(err, MS_EINVAL, "settings are nested too deeply");
        place_error(reader, mapping, err);
        return MS_EINVAL;
    }
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
        int rc = read_member(reader, key, value, prefix, depth, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_document(struct reader *reader, struct ms_error *err) {
    const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    if (!root)
        return 0;
    bool empty = root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0;
    if (empty)
        return 0;
    if (root->type != YAML_MAPPING_NODE) {
        ms_error_set(err, MS_EINVAL, "settings as `key: value` were expected");
        place_error(reader, root, err);
        return MS_EINVAL;
    }
    return read_mapping(reader, root, "", 0, err);
}

int ms_config_read_yaml(struct ms_config *config, const char *name, struct ms_bytes text,
                        struct ms_error *err) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return ms_error_set(err, MS_ENOMEM, "no memory to read %s", name);
    yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *)"", text.len);
    struct reader reader = {.config = config, .name = name};
    int rc;
    if (yaml_parser_load(&parser, &reader.document)) {
        rc = read_document(&reader, err);
        yaml_document_delete(&reader.document);
    } else {
        unsigned line = (unsigned)parser.problem_mark.line + 1;
        rc = ms_error_set(err, parser.error == YAML_MEMORY_ERROR ? MS_ENOMEM : MS_EINVAL,
                          "%s:%u: %s", name, line,
                          parser.problem ? parser.problem : "not a YAML document");
    }
    yaml_parser_delete(&parser);
    return rc;
}

int ms_config_read_file(struct ms_config *config, struct ms_vfs *vfs, const char *path,
                        struct ms_error *err) {
    struct ms_buf text;
    ms_buf_init(&text, MS_CONFIG_FILE_BYTES_MAX);
    int rc = ms_vfs_read_file(vfs, path, &text, err);
    if (rc != 0)
        ms_error_prefix(err, "the configuration file can't be read");
    else
        rc = ms_config_read_yaml(config, path, ms_buf_bytes(&text), err);
    ms_buf_deinit(&text);
    return rc;
}
