/*
 * Connections to SQLite: opened with what every one of ours has, held to what it is for, and with
 * SQLite's complaints as errors that name the place in the projection's file.
 *
 * Threads: a connection is used by one at a time.
 */
#pragma once

#include <sqlite3.h>

#include "projection/definition.h"
#include "projection/event_values.h"
#include "projection/sqlite_json.h"

/* What statements may do that are compiled from now on; an authorizer sees to it. None may attach
 * databases, load extensions, set pragmas or touch our own tables ("mainstem_…"). */
enum ms_sqlite_role {
    MS_SQLITE_OWN,    /* ours: everything */
    MS_SQLITE_SCHEMA, /* tables, indexes, views, triggers, rows */
    MS_SQLITE_APPLY,  /* rows */
    MS_SQLITE_READ,   /* nothing is changed */
};

struct ms_sqlite_db {
    sqlite3 *handle;
    enum ms_sqlite_role role;
    const char *refused; /* what the authorizer has last refused */
    struct ms_sqlite_json json;
    /* Statements that run longer than timeout_ms are interrupted; 0: never. */
    int64_t timeout_ms, began_ms;
    bool timed_out;
};

enum ms_sqlite_open {
    MS_SQLITE_WRITER,  /* made when it is missing; a crash loses the last commits at worst */
    MS_SQLITE_READER,  /* a writer has it open; the only one that knows the time */
    MS_SQLITE_SCRATCH, /* nothing survives a crash */
};
/* `path` ":memory:" is allowed for scratch. MS_EIO, MS_ECORRUPT, MS_ENOMEM, MS_ENOSPC. */
int ms_sqlite_db_open(struct ms_sqlite_db *db, const char *path, enum ms_sqlite_open how,
                      struct ms_error *err) MS_MUST_CHECK;
void ms_sqlite_db_close(struct ms_sqlite_db *db);

/* The clock of the timeout begins. */
void ms_sqlite_db_start(struct ms_sqlite_db *db, int64_t timeout_ms);

/* SQLite's last error as one of ours, with the place when it is known (NULL: it isn't). */
int ms_sqlite_db_error(struct ms_sqlite_db *db, const struct ms_place *place, struct ms_error *err);
/* Runs one of our own statements, without parameters. */
int ms_sqlite_db_exec(struct ms_sqlite_db *db, const char *sql, struct ms_error *err) MS_MUST_CHECK;
/* Compiles one of our own. */
int ms_sqlite_db_prepare(struct ms_sqlite_db *db, const char *sql, sqlite3_stmt **ret_statement,
                         struct ms_error *err) MS_MUST_CHECK;
/* Compiles a statement of a file in a role; NULL where it is empty. */
int ms_sqlite_db_compile(struct ms_sqlite_db *db, enum ms_sqlite_role role,
                         const struct ms_sql_statement *statement, sqlite3_stmt **ret_statement,
                         struct ms_error *err) MS_MUST_CHECK;
/* Binds parameter `number` (from 0). The text is borrowed until the statement is reset. */
int ms_sqlite_db_bind(struct ms_sqlite_db *db, sqlite3_stmt *statement, unsigned number,
                      const struct ms_value *value);
