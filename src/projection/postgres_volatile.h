/*
 * What the statements that fill a projection's tables may not ask PostgreSQL for: whatever is
 * another the next time (random numbers, the clock, sequences, the session), since a rebuild would
 * give other rows. The database says which functions are volatile; those that are only stable are
 * known by name. Only calls by name are looked at: what operators, casts, triggers and functions of
 * the user's own do is his to keep so (docs/projections.md). Any thread.
 */
#pragma once

#include "projection/postgres_db.h"

/* In the transaction that has made the tables of the schema. MS_EINVAL, at the place of what is
 * refused. */
int ms_postgres_check_volatile(struct ms_postgres_db *db,
                               const struct ms_projection_definition *definition,
                               struct ms_error *err) MS_MUST_CHECK;
