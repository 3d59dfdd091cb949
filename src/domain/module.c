/*
 * Modules; see module.h. What is declared lies in one table of the registry:
 *
 *     "ms.app" ──> { aggregates = { [name] = declared table }, tests = { { title, place, spec } } }
 */
#include "domain/module.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/suggest.h"
#include "domain/declare.h"
#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

#define APP "ms.app"

struct ms_module {
    struct ms_sandbox *sandbox;
    struct ms_arena arena; /* names */
    struct ms_module_aggregate *aggregates;
    size_t aggregate_count;
};

/* ---- declarations ---- */

static void push_declared(lua_State *L, const char *kind) {
    lua_getfield(L, LUA_REGISTRYINDEX, APP);
    lua_getfield(L, -1, kind);
    lua_remove(L, -2);
}

static void check_function_table(lua_State *L, int table, const char *what, const char *field) {
    luaL_checkstack(L, 6, NULL);
    if (lua_getfield(L, table, field) == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "%s: '%s' is a table of functions by name, not a %s", what, field,
                   ms_sandbox_typename(L, -1));
    ms_sandbox_push_keys(L, -1);
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 2)) {
        bool named = lua_rawgeti(L, -1, i) == LUA_TSTRING;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -4) != LUA_TFUNCTION || !named)
            luaL_error(L, "%s: '%s' has functions by name, and %s is none", what, field,
                       named ? lua_tostring(L, -2) : "something without a name");
    }
    lua_pop(L, 2);
}

static void check_snapshot_every(lua_State *L, int table, const char *what) {
    int type = lua_getfield(L, table, "snapshot_every");
    if (type != LUA_TNIL && (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1))
        luaL_error(L, "%s: 'snapshot_every' is a whole number from 1 on", what);
    lua_pop(L, 1);
}

static void check_initial(lua_State *L, int table, const char *what) {
    int type = lua_getfield(L, table, "initial");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "%s: 'initial' is a table, not a %s", what, ms_sandbox_typename(L, -1));
    lua_pop(L, 1);
}

static void declare_aggregate(lua_State *L, const char *name, int table) {
    static const char *const fields[] = {"initial", "apply", "handle", "snapshot_every", NULL};
    const char *what = lua_pushfstring(L, "aggregate \"%s\"", name);
    ms_declare_check_fields(L, table, what, fields);
    check_function_table(L, table, what, "apply");
    check_function_table(L, table, what, "handle");
    check_snapshot_every(L, table, what);
    check_initial(L, table, what);
    push_declared(L, "aggregates");
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        luaL_error(L, "%s is declared twice", what);
    lua_pop(L, 1);
    lua_pushvalue(L, table);
    lua_setfield(L, -2, name);
}

static int aggregate_table(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    declare_aggregate(L, lua_tostring(L, lua_upvalueindex(1)), 1);
    return 0;
}

static int aggregate(lua_State *L) {
    ms_declare_check_name(L, 1, "aggregate", MS_MODULE_NAME_MAX);
    lua_settop(L, 1);
    lua_pushcclosure(L, aggregate_table, 1);
    return 1;
}

/* ---- tests ---- */

/* "file:line" of who calls. */
static void push_place(lua_State *L) {
    size_t len;
    luaL_where(L, 1);
    const char *where = lua_tolstring(L, -1, &len);
    lua_pushlstring(L, where, len >= 2 ? len - 2 : 0); /* without ": " */
    lua_remove(L, -2);
}

static int test_table(lua_State *L) {
    static const char *const fields[] = {"aggregate", "given", "command", "events",
                                         "reject",    "error", "state",   NULL};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    const char *what = lua_pushfstring(L, "test \"%s\"", lua_tostring(L, lua_upvalueindex(1)));
    ms_declare_check_fields(L, 1, what, fields);
    if (lua_getfield(L, 1, "aggregate") != LUA_TSTRING)
        luaL_error(L, "%s: 'aggregate' is missing: the name of what is tested", what);
    push_declared(L, "tests");
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    if (n == (lua_Integer)MS_MODULE_TESTS_MAX)
        luaL_error(L, "%s: an app has at most %d tests", what, (int)MS_MODULE_TESTS_MAX);
    lua_newtable(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "title");
    push_place(L);
    lua_setfield(L, -2, "place");
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "spec");
    lua_rawseti(L, -2, n + 1);
    return 0;
}

static int test(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, test_table, 1);
    return 1;
}

/* event(type [, data [, metadata]]): what handle returns, and what tests give. */
static int event(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_settop(L, 3);
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "type");
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "data");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "metadata");
    return 1;
}

/* ---- loading ---- */

static void make_app(lua_State *L, void *context) {
    (void)context;
    lua_newtable(L);
    lua_newtable(L);
    lua_setfield(L, -2, "aggregates");
    lua_newtable(L);
    lua_setfield(L, -2, "tests");
    lua_setfield(L, LUA_REGISTRYINDEX, APP);
}

static int open_sandbox(struct ms_module *module, struct ms_sandbox_failure *ret_failure) {
    static const struct {
        const char *name;
        ms_sandbox_function *function;
    } globals[] = {{"aggregate", aggregate}, {"event", event}, {"test", test}};
    static const struct ms_sandbox_moment none = {0};
    int code = ms_lua_json_open(module->sandbox);
    for (size_t i = 0; code == 0 && i < sizeof globals / sizeof globals[0]; i++)
        code = ms_sandbox_define(module->sandbox, globals[i].name, globals[i].function);
    return code == 0 ? ms_sandbox_run(module->sandbox, &none, make_app, NULL, ret_failure) : code;
}

static int compare_aggregates(const void *a, const void *b) {
    const struct ms_module_aggregate *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int64_t snapshot_every(lua_State *L, int table) {
    lua_getfield(L, table, "snapshot_every");
    int64_t every = lua_isnil(L, -1) ? MS_MODULE_SNAPSHOT_EVERY_DEFAULT : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return every;
}

/* Tells C what was declared. */
static void list_aggregates(lua_State *L, void *context) {
    struct ms_module *module = context;
    size_t count = 0;
    push_declared(L, "aggregates");
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1))
        count++;
    if (count > MS_MODULE_AGGREGATES_MAX)
        luaL_error(L, "an app has at most %d aggregates", (int)MS_MODULE_AGGREGATES_MAX);
    module->aggregates = ms_arena_zalloc(&module->arena, (count + 1) * sizeof *module->aggregates);
    if (module->aggregates == NULL)
        luaL_error(L, "not enough memory");
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        struct ms_module_aggregate *one = &module->aggregates[module->aggregate_count];
        one->name = ms_arena_strdup(&module->arena, ms_bytes_cstr(lua_tostring(L, -2)));
        if (one->name == NULL)
            luaL_error(L, "not enough memory");
        one->snapshot_every = snapshot_every(L, lua_gettop(L));
        module->aggregate_count++;
    }
    qsort(module->aggregates, module->aggregate_count, sizeof *module->aggregates,
          compare_aggregates);
}

static int load(struct ms_module *module, const struct ms_module_file *files, size_t count,
                struct ms_sandbox_failure *ret_failure) {
    static const struct ms_sandbox_moment none = {0};
    int code = open_sandbox(module, ret_failure);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = ms_sandbox_load(module->sandbox, files[i].name, files[i].source, ret_failure);
    ms_sandbox_freeze(module->sandbox);
    return code == 0 ? ms_sandbox_run(module->sandbox, &none, list_aggregates, module, ret_failure)
                     : code;
}

int ms_module_new(const struct ms_module_file *files, size_t count,
                  const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                  struct ms_module **ret_module, struct ms_sandbox_failure *ret_failure) {
    struct ms_module *module = ms_calloc(1, sizeof *module);
    if (module == NULL)
        return MS_ENOMEM;
    ms_arena_init(&module->arena, (size_t)1 << 20);
    int code = ms_sandbox_new(limits, clock, &module->sandbox);
    if (code == 0)
        code = load(module, files, count, ret_failure);
    if (code != 0) {
        ms_module_free(module);
        return code;
    }
    *ret_module = module;
    return 0;
}

void ms_module_free(struct ms_module *module) {
    if (module == NULL)
        return;
    ms_sandbox_free(module->sandbox);
    ms_arena_deinit(&module->arena);
    ms_free(module);
}

struct ms_sandbox *ms_module_sandbox(struct ms_module *module) {
    return module->sandbox;
}

size_t ms_module_aggregate_count(const struct ms_module *module) { return module->aggregate_count; }

const struct ms_module_aggregate *ms_module_aggregate(const struct ms_module *module, size_t i) {
    MS_ASSERT(i < module->aggregate_count);
    return &module->aggregates[i];
}

const struct ms_module_aggregate *ms_module_find_aggregate(const struct ms_module *module,
                                                           struct ms_bytes name) {
    for (size_t i = 0; i < module->aggregate_count; i++)
        if (ms_bytes_equal_cstr(name, module->aggregates[i].name))
            return &module->aggregates[i];
    return NULL;
}

/* ---- in runs ---- */

void ms_module_push_aggregate(lua_State *L, const char *name) {
    push_declared(L, "aggregates");
    if (lua_getfield(L, -1, name) == LUA_TNIL)
        luaL_error(L, "there is no aggregate \"%s\"", name);
    lua_remove(L, -2);
}

void ms_module_push_tests(lua_State *L) { push_declared(L, "tests"); }
