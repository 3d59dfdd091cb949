/*
 * The commit engine: what makes a sealed block durable. The seam to a replicated log (DESIGN
 * section 4).
 *
 *   local    the segment file itself, one synced write per group (engine_local.c)
 *
 * append returns when the blocks are durable as the durability setting means it, or fails; a
 * failure is final for the log. Called from the committer's thread only.
 */
#pragma once

#include "log/log.h"

struct ms_log_block;
struct ms_engine;

struct ms_engine_ops {
    /* `first` and what follows it through ->next are sealed, in order, and begin where the engine's
     * last block ended. */
    int (*append)(struct ms_engine *engine, struct ms_log_block *first, struct ms_error *err);
    /* Everything before this position has been removed from the log for good (retention, archive).
     * */
    int (*trim)(struct ms_engine *engine, uint64_t before, struct ms_error *err);
    void (*free)(struct ms_engine *engine);
};

struct ms_engine {
    const struct ms_engine_ops *ops;
};

int ms_engine_local_new(struct ms_log *log, struct ms_engine **ret_engine) MS_MUST_CHECK;
