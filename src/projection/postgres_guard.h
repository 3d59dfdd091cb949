/*
 * What the statements of a file may be on PostgreSQL. SQLite has an authorizer, PostgreSQL has
 * roles: the server's own boundary is what the connection's role may do, and that a query runs in a
 * read-only transaction. These are the slips and the reaches for files, other servers, sessions and
 * settings that can be told from the text. Any thread.
 */
#pragma once

#include "projection/statement.h"

enum ms_postgres_part { MS_POSTGRES_SCHEMA, MS_POSTGRES_HANDLER, MS_POSTGRES_QUERY };

/* MS_EINVAL, at the place of what is refused. */
int ms_postgres_guard(const struct ms_sql_statement *statement, enum ms_postgres_part part,
                      struct ms_error *err) MS_MUST_CHECK;
