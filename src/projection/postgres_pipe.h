/*
 * Prepared statements that are sent without waiting for what becomes of them.
 *
 *     send send send … sync       what was sent and not answered is counted; the first
 *       └──── answers ────┘       failure is kept, with the statement it is of
 *
 * What waits to be sent is bounded: while the server does not take more, answers are read, so
 * neither side waits for the other for ever. One thread.
 */
#pragma once

#include "projection/postgres_db.h"
#include "projection/postgres_values.h"

#define MS_POSTGRES_PENDING_MAX 4096u /* a power of 2 */
#define MS_POSTGRES_NO_EVENT UINT64_MAX

enum ms_postgres_sent {
    MS_POSTGRES_STATEMENT,
    MS_POSTGRES_CHECKPOINT, /* fails with 22012 when it is not where we left it */
    MS_POSTGRES_COMMIT,
    MS_POSTGRES_SYNC,
};

struct ms_postgres_pending {
    enum ms_postgres_sent kind;
    const struct ms_sql_statement *statement; /* NULL: ours */
    uint64_t position;                        /* of the event it runs for; ours: none */
};

struct ms_postgres_pipe {
    struct ms_postgres_db *db;
    struct ms_postgres_pending pending[MS_POSTGRES_PENDING_MAX]; /* a ring */
    size_t first, count;
    size_t unsent; /* bytes, about, since all was sent */
    /* Since it was cleared: */
    int code; /* of the first failure */
    struct ms_error error;
    uint64_t position; /* of the event whose statement failed */
    bool lost;         /* the connection is, with what was not answered */
    bool committed;    /* the server has said so */
    bool in_commit;    /* the failure is of MS_POSTGRES_COMMIT */
};

/* The connection is in pipeline mode from now on. MS_EAGAIN. */
int ms_postgres_pipe_start(struct ms_postgres_pipe *pipe, struct ms_postgres_db *db,
                           struct ms_error *err) MS_MUST_CHECK;
/* Forgets the failure. */
void ms_postgres_pipe_clear(struct ms_postgres_pipe *pipe);
/* Sends it, sooner or later. Returns the failure, also of one that was sent before. */
int ms_postgres_pipe_send(struct ms_postgres_pipe *pipe, const char *name,
                          const struct ms_postgres_parameters *parameters,
                          struct ms_postgres_pending what, struct ms_error *err) MS_MUST_CHECK;
/* Until all is answered. A failure is over for the server then: what is sent from now on is looked
 * at again. Returns it. */
int ms_postgres_pipe_sync(struct ms_postgres_pipe *pipe, struct ms_error *err) MS_MUST_CHECK;
/* Has the server closed the connection meanwhile? */
bool ms_postgres_pipe_is_lost(struct ms_postgres_pipe *pipe);
