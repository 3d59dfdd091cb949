/*
 * Cutting a copy of a log at a point in its past, for restore. The log is open read-only and is
 * nobody's but the caller's: files behind the cut are removed. One thread.
 */
#pragma once

#include "log/log.h"

/* The end that a cut at `position` (the last event to keep) or at a commit time gives: appends are
 * kept whole or not at all. */
int ms_log_cut_end_at_position(struct ms_log *log, uint64_t position, uint64_t *ret_end,
                               struct ms_error *err) MS_MUST_CHECK;
int ms_log_cut_end_at_time(struct ms_log *log, int64_t time_ms, uint64_t *ret_end,
                           struct ms_error *err) MS_MUST_CHECK;
/* Removes everything at and behind `end`. Afterwards the log must be closed and opened anew. */
int ms_log_cut(struct ms_log *log, uint64_t end, struct ms_error *err) MS_MUST_CHECK;
