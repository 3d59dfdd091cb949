/* Statements sent ahead; see postgres_pipe.h. */
#include "projection/postgres_pipe.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define UNSENT_MAX ((size_t)64 << 10)
#define PER_STATEMENT 64u /* bytes of the messages around a statement's values, about */
#define STALL_MS 300000   /* without any sign of the server */

/* ---- failures ---- */

static int lose(struct ms_postgres_pipe *pipe) {
    if (pipe->code == 0)
        pipe->code = ms_postgres_db_error(pipe->db, NULL, NULL, &pipe->error);
    pipe->lost = true;
    pipe->count = 0;
    return pipe->code;
}

static int give(const struct ms_postgres_pipe *pipe, struct ms_error *err) {
    if (pipe->code != 0 && err != NULL)
        *err = pipe->error;
    return pipe->code;
}

static void note_failure(struct ms_postgres_pipe *pipe, const struct ms_postgres_pending *what,
                         const PGresult *result) {
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (pipe->code != 0)
        return;
    pipe->in_commit = what->kind == MS_POSTGRES_COMMIT;
    pipe->position = what->position;
    if (what->kind == MS_POSTGRES_CHECKPOINT && sqlstate != NULL && strcmp(sqlstate, "22012") == 0)
        pipe->code = ms_error_set(&pipe->error, MS_EFENCED,
                                  "another process applies events to this projection's tables");
    else
        pipe->code = ms_postgres_db_error(pipe->db, result, what->statement, &pipe->error);
}

/* ---- answers ---- */

static struct ms_postgres_pending pop(struct ms_postgres_pipe *pipe) {
    struct ms_postgres_pending what = pipe->pending[pipe->first];
    pipe->first = (pipe->first + 1) & (MS_POSTGRES_PENDING_MAX - 1);
    pipe->count--;
    return what;
}

static void take(struct ms_postgres_pipe *pipe, const PGresult *result) {
    struct ms_postgres_pending what;
    if (pipe->count == 0) { /* what ends the connection is told between answers too */
        what = (struct ms_postgres_pending){.kind = MS_POSTGRES_STATEMENT,
                                            .position = MS_POSTGRES_NO_EVENT};
        note_failure(pipe, &what, result);
        return;
    }
    what = pop(pipe);
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        if (what.kind == MS_POSTGRES_COMMIT)
            pipe->committed = strcmp(PQcmdStatus((PGresult *)result), "COMMIT") == 0;
        break;
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
        break;
    default:
        note_failure(pipe, &what, result);
        break;
    }
}

/* What is here already. */
static void take_answers(struct ms_postgres_pipe *pipe) {
    PGconn *handle = pipe->db->handle;
    for (unsigned nothing = 0; nothing < 2 && !PQisBusy(handle);) { /* one stands behind each */
        PGresult *result = PQgetResult(handle);
        if (result == NULL) {
            nothing++;
            continue;
        }
        nothing = 0;
        take(pipe, result);
        PQclear(result);
    }
    if (PQstatus(handle) != CONNECTION_OK)
        (void)lose(pipe);
}

static bool wait_for_server(PGconn *handle, bool to_send) {
    struct pollfd wait = {.fd = PQsocket(handle), .events = POLLIN};
    if (to_send)
        wait.events |= POLLOUT;
    int ready;
    do
        ready = poll(&wait, 1, STALL_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* Until all is sent and at most `left` statements are not answered. */
static int pump(struct ms_postgres_pipe *pipe, size_t left) {
    PGconn *handle = pipe->db->handle;
    while (!pipe->lost) {
        int unsent = PQflush(handle);
        if (!PQconsumeInput(handle) || unsent < 0) {
            take_answers(pipe); /* why, perhaps */
            (void)lose(pipe);
            break;
        }
        take_answers(pipe);
        if (pipe->lost || (unsent == 0 && pipe->count <= left))
            break;
        if (!wait_for_server(handle, unsent > 0))
            (void)lose(pipe);
    }
    pipe->unsent = 0;
    return pipe->code;
}

/* ---- sending ---- */

int ms_postgres_pipe_start(struct ms_postgres_pipe *pipe, struct ms_postgres_db *db,
                           struct ms_error *err) {
    pipe->db = db;
    pipe->first = pipe->count = pipe->unsent = 0;
    ms_postgres_pipe_clear(pipe);
    pipe->lost = false;
    if (PQsetnonblocking(db->handle, 1) == 0 && PQenterPipelineMode(db->handle) == 1)
        return 0;
    return ms_postgres_db_error(db, NULL, NULL, err);
}

void ms_postgres_pipe_clear(struct ms_postgres_pipe *pipe) {
    pipe->code = 0;
    pipe->error = (struct ms_error){0};
    pipe->position = MS_POSTGRES_NO_EVENT;
    pipe->committed = pipe->in_commit = false;
}

static void push(struct ms_postgres_pipe *pipe, struct ms_postgres_pending what) {
    MS_ASSERT(pipe->count < MS_POSTGRES_PENDING_MAX);
    pipe->pending[(pipe->first + pipe->count) & (MS_POSTGRES_PENDING_MAX - 1)] = what;
    pipe->count++;
}

/* The server is asked for its answers now and then: left alone it would keep the last ones. */
static int send_on(struct ms_postgres_pipe *pipe) {
    size_t left = SIZE_MAX;
    if (pipe->count + 1 >= MS_POSTGRES_PENDING_MAX)
        left = MS_POSTGRES_PENDING_MAX / 2;
    if (pipe->unsent < UNSENT_MAX && left == SIZE_MAX)
        return pipe->code;
    if (!PQsendFlushRequest(pipe->db->handle))
        return lose(pipe);
    return pump(pipe, left);
}

int ms_postgres_pipe_send(struct ms_postgres_pipe *pipe, const char *name,
                          const struct ms_postgres_parameters *parameters,
                          struct ms_postgres_pending what, struct ms_error *err) {
    if (pipe->lost)
        (void)lose(pipe);
    if (pipe->code != 0)
        return give(pipe, err);
    int count = parameters != NULL ? (int)parameters->count : 0;
    if (!PQsendQueryPrepared(pipe->db->handle, name, count, count > 0 ? parameters->values : NULL,
                             count > 0 ? parameters->lengths : NULL, ms_postgres_binary, 0)) {
        (void)lose(pipe);
        return give(pipe, err);
    }
    push(pipe, what);
    pipe->unsent += PER_STATEMENT + (count > 0 ? parameters->bytes : 0);
    (void)send_on(pipe);
    return give(pipe, err);
}

int ms_postgres_pipe_sync(struct ms_postgres_pipe *pipe, struct ms_error *err) {
    if (pipe->lost || !PQpipelineSync(pipe->db->handle))
        (void)lose(pipe);
    if (!pipe->lost) {
        push(pipe, (struct ms_postgres_pending){.kind = MS_POSTGRES_SYNC});
        (void)pump(pipe, 0);
    }
    return give(pipe, err);
}

bool ms_postgres_pipe_is_lost(struct ms_postgres_pipe *pipe) {
    if (pipe->lost || ms_postgres_db_is_lost(pipe->db))
        return true;
    if (!PQconsumeInput(pipe->db->handle))
        (void)lose(pipe);
    else
        take_answers(pipe);
    return pipe->lost;
}
