/*
 * The records of `__consumer_offsets` that keep consumer groups (KIP-848), in Kafka's own layout.
 * Keys are plain: i16 version | string group | string member id (5, 7 and 8). Values are flexible:
 * i16 version 0, then strings and arrays with varint lengths + 1, tags behind each struct.
 *
 *   key                  value
 *   3 group              i32 group epoch
 *   4 its topics         not written, passed over (nor does Kafka write it from 4.1 on)
 *   5 member             string? instance id | string? rack | string client id | string client host
 *                        | array of string topic names | string? pattern of topic names
 *                        | i32 rebalance timeout | string? assignor
 *   6 target assignment  i32 epoch it was made for
 *   7 … of a member      partitions
 *   8 current … of one   i32 member epoch | i32 epoch before | i8 state (0 stable, 1 has to revoke,
 *                        2 waits for others) | partitions it owns | partitions it has to revoke
 *
 *   partitions           array of: uuid topic | array of i32 partition
 *
 * Worked example, the value of key 8 of a stable member at epoch 2 that owns partition 1:
 *   00 00 | 00 00 00 02 | 00 00 00 01 | 00 | 02 <16 bytes> 02 00 00 00 01 00 | 01 | 00
 *
 * What is read is not trusted. Any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/uuid.h"

enum {
    MS_CONSUMER_GROUP_KEY = 3,
    MS_CONSUMER_PARTITIONS_KEY = 4,
    MS_CONSUMER_KEY = 5,
    MS_CONSUMER_TARGET_EPOCH_KEY = 6,
    MS_CONSUMER_TARGET_KEY = 7,
    MS_CONSUMER_CURRENT_KEY = 8,
};

struct ms_consumer_value {
    struct ms_bytes instance_id, rack_id, client_id, client_host, pattern, assignor;
    int32_t rebalance_timeout_ms;
    /* Written from `names`; read: ms_consumer_name_next takes them out of `rest`. */
    const struct ms_bytes *names;
    size_t name_count;
    struct ms_bytes rest;
};

struct ms_consumer_current_value {
    int32_t epoch, previous_epoch;
    int8_t state;
    struct ms_bytes owned, revoking; /* partitions, for ms_partitions_each */
};

/* All writers append to `out`; MS_ENOMEM, MS_ETOOBIG. */
/* `member_id` is written when `version` is of a member's record. */
int ms_consumer_key_write(struct ms_buf *out, int16_t version, struct ms_bytes group,
                          struct ms_bytes member_id) MS_MUST_CHECK;
int ms_consumer_epoch_value_write(struct ms_buf *out, int32_t epoch) MS_MUST_CHECK; /* 3 and 6 */
int ms_consumer_value_write(struct ms_buf *out, const struct ms_consumer_value *value)
    MS_MUST_CHECK;
/* The head of key 8's value; owned and revoking partitions and ms_consumer_value_end follow. */
int ms_consumer_current_value_begin(struct ms_buf *out, int32_t epoch, int32_t previous_epoch,
                                    int8_t state) MS_MUST_CHECK;
/* The head of key 7's value; partitions and ms_consumer_value_end follow. */
int ms_consumer_target_value_begin(struct ms_buf *out) MS_MUST_CHECK;
/* Partitions: the count of topics; for each its id and the count of its partitions, then that many
 * ms_partitions_add, and ms_partitions_topic_end. */
int ms_partitions_begin(struct ms_buf *out, size_t topics) MS_MUST_CHECK;
int ms_partitions_topic(struct ms_buf *out, const struct ms_uuid *id, size_t count) MS_MUST_CHECK;
int ms_partitions_add(struct ms_buf *out, uint32_t partition) MS_MUST_CHECK;
int ms_partitions_topic_end(struct ms_buf *out) MS_MUST_CHECK;
int ms_consumer_value_end(struct ms_buf *out) MS_MUST_CHECK;

/* All readers return views into their input. MS_EINVAL: malformed, or a negative partition. */
int ms_consumer_epoch_value_read(struct ms_bytes bytes, int32_t *ret_epoch) MS_MUST_CHECK;
int ms_consumer_value_read(struct ms_bytes bytes, struct ms_consumer_value *ret_value)
    MS_MUST_CHECK;
/* False after the last of ret_value->name_count. */
bool ms_consumer_name_next(struct ms_consumer_value *value, struct ms_bytes *ret_name);
int ms_consumer_current_value_read(struct ms_bytes bytes,
                                   struct ms_consumer_current_value *ret_value) MS_MUST_CHECK;
int ms_consumer_target_value_read(struct ms_bytes bytes, struct ms_bytes *ret_partitions)
    MS_MUST_CHECK;
/* Every partition of a list that was read; what `visit` returns other than 0 ends it. */
int ms_partitions_each(struct ms_bytes partitions,
                       int (*visit)(void *context, const struct ms_uuid *topic, uint32_t partition),
                       void *context) MS_MUST_CHECK;
