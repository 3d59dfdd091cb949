/*
 * Running a module's tests; see spec.h.
 *
 * What came of a test is written as lines of JSON, one per event, so that comparing is comparing
 * texts and a difference shows where it is.
 */
#include "domain/spec.h"

#include <stdio.h>

#include "domain/aggregate.h"
#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

#define TEXT_MAX ((size_t)1 << 20)

/* ---- one test in one module ---- */

struct outcome {
    struct ms_buf events; /* a line each; a rejection or error is one line too */
    struct ms_buf state;
};

struct trying {
    size_t number;
    struct outcome *outcome;
};

/* Raises: not a run of a command's code, but of the test itself. */
static void append(lua_State *L, struct ms_buf *out, const char *text) {
    if (ms_buf_append_cstr(out, text) != 0)
        luaL_error(L, "what the test gives is larger than 1 MiB");
}

/* Pushes the spec. */
static void push_spec(lua_State *L, size_t number) {
    ms_module_push_tests(L);
    lua_rawgeti(L, -1, (lua_Integer)number);
    lua_getfield(L, -1, "spec");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static void write_event(lua_State *L, int event, struct ms_buf *out) {
    append(L, out, "event ");
    ms_lua_write_json(L, event, "event", out);
    append(L, out, "\n");
}

/* The array at the top; takes it. */
static void write_events(lua_State *L, struct ms_buf *out) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        write_event(L, lua_gettop(L), out);
        lua_pop(L, 1);
    }
    if (n == 0)
        append(L, out, "no events\n");
    lua_pop(L, 1);
}

static void apply_all(lua_State *L, const char *aggregate, int state, int events) {
    lua_Integer n = luaL_len(L, events);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, events, i);
        ms_aggregate_apply(L, aggregate, state, lua_gettop(L));
        lua_pop(L, 1);
    }
}

static void fold_given(lua_State *L, const char *aggregate, int spec, int state) {
    if (lua_getfield(L, spec, "given") == LUA_TTABLE)
        apply_all(L, aggregate, state, lua_gettop(L));
    else if (!lua_isnil(L, -1))
        luaL_error(L, "'given' is an array of events");
    lua_pop(L, 1);
}

static void try_test(lua_State *L, void *context) {
    struct trying *trying = context;
    struct outcome *outcome = trying->outcome;
    push_spec(L, trying->number);
    lua_getfield(L, 1, "aggregate");
    const char *aggregate = lua_tostring(L, 2);
    ms_aggregate_push_initial(L, aggregate);
    fold_given(L, aggregate, 1, 3);
    if (lua_getfield(L, 1, "command") == LUA_TNIL) {
        append(L, &outcome->events, "no events\n");
    } else {
        ms_aggregate_handle(L, aggregate, 3, 4);
        apply_all(L, aggregate, 3, 5);
        write_events(L, &outcome->events);
    }
    ms_lua_write_json(L, 3, "state", &outcome->state);
}

static int outcome_of(struct ms_module *module, size_t number, struct outcome *ret_outcome) {
    struct trying trying = {number, ret_outcome};
    struct ms_sandbox_moment moment = {.now_ms = 0, .seed = MS_BYTES_LITERAL("test")};
    struct ms_sandbox_failure failure = {0};
    ms_buf_clear(&ret_outcome->events);
    ms_buf_clear(&ret_outcome->state);
    if (ms_sandbox_run(ms_module_sandbox(module), &moment, try_test, &trying, &failure) == 0)
        return 0;
    ms_buf_clear(&ret_outcome->events);
    if (failure.outcome == MS_SANDBOX_REJECTED)
        return ms_buf_printf(&ret_outcome->events, "reject %s\n", failure.code);
    return ms_buf_printf(&ret_outcome->events, "error %s\n", failure.text);
}

/* ---- what was expected ---- */

struct expected {
    size_t number;
    const char *title, *place; /* the module's */
    bool has_events, has_error, has_state;
    struct ms_buf events, error, state;
};

static bool write_expected_text(lua_State *L, const char *field, const char *before,
                                struct ms_buf *out) {
    bool has = lua_getfield(L, 1, field) != LUA_TNIL;
    if (has) {
        append(L, out, before);
        append(L, out, luaL_checkstring(L, -1));
        append(L, out, *before != '\0' ? "\n" : "");
    }
    lua_pop(L, 1);
    return has;
}

static void write_expected_events(lua_State *L, struct expected *expected) {
    int type = lua_getfield(L, 1, "events");
    expected->has_events = type == LUA_TTABLE;
    if (type == LUA_TTABLE)
        write_events(L, &expected->events);
    else if (type != LUA_TNIL)
        luaL_error(L, "'events' is an array of events");
    else
        lua_pop(L, 1);
}

static void describe(lua_State *L, void *context) {
    struct expected *expected = context;
    ms_module_push_tests(L);
    lua_rawgeti(L, 1, (lua_Integer)expected->number);
    lua_getfield(L, 2, "title");
    expected->title = lua_tostring(L, -1); /* the module keeps it */
    lua_getfield(L, 2, "place");
    expected->place = lua_tostring(L, -1);
    lua_settop(L, 0);
    push_spec(L, expected->number);
    write_expected_events(L, expected);
    expected->has_events |= write_expected_text(L, "reject", "reject ", &expected->events);
    expected->has_error = write_expected_text(L, "error", "", &expected->error);
    expected->has_state = lua_getfield(L, 1, "state") != LUA_TNIL;
    if (expected->has_state)
        ms_lua_write_json(L, -1, "state", &expected->state);
    if (!expected->has_events && !expected->has_error && !expected->has_state)
        luaL_error(L, "the test expects nothing: give it events, reject, error or state");
}

/* ---- comparing ---- */

static int add_lines(struct ms_buf *out, const char *mark, struct ms_bytes text) {
    int code = 0;
    while (code == 0 && text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        code = ms_buf_printf(out, "%s%.*s\n", mark, (int)len, (const char *)text.data);
        size_t step = end != NULL ? len + 1 : len;
        text = ms_bytes_of(text.data + step, text.len - step);
    }
    return code;
}

static int add_difference(struct ms_buf *out, const char *what, struct ms_bytes wanted,
                          struct ms_bytes got) {
    if (ms_bytes_equal(wanted, got))
        return 0;
    int code = ms_buf_printf(out, "%s\n", what);
    if (code == 0)
        code = add_lines(out, "  - ", wanted);
    return code == 0 ? add_lines(out, "  + ", got) : code;
}

static bool holds(struct ms_bytes text, struct ms_bytes part) {
    return part.len == 0 || memmem(text.data, text.len, part.data, part.len) != NULL;
}

static int compare(const struct expected *expected, const struct outcome *got,
                   const struct outcome *alone, struct ms_buf *out) {
    struct ms_bytes events = ms_buf_bytes(&got->events), error = ms_buf_bytes(&expected->error);
    int code = add_difference(out,
                              "it gives something else in a fresh sandbox (-) than behind other "
                              "tests (+): something is kept outside of the state",
                              ms_buf_bytes(&alone->events), events);
    if (code == 0 && expected->has_events)
        code =
            add_difference(out, "expected (-), got (+)", ms_buf_bytes(&expected->events), events);
    bool failed = ms_bytes_starts_with(events, MS_BYTES_LITERAL("error "));
    if (code == 0 && expected->has_error && (!failed || !holds(events, error)))
        code = add_difference(out, "expected an error with (-), got (+)", error, events);
    if (code == 0 && !expected->has_error && !expected->has_events && failed)
        code = add_difference(out, "expected no error, got (+)", MS_BYTES_LITERAL(""), events);
    if (code == 0 && expected->has_state)
        code = add_difference(out, "expected state (-), got (+)", ms_buf_bytes(&expected->state),
                              ms_buf_bytes(&got->state));
    return code;
}

/* ---- all tests ---- */

struct spec_run {
    const struct ms_module_file *files;
    size_t count;
    const struct ms_sandbox_limits *limits;
    struct ms_clock *clock;
    struct ms_module *module; /* of all tests, one after the other */
    struct outcome together, alone;
    struct expected expected;
    struct ms_buf text;
};

static int make_module(struct spec_run *run, struct ms_module **ret_module,
                       struct ms_sandbox_failure *ret_failure) {
    return ms_module_new(run->files, run->count, run->limits, run->clock, ret_module, ret_failure);
}

/* A budget that was exceeded leaves a sandbox that is not to be used any more. */
static int renew_if_broken(struct spec_run *run) {
    struct ms_sandbox_failure failure;
    struct ms_module *fresh;
    if (!ms_sandbox_is_broken(ms_module_sandbox(run->module)))
        return 0;
    int code = make_module(run, &fresh, &failure);
    if (code == 0) {
        ms_module_free(run->module);
        run->module = fresh;
    }
    return code;
}

static int run_alone(struct spec_run *run, size_t number) {
    struct ms_sandbox_failure failure;
    struct ms_module *module;
    int code = make_module(run, &module, &failure);
    if (code != 0)
        return code;
    code = outcome_of(module, number, &run->alone);
    ms_module_free(module);
    return code;
}

static void clear_expected(struct expected *expected, size_t number) {
    ms_buf_clear(&expected->events);
    ms_buf_clear(&expected->error);
    ms_buf_clear(&expected->state);
    expected->number = number;
    expected->title = expected->place = "";
}

static int run_one(struct spec_run *run, size_t number) {
    static const struct ms_sandbox_moment none = {0};
    struct ms_sandbox_failure failure = {0};
    clear_expected(&run->expected, number);
    ms_buf_clear(&run->text);
    int code = outcome_of(run->module, number, &run->together);
    if (code == 0)
        code = renew_if_broken(run);
    if (code == 0)
        code = run_alone(run, number);
    if (code != 0)
        return code;
    if (ms_sandbox_run(ms_module_sandbox(run->module), &none, describe, &run->expected, &failure) !=
        0)
        return ms_buf_printf(&run->text, "%s\n", failure.text);
    return compare(&run->expected, &run->together, &run->alone, &run->text);
}

static void count_tests(lua_State *L, void *context) {
    ms_module_push_tests(L);
    *(size_t *)context = lua_rawlen(L, -1);
}

static int run_all(struct spec_run *run, ms_spec_report *report, void *context,
                   struct ms_spec_summary *ret_summary, struct ms_sandbox_failure *ret_failure) {
    static const struct ms_sandbox_moment none = {0};
    size_t count = 0;
    *ret_summary = (struct ms_spec_summary){0};
    int code =
        ms_sandbox_run(ms_module_sandbox(run->module), &none, count_tests, &count, ret_failure);
    for (size_t number = 1; code == 0 && number <= count; number++) {
        code = run_one(run, number);
        if (code == 0)
            code = ms_buf_append_u8(&run->text, '\0');
        if (code != 0)
            break;
        struct ms_spec_result result = {
            .number = number,
            .title = run->expected.title,
            .place = run->expected.place,
            .passed = run->text.len == 1,
            .text = (const char *)run->text.data,
        };
        report(context, &result);
        ret_summary->passed += result.passed;
        ret_summary->failed += !result.passed;
    }
    return code;
}

int ms_spec_run(const struct ms_module_file *files, size_t count,
                const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                ms_spec_report *report, void *context, struct ms_spec_summary *ret_summary,
                struct ms_sandbox_failure *ret_failure) {
    struct spec_run run = {.files = files, .count = count, .limits = limits, .clock = clock};
    struct ms_buf *buffers[] = {
        &run.together.events, &run.together.state, &run.alone.events,   &run.alone.state,
        &run.expected.events, &run.expected.error, &run.expected.state, &run.text};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        ms_buf_init(buffers[i], TEXT_MAX);
    int code = make_module(&run, &run.module, ret_failure);
    if (code == 0)
        code = run_all(&run, report, context, ret_summary, ret_failure);
    ms_module_free(run.module);
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        ms_buf_deinit(buffers[i]);
    return code;
}
