/* One line of an import; see import.h. */
#include "base/hash.h"
#include "base/uuid.h"
#include "cli/import.h"
#include "wire/event_json.h"

/* Fields that events are read with, and that a writer has no say in. */
static const char *const DROPPED[] = {"stream",  "topic",    "partition",  "offset",
                                      "version", "position", "recorded_at"};

static bool is_named(struct ms_json_value name, const char *wanted) {
    struct ms_bytes plain = ms_bytes_of(name.text.data + 1, name.text.len - 2);
    return ms_bytes_equal_cstr(plain, wanted);
}

static bool is_dropped(struct ms_json_value name) {
    for (size_t i = 0; i < sizeof DROPPED / sizeof DROPPED[0]; i++)
        if (is_named(name, DROPPED[i]))
            return true;
    return false;
}

/* The same line at the same place of a file has the same id: a UUID of version 8. */
static int append_made_id(struct ms_buf *out, struct ms_bytes line, uint64_t number) {
    char number_text[24];
    snprintf(number_text, sizeof number_text, "%llu", (unsigned long long)number);
    struct ms_hash128 hash = ms_hash128_pair(line, ms_bytes_cstr(number_text), 0);
    struct ms_uuid uuid;
    memcpy(uuid.bytes, hash.bytes, sizeof uuid.bytes);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x80);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    char text[MS_UUID_TEXT_LEN + 1];
    ms_uuid_format(&uuid, text);
    return ms_buf_printf(out, "%s\"event_id\":\"%s\"", out->data[out->len - 1] == '{' ? "" : ",",
                         text);
}

static int append_field(struct ms_buf *out, struct ms_json_value name, struct ms_json_value value) {
    int rc = out->data[out->len - 1] == '{' ? 0 : ms_buf_append_u8(out, ',');
    if (rc == 0)
        rc = ms_buf_append_bytes(out, name.text);
    if (rc == 0)
        rc = ms_buf_append_u8(out, ':');
    return rc == 0 ? ms_buf_append_bytes(out, value.text) : rc;
}

static int append_event(struct ms_buf *out, struct ms_json_value object, struct ms_bytes line,
                        uint64_t number) {
    struct ms_json_value name, value;
    bool has_id = false;
    int rc = ms_buf_append_u8(out, '{');
    for (size_t at = 0; rc == 0 && ms_json_next_member(object, &at, &name, &value);) {
        if (is_dropped(name))
            continue;
        has_id |= is_named(name, "event_id") && value.type != MS_JSON_NULL;
        if (!is_named(name, "event_id") || value.type != MS_JSON_NULL)
            rc = append_field(out, name, value);
    }
    if (rc == 0 && !has_id)
        rc = append_made_id(out, line, number);
    return rc == 0 ? ms_buf_append_u8(out, '}') : rc;
}

static int find_stream(struct ms_json_value object, struct ms_arena *arena,
                       struct ms_bytes *ret_stream, struct ms_error *err) {
    struct ms_json_value stream;
    if (!ms_json_get(object, "stream", &stream))
        return ms_error_set(err, MS_EINVAL, "the field stream is missing");
    if (stream.type != MS_JSON_STRING || stream.text.len == 2)
        return ms_error_set(err, MS_EINVAL, "the field stream must be a stream's name");
    int rc = ms_json_string(stream, arena, ret_stream);
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for the stream's name");
}

int ms_import_line(struct ms_bytes line, uint64_t number, const struct ms_event_limits *limits,
                   struct ms_arena *arena, struct ms_buf *event, struct ms_bytes *ret_stream,
                   struct ms_error *err) {
    struct ms_json_value object;
    size_t start = event->len;
    int rc = ms_json_parse(line, limits->json_depth_max, &object, err);
    if (rc != 0)
        return rc;
    if (object.type != MS_JSON_OBJECT)
        return ms_error_set(err, MS_EINVAL, "a JSON object was expected");
    struct ms_bytes stream;
    rc = find_stream(object, arena, &stream, err);
    if (rc != 0)
        return rc;
    rc = append_event(event, object, line, number);
    if (rc != 0)
        return ms_error_set(err, rc, "the event is too large");
    struct ms_json_value checked;
    struct ms_event parsed;
    rc = ms_json_parse(ms_bytes_of(event->data + start, event->len - start), limits->json_depth_max,
                       &checked, err);
    if (rc == 0)
        rc = ms_event_parse_value(MS_FORMAT_JSON, checked, limits, arena, &parsed, err);
    if (rc == 0)
        *ret_stream = stream;
    else
        event->len = start;
    return rc;
}
