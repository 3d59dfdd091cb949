/*
 * Views of tables through which nothing can be written, and the order of keys.
 *
 * A view is a userdata without memory whose user value is the table. What is read through it and is
 * a table is a view again, made when it is read: equal to any other one of the same table.
 */
#include "domain/sandbox_internal.h"

#define FROZEN "ms.frozen"

bool ms_frozen_push_table(lua_State *L, int index, bool *ret_frozen) {
    *ret_frozen = false;
    if (lua_type(L, index) == LUA_TTABLE) {
        lua_pushvalue(L, index);
        return true;
    }
    if (luaL_testudata(L, index, FROZEN) == NULL)
        return false;
    *ret_frozen = true;
    lua_getiuservalue(L, index, 1);
    return true;
}

void ms_frozen_wrap(lua_State *L) {
    if (lua_type(L, -1) != LUA_TTABLE)
        return;
    luaL_checkstack(L, 3, NULL);
    lua_newuserdatauv(L, 0, 1);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, FROZEN);
}

static int read_field(lua_State *L) {
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    ms_frozen_wrap(L);
    return 1;
}

static int refuse_write(lua_State *L) {
    return luaL_error(L, "field '%s' can't be set here: this may only be read",
                      ms_sandbox_tostring(L, 2, NULL));
}

static int length(lua_State *L) {
    lua_getiuservalue(L, 1, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

static int equal(lua_State *L) {
    bool frozen;
    bool both = ms_frozen_push_table(L, 1, &frozen) && ms_frozen_push_table(L, 2, &frozen);
    lua_pushboolean(L, both && lua_rawequal(L, -1, -2));
    return 1;
}

void ms_frozen_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"__index", read_field},
                                       {"__newindex", refuse_write},
                                       {"__len", length},
                                       {"__eq", equal},
                                       {NULL, NULL}};
    luaL_newmetatable(L, FROZEN);
    luaL_setfuncs(L, methods, 0);
    lua_pushliteral(L, "read-only table"); /* in messages of Lua's own functions */
    lua_setfield(L, -2, "__name");
    lua_pop(L, 1);
}

/* ---- the order of keys ---- */

static int rank_of(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        return 0;
    case LUA_TSTRING:
        return 1;
    case LUA_TBOOLEAN:
        return 2;
    default:
        return luaL_error(L, "a %s as a key has no order: use strings, numbers, true and false",
                          ms_sandbox_typename(L, index));
    }
}

static int compare_strings(lua_State *L, int a, int b) {
    size_t a_len, b_len;
    const char *a_text = lua_tolstring(L, a, &a_len), *b_text = lua_tolstring(L, b, &b_len);
    int order = memcmp(a_text, b_text, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

int ms_sandbox_compare_keys(lua_State *L, int a, int b) {
    int a_rank = rank_of(L, a), b_rank = rank_of(L, b);
    if (a_rank != b_rank)
        return a_rank - b_rank;
    if (a_rank == 1)
        return compare_strings(L, a, b);
    if (a_rank == 2)
        return lua_toboolean(L, a) - lua_toboolean(L, b);
    return lua_compare(L, b, a, LUA_OPLT) - lua_compare(L, a, b, LUA_OPLT);
}

static int is_key_before(lua_State *L) {
    lua_pushboolean(L, ms_sandbox_compare_keys(L, 1, 2) < 0);
    return 1;
}

void ms_sandbox_push_keys(lua_State *L, int table) {
    lua_Integer n = 0;
    luaL_checkstack(L, 8, NULL);
    table = lua_absindex(L, table);
    lua_newtable(L);
    int keys = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        (void)rank_of(L, -1);
        lua_rawseti(L, keys, ++n);
    }
    ms_sandbox_charge(L, (uint64_t)n);
    lua_pushcfunction(L, is_key_before);
    ms_sandbox_sort(L, keys, n, keys + 1);
    lua_settop(L, keys);
}
