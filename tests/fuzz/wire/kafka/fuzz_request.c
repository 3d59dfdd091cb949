/*
 * Messages from strangers. The first byte chooses the API and, by its top bit, request or response,
 * the second one the version; what follows is the body, and once more a request's frame.
 *
 * Asserted: the arena's limit holds; what is decoded can be encoded in the same version, and is
 * then decoded and encoded to the same bytes.
 */
#include <stdlib.h>

#include "wire/kafka/messages.h"

#define ARENA_MAX ((size_t)1 << 20)
#define ENCODED_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct ms_kafka_message *message, int16_t version, const void *value,
                   struct ms_arena *arena, struct ms_buf *out) {
    struct ms_kafka_output output = {.arena = arena};
    ms_buf_init(&output.head, ENCODED_MAX);
    MS_ASSERT(ms_kafka_encode(message, version, value, &output, NULL) == 0);
    MS_ASSERT(output.cut_count == 0 && output.slice_bytes == 0);
    *out = output.head;
}

static void check_message(const struct ms_kafka_message *message, int16_t version,
                          struct ms_bytes body) {
    struct ms_arena arena;
    struct ms_error err;
    struct ms_buf first, second;
    void *value;
    ms_arena_init(&arena, ARENA_MAX);
    int code = ms_kafka_decode(message, version, body, &arena, &value, &err);
    MS_ASSERT(arena.used <= ARENA_MAX);
    if (code == 0) {
        struct ms_arena again;
        ms_arena_init(&again, ARENA_MAX);
        encode(message, version, value, &again, &first);
        MS_ASSERT(ms_kafka_decode(message, version, ms_buf_bytes(&first), &again, &value, &err) ==
                  0);
        encode(message, version, value, &again, &second);
        MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&first), ms_buf_bytes(&second)));
        ms_buf_deinit(&first);
        ms_buf_deinit(&second);
        ms_arena_deinit(&again);
    } else {
        MS_ASSERT(err.code == code && (code == MS_EINVAL || code == MS_ENOMEM));
    }
    ms_arena_deinit(&arena);
}

static void check_frame(struct ms_bytes frame) {
    struct ms_kafka_request_header header;
    struct ms_bytes body;
    if (ms_kafka_read_request_header(frame, &header, &body, NULL) < 0)
        return;
    MS_ASSERT(body.data + body.len == frame.data + frame.len);
    MS_ASSERT(MS_KAFKA_REQUEST_HEADER_MIN + header.client_id.len + body.len <= frame.len);
    const struct ms_kafka_api *api = ms_kafka_api_find(header.key);
    if (api && header.version >= api->decode_min && header.version <= api->max)
        check_message(api->request, header.version, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct ms_kafka_api *api = &ms_kafka_apis[(data[0] & 0x7f) % ms_kafka_api_count];
    int16_t version = (int16_t)(api->decode_min + data[1] % (api->max - api->decode_min + 1));
    struct ms_bytes body = ms_bytes_of(data + 2, size - 2);
    check_message(data[0] & 0x80 ? api->response : api->request, version, body);
    check_frame(body);
    return 0;
}
