/*
 * Topics inside the store: the table of them, their partitions. Not for anyone outside this
 * directory.
 *
 *   topics.c         the table, and folding it
 *   topic_changes.c  making, changing, deleting, listing them
 */
#pragma once

#include <pthread.h>

#include "index/index.h"
#include "store/partitions.h"
#include "store/txn.h"

struct ms_log_entry;
struct ms_op;

#define MS_TOPIC_NAME_MAX 249u
#define MS_TOPIC_USER_FIRST 16u /* numbers below are the system's */

enum {
    MS_TOPIC_TOPICS = 1,            /* "$topics": creations and changes of topics */
    MS_TOPIC_STREAMS = 2,           /* "$streams": streams whose names have no topic in them */
    MS_TOPIC_METADATA = 3,          /* "$metadata": of streams, by stream name */
    MS_TOPIC_SNAPSHOTS = 4,         /* "$snapshots" */
    MS_TOPIC_CONSUMER_OFFSETS = 5,  /* "__consumer_offsets"; records.c */
    MS_TOPIC_TRANSACTION_STATE = 6, /* "__transaction_state"; records.c */
    MS_TOPIC_STARTS = 7,            /* "$starts": where partitions begin; starts.c */
    MS_TOPIC_VERSIONS =
        8,             /* "$versions": of records from before their topic had streams; versions.h */
    MS_TOPIC_APPS = 9, /* "$apps": what is deployed; projection/projections_log.c */
};

#define MS_PARTITION_BLOCK 16u

struct ms_partition {
    int64_t next_offset;           /* of the next record; under the log's lock */
    _Atomic(int64_t) end_offset;   /* readers see offsets below it */
    _Atomic(int64_t) start_offset; /* and none below this one; starts.c */
    int64_t expired_end; /* retention wants everything below it gone; under scavenge_lock */
    /* How far a record's timestamp was ahead of its commit at most; INT64_MIN: no record yet. */
    _Atomic(int64_t) lead_ms;
    _Atomic(int64_t) open_offset;       /* of the earliest open transaction; INT64_MAX none */
    struct ms_producer_table producers; /* under the log's lock */
    struct ms_txn_place *open;          /* the committer's */
    struct ms_aborted *aborted;         /* the newest first; under aborted_lock */
    struct ms_fates *fates; /* of its transactions, to a scavenge; under scavenge_lock */
};

/* What producers may write while streams are switched on (adopt.c). */
enum ms_topic_gate {
    MS_GATE_OPEN,
    MS_GATE_NO_BEGINNING, /* no further transaction may write */
    MS_GATE_SHUT,         /* nothing */
};

struct ms_topic {
    uint32_t number;
    struct ms_uuid id;
    struct ms_topic_settings settings; /* under topics->lock */
    _Atomic(bool) deleted;
    bool closed;      /* its deletion is sequenced, nothing follows; under the log's lock */
    bool streams;     /* as settings.streams, for batches; under the log's lock */
    bool had_streams; /* switched off since the start, before there were records; likewise */
    bool system;
    enum ms_topic_gate gate; /* under the log's lock */
    uint32_t ending;         /* places of transactions that are being ended; under the log's lock */
    int64_t created_at_ms;
    _Atomic(uint64_t) events;
    /* Pages of versions cover positions below it; 0: there are none. */
    _Atomic(uint64_t) versions_end;
    /* In blocks that are made as partitions become more, and never move. */
    _Atomic(struct ms_partition *) partitions[MS_TOPIC_PARTITIONS_MAX / MS_PARTITION_BLOCK];
    size_t name_len;
    char name[];
};

/* There is memory for every partition below the topic's count of them. */
static inline struct ms_partition *ms_topic_partition(struct ms_topic *topic, uint32_t number) {
    struct ms_partition *block =
        atomic_load_explicit(&topic->partitions[number / MS_PARTITION_BLOCK], memory_order_acquire);
    MS_ASSERT(block != NULL);
    return &block[number % MS_PARTITION_BLOCK];
}

/* Its events are the system's own, which readers see only when they ask for them. "$streams" holds
 * what users put into streams without a topic in their names. */
static inline bool ms_topic_is_hidden(const struct ms_topic *topic) {
    return topic->system && topic->number != MS_TOPIC_STREAMS;
}

struct ms_topics {
    pthread_rwlock_t lock;
    struct ms_topic **by_number; /* sparse: number is the index; never freed before close */
    size_t by_number_count;
    struct ms_topic **by_name;       /* open addressing by hash of the name; live topics only */
    size_t slots, live, live_system; /* of either table */
    struct ms_topic **by_id;         /* the same topics by identity, in as many slots */
    uint32_t next_number;
    _Atomic(uint64_t) version; /* moves behind every change of what is here */
};

/* topics.c */
int ms_topics_init(struct ms_store *store) MS_MUST_CHECK;
void ms_topics_deinit(struct ms_store *store);
/* A batch whose newest record has that timestamp was committed then. */
void ms_partition_note_time(struct ms_partition *partition, int64_t newest_ms,
                            int64_t commit_time_ms);
struct ms_topic *ms_topics_find(struct ms_store *store, struct ms_bytes name);
struct ms_topic *ms_topics_at(struct ms_store *store, uint32_t number);
/* A topic that nobody knows yet: identity, default settings, no number. MS_EINVAL: the name;
 * MS_ENOMEM. */
int ms_topics_new(struct ms_store *store, struct ms_bytes name, struct ms_topic **ret_topic,
                  struct ms_error *err) MS_MUST_CHECK;
void ms_topics_free(struct ms_topic *topic);
/* Memory for the partitions 0 … count - 1. One thread at a time. MS_ENOMEM. */
int ms_topic_reserve_partitions(struct ms_topic *topic, uint32_t count) MS_MUST_CHECK;
/* Under creation_lock: room in the table for `count` topics numbered from *ret_first on. */
int ms_topics_reserve(struct ms_store *store, uint32_t count, uint32_t *ret_first) MS_MUST_CHECK;
/* The same lock still held: takes one of them over. */
void ms_topics_enter(struct ms_store *store, struct ms_topic *topic);
/* Under creation_lock, what a sequenced change means for the table; need no memory. */
void ms_topics_set(struct ms_store *store, struct ms_topic *topic,
                   const struct ms_topic_settings *settings);
void ms_topics_leave(struct ms_store *store, struct ms_topic *topic);
/* topic_changes.c; under creation_lock: numbers and creation events for an op's new topics.
 * MS_ELIMIT; MS_EAGAIN and op->stale: somebody else has made one of them. */
int ms_topics_prepare(struct ms_op *op, struct ms_error *err) MS_MUST_CHECK;
/* Folds a topic's JSON description (from "$topics" or a fact). */
int ms_topics_fold(struct ms_store *store, struct ms_bytes json, struct ms_error *err)
    MS_MUST_CHECK;
int ms_topics_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_error *err) MS_MUST_CHECK;
void ms_topics_count_events(struct ms_store *store);
int ms_topics_load(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;
struct ms_topic_settings ms_topics_settings(struct ms_store *store, struct ms_topic *topic);
/* MS_ENOSTREAMS, and how to change that. */
int ms_topic_check_streams(struct ms_store *store, struct ms_topic *topic, struct ms_error *err)
    MS_MUST_CHECK;
#define MS_FACT_NAME_MAX 24u
size_t ms_topic_fact_name(uint32_t number, char out[MS_FACT_NAME_MAX]);
/* A partition's fact: next offset, lead_ms; the first alone in stores of old. */
#define MS_OFFSET_FACT_LEN 16u
size_t ms_offset_fact_name(uint32_t number, uint16_t partition, char out[MS_FACT_NAME_MAX]);
