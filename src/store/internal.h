/*
 * What the pieces of src/store share. Not for anyone outside this directory.
 *
 *   store.c        opening, closing, folding the log
 *   names.c        text form of streams <-> topic and key
 *   topics.c       the table of topics
 *   topic_changes.c  making, changing, deleting, listing them
 *   starts.c       where partitions begin
 *   adopt.c        switching streams on for records that are there
 *   versions.c     the versions of such records
 *   settle.c       waiting for an append's outcome
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
 *   read_stream.c read_all.c read_indexed.c filter.c list_streams.c
 *   subscription.c waiters.c metadata.c snapshots.c
 *   scavenge.c scavenge_judge.c scavenge_txn.c scavenge_schedule.c
 *   compaction.c   the newest record of each key, for the scavenger
 *   fates.c        what became of transactions, for the scavenger
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
#include "store/op.h"
#include "store/versions.h"

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
    int64_t cleaned_ms;      /* when it was last rewritten; INT64_MIN not known */
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
    uint64_t forgotten_end; /* aborted transactions were forgotten by what lies before it */
};

struct ms_store_metrics {
    struct ms_counter appends, events, repeats, conflicts, refusals, retries;
    struct ms_counter reads, read_events, index_flush_failures;
    struct ms_counter adopted_records;
    struct ms_counter scavenges, scavenged_segments, scavenge_read_bytes, scavenge_written_bytes;
    struct ms_counter scavenged_events, scavenge_won_bytes;
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
    pthread_mutex_t adoption_lock; /* before creation_lock; adopt.c */
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
/* settle.c */
struct ms_settling {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    int code;
};
void ms_settling_init(struct ms_settling *settling);
void ms_settling_deinit(struct ms_settling *settling);
/* An ms_append_done_fn; the context is the settling. */
void ms_settling_done(void *context, const struct ms_append_result *result);
int ms_settling_wait(struct ms_settling *settling, struct ms_store *store) MS_MUST_CHECK;

/* partition_read.c */
/* Shows the entries of a partition from the one that holds `offset` on, empty ones too, until visit
 * returns something else than 0, which is then returned; 0 at the end. Blocks for I/O. MS_EIO,
 * MS_ECORRUPT. */
typedef int ms_partition_visit_fn(void *context, const struct ms_log_entry *entry,
                                  struct ms_error *err);
int ms_partition_walk(struct ms_partition_reader *reader, struct ms_topic *topic,
                      uint32_t partition, int64_t offset, ms_partition_visit_fn *visit,
                      void *context, struct ms_error *err) MS_MUST_CHECK;

/* starts.c */
int64_t ms_partition_start(const struct ms_partition *partition);
int ms_starts_load(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;
/* Replay: an entry of "$starts". */
int ms_starts_fold_entry(struct ms_store *store, const struct ms_log_entry *entry,
                         struct ms_error *err) MS_MUST_CHECK;
/* An event of "$starts" whose topic was deleted. */
bool ms_starts_is_dead(struct ms_store *store, struct ms_bytes json);
/* The scavenger's: nothing is left of the aborted transactions with these markers; readers and the
 * index forget them. Sorts them. Blocks until durable. What an append is refused with. */
int ms_starts_forget(struct ms_store *store, struct ms_topic *topic, uint32_t partition,
                     int64_t *markers, size_t count, struct ms_error *err) MS_MUST_CHECK;
/* The scavenger's: partitions whose beginning expired and is removed begin behind it. */
int ms_starts_follow(struct ms_store *store, struct ms_error *err) MS_MUST_CHECK;

/* adopt.c */
/* True when records that are there must be given versions before the topic can have streams. */
bool ms_adoption_needed(struct ms_store *store, struct ms_topic *topic, bool streams);
/* Gives them versions, and shuts the topic's gate when all have them; takes as long as reading them
 * does. Then the topic's streams may be switched on (ms_topic_switch in the gate's shelter), and
 * ms_adoption_end must follow, also after a failure. MS_EINVAL: a key that can't name a stream;
 * MS_EAGAIN: a transaction stays open; MS_ENOTFOUND: the topic was deleted; and what an append is
 * refused with. */
int ms_adoption_begin(struct ms_store *store, struct ms_topic *topic, struct ms_error *err)
    MS_MUST_CHECK;
/* `switched`: batches are taken apart from now on. */
void ms_adoption_end(struct ms_store *store, struct ms_topic *topic, bool switched);

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
    struct ms_versions_reader versions;
    bool versions_apart; /* the entry is from before its topic had streams */
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

/* filter.c */
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
