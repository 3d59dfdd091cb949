/* Sandboxes: the state, its memory, its budgets, runs; see sandbox.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "domain/sandbox_internal.h"

#define STEPS_DEFAULT 10000000u
#define MEMORY_DEFAULT ((size_t)64 << 20)
#define TIME_DEFAULT_US 2000000
#define HOOK_EVERY 100 /* instructions; one may copy a million values */
#define BYTES_PER_STEP 64u
/* Lua wants small pieces at places where it can't say no. */
#define LARGE_BYTES 4096u

/* ---- memory ---- */

static bool over_budget(struct ms_sandbox *sandbox, size_t old_size, size_t new_size) {
    if (sandbox->memory - old_size + new_size > sandbox->limits.memory_bytes)
        return true;
    if (!sandbox->running)
        return false;
    sandbox->steps_left -= (int64_t)(new_size / BYTES_PER_STEP);
    if (sandbox->steps_left >= 0 || new_size < LARGE_BYTES)
        return false;
    sandbox->over = MS_SANDBOX_STEPS; /* or it would be taken for a lack of memory */
    return true;
}

static void *allocate(void *context, void *memory, size_t old_size, size_t new_size) {
    struct ms_sandbox *sandbox = context;
    size_t held = memory != NULL ? old_size : 0;
    if (new_size == 0) {
        ms_free(memory);
        sandbox->memory -= held;
        return NULL;
    }
    if (new_size > held && over_budget(sandbox, held, new_size))
        return NULL;
    void *moved = ms_realloc(memory, new_size);
    if (moved == NULL && new_size > held)
        return NULL;
    if (moved == NULL) /* Lua relies on that nothing fails when it gives memory back */
        moved = memory;
    sandbox->memory += new_size - held;
    return moved;
}

/* ---- budgets ---- */

static void exceed(lua_State *L, enum ms_sandbox_outcome over) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    sandbox->over = over;
    if (over == MS_SANDBOX_TIME)
        luaL_error(L, "this takes longer than %d ms", (int)(sandbox->limits.time_us / 1000));
    luaL_error(L, "the budget of %I steps is exceeded", (lua_Integer)sandbox->limits.steps);
}

void ms_sandbox_charge(lua_State *L, uint64_t steps) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    sandbox->steps_left -= steps < INT64_MAX / 2 ? (int64_t)steps : INT64_MAX / 2;
    if (sandbox->steps_left < 0)
        exceed(L, MS_SANDBOX_STEPS);
}

static void count(lua_State *L, lua_Debug *activation) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    (void)activation;
    ms_sandbox_charge(L, HOOK_EVERY);
    if (ms_clock_monotonic_us(sandbox->clock) > sandbox->deadline_us)
        exceed(L, MS_SANDBOX_TIME);
}

/* ---- life ---- */

/* Takes the table at the top, leaves one in its place through which it is read, and not written. */
static void make_read_only(lua_State *L, lua_CFunction refuse) {
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, refuse, 1);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
}

static int refuse_in_library(lua_State *L) { return luaL_error(L, "libraries can't be changed"); }

/* A new global, or an assignment to what is none yet or was one before. */
static int set_global(lua_State *L) {
    if (!ms_sandbox_of(L)->loading)
        return luaL_error(L,
                          "global '%s' can't be set here: globals are fixed once all files are "
                          "loaded; make it local",
                          lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, lua_upvalueindex(1));
    return 0;
}

#define GLOBALS "ms.globals" /* where they are */
#define ENVIRONMENT "ms.env" /* what files see of them */

static void add_library(lua_State *L, int globals, const char *name) {
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, name); /* for ms_sandbox_define */
    make_read_only(L, refuse_in_library);
    lua_setfield(L, globals, name);
}

static int open_all(lua_State *L) {
    lua_newtable(L);
    int globals = lua_gettop(L);
    lua_pushvalue(L, globals);
    lua_setfield(L, LUA_REGISTRYINDEX, GLOBALS);
    ms_frozen_open(L);
    ms_sandbox_open_base(L, globals);
    ms_sandbox_open_string(L);
    add_library(L, globals, "string");
    ms_sandbox_open_table(L);
    add_library(L, globals, "table");
    ms_sandbox_open_math(L);
    add_library(L, globals, "math");
    luaL_requiref(L, "utf8", luaopen_utf8, 0);
    add_library(L, globals, "utf8");
    make_read_only(L, set_global);
    lua_setfield(L, LUA_REGISTRYINDEX, ENVIRONMENT);
    return 0;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value != 0 ? value : otherwise;
}

int ms_sandbox_new(const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                   struct ms_sandbox **ret_sandbox) {
    struct ms_sandbox *sandbox = ms_calloc(1, sizeof *sandbox);
    if (sandbox == NULL)
        return MS_ENOMEM;
    sandbox->clock = clock;
    sandbox->loading = true;
    sandbox->limits.steps = or_default(limits->steps, STEPS_DEFAULT);
    sandbox->limits.memory_bytes = or_default(limits->memory_bytes, MEMORY_DEFAULT);
    sandbox->limits.time_us = limits->time_us != 0 ? limits->time_us : TIME_DEFAULT_US;
    lua_State *L = lua_newstate(allocate, sandbox);
    if (L == NULL) {
        ms_free(sandbox);
        return MS_ENOMEM;
    }
    sandbox->lua = L;
    *(struct ms_sandbox **)lua_getextraspace(L) = sandbox;
    lua_pushcfunction(L, open_all);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        ms_sandbox_free(sandbox);
        return MS_ENOMEM;
    }
    *ret_sandbox = sandbox;
    return 0;
}

void ms_sandbox_free(struct ms_sandbox *sandbox) {
    if (sandbox == NULL)
        return;
    lua_close(sandbox->lua);
    MS_ASSERT(sandbox->memory == 0);
    ms_free(sandbox);
}

bool ms_sandbox_is_broken(const struct ms_sandbox *sandbox) { return sandbox->broken; }

size_t ms_sandbox_memory(const struct ms_sandbox *sandbox) { return sandbox->memory; }

/* ---- runs ---- */

struct body_call {
    ms_sandbox_body *body;
    void *context;
};

static int call_body(lua_State *L) {
    const struct body_call *call = lua_touserdata(L, 1);
    lua_settop(L, 0);
    call->body(L, call->context);
    return 0;
}

/* Where an error was raised: its text and the stack. */
static int add_stack(lua_State *L) {
    const struct ms_sandbox *sandbox = ms_sandbox_of(L);
    if (sandbox->over == MS_SANDBOX_REJECTED || sandbox->over == MS_SANDBOX_FAILED)
        return 1;
    const char *text = ms_sandbox_tostring(L, 1, NULL);
    luaL_traceback(L, L, text, 1);
    return 1;
}

static void begin(struct ms_sandbox *sandbox, const struct ms_sandbox_moment *moment) {
    MS_ASSERT(!sandbox->running);
    sandbox->moment = *moment;
    sandbox->ids = 0;
    sandbox->over = MS_SANDBOX_DONE;
    sandbox->code[0] = '\0';
    sandbox->steps_left = (int64_t)sandbox->limits.steps;
    sandbox->deadline_us = ms_clock_monotonic_us(sandbox->clock) + sandbox->limits.time_us;
    sandbox->running = true;
    lua_sethook(sandbox->lua, count, LUA_MASKCOUNT, HOOK_EVERY);
}

static void tell_failure(struct ms_sandbox *sandbox, int status,
                         struct ms_sandbox_failure *ret_failure) {
    lua_State *L = sandbox->lua;
    if (sandbox->over == MS_SANDBOX_DONE)
        sandbox->over = status == LUA_ERRMEM ? MS_SANDBOX_MEMORY : MS_SANDBOX_FAILED;
    ret_failure->outcome = sandbox->over;
    snprintf(ret_failure->code, sizeof ret_failure->code, "%s", sandbox->code);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (sandbox->over == MS_SANDBOX_MEMORY)
        snprintf(ret_failure->text, sizeof ret_failure->text,
                 "the budget of %zu MiB of memory is exceeded", sandbox->limits.memory_bytes >> 20);
    else if (status == LUA_ERRMEM)
        snprintf(ret_failure->text, sizeof ret_failure->text,
                 "the budget of %llu steps is exceeded", (unsigned long long)sandbox->limits.steps);
    else
        snprintf(ret_failure->text, sizeof ret_failure->text, "%s", text);
    sandbox->broken |= sandbox->over > MS_SANDBOX_FAILED || status == LUA_ERRERR;
}

int ms_sandbox_run(struct ms_sandbox *sandbox, const struct ms_sandbox_moment *moment,
                   ms_sandbox_body *body, void *context, struct ms_sandbox_failure *ret_failure) {
    lua_State *L = sandbox->lua;
    struct body_call call = {body, context};
    begin(sandbox, moment);
    lua_pushcfunction(L, add_stack); /* light functions and pointers take no memory */
    lua_pushcfunction(L, call_body);
    lua_pushlightuserdata(L, &call);
    int status = lua_pcall(L, 1, 0, 1);
    sandbox->running = false;
    lua_sethook(L, NULL, 0, 0);
    if (status != LUA_OK)
        tell_failure(sandbox, status, ret_failure);
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : MS_EINVAL;
}

/* ---- files ---- */

struct file {
    const char *name;
    struct ms_bytes source;
};

static void load_file(lua_State *L, void *context) {
    const struct file *file = context;
    lua_pushfstring(L, "@%s", file->name);
    int status = luaL_loadbufferx(L, (const char *)file->source.data, file->source.len,
                                  lua_tostring(L, 1), "t");
    if (status != LUA_OK) {
        if (status == LUA_ERRSYNTAX)
            ms_sandbox_of(L)->over = MS_SANDBOX_FAILED; /* the stack would say nothing */
        lua_error(L);
    }
    lua_getfield(L, LUA_REGISTRYINDEX, ENVIRONMENT);
    const char *upvalue = lua_setupvalue(L, -2, 1); /* a chunk's only one: _ENV */
    MS_ASSERT(upvalue != NULL);
    lua_call(L, 0, 0);
}

int ms_sandbox_load(struct ms_sandbox *sandbox, const char *name, struct ms_bytes source,
                    struct ms_sandbox_failure *ret_failure) {
    static const struct ms_sandbox_moment none = {0};
    struct file file = {name, source};
    MS_ASSERT(sandbox->loading);
    return ms_sandbox_run(sandbox, &none, load_file, &file, ret_failure);
}

void ms_sandbox_freeze(struct ms_sandbox *sandbox) { sandbox->loading = false; }

static int define(lua_State *L) {
    const char *name = lua_touserdata(L, 1), *dot = strchr(name, '.');
    ms_sandbox_function *function = *(ms_sandbox_function **)lua_touserdata(L, 2);
    if (dot != NULL) {
        lua_pushlstring(L, name, (size_t)(dot - name));
        lua_gettable(L, LUA_REGISTRYINDEX);
        name = dot + 1;
    } else {
        lua_getfield(L, LUA_REGISTRYINDEX, GLOBALS);
    }
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, name);
    return 0;
}

int ms_sandbox_define(struct ms_sandbox *sandbox, const char *name, ms_sandbox_function *function) {
    lua_State *L = sandbox->lua;
    char copy[64];
    snprintf(copy, sizeof copy, "%s", name);
    lua_pushcfunction(L, define);
    lua_pushlightuserdata(L, copy);
    lua_pushlightuserdata(L, &function);
    int status = lua_pcall(L, 2, 0, 0);
    lua_settop(L, 0);
    return status == LUA_OK ? 0 : MS_ENOMEM;
}
