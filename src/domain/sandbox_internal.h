/*
 * What the pieces of a sandbox share. Not for anyone outside this directory.
 *
 *   sandbox.c         the state, its memory, its budgets, runs
 *   sandbox_base.c    global functions
 *   sandbox_string.c  the library `string`, with pattern.c
 *   sandbox_table.c   the library `table`
 *   sandbox_math.c    the library `math`
 *   frozen.c          views of tables that can't be written through
 */
#pragma once

#include <lauxlib.h>
#include <lualib.h>

#include "base/hash.h"
#include "domain/sandbox.h"

struct ms_sandbox {
    lua_State *lua;
    struct ms_clock *clock;
    struct ms_sandbox_limits limits;
    size_t memory;
    int64_t steps_left;
    int64_t deadline_us;
    bool loading; /* globals may be made */
    bool running, broken;
    /* MS_SANDBOX_DONE, or why the run ends whatever the code does about it. */
    enum ms_sandbox_outcome over;
    char code[MS_SANDBOX_CODE_MAX];
    struct ms_sandbox_moment moment;
    uint32_t ids; /* made in this run */
};

static inline struct ms_sandbox *ms_sandbox_of(lua_State *L) {
    return *(struct ms_sandbox **)lua_getextraspace(L);
}

/* What a library function goes through counts as so many steps. Raises. */
void ms_sandbox_charge(lua_State *L, uint64_t steps);

/* Each leaves its library's table on the stack, or sets globals in the table there. */
void ms_sandbox_open_base(lua_State *L, int globals);
void ms_sandbox_open_string(lua_State *L);
void ms_sandbox_open_table(lua_State *L);
void ms_sandbox_open_math(lua_State *L);

/* Pushes a string for any value, without addresses, as tostring does. */
const char *ms_sandbox_tostring(lua_State *L, int index, size_t *ret_len);
/* "table" for what looks like one. */
const char *ms_sandbox_typename(lua_State *L, int index);

/* ---- tables ---- */

/* The table at the index or behind the view there: pushed; *ret_frozen tells which. False, nothing
 * pushed: it is none. */
bool ms_frozen_push_table(lua_State *L, int index, bool *ret_frozen);
/* A view of the table at the top takes its place; other values stay. */
void ms_frozen_wrap(lua_State *L);
void ms_frozen_open(lua_State *L);

/* Pushes an array with the table's keys in order (as pairs has it). Raises: a key has no order. */
void ms_sandbox_push_keys(lua_State *L, int table);
/* The order of two keys: -1, 0, 1. */
int ms_sandbox_compare_keys(lua_State *L, int a, int b);
/* Sorts the array of n elements at `table`, with the function at `less` or (0) by `<`. Stable. */
void ms_sandbox_sort(lua_State *L, int table, lua_Integer n, int less);
