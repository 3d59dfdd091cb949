/*
 * Producers and their transactions inside the store. Not for anyone outside this directory.
 *
 *   producers.c     what a partition remembers of its producers: epoch, last batches
 *   transactions.c  open transactions: where they write, what they have written
 *   txn_end.c       ending them
 *   txn_start.c     both at start: from facts, and from the log as it is replayed
 *   txn_visible.c   what readers see of transactions: stable offsets, aborted ones
 *
 * State comes twice: as sequenced (under the log's lock), by which batches are judged; and as
 * durable (the committer's thread), which readers see.
 *
 *   open transaction          sequenced                           durable
 *     ms_txn (by producer)    places: partitions it may write to  ms_partition.open: places whose
 *                             pending: batches, in order          first batch is durable
 *
 * A place lives from the permission to write (or the first batch) to the end of the transaction:
 * then the end's append has it, until its marker is durable and the place leaves the open ones.
 */
#pragma once

#include "store/transactions.h"
#include "wire/batch.h"

struct ms_log_entry;
struct ms_op;
struct ms_op_part;
struct ms_partition;
struct ms_topic;

/* ---- producers ---- */

#define MS_PRODUCER_BATCHES 5u
#define MS_PRODUCER_IDLE_MS ((int64_t)24 * 3600 * 1000)

struct ms_producer_batch {
    int32_t first_sequence, last_sequence;
    int64_t first_offset;
};

struct ms_producer {
    int64_t id; /* -1: the slot is free */
    int64_t last_timestamp_ms;
    int64_t txn_first_offset; /* -1 none */
    int16_t epoch;
    uint8_t batch_count;
    struct ms_producer_batch batches[MS_PRODUCER_BATCHES]; /* the oldest first */
};

struct ms_producer_table {     /* of a partition; under the log's lock */
    struct ms_producer *slots; /* open addressing; never deleted from but by a rehash */
    uint32_t capacity, count;
};

enum ms_sequence_verdict {
    MS_SEQUENCE_NEXT,
    MS_SEQUENCE_REPEAT, /* one of the last batches: *ret_offset */
    MS_SEQUENCE_GAP,
    MS_SEQUENCE_FENCED, /* of an older epoch */
};
/* NULL: not known. */
struct ms_producer *ms_producer_find(const struct ms_producer_table *table, int64_t id);
/* The same, made when it isn't known; when the table is full those that were idle for
 * MS_PRODUCER_IDLE_MS are forgotten. MS_ENOMEM. */
int ms_producer_get(struct ms_producer_table *table, int64_t id, int64_t now_ms,
                    struct ms_producer **ret_producer) MS_MUST_CHECK;
enum ms_sequence_verdict ms_producer_judge(const struct ms_producer *producer,
                                           const struct ms_batch_header *header,
                                           int64_t *ret_offset);
/* A batch was appended. `goes_on`: it belongs to the append of the batch before (a run of it). */
void ms_producer_note(struct ms_producer *producer, const struct ms_batch_header *header,
                      int64_t first_offset, int64_t now_ms, bool goes_on);
/* The offset is of one of its last batches. */
bool ms_producer_remembers(const struct ms_producer *producer, int64_t offset);
/* MS_ENOMEM. */
int ms_producers_forget_idle(struct ms_producer_table *table, int64_t now_ms) MS_MUST_CHECK;
void ms_producers_deinit(struct ms_producer_table *table);

/* Facts: "p/", topic, partition, producer id -> the rest of it. */
#define MS_PRODUCER_NAME_LEN 16u
#define MS_PRODUCER_VALUE_MAX 112u
void ms_producer_name(uint32_t topic, uint32_t partition, int64_t id,
                      uint8_t out[MS_PRODUCER_NAME_LEN]);
size_t ms_producer_write(const struct ms_producer *producer, uint8_t out[MS_PRODUCER_VALUE_MAX]);
int ms_producer_read(struct ms_bytes value, struct ms_producer *ret_producer) MS_MUST_CHECK;

/* ---- transactions ---- */

#define MS_TXN_PENDING_MAX 500000u /* batches of one transaction */

struct ms_txn_place {
    struct ms_txn_place *next;      /* of the transaction, or of the end that has taken it */
    struct ms_txn_place *next_open; /* of the partition; the committer's */
    struct ms_topic *topic;
    int64_t producer_id;
    int64_t first_offset; /* sequenced; -1: nothing was written yet */
    _Atomic(int64_t) started_ms;
    uint32_t partition;
    bool open; /* the committer's: it is among the partition's */
};

/* A pending batch, with what its commit will need. */
struct ms_txn_pending {
    struct ms_txn_pending *next;
    struct ms_topic *topic;
    int64_t first_offset, newest_ms;
    uint64_t position; /* its place in the log */
    uint32_t partition, count;
    bool of_stream;
    struct ms_stream_id stream;
    size_t term_count;
    uint64_t terms[];
};

struct ms_txn {
    int64_t producer_id; /* -1: the slot is free */
    int16_t epoch;
    bool ending; /* an end is being made */
    struct ms_txn_place *places;
    struct ms_txn_pending *pending, **pending_end;
    uint32_t pending_count;
};

struct ms_txns { /* by producer id; under the log's lock */
    struct ms_txn **slots;
    size_t capacity, count;
};

void ms_txns_deinit(struct ms_store *store);
struct ms_txn *ms_txn_find(const struct ms_txns *txns, int64_t producer_id);
int ms_txn_get(struct ms_txns *txns, int64_t producer_id, struct ms_txn **ret_txn) MS_MUST_CHECK;
struct ms_txn_place *ms_txn_place_find(const struct ms_txn *txn, const struct ms_topic *topic,
                                       uint32_t partition);
struct ms_txn_place *ms_txn_place_new(struct ms_topic *topic, uint32_t partition,
                                      int64_t producer_id);
/* For a part that will be pending; NULL: no memory. */
struct ms_txn_pending *ms_txn_pending_new(const struct ms_op_part *part);
void ms_txn_pending_free(struct ms_txn_pending *first);
void ms_txn_places_free(struct ms_txn_place *first);
void ms_txn_add_place(struct ms_txn *txn, struct ms_txn_place *place);
void ms_txn_add_pending(struct ms_txn *txn, struct ms_txn_pending *pending);
/* In the order of their places in the log. MS_ENOMEM. */
int ms_txn_sort_pending(struct ms_txn *txn) MS_MUST_CHECK;

/* Under the log's lock, before a producer's batch is put: its outcome is set when it is not to be.
 * False: the outcome is set. */
bool ms_txn_judge(struct ms_op *op);
/* Under the log's lock, after: the states move. */
void ms_txn_sequenced(struct ms_op *op);

/* ---- durable ---- */

struct ms_aborted {
    struct ms_aborted *older;
    int64_t producer_id, first_offset, last_offset; /* the last is the marker's */
};

/* Facts: "a/", topic, partition, marker's offset -> producer id, first offset. */
#define MS_ABORTED_NAME_LEN 16u
#define MS_ABORTED_VALUE_LEN 16u
void ms_aborted_name(uint32_t topic, uint32_t partition, int64_t last_offset,
                     uint8_t out[MS_ABORTED_NAME_LEN]);

/* The committer's thread. Before the end of the partition moves over a pending batch … */
void ms_txn_place_opens(struct ms_partition *partition, struct ms_txn_place *place,
                        int64_t commit_time_ms);
/* … and after it has moved over a marker. Takes place and aborted (NULL: committed) over. */
void ms_txn_place_ends(struct ms_store *store, struct ms_partition *partition,
                       struct ms_txn_place *place, struct ms_aborted *aborted);
void ms_partition_txns_deinit(struct ms_partition *partition);
/* Where the earliest open transaction began, or the partition's end. Any thread. */
int64_t ms_partition_stable(const struct ms_partition *partition);

/* ---- start ---- */

/* After the topics and offsets were loaded, before the log is replayed. */
int ms_txn_load(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;
/* An entry of a producer is replayed. For a commit *ret_pending is what it commits, NULL when that
 * was scavenged. */
int ms_txn_replay(struct ms_store *store, const struct ms_log_entry *entry, struct ms_topic *topic,
                  const struct ms_txn_pending **ret_pending, struct ms_error *err) MS_MUST_CHECK;
/* When all was replayed: of idle producers the log may lack the newest batches. */
int ms_txn_replayed(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;
