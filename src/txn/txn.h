/*
 * The transaction coordinator of Kafka's producers: who may have a transaction, where it writes,
 * and how it ends. No I/O and no wire protocol: plain structs in, answers out; what must last goes
 * through a seam; time comes from the environment's clock.
 *
 * The pieces:
 *
 *   txns.c      making, stopping, memory, the tables, ticking
 *   turn.c      the one lock, answers, writes: what happens at the end of every call
 *   producers.c producer ids, InitProducerId
 *   members.c   what is part of a transaction: AddPartitionsToTxn, AddOffsetsToTxn, and what begins
 *               by itself (KIP-890)
 *   end.c       EndTxn, timeouts, forgetting: how it ends
 *   pending.c   offsets of groups that wait for the end
 *   load.c      from records to transactions, at start
 *   describe.c  describing, listing, counting
 *   metrics.c   for /metrics
 *   record.c    keys and values of `__transaction_state`
 *   service.c   the server's coordinator: this over the store
 *
 * A transactional id:
 *
 *     ms_txns_init: its first record
 *          |
 *          v       ms_txns_add_partitions, _add_offsets
 *        EMPTY ------------------------------------------> ONGOING
 *         ^ ^      ms_txns_begin, _begin_offsets            ^ | |
 *         | |                                               | | | ms_txns_end: commit or abort
 *         | '-- ms_txns_init: aborted, epoch + 1 -----------|-' | ms_txns_tick after the timeout:
 *         |                                                 |   | aborted, epoch + 1
 *         |                              as from EMPTY      |   v
 *         '-- ms_txns_init: epoch + 1 -- COMPLETE_COMMIT, COMPLETE_ABORT
 *
 *   EMPTY and COMPLETE_… are forgotten after id_retention_ms without a change (end.c).
 *
 * Each arrow is one append: the markers, what the transaction has done to groups' offsets and the
 * record of the id stand or fall together (ms_store_txn_end), so there is no state in between.
 * While it is on its way the id is busy: other requests about it are answered CONCURRENT, and are
 * made again by clients. Only what begins by itself (ms_txns_begin, ms_txns_begin_offsets) is in
 * memory alone: what was written then shows it after a start.
 *
 * Epochs. A producer is (producer id, epoch); one with another epoch than the id's is fenced. The
 * epoch before the last step, `previous`, is remembered where that step was one of the producer's
 * own, so that a producer that lost the answer gets it again. An epoch above MS_TXN_EPOCH_MAX is
 * never handed out: the next step takes a new producer id.
 *
 * Promises:
 *   1  a producer id is handed out once, ever: ranges are reserved durably before
 *   2  at most one transaction of a transactional id is open
 *   3  once a newer epoch was answered, nothing of an older one has any effect
 *   4  an end that was answered OK is in the log exactly once, with that result; one whose answer
 *      was lost at most once, and asking again tells
 *   5  offsets of groups change when the transaction's records do, in the same append
 *   6  an open transaction survives a restart and ends at its timeout at the latest (or as soon
 *      after as the log takes it)
 *   7  every request is answered exactly once, unless it is forgotten first
 *   8  memory is bounded by the limits below whatever clients send
 *
 * Threads: any thread may call anything, but for ms_txns_free. No lock is held while a callback,
 * `append`, `end` or `ended` runs, so they may call in again. A callback that is made from inside a
 * callback's call is made after the outer one returned, by the same thread.
 */
#pragma once

#include "base/arena.h"
#include "group/group.h"
#include "os/env.h"
#include "store/transactions.h"

struct ms_txns;

/* The outcome of a request. The values are Kafka's error numbers, so that a face needs no table. */
enum ms_txn_code {
    MS_TXN_UNKNOWN_SERVER_ERROR = -1, /* larger than one append may be */
    MS_TXN_OK = 0,
    MS_TXN_UNKNOWN_PARTITION = 3,
    MS_TXN_LOADING = 14,       /* before ms_txns_loaded */
    MS_TXN_NOT_AVAILABLE = 15, /* try again: not stored, stopping, out of memory */
    MS_TXN_INVALID_REQUEST = 42,
    MS_TXN_POLICY_VIOLATION = 44, /* ids_max or partitions_max is reached */
    MS_TXN_INVALID_STATE = 48,
    MS_TXN_INVALID_PRODUCER_ID_MAPPING = 49, /* the id is not known, or has another producer */
    MS_TXN_INVALID_TIMEOUT = 50,
    MS_TXN_CONCURRENT = 51, /* something else about the id is on its way: try again */
    MS_TXN_FENCED = 90,     /* faces of old versions say INVALID_PRODUCER_EPOCH (47) */
    MS_TXN_NOT_FOUND = 105,
};

/* The values are those of the records. */
enum ms_txn_state {
    MS_TXN_EMPTY = 0,
    MS_TXN_ONGOING = 1,
    MS_TXN_COMPLETE_COMMIT = 4,
    MS_TXN_COMPLETE_ABORT = 5,
};
/* As Kafka's tools spell them: "Empty", "Ongoing", … Static. */
const char *ms_txn_state_name(enum ms_txn_state state);

struct ms_txn_producer {
    int64_t id; /* -1 none */
    int16_t epoch;
};
#define MS_TXN_NO_PRODUCER ((struct ms_txn_producer){-1, -1})
#define MS_TXN_EPOCH_MAX 32766 /* one above it can still fence */
static inline bool ms_txn_producer_equal(struct ms_txn_producer a, struct ms_txn_producer b) {
    return a.id == b.id && a.epoch == b.epoch;
}

/* ---- the seam to what lasts ---- */

struct ms_txn_store {
    void *context;
    /* `append` and `end` as ms_store_append_record_sets and ms_store_txn_end, in the order of the
     * calls (there is never more than one call at a time). What they are given is valid during the
     * call. `done` is called exactly once, inside the call or later from any thread: 0 when it is
     * durable; else an MS_E…: it isn't there. An outcome that isn't known is only reported when
     * nothing is taken any more until the next start, which finds out. */
    void (*append)(void *context, const struct ms_keyed_records *sets, size_t set_count,
                   void (*done)(void *done_context, int code), void *done_context);
    void (*end)(void *context, const struct ms_txn_end *end,
                void (*done)(void *done_context, int code), void *done_context);
    /* Memory only and quick, called under the coordinator's lock: as ms_store_txn_set_epoch,
     * ms_store_txn_add and ms_store_txn_forget. */
    int (*set_epoch)(void *context, int64_t producer_id, int16_t epoch);
    int (*add)(void *context, int64_t producer_id, int16_t epoch, struct ms_bytes topic,
               int32_t partition);
    void (*forget)(void *context, int64_t producer_id);
    /* The end of a transaction that had offsets of groups is durable; before its answer. */
    void (*ended)(void *context, int64_t producer_id, bool commit);
};

/* ---- making and ending ---- */

#define MS_TXN_ID_BYTES_MAX 1024u
#define MS_TXN_PRODUCER_IDS 1000 /* in a range */

/* 0 in a number means the default. */
struct ms_txns_options {
    const struct ms_env *env;
    struct ms_txn_store store;
    /* Optional: ms_txns_tick is wanted earlier than its last answer said. Called without the lock,
     * from whichever thread made it so; must not tick itself. With it nothing is appended from
     * inside a `done` of the store's. */
    void (*wake)(void *context);
    void *wake_context;

    uint32_t ids_max;        /* transactional ids: 100,000 */
    uint32_t partitions_max; /* of one transaction: 10,000 */
    size_t bytes_max;        /* of all transactions and their pending offsets: 128 MiB */
    int32_t timeout_ms_max;  /* 15 min */
    int64_t id_retention_ms; /* 7 days */
};

/* MS_ENOMEM; MS_EINVAL for limits that contradict each other. Until ms_txns_loaded every request is
 * answered with MS_TXN_LOADING. */
int ms_txns_new(const struct ms_txns_options *options, struct ms_txns **ret_txns) MS_MUST_CHECK;
/* Answers all that waits with MS_TXN_NOT_AVAILABLE, and so everything that comes. */
void ms_txns_stop(struct ms_txns *txns);
/* After ms_txns_stop, when every `done` has returned and no call is running. Takes NULL. */
void ms_txns_free(struct ms_txns *txns);

/* One record of `__transaction_state` as found at start: the newest of its key. Records of kinds
 * that are not known are passed over. MS_EINVAL: the bytes are no such record. MS_ENOMEM: memory,
 * or more than the limits allow. */
int ms_txns_load(struct ms_txns *txns, const struct ms_keyed_record *record, uint64_t position)
    MS_MUST_CHECK;
/* A partition that an open transaction has written to, as found at start: after the records.
 * MS_ENOMEM. */
int ms_txns_load_open(struct ms_txns *txns, struct ms_txn_producer producer, struct ms_bytes topic,
                      int32_t partition, int64_t started_ms) MS_MUST_CHECK;
/* All of it was loaded: the store is told epochs and partitions, what belongs to nobody is aborted,
 * requests are served. MS_ENOMEM. */
int ms_txns_loaded(struct ms_txns *txns) MS_MUST_CHECK;

/* Aborts and forgets what is due. Returns in how many milliseconds it wants to be called again (at
 * least 0; being late only delays). */
int64_t ms_txns_tick(struct ms_txns *txns);

/* ---- requests ---- */

/* Zeroed by the caller, who owns it and keeps it in its place until it is answered or forgotten;
 * whatever else is handed in needs to be valid only during the call. */
struct ms_txn_request {
    void (*done)(struct ms_txn_request *request); /* any thread */
    void *context;
    /* The answer. */
    enum ms_txn_code code;
    struct ms_txn_producer producer; /* of ms_txns_init and ms_txns_end */
    /* The coordinator's. */
    struct ms_txn_request *next, *previous;
    struct ms_txn_request **place; /* of what it waits for */
    uint8_t phase;
};

/* The connection is gone: when this returns the callback is not running and will not be called
 * (unless it was called before, or this is called from inside it). Waits for a callback that is
 * running in another thread. The effect of the request remains. Not from inside the callback of
 * another request. */
void ms_txns_forget(struct ms_txns *txns, struct ms_txn_request *request);

/* InitProducerId. */
struct ms_txn_init {
    bool transactional;
    struct ms_bytes id; /* if it is */
    int32_t timeout_ms;
    struct ms_txn_producer expected; /* what the client has; MS_TXN_NO_PRODUCER: it doesn't say */
};
/* LOADING, NOT_AVAILABLE, INVALID_REQUEST, INVALID_TIMEOUT, POLICY_VIOLATION, CONCURRENT, FENCED.
 * Without a transactional id nothing is remembered: a fresh producer id, or the next epoch of the
 * one that the client has. */
void ms_txns_init(struct ms_txns *txns, const struct ms_txn_init *init,
                  struct ms_txn_request *request);

/* Who says so: the head of the rest. */
struct ms_txn_identity {
    struct ms_bytes id;
    struct ms_txn_producer producer;
};
struct ms_txn_partition_name {
    struct ms_bytes topic;
    int32_t partition;
};

/* AddPartitionsToTxn of partitions that are there: all or none. LOADING, NOT_AVAILABLE,
 * INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, FENCED, CONCURRENT, POLICY_VIOLATION,
 * UNKNOWN_PARTITION (one was deleted meanwhile), UNKNOWN_SERVER_ERROR. */
void ms_txns_add_partitions(struct ms_txns *txns, const struct ms_txn_identity *who,
                            const struct ms_txn_partition_name *partitions, size_t count,
                            struct ms_txn_request *request);
/* AddOffsetsToTxn. As above. */
void ms_txns_add_offsets(struct ms_txns *txns, const struct ms_txn_identity *who,
                         struct ms_txn_request *request);

/* Before a batch of a producer that adds no partitions (Produce since version 12): the partition is
 * part of the transaction, which begins if none is open. Answered at once, as above. The batch may
 * still be refused by the store, when the transaction ends in between. */
enum ms_txn_code ms_txns_begin(struct ms_txns *txns, const struct ms_txn_identity *who,
                               struct ms_bytes topic, int32_t partition);
/* Before ms_groups_txn_commit (TxnOffsetCommit). `implied`: it begins by itself (version 5 on),
 * otherwise INVALID_STATE unless offsets were added. */
enum ms_txn_code ms_txns_begin_offsets(struct ms_txns *txns, const struct ms_txn_identity *who,
                                       bool implied);

/* EndTxn. `bumps` (version 5 on): the producer goes on with request->producer. LOADING,
 * NOT_AVAILABLE, INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, FENCED, CONCURRENT, INVALID_STATE,
 * UNKNOWN_SERVER_ERROR. */
void ms_txns_end(struct ms_txns *txns, const struct ms_txn_identity *who, bool commit, bool bumps,
                 struct ms_txn_request *request);

/* ---- offsets of groups ---- */

/* ms_group_store.append of a transaction: the records become pending. `done`: 0 when they are
 * durable; MS_EFENCED (no such transaction is open any more), MS_EAGAIN (it is ending), MS_ENOMEM,
 * MS_ECLOSED, or what the log said. */
void ms_txns_append_offsets(struct ms_txns *txns, struct ms_txn_producer producer,
                            const struct ms_group_record *records, size_t count,
                            void (*done)(void *done_context, int code), void *done_context);
/* Those that were loaded. The lock is held: `visit` doesn't call in. What it returns other than 0
 * ends it and is returned. */
int ms_txns_visit_offsets(struct ms_txns *txns,
                          int (*visit)(void *context, int64_t producer_id,
                                       const struct ms_group_record *record, uint64_t position),
                          void *context) MS_MUST_CHECK;

/* ---- describing ---- */

struct ms_txn_info {
    struct ms_bytes id;
    enum ms_txn_state state;
    struct ms_txn_producer producer;
    int32_t timeout_ms;
    int64_t started_ms;                             /* -1: none is open */
    const struct ms_txn_partition_name *partitions; /* sorted */
    size_t partition_count;
};
/* Copies into `arena`. NOT_FOUND, LOADING, NOT_AVAILABLE (also: the arena is full),
 * INVALID_REQUEST. */
enum ms_txn_code ms_txns_describe(struct ms_txns *txns, struct ms_bytes id, struct ms_arena *arena,
                                  struct ms_txn_info *ret_info);

struct ms_txn_filter {
    uint32_t states;             /* bits 1 << MS_TXN_…; 0 all */
    const int64_t *producer_ids; /* none: all */
    size_t producer_count;
    int64_t duration_ms; /* open for longer than this; -1 all */
};
/* Sorted by id, copied into `arena`, without partitions. LOADING, NOT_AVAILABLE. */
enum ms_txn_code ms_txns_list(struct ms_txns *txns, const struct ms_txn_filter *filter,
                              struct ms_arena *arena, struct ms_txn_info **ret_infos,
                              size_t *ret_count);

/* ---- for metrics ---- */

struct ms_txns_stats {
    uint64_t ids, open, pending_offsets, bytes;
    int64_t oldest_open_ms; /* for how long; 0 when none is open */
    /* Since the start; timeouts are aborts too, and count when they are begun. */
    uint64_t commits, aborts, timeouts;
    uint64_t writes_in_flight, failed_writes;
};
void ms_txns_stats(struct ms_txns *txns, struct ms_txns_stats *ret_stats);
/* Appends Prometheus text. MS_ENOMEM, MS_ETOOBIG. */
int ms_txns_metrics(struct ms_txns *txns, struct ms_buf *out) MS_MUST_CHECK;
