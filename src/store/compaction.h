/*
 * Key compaction of topics without streams: which record of a key is the newest in its partition.
 * (In a topic with streams the newest of a key is its stream's head, which the index knows.)
 *
 * A map from (topic, partition, key), hashed to 128 bits, to the newest offset is built by one
 * pass over the partitions, in the order of their offsets, before segments are rewritten:
 *
 *   hash of the key   offset of its newest record   were there older ones in the log?
 *
 * Its memory is bounded (ms_store_options.compaction_bytes_max). When the keys don't fit, the map
 * covers only those whose hashes lie in a range, which is halved until they do, and the scavenger
 * comes back for the rest: round by round, from `to` on. What is out of range is left alone.
 *
 * Away goes a record that is not the newest of its key, and one without a value (a tombstone) that
 * is the newest, when it was committed delete_retention_ms ago and the pass met no older record of
 * the key: as long as one is stored the tombstone hides it. Neither before it is compaction_lag_ms
 * old. All ages are since the commit. What was appended after the pass is newer, and stays.
 *
 * Records of transactions count when they are committed, at the offsets that they were produced at;
 * those of aborted ones go. Nothing at or behind a partition's stable offset counts or goes. Of
 * markers the pass notes those whose transactions have nothing left in the partition: they go
 * delete_retention_ms after their commit.
 *
 * Not compacted: records without keys (from before the topic was), and what is not sealed yet.
 *
 * The scavenger's thread; one per scavenge.
 */
#pragma once

#include "base/hash.h"
#include "store/fates.h"

struct ms_compaction_slot {
    struct ms_hash128 key;
    uint64_t newest; /* (offset << 1 | there were older ones) + 1; 0: free */
};

/* Producers whose transactions have left something, as far as the pass has come. */
#define MS_COMPACTION_WRITERS_MAX 4096u
struct ms_compaction_writers {
    int64_t ids[MS_COMPACTION_WRITERS_MAX];
    size_t count;
    bool overflown; /* then every marker has something left */
};

struct ms_compaction {
    struct ms_store *store;
    struct ms_compaction_slot *slots; /* open addressing, linear probing */
    size_t capacity, count, capacity_max;
    uint64_t from, to; /* covers hashes with from <= high word < to; to 0: up to the last */
    int64_t now_ms;
    bool any; /* there is a topic to compact */
    /* Called with the bytes of each batch that was read; not 0 ends the pass. */
    int (*on_read)(void *context, uint64_t bytes, struct ms_error *err);
    void *context;
    struct ms_batch_reader batch; /* of the pass */
    struct ms_fates_table *fates_table;
    struct ms_fates *fates; /* of the partition that the pass is in */
    struct ms_compaction_writers *writers;
};

void ms_compaction_init(struct ms_compaction *compaction, struct ms_store *store,
                        struct ms_fates_table *fates, int64_t now_ms);
void ms_compaction_deinit(struct ms_compaction *compaction);
/* Reads the partitions, for the keys from compaction->to on (0 at first). MS_ENOMEM, MS_EIO,
 * MS_ECORRUPT, and what on_read returns. */
int ms_compaction_build(struct ms_compaction *compaction, struct ms_error *err) MS_MUST_CHECK;

/* Of a topic that is compacted and has no streams. */
bool ms_compaction_wants(const struct ms_topic_settings *settings);
/* Is this record to go? `aborted`: its transaction was. */
bool ms_compaction_removes(const struct ms_compaction *compaction,
                           const struct ms_topic_settings *settings,
                           const struct ms_log_entry *entry, bool aborted,
                           const struct ms_record *record);
/* Is this marker to go? `header` is its batch's. */
bool ms_compaction_removes_marker(const struct ms_compaction *compaction,
                                  const struct ms_topic_settings *settings,
                                  const struct ms_log_entry *entry,
                                  const struct ms_batch_header *header);
/* The entry's batch is, or may be, the last of a producer that may still go on: its sequence
 * numbers are needed, even without its records. */
bool ms_compaction_keeps_producer(const struct ms_compaction *compaction,
                                  const struct ms_log_entry *entry,
                                  const struct ms_batch_header *header);
