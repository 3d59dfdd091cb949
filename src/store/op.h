/*
 * An append on its way: what it holds, what it changes, what became of it. Not for anyone outside
 * this directory.
 */
#pragma once

#include "log/log.h"
#include "store/heads.h"

struct ms_versions_page;

enum ms_op_outcome {
    MS_OP_APPENDED,
    MS_OP_CHECKED, /* no events: only the conditions */
    MS_OP_REFUSED,
    MS_OP_REPEAT, /* maybe a resend: the worker compares with what is stored */
};

enum ms_part_kind {
    MS_PART_EVENTS,
    MS_PART_PENDING, /* a batch of an open transaction */
    MS_PART_MARKER,  /* its end, in one partition */
    MS_PART_COMMIT,  /* of a pending batch: first_offset says of which */
};

struct ms_op_part {
    struct ms_stream_ref ref;
    struct ms_bytes stream; /* canonical name */
    struct ms_condition condition;
    uint32_t count;
    size_t batch_at, batch_len; /* in op->batches */
    size_t fact_count;          /* of keyed records */
    const uint64_t *terms;
    size_t term_count;
    uint64_t *id_hashes; /* one per event */
    uint32_t ids_given;  /* by the client; the others were made here, and are no resend's */
    uint16_t partition;
    uint8_t entry_flags;
    /* results of sequencing */
    int64_t first_version, version;
    uint64_t position;
    int64_t first_offset;
    int64_t newest_ms; /* timestamp of its newest record */
    enum ms_part_kind kind;
    bool of_stream;        /* else it is a partition's only, and has no head */
    struct ms_bytes batch; /* the producer's own bytes; absent: in op->batches */
    /* Of producers' batches and of ends: */
    bool pending_stream;            /* its commit will be of the stream `ref.id` */
    struct ms_txn_pending *pending; /* until it is the transaction's */
    struct ms_txn_place *place;     /* PENDING; MARKER: until it is shown */
    struct ms_aborted *aborted;     /* MARKER: until it is shown */
    struct ms_producer *producer;   /* what the partition knows of it after this; arena */
    bool repeat;                    /* candidate; the stored events begin at: */
    int64_t repeat_version;
    bool by_window;        /* the window knows where; else the condition says it */
    struct ms_head judged; /* the head as it was then, for a refusal */
    struct ms_head *head;  /* under the log's lock, once brought in */
    struct ms_head cold;   /* resolved from the index before the lock */
    bool cold_known;
    uint64_t cold_applied; /* the index covered everything below it when it was asked */
};

/* What an append changes besides the events it adds. Applied when it is sequenced; `name` and
 * `value` are then folded into the index as a fact. */
struct ms_op_effect {
    enum {
        MS_EFFECT_NONE,
        MS_EFFECT_RULES,
        MS_EFFECT_TOPIC,
        MS_EFFECT_START,
        MS_EFFECT_VERSIONS
    } kind;
    size_t part; /* RULES: of which part's stream */
    struct ms_stream_rules
        rules; /* RULES: the new ones; deleted_head INT64_MAX = the head as it is then */
    struct ms_topic *closes;             /* TOPIC: the topic that is deleted, or NULL */
    const struct ms_versions_page *page; /* VERSIONS: the caller's, who waits */
    const struct ms_topic *adopts;       /* VERSIONS: the topic of its records */
    struct ms_bytes name, value;
};

/* A topic that was not there when an append was made ready. It has an identity, so that its streams
 * have theirs, and gets its number when it is made: in one step with the append, or never. */
struct ms_op_topic {
    struct ms_op_topic *next;
    struct ms_topic *topic; /* the op's own until `entered` in the table */
    bool needed;            /* the append adds to it; else only a condition looks there */
    bool entered;
    struct ms_op *creation; /* its event, to be put before the append's own */
};

struct ms_op {
    struct ms_log_ticket ticket;
    struct ms_arena arena; /* names, hashes, terms */
    struct ms_buf batches;
    struct ms_store *store; /* from here to `error` an op begins as zeros (op_pool.c) */
    ms_append_done_fn *done;
    void *context;
    struct ms_op *next; /* of the worker's queue */
    enum ms_op_outcome outcome;
    bool must_exist;    /* a delete: no stream is MS_ENOTFOUND */
    bool must_reach;    /* expected versions may also have been passed; see ms_append_request */
    bool ignore_window; /* the window's hint turned out to be wrong */
    bool system;
    bool wait;
    bool stale;    /* submitting said MS_EAGAIN: what it was made from has changed, make it anew */
    bool replaces; /* its first part was made from that stream's newest event */
    bool produce;  /* no conditions: a producer's batch, an end, records */
    bool streams;  /* a batch made for a topic with streams, or without */
    bool by_producer; /* `header` says which */
    bool begins;      /* its batch may open a place for its transaction */
    bool ends;        /* it ends a transaction */
    bool sequenced;
    bool exempt; /* from waiting for the budget: a coordinator's, maybe on the committer's thread */
    struct ms_op_topic *new_topics;
    uint64_t budget;
    uint64_t started_us;
    struct ms_op_part *parts;
    size_t part_count;
    const struct ms_query_condition *queries;
    size_t query_count;
    uint64_t query_from; /* index and log have answered for everything below */
    bool query_match;    /* and found an event: */
    size_t query_match_index;
    uint64_t query_match_position;
    bool query_behind; /* what the ring does not have is not published yet */
    struct ms_append_part_result *results;
    struct ms_append_result result;
    struct ms_op_effect effect;
    struct ms_index_fact *facts; /* of keyed records, in the order of the parts; arena */
    size_t fact_count;
    struct ms_batch_header header; /* of the producer's batch; of an end: producer and epoch */
    struct ms_txn_place *place, *spare_place;
    int64_t repeat_offset;
    struct ms_txn_place *unwritten_places;
    struct ms_txn_pending *ended_pending; /* their terms are the commits' */
    struct ms_error error;
};

struct ms_op_pool {
    pthread_mutex_t lock;
    struct ms_op *free;
    size_t count;
};
