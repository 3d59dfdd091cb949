/*
 * What a query declares: its name, its parameters, their types and defaults.
 *
 *     customer_orders(customer_id text, status text = null, limit bigint = 50)
 *
 *     type      bound as                         default
 *     text      text                             'it''s'
 *     bigint    integer of 64 bits               -5
 *     integer   integer of 32 bits               -5
 *     double    floating point of 64 bits        1.5, -2, 1e9
 *     boolean   boolean (0 and 1 in SQLite)      true, false
 *     json      json (text in SQLite)            '{"a": 1}'
 *
 * Any default may be null. A parameter without a default must be given. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "projection/place.h"

/* X(constant, name) */
#define MS_SQL_TYPE_LIST(X)                                                                        \
    X(TEXT, "text")                                                                                \
    X(BIGINT, "bigint")                                                                            \
    X(INTEGER, "integer")                                                                          \
    X(DOUBLE, "double")                                                                            \
    X(BOOLEAN, "boolean")                                                                          \
    X(JSON, "json")

enum ms_sql_type {
#define X(constant, name) MS_SQL_TYPE_##constant,
    MS_SQL_TYPE_LIST(X)
#undef X
};

const char *ms_sql_type_name(enum ms_sql_type type);

/* Which member counts is the type's affair. */
struct ms_sql_value {
    bool is_null;
    bool boolean;
    int64_t integer;      /* bigint, integer */
    double number;        /* double */
    struct ms_bytes text; /* text, json */
};

struct ms_query_parameter {
    struct ms_bytes name; /* followed by a zero byte */
    enum ms_sql_type type;
    bool has_default;
    struct ms_sql_value otherwise; /* the default */
    struct ms_place place;
};

struct ms_declaration {
    struct ms_bytes name;
    const struct ms_query_parameter *parameters;
    size_t parameter_count;
};

/* Borrows the query's name from `text`; all else goes to the arena. MS_EINVAL: the syntax, a name
 * given twice, a default of another type; MS_ERESERVED: the name of a parameter that every query
 * has; MS_ETOOBIG, MS_ENOMEM. */
int ms_declaration_parse(struct ms_bytes text, struct ms_place place, struct ms_arena *arena,
                         struct ms_declaration *ret_declaration, struct ms_error *err)
    MS_MUST_CHECK;
