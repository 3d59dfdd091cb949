/*
 * Names of streams.
 *
 *   text form            topic       key
 *   order-123            order       123          split at the first '-'
 *   order-a-b            order       a-b
 *   order-50%25          order       50%          bytes that can't stand in a name are %XX
 *   my%2Dorder-1         my-order    1            a '-' of the topic's own is %2D
 *   cart                 $streams    cart         no '-'
 *   my orders-1          $streams    my orders-1  what is before '-' is no legal topic name
 *   $streams-order-1     $streams    order-1      a key that would be taken for a topic's
 *   $$order-123          $metadata   order-123    the metadata of a stream
 *   $topics-order        $topics     order        system topics, for readers
 *
 * Splitting takes more than one spelling of a pair (order-%2d and order--), joining always makes
 * the same one, and splitting that gives the pair back: it is the canonical name, in which streams
 * are shown, and under which what belongs to a stream (metadata, snapshots) is kept. In "$$S" any
 * spelling of S stands for the canonical one.
 *
 * Any thread.
 */
#include "store/internal.h"

#define NAME_STREAMS "$streams"
#define NAME_METADATA "$metadata"
#define SPELLING_MAX (MS_NAME_TEXT_MAX / 3) /* whatever is longer is too long under any limit */
/* Text that is not looked at further: a byte in the name of a snapshot's stream is %25XX, and
 * "$topics" has the longest topic's name whatever the limit. */
#define TEXT_MAX(name_max) ((name_max)*5 + 1024u)

static const char *const kafkas_topics[] = {"__consumer_offsets", "__transaction_state",
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

static bool names_metadata(struct ms_bytes text) {
    return ms_bytes_starts_with(text, MS_BYTES_LITERAL("$$"));
}

bool ms_name_topic(struct ms_bytes text, struct ms_name_topic *ret_topic) {
    const uint8_t *dash = text.len > 0 ? memchr(text.data, '-', text.len) : NULL;
    if (dash == NULL || names_metadata(text))
        return false;
    struct ms_name_topic topic = {.text_len = (size_t)(dash - text.data)};
    for (size_t i = 0; i < topic.text_len; i++) {
        if (topic.len == sizeof topic.bytes)
            return false;
        bool escaped = text.data[i] == '%' && i + 2 < topic.text_len && text.data[i + 1] == '2' &&
                       (text.data[i + 2] | 0x20) == 'd';
        topic.bytes[topic.len++] = escaped ? '-' : text.data[i];
        i += escaped ? 2 : 0;
    }
    size_t sigil = topic.len > 1 && topic.bytes[0] == '$';
    if (!ms_topic_name_legal(ms_bytes_of(topic.bytes + sigil, topic.len - sigil)))
        return false;
    *ret_topic = topic;
    return true;
}

struct ms_bytes ms_store_stream_topic(struct ms_bytes stream, uint8_t room[MS_STREAM_TOPIC_MAX]) {
    struct ms_name_topic topic;
    _Static_assert(sizeof topic.bytes == MS_STREAM_TOPIC_MAX, "the longest topic fits");
    if (names_metadata(stream))
        return ms_bytes_cstr(NAME_METADATA);
    if (!ms_name_topic(stream, &topic))
        return ms_bytes_cstr(NAME_STREAMS);
    memcpy(room, topic.bytes, topic.len);
    return ms_bytes_of(room, topic.len);
}

/* ---- whose they are ---- */

/* A topic's name as such, or with more behind a '-'. */
static int check_kafkas(struct ms_bytes topic_name, struct ms_error *err) {
    for (size_t i = 0; i < sizeof kafkas_topics / sizeof kafkas_topics[0]; i++) {
        struct ms_bytes kafkas = ms_bytes_cstr(kafkas_topics[i]);
        if (ms_bytes_starts_with(topic_name, kafkas) &&
            (topic_name.len == kafkas.len || topic_name.data[kafkas.len] == '-'))
            return ms_error_set(err, MS_ERESERVED,
                                "the topic name '%s', alone or before a '-', is reserved for "
                                "Kafka's clients",
                                kafkas_topics[i]);
    }
    return 0;
}

int ms_name_check_stream(struct ms_bytes stream, bool metadata, struct ms_error *err) {
    struct ms_name_topic topic;
    int shown = (int)(stream.len > 80 ? 80 : stream.len);
    if (names_metadata(stream))
        return metadata ? 0
                        : ms_error_set(err, MS_ERESERVED,
                                       "stream '%.*s': names beginning with '$$' hold the metadata "
                                       "of streams, which is put as metadata",
                                       shown, stream.data);
    if (stream.len > 0 && stream.data[0] == '$')
        return ms_error_set(err, MS_ERESERVED,
                            "stream '%.*s': names beginning with '$' are reserved for the system",
                            shown, stream.data);
    if (stream.len == 0 || stream.data[0] != '_')
        return 0;
    struct ms_bytes name = stream;
    if (ms_name_topic(stream, &topic))
        name = ms_bytes_of(topic.bytes, topic.len);
    int rc = check_kafkas(name, err);
    if (rc != 0)
        ms_error_prefix(err, "stream '%.*s'", shown, stream.data);
    return rc;
}

int ms_name_check_topic(struct ms_bytes topic_name, struct ms_error *err) {
    if (topic_name.len > 0 && topic_name.data[0] == '$' && !names_metadata(topic_name))
        return ms_error_set(err, MS_ERESERVED,
                            "topic '%.*s': names beginning with '$' are reserved for the system",
                            (int)(topic_name.len > 80 ? 80 : topic_name.len), topic_name.data);
    return check_kafkas(topic_name, err);
}

/* ---- splitting and joining ---- */

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

static int too_long(size_t len, size_t name_max, struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL, "the stream's name has %zu bytes, the limit is %zu", len,
                        name_max);
}

static int check_text(struct ms_bytes text, size_t name_max, struct ms_error *err) {
    if (text.len == 0)
        return ms_error_set(err, MS_EINVAL, "the stream's name is empty");
    if (text.len > TEXT_MAX(name_max))
        return too_long(text.len, name_max, err);
    if (!printable(text))
        return ms_error_set(
            err, MS_EINVAL,
            "the stream's name must be printable UTF-8, without control characters: in the name "
            "such bytes of a topic's key are written as %%XX");
    return 0;
}

/* A topic and the text of the key behind it. */
static int split_text(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *ret_topic_name,
                      struct ms_bytes *ret_key) {
    struct ms_name_topic topic;
    if (names_metadata(text)) {
        *ret_topic_name = MS_BYTES_LITERAL(NAME_METADATA);
        *ret_key = ms_bytes_of(text.data + 2, text.len - 2);
        return 0;
    }
    if (!ms_name_topic(text, &topic)) {
        *ret_topic_name = MS_BYTES_LITERAL(NAME_STREAMS);
        *ret_key = text;
        return 0;
    }
    *ret_topic_name = ms_bytes_of(text.data, topic.len);
    if (topic.len < topic.text_len) { /* it was escaped */
        char *copy = ms_arena_strdup(arena, ms_bytes_of(topic.bytes, topic.len));
        if (copy == NULL)
            return MS_ENOMEM;
        *ret_topic_name = ms_bytes_of(copy, topic.len);
    }
    size_t at = topic.text_len + 1;
    return decode_key(ms_bytes_of(text.data + at, text.len - at), arena, ret_key);
}

static int join_topic(struct ms_bytes topic_name, struct ms_buf *out) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < topic_name.len; i++)
        rc = topic_name.data[i] == '-' ? ms_buf_append_cstr(out, "%2D")
                                       : ms_buf_append_u8(out, topic_name.data[i]);
    return rc == 0 ? ms_buf_append_u8(out, '-') : rc;
}

static int join_key(struct ms_bytes key, bool keep_percent, struct ms_buf *out) {
    bool whole = printable(key);
    if (whole && (keep_percent || key.len == 0 || memchr(key.data, '%', key.len) == NULL))
        return ms_buf_append_bytes(out, key);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < key.len; i++) {
        uint8_t c = key.data[i];
        bool keep = c != '%' && c >= 0x20 && c != 0x7f && (c < 0x80 || whole);
        rc = keep ? ms_buf_append_u8(out, c) : ms_buf_printf(out, "%%%02X", c);
    }
    return rc;
}

/* A key of "$streams" that is a stream's name by itself. */
static bool is_whole_name(struct ms_bytes key) {
    struct ms_name_topic topic;
    return key.len > 0 && printable(key) && !ms_name_topic(key, &topic) && !names_metadata(key);
}

int ms_name_join(struct ms_bytes topic_name, struct ms_bytes key, struct ms_buf *out) {
    if (ms_bytes_equal_cstr(topic_name, NAME_STREAMS) && is_whole_name(key))
        return ms_buf_append_bytes(out, key);
    bool metadata = ms_bytes_equal_cstr(topic_name, NAME_METADATA);
    int rc = metadata ? ms_buf_append_cstr(out, "$$") : join_topic(topic_name, out);
    return rc == 0 ? join_key(key, metadata, out) : rc;
}

/* Without '%' and '$' there is one spelling only. */
static bool is_plain(struct ms_bytes text) {
    return text.len == 0 || (text.data[0] != '$' && memchr(text.data, '%', text.len) == NULL);
}

static int join_in_arena(struct ms_bytes topic_name, struct ms_bytes key, struct ms_arena *arena,
                         struct ms_bytes *ret_name) {
    struct ms_buf name;
    ms_buf_init(&name, MS_NAME_TEXT_MAX);
    char *copy = NULL;
    if (ms_name_join(topic_name, key, &name) == 0)
        copy = ms_arena_strdup(arena, ms_buf_bytes(&name));
    if (copy != NULL)
        *ret_name = ms_bytes_of(copy, name.len);
    ms_buf_deinit(&name);
    return copy != NULL ? 0 : MS_ENOMEM;
}

/* The key of a stream's metadata: that stream's canonical name. Metadata has none of its own. */
static int metadata_key(struct ms_arena *arena, struct ms_bytes *key) {
    struct ms_bytes topic_name, inner;
    if (is_plain(*key) || names_metadata(*key))
        return 0;
    int rc = split_text(*key, arena, &topic_name, &inner);
    return rc == 0 ? join_in_arena(topic_name, inner, arena, key) : rc;
}

/* Escapes don't count, so that whatever topic and key fit have a text form. */
static size_t decoded_length(struct ms_bytes topic_name, struct ms_bytes key) {
    return ms_bytes_equal_cstr(topic_name, NAME_STREAMS) ? key.len : topic_name.len + 1 + key.len;
}

/* Names that hold another's are as long as that one is. */
static int check_length(struct ms_bytes topic_name, struct ms_bytes key, size_t name_max,
                        struct ms_arena *arena, struct ms_error *err) {
    if (ms_bytes_equal_cstr(topic_name, "$topics"))
        return 0;
    bool holds = ms_bytes_equal_cstr(topic_name, NAME_METADATA) ||
                 ms_bytes_equal_cstr(topic_name, "$snapshots");
    if (holds && split_text(key, arena, &topic_name, &key) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    size_t len = decoded_length(topic_name, key);
    return len > name_max ? too_long(len, name_max, err) : 0;
}

int ms_name_split(struct ms_bytes text, size_t name_max, struct ms_arena *arena,
                  struct ms_bytes *ret_topic_name, struct ms_bytes *ret_key, struct ms_error *err) {
    struct ms_bytes topic_name, key;
    int rc = check_text(text, name_max, err);
    if (rc != 0)
        return rc;
    rc = split_text(text, arena, &topic_name, &key);
    if (rc == 0 && names_metadata(text))
        rc = metadata_key(arena, &key);
    if (rc != 0)
        return ms_error_set(err, rc, "no memory for a stream's name");
    rc = check_length(topic_name, key, name_max, arena, err);
    if (rc == 0) {
        *ret_topic_name = topic_name;
        *ret_key = key;
    }
    return rc;
}

int ms_store_stream_name(struct ms_bytes topic, struct ms_bytes key, struct ms_buf *out,
                         struct ms_error *err) {
    size_t sigil = topic.len > 1 && topic.data[0] == '$';
    if (!ms_topic_name_legal(ms_bytes_of(topic.data + sigil, topic.len - sigil)))
        return ms_error_set(err, MS_EINVAL, MS_TOPIC_NAME_ILLEGAL,
                            (int)(topic.len > 80 ? 80 : topic.len), topic.data);
    int rc = ms_name_join(topic, key, out);
    return rc == 0 ? 0 : ms_error_set(err, rc, "no memory for a stream's name");
}

int ms_store_canonical_name(struct ms_bytes stream, struct ms_arena *arena,
                            struct ms_bytes *ret_name, struct ms_error *err) {
    struct ms_bytes topic_name, key, name = stream;
    int rc = 0;
    if (!is_plain(stream) && stream.len <= SPELLING_MAX) {
        rc = ms_name_split(stream, MS_NAME_TEXT_MAX, arena, &topic_name, &key, err);
        if (rc == 0 && join_in_arena(topic_name, key, arena, &name) != 0)
            rc = ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    }
    if (rc == 0)
        *ret_name = name;
    return rc;
}

int ms_name_canonical(struct ms_store *store, struct ms_bytes text, struct ms_buf *out,
                      struct ms_error *err) {
    struct ms_arena arena;
    struct ms_bytes topic_name, key;
    ms_arena_init(&arena, MS_NAME_ARENA_MAX);
    int rc = ms_name_split(text, ms_name_bytes_max(store), &arena, &topic_name, &key, err);
    if (rc == 0 && ms_name_join(topic_name, key, out) != 0)
        rc = ms_error_set(err, MS_ENOMEM, "no memory for a stream's name");
    ms_arena_deinit(&arena);
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
