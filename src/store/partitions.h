/*
 * The store as what Kafka's clients know: topics of partitions, each an ordered log with dense
 * offsets. The same topics and events as in store.h, seen from the other side.
 *
 *   a producer's batch -> ms_store_produce -> one entry, byte for byte as it came (base offset and
 *   leader epoch are patched, both outside its checksum)
 *   ms_store_read_partition -> the stored batches, as slices of what is in memory anyway
 *
 * In a topic with `streams` a batch is taken apart into runs of records with the same key, each a
 * batch and an entry of its stream, so that every record is the next version of its stream
 * (docs/decisions/0011). All of a batch is appended or nothing.
 *
 * Threads: any.
 */
#pragma once

#include "index/index.h"
#include "store/store.h"

/* A topic that is there, or was: valid until the store is closed. */
struct ms_topic;

/* NULL: there is none of this name (or it is the system's, unless `system`). */
struct ms_topic *ms_store_topic(struct ms_store *store, struct ms_bytes name, bool system);
/* NULL: none of this identity; a deleted one is not found. */
struct ms_topic *ms_store_topic_by_id(struct ms_store *store, const struct ms_uuid *id);
/* What is known of it now; the name is valid as long as the topic. */
void ms_topic_info_of(struct ms_store *store, struct ms_topic *topic,
                      struct ms_topic_info *ret_info);
bool ms_topic_is_deleted(const struct ms_topic *topic);
/* Moves whenever a topic is made, changed or deleted: who read it before looking at topics need not
 * look again while it stands still. */
uint64_t ms_store_topics_version(const struct ms_store *store);

/* ---- producing ---- */

struct ms_produce_request {
    struct ms_topic *topic;
    uint32_t partition;
    struct ms_bytes batch; /* one record batch of magic 2; borrowed for the call */
    bool wait;             /* for the in-flight budget instead of MS_EAGAIN */
    bool begins; /* a transactional batch may open its transaction here: no ms_store_txn_add needed
                    (KIP-890) */
};
/* Validates the batch and all its records, and sequences it. 0: `done` is called exactly once,
 * maybe inside this call; the first part's first_offset is the batch's base offset. Refused before
 * it was sequenced (`done` is not called): MS_ENOTFOUND (partition; the topic was deleted),
 * MS_ERESERVED (the system's), MS_ECRC, MS_EINVAL (*ret_index: which record, -1 the batch),
 * MS_EUNSUPPORTED (codec, attributes), MS_ETIMESTAMP,
 * MS_ETOOBIG, MS_ENOSPC, MS_EAGAIN, MS_ECLOSED, MS_ENOMEM.
 * Told to `done`: MS_ETOMBSTONED (a record of a tombstoned stream), MS_ESEQUENCE (the producer has
 * left a sequence number out), MS_EFENCED (its epoch is over), MS_ENOTXN (its transaction was not
 * added to the partition). A batch that is among the producer's last five there was appended
 * already: success, with the offset it got then. */
int ms_store_produce(struct ms_store *store, const struct ms_produce_request *request,
                     ms_append_done_fn *done, void *context, int32_t *ret_index,
                     struct ms_error *err) MS_MUST_CHECK;

/* ---- reading ---- */

struct ms_partition_state {
    int64_t start_offset;  /* of the first record that can be read, or end_offset */
    int64_t end_offset;    /* one past the newest record that readers see: the high watermark */
    int64_t stable_offset; /* the first of a transaction that is open, or end_offset */
};
/* MS_ENOTFOUND. */
int ms_store_partition_state(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                             struct ms_partition_state *ret_state) MS_MUST_CHECK;

/* The partition begins at `offset` from now on (-1: its end). What lies before it is not shown to
 * readers of partitions any more, and is removed by the scavenger; readers of streams and of
 * everything see it until then. *ret_start: where it begins, maybe further. Blocks until durable.
 * MS_ENOTFOUND, MS_EINVAL (it ends before the offset), MS_ERESERVED, and what an append is refused
 * with. */
int ms_store_trim_partition(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                            int64_t offset, int64_t *ret_start, struct ms_error *err) MS_MUST_CHECK;

/* Reads go through one of these; each is used by one thread at a time, for any partitions. */
struct ms_partition_reader;
int ms_partition_reader_new(struct ms_store *store, struct ms_partition_reader **ret_reader)
    MS_MUST_CHECK;
void ms_partition_reader_free(struct ms_partition_reader *reader); /* takes NULL */

struct ms_partition_read {
    struct ms_topic *topic;
    uint32_t partition;
    int64_t offset;
    size_t bytes_max;
    bool oversized;     /* a first batch that is larger than bytes_max is read all the same */
    bool stable;        /* only what lies before the stable offset: read_committed */
    bool in_memory;     /* MS_EAGAIN where something would have to be read from the disk first */
    size_t batches_max; /* 0: no bound */
};
struct ms_partition_read_result {
    struct ms_partition_state state;
    int64_t next_offset; /* behind the last batch read */
    size_t bytes;
    bool more; /* there is more, that bytes_max or batches_max has no room for */
};
/* Appends to `slices` the whole batches from the one that holds `offset` on, in order of their
 * offsets, each byte for byte as a Kafka client is to see it. What was scavenged leaves gaps.
 * The caller unrefs the slices. With in_memory and some batches read, the rest is `more`.
 * MS_ENOTFOUND (partition), MS_EAGAIN, MS_EIO, MS_ECORRUPT, MS_ENOMEM: no slices then. Behind the
 * end, and before the start, nothing is read: the state says so. */
struct ms_slice_list {
    struct ms_slice *items;
    size_t count, capacity;
};
void ms_slice_list_clear(struct ms_slice_list *list); /* unrefs them all */
void ms_slice_list_deinit(struct ms_slice_list *list);
int ms_store_read_partition(struct ms_partition_reader *reader,
                            const struct ms_partition_read *read, struct ms_slice_list *slices,
                            struct ms_partition_read_result *ret_result, struct ms_error *err)
    MS_MUST_CHECK;

/* The first record whose timestamp is at or behind `time_ms`: its offset and timestamp; -1 when
 * there is none. MS_ENOTFOUND, MS_EIO, MS_ECORRUPT, MS_ENOMEM. Blocks for I/O. */
int ms_store_offset_at_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                            uint32_t partition, int64_t time_ms, int64_t *ret_offset,
                            int64_t *ret_timestamp_ms, struct ms_error *err) MS_MUST_CHECK;

/* The first record that stands at or behind `position` in the log: its offset; the end offset when
 * there is none. Errors as above. */
int ms_store_offset_at_position(struct ms_partition_reader *reader, struct ms_topic *topic,
                                uint32_t partition, uint64_t position, int64_t *ret_offset,
                                struct ms_error *err) MS_MUST_CHECK;

/* When the first record at or behind `offset` was appended; -1 when there is none. Reads one entry.
 * As above. */
int ms_store_commit_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                         uint32_t partition, int64_t offset, int64_t *ret_time_ms,
                         struct ms_error *err) MS_MUST_CHECK;

/* The record with the newest timestamp, the first of several; -1 when there is none. As above. */
int ms_store_newest_time(struct ms_partition_reader *reader, struct ms_topic *topic,
                         uint32_t partition, int64_t *ret_offset, int64_t *ret_timestamp_ms,
                         struct ms_error *err) MS_MUST_CHECK;

/* ---- waiting ---- */

/* Who waits for a partition to grow: embedded in the caller's memory, zeroed before its first use.
 * wake is called once per arming, from the committer's thread, when there are new records. */
struct ms_waiter {
    struct ms_waiter *next, **place; /* in its bucket; place NULL: not armed */
    struct ms_stream_id stream;
    bool all;
    bool firing, rearm;
    struct ms_waiter *next_fired;
    void (*wake)(void *context);
    void *context;
};
/* Arm first, then look at the end: what was appended in between is found by looking. */
void ms_store_wait_partition(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                             struct ms_waiter *waiter);
/* When it returns, wake is neither running nor will it be called. */
void ms_store_stop_waiting(struct ms_store *store, struct ms_waiter *waiter);
