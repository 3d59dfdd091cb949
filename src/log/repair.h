/*
 * Repair: makes a damaged log one that opens, by saving every append that is still whole and
 * leaving gaps where nothing could be saved. The operator's decision, never done by itself: what is
 * lost here was acknowledged once.
 *
 * A damaged segment is written anew from its whole entries (frames, like a rewritten segment) and
 * the old file is kept beside it as <name>.damaged-<n>. A missing segment is replaced by an empty
 * one. What is missing at the end of the log (known_end of the options) is only counted: the caller
 * discards the derived state that knows of it, so that the log opens again. The directory must not
 * be open. One thread.
 */
#pragma once

#include "log/verify.h"

struct ms_repair_result {
    uint64_t segments_repaired, segments_missing;
    uint64_t events_saved; /* in the segments that were written anew */
    uint64_t positions_lost;
    uint64_t end_missing; /* of these, at the end of the log */
};

/* on_finding of the options is told what is lost, range by range. dry_run: only tells. */
int ms_log_repair(const struct ms_verify_options *options, bool dry_run, uint64_t segment_bytes,
                  struct ms_repair_result *ret_result, struct ms_error *err) MS_MUST_CHECK;
