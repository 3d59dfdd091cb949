/* Headers and frames, what is refused with which error, and where slices of records stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/endian.h"
#include "wire/kafka/messages.h"

#define OUTPUT_MAX ((size_t)1 << 20)
#define TEXT(literal) MS_BYTES_LITERAL(literal)

struct fixture {
    struct ms_arena arena;
    struct ms_kafka_output output;
};
static void set_up(struct fixture *f) {
    ms_arena_init(&f->arena, OUTPUT_MAX);
    f->output = (struct ms_kafka_output){.arena = &f->arena};
    ms_buf_init(&f->output.head, OUTPUT_MAX);
}
static void tear_down(struct fixture *f) {
    ms_buf_deinit(&f->output.head);
    ms_arena_deinit(&f->arena);
}

static const struct ms_kafka_api *api_of(int16_t key) {
    const struct ms_kafka_api *api = ms_kafka_api_find(key);
    assert_non_null(api);
    return api;
}

/* ---- request headers ---- */

static int read_header(struct ms_bytes frame, struct ms_kafka_request_header *ret_header,
                       struct ms_bytes *ret_body) {
    return ms_kafka_read_request_header(frame, ret_header, ret_body, NULL);
}

#define HEADER(literal) ms_bytes_of(literal, sizeof(literal) - 1)

static void request_headers_are_read_in_all_forms(void **state) {
    (void)state;
    struct ms_kafka_request_header header;
    struct ms_bytes body;
    /* Metadata version 1, correlation id 258, client id "ab", then the body. */
    assert_int_equal(read_header(HEADER("\0\3\0\1\0\0\1\2\0\2abXY"), &header, &body), 0);
    assert_int_equal(header.key, 3);
    assert_int_equal(header.version, 1);
    assert_int_equal(header.correlation_id, 258);
    assert_true(ms_bytes_equal_cstr(header.client_id, "ab"));
    assert_true(ms_bytes_equal_cstr(body, "XY"));
    /* No client id, and an empty one. */
    assert_int_equal(read_header(HEADER("\0\3\0\1\0\0\1\2\377\377XY"), &header, &body), 0);
    assert_null(header.client_id.data);
    assert_true(ms_bytes_equal_cstr(body, "XY"));
    assert_int_equal(read_header(HEADER("\0\3\0\1\0\0\1\2\0\0"), &header, &body), 0);
    assert_non_null(header.client_id.data);
    assert_int_equal(header.client_id.len + body.len, 0);
    /* Version 9 is flexible: the client id as before, then tagged fields: none, and one. */
    assert_int_equal(read_header(HEADER("\0\3\0\11\0\0\1\2\0\2ab\0XY"), &header, &body), 0);
    assert_true(ms_bytes_equal_cstr(header.client_id, "ab"));
    assert_true(ms_bytes_equal_cstr(body, "XY"));
    assert_int_equal(read_header(HEADER("\0\3\0\11\0\0\1\2\0\2ab\1\5\3___XY"), &header, &body), 0);
    assert_true(ms_bytes_equal_cstr(body, "XY"));
    /* An unknown version or key has no tagged fields that are known of. */
    assert_int_equal(read_header(HEADER("\0\22\0\143\0\0\1\2\0\0XY"), &header, &body), 0);
    assert_int_equal(header.version, 99);
    assert_true(ms_bytes_equal_cstr(body, "XY"));
    assert_int_equal(read_header(HEADER("\3\3\0\1\0\0\1\2\0\0XY"), &header, &body), 0);
    assert_int_equal(header.key, 0x303);
    /* SaslHandshake never became flexible. */
    assert_int_equal(read_header(HEADER("\0\21\0\1\0\0\1\2\0\0XY"), &header, &body), 0);
    assert_true(ms_bytes_equal_cstr(body, "XY"));
}

static void malformed_request_headers_are_refused(void **state) {
    (void)state;
    struct ms_kafka_request_header header;
    struct ms_bytes body;
    static const uint8_t FLEXIBLE[] = "\0\3\0\11\0\0\1\2\0\2ab\2\5\3___\6\0";
    for (size_t len = 0; len < sizeof FLEXIBLE - 1; len++)
        assert_int_equal(read_header(ms_bytes_of(FLEXIBLE, len), &header, &body), MS_EINVAL);
    assert_int_equal(read_header(ms_bytes_of(FLEXIBLE, sizeof FLEXIBLE - 1), &header, &body), 0);
    assert_int_equal(read_header(HEADER("\0\3\0\1\0\0\1\2\377\376"), &header, &body), MS_EINVAL);
    assert_int_equal(read_header(HEADER("\0\3\0\1\0\0\1\2\0\3ab"), &header, &body), MS_EINVAL);
}

/* ---- frames ---- */

static void frames_have_size_and_header(void **state) {
    (void)state;
    struct fixture f;
    set_up(&f);
    /* ApiVersions has no flexible response header, whatever the version; Heartbeat has one in 4. */
    const struct ms_kafka_api *api = api_of(18);
    assert_int_equal(ms_kafka_encode_response(api, 3, 7, &ms_kafka_api_versions_response_default,
                                              &f.output, NULL),
                     0);
    static const uint8_t API_VERSIONS[] = {0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0};
    assert_int_equal(f.output.head.len, sizeof API_VERSIONS);
    assert_memory_equal(f.output.head.data, API_VERSIONS, sizeof API_VERSIONS);
    ms_buf_clear(&f.output.head);
    struct ms_kafka_heartbeat_response heartbeat = {.error_code = 27};
    assert_int_equal(ms_kafka_encode_response(api_of(12), 4, 7, &heartbeat, &f.output, NULL), 0);
    assert_int_equal(ms_kafka_encode_response(api_of(12), 1, 8, &heartbeat, &f.output, NULL), 0);
    static const uint8_t HEARTBEATS[] = {0, 0, 0, 12, 0,  0, 0, 7, 0, 0, 0, 0, 0, 0, 27,
                                         0, 0, 0, 0,  10, 0, 0, 0, 8, 0, 0, 0, 0, 0, 27};
    assert_int_equal(f.output.head.len, sizeof HEARTBEATS);
    assert_memory_equal(f.output.head.data, HEARTBEATS, sizeof HEARTBEATS);
    tear_down(&f);
}

static void requests_are_read_as_they_were_written(void **state) {
    (void)state;
    for (int16_t version = 0; version <= 4; version++) {
        struct fixture f;
        struct ms_kafka_request_header header;
        struct ms_bytes body;
        void *decoded;
        struct ms_kafka_heartbeat_request request = {
            .group_id = TEXT("g"), .generation_id = 5, .member_id = TEXT("m")};
        set_up(&f);
        assert_int_equal(
            ms_kafka_encode_request(api_of(12), version, 7, TEXT("me"), &request, &f.output, NULL),
            0);
        struct ms_bytes frame = ms_buf_bytes(&f.output.head);
        assert_int_equal(ms_get_be32(frame.data), frame.len - 4);
        frame = ms_bytes_of(frame.data + 4, frame.len - 4);
        assert_int_equal(read_header(frame, &header, &body), 0);
        assert_true(ms_bytes_equal_cstr(header.client_id, "me"));
        assert_int_equal(header.version, version);
        assert_int_equal(
            ms_kafka_decode(api_of(header.key)->request, version, body, &f.arena, &decoded, NULL),
            0);
        assert_int_equal(((struct ms_kafka_heartbeat_request *)decoded)->generation_id, 5);
        tear_down(&f);
    }
}

/* ---- slices ---- */

static void slices_stand_where_cuts_say(void **state) {
    (void)state;
    struct fixture f;
    struct ms_slice slices[] = {{NULL, TEXT("first")}, {NULL, TEXT("second")}};
    struct ms_kafka_fetch_response_partition partitions[3];
    struct ms_kafka_fetch_response_topic topic = {
        .topic = TEXT("t"), .partitions = partitions, .partitions_count = 3};
    struct ms_kafka_fetch_response response = ms_kafka_fetch_response_default;
    response.responses = &topic;
    response.responses_count = 1;
    for (size_t i = 0; i < 3; i++)
        partitions[i] = ms_kafka_fetch_response_partition_default;
    partitions[0].records =
        (struct ms_kafka_records){.slices = slices, .slice_count = 2, .slice_bytes = 11};
    partitions[1].records.bytes = TEXT("inline");
    partitions[2].records =
        (struct ms_kafka_records){.slices = slices + 1, .slice_count = 1, .slice_bytes = 6};
    for (int16_t version = 4; version <= 16; version++) {
        set_up(&f);
        assert_int_equal(
            ms_kafka_encode_response(api_of(1), version, 7, &response, &f.output, NULL), 0);
        const struct ms_kafka_output *out = &f.output;
        assert_int_equal(out->cut_count, 2);
        assert_int_equal(out->slice_bytes, 17);
        assert_int_equal(ms_get_be32(out->head.data), out->head.len - 4 + 17);
        assert_ptr_equal(out->cuts[0].records, &partitions[0].records);
        assert_ptr_equal(out->cuts[1].records, &partitions[2].records);
        /* Put together as a socket would send it, it is decoded whole. */
        struct ms_buf wire;
        void *decoded;
        ms_buf_init(&wire, OUTPUT_MAX);
        size_t at = version < 12 ? 8 : 9; /* behind size and header */
        for (size_t i = 0; i < out->cut_count; at = out->cuts[i++].at) {
            assert_int_equal(ms_buf_append(&wire, out->head.data + at, out->cuts[i].at - at), 0);
            for (size_t j = 0; j < out->cuts[i].records->slice_count; j++)
                assert_int_equal(ms_buf_append_bytes(&wire, out->cuts[i].records->slices[j].bytes),
                                 0);
        }
        assert_int_equal(ms_buf_append(&wire, out->head.data + at, out->head.len - at), 0);
        assert_int_equal(ms_kafka_decode(&ms_kafka_fetch_response_message, version,
                                         ms_buf_bytes(&wire), &f.arena, &decoded, NULL),
                         0);
        const struct ms_kafka_fetch_response_partition *found =
            ((struct ms_kafka_fetch_response *)decoded)->responses->partitions;
        assert_true(ms_bytes_equal_cstr(found[0].records.bytes, "firstsecond"));
        assert_true(ms_bytes_equal_cstr(found[1].records.bytes, "inline"));
        assert_true(ms_bytes_equal_cstr(found[2].records.bytes, "second"));
        ms_buf_deinit(&wire);
        tear_down(&f);
    }
}

/* ---- refusals ---- */

static int decode(const struct ms_kafka_message *message, int16_t version, struct ms_bytes bytes,
                  struct ms_arena *arena, struct ms_error *err) {
    void *decoded;
    return ms_kafka_decode(message, version, bytes, arena, &decoded, err);
}

static void absurd_counts_are_refused_before_memory_is_taken(void **state) {
    (void)state;
    const struct ms_kafka_message *metadata = &ms_kafka_metadata_request_message;
    struct fixture f;
    struct ms_error err;
    set_up(&f);
    ms_ignore(!ms_arena_alloc(&f.arena, 16));
    size_t used = f.arena.used;
    assert_int_equal(decode(metadata, 1, HEADER("\177\377\377\377\0\1t"), &f.arena, &err),
                     MS_EINVAL);
    assert_string_equal(err.message, "Metadata request version 1: topics at byte 4: more elements "
                                     "than there are bytes for");
    assert_int_equal(decode(metadata, 1, HEADER("\377\377\377\376"), &f.arena, &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "topics"));
    assert_int_equal(
        decode(metadata, 9, HEADER("\377\377\377\377\17\2t\0\1\0\0\0"), &f.arena, NULL), MS_EINVAL);
    assert_int_equal(decode(metadata, 9, HEADER("\377\377\377\377\37"), &f.arena, &err), MS_EINVAL);
    assert_int_equal(decode(metadata, 9, HEADER("\200\200\200\200\200\0"), &f.arena, &err),
                     MS_EINVAL);
    assert_non_null(strstr(err.message, "varint"));
    assert_int_equal(f.arena.used, used);
    /* Null where it can't be: topics in version 0, a name in version 1. */
    assert_int_equal(decode(metadata, 0, HEADER("\377\377\377\377"), &f.arena, &err), MS_EINVAL);
    assert_int_equal(decode(metadata, 1, HEADER("\0\0\0\1\377\377"), &f.arena, &err), MS_EINVAL);
    assert_non_null(strstr(err.message, "name at byte 6"));
    /* As many elements as there are bytes for, but no memory. */
    struct ms_arena small;
    ms_arena_init(&small, 256);
    static const uint8_t NAMES[4 + 200] = {0, 0, 0, 100};
    assert_int_equal(decode(metadata, 1, ms_bytes_of(NAMES, sizeof NAMES), &small, &err),
                     MS_ENOMEM);
    assert_int_equal(decode(metadata, 1, ms_bytes_of(NAMES, sizeof NAMES), &f.arena, &err), 0);
    ms_arena_deinit(&small);
    tear_down(&f);
}

static void tagged_fields_come_once_and_fill_their_size(void **state) {
    (void)state;
    const struct ms_kafka_message *message = &ms_kafka_api_versions_response_message;
    struct fixture f;
    set_up(&f);
#define FIXED "\0\0\1\0\0\0\0"
    assert_int_equal(decode(message, 3, HEADER(FIXED "\1\3\1\1"), &f.arena, NULL), 0);
    assert_int_equal(decode(message, 3, HEADER(FIXED "\2\77\1_\3\1\1"), &f.arena, NULL), 0);
    assert_int_equal(decode(message, 3, HEADER(FIXED "\2\3\1\1\3\1\1"), &f.arena, NULL), MS_EINVAL);
    assert_int_equal(decode(message, 3, HEADER(FIXED "\1\3\2\1\0"), &f.arena, NULL), MS_EINVAL);
    assert_int_equal(decode(message, 3, HEADER(FIXED "\1\3\0"), &f.arena, NULL), MS_EINVAL);
    assert_int_equal(decode(message, 3, HEADER(FIXED "\1\1\4\0\0\0\0"), &f.arena, NULL), MS_EINVAL);
#undef FIXED
    tear_down(&f);
}

static void what_cannot_be_encoded_leaves_the_output_as_it_was(void **state) {
    (void)state;
    static uint8_t long_text[32768];
    struct fixture f;
    struct ms_error err;
    set_up(&f);
    assert_int_equal(ms_buf_append_cstr(&f.output.head, "before"), 0);
    struct ms_slice slice = {NULL, TEXT("abc")};
    struct ms_kafka_produce_request_partition partition = {
        .records = {.slices = &slice, .slice_count = 1, .slice_bytes = 3}};
    struct ms_kafka_produce_request_topic topics[] = {
        {.name = TEXT("t"), .partition_data = &partition, .partition_data_count = 1},
        {.name = ms_bytes_of(long_text, sizeof long_text)}};
    struct ms_kafka_produce_request request = {.topic_data = topics, .topic_data_count = 2};
    for (int16_t version = 7; version <= 9; version += 2) {
        assert_int_equal(
            ms_kafka_encode_request(api_of(0), version, 1, TEXT(""), &request, &f.output, &err),
            MS_EINVAL);
        assert_non_null(strstr(err.message, "name"));
        assert_int_equal(f.output.head.len, 6);
        assert_int_equal(f.output.cut_count + f.output.slice_bytes, 0);
    }
    struct ms_kafka_metadata_request metadata = {.topics_count = -1};
    assert_int_equal(
        ms_kafka_encode(&ms_kafka_metadata_request_message, 0, &metadata, &f.output, &err),
        MS_EINVAL);
    assert_int_equal(
        ms_kafka_encode(&ms_kafka_produce_request_message, 2, &request, &f.output, &err),
        MS_EUNSUPPORTED);
    assert_int_equal(decode(&ms_kafka_produce_request_message, 99, TEXT(""), &f.arena, &err),
                     MS_EUNSUPPORTED);
    topics[1].name = ms_bytes_of(long_text, 100);
    f.output.head.max = 64;
    assert_int_equal(
        ms_kafka_encode(&ms_kafka_produce_request_message, 9, &request, &f.output, &err),
        MS_ETOOBIG);
    assert_int_equal(f.output.head.len, 6);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_headers_are_read_in_all_forms),
        cmocka_unit_test(malformed_request_headers_are_refused),
        cmocka_unit_test(frames_have_size_and_header),
        cmocka_unit_test(requests_are_read_as_they_were_written),
        cmocka_unit_test(slices_stand_where_cuts_say),
        cmocka_unit_test(absurd_counts_are_refused_before_memory_is_taken),
        cmocka_unit_test(tagged_fields_come_once_and_fill_their_size),
        cmocka_unit_test(what_cannot_be_encoded_leaves_the_output_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
