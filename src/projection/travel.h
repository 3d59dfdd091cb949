/*
 * Answers as of the past: the events that a projection needs are folded, up to a point, into tables
 * of their own, and the query is asked there.
 *
 *     as_of a time       events whose own time is not after it
 *     as_of a position   events up to it
 *     known_at a time    events that were recorded by then: what the query would have answered
 *
 * The last few of these tables are kept for further questions. Threads: any; folding blocks for as
 * long as it takes to read the events, and is given up when `stop` says so.
 */
#pragma once

#include "projection/version.h"

struct ms_travels;

struct ms_travel {
    struct ms_time_travel to;
    bool allow_incomplete; /* although events up to there were scavenged */
};

/* `dir`: for the tables; what is left in it of an earlier process is removed. `postgres` is
 * borrowed. */
int ms_travels_new(struct ms_store *store, const struct ms_env *env, const char *dir,
                   const char *postgres, struct ms_travels **ret_travels, struct ms_error *err)
    MS_MUST_CHECK;
void ms_travels_free(struct ms_travels *travels); /* takes NULL; nobody uses it any more */

/* As ms_version_run, of the version's file. *ret_position: behind the last event that was folded.
 * MS_EINVAL also when an event can't be applied; MS_EINCOMPLETE. */
int ms_travels_run(struct ms_travels *travels, struct ms_version *version,
                   const struct ms_travel *travel, const struct ms_query_run *run,
                   const struct ms_row_sink *sink, uint64_t *ret_position, struct ms_error *err)
    MS_MUST_CHECK;
/* The version is to be closed: nothing of it is kept any more. NULL: of any. */
void ms_travels_forget(struct ms_travels *travels, const struct ms_version *version);
/* Ends foldings under way, with MS_ECANCELED. */
void ms_travels_stop(struct ms_travels *travels);
