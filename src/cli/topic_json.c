/*
 * Topics of an embedded store as the JSON documents that the HTTP face answers with. One thread.
 */
#include <stdio.h>

#include "base/time.h"
#include "cli/target_store.h"
#include "wire/compress.h"
#include "wire/json.h"

#define SETTINGS_DEPTH_MAX 4

static const char *truth(bool value) { return value ? "true" : "false"; }

static int write_bound(struct ms_buf *out, const char *name, int64_t bound) {
    if (bound < 0)
        return ms_buf_printf(out, ",\"%s\":null", name);
    return ms_buf_printf(out, ",\"%s\":%lld", name, (long long)bound);
}

static int write_of_batches(struct ms_buf *out, const struct ms_topic_settings *settings) {
    int64_t lag_max_ms = settings->compaction_lag_max_ms;
    int rc = ms_buf_printf(out,
                           ",\"recompress\":%s,\"message_bytes_max\":%u,\"log_append_time\":%s,"
                           "\"retention_ignored\":%s,\"compaction_lag_ms\":%lld",
                           truth(settings->recompress), (unsigned)settings->message_bytes_max,
                           truth(settings->log_append_time), truth(settings->retention_ignored),
                           (long long)settings->compaction_lag_ms);
    if (rc == 0)
        rc = write_bound(out, "compaction_lag_max_ms", lag_max_ms > 0 ? lag_max_ms : -1);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"delete_retention_ms\":%lld",
                           (long long)settings->delete_retention_ms);
    return rc;
}

static int write_settings(struct ms_buf *out, const struct ms_topic_settings *settings) {
    bool both = settings->require_source && settings->require_correlation_id;
    int rc = ms_buf_printf(out, ",\"partitions\":%u,\"streams\":%s", settings->partitions,
                           truth(settings->streams));
    if (rc == 0)
        rc = write_bound(out, "retention_ms", settings->retention_ms);
    if (rc == 0)
        rc = write_bound(out, "retention_bytes", settings->retention_bytes);
    if (rc == 0)
        rc = write_bound(out, "retention_count", settings->retention_count);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"compact\":%s,\"compression\":\"%s\",\"require\":[%s%s%s]",
                           truth(settings->compact), ms_codec_name(settings->compression),
                           settings->require_source ? "\"source\"" : "", both ? "," : "",
                           settings->require_correlation_id ? "\"correlation_id\"" : "");
    return rc == 0 ? write_of_batches(out, settings) : rc;
}

int ms_topic_write_json(struct ms_buf *out, const struct ms_topic_info *topic) {
    char id[MS_UUID_TEXT_LEN + 1], created[MS_TIME_TEXT_MAX];
    ms_uuid_format(&topic->id, id);
    ms_time_format_ms(topic->created_at_ms, created);
    int rc = ms_buf_append_cstr(out, "{\"name\":");
    if (rc == 0)
        rc = ms_json_write_string(out, topic->name);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"id\":\"%s\"", id);
    if (rc == 0)
        rc = write_settings(out, &topic->settings);
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"system\":%s,\"events\":%llu,\"created_at\":\"%s\"",
                           truth(topic->system), (unsigned long long)topic->events, created);
    if (rc == 0 && topic->streams_prepared == 0)
        return ms_buf_append_cstr(out, ",\"streams_prepared\":null}");
    if (rc == 0)
        rc = ms_buf_printf(out, ",\"streams_prepared\":{\"position\":%llu,\"end\":%llu}}",
                           (unsigned long long)topic->streams_prepared,
                           (unsigned long long)topic->end);
    return rc;
}

/* ---- settings ---- */

static int read_bool(struct ms_json_value value, bool *ret_value) {
    if (value.type != MS_JSON_TRUE && value.type != MS_JSON_FALSE)
        return MS_EINVAL;
    *ret_value = value.type == MS_JSON_TRUE;
    return 0;
}

static int read_number(struct ms_json_value value, int64_t *ret_value) {
    return value.type == MS_JSON_NUMBER ? ms_json_i64(value, ret_value) : MS_EINVAL;
}

/* null: no bound. */
static int read_bound(struct ms_json_value value, int64_t *ret_value) {
    int64_t bound = -1;
    if (value.type != MS_JSON_NULL && (read_number(value, &bound) != 0 || bound < 0))
        return MS_EINVAL;
    *ret_value = bound;
    return 0;
}

static int read_partitions(struct ms_json_value value, struct ms_topic_settings *settings) {
    int64_t partitions;
    int rc = read_number(value, &partitions);
    if (rc != 0 || partitions < 1 || partitions > UINT16_MAX)
        return MS_EINVAL;
    settings->partitions = (uint16_t)partitions;
    return 0;
}
static int read_streams(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bool(value, &settings->streams);
}
static int read_retention(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bound(value, &settings->retention_ms);
}
static int read_retention_bytes(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bound(value, &settings->retention_bytes);
}
static int read_retention_count(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bound(value, &settings->retention_count);
}
static int read_compact(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bool(value, &settings->compact);
}
static int read_compression(struct ms_json_value value, struct ms_topic_settings *settings) {
    if (value.type != MS_JSON_STRING || value.text.len < 2)
        return MS_EINVAL;
    return ms_codec_parse(ms_bytes_of(value.text.data + 1, value.text.len - 2),
                          &settings->compression);
}
static int read_require(struct ms_json_value value, struct ms_topic_settings *settings) {
    struct ms_json_value name;
    if (value.type != MS_JSON_ARRAY)
        return MS_EINVAL;
    settings->require_source = settings->require_correlation_id = false;
    for (size_t at = 0; ms_json_next_element(value, &at, &name);) {
        if (ms_bytes_equal_cstr(name.text, "\"source\""))
            settings->require_source = true;
        else if (ms_bytes_equal_cstr(name.text, "\"correlation_id\""))
            settings->require_correlation_id = true;
        else
            return MS_EINVAL;
    }
    return 0;
}

static int read_milliseconds(struct ms_json_value value, int64_t *ret_ms) {
    int64_t ms;
    if (read_number(value, &ms) != 0 || ms < 0)
        return MS_EINVAL;
    *ret_ms = ms;
    return 0;
}
static int read_recompress(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bool(value, &settings->recompress);
}
static int read_message_bytes(struct ms_json_value value, struct ms_topic_settings *settings) {
    int64_t bytes;
    if (read_number(value, &bytes) != 0 || bytes < MS_BATCH_HEADER_LEN || bytes > INT32_MAX)
        return MS_EINVAL;
    settings->message_bytes_max = (uint32_t)bytes;
    return 0;
}
static int read_log_append_time(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bool(value, &settings->log_append_time);
}
static int read_retention_ignored(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_bool(value, &settings->retention_ignored);
}
static int read_lag(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_milliseconds(value, &settings->compaction_lag_ms);
}
static int read_lag_max(struct ms_json_value value, struct ms_topic_settings *settings) {
    int64_t lag_ms;
    if (read_bound(value, &lag_ms) != 0 || lag_ms == 0)
        return MS_EINVAL;
    settings->compaction_lag_max_ms = lag_ms > 0 ? lag_ms : 0;
    return 0;
}
static int read_delete_retention(struct ms_json_value value, struct ms_topic_settings *settings) {
    return read_milliseconds(value, &settings->delete_retention_ms);
}

static const struct {
    const char *name;
    int (*read)(struct ms_json_value value, struct ms_topic_settings *settings);
} FIELDS[] = {
    {"partitions", read_partitions},
    {"streams", read_streams},
    {"retention_ms", read_retention},
    {"retention_bytes", read_retention_bytes},
    {"retention_count", read_retention_count},
    {"compact", read_compact},
    {"compression", read_compression},
    {"require", read_require},
    {"recompress", read_recompress},
    {"message_bytes_max", read_message_bytes},
    {"log_append_time", read_log_append_time},
    {"retention_ignored", read_retention_ignored},
    {"compaction_lag_ms", read_lag},
    {"compaction_lag_max_ms", read_lag_max},
    {"delete_retention_ms", read_delete_retention},
};

static int read_field(struct ms_json_value name, struct ms_json_value value,
                      struct ms_topic_settings *settings, struct ms_error *err) {
    struct ms_bytes plain = ms_bytes_of(name.text.data + 1, name.text.len - 2);
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (!ms_bytes_equal_cstr(plain, FIELDS[i].name))
            continue;
        if (FIELDS[i].read(value, settings) == 0)
            return 0;
        return ms_error_set(err, MS_EINVAL, "topic setting %s has a bad value", FIELDS[i].name);
    }
    return ms_error_set(err, MS_EINVAL, "unknown topic setting %.*s", (int)plain.len,
                        (const char *)plain.data);
}

int ms_topic_read_settings(struct ms_bytes json, struct ms_topic_settings *settings,
                           bool *ret_force, struct ms_error *err) {
    struct ms_json_value object, name, value;
    int rc = ms_json_parse(json, SETTINGS_DEPTH_MAX, &object, err);
    if (rc == 0 && object.type != MS_JSON_OBJECT)
        rc = ms_error_set(err, MS_EINVAL, "topic settings must be a JSON object");
    *ret_force = false;
    for (size_t at = 0; rc == 0 && ms_json_next_member(object, &at, &name, &value);) {
        if (ms_bytes_equal_cstr(name.text, "\"force\""))
            *ret_force = value.type == MS_JSON_TRUE;
        else
            rc = read_field(name, value, settings, err);
    }
    return rc;
}
