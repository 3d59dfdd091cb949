/*
 * Reads messages by their tables: see codec.h. Nothing that a peer sends makes it read outside the
 * bytes or allocate what the bytes could not fill: a length is compared with what is left before it
 * is used, a count with what is left divided by the fewest bytes an element takes. How deep it goes
 * is given by the tables.
 *
 * Lengths: int16 before strings, int32 before bytes, records and arrays, -1 = null; in flexible
 * versions an unsigned varint of length + 1, 0 = null. A flexible struct ends with its tagged
 * fields: count, then { tag, size, value }, all unsigned varints.
 */
#include "base/endian.h"
#include "base/varint.h"
#include "wire/kafka/table.h"

struct reader {
    const uint8_t *at, *end;
    const uint8_t *start;
    const struct ms_kafka_message *message; /* the outermost */
    struct ms_arena *arena;
    struct ms_error *err;
    int16_t version;
    bool is_flexible;
};

static int fail(const struct reader *r, const char *field, int code, const char *what) {
    return ms_error_set(r->err, code, "%s version %d: %s at byte %zu: %s", r->message->name,
                        r->version, field, (size_t)(r->at - r->start), what);
}
static int truncated(const struct reader *r, const char *field) {
    return fail(r, field, MS_EINVAL, "the message ends within it");
}

static size_t bytes_left(const struct reader *r) { return (size_t)(r->end - r->at); }

/* A varint of at most 32 bits. */
static int read_uvarint(struct reader *r, const char *field, uint32_t *ret_value) {
    if (MS_LIKELY(r->at < r->end && *r->at < 0x80)) {
        *ret_value = *r->at++;
        return 0;
    }
    uint64_t value = 0;
    int n = ms_uvarint_get(r->at, bytes_left(r), &value);
    if (n == 0 && bytes_left(r) < MS_VARINT32_MAX_BYTES)
        return truncated(r, field);
    if (n <= 0 || n > MS_VARINT32_MAX_BYTES || value > UINT32_MAX)
        return fail(r, field, MS_EINVAL, "a varint is too long");
    r->at += n;
    *ret_value = (uint32_t)value;
    return 0;
}

/* A length or count of `width` bytes in classic versions; -1 = null, which is checked here. */
static int read_length(struct reader *r, const struct ms_kafka_field *field, size_t width,
                       int64_t *ret_length) {
    int64_t length;
    if (r->is_flexible) {
        uint32_t value;
        int code = read_uvarint(r, field->name, &value);
        if (code < 0)
            return code;
        length = (int64_t)value - 1;
    } else {
        if (bytes_left(r) < width)
            return truncated(r, field->name);
        length = width == 2 ? (int16_t)ms_get_be16(r->at) : (int32_t)ms_get_be32(r->at);
        r->at += width;
    }
    if (length < -1)
        return fail(r, field->name, MS_EINVAL, "its length is negative");
    if (length == -1 && !ms_kafka_has_version(field->nullable, r->version))
        return fail(r, field->name, MS_EINVAL, "it is null and may not be");
    *ret_length = length;
    return 0;
}

static int read_bytes(struct reader *r, const struct ms_kafka_field *field, size_t width,
                      struct ms_bytes *ret_bytes) {
    int64_t length;
    int code = read_length(r, field, width, &length);
    if (code < 0)
        return code;
    if (length == -1) {
        *ret_bytes = (struct ms_bytes){NULL, 0};
        return 0;
    }
    if ((size_t)length > bytes_left(r))
        return truncated(r, field->name);
    if (field->type == MS_KAFKA_STRING && length > MS_KAFKA_STRING_MAX)
        return fail(r, field->name, MS_EINVAL, "a string longer than 32767 bytes");
    *ret_bytes = ms_bytes_of(r->at, (size_t)length);
    r->at += length;
    return 0;
}

static int read_records(struct reader *r, const struct ms_kafka_field *field,
                        struct ms_kafka_records *ret_records) {
    struct ms_bytes bytes;
    int code = read_bytes(r, field, 4, &bytes);
    if (code == 0)
        *ret_records = (struct ms_kafka_records){.bytes = bytes};
    return code;
}

static void store_fixed(enum ms_kafka_type type, const uint8_t *at, void *place) {
    bool is_set = *at != 0;
    uint16_t half;
    uint32_t word;
    uint64_t wide;
    switch (type) {
    case MS_KAFKA_BOOL:
        memcpy(place, &is_set, sizeof is_set);
        break;
    case MS_KAFKA_INT8:
        memcpy(place, at, 1);
        break;
    case MS_KAFKA_INT16:
        half = ms_get_be16(at);
        memcpy(place, &half, sizeof half);
        break;
    case MS_KAFKA_INT32:
        word = ms_get_be32(at);
        memcpy(place, &word, sizeof word);
        break;
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
        wide = ms_get_be64(at);
        memcpy(place, &wide, sizeof wide);
        break;
    case MS_KAFKA_UUID:
        memcpy(place, at, sizeof(struct ms_uuid));
        break;
    case MS_KAFKA_STRING:
    case MS_KAFKA_BYTES:
    case MS_KAFKA_RECORDS:
    case MS_KAFKA_STRUCT:
        MS_ASSERT(type <= MS_KAFKA_UUID); /* of fixed size */
    }
}

static int read_struct(struct reader *r, const struct ms_kafka_message *message, void *ret_struct);

/* A value that is no array. What has a fixed size has it in memory too. */
static int read_value(struct reader *r, const struct ms_kafka_field *field, void *place) {
    switch (field->type) {
    case MS_KAFKA_STRING:
        return read_bytes(r, field, 2, place);
    case MS_KAFKA_BYTES:
        return read_bytes(r, field, 4, place);
    case MS_KAFKA_RECORDS:
        return read_records(r, field, place);
    case MS_KAFKA_STRUCT:
        return read_struct(r, field->of, place);
    case MS_KAFKA_BOOL:
    case MS_KAFKA_INT8:
    case MS_KAFKA_INT16:
    case MS_KAFKA_INT32:
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
    case MS_KAFKA_UUID:
        break;
    }
    size_t size = ms_kafka_size_of(field);
    if (bytes_left(r) < size)
        return truncated(r, field->name);
    store_fixed(field->type, r->at, place);
    r->at += size;
    return 0;
}

/* The fewest bytes an element of the array takes. */
static size_t element_wire_min(const struct reader *r, const struct ms_kafka_field *field) {
    switch (field->type) {
    case MS_KAFKA_STRING:
        return r->is_flexible ? 1 : 2;
    case MS_KAFKA_BYTES:
    case MS_KAFKA_RECORDS:
        return r->is_flexible ? 1 : 4;
    case MS_KAFKA_STRUCT:
        return field->of->wire_min;
    case MS_KAFKA_BOOL:
    case MS_KAFKA_INT8:
    case MS_KAFKA_INT16:
    case MS_KAFKA_INT32:
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
    case MS_KAFKA_UUID:
        break;
    }
    return ms_kafka_size_of(field);
}

/* Elements are never null, whatever the array is. */
static int read_elements(struct reader *r, const struct ms_kafka_field *field, size_t count,
                         uint8_t *elements) {
    struct ms_kafka_field element = *field;
    size_t size = ms_kafka_size_of(field);
    element.nullable = (struct ms_kafka_versions){1, 0};
    for (size_t i = 0; i < count; i++) {
        int code = read_value(r, &element, elements + i * size);
        if (code < 0)
            return code;
    }
    return 0;
}

static int read_array(struct reader *r, const struct ms_kafka_field *field, uint8_t *base) {
    int64_t count;
    int code = read_length(r, field, 4, &count);
    if (code < 0)
        return code;
    uint8_t *elements = NULL;
    if (count > 0) {
        if ((size_t)count > bytes_left(r) / element_wire_min(r, field) || count > INT32_MAX)
            return fail(r, field->name, MS_EINVAL, "more elements than there are bytes for");
        elements = ms_arena_alloc(r->arena, (size_t)count * ms_kafka_size_of(field));
        if (!elements)
            return fail(r, field->name, MS_ENOMEM, "no memory for so many elements");
        code = read_elements(r, field, (size_t)count, elements);
        if (code < 0)
            return code;
    }
    int32_t narrow = (int32_t)count;
    memcpy(base + field->offset, &elements, sizeof elements);
    memcpy(base + field->count_offset, &narrow, sizeof narrow);
    return 0;
}

/* A struct that may be null: a byte, -1 = null, before it. */
static int read_pointer(struct reader *r, const struct ms_kafka_field *field, uint8_t *base) {
    void *value = NULL;
    if (ms_kafka_has_version(field->nullable, r->version)) {
        if (r->at == r->end)
            return truncated(r, field->name);
        bool is_null = (int8_t)*r->at++ < 0;
        if (is_null) {
            memcpy(base + field->offset, &value, sizeof value);
            return 0;
        }
    }
    value = ms_arena_alloc(r->arena, field->of->size);
    if (!value)
        return fail(r, field->name, MS_ENOMEM, "no memory for it");
    memcpy(base + field->offset, &value, sizeof value);
    return read_struct(r, field->of, value);
}

static int read_field(struct reader *r, const struct ms_kafka_field *field, uint8_t *base) {
    if (field->is_array)
        return read_array(r, field, base);
    if (ms_kafka_is_pointer(field))
        return read_pointer(r, field, base);
    return read_value(r, field, base + field->offset);
}

static const struct ms_kafka_field *find_tagged(const struct reader *r,
                                                const struct ms_kafka_message *message,
                                                uint32_t tag) {
    for (size_t i = message->tagged_at; i < message->field_count; i++)
        if ((uint32_t)message->fields[i].tag == tag &&
            ms_kafka_has_version(message->fields[i].present, r->version))
            return &message->fields[i];
    return NULL;
}

/* The value fills its size exactly. */
static int read_tagged(struct reader *r, const struct ms_kafka_field *field, uint32_t size,
                       uint8_t *base) {
    const uint8_t *end = r->end;
    r->end = r->at + size;
    int code = read_field(r, field, base);
    if (code == 0 && r->at != r->end)
        code = fail(r, field->name, MS_EINVAL, "a tagged field is longer than its value");
    r->end = end;
    return code;
}

/* Tags ought to ascend; it is enough that none that is known comes twice. */
static int read_tags(struct reader *r, const struct ms_kafka_message *message, uint8_t *base) {
    static const char *const WHERE = "tagged fields";
    uint32_t count, seen = 0;
    int code = read_uvarint(r, WHERE, &count);
    for (; code == 0 && count > 0; count--) {
        uint32_t tag, size;
        code = read_uvarint(r, WHERE, &tag);
        if (code == 0)
            code = read_uvarint(r, WHERE, &size);
        if (code < 0)
            return code;
        if (size > bytes_left(r))
            return truncated(r, WHERE);
        const struct ms_kafka_field *field = find_tagged(r, message, tag);
        if (!field) {
            r->at += size;
            continue;
        }
        if (seen & UINT32_C(1) << tag)
            return fail(r, field->name, MS_EINVAL, "the same tag twice");
        seen |= UINT32_C(1) << tag;
        code = read_tagged(r, field, size, base);
    }
    return code;
}

static int read_struct(struct reader *r, const struct ms_kafka_message *message, void *ret_struct) {
    memcpy(ret_struct, message->defaults, message->size);
    for (size_t i = 0; i < message->tagged_at; i++) {
        const struct ms_kafka_field *field = &message->fields[i];
        if (!ms_kafka_has_version(field->present, r->version))
            continue;
        int code = read_field(r, field, ret_struct);
        if (code < 0)
            return code;
    }
    return r->is_flexible ? read_tags(r, message, ret_struct) : 0;
}

int ms_kafka_decode(const struct ms_kafka_message *message, int16_t version, struct ms_bytes bytes,
                    struct ms_arena *arena, void **ret_struct, struct ms_error *err) {
    if (!ms_kafka_has_version(message->versions, version))
        return ms_error_set(err, MS_EUNSUPPORTED, "%s: version %d is not spoken", message->name,
                            version);
    if (!bytes.data)
        bytes = MS_BYTES_LITERAL("");
    struct reader r = {
        .at = bytes.data,
        .end = bytes.data + bytes.len,
        .start = bytes.data,
        .message = message,
        .arena = arena,
        .err = err,
        .version = version,
        .is_flexible = version >= message->flexible,
    };
    void *value = ms_arena_alloc(arena, message->size);
    if (!value)
        return fail(&r, "the message", MS_ENOMEM, "no memory for it");
    int code = read_struct(&r, message, value);
    if (code < 0)
        return code;
    *ret_struct = value;
    return 0;
}
