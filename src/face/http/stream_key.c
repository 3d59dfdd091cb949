/* The text form of a stream named by topic and key; see stream_key.h. */
#include "face/http/stream_key.h"

#define TOPIC_OF_PLAIN_STREAMS "$streams"

/* Control characters, the escape itself, and everything beyond ASCII when the key is no UTF-8. */
static bool is_plain(struct ms_bytes key, size_t i, bool utf8) {
    uint8_t byte = key.data[i];
    bool c1 = byte == 0xc2 && i + 1 < key.len && key.data[i + 1] < 0xa0;
    bool c1_second = i > 0 && key.data[i - 1] == 0xc2 && byte >= 0x80 && byte < 0xa0;
    return byte >= 0x20 && byte != 0x7f && byte != '%' && (byte < 0x80 || utf8) && !c1 &&
           !c1_second;
}

static uint8_t *put_escaped(uint8_t *at, struct ms_bytes key) {
    static const char hex[] = "0123456789ABCDEF";
    bool utf8 = ms_utf8_valid(key);
    for (size_t i = 0; i < key.len; i++) {
        if (is_plain(key, i, utf8)) {
            *at++ = key.data[i];
        } else {
            *at++ = '%';
            *at++ = (uint8_t)hex[key.data[i] >> 4];
            *at++ = (uint8_t)hex[key.data[i] & 15];
        }
    }
    return at;
}

int ms_http_stream_of_key(struct ms_bytes topic, struct ms_bytes key, struct ms_arena *arena,
                          struct ms_bytes *ret_stream, struct ms_error *err) {
    if (ms_bytes_equal_cstr(topic, TOPIC_OF_PLAIN_STREAMS)) {
        *ret_stream = key;
        return 0;
    }
    if (memchr(topic.data, '-', topic.len))
        return ms_error_set(err, MS_EINVAL,
                            "the topic's name has a '-': its keys are not streams by name");
    uint8_t *text = ms_arena_alloc(arena, topic.len + 1 + 3 * key.len);
    if (!text)
        return ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    memcpy(text, topic.data, topic.len);
    text[topic.len] = '-';
    uint8_t *end = put_escaped(text + topic.len + 1, key);
    *ret_stream = ms_bytes_of(text, (size_t)(end - text));
    return 0;
}
