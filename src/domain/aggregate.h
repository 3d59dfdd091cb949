/*
 * What an aggregate's declaration does: states folded from events, and events decided from a state
 * and a command (event sourcing; the decider pattern).
 *
 *     initial ──apply──> state ──apply──> state ──handle(command)──> events, or a rejection
 *
 * `apply` changes the state it is given. `handle` may only read it, and returns the events, {} for
 * none. Events whose type has no `apply` are passed over when a state is folded, so that others may
 * add to the stream; what `handle` returns must have one.
 *
 * All of this raises (lua_error) and belongs into runs of the module's sandbox.
 */
#pragma once

#include "domain/module.h"

/* A state of its own. */
void ms_aggregate_push_initial(lua_State *L, const char *name);
/* Both are indexes of the stack: a table that changes, a table that is only read. */
void ms_aggregate_apply(lua_State *L, const char *name, int state, int event);
/* Pushes an array of events: { type =, data =, metadata = }, checked. */
void ms_aggregate_handle(lua_State *L, const char *name, int state, int command);
