/* Checks that declarations of modules share; see declare.h. */
#include "domain/declare.h"

#include "base/suggest.h"
#include "domain/sandbox_internal.h"

void ms_declare_check_name(lua_State *L, int index, const char *kind, size_t max) {
    size_t len;
    const char *name = luaL_checklstring(L, index, &len);
    bool legal = len > 0 && len <= max;
    for (size_t i = 0; legal && i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        legal = letter || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    }
    if (!legal)
        luaL_error(L, "'%s' is no name of %s: 1 to %d of A-Z a-z 0-9 . _ -", name, kind, (int)max);
}

static bool is_one_of(const char *name, const char *const *fields,
                      struct ms_suggestion *suggestion) {
    for (; *fields != NULL; fields++) {
        if (strcmp(name, *fields) == 0)
            return true;
        ms_suggest_offer(suggestion, *fields);
    }
    return false;
}

void ms_declare_check_fields(lua_State *L, int table, const char *what, const char *const *fields) {
    ms_sandbox_push_keys(L, table); /* the first one that is wrong is always the same */
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 1)) {
        struct ms_suggestion suggestion;
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
            luaL_error(L, "%s: there is something without a name in it", what);
        const char *name = lua_tostring(L, -1);
        ms_suggest_begin(&suggestion, ms_bytes_cstr(name));
        if (is_one_of(name, fields, &suggestion))
            continue;
        if (suggestion.best != NULL)
            luaL_error(L, "%s: unknown field '%s', did you mean '%s'?", what, name,
                       suggestion.best);
        luaL_error(L, "%s: unknown field '%s'", what, name);
    }
    lua_pop(L, 1);
}
