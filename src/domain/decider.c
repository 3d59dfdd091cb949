/*
 * Deciders; see decider.h. States are kept in the module's sandbox, in two generations:
 *
 *     "ms.young", "ms.old" ──> { [stream] = { state, version } }
 *
 * What is used comes to the young ones; when these are many they become the old ones, and what was
 * old is forgotten.
 */
#include "domain/decider.h"

#include "base/alloc.h"
#include "base/uuid.h"
#include "domain/aggregate.h"
#include "domain/lua_event.h"
#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

#define KEPT_DEFAULT 10000
#define TEXT_MAX ((size_t)64 << 20)
#define YOUNG "ms.young"
#define OLD "ms.old"

struct ms_decider {
    struct ms_decider_options options;
    struct ms_module *module; /* NULL: to be made anew */
    size_t young;
    struct ms_buf text; /* of what is being decided */
};

/* One command, or one event that is applied. */
struct deciding {
    struct ms_decider *decider;
    const struct ms_command *command;
    const char *aggregate; /* the module's */
    struct ms_bytes stream;
    struct ms_arena *arena;
    bool kept;     /* the state was there */
    bool handling; /* it is `handle` that runs, which may reject and changes nothing */
    const struct ms_read_event *applied;
    struct ms_event *events;
    size_t count;
    int64_t expected;
    struct ms_sandbox_failure failure;
    int code; /* of what is no affair of the module's */
};

/* ---- states that are kept ---- */

static void push_stream(lua_State *L, struct ms_bytes stream) {
    lua_pushlstring(L, (const char *)stream.data, stream.len);
}

static void make_generations(lua_State *L, void *context) {
    (void)context;
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, YOUNG);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, OLD);
}

static void age(lua_State *L, struct ms_decider *decider) {
    if (++decider->young <= decider->options.kept_max / 2)
        return;
    decider->young = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, YOUNG);
    lua_setfield(L, LUA_REGISTRYINDEX, OLD);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, YOUNG);
}

/* The entry at the top is used; stays there. */
static void make_young(lua_State *L, const struct deciding *d) {
    age(L, d->decider);
    lua_getfield(L, LUA_REGISTRYINDEX, YOUNG);
    push_stream(L, d->stream);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static bool push_from(lua_State *L, const char *generation, struct ms_bytes stream) {
    lua_getfield(L, LUA_REGISTRYINDEX, generation);
    push_stream(L, stream);
    bool found = lua_rawget(L, -2) != LUA_TNIL;
    lua_remove(L, -2);
    if (!found)
        lua_pop(L, 1);
    return found;
}

/* Pushes the entry { state, version }; false: it isn't kept. */
static bool push_kept(lua_State *L, const struct deciding *d) {
    if (push_from(L, YOUNG, d->stream))
        return true;
    if (!push_from(L, OLD, d->stream))
        return false;
    make_young(L, d);
    return true;
}

static void forget(lua_State *L, void *context) {
    const struct deciding *d = context;
    static const char *const generations[] = {YOUNG, OLD};
    for (size_t i = 0; i < 2; i++) {
        lua_getfield(L, LUA_REGISTRYINDEX, generations[i]);
        push_stream(L, d->stream);
        lua_pushnil(L);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
}

static int64_t version_of(lua_State *L, int entry) {
    lua_rawgeti(L, entry, 2);
    int64_t version = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return version;
}

static void set_version(lua_State *L, int entry, int64_t version) {
    lua_pushinteger(L, version);
    lua_rawseti(L, entry, 2);
}

/* ---- runs ---- */

static int make_module(struct ms_decider *decider, struct ms_sandbox_failure *ret_failure) {
    static const struct ms_sandbox_moment none = {0};
    const struct ms_decider_options *options = &decider->options;
    int code = ms_module_new(options->files, options->file_count, &options->limits, options->clock,
                             &decider->module, ret_failure);
    if (code == 0)
        code = ms_sandbox_run(ms_module_sandbox(decider->module), &none, make_generations, NULL,
                              ret_failure);
    decider->young = 0;
    return code;
}

/* A sandbox that is broken is made anew before it is used again. */
static int run(struct deciding *d, ms_sandbox_body *body) {
    struct ms_decider *decider = d->decider;
    struct ms_sandbox_moment moment = {.now_ms = d->command != NULL ? d->command->now_ms : 0,
                                       .seed = d->command != NULL ? d->command->id
                                                                  : (struct ms_bytes){0}};
    if (decider->module == NULL && make_module(decider, &d->failure) != 0)
        return MS_ENOMEM;
    int code = ms_sandbox_run(ms_module_sandbox(decider->module), &moment, body, d, &d->failure);
    if (ms_sandbox_is_broken(ms_module_sandbox(decider->module))) {
        ms_module_free(decider->module);
        decider->module = NULL;
    }
    return code;
}

static void run_forget(struct deciding *d) {
    struct deciding forgetting = {.decider = d->decider, .stream = d->stream};
    if (d->decider->module != NULL && run(&forgetting, forget) != 0) {
        ms_module_free(d->decider->module); /* without memory for it: everything is forgotten */
        d->decider->module = NULL;
    }
}

/* ---- folding a state from its stream ---- */

static void begin_state(lua_State *L, void *context) {
    const struct deciding *d = context;
    lua_createtable(L, 2, 0);
    ms_aggregate_push_initial(L, d->aggregate);
    lua_rawseti(L, 1, 1);
    set_version(L, 1, -1);
    make_young(L, d);
}

static void apply_stored(lua_State *L, void *context) {
    const struct deciding *d = context;
    struct ms_lua_event event = {&d->applied->event, d->applied->place.version, d->command->key};
    if (!push_kept(L, d))
        luaL_error(L, "the state went away while it was folded");
    lua_rawgeti(L, 1, 1);
    ms_lua_push_event(L, &event);
    ms_aggregate_apply(L, d->aggregate, 2, 3);
    set_version(L, 1, event.version);
}

static int visit(void *context, const struct ms_read_event *event) {
    struct deciding *d = context;
    d->applied = event;
    return run(d, apply_stored);
}

/* MS_EINVAL: `apply` has failed, d->failure says why. */
static int fold(struct deciding *d, struct ms_error *err) {
    struct ms_stream_read read = {.stream = d->stream, .limit = SIZE_MAX};
    struct ms_stream_read_result result;
    int code = run(d, begin_state);
    if (code == 0)
        code = ms_store_read_stream(d->decider->options.store, &read, visit, d, &result, err);
    if (code == 0 && result.state == MS_STREAM_TOMBSTONED)
        code = ms_error_set(err, MS_ETOMBSTONED, "the stream '%.*s' was tombstoned",
                            (int)d->stream.len, (const char *)d->stream.data);
    if (code != 0)
        run_forget(d);
    return code;
}

/* ---- handling ---- */

/* The n-th event of a command has this id, whenever it is decided. */
static int make_id(struct deciding *d, size_t n, struct ms_bytes *ret_id) {
    struct ms_uuid uuid;
    struct ms_hash128 hash = ms_hash128_pair(d->stream, d->command->id, n + 1);
    uint8_t bytes[16];
    char *text = ms_arena_alloc(d->arena, MS_UUID_TEXT_LEN + 1);
    if (text == NULL)
        return MS_ENOMEM;
    memcpy(bytes, &hash, sizeof bytes);
    ms_uuid_v4(bytes, &uuid);
    ms_uuid_format(&uuid, text);
    *ret_id = ms_bytes_of(text, MS_UUID_TEXT_LEN);
    return 0;
}

/* A field of the event at the top, as JSON in the arena; absent when it is nil. */
static int take_json(lua_State *L, struct deciding *d, const char *field,
                     struct ms_bytes *ret_json) {
    struct ms_buf *text = &d->decider->text;
    if (lua_getfield(L, -1, field) != LUA_TNIL) {
        ms_buf_clear(text);
        ms_lua_write_json(L, -1, field, text);
        char *copy = ms_arena_strdup(d->arena, ms_buf_bytes(text));
        if (copy == NULL)
            return MS_ENOMEM;
        *ret_json = ms_bytes_of(copy, text->len);
    }
    lua_pop(L, 1);
    return 0;
}

static int take_event(lua_State *L, struct deciding *d, size_t n) {
    struct ms_event *event = &d->events[n];
    size_t len;
    lua_getfield(L, -1, "type");
    const char *type = lua_tolstring(L, -1, &len);
    char *copy = ms_arena_strdup(d->arena, ms_bytes_of(type, len));
    lua_pop(L, 1);
    *event = (struct ms_event){
        .type = ms_bytes_of(copy, len),
        .timestamp_ms = d->command->now_ms,
        .correlation_id =
            d->command->correlation_id.len > 0 ? d->command->correlation_id : d->command->id,
        .causation_id = d->command->id,
    };
    int code = copy != NULL ? make_id(d, n, &event->id) : MS_ENOMEM;
    if (code == 0)
        code = take_json(L, d, "data", &event->data);
    return code == 0 ? take_json(L, d, "metadata", &event->metadata) : code;
}

/* As it will be when it is read back: what Lua's values don't share with JSON is gone. */
static void apply_new(lua_State *L, struct deciding *d, int entry, int state, size_t n) {
    struct ms_lua_event event = {&d->events[n], d->expected + 1 + (int64_t)n, d->command->key};
    ms_lua_push_event(L, &event);
    ms_aggregate_apply(L, d->aggregate, state, lua_gettop(L));
    lua_pop(L, 1);
    set_version(L, entry, event.version);
}

static void push_command(lua_State *L, const struct ms_command *command) {
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, (const char *)command->type.data, command->type.len);
    lua_setfield(L, -2, "type");
    lua_pushlstring(L, (const char *)command->key.data, command->key.len);
    lua_setfield(L, -2, "key");
    lua_pushlstring(L, (const char *)command->id.data, command->id.len);
    lua_setfield(L, -2, "id");
    ms_lua_push_json_text(L, command->data);
    lua_setfield(L, -2, "data");
}

/* Stack: entry, state, command, events. */
static void handle(lua_State *L, void *context) {
    struct deciding *d = context;
    d->kept = push_kept(L, d);
    if (!d->kept)
        return;
    d->expected = version_of(L, 1);
    lua_rawgeti(L, 1, 1);
    push_command(L, d->command);
    d->handling = true;
    ms_aggregate_handle(L, d->aggregate, 2, 3);
    d->handling = false;
    size_t count = lua_rawlen(L, 4);
    d->events = ms_arena_alloc(d->arena, (count + 1) * sizeof *d->events);
    d->code = d->events != NULL ? 0 : MS_ENOMEM;
    for (size_t n = 0; d->code == 0 && n < count; n++) {
        lua_rawgeti(L, 4, (lua_Integer)n + 1);
        d->code = take_event(L, d, n);
        lua_pop(L, 1);
    }
    for (size_t n = 0; d->code == 0 && n < count; n++)
        apply_new(L, d, 1, 2, n);
    d->count = count;
}

/* ---- deciding ---- */

static int name_stream(struct deciding *d, struct ms_error *err) {
    struct ms_buf *text = &d->decider->text;
    ms_buf_clear(text);
    int code = ms_store_stream_name(d->command->aggregate, d->command->key, text, err);
    if (code != 0)
        return code;
    char *copy = ms_arena_strdup(d->arena, ms_buf_bytes(text));
    d->stream = ms_bytes_of(copy, text->len);
    return copy != NULL ? 0 : MS_ENOMEM;
}

static bool is_rejection(const struct deciding *d) {
    return d->failure.outcome == MS_SANDBOX_REJECTED && d->handling;
}

static void tell_failure(const struct deciding *d, struct ms_decision *decision) {
    decision->failure = d->failure;
    decision->kind = is_rejection(d) ? MS_DECISION_REJECTED : MS_DECISION_FAILED;
}

static int decide(struct deciding *d, struct ms_error *err) {
    int code = run(d, handle);
    if (code != 0 || d->kept)
        return code;
    code = fold(d, err);
    return code == 0 ? run(d, handle) : code;
}

/* The arena's copy of the name that the module has. */
static int find_aggregate(struct deciding *d, struct ms_error *err) {
    struct ms_sandbox_failure failure;
    struct ms_decider *decider = d->decider;
    if (decider->module == NULL && make_module(decider, &failure) != 0)
        return MS_ENOMEM;
    const struct ms_module_aggregate *found =
        ms_module_find_aggregate(decider->module, d->command->aggregate);
    if (found == NULL)
        return ms_error_set(err, MS_ENOTFOUND, "there is no aggregate '%.*s'",
                            (int)(d->command->aggregate.len < 80 ? d->command->aggregate.len : 80),
                            (const char *)d->command->aggregate.data);
    d->aggregate = ms_arena_strdup(d->arena, ms_bytes_cstr(found->name));
    return d->aggregate != NULL ? 0 : MS_ENOMEM;
}

int ms_decider_decide(struct ms_decider *decider, const struct ms_command *command,
                      struct ms_arena *arena, struct ms_decision *ret_decision,
                      struct ms_error *err) {
    struct deciding d = {.decider = decider, .command = command, .arena = arena};
    struct ms_decision decision = {.kind = MS_DECIDED};
    MS_ASSERT(command->id.len > 0);
    int code = find_aggregate(&d, err);
    if (code == 0)
        code = name_stream(&d, err);
    if (code == 0)
        code = decide(&d, err);
    if (code == 0)
        code = d.code;
    if (code != 0 && !is_rejection(&d) && d.stream.data != NULL)
        run_forget(&d); /* `apply` may have begun */
    if (code == MS_EINVAL && d.failure.outcome != MS_SANDBOX_DONE) {
        tell_failure(&d, &decision);
        code = 0;
    }
    if (code != 0)
        return ms_error_settle(err, code, "command");
    decision.stream = d.stream;
    decision.expected = d.expected;
    decision.events = d.events;
    decision.count = d.count;
    *ret_decision = decision;
    return 0;
}

void ms_decider_settle(struct ms_decider *decider, struct ms_bytes stream, bool appended) {
    struct deciding d = {.decider = decider, .stream = stream};
    if (!appended)
        run_forget(&d);
}

/* ---- life ---- */

int ms_decider_new(const struct ms_decider_options *options, struct ms_decider **ret_decider,
                   struct ms_sandbox_failure *ret_failure) {
    struct ms_decider *decider = ms_calloc(1, sizeof *decider);
    if (decider == NULL)
        return MS_ENOMEM;
    decider->options = *options;
    if (decider->options.kept_max == 0)
        decider->options.kept_max = KEPT_DEFAULT;
    ms_buf_init(&decider->text, TEXT_MAX);
    int code = make_module(decider, ret_failure);
    if (code != 0) {
        ms_decider_free(decider);
        return code;
    }
    *ret_decider = decider;
    return 0;
}

void ms_decider_free(struct ms_decider *decider) {
    if (decider == NULL)
        return;
    ms_module_free(decider->module);
    ms_buf_deinit(&decider->text);
    ms_free(decider);
}
