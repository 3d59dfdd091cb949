/*
 * PostgreSQL as a target: one schema for each version of a projection.
 *
 *     <schema>.…                     the tables of one version, made by its file
 *     <schema>.mainstem_checkpoint   and
 *     <schema>.mainstem_parked       ours
 *     <projection's name>.…          views of the published version's tables and views
 *
 * The writer sends ahead (pipeline mode): what a batch does is on its way while the log is read on,
 * and the commit waits for all answers. The failure of a statement is so told by a later call, at
 * the latest by the commit. When the connection is lost the next begin connects anew:
 *
 *                      lost                begin: connects, ends the old session,
 *     in a transaction ────> not connected ─────────────────────────────────────> in a transaction
 *                                          reads the checkpoint into target->checkpoint
 *
 * The old session is ended first, so that a commit of which nothing was heard either has happened
 * by then or never will. Afterwards the checkpoint tells which. `synchronous_commit` is as the
 * server has it: with it off, a crash of the server may set the checkpoint back, with the tables.
 *
 * Poolers must pool sessions: statements are prepared. Threads: see target.h.
 */
#pragma once

#include "projection/target.h"

struct ms_postgres_place {
    const char *conninfo; /* never shown */
    const char *schema;   /* of the version; at most MS_POSTGRES_NAME_MAX bytes */
};

/* Compiles every statement of the definition against the schema it makes, in a transaction that is
 * rolled back. MS_EINVAL: the error has the place in the file and PostgreSQL's message; MS_EAGAIN:
 * the server can't be reached. */
int ms_postgres_check(const struct ms_projection_definition *definition, const char *conninfo,
                      struct ms_error *err) MS_MUST_CHECK;
/* Opens the version's schema, or makes it. MS_EINVAL as above, or the schema holds something else;
 * MS_ECORRUPT: it is another version's; MS_EAGAIN, MS_ENOMEM. */
int ms_postgres_target_open(const struct ms_projection_definition *definition,
                            const struct ms_postgres_place *place, struct ms_target **ret_target,
                            struct ms_error *err) MS_MUST_CHECK;
/* Removes the schema of a version that is not open, with its tables and the published views of
 * them; with the projection's name also the schema of those, when we have made it and nothing is
 * left in it. A missing one is fine; MS_EINVAL: it is no projection's. */
int ms_postgres_remove(const char *conninfo, const char *schema, struct ms_bytes name,
                       struct ms_error *err) MS_MUST_CHECK;

/* ---- between the files of it ---- */

/* The views in the schema `name` show the version in `place` from now on. */
int ms_postgres_publish(const struct ms_postgres_place *place, struct ms_bytes name,
                        struct ms_error *err) MS_MUST_CHECK;
/* The readers of a target; the place outlives them. */
int ms_postgres_reader_new(struct ms_target *target, const struct ms_postgres_place *place,
                           struct ms_target_reader **ret_reader, struct ms_error *err)
    MS_MUST_CHECK;
int ms_postgres_reader_run(struct ms_target_reader *reader, const struct ms_query_run *run,
                           const struct ms_row_sink *sink, uint64_t *ret_position,
                           struct ms_error *err) MS_MUST_CHECK;
int ms_postgres_reader_parked(struct ms_target_reader *reader, struct ms_bytes stream, size_t limit,
                              ms_parked_fn *visit, void *context, struct ms_error *err)
    MS_MUST_CHECK;
void ms_postgres_reader_free(struct ms_target_reader *reader);
