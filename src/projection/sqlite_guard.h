/*
 * What the statements that fill a projection's tables may not ask SQLite for: the time and the
 * zone of the machine, since a rebuild would give other rows. What the text hides from here (a
 * 'now' that is put together, or that an event holds) is null on a connection that fills tables:
 * sqlite_clock.h. Random functions are refused by the authorizer. Any thread.
 */
#pragma once

#include "projection/definition.h"

/* Of the schema and the sections "-- on:". MS_EINVAL, at the place of what is refused. */
int ms_sqlite_guard(const struct ms_projection_definition *definition, struct ms_error *err)
    MS_MUST_CHECK;
