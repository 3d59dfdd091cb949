/* Keys and values of `__transaction_state`; record.h has the table of bytes. Any thread. */
#include "txn/record.h"

#include "base/endian.h"
#include "base/varint.h"

enum {
    KEY_ID = 0,
    KEY_PRODUCER_IDS = 100,
    KEY_PENDING = 101,
    VALUE_OLD = 0,
    VALUE_FLEXIBLE = 1,
    VALUE_OWN = 0, /* of our own kinds */
    TAG_PREVIOUS_PRODUCER = 0,
    TAG_PREVIOUS_EPOCH = 100,
};

/* ---- writing ---- */

static int put_i16(struct ms_buf *out, int16_t value) {
    uint8_t bytes[2];
    ms_put_be16(bytes, (uint16_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static int put_i32(struct ms_buf *out, int32_t value) {
    uint8_t bytes[4];
    ms_put_be32(bytes, (uint32_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static int put_i64(struct ms_buf *out, int64_t value) {
    uint8_t bytes[8];
    ms_put_be64(bytes, (uint64_t)value);
    return ms_buf_append(out, bytes, sizeof bytes);
}

static int put_uvarint(struct ms_buf *out, uint64_t value) {
    uint8_t bytes[MS_VARINT64_MAX_BYTES];
    return ms_buf_append(out, bytes, ms_uvarint_put(bytes, value));
}

int ms_txn_id_key_write(struct ms_buf *out, struct ms_bytes id) {
    if (id.len > INT16_MAX)
        return MS_ETOOBIG;
    int rc = put_i16(out, KEY_ID);
    if (rc == 0)
        rc = put_i16(out, (int16_t)id.len);
    return rc != 0 ? rc : ms_buf_append_bytes(out, id);
}

int ms_txn_value_begin(struct ms_buf *out, const struct ms_txn_value *value) {
    int rc = put_i16(out, VALUE_FLEXIBLE);
    if (rc == 0)
        rc = put_i64(out, value->producer_id);
    if (rc == 0)
        rc = put_i16(out, value->epoch);
    if (rc == 0)
        rc = put_i32(out, value->timeout_ms);
    if (rc == 0)
        rc = ms_buf_append_u8(out, value->state);
    return rc != 0 ? rc : put_uvarint(out, (uint64_t)value->topic_count + 1);
}

int ms_txn_value_topic(struct ms_buf *out, struct ms_bytes topic, uint32_t count) {
    int rc = put_uvarint(out, (uint64_t)topic.len + 1);
    if (rc == 0)
        rc = ms_buf_append_bytes(out, topic);
    return rc != 0 ? rc : put_uvarint(out, (uint64_t)count + 1);
}

int ms_txn_value_partition(struct ms_buf *out, int32_t partition) {
    return put_i32(out, partition);
}

int ms_txn_value_topic_end(struct ms_buf *out) { return put_uvarint(out, 0); }

int ms_txn_value_end(struct ms_buf *out, const struct ms_txn_value *value) {
    bool has_previous = value->previous_producer_id >= 0;
    int rc = put_i64(out, value->changed_ms);
    if (rc == 0)
        rc = put_i64(out, value->started_ms);
    if (rc == 0)
        rc = put_uvarint(out, has_previous ? 2 : 0);
    if (rc != 0 || !has_previous)
        return rc;
    rc = put_uvarint(out, TAG_PREVIOUS_PRODUCER);
    if (rc == 0)
        rc = put_uvarint(out, 8);
    if (rc == 0)
        rc = put_i64(out, value->previous_producer_id);
    if (rc == 0)
        rc = put_uvarint(out, TAG_PREVIOUS_EPOCH);
    if (rc == 0)
        rc = put_uvarint(out, 2);
    return rc != 0 ? rc : put_i16(out, value->previous_epoch);
}

int ms_txn_ids_key_write(struct ms_buf *out) { return put_i16(out, KEY_PRODUCER_IDS); }

int ms_txn_ids_value_write(struct ms_buf *out, int64_t next) {
    int rc = put_i16(out, VALUE_OWN);
    return rc != 0 ? rc : put_i64(out, next);
}

int ms_txn_pending_key_write(struct ms_buf *out, int64_t producer_id, struct ms_bytes offset_key) {
    int rc = put_i16(out, KEY_PENDING);
    if (rc == 0)
        rc = put_i64(out, producer_id);
    return rc != 0 ? rc : ms_buf_append_bytes(out, offset_key);
}

int ms_txn_pending_value_write(struct ms_buf *out, const struct ms_txn_pending_value *value) {
    int rc = put_i16(out, VALUE_OWN);
    if (rc == 0)
        rc = put_i16(out, value->epoch);
    if (rc == 0)
        rc = put_i64(out, value->started_ms);
    return rc != 0 ? rc : ms_buf_append_bytes(out, value->offset_value);
}

/* ---- reading: after an overrun everything is 0 and `bad` stays ---- */

struct reader {
    struct ms_bytes rest;
    bool bad;
    bool flexible;
};

static const uint8_t *take(struct reader *reader, size_t len) {
    static const uint8_t zeros[8];
    if (reader->bad || len > reader->rest.len) {
        reader->bad = true;
        return zeros;
    }
    const uint8_t *at = reader->rest.data;
    if (len > 0)
        reader->rest = ms_bytes_of(at + len, reader->rest.len - len);
    return at;
}

static int16_t take_i16(struct reader *reader) { return (int16_t)ms_get_be16(take(reader, 2)); }
static int32_t take_i32(struct reader *reader) { return (int32_t)ms_get_be32(take(reader, 4)); }
static int64_t take_i64(struct reader *reader) { return (int64_t)ms_get_be64(take(reader, 8)); }

static uint64_t take_uvarint(struct reader *reader) {
    uint64_t value = 0;
    int n = reader->bad ? -1 : ms_uvarint_get(reader->rest.data, reader->rest.len, &value);
    if (n <= 0) {
        reader->bad = true;
        return 0;
    }
    (void)take(reader, (size_t)n);
    return value;
}

static struct ms_bytes take_bytes(struct reader *reader, uint64_t len) {
    if (len > reader->rest.len)
        reader->bad = true;
    const uint8_t *at = reader->bad ? NULL : take(reader, (size_t)len);
    return ms_bytes_of(at, reader->bad ? 0 : (size_t)len);
}

static struct ms_bytes take_string(struct reader *reader) {
    uint64_t len;
    if (reader->flexible) {
        len = take_uvarint(reader);
        reader->bad = reader->bad || len == 0;
        return take_bytes(reader, reader->bad ? 0 : len - 1);
    }
    int16_t short_len = take_i16(reader);
    reader->bad = reader->bad || short_len < 0;
    return take_bytes(reader, reader->bad ? 0 : (uint64_t)short_len);
}

/* Of elements that have at least `element_min` bytes each. */
static uint32_t take_count(struct reader *reader, size_t element_min) {
    uint64_t count;
    if (reader->flexible) {
        count = take_uvarint(reader);
        count -= count > 0; /* null is none */
    } else {
        int32_t signed_count = take_i32(reader);
        reader->bad = reader->bad || signed_count < -1;
        count = signed_count > 0 ? (uint64_t)signed_count : 0;
    }
    if (count > reader->rest.len / element_min)
        reader->bad = true;
    return reader->bad ? 0 : (uint32_t)count;
}

static void skip_tags(struct reader *reader) {
    if (!reader->flexible)
        return;
    for (uint64_t left = take_uvarint(reader); left > 0 && !reader->bad; left--) {
        (void)take_uvarint(reader);
        (void)take_bytes(reader, take_uvarint(reader));
    }
}

static struct ms_txn_topic_value take_topic(struct reader *reader) {
    struct ms_txn_topic_value topic = {.topic = take_string(reader)};
    topic.partition_count = take_count(reader, 4);
    topic.partitions = take_bytes(reader, 4 * (uint64_t)topic.partition_count);
    reader->bad = reader->bad || topic.topic.len == 0;
    for (uint32_t i = 0; !reader->bad && i < topic.partition_count; i++)
        reader->bad = ms_txn_topic_partition(&topic, i) < 0;
    skip_tags(reader);
    return topic;
}

static void take_value_tags(struct reader *reader, struct ms_txn_value *value) {
    for (uint64_t left = take_uvarint(reader); left > 0 && !reader->bad; left--) {
        uint64_t tag = take_uvarint(reader);
        struct reader field = {.rest = take_bytes(reader, take_uvarint(reader))};
        if (tag == TAG_PREVIOUS_PRODUCER)
            value->previous_producer_id = take_i64(&field);
        else if (tag == TAG_PREVIOUS_EPOCH)
            value->previous_epoch = take_i16(&field);
        reader->bad = reader->bad || field.bad;
    }
}

int ms_txn_value_read(struct ms_bytes bytes, struct ms_txn_value *ret_value) {
    struct reader reader = {.rest = bytes};
    struct ms_txn_value value = {.previous_producer_id = -1, .previous_epoch = -1};
    value.version = take_i16(&reader);
    if (value.version != VALUE_OLD && value.version != VALUE_FLEXIBLE)
        return MS_EINVAL;
    reader.flexible = value.version == VALUE_FLEXIBLE;
    value.producer_id = take_i64(&reader);
    value.epoch = take_i16(&reader);
    value.timeout_ms = take_i32(&reader);
    value.state = *take(&reader, 1);
    value.topic_count = take_count(&reader, 3);
    const uint8_t *topics = reader.rest.data;
    for (uint32_t i = 0; i < value.topic_count && !reader.bad; i++)
        (void)take_topic(&reader);
    if (!reader.bad && value.topic_count > 0)
        value.topics = ms_bytes_of(topics, (size_t)(reader.rest.data - topics));
    value.changed_ms = take_i64(&reader);
    value.started_ms = take_i64(&reader);
    if (reader.flexible)
        take_value_tags(&reader, &value);
    bool known = value.state <= 1 || value.state == 4 || value.state == 5;
    bool timed = value.timeout_ms > 0 && value.changed_ms >= -1 && value.started_ms >= -1;
    if (reader.bad || !known || !timed || value.producer_id < 0 || value.epoch < 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

bool ms_txn_topic_next(struct ms_txn_value *value, struct ms_txn_topic_value *ret_topic) {
    if (value->topic_count == 0)
        return false;
    struct reader reader = {.rest = value->topics, .flexible = value->version == VALUE_FLEXIBLE};
    *ret_topic = take_topic(&reader);
    MS_ASSERT(!reader.bad); /* ms_txn_value_read has seen it */
    value->topics = reader.rest;
    value->topic_count--;
    return true;
}

int ms_txn_key_read(struct ms_bytes bytes, struct ms_txn_key *ret_key) {
    struct reader reader = {.rest = bytes};
    struct ms_txn_key key = {.kind = MS_TXN_KEY_OTHER, .producer_id = -1};
    int16_t version = take_i16(&reader);
    if (version == KEY_ID) {
        key.kind = MS_TXN_KEY_ID;
        key.id = take_string(&reader);
        reader.bad = reader.bad || key.id.len == 0;
    } else if (version == KEY_PRODUCER_IDS) {
        key.kind = MS_TXN_KEY_PRODUCER_IDS;
    } else if (version == KEY_PENDING) {
        key.kind = MS_TXN_KEY_PENDING;
        key.producer_id = take_i64(&reader);
        key.offset_key = reader.rest;
        reader.bad = reader.bad || key.producer_id < 0 || key.offset_key.len == 0;
    }
    if (reader.bad)
        return MS_EINVAL;
    *ret_key = key;
    return 0;
}

int ms_txn_ids_value_read(struct ms_bytes bytes, int64_t *ret_next) {
    struct reader reader = {.rest = bytes};
    int16_t version = take_i16(&reader);
    int64_t next = take_i64(&reader);
    if (reader.bad || version != VALUE_OWN || next < 0)
        return MS_EINVAL;
    *ret_next = next;
    return 0;
}

int ms_txn_pending_value_read(struct ms_bytes bytes, struct ms_txn_pending_value *ret_value) {
    struct reader reader = {.rest = bytes};
    int16_t version = take_i16(&reader);
    struct ms_txn_pending_value value = {.epoch = take_i16(&reader)};
    value.started_ms = take_i64(&reader);
    value.offset_value = reader.rest;
    if (reader.bad || version != VALUE_OWN || value.started_ms < -1)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}
