/*
 * Reading events from JSON: the plain spelling, and what both spellings share. The contract is in
 * event_json.h; CloudEvents' own attributes are in event_cloudevents.c, the writers in
 * event_json_write.c.
 *
 * The text is checked once, as a whole, by ms_json_parse; from then on values are extents. Fields
 * are rows of a table, so the list of known fields exists in one place. data is settled after the
 * last member, because its meaning depends on content_type, which may come later.
 *
 * No state; any thread.
 */
#include "wire/event_fields.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/time.h"
#include "wire/base64.h"

enum { FIELD_SHOWN_MAX = 64 }; /* bytes of a field's name that a message repeats */

/* ---- refusals ---- */

/* A sender's field name as a message may show it: short and on one line. */
static const char *show_field(struct ms_bytes field, char shown[FIELD_SHOWN_MAX + 1]) {
    size_t len = field.len < FIELD_SHOWN_MAX ? field.len : FIELD_SHOWN_MAX;
    for (size_t i = 0; i < len; i++)
        shown[i] = iscntrl(field.data[i]) ? '?' : (char)field.data[i];
    shown[len] = 0;
    return shown;
}

int ms_event_refuse(const struct ms_event_reader *reader, int code, const char *format, ...) {
    if (!reader->err)
        return code; /* finding the line would cost a pass for nobody */
    char message[MS_ERROR_TEXT_MAX], shown[FIELD_SHOWN_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);

    const char *field = show_field(reader->field, shown);
    if (!reader->body.data) {
        const char *prefix = ms_bytes_equal_cstr(reader->field, "content-type") ? "" : "ce-";
        return ms_error_set(reader->err, code, "header '%s%s': %s", prefix, field, message);
    }
    char event[32] = "";
    if (reader->index != SIZE_MAX)
        (void)snprintf(event, sizeof event, "event %zu, ", reader->index);
    unsigned line, column;
    ms_json_place(reader->body, (size_t)(reader->place - reader->body.data), &line, &column);
    return ms_error_set(reader->err, code, "%s%s%s%sline %u, column %u: %s", event,
                        reader->field.data ? "field '" : "", field, reader->field.data ? "', " : "",
                        line, column, message);
}

int ms_event_mark_seen(struct ms_event_reader *reader, size_t row) {
    uint64_t bit = UINT64_C(1) << row;
    if (reader->seen & bit)
        return ms_event_refuse(reader, MS_EINVAL, "the field is given twice");
    reader->seen |= bit;
    return 0;
}

/* ---- fields from text ---- */

int ms_event_set_text(struct ms_event_reader *reader, struct ms_bytes text, struct ms_bytes *to) {
    if (text.len == 0)
        return ms_event_refuse(reader, MS_EINVAL, "the text is empty");
    *to = text;
    return 0;
}

/* True when the text's fraction says more than microseconds can. */
static bool has_nanoseconds(struct ms_bytes text) {
    const uint8_t *dot = memchr(text.data, '.', text.len), *end = text.data + text.len;
    for (const uint8_t *at = dot ? dot + 1 : end; at < end && isdigit(*at); at++) {
        if (at - dot > 6 && *at != '0')
            return true;
    }
    return false;
}

int ms_event_set_time(struct ms_event_reader *reader, struct ms_bytes text, struct ms_bytes *to) {
    int64_t us;
    if (ms_time_parse(text, &us) < 0)
        return ms_event_refuse(reader, MS_EINVAL,
                               "expected an RFC 3339 time such as 2026-11-23T10:52:54.123Z");
    int64_t rest = us % 1000;
    reader->event->timestamp_ms = us / 1000 - (rest < 0);
    if (rest != 0 || has_nanoseconds(text))
        *to = text;
    return 0;
}

static bool is_extension_name(struct ms_bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        if (!(name.data[i] >= 'a' && name.data[i] <= 'z') && !isdigit(name.data[i]))
            return false;
    }
    return name.len > 0 && name.len <= MS_EVENT_EXTENSION_NAME_MAX;
}

int ms_event_add_extension(struct ms_event_reader *reader, struct ms_bytes name,
                           struct ms_bytes value) {
    struct ms_event *event = reader->event;
    if (!is_extension_name(name))
        return ms_event_refuse(reader, MS_EINVAL,
                               "an extension's name has 1 to %u characters a-z and 0-9",
                               MS_EVENT_EXTENSION_NAME_MAX);
    for (size_t i = 0; i < event->extension_count; i++) {
        if (ms_bytes_equal(event->extensions[i].name, name))
            return ms_event_refuse(reader, MS_EINVAL, "the extension is given twice");
    }
    if (event->extension_count >= MS_EVENT_EXTENSIONS_MAX)
        return ms_event_refuse(reader, MS_ETOOBIG, "more than %u extensions",
                               MS_EVENT_EXTENSIONS_MAX);
    /* A new array each time: the old one may be the caller's, and there are few. */
    size_t old_size = event->extension_count * sizeof *event->extensions;
    struct ms_extension *extensions =
        ms_arena_alloc(reader->arena, old_size + sizeof *event->extensions);
    if (!extensions)
        return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
    if (old_size > 0)
        memcpy(extensions, event->extensions, old_size);
    extensions[event->extension_count] = (struct ms_extension){name, value};
    event->extensions = extensions;
    event->extension_count++;
    return 0;
}

/* ---- plain fields from JSON values ---- */

static int read_text(struct ms_event_reader *reader, struct ms_json_value value,
                     struct ms_bytes *ret_text) {
    if (value.type != MS_JSON_STRING)
        return ms_event_refuse(reader, MS_EINVAL, "expected a string");
    if (ms_json_string(value, reader->arena, ret_text) < 0)
        return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
    return 0;
}

static int read_string(struct ms_event_reader *reader, struct ms_json_value value,
                       struct ms_bytes *to) {
    struct ms_bytes text;
    int r = read_text(reader, value, &text);
    return r < 0 ? r : ms_event_set_text(reader, text, to);
}

static int read_time(struct ms_event_reader *reader, struct ms_json_value value,
                     struct ms_bytes *to) {
    struct ms_bytes text;
    int r = read_text(reader, value, &text);
    return r < 0 ? r : ms_event_set_time(reader, text, to);
}

static int read_version(struct ms_event_reader *reader, struct ms_json_value value,
                        struct ms_bytes *to) {
    int64_t number;
    if (value.type != MS_JSON_NUMBER)
        return read_string(reader, value, to);
    if (ms_json_i64(value, &number) < 0)
        return ms_event_refuse(reader, MS_EINVAL,
                               "expected an integer; write \"major.minor\" in quotes");
    return ms_event_set_text(reader, value.text, to);
}

static int read_metadata(struct ms_event_reader *reader, struct ms_json_value value,
                         struct ms_bytes *to) {
    if (value.type != MS_JSON_OBJECT)
        return ms_event_refuse(reader, MS_EINVAL, "expected an object");
    *to = value.text;
    return 0;
}

static int read_tags(struct ms_event_reader *reader, struct ms_json_value value,
                     struct ms_bytes *to) {
    if (value.type != MS_JSON_ARRAY)
        return ms_event_refuse(reader, MS_EINVAL, "expected an array of strings");
    uint8_t *joined = ms_arena_alloc(reader->arena, value.text.len);
    if (!joined)
        return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
    size_t len = 0;
    struct ms_json_value element;
    for (size_t at = 0; ms_json_next_element(value, &at, &element);) {
        reader->place = element.text.data;
        struct ms_bytes tag;
        int r = read_text(reader, element, &tag);
        if (r < 0)
            return r;
        if (tag.len == 0 || memchr(tag.data, ',', tag.len))
            return ms_event_refuse(reader, MS_EINVAL, "a tag is not empty and holds no ','");
        if (len > 0)
            joined[len++] = ',';
        memcpy(joined + len, tag.data, tag.len);
        len += tag.len;
    }
    if (len > 0)
        *to = ms_bytes_of(joined, len);
    return 0;
}

static int read_extensions(struct ms_event_reader *reader, struct ms_json_value value,
                           struct ms_bytes *to) {
    (void)to;
    if (value.type != MS_JSON_OBJECT)
        return ms_event_refuse(reader, MS_EINVAL, "expected an object of strings");
    struct ms_json_value name_value, member;
    for (size_t at = 0; ms_json_next_member(value, &at, &name_value, &member);) {
        struct ms_bytes name, text;
        reader->place = member.text.data;
        int r = read_text(reader, member, &text);
        reader->place = name_value.text.data;
        if (r == 0)
            r = read_text(reader, name_value, &name);
        if (r == 0)
            r = ms_event_add_extension(reader, name, text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_data(struct ms_event_reader *reader, struct ms_json_value value,
                     struct ms_bytes *to) {
    (void)to;
    reader->data = value;
    return 0;
}

static int read_data_base64(struct ms_event_reader *reader, struct ms_json_value value,
                            struct ms_bytes *to) {
    (void)to;
    reader->data_base64 = value;
    return 0;
}

struct field {
    const char *name;
    int (*read)(struct ms_event_reader *reader, struct ms_json_value value, struct ms_bytes *to);
    size_t offset; /* of the member that `to` points at */
    bool null_is_value;
};

#define TO(member) offsetof(struct ms_event, member)
static const struct field fields[] = {
    {"event_type", read_string, TO(type), false},
    {"data", read_data, TO(data), true},
    {"event_id", read_string, TO(id), false},
    {"event_version", read_version, TO(version), false},
    {"timestamp", read_time, TO(time_text), false},
    {"source", read_string, TO(source), false},
    {"correlation_id", read_string, TO(correlation_id), false},
    {"causation_id", read_string, TO(causation_id), false},
    {"traceparent", read_string, TO(traceparent), false},
    {"metadata", read_metadata, TO(metadata), false},
    {"tags", read_tags, TO(tags), false},
    {"content_type", read_string, TO(content_type), false},
    {"data_base64", read_data_base64, TO(data), false},
    {"extensions", read_extensions, TO(extensions), false},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* Fields of events that are read; a writer has no say in them. */
static const char *const server_fields[] = {"stream",  "topic",    "partition",  "offset",
                                            "version", "position", "recorded_at"};

/* ---- unknown fields ---- */

/* True when at most two characters were put in, left out or changed (Levenshtein distance). */
static bool is_close(struct ms_bytes given, const char *known) {
    enum { LEN_MAX = 24 };
    size_t known_len = strlen(known);
    if (given.len > LEN_MAX || known_len > LEN_MAX)
        return false;
    size_t row[LEN_MAX + 1];
    for (size_t i = 0; i <= known_len; i++)
        row[i] = i;
    for (size_t g = 1; g <= given.len; g++) {
        size_t diagonal = row[0];
        row[0] = g;
        for (size_t k = 1; k <= known_len; k++) {
            size_t best = diagonal + (given.data[g - 1] != (uint8_t)known[k - 1]);
            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[known_len] <= 2;
}

static int refuse_unknown(const struct ms_event_reader *reader) {
    for (size_t i = 0; i < sizeof server_fields / sizeof *server_fields; i++) {
        if (ms_bytes_equal_cstr(reader->field, server_fields[i]))
            return ms_event_refuse(reader, MS_EINVAL, "the field is the server's to give");
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (is_close(reader->field, fields[i].name))
            return ms_event_refuse(reader, MS_EINVAL, "unknown field, did you mean '%s'?",
                                   fields[i].name);
    }
    char known[MS_ERROR_TEXT_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < FIELD_COUNT && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "",
                                fields[i].name);
    return ms_event_refuse(reader, MS_EINVAL, "unknown field; known are %s", known);
}

static int read_plain(struct ms_event_reader *reader, struct ms_json_value object) {
    struct ms_json_value name, value;
    for (size_t at = 0; ms_json_next_member(object, &at, &name, &value);) {
        reader->place = name.text.data;
        if (ms_json_string(name, reader->arena, &reader->field) < 0)
            return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
        size_t row = 0;
        while (row < FIELD_COUNT && !ms_bytes_equal_cstr(reader->field, fields[row].name))
            row++;
        if (row == FIELD_COUNT)
            return refuse_unknown(reader);
        int r = ms_event_mark_seen(reader, row);
        if (r < 0)
            return r;
        reader->place = value.text.data;
        if (value.type == MS_JSON_NULL && !fields[row].null_is_value)
            continue;
        struct ms_bytes *to = (void *)((uint8_t *)reader->event + fields[row].offset);
        r = fields[row].read(reader, value, to);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- data ---- */

bool ms_content_type_is_json(struct ms_bytes content_type) {
    const uint8_t *semicolon =
        content_type.len ? memchr(content_type.data, ';', content_type.len) : NULL;
    size_t len = semicolon ? (size_t)(semicolon - content_type.data) : content_type.len;
    const char *text = (const char *)content_type.data;
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    for (; len > 0 && (*text == ' ' || *text == '\t'); len--)
        text++;
    static const char application[] = "application/json", plain[] = "text/json", suffix[] = "+json";
    if (len == sizeof application - 1 && strncasecmp(text, application, len) == 0)
        return true;
    if (len == sizeof plain - 1 && strncasecmp(text, plain, len) == 0)
        return true;
    size_t suffix_len = sizeof suffix - 1;
    return len > suffix_len && strncasecmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

static int settle_base64(struct ms_event_reader *reader, bool is_json) {
    struct ms_event *event = reader->event;
    struct ms_bytes text;
    int r = read_text(reader, reader->data_base64, &text);
    if (r < 0)
        return r;
    r = ms_base64_decode(text, reader->arena, &event->data);
    if (r == MS_EINVAL)
        return ms_event_refuse(reader, r, "expected base64 with padding and without white space");
    if (r < 0)
        return ms_event_refuse(reader, r, "out of memory");
    event->data_is_null = false;

    struct ms_json_value ignored;
    if (!is_json || ms_json_parse(event->data, reader->limits->json_depth_max, &ignored, NULL) == 0)
        return 0;
    if (event->content_type.data)
        return ms_event_refuse(reader, MS_EINVAL, "the content type is JSON but the data is not");
    event->content_type = MS_BYTES_LITERAL("application/octet-stream");
    return 0;
}

/* Decides what the event's data is, now that all fields are known. */
static int settle_data(struct ms_event_reader *reader) {
    struct ms_event *event = reader->event;
    bool is_json = !event->content_type.data || ms_content_type_is_json(event->content_type);
    if (reader->data_base64.text.data) {
        reader->field = MS_BYTES_LITERAL("data_base64");
        reader->place = reader->data_base64.text.data;
        if (reader->data.text.data)
            return ms_event_refuse(reader, MS_EINVAL, "data and data_base64 exclude each other");
        return settle_base64(reader, is_json);
    }
    if (!reader->data.text.data)
        return 0;
    if (!is_json && reader->data.type == MS_JSON_NULL)
        return 0;
    event->data_is_null = false;
    if (is_json) {
        event->data = reader->data.text;
        return 0;
    }
    reader->field = MS_BYTES_LITERAL("data");
    reader->place = reader->data.text.data;
    if (reader->data.type != MS_JSON_STRING)
        return ms_event_refuse(
            reader, MS_EINVAL,
            "the content type is not JSON: give a string, or data_base64 instead of data");
    return read_text(reader, reader->data, &event->data);
}

/* ---- events ---- */

static int read_event(struct ms_event_reader *reader, enum ms_event_format format,
                      struct ms_json_value object) {
    *reader->event = (struct ms_event){.timestamp_ms = MS_TIMESTAMP_NONE, .data_is_null = true};
    reader->field = (struct ms_bytes){0};
    reader->place = object.text.data;
    reader->seen = 0;
    reader->data = reader->data_base64 = (struct ms_json_value){0};
    if (object.type != MS_JSON_OBJECT)
        return ms_event_refuse(reader, MS_EINVAL, "expected an event, which is an object");
    int r = format == MS_FORMAT_JSON ? read_plain(reader, object)
                                     : ms_event_read_cloudevent(reader, object);
    if (r == 0)
        r = settle_data(reader);
    if (r < 0)
        return r;

    struct ms_error why = {0};
    r = ms_event_check(reader->event, reader->limits, &why);
    if (r < 0) {
        reader->field = (struct ms_bytes){0};
        reader->place = object.text.data;
        return ms_event_refuse(reader, r, "%s", why.message);
    }
    return 0;
}

/* The number of events, counted no further than one past the limit. */
static size_t count_events(struct ms_json_value list, size_t max) {
    size_t count = 0;
    struct ms_json_value element;
    for (size_t at = 0; count <= max && ms_json_next_element(list, &at, &element);)
        count++;
    return count;
}

static size_t event_bytes(const struct ms_event *event) {
    size_t total = event->data.len + event->metadata.len + event->tags.len + event->id.len +
                   event->type.len + event->source.len + event->version.len +
                   event->content_type.len + event->correlation_id.len + event->causation_id.len +
                   event->traceparent.len + event->time_text.len;
    for (size_t i = 0; i < event->extension_count; i++)
        total += event->extensions[i].name.len + event->extensions[i].value.len;
    return total;
}

static int read_list(struct ms_event_reader *reader, enum ms_event_format format,
                     struct ms_json_value list, struct ms_event *events) {
    size_t total = 0, at = 0;
    struct ms_json_value element = list;
    for (reader->index = 0; list.type != MS_JSON_ARRAY ? reader->index == 0
                                                       : ms_json_next_element(list, &at, &element);
         reader->index++) {
        reader->event = &events[reader->index];
        int r = read_event(reader, format, element);
        if (r < 0)
            return r;
        total += event_bytes(reader->event);
        if (total > reader->limits->append_bytes_max)
            return ms_event_refuse(reader, MS_ETOOBIG, "the events have more than %zu bytes",
                                   reader->limits->append_bytes_max);
    }
    return 0;
}

int ms_events_parse(enum ms_event_format format, struct ms_bytes body,
                    const struct ms_event_limits *limits, struct ms_arena *arena,
                    struct ms_event **ret_events, size_t *ret_count, struct ms_error *err) {
    struct ms_json_value root;
    int r = ms_json_parse(body, limits->json_depth_max, &root, err);
    if (r < 0)
        return r;
    size_t count = root.type == MS_JSON_ARRAY ? count_events(root, limits->append_events_max) : 1;
    if (count > limits->append_events_max)
        return ms_error_set(err, MS_ETOOBIG, "more than %zu events", limits->append_events_max);
    struct ms_event *events = NULL;
    if (count > 0) {
        events = ms_arena_alloc(arena, count * sizeof *events);
        if (!events)
            return ms_error_set(err, MS_ENOMEM, "out of memory for %zu events", count);
    }
    struct ms_event_reader reader = {.arena = arena, .err = err, .limits = limits, .body = body};
    r = read_list(&reader, format, root, events);
    if (r < 0)
        return r;
    *ret_events = events;
    *ret_count = count;
    return 0;
}

int ms_event_parse_value(enum ms_event_format format, struct ms_json_value object,
                         const struct ms_event_limits *limits, struct ms_arena *arena,
                         struct ms_event *ret_event, struct ms_error *err) {
    struct ms_event event;
    struct ms_event_reader reader = {.event = &event,
                                     .arena = arena,
                                     .err = err,
                                     .limits = limits,
                                     .body = object.text,
                                     .index = SIZE_MAX};
    int r = read_event(&reader, format, object);
    if (r == 0)
        *ret_event = event;
    return r;
}
