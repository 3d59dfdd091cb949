/* A projection "counters" as the server keeps it, over a store on real files: how often each stream
 * of the topic "counter" was added to. */
#pragma once

#include "projection/projections.h"
#include "projection_world.h"

struct service {
    struct projection_world w;
    struct ms_projections *projections;
};

#define COUNTERS(step)                                                                             \
    "-- projection: counters\n"                                                                    \
    "-- from: counter\n"                                                                           \
    "create table counters (name text primary key, n bigint not null);\n"                          \
    "-- on: added\n"                                                                               \
    "insert into counters values (:key, " step ")\n"                                               \
    "  on conflict (name) do update set n = counters.n + excluded.n;\n"                            \
    "-- query: all\n"                                                                              \
    "select name, n from counters order by name;\n"

static const struct ms_bytes counters = {(const uint8_t *)"counters", 8};

static inline void open_service(struct service *s) {
    struct ms_projections_options options;
    ms_projections_options_init(&options);
    options.store = s->w.store.store;
    options.dir = s->w.dir;
    if (ms_projections_open(&options, &s->projections, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
}

static inline void reopen_service(struct service *s) {
    ms_projections_close(s->projections);
    open_service(s);
}

static inline int set_up(void **state) {
    struct service *s = calloc(1, sizeof *s);
    projection_world_init(&s->w);
    open_service(s);
    *state = s;
    return 0;
}

static inline int tear_down(void **state) {
    struct service *s = *state;
    ms_projections_close(s->projections);
    projection_world_deinit(&s->w);
    free(s);
    return 0;
}

static inline unsigned deploy(struct service *s, const char *text) {
    struct ms_deployed deployed;
    if (ms_projections_deploy(s->projections, "c.sql", ms_bytes_cstr(text), counters, false,
                              &deployed, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
    assert_true(ms_bytes_equal_cstr(deployed.name, "counters"));
    return deployed.version;
}

static inline int take_info(void *context, const struct ms_projection_info *info) {
    struct ms_projection_info *to = context;
    *to = *info;
    return 0;
}

static inline struct ms_projection_info info_of(struct service *s) {
    struct ms_projection_info info = {0};
    int code = ms_projections_get(s->projections, counters, take_info, &info, &s->w.error);
    assert_true(code == 0 || code == MS_ENOTFOUND);
    return info;
}

static inline void await_current(struct service *s, unsigned number) {
    for (;;) {
        struct ms_projection_info info = info_of(s);
        if (info.count > 0 && info.versions[0].role == MS_VERSION_CURRENT &&
            info.versions[0].number == number)
            return;
        ms_clock_sleep_us(ms_clock_system(), 1000);
    }
}

/* What the current version answers, once it has applied all there is. */
static const char *answer(struct service *s) {
    const struct ms_row_sink sink = {take_columns, take_row, &s->w.answer};
    struct ms_version *version;
    uint64_t position;
    if (ms_projections_hold(s->projections, counters, &version, &s->w.error) != 0)
        fail_msg("%s", s->w.error.message);
    struct ms_query_run run = {
        .query = ms_projection_find_query(ms_version_definition(version), ms_bytes_cstr("all")),
        .bytes_max = 1000,
    };
    s->w.runner = ms_version_runner(version);
    await_applied(&s->w);
    s->w.runner = NULL;
    ms_buf_clear(&s->w.answer);
    assert_int_equal(ms_version_run(version, &run, &sink, &position, &s->w.error), 0);
    assert_int_equal(ms_buf_append_u8(&s->w.answer, '\0'), 0);
    ms_version_release(version);
    return (const char *)s->w.answer.data;
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
