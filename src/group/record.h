/*
 * The records of `__consumer_offsets`, in Kafka's own layout, so that Kafka's tools can read them.
 * Integers are big endian; `string` is i16 length and bytes, -1 for null where that is allowed;
 * `bytes` is i32 length and bytes; `array` is i32 count and elements.
 *
 *   key of an offset (versions 0 and 1 are the same, 1 is written)
 *     i16 version | string group | string topic | i32 partition
 *   value of an offset
 *     0: i16 version | i64 offset | string metadata | i64 commit time
 *     1: as 0, and i64 expiry time after it         (written when a commit brought its retention)
 *     2: as 0
 *     3: i16 version | i64 offset | i32 leader epoch | string metadata | i64 commit time  (written)
 *     4: as 3, "flexible": strings and arrays have varint lengths + 1, tags at the end (read only)
 *
 *   key of a group (version 2)
 *     i16 version | string group
 *   value of a group; the fields of a version 3, which is written
 *     i16 version | string protocol type | i32 generation | string? protocol | string? leader
 *     | i64 time of the state (from 2) | array of members:
 *       string member id | string? instance id (from 3) | string client id | string client host
 *       | i32 rebalance timeout (from 1) | i32 session timeout | bytes subscription
 *       | bytes assignment
 *     4: as 3, flexible (read only)
 *
 *   keys of consumer groups (versions 3 to 8): consumer_record.h
 *
 * Worked example, the key of offset group "g", topic "t", partition 1:
 *   00 01 | 00 01 67 | 00 01 74 | 00 00 00 01
 *
 * What is read comes from the log, but may have been written by other programs, so nothing about
 * it is trusted. Any thread.
 */
#pragma once

#include "base/bytes.h"

enum ms_group_key_kind {
    MS_GROUP_KEY_OFFSET,
    MS_GROUP_KEY_GROUP,
    MS_GROUP_KEY_CONSUMER_GROUP, /* these five: consumer_record.h */
    MS_GROUP_KEY_CONSUMER,
    MS_GROUP_KEY_CONSUMER_TARGET_EPOCH,
    MS_GROUP_KEY_CONSUMER_TARGET,
    MS_GROUP_KEY_CONSUMER_CURRENT,
    MS_GROUP_KEY_OTHER
};

struct ms_group_key {
    enum ms_group_key_kind kind;
    struct ms_bytes group, topic, member_id;
    int32_t partition;
};

struct ms_offset_value {
    int64_t offset;
    int32_t leader_epoch; /* -1 none */
    struct ms_bytes metadata;
    int64_t commit_time_ms;
    int64_t expire_time_ms; /* -1: the group's retention decides */
};

struct ms_group_value {
    struct ms_bytes protocol_type, protocol_name, leader_id; /* empty for null */
    int32_t generation;
    int64_t state_time_ms; /* -1 not known */
    /* Members one after another, read by ms_group_member_next. */
    uint32_t member_count;
    struct ms_bytes members;
    int16_t version;
};
struct ms_member_value {
    struct ms_bytes member_id, instance_id, client_id, client_host, subscription, assignment;
    int32_t rebalance_timeout_ms, session_timeout_ms;
};

/* All writers append to `out`; MS_ENOMEM, MS_ETOOBIG (its maximum, or a string above 32,767). */
int ms_offset_key_write(struct ms_buf *out, struct ms_bytes group, struct ms_bytes topic,
                        int32_t partition) MS_MUST_CHECK;
int ms_offset_value_write(struct ms_buf *out, const struct ms_offset_value *value) MS_MUST_CHECK;
int ms_group_key_write(struct ms_buf *out, struct ms_bytes group) MS_MUST_CHECK;
/* Followed by `member_count` calls of ms_member_value_write. */
int ms_group_value_write(struct ms_buf *out, const struct ms_group_value *value) MS_MUST_CHECK;
int ms_member_value_write(struct ms_buf *out, const struct ms_member_value *value) MS_MUST_CHECK;

/* All readers return views into their input. MS_EINVAL: malformed. */
int ms_group_key_read(struct ms_bytes bytes, struct ms_group_key *ret_key) MS_MUST_CHECK;
int ms_offset_value_read(struct ms_bytes bytes, struct ms_offset_value *ret_value) MS_MUST_CHECK;
/* Members' bytes are checked as well. */
int ms_group_value_read(struct ms_bytes bytes, struct ms_group_value *ret_value) MS_MUST_CHECK;
/* The first member of value->members, which then begins with the next one. False after the last. */
bool ms_group_member_next(struct ms_group_value *value, struct ms_member_value *ret_member);

/* What a consumer's subscription (the metadata of protocol type "consumer") names: */
/* true when `topic` is in it, or when it can't be read; */
bool ms_subscription_names(struct ms_bytes subscription, struct ms_bytes topic);
/* true when both can be read and name the same topics, in any order. */
bool ms_subscriptions_same(struct ms_bytes a, struct ms_bytes b);
