/*
 * One request and its answer.
 *
 *              on_headers          on_complete           its turn             answer
 *     (free) -------------> READING ----------> WAITING ---------> WORKING -------> ANSWERED
 *                              |   pipelined routes skip WAITING    |  ^                |
 *                              |                               arm  v  | wake           v
 *                              |                                   ARMED             (free)
 *                              +---------------- refused ------------------> ANSWERED
 *
 * A connection's requests stand in a FIFO; answers are written from its head only. While a request
 * is WORKING it belongs to the committer or to a reader (one of them, until its mail is delivered);
 * the loop leaves it alone but for `connection`, which only the loop touches and which becomes NULL
 * when the peer goes away. ARMED means that a subscription's wake-up may come at any time.
 *
 * Threads: the loop's, except where a function says otherwise.
 */
#pragma once

#include "face/net/mailbox.h"
#include "face/net/readers.h"
#include "face/http/media.h"
#include "face/http/params.h"
#include "face/http/routes.h"
#include "wire/http1.h"

struct ms_http_config;
struct ms_http_connection;
struct ms_http_loop;

enum ms_http_request_state {
    MS_HTTP_READING,
    MS_HTTP_WAITING,
    MS_HTTP_PARKED, /* an append that the store's in-flight budget refused: tried again soon */
    MS_HTTP_WORKING,
    MS_HTTP_ARMED,
    MS_HTTP_ANSWERED,
};

/* The headers that the face looks at; absent ones have data NULL. Parser memory: valid until
 * on_complete returns. */
struct ms_http_headers {
    struct ms_bytes host, origin, accept, content_type, if_match, if_none_match, idempotency_key,
        last_event_id, min_position, request_id, correlation_id, cors_method, content_encoding;
    bool cloudevent;    /* there is a ce-… header: binary mode */
    bool content_twice; /* a second Content-Type or Content-Encoding */
};

/* What became of an append; see append.c. */
struct ms_http_append_outcome {
    int code;
    bool repeated, looked_behind;
    uint64_t position;
    int64_t first_version, version;
    size_t event_count;
    size_t part_count;                          /* of a multi-append */
    struct ms_append_part *parts;               /* arena */
    struct ms_append_part_result *part_results; /* arena */
    size_t failed_part, failed_query;
    struct ms_condition expected;
    enum ms_stream_state actual_state;
    int64_t actual_version;
    uint64_t matching_position;
};

struct ms_http_answer {
    int status;
    const char *content_type; /* static; NULL: no body */
    const char *problem;      /* problem type, for the log; NULL when it is none */
    struct ms_buf headers;    /* further header lines */
    struct ms_buf body;
};

struct ms_http_request {
    struct ms_http_request *next; /* in the connection's FIFO, or in the loop's free list */
    struct ms_http_loop *loop;
    struct ms_http_connection *connection; /* NULL once it is gone */
    struct ms_http_config *config;         /* for readers: referenced from the first hand-over on */
    const struct ms_http_route *route;     /* NULL: nothing matched */
    enum ms_http_request_state state;
    enum ms_http_method method;
    bool keep_alive, http10, head_only;
    bool wants_continue; /* Expect: 100-continue not answered yet */
    bool refused;        /* answered before its body was read */
    bool cors;           /* the origin may read the answer */
    bool streaming;      /* its answer's head is out, the body goes on (sse.c) */

    uint64_t number; /* of the loop; makes its id when the client sent none */
    struct ms_bytes id, correlation_id, origin, method_text, path, query; /* arena */
    struct ms_bytes captures[MS_HTTP_CAPTURES];                           /* arena, decoded */
    struct ms_bytes stream;                                               /* arena, text form */
    struct ms_bytes min_position;    /* header Mainstem-Min-Position; arena */
    struct ms_bytes idempotency_key; /* of an append whose events have their ids from it; arena */
    struct ms_http_params params;
    struct ms_condition condition;
    enum ms_http_body_type body_type;
    enum ms_http_answer_type accept;
    uint64_t last_event_id;
    bool has_last_event_id;
    const struct ms_http1_request *http1; /* until on_complete returns */
    struct ms_http_headers headers;       /* likewise */

    struct ms_arena arena;
    struct ms_buf body;
    uint64_t body_len;                   /* bytes received, also of a body that is skipped */
    uint64_t bytes_out;                  /* of the answer, head included */
    size_t body_charged, answer_charged; /* of the two shares of the server's budget */
    size_t page_bytes;                   /* a page of events ends with the one that crosses this */
    int64_t started_us;                  /* moved on by what a long poll has waited */
    int64_t head_us;                     /* when the head of a streaming answer left */
    int64_t armed_us;

    struct ms_event *events; /* of an append; arena */
    size_t event_count;
    struct ms_append_part part;
    struct ms_append_request append; /* what the store is asked for; also when it is tried again */
    struct ms_http_append_outcome outcome;
    struct ms_error error;
    int64_t parked_us;

    struct ms_http_answer answer;
    int (*render)(struct ms_http_request *request, struct ms_buf *out); /* NULL: ms_http_render */

    struct ms_net_mail mail;                         /* the committer's or reader's hand-over */
    void (*resume)(struct ms_http_request *request); /* continuation on the loop */
    void (*run)(struct ms_http_request *request);    /* job for a reader */
    bool hands_on;                                   /* `run` sees to the handing back */
    struct ms_net_job job;

    struct ms_subscription *subscription;
    struct ms_net_mail wake_mail;
    atomic_bool wake_queued; /* wake_mail is in the mailbox */
    bool wake_pending;       /* it was delivered before the request was armed */
    bool orphaned;           /* freed but for its wake-up, which is on its way */
    void (*woken)(struct ms_http_request *request);
    struct ms_http_longpoll *longpoll; /* longpoll.c; arena */
    struct ms_http_sse *sse;           /* sse.c; arena */
    struct ms_http_query *query_run;   /* queries.c; arena */
    struct ms_http_sync *sync;         /* sync.c; arena */
};

/* A request in state READING at the end of the connection's FIFO; NULL without memory. */
struct ms_http_request *ms_http_request_new(struct ms_http_connection *connection);
/* Takes it back, subscription and all. When a wake-up is still on its way the request lives until
 * that is delivered. */
void ms_http_request_free(struct ms_http_request *request);
/* Frees what the free list holds. */
void ms_http_request_list_free(struct ms_http_request *first);

/* Hands the request to the readers: `run` there, then `resume` here (if the connection still
 * exists). */
void ms_http_request_submit(struct ms_http_request *request,
                            void (*run)(struct ms_http_request *request),
                            void (*resume)(struct ms_http_request *request));
/* The same for a job that doesn't end with `run`: whoever ends it hands the request back. */
void ms_http_request_submit_open(struct ms_http_request *request,
                                 void (*run)(struct ms_http_request *request),
                                 void (*resume)(struct ms_http_request *request));
/* The same for what may be thousands at once: other requests' jobs may pass. */
void ms_http_request_submit_patient(struct ms_http_request *request,
                                    void (*run)(struct ms_http_request *request),
                                    void (*resume)(struct ms_http_request *request));
/* The same with a pool of their own for jobs that take long. */
void ms_http_request_submit_to(struct ms_http_request *request, struct ms_net_readers *readers,
                               void (*run)(struct ms_http_request *request),
                               void (*resume)(struct ms_http_request *request));
/* The request now waits for its mail. Every hand-over to another thread is announced by this before
 * it is made. */
void ms_http_request_handed_over(struct ms_http_request *request,
                                 void (*resume)(struct ms_http_request *request));
/* The hand-over was refused after all: the request is the loop's again. */
void ms_http_request_kept(struct ms_http_request *request);
/* From the other thread: the last thing it does with the request. */
void ms_http_request_hand_back(struct ms_http_request *request);
/* The request waits for its subscription: `woken` is called when that has something, at once when
 * it already had. */
void ms_http_request_arm(struct ms_http_request *request,
                         void (*woken)(struct ms_http_request *request));
/* For ms_subscription_options.wake; context is the request. Any thread. */
void ms_http_request_wake(void *context);
/* Its answer is complete: it leaves when its turn comes. */
void ms_http_request_done(struct ms_http_request *request);

/* The id it is known by: the client's or <loop prefix>-<number>. `scratch` has MS_HTTP_ID_MAX
 * bytes. Any thread. */
#define MS_HTTP_ID_MAX 40
struct ms_bytes ms_http_request_id(const struct ms_http_request *request, char *scratch);
