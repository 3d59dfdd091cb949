/* The global functions of a sandbox; see sandbox.h. */
#include <stdio.h>

#include "base/uuid.h"
#include "domain/sandbox_internal.h"

/* ---- what values are ---- */

const char *ms_sandbox_typename(lua_State *L, int index) {
    bool frozen;
    int type = lua_type(L, index);
    if (type == LUA_TUSERDATA && ms_frozen_push_table(L, index, &frozen)) {
        lua_pop(L, 1);
        return "table";
    }
    if (type == LUA_TLIGHTUSERDATA)
        return "null";
    return type == LUA_TUSERDATA ? "number" : lua_typename(L, type);
}

const char *ms_sandbox_tostring(lua_State *L, int index, size_t *ret_len) {
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        return lua_tolstring(L, -1, ret_len);
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        return lua_tolstring(L, -1, ret_len);
    case LUA_TUSERDATA:
        if (luaL_callmeta(L, index, "__tostring"))
            return lua_tolstring(L, -1, ret_len);
        /* fall through */
    default:
        lua_pushstring(L, ms_sandbox_typename(L, index));
        return lua_tolstring(L, -1, ret_len);
    }
}

static int base_type(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushstring(L, ms_sandbox_typename(L, 1));
    return 1;
}

static int base_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    ms_sandbox_tostring(L, 1, NULL);
    return 1;
}

/* ---- going through tables ---- */

static bool push_argument_table(lua_State *L, const char *function) {
    bool frozen;
    if (!ms_frozen_push_table(L, 1, &frozen))
        luaL_error(L, "bad argument #1 to '%s' (table expected, got %s)", function,
                   ms_sandbox_typename(L, 1));
    return frozen;
}

/* Upvalues: the table, its keys when pairs was called, how many are passed, is it a view? Keys that
 * have gone meanwhile are passed over, new ones don't come. */
static int pairs_step(lua_State *L) {
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
    for (;;) {
        lua_settop(L, 0);
        if (lua_rawgeti(L, lua_upvalueindex(2), ++at) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, 1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            break;
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(3));
    if (lua_toboolean(L, lua_upvalueindex(4)))
        ms_frozen_wrap(L);
    return 2;
}

static int base_pairs(lua_State *L) {
    bool frozen = push_argument_table(L, "pairs");
    ms_sandbox_push_keys(L, -1);
    lua_pushinteger(L, 0);
    lua_pushboolean(L, frozen);
    lua_pushcclosure(L, pairs_step, 4);
    return 1;
}

/* The smallest key behind the one given; of each call this is a walk. */
static int base_next(lua_State *L) {
    lua_settop(L, 2);
    bool frozen = push_argument_table(L, "next");
    bool found = false;
    uint64_t seen = 0;
    lua_pushnil(L); /* at 4: the best so far */
    for (lua_pushnil(L); lua_next(L, 3) != 0; seen++) {
        lua_pop(L, 1);
        bool behind = lua_isnil(L, 2) || ms_sandbox_compare_keys(L, 5, 2) > 0;
        if (behind && (!found || ms_sandbox_compare_keys(L, 5, 4) < 0)) {
            lua_pushvalue(L, 5);
            lua_replace(L, 4);
            found = true;
        }
    }
    ms_sandbox_charge(L, seen);
    lua_settop(L, 4);
    if (!found)
        return 1;
    lua_pushvalue(L, 4);
    lua_rawget(L, 3);
    if (frozen)
        ms_frozen_wrap(L);
    return 2;
}

/* ---- errors ---- */

static int base_pcall(lua_State *L) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status == LUA_ERRMEM && sandbox->over == MS_SANDBOX_DONE)
        sandbox->over = MS_SANDBOX_MEMORY;
    if (sandbox->over != MS_SANDBOX_DONE)
        return lua_error(L);
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* reject(code [, text]) */
static int base_reject(lua_State *L) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    size_t len;
    const char *code = luaL_checklstring(L, 1, &len);
    luaL_argcheck(L, len > 0 && len < MS_SANDBOX_CODE_MAX && strlen(code) == len, 1,
                  "a code has 1 to 127 characters");
    luaL_optstring(L, 2, "");
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "");
        lua_replace(L, 2);
    }
    snprintf(sandbox->code, sizeof sandbox->code, "%s", code);
    sandbox->over = MS_SANDBOX_REJECTED;
    return lua_error(L);
}

/* ---- the moment ---- */

static int base_now(lua_State *L) {
    lua_pushinteger(L, ms_sandbox_of(L)->moment.now_ms);
    return 1;
}

/* The n-th id of what is being dealt with: again the same when it is dealt with again. */
static int base_uuid(lua_State *L) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    struct ms_uuid uuid;
    char text[MS_UUID_TEXT_LEN + 1];
    struct ms_hash128 hash =
        ms_hash128(sandbox->moment.seed.data, sandbox->moment.seed.len, ++sandbox->ids);
    uint8_t bytes[16];
    _Static_assert(sizeof hash == sizeof bytes, "a hash makes an id");
    memcpy(bytes, &hash, sizeof bytes);
    ms_uuid_v4(bytes, &uuid);
    ms_uuid_format(&uuid, text);
    lua_pushstring(L, text);
    return 1;
}

/* ---- opening ---- */

void ms_sandbox_open_base(lua_State *L, int globals) {
    static const char *const kept[] = {"assert", "error", "ipairs", "select", "tonumber"};
    static const luaL_Reg own[] = {
        {"next", base_next},   {"now", base_now},       {"pairs", base_pairs},
        {"pcall", base_pcall}, {"reject", base_reject}, {"tostring", base_tostring},
        {"type", base_type},   {"uuid", base_uuid},     {NULL, NULL}};
    luaL_requiref(L, "_G", luaopen_base, 0);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, globals, kept[i]);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, globals);
    luaL_setfuncs(L, own, 0);
    lua_pop(L, 1);
}
