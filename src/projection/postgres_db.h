/*
 * Connections to PostgreSQL: opened with what every one of ours has, and with PostgreSQL's
 * complaints as errors that name the place in the projection's file.
 *
 *     SQLSTATE                     code           who is to blame
 *     57014                        MS_ETIMEOUT    a statement that takes too long
 *     08 40 53 57, 55006, 55P03    MS_EAGAIN      the server, now
 *     53100                        MS_ENOSPC      its disk
 *     25006, of a writer           MS_EAGAIN      the server became a standby
 *     58 F0 XX                     MS_EIO         the server
 *     XX001 XX002                  MS_ECORRUPT    its data
 *     all others                   MS_EINVAL      the statement, or what it does with an event
 *     none: the connection is lost MS_EAGAIN
 *
 * The connection string is never shown: what libpq says of a connection is freed of everything that
 * may stem from it. Threads: a connection is used by one at a time.
 */
#pragma once

#include <libpq-fe.h>
#include <stdatomic.h>

#include "projection/definition.h"

#define MS_POSTGRES_NAME_MAX 63u /* bytes of a schema's name */

/* What a statement may take, and how long it may wait for others' locks. */
#define MS_POSTGRES_STATEMENT_MS 30000
#define MS_POSTGRES_LOCK_MS 10000

enum ms_postgres_role {
    MS_POSTGRES_WRITER,
    MS_POSTGRES_READER, /* nothing is changed: every transaction is read only */
};

/* Where, and until when: while *stopping (NULL: never) is false. */
struct ms_postgres_door {
    const char *conninfo;
    const char *schema; /* need not exist yet; NULL: names are looked up in none */
    const atomic_bool *stopping;
};

struct ms_postgres_db {
    PGconn *handle; /* NULL: not connected */
    enum ms_postgres_role role;
};

/* Connects. Blocks, for at most some 10 s for each host unless the connection string says otherwise
 * (connect_timeout), or until it is stopped; looking up a host's name can't be. MS_EAGAIN: the
 * server can't be reached, or does not let us in; MS_EINVAL: the string can't be read;
 * MS_EUNSUPPORTED: an old server; MS_ENOMEM. */
int ms_postgres_db_open(struct ms_postgres_db *db, const struct ms_postgres_door *door,
                        enum ms_postgres_role role, struct ms_error *err) MS_MUST_CHECK;
void ms_postgres_db_close(struct ms_postgres_db *db); /* takes one that is not connected */
/* It was never there, or it is known to be gone. */
bool ms_postgres_db_is_lost(const struct ms_postgres_db *db);

/* What went wrong: `result` says it (NULL: the connection does), within `statement` (NULL: one of
 * our own). */
int ms_postgres_db_error(const struct ms_postgres_db *db, const PGresult *result,
                         const struct ms_sql_statement *statement, struct ms_error *err);
/* Runs statements of ours. Several only without parameters. `ret_result` may be NULL; freed with
 * PQclear. */
int ms_postgres_db_exec(struct ms_postgres_db *db, const char *sql, struct ms_error *err)
    MS_MUST_CHECK;
int ms_postgres_db_query(struct ms_postgres_db *db, const char *sql, size_t count,
                         const char *const *values, PGresult **ret_result, struct ms_error *err)
    MS_MUST_CHECK;
/* The same with one that takes a schema's name as "%s", already quoted. */
int ms_postgres_db_exec_for(struct ms_postgres_db *db, const char *format, const char *schema,
                            struct ms_error *err) MS_MUST_CHECK;

/* Runs a statement of a file that has no parameters. */
int ms_postgres_db_run(struct ms_postgres_db *db, const struct ms_sql_statement *statement,
                       struct ms_error *err) MS_MUST_CHECK;
/* Compiles a statement of a file under a name, its parameters of these types. */
int ms_postgres_db_prepare(struct ms_postgres_db *db, const char *name,
                           const struct ms_sql_statement *statement, const enum ms_sql_type *types,
                           struct ms_error *err) MS_MUST_CHECK;
/* One of ours. */
int ms_postgres_db_prepare_own(struct ms_postgres_db *db, const char *name, const char *sql,
                               struct ms_error *err) MS_MUST_CHECK;
