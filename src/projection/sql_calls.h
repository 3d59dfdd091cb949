/*
 * The functions that a statement calls, as its text shows them: whatever name stands before a '('.
 *
 *     f(a, g('now'), "H" ( b ))       g: 1 argument, a moment; f: 2; "H": 1
 *     current_date                    bare: a name without brackets
 *
 * More is found than is called (tables before their columns, types before their sizes), never less.
 * Sans-I/O; any thread.
 */
#pragma once

#include "projection/statement.h"

struct ms_sql_call {
    struct ms_sql_token before; /* of kind MS_SQL_SPACE: it stands first */
    struct ms_sql_token name;
    bool bare;               /* it calls nothing, unless it is a keyword that does */
    unsigned arguments;      /* at this level */
    struct ms_sql_token now; /* an argument that is a string like 'now'; of kind SPACE: none is */
};

/* In the order in which they end. What `visit` returns other than 0 ends it and is returned.
 * MS_ETOOBIG: too many brackets in one another. */
typedef int ms_sql_call_fn(void *context, const struct ms_sql_call *call, struct ms_error *err);
int ms_sql_calls(const struct ms_sql_statement *statement, enum ms_sql_dialect dialect,
                 ms_sql_call_fn *visit, void *context, struct ms_error *err) MS_MUST_CHECK;

/* The name as it is meant, without its quotes. */
struct ms_bytes ms_sql_name_of(const struct ms_sql_token *token);
/* One of these, whatever its case. The list ends with NULL; an entry that ends with '_' stands for
 * all that begin so. */
bool ms_sql_name_is_among(struct ms_bytes name, const char *const *list);
