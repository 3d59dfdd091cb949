/*
 * The library `table` of a sandbox. What walks over a table counts its elements as steps; sort is
 * ours, since Lua's chooses its pivots by the clock.
 */
#include "domain/sandbox_internal.h"

/* ---- sort ---- */

static bool is_less(lua_State *L, int less, int a, int b) {
    if (less == 0)
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, less);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    bool result = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return result;
}

/* Two sorted runs [from, middle) and [middle, end) of one table, into another one. */
static void merge_runs(lua_State *L, int source, int target, lua_Integer from, lua_Integer middle,
                       lua_Integer end, int less) {
    lua_Integer a = from, b = middle;
    for (lua_Integer at = from; at < end; at++) {
        bool take_b = a == middle;
        if (a < middle && b < end) {
            lua_rawgeti(L, source, b);
            lua_rawgeti(L, source, a);
            int top = lua_gettop(L);
            take_b = is_less(L, less, top - 1, top); /* equal ones stay in their order */
            lua_pop(L, 2);
        }
        lua_rawgeti(L, source, take_b ? b++ : a++);
        lua_rawseti(L, target, at);
    }
}

void ms_sandbox_sort(lua_State *L, int table, lua_Integer n, int less) {
    luaL_checkstack(L, 10, NULL);
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    int source = table, target = lua_gettop(L);
    for (lua_Integer run = 1; run < n; run *= 2) {
        ms_sandbox_charge(L, (uint64_t)n);
        for (lua_Integer from = 1; from <= n; from += 2 * run) {
            lua_Integer middle = from + run <= n + 1 ? from + run : n + 1;
            lua_Integer end = from + 2 * run <= n + 1 ? from + 2 * run : n + 1;
            merge_runs(L, source, target, from, middle, end, less);
        }
        int other = source;
        source = target;
        target = other;
    }
    for (lua_Integer i = 1; i <= n && source != table; i++) {
        lua_rawgeti(L, source, i);
        lua_rawseti(L, table, i);
    }
    lua_remove(L, source != table ? source : target);
}

static int table_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    bool by_function = !lua_isnoneornil(L, 2);
    if (by_function)
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    ms_sandbox_sort(L, 1, luaL_len(L, 1), by_function ? 2 : 0);
    return 0;
}

/* ---- the others ---- */

/* Upvalue: Lua's function. Only where elements move: adding at the end costs nothing more. */
static int charged(lua_State *L, bool moves) {
    if (moves)
        ms_sandbox_charge(L, (uint64_t)luaL_len(L, 1));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static bool is_tabular(lua_State *L, int index) {
    return lua_type(L, index) == LUA_TTABLE || lua_type(L, index) == LUA_TUSERDATA;
}

static int table_walk(lua_State *L) { return charged(L, is_tabular(L, 1)); }

static int table_insert(lua_State *L) { return charged(L, lua_gettop(L) > 2 && is_tabular(L, 1)); }

static int table_remove(lua_State *L) { return charged(L, lua_gettop(L) > 1 && is_tabular(L, 1)); }

static int table_unpack(lua_State *L) {
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_Integer to = luaL_opt(L, luaL_checkinteger, 3, is_tabular(L, 1) ? luaL_len(L, 1) : 0);
    if (to >= from)
        ms_sandbox_charge(L, (uint64_t)to - (uint64_t)from);
    return charged(L, false);
}

static int table_move(lua_State *L) {
    lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
    if (to >= from)
        ms_sandbox_charge(L, (uint64_t)to - (uint64_t)from);
    return charged(L, false);
}

void ms_sandbox_open_table(lua_State *L) {
    static const luaL_Reg wrapped[] = {{"concat", table_walk},
                                       {"insert", table_insert},
                                       {"move", table_move},
                                       {"remove", table_remove},
                                       {"unpack", table_unpack}};
    lua_newtable(L);
    luaL_requiref(L, "table", luaopen_table, 0);
    for (size_t i = 0; i < sizeof wrapped / sizeof wrapped[0]; i++) {
        lua_getfield(L, -1, wrapped[i].name);
        lua_pushcclosure(L, wrapped[i].func, 1);
        lua_setfield(L, -3, wrapped[i].name);
    }
    lua_getfield(L, -1, "pack");
    lua_setfield(L, -3, "pack");
    lua_pop(L, 1);
    lua_pushcfunction(L, table_sort);
    lua_setfield(L, -2, "sort");
}
