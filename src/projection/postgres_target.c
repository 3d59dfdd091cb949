/* PostgreSQL as a target: the writer; see postgres_target.h. Queries: postgres_reader.c. */
#include "projection/postgres_target.h"

#include <stdio.h>

#include "base/alloc.h"
#include "projection/checkpoint.h"
#include "projection/postgres_pipe.h"
#include "projection/postgres_schema.h"

#define CONNINFO_MAX ((size_t)16 << 10)

/* A session of ours, so that it can be told from one that has its process id later. */
struct session {
    char pid[16], since[64];
};

struct postgres_target {
    struct ms_target base;
    struct ms_postgres_place place;
    char *conninfo;
    char schema[MS_POSTGRES_NAME_MAX + 1];
    struct ms_postgres_db db;
    struct ms_postgres_pipe pipe;
    struct session session; /* the one there is, or the last one */
    size_t *first;          /* of each handler: the number of its first statement */
    struct ms_postgres_name *names;
    bool open;                     /* a transaction is */
    bool in_doubt;                 /* whether `doubtful` was committed */
    struct ms_checkpoint doubtful; /* with the generation it would have */
};

static struct postgres_target *of(struct ms_target *target) {
    return (struct postgres_target *)target;
}

/* ---- connecting ---- */

static void disconnect(struct postgres_target *target) {
    ms_postgres_db_close(&target->db);
    target->open = false;
}

static int note_session(struct postgres_target *target, struct ms_error *err) {
    static const char sql[] = "select pid, backend_start from pg_catalog.pg_stat_activity"
                              " where pid = pg_catalog.pg_backend_pid()";
    struct session session = {.pid = "0"};
    PGresult *row;
    int code = ms_postgres_db_query(&target->db, sql, 0, NULL, &row, err);
    if (code != 0)
        return code;
    if (PQntuples(row) == 1) {
        snprintf(session.pid, sizeof session.pid, "%s", PQgetvalue(row, 0, 0));
        snprintf(session.since, sizeof session.since, "%s", PQgetvalue(row, 0, 1));
    }
    PQclear(row);
    target->session = session;
    return 0;
}

/* The server may go on with what it got of a connection that we think is gone. */
static int end_last_session(struct postgres_target *target, struct ms_error *err) {
    static const char sql[] =
        "select count(pg_catalog.pg_terminate_backend(pid)) from pg_catalog.pg_stat_activity"
        " where pid = $1 and backend_start = $2::timestamptz";
    const char *const values[] = {target->session.pid, target->session.since};
    PGresult *row;
    if (target->session.since[0] == '\0')
        return 0;
    int code = ms_postgres_db_query(&target->db, sql, 2, values, &row, err);
    if (code != 0)
        return code;
    bool was_there = ms_postgres_bigint(row, 0, 0) > 0;
    PQclear(row);
    if (was_there)
        return ms_error_set(err, MS_EAGAIN, "PostgreSQL: the lost session is still being ended");
    return 0;
}

static bool is_same(const struct ms_checkpoint *a, const struct ms_checkpoint *b) {
    return a->generation == b->generation && a->position == b->position &&
           ms_uuid_equal(&a->store, &b->store) &&
           memcmp(a->last.bytes, b->last.bytes, sizeof a->last.bytes) == 0;
}

/* It is where we left it, or where the commit in doubt has moved it; a server that lost its last
 * commits may have set it back. All else was somebody else. */
static int take_checkpoint(struct postgres_target *target, struct ms_error *err) {
    struct ms_checkpoint *mine = &target->base.checkpoint, stored;
    bool fresh;
    int code =
        ms_postgres_schema_checkpoint(&target->db, target->base.definition, &stored, &fresh, err);
    if (code != 0)
        return code;
    bool went_through = target->in_doubt && is_same(&stored, &target->doubtful);
    if (stored.generation > mine->generation && !went_through)
        return ms_error_set(err, MS_EFENCED,
                            "another process applies events to this projection's tables");
    *mine = stored;
    target->base.fresh = fresh;
    target->in_doubt = false;
    return 0;
}

static int prepare_own(struct ms_postgres_db *db, struct ms_error *err) {
    static const struct {
        const char *name, *sql;
    } own[] = {
        {"begin", "begin"},
        {"commit", "commit"},
        {"rollback", "rollback"},
        {"checkpoint", /* no row: a division by zero, which ends the transaction at once */
         "with moved as (update mainstem_checkpoint set store = $1::text, position = $2::bigint,"
         " last = $3::text, generation = generation + 1"
         " where one = 1 and generation = $4::bigint returning 1)"
         " select 1 / count(*) from moved"},
        {"park", "insert into mainstem_parked"
                 " (position, stream, event_id, event_type, error, parked_at)"
                 " values ($1, $2, $3, $4, $5, $6) on conflict (position) do update set"
                 " stream = excluded.stream, event_id = excluded.event_id,"
                 " event_type = excluded.event_type, error = excluded.error,"
                 " parked_at = excluded.parked_at"},
        {"unpark", "delete from mainstem_parked where position = $1"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof own / sizeof *own; i++)
        code = ms_postgres_db_prepare_own(db, own[i].name, own[i].sql, err);
    return code;
}

/* What a connection needs before events go through it. */
static int get_ready(struct postgres_target *target, struct ms_error *err) {
    int code = prepare_own(&target->db, err);
    if (code == 0)
        code = ms_postgres_prepare_handlers(&target->db, target->base.definition, err);
    return code == 0 ? ms_postgres_pipe_start(&target->pipe, &target->db, err) : code;
}

static int connect_writer(struct postgres_target *target, struct ms_error *err) {
    const struct ms_postgres_door door = {target->conninfo, target->schema, &target->base.stopping};
    return ms_postgres_db_open(&target->db, &door, MS_POSTGRES_WRITER, err);
}

static int connect_anew(struct postgres_target *target, struct ms_error *err) {
    disconnect(target);
    int code = connect_writer(target, err);
    if (code == 0)
        code = end_last_session(target, err);
    if (code == 0)
        code = take_checkpoint(target, err);
    if (code == 0)
        code = note_session(target, err);
    if (code == 0)
        code = get_ready(target, err);
    if (code != 0)
        disconnect(target);
    return code;
}

/* ---- transactions ---- */

static const struct ms_postgres_pending ours = {MS_POSTGRES_STATEMENT, NULL, MS_POSTGRES_NO_EVENT},
                                        the_checkpoint = {MS_POSTGRES_CHECKPOINT, NULL,
                                                          MS_POSTGRES_NO_EVENT},
                                        the_commit = {MS_POSTGRES_COMMIT, NULL,
                                                      MS_POSTGRES_NO_EVENT};
_Static_assert(MS_POSTGRES_NO_EVENT == MS_TARGET_REFUSED_UNKNOWN, "the pipe's is the target's");

static int postgres_begin(struct ms_target *base, struct ms_error *err) {
    struct postgres_target *target = of(base);
    int code = 0;
    if (target->db.handle == NULL || ms_postgres_pipe_is_lost(&target->pipe))
        code = connect_anew(target, err);
    if (code != 0)
        return code;
    ms_postgres_pipe_clear(&target->pipe);
    code = ms_postgres_pipe_send(&target->pipe, "begin", NULL, ours, err);
    target->open = code == 0;
    return code;
}

static void postgres_rollback(struct ms_target *base) {
    struct postgres_target *target = of(base);
    struct ms_postgres_pipe *pipe = &target->pipe;
    if (!target->open)
        return;
    target->open = false;
    ms_ignore(ms_postgres_pipe_sync(pipe, NULL)); /* so that a failure is over */
    if (!pipe->lost) {
        ms_postgres_pipe_clear(pipe);
        ms_ignore(ms_postgres_pipe_send(pipe, "rollback", NULL, ours, NULL));
        ms_ignore(ms_postgres_pipe_sync(pipe, NULL));
    }
    if (pipe->lost || pipe->code != 0)
        disconnect(target); /* which rolls back too */
}

static int apply_statement(struct postgres_target *target, size_t number,
                           const struct ms_sql_statement *statement, struct ms_event_values *event,
                           struct ms_error *err) {
    struct ms_postgres_parameters parameters;
    int code = 0;
    parameters.count = parameters.bytes = 0;
    for (size_t i = 0; code == 0 && i < statement->parameter_count; i++) {
        enum ms_event_parameter which = (enum ms_event_parameter)statement->parameters[i].declared;
        struct ms_value value = ms_event_value(event, which);
        code = ms_postgres_bind(&parameters, ms_event_parameter_type(which), &value,
                                statement->parameters[i].place, err);
    }
    struct ms_postgres_pending what = {MS_POSTGRES_STATEMENT, statement,
                                       event->event->place.position};
    target->base.refused = what.position;
    if (code != 0)
        return code;
    code = ms_postgres_pipe_send(&target->pipe, target->names[number].text, &parameters, what, err);
    target->base.refused = target->pipe.position;
    return code;
}

static int postgres_apply(struct ms_target *base, size_t handler, struct ms_event_values *event,
                          struct ms_error *err) {
    struct postgres_target *target = of(base);
    const struct ms_sql_statements *statements = &base->definition->handlers[handler].statements;
    int code = 0;
    for (size_t i = 0; code == 0 && i < statements->count; i++)
        code =
            apply_statement(target, target->first[handler] + i, &statements->items[i], event, err);
    return code;
}

/* A message that was cut may end within a character. */
static struct ms_bytes whole_characters(struct ms_bytes text) {
    for (unsigned i = 0; i < 4 && text.len > 0 && !ms_utf8_valid(text); i++)
        text.len--;
    return text;
}

static int postgres_park(struct ms_target *base, const struct ms_parked *parked,
                         struct ms_error *err) {
    struct ms_postgres_parameters parameters = {.count = 0};
    char at[MS_TIME_TEXT_MAX];
    ms_time_format_ms(parked->parked_at_ms, at);
    ms_postgres_bind_bigint(&parameters, (int64_t)parked->position);
    ms_postgres_bind_text(&parameters, parked->stream);
    ms_postgres_bind_text(&parameters, parked->event_id);
    ms_postgres_bind_text(&parameters, parked->event_type);
    ms_postgres_bind_text(&parameters, whole_characters(parked->error));
    ms_postgres_bind_text(&parameters, ms_bytes_cstr(at));
    return ms_postgres_pipe_send(&of(base)->pipe, "park", &parameters, ours, err);
}

static int postgres_unpark(struct ms_target *base, uint64_t position, struct ms_error *err) {
    struct ms_postgres_parameters parameters = {.count = 0};
    ms_postgres_bind_bigint(&parameters, (int64_t)position);
    return ms_postgres_pipe_send(&of(base)->pipe, "unpark", &parameters, ours, err);
}

/* ---- commits ---- */

static int send_commit(struct postgres_target *target, const struct ms_checkpoint *to,
                       struct ms_error *err) {
    struct ms_postgres_parameters parameters = {.count = 0};
    char store[MS_UUID_TEXT_LEN + 1], last[33];
    ms_uuid_format(&to->store, store);
    ms_checkpoint_hash_format(&to->last, last);
    ms_postgres_bind_text(&parameters, ms_bytes_cstr(store));
    ms_postgres_bind_bigint(&parameters, (int64_t)to->position);
    ms_postgres_bind_text(&parameters, ms_bytes_cstr(last));
    ms_postgres_bind_bigint(&parameters, target->base.checkpoint.generation);
    int code = ms_postgres_pipe_send(&target->pipe, "checkpoint", &parameters, the_checkpoint, err);
    if (code != 0)
        return code;
    target->in_doubt = true;
    target->doubtful = *to;
    target->doubtful.generation = target->base.checkpoint.generation + 1;
    return ms_postgres_pipe_send(&target->pipe, "commit", NULL, the_commit, err);
}

static int commit_failed(struct postgres_target *target, int code, struct ms_error *err) {
    struct ms_postgres_pipe *pipe = &target->pipe;
    target->base.refused = pipe->position;
    if (!pipe->lost) { /* the server has said that it did not commit */
        target->in_doubt = false;
        postgres_rollback(&target->base);
        return code != 0 ? code
                         : ms_error_set(err, MS_EAGAIN, "PostgreSQL: it was rolled back instead");
    }
    disconnect(target);
    bool told = pipe->code != MS_EAGAIN && !pipe->in_commit;
    if (!target->in_doubt || told)
        return code;
    return ms_error_set(err, MS_EUNKNOWN,
                        "PostgreSQL: the connection was lost while a batch was committed");
}

static int postgres_commit(struct ms_target *base, const struct ms_checkpoint *to,
                           struct ms_error *err) {
    struct postgres_target *target = of(base);
    int code = send_commit(target, to, err);
    if (code == 0)
        code = ms_postgres_pipe_sync(&target->pipe, err);
    if (!target->pipe.committed)
        return commit_failed(target, code, err);
    target->open = target->in_doubt = false;
    base->checkpoint = target->doubtful;
    base->fresh = false;
    return 0;
}

/* ---- the target ---- */

static void postgres_free(struct ms_target *base) {
    struct postgres_target *target = of(base);
    disconnect(target);
    ms_free(target->conninfo);
    ms_free(target->first);
    ms_free(target->names);
    ms_free(target);
}

static int postgres_publish(struct ms_target *base, struct ms_error *err) {
    return ms_postgres_publish(&of(base)->place, base->definition->name, err);
}

static int postgres_drop(struct ms_target *base, struct ms_error *err) {
    struct postgres_target *target = of(base);
    disconnect(target);
    int code = ms_postgres_remove(target->conninfo, target->schema, base->definition->name, err);
    postgres_free(base);
    return code;
}

static int postgres_reader_new(struct ms_target *base, struct ms_target_reader **ret_reader,
                               struct ms_error *err) {
    return ms_postgres_reader_new(base, &of(base)->place, ret_reader, err);
}

static const struct ms_target_ops postgres_ops = {
    .begin = postgres_begin,
    .apply = postgres_apply,
    .park = postgres_park,
    .unpark = postgres_unpark,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .publish = postgres_publish,
    .drop = postgres_drop,
    .free = postgres_free,
    .reader_new = postgres_reader_new,
    .run = ms_postgres_reader_run,
    .parked = ms_postgres_reader_parked,
    .reader_free = ms_postgres_reader_free,
};

static int name_statements(struct postgres_target *target) {
    const struct ms_projection_definition *definition = target->base.definition;
    size_t handlers = definition->handler_count;
    size_t count = ms_postgres_handler_statements(definition, handlers);
    target->first = ms_calloc(handlers + 1, sizeof *target->first);
    target->names = ms_calloc(count + 1, sizeof *target->names);
    if (target->first == NULL || target->names == NULL)
        return MS_ENOMEM;
    for (size_t h = 0; h < handlers; h++)
        target->first[h] = ms_postgres_handler_statements(definition, h);
    for (size_t i = 0; i < count; i++)
        ms_postgres_handler_name(i, &target->names[i]);
    return 0;
}

static int fill_in(struct postgres_target *target, const struct ms_postgres_place *place,
                   struct ms_error *err) {
    size_t len = strlen(place->conninfo);
    if (len > CONNINFO_MAX)
        return ms_error_set(err, MS_ETOOBIG, "PostgreSQL: the connection string is too long");
    if (strlen(place->schema) > MS_POSTGRES_NAME_MAX || place->schema[0] == '\0')
        return ms_error_set(err, MS_EINVAL, "PostgreSQL: '%s' is no name of a schema",
                            place->schema);
    target->conninfo = ms_calloc(1, len + 1);
    if (target->conninfo == NULL || name_statements(target) != 0)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's target");
    memcpy(target->conninfo, place->conninfo, len);
    snprintf(target->schema, sizeof target->schema, "%s", place->schema);
    target->place =
        (struct ms_postgres_place){.conninfo = target->conninfo, .schema = target->schema};
    return 0;
}

static int open_first(struct postgres_target *target, struct ms_error *err) {
    int code = connect_writer(target, err);
    if (code == 0)
        code = ms_postgres_schema_open(&target->db, target->schema, &target->base, err);
    if (code == 0)
        code = ms_postgres_try_queries(&target->db, target->base.definition, err);
    if (code == 0)
        code = note_session(target, err);
    return code == 0 ? get_ready(target, err) : code;
}

int ms_postgres_target_open(const struct ms_projection_definition *definition,
                            const struct ms_postgres_place *place, struct ms_target **ret_target,
                            struct ms_error *err) {
    struct postgres_target *target = ms_calloc(1, sizeof *target);
    if (target == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for a projection's target");
    target->base.ops = &postgres_ops;
    target->base.definition = definition;
    int code = fill_in(target, place, err);
    if (code == 0)
        code = open_first(target, err);
    if (code != 0) {
        postgres_free(&target->base);
        return code;
    }
    *ret_target = &target->base;
    return 0;
}
