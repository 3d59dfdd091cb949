/*
 * Rewriting a sealed segment: what the scavenger does to the log.
 *
 * The caller says for each entry what is to stand in its place; the segment is written anew beside
 * the old one, compressed in frames (frame.h), synced, and renamed over it. Positions, versions and
 * offsets stay; the new file continues the chain where the old one did (its first block header
 * repeats what the next segment and recovery check, its footer keeps the last hash). A crash leaves
 * the old file or the new one, whole. Readers go on with whichever they hold.
 *
 * One rewrite at a time (the caller sees to it); everything else may go on meanwhile.
 */
#pragma once

#include "log/log.h"
#include "log/losses.h"

/* What stands in an entry's place: the same batch, another one (fewer records, the same base offset
 * and last offset delta), or nothing (an empty ms_bytes). Negative: stop and leave everything as it
 * was. */
typedef int ms_rewrite_fn(void *context, const struct ms_log_entry *entry,
                          struct ms_bytes *ret_batch, struct ms_error *err);

struct ms_rewrite_options {
    uint64_t segment; /* first position of a sealed segment */
    ms_rewrite_fn *visit;
    void *context;
    /* What readers lose by it is added to *losses when all was visited; NULL: nothing is. */
    int (*lost)(void *context, struct ms_losses *losses, struct ms_error *err);
    uint64_t bytes_per_second; /* throttle; 0 none */
    uint64_t cut_end; /* with a log that is open read-only: the segment ends here now; 0 no */
    /* leave the old file when the new one is larger than this share of it */
    unsigned keep_above_percent;
    bool (*stop)(void *context); /* asked now and then; NULL never */
};

struct ms_rewrite_result {
    bool replaced;
    uint64_t bytes_before, bytes_after;
    uint64_t entries_before, entries_after;
};

/* MS_ENOTFOUND: no such sealed segment. MS_ECORRUPT, MS_EIO, MS_ENOSPC, MS_ENOMEM, MS_ECANCELED:
 * nothing was changed. */
int ms_log_rewrite(struct ms_log *log, const struct ms_rewrite_options *options,
                   struct ms_rewrite_result *ret_result, struct ms_error *err) MS_MUST_CHECK;

struct ms_segment_info {
    uint64_t first_position, end_position;
    uint64_t bytes;
    bool sealed, rewritten;
    int64_t last_commit_time_ms; /* of a sealed one */
};
/* Up to max of them, in order; returns how many there are. */
size_t ms_log_segments(struct ms_log *log, struct ms_segment_info *ret_infos, size_t max);
