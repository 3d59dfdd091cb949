/* The state of one stream; see replay.h. It lies in the registry of the sandbox. */
#include "domain/replay.h"

#include "base/alloc.h"
#include "base/time.h"
#include "domain/aggregate.h"
#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

#define STATE "ms.state"

struct ms_replay {
    struct ms_module *module;
    const char *aggregate; /* the module's; NULL: none */
    struct ms_bytes key;
    int64_t version;
};

struct folding {
    struct ms_replay *replay;
    struct ms_bytes event;
    struct ms_buf *out;
};

static int run(struct ms_replay *replay, ms_sandbox_body *body, struct folding *folding,
               struct ms_error *err) {
    static const struct ms_sandbox_moment none = {0};
    struct ms_sandbox_failure failure = {0};
    if (ms_sandbox_run(ms_module_sandbox(replay->module), &none, body, folding, &failure) == 0)
        return 0;
    return ms_error_set(err, MS_EINVAL, "%s", failure.text);
}

/* ---- events ---- */

/* The event as JSON has it is at 1; its fields get the names that modules know (lua_event.h). */
static void rename_field(lua_State *L, const char *from, const char *to) {
    lua_getfield(L, 1, from);
    lua_setfield(L, 2, to);
}

static void set_timestamp(lua_State *L) {
    int64_t us = 0;
    size_t len;
    lua_getfield(L, 1, "timestamp");
    const char *text = lua_tolstring(L, -1, &len);
    if (text != NULL)
        ms_ignore(ms_time_parse(ms_bytes_of(text, len), &us));
    lua_pushinteger(L, us / 1000);
    lua_setfield(L, 2, "timestamp");
    lua_pop(L, 1);
}

static void push_event(lua_State *L, const struct ms_replay *replay, struct ms_bytes event) {
    ms_lua_push_json_text(L, event);
    lua_createtable(L, 0, 8);
    rename_field(L, "event_type", "type");
    rename_field(L, "event_id", "id");
    rename_field(L, "data", "data");
    rename_field(L, "metadata", "metadata");
    rename_field(L, "version", "version");
    lua_pushlstring(L, (const char *)replay->key.data, replay->key.len);
    lua_setfield(L, 2, "key");
    set_timestamp(L);
}

/* The state is at 3. */
static void lay_over(lua_State *L) {
    if (lua_getfield(L, 2, "data") != LUA_TTABLE)
        return;
    for (lua_pushnil(L); lua_next(L, 4) != 0; lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 3);
    }
}

static void fold(lua_State *L, void *context) {
    struct folding *folding = context;
    struct ms_replay *replay = folding->replay;
    push_event(L, replay, folding->event);
    lua_getfield(L, LUA_REGISTRYINDEX, STATE);
    if (replay->aggregate != NULL)
        ms_aggregate_apply(L, replay->aggregate, 3, 2);
    else
        lay_over(L);
    lua_getfield(L, 2, "version");
    replay->version = lua_tointeger(L, -1);
}

int ms_replay_event(struct ms_replay *replay, struct ms_bytes event, struct ms_error *err) {
    struct folding folding = {.replay = replay, .event = event};
    int code = run(replay, fold, &folding, err);
    if (code != 0)
        ms_error_prefix(err, "the event behind version %lld", (long long)replay->version);
    return code;
}

static void write_state(lua_State *L, void *context) {
    struct folding *folding = context;
    lua_getfield(L, LUA_REGISTRYINDEX, STATE);
    ms_lua_write_json(L, 1, "state", folding->out);
}

int ms_replay_state(struct ms_replay *replay, struct ms_buf *out, int64_t *ret_version,
                    struct ms_error *err) {
    struct folding folding = {.replay = replay, .out = out};
    int code = run(replay, write_state, &folding, err);
    if (code == 0)
        *ret_version = replay->version;
    return code;
}

/* ---- life ---- */

static void begin(lua_State *L, void *context) {
    const struct folding *folding = context;
    if (folding->replay->aggregate != NULL)
        ms_aggregate_push_initial(L, folding->replay->aggregate);
    else
        lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, STATE);
}

static int find_aggregate(struct ms_replay *replay, const struct ms_replay_options *options,
                          struct ms_error *err) {
    if (options->count == 0)
        return 0;
    const struct ms_module_aggregate *found =
        ms_module_find_aggregate(replay->module, options->aggregate);
    if (found == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "the app has no aggregate '%.*s'",
                            (int)options->aggregate.len, (const char *)options->aggregate.data);
    replay->aggregate = found->name;
    return 0;
}

int ms_replay_new(const struct ms_replay_options *options, struct ms_replay **ret_replay,
                  struct ms_error *err) {
    static const struct ms_sandbox_limits limits = {0};
    struct ms_sandbox_failure failure = {0};
    struct ms_replay *replay = ms_calloc(1, sizeof *replay);
    if (replay == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory to fold a state");
    replay->version = -1;
    replay->key = options->key;
    int code = ms_module_new(options->files, options->count, &limits, options->clock,
                             &replay->module, &failure);
    if (code != 0)
        code = ms_error_set(err, code, "%s", code == MS_EINVAL ? failure.text : "no memory");
    if (code == 0)
        code = find_aggregate(replay, options, err);
    if (code == 0)
        code = run(replay, begin, &(struct folding){.replay = replay}, err);
    if (code != 0) {
        ms_replay_free(replay);
        return code;
    }
    *ret_replay = replay;
    return 0;
}

void ms_replay_free(struct ms_replay *replay) {
    if (replay == NULL)
        return;
    ms_module_free(replay->module);
    ms_free(replay);
}
