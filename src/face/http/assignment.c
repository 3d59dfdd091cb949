/*
 * Assignments of Kafka's consumer protocol; see assignment.h. Big-endian:
 *
 *   bytes  meaning
 *   2      version; later ones only add behind what is here
 *   4      topics, and of each
 *          2 + n  its name
 *          4      partitions, and of each
 *                 4   its number
 *   4 + n  user data, or -1: not read
 */
#include "face/http/assignment.h"

#include "base/endian.h"
#include "wire/base64.h"
#include "wire/json.h"

struct assignment {
    struct ms_bytes rest;
};

static int take(struct assignment *from, size_t len, const uint8_t **ret_bytes) {
    if (from->rest.len < len)
        return MS_ENEEDMORE;
    *ret_bytes = from->rest.data;
    from->rest = ms_bytes_of(from->rest.data + len, from->rest.len - len);
    return 0;
}

/* A count of things that take at least `bytes` each. */
static int take_count(struct assignment *from, size_t bytes, uint32_t *ret_count) {
    const uint8_t *at;
    int code = take(from, 4, &at);
    if (code != 0)
        return code;
    *ret_count = ms_get_be32(at);
    return *ret_count > from->rest.len / bytes ? MS_EINVAL : 0;
}

static int write_partitions(struct ms_buf *out, struct assignment *from) {
    const uint8_t *at;
    uint32_t count;
    int code = take_count(from, 4, &count);
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        code = take(from, 4, &at);
        if (code == 0)
            code = ms_buf_printf(out, "%s%d", i > 0 ? "," : "", (int)(int32_t)ms_get_be32(at));
    }
    return code;
}

static int write_topic(struct ms_buf *out, struct assignment *from) {
    const uint8_t *at;
    int code = take(from, 2, &at);
    size_t len = code == 0 ? ms_get_be16(at) : 0;
    if (code == 0)
        code = take(from, len, &at);
    if (code == 0)
        code = ms_buf_append_cstr(out, "{\"topic\":");
    if (code == 0)
        code = ms_json_write_string(out, ms_bytes_of(at, len));
    if (code == 0)
        code = ms_buf_append_cstr(out, ",\"partitions\":[");
    if (code == 0)
        code = write_partitions(out, from);
    return code == 0 ? ms_buf_append_cstr(out, "]}") : code;
}

static int write_topics(struct ms_buf *out, struct assignment *from) {
    const uint8_t *version;
    uint32_t count = 0;
    int code = ms_buf_append_cstr(out, "\"assigned\":[");
    if (code == 0 && from->rest.len > 0)
        code = take(from, 2, &version);
    if (code == 0 && from->rest.len > 0)
        code = take_count(from, 6, &count);
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        if (i > 0)
            code = ms_buf_append_u8(out, ',');
        if (code == 0)
            code = write_topic(out, from);
    }
    return code == 0 ? ms_buf_append_u8(out, ']') : code;
}

int ms_http_assignment_write(struct ms_buf *out, struct ms_bytes protocol_type,
                             struct ms_bytes assignment) {
    size_t before = out->len;
    struct assignment from = {.rest = assignment};
    int code = MS_EINVAL;
    if (assignment.len == 0 || ms_bytes_equal_cstr(protocol_type, "consumer"))
        code = write_topics(out, &from);
    if (code != MS_EINVAL && code != MS_ENEEDMORE)
        return code;
    out->len = before;
    code = ms_buf_append_cstr(out, "\"assigned\":null,\"assignment_base64\":\"");
    if (code == 0)
        code = ms_base64_write(out, assignment);
    return code == 0 ? ms_buf_append_u8(out, '"') : code;
}
