/* Checks that declarations of modules share. All raise, naming file and line of the declaration. */
#pragma once

#include <lua.h>

#include "base/bytes.h"

/* The argument is a name: 1 … max of [A-Za-z0-9._-]. */
void ms_declare_check_name(lua_State *L, int index, const char *kind, size_t max);
/* The table has no fields but these (NULL ends the list); a likely one is suggested. */
void ms_declare_check_fields(lua_State *L, int table, const char *what, const char *const *fields);
