/*
 * The records of `__transaction_state`. Those of transactional ids are in Kafka's own layout, so
 * that Kafka's tools can read them. Integers are big endian; `string` is i16 length and bytes;
 * `array` is i32 count and elements; in "flexible" values a string's length and an array's count
 * are varints and one more than that (0: null), and every struct ends with its tagged fields.
 *
 *   key of a transactional id (version 0)
 *     i16 version | string transactional id
 *   value of a transactional id
 *     0: i16 version | i64 producer id | i16 epoch | i32 timeout | i8 state
 *        | array (-1: none) of topics: string topic | array of i32 partitions
 *        | i64 time of the last change | i64 time at which it began                    (read only)
 *     1: as 0, flexible                                                              (written)
 *        tag 0: i64 previous producer id; tag 1 (next producer id) and 2 (version of the client's
 *        transactions) are passed over; tag 100, our own: i16 previous epoch
 *     state: 0 empty, 1 ongoing, 4 committed, 5 aborted. Kafka's others (2, 3, 6, 7: a step that is
 *     half done) are never written here, and refused.
 *     Offsets of groups show as partition 0 of the topic `__consumer_offsets`.
 *
 *   Of our own, key versions from 100 on:
 *
 *   key of the producer ids (version 100)      i16 version
 *   value                                      i16 version 0 | i64 first one that is not reserved
 *
 *   key of a pending offset (version 101)      i16 version | i64 producer id
 *                                              | the key in `__consumer_offsets`
 *   value                                      i16 version 0 | i16 epoch | i64 time at which the
 *                                              transaction began | the value in
 *                                              `__consumer_offsets`
 *
 * Worked example, the key of transactional id "t":
 *   00 00 | 00 01 74
 *
 * What is read comes from the log, but may have been written by other programs, so nothing about
 * it is trusted. Any thread.
 */
#pragma once

#include "base/bytes.h"

enum ms_txn_key_kind {
    MS_TXN_KEY_ID,
    MS_TXN_KEY_PRODUCER_IDS,
    MS_TXN_KEY_PENDING,
    MS_TXN_KEY_OTHER
};

struct ms_txn_key {
    enum ms_txn_key_kind kind;
    struct ms_bytes id;  /* of ID */
    int64_t producer_id; /* of PENDING */
    struct ms_bytes offset_key;
};

struct ms_txn_value {
    int64_t producer_id, previous_producer_id; /* -1 none */
    int16_t epoch, previous_epoch;
    int32_t timeout_ms;
    uint8_t state;
    int64_t changed_ms, started_ms; /* started: -1 not */
    /* Topics one after another, read by ms_txn_topic_next. */
    uint32_t topic_count;
    struct ms_bytes topics;
    int16_t version;
};
struct ms_txn_topic_value {
    struct ms_bytes topic;
    uint32_t partition_count;
    struct ms_bytes partitions; /* big endian */
};

struct ms_txn_pending_value {
    int16_t epoch;
    int64_t started_ms;
    struct ms_bytes offset_value;
};

/* All writers append to `out`; MS_ENOMEM, MS_ETOOBIG (its maximum, or a string above 32,767). */
int ms_txn_id_key_write(struct ms_buf *out, struct ms_bytes id) MS_MUST_CHECK;
/* Followed by `topic_count` topics, then ms_txn_value_end. */
int ms_txn_value_begin(struct ms_buf *out, const struct ms_txn_value *value) MS_MUST_CHECK;
/* Followed by `count` times ms_txn_value_partition, then ms_txn_value_topic_end. */
int ms_txn_value_topic(struct ms_buf *out, struct ms_bytes topic, uint32_t count) MS_MUST_CHECK;
int ms_txn_value_partition(struct ms_buf *out, int32_t partition) MS_MUST_CHECK;
int ms_txn_value_topic_end(struct ms_buf *out) MS_MUST_CHECK;
int ms_txn_value_end(struct ms_buf *out, const struct ms_txn_value *value) MS_MUST_CHECK;
int ms_txn_ids_key_write(struct ms_buf *out) MS_MUST_CHECK;
int ms_txn_ids_value_write(struct ms_buf *out, int64_t next) MS_MUST_CHECK;
int ms_txn_pending_key_write(struct ms_buf *out, int64_t producer_id, struct ms_bytes offset_key)
    MS_MUST_CHECK;
int ms_txn_pending_value_write(struct ms_buf *out, const struct ms_txn_pending_value *value)
    MS_MUST_CHECK;

/* All readers return views into their input. MS_EINVAL: malformed. */
int ms_txn_key_read(struct ms_bytes bytes, struct ms_txn_key *ret_key) MS_MUST_CHECK;
/* Times are not before 1970 (-1: none). Topics' bytes are checked as well: they have names, and no
 * partition is negative. */
int ms_txn_value_read(struct ms_bytes bytes, struct ms_txn_value *ret_value) MS_MUST_CHECK;
/* The first topic of value->topics, which then begins with the next one. False after the last. */
bool ms_txn_topic_next(struct ms_txn_value *value, struct ms_txn_topic_value *ret_topic);
static inline int32_t ms_txn_topic_partition(const struct ms_txn_topic_value *topic, uint32_t i) {
    const uint8_t *at = topic->partitions.data + 4 * (size_t)i;
    return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}
int ms_txn_ids_value_read(struct ms_bytes bytes, int64_t *ret_next) MS_MUST_CHECK;
int ms_txn_pending_value_read(struct ms_bytes bytes, struct ms_txn_pending_value *ret_value)
    MS_MUST_CHECK;
