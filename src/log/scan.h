/*
 * Scanning one segment file: the chain of its blocks, and what stands behind the chain's end. See
 * recovery.h for what follows from it. One thread.
 */
#pragma once

#include "log/recovery.h"

/* Where a chain stands: what the next block must say. */
struct ms_chain {
    bool anchored; /* false before the first block of all: sequence and hash are taken from it */
    uint64_t sequence, position;
    struct ms_hash128 hash;
    uint32_t epoch;
    int64_t commit_time_ms;
    bool os; /* the last block may have been acknowledged before it was durable */
};

/* Does a block with this header come next in the chain, in this segment? */
bool ms_scan_continues(const struct ms_log *log, const struct ms_segment *segment,
                       const struct ms_chain *chain, const struct ms_block_header *header);

/* Takes the blocks of a segment without footer that continue the chain, and moves the chain to
 * their end: that is the segment's end then. MS_ENOMEM, and what reading says. */
int ms_scan_segment(struct ms_log *log, struct ms_segment *segment, struct ms_chain *chain,
                    struct ms_error *err) MS_MUST_CHECK;

/* Notes where the chain stands at a segment's end. */
void ms_scan_leave(struct ms_segment *segment, const struct ms_chain *chain);

/* Collects evidence from `offset` to the end of a segment's file. MS_ENOMEM, and what reading
 * says. */
int ms_scan_probe(struct ms_log *log, struct ms_segment *segment, uint64_t offset,
                  struct ms_recovery_evidence *evidence, struct ms_error *err) MS_MUST_CHECK;
