/* The tables of a version in PostgreSQL; see postgres_schema.h and postgres_target.h. */
#include "projection/postgres_schema.h"

#include <stdio.h>

#include "projection/checkpoint.h"
#include "projection/limits.h"
#include "projection/postgres_guard.h"
#include "projection/postgres_target.h"
#include "projection/postgres_values.h"
#include "projection/postgres_volatile.h"

static const char own_schema[] =
    "create table mainstem_checkpoint ("
    "  one integer primary key check (one = 1), projection text not null, version text not null,"
    "  store text not null, position bigint not null, last text not null,"
    "  generation bigint not null);"
    "create table mainstem_parked ("
    "  position bigint primary key, stream text, event_id text not null, event_type text not null,"
    "  error text not null, parked_at text not null);"
    "create index mainstem_parked_stream on mainstem_parked (stream, position);";

/* ---- compiling ---- */

static int prepare_handler(struct ms_postgres_db *db, const char *name,
                           const struct ms_sql_statement *statement, struct ms_error *err) {
    enum ms_sql_type types[MS_PROJECTION_PARAMETERS_MAX];
    for (size_t i = 0; i < statement->parameter_count; i++)
        types[i] =
            ms_event_parameter_type((enum ms_event_parameter)statement->parameters[i].declared);
    int code = ms_postgres_guard(statement, MS_POSTGRES_HANDLER, err);
    return code == 0 ? ms_postgres_db_prepare(db, name, statement, types, err) : code;
}

size_t ms_postgres_handler_statements(const struct ms_projection_definition *definition,
                                      size_t handler) {
    size_t count = 0;
    for (size_t h = 0; h < handler; h++)
        count += definition->handlers[h].statements.count;
    return count;
}

void ms_postgres_handler_name(size_t number, struct ms_postgres_name *ret_name) {
    snprintf(ret_name->text, sizeof ret_name->text, "on_%zu", number);
}

int ms_postgres_prepare_handlers(struct ms_postgres_db *db,
                                 const struct ms_projection_definition *definition,
                                 struct ms_error *err) {
    struct ms_postgres_name name;
    size_t number = 0;
    int code = 0;
    for (size_t h = 0; code == 0 && h < definition->handler_count; h++) {
        const struct ms_sql_statements *statements = &definition->handlers[h].statements;
        for (size_t i = 0; code == 0 && i < statements->count; i++) {
            ms_postgres_handler_name(number++, &name);
            code = prepare_handler(db, name.text, &statements->items[i], err);
        }
    }
    return code;
}

int ms_postgres_prepare_query(struct ms_postgres_db *db, const char *name,
                              const struct ms_projection_query *query, struct ms_error *err) {
    const struct ms_sql_statement *statement = &query->statement;
    enum ms_sql_type types[MS_PROJECTION_PARAMETERS_MAX];
    for (size_t i = 0; i < statement->parameter_count; i++)
        types[i] = query->declaration.parameters[statement->parameters[i].declared].type;
    int code = ms_postgres_guard(statement, MS_POSTGRES_QUERY, err);
    return code == 0 ? ms_postgres_db_prepare(db, name, statement, types, err) : code;
}

int ms_postgres_try_queries(struct ms_postgres_db *db,
                            const struct ms_projection_definition *definition,
                            struct ms_error *err) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < definition->query_count; i++)
        code = ms_postgres_prepare_query(db, "", &definition->queries[i], err);
    return code;
}

/* ---- the checkpoint ---- */

static int damaged(struct ms_error *err) {
    return ms_error_set(err, MS_ECORRUPT, "PostgreSQL: the projection's checkpoint is damaged");
}

static int take_checkpoint(const PGresult *row, const struct ms_projection_definition *definition,
                           struct ms_checkpoint *ret_checkpoint, bool *ret_fresh,
                           struct ms_error *err) {
    struct ms_checkpoint checkpoint = {0};
    char version[33];
    if (PQntuples(row) != 1)
        return damaged(err);
    ms_checkpoint_hash_format(&definition->hash, version);
    if (strcmp(version, PQgetvalue(row, 0, 0)) != 0)
        return ms_error_set(err, MS_ECORRUPT,
                            "PostgreSQL: the schema holds version %s of a projection, not %s",
                            PQgetvalue(row, 0, 0), version);
    checkpoint.position = (uint64_t)ms_postgres_bigint(row, 0, 2);
    checkpoint.generation = ms_postgres_bigint(row, 0, 4);
    bool fresh = checkpoint.generation == 0;
    if (!fresh && (ms_uuid_parse(ms_postgres_text(row, 0, 1), &checkpoint.store) != 0 ||
                   !ms_checkpoint_hash_parse(PQgetvalue(row, 0, 3), &checkpoint.last)))
        return damaged(err);
    *ret_checkpoint = checkpoint;
    *ret_fresh = fresh;
    return 0;
}

int ms_postgres_schema_checkpoint(struct ms_postgres_db *db,
                                  const struct ms_projection_definition *definition,
                                  struct ms_checkpoint *ret_checkpoint, bool *ret_fresh,
                                  struct ms_error *err) {
    PGresult *row;
    int code = ms_postgres_db_query(
        db, "select version, store, position, last, generation from mainstem_checkpoint", 0, NULL,
        &row, err);
    if (code != 0)
        return code;
    code = take_checkpoint(row, definition, ret_checkpoint, ret_fresh, err);
    PQclear(row);
    return code;
}

static int insert_checkpoint(struct ms_postgres_db *db,
                             const struct ms_projection_definition *definition,
                             struct ms_error *err) {
    char name[MS_PROJECTION_NAME_MAX + 1], version[33];
    const char *const values[] = {name, version};
    snprintf(name, sizeof name, "%.*s", (int)definition->name.len,
             (const char *)definition->name.data);
    ms_checkpoint_hash_format(&definition->hash, version);
    return ms_postgres_db_query(db,
                                "insert into mainstem_checkpoint values (1, $1, $2, '', 0, '', 0)",
                                2, values, NULL, err);
}

/* ---- making and finding ---- */

static int run_schema(struct ms_postgres_db *db, const struct ms_projection_definition *definition,
                      struct ms_error *err) {
    const struct ms_sql_statements *schema = &definition->schema;
    int code = 0;
    for (size_t i = 0; code == 0 && i < schema->count; i++) {
        code = ms_postgres_guard(&schema->items[i], MS_POSTGRES_SCHEMA, err);
        if (code == 0)
            code = ms_postgres_db_run(db, &schema->items[i], err);
    }
    return code;
}

struct contents {
    bool is_schema, has_tables, is_ours;
};

static int look(struct ms_postgres_db *db, const char *schema, struct contents *ret_contents,
                struct ms_error *err) {
    static const char sql[] =
        "select count(distinct n.oid), count(c.oid),"
        "  count(c.oid) filter (where c.relname = 'mainstem_checkpoint')"
        "  from pg_catalog.pg_namespace n left join pg_catalog.pg_class c on c.relnamespace = n.oid"
        "  where n.nspname = $1";
    PGresult *row;
    int code = ms_postgres_db_query(db, sql, 1, &schema, &row, err);
    if (code != 0)
        return code;
    *ret_contents = (struct contents){
        .is_schema = ms_postgres_bigint(row, 0, 0) > 0,
        .has_tables = ms_postgres_bigint(row, 0, 1) > 0,
        .is_ours = ms_postgres_bigint(row, 0, 2) > 0,
    };
    PQclear(row);
    return 0;
}

static int not_ours(struct ms_error *err) {
    return ms_error_set(err, MS_EINVAL,
                        "PostgreSQL: the schema has tables that are no projection's");
}

static int make_tables(struct ms_postgres_db *db, const char *schema,
                       const struct contents *contents,
                       const struct ms_projection_definition *definition, struct ms_error *err) {
    int code = 0;
    if (!contents->is_schema) /* one that an administrator has made needs no further right */
        code = ms_postgres_db_exec_for(db, "create schema %s", schema, err);
    if (code == 0)
        code = ms_postgres_db_exec(db, own_schema, err);
    if (code == 0)
        code = run_schema(db, definition, err);
    return code == 0 ? insert_checkpoint(db, definition, err) : code;
}

static int open_tables(struct ms_postgres_db *db, const char *schema, struct ms_target *target,
                       struct ms_error *err) {
    static const char lock[] = "select pg_catalog.pg_advisory_xact_lock("
                               "pg_catalog.hashtextextended('mainstem schema ' || $1, 0))";
    struct contents contents = {0};
    int code = ms_postgres_db_query(db, lock, 1, &schema, NULL, err);
    if (code == 0)
        code = look(db, schema, &contents, err);
    if (code == 0 && contents.has_tables && !contents.is_ours)
        code = not_ours(err);
    if (code == 0 && !contents.is_ours)
        code = make_tables(db, schema, &contents, target->definition, err);
    return code == 0 ? ms_postgres_schema_checkpoint(db, target->definition, &target->checkpoint,
                                                     &target->fresh, err)
                     : code;
}

int ms_postgres_schema_open(struct ms_postgres_db *db, const char *schema, struct ms_target *target,
                            struct ms_error *err) {
    int code = ms_postgres_db_exec(db, "begin", err);
    if (code == 0)
        code = open_tables(db, schema, target, err);
    return code == 0 ? ms_postgres_db_exec(db, "commit", err) : code;
}

int ms_postgres_check(const struct ms_projection_definition *definition, const char *conninfo,
                      struct ms_error *err) {
    struct ms_postgres_db db;
    struct ms_target target = {.definition = definition};
    char schema[MS_POSTGRES_NAME_MAX + 1];
    const struct ms_postgres_door door = {.conninfo = conninfo};
    int code = ms_postgres_db_open(&db, &door, MS_POSTGRES_WRITER, err);
    if (code != 0)
        return code;
    /* A name that no other session has now. */
    snprintf(schema, sizeof schema, "mainstem_check_%d", PQbackendPID(db.handle));
    code = ms_postgres_db_exec_for(&db, "set search_path = %s, pg_temp", schema, err);
    if (code == 0)
        code = ms_postgres_db_exec(&db, "begin", err);
    if (code == 0)
        code = open_tables(&db, schema, &target, err);
    if (code == 0)
        code = ms_postgres_prepare_handlers(&db, definition, err);
    if (code == 0)
        code = ms_postgres_check_volatile(&db, definition, err);
    if (code == 0)
        code = ms_postgres_try_queries(&db, definition, err);
    ms_postgres_db_close(&db); /* and nothing of it has happened */
    return code;
}

int ms_postgres_remove(const char *conninfo, const char *schema, struct ms_bytes name,
                       struct ms_error *err) {
    struct ms_postgres_db db;
    struct contents contents = {0};
    const struct ms_postgres_door door = {.conninfo = conninfo};
    int code = ms_postgres_db_open(&db, &door, MS_POSTGRES_WRITER, err);
    if (code != 0)
        return code;
    code = look(&db, schema, &contents, err);
    if (code == 0 && contents.is_schema && contents.has_tables && !contents.is_ours)
        code = not_ours(err);
    if (code == 0 && contents.is_schema)
        code = ms_postgres_db_exec_for(&db, "drop schema if exists %s cascade", schema, err);
    if (code == 0 && name.len > 0)
        code = ms_postgres_unpublish(&db, name, err);
    ms_postgres_db_close(&db);
    return code;
}
