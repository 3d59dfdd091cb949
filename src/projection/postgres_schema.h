/* The tables of a version in PostgreSQL: made, found again, and its statements compiled. One thread
 * per connection. */
#pragma once

#include "projection/postgres_db.h"
#include "projection/target.h"

/* The name of a prepared statement: the number of the handler's statement in the file. */
struct ms_postgres_name {
    char text[16];
};

/* Makes the schema with its tables, or finds them, of the connection's search path. Blocks while
 * another does so. The checkpoint is read as below. MS_EINVAL, MS_ECORRUPT, MS_EAGAIN. */
int ms_postgres_schema_open(struct ms_postgres_db *db, const char *schema, struct ms_target *target,
                            struct ms_error *err) MS_MUST_CHECK;
/* Reads the checkpoint, and whether it is fresh. MS_ECORRUPT: another version's, or damaged. */
int ms_postgres_schema_checkpoint(struct ms_postgres_db *db,
                                  const struct ms_projection_definition *definition,
                                  struct ms_checkpoint *ret_checkpoint, bool *ret_fresh,
                                  struct ms_error *err) MS_MUST_CHECK;

/* How many statements the handlers have together, and under which number those of one begin. */
size_t ms_postgres_handler_statements(const struct ms_projection_definition *definition,
                                      size_t handler);
void ms_postgres_handler_name(size_t number, struct ms_postgres_name *ret_name);
/* Compiles all of them, in this order. */
int ms_postgres_prepare_handlers(struct ms_postgres_db *db,
                                 const struct ms_projection_definition *definition,
                                 struct ms_error *err) MS_MUST_CHECK;
/* Compiles one query. */
int ms_postgres_prepare_query(struct ms_postgres_db *db, const char *name,
                              const struct ms_projection_query *query, struct ms_error *err)
    MS_MUST_CHECK;
/* Only to see whether they can be. */
int ms_postgres_try_queries(struct ms_postgres_db *db,
                            const struct ms_projection_definition *definition, struct ms_error *err)
    MS_MUST_CHECK;
/* Removes the schema of the published views when we have made it and nothing is left in it. */
int ms_postgres_unpublish(struct ms_postgres_db *db, struct ms_bytes name, struct ms_error *err)
    MS_MUST_CHECK;
