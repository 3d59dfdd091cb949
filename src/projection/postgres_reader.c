/*
 * Queries against PostgreSQL; see postgres_target.h. A reader is a connection of its own whose
 * transactions are read only. One round trip answers a query:
 *
 *     begin (repeatable read, read only) · timeout and position · the query · rollback
 *
 * Rows are taken one by one as they come, so a large answer is never held as a whole. A connection
 * that was lost since the last answer is made anew, and the query asked again when no row of it was
 * told.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "projection/postgres_schema.h"
#include "projection/postgres_target.h"
#include "projection/postgres_values.h"
#include "projection/row_room.h"

#define PARKED_PER_LOOK "1000"
#define GRACE_MS 5000       /* for the server to keep the time itself */
#define LEFT_ROWS_MAX 1000u /* of an answer that is enough: more than so many are called off */

struct postgres_reader {
    struct ms_target_reader base;
    const struct ms_postgres_place *place;
    struct ms_postgres_db db;
    bool *prepared; /* which queries are, on this connection */
    struct ms_row_room row;
};

/* While one query is answered. */
struct answering {
    const struct ms_query_run *run;
    const struct ms_row_sink *sink;
    int64_t deadline_ms; /* monotonic; 0: none */
    uint64_t position;
    bool told;   /* something, to the sink */
    bool enough; /* says the sink */
    size_t left; /* rows since then */
    bool called_off;
    int code; /* the first failure */
    struct ms_error *err;
};

static struct postgres_reader *of(struct ms_target_reader *reader) {
    return (struct postgres_reader *)reader;
}

/* ---- connecting ---- */

static int prepare_own(struct ms_postgres_db *db, struct ms_error *err) {
    static const struct {
        const char *name, *sql;
    } own[] = {
        {"begin", "begin isolation level repeatable read read only"},
        {"position", "select position, pg_catalog.set_config('statement_timeout', $1, true)"
                     " from mainstem_checkpoint"},
        {"rollback", "rollback"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof own / sizeof *own; i++)
        code = ms_postgres_db_prepare_own(db, own[i].name, own[i].sql, err);
    return code;
}

static int connect_anew(struct postgres_reader *reader, struct ms_error *err) {
    ms_postgres_db_close(&reader->db);
    memset(reader->prepared, 0, reader->base.target->definition->query_count);
    const struct ms_postgres_door door = {reader->place->conninfo, reader->place->schema, NULL};
    int code = ms_postgres_db_open(&reader->db, &door, MS_POSTGRES_READER, err);
    if (code == 0)
        code = prepare_own(&reader->db, err);
    if (code != 0)
        ms_postgres_db_close(&reader->db);
    return code;
}

int ms_postgres_reader_new(struct ms_target *target, const struct ms_postgres_place *place,
                           struct ms_target_reader **ret_reader, struct ms_error *err) {
    struct postgres_reader *reader = ms_calloc(1, sizeof *reader);
    if (reader == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's reader");
    reader->base.target = target;
    reader->place = place;
    reader->prepared = ms_calloc(target->definition->query_count + 1, sizeof(bool));
    int code = reader->prepared != NULL
                   ? connect_anew(reader, err)
                   : ms_error_set(err, MS_ENOMEM, "no memory for a projection's queries");
    if (code != 0) {
        ms_postgres_reader_free(&reader->base);
        return code;
    }
    *ret_reader = &reader->base;
    return 0;
}

void ms_postgres_reader_free(struct ms_target_reader *base) {
    struct postgres_reader *reader = of(base);
    ms_postgres_db_close(&reader->db);
    ms_free(reader->prepared);
    ms_row_room_deinit(&reader->row);
    ms_free(reader);
}

/* ---- waiting ---- */

static int64_t now_ms(void) { return ms_clock_monotonic_us(ms_clock_system()) / 1000; }

/* False: it takes too long. */
static bool wait_for_input(PGconn *handle, int64_t deadline_ms) {
    struct pollfd wait = {.fd = PQsocket(handle), .events = POLLIN};
    int64_t left = deadline_ms != 0 ? deadline_ms - now_ms() : -1;
    if (deadline_ms != 0 && left <= 0)
        return false;
    return poll(&wait, 1, (int)left) != 0 || deadline_ms == 0;
}

/* The next result, NULL at the end of one statement's. */
static PGresult *next_result(struct postgres_reader *reader, struct answering *answering) {
    PGconn *handle = reader->db.handle;
    while (PQisBusy(handle)) {
        if (!wait_for_input(handle, answering->deadline_ms)) {
            if (answering->code == 0)
                answering->code =
                    ms_place_error(answering->run->query->statement.place, MS_ETIMEOUT,
                                   answering->err, "it takes longer than it may");
            ms_postgres_db_close(&reader->db); /* a server that does not answer */
            return NULL;
        }
        if (!PQconsumeInput(handle))
            break;
    }
    return PQgetResult(handle);
}

/* ---- rows ---- */

static int tell_columns(struct postgres_reader *reader, struct answering *answering,
                        const PGresult *result) {
    size_t count = (size_t)PQnfields(result);
    int code = ms_row_room_reserve(&reader->row, count);
    if (code != 0)
        return code;
    answering->told = true;
    for (size_t i = 0; i < count; i++)
        reader->row.names[i] = ms_bytes_cstr(PQfname(result, (int)i));
    return answering->sink->columns(answering->sink->context, reader->row.names, count);
}

static int tell_row(struct postgres_reader *reader, struct answering *answering, PGresult *result) {
    size_t count = (size_t)PQnfields(result);
    const struct ms_query_run *run = answering->run;
    for (size_t i = 0; i < count; i++) {
        if ((size_t)PQgetlength(result, 0, (int)i) > run->bytes_max)
            return ms_place_error(run->query->statement.place, MS_ETOOBIG, answering->err,
                                  "a value is larger than %zu bytes", run->bytes_max);
        reader->row.values[i] = ms_postgres_value(result, 0, (int)i);
    }
    return answering->sink->row(answering->sink->context, reader->row.values, count);
}

/* Asks the server to stop; what is on its way is passed over. */
static void call_off(struct postgres_reader *reader, struct answering *answering) {
    char ignored[256];
    PGcancel *cancel = PQgetCancel(reader->db.handle);
    answering->called_off = true;
    if (cancel != NULL)
        (void)PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
}

static void take_row(struct postgres_reader *reader, struct answering *answering,
                     PGresult *result) {
    if (answering->code != 0 || answering->enough) {
        if (++answering->left > LEFT_ROWS_MAX && !answering->called_off)
            call_off(reader, answering);
        return;
    }
    int code = answering->told ? 0 : tell_columns(reader, answering, result);
    if (code == 0)
        code = tell_row(reader, answering, result);
    answering->enough = code > 0;
    if (code < 0)
        answering->code = code;
}

static void fail(struct postgres_reader *reader, struct answering *answering,
                 const PGresult *result, const struct ms_sql_statement *statement) {
    if (answering->code == 0 && !answering->called_off)
        answering->code = ms_postgres_db_error(&reader->db, result, statement, answering->err);
}

static void take_answer(struct postgres_reader *reader, struct answering *answering) {
    const struct ms_sql_statement *statement = &answering->run->query->statement;
    PGresult *result;
    while ((result = next_result(reader, answering)) != NULL) {
        switch (PQresultStatus(result)) {
        case PGRES_SINGLE_TUPLE:
            take_row(reader, answering, result);
            break;
        case PGRES_TUPLES_OK:
            if (answering->code == 0 && !answering->told)
                answering->code = tell_columns(reader, answering, result);
            break;
        case PGRES_PIPELINE_ABORTED:
            break;
        default:
            fail(reader, answering, result, statement);
            break;
        }
        PQclear(result);
    }
}

/* ---- one answer ---- */

/* Of a statement of ours: its one row, if that is asked for. */
static void take_own(struct postgres_reader *reader, struct answering *answering,
                     bool is_position) {
    PGresult *result;
    while (reader->db.handle != NULL && (result = next_result(reader, answering)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK && is_position && PQntuples(result) == 1)
            answering->position = (uint64_t)ms_postgres_bigint(result, 0, 0);
        else if (status == PGRES_TUPLES_OK && is_position)
            answering->code = ms_error_set(answering->err, MS_ECORRUPT,
                                           "PostgreSQL: the projection has no checkpoint");
        else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
                 status != PGRES_PIPELINE_ABORTED && status != PGRES_PIPELINE_SYNC)
            fail(reader, answering, result, NULL);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return;
    }
}

static bool send_all(struct postgres_reader *reader, const char *name,
                     const struct ms_postgres_parameters *parameters, int64_t timeout_ms) {
    PGconn *handle = reader->db.handle;
    char timeout[24];
    const char *const values[] = {timeout};
    snprintf(timeout, sizeof timeout, "%lld", (long long)timeout_ms);
    return PQenterPipelineMode(handle) == 1 &&
           PQsendQueryPrepared(handle, "begin", 0, NULL, NULL, NULL, 0) == 1 &&
           PQsendQueryPrepared(handle, "position", 1, values, NULL, NULL, 0) == 1 &&
           PQsendQueryPrepared(handle, name, (int)parameters->count, parameters->values,
                               parameters->lengths, ms_postgres_binary, 0) == 1 &&
           PQsendQueryPrepared(handle, "rollback", 0, NULL, NULL, NULL, 0) == 1 &&
           PQpipelineSync(handle) == 1;
}

/* The connection is as it was before, or closed. */
static void end(struct postgres_reader *reader) {
    struct ms_postgres_db *db = &reader->db;
    if (db->handle == NULL)
        return;
    bool good = PQexitPipelineMode(db->handle) == 1;
    if (good && PQtransactionStatus(db->handle) != PQTRANS_IDLE)
        good = ms_postgres_db_exec(db, "rollback", NULL) == 0;
    if (!good)
        ms_postgres_db_close(db);
}

static void answer(struct postgres_reader *reader, struct answering *answering, const char *name,
                   const struct ms_postgres_parameters *parameters) {
    if (!send_all(reader, name, parameters, answering->run->timeout_ms)) {
        fail(reader, answering, NULL, NULL);
        ms_postgres_db_close(&reader->db);
        return;
    }
    take_own(reader, answering, false); /* begin */
    take_own(reader, answering, true);
    if (reader->db.handle != NULL) {
        (void)PQsetSingleRowMode(reader->db.handle);
        take_answer(reader, answering);
    }
    take_own(reader, answering, false); /* rollback */
    take_own(reader, answering, false); /* the end of the pipeline */
    end(reader);
}

static int prepare(struct postgres_reader *reader, const struct ms_projection_query *query,
                   char name[16], struct ms_error *err) {
    size_t index = (size_t)(query - reader->base.target->definition->queries);
    snprintf(name, 16, "query_%zu", index);
    if (reader->prepared[index])
        return 0;
    int code = ms_postgres_prepare_query(&reader->db, name, query, err);
    reader->prepared[index] = code == 0;
    return code;
}

static int bind(const struct ms_query_run *run, struct ms_postgres_parameters *parameters,
                struct ms_error *err) {
    const struct ms_projection_query *query = run->query;
    const struct ms_sql_statement *statement = &query->statement;
    int code = 0;
    parameters->count = parameters->bytes = 0;
    for (size_t i = 0; code == 0 && i < statement->parameter_count; i++) {
        unsigned declared = statement->parameters[i].declared;
        code = ms_postgres_bind(parameters, query->declaration.parameters[declared].type,
                                &run->values[declared], statement->parameters[i].place, err);
    }
    return code;
}

/* Once. *ret_again: the connection was lost before anything was told. */
static int ask(struct postgres_reader *reader, struct answering *answering,
               const struct ms_postgres_parameters *parameters, bool *ret_again) {
    char name[16];
    int code = 0;
    answering->code = 0;
    *ret_again = false;
    if (ms_postgres_db_is_lost(&reader->db))
        code = connect_anew(reader, answering->err);
    if (code != 0)
        return code;
    code = prepare(reader, answering->run->query, name, answering->err);
    if (code == 0) {
        answer(reader, answering, name, parameters);
        code = answering->code;
    }
    *ret_again = code == MS_EAGAIN && ms_postgres_db_is_lost(&reader->db) && !answering->told;
    return code;
}

int ms_postgres_reader_run(struct ms_target_reader *base, const struct ms_query_run *run,
                           const struct ms_row_sink *sink, uint64_t *ret_position,
                           struct ms_error *err) {
    struct postgres_reader *reader = of(base);
    struct ms_postgres_parameters parameters;
    struct answering answering = {.run = run, .sink = sink, .err = err};
    bool again = false;
    if (run->timeout_ms > 0)
        answering.deadline_ms = now_ms() + run->timeout_ms + GRACE_MS;
    int code = bind(run, &parameters, err);
    if (code == 0)
        code = ask(reader, &answering, &parameters, &again);
    if (again)
        code = ask(reader, &answering, &parameters, &again);
    if (code == 0)
        *ret_position = answering.position;
    return ms_error_settle(err, code, "query");
}

/* ---- what is parked ---- */

static int visit_rows(const PGresult *rows, ms_parked_fn *visit, void *context) {
    int code = 0;
    for (int i = 0; code == 0 && i < PQntuples(rows); i++) {
        int64_t parked_at_us = 0;
        if (ms_time_parse(ms_postgres_text(rows, i, 5), &parked_at_us) != 0)
            parked_at_us = 0;
        struct ms_parked parked = {
            .position = (uint64_t)ms_postgres_bigint(rows, i, 0),
            .stream = ms_postgres_text(rows, i, 1),
            .event_id = ms_postgres_text(rows, i, 2),
            .event_type = ms_postgres_text(rows, i, 3),
            .error = ms_postgres_text(rows, i, 4),
            .parked_at_ms = parked_at_us / 1000,
        };
        code = visit(context, &parked);
    }
    return code;
}

/* The next ones, by position. */
static int look(struct postgres_reader *reader, const char *stream, int64_t above,
                PGresult **ret_rows, struct ms_error *err) {
    char text[24];
    const char *const values[] = {stream, text};
    snprintf(text, sizeof text, "%lld", (long long)above);
    return ms_postgres_db_query(
        &reader->db,
        "select position, stream, event_id, event_type, error, parked_at from mainstem_parked"
        " where ($1::text is null or stream = $1) and position > $2::bigint"
        " order by position limit " PARKED_PER_LOOK,
        2, values, ret_rows, err);
}

static int visit_all(struct postgres_reader *reader, const char *stream, size_t limit,
                     ms_parked_fn *visit, void *context, struct ms_error *err) {
    int64_t above = -1;
    size_t seen = 0;
    int code = 0, count = 1;
    while (code == 0 && count > 0 && seen < limit) {
        PGresult *rows;
        code = look(reader, stream, above, &rows, err);
        if (code != 0)
            break;
        count = PQntuples(rows);
        if (count > 0)
            above = ms_postgres_bigint(rows, count - 1, 0);
        seen += (size_t)count;
        code = visit_rows(rows, visit, context);
        PQclear(rows);
    }
    return code;
}

int ms_postgres_reader_parked(struct ms_target_reader *base, struct ms_bytes stream, size_t limit,
                              ms_parked_fn *visit, void *context, struct ms_error *err) {
    struct postgres_reader *reader = of(base);
    struct ms_buf name;
    int code = 0;
    if (ms_postgres_db_is_lost(&reader->db))
        code = connect_anew(reader, err);
    ms_buf_init(&name, stream.len + 1);
    if (code == 0 && stream.data != NULL) {
        code = ms_buf_append_bytes(&name, stream);
        if (code == 0)
            code = ms_buf_append_u8(&name, '\0');
    }
    if (code == 0)
        code = visit_all(reader, stream.data != NULL ? (const char *)name.data : NULL, limit, visit,
                         context, err);
    ms_buf_deinit(&name);
    return code > 0 ? 0 : ms_error_settle(err, code, "parked events");
}
