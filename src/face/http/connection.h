/*
 * A connection: a socket, its parser, its requests in order, its output.
 *
 *   socket -> loop->input -> parser -> requests (FIFO) -> answers of the head -> out -> socket
 *                  |                                                                     ^
 *                  +-> pending (what the paused parser left)          body (a large answer's)
 *
 * Reading stops while pending is full, while pipeline_max requests are being worked on, while a
 * request that is no append is being worked on, while output_bytes_max of answers wait for the
 * peer, and while the server's budget of memory is used up. Everything resumes from
 * ms_http_connection_pump.
 *
 * Threads: its loop's.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/bytes.h"

struct ms_http1_parser;
struct ms_http_loop;
struct ms_http_request;

#define MS_HTTP_PEER_MAX 64

struct ms_http_connection {
    struct ms_http_loop *loop;
    struct ms_http_connection *previous, *next; /* all of the loop's */
    struct ms_http_connection *next_dirty, *next_retry;
    int fd;
    struct event read_event, write_event;
    struct ms_http1_parser *parser;

    struct ms_http_request *first, *last; /* FIFO */
    unsigned depth;                       /* its length */
    struct ms_http_request *current;      /* being received */
    struct ms_buf pending;                /* received, not parsed yet */
    struct ms_buf out;
    size_t out_at;      /* sent so far */
    struct ms_buf body; /* goes out after `out` */
    size_t body_at;
    size_t charged; /* of the budget for answers */

    bool dirty, retrying;
    bool reading, writing; /* which events are armed */
    bool parser_paused;
    bool barrier;          /* a request that is no append, or a parked one, is being worked on */
    bool input_over;       /* nothing more is parsed: refused, broken or stopping */
    bool peer_done;        /* the peer has sent its last byte */
    bool close_when_empty; /* once the answers are out */
    bool lingering;        /* our side is shut; waiting for the peer to read and close */
    bool starved;          /* a body waits for the server's budget of memory */
    bool closed;           /* freed at the end of the turn */

    int64_t active_us;   /* last time something was received or sent completely */
    int64_t message_us;  /* when the request being received began; 0: none is */
    int64_t progress_us; /* last time the peer took output */
    char peer[MS_HTTP_PEER_MAX];
};

/* Takes the accepted socket over, also when it fails (it is closed then). */
void ms_http_connection_open(struct ms_http_loop *loop, int fd, const char *peer);
/* Does all that can be done now: writes answers, starts what was waiting, parses what was left. May
 * free it. */
void ms_http_connection_pump(struct ms_http_connection *connection);
/* Once a second: timeouts and heartbeats. May free it. */
void ms_http_connection_tick(struct ms_http_connection *connection);
/* Drops it, answers and all. */
void ms_http_connection_close(struct ms_http_connection *connection);
/* The server stops: no further requests; those being worked on are answered, streams end. */
void ms_http_connection_finish(struct ms_http_connection *connection);

/* True when the peer has closed, also where nothing is read any more: for what takes long. */
bool ms_http_connection_is_left(const struct ms_http_connection *connection);

/* Bytes that wait for the peer. */
size_t ms_http_connection_queued(const struct ms_http_connection *connection);

/* ---- between connection.c and intake.c ---- */

/* The parser's callbacks: from bytes to requests that have been checked and begun. */
int ms_http_intake_parser_new(struct ms_http_connection *connection);
/* Parses input; returns how much of it was consumed. */
size_t ms_http_intake_feed(struct ms_http_connection *connection, struct ms_bytes input);
/* True when more requests may be parsed now. */
bool ms_http_intake_open(const struct ms_http_connection *connection);
/* Starts the FIFO's head when it has been waiting for that; retries a parked append. */
void ms_http_intake_begin_first(struct ms_http_connection *connection);
/* Answers the request being received with a refusal, and reads nothing more. */
void ms_http_intake_abort(struct ms_http_connection *connection, int status, const char *message);
