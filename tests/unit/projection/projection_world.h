/* A store on real files, a projection in SQLite beside it or in PostgreSQL, and its runner. */
#pragma once

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
/* clang-format on */
#include <sys/stat.h>

#include "projection/postgres_target.h"
#include "projection/runner.h"
#include "projection/sqlite_target.h"
#include "support/postgres_world.h"
#include "support/store_world.h"
#include "wire/json.h"

struct projection_world {
    struct store_world store;
    enum ms_sql_dialect target;
    char dir[MS_PATH_MAX + 8];              /* of SQLite's files */
    char conninfo[POSTGRES_WORLD_TEXT_MAX]; /* of a database of its own */
    struct ms_projection_definition *definition;
    struct ms_runner *runner;
    struct ms_error error;
    struct ms_buf answer;
};

struct wake_up {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
};

static inline void wake_up(void *context) {
    struct wake_up *wake = context;
    pthread_mutex_lock(&wake->lock);
    wake->woken = true;
    pthread_cond_signal(&wake->cond);
    pthread_mutex_unlock(&wake->lock);
}

static inline void projection_world_init(struct projection_world *w) {
    memset(w, 0, sizeof *w);
    store_world_init_real(&w->store);
    assert_int_equal(store_world_open(&w->store), 0);
    snprintf(w->dir, sizeof w->dir, "%s/p", w->store.dir);
    assert_int_equal(mkdir(w->dir, 0700), 0);
    ms_buf_init(&w->answer, (size_t)16 << 20);
}

/* The projection is in a new database of this server. */
static inline void projection_world_use(struct projection_world *w, struct postgres_world *pg) {
    w->target = MS_SQL_POSTGRES;
    postgres_world_database(pg, w->conninfo);
}

static inline void define(struct projection_world *w, const char *text) {
    if (ms_projection_parse("t.sql", ms_bytes_cstr(text), &w->target, &w->definition, &w->error) !=
        0)
        fail_msg("%s", w->error.message);
}

static inline struct ms_target *open_target(struct projection_world *w) {
    struct ms_target *target;
    struct ms_sqlite_place file = {.dir = w->dir, .name = "one"};
    struct ms_postgres_place schema = {.conninfo = w->conninfo, .schema = "version_one"};
    int code = w->target == MS_SQL_SQLITE
                   ? ms_sqlite_target_open(w->definition, &file, &target, &w->error)
                   : ms_postgres_target_open(w->definition, &schema, &target, &w->error);
    if (code != 0)
        fail_msg("%s", w->error.message);
    return target;
}

static inline void start(struct projection_world *w) {
    struct ms_runner_options options = {
        .store = w->store.store,
        .env = ms_env_system(),
        .target = open_target(w),
        .parks = w->definition->on_error == MS_PROJECTION_PARK,
    };
    if (ms_runner_start(&options, &w->runner, &w->error) != 0)
        fail_msg("%s", w->error.message);
}

static inline void stop(struct projection_world *w) {
    ms_runner_stop(w->runner);
    w->runner = NULL;
}

static inline void projection_world_deinit(struct projection_world *w) {
    stop(w);
    ms_projection_definition_free(w->definition);
    ms_buf_deinit(&w->answer);
    store_world_deinit(&w->store);
}

/* Until everything that the store has is applied, or the runner has stopped. */
static inline void await_applied(struct projection_world *w) {
    struct wake_up wake = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    uint64_t end = ms_store_end(w->store.store);
    struct ms_position_waiter waiter = {.position = end - 1, .wake = wake_up, .context = &wake};
    if (end == 0 || !ms_position_waiters_add(ms_runner_waiters(w->runner), &waiter))
        return;
    pthread_mutex_lock(&wake.lock);
    while (!wake.woken)
        pthread_cond_wait(&wake.cond, &wake.lock);
    pthread_mutex_unlock(&wake.lock);
    ms_position_waiters_remove(ms_runner_waiters(w->runner), &waiter);
}

static inline struct ms_runner_status await_state(struct projection_world *w,
                                                  enum ms_runner_state state) {
    struct ms_runner_status status;
    do {
        ms_runner_status(w->runner, &status);
        if (status.state != state)
            ms_clock_sleep_us(ms_clock_system(), 1000);
    } while (status.state != state);
    return status;
}

/* ---- rows as text: "a|1\nb|2\n" ---- */

static inline int take_columns(void *context, const struct ms_bytes *names, size_t count) {
    (void)context;
    (void)names;
    (void)count;
    return 0;
}

static inline int take_row(void *context, const struct ms_value *values, size_t count) {
    struct ms_buf *out = context;
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = i > 0 ? ms_buf_append_u8(out, '|') : 0;
        if (code != 0 || values[i].kind == MS_VALUE_NULL)
            continue;
        if (values[i].kind == MS_VALUE_TEXT || values[i].kind == MS_VALUE_JSON)
            code = ms_buf_append_bytes(out, values[i].text);
        else if (values[i].kind == MS_VALUE_DOUBLE)
            code = ms_buf_printf(out, "%.15g", values[i].number);
        else
            code = ms_buf_printf(out, "%lld", (long long)values[i].integer);
    }
    return code == 0 ? ms_buf_append_u8(out, '\n') : code;
}

static inline int ask_with(struct projection_world *w, const char *name,
                           const struct ms_value *values, int64_t timeout_ms) {
    const struct ms_row_sink sink = {take_columns, take_row, &w->answer};
    struct ms_query_run run = {
        .query = ms_projection_find_query(w->definition, ms_bytes_cstr(name)),
        .values = values,
        .timeout_ms = timeout_ms,
        .bytes_max = (size_t)1 << 20,
    };
    struct ms_target_reader *reader;
    uint64_t position;
    assert_non_null(run.query);
    ms_buf_clear(&w->answer);
    assert_int_equal(ms_runner_reader_new(w->runner, &reader, &w->error), 0);
    int code = ms_target_run(reader, &run, &sink, &position, &w->error);
    ms_target_reader_free(reader);
    assert_int_equal(ms_buf_append_u8(&w->answer, '\0'), 0);
    return code;
}

static inline const char *ask(struct projection_world *w, const char *name) {
    if (ask_with(w, name, NULL, 0) != 0)
        fail_msg("%s", w->error.message);
    return (const char *)w->answer.data;
}

/* ---- programs for both databases ---- */

static struct postgres_world projection_pg;
static bool projection_has_pg;

static inline int projection_group_set_up(void **state) {
    (void)state;
    projection_has_pg = postgres_world_start(&projection_pg);
    return 0;
}

static inline int projection_group_tear_down(void **state) {
    (void)state;
    postgres_world_stop(&projection_pg);
    return 0;
}

static inline int projection_set_up(void **state) {
    struct projection_world *w = calloc(1, sizeof *w);
    projection_world_init(w);
    *state = w;
    return 0;
}

/* Where PostgreSQL is missing the test is skipped: NULL stands for its world. */
static inline int projection_set_up_postgres(void **state) {
    *state = NULL;
    if (!projection_has_pg)
        return 0;
    projection_set_up(state);
    projection_world_use(*state, &projection_pg);
    return 0;
}

static inline int projection_tear_down(void **state) {
    if (*state != NULL)
        projection_world_deinit(*state);
    free(*state);
    return 0;
}

static inline struct projection_world *world_of(void **state) {
    if (*state == NULL)
        skip();
    return *state;
}

#define ON_SQLITE(test)                                                                            \
    { #test " (sqlite)", test, projection_set_up, projection_tear_down, NULL }
#define ON_POSTGRES(test)                                                                          \
    { #test " (postgres)", test, projection_set_up_postgres, projection_tear_down, NULL }
#define ON_BOTH(test) ON_SQLITE(test), ON_POSTGRES(test)

/* ---- events ---- */

static inline uint64_t append_json_at(struct projection_world *w, const char *stream,
                                      const char *type, const char *data, int64_t timestamp_ms) {
    static unsigned count;
    char id[40];
    snprintf(id, sizeof id, "e-%u", ++count);
    struct ms_event event = {
        .id = ms_bytes_cstr(id),
        .type = ms_bytes_cstr(type),
        .data = ms_bytes_cstr(data),
        .timestamp_ms = timestamp_ms,
    };
    struct ms_append_part part = {.stream = ms_bytes_cstr(stream), .events = &event, .count = 1};
    struct ms_append_request request = {.parts = &part, .part_count = 1, .wait = true};
    struct ms_append_part_result result;
    struct ms_append_result answer;
    assert_int_equal(ms_store_append_wait(w->store.store, &request, &result, &answer, &w->error),
                     0);
    return answer.position;
}

static inline uint64_t append_json(struct projection_world *w, const char *stream, const char *type,
                                   const char *data) {
    static int64_t timestamp_ms = 1750000000000;
    return append_json_at(w, stream, type, data, ++timestamp_ms);
}
