/*
 * Writes messages by their tables: see codec.h, and decode.c for the forms of lengths. Slices of
 * records are not copied: their length goes to the buffer, a cut names their place.
 */
#include "base/endian.h"
#include "base/varint.h"
#include "wire/kafka/table.h"

#define CUTS_FIRST ((size_t)16)

struct writer {
    struct ms_kafka_output *output;
    struct ms_buf *head; /* of the output */
    const struct ms_kafka_message *message;
    struct ms_error *err;
    int16_t version;
    bool is_flexible;
};

static int fail(const struct writer *w, const char *field, int code, const char *what) {
    return ms_error_set(w->err, code, "%s version %d: %s: %s", w->message->name, w->version, field,
                        what);
}

static int put_uvarint(struct writer *w, uint64_t value) {
    uint8_t bytes[MS_VARINT64_MAX_BYTES];
    return ms_buf_append(w->head, bytes, ms_uvarint_put(bytes, value));
}

/* -1 = null. */
static int put_length(struct writer *w, size_t width, int64_t length) {
    uint8_t bytes[4];
    if (w->is_flexible)
        return put_uvarint(w, (uint64_t)(length + 1));
    if (width == 2)
        ms_put_be16(bytes, (uint16_t)length);
    else
        ms_put_be32(bytes, (uint32_t)length);
    return ms_buf_append(w->head, bytes, width);
}

static int put_null(struct writer *w, const struct ms_kafka_field *field, size_t width) {
    if (!ms_kafka_has_version(field->nullable, w->version))
        return fail(w, field->name, MS_EINVAL, "it is null and may not be in this version");
    return put_length(w, width, -1);
}

/* Where null can't be, no data is an empty string: a struct of zeroes can be sent. */
static int put_bytes(struct writer *w, const struct ms_kafka_field *field, size_t width,
                     struct ms_bytes bytes) {
    if (!bytes.data && ms_kafka_has_version(field->nullable, w->version))
        return put_length(w, width, -1);
    if (bytes.len > (field->type == MS_KAFKA_STRING ? MS_KAFKA_STRING_MAX : INT32_MAX))
        return fail(w, field->name, MS_EINVAL, "it is longer than its length can say");
    int code = put_length(w, width, (int64_t)bytes.len);
    return code < 0 ? code : ms_buf_append_bytes(w->head, bytes);
}

static int add_cut(struct writer *w, const struct ms_kafka_records *records) {
    struct ms_kafka_output *output = w->output;
    if (output->cut_count == output->cut_capacity) {
        size_t capacity = output->cut_capacity ? 2 * output->cut_capacity : CUTS_FIRST;
        struct ms_kafka_cut *cuts = ms_arena_alloc(output->arena, capacity * sizeof *cuts);
        if (!cuts)
            return MS_ENOMEM;
        if (output->cut_count > 0)
            memcpy(cuts, output->cuts, output->cut_count * sizeof *cuts);
        output->cuts = cuts;
        output->cut_capacity = capacity;
    }
    output->cuts[output->cut_count++] = (struct ms_kafka_cut){w->head->len, records};
    output->slice_bytes += records->slice_bytes;
    return 0;
}

static int put_records(struct writer *w, const struct ms_kafka_field *field,
                       const struct ms_kafka_records *records) {
    if (!records->slices)
        return put_bytes(w, field, 4, records->bytes);
    size_t sum = 0;
    for (size_t i = 0; i < records->slice_count; i++)
        sum += records->slices[i].bytes.len;
    MS_ASSERT(sum == records->slice_bytes);
    if (sum > INT32_MAX)
        return fail(w, field->name, MS_EINVAL, "it is longer than its length can say");
    int code = put_length(w, 4, (int64_t)sum);
    return code < 0 || sum == 0 ? code : add_cut(w, records);
}

static void load_fixed(enum ms_kafka_type type, const void *place, uint8_t *at) {
    bool is_set;
    uint16_t half;
    uint32_t word;
    uint64_t wide;
    switch (type) {
    case MS_KAFKA_BOOL:
        memcpy(&is_set, place, sizeof is_set);
        *at = is_set;
        break;
    case MS_KAFKA_INT8:
        memcpy(at, place, 1);
        break;
    case MS_KAFKA_INT16:
        memcpy(&half, place, sizeof half);
        ms_put_be16(at, half);
        break;
    case MS_KAFKA_INT32:
        memcpy(&word, place, sizeof word);
        ms_put_be32(at, word);
        break;
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
        memcpy(&wide, place, sizeof wide);
        ms_put_be64(at, wide);
        break;
    case MS_KAFKA_UUID:
        memcpy(at, place, sizeof(struct ms_uuid));
        break;
    case MS_KAFKA_STRING:
    case MS_KAFKA_BYTES:
    case MS_KAFKA_RECORDS:
    case MS_KAFKA_STRUCT:
        MS_ASSERT(type <= MS_KAFKA_UUID); /* of fixed size */
    }
}

static int put_struct(struct writer *w, const struct ms_kafka_message *message, const void *value);

static int put_value(struct writer *w, const struct ms_kafka_field *field, const void *place) {
    switch (field->type) {
    case MS_KAFKA_STRING:
        return put_bytes(w, field, 2, *(const struct ms_bytes *)place);
    case MS_KAFKA_BYTES:
        return put_bytes(w, field, 4, *(const struct ms_bytes *)place);
    case MS_KAFKA_RECORDS:
        return put_records(w, field, place);
    case MS_KAFKA_STRUCT:
        return put_struct(w, field->of, place);
    case MS_KAFKA_BOOL:
    case MS_KAFKA_INT8:
    case MS_KAFKA_INT16:
    case MS_KAFKA_INT32:
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
    case MS_KAFKA_UUID:
        break;
    }
    uint8_t *at;
    int code = ms_buf_extend(w->head, ms_kafka_size_of(field), &at);
    if (code == 0)
        load_fixed(field->type, place, at);
    return code;
}

static int put_array(struct writer *w, const struct ms_kafka_field *field, const uint8_t *base) {
    const uint8_t *elements;
    int32_t count;
    memcpy(&elements, base + field->offset, sizeof elements);
    memcpy(&count, base + field->count_offset, sizeof count);
    MS_ASSERT(count >= -1 && (elements || count <= 0));
    if (count == -1)
        return put_null(w, field, 4);
    struct ms_kafka_field element = *field;
    size_t size = ms_kafka_size_of(field);
    element.nullable = (struct ms_kafka_versions){1, 0};
    int code = put_length(w, 4, count);
    for (int32_t i = 0; i < count && code == 0; i++)
        code = put_value(w, &element, elements + (size_t)i * size);
    return code;
}

static int put_pointer(struct writer *w, const struct ms_kafka_field *field, const uint8_t *base) {
    const void *value;
    memcpy(&value, base + field->offset, sizeof value);
    if (ms_kafka_has_version(field->nullable, w->version)) {
        int code = ms_buf_append_u8(w->head, value ? 1 : 0xff);
        if (code < 0 || !value)
            return code;
    } else if (!value) {
        value = field->of->defaults;
    }
    return put_struct(w, field->of, value);
}

static int put_field(struct writer *w, const struct ms_kafka_field *field, const uint8_t *base) {
    if (field->is_array)
        return put_array(w, field, base);
    if (ms_kafka_is_pointer(field))
        return put_pointer(w, field, base);
    return put_value(w, field, base + field->offset);
}

/* ---- tagged fields: those that are not as by default ---- */

static bool is_default(const struct writer *w, const struct ms_kafka_message *message,
                       const struct ms_kafka_field *field, const uint8_t *base) {
    const uint8_t *place = base + field->offset;
    const uint8_t *wanted = (const uint8_t *)message->defaults + field->offset;
    const void *pointer;
    if (field->is_array)
        return memcmp(base + field->count_offset,
                      (const uint8_t *)message->defaults + field->count_offset,
                      sizeof(int32_t)) == 0;
    if (ms_kafka_is_pointer(field)) {
        memcpy(&pointer, place, sizeof pointer);
        return !pointer;
    }
    if (field->type == MS_KAFKA_STRUCT) {
        for (size_t i = 0; i < field->of->field_count; i++)
            if (ms_kafka_has_version(field->of->fields[i].present, w->version) &&
                !is_default(w, field->of, &field->of->fields[i], place))
                return false;
        return true;
    }
    if (field->type == MS_KAFKA_STRING || field->type == MS_KAFKA_BYTES) {
        const struct ms_bytes *bytes = (const void *)place, *other = (const void *)wanted;
        bool may_be_null = ms_kafka_has_version(field->nullable, w->version);
        return bytes->len == other->len && (!may_be_null || !bytes->data == !other->data);
    }
    return memcmp(place, wanted, ms_kafka_size_of(field)) == 0;
}

/* The size stands before the value and has as many bytes as it needs: one is left free, which is
 * nearly always right. */
static int put_tagged(struct writer *w, const struct ms_kafka_field *field, const uint8_t *base) {
    uint8_t bytes[MS_VARINT64_MAX_BYTES], *unused;
    int code = put_uvarint(w, (uint64_t)field->tag);
    size_t at = w->head->len;
    if (code == 0)
        code = ms_buf_append_u8(w->head, 0);
    if (code == 0)
        code = put_field(w, field, base);
    if (code < 0)
        return code;
    size_t size = w->head->len - at - 1;
    size_t width = ms_uvarint_put(bytes, size);
    code = ms_buf_extend(w->head, width - 1, &unused);
    if (code < 0)
        return code;
    memmove(w->head->data + at + width, w->head->data + at + 1, size);
    memcpy(w->head->data + at, bytes, width);
    return 0;
}

static int put_tags(struct writer *w, const struct ms_kafka_message *message, const uint8_t *base) {
    uint32_t wanted = 0, count = 0;
    for (size_t i = message->tagged_at; i < message->field_count; i++) {
        const struct ms_kafka_field *field = &message->fields[i];
        if (ms_kafka_has_version(field->present, w->version) &&
            !is_default(w, message, field, base)) {
            wanted |= UINT32_C(1) << field->tag;
            count++;
        }
    }
    int code = put_uvarint(w, count);
    for (size_t i = message->tagged_at; i < message->field_count && code == 0; i++)
        if (wanted & UINT32_C(1) << message->fields[i].tag)
            code = put_tagged(w, &message->fields[i], base);
    return code;
}

static int put_struct(struct writer *w, const struct ms_kafka_message *message, const void *value) {
    for (size_t i = 0; i < message->tagged_at; i++) {
        const struct ms_kafka_field *field = &message->fields[i];
        if (!ms_kafka_has_version(field->present, w->version))
            continue;
        int code = put_field(w, field, value);
        if (code < 0)
            return code;
    }
    return w->is_flexible ? put_tags(w, message, value) : 0;
}

int ms_kafka_encode(const struct ms_kafka_message *message, int16_t version, const void *value,
                    struct ms_kafka_output *output, struct ms_error *err) {
    if (!ms_kafka_has_version(message->versions, version))
        return ms_error_set(err, MS_EUNSUPPORTED, "%s: version %d is not spoken", message->name,
                            version);
    struct writer w = {
        .output = output,
        .head = &output->head,
        .message = message,
        .err = err,
        .version = version,
        .is_flexible = version >= message->flexible,
    };
    size_t len = output->head.len, cuts = output->cut_count, slice_bytes = output->slice_bytes;
    int code = put_struct(&w, message, value);
    if (code == 0)
        return 0;
    output->head.len = len;
    output->cut_count = cuts;
    output->slice_bytes = slice_bytes;
    return code == MS_EINVAL ? code : fail(&w, "the message", code, ms_error_text(code));
}
