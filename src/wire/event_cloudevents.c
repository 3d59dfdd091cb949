/*
 * Reading CloudEvents 1.0: attributes from JSON (structured and batch mode) and from HTTP headers
 * (binary mode). The contract is in event_json.h, what is shared with the plain spelling in
 * event_json.c.
 *
 *   attribute (JSON name; header "ce-" + name)   goes to
 *   specversion                                  nothing, must be "1.0"
 *   id type source time                          the envelope's fields
 *   datacontenttype (header: content-type)       content_type
 *   eventversion correlationid causationid
 *   traceparent tags metadata                    the envelope's fields of like names
 *   subject dataschema, any other name           extension
 *   data, data_base64 (JSON only)                data
 *
 * Specifications: CloudEvents 1.0.2, JSON event format 1.0.2, HTTP protocol binding 1.0.2
 * sections 3.1.3.1 and 3.1.3.2. No state; any thread.
 */
#include "wire/event_fields.h"
#include "wire/http1.h"

static int set_specversion(struct ms_event_reader *reader, struct ms_bytes text,
                           struct ms_bytes *to) {
    (void)to;
    if (!ms_bytes_equal_cstr(text, "1.0"))
        return ms_event_refuse(reader, MS_EINVAL, "expected \"1.0\"");
    return 0;
}

static int set_extension(struct ms_event_reader *reader, struct ms_bytes text,
                         struct ms_bytes *to) {
    (void)to;
    return ms_event_add_extension(reader, reader->field, text);
}

struct attribute {
    const char *name;
    int (*set)(struct ms_event_reader *reader, struct ms_bytes text, struct ms_bytes *to);
    size_t offset; /* of the member that `to` points at */
    bool is_core;  /* defined by the specification itself: always a string in JSON */
    bool is_free;  /* kept as an extension */
    bool has_no_ce_header;
};

#define TO(member) offsetof(struct ms_event, member)
static const struct attribute attributes[] = {
    {"id", ms_event_set_text, TO(id), true, false, false},
    {"type", ms_event_set_text, TO(type), true, false, false},
    {"source", ms_event_set_text, TO(source), true, false, false},
    {"specversion", set_specversion, TO(data), true, false, false},
    {"time", ms_event_set_time, TO(time_text), true, false, false},
    {"datacontenttype", ms_event_set_text, TO(content_type), true, false, true},
    {"subject", set_extension, TO(extensions), true, true, false},
    {"dataschema", set_extension, TO(extensions), true, true, false},
    {"eventversion", ms_event_set_text, TO(version), false, false, false},
    {"correlationid", ms_event_set_text, TO(correlation_id), false, false, false},
    {"causationid", ms_event_set_text, TO(causation_id), false, false, false},
    {"traceparent", ms_event_set_text, TO(traceparent), false, false, false},
    {"tags", ms_event_set_text, TO(tags), false, false, false},
    {"metadata", ms_event_set_text, TO(metadata), false, false, false},
};
enum { ATTRIBUTE_COUNT = sizeof attributes / sizeof *attributes, ROW_SPECVERSION = 3 };
_Static_assert(ATTRIBUTE_COUNT + 2 <= 64, "one bit each in ms_event_reader.seen");

/* Rows behind the table's, for ms_event_mark_seen. */
enum { ROW_DATA = ATTRIBUTE_COUNT, ROW_DATA_BASE64 };

/* The row of that name, ATTRIBUTE_COUNT when there is none. */
static size_t find_attribute(struct ms_bytes name) {
    size_t row = 0;
    while (row < ATTRIBUTE_COUNT && !ms_bytes_equal_cstr(name, attributes[row].name))
        row++;
    return row;
}

static int set_attribute(struct ms_event_reader *reader, size_t row, struct ms_bytes text) {
    if (row >= ATTRIBUTE_COUNT)
        return ms_event_add_extension(reader, reader->field, text);
    struct ms_bytes *to = (void *)((uint8_t *)reader->event + attributes[row].offset);
    return attributes[row].set(reader, text, to);
}

/* ---- JSON ---- */

/* The canonical text of an attribute's value: strings, and for extensions integers and booleans. */
static int value_text(struct ms_event_reader *reader, struct ms_json_value value, bool is_core,
                      struct ms_bytes *ret_text) {
    int64_t number;
    bool is_scalar = value.type == MS_JSON_TRUE || value.type == MS_JSON_FALSE ||
                     (value.type == MS_JSON_NUMBER && ms_json_i64(value, &number) == 0);
    if (value.type != MS_JSON_STRING && (is_core || !is_scalar))
        return ms_event_refuse(reader, MS_EINVAL, "expected a string%s",
                               is_core ? "" : ", an integer or a boolean");
    if (value.type != MS_JSON_STRING) {
        *ret_text = value.text;
        return 0;
    }
    if (ms_json_string(value, reader->arena, ret_text) < 0)
        return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
    return 0;
}

static int read_member(struct ms_event_reader *reader, struct ms_json_value value) {
    bool is_data = ms_bytes_equal_cstr(reader->field, "data");
    bool is_base64 = ms_bytes_equal_cstr(reader->field, "data_base64");
    size_t row = is_data     ? (size_t)ROW_DATA
                 : is_base64 ? (size_t)ROW_DATA_BASE64
                             : find_attribute(reader->field);
    if (is_data || is_base64 || row < ATTRIBUTE_COUNT) {
        int r = ms_event_mark_seen(reader, row);
        if (r < 0)
            return r;
    }
    reader->place = value.text.data;
    if (is_data)
        reader->data = value;
    if (is_data || value.type == MS_JSON_NULL)
        return 0;
    if (is_base64) {
        reader->data_base64 = value;
        return 0;
    }
    struct ms_bytes text;
    int r = value_text(reader, value, row < ATTRIBUTE_COUNT && attributes[row].is_core, &text);
    return r < 0 ? r : set_attribute(reader, row, text);
}

int ms_event_read_cloudevent(struct ms_event_reader *reader, struct ms_json_value object) {
    struct ms_json_value name, value;
    bool has_specversion = false;
    for (size_t at = 0; ms_json_next_member(object, &at, &name, &value);) {
        reader->place = name.text.data;
        if (ms_json_string(name, reader->arena, &reader->field) < 0)
            return ms_event_refuse(reader, MS_ENOMEM, "out of memory");
        int r = read_member(reader, value);
        if (r < 0)
            return r;
        has_specversion |= value.type == MS_JSON_STRING &&
                           ms_bytes_equal_cstr(reader->field, attributes[ROW_SPECVERSION].name);
    }
    if (has_specversion && reader->event->type.data)
        return 0;
    reader->field = ms_bytes_cstr(has_specversion ? "type" : "specversion");
    reader->place = object.text.data;
    return ms_event_refuse(reader, MS_EINVAL, "the attribute is missing");
}

/* ---- HTTP headers ---- */

/* A quoted value without its quotes and backslashes (RFC 9110, quoted-string). */
static int unquote(struct ms_bytes value, struct ms_arena *arena, struct ms_bytes *ret_text) {
    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"') {
        *ret_text = value;
        return 0;
    }
    uint8_t *text = ms_arena_alloc(arena, value.len);
    if (!text)
        return MS_ENOMEM;
    size_t len = 0, end = value.len - 1;
    for (size_t i = 1; i < end; i++) {
        if (value.data[i] == '\\' && ++i == end)
            return MS_EINVAL;
        text[len++] = value.data[i];
    }
    *ret_text = ms_bytes_of(text, len);
    return 0;
}

static int decode_header(struct ms_event_reader *reader, struct ms_bytes value,
                         struct ms_bytes *ret_text) {
    struct ms_bytes unquoted, text;
    int r = unquote(value, reader->arena, &unquoted);
    if (r == 0)
        r = ms_percent_decode(unquoted, reader->arena, &text);
    if (r == MS_ENOMEM)
        return ms_event_refuse(reader, r, "out of memory");
    if (r < 0 || !ms_utf8_valid(text))
        return ms_event_refuse(reader, MS_EINVAL, "the value is not percent-encoded UTF-8");
    *ret_text = text;
    return 0;
}

/* Whether an earlier header has set the row's member; between headers there is no list of rows. */
static bool is_set(const struct ms_event *event, size_t row) {
    if (row >= ATTRIBUTE_COUNT || attributes[row].is_free || row == ROW_SPECVERSION)
        return false;
    if (attributes[row].set == ms_event_set_time)
        return event->timestamp_ms != MS_TIMESTAMP_NONE;
    const struct ms_bytes *member = (const void *)((const uint8_t *)event + attributes[row].offset);
    return member->data != NULL;
}

int ms_event_parse_binary_header(struct ms_event *event, struct ms_bytes name,
                                 struct ms_bytes value, struct ms_arena *arena,
                                 struct ms_error *err) {
    static const struct ms_bytes prefix = {(const uint8_t *)"ce-", 3};
    struct ms_event_reader reader = {.event = event, .arena = arena, .err = err, .field = name};
    if (ms_bytes_equal_cstr(name, "content-type")) {
        if (event->content_type.data)
            return ms_event_refuse(&reader, MS_EINVAL, "the header is given twice");
        return ms_event_set_text(&reader, value, &event->content_type);
    }
    if (!ms_bytes_starts_with(name, prefix))
        return 0;
    struct ms_bytes attribute = ms_bytes_of(name.data + prefix.len, name.len - prefix.len);
    size_t row = find_attribute(attribute);
    reader.field = attribute;
    if (ms_bytes_equal_cstr(attribute, "data") ||
        (row < ATTRIBUTE_COUNT && attributes[row].has_no_ce_header))
        return ms_event_refuse(&reader, MS_EINVAL, "binary mode has no such header");
    if (is_set(event, row))
        return ms_event_refuse(&reader, MS_EINVAL, "the header is given twice");
    struct ms_bytes text;
    int r = decode_header(&reader, value, &text);
    return r < 0 ? r : set_attribute(&reader, row, text);
}
