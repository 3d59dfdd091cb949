/* Events as modules see them; see lua_event.h. */
#include "domain/lua_event.h"

#include "domain/lua_json.h"

static void set_text(lua_State *L, const char *field, struct ms_bytes text) {
    lua_pushlstring(L, text.data != NULL ? (const char *)text.data : "", text.len);
    lua_setfield(L, -2, field);
}

static bool may_be_json(struct ms_bytes content_type) {
    return content_type.data == NULL || ms_bytes_equal_cstr(content_type, "application/json");
}

/* Records of Kafka's clients say nothing of their type, and may be anything. */
static void push_data(lua_State *L, const struct ms_event *event) {
    struct ms_json_value value;
    if (event->data_is_null || event->data.len == 0)
        ms_lua_push_null(L);
    else if (may_be_json(event->content_type) &&
             ms_json_parse(event->data, MS_JSON_DEPTH_LIMIT, &value, NULL) == 0)
        ms_lua_push_json(L, value);
    else
        lua_pushlstring(L, (const char *)event->data.data, event->data.len);
}

void ms_lua_push_event(lua_State *L, const struct ms_lua_event *event) {
    lua_createtable(L, 0, 8);
    set_text(L, "type", event->event->type);
    set_text(L, "id", event->event->id);
    set_text(L, "key", event->key);
    lua_pushinteger(L, event->version);
    lua_setfield(L, -2, "version");
    lua_pushinteger(L, event->event->timestamp_ms);
    lua_setfield(L, -2, "timestamp");
    push_data(L, event->event);
    lua_setfield(L, -2, "data");
    ms_lua_push_json_text(L, event->event->metadata);
    lua_setfield(L, -2, "metadata");
}
