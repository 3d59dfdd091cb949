/*
 * What the pieces of src/txn share; txn.h lists them. Not for anyone outside this directory.
 *
 * All state stands under txns->mutex. A call of the API is a turn: ms_txn_turn_begin locks, the
 * call changes state, queues answers and writes, and ms_txn_turn_end hands both out without the
 * lock until none is left. Functions that take a turn, or whose comment says "locked", run under
 * the lock.
 *
 *   txns -- table --> txn (by id, by producer id) -- table --> member: a partition
 *                      |
 *                      '-- list --> pending offset
 *
 *   A txn is busy from the time at which a write that changes it was queued until its outcome is
 *   known, and stays as it is meanwhile: `next` of the write is what it becomes. Pending offsets
 *   alone are written without making it busy. Writes reach the log in the order of
 *   ms_txn_write_queue, so an end covers every pending offset that was queued before it.
 */
#pragma once

#include <pthread.h>

#include "group/table.h"
#include "group/timers.h"
#include "txn/record.h"
#include "txn/txn.h"

/* How group offsets show among a transaction's partitions. */
#define MS_TXN_OFFSETS_TOPIC MS_BYTES_LITERAL("__consumer_offsets")

struct ms_txn_write;

/* A partition of a transaction. */
struct ms_txn_member {
    struct ms_table_node node;
    struct ms_txn_member *next; /* in a write */
    int32_t partition;
    size_t topic_len;
    char topic[];
};

struct ms_txn_offset {
    struct ms_txn_offset *next;
    struct ms_txn_write *write; /* on its way; NULL: durable */
    int64_t producer_id;        /* while loading */
    uint64_t position;          /* where it was loaded from */
    struct ms_txn_pending_value value;
    struct ms_bytes key; /* of __consumer_offsets; one piece of memory with the value */
};

/* What of a transactional id a write replaces. */
struct ms_txn_facts {
    enum ms_txn_state state;
    struct ms_txn_producer producer, previous;
    int32_t timeout_ms;
    int64_t changed_ms, started_ms; /* wall time; started -1: none is open */
};

struct ms_txnid {
    struct ms_table_node node;        /* by transactional id */
    struct ms_table_node by_producer; /* by facts.producer.id, while `placed` */
    struct ms_txns *txns;
    struct ms_timer timer; /* the timeout while ONGOING, otherwise the end of its retention */
    struct ms_txn_facts facts;
    bool placed;
    bool busy;
    uint32_t writes; /* in flight */
    bool epoch_told; /* the store knows the producer's epoch */
    bool has_offsets;
    struct ms_table members;
    struct ms_txn_offset *pendings, **pendings_end;
    size_t id_len;
    char id[];
};

struct ms_txn_delivery {
    struct ms_txn_delivery *next;
    struct ms_txn_request *request; /* whose callback is running */
    pthread_t thread;
};

/* An InitProducerId that waits for a range of producer ids. */
struct ms_txn_wait {
    struct ms_txn_wait *next;
    struct ms_txn_request *request; /* NULL: forgotten */
    struct ms_txn_init init;
    char id[];
};

struct ms_txns {
    struct ms_txns_options options;
    pthread_mutex_t mutex;
    pthread_cond_t delivered;
    bool loaded, stopped, writing;
    struct ms_table ids, producers;
    struct ms_timers timers;
    int64_t promised_tick_ms; /* monotonic; when the owner will call ms_txns_tick at the latest */
    int64_t next_id, ids_end; /* producer ids that may be handed out */
    bool reserving;
    struct ms_txn_wait *waits, **waits_end;
    struct ms_txn_offset *orphans; /* while loading */
    struct ms_table strays;        /* while loading: producers that belong to nobody */
    size_t bytes;
    uint64_t open, pending_offsets, commits, aborts, timeouts, failed_writes, writes_in_flight;
    struct ms_txn_request *answers, *answers_last;
    struct ms_txn_write *writes, **writes_end;
    struct ms_txn_delivery *deliveries;
};

/* ---- turn.c ---- */

struct ms_txn_turn {
    struct ms_txns *txns;
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* since 1970 */
};

void ms_txn_turn_begin(struct ms_txn_turn *turn, struct ms_txns *txns);
void ms_txn_turn_end(struct ms_txn_turn *turn);
/* LOADING, NOT_AVAILABLE when stopped, INVALID_REQUEST: no id that can be. */
enum ms_txn_code ms_txn_turn_check(const struct ms_txn_turn *turn, struct ms_bytes id);

enum ms_txn_phase { MS_TXN_NEW, MS_TXN_WAITING, MS_TXN_QUEUED, MS_TXN_DONE };

/* The request waits; *place is where it is found, and becomes NULL when it is forgotten. */
void ms_txn_request_wait(struct ms_txn_request *request, struct ms_txn_request **place);
/* NULL is passed over. */
void ms_txn_request_answer(struct ms_txns *txns, struct ms_txn_request *request,
                           enum ms_txn_code code, struct ms_txn_producer producer);

struct ms_txn_span { /* of a record in write->bytes */
    size_t key_at, value_at, end;
    bool tombstone;
};
struct ms_txn_spans {
    struct ms_txn_span *items;
    struct ms_keyed_record *records; /* made when no more bytes come */
    size_t count, capacity;
};

struct ms_txn_write {
    struct ms_txn_write *next;
    struct ms_txns *txns;
    struct ms_txnid *txn; /* NULL: of none */
    /* Locked. The outcome is known; the txn is not busy any more. */
    void (*finish)(struct ms_txn_turn *turn, struct ms_txn_write *write, int code);
    struct ms_txn_request *request; /* waits for it; NULL none, or forgotten */
    uint8_t holders;                /* the appender and the completion: the last one frees it */
    bool exclusive;                 /* it makes the txn busy */
    struct ms_txn_facts facts;      /* what the txn becomes */
    struct ms_txn_member *added;
    bool adds_offsets;
    bool ends, had_offsets;
    struct ms_txn_end end;
    int64_t ids_end;                       /* of a range */
    void (*told)(void *context, int code); /* who waits for pending offsets */
    void *told_context;
    struct ms_buf bytes;
    struct ms_txn_spans places[2]; /* by enum ms_records_topic */
    struct ms_keyed_records sets[2];
};

#define MS_TXN_WRITE_BYTES_MAX ((size_t)64 << 20)

/* For so many records at most. NULL: memory. */
struct ms_txn_write *ms_txn_write_new(struct ms_txns *txns, size_t states, size_t offsets,
                                      void (*finish)(struct ms_txn_turn *, struct ms_txn_write *,
                                                     int));
/* Of one that was not queued; its members go too. Takes NULL. */
void ms_txn_write_drop(struct ms_txn_write *write);
/* Before anything of a record is written to write->bytes; the key comes first. */
void ms_txn_write_key_begins(struct ms_txn_write *write, enum ms_records_topic topic);
void ms_txn_write_value_begins(struct ms_txn_write *write, enum ms_records_topic topic);
void ms_txn_write_record_ends(struct ms_txn_write *write, enum ms_records_topic topic,
                              bool tombstone);
/* From now on it will be appended and finished. */
void ms_txn_write_queue(struct ms_txn_write *write);
/* OK for 0, UNKNOWN_SERVER_ERROR for MS_ETOOBIG, else NOT_AVAILABLE. */
enum ms_txn_code ms_txn_write_code(int code);

/* ---- txns.c ---- */

/* Memory that counts towards bytes_max; NULL past it. Locked. */
void *ms_txn_alloc(struct ms_txns *txns, size_t size);
void ms_txn_release(struct ms_txns *txns, void *memory);
static inline struct ms_bytes ms_txnid_name(const struct ms_txnid *txn) {
    return ms_bytes_of(txn->id, txn->id_len);
}
struct ms_txnid *ms_txnid_find(const struct ms_txns *txns, struct ms_bytes id);
struct ms_txnid *ms_txnid_find_producer(const struct ms_txns *txns, int64_t producer_id);
/* One without a producer. OK, POLICY_VIOLATION, NOT_AVAILABLE. */
enum ms_txn_code ms_txnid_make(struct ms_txns *txns, struct ms_bytes id, struct ms_txnid **ret_txn);
void ms_txnid_free(struct ms_txnid *txn);
/* It becomes what `facts` says: tables, counts. Members and offsets go with an open transaction. */
void ms_txnid_become(struct ms_txnid *txn, const struct ms_txn_facts *facts);
/* Its timer is set for its state. */
void ms_txnid_arm(const struct ms_txn_turn *turn, struct ms_txnid *txn);
/* The store knows the epoch afterwards. NOT_AVAILABLE. */
enum ms_txn_code ms_txnid_tell_epoch(struct ms_txnid *txn);
/* A write that makes the txn busy and, if it succeeds, what `facts` says: with the txn's record as
 * `facts`, the present members (if it is ongoing then) and `added` say, and room for further
 * records. NULL: memory, or larger than may be. Takes over `added`. */
struct ms_txn_write *ms_txn_write_of(struct ms_txnid *txn, const struct ms_txn_facts *facts,
                                     struct ms_txn_member *added, bool adds_offsets,
                                     void (*finish)(struct ms_txn_turn *, struct ms_txn_write *,
                                                    int));

/* ---- producers.c ---- */

/* The producer that comes after: the next epoch, or a new id. False: ids are used up; a range has
 * to be reserved first. */
bool ms_txn_next_producer(struct ms_txns *txns, struct ms_txn_producer now,
                          struct ms_txn_producer *ret_next);
/* The request is made again when there is a range. */
void ms_txn_wait_for_ids(struct ms_txn_turn *turn, const struct ms_txn_init *init,
                         struct ms_txn_request *request);
/* Begins to reserve a range, unless one is on its way. */
void ms_txn_reserve_ids(struct ms_txn_turn *turn);
void ms_txn_answer_waits(struct ms_txns *txns, enum ms_txn_code code);

/* ---- members.c ---- */

/* Of the id's current producer, and nothing is on its way: OK and *ret_txn; LOADING, NOT_AVAILABLE,
 * INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, FENCED, CONCURRENT. */
enum ms_txn_code ms_txn_check(const struct ms_txn_turn *turn, const struct ms_txn_identity *who,
                              struct ms_txnid **ret_txn);
struct ms_txn_member *ms_txn_member_find(const struct ms_txnid *txn, struct ms_bytes topic,
                                         int32_t partition);
/* NULL: memory. */
struct ms_txn_member *ms_txn_member_new(struct ms_txns *txns, struct ms_bytes topic,
                                        int32_t partition);
void ms_txn_member_put(struct ms_txnid *txn, struct ms_txn_member *member);
void ms_txn_members_clear(struct ms_txnid *txn);
/* The txn's transaction is open since `wall_ms`, if it wasn't. In memory. */
void ms_txnid_open(const struct ms_txn_turn *turn, struct ms_txnid *txn);

/* ---- end.c ---- */

/* Ends the open transaction; its id becomes what `facts` says. OK: on its way, `request` (may be
 * NULL) will be answered with facts->producer. NOT_AVAILABLE. */
enum ms_txn_code ms_txnid_finish(struct ms_txn_turn *turn, struct ms_txnid *txn, bool commit,
                                 int16_t marker_epoch, const struct ms_txn_facts *facts,
                                 struct ms_txn_request *request);
/* The id's facts after a step that needs no end. As above. */
enum ms_txn_code ms_txnid_step(struct ms_txn_turn *turn, struct ms_txnid *txn,
                               const struct ms_txn_facts *facts, struct ms_txn_request *request);
/* The epoch that fences the txn's producer. */
int16_t ms_txnid_fence(const struct ms_txnid *txn);
/* A transaction that belongs to no transactional id is aborted. MS_ENOMEM. */
int ms_txn_abort_stray(struct ms_txns *txns, struct ms_txn_producer producer) MS_MUST_CHECK;
void ms_txn_timer_fired(struct ms_txn_turn *turn, struct ms_txnid *txn);

/* ---- pending.c ---- */

struct ms_txn_offset *ms_txn_offset_new(struct ms_txns *txns, struct ms_bytes key,
                                        const struct ms_txn_pending_value *value);
void ms_txn_offsets_clear(struct ms_txnid *txn);
/* Their tombstones, and when committing their records, join the write. MS_ENOMEM, MS_ETOOBIG. */
int ms_txn_offsets_write(struct ms_txn_write *write, const struct ms_txnid *txn, bool commit);
int ms_txn_offset_remove(struct ms_txn_write *write, int64_t producer_id, struct ms_bytes key);
