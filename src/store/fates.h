/*
 * What became of transactions, as one scavenge sees it.
 *
 * Of each partition with transactions it notes, once, the stable offset and which transactions had
 * been aborted. What lies before that offset is decided for ever; what lies behind it is left alone
 * by the whole scavenge, also if it is decided meanwhile.
 *
 * The log must be foldable anew after every single rewrite, so what stands in it of a transaction
 * goes in this order only, each when what comes before it is gone:
 *
 *   pending batch -> its commit -> the marker (of all pending batches in its partition)
 *
 * A marker that aborts is named by the list of aborted transactions that readers get: one without
 * its marker would hide what the producer commits later. So the list forgets it first (starts.c),
 * and the marker waits until the index has that on disk.
 *
 * The scavenger's thread, under scavenge_lock.
 */
#pragma once

#include "store/internal.h"

enum ms_fate { MS_FATE_OPEN, MS_FATE_COMMITTED, MS_FATE_ABORTED };

struct ms_fates { /* of a partition */
    struct ms_fates *next;
    struct ms_topic *topic;
    uint32_t number;
    int64_t stable;             /* what begins below it is decided */
    struct ms_aborted *aborted; /* sorted by producer and last offset; `older` is not used */
    size_t aborted_count;
    int64_t *superfluous; /* last offsets of aborted ones that nothing is left of */
    size_t superfluous_count;
    /* Data of the partition that comes before an entry of the segment at hand: */
    uint64_t segment;  /* which one that is, by a count; 0: none yet */
    int64_t earlier;   /* in segments before it: the first offset; INT64_MAX none; -1 not known */
    bool kept_pending; /* a pending batch in it was kept */
};

struct ms_fates_table {
    struct ms_store *store;
    struct ms_fates *first; /* all that were made */
};

void ms_fates_init(struct ms_fates_table *table, struct ms_store *store);
void ms_fates_deinit(struct ms_fates_table *table);
/* MS_ENOMEM. */
int ms_fates_of(struct ms_fates_table *table, struct ms_topic *topic, uint32_t partition,
                struct ms_fates **ret_fates, struct ms_error *err) MS_MUST_CHECK;
/* Of the transaction that a batch of the producer, at that offset, belongs to. */
enum ms_fate ms_fate_of(const struct ms_fates *fates, int64_t producer_id, int64_t offset);
/* Readers may be told of the aborted transaction whose marker stands there. */
bool ms_fates_lists(const struct ms_fates *fates, int64_t producer_id, int64_t marker);
/* Nothing is left of that one: ms_fates_forget is to take it from the list. MS_ENOMEM. */
int ms_fates_note_superfluous(struct ms_fates *fates, int64_t marker) MS_MUST_CHECK;
/* At the end of a scavenge. What fails is tried by the next one. */
void ms_fates_forget(struct ms_fates_table *table);
