/* Stores for tests; see store_world.h. */
#include "support/store_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "os/scratch.h"

static void on_failure(void *context, const struct ms_error *error) {
    struct store_world *w = context;
    (void)error;
    w->failures++;
}

static void init_options(struct store_world *w) {
    ms_store_options_init(&w->options);
    w->options.env = &w->env;
    w->options.dir = w->dir;
    w->options.segment_bytes = (uint64_t)1 << 20;
    w->options.tail_cache_bytes = (size_t)256 << 10;
    w->options.head_cache_entries = 1024;
    w->options.idempotence_window = 1000;
    w->options.index_cache_bytes = (size_t)1 << 20;
    w->options.on_failure = on_failure;
    w->options.context = w;
}

void store_world_init(struct store_world *w, uint64_t seed) {
    *w = (struct store_world){0};
    world_init(&w->world, seed);
    w->env = w->world.env;
    memcpy(w->dir, "data", sizeof "data");
    init_options(w);
    w->options.manual = true;
    w->options.index_in_memory = true;
}

void store_world_init_real(struct store_world *w) {
    *w = (struct store_world){.real = true};
    MS_ASSERT(scratch_make(w->dir) == 0);
    w->env = *ms_env_system();
    init_options(w);
}

void store_world_deinit(struct store_world *w) {
    ms_ignore(store_world_close(w));
    if (w->real)
        MS_ASSERT(scratch_remove(w->dir) == 0);
    else
        world_deinit(&w->world);
}

int store_world_open(struct store_world *w) {
    MS_ASSERT(w->store == NULL);
    w->error = (struct ms_error){0};
    return ms_store_open(&w->options, &w->store, &w->error);
}

int store_world_close(struct store_world *w) {
    int rc = ms_store_close(w->store, &w->error);
    w->store = NULL;
    return rc;
}

void store_world_reopen(struct store_world *w) {
    int rc = store_world_close(w);
    if (rc == 0)
        rc = store_world_open(w);
    if (rc != 0)
        fprintf(stderr, "reopening failed: %s\n", w->error.message);
    MS_ASSERT(rc == 0);
}

void store_world_drop_index(struct store_world *w) {
    char dir[MS_PATH_MAX], index[MS_PATH_MAX];
    MS_ASSERT(w->store == NULL);
    if (!w->real)
        return;
    MS_ASSERT(ms_path_join(dir, w->dir, "shard-000") == 0 &&
              ms_path_join(index, dir, "index") == 0);
    MS_ASSERT(scratch_remove(index) == 0);
}

/* ---- appending ---- */

void store_answer_take(void *context, const struct ms_append_result *result) {
    struct store_answer *answer = context;
    unsigned calls = __atomic_load_n(&answer->calls, __ATOMIC_RELAXED) + 1;
    answer->code = result->code;
    answer->repeated = result->repeated;
    answer->position = result->position;
    answer->part_count = result->part_count;
    answer->failed_part = result->failed_part;
    answer->failed_query = result->failed_query;
    answer->expected = result->expected;
    answer->actual_state = result->actual_state;
    answer->actual_version = result->actual_version;
    answer->matching_position = result->matching_position;
    answer->error = (struct ms_error){0};
    memset(answer->parts, 0, sizeof answer->parts);
    MS_ASSERT((result->code != 0) == (result->error != NULL));
    if (result->error != NULL) {
        MS_ASSERT(result->error->code == result->code);
        answer->error = *result->error;
    }
    for (size_t i = 0; i < result->part_count && i < STORE_WORLD_PARTS_MAX; i++)
        answer->parts[i] = result->parts[i];
    /* Last: who waits in another thread looks at it. */
    __atomic_store_n(&answer->calls, calls, __ATOMIC_RELEASE);
}

void store_wait(struct store_world *w, struct store_answer *answer) {
    if (answer->refused != 0) {
        MS_ASSERT(answer->calls == 0);
        answer->code = answer->refused;
        return;
    }
    if (w->options.manual)
        ms_store_run(w->store);
    while (__atomic_load_n(&answer->calls, __ATOMIC_ACQUIRE) == 0) {
        MS_ASSERT(!w->options.manual);
        ms_clock_sleep_us(w->env.clock, 100);
    }
    MS_ASSERT(answer->calls == 1);
}

struct store_answer store_request(struct store_world *w, const struct ms_append_request *request) {
    struct store_answer answer = {0};
    struct ms_error error = {0}; /* tests call this from many threads */
    answer.refused = ms_store_append(w->store, request, store_answer_take, &answer, &error);
    if (answer.refused != 0)
        answer.error = error;
    store_wait(w, &answer);
    return answer;
}

struct texts {
    char *copy;
    struct ms_event *events;
    char (*data)[80];
    size_t count;
};

static void texts_init(struct texts *texts, const char *ids) {
    char *next = NULL;
    size_t max = 1;
    for (const char *at = ids; *at != 0; at++)
        max += *at == ' ';
    texts->copy = ms_alloc_strdup(ms_bytes_cstr(ids));
    texts->events = ms_calloc(max, sizeof *texts->events);
    texts->data = ms_calloc(max, sizeof *texts->data);
    MS_ASSERT(texts->copy != NULL && texts->events != NULL && texts->data != NULL);
    texts->count = 0;
    for (char *id = strtok_r(texts->copy, " ", &next); id != NULL;
         id = strtok_r(NULL, " ", &next)) {
        size_t i = texts->count++;
        snprintf(texts->data[i], sizeof texts->data[i], "\"data of %s\"", id);
        texts->events[i] = (struct ms_event){
            .id = ms_bytes_cstr(id),
            .type = MS_BYTES_LITERAL("happened"),
            .timestamp_ms = MS_TIMESTAMP_NONE,
            .data = ms_bytes_cstr(texts->data[i]),
        };
    }
}

static void texts_deinit(struct texts *texts) {
    ms_free(texts->copy);
    ms_free(texts->events);
    ms_free(texts->data);
}

void store_submit(struct store_world *w, const char *stream, struct ms_condition condition,
                  const char *ids, struct store_answer *answer) {
    struct texts texts;
    texts_init(&texts, ids);
    struct ms_append_part part = {ms_bytes_cstr(stream), condition, texts.events, texts.count};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct ms_error error = {0};
    *answer = (struct store_answer){0};
    int rc = ms_store_append(w->store, &request, store_answer_take, answer, &error);
    if (rc != 0) {
        answer->refused = answer->code = rc;
        answer->error = error;
    }
    texts_deinit(&texts);
}

struct store_answer store_append(struct store_world *w, const char *stream,
                                 struct ms_condition condition, const char *ids) {
    struct store_answer answer;
    store_submit(w, stream, condition, ids, &answer);
    store_wait(w, &answer);
    return answer;
}

struct store_answer store_append_event(struct store_world *w, const char *stream, const char *id,
                                       const char *type, const char *tags) {
    struct ms_event event = {
        .id = ms_bytes_cstr(id),
        .type = ms_bytes_cstr(type),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = MS_BYTES_LITERAL("{}"),
        .tags = ms_bytes_cstr(tags),
    };
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    return store_request(w, &request);
}

struct store_answer store_delete(struct store_world *w, const char *stream,
                                 struct ms_condition condition, bool tombstone) {
    struct store_answer answer = {0};
    int rc = ms_store_delete_stream(w->store, ms_bytes_cstr(stream), condition, tombstone,
                                    store_answer_take, &answer, &w->error);
    answer.refused = rc;
    store_wait(w, &answer);
    return answer;
}

struct store_answer store_put_metadata(struct store_world *w, const char *stream,
                                       struct ms_condition condition, const char *json) {
    struct store_answer answer = {0};
    int rc = ms_store_put_metadata(w->store, ms_bytes_cstr(stream), condition, ms_bytes_cstr(json),
                                   store_answer_take, &answer, &w->error);
    answer.refused = rc;
    store_wait(w, &answer);
    return answer;
}

/* ---- reading ---- */

const char *store_ids(struct store_world *w, const char *stream, int64_t from) {
    static char ids[65536];
    struct event_log log = {0};
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .from = from, .limit = SIZE_MAX};
    struct ms_stream_read_result result;
    int rc = ms_store_read_stream(w->store, &read, event_log_take, &log, &result, &w->error);
    if (rc != 0)
        snprintf(ids, sizeof ids, "%s", ms_error_name(rc));
    else
        event_log_ids(&log, ids, sizeof ids);
    event_log_clear(&log);
    return ids;
}

struct ms_stream_read_result store_stream(struct store_world *w, const char *stream) {
    struct ms_stream_read read = {.stream = ms_bytes_cstr(stream), .limit = 0};
    struct ms_stream_read_result result;
    MS_ASSERT(ms_store_read_stream(w->store, &read, NULL, NULL, &result, &w->error) == 0);
    return result;
}

void store_read_everything(struct store_world *w, bool system, struct event_log *out) {
    struct ms_all_read read = {.limit = SIZE_MAX, .filter = {.include_system = system}};
    struct ms_all_read_result result;
    int rc = ms_store_read_all(w->store, &read, event_log_take, out, &result, &w->error);
    if (rc != 0)
        fprintf(stderr, "reading everything: %s\n", w->error.message);
    MS_ASSERT(rc == 0 && result.at_end);
}

struct store_answer store_append_large(struct store_world *w, const char *stream, const char *id,
                                       size_t bytes) {
    char *data = ms_alloc(bytes);
    MS_ASSERT(data != NULL && bytes >= 2);
    memset(data, 'x', bytes);
    data[0] = data[bytes - 1] = '"';
    struct ms_event event = {
        .id = ms_bytes_cstr(id),
        .type = MS_BYTES_LITERAL("happened"),
        .timestamp_ms = MS_TIMESTAMP_NONE,
        .data = ms_bytes_of(data, bytes),
    };
    struct ms_append_part part = {ms_bytes_cstr(stream), ANY, &event, 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    if (!w->real)
        ms_clock_manual_advance(&w->world.clock, 1000000);
    struct store_answer answer = store_request(w, &request);
    ms_free(data);
    return answer;
}
