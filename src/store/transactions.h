/*
 * Transactions of Kafka's producers, as the store knows them. Who may have one, and for how long,
 * is the transaction coordinator's business (src/txn).
 *
 *   ms_store_txn_set_epoch   the coordinator says which epoch of a producer is the current one
 *   ms_store_txn_add         … and where its transaction may write
 *   ms_store_produce         of a batch with the transactional bit: it gets offsets at once, and is
 *                            seen by Kafka readers that read uncommitted; nobody else sees it
 *   ms_store_txn_end         in one append: a marker in every partition the transaction wrote to;
 *                            when it commits also the positions and versions of its records, in
 *                            the order in which they were produced; and whatever records the
 *                            coordinator wants to stand or fall with it
 *
 * What stands in the log (docs/decisions/0012):
 *
 *   pending batch   entry flag PENDING: has a place in its partition, and a position that no reader
 *                   is shown
 *   marker          entry flag CONTROL: a control batch, one offset of its partition, likewise
 *   commit          entry flag COMMIT, one for each pending batch: an empty batch that spans the
 *                   pending one's offsets, at the positions (and versions) that its records have
 *
 * An open transaction survives a restart. Threads: any.
 */
#pragma once

#include "store/partitions.h"
#include "store/records.h"

/* Batches of the producer with another epoch are refused from now on (MS_EFENCED), and its open
 * transaction, if it has one, goes on under this one until it is ended. Memory only: the
 * coordinator says it again after a start, before anything is produced. MS_ENOMEM. */
int ms_store_txn_set_epoch(struct ms_store *store, int64_t producer_id, int16_t epoch)
    MS_MUST_CHECK;
/* The producer is forgotten: it has no transaction open. */
void ms_store_txn_forget(struct ms_store *store, int64_t producer_id);

/* The transaction of the producer's current epoch may write to the partition, until it ends.
 * MS_ENOTFOUND (partition), MS_EFENCED, MS_ENOMEM. */
int ms_store_txn_add(struct ms_store *store, int64_t producer_id, int16_t epoch,
                     struct ms_topic *topic, uint32_t partition, struct ms_error *err)
    MS_MUST_CHECK;

/* Records of one topic that belong to an append of several. */
struct ms_keyed_records {
    enum ms_records_topic topic;
    const struct ms_keyed_record *records;
    size_t count;
};
/* ms_store_append_records for several topics: all of it or nothing. */
int ms_store_append_record_sets(struct ms_store *store, const struct ms_keyed_records *sets,
                                size_t set_count, ms_append_done_fn *done, void *context,
                                struct ms_error *err) MS_MUST_CHECK;

struct ms_txn_end {
    int64_t producer_id;
    int16_t epoch; /* of the markers; becomes the producer's current epoch */
    bool commit;
    int32_t coordinator_epoch; /* in the markers */
    const struct ms_keyed_records *sets;
    size_t set_count;
};
/* Ends the producer's transaction; one that has written nothing gets no markers. Waits for the
 * in-flight budget. `done` as for ms_store_append. Batches of the producer that come after this
 * call belong to the next transaction, and need ms_store_txn_add again. A record of a tombstoned
 * stream (tombstoned since it was produced) gets a version all the same. MS_ETOOBIG, MS_ENOSPC,
 * MS_ECLOSED, MS_ENOMEM: nothing was ended, and the call may be made again. */
int ms_store_txn_end(struct ms_store *store, const struct ms_txn_end *end, ms_append_done_fn *done,
                     void *context, struct ms_error *err) MS_MUST_CHECK;

/* One partition that an open transaction has written to. */
struct ms_txn_open {
    int64_t producer_id;
    int16_t epoch;
    struct ms_topic *topic;
    uint32_t partition;
    int64_t first_offset;
    int64_t started_ms; /* when its first batch there was committed to the log; 0: it isn't yet */
};
typedef int ms_txn_open_fn(void *context, const struct ms_txn_open *open);
/* All of them; after a start this is how the coordinator learns what is still open. visit returns
 * other than 0 to end it. It must not call in. */
int ms_store_txn_list(struct ms_store *store, ms_txn_open_fn *visit, void *context) MS_MUST_CHECK;

/* What a partition remembers of its producers (DescribeProducers). */
struct ms_producer_info {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_timestamp_ms;
    int64_t txn_first_offset; /* -1: no open transaction */
};
typedef int ms_producer_fn(void *context, const struct ms_producer_info *producer);
int ms_store_producers(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                       ms_producer_fn *visit, void *context) MS_MUST_CHECK;

/* Aborted transactions with records in [from, to): sorted by first offset. For Fetch with
 * read_committed. *ret_aborted is in the arena. MS_ENOMEM. */
struct ms_txn_aborted {
    int64_t producer_id, first_offset;
};
int ms_store_aborted(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                     int64_t from, int64_t to, struct ms_arena *arena,
                     struct ms_txn_aborted **ret_aborted, size_t *ret_count) MS_MUST_CHECK;
