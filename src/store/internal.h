/*
 * What the pieces of src/store share. Not for anyone outside this directory.
 *
 *   store.c        opening, closing, folding the log
 *   names.c        text form of streams <-> topic and key
 *   topics.c       the table of topics
 *   topic_changes.c  making, changing, deleting, listing them
 *   heads.c        what the sequencer knows of streams
 *   encode.c       events -> batches
 *   terms.c        what the events of a batch are found by
 *   produce.c      a producer's batch -> entries
 *   records.c      keyed records of the system's topics
 *   producers.c transactions.c txn_end.c txn_start.c txn_visible.c  see txn.h
 *   partition_read.c  a partition's batches, as they are stored
 *   append.c       sequencing, completing
 *   conditions.c   may it be appended, is it a resend?
 *   repeat.c       idempotent resends: comparing with what is stored
 *   window.c       the window of event ids
 *   window_file.c  the window over a clean stop
 *   query.c        query conditions
 *   publish.c      what became durable goes to the index and to the waiters
 *   decode.c       entries -> events
 *   read_stream.c read_all.c subscription.c waiters.c metadata.c snapshots.c
 *   scavenge.c scavenge_schedule.c
 *   worker.c       I/O that the committer's thread must not do
 *
 * Locks, in rank order after those of src/log (docs/internals/threads.md): the log's lock guards
 * heads, the idempotence window, query terms and partitions' next offsets; topics->lock the table;
 * waiters->lock; worker->lock.
 */
#pragma once

#include <pthread.h>
#include <stdio.h>

#include "index/index.h"
#include "store/topics.h"

/* ---- streams ---- */

#define MS_RULES_BYTES_MAX 64u

/* Rules that hold for a stream besides its events. */
struct ms_stream_rules {
    bool tombstoned;
    int64_t deleted_head;     /* soft deleted when the stream's head is this; -1 never */
    int64_t truncate_before;  /* 0 none */
    int64_t max_count;        /* 0 none */
    int64_t max_age_ms;       /* 0 none */
    int64_t metadata_version; /* -1 none */
};
#define MS_STREAM_RULES_NONE ((struct ms_stream_rules){.deleted_head = -1, .metadata_version = -1})

struct ms_head {
    struct ms_stream_id id;
    int64_t version;       /* -1: no events */
    uint64_t end_position; /* one past the last record */
    struct ms_stream_rules rules;
    uint16_t partition_plus_1; /* of its newest event; 0: not known */
    bool used;                 /* place taken */
    bool referenced;           /* since the clock hand passed */
};

#define MS_HEADS_SHARDS 256u

/* Where a shard's rows lie, to be fetched into the processor's cache by whoever will need one of
 * them under the lock: a hint, which may be out of date, and is never read through. */
struct ms_shard_hint {
    _Atomic(uintptr_t) rows; /* 0 none */
    _Atomic(size_t) mask;
};

static inline void ms_shard_hint_set(struct ms_shard_hint *hint, const void *rows,
                                     size_t capacity) {
    atomic_store_explicit(&hint->rows, (uintptr_t)rows, memory_order_relaxed);
    atomic_store_explicit(&hint->mask, capacity - 1, memory_order_relaxed);
}

static inline void ms_shard_hint_fetch(const struct ms_shard_hint *hint, uint64_t hash,
                                       size_t row_bytes) {
    uintptr_t rows = atomic_load_explicit(&hint->rows, memory_order_relaxed);
    size_t mask = atomic_load_explicit(&hint->mask, memory_order_relaxed);
    if (rows == 0)
        return;
    uintptr_t row = rows + ((size_t)hash & mask) * row_bytes;
    __builtin_prefetch((const void *)row, 1);
    if (row_bytes > 64) /* more than a line */
        __builtin_prefetch((const void *)(row + 64), 1);
}

struct ms_heads_shard {
    struct ms_head *table; /* open addressing, linear probing; NULL: nothing was ever in it */
    size_t capacity, count;
    struct ms_shard_hint hint;
};

struct ms_heads {
    struct ms_heads_shard shards[MS_HEADS_SHARDS];
    size_t capacity, count, count_max;
    size_t hand_shard, hand; /* where the clock stands */
    uint64_t evicted_end;    /* the highest end_position of any head evicted */
};

struct ms_stream_ref {
    struct ms_topic *topic;
    struct ms_bytes key;
    struct ms_stream_id id;
};

/* ---- appends in flight ---- */

enum ms_op_outcome {
    MS_OP_APPENDED,
    MS_OP_CHECKED, /* no events: only the conditions */
    MS_OP_REFUSED,
    MS_OP_REPEAT, /* maybe a resend: the worker compares with what is stored */
};

enum ms_part_kind {
    MS_PART_EVENTS,
    MS_PART_PENDING, /* a batch of an open transaction */
    MS_PART_MARKER,  /* its end, in one partition */
    MS_PART_COMMIT,  /* of a pending batch: first_offset says of which */
};

struct ms_op_part {
    struct ms_stream_ref ref;
    struct ms_bytes stream; /* canonical name */
    struct ms_condition condition;
    uint32_t count;
    size_t batch_at, batch_len; /* in op->batches */
    size_t fact_count;          /* of keyed records */
    const uint64_t *terms;
    size_t term_count;
    uint64_t *id_hashes; /* one per event */
    uint32_t ids_given;  /* by the client; the others were made here, and are no resend's */
    uint16_t partition;
    uint8_t entry_flags;
    /* results of sequencing */
    int64_t first_version, version;
    uint64_t position;
    int64_t first_offset;
    int64_t newest_ms; /* timestamp of its newest record */
    enum ms_part_kind kind;
    bool of_stream;        /* else it is a partition's only, and has no head */
    struct ms_bytes batch; /* the producer's own bytes; absent: in op->batches */
    /* Of producers' batches and of ends: */
    bool pending_stream;            /* its commit will be of the stream `ref.id` */
    struct ms_txn_pending *pending; /* until it is the transaction's */
    struct ms_txn_place *place;     /* PENDING; MARKER: until it is shown */
    struct ms_aborted *aborted;     /* MARKER: until it is shown */
    struct ms_producer *producer;   /* what the partition knows of it after this; arena */
    bool repeat;                    /* candidate; the stored events begin at: */
    int64_t repeat_version;
    bool by_window;        /* the window knows where; else the condition says it */
    struct ms_head judged; /* the head as it was then, for a refusal */
    struct ms_head *head;  /* under the log's lock, once brought in */
    struct ms_head cold;   /* resolved from the index before the lock */
    bool cold_known;
    uint64_t cold_applied; /* the index covered everything below it when it was asked */
};

/* What an append changes besides the events it adds. Applied when it is sequenced; `name` and
 * `value` are then folded into the index as a fact. */
struct ms_op_effect {
    enum { MS_EFFECT_NONE, MS_EFFECT_RULES, MS_EFFECT_TOPIC } kind;
    size_t part; /* RULES: of which part's stream */
    struct ms_stream_rules
        rules; /* RULES: the new ones; deleted_head INT64_MAX = the head as it is then */
    struct ms_topic *closes; /* TOPIC: the topic that is deleted, or NULL */
    struct ms_bytes name, value;
};

/* A topic that was not there when an append was made ready. It has an identity, so that its streams
 * have theirs, and gets its number when it is made: in one step with the append, or never. */
struct ms_op_topic {
    struct ms_op_topic *next;
    struct ms_topic *topic; /* the op's own until `entered` in the table */
    bool needed;            /* the append adds to it; else only a condition looks there */
    bool entered;
    struct ms_op *creation; /* its event, to be put before the append's own */
};

struct ms_op {
    struct ms_log_ticket ticket;
    struct ms_arena arena; /* names, hashes, terms */
    struct ms_buf batches;
    struct ms_store *store; /* from here to `error` an op begins as zeros (op_pool.c) */
    ms_append_done_fn *done;
    void *context;
    struct ms_op *next; /* of the worker's queue */
    enum ms_op_outcome outcome;
    bool must_exist;    /* a delete: no stream is MS_ENOTFOUND */
    bool must_reach;    /* expected versions may also have been passed; see ms_append_request */
    bool ignore_window; /* the window's hint turned out to be wrong */
    bool system;
    bool wait;
    bool stale;    /* submitting said MS_EAGAIN: what it was made from has changed, make it anew */
    bool replaces; /* its first part was made from that stream's newest event */
    bool produce;  /* no conditions: a producer's batch, an end, records */
    bool streams;  /* a batch made for a topic with streams, or without */
    bool by_producer; /* `header` says which */
    bool begins;      /* its batch may open a place for its transaction */
    bool ends;        /* it ends a transaction */
    bool sequenced;
    struct ms_op_topic *new_topics;
    uint64_t budget;
    uint64_t started_us;
    struct ms_op_part *parts;
    size_t part_count;
    const struct ms_query_condition *queries;
    size_t query_count;
    uint64_t query_from; /* index and log have answered for everything below */
    bool query_match;    /* and found an event: */
    size_t query_match_index;
    uint64_t query_match_position;
    bool query_behind; /* what the ring does not have is not published yet */
    struct ms_append_part_result *results;
    struct ms_append_result result;
    struct ms_op_effect effect;
    struct ms_index_fact *facts; /* of keyed records, in the order of the parts; arena */
    size_t fact_count;
    struct ms_batch_header header; /* of the producer's batch; of an end: producer and epoch */
    struct ms_txn_place *place, *spare_place;
    int64_t repeat_offset;
    struct ms_txn_place *unwritten_places;
    struct ms_txn_pending *ended_pending; /* their terms are the commits' */
    struct ms_error error;
};

struct ms_op_pool {
    pthread_mutex_t lock;
    struct ms_op *free;
    size_t count;
};

/* ---- waiting ---- */

#define MS_WAITER_BUCKETS 1024u
struct ms_waiters {
    pthread_mutex_t lock;
    pthread_cond_t fired_done;
    struct ms_waiter *buckets[MS_WAITER_BUCKETS];
    struct ms_waiter *all;
    _Atomic(size_t) stream_count;
    struct ms_waiter *fired; /* streams whose events are in the group being published */
    bool firing;
    struct ms_subscription *subscriptions; /* all of them, for the lag's sake */
};

#define MS_WINDOW_SHARDS 256u

struct ms_window_slot {
    uint64_t hash; /* 0 free */
    int64_t version;
};

struct ms_window_shard {
    struct ms_window_slot *slots; /* open addressing, linear probing */
    size_t capacity, count;
    struct ms_shard_hint hint;
};

struct ms_window { /* idempotence for `any`: hash of stream and event id -> version */
    struct ms_window_shard shards[MS_WINDOW_SHARDS];
    size_t capacity; /* of all shards */
    uint64_t *ring;  /* the hashes in the order they came */
    size_t ring_capacity, ring_at, count;
};

struct ms_query_terms { /* terms of the newest events, for query conditions */
    _Atomic(bool) on;
    uint64_t from; /* complete from this position on */
    struct ms_query_term *ring;
    size_t capacity, at, count;
};
struct ms_query_term {
    uint64_t position, term;
};

struct ms_worker {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    bool started, stop;
    struct ms_op *first, **end;
};

/* What a scheduled scavenge remembers of a segment that it has looked at. */
struct ms_scavenge_memo {
    uint64_t segment, bytes; /* its first position; of its file */
    double dead_min;         /* less dead than this share: rewriting it was in vain already */
};
struct ms_scavenger { /* runs on a schedule */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool started;
    _Atomic(bool) stop;
    _Atomic(bool) running;    /* a scheduled scavenge, which gives way to what is asked for: */
    _Atomic(unsigned) wanted; /* how many ask */
    /* Of the last complete pass; under scavenge_lock. */
    struct ms_scavenge_memo *memos; /* in order */
    size_t memo_count;
    uint64_t marks;
    bool passed, rules_act; /* rules were met that mark events without anybody's doing */
};

struct ms_store_metrics {
    struct ms_counter appends, events, repeats, conflicts, refusals, retries;
    struct ms_counter reads, read_events, index_flush_failures;
    struct ms_counter scavenges, scavenged_segments, scavenge_read_bytes, scavenge_written_bytes;
    struct ms_counter scavenged_events;
    struct ms_histogram append_us;
};

struct ms_store {
    struct ms_store_options options;
    const struct ms_env *env;
    char *dir;
    struct ms_file *lock_file;
    struct ms_uuid uuid;     /* of this store; a restored copy gets another */
    struct ms_uuid log_uuid; /* of the log, in every block */
    uint64_t stream_seed;
    struct ms_log *log;
    struct ms_index *index;
    struct ms_topics topics;
    bool topics_ready;
    struct ms_heads heads;
    struct ms_window window;
    struct ms_query_terms query_terms;
    struct ms_waiters waiters;
    struct ms_worker worker;
    struct ms_op_pool op_pool;
    pthread_mutex_t creation_lock; /* of topics */
    pthread_mutex_t budget_lock;
    pthread_cond_t budget_freed;
    _Atomic(uint64_t) inflight;
    _Atomic(size_t) subscriptions;
    _Atomic(bool) closing;
    struct ms_index_append *publish_appends; /* reused by the committer's thread */
    size_t publish_capacity;
    struct ms_txns txns;
    pthread_mutex_t aborted_lock;   /* partitions' lists of aborted transactions */
    pthread_mutex_t scavenge_lock;  /* one scavenge at a time */
    _Atomic(uint64_t) rule_changes; /* since the start */
    struct ms_scavenger scavenger;
    struct ms_store_metrics metrics;
};

/* store.c: the file FORMAT */
int ms_format_write(const struct ms_env *env, const char *dir, const struct ms_uuid *store_uuid,
                    const struct ms_uuid *log_uuid, struct ms_error *err) MS_MUST_CHECK;
int ms_format_read(const struct ms_env *env, const char *dir, struct ms_uuid *ret_store_uuid,
                   struct ms_uuid *ret_log_uuid, struct ms_error *err) MS_MUST_CHECK;

/* names.c */
#define MS_NAME_TEXT_MAX 65536u /* bytes of any text form, escapes included */
#define MS_NAME_ARENA_MAX ((size_t)4 * MS_NAME_TEXT_MAX) /* to split one in */
#define MS_TOPIC_NAME_ILLEGAL "'%.*s' is no legal topic name: 1 to 249 of [A-Za-z0-9._-]"
/* The topic that a text form begins with: `len` bytes, written as `text_len` before the '-'. */
struct ms_name_topic {
    uint8_t bytes[MS_TOPIC_NAME_MAX + 1]; /* and the '$' of the system's */
    size_t len, text_len;
};
/* False: there is none, and the stream lives in "$streams" or "$metadata". */
bool ms_name_topic(struct ms_bytes text, struct ms_name_topic *ret_topic);
/* Which topic and key a stream's text form names. They borrow from text, or are decoded into the
 * arena. name_max counts decoded bytes. MS_EINVAL says what is wrong with the name. */
int ms_name_split(struct ms_bytes text, size_t name_max, struct ms_arena *arena,
                  struct ms_bytes *ret_topic_name, struct ms_bytes *ret_key, struct ms_error *err)
    MS_MUST_CHECK;
/* Appends the text form, the one of several that streams are shown in. */
int ms_name_join(struct ms_bytes topic_name, struct ms_bytes key, struct ms_buf *out) MS_MUST_CHECK;
/* Appends a name as ms_name_join would write it. */
int ms_name_canonical(struct ms_store *store, struct ms_bytes text, struct ms_buf *out,
                      struct ms_error *err) MS_MUST_CHECK;
static inline size_t ms_name_bytes_max(const struct ms_store *store) {
    return store->options.limits.name_bytes_max;
}
bool ms_topic_name_legal(struct ms_bytes name); /* [A-Za-z0-9._-]{1,249} */
/* MS_ERESERVED: the name is not users', and by which rule. `metadata`: that of metadata will do. */
int ms_name_check_stream(struct ms_bytes stream, bool metadata, struct ms_error *err) MS_MUST_CHECK;
int ms_name_check_topic(struct ms_bytes topic_name, struct ms_error *err) MS_MUST_CHECK;
/* The partition of a key, as Kafka's default partitioner chooses it. */
uint16_t ms_partition_of(struct ms_bytes key, uint16_t partitions);
struct ms_stream_id ms_stream_id_of(const struct ms_store *store, const struct ms_topic *topic,
                                    struct ms_bytes key);

/* heads.c; under the log's lock */
void ms_heads_init(struct ms_heads *heads, size_t count_max);
void ms_heads_deinit(struct ms_heads *heads);
struct ms_head *ms_heads_find(struct ms_heads *heads, const struct ms_stream_id *id);
/* Without the lock: ms_heads_find will be quicker. */
void ms_heads_prefetch(const struct ms_heads *heads, const struct ms_stream_id *id);
/* Takes a place for a head that isn't there, evicting one that the index covers (below `applied`).
 * MS_ENOMEM: no place can be had. */
int ms_heads_add(struct ms_heads *heads, const struct ms_head *head, uint64_t applied,
                 struct ms_head **ret_head) MS_MUST_CHECK;
/* Not under the lock: head and rules from the index. */
int ms_heads_resolve(struct ms_store *store, const struct ms_stream_id *id,
                     struct ms_head *ret_head, struct ms_error *err) MS_MUST_CHECK;
/* The first version that truncation, deletion and $maxCount leave readable. */
int64_t ms_head_first_readable(const struct ms_head *head);
enum ms_stream_state ms_head_state(int64_t version, const struct ms_stream_rules *rules);

/* op_pool.c */
void ms_op_pool_init(struct ms_op_pool *pool);
void ms_op_pool_deinit(struct ms_op_pool *pool);
/* An op that is zeros but for its memory; NULL when there is none. */
struct ms_op *ms_op_take(struct ms_op_pool *pool, size_t batch_bytes_max);
void ms_op_give(struct ms_op_pool *pool, struct ms_op *op);

/* encode.c */
int ms_op_new(struct ms_store *store, const struct ms_append_request *request,
              struct ms_op **ret_op, struct ms_error *err) MS_MUST_CHECK;
void ms_op_free(struct ms_op *op);
uint64_t ms_event_id_hash(const struct ms_stream_id *stream, struct ms_bytes event_id);

/* terms.c */
struct ms_term_list {
    struct ms_arena *arena;
    uint64_t *terms;
    size_t count, capacity;
    bool untyped; /* a record without a type was among them */
};
int ms_terms_add_event(struct ms_term_list *list, const struct ms_event *event) MS_MUST_CHECK;
int ms_terms_add_record(struct ms_term_list *list, const struct ms_record *record,
                        struct ms_arena *scratch) MS_MUST_CHECK;
/* After the batch's events: of their topic. */
int ms_terms_add_topic(struct ms_term_list *list, const struct ms_topic *topic) MS_MUST_CHECK;
void ms_terms_distinct(struct ms_term_list *list); /* each once */
/* Terms of all the events of a batch, each once. */
int ms_batch_terms(struct ms_bytes batch, const struct ms_topic *topic, struct ms_arena *arena,
                   const uint64_t **ret_terms, size_t *ret_count) MS_MUST_CHECK;

/* records.c */
bool ms_records_is_topic(uint32_t number);
/* The op's part has its position now: its facts learn theirs. */
void ms_records_date(struct ms_op *op);
/* One part for each set, behind those that are there already; room for them is the caller's. */
int ms_records_add(struct ms_op *op, const struct ms_keyed_records *sets, size_t set_count)
    MS_MUST_CHECK;
int ms_records_fold(struct ms_store *store, const struct ms_log_entry *entry, struct ms_error *err)
    MS_MUST_CHECK;

/* conditions.c; under the log's lock */
/* All heads known: true when the events may be put; else the outcome is set. */
bool ms_op_judge(struct ms_op *op);

/* produce.c; under the log's lock: tombstoned streams, sequences, transactions. */
bool ms_op_judge_produce(struct ms_op *op);

/* append.c */
/* MS_EAGAIN and op->stale: the op is to be made anew. */
int ms_op_submit(struct ms_op *op, struct ms_error *err) MS_MUST_CHECK;
/* Not under the lock: the heads that aren't known, from the index. */
int ms_op_resolve_heads(struct ms_op *op, struct ms_error *err) MS_MUST_CHECK;
/* Submits an op whose events are the caller's own business, charging its budget. On failure the op
 * is gone. *ret_stale as above. */
int ms_op_start(struct ms_op *op, ms_append_done_fn *done, void *context, bool wait,
                bool *ret_stale, struct ms_error *err) MS_MUST_CHECK;
void ms_op_finish(struct ms_op *op); /* calls done, gives the budget back, frees */
/* Bytes of an append that is over; wakes who waits for room. */
void ms_budget_give_back(struct ms_store *store, uint64_t bytes);
void ms_op_refuse_conflict(struct ms_op *op, size_t part, const struct ms_head *head);

/* window.c */
int ms_window_init(struct ms_window *window, size_t events) MS_MUST_CHECK;
void ms_window_deinit(struct ms_window *window);
/* Without the lock: ms_window_find and ms_window_add will be quicker. */
void ms_window_prefetch(const struct ms_window *window, uint64_t hash);
void ms_window_add(struct ms_window *window, uint64_t hash, int64_t version); /* under the lock */
bool ms_window_find(const struct ms_window *window, uint64_t hash, int64_t *ret_version);
int ms_window_rebuild(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;

/* window_file.c */
/* Written at a clean stop, so that the next start need not read a million events. */
void ms_window_save(struct ms_store *store, uint64_t end);
/* False when there is no file that fits the log's end: then rebuild. */
bool ms_window_load(struct ms_store *store);

/* repeat.c */
void ms_repeat_compare(struct ms_op *op); /* worker's thread: decides and finishes */

/* query.c */
void ms_query_terms_deinit(struct ms_query_terms *terms);
/* Under the lock. */
void ms_query_terms_note(struct ms_store *store, const struct ms_op_part *part);
int ms_query_prepare(struct ms_op *op, struct ms_error *err) MS_MUST_CHECK; /* not under the lock */
/* Under the lock: 0, MS_EQUERYCONDITION, or MS_EAGAIN: prepare again. */
int ms_query_check(struct ms_op *op) MS_MUST_CHECK;

/* publish.c */
#define MS_PUBLICATION_PAUSE_US 50 /* for those who wait for one */
void ms_publish(void *store, struct ms_log_ticket *tickets);
void ms_published(void *store, uint64_t end);
/* Folds what the log has and the index lacks. */
int ms_replay(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;

/* metadata.c */
size_t ms_rules_fact_name(const struct ms_stream_id *id, char out[MS_FACT_NAME_MAX]);
size_t ms_rules_write(const struct ms_stream_rules *rules, uint8_t out[MS_RULES_BYTES_MAX]);
int ms_rules_read(struct ms_bytes value, struct ms_stream_rules *ret_rules) MS_MUST_CHECK;
int ms_rules_parse(struct ms_bytes json, int64_t head, struct ms_stream_rules *ret_rules,
                   struct ms_error *err) MS_MUST_CHECK;
/* Replay: an entry of "$metadata" or a tombstone changes a stream's rules. */
int ms_rules_fold(struct ms_store *store, const struct ms_log_entry *entry, struct ms_error *err)
    MS_MUST_CHECK;

/* decode.c: walks the events of an entry */
struct ms_entry_reader {
    struct ms_store *store;
    struct ms_log_entry entry;
    struct ms_log_cursor pending; /* on the batch that a commit names */
    struct ms_topic *topic;
    struct ms_batch_reader batch;
    struct ms_arena arena;
    struct ms_buf name;
    struct ms_buf places;     /* of the records, size_t each; filled for reading backward */
    struct ms_bytes name_key; /* key whose text form is in `name` */
    char id_text[MS_TOPIC_NAME_MAX + 48];
};
void ms_entry_reader_init(struct ms_entry_reader *reader, struct ms_store *store);
void ms_entry_reader_deinit(struct ms_entry_reader *reader);
int ms_entry_reader_begin(struct ms_entry_reader *reader, const struct ms_log_entry *entry,
                          struct ms_error *err) MS_MUST_CHECK;
/* 1 and an event, 0 at the end. Valid until the next call. */
int ms_entry_reader_next(struct ms_entry_reader *reader, struct ms_read_event *ret_event,
                         struct ms_error *err) MS_MUST_CHECK;

/* For reading backward: how many events the entry has (scavenged ones left out), and the n-th. */
int ms_entry_reader_count(struct ms_entry_reader *reader, size_t *ret_count, struct ms_error *err)
    MS_MUST_CHECK;
int ms_entry_reader_at(struct ms_entry_reader *reader, size_t n, struct ms_read_event *ret_event,
                       struct ms_error *err) MS_MUST_CHECK;

/* read_stream.c */
int ms_stream_find(struct ms_store *store, struct ms_bytes name, struct ms_arena *arena,
                   struct ms_stream_ref *ret_ref, struct ms_error *err) MS_MUST_CHECK;

/* subscription.c */
struct ms_subscription_lag {
    uint64_t sum, max; /* events behind the end: of the store, or of the stream that is followed */
};
void ms_subscriptions_lag(struct ms_store *store, struct ms_subscription_lag *ret_lag);

/* read_all.c */
bool ms_filter_matches(const struct ms_filter *filter, const struct ms_read_event *event,
                       bool system);

/* waiters.c */
/* What waits for a partition is noted by; no stream has such an id. */
struct ms_stream_id ms_partition_waiter_id(uint32_t topic, uint16_t partition);
void ms_waiters_init(struct ms_waiters *waiters);
void ms_waiters_deinit(struct ms_waiters *waiters);
void ms_waiter_arm(struct ms_waiters *waiters, struct ms_waiter *waiter);
void ms_waiter_disarm(struct ms_waiters *waiters, struct ms_waiter *waiter);
void ms_waiters_note(struct ms_waiters *waiters, const struct ms_stream_id *stream);
void ms_waiters_fire(struct ms_waiters *waiters);

/* scavenge.c */
/* `frugal`: segments in which nothing can have changed since the last time are not even read,
 * others are read before they are written anew. scavenge_lock is held, and given back. */
int ms_scavenge_run(struct ms_store *store, const struct ms_scavenge_options *options, bool frugal,
                    struct ms_scavenge_result *ret_result, struct ms_error *err) MS_MUST_CHECK;

/* scavenge_schedule.c */
/* Locks scavenge_lock for what somebody asked for; a scheduled run gives way. MS_EAGAIN. */
int ms_scavenge_lock(struct ms_store *store) MS_MUST_CHECK;
uint64_t ms_scavenge_marks(struct ms_store *store);
/* A topic has rules that mark events as time passes or events come. */
bool ms_scavenge_topics_act(struct ms_store *store);
int ms_scavenger_start(struct ms_store *store) MS_MUST_CHECK;
void ms_scavenger_stop(struct ms_store *store);

/* worker.c */
int ms_worker_start(struct ms_store *store) MS_MUST_CHECK;
void ms_worker_stop(struct ms_store *store);
void ms_worker_push(struct ms_store *store, struct ms_op *op);
void ms_worker_run(struct ms_store *store); /* manual mode */
