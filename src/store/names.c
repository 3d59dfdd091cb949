/*
 * Names of streams.
 *
 *   text form            topic       key
 *   order-123            order       123          split at the first '-'
 *   order-a-b            order       a-b
 *   order-50%25          order       50%          bytes that can't stand in a name are %XX
 *   cart                 $streams    cart         no '-'
 *   my orders-1          $streams    my orders-1  what is before '-' is no legal topic name
 *   $$order-123          $metadata   order-123    the metadata of a stream
 *   $topics-order        $topics     order        system topics, for readers
 *
 * Any thread.
 */
#include "store/internal.h"

#define NAME_STREAMS "$streams"

static const char *const reserved_topics[] = {"__consumer_offsets", "__transaction_state",
                                              "_schemas"};

bool ms_topic_name_legal(struct ms_bytes name) {
    if (name.len == 0 || name.len > MS_TOPIC_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_' || c == '-';
        if (!legal)
            return false;
    }
    return !(name.len == 1 && name.data[0] == '.') &&
           !(name.len == 2 && name.data[0] == '.' && name.data[1] == '.');
}

bool ms_name_reserved(struct ms_bytes name) {
    if (name.len > 0 && name.data[0] == '$')
        return !(name.len > 1 && name.data[1] == '$');
    for (size_t i = 0; i < sizeof reserved_topics / sizeof reserved_topics[0]; i++) {
        struct ms_bytes reserved = ms_bytes_cstr(reserved_topics[i]);
        if (ms_bytes_starts_with(name, reserved) &&
            (name.len == reserved.len || name.data[reserved.len] == '-'))
            return true;
    }
    return false;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool escape_at(struct ms_bytes text, size_t i) {
    return text.data[i] == '%' && i + 2 < text.len && hex_digit(text.data[i + 1]) >= 0 &&
           hex_digit(text.data[i + 2]) >= 0;
}

/* %XX becomes the byte; a '%' that is no escape stands for itself. */
static int decode_key(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_key) {
    if (text.len == 0 || memchr(text.data, '%', text.len) == NULL) {
        *ret_key = text;
        return 0;
    }
    uint8_t *key = ms_arena_alloc(arena, text.len);
    if (key == NULL)
        return MS_ENOMEM;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (escape_at(text, i)) {
            key[len++] = (uint8_t)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2]));
            i += 2;
        } else {
            key[len++] = text.data[i];
        }
    }
    *ret_key = ms_bytes_of(key, len);
    return 0;
}

static bool printable(struct ms_bytes text) {
    if (!ms_utf8_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool c1 = c == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1)
            return false;
    }
    return true;
}

static int check_name(struct ms_bytes text, size_t name_max, struct ms_error *err) {
    if (text.len == 0)
        return ms_error_set(err, MS_EINVAL, "the stream's name is empty");
    if (text.len > name_max)
        return ms_error_set(err, MS_EINVAL, "the stream's name has %zu bytes, the limit is %zu",
                            text.len, name_max);
    if (!printable(text))
        return ms_error_set(
            err, MS_EINVAL,
            "the stream's name must be printable UTF-8, without control characters");
    return 0;
}

int ms_name_split(struct ms_bytes text, size_t name_max, struct ms_arena *arena,
                  struct ms_bytes *ret_topic_name, struct ms_bytes *ret_key, struct ms_error *err) {
    int rc = check_name(text, name_max, err);
    if (rc != 0)
        return rc;
    if (ms_bytes_starts_with(text, MS_BYTES_LITERAL("$$"))) {
        *ret_topic_name = MS_BYTES_LITERAL("$metadata");
        *ret_key = ms_bytes_of(text.data + 2, text.len - 2);
        return 0;
    }
    const uint8_t *dash = memchr(text.data, '-', text.len);
    struct ms_bytes prefix = ms_bytes_of(text.data, dash != NULL ? (size_t)(dash - text.data) : 0);
    struct ms_bytes bare = prefix;
    if (bare.len > 1 && bare.data[0] == '$')
        bare = ms_bytes_of(bare.data + 1, bare.len - 1);
    if (dash == NULL || !ms_topic_name_legal(bare)) {
        *ret_topic_name = MS_BYTES_LITERAL(NAME_STREAMS);
        *ret_key = text;
        return 0;
    }
    *ret_topic_name = prefix;
    rc = decode_key(ms_bytes_of(dash + 1, text.len - prefix.len - 1), arena, ret_key);
    return rc != 0 ? ms_error_set(err, rc, "no memory for a stream's name") : 0;
}

int ms_name_join(struct ms_bytes topic_name, struct ms_bytes key, struct ms_buf *out) {
    if (ms_bytes_equal_cstr(topic_name, NAME_STREAMS))
        return ms_buf_append_bytes(out, key);
    bool metadata = ms_bytes_equal_cstr(topic_name, "$metadata");
    int rc = metadata ? ms_buf_append_cstr(out, "$$") : ms_buf_append_bytes(out, topic_name);
    if (rc == 0 && !metadata)
        rc = ms_buf_append_u8(out, '-');
    bool plain =
        printable(key) && (metadata || key.len == 0 || memchr(key.data, '%', key.len) == NULL);
    if (rc == 0 && plain)
        return ms_buf_append_bytes(out, key);
    bool utf8 = printable(key);
    for (size_t i = 0; rc == 0 && i < key.len; i++) {
        uint8_t c = key.data[i];
        bool keep = c != '%' && c >= 0x20 && c != 0x7f && (c < 0x80 || utf8);
        rc = keep ? ms_buf_append_u8(out, c) : ms_buf_printf(out, "%%%02X", c);
    }
    return rc;
}

/* MurmurHash2, 32 bits, with the seed that Kafka's clients use. */
static uint32_t murmur2(struct ms_bytes key) {
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.len;
    size_t i = 0;
    for (; i + 4 <= key.len; i += 4) {
        uint32_t k;
        memcpy(&k, key.data + i, 4);
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    uint32_t rest = 0;
    for (size_t tail = key.len; tail > i; tail--)
        rest = rest << 8 | key.data[tail - 1];
    if (key.len > i)
        h = (h ^ rest) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

uint16_t ms_partition_of(struct ms_bytes key, uint16_t partitions) {
    if (partitions <= 1)
        return 0;
    return (uint16_t)((murmur2(key) & 0x7fffffff) % partitions);
}

struct ms_stream_id ms_stream_id_of(const struct ms_store *store, const struct ms_topic *topic,
                                    struct ms_bytes key) {
    struct ms_hash128 hash = ms_hash128_pair(ms_bytes_of(topic->id.bytes, sizeof topic->id.bytes),
                                             key, store->stream_seed);
    struct ms_stream_id id;
    memcpy(id.bytes, hash.bytes, sizeof id.bytes);
    return id;
}
