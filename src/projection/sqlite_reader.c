/*
 * Queries against SQLite; see sqlite_target.h. A reader is a connection of its own, which can only
 * read, with the statements of the queries it has answered. The answer and the position it reflects
 * come from one transaction.
 */
#include <stdio.h>
#include <strings.h>

#include "base/alloc.h"
#include "projection/row_room.h"
#include "projection/sqlite_db.h"
#include "projection/sqlite_target.h"

#define PARKED_TIMEOUT_MS 10000

struct sqlite_reader {
    struct ms_target_reader base;
    struct ms_sqlite_db db;
    sqlite3_stmt *begin, *end, *position;
    sqlite3_stmt **queries; /* NULL: not asked yet */
    struct ms_row_room row;
};

static struct sqlite_reader *of(struct ms_target_reader *reader) {
    return (struct sqlite_reader *)reader;
}

static int prepare(struct sqlite_reader *reader, struct ms_error *err) {
    size_t count = reader->base.target->definition->query_count;
    reader->queries = ms_calloc(count + 1, sizeof(sqlite3_stmt *));
    if (reader->queries == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's queries");
    int code = ms_sqlite_db_prepare(&reader->db, "begin", &reader->begin, err);
    if (code == 0)
        code = ms_sqlite_db_prepare(&reader->db, "rollback", &reader->end, err);
    if (code == 0)
        code = ms_sqlite_db_prepare(&reader->db, "select position from mainstem_checkpoint",
                                    &reader->position, err);
    return code;
}

int ms_sqlite_reader_new(struct ms_target *target, const char *path,
                         struct ms_target_reader **ret_reader, struct ms_error *err) {
    struct sqlite_reader *reader = ms_calloc(1, sizeof *reader);
    if (reader == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's reader");
    reader->base.target = target;
    int code = ms_sqlite_db_open(&reader->db, path, MS_SQLITE_READER, err);
    if (code == 0)
        code = prepare(reader, err);
    if (code != 0) {
        ms_sqlite_reader_free(&reader->base);
        return code;
    }
    *ret_reader = &reader->base;
    return 0;
}

void ms_sqlite_reader_free(struct ms_target_reader *base) {
    struct sqlite_reader *reader = of(base);
    sqlite3_finalize(reader->begin);
    sqlite3_finalize(reader->end);
    sqlite3_finalize(reader->position);
    for (size_t i = 0; reader->queries != NULL && i < base->target->definition->query_count; i++)
        sqlite3_finalize(reader->queries[i]);
    ms_free(reader->queries);
    ms_row_room_deinit(&reader->row);
    ms_sqlite_db_close(&reader->db);
    ms_free(reader);
}

/* ---- one answer ---- */

/* SQLite keeps no booleans and no JSON; a column that is declared so is shown so. */
static enum ms_value_kind declared_kind(const char *declared) {
    if (declared == NULL)
        return MS_VALUE_NULL;
    if (strcasecmp(declared, "boolean") == 0 || strcasecmp(declared, "bool") == 0)
        return MS_VALUE_BOOLEAN;
    if (strcasecmp(declared, "json") == 0 || strcasecmp(declared, "jsonb") == 0)
        return MS_VALUE_JSON;
    return MS_VALUE_NULL;
}

static struct ms_bytes column_text(sqlite3_stmt *statement, int column) {
    const void *text = sqlite3_column_blob(statement, column);
    return ms_bytes_of(text != NULL ? text : "", (size_t)sqlite3_column_bytes(statement, column));
}

static struct ms_value column_value(sqlite3_stmt *statement, int column) {
    enum ms_value_kind declared = declared_kind(sqlite3_column_decltype(statement, column));
    struct ms_value value = {.kind = MS_VALUE_NULL};
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        value.kind = declared == MS_VALUE_BOOLEAN ? MS_VALUE_BOOLEAN : MS_VALUE_INTEGER;
        value.integer = sqlite3_column_int64(statement, column);
        break;
    case SQLITE_FLOAT:
        value.kind = MS_VALUE_DOUBLE;
        value.number = sqlite3_column_double(statement, column);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        value.kind = declared == MS_VALUE_JSON ? MS_VALUE_JSON : MS_VALUE_TEXT;
        value.text = column_text(statement, column);
        break;
    default:
        break;
    }
    return value;
}

static int tell_columns(struct sqlite_reader *reader, sqlite3_stmt *statement, size_t count,
                        const struct ms_row_sink *sink) {
    for (size_t i = 0; i < count; i++) {
        const char *name = sqlite3_column_name(statement, (int)i);
        if (name == NULL)
            return MS_ENOMEM;
        reader->row.names[i] = ms_bytes_cstr(name);
    }
    return sink->columns(sink->context, reader->row.names, count);
}

static int tell_rows(struct sqlite_reader *reader, sqlite3_stmt *statement,
                     const struct ms_query_run *run, const struct ms_row_sink *sink,
                     struct ms_error *err) {
    size_t count = (size_t)sqlite3_column_count(statement);
    int code = ms_row_room_reserve(&reader->row, count);
    if (code == 0)
        code = tell_columns(reader, statement, count, sink);
    int sqlite = SQLITE_ROW;
    while (code == 0 && (sqlite = sqlite3_step(statement)) == SQLITE_ROW) {
        for (size_t i = 0; i < count; i++)
            reader->row.values[i] = column_value(statement, (int)i);
        code = sink->row(sink->context, reader->row.values, count);
    }
    if (code == 0 && sqlite != SQLITE_DONE)
        return ms_sqlite_db_error(&reader->db, &run->query->statement.place, err);
    return code > 0 ? 0 : code;
}

static int read_position(struct sqlite_reader *reader, uint64_t *ret_position,
                         struct ms_error *err) {
    int code = 0;
    if (sqlite3_step(reader->position) == SQLITE_ROW)
        *ret_position = (uint64_t)sqlite3_column_int64(reader->position, 0);
    else
        code = ms_sqlite_db_error(&reader->db, NULL, err);
    sqlite3_reset(reader->position);
    return code;
}

static int begin(struct sqlite_reader *reader, struct ms_error *err) {
    int sqlite = sqlite3_step(reader->begin);
    sqlite3_reset(reader->begin);
    return sqlite == SQLITE_DONE ? 0 : ms_sqlite_db_error(&reader->db, NULL, err);
}

static void end(struct sqlite_reader *reader) {
    (void)sqlite3_step(reader->end);
    sqlite3_reset(reader->end);
}

static int statement_of(struct sqlite_reader *reader, const struct ms_projection_query *query,
                        sqlite3_stmt **ret_statement, struct ms_error *err) {
    size_t index = (size_t)(query - reader->base.target->definition->queries);
    int code = 0;
    if (reader->queries[index] == NULL)
        code = ms_sqlite_db_compile(&reader->db, MS_SQLITE_READ, &query->statement,
                                    &reader->queries[index], err);
    *ret_statement = reader->queries[index];
    return code;
}

int ms_sqlite_reader_run(struct ms_target_reader *base, const struct ms_query_run *run,
                         const struct ms_row_sink *sink, uint64_t *ret_position,
                         struct ms_error *err) {
    struct sqlite_reader *reader = of(base);
    const struct ms_sql_statement *from = &run->query->statement;
    sqlite3_stmt *statement = NULL;
    uint64_t position = 0;
    ms_sqlite_db_start(&reader->db, run->timeout_ms);
    int code = statement_of(reader, run->query, &statement, err);
    if (code != 0)
        return code;
    sqlite3_limit(reader->db.handle, SQLITE_LIMIT_LENGTH, (int)run->bytes_max);
    for (size_t i = 0; code == 0 && i < from->parameter_count; i++)
        if (ms_sqlite_db_bind(&reader->db, statement, (unsigned)i,
                              &run->values[from->parameters[i].declared]) != SQLITE_OK)
            code = ms_sqlite_db_error(&reader->db, &from->place, err);
    if (code == 0)
        code = begin(reader, err);
    if (code == 0) {
        code = read_position(reader, &position, err);
        reader->db.role = MS_SQLITE_READ;
        if (code == 0)
            code = tell_rows(reader, statement, run, sink, err);
        reader->db.role = MS_SQLITE_OWN;
        sqlite3_reset(statement);
        ms_sqlite_db_start(&reader->db, 0);
        end(reader);
    }
    sqlite3_clear_bindings(statement);
    if (code == 0)
        *ret_position = position;
    return ms_error_settle(err, code, "query");
}

/* ---- what is parked ---- */

static int visit_parked(sqlite3_stmt *row, ms_parked_fn *visit, void *context) {
    int64_t parked_at_us = 0;
    if (ms_time_parse(column_text(row, 5), &parked_at_us) != 0)
        parked_at_us = 0;
    struct ms_parked parked = {
        .position = (uint64_t)sqlite3_column_int64(row, 0),
        .stream = column_text(row, 1),
        .event_id = column_text(row, 2),
        .event_type = column_text(row, 3),
        .error = column_text(row, 4),
        .parked_at_ms = parked_at_us / 1000,
    };
    return visit(context, &parked);
}

int ms_sqlite_reader_parked(struct ms_target_reader *base, struct ms_bytes stream, size_t limit,
                            ms_parked_fn *visit, void *context, struct ms_error *err) {
    struct sqlite_reader *reader = of(base);
    sqlite3_stmt *row;
    int code = ms_sqlite_db_prepare(
        &reader->db,
        "select position, stream, event_id, event_type, error, parked_at from mainstem_parked"
        " where ?1 is null or stream = ?1 order by position limit ?2",
        &row, err);
    if (code != 0)
        return code;
    ms_sqlite_db_start(&reader->db, PARKED_TIMEOUT_MS);
    if (stream.data != NULL)
        sqlite3_bind_text64(row, 1, (const char *)stream.data, stream.len, SQLITE_STATIC,
                            SQLITE_UTF8);
    sqlite3_bind_int64(row, 2, limit < INT64_MAX ? (sqlite3_int64)limit : INT64_MAX);
    int sqlite = SQLITE_ROW;
    while (code == 0 && (sqlite = sqlite3_step(row)) == SQLITE_ROW)
        code = visit_parked(row, visit, context);
    if (code == 0 && sqlite != SQLITE_DONE)
        code = ms_sqlite_db_error(&reader->db, NULL, err);
    sqlite3_finalize(row);
    return code > 0 ? 0 : code;
}
