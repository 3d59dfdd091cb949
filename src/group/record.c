/* Keys and values of `__consumer_offsets`; record.h has the table of bytes. Any thread. */
#include "group/record.h"

#include "base/endian.h"
#include "base/varint.h"

enum {
    OFFSET_KEY_VERSION = 1,
    GROUP_KEY_VERSION = 2,
    VALUE_VERSION_EXPIRING = 1,
    VALUE_VERSION = 3,
    VALUE_VERSION_FLEXIBLE = 4,
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

static int put_string(struct ms_buf *out, struct ms_bytes text) {
    if (text.len > INT16_MAX)
        return MS_ETOOBIG;
    int rc = put_i16(out, (int16_t)text.len);
    return rc != 0 ? rc : ms_buf_append_bytes(out, text);
}

static int put_string_or_null(struct ms_buf *out, struct ms_bytes text) {
    return text.len == 0 ? put_i16(out, -1) : put_string(out, text);
}

static int put_bytes(struct ms_buf *out, struct ms_bytes bytes) {
    if (bytes.len > INT32_MAX)
        return MS_ETOOBIG;
    int rc = put_i32(out, (int32_t)bytes.len);
    return rc != 0 ? rc : ms_buf_append_bytes(out, bytes);
}

int ms_offset_key_write(struct ms_buf *out, struct ms_bytes group, struct ms_bytes topic,
                        int32_t partition) {
    int rc = put_i16(out, OFFSET_KEY_VERSION);
    if (rc == 0)
        rc = put_string(out, group);
    if (rc == 0)
        rc = put_string(out, topic);
    return rc != 0 ? rc : put_i32(out, partition);
}

int ms_offset_value_write(struct ms_buf *out, const struct ms_offset_value *value) {
    bool expires = value->expire_time_ms >= 0;
    int rc = put_i16(out, expires ? VALUE_VERSION_EXPIRING : VALUE_VERSION);
    if (rc == 0)
        rc = put_i64(out, value->offset);
    if (rc == 0 && !expires)
        rc = put_i32(out, value->leader_epoch);
    if (rc == 0)
        rc = put_string(out, value->metadata);
    if (rc == 0)
        rc = put_i64(out, value->commit_time_ms);
    return rc != 0 || !expires ? rc : put_i64(out, value->expire_time_ms);
}

int ms_group_key_write(struct ms_buf *out, struct ms_bytes group) {
    int rc = put_i16(out, GROUP_KEY_VERSION);
    return rc != 0 ? rc : put_string(out, group);
}

int ms_group_value_write(struct ms_buf *out, const struct ms_group_value *value) {
    int rc = put_i16(out, VALUE_VERSION);
    if (rc == 0)
        rc = put_string(out, value->protocol_type);
    if (rc == 0)
        rc = put_i32(out, value->generation);
    if (rc == 0)
        rc = put_string_or_null(out, value->protocol_name);
    if (rc == 0)
        rc = put_string_or_null(out, value->leader_id);
    if (rc == 0)
        rc = put_i64(out, value->state_time_ms);
    return rc != 0 ? rc : put_i32(out, (int32_t)value->member_count);
}

int ms_member_value_write(struct ms_buf *out, const struct ms_member_value *value) {
    int rc = put_string(out, value->member_id);
    if (rc == 0)
        rc = put_string_or_null(out, value->instance_id);
    if (rc == 0)
        rc = put_string(out, value->client_id);
    if (rc == 0)
        rc = put_string(out, value->client_host);
    if (rc == 0)
        rc = put_i32(out, value->rebalance_timeout_ms);
    if (rc == 0)
        rc = put_i32(out, value->session_timeout_ms);
    if (rc == 0)
        rc = put_bytes(out, value->subscription);
    return rc != 0 ? rc : put_bytes(out, value->assignment);
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

/* Length of what follows, whose plain form has an i16 (`wide`: i32) of it; -1 for null. */
static int64_t take_length(struct reader *reader, bool wide) {
    if (reader->flexible) {
        uint64_t raw = take_uvarint(reader);
        reader->bad |= raw > INT32_MAX;
        return reader->bad ? -1 : (int64_t)raw - 1;
    }
    return wide ? take_i32(reader) : take_i16(reader);
}

static struct ms_bytes take_sized(struct reader *reader, bool wide, bool nullable) {
    int64_t len = take_length(reader, wide);
    if (len < 0) {
        reader->bad |= len != -1 || !nullable;
        return (struct ms_bytes){0};
    }
    const uint8_t *at = take(reader, (size_t)len);
    return reader->bad ? (struct ms_bytes){0} : ms_bytes_of(at, (size_t)len);
}

static struct ms_bytes take_string(struct reader *reader) {
    return take_sized(reader, false, false);
}
static struct ms_bytes take_string_or_null(struct reader *reader) {
    return take_sized(reader, false, true);
}
static struct ms_bytes take_bytes(struct reader *reader) { return take_sized(reader, true, true); }

static void skip_tags(struct reader *reader) {
    if (!reader->flexible)
        return;
    for (uint64_t count = take_uvarint(reader); count > 0 && !reader->bad; count--) {
        (void)take_uvarint(reader);
        uint64_t size = take_uvarint(reader);
        if (size > reader->rest.len)
            reader->bad = true;
        (void)take(reader, reader->bad ? 0 : (size_t)size);
    }
}

int ms_group_key_read(struct ms_bytes bytes, struct ms_group_key *ret_key) {
    struct reader reader = {.rest = bytes};
    struct ms_group_key key = {.kind = MS_GROUP_KEY_OTHER};
    int16_t version = take_i16(&reader);
    if (!reader.bad && version > GROUP_KEY_VERSION) {
        *ret_key = key;
        return 0;
    }
    key.kind = version == GROUP_KEY_VERSION ? MS_GROUP_KEY_GROUP : MS_GROUP_KEY_OFFSET;
    key.group = take_string(&reader);
    if (key.kind == MS_GROUP_KEY_OFFSET) {
        key.topic = take_string(&reader);
        key.partition = take_i32(&reader);
    }
    if (reader.bad || version < 0 || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_key = key;
    return 0;
}

int ms_offset_value_read(struct ms_bytes bytes, struct ms_offset_value *ret_value) {
    struct reader reader = {.rest = bytes};
    struct ms_offset_value value = {.leader_epoch = -1, .expire_time_ms = -1};
    int16_t version = take_i16(&reader);
    reader.flexible = version >= VALUE_VERSION_FLEXIBLE;
    value.offset = take_i64(&reader);
    if (version >= VALUE_VERSION)
        value.leader_epoch = take_i32(&reader);
    value.metadata = take_string(&reader);
    value.commit_time_ms = take_i64(&reader);
    if (version == VALUE_VERSION_EXPIRING)
        value.expire_time_ms = take_i64(&reader);
    skip_tags(&reader);
    if (reader.bad || version < 0 || version > VALUE_VERSION_FLEXIBLE || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

static void take_member(struct reader *reader, int16_t version, struct ms_member_value *member) {
    *member = (struct ms_member_value){.member_id = take_string(reader)};
    if (version >= 3)
        member->instance_id = take_string_or_null(reader);
    member->client_id = take_string(reader);
    member->client_host = take_string(reader);
    int32_t rebalance_timeout_ms = version >= 1 ? take_i32(reader) : -1;
    member->session_timeout_ms = take_i32(reader);
    member->rebalance_timeout_ms = version >= 1 ? rebalance_timeout_ms : member->session_timeout_ms;
    member->subscription = take_bytes(reader);
    member->assignment = take_bytes(reader);
    skip_tags(reader);
}

int ms_group_value_read(struct ms_bytes bytes, struct ms_group_value *ret_value) {
    struct reader reader = {.rest = bytes};
    struct ms_group_value value = {.version = take_i16(&reader), .state_time_ms = -1};
    reader.flexible = value.version >= VALUE_VERSION_FLEXIBLE;
    value.protocol_type = take_string(&reader);
    value.generation = take_i32(&reader);
    value.protocol_name = take_string_or_null(&reader);
    value.leader_id = take_string_or_null(&reader);
    if (value.version >= 2)
        value.state_time_ms = take_i64(&reader);
    int64_t count = take_length(&reader, true);
    if (reader.bad || value.version < 0 || value.version > VALUE_VERSION_FLEXIBLE || count < 0)
        return MS_EINVAL;
    const uint8_t *members = reader.rest.data;
    struct ms_member_value member;
    for (int64_t i = 0; i < count && !reader.bad; i++)
        take_member(&reader, value.version, &member);
    value.member_count = (uint32_t)count;
    value.members = ms_bytes_of(members, reader.bad ? 0 : (size_t)(reader.rest.data - members));
    skip_tags(&reader);
    if (reader.bad || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

bool ms_group_member_next(struct ms_group_value *value, struct ms_member_value *ret_member) {
    if (value->member_count == 0)
        return false;
    struct reader reader = {.rest = value->members,
                            .flexible = value->version >= VALUE_VERSION_FLEXIBLE};
    take_member(&reader, value->version, ret_member);
    MS_ASSERT(!reader.bad);
    value->members = reader.rest;
    value->member_count--;
    return true;
}

/* ---- subscriptions: i16 version | array of string topics | … ---- */

struct topics {
    struct reader reader;
    int32_t left;
};

static bool topics_begin(struct topics *topics, struct ms_bytes subscription) {
    topics->reader = (struct reader){.rest = subscription};
    int16_t version = take_i16(&topics->reader);
    topics->left = take_i32(&topics->reader);
    return !topics->reader.bad && version >= 0 && topics->left >= 0;
}

static bool topics_next(struct topics *topics, struct ms_bytes *ret_topic) {
    if (topics->left == 0)
        return false;
    topics->left--;
    *ret_topic = take_string(&topics->reader);
    return !topics->reader.bad;
}

bool ms_subscription_names(struct ms_bytes subscription, struct ms_bytes topic) {
    struct topics topics;
    struct ms_bytes name;
    if (!topics_begin(&topics, subscription))
        return true;
    while (topics_next(&topics, &name))
        if (ms_bytes_equal(name, topic))
            return true;
    return topics.reader.bad;
}

/* Every topic of `a`, which must be readable, is in `b`. */
static bool is_part_of(struct ms_bytes a, struct ms_bytes b) {
    struct topics topics, probe;
    struct ms_bytes name;
    if (!topics_begin(&topics, a) || !topics_begin(&probe, b))
        return false;
    while (topics_next(&topics, &name))
        if (!ms_subscription_names(b, name))
            return false;
    return !topics.reader.bad;
}

bool ms_subscriptions_same(struct ms_bytes a, struct ms_bytes b) {
    if (a.len > 1u << 16 || b.len > 1u << 16) /* every pair of topics is compared */
        return ms_bytes_equal(a, b);
    return is_part_of(a, b) && is_part_of(b, a);
}
