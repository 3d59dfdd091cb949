/*
 * One scavenge, between its files. Not for anyone outside this directory.
 *
 *   scavenge.c        over the segments: looking, rewriting
 *   scavenge_judge.c  which records are wanted, and what stands in an entry's place
 *   scavenge_txn.c    the same for what transactions are made of
 *
 * The scavenger's thread, under scavenge_lock.
 */
#pragma once

#include "log/rewrite.h"
#include "store/compaction.h"
#include "store/internal.h"

#define MS_SCAVENGE_HEADS 4096u                 /* places of the cache of heads */
#define MS_SCAVENGE_BATCH_MAX ((size_t)1 << 30) /* decompressed */
#define MS_SCAVENGE_PENDING_MAX 524288u         /* batches of one segment that are remembered */

struct ms_partition_bytes {
    uint64_t key; /* topic << 16 | partition, + 1 */
    uint64_t left;
};

/* The pending batches of a segment that were kept, as hashes of their places. */
struct ms_scavenge_pending {
    uint64_t *slots; /* open addressing, linear probing; 0: free */
    size_t capacity, count;
    bool overflown; /* more than are remembered: take any for kept */
};

/* What an entry's records are judged by, besides themselves. */
struct ms_scavenge_bounds {
    struct ms_partition *partition;
    const struct ms_head *head; /* NULL: of no stream */
    int64_t first_version;      /* of the stream; -1 not known */
    bool deleted, all_expired, aborted;
    bool apart; /* from before its topic had streams: each record is of its own */
    int64_t counted, start;
};

/* What is to become of an entry. */
struct ms_scavenge_verdict {
    bool whole;            /* it stays as it is */
    bool goes;             /* nothing stands in its place; else what scratch holds does: */
    uint32_t kept;         /* records in it */
    uint64_t total, after; /* bytes of records and batch header, decompressed: now, then */
};

struct ms_scavenge {
    struct ms_store *store;
    const struct ms_scavenge_options *options;
    int64_t now_ms;
    struct ms_head *heads; /* direct-mapped cache */
    struct ms_topic *topic;
    struct ms_topic_settings settings;
    bool retains, compacts; /* of the topic: retention removes; by keys, without streams */
    struct ms_compaction compaction;
    struct ms_fates_table fates;
    struct ms_scavenge_pending pending;
    /* While a segment is rewritten: what readers lose of it, and of which pending batches they do,
     * at positions that are their commits'. */
    struct ms_losses losses;
    bool notes_losses;
    struct ms_scavenge_pending lossy;
    size_t lossy_left;              /* whose commits were not met yet */
    struct ms_segment_info segment; /* the one at hand */
    uint64_t visits;                /* of segments: looks, and rewrites */
    struct ms_log_cursor finder;    /* for entries elsewhere in the log */
    struct ms_partition_reader *reader;
    int64_t cleaned_ms; /* when the segment at hand was last rewritten; INT64_MIN not known */
    bool overdue;       /* something has waited for compaction longer than its topic wants */
    struct ms_batch_reader batch;
    struct ms_versions_reader versions;
    struct ms_buf scratch;
    struct ms_partition_bytes *sizes; /* only when a topic has retention_bytes */
    size_t size_count;
    uint64_t removed;
    bool rules_act; /* rules were met that mark events without anybody's doing */
    bool frugal;
    bool changed; /* frugal: something may have been marked since the last pass */
    int64_t started_us;
    uint64_t looked_bytes; /* by looking, for the throttle */
};

/* How much a partition with retention_bytes still holds; NULL: it has none. */
struct ms_partition_bytes *ms_scavenge_size(struct ms_scavenge *s,
                                            const struct ms_log_entry *entry);
/* Entries are judged in the order of the segment. With neither `whole` nor `goes` scratch holds
 * what is wanted of the entry: its header, and the records that are kept. */
int ms_scavenge_judge(struct ms_scavenge *s, const struct ms_log_entry *entry,
                      struct ms_scavenge_verdict *ret_verdict, struct ms_error *err) MS_MUST_CHECK;
/* An ms_rewrite_fn; the context is the scavenge. */
int ms_scavenge_visit(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) MS_MUST_CHECK;

/* scavenge_losses.c */
/* A segment is about to be rewritten, or that is over. */
void ms_scavenge_begin_losses(struct ms_scavenge *s);
void ms_scavenge_end_losses(struct ms_scavenge *s);
/* A record of the entry goes. MS_ENOMEM. */
int ms_scavenge_note_loss(struct ms_scavenge *s, const struct ms_log_entry *entry, bool aborted,
                          int64_t offset, struct ms_error *err) MS_MUST_CHECK;
/* A commit: has its batch lost something? */
int ms_scavenge_note_commit(struct ms_scavenge *s, const struct ms_log_entry *commit,
                            struct ms_error *err) MS_MUST_CHECK;
/* Of ms_rewrite_options; the context is the scavenge. */
int ms_scavenge_lost(void *context, struct ms_losses *losses, struct ms_error *err) MS_MUST_CHECK;

/* scavenge_judge.c, for scavenge_txn.c */
int ms_scavenge_head(struct ms_scavenge *s, const struct ms_stream_id *id,
                     struct ms_head **ret_head, struct ms_error *err) MS_MUST_CHECK;
bool ms_scavenge_newest_only(const struct ms_scavenge *s);
/* It was appended while its topic had no streams (versions.h). */
bool ms_scavenge_precedes_streams(const struct ms_scavenge *s, const struct ms_log_entry *entry);
/* Retention wants what lies at that offset gone: this is noted of the partition. */
bool ms_scavenge_expired(struct ms_scavenge *s, const struct ms_scavenge_bounds *bounds,
                         int64_t offset, int64_t timestamp_ms);
/* Sets all but head, first_version and aborted. */
void ms_scavenge_bound(struct ms_scavenge *s, const struct ms_log_entry *entry,
                       struct ms_scavenge_bounds *bounds);

/* scavenge_txn.c */
/* A commit's place is its batch's. */
uint64_t ms_scavenge_place(const struct ms_log_entry *entry);
/* MS_ENOMEM. */
int ms_scavenge_remember(struct ms_scavenge_pending *pending, uint64_t place) MS_MUST_CHECK;
bool ms_scavenge_remembers(const struct ms_scavenge_pending *pending, uint64_t place);
void ms_scavenge_forget_all(struct ms_scavenge_pending *pending);
/* A segment is gone over, from its beginning. */
void ms_scavenge_begin_segment(struct ms_scavenge *s);
/* Of a pending batch: *ret_open, it is to be left alone; else sets head, first_version, aborted. */
int ms_scavenge_bound_pending(struct ms_scavenge *s, const struct ms_log_entry *entry,
                              struct ms_scavenge_bounds *bounds, bool *ret_open,
                              struct ms_error *err) MS_MUST_CHECK;
/* A record of a pending batch of a stream that nothing but the stream's rules removes. */
bool ms_scavenge_pending_dead(struct ms_scavenge *s, const struct ms_scavenge_bounds *bounds,
                              int64_t version, int64_t timestamp_ms);
/* It stays, whole or in part. MS_ENOMEM. */
int ms_scavenge_note_pending(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_error *err) MS_MUST_CHECK;
int ms_scavenge_judge_commit(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_scavenge_verdict *verdict, struct ms_error *err)
    MS_MUST_CHECK;
int ms_scavenge_judge_marker(struct ms_scavenge *s, const struct ms_log_entry *entry,
                             struct ms_scavenge_verdict *verdict, struct ms_error *err)
    MS_MUST_CHECK;
