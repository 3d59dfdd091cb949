/* What an aggregate's declaration does; see aggregate.h. */
#include "domain/aggregate.h"

#include "domain/declare.h"
#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

#define EVENTS_MAX 1000 /* of one command */

void ms_aggregate_push_initial(lua_State *L, const char *name) {
    luaL_checkstack(L, 10, NULL);
    ms_module_push_aggregate(L, name);
    if (lua_getfield(L, -1, "initial") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else {
        ms_lua_push_copy(L, -1);
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
}

/* Pushes the function of that name; false, nothing pushed: there is none. */
static bool push_function(lua_State *L, const char *aggregate, const char *field,
                          const char *name) {
    luaL_checkstack(L, 10, NULL);
    ms_module_push_aggregate(L, aggregate);
    if (lua_getfield(L, -1, field) == LUA_TNIL) {
        lua_pop(L, 2);
        return false;
    }
    bool found = lua_getfield(L, -1, name) != LUA_TNIL;
    if (found) {
        lua_replace(L, -3);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 3);
    }
    return found;
}

/* The field `type` of an event or command; stays on the stack. */
static const char *push_type(lua_State *L, int index, const char *what) {
    if (lua_getfield(L, index, "type") != LUA_TSTRING)
        luaL_error(L, "%s has no type", what);
    return lua_tostring(L, -1);
}

void ms_aggregate_apply(lua_State *L, const char *name, int state, int event) {
    state = lua_absindex(L, state);
    event = lua_absindex(L, event);
    const char *type = push_type(L, event, "an event");
    if (push_function(L, name, "apply", type)) {
        lua_pushvalue(L, state);
        lua_pushvalue(L, event);
        ms_frozen_wrap(L);
        lua_call(L, 2, 1);
        if (!lua_isnil(L, -1) && !lua_rawequal(L, -1, state))
            luaL_error(L,
                       "aggregate \"%s\", apply[\"%s\"] returned a %s: it changes the state it "
                       "is given, and returns nothing",
                       name, type, ms_sandbox_typename(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- handle ---- */

static void check_event(lua_State *L, const char *name, const char *command, lua_Integer i) {
    static const char *const known[] = {"type", "data", "metadata", NULL};
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "aggregate \"%s\", handle.%s: what it returned as event %I is a %s", name,
                   command, i, ms_sandbox_typename(L, -1));
    int event = lua_gettop(L);
    const char *type = push_type(L, event, "an event that handle returned");
    if (!push_function(L, name, "apply", type))
        luaL_error(L,
                   "aggregate \"%s\", handle.%s returned '%s', of which nothing is applied: "
                   "apply[\"%s\"] is missing (it may do nothing)",
                   name, command, type, type);
    lua_pop(L, 2);
    const char *what =
        lua_pushfstring(L, "aggregate \"%s\", handle.%s, event %I", name, command, i);
    ms_declare_check_fields(L, event, what, known);
    lua_pop(L, 1);
}

static void check_events(lua_State *L, const char *name, const char *command) {
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L,
                   "aggregate \"%s\", handle.%s returned %s: it returns its events, {} when "
                   "nothing happened",
                   name, command, lua_isnil(L, -1) ? "nothing" : ms_sandbox_typename(L, -1));
    int events = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, events);
    lua_pushnil(L);
    if (n == 0 && lua_next(L, events) != 0)
        luaL_error(L,
                   "aggregate \"%s\", handle.%s returned one event where it returns an array "
                   "of them: { event(…) }",
                   name, command);
    if (n > EVENTS_MAX)
        luaL_error(L, "aggregate \"%s\", handle.%s returned %I events, the limit is %d", name,
                   command, n, EVENTS_MAX);
    lua_settop(L, events);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, events, i);
        check_event(L, name, command, i);
        lua_pop(L, 1);
    }
}

void ms_aggregate_handle(lua_State *L, const char *name, int state, int command) {
    state = lua_absindex(L, state);
    command = lua_absindex(L, command);
    const char *type = push_type(L, command, "a command");
    if (!push_function(L, name, "handle", type))
        luaL_error(L, "aggregate \"%s\" has no command '%s'", name, type);
    lua_pushvalue(L, state);
    ms_frozen_wrap(L);
    lua_pushvalue(L, command);
    ms_frozen_wrap(L);
    lua_call(L, 2, 1);
    check_events(L, name, type);
    lua_remove(L, -2); /* the type */
}
