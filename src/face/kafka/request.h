/*
 * One request and its answer.
 *
 *          received               its turn              hand over            answer
 *   (free) --------> HELD ------------------> OPEN <-----------------> WORKING
 *                      | at once, mostly        |        its mail
 *                                               +-----------------------------> ANSWERED -> (free)
 *
 * A connection's requests stand in a FIFO; they begin in that order, complete in any, and their
 * answers leave in that order. An OPEN request belongs to the loop: its handler is running, or it
 * waits for its deadline (ms_kafka_request_wait) or for a wake-up (ms_kafka_request_arm). While it
 * is WORKING it belongs to whoever it was handed to, until its mail is delivered; the loop leaves
 * it alone but for `connection`, which only the loop touches and which becomes NULL when the peer
 * goes away.
 *
 * When the connection goes, `forget` is called once, if it is set, for a request that has no answer
 * yet: on the loop's thread, also while the request is WORKING. It unhooks the request from
 * whatever could wake it later. An OPEN request is freed right after that, a WORKING one by its
 * mail.
 *
 * Memory: everything of a request, the answer included, lives in its arena, which begins with some
 * KiB of the request itself. What a handler makes for the answer stays untouched until the request
 * is freed, which is after the answer's last byte was sent.
 *
 * Threads: the loop's, except where a function says otherwise.
 */
#pragma once

#include "face/kafka/output.h"
#include "face/kafka/timers.h"
#include "face/net/mailbox.h"
#include "face/net/readers.h"
#include "wire/kafka/codec.h"

struct ms_kafka_connection;
struct ms_kafka_handler;
struct ms_kafka_loop;
struct ms_kafka_request;
struct ms_kafka_request_slices;

enum ms_kafka_request_state {
    MS_KAFKA_HELD, /* waits until it may begin: for earlier requests, or for memory */
    MS_KAFKA_OPEN,
    MS_KAFKA_WORKING,
    MS_KAFKA_ANSWERED,
};

#define MS_KAFKA_REQUEST_MEMORY ((size_t)4 * 1024)

typedef void ms_kafka_step(struct ms_kafka_request *request);

struct ms_kafka_request {
    /* ---- for handlers ---- */
    struct ms_kafka_loop *loop;
    struct ms_kafka_connection *connection; /* NULL once it is gone */
    const struct ms_kafka_api *api;
    int16_t version;
    struct ms_kafka_request_header header;
    const void *body; /* struct ms_kafka_<api>_request; NULL: ApiVersions of an unknown version */
    struct ms_arena arena; /* of everything that lives as long as the request */
    struct ms_bytes frame; /* what was received; strings and records of the body borrow from it */
    struct ms_blob *blob;  /* holds the frame; NULL: it is small and in the arena */
    void *context;         /* the handler's own */
    ms_kafka_step *forget; /* the handler's, see above; NULL: nothing is to be unhooked */

    /* ---- the transport's ---- */
    struct ms_kafka_request *next; /* in the connection's FIFO, or in the loop's free list */
    const struct ms_kafka_handler *handler;
    struct ms_bytes rest; /* of the frame, behind the header: the body before it is decoded */
    enum ms_kafka_request_state state;
    bool closes;   /* the connection ends when its answer is out */
    bool favoured; /* it may go beyond the requests' memory; intake.c */
    struct ms_kafka_output output;
    struct ms_kafka_sending sending;
    struct ms_kafka_request_slices *slices;
    size_t charged, answer_charged; /* of the server's memory for requests and for answers */
    int64_t started_us;             /* moved on by what it has waited */
    int64_t waiting_us;             /* since when it waits; 0: it doesn't */
    int error_code;                 /* noted for log and metrics */

    struct ms_net_mail mail; /* the hand-back */
    ms_kafka_step *resume;   /* continuation on the loop */
    struct ms_net_job job;
    ms_kafka_step *run; /* job for a reader */

    struct ms_kafka_timer timer;
    ms_kafka_step *expired;

    struct ms_net_mail wake_mail;
    atomic_bool wake_queued; /* wake_mail is in the mailbox */
    bool wake_pending;       /* it was delivered before the request was armed */
    bool orphaned;           /* freed but for its wake-up, which is on its way */
    ms_kafka_step *woken;
    struct ms_kafka_sync *sync; /* sync.c; arena */

    _Alignas(16) uint8_t memory[MS_KAFKA_REQUEST_MEMORY]; /* where the arena begins */
};

/* ---- answering: each ends the request, which the handler then leaves alone ---- */

/* `response` is the API's struct ms_kafka_<api>_response. Its records, and the structs that they
 * are in, live in the arena; the rest is copied. When it can't be encoded the connection is closed,
 * with a warning. */
void ms_kafka_answer(struct ms_kafka_request *request, const void *response);
/* There is no answer: Produce with acks=0. */
void ms_kafka_answer_nothing(struct ms_kafka_request *request);
/* Closes the connection after earlier answers have left. Also right after ms_kafka_answer: then
 * after that answer too. */
void ms_kafka_request_close(struct ms_kafka_request *request);

/* Kafka's error code of the answer, for log and metrics; 0 is none. The first one stays. */
void ms_kafka_request_note_error(struct ms_kafka_request *request, int code);
/* `count` zeroed slices for the answer's records: whatever they refer to in the end is released
 * when it was sent, or with the request. NULL: no memory. Any thread that has the request. */
struct ms_slice *ms_kafka_request_slices(struct ms_kafka_request *request, size_t count);
/* How many bytes its answer may hold, so that the answers' memory is kept; may be 0. */
size_t ms_kafka_request_room(const struct ms_kafka_request *request);

/* ---- waiting on the loop ---- */

/* `expired` is called when loop->now_us has reached at_us, within about a millisecond; when the
 * server stops it is called at once. Waiting ends by an answer, by a hand-over, or here. Calling it
 * again moves the deadline. */
void ms_kafka_request_wait(struct ms_kafka_request *request, int64_t at_us, ms_kafka_step *expired);
/* `woken` is called on the loop after ms_kafka_request_wake; at once when that was called since the
 * last time that it was. Stays armed until the request is answered or handed over. */
void ms_kafka_request_arm(struct ms_kafka_request *request, ms_kafka_step *woken);
/* Any thread, any number of times, until the request is answered or forgotten: whoever calls it is
 * told before that (by the handler, or by `forget`), and calls it no more then. */
void ms_kafka_request_wake(void *request);

/* ---- other threads ---- */

/* Hands the request to the readers: `run` there, then `resume` here, if the connection still
 * exists. */
void ms_kafka_request_submit(struct ms_kafka_request *request, ms_kafka_step *run,
                             ms_kafka_step *resume);
/* To threads of another kind. */
void ms_kafka_request_submit_to(struct ms_kafka_request *request, struct ms_net_readers *readers,
                                ms_kafka_step *run, ms_kafka_step *resume);
/* The request now waits for its mail. Every hand-over to another thread is announced by this before
 * it is made. */
void ms_kafka_request_handed_over(struct ms_kafka_request *request, ms_kafka_step *resume);
/* The hand-over was refused after all: the request is the loop's again. */
void ms_kafka_request_kept(struct ms_kafka_request *request);
/* From the other thread: the last thing it does with the request. */
void ms_kafka_request_hand_back(struct ms_kafka_request *request);

/* ---- for the connection ---- */

/* A HELD request at the end of the connection's FIFO; NULL without memory. */
struct ms_kafka_request *ms_kafka_request_new(struct ms_kafka_connection *connection);
/* Takes it back. When a wake-up is still on its way the request lives until that is delivered. */
void ms_kafka_request_free(struct ms_kafka_request *request);
/* The connection goes: forgets and frees it, or leaves that to its mail. */
void ms_kafka_request_cut_loose(struct ms_kafka_request *request);
/* The server stops: its deadline is now. */
void ms_kafka_request_hurry(struct ms_kafka_request *request);
/* Frees what the free list holds. */
void ms_kafka_request_list_free(struct ms_kafka_request *first);
