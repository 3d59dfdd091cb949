/*
 * A projection, as its file defines it.
 *
 *     -- projection: revenue            the head: directives before the first statement
 *     -- from: order
 *     create table …;                   the schema: statements before the first section
 *     -- on: order.paid                 a section: its statements run for each such event
 *     insert into … values (:data …);
 *     -- query: revenue(day text)       a section: its one statement answers the query
 *     select … where day = :day;
 *
 * docs/projections.md is the reference. Parsing looks at what is ours (directives, parameters, the
 * ends of statements); whether a statement is SQL is the database's to say. Sans-I/O; a definition
 * does not change once made and may be read by any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "projection/declaration.h"
#include "projection/event_parameters.h"
#include "projection/pattern.h"
#include "projection/statement.h"

enum ms_projection_mode { MS_PROJECTION_ASYNC, MS_PROJECTION_SYNC };
enum ms_projection_on_error { MS_PROJECTION_STOP, MS_PROJECTION_PARK };

struct ms_sql_statements {
    struct ms_sql_statement *items;
    size_t count;
};

struct ms_projection_handler {
    const struct ms_name_pattern *types; /* any of */
    size_t type_count;
    struct ms_sql_statements
        statements; /* `declared` of parameters is an enum ms_event_parameter */
    struct ms_place place;
};

struct ms_projection_query {
    struct ms_declaration declaration;
    struct ms_sql_statement statement; /* `declared` of parameters is an index of declaration's */
    struct ms_place place;
};

struct ms_projection_definition {
    struct ms_arena arena; /* everything below lives in it */
    const char *file;
    struct ms_bytes text;   /* with line feeds alone as line ends */
    struct ms_hash128 hash; /* of the content, see content.h: the version of the projection */
    struct ms_bytes name;
    enum ms_projection_mode mode;
    enum ms_projection_on_error on_error;
    enum ms_sql_dialect target;
    struct ms_source *sources;
    size_t source_count;
    struct ms_sql_statements schema;
    struct ms_projection_handler *handlers; /* in the order of the file */
    size_t handler_count;
    struct ms_projection_query *queries;
    size_t query_count;
};

/* The name and type of an event's field. */
const char *ms_event_parameter_name(enum ms_event_parameter parameter);
enum ms_sql_type ms_event_parameter_type(enum ms_event_parameter parameter);

/* Reads a whole file, of which nothing is borrowed. `file` is what errors call it: each says
 * "file:line:column: what". `target` overrules the file's own "-- target:"; NULL = as the file
 * says. MS_EINVAL, MS_ERESERVED (a name), MS_ETOOBIG (a limit of limits.h), MS_ENOMEM. */
int ms_projection_parse(const char *file, struct ms_bytes content,
                        const enum ms_sql_dialect *target,
                        struct ms_projection_definition **ret_definition, struct ms_error *err)
    MS_MUST_CHECK;
void ms_projection_definition_free(struct ms_projection_definition *definition); /* takes NULL */

/* NULL when there is none of that name. */
const struct ms_projection_query *ms_projection_find_query(
    const struct ms_projection_definition *definition, struct ms_bytes name);
