/* The library `math` of a sandbox: what gives the same result everywhere. */
#include "domain/sandbox_internal.h"

void ms_sandbox_open_math(lua_State *L) {
    static const char *const kept[] = {"abs",        "ceil",       "floor",     "fmod", "huge",
                                       "maxinteger", "mininteger", "max",       "min",  "modf",
                                       "pi",         "sqrt",       "tointeger", "type", "ult"};
    lua_newtable(L);
    luaL_requiref(L, "math", luaopen_math, 0);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
}
