/*
 * "->" and "->>" for SQLite as PostgreSQL has them, so that one file means the same on both: the
 * right side is a member's name or an element's number (negative: from the end), "->" yields JSON
 * as it stands in the text, "->>" its text: true is 'true', a string is without quotes, null is
 * NULL. SQLite's own take the right side for a path and turn true into 1.
 */
#pragma once

#include <sqlite3.h>

#include "base/bytes.h"

/* Text that is known to be JSON: what an event's data was found to be once is not checked again for
 * every use. One per connection, and it outlives that. */
struct ms_sqlite_json {
    struct ms_bytes known;
};

/* An SQLite code. */
int ms_sqlite_json_register(sqlite3 *db, struct ms_sqlite_json *json);
