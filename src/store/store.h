/*
 * The store: the core's API. Topics, partitions and streams on one shard's log; conditional,
 * idempotent, atomic appends; reads forward, backward and back in time; waiting for what comes
 * next.
 *
 * Every face, the C library and everything above the core is a client of this file. Words as in
 * DESIGN section 1.
 *
 * Answers are given only from what is durable: an append's outcome, a refusal and an idempotent
 * repeat all leave only once the newest block they have read is durable, in log order.
 *
 * Threads: every function from any thread. `done` callbacks run on the committer's thread, or
 * inside the call, and must neither block nor call back into appends synchronously waiting; hand
 * over to your own loop.
 */
#pragma once

#include "log/log.h"
#include "wire/event.h"

struct ms_store;

/* ---- life ---- */

struct ms_store_options {
    const struct ms_env *env; /* NULL: the system's */
    const char *dir;          /* data directory; made when missing */
    struct ms_event_limits limits;
    enum ms_durability durability; /* default MS_DURABILITY_COMMIT */
    bool buffered_writes;          /* log.write: buffered; default direct with a clean fallback */
    bool read_only; /* no lock, no recovery writes: for `verify`, `inspect` and backups' readers */
    uint64_t segment_bytes;    /* default 256 MiB; 1 MiB..1 GiB, a multiple of 4096 */
    int64_t idle_mark_ms;      /* default 1 s; 0: an idle log gets no mark behind its last block */
    size_t tail_cache_bytes;   /* default 16 MiB */
    size_t head_cache_entries; /* stream heads kept in memory; default 1,000,000 */
    size_t index_cache_bytes;  /* default 64 MiB */
    size_t index_overlay_entries_max; /* default 1,000,000 */
    size_t inflight_bytes_max;        /* appends accepted and not yet durable; default 256 MiB */
    size_t idempotence_window;    /* events remembered for resends under `any`; default 1,000,000 */
    uint32_t topics_max;          /* default 10,000 */
    uint16_t topic_partitions;    /* of topics made by appends; default 4 */
    bool index_in_memory;         /* tests on simulated files */
    bool manual;                  /* no threads: tests drive the store with ms_store_run */
    int64_t scavenge_interval_ms; /* 0 (default): only when asked */
    uint64_t scavenge_bytes_per_second; /* of scheduled scavenges; default 32 MiB/s */
    size_t compaction_bytes_max;        /* of a scavenge's memory for keys; default 64 MiB */
    /* Long work at start. */
    void (*on_progress)(void *context, const char *what, uint64_t done, uint64_t total);
    /* Something an operator should know, a sentence: less than 15% of the disk is free … */
    void (*on_warning)(void *context, const char *message);
    /* The log has stopped for good; called once. */
    void (*on_failure)(void *context, const struct ms_error *error);
    void *context;
};
void ms_store_options_init(struct ms_store_options *options); /* all defaults */

/* Opens, recovers, folds what the index lacks. MS_ELOCKED, MS_EFORMAT, MS_ECORRUPT (names segment
 * and offset), MS_ENOSPC, MS_EIO, MS_ENOMEM, MS_EINVAL. */
int ms_store_open(const struct ms_store_options *options, struct ms_store **ret_store,
                  struct ms_error *err) MS_MUST_CHECK;
/* Waits for the appends in flight, writes the clean mark, frees. Subscriptions must be gone. Takes
 * NULL. */
int ms_store_close(struct ms_store *store, struct ms_error *err);
/* manual mode only: commits what is pending, runs deferred work. */
void ms_store_run(struct ms_store *store);

/* ---- names ---- */

/* Appends the text form of the stream of a topic and key: "<topic>-<key>", with the bytes of the
 * key that can't stand in a name as %XX and a '-' of the topic's own as %2D. In this form streams
 * are shown, and every function here takes it. MS_EINVAL: no legal topic name; MS_ENOMEM.
 */
int ms_store_stream_name(struct ms_bytes topic, struct ms_bytes key, struct ms_buf *out,
                         struct ms_error *err) MS_MUST_CHECK;

/* The one of a stream's spellings in which it is shown, in the arena where it is another than
 * `stream`. A name that can have but one spelling, or is too long for any, is not looked at
 * further. MS_EINVAL (the name is none), MS_ENOMEM. */
int ms_store_canonical_name(struct ms_bytes stream, struct ms_arena *arena,
                            struct ms_bytes *ret_name, struct ms_error *err) MS_MUST_CHECK;

/* The topic that a stream of this name lives in, in `room` or static; "$metadata" for "$$…". */
#define MS_STREAM_TOPIC_MAX 250u
struct ms_bytes ms_store_stream_topic(struct ms_bytes stream, uint8_t room[MS_STREAM_TOPIC_MAX]);

/* ---- appending ---- */

enum ms_condition_kind {
    MS_EXPECT_ANY,
    MS_EXPECT_NONE, /* no stream: never existed or soft deleted */
    MS_EXPECT_EXISTS,
    MS_EXPECT_VERSION,     /* exactly `version`, also when it was deleted since */
    MS_EXPECT_LIVE_VERSION /* exactly `version`, and not deleted */
};
struct ms_condition {
    enum ms_condition_kind kind;
    int64_t version;
};

/* What a stream is found to be, in conflicts and reads. */
enum ms_stream_state { MS_STREAM_NONE, MS_STREAM_LIVE, MS_STREAM_DELETED, MS_STREAM_TOMBSTONED };

struct ms_append_part {
    struct ms_bytes stream; /* text form, see ms_store_stream_name */
    struct ms_condition condition;
    const struct ms_event *events;
    size_t count; /* 0 is legal: only the condition is checked */
};

/* Fails with MS_EQUERYCONDITION when an event after `after` has one of the types (if any are given)
 * and all of the tags. */
struct ms_query_condition {
    const struct ms_bytes *types;
    size_t type_count;
    const struct ms_bytes *tags;
    size_t tag_count;
    uint64_t after;  /* events at positions > after count */
    bool after_none; /* every event counts: `after` is before the first */
};

struct ms_append_request {
    const struct ms_append_part *parts; /* a stream may appear once */
    size_t part_count;
    const struct ms_query_condition *query_conditions;
    size_t query_condition_count;
    bool system; /* may write reserved names */
    bool wait;   /* wait for the in-flight budget instead of MS_EAGAIN */
    /* An expected version is one that the stream must have reached, and it must be live: otherwise
     * MS_ENOTFOUND, MS_EDELETED, MS_ETOMBSTONED or MS_ECONFLICT. Nothing is a resend by it. */
    bool must_reach;
};

struct ms_append_part_result {
    /* Of the events appended; for 0 events: the stream's head, -1 none. Of a batch without streams:
     * -1. */
    int64_t first_version, version;
    uint16_t partition;
    int64_t first_offset; /* of the events appended; -1 none, or a resend's */
};
struct ms_append_result {
    int code;          /* 0 or the refusal */
    bool repeated;     /* the same events were there already; nothing was added */
    uint64_t position; /* of the last event appended; of the store's last when there were 0 */
    int64_t log_append_time_ms; /* of a producer's batch in a topic with log append time, or -1 */
    const struct ms_append_part_result *parts; /* part_count of them; valid during the callback */
    size_t part_count;
    /* for MS_ECONFLICT, MS_EDELETED, MS_ETOMBSTONED, MS_EIDCONFLICT: */
    size_t failed_part;
    struct ms_condition expected;
    enum ms_stream_state actual_state;
    int64_t actual_version; /* -1 when none */
    /* for MS_EQUERYCONDITION */
    size_t failed_query;
    uint64_t matching_position;
    const struct ms_error *error; /* a sentence; NULL when code is 0 */
};
typedef void ms_append_done_fn(void *context, const struct ms_append_result *result);

/* Validates and encodes (request memory is free again on return), then sequences. 0: `done` is
 * called exactly once, maybe before this returns. Otherwise the append was refused before it was
 * sequenced and `done` is not called: MS_EINVAL, MS_ETOOBIG, MS_ERESERVED, MS_ELIMIT (topics),
 * MS_ENOSPC, MS_EAGAIN (in-flight budget), MS_ECLOSED, MS_ENOMEM. May look into the index (a cold
 * stream's head). */
int ms_store_append(struct ms_store *store, const struct ms_append_request *request,
                    ms_append_done_fn *done, void *context, struct ms_error *err) MS_MUST_CHECK;

/* The same, waiting. part_results has request->part_count places. Returns the result's code. */
int ms_store_append_wait(struct ms_store *store, const struct ms_append_request *request,
                         struct ms_append_part_result *part_results,
                         struct ms_append_result *ret_result, struct ms_error *err) MS_MUST_CHECK;

/* Soft delete (readers see no stream; an append reopens it with the next version) or tombstone (for
 * ever). */
int ms_store_delete_stream(struct ms_store *store, struct ms_bytes stream,
                           struct ms_condition condition, bool tombstone, ms_append_done_fn *done,
                           void *context, struct ms_error *err) MS_MUST_CHECK;

/* ---- stream metadata: {"$maxAge": seconds, "$maxCount": n, "$tb": version, …free keys} ---- */

/* Replaces it. `condition` is on the metadata's own versions. MS_EINVAL for a rule that is not a
 * number. */
int ms_store_put_metadata(struct ms_store *store, struct ms_bytes stream,
                          struct ms_condition condition, struct ms_bytes json,
                          ms_append_done_fn *done, void *context, struct ms_error *err)
    MS_MUST_CHECK;
/* Appends the JSON to *out; MS_ENOTFOUND when there is none. Blocks. */
int ms_store_get_metadata(struct ms_store *store, struct ms_bytes stream, struct ms_buf *out,
                          int64_t *ret_version, struct ms_error *err) MS_MUST_CHECK;

/* ---- snapshots: one newest per stream, stored as events of a system stream ---- */

/* The stream must be there and have reached stream_version. Returned or told to `done`:
 * MS_ENOTFOUND, MS_EDELETED, MS_ETOMBSTONED, MS_ECONFLICT (it names the stream's version), and
 * whatever an append is refused with. */
int ms_store_put_snapshot(struct ms_store *store, struct ms_bytes stream, int64_t stream_version,
                          const struct ms_event *snapshot, ms_append_done_fn *done, void *context,
                          struct ms_error *err) MS_MUST_CHECK;
struct ms_read_event;
typedef int ms_read_fn(void *context, const struct ms_read_event *event);
/* Calls visit once with the newest snapshot; *ret_stream_version is the version it stands for.
 * MS_ENOTFOUND. Blocks. */
int ms_store_get_snapshot(struct ms_store *store, struct ms_bytes stream, ms_read_fn *visit,
                          void *context, int64_t *ret_stream_version, struct ms_error *err)
    MS_MUST_CHECK;

/* The key that a stream's text form names; decoded into the arena where it must be. MS_EINVAL (the
 * name is none), MS_ENOMEM. */
int ms_store_stream_key(struct ms_store *store, struct ms_bytes stream, struct ms_arena *arena,
                        struct ms_bytes *ret_key, struct ms_error *err) MS_MUST_CHECK;

/* ---- reading ---- */

struct ms_read_event {
    struct ms_event event; /* id and type always set; correlation_id as stored (absent = own id) */
    struct ms_event_place place;
};

enum ms_as_of { MS_AS_OF_NOW, MS_AS_OF_TIME, MS_AS_OF_POSITION, MS_KNOWN_AT };
struct ms_time_travel {
    enum ms_as_of kind;
    int64_t
        /* TIME: events whose timestamp <= this; KNOWN_AT: events recorded at or before this */
        time_ms;
    uint64_t position; /* POSITION: events at or before this */
};

struct ms_stream_read {
    struct ms_bytes stream;
    bool backward;
    bool from_end; /* backward: from the last; forward: from after the last (nothing) */
    int64_t from;  /* version, inclusive; ignored with from_end */
    size_t limit;  /* events; 0 = only the answer's head */
    struct ms_time_travel travel;
    bool stored; /* also what deletes, truncation and rules hide, while it is stored */
};
struct ms_stream_read_result {
    enum ms_stream_state state;
    int64_t head;         /* last version, -1 none */
    int64_t first;        /* first readable version (after truncation) */
    int64_t next;         /* version to go on from; -1 at the end (backward) */
    bool at_end;          /* nothing further there now */
    uint64_t position;    /* everything up to here was considered (published end - 1) */
    int64_t deleted_head; /* versions up to here were softly deleted; -1: none */
};
/* Calls visit for each event, which is borrowed for the call; visit returns 0 to go on, 1 to stop
 * after this event, a negative code to fail with it. A stream that is none, deleted or tombstoned
 * is MS_OK with that state and no events. MS_EINVAL (name), MS_ECORRUPT, MS_EIO. Blocks for I/O. */
int ms_store_read_stream(struct ms_store *store, const struct ms_stream_read *read,
                         ms_read_fn *visit, void *context, struct ms_stream_read_result *ret_result,
                         struct ms_error *err) MS_MUST_CHECK;

struct ms_filter {
    const struct ms_bytes *topics; /* any of */
    size_t topic_count;
    struct ms_bytes stream_prefix; /* absent = any */
    const struct ms_bytes *types;  /* any of */
    size_t type_count;
    const struct ms_bytes *tags; /* all of */
    size_t tag_count;
    struct ms_bytes correlation_id; /* also the event whose own id it is */
    bool include_system;            /* the system's own events; "$streams" are users' */
};
struct ms_all_read {
    bool backward;
    bool from_end;
    uint64_t from; /* position, inclusive */
    size_t limit;
    /* At most this many events considered; 0 = no bound. Then at_end is false and `next` says where
     * to go on. */
    size_t scan_max;
    struct ms_time_travel travel;
    struct ms_filter filter;
};
struct ms_all_read_result {
    uint64_t next; /* position to go on from, inclusive; backward meaningless with at_end */
    bool at_end;
    uint64_t end; /* first position not yet published */
};
int ms_store_read_all(struct ms_store *store, const struct ms_all_read *read, ms_read_fn *visit,
                      void *context, struct ms_all_read_result *ret_result, struct ms_error *err)
    MS_MUST_CHECK;

/* First position not yet published. */
uint64_t ms_store_end(struct ms_store *store);

/* ---- subscriptions: catch up, then live, without gap or duplicate ---- */

struct ms_subscription;
struct ms_subscription_options {
    struct ms_bytes stream;  /* absent: all events */
    int64_t from_version;    /* first version wanted */
    uint64_t from_position;  /* first position wanted */
    bool from_end;           /* only what comes from now on */
    struct ms_filter filter; /* for all events; copied */
    /* There is something to poll for; called once per arming, from the committer's thread. */
    void (*wake)(void *context);
    void *context;
};
int ms_subscription_new(struct ms_store *store, const struct ms_subscription_options *options,
                        struct ms_subscription **ret_subscription, struct ms_error *err)
    MS_MUST_CHECK;
/* No wake after it returns; takes NULL. */
void ms_subscription_free(struct ms_subscription *subscription);
/* Delivers at most `limit` events from where the subscription stands. *ret_caught_up: nothing more
 * was there, and wake will be called when something is. Memory does not grow however slow the
 * caller is: what it has not polled stays in the log. visit as for reads; a visit that stops has
 * taken its event. MS_ETOMBSTONED ends a stream's subscription. Blocks for I/O. One thread at a
 * time. */
int ms_subscription_poll(struct ms_subscription *subscription, size_t limit, ms_read_fn *visit,
                         void *context, bool *ret_caught_up, struct ms_error *err) MS_MUST_CHECK;
/* Where a resumed subscription would start. */
int64_t ms_subscription_next_version(const struct ms_subscription *subscription);
uint64_t ms_subscription_next_position(const struct ms_subscription *subscription);

/* ---- topics ---- */

#define MS_TOPIC_PARTITIONS_MAX 1024u
#define MS_TOPIC_KEPT_MAX 12u
struct ms_topic_settings {
    uint16_t partitions;       /* 1 … MS_TOPIC_PARTITIONS_MAX */
    bool streams;              /* records are indexed by key as streams */
    int64_t retention_ms;      /* -1 for ever */
    int64_t retention_bytes;   /* of each partition; -1 no limit */
    int64_t retention_count;   /* the newest events of each partition; -1 no limit */
    bool compact;              /* keep the newest record per key */
    enum ms_codec compression; /* of batches the scavenger merges and of event-store appends */
    bool require_source, require_correlation_id;
    uint32_t message_bytes_max; /* of a producer's batch; default MS_MESSAGE_BYTES_MAX */
    bool log_append_time;       /* a producer's records are stamped when they are appended */
    /* Otherwise: by how much a producer's timestamp may be older, or newer, than the append. */
    int64_t timestamp_before_ms, timestamp_after_ms;
    bool recompress; /* a producer's batch is stored in `compression`; otherwise as it came */
    /* Of a compacted topic: nothing but compaction removes (Kafka's cleanup.policy=compact). */
    bool retention_ignored;
    int64_t compaction_lag_ms;     /* younger records are not compacted away */
    int64_t compaction_lag_max_ms; /* scheduled scavenges compact what is older; 0: no bound */
    int64_t delete_retention_ms;   /* how long compaction keeps a record without a value */
    /* What Kafka's clients set and read back: which configs were set (bits), and the values of
     * those that mean nothing to the store. The Kafka face's (face/kafka/topic_config.c). */
    uint64_t configs_set;
    int64_t configs_kept[MS_TOPIC_KEPT_MAX];
};
#define MS_TIMESTAMP_ANY INT64_MAX /* no bound */
#define MS_DELETE_RETENTION_MS ((int64_t)86400000)
/* Kafka's default: a MiB and a batch header of old. */
#define MS_MESSAGE_BYTES_MAX 1048588u
struct ms_topic_info {
    struct ms_bytes name;
    uint32_t number; /* small id used in entries; never reused */
    struct ms_uuid id;
    struct ms_topic_settings settings;
    bool system;
    uint64_t events; /* records ever appended */
    int64_t created_at_ms;
    /* While streams are being switched on, or an attempt at it has ended early: records before this
     * position have versions, and where the log ends. 0: none have, or it has streams. */
    uint64_t streams_prepared, end;
};
struct ms_topic_settings ms_topic_settings_default(const struct ms_store *store);
/* Compaction of a topic with streams removes all but the newest event of each: to be asked for
 * twice. `before`: NULL, or the settings so far. MS_EINVAL. */
int ms_topic_settings_check_compaction(const struct ms_topic_settings *before,
                                       const struct ms_topic_settings *after, bool force,
                                       struct ms_error *err) MS_MUST_CHECK;
/* Creates, or changes the settings of a topic that exists (partitions may only grow). Blocks until
 * durable. *ret_created.
 *
 * `streams` of a topic that has records can be switched on, not off (MS_EUNSUPPORTED). Its records
 * are given versions first, by reading them, which takes as long as that takes; others may append
 * meanwhile, and only for a moment at the end producers to the topic are told to try again
 * (MS_EAGAIN). MS_EINVAL: a record's key can't name a stream; MS_EAGAIN: a transaction stays open
 * there. Nobody sees a difference then, and what was done needn't be done again. */
int ms_store_put_topic(struct ms_store *store, struct ms_bytes name,
                       const struct ms_topic_settings *settings, bool *ret_created,
                       struct ms_error *err) MS_MUST_CHECK;
/* A step of that, for who can't be busy for long: while *ret_more, call again. Then the switch
 * itself is short. Nothing to do where there is no such topic, or it has no records, or streams. As
 * above. */
int ms_store_prepare_streams(struct ms_store *store, struct ms_bytes name, bool *ret_more,
                             struct ms_error *err) MS_MUST_CHECK;
/* Makes a topic that is not there yet, or with validate_only finds out whether it could be made.
 * Blocks until durable. MS_EEXIST, MS_EINVAL (name, settings), MS_ERESERVED, MS_ELIMIT, and what an
 * append is refused with. */
int ms_store_create_topic(struct ms_store *store, struct ms_bytes name,
                          const struct ms_topic_settings *settings, bool validate_only,
                          struct ms_error *err) MS_MUST_CHECK;
/* Changes a topic that is there: `change` gets its settings, and nobody else changes them
 * meanwhile. When it switches `streams` on (see ms_store_put_topic) it is called once more behind
 * the long part. What it returns other than 0 is returned. Blocks until durable. MS_ENOTFOUND,
 * MS_EINVAL,
 * MS_ERESERVED, MS_EUNSUPPORTED (what can't be changed), and what an append is refused with. */
typedef int ms_topic_change_fn(void *context, struct ms_topic_settings *settings,
                               struct ms_error *err);
int ms_store_change_topic(struct ms_store *store, struct ms_bytes name, ms_topic_change_fn *change,
                          void *context, bool validate_only, struct ms_error *err) MS_MUST_CHECK;
/* Deletes the topic: its streams are gone for readers at once; a topic made anew under the name
 * starts empty. */
int ms_store_delete_topic(struct ms_store *store, struct ms_bytes name, struct ms_error *err)
    MS_MUST_CHECK;
/* The same by its identity. MS_ENOTFOUND. */
int ms_store_delete_topic_by_id(struct ms_store *store, const struct ms_uuid *id,
                                struct ms_error *err) MS_MUST_CHECK;
typedef int ms_topic_fn(void *context, const struct ms_topic_info *topic);
int ms_store_get_topic(struct ms_store *store, struct ms_bytes name, ms_topic_fn *visit,
                       void *context, struct ms_error *err) MS_MUST_CHECK;
int ms_store_list_topics(struct ms_store *store, bool include_system, ms_topic_fn *visit,
                         void *context, struct ms_error *err) MS_MUST_CHECK;

/* Streams of a topic in the order of their first event, from a position on: visit gets the name,
 * head version and first position. *ret_next is where to go on, valid when *ret_at_end is false.
 * Blocks. */
typedef int ms_stream_fn(void *context, struct ms_bytes stream, int64_t head,
                         uint64_t first_position);
int ms_store_list_streams(struct ms_store *store, struct ms_bytes topic, uint64_t from,
                          size_t limit, ms_stream_fn *visit, void *context, uint64_t *ret_next,
                          bool *ret_at_end, struct ms_error *err) MS_MUST_CHECK;

/* ---- removal ---- */

struct ms_scavenge_options {
    bool all;                  /* rewrite every sealed segment, whatever it gains */
    uint64_t bytes_per_second; /* throttle of reading; 0 none */
    void (*on_progress)(void *context, uint64_t segments_done, uint64_t segments);
    bool (*stop)(void *context); /* asked now and then; NULL never */
    void *context;
};
struct ms_scavenge_result {
    uint64_t segments, rewritten;
    uint64_t bytes_before, bytes_after; /* of the segments looked at */
    uint64_t bytes_written;             /* anew, also where it gained too little to be kept */
    uint64_t events_removed;
};
/* What a scavenge, or several, wrote for each byte by which what there was became less; 0 when it
 * did not. */
double ms_scavenge_amplification(uint64_t bytes_written, uint64_t bytes_before,
                                 uint64_t bytes_after);
/* Removes what deletes, truncation, stream rules, retention and compaction have marked, and
 * compresses sealed segments, online. Segments that gain less than a fifth stay as they are. Every
 * position, version and offset is kept; a stream's and a partition's last word is kept without its
 * data. One at a time: MS_EAGAIN while another runs. MS_ENOSPC, MS_EIO, MS_ECORRUPT, MS_ENOMEM,
 * MS_ECANCELED: what was done stays done. Blocks. */
int ms_store_scavenge(struct ms_store *store, const struct ms_scavenge_options *options,
                      struct ms_scavenge_result *ret_result, struct ms_error *err) MS_MUST_CHECK;

/* ---- what was removed ---- */

/* Events of a topic that were removed (by retention, truncation, deletion, compaction …): both
 * positions are of such events, what lies between may be there or not. A topic may have been
 * deleted, and may come twice then. `topic` is absent for what was removed by a version that did
 * not note it, or by repair: it may have been any topic's. */
struct ms_lost {
    struct ms_bytes topic;
    uint64_t first, last;
};
/* 0 to go on, 1 to stop, negative to fail with it. */
typedef int ms_lost_fn(void *context, const struct ms_lost *lost);
/* Blocks for I/O, where that is not known yet. MS_EIO, MS_ECORRUPT, MS_ENOMEM. */
int ms_store_lost(struct ms_store *store, ms_lost_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
/* Moves when something was removed, before any reader can miss it. */
uint64_t ms_store_losses(struct ms_store *store);

/* ---- state of things ---- */

struct ms_store_info {
    struct ms_uuid uuid;
    const char *dir; /* as it was given; the store's */
    uint64_t end;    /* first position not yet published */
    uint64_t epoch;
    uint32_t segments;
    uint64_t log_bytes;
    uint64_t recovered_bytes; /* scanned at start */
    int64_t recovery_ms;
    bool recovered_torn_tail;
    bool refusing_appends; /* no space for the next segment */
    bool failed;           /* the log has stopped */
    uint64_t index_lag;    /* events not yet in RocksDB */
    uint64_t inflight_bytes;
    uint64_t subscriptions;
    enum ms_durability durability;
    bool direct; /* writing with O_DIRECT */
};
void ms_store_info(struct ms_store *store, struct ms_store_info *ret_info);

/* All counters and histograms of the store in Prometheus text format, appended to *out. */
int ms_store_metrics(struct ms_store *store, struct ms_buf *out) MS_MUST_CHECK;
