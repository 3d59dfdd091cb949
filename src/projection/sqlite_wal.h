/*
 * Moving a write-ahead log's pages into its database beside the writer, rather than within one of
 * its commits, where SQLite does it: that commit would wait for tens of megabytes to be synced, and
 * with it everybody who waits for his event.
 *
 *     the writer commits ──each PART pages──> a thread of our own moves them on a connection of its
 *                                             own; the writer goes on at the log's end meanwhile
 *     … and once the log has FULL pages, and the thread has just moved most of them: the writer
 *     moves the few that have come since, so that its next commit begins the log anew
 *
 * A log that is never moved to its end is never begun anew and grows: that is why the writer has
 * the last word.
 */
#pragma once

#include "projection/sqlite_db.h"

struct ms_sqlite_wal;

/* `writer` is the connection to `path`, and outlives this. Its commits are seen from now on.
 * MS_ENOMEM, MS_EIO and what opening says. */
int ms_sqlite_wal_start(sqlite3 *writer, const char *path, struct ms_sqlite_wal **ret_wal,
                        struct ms_error *err) MS_MUST_CHECK;
/* Waits for the thread. The writer's thread; NULL is fine. */
void ms_sqlite_wal_free(struct ms_sqlite_wal *wal);
