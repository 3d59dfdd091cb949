/* A sandbox for tests: expressions in, texts out. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "domain/sandbox_internal.h"

struct sandbox_world {
    struct ms_sandbox *sandbox;
    struct ms_clock_manual clock;
    struct ms_sandbox_failure failure;
    char result[MS_SANDBOX_TEXT_MAX + 16];
};

static inline void sandbox_open(struct sandbox_world *w, const struct ms_sandbox_limits *limits) {
    ms_clock_manual_init(&w->clock, 1000);
    assert_int_equal(ms_sandbox_new(limits, &w->clock.clock, &w->sandbox), 0);
}

static inline void sandbox_close(struct sandbox_world *w) { ms_sandbox_free(w->sandbox); }

static inline int sandbox_load(struct sandbox_world *w, const char *source) {
    return ms_sandbox_load(w->sandbox, "test.lua", ms_bytes_cstr(source), &w->failure);
}

struct sandbox_calling {
    struct sandbox_world *w;
    const char *function;
};

static inline void sandbox_body(lua_State *L, void *context) {
    struct sandbox_calling *calling = context;
    lua_getfield(L, LUA_REGISTRYINDEX, "ms.globals");
    lua_getfield(L, -1, calling->function);
    lua_call(L, 0, 1);
    snprintf(calling->w->result, sizeof calling->w->result, "%s", ms_sandbox_tostring(L, -1, NULL));
}

/* Calls the global function of that name; its result is w->result. */
static inline int sandbox_call(struct sandbox_world *w, const char *function) {
    struct sandbox_calling calling = {w, function};
    struct ms_sandbox_moment moment = {.now_ms = 1234, .seed = MS_BYTES_LITERAL("seed")};
    w->result[0] = '\0';
    return ms_sandbox_run(w->sandbox, &moment, sandbox_body, &calling, &w->failure);
}

/* What an expression gives, in a sandbox of its own. "error: …" when it fails. */
static inline const char *sandbox_eval(struct sandbox_world *w, const char *expression) {
    static char source[8192];
    struct ms_sandbox_limits limits = {0};
    snprintf(source, sizeof source, "function run() %s end",
             strncmp(expression, "do ", 3) == 0 ? expression + 3 : "");
    if (strncmp(expression, "do ", 3) != 0)
        snprintf(source, sizeof source, "function run() return %s end", expression);
    sandbox_open(w, &limits);
    int code = sandbox_load(w, source);
    if (code == 0)
        code = sandbox_call(w, "run");
    if (code != 0) {
        w->failure.text[strcspn(w->failure.text, "\n")] = '\0';
        snprintf(w->result, sizeof w->result, "error: %s", w->failure.text);
    }
    sandbox_close(w);
    return w->result;
}
