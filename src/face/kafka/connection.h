/*
 * A connection: a socket, the request being received, its requests in order, their answers.
 *
 *   socket -> loop->input -> requests (FIFO) -> answers from the head on -> gathered write
 *       |          |
 *       |          +-> pending (whole requests that can't be begun now, the first bytes of a size)
 *       +-> frame (the rest of a large request, straight into memory of its own)
 *
 * Nothing more is begun while pipeline_max requests are there, while a barrier is being worked on
 * or waits for its turn, while output_bytes_max of answers wait for the peer or for earlier
 * answers, and while the server's memory for requests is used up; reading stops when `pending` is
 * full then. Everything resumes from ms_kafka_connection_pump.
 *
 * Threads: its loop's.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "face/kafka/frame.h"
#include "face/net/listen.h"

struct ms_kafka_loop;
struct ms_kafka_request;
struct ms_topic;

/* A partition. */
struct ms_kafka_turn {
    const struct ms_topic *topic; /* to compare with; it may be gone. NULL: nothing yet */
    int32_t partition;
};

struct ms_kafka_connection {
    struct ms_kafka_loop *loop;
    struct ms_kafka_connection *previous, *next; /* all of the loop's */
    struct ms_kafka_connection *next_dirty, *next_retry;
    int fd;
    struct event read_event, write_event;

    struct ms_buf pending; /* received, not taken yet */
    size_t pending_charged;
    struct ms_kafka_frame frame;

    struct ms_kafka_request *first, *last; /* FIFO */
    unsigned depth;                        /* its length */
    unsigned working;                      /* of them are begun and not answered */
    struct ms_kafka_request *held;         /* the last one, when it can't begin yet */
    size_t queued;                         /* bytes of answers that are not sent */
    struct ms_kafka_turn fetch_turn;       /* what the last Fetch ended with */

    bool dirty, retrying;
    bool reading, writing; /* which events are armed */
    bool barrier;          /* the only request that is begun is a barrier */
    bool input_over;       /* nothing more is taken: refused, broken or stopping */
    bool peer_done;        /* the peer has sent its last byte */
    bool lingering;        /* our side is shut; waiting for the peer to read and close */
    bool starved;          /* a request waits for memory */
    bool authenticated;
    bool closed; /* freed at the end of the turn */

    int64_t active_us;   /* last time something was received or sent completely */
    int64_t progress_us; /* last time the peer took output */
    char peer[MS_NET_ADDRESS_MAX];
    char local[MS_NET_ADDRESS_MAX]; /* where the peer reached us, once asked */
};

/* Takes the accepted socket over, also when it fails (it is closed then). */
void ms_kafka_connection_open(struct ms_kafka_loop *loop, int fd, const char *peer);
/* Does all that can be done now: writes answers, begins what was held, takes what was left. May
 * free it. */
void ms_kafka_connection_pump(struct ms_kafka_connection *connection);
/* Several times a second: timeouts. May free it. */
void ms_kafka_connection_tick(struct ms_kafka_connection *connection);
/* Drops it at once, requests and all. Not from within its own callbacks. */
void ms_kafka_connection_close(struct ms_kafka_connection *connection);
/* Safe anywhere: it is closed at the end of the turn. */
void ms_kafka_connection_drop(struct ms_kafka_connection *connection);
/* Takes no further requests; those being worked on are answered, what waits is answered now. */
void ms_kafka_connection_finish(struct ms_kafka_connection *connection);
/* One of its requests has its answer, of so many bytes. */
void ms_kafka_connection_answered(struct ms_kafka_connection *connection, size_t bytes);
/* Its host by numbers as the peer reached it. */
const char *ms_kafka_connection_local(struct ms_kafka_connection *connection);

/* ---- between connection.c and intake.c ---- */

/* Receives once. */
void ms_kafka_intake_receive(struct ms_kafka_connection *connection);
/* Begins what was held and takes what was left; true when something was. */
bool ms_kafka_intake_resume(struct ms_kafka_connection *connection);
/* A peer that makes no use of the favour of going beyond the requests' memory gives it back. */
void ms_kafka_intake_tick(struct ms_kafka_connection *connection);
/* Frees what is being received. */
void ms_kafka_intake_release(struct ms_kafka_connection *connection);
