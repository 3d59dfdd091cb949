/*
 * One scavenge, between its files. Not for anyone outside this directory.
 *
 *   scavenge.c        over the segments: looking, rewriting
 *   scavenge_judge.c  which records are wanted, and what stands in an entry's place
 *
 * The scavenger's thread, under scavenge_lock.
 */
#pragma once

#include "store/compaction.h"
#include "store/internal.h"

#define MS_SCAVENGE_HEADS 4096u                 /* places of the cache of heads */
#define MS_SCAVENGE_BATCH_MAX ((size_t)1 << 30) /* decompressed */

struct ms_partition_bytes {
    uint64_t key; /* topic << 16 | partition, + 1 */
    uint64_t left;
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
    bool overdue; /* something has waited for compaction longer than its topic wants */
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
/* Leaves what is wanted of the entry in scratch: its header, and the records that are kept.
 * *ret_head is NULL for one of no stream. */
int ms_scavenge_judge(struct ms_scavenge *s, const struct ms_log_entry *entry, uint32_t *ret_kept,
                      struct ms_head **ret_head, struct ms_error *err) MS_MUST_CHECK;
/* An ms_rewrite_fn; the context is the scavenge. */
int ms_scavenge_visit(void *context, const struct ms_log_entry *entry, struct ms_bytes *ret_batch,
                      struct ms_error *err) MS_MUST_CHECK;
