/*
 * The APIs by key, and the headers of requests and responses.
 *
 *   request    key int16 · version int16 · correlation id int32 · client id string (int16 length,
 *              -1 null, in flexible versions too) · tagged fields (flexible versions)
 *   response   correlation id int32 · tagged fields (flexible versions, never ApiVersions)
 *
 * Before both, as a frame, an int32: how many bytes follow.
 */
#include "base/endian.h"
#include "base/varint.h"
#include "wire/kafka/table.h"

#define FRAME_SIZE_LEN 4u
#define KEY_API_VERSIONS 18

size_t ms_kafka_size_of(const struct ms_kafka_field *field) {
    switch (field->type) {
    case MS_KAFKA_BOOL:
    case MS_KAFKA_INT8:
        return 1;
    case MS_KAFKA_INT16:
        return 2;
    case MS_KAFKA_INT32:
        return 4;
    case MS_KAFKA_INT64:
    case MS_KAFKA_FLOAT64:
        return 8;
    case MS_KAFKA_UUID:
        return sizeof(struct ms_uuid);
    case MS_KAFKA_STRING:
    case MS_KAFKA_BYTES:
        return sizeof(struct ms_bytes);
    case MS_KAFKA_RECORDS:
        return sizeof(struct ms_kafka_records);
    case MS_KAFKA_STRUCT:
        return field->of->size;
    }
    return 0;
}
_Static_assert(sizeof(bool) == 1, "a bool has its size of the wire");

const struct ms_kafka_api *ms_kafka_api_find(int16_t key) {
    if (key < 0 || key > ms_kafka_key_max || ms_kafka_index_of_key[key] < 0)
        return NULL;
    return &ms_kafka_apis[ms_kafka_index_of_key[key]];
}

/* ---- request headers ---- */

static int bad_header(struct ms_error *err, const char *what) {
    return ms_error_set(err, MS_EINVAL, "request header: %s", what);
}

static bool has_flexible_header(int16_t key, int16_t version) {
    const struct ms_kafka_api *api = ms_kafka_api_find(key);
    return api && version >= api->flexible && version <= api->max;
}

/* None is known here, so all are skipped; moves *bytes behind them. */
static int skip_tags(struct ms_bytes *bytes, struct ms_error *err) {
    size_t at = 0;
    uint64_t count = 0, number, size;
    int n = ms_uvarint_get(bytes->data, bytes->len, &count);
    for (; n > 0 && count > 0; count--) {
        at += (size_t)n;
        n = ms_uvarint_get(bytes->data + at, bytes->len - at, &number);
        if (n <= 0)
            break;
        at += (size_t)n;
        n = ms_uvarint_get(bytes->data + at, bytes->len - at, &size);
        if (n <= 0 || size > bytes->len - at - (size_t)n)
            return bad_header(err, "malformed tagged fields");
        at += (size_t)size;
    }
    if (n <= 0)
        return bad_header(err, "malformed tagged fields");
    at += (size_t)n;
    *bytes = ms_bytes_of(bytes->data + at, bytes->len - at);
    return 0;
}

int ms_kafka_read_request_header(struct ms_bytes frame, struct ms_kafka_request_header *ret_header,
                                 struct ms_bytes *ret_body, struct ms_error *err) {
    if (frame.len < MS_KAFKA_REQUEST_HEADER_MIN)
        return bad_header(err, "truncated");
    struct ms_kafka_request_header header = {
        .key = (int16_t)ms_get_be16(frame.data),
        .version = (int16_t)ms_get_be16(frame.data + 2),
        .correlation_id = (int32_t)ms_get_be32(frame.data + 4),
    };
    int16_t length = (int16_t)ms_get_be16(frame.data + 8);
    struct ms_bytes rest = {frame.data + MS_KAFKA_REQUEST_HEADER_MIN,
                            frame.len - MS_KAFKA_REQUEST_HEADER_MIN};
    if (length < -1 || (length > 0 && (size_t)length > rest.len))
        return bad_header(err, "the client id's length is wrong");
    if (length >= 0) {
        header.client_id = ms_bytes_of(rest.data, (size_t)length);
        rest = ms_bytes_of(rest.data + length, rest.len - (size_t)length);
    }
    if (has_flexible_header(header.key, header.version)) {
        int code = skip_tags(&rest, err);
        if (code < 0)
            return code;
    }
    *ret_header = header;
    *ret_body = rest;
    return 0;
}

/* ---- frames ---- */

struct mark {
    size_t len, cut_count, slice_bytes;
};
static struct mark mark_of(const struct ms_kafka_output *output) {
    return (struct mark){output->head.len, output->cut_count, output->slice_bytes};
}
static int withdraw(struct ms_kafka_output *output, struct mark mark, int code) {
    output->head.len = mark.len;
    output->cut_count = mark.cut_count;
    output->slice_bytes = mark.slice_bytes;
    return code;
}

/* Fills in the size of the frame that began at `mark`. */
static int end_frame(struct ms_kafka_output *output, struct mark mark, struct ms_error *err) {
    size_t size =
        output->head.len - mark.len - FRAME_SIZE_LEN + output->slice_bytes - mark.slice_bytes;
    if (size > INT32_MAX)
        return ms_error_set(err, MS_ETOOBIG, "a frame of %zu bytes, at most %d", size, INT32_MAX);
    ms_put_be32(output->head.data + mark.len, (uint32_t)size);
    return 0;
}

int ms_kafka_encode_response(const struct ms_kafka_api *api, int16_t version,
                             int32_t correlation_id, const void *value,
                             struct ms_kafka_output *output, struct ms_error *err) {
    struct mark mark = mark_of(output);
    bool is_flexible = version >= api->flexible && api->key != KEY_API_VERSIONS;
    uint8_t *at;
    size_t len = FRAME_SIZE_LEN + 4 + is_flexible;
    int code = ms_buf_extend(&output->head, len, &at);
    if (code < 0)
        return ms_error_set(err, code, "%s response: %s", api->name, ms_error_text(code));
    memset(at, 0, len);
    ms_put_be32(at + FRAME_SIZE_LEN, (uint32_t)correlation_id);
    code = ms_kafka_encode(api->response, version, value, output, err);
    if (code == 0)
        code = end_frame(output, mark, err);
    return code < 0 ? withdraw(output, mark, code) : 0;
}

int ms_kafka_encode_request(const struct ms_kafka_api *api, int16_t version, int32_t correlation_id,
                            struct ms_bytes client_id, const void *value,
                            struct ms_kafka_output *output, struct ms_error *err) {
    if (client_id.len > MS_KAFKA_STRING_MAX)
        return ms_error_set(err, MS_EINVAL, "%s request: the client id is too long", api->name);
    struct mark mark = mark_of(output);
    uint8_t *at;
    size_t fixed = FRAME_SIZE_LEN + MS_KAFKA_REQUEST_HEADER_MIN;
    size_t len = fixed + client_id.len + (version >= api->flexible);
    int code = ms_buf_extend(&output->head, len, &at);
    if (code < 0)
        return ms_error_set(err, code, "%s request: %s", api->name, ms_error_text(code));
    memset(at, 0, len);
    ms_put_be16(at + FRAME_SIZE_LEN, (uint16_t)api->key);
    ms_put_be16(at + FRAME_SIZE_LEN + 2, (uint16_t)version);
    ms_put_be32(at + FRAME_SIZE_LEN + 4, (uint32_t)correlation_id);
    ms_put_be16(at + FRAME_SIZE_LEN + 8, client_id.data ? (uint16_t)client_id.len : UINT16_MAX);
    if (client_id.len > 0)
        memcpy(at + fixed, client_id.data, client_id.len);
    code = ms_kafka_encode(api->request, version, value, output, err);
    if (code == 0)
        code = end_frame(output, mark, err);
    return code < 0 ? withdraw(output, mark, code) : 0;
}
