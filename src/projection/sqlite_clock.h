/*
 * A way for SQLite to its files on which it finds no clock: 'now' is null there, however it was
 * come by. For connections that fill tables from the log. Any thread.
 */
#pragma once

/* The name for sqlite3_open_v2; NULL: no memory. */
const char *ms_sqlite_without_clock(void);
