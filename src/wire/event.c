/*
 * The event envelope: what may be in it, and how it becomes a record and an event again. event.h
 * has the table.
 *
 * Promises: what ms_event_check lets through is read back the same from the record, up to what the
 * table leaves out. Reading is one pass over the headers and copies nothing.
 *
 * Sans-I/O; any thread.
 */
#include "wire/event.h"

#include "base/time.h"
#include "wire/json.h"

#define PREFIX "ce_"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define FIXED_HEADERS_MAX 12u /* of the table, extensions not counted */
#define VERSION_DIGITS_MAX 9u
#define US_PER_MS 1000
#define US_DIGITS 6u

static const struct ms_bytes JSON_TYPE = {(const uint8_t *)"application/json", 16};
static const struct ms_bytes DEFAULT_SOURCE = {(const uint8_t *)"mainstem", 8};
static const struct ms_bytes SPEC_VERSION = {(const uint8_t *)"1.0", 3};

struct ms_event_limits ms_event_limits_default(void) {
    return (struct ms_event_limits){
        .event_bytes_max = (size_t)16 << 20,
        .append_bytes_max = (size_t)64 << 20,
        .append_events_max = 100000,
        .name_bytes_max = 512,
        .json_depth_max = 64,
    };
}

/* ---- text, eight bytes at a time while it is plain ASCII ---- */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static inline uint64_t load_word(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* None of the eight bytes is above 0x7e or below 0x20. (A borrow can only come out of a byte that
 * is itself wrong.) */
static inline bool is_plain_word(uint64_t word) {
    uint64_t is_delete = (word ^ EACH_BYTE(0x7f)) - EACH_BYTE(1);
    uint64_t is_control = word - EACH_BYTE(0x20);
    return ((word | is_delete | is_control) & EACH_BYTE(0x80)) == 0;
}

static bool is_utf8(struct ms_bytes text) {
    size_t at = 0;
    uint64_t high = 0;
    for (; at + 8 <= text.len; at += 8)
        high |= load_word(text.data + at);
    for (; at < text.len; at++)
        high |= text.data[at];
    return (high & EACH_BYTE(0x80)) == 0 || ms_utf8_valid(text);
}

/* In valid UTF-8: the offset of the first C0 or C1 control, U+007F, U+FFFE or U+FFFF; the length if
 * there is none. */
static size_t find_unprintable(struct ms_bytes text) {
    const uint8_t *data = text.data;
    size_t at = 0;
    while (at < text.len) {
        size_t left = text.len - at;
        if (left >= 8 && is_plain_word(load_word(data + at))) {
            at += 8;
            continue;
        }
        if (data[at] < 0x20 || data[at] == 0x7f)
            break;
        if (data[at] == 0xc2 && data[at + 1] < 0xa0)
            break;
        if (data[at] == 0xef && data[at + 1] == 0xbf && data[at + 2] >= 0xbe)
            break;
        at++;
    }
    return at;
}

/* ---- checking ---- */

static int check_printable(const char *field, struct ms_bytes text, struct ms_error *err) {
    if (!is_utf8(text))
        return ms_error_set(err, MS_EINVAL, "%s is not valid UTF-8", field);
    size_t at = find_unprintable(text);
    if (at < text.len)
        return ms_error_set(err, MS_EINVAL, "%s has a control character at byte %zu", field, at);
    return 0;
}

static int check_name(const char *field, struct ms_bytes text, size_t max, struct ms_error *err) {
    if (text.len == 0)
        return ms_error_set(err, MS_EINVAL, "%s must not be empty", field);
    if (text.len > max)
        return ms_error_set(err, MS_ETOOBIG, "%s is %zu bytes long, the limit is %zu", field,
                            text.len, max);
    return check_printable(field, text, err);
}

static const struct name_field {
    const char *name;
    size_t offset;
} NAME_FIELDS[] = {
    {"event_id", offsetof(struct ms_event, id)},
    {"event_type", offsetof(struct ms_event, type)},
    {"source", offsetof(struct ms_event, source)},
    {"event_version", offsetof(struct ms_event, version)},
    {"content_type", offsetof(struct ms_event, content_type)},
    {"correlation_id", offsetof(struct ms_event, correlation_id)},
    {"causation_id", offsetof(struct ms_event, causation_id)},
    {"traceparent", offsetof(struct ms_event, traceparent)},
    {"timestamp", offsetof(struct ms_event, time_text)},
};

static int check_names(const struct ms_event *event, size_t max, struct ms_error *err) {
    if (event->type.data == NULL)
        return ms_error_set(err, MS_EINVAL, "event_type is missing");
    for (size_t i = 0; i < sizeof NAME_FIELDS / sizeof NAME_FIELDS[0]; i++) {
        struct ms_bytes text;
        memcpy(&text, (const uint8_t *)event + NAME_FIELDS[i].offset, sizeof text);
        int r = text.data ? check_name(NAME_FIELDS[i].name, text, max, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static size_t count_digits(struct ms_bytes text, size_t from) {
    size_t at = from;
    while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at - from;
}

static bool is_version(struct ms_bytes text) {
    size_t major = count_digits(text, 0);
    if (major == 0 || major > VERSION_DIGITS_MAX)
        return false;
    if (major == text.len)
        return true;
    size_t minor = count_digits(text, major + 1);
    return text.data[major] == '.' && minor > 0 && minor <= VERSION_DIGITS_MAX &&
           major + 1 + minor == text.len;
}

static int check_version_and_time(const struct ms_event *event, struct ms_error *err) {
    int64_t us;
    if (event->version.data && !is_version(event->version))
        return ms_error_set(err, MS_EINVAL,
                            "event_version must be an integer or major.minor, like 2 or 2.1");
    if (event->time_text.data && ms_time_parse(event->time_text, &us) < 0)
        return ms_error_set(err, MS_EINVAL,
                            "timestamp must be an RFC 3339 time, like 2026-11-23T10:52:54.123Z");
    return 0;
}

static int check_tags(struct ms_bytes tags, struct ms_error *err) {
    if (tags.data == NULL)
        return 0;
    for (size_t at = 0; at <= tags.len;) {
        const uint8_t *tag = tags.data + at;
        const uint8_t *comma = at < tags.len ? memchr(tag, ',', tags.len - at) : NULL;
        size_t len = comma ? (size_t)(comma - tag) : tags.len - at;
        int r = check_name("a tag", ms_bytes_of(tag, len), MS_EVENT_TAG_MAX, err);
        if (r < 0)
            return r;
        at += len + 1;
    }
    return 0;
}

static bool is_extension_name(struct ms_bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0;
}

/* Names that the envelope, or CloudEvents itself, gives a meaning of their own. */
static bool is_envelope_name(struct ms_bytes name) {
    static const char *const NAMES[] = {
        "id",          "type",         "source",
        "specversion", "time",         "datacontenttype",
        "data",        "eventversion", "correlationid",
        "causationid", "traceparent",  "tags",
        "metadata",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (ms_bytes_equal_cstr(name, NAMES[i]))
            return true;
    return false;
}

static bool has_extension(const struct ms_extension *extensions, size_t count,
                          struct ms_bytes name) {
    for (size_t i = 0; i < count; i++)
        if (ms_bytes_equal(extensions[i].name, name))
            return true;
    return false;
}

static int check_extensions(const struct ms_event *event, struct ms_error *err) {
    if (event->extension_count > MS_EVENT_EXTENSIONS_MAX)
        return ms_error_set(err, MS_ETOOBIG, "%zu extensions, the limit is %u",
                            event->extension_count, MS_EVENT_EXTENSIONS_MAX);
    for (size_t i = 0; i < event->extension_count; i++) {
        struct ms_bytes name = event->extensions[i].name;
        if (name.len > MS_EVENT_EXTENSION_NAME_MAX)
            return ms_error_set(err, MS_ETOOBIG,
                                "an extension's name is %zu bytes long, the limit is %u", name.len,
                                MS_EVENT_EXTENSION_NAME_MAX);
        if (!is_extension_name(name))
            return ms_error_set(err, MS_EINVAL, "an extension's name may have a-z and 0-9 only");
        /* Fits the message: the name is known to be short and plain by now. */
        int len = (int)name.len;
        const char *text = (const char *)name.data;
        if (is_envelope_name(name))
            return ms_error_set(err, MS_EINVAL, "extension %.*s has the name of a field", len,
                                text);
        if (has_extension(event->extensions, i, name))
            return ms_error_set(err, MS_EINVAL, "extension %.*s is there twice", len, text);
        if (check_printable("its value", event->extensions[i].value, err) < 0) {
            ms_error_prefix(err, "extension %.*s", len, text);
            return MS_EINVAL;
        }
    }
    return 0;
}

static size_t event_len(const struct ms_event *event) {
    size_t len = event->metadata.len + event->tags.len;
    if (!event->data_is_null)
        len += event->data.len;
    for (size_t i = 0; i < sizeof NAME_FIELDS / sizeof NAME_FIELDS[0]; i++) {
        struct ms_bytes text;
        memcpy(&text, (const uint8_t *)event + NAME_FIELDS[i].offset, sizeof text);
        len += text.len;
    }
    for (size_t i = 0; i < event->extension_count; i++)
        len += event->extensions[i].name.len + event->extensions[i].value.len;
    return len;
}

static int check_metadata(struct ms_bytes metadata, size_t depth_max, struct ms_error *err) {
    struct ms_json_value value;
    if (metadata.data == NULL)
        return 0;
    if (ms_json_parse(metadata, depth_max, &value, err) < 0) {
        ms_error_prefix(err, "metadata");
        return MS_EINVAL;
    }
    if (value.type != MS_JSON_OBJECT)
        return ms_error_set(err, MS_EINVAL, "metadata must be a JSON object");
    return 0;
}

int ms_event_check(const struct ms_event *event, const struct ms_event_limits *limits,
                   struct ms_error *err) {
    int r = check_names(event, limits->name_bytes_max, err);
    if (r == 0)
        r = check_version_and_time(event, err);
    if (r == 0)
        r = check_extensions(event, err);
    if (r < 0)
        return r;
    size_t len = event_len(event);
    if (len > limits->event_bytes_max)
        return ms_error_set(err, MS_ETOOBIG, "the event is %zu bytes long, the limit is %zu", len,
                            limits->event_bytes_max);
    r = check_tags(event->tags, err);
    return r < 0 ? r : check_metadata(event->metadata, limits->json_depth_max, err);
}

/* ---- writing ---- */

struct header_list {
    size_t count;
    struct ms_record_header_in items[FIXED_HEADERS_MAX + MS_EVENT_EXTENSIONS_MAX];
};

#define ADD_HEADER(list, name, text) add_header(list, MS_BYTES_LITERAL(name), text)
static inline void add_header(struct header_list *list, struct ms_bytes key,
                              struct ms_bytes value) {
    list->items[list->count++] = (struct ms_record_header_in){key, value};
}

/* ms_time_parse rounds to microseconds: says whether it had to. */
static bool has_nanoseconds(struct ms_bytes text) {
    const uint8_t *point = memchr(text.data, '.', text.len);
    if (point == NULL)
        return false;
    size_t from = (size_t)(point - text.data) + 1;
    size_t digits = count_digits(text, from);
    for (size_t i = US_DIGITS; i < digits; i++)
        if (text.data[from + i] != '0')
            return true;
    return false;
}

static bool is_exactly(struct ms_bytes time_text, int64_t timestamp_ms) {
    int64_t us;
    return ms_time_parse(time_text, &us) == 0 && us % US_PER_MS == 0 &&
           us / US_PER_MS == timestamp_ms && !has_nanoseconds(time_text);
}

static void add_fixed_headers(struct header_list *list, const struct ms_event *event) {
    ADD_HEADER(list, "ce_id", event->id);
    ADD_HEADER(list, "ce_type", event->type);
    ADD_HEADER(list, "ce_source", event->source.data ? event->source : DEFAULT_SOURCE);
    ADD_HEADER(list, "ce_specversion", SPEC_VERSION);
    if (event->time_text.data && !is_exactly(event->time_text, event->timestamp_ms))
        ADD_HEADER(list, "ce_time", event->time_text);
    if (!event->data_is_null || event->content_type.data)
        ADD_HEADER(list, "content-type",
                   event->content_type.data ? event->content_type : JSON_TYPE);
    if (event->version.data)
        ADD_HEADER(list, "ce_eventversion", event->version);
    if (event->correlation_id.data && !ms_bytes_equal(event->correlation_id, event->id))
        ADD_HEADER(list, "ce_correlationid", event->correlation_id);
    if (event->causation_id.data)
        ADD_HEADER(list, "ce_causationid", event->causation_id);
    if (event->traceparent.data)
        ADD_HEADER(list, "ce_traceparent", event->traceparent);
    if (event->tags.data)
        ADD_HEADER(list, "ce_tags", event->tags);
    if (event->metadata.data)
        ADD_HEADER(list, "ce_metadata", event->metadata);
}

struct extension_key {
    uint8_t text[PREFIX_LEN + MS_EVENT_EXTENSION_NAME_MAX];
};

static int add_extensions(struct header_list *list, const struct ms_event *event,
                          struct extension_key keys[MS_EVENT_EXTENSIONS_MAX]) {
    if (event->extension_count > MS_EVENT_EXTENSIONS_MAX)
        return MS_EINVAL;
    for (size_t i = 0; i < event->extension_count; i++) {
        struct ms_bytes name = event->extensions[i].name;
        if (name.len > MS_EVENT_EXTENSION_NAME_MAX || !is_extension_name(name) ||
            is_envelope_name(name))
            return MS_EINVAL;
        memcpy(keys[i].text, PREFIX, PREFIX_LEN);
        memcpy(keys[i].text + PREFIX_LEN, name.data, name.len);
        add_header(list, ms_bytes_of(keys[i].text, PREFIX_LEN + name.len),
                   event->extensions[i].value);
    }
    return 0;
}

int ms_event_write_record(struct ms_batch_writer *writer, const struct ms_event *event,
                          const struct ms_bytes *key) {
    MS_ASSERT(event->id.data && event->type.data && event->timestamp_ms != MS_TIMESTAMP_NONE);
    struct header_list list;
    struct extension_key keys[MS_EVENT_EXTENSIONS_MAX];
    list.count = 0;
    add_fixed_headers(&list, event);
    int r = add_extensions(&list, event, keys);
    if (r < 0) {
        ms_batch_abort(writer);
        return r;
    }
    return ms_batch_add(writer, event->timestamp_ms, key, event->data_is_null ? NULL : &event->data,
                        list.items, list.count);
}

/* ---- reading ---- */

#define KEY_IS(key, name) (memcmp((key).data, name, sizeof(name) - 1) == 0)

/* Where the value of a header of the table goes. NULL for any other header. */
static inline struct ms_bytes *find_field(struct ms_event *event, struct ms_bytes key) {
    switch (key.len) {
    case 5:
        return KEY_IS(key, "ce_id") ? &event->id : NULL;
    case 7:
        if (KEY_IS(key, "ce_type"))
            return &event->type;
        if (KEY_IS(key, "ce_time"))
            return &event->time_text;
        return KEY_IS(key, "ce_tags") ? &event->tags : NULL;
    case 9:
        return KEY_IS(key, "ce_source") ? &event->source : NULL;
    case 11:
        return KEY_IS(key, "ce_metadata") ? &event->metadata : NULL;
    case 12:
        return KEY_IS(key, "content-type") ? &event->content_type : NULL;
    case 14:
        if (KEY_IS(key, "ce_causationid"))
            return &event->causation_id;
        return KEY_IS(key, "ce_traceparent") ? &event->traceparent : NULL;
    case 15:
        return KEY_IS(key, "ce_eventversion") ? &event->version : NULL;
    case 16:
        return KEY_IS(key, "ce_correlationid") ? &event->correlation_id : NULL;
    default:
        return NULL;
    }
}

struct extension_list {
    struct ms_extension *items;
    size_t count, capacity;
};

static int keep_extension(struct extension_list *list, size_t headers_left, struct ms_arena *arena,
                          struct ms_extension extension) {
    if (!is_extension_name(extension.name) || is_envelope_name(extension.name) ||
        list->count == MS_EVENT_EXTENSIONS_MAX ||
        has_extension(list->items, list->count, extension.name) || !is_utf8(extension.value))
        return 0;
    if (list->items == NULL) {
        size_t capacity =
            headers_left < MS_EVENT_EXTENSIONS_MAX ? headers_left : MS_EVENT_EXTENSIONS_MAX;
        list->items = ms_arena_alloc(arena, capacity * sizeof *list->items);
        if (list->items == NULL)
            return MS_ENOMEM;
        list->capacity = capacity;
    }
    MS_ASSERT(list->count < list->capacity);
    list->items[list->count++] = extension;
    return 0;
}

static inline int take_header(struct ms_event *event, struct extension_list *extensions,
                              const struct ms_record_header *header, size_t headers_left,
                              struct ms_arena *arena) {
    if (header->value_is_null)
        return 0;
    struct ms_bytes *field = find_field(event, header->key);
    if (field) {
        if (field->data == NULL && header->value.len > 0 && is_utf8(header->value))
            *field = header->value;
        return 0;
    }
    if (header->key.len <= PREFIX_LEN || memcmp(header->key.data, PREFIX, PREFIX_LEN) != 0)
        return 0;
    struct ms_extension extension = {
        {header->key.data + PREFIX_LEN, header->key.len - PREFIX_LEN},
        header->value,
    };
    return keep_extension(extensions, headers_left, arena, extension);
}

int ms_event_read_record(const struct ms_record *record, struct ms_arena *arena,
                         struct ms_event *ret_event) {
    struct ms_event event = {
        .timestamp_ms = record->timestamp_ms,
        .data = record->value,
        .data_is_null = record->value_is_null,
    };
    struct extension_list extensions = {0};
    struct ms_record_header header;
    int32_t seen = 0;
    size_t at = 0;
    int r;
    while ((r = ms_record_next_header(record, &at, &header)) == 1) {
        if (seen == record->header_count)
            return MS_EINVAL;
        size_t headers_left = (size_t)(record->header_count - seen++);
        r = take_header(&event, &extensions, &header, headers_left, arena);
        if (r < 0)
            return r;
    }
    if (r < 0 || seen != record->header_count)
        return MS_EINVAL;
    if (event.id.data && event.content_type.data == NULL)
        event.content_type = JSON_TYPE;
    event.extensions = extensions.items;
    event.extension_count = extensions.count;
    *ret_event = event;
    return 0;
}

struct ms_bytes ms_event_record_id(const struct ms_record *record) {
    struct ms_record_header header;
    size_t at = 0;
    while (ms_record_next_header(record, &at, &header) == 1)
        if (header.key.len == 5 && KEY_IS(header.key, "ce_id") && !header.value_is_null &&
            header.value.len > 0 && is_utf8(header.value))
            return header.value;
    return (struct ms_bytes){0};
}
