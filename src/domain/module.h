/*
 * Modules: the files of an app, loaded into a sandbox, and what they declare.
 *
 *     aggregate "order" { initial = {…}, apply = { [type] = function(state, event) … },
 *                         handle = { [command] = function(state, command) … }, snapshot_every = n }
 *     test "what is so" { aggregate = "order", given = {…}, command = {…}, events = {…} }
 *
 * Declarations are checked when they are made: an unknown field, a function that is none, a name
 * that comes twice is an error with file and line, and the whole app is refused. After loading
 * nothing of it can change, so what it does depends on what it is given alone.
 *
 * Within runs of the module's sandbox its functions are reached through the ms_module_push_…
 * functions. Threads: one at a time.
 */
#pragma once

#include "domain/sandbox.h"

struct ms_module;

/* Files in the order in which they are loaded: that of their names. Borrowed for the call. */
struct ms_module_file {
    const char *name;
    struct ms_bytes source;
};

#define MS_MODULE_NAME_MAX 249u /* of an aggregate: it is a topic too */
#define MS_MODULE_AGGREGATES_MAX 1000u
#define MS_MODULE_TESTS_MAX 10000u
#define MS_MODULE_SNAPSHOT_EVERY_DEFAULT 500

struct ms_module_aggregate {
    const char *name; /* the module's */
    int64_t snapshot_every;
};

/* MS_EINVAL: a file is refused, *ret_failure says why; MS_ENOMEM. */
int ms_module_new(const struct ms_module_file *files, size_t count,
                  const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                  struct ms_module **ret_module, struct ms_sandbox_failure *ret_failure)
    MS_MUST_CHECK;
void ms_module_free(struct ms_module *module); /* takes NULL */
struct ms_sandbox *ms_module_sandbox(struct ms_module *module);

size_t ms_module_aggregate_count(const struct ms_module *module);
/* In the order of names. */
const struct ms_module_aggregate *ms_module_aggregate(const struct ms_module *module, size_t i);
const struct ms_module_aggregate *ms_module_find_aggregate(const struct ms_module *module,
                                                           struct ms_bytes name);

/* ---- in runs ---- */

/* The declared table. Raises when there is none of that name. */
void ms_module_push_aggregate(lua_State *L, const char *name);
/* The tests: an array of { title =, place =, spec = }. */
void ms_module_push_tests(lua_State *L);
