/*
 * How far groups are behind: committed offsets against the ends of partitions.
 *
 *   lag  the offsets from the committed one (or the partition's start, when that is behind it) to
 *        the partition's end: the events that the group has not read yet, and with them what was
 *        scavenged in between
 *   age  how long ago the oldest of them was appended; 0 when the lag is 0
 *
 * Threads: any.
 */
#pragma once

#include "group/group.h"
#include "store/partitions.h"

struct ms_group_lag {
    struct ms_bytes topic;
    int32_t partition;
    struct ms_topic *place; /* NULL: there is no such partition (any more) */
    int64_t offset;         /* committed */
    int64_t end;            /* -1: there is no such partition */
    int64_t lag;            /* likewise */
    int64_t age_ms;         /* likewise, or not asked for */
    struct ms_bytes metadata;
    int64_t commit_time_ms;
};

/* Fills in place, end and lag from topic, partition and offset. `last` is the row before it, or
 * NULL: rows of one topic that follow each other ask for the topic once. No I/O. */
void ms_group_lag_measure(struct ms_store *store, struct ms_group_lag *lag,
                          const struct ms_group_lag *last);
/* Fills in the age at `now_ms`. Blocks for I/O where there is a lag: one entry is read. MS_EIO,
 * MS_ECORRUPT, MS_ENOMEM. */
int ms_group_lag_date(struct ms_partition_reader *reader, struct ms_group_lag *lag, int64_t now_ms,
                      struct ms_error *err) MS_MUST_CHECK;

/* All committed offsets of the group with their lags, sorted by topic and partition, in `arena`;
 * none when there is no such group. Ages are not filled in. LOADING, NOT_AVAILABLE (also: the arena
 * is full), INVALID_GROUP_ID. */
enum ms_group_code ms_group_lags(struct ms_store *store, struct ms_groups *groups,
                                 struct ms_bytes group, struct ms_arena *arena,
                                 struct ms_group_lag **ret_lags, size_t *ret_count);
/* The lags' sum; those of partitions that are gone don't count. */
int64_t ms_group_lag_sum(const struct ms_group_lag *lags, size_t count);
