/*
 * What the pieces of the public library share. Not for anyone outside this directory.
 *
 *   store.c         opening, closing, the store that has stopped
 *   convert.c       the public structs to and from those of src/store
 *   append.c        appends, waiting and with a callback
 *   streams.c       what there is to know and to do about one stream
 *   topics.c        topics, lists
 *   page.c          events copied out of a read, to be handed out one by one
 *   iterator.c      reading, page after page
 *   subscription.c  a thread that polls and waits
 *   repository.c    aggregates: types, loading, snapshots
 *   aggregate.c     aggregates: deciding and saving
 *
 * Locks: mainstem_store.lock guards the list of subscriptions and the failure's text; a
 * subscription's lock ranks below it. Neither is held while a callback runs or the store is called.
 */
#pragma once

#include <pthread.h>

#include "mainstem/mainstem.h"
#include "store/store.h"

/* What struct mainstem_options may raise the limits of the same names to. */
#define MS_LIB_EVENT_BYTES_MAX ((uint64_t)256 << 20)
#define MS_LIB_APPEND_EVENTS_MAX 1000000u

struct mainstem_store {
    struct ms_store *store;
    const struct ms_env *env;
    struct ms_event_limits limits;
    void (*on_failure)(void *context, const struct mainstem_error *error);
    void (*on_progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
    _Atomic(bool) stopped;
    pthread_mutex_t lock;
    char failure[MAINSTEM_MESSAGE_MAX];
    struct mainstem_subscription *subscriptions; /* woken when the store stops */
};

/* ---- store.c ---- */

/* mainstem_open on another world than the system's, for tests. */
int ms_lib_open(const char *directory, const struct mainstem_options *options,
                const struct ms_env *env, struct mainstem_store **ret_store,
                struct mainstem_error *err) MS_MUST_CHECK;
/* Every function of the API begins with one of them: MS_EINVAL without a store, MS_ECLOSED on one
 * that has stopped; _blocking also MS_EINVAL inside an append's callback. */
int ms_lib_enter(struct mainstem_store *store, struct mainstem_error *err) MS_MUST_CHECK;
int ms_lib_enter_blocking(struct mainstem_store *store, struct mainstem_error *err) MS_MUST_CHECK;

/* ---- convert.c ---- */

/* Fills *err, when it is not NULL, and returns `code`. */
int ms_lib_fail(struct mainstem_error *err, int code, const char *format, ...) MS_PRINTF(3, 4);
/* Likewise with a failure of a lower layer, whose message is only valid when it set one. */
int ms_lib_fail_with(struct mainstem_error *err, int code, const struct ms_error *from);

/* Copies an options struct of any size into one of this library's size, the rest zeroed. MS_EINVAL
 * for a struct_size that can't be, MS_EUNSUPPORTED for one that asks for what isn't known here. */
int ms_lib_take_options(const char *what, const void *from, void *to, size_t size,
                        struct mainstem_error *err) MS_MUST_CHECK;
/* The other way, for structs that the library fills: never more than the caller has. */
int ms_lib_give_struct(const char *what, const void *from, size_t size, void *to,
                       struct mainstem_error *err) MS_MUST_CHECK;

static inline struct ms_bytes ms_lib_bytes(struct mainstem_bytes bytes) {
    return ms_bytes_of(bytes.data, bytes.size);
}
static inline struct mainstem_bytes ms_lib_bytes_out(struct ms_bytes bytes) {
    return (struct mainstem_bytes){bytes.data, bytes.len};
}

/* A condition from an expected version: MS_EINVAL below MAINSTEM_EXISTS. */
int ms_lib_condition(int64_t expected_version, struct ms_condition *ret_condition,
                     struct mainstem_error *err) MS_MUST_CHECK;

/* Events for the store. Everything but extensions and the array itself, which come from the arena,
 * stays borrowed. */
int ms_lib_events(const struct mainstem_event *events, size_t count, struct ms_arena *arena,
                  const struct ms_event **ret_events, struct mainstem_error *err) MS_MUST_CHECK;
/* An event for a reader; `extensions` has MS_EVENT_EXTENSIONS_MAX places and is used only when the
 * event has any. Borrows everything. */
void ms_lib_recorded(const struct ms_read_event *event, struct mainstem_extension *extensions,
                     struct mainstem_recorded_event *ret_recorded);

/* Copies texts into the arena; NULL when there is no memory. */
const struct ms_bytes *ms_lib_copy_texts(const struct mainstem_bytes *texts, size_t count,
                                         struct ms_arena *arena);
/* A filter that lives in the arena; NULL is the filter that wants everything. */
int ms_lib_filter(const struct mainstem_filter *filter, struct ms_arena *arena,
                  struct ms_filter *ret_filter, struct mainstem_error *err) MS_MUST_CHECK;

/* ---- append.c ---- */

/* For calls that take a callback of the store and that the API waits for. */
struct ms_lib_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    int code;
    struct mainstem_error *err;
};
void ms_lib_wait_init(struct ms_lib_wait *wait, struct mainstem_error *err);
void ms_lib_wait_done(void *wait, const struct ms_append_result *result);
/* Waits when `rc`, what the call returned, is 0; else the failure is that of the call. */
int ms_lib_wait_finish(struct ms_lib_wait *wait, int rc, const struct ms_error *error)
    MS_MUST_CHECK;

/* True on a thread that runs an append's callback right now. */
bool ms_lib_in_callback(void);

/* ---- subscription.c ---- */

/* Wakes all of them; their threads find the store stopped. */
void ms_lib_wake_subscriptions(struct mainstem_store *store);

/* ---- page.c ---- */

/* Events copied out of the log's memory, and what is needed to hand them out. */
struct ms_lib_page {
    struct mainstem_recorded_event *events;
    size_t count, capacity, at; /* `at` is the next to be handed out */
    uint8_t *bytes;
    size_t used, size;
    uint8_t *large;                      /* the last event, when it was too large for `bytes` */
    struct ms_bytes stream, stream_copy; /* the name copied last: mostly the next event's too */
};
void ms_lib_page_deinit(struct ms_lib_page *page);
/* Empties it, and makes it `size` bytes large. */
int ms_lib_page_reset(struct ms_lib_page *page, size_t size) MS_MUST_CHECK;
/* A ms_read_fn on a page: takes events until it is full. */
int ms_lib_page_take(void *page, const struct ms_read_event *event);

/* ---- repository.c, aggregate.c ---- */

struct mainstem_buffer {
    struct ms_buf bytes;
};

struct mainstem_repository {
    struct mainstem_store *store;
    struct mainstem_aggregate_type type; /* `topic` is the repository's own */
    char snapshot_version[16];
};

/* What was emitted: events in the arena, complete with id and time. */
struct mainstem_decision {
    struct mainstem_store *store;
    struct ms_arena arena;
    struct mainstem_event *events;
    size_t count, capacity;
    struct mainstem_error refusal; /* code 0: none */
};

struct mainstem_aggregate {
    struct mainstem_repository *repository;
    char *stream;
    char *key; /* behind the topic, in `stream` */
    void *state;
    int64_t version;                   /* as stored */
    int64_t snapshot_version;          /* of the newest snapshot known, -1 none */
    bool broken;                       /* a callback failed in the middle of applying */
    struct mainstem_decision decision; /* what is decided and not saved */
};

void ms_lib_decision_deinit(struct mainstem_decision *decision);
/* Writes a snapshot when one is due. Nobody waits for it, and its failure changes nothing. */
void ms_lib_snapshot_if_due(struct mainstem_aggregate *aggregate);
