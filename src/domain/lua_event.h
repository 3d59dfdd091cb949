/*
 * Events as modules see them:
 *
 *     { type =, data =, metadata =, id =, version =, key =, timestamp = }
 *
 * `version` is the stream's, `timestamp` milliseconds since 1970, `key` the instance. There is
 * no position: an aggregate applies its events before they have one. Data that is no JSON is a
 * string of its bytes.
 *
 * All of this raises (lua_error) and belongs into runs of a sandbox.
 */
#pragma once

#include <lua.h>

#include "wire/event.h"

struct ms_lua_event {
    const struct ms_event *event;
    int64_t version;
    struct ms_bytes key;
};
void ms_lua_push_event(lua_State *L, const struct ms_lua_event *event);
