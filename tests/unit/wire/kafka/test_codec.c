/* Every message in every version, by walking its table: what is encoded is decoded again, and
 * nothing that is cut short, damaged or absurd does more than fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/varint.h"
#include "wire/kafka/messages.h"
#include "wire/kafka/table.h"

#define ANY_MAX ((size_t)1 << 20)
#define ARENA_MAX ((size_t)256 * 1024)

/* ---- values by table ---- */

enum filling {
    FULL,   /* everything has a value of its own, arrays have two elements */
    SPARSE, /* null where that may be, otherwise empty */
};

struct filler {
    struct ms_arena *arena;
    enum filling filling;
    int16_t version;
    uint64_t next;
};

static void *must_alloc(struct ms_arena *arena, size_t size) {
    void *memory = ms_arena_zalloc(arena, size);
    assert_non_null(memory);
    return memory;
}

static struct ms_bytes fill_bytes(struct filler *f, bool may_be_null) {
    char text[32];
    if (f->filling == SPARSE)
        return may_be_null ? (struct ms_bytes){NULL, 0} : MS_BYTES_LITERAL("");
    snprintf(text, sizeof text, "value %llu", (unsigned long long)f->next++);
    return ms_bytes_cstr(ms_arena_strdup(f->arena, ms_bytes_cstr(text)));
}

static void fill_struct(struct filler *f, const struct ms_kafka_message *message, void *value);

static void fill_value(struct filler *f, const struct ms_kafka_field *field, bool may_be_null,
                       void *place) {
    uint8_t *bytes = place;
    switch (field->type) {
    case MS_KAFKA_STRING:
    case MS_KAFKA_BYTES:
        *(struct ms_bytes *)place = fill_bytes(f, may_be_null);
        return;
    case MS_KAFKA_RECORDS:
        *(struct ms_kafka_records *)place =
            (struct ms_kafka_records){.bytes = fill_bytes(f, may_be_null)};
        return;
    case MS_KAFKA_STRUCT:
        fill_struct(f, field->of, place);
        return;
    case MS_KAFKA_BOOL:
        *(bool *)place = f->filling == FULL;
        return;
    case MS_KAFKA_INT8:
    case MS_KAFKA_INT16:
    case MS_KAFKA_INT32:
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
    case MS_KAFKA_UUID:
        break;
    }
    for (size_t i = 0; i < ms_kafka_size_of(field); i++)
        bytes[i] = f->filling == FULL ? (uint8_t)(f->next++ * 37 + 11) : 0;
}

static void fill_field(struct filler *f, const struct ms_kafka_field *field, uint8_t *base) {
    bool may_be_null = ms_kafka_has_version(field->nullable, f->version);
    uint8_t *place = base + field->offset;
    int32_t count = f->filling == FULL ? 2 : may_be_null ? -1 : 0;
    if (ms_kafka_is_pointer(field)) {
        void *value = NULL;
        if (f->filling == FULL || !may_be_null) {
            value = must_alloc(f->arena, field->of->size);
            fill_struct(f, field->of, value);
        }
        memcpy(place, &value, sizeof value);
    } else if (field->is_array) {
        uint8_t *elements = NULL;
        if (count > 0)
            elements = must_alloc(f->arena, (size_t)count * ms_kafka_size_of(field));
        for (int32_t i = 0; i < count; i++)
            fill_value(f, field, false, elements + (size_t)i * ms_kafka_size_of(field));
        memcpy(place, &elements, sizeof elements);
        memcpy(base + field->count_offset, &count, sizeof count);
    } else {
        fill_value(f, field, may_be_null, place);
    }
}

static void fill_struct(struct filler *f, const struct ms_kafka_message *message, void *value) {
    memcpy(value, message->defaults, message->size);
    for (size_t i = 0; i < message->field_count; i++)
        if (ms_kafka_has_version(message->fields[i].present, f->version))
            fill_field(f, &message->fields[i], value);
}

/* ---- comparison by table ---- */

static void same_struct(const struct ms_kafka_message *message, int16_t version, const uint8_t *a,
                        const uint8_t *b);

static void same_bytes(const struct ms_bytes *a, const struct ms_bytes *b) {
    assert_int_equal(!a->data, !b->data);
    assert_true(ms_bytes_equal(*a, *b));
}

static void same_value(const struct ms_kafka_field *field, int16_t version, const void *a,
                       const void *b) {
    if (field->type == MS_KAFKA_STRUCT)
        same_struct(field->of, version, a, b);
    else if (field->type == MS_KAFKA_STRING || field->type == MS_KAFKA_BYTES)
        same_bytes(a, b);
    else if (field->type == MS_KAFKA_RECORDS)
        same_bytes(&((const struct ms_kafka_records *)a)->bytes,
                   &((const struct ms_kafka_records *)b)->bytes);
    else
        assert_memory_equal(a, b, ms_kafka_size_of(field));
}

static void same_field(const struct ms_kafka_field *field, int16_t version, const uint8_t *a,
                       const uint8_t *b) {
    const uint8_t *x, *y;
    if (!field->is_array && !ms_kafka_is_pointer(field)) {
        same_value(field, version, a + field->offset, b + field->offset);
        return;
    }
    memcpy(&x, a + field->offset, sizeof x);
    memcpy(&y, b + field->offset, sizeof y);
    if (!field->is_array) {
        assert_int_equal(!x, !y);
        if (x)
            same_struct(field->of, version, x, y);
        return;
    }
    int32_t count, other;
    memcpy(&count, a + field->count_offset, sizeof count);
    memcpy(&other, b + field->count_offset, sizeof other);
    assert_int_equal(count, other);
    for (int32_t i = 0; i < count; i++) {
        size_t at = (size_t)i * ms_kafka_size_of(field);
        same_value(field, version, x + at, y + at);
    }
}

/* `b` was decoded: it has the defaults of what the version lacks. */
static void same_struct(const struct ms_kafka_message *message, int16_t version, const uint8_t *a,
                        const uint8_t *b) {
    for (size_t i = 0; i < message->field_count; i++) {
        const struct ms_kafka_field *field = &message->fields[i];
        bool is_there = ms_kafka_has_version(field->present, version);
        same_field(field, version, is_there ? a : message->defaults, b);
    }
}

/* ---- every message in every version ---- */

struct sample {
    const struct ms_kafka_message *message;
    int16_t version;
    const void *value;
    struct ms_bytes encoded;
};

static void *decode_exactly(const struct sample *sample, struct ms_bytes bytes,
                            struct ms_arena *arena, int expected) {
    struct ms_error err;
    void *decoded = NULL;
    uint8_t *copy = malloc(bytes.len + 1); /* its end is watched by the address sanitizer */
    assert_non_null(copy);
    copy += 1;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    int code = ms_kafka_decode(sample->message, sample->version, ms_bytes_of(copy, bytes.len),
                               arena, &decoded, &err);
    if (code != expected)
        print_error("%s version %d: %s\n", sample->message->name, sample->version,
                    code < 0 ? err.message : "decoded");
    assert_int_equal(code, expected);
    if (code == 0)
        same_struct(sample->message, sample->version, sample->value, decoded);
    free(copy - 1);
    return decoded;
}

typedef void check_sample(const struct sample *sample, struct ms_arena *arena);

static void with_sample(const struct ms_kafka_message *message, int16_t version,
                        enum filling filling, check_sample *check) {
    struct ms_arena values, arena;
    ms_arena_init(&values, ANY_MAX);
    ms_arena_init(&arena, ARENA_MAX);
    struct filler filler = {&values, filling, version, 1};
    void *value = must_alloc(&values, message->size);
    fill_struct(&filler, message, value);
    struct ms_kafka_output output = {.arena = &values};
    struct ms_error err;
    ms_buf_init(&output.head, ANY_MAX);
    assert_int_equal(ms_kafka_encode(message, version, value, &output, &err), 0);
    assert_int_equal(output.cut_count, 0);
    struct sample sample = {message, version, value, ms_buf_bytes(&output.head)};
    check(&sample, &arena);
    ms_buf_deinit(&output.head);
    ms_arena_deinit(&arena);
    ms_arena_deinit(&values);
}

static void with_every_sample(enum filling filling, check_sample *check) {
    for (size_t i = 0; i < ms_kafka_api_count; i++) {
        const struct ms_kafka_api *api = &ms_kafka_apis[i];
        for (int16_t version = api->decode_min; version <= api->max; version++) {
            with_sample(api->request, version, filling, check);
            with_sample(api->response, version, filling, check);
        }
    }
}

static void check_round_trip(const struct sample *sample, struct ms_arena *arena) {
    decode_exactly(sample, sample->encoded, arena, 0);
}
static void every_message_is_decoded_as_it_was_encoded(void **state) {
    (void)state;
    with_every_sample(FULL, check_round_trip);
    with_every_sample(SPARSE, check_round_trip);
}

static void check_truncations(const struct sample *sample, struct ms_arena *arena) {
    for (size_t len = 0; len < sample->encoded.len; len++) {
        ms_arena_reset(arena);
        decode_exactly(sample, ms_bytes_of(sample->encoded.data, len), arena, MS_EINVAL);
    }
}
static void every_truncation_is_refused(void **state) {
    (void)state;
    with_every_sample(FULL, check_truncations);
    with_every_sample(SPARSE, check_truncations);
}

static void check_trailing(const struct sample *sample, struct ms_arena *arena) {
    uint8_t *longer = must_alloc(arena, sample->encoded.len + 1);
    if (sample->encoded.len > 0)
        memcpy(longer, sample->encoded.data, sample->encoded.len);
    decode_exactly(sample, ms_bytes_of(longer, sample->encoded.len + 1), arena, 0);
}
static void bytes_behind_a_message_are_ignored(void **state) {
    (void)state;
    with_every_sample(FULL, check_trailing);
}

/* At every place, so that every length, count and size is met; the arena bounds what is taken. */
static void check_damage(const struct sample *sample, struct ms_arena *arena) {
    static const uint8_t PATTERNS[][4] = {
        {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0x0f}, {0x80, 0, 0, 0}, {0}};
    uint8_t *copy = malloc(sample->encoded.len + 1);
    assert_non_null(copy);
    for (size_t at = 0; at + 4 <= sample->encoded.len; at++) {
        for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++) {
            void *decoded;
            ms_arena_reset(arena);
            memcpy(copy, sample->encoded.data, sample->encoded.len);
            memcpy(copy + at, PATTERNS[i], 4);
            ms_ignore(ms_kafka_decode(sample->message, sample->version,
                                      ms_bytes_of(copy, sample->encoded.len), arena, &decoded,
                                      NULL));
            assert_true(arena->used <= ARENA_MAX);
        }
    }
    free(copy);
}
static void damage_does_no_harm(void **state) {
    (void)state;
    with_every_sample(FULL, check_damage);
}

/* The last byte of a message without tagged fields is their count. */
static void check_unknown_tag(const struct sample *sample, struct ms_arena *arena) {
    static const uint8_t TAGS[] = {2, 30, 3, 'a', 'b', 'c', 0xe8, 0x07, 0};
    size_t len = sample->encoded.len;
    if (sample->version < sample->message->flexible)
        return;
    assert_int_equal(sample->encoded.data[len - 1], 0);
    uint8_t *tagged = must_alloc(arena, len + sizeof TAGS);
    memcpy(tagged, sample->encoded.data, len);
    memcpy(tagged + len - 1, TAGS, sizeof TAGS);
    decode_exactly(sample, ms_bytes_of(tagged, len - 1 + sizeof TAGS), arena, 0);
}
static void check_defaults(const struct sample *sample, struct ms_arena *arena) {
    struct ms_kafka_output output = {.arena = arena};
    ms_buf_init(&output.head, ANY_MAX);
    struct sample of_defaults = {sample->message, sample->version, sample->message->defaults, {0}};
    assert_int_equal(
        ms_kafka_encode(sample->message, sample->version, of_defaults.value, &output, NULL), 0);
    of_defaults.encoded = ms_buf_bytes(&output.head);
    check_round_trip(&of_defaults, arena);
    check_unknown_tag(&of_defaults, arena);
    ms_buf_deinit(&output.head);
}
static void defaults_travel_and_unknown_tags_are_skipped(void **state) {
    (void)state;
    with_every_sample(SPARSE, check_defaults);
}

static void check_wire_min(const struct ms_kafka_message *message) {
    assert_true(message->wire_min >= 1);
    assert_true(message->tagged_at <= message->field_count);
    for (size_t i = 0; i < message->field_count; i++) {
        assert_int_equal(message->fields[i].tag >= 0, i >= message->tagged_at);
        if (message->fields[i].of)
            check_wire_min(message->fields[i].of);
    }
}
static void tables_are_in_order(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_kafka_api_count; i++) {
        const struct ms_kafka_api *api = &ms_kafka_apis[i];
        assert_int_equal(api->index, i);
        assert_ptr_equal(ms_kafka_api_find(api->key), api);
        assert_true(i == 0 || ms_kafka_apis[i - 1].key < api->key);
        assert_true(api->min <= api->decode_min && api->decode_min <= api->max);
        check_wire_min(api->request);
        check_wire_min(api->response);
    }
    assert_null(ms_kafka_api_find(-1));
    assert_null(ms_kafka_api_find(4));
    assert_null(ms_kafka_api_find(INT16_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_in_order),
        cmocka_unit_test(every_message_is_decoded_as_it_was_encoded),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bytes_behind_a_message_are_ignored),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(defaults_travel_and_unknown_tags_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
