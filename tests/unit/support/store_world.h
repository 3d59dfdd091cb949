/*
 * A store for tests. Two kinds of worlds:
 *
 *   simulated   files in memory, a clock that is moved by hand, the index in memory (so that every
 *               opening folds the log anew), no threads: ms_store_run, which the helpers call, does
 *               the work
 *   real        a scratch directory of the real file system with the index in it, and threads
 *
 * Helpers take names and ids as C strings. An answer is what `done` was told, copied.
 */
#pragma once

#include "support/event_log.h"
#include "support/world.h"

#define STORE_WORLD_PARTS_MAX 64u

struct store_answer {
    int refused; /* what the call itself returned: not 0 = never sequenced */
    int code;    /* of the result, or `refused` */
    unsigned calls;
    bool repeated;
    uint64_t position;
    struct ms_append_part_result parts[STORE_WORLD_PARTS_MAX];
    size_t part_count;
    size_t failed_part, failed_query;
    struct ms_condition expected;
    enum ms_stream_state actual_state;
    int64_t actual_version;
    uint64_t matching_position;
    struct ms_error error;
};

struct store_world {
    struct world world;
    struct ms_env env;
    bool real;
    char dir[MS_PATH_MAX];
    struct ms_store_options options;
    struct ms_store *store;
    struct ms_error error;
    _Atomic unsigned failures;
};

void store_world_init(struct store_world *w, uint64_t seed);
void store_world_init_real(struct store_world *w);
void store_world_deinit(struct store_world *w);
int store_world_open(struct store_world *w);
int store_world_close(struct store_world *w);
/* Both, expecting success. */
void store_world_reopen(struct store_world *w);
/* Real worlds: the index directory is removed; simulated ones never have one. Closed stores only.
 * */
void store_world_drop_index(struct store_world *w);

#define ANY ((struct ms_condition){MS_EXPECT_ANY, 0})
#define NONE ((struct ms_condition){MS_EXPECT_NONE, 0})
#define EXISTS ((struct ms_condition){MS_EXPECT_EXISTS, 0})
#define AT(n) ((struct ms_condition){MS_EXPECT_VERSION, (n)})

/* An ms_append_done_fn; the context is a store_answer. */
void store_answer_take(void *answer, const struct ms_append_result *result);

/* Until `done` was called, unless `refused` says that it won't be. */
void store_wait(struct store_world *w, struct store_answer *answer);
/* Appends whatever the request says; waits for the answer. */
struct store_answer store_request(struct store_world *w, const struct ms_append_request *request);
/* One event with a text of `bytes` bytes; simulated time goes on by a second before it. */
struct store_answer store_append_large(struct store_world *w, const char *stream, const char *id,
                                       size_t bytes);
/* One event per id ("a b c"; "" = none): type "happened", data "data of <id>". */
struct store_answer store_append(struct store_world *w, const char *stream,
                                 struct ms_condition condition, const char *ids);
/* Without waiting: in a simulated world nothing is durable before ms_store_run. The answer must
 * live until then. */
void store_submit(struct store_world *w, const char *stream, struct ms_condition condition,
                  const char *ids, struct store_answer *answer);
/* One event of a type with tags (NULL none). */
struct store_answer store_append_event(struct store_world *w, const char *stream, const char *id,
                                       const char *type, const char *tags);
struct store_answer store_delete(struct store_world *w, const char *stream,
                                 struct ms_condition condition, bool tombstone);
struct store_answer store_put_metadata(struct store_world *w, const char *stream,
                                       struct ms_condition condition, const char *json);

/* Reads a stream forward from `from` and gives the ids read, "a b c". */
const char *store_ids(struct store_world *w, const char *stream, int64_t from);
/* The state and head of a stream. */
struct ms_stream_read_result store_stream(struct store_world *w, const char *stream);
/* Everything, forward, system topics only if asked for. */
void store_read_everything(struct store_world *w, bool system, struct event_log *out);
