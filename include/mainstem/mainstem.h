/*
 * Mainstem as a library: one durable append-only log in a directory, embedded in your process.
 *
 *     struct mainstem_store *store;
 *     struct mainstem_error error;
 *     if (mainstem_open("data", NULL, &store, &error) != 0)
 *         return puts(error.message), 1;
 *     struct mainstem_event paid = {.type = mainstem_text("order.paid"),
 *                                   .data = mainstem_text("{\"cents\":1200}")};
 *     struct mainstem_append_result result;
 *     if (mainstem_append(store, "order-17", 4, &paid, 1, &result, &error) == MAINSTEM_ECONFLICT)
 *         printf("somebody was faster: version %lld\n", (long long)error.actual_version);
 *     mainstem_close(store, NULL);
 *
 * Words. An *event* is an immutable fact. A *stream* is the events of one entity, with versions 0,
 * 1, 2 …; its name is "<topic>-<key>" ("order-17"), split at the first '-' (%2D in a topic is one).
 * A *topic* is a family of streams. A *position* is an event's place in the order of all events.
 *
 * Promises. An append is durable when it is answered (durability `commit`, the default). Everything
 * that one append holds is there or nothing of it. Refusals tell a version that the stream really
 * had. docs/guarantees.md has the list. After a failed write or sync nothing can be promised any
 * more: the store stops, on_failure is called, and from then on every call but mainstem_info,
 * mainstem_metrics, mainstem_close and the freeing ones returns MAINSTEM_ECLOSED. The library never
 * ends or aborts its host over what a disk, a peer or a caller's data does.
 *
 * Conventions of every function here:
 *
 *   errors     0 (MAINSTEM_OK) or a negative enum mainstem_code. `err` may be NULL; it is written
 *              only on failure. Outputs come last, are named ret_… and are untouched on failure.
 *              Any call may fail with MAINSTEM_EINVAL (an argument is wrong, the message says
 *              which), MAINSTEM_ENOMEM and MAINSTEM_ECLOSED (see above); others are listed with it.
 *   threads    any thread, many at a time, unless a function says otherwise.
 *   blocking   functions marked "blocks" wait for the disk; MAINSTEM_EINVAL inside a callback.
 *   memory     what is passed in is borrowed for the call, and free again when it returns. What is
 *              handed out says how long it is valid.
 *   text       struct mainstem_bytes: pointer and length. const char * names are terminated UTF-8.
 *   options    structs that begin with struct_size must be zeroed first, with struct_size set to
 *              their sizeof. Zero is the default of every field, so a program built with an older
 *              header (a smaller struct) goes on working with a newer library; one built with a
 *              newer header with an older library unless it uses what is new (EUNSUPPORTED).
 *   integers   times are milliseconds since 1970 UTC; positions and versions count from 0.
 * C99 and C++11. Link with -lmainstem; pkg-config knows the flags.
 */
#ifndef MAINSTEM_MAINSTEM_H
#define MAINSTEM_MAINSTEM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MAINSTEM_API __attribute__((visibility("default"), warn_unused_result))
#define MAINSTEM_API_VOID __attribute__((visibility("default")))
#else
#define MAINSTEM_API
#define MAINSTEM_API_VOID
#endif

/* ---- errors ---------------------------------------------------------------------------------- */

enum mainstem_code {
    MAINSTEM_OK = 0,
    MAINSTEM_EINVAL = -1,        /* an argument or an event is not what it must be */
    MAINSTEM_ENOMEM = -2,        /* out of memory */
    MAINSTEM_EIO = -3,           /* the operating system reported an I/O error */
    MAINSTEM_ENOTFOUND = -4,     /* no such stream, topic, snapshot … */
    MAINSTEM_EEXIST = -5,        /* it exists already */
    MAINSTEM_ECONFLICT = -6,     /* the stream is not at the expected version */
    MAINSTEM_EIDCONFLICT = -7,   /* an event id was used before for something else */
    MAINSTEM_EDELETED = -8,      /* the stream was deleted */
    MAINSTEM_ETOMBSTONED = -9,   /* the stream was deleted for ever */
    MAINSTEM_ETOOBIG = -10,      /* larger than a limit (see below, and mainstem_options) */
    MAINSTEM_ELIMIT = -11,       /* a configured number of things is reached */
    MAINSTEM_ENOSPC = -12,       /* no disk space; works again by itself once there is some */
    MAINSTEM_EUNKNOWN = -13,     /* outcome unknown: after reopening, resend with the same ids */
    MAINSTEM_ECORRUPT = -14,     /* stored data is damaged; the message names file and byte */
    MAINSTEM_EFORMAT = -15,      /* written by a newer version of Mainstem */
    MAINSTEM_ERESERVED = -16,    /* the name is reserved for the system */
    MAINSTEM_EUNSUPPORTED = -17, /* not supported */
    MAINSTEM_EAGAIN = -18,       /* too much in flight; try again when appends have been answered */
    MAINSTEM_ECLOSED = -19,      /* closed, read-only, or the store has stopped */
    MAINSTEM_ETIMEOUT = -20,     /* timed out */
    MAINSTEM_ELOCKED = -21,      /* another process has the directory open */
    MAINSTEM_ENEEDMORE = -22,    /* not returned, nor are EMEDIATYPE, ECRC and the last seven */
    MAINSTEM_EMEDIATYPE = -23,
    MAINSTEM_ECRC = -24,
    MAINSTEM_ESCAVENGED = -25,      /* removed by the scavenger */
    MAINSTEM_ECANCELED = -26,       /* canceled */
    MAINSTEM_EQUERYCONDITION = -27, /* an event that matches the query condition exists */
    MAINSTEM_ENOSTREAMS = -28,      /* the topic's records are not indexed as streams */
    MAINSTEM_ESEQUENCE = -29,
    MAINSTEM_EFENCED = -30,
    MAINSTEM_ENOTXN = -31,
    MAINSTEM_ENOTEMPTY = -32,
    MAINSTEM_ETIMESTAMP = -33,
    MAINSTEM_ENOTAPPLIED = -34,
    MAINSTEM_EINCOMPLETE = -35
};

/* What a stream is found to be. */
enum mainstem_stream_state {
    MAINSTEM_STREAM_NONE = 0,
    MAINSTEM_STREAM_LIVE = 1,
    MAINSTEM_STREAM_DELETED = 2,   /* softly: the next append reopens it */
    MAINSTEM_STREAM_TOMBSTONED = 3 /* for ever */
};

#define MAINSTEM_MESSAGE_MAX 512
/* Detail of a failure, in the caller's memory. The fields below `message` are set for conflicts
 * (ECONFLICT, EDELETED, ETOMBSTONED, EIDCONFLICT, EQUERYCONDITION) and 0 otherwise. */
struct mainstem_error {
    int32_t code;                       /* repeats what was returned */
    char message[MAINSTEM_MESSAGE_MAX]; /* a sentence that names what and where; terminated */
    uint32_t failed;                    /* index of the part or query condition that did not hold */
    uint32_t actual_state;              /* enum mainstem_stream_state */
    int64_t actual_version;             /* the stream's last version, -1 for none */
    uint64_t position;                  /* EQUERYCONDITION: of an event that matches */
};

/* What a code means, in a few words; static memory. "unknown error" for any other number. */
MAINSTEM_API const char *mainstem_strerror(int code);

/* The library's version, "major.minor.patch"; static memory. */
MAINSTEM_API const char *mainstem_version(void);

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Borrowed bytes. data == NULL, with size 0, stands for "absent", which differs from empty. */
struct mainstem_bytes {
    const void *data;
    size_t size;
};

/* A terminated string as bytes; NULL is absent. */
static inline struct mainstem_bytes mainstem_text(const char *text) {
    struct mainstem_bytes bytes;
    bytes.data = text;
    bytes.size = text != NULL ? strlen(text) : 0;
    return bytes;
}

static inline struct mainstem_bytes mainstem_bytes_of(const void *data, size_t size) {
    struct mainstem_bytes bytes;
    bytes.data = data;
    bytes.size = size;
    return bytes;
}

/* Non-zero when `bytes` are exactly the characters of `text`. For comparing types. */
static inline int mainstem_is(struct mainstem_bytes bytes, const char *text) {
    size_t size = strlen(text);
    return bytes.size == size && (size == 0 || memcmp(bytes.data, text, size) == 0);
}

/* Frees what a function says to free with it; takes NULL. */
MAINSTEM_API_VOID void mainstem_free(void *memory);

/* ---- limits; mainstem_options sets others for events, appends and names ---------------------- */

#define MAINSTEM_EVENT_BYTES_MAX 16777216u   /* data, metadata and all other fields of an event */
#define MAINSTEM_APPEND_BYTES_MAX 67108864u  /* all events of one append, as stored */
#define MAINSTEM_APPEND_EVENTS_MAX 100000u   /* … and their number */
#define MAINSTEM_APPEND_PARTS_MAX 10000u     /* streams of one append */
#define MAINSTEM_QUERY_CONDITIONS_MAX 1000u  /* of one append */
#define MAINSTEM_NAME_BYTES_MAX 512u         /* streams, types, ids and the other short texts */
#define MAINSTEM_TOPIC_NAME_BYTES_MAX 249u   /* [A-Za-z0-9._-] */
#define MAINSTEM_EXTENSIONS_MAX 64u          /* of one event */
#define MAINSTEM_METADATA_BYTES_MAX 1048576u /* of a stream */

/* ---- the store ------------------------------------------------------------------------------- */

struct mainstem_store; /* opaque */

enum mainstem_durability {
    MAINSTEM_DURABILITY_COMMIT = 0, /* answered when the disk has it: one synced write a group */
    MAINSTEM_DURABILITY_OS = 1 /* answered when the system has it: a power cut loses the tail */
};

struct mainstem_options {
    uint32_t struct_size;
    uint32_t durability;         /* enum mainstem_durability */
    uint32_t read_only;          /* non-zero: nothing is written, no lock is taken, appends are
                                      refused; sees what was there when it was opened */
    uint32_t buffered_writes;    /* non-zero: through the page cache instead of O_DIRECT */
    uint64_t segment_bytes;      /* 0 = 256 MiB; 1 MiB … 1 GiB, by 4096; appends: at most 3/4 */
    uint64_t tail_cache_bytes;   /* the newest events in memory; 0 = 64 MiB */
    uint64_t index_cache_bytes;  /* 0 = 64 MiB */
    uint64_t head_cache_entries; /* streams whose version is in memory; 0 = 1,000,000; from 1024 */
    uint64_t inflight_bytes_max; /* appends accepted and not yet answered; 0 = 256 MiB */
    uint64_t idempotence_window; /* events remembered for resends without version; 0 = 1,000,000 */
    uint32_t topics_max;         /* 0 = 10,000 */
    uint32_t topic_partitions;   /* of topics made by an append; 0 = 4; at most 1024 */
    /* The store has stopped for good: called at most once, from any of the store's threads, with an
     * error that lives for the call. It must not block and must not call this API. */
    void (*on_failure)(void *context, const struct mainstem_error *error);
    /* Long work while opening: how much is done. Called by the thread that opens. */
    void (*on_progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;              /* for both */
    uint64_t event_bytes_max;   /* 0 = MAINSTEM_EVENT_BYTES_MAX; 1 KiB … 256 MiB */
    uint64_t append_bytes_max;  /* 0 = MAINSTEM_APPEND_BYTES_MAX; 1 KiB … 512 MiB */
    uint32_t append_events_max; /* 0 = MAINSTEM_APPEND_EVENTS_MAX; at most 1,000,000 */
    uint32_t name_bytes_max;    /* 0 = MAINSTEM_NAME_BYTES_MAX; 36 … 4096 */
};

/* Opens the store in `directory`, which is made when it is missing; recovers what a crash left.
 * options may be NULL. Blocks; a clean start takes milliseconds, one after a crash reads the end of
 * the log. Free with mainstem_close. MAINSTEM_ELOCKED, MAINSTEM_EFORMAT, MAINSTEM_ECORRUPT,
 * MAINSTEM_ENOSPC, MAINSTEM_EIO, MAINSTEM_ENOTFOUND (read_only and nothing there). */
MAINSTEM_API int mainstem_open(const char *directory, const struct mainstem_options *options,
                               struct mainstem_store **ret_store, struct mainstem_error *err);

/* Waits for the appends in flight (their callbacks run), then closes and frees the store, also when
 * it fails. Subscriptions, iterators and repositories must be freed before; no other call may be
 * under way. Takes NULL. Blocks. MAINSTEM_EIO, MAINSTEM_ECLOSED: the store had stopped. */
MAINSTEM_API_VOID int mainstem_close(struct mainstem_store *store, struct mainstem_error *err);

struct mainstem_info {
    uint32_t struct_size;
    uint32_t failed;           /* the store has stopped */
    uint32_t refusing_appends; /* no disk space for the next segment */
    uint32_t direct;           /* writing with O_DIRECT */
    char uuid[40];             /* the store's identity, as text */
    uint64_t end;              /* the position that the next event gets */
    uint64_t log_bytes;
    uint32_t segments;
    uint32_t recovered_torn_tail; /* opening cut off what a crash had left half written */
    uint64_t recovered_bytes;     /* read at opening */
    int64_t recovery_ms;
    uint64_t index_lag;      /* events not yet in the index's files */
    uint64_t inflight_bytes; /* appends accepted and not yet answered */
    uint64_t subscriptions;
};

/* Fills *info, whose struct_size must be set. Never fails on a store that has stopped. */
MAINSTEM_API int mainstem_info(struct mainstem_store *store, struct mainstem_info *info,
                               struct mainstem_error *err);

/* The store's counters and histograms as Prometheus text, terminated; free with mainstem_free. */
MAINSTEM_API int mainstem_metrics(struct mainstem_store *store, char **ret_text,
                                  struct mainstem_error *err);

/* ---- events ---------------------------------------------------------------------------------- */

struct mainstem_extension {
    struct mainstem_bytes name; /* [a-z0-9]{1,20}; not the name of a field below */
    struct mainstem_bytes value;
};

/* The event envelope (CloudEvents 1.0 with the usual extensions). Zero it, set `type`, and what
 * else there is to say. All bytes are borrowed. */
struct mainstem_event {
    struct mainstem_bytes type;         /* required; past tense: "order.paid" */
    struct mainstem_bytes data;         /* stored as exactly these bytes; absent = no data */
    struct mainstem_bytes id;           /* absent: the store makes a UUIDv7. Give one to be able to
                                             resend the append after an unknown outcome */
    struct mainstem_bytes content_type; /* of data; absent: application/json (it isn't checked) */
    struct mainstem_bytes metadata;     /* a JSON object */
    struct mainstem_bytes version;      /* schema version of the type: "2" or "2.1" */
    struct mainstem_bytes source;       /* who says so; absent: "mainstem" */
    struct mainstem_bytes correlation_id; /* absent: the event's own id */
    struct mainstem_bytes causation_id;   /* id of the event or command that caused this one */
    struct mainstem_bytes traceparent;    /* W3C trace context */
    struct mainstem_bytes tags;           /* "a,b": indexed, for filters and query conditions */
    struct mainstem_bytes time;           /* RFC 3339; kept when it says more than milliseconds */
    int64_t timestamp_ms;                 /* used when `time` is absent; 0 = now. 1970-01-01 itself
                                             is told through `time`. Years 1 to 9999 */
    const struct mainstem_extension *extensions;
    size_t extension_count;
};

/* An event as it is read back: the library's memory, valid as long as the giver says. Fields may be
 * added at the end. In `event` id, type, source, correlation_id and timestamp_ms are always set. */
struct mainstem_recorded_event {
    struct mainstem_event event;
    struct mainstem_bytes stream; /* its name */
    struct mainstem_bytes topic;
    struct mainstem_bytes key;
    int64_t version;        /* in its stream */
    uint64_t position;      /* in the store */
    int64_t offset;         /* in its partition */
    uint32_t partition;     /* of its topic */
    uint32_t reserved;      /* 0 */
    int64_t recorded_at_ms; /* when it became durable */
};

/* ---- appending (pattern: event store with optimistic concurrency) ---------------------------- */

/* What an append expects of its stream: the exact last version (0, 1, 2 …), or one of these. -1 is
 * the version of a stream that isn't there, so the version that was read can be passed as it is. */
#define MAINSTEM_NO_STREAM ((int64_t)-1) /* never existed, or softly deleted */
#define MAINSTEM_ANY ((int64_t)-2)       /* no condition */
#define MAINSTEM_EXISTS ((int64_t)-3)    /* any version, but a stream */

struct mainstem_append_result {
    int64_t first_version; /* of what was appended to the (first) stream; no events: its head */
    int64_t version;       /* the (first) stream's last version now, -1 = no stream */
    uint64_t position;     /* of the last event appended; no events: of the store's last event */
    uint32_t repeated;     /* non-zero: a resend, the events were there already, nothing is added */
    uint32_t reserved;     /* 0 */
};

/* Appends 1 … append_events_max events to one stream, all or nothing; with 0 events only the
 * condition is checked. `stream` is 1 … name_bytes_max bytes of printable UTF-8; its topic is made
 * when it is missing. ret_result may be NULL. Blocks until it is durable; appends share writes.
 *
 * Sending the same append again (ids, types, content types, data) returns the first result: with an
 * exact version or MAINSTEM_NO_STREAM at any time later, otherwise within the last
 * `idempotence_window` events.
 *
 * MAINSTEM_ECONFLICT, MAINSTEM_ETOMBSTONED, MAINSTEM_EIDCONFLICT, MAINSTEM_ETOOBIG,
 * MAINSTEM_ERESERVED (the name begins with '$'), MAINSTEM_ELIMIT (topics_max), MAINSTEM_ENOSPC;
 * MAINSTEM_EUNKNOWN: the store stopped before the answer, the events may or may not be there. */
MAINSTEM_API int mainstem_append(struct mainstem_store *store, const char *stream,
                                 int64_t expected_version, const struct mainstem_event *events,
                                 size_t event_count, struct mainstem_append_result *ret_result,
                                 struct mainstem_error *err);

/* One stream's share of an atomic append. */
struct mainstem_part {
    const char *stream; /* a stream may appear once in an append */
    int64_t expected_version;
    const struct mainstem_event *events;
    size_t event_count; /* 0 is legal: only the condition is checked */
};
struct mainstem_part_result {
    int64_t first_version, version; /* as in mainstem_append_result */
};

/* Fails the append when an event at position `since` or behind it has one of the types (any type,
 * if none is given) and all of the tags (pattern: dynamic consistency boundary). To guard a
 * decision that was made from a read up to position p, set since = p + 1. */
struct mainstem_query_condition {
    const struct mainstem_bytes *types;
    size_t type_count;
    const struct mainstem_bytes *tags;
    size_t tag_count; /* at least one type or tag */
    uint64_t since;
};

struct mainstem_append_request {
    uint32_t struct_size;
    uint32_t wait; /* asynchronous appends: non-zero waits while inflight_bytes_max is reached,
                      instead of MAINSTEM_EAGAIN (then the call "blocks") */
    const struct mainstem_part *parts; /* 1 … MAINSTEM_APPEND_PARTS_MAX */
    size_t part_count;
    const struct mainstem_query_condition *query_conditions;
    size_t query_condition_count;
};

/* Appends to several streams, all or nothing, if all conditions hold. part_results may be NULL,
 * else it has part_count places; *ret_result speaks of the first part. Blocks. Errors as for
 * mainstem_append, where error.failed says which part; and MAINSTEM_EQUERYCONDITION, where
 * error.failed says which query condition and error.position names an event that matches. */
MAINSTEM_API int mainstem_append_multi(struct mainstem_store *store,
                                       const struct mainstem_append_request *request,
                                       struct mainstem_part_result *part_results,
                                       struct mainstem_append_result *ret_result,
                                       struct mainstem_error *err);

/* How an asynchronous append ended: code as mainstem_append would have returned it; `result` is
 * NULL on failure, `error` on success; both and `parts` (part_count of them) live for the call.
 *
 * Runs on the thread that commits (all callbacks of the store one after the other, in the order of
 * the log), on the store's worker, or inside the call that began the append. So it must be short:
 * no blocking, and no function marked "blocks" (they are refused). It may begin further
 * asynchronous appends without `wait`. */
struct mainstem_completion {
    int32_t code;
    uint32_t reserved; /* 0 */
    const struct mainstem_append_result *result;
    const struct mainstem_part_result *parts;
    size_t part_count;
    const struct mainstem_error *error;
};
typedef void mainstem_append_done_fn(void *context, const struct mainstem_completion *completion);

/* As mainstem_append, without waiting for the disk. 0: `done` (which may be NULL) is called exactly
 * once, perhaps before this returns. Otherwise it is not called. Appends to one stream may be
 * started one after the other without waiting for answers, each expecting the version that the one
 * before will produce. May read the index when the stream's version is not in memory.
 *
 * Returns at once: MAINSTEM_ETOOBIG, MAINSTEM_ERESERVED, MAINSTEM_ELIMIT, MAINSTEM_ENOSPC,
 * MAINSTEM_EAGAIN (inflight_bytes_max). Through `done`: MAINSTEM_ECONFLICT, MAINSTEM_ETOMBSTONED,
 * MAINSTEM_EIDCONFLICT, MAINSTEM_EQUERYCONDITION, MAINSTEM_EUNKNOWN. */
MAINSTEM_API int mainstem_append_async(struct mainstem_store *store, const char *stream,
                                       int64_t expected_version,
                                       const struct mainstem_event *events, size_t event_count,
                                       mainstem_append_done_fn *done, void *context,
                                       struct mainstem_error *err);
MAINSTEM_API int mainstem_append_multi_async(struct mainstem_store *store,
                                             const struct mainstem_append_request *request,
                                             mainstem_append_done_fn *done, void *context,
                                             struct mainstem_error *err);

/* ---- streams --------------------------------------------------------------------------------- */

struct mainstem_stream_info {
    uint32_t struct_size;
    uint32_t state;        /* enum mainstem_stream_state */
    int64_t version;       /* the last one, -1 = none; kept when the stream is deleted */
    int64_t first_version; /* the first that can be read: truncation moves it */
};

/* Fills *info, whose struct_size must be set. A stream that isn't there is no error: its state says
 * so. Blocks. MAINSTEM_EIO, MAINSTEM_ECORRUPT. */
MAINSTEM_API int mainstem_stream_info(struct mainstem_store *store, const char *stream,
                                      struct mainstem_stream_info *info,
                                      struct mainstem_error *err);

/* Deletes a stream softly: it reads as empty, and the next append reopens it with the version that
 * follows its last. With tombstone non-zero for ever: no append succeeds any more. expected_version
 * as for appends: a soft delete with the last version succeeds again. Blocks. MAINSTEM_ENOTFOUND,
 * MAINSTEM_EDELETED, _ETOMBSTONED, _ECONFLICT, _ERESERVED, _ETOOBIG, _EUNKNOWN, _ENOSPC. */
MAINSTEM_API int mainstem_delete_stream(struct mainstem_store *store, const char *stream,
                                        int64_t expected_version, int tombstone,
                                        struct mainstem_error *err);

/* Replaces the stream's metadata, a JSON object. "$maxAge" (seconds), "$maxCount" (events) and
 * "$tb" (truncate before this version) are rules that readers honour at once; other keys are yours.
 * expected_version is of the metadata itself, whose versions count from 0 too. Blocks.
 * MAINSTEM_ECONFLICT, MAINSTEM_ETOMBSTONED, MAINSTEM_ERESERVED, MAINSTEM_ETOOBIG,
 * MAINSTEM_EUNKNOWN, MAINSTEM_ENOSPC. */
MAINSTEM_API int mainstem_put_metadata(struct mainstem_store *store, const char *stream,
                                       int64_t expected_version, struct mainstem_bytes json,
                                       struct mainstem_error *err);

/* The metadata as terminated text, to be freed with mainstem_free, and its version. ret_version may
 * be NULL. Blocks. MAINSTEM_ENOTFOUND (there is none), MAINSTEM_EIO, MAINSTEM_ECORRUPT. */
MAINSTEM_API int mainstem_get_metadata(struct mainstem_store *store, const char *stream,
                                       char **ret_json, int64_t *ret_version,
                                       struct mainstem_error *err);

/* Keeps a snapshot of the stream's state as of stream_version (0 or more), which it must have
 * reached, else MAINSTEM_ECONFLICT; the newest counts. `snapshot` needs a type, and may say all an
 * event may. Blocks. MAINSTEM_ENOTFOUND, MAINSTEM_EDELETED, and the errors of mainstem_append. */
MAINSTEM_API int mainstem_put_snapshot(struct mainstem_store *store, const char *stream,
                                       int64_t stream_version,
                                       const struct mainstem_event *snapshot,
                                       struct mainstem_error *err);

/* 0 goes on; anything else stops the reading, and is what the function that calls it returns. The
 * event is borrowed for the call. */
typedef int mainstem_visit_fn(void *context, const struct mainstem_recorded_event *event);

/* Calls `visit` once with the newest snapshot, then sets *ret_stream_version. Found in O(1).
 * Blocks. MAINSTEM_ENOTFOUND (there is none), MAINSTEM_EIO, MAINSTEM_ECORRUPT, or what visit
 * returned. */
MAINSTEM_API int mainstem_get_snapshot(struct mainstem_store *store, const char *stream,
                                       mainstem_visit_fn *visit, void *context,
                                       int64_t *ret_stream_version, struct mainstem_error *err);

/* ---- reading --------------------------------------------------------------------------------- */

struct mainstem_iterator; /* opaque */

#define MAINSTEM_END UINT64_MAX

enum mainstem_as_of {
    MAINSTEM_AS_OF_NOW = 0,
    MAINSTEM_AS_OF_TIME = 1,     /* events whose timestamp is not later than time_ms */
    MAINSTEM_AS_OF_POSITION = 2, /* the store as it was with `position` as its last event */
    MAINSTEM_KNOWN_AT = 3        /* what was durable at time_ms */
};

/* Which events of all are wanted. Absent fields and zero counts want everything. */
struct mainstem_filter {
    uint32_t struct_size;
    uint32_t include_system; /* non-zero: topics that begin with '$' too */
    struct mainstem_bytes topic;
    struct mainstem_bytes stream_prefix;
    const struct mainstem_bytes *types; /* any of */
    size_t type_count;
    const struct mainstem_bytes *tags; /* all of */
    size_t tag_count;
    struct mainstem_bytes correlation_id; /* the whole tree of causes and effects */
};

struct mainstem_read_options {
    uint32_t struct_size;
    uint32_t backward;   /* non-zero: newest first; then `from` is MAINSTEM_END or where to begin */
    uint64_t from;       /* version (of a stream) or position (of all), inclusive. Forward from
                          MAINSTEM_END: only what comes from now on */
    uint64_t limit;      /* events; 0 = no limit */
    uint32_t as_of;      /* enum mainstem_as_of */
    uint32_t page_bytes; /* read ahead; 0 = 128 KiB; 4 KiB … 16 MiB */
    int64_t time_ms;     /* of AS_OF_TIME and KNOWN_AT */
    uint64_t position;   /* of AS_OF_POSITION */
    const struct mainstem_filter *filter; /* of mainstem_read_all; NULL = all. Copied */
};

/* An iterator over one stream, or over all events in the order of the log. options may be NULL:
 * everything, forward. A stream that isn't there, or is deleted, has no events. Memory: about
 * page_bytes, and the largest event. Free with mainstem_iterator_free. Nothing is read yet. */
MAINSTEM_API int mainstem_read_stream(struct mainstem_store *store, const char *stream,
                                      const struct mainstem_read_options *options,
                                      struct mainstem_iterator **ret_iterator,
                                      struct mainstem_error *err);
MAINSTEM_API int mainstem_read_all(struct mainstem_store *store,
                                   const struct mainstem_read_options *options,
                                   struct mainstem_iterator **ret_iterator,
                                   struct mainstem_error *err);

/* 1 and the next event, valid until the next call; 0 when there is none. A forward iterator may be
 * asked again after a 0: it then gives what has been appended since. One thread at a time. Blocks
 * when a page is used up. MAINSTEM_EIO, MAINSTEM_ECORRUPT: the next call tries again from there. */
MAINSTEM_API int mainstem_iterator_next(struct mainstem_iterator *iterator,
                                        const struct mainstem_recorded_event **ret_event,
                                        struct mainstem_error *err);
MAINSTEM_API_VOID void mainstem_iterator_free(struct mainstem_iterator *iterator); /* takes NULL */

/* ---- subscriptions (pattern: catch-up subscription) ------------------------------------------ */

struct mainstem_subscription; /* opaque */

struct mainstem_subscription_options {
    uint32_t struct_size;
    uint32_t reserved;  /* 0 */
    const char *stream; /* NULL: all events. It need not exist yet */
    uint64_t from; /* first version (of a stream) or position (of all) wanted; MAINSTEM_END: only
                           what comes from now on. To go on after a restart, keep the last handled
                           one's plus 1 */
    const struct mainstem_filter *filter; /* for all events; NULL = all. Copied */
    /* Each event once, in order, without gap, old ones first and then live. Required. Not 0 ends
     * the subscription, and is told to on_end. */
    mainstem_visit_fn *on_event;
    /* Everything there was has been handled: called once, the first time that is so. Or NULL. */
    void (*on_live)(void *context);
    /* The subscription has ended by itself: `code` is what on_event returned, or
     * MAINSTEM_ETOMBSTONED, MAINSTEM_ECLOSED (the store stopped), MAINSTEM_EIO, MAINSTEM_ECORRUPT,
     * MAINSTEM_ENOMEM. The last call; not made by mainstem_subscription_free. May be NULL. */
    void (*on_end)(void *context, int code, const struct mainstem_error *error);
    void *context;
};

/* Starts a subscription with a thread of its own, on which all its callbacks run; they may block
 * and call anything here but mainstem_subscription_free of their own subscription and
 * mainstem_close. However slow a subscriber is, memory does not grow: what it has not had yet is
 * read from the log. MAINSTEM_EAGAIN: no thread can be started. Blocks. */
MAINSTEM_API int mainstem_subscribe(struct mainstem_store *store,
                                    const struct mainstem_subscription_options *options,
                                    struct mainstem_subscription **ret_subscription,
                                    struct mainstem_error *err);

/* Stops it and frees it; waits for a callback that is running, and calls none afterwards. Takes
 * NULL. Not from the subscription's own callbacks: those end it by returning something other than
 * 0. */
MAINSTEM_API_VOID void mainstem_subscription_free(struct mainstem_subscription *subscription);

/* ---- topics ---------------------------------------------------------------------------------- */

struct mainstem_topic_settings {
    uint32_t struct_size;
    uint32_t partitions;     /* 0 = the store's topic_partitions; may only grow; at most 1024 */
    int64_t retention_ms;    /* 0 = for ever */
    int64_t retention_bytes; /* of each partition; 0 = no limit */
    uint32_t compact;        /* non-zero: keep the newest event of each stream */
    uint32_t compression;    /* enum mainstem_compression */
    uint32_t require_source, require_correlation_id; /* non-zero: appends without are refused */
    int64_t retention_count; /* the newest events of each partition; 0 = no limit */
};
enum mainstem_compression {
    MAINSTEM_COMPRESSION_NONE = 0,
    MAINSTEM_COMPRESSION_GZIP = 1,
    MAINSTEM_COMPRESSION_SNAPPY = 2,
    MAINSTEM_COMPRESSION_LZ4 = 3,
    MAINSTEM_COMPRESSION_ZSTD = 4
};
struct mainstem_topic_info {
    struct mainstem_bytes name;
    char id[40]; /* its UUID: a topic made anew under an old name is another topic */
    const struct mainstem_topic_settings *settings;
    uint64_t events; /* ever appended */
    int64_t created_at_ms;
    uint32_t system;   /* non-zero: its name begins with '$' */
    uint32_t reserved; /* later versions may add members behind it */
};

/* Makes a topic, or replaces the settings of one that is there. settings may be NULL: defaults.
 * *ret_created (may be NULL) is 1 when it was made. Blocks. MAINSTEM_ERESERVED, MAINSTEM_ELIMIT
 * (topics_max), MAINSTEM_ENOSPC, MAINSTEM_EUNKNOWN, MAINSTEM_ETOOBIG. */
MAINSTEM_API int mainstem_put_topic(struct mainstem_store *store, const char *name,
                                    const struct mainstem_topic_settings *settings,
                                    int *ret_created, struct mainstem_error *err);

/* Deletes a topic with all its streams. Blocks. MAINSTEM_ENOTFOUND, MAINSTEM_ERESERVED,
 * MAINSTEM_ENOSPC, MAINSTEM_EUNKNOWN. */
MAINSTEM_API int mainstem_delete_topic(struct mainstem_store *store, const char *name,
                                       struct mainstem_error *err);

/* 0 goes on, anything else stops and is returned. `topic` and what it holds are borrowed. */
typedef int mainstem_topic_fn(void *context, const struct mainstem_topic_info *topic);

/* Calls visit once. MAINSTEM_ENOTFOUND, or what visit returned. */
MAINSTEM_API int mainstem_get_topic(struct mainstem_store *store, const char *name,
                                    mainstem_topic_fn *visit, void *context,
                                    struct mainstem_error *err);
/* All topics; those of the system too if include_system is non-zero. Returns what visit did. */
MAINSTEM_API int mainstem_list_topics(struct mainstem_store *store, int include_system,
                                      mainstem_topic_fn *visit, void *context,
                                      struct mainstem_error *err);

/* 0 goes on, anything else stops and is returned. The name is borrowed for the call. */
typedef int mainstem_stream_fn(void *context, struct mainstem_bytes stream, int64_t version,
                               uint64_t first_position);
/* The live streams of a topic in the order of their first events, whose position is `from` or
 * behind; at most `limit`, 0 = all. To page, go on from the last one's first_position + 1. Blocks.
 * MAINSTEM_ENOTFOUND (no such topic), MAINSTEM_EIO, MAINSTEM_ECORRUPT, or what visit returned. */
MAINSTEM_API int mainstem_list_streams(struct mainstem_store *store, const char *topic,
                                       uint64_t from, uint64_t limit, mainstem_stream_fn *visit,
                                       void *context, struct mainstem_error *err);

#ifdef __cplusplus
}
#endif

#include <mainstem/aggregate.h> /* aggregates with a repository */

#endif
