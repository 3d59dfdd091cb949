/*
 * SQLite as a target: one file for each version of a projection, in WAL mode, so that readers and
 * the writer don't wait for each other.
 *
 *     <dir>/<version>.db    the tables of one version
 *     <dir>/current.db      a link to the published version, replaced by renaming
 *
 * SQLite's own log is moved into the file beside the writer: sqlite_wal.h.
 *
 * `synchronous = normal`: a power cut may lose the last commits, tables and checkpoint alike; what
 * is lost is applied again.
 */
#pragma once

#include "projection/target.h"

struct ms_sqlite_place {
    const char *dir;  /* of the projection; there already */
    const char *name; /* of the file, without ".db" */
    bool scratch;     /* for one answer; nothing is synced */
};

/* Compiles every statement of the definition against the schema it makes, in memory. MS_EINVAL: the
 * error has the place in the file and SQLite's message. */
int ms_sqlite_check(const struct ms_projection_definition *definition, struct ms_error *err)
    MS_MUST_CHECK;
/* Opens the version's file, or makes it. MS_EINVAL as above; MS_ECORRUPT: it is another version's,
 * or damaged; MS_EIO, MS_ENOSPC, MS_ENOMEM. */
int ms_sqlite_target_open(const struct ms_projection_definition *definition,
                          const struct ms_sqlite_place *place, struct ms_target **ret_target,
                          struct ms_error *err) MS_MUST_CHECK;
/* Removes the files of a version that is not open. Missing ones are fine. */
int ms_sqlite_remove(const struct ms_sqlite_place *place, struct ms_error *err) MS_MUST_CHECK;

/* ---- between sqlite_target.c and sqlite_reader.c ---- */

#define MS_SQLITE_PATH_MAX 4096
/* The readers of a target. */
int ms_sqlite_reader_new(struct ms_target *target, const char *path,
                         struct ms_target_reader **ret_reader, struct ms_error *err) MS_MUST_CHECK;
int ms_sqlite_reader_run(struct ms_target_reader *reader, const struct ms_query_run *run,
                         const struct ms_row_sink *sink, uint64_t *ret_position,
                         struct ms_error *err) MS_MUST_CHECK;
int ms_sqlite_reader_parked(struct ms_target_reader *reader, struct ms_bytes stream, size_t limit,
                            ms_parked_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;
void ms_sqlite_reader_free(struct ms_target_reader *reader);
