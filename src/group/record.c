/* Keys and values of `__consumer_offsets`; record.h has the table of bytes. Any thread. */
#include "group/record.h"

#include "group/consumer_record.h"
#include "group/fields.h"

enum {
    OFFSET_KEY_VERSION = 1,
    GROUP_KEY_VERSION = 2,
    VALUE_VERSION_EXPIRING = 1,
    VALUE_VERSION = 3,
    VALUE_VERSION_FLEXIBLE = 4,
};

/* ---- writing ---- */

int ms_offset_key_write(struct ms_buf *out, struct ms_bytes group, struct ms_bytes topic,
                        int32_t partition) {
    int rc = ms_put_i16(out, OFFSET_KEY_VERSION);
    if (rc == 0)
        rc = ms_put_string(out, group);
    if (rc == 0)
        rc = ms_put_string(out, topic);
    return rc != 0 ? rc : ms_put_i32(out, partition);
}

int ms_offset_value_write(struct ms_buf *out, const struct ms_offset_value *value) {
    bool expires = value->expire_time_ms >= 0;
    int rc = ms_put_i16(out, expires ? VALUE_VERSION_EXPIRING : VALUE_VERSION);
    if (rc == 0)
        rc = ms_put_i64(out, value->offset);
    if (rc == 0 && !expires)
        rc = ms_put_i32(out, value->leader_epoch);
    if (rc == 0)
        rc = ms_put_string(out, value->metadata);
    if (rc == 0)
        rc = ms_put_i64(out, value->commit_time_ms);
    return rc != 0 || !expires ? rc : ms_put_i64(out, value->expire_time_ms);
}

int ms_group_key_write(struct ms_buf *out, struct ms_bytes group) {
    int rc = ms_put_i16(out, GROUP_KEY_VERSION);
    return rc != 0 ? rc : ms_put_string(out, group);
}

int ms_group_value_write(struct ms_buf *out, const struct ms_group_value *value) {
    int rc = ms_put_i16(out, VALUE_VERSION);
    if (rc == 0)
        rc = ms_put_string(out, value->protocol_type);
    if (rc == 0)
        rc = ms_put_i32(out, value->generation);
    if (rc == 0)
        rc = ms_put_string_or_null(out, value->protocol_name);
    if (rc == 0)
        rc = ms_put_string_or_null(out, value->leader_id);
    if (rc == 0)
        rc = ms_put_i64(out, value->state_time_ms);
    return rc != 0 ? rc : ms_put_i32(out, (int32_t)value->member_count);
}

int ms_member_value_write(struct ms_buf *out, const struct ms_member_value *value) {
    int rc = ms_put_string(out, value->member_id);
    if (rc == 0)
        rc = ms_put_string_or_null(out, value->instance_id);
    if (rc == 0)
        rc = ms_put_string(out, value->client_id);
    if (rc == 0)
        rc = ms_put_string(out, value->client_host);
    if (rc == 0)
        rc = ms_put_i32(out, value->rebalance_timeout_ms);
    if (rc == 0)
        rc = ms_put_i32(out, value->session_timeout_ms);
    if (rc == 0)
        rc = ms_put_bytes(out, value->subscription);
    return rc != 0 ? rc : ms_put_bytes(out, value->assignment);
}

/* ---- reading ---- */

static enum ms_group_key_kind kind_of(int16_t version) {
    static const enum ms_group_key_kind kinds[] = {
        [0] = MS_GROUP_KEY_OFFSET,
        [OFFSET_KEY_VERSION] = MS_GROUP_KEY_OFFSET,
        [GROUP_KEY_VERSION] = MS_GROUP_KEY_GROUP,
        [MS_CONSUMER_GROUP_KEY] = MS_GROUP_KEY_CONSUMER_GROUP,
        [MS_CONSUMER_PARTITIONS_KEY] = MS_GROUP_KEY_OTHER,
        [MS_CONSUMER_KEY] = MS_GROUP_KEY_CONSUMER,
        [MS_CONSUMER_TARGET_EPOCH_KEY] = MS_GROUP_KEY_CONSUMER_TARGET_EPOCH,
        [MS_CONSUMER_TARGET_KEY] = MS_GROUP_KEY_CONSUMER_TARGET,
        [MS_CONSUMER_CURRENT_KEY] = MS_GROUP_KEY_CONSUMER_CURRENT,
    };
    return (size_t)version < sizeof kinds / sizeof *kinds ? kinds[version] : MS_GROUP_KEY_OTHER;
}

int ms_group_key_read(struct ms_bytes bytes, struct ms_group_key *ret_key) {
    struct ms_reader reader = {.rest = bytes};
    struct ms_group_key key = {.kind = MS_GROUP_KEY_OTHER};
    int16_t version = ms_take_i16(&reader);
    if (reader.bad || version < 0)
        return MS_EINVAL;
    key.kind = kind_of(version);
    if (key.kind == MS_GROUP_KEY_OTHER) {
        *ret_key = key;
        return 0;
    }
    key.group = ms_take_string(&reader);
    if (key.kind == MS_GROUP_KEY_OFFSET) {
        key.topic = ms_take_string(&reader);
        key.partition = ms_take_i32(&reader);
    }
    if (key.kind == MS_GROUP_KEY_CONSUMER || key.kind == MS_GROUP_KEY_CONSUMER_TARGET ||
        key.kind == MS_GROUP_KEY_CONSUMER_CURRENT)
        key.member_id = ms_take_string(&reader);
    if (reader.bad || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_key = key;
    return 0;
}

int ms_offset_value_read(struct ms_bytes bytes, struct ms_offset_value *ret_value) {
    struct ms_reader reader = {.rest = bytes};
    struct ms_offset_value value = {.leader_epoch = -1, .expire_time_ms = -1};
    int16_t version = ms_take_i16(&reader);
    reader.flexible = version >= VALUE_VERSION_FLEXIBLE;
    value.offset = ms_take_i64(&reader);
    if (version >= VALUE_VERSION)
        value.leader_epoch = ms_take_i32(&reader);
    value.metadata = ms_take_string(&reader);
    value.commit_time_ms = ms_take_i64(&reader);
    if (version == VALUE_VERSION_EXPIRING) {
        int64_t expire_time_ms = ms_take_i64(&reader);
        value.expire_time_ms = expire_time_ms < 0 ? -1 : expire_time_ms;
    }
    ms_skip_tags(&reader);
    if (reader.bad || version < 0 || version > VALUE_VERSION_FLEXIBLE || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

static void take_member(struct ms_reader *reader, int16_t version, struct ms_member_value *member) {
    *member = (struct ms_member_value){.member_id = ms_take_string(reader)};
    if (version >= 3)
        member->instance_id = ms_take_string_or_null(reader);
    member->client_id = ms_take_string(reader);
    member->client_host = ms_take_string(reader);
    int32_t rebalance_timeout_ms = version >= 1 ? ms_take_i32(reader) : -1;
    member->session_timeout_ms = ms_take_i32(reader);
    member->rebalance_timeout_ms = version >= 1 ? rebalance_timeout_ms : member->session_timeout_ms;
    member->subscription = ms_take_bytes(reader);
    member->assignment = ms_take_bytes(reader);
    ms_skip_tags(reader);
}

int ms_group_value_read(struct ms_bytes bytes, struct ms_group_value *ret_value) {
    struct ms_reader reader = {.rest = bytes};
    struct ms_group_value value = {.version = ms_take_i16(&reader), .state_time_ms = -1};
    reader.flexible = value.version >= VALUE_VERSION_FLEXIBLE;
    value.protocol_type = ms_take_string(&reader);
    value.generation = ms_take_i32(&reader);
    value.protocol_name = ms_take_string_or_null(&reader);
    value.leader_id = ms_take_string_or_null(&reader);
    if (value.version >= 2)
        value.state_time_ms = ms_take_i64(&reader);
    int64_t count = ms_take_length(&reader, true);
    if (reader.bad || value.version < 0 || value.version > VALUE_VERSION_FLEXIBLE || count < 0)
        return MS_EINVAL;
    const uint8_t *members = reader.rest.data;
    struct ms_member_value member;
    for (int64_t i = 0; i < count && !reader.bad; i++)
        take_member(&reader, value.version, &member);
    value.member_count = (uint32_t)count;
    value.members = ms_bytes_of(members, reader.bad ? 0 : (size_t)(reader.rest.data - members));
    ms_skip_tags(&reader);
    if (reader.bad || reader.rest.len != 0)
        return MS_EINVAL;
    *ret_value = value;
    return 0;
}

bool ms_group_member_next(struct ms_group_value *value, struct ms_member_value *ret_member) {
    if (value->member_count == 0)
        return false;
    struct ms_reader reader = {.rest = value->members,
                               .flexible = value->version >= VALUE_VERSION_FLEXIBLE};
    take_member(&reader, value->version, ret_member);
    MS_ASSERT(!reader.bad);
    value->members = reader.rest;
    value->member_count--;
    return true;
}

/* ---- subscriptions: i16 version | array of string topics | … ---- */

struct topics {
    struct ms_reader reader;
    int32_t left;
};

static bool topics_begin(struct topics *topics, struct ms_bytes subscription) {
    topics->reader = (struct ms_reader){.rest = subscription};
    int16_t version = ms_take_i16(&topics->reader);
    topics->left = ms_take_i32(&topics->reader);
    return !topics->reader.bad && version >= 0 && topics->left >= 0;
}

static bool topics_next(struct topics *topics, struct ms_bytes *ret_topic) {
    if (topics->left == 0)
        return false;
    topics->left--;
    *ret_topic = ms_take_string(&topics->reader);
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
