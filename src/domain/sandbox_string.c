/*
 * The library `string` of a sandbox: Lua's own functions where they do a bounded amount of work,
 * ours where patterns are matched (pattern.c) and where addresses would be shown.
 */
#include "domain/pattern.h"
#include "domain/sandbox_internal.h"

/* ---- patterns ---- */

static struct ms_bytes check_bytes(lua_State *L, int index) {
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);
    return ms_bytes_of(text, len);
}

static void compile(lua_State *L, int index, bool anchors, struct ms_pattern *ret_pattern) {
    const char *error;
    if (ms_pattern_compile(check_bytes(L, index), anchors, ret_pattern, &error) != 0)
        luaL_error(L, "%s", error);
    ms_sandbox_charge(L, ret_pattern->count);
}

static bool find_match(lua_State *L, const struct ms_pattern *pattern, struct ms_bytes subject,
                       size_t from, struct ms_pattern_match *ret_match) {
    struct ms_sandbox *sandbox = ms_sandbox_of(L);
    int code = ms_pattern_find(pattern, subject, from, &sandbox->steps_left, ret_match);
    if (code == MS_ELIMIT)
        ms_sandbox_charge(L, (uint64_t)sandbox->steps_left + 1); /* raises */
    if (code == MS_ETOOBIG)
        luaL_error(L, "pattern too complex");
    if (code == MS_EINVAL)
        luaL_error(L, "invalid capture index in pattern");
    return code > 0;
}

static void push_capture(lua_State *L, struct ms_bytes subject,
                         const struct ms_pattern_match *match, unsigned i) {
    const struct ms_pattern_capture *capture = &match->captures[i];
    if (capture->len == MS_PATTERN_POSITION)
        lua_pushinteger(L, (lua_Integer)capture->from + 1);
    else
        lua_pushlstring(L, (const char *)subject.data + capture->from, capture->len);
}

static void push_whole(lua_State *L, struct ms_bytes subject,
                       const struct ms_pattern_match *match) {
    lua_pushlstring(L, (const char *)subject.data + match->from, match->end - match->from);
}

/* The captures, or with `whole` the whole match where there are none. */
static int push_captures(lua_State *L, struct ms_bytes subject,
                         const struct ms_pattern_match *match, bool whole) {
    luaL_checkstack(L, (int)match->capture_count + 1, "too many captures");
    for (unsigned i = 0; i < match->capture_count; i++)
        push_capture(L, subject, match, i);
    if (match->capture_count > 0 || !whole)
        return (int)match->capture_count;
    push_whole(L, subject, match);
    return 1;
}

/* From 1, from the end when negative; false: behind the subject's end. */
static bool start_of(lua_State *L, int index, size_t len, size_t *ret_start) {
    lua_Integer from = luaL_optinteger(L, index, 1);
    if (from < 0)
        from = from < -(lua_Integer)len ? 1 : (lua_Integer)len + from + 1;
    else if (from == 0)
        from = 1;
    *ret_start = (size_t)from - 1;
    return *ret_start <= len;
}

static bool is_plain(struct ms_bytes pattern) {
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.data[i] != '\0' && strchr("^$*+?.([%-", pattern.data[i]) != NULL)
            return false;
    return true;
}

static int find_plain(lua_State *L, struct ms_bytes subject, struct ms_bytes wanted, size_t from) {
    ms_sandbox_charge(L, (subject.len - from) / 16);
    const uint8_t *at =
        wanted.len == 0 ? subject.data + from
                        : memmem(subject.data + from, subject.len - from, wanted.data, wanted.len);
    if (at == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - subject.data + 1);
    lua_pushinteger(L, at - subject.data + (lua_Integer)wanted.len);
    return 2;
}

static int string_find(lua_State *L) {
    struct ms_bytes subject = check_bytes(L, 1), wanted = check_bytes(L, 2);
    struct ms_pattern pattern;
    struct ms_pattern_match match;
    size_t from;
    if (!start_of(L, 3, subject.len, &from)) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_toboolean(L, 4) || is_plain(wanted))
        return find_plain(L, subject, wanted, from);
    compile(L, 2, true, &pattern);
    if (!find_match(L, &pattern, subject, from, &match)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)match.from + 1);
    lua_pushinteger(L, (lua_Integer)match.end);
    return 2 + push_captures(L, subject, &match, false);
}

static int string_match(lua_State *L) {
    struct ms_bytes subject = check_bytes(L, 1);
    struct ms_pattern pattern;
    struct ms_pattern_match match;
    size_t from;
    compile(L, 2, true, &pattern);
    if (start_of(L, 3, subject.len, &from) && find_match(L, &pattern, subject, from, &match))
        return push_captures(L, subject, &match, true);
    lua_pushnil(L);
    return 1;
}

/* Upvalues: the subject, the compiled pattern, where to go on, the end of the match before. */
static int next_match(lua_State *L) {
    struct ms_bytes subject = check_bytes(L, lua_upvalueindex(1));
    const struct ms_pattern *pattern = lua_touserdata(L, lua_upvalueindex(2));
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer before = lua_tointeger(L, lua_upvalueindex(4));
    struct ms_pattern_match match;
    while (from <= subject.len && find_match(L, pattern, subject, from, &match)) {
        from = match.end;
        if (match.from == match.end && (lua_Integer)match.end == before) {
            from = match.end + 1; /* nothing, right behind the match before */
            continue;
        }
        lua_pushinteger(L, (lua_Integer)from);
        lua_replace(L, lua_upvalueindex(3));
        lua_pushinteger(L, (lua_Integer)match.end);
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(L, subject, &match, true);
    }
    lua_pushinteger(L, (lua_Integer)subject.len + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

static int string_gmatch(lua_State *L) {
    struct ms_bytes subject = check_bytes(L, 1);
    size_t from;
    bool any = start_of(L, 3, subject.len, &from);
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    struct ms_pattern *pattern = lua_newuserdatauv(L, sizeof *pattern, 0);
    compile(L, 2, false, pattern);
    lua_pushinteger(L, any ? (lua_Integer)from : (lua_Integer)subject.len + 1);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, next_match, 4);
    return 1;
}

/* ---- gsub ---- */

struct replacing {
    struct ms_bytes subject;
    struct ms_pattern pattern;
    struct ms_pattern_match match;
};

/* %0 the match, %1 … the captures, %% a percent sign. */
static void add_template(lua_State *L, luaL_Buffer *out, const struct replacing *r) {
    size_t len;
    const char *text = lua_tolstring(L, 3, &len);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            luaL_addchar(out, text[i]);
            continue;
        }
        char c = ++i < len ? text[i] : '\0';
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0' || (c == '1' && r->match.capture_count == 0)) {
            push_whole(L, r->subject, &r->match);
            luaL_addvalue(out);
        } else if (c >= '1' && c <= '9' && (unsigned)(c - '1') < r->match.capture_count) {
            push_capture(L, r->subject, &r->match, (unsigned)(c - '1'));
            luaL_tolstring(L, -1, NULL); /* a position is a number */
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, c >= '1' && c <= '9' ? "invalid capture index in replacement string"
                                               : "invalid use of '%%' in replacement string");
        }
    }
}

static void push_first(lua_State *L, const struct replacing *r) {
    if (r->match.capture_count > 0)
        push_capture(L, r->subject, &r->match, 0);
    else
        push_whole(L, r->subject, &r->match);
}

/* Pushes what the table or function says of the match. */
static void push_replacement(lua_State *L, const struct replacing *r) {
    if (lua_type(L, 3) == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        int n = push_captures(L, r->subject, &r->match, true);
        lua_call(L, n, 1);
    } else {
        push_first(L, r);
        lua_gettable(L, 3);
    }
}

static void add_replacement(lua_State *L, luaL_Buffer *out, const struct replacing *r) {
    if (lua_type(L, 3) == LUA_TSTRING || lua_type(L, 3) == LUA_TNUMBER) {
        add_template(L, out, r);
        return;
    }
    push_replacement(L, r);
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, (const char *)r->subject.data + r->match.from,
                        r->match.end - r->match.from);
        return;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", ms_sandbox_typename(L, -1));
    luaL_addvalue(out);
}

static int string_gsub(lua_State *L) {
    struct replacing r = {.subject = check_bytes(L, 1)};
    int type = lua_type(L, 3);
    luaL_argcheck(L,
                  type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TTABLE ||
                      type == LUA_TFUNCTION || type == LUA_TUSERDATA,
                  3, "string, function or table expected");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)r.subject.len + 1), n = 0;
    luaL_Buffer out;
    size_t at = 0, before = SIZE_MAX;
    lua_settop(L, 3);
    compile(L, 2, true, &r.pattern);
    luaL_buffinit(L, &out);
    while (n < most && at <= r.subject.len && find_match(L, &r.pattern, r.subject, at, &r.match)) {
        bool again = r.match.from == r.match.end && r.match.end == before;
        luaL_addlstring(&out, (const char *)r.subject.data + at, r.match.from - at);
        if (!again) {
            add_replacement(L, &out, &r);
            n++;
        }
        at = before = r.match.end;
        if (again && at < r.subject.len)
            luaL_addchar(&out, (char)r.subject.data[at]);
        at += again;
        if (r.pattern.anchored)
            break;
    }
    if (at < r.subject.len)
        luaL_addlstring(&out, (const char *)r.subject.data + at, r.subject.len - at);
    luaL_pushresult(&out);
    lua_pushinteger(L, n);
    return 2;
}

/* ---- bytes ---- */

/* Upvalue: Lua's. It gives as many values as it is asked for. */
static int string_byte(lua_State *L) {
    struct ms_bytes text = check_bytes(L, 1);
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_Integer to = luaL_optinteger(L, 3, from);
    if (to < 0 || to > from)
        ms_sandbox_charge(L, text.len);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* ---- format ---- */

/* Upvalue: Lua's. Tables and functions are shown by their types, never by where they are. */
static int string_format(lua_State *L) {
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len);
    for (size_t i = 0; i < len; i++) {
        if (format[i] != '%')
            continue;
        i++;
        while (i < len && strchr("-+ #0123456789.", format[i]) != NULL && format[i] != '\0')
            i++;
        if (i < len && format[i] == 'p')
            return luaL_error(L, "string.format: %%p is not available: nothing has an address");
    }
    for (int i = 2; i <= lua_gettop(L); i++)
        if (lua_type(L, i) > LUA_TSTRING || lua_type(L, i) == LUA_TLIGHTUSERDATA) {
            ms_sandbox_tostring(L, i, NULL);
            lua_replace(L, i);
        }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

void ms_sandbox_open_string(lua_State *L) {
    static const char *const kept[] = {"char", "len", "lower", "rep", "reverse", "sub", "upper"};
    static const luaL_Reg wrapped[] = {{"byte", string_byte}, {"format", string_format}};
    static const luaL_Reg own[] = {{"find", string_find},
                                   {"gmatch", string_gmatch},
                                   {"gsub", string_gsub},
                                   {"match", string_match},
                                   {NULL, NULL}};
    lua_newtable(L);
    luaL_requiref(L, "string", luaopen_string, 0);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    for (size_t i = 0; i < sizeof wrapped / sizeof wrapped[0]; i++) {
        lua_getfield(L, -1, wrapped[i].name);
        lua_pushcclosure(L, wrapped[i].func, 1);
        lua_setfield(L, -3, wrapped[i].name);
    }
    lua_pop(L, 1);
    luaL_setfuncs(L, own, 0);
    /* What ("x"):upper() finds. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
}
