/* JSON as Lua values and back; see lua_json.h. */
#include "domain/lua_json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "domain/sandbox_internal.h"

#define NUMBER "ms.number"
#define DEPTH_MAX ((int)MS_JSON_DEPTH_LIMIT)
#define SORTED_HERE_MAX 64 /* names of an object that are sorted without Lua's help */
#define PATH_TEXT_MAX 200

/* Where the registry has the metatable that makes a table an array. */
static const char array_key = 0;

/* ---- null, arrays, large numbers ---- */

void ms_lua_push_null(lua_State *L) { lua_pushlightuserdata(L, NULL); }

static void mark_array(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
    lua_setmetatable(L, -2);
}

static bool is_marked_array(lua_State *L, int index) {
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* array { … }: the table itself, which is one from now on. */
static int make_array(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mark_array(L);
    return 1;
}

static int number_tostring(lua_State *L) {
    luaL_checkudata(L, 1, NUMBER);
    lua_pushlstring(L, lua_touserdata(L, 1), lua_rawlen(L, 1));
    return 1;
}

static int number_equal(lua_State *L) {
    const char *a = luaL_testudata(L, 1, NUMBER), *b = luaL_testudata(L, 2, NUMBER);
    size_t len = a != NULL ? lua_rawlen(L, 1) : 0;
    lua_pushboolean(L, a != NULL && b != NULL && len == lua_rawlen(L, 2) && memcmp(a, b, len) == 0);
    return 1;
}

static int refuse_index(lua_State *L) {
    return luaL_error(L, "attempt to read field '%s' of null", ms_sandbox_tostring(L, 2, NULL));
}

static void set_name(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
}

static void open_types(lua_State *L, void *context) {
    (void)context;
    lua_newtable(L);
    set_name(L, "array");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    luaL_newmetatable(L, NUMBER);
    set_name(L, "number beyond 64 bits");
    lua_pushcfunction(L, number_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, number_equal);
    lua_setfield(L, -2, "__eq");
    ms_lua_push_null(L); /* light userdata share their metatable */
    lua_newtable(L);
    lua_pushcfunction(L, refuse_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_getfield(L, LUA_REGISTRYINDEX, "ms.globals");
    lua_insert(L, -2);
    lua_setfield(L, -2, "null");
}

int ms_lua_json_open(struct ms_sandbox *sandbox) {
    static const struct ms_sandbox_moment none = {0};
    struct ms_sandbox_failure failure;
    if (ms_sandbox_run(sandbox, &none, open_types, NULL, &failure) != 0)
        return MS_ENOMEM;
    return ms_sandbox_define(sandbox, "array", make_array);
}

/* ---- from JSON ---- */

static void push_value(lua_State *L, struct ms_json_value value, int depth);

static void push_string(lua_State *L, struct ms_json_value value) {
    struct ms_bytes raw = ms_bytes_of(value.text.data + 1, value.text.len - 2), text;
    if (raw.len == 0 || memchr(raw.data, '\\', raw.len) == NULL) {
        lua_pushlstring(L, (const char *)raw.data, raw.len);
        return;
    }
    struct ms_arena arena; /* over Lua's memory: an error that is raised leaves nothing behind */
    size_t size = ms_arena_round_up(raw.len);
    ms_arena_init_over(&arena, lua_newuserdatauv(L, size, 0), size, 0);
    if (ms_json_string(value, &arena, &text) != 0)
        luaL_error(L, "not enough memory");
    lua_pushlstring(L, (const char *)text.data, text.len);
    lua_remove(L, -2);
}

static void push_large_number(lua_State *L, struct ms_bytes text) {
    memcpy(lua_newuserdatauv(L, text.len, 0), text.data, text.len);
    luaL_setmetatable(L, NUMBER);
}

static bool is_whole(struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (memchr(".eE", text.data[i], 3) != NULL)
            return false;
    return true;
}

static void push_number(lua_State *L, struct ms_json_value value) {
    char text[64];
    int64_t whole;
    bool negative_zero = ms_bytes_equal_cstr(value.text, "-0");
    if (!negative_zero && ms_json_i64(value, &whole) == 0) {
        lua_pushinteger(L, whole);
        return;
    }
    if (value.text.len >= sizeof text || (is_whole(value.text) && !negative_zero)) {
        push_large_number(L, value.text);
        return;
    }
    memcpy(text, value.text.data, value.text.len);
    text[value.text.len] = '\0';
    double number = strtod(text, NULL);
    if (isfinite(number))
        lua_pushnumber(L, number);
    else
        push_large_number(L, value.text);
}

static void push_array(lua_State *L, struct ms_json_value array, int depth) {
    struct ms_json_value element;
    lua_Integer n = 0;
    size_t at = 0;
    lua_newtable(L);
    while (ms_json_next_element(array, &at, &element)) {
        push_value(L, element, depth + 1);
        lua_rawseti(L, -2, ++n);
    }
    mark_array(L);
}

static void push_object(lua_State *L, struct ms_json_value object, int depth) {
    struct ms_json_value name, value;
    size_t at = 0;
    lua_newtable(L);
    while (ms_json_next_member(object, &at, &name, &value)) {
        push_string(L, name);
        push_value(L, value, depth + 1);
        lua_rawset(L, -3);
    }
}

static void push_value(lua_State *L, struct ms_json_value value, int depth) {
    luaL_checkstack(L, 6, "JSON nests too deeply");
    if (depth > DEPTH_MAX)
        luaL_error(L, "JSON nests too deeply");
    switch (value.type) {
    case MS_JSON_NULL:
        ms_lua_push_null(L);
        return;
    case MS_JSON_FALSE:
    case MS_JSON_TRUE:
        lua_pushboolean(L, value.type == MS_JSON_TRUE);
        return;
    case MS_JSON_NUMBER:
        push_number(L, value);
        return;
    case MS_JSON_STRING:
        push_string(L, value);
        return;
    case MS_JSON_ARRAY:
        push_array(L, value, depth);
        return;
    case MS_JSON_OBJECT:
        push_object(L, value, depth);
        return;
    }
}

void ms_lua_push_json(lua_State *L, struct ms_json_value value) {
    ms_sandbox_charge(L, value.text.len / 16);
    push_value(L, value, 0);
}

void ms_lua_push_json_text(lua_State *L, struct ms_bytes text) {
    struct ms_json_value value;
    struct ms_error err = {0};
    if (text.len == 0) {
        ms_lua_push_null(L);
        return;
    }
    if (ms_json_parse(text, MS_JSON_DEPTH_LIMIT, &value, &err) != 0)
        luaL_error(L, "%s", err.message);
    ms_lua_push_json(L, value);
}

/* ---- where in a value an error is ---- */

struct path {
    const struct path *up; /* NULL: the value itself, `name` is what it is called */
    const char *name;      /* NULL: an element */
    lua_Integer element;
};

static size_t describe(const struct path *path, char *text, size_t at) {
    if (path->up != NULL)
        at = describe(path->up, text, at);
    if (at >= PATH_TEXT_MAX)
        return at;
    int n = path->name == NULL
                ? snprintf(text + at, PATH_TEXT_MAX - at, "[%lld]", (long long)path->element)
                : snprintf(text + at, PATH_TEXT_MAX - at, "%s%.40s", path->up != NULL ? "." : "",
                           path->name);
    return at + (size_t)n;
}

static int fail_at(lua_State *L, const struct path *path, const char *what) {
    char text[PATH_TEXT_MAX];
    describe(path, text, 0);
    return luaL_error(L, "%s %s", text, what);
}

/* ---- to JSON ---- */

struct writing {
    lua_State *L;
    struct ms_buf *out;
};

static void write_value(struct writing *w, int index, const struct path *path, int depth);

static void check(struct writing *w, int code, const struct path *path) {
    if (code == MS_ETOOBIG)
        fail_at(w->L, path, "makes the value larger than it may be");
    if (code != 0)
        luaL_error(w->L, "not enough memory");
}

static void put(struct writing *w, const char *text, const struct path *path) {
    check(w, ms_buf_append_cstr(w->out, text), path);
}

static void write_number(struct writing *w, int index, const struct path *path) {
    char text[40];
    lua_State *L = w->L;
    if (lua_isinteger(L, index)) {
        snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, index));
        put(w, text, path);
        return;
    }
    double number = lua_tonumber(L, index);
    if (!isfinite(number))
        fail_at(L, path, "is no number that JSON has (infinite, or none at all)");
    bool subnormal = fabs(number) < DBL_MIN; /* they have fewer digits than others */
    for (int digits = subnormal ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    put(w, text, path);
    if (strpbrk(text, ".e") == NULL) /* it stays a float */
        put(w, ".0", path);
}

static void write_string(struct writing *w, int index, const struct path *path) {
    size_t len;
    const char *text = lua_tolstring(w->L, index, &len);
    check(w, ms_json_write_string(w->out, ms_bytes_of(text, len)), path);
}

static void write_array(struct writing *w, int table, lua_Integer n, const struct path *path,
                        int depth) {
    put(w, "[", path);
    for (lua_Integer i = 1; i <= n; i++) {
        struct path element = {.up = path, .element = i};
        if (i > 1)
            put(w, ",", path);
        lua_rawgeti(w->L, table, i);
        write_value(w, lua_gettop(w->L), &element, depth + 1);
        lua_pop(w->L, 1);
    }
    put(w, "]", path);
}

/* Of the field whose name is at the top; takes it. */
static void write_field(struct writing *w, int table, bool first, const struct path *path,
                        int depth) {
    struct path field = {.up = path, .name = lua_tostring(w->L, -1)};
    if (!first)
        put(w, ",", path);
    write_string(w, lua_gettop(w->L), &field);
    put(w, ":", path);
    lua_pushvalue(w->L, -1);
    lua_rawget(w->L, table);
    write_value(w, lua_gettop(w->L), &field, depth + 1);
    lua_pop(w->L, 2);
}

static int compare_names(const void *a, const void *b) {
    const struct ms_bytes *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Names stay where they are while they are keys. */
static void write_small_object(struct writing *w, int table, size_t count, const struct path *path,
                               int depth) {
    lua_State *L = w->L;
    struct ms_bytes names[SORTED_HERE_MAX];
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        size_t len;
        const char *name = lua_tolstring(L, -2, &len); /* it is a string: nothing is converted */
        names[n++] = ms_bytes_of(name, len);
    }
    MS_ASSERT(n == count);
    qsort(names, n, sizeof names[0], compare_names);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(L, (const char *)names[i].data, names[i].len);
        write_field(w, table, i == 0, path, depth);
    }
}

static void write_object(struct writing *w, int table, size_t count, const struct path *path,
                         int depth) {
    put(w, "{", path);
    if (count <= SORTED_HERE_MAX) {
        write_small_object(w, table, count, path, depth);
    } else {
        ms_sandbox_push_keys(w->L, table);
        int keys = lua_gettop(w->L);
        for (size_t i = 1; i <= count; i++) {
            lua_rawgeti(w->L, keys, (lua_Integer)i);
            write_field(w, table, i == 1, path, depth);
        }
        lua_pop(w->L, 1);
    }
    put(w, "}", path);
}

/* How many keys of a table are strings, and how many there are. */
static void count_keys(lua_State *L, int table, size_t *ret_names, size_t *ret_all) {
    *ret_names = *ret_all = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        *ret_names += lua_type(L, -2) == LUA_TSTRING;
        ++*ret_all;
    }
}

static void write_table(struct writing *w, int table, const struct path *path, int depth) {
    lua_State *L = w->L;
    size_t names, all, n = lua_rawlen(L, table);
    bool marked = is_marked_array(L, table);
    count_keys(L, table, &names, &all);
    ms_sandbox_charge(L, all);
    if (all == n && (marked || n > 0))
        write_array(w, table, (lua_Integer)n, path, depth);
    else if (marked)
        fail_at(L, path, "is an array with other keys than 1, 2, 3 …, or with gaps: write null");
    else if (names == all)
        write_object(w, table, all, path, depth);
    else
        fail_at(L, path, "has keys that are no strings, and they are not 1, 2, 3 … either");
}

static void write_value(struct writing *w, int index, const struct path *path, int depth) {
    lua_State *L = w->L;
    bool frozen;
    luaL_checkstack(L, 8, NULL);
    if (depth > DEPTH_MAX)
        fail_at(L, path, "nests too deeply, or is within itself");
    switch (lua_type(L, index)) {
    case LUA_TLIGHTUSERDATA:
        return put(w, "null", path);
    case LUA_TBOOLEAN:
        return put(w, lua_toboolean(L, index) ? "true" : "false", path);
    case LUA_TNUMBER:
        return write_number(w, index, path);
    case LUA_TSTRING:
        return write_string(w, index, path);
    case LUA_TTABLE:
        return write_table(w, index, path, depth);
    case LUA_TUSERDATA:
        if (luaL_testudata(L, index, NUMBER) != NULL)
            return check(w, ms_buf_append(w->out, lua_touserdata(L, index), lua_rawlen(L, index)),
                         path);
        if (ms_frozen_push_table(L, index, &frozen)) {
            write_table(w, lua_gettop(L), path, depth);
            lua_pop(L, 1);
            return;
        }
        break;
    case LUA_TNIL:
        fail_at(L, path, "is nil: write null");
        break;
    default:
        break;
    }
    fail_at(L, path, "is nothing that JSON has");
}

void ms_lua_write_json(lua_State *L, int index, const char *what, struct ms_buf *out) {
    struct writing w = {L, out};
    struct path path = {.name = what};
    size_t before = out->len;
    write_value(&w, lua_absindex(L, index), &path, 0);
    ms_sandbox_charge(L, (out->len - before) / 16);
}

/* ---- copies ---- */

static void push_copy(lua_State *L, int index, int depth) {
    bool frozen;
    luaL_checkstack(L, 8, NULL);
    if (depth > DEPTH_MAX)
        luaL_error(L, "a value nests too deeply, or is within itself");
    if (!ms_frozen_push_table(L, index, &frozen)) {
        lua_pushvalue(L, index);
        return;
    }
    int from = lua_gettop(L);
    lua_newtable(L);
    uint64_t n = 0;
    for (lua_pushnil(L); lua_next(L, from) != 0; n++) {
        lua_pushvalue(L, -2);
        push_copy(L, from + 3, depth + 1);
        lua_rawset(L, from + 1);
        lua_settop(L, from + 2);
    }
    ms_sandbox_charge(L, n);
    if (is_marked_array(L, from))
        mark_array(L);
    lua_remove(L, from);
}

void ms_lua_push_copy(lua_State *L, int index) { push_copy(L, lua_absindex(L, index), 0); }
