/*
 * JSON as Lua values and back, so that what a module doesn't touch comes back as it was.
 *
 *     JSON                       Lua
 *     null                       null, a value of its own (nil would be no value at all)
 *     true, false, "text"        boolean, string
 *     5, -7                      integer, of 64 bits
 *     0.5, 1.0, 1e3, -0          float; written as the shortest decimal that reads back equal
 *     a number beyond these      a number that can be kept, compared and shown, not reckoned with
 *     [ … ]                      array { … }: [] stays [], and nulls keep their places
 *     { … }                      table; of names that come twice the last counts
 *
 * A table that is no `array` and has the keys 1 … n is written as an array too, an empty one as {};
 * names come out in the order of their bytes. What JSON has no word for (functions, NaN, other
 * keys, a table within itself) is an error that names the path.
 *
 * All of this raises (lua_error) and belongs into runs of a sandbox.
 */
#pragma once

#include "domain/sandbox.h"
#include "wire/json.h"

/* Defines `null` and `array`. MS_ENOMEM. */
int ms_lua_json_open(struct ms_sandbox *sandbox) MS_MUST_CHECK;

/* Pushes the value. */
void ms_lua_push_json(lua_State *L, struct ms_json_value value);
/* The same for text that is known to be valid, empty being null. */
void ms_lua_push_json_text(lua_State *L, struct ms_bytes text);
/* Appends the value at the index to the buffer, whose limit is one of the value too. `what` is what
 * errors call it. */
void ms_lua_write_json(lua_State *L, int index, const char *what, struct ms_buf *out);
/* Pushes a copy that shares no table with the value at the index. */
void ms_lua_push_copy(lua_State *L, int index);
void ms_lua_push_null(lua_State *L);
