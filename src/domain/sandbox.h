/*
 * Sandboxes: Lua states that can compute, and nothing else.
 *
 * What runs in one has no file, network, clock, randomness, `load`, `debug`, coroutines,
 * metatables or finalizers, and sees no address of anything. The same calls with the same values
 * give the same results, on every machine:
 *
 *   pairs, next       in the order of keys: numbers, then strings by bytes, then false and true
 *   table.sort        stable, and the same for every input
 *   tostring          of a table or function is its type
 *   now(), uuid()     are of the moment that the call is given
 *
 * Every run has budgets: of steps (instructions, and what library functions go through), of memory
 * and, should all that fail to hold something, of time. Nothing in the sandbox can catch a budget
 * that is exceeded, nor reject(). Whoever sees `broken` afterwards makes a new sandbox: what runs
 * next in this one could depend on where the other was cut off.
 *
 *     load files ──> freeze ──> run ──> run ──> …
 *
 * From ms_sandbox_freeze on globals and what libraries hold can't be changed any more.
 *
 * Threads: one at a time.
 */
#pragma once

#include <lua.h>

#include "base/bytes.h"
#include "os/clock.h"

struct ms_sandbox;

/* 0: the default. */
struct ms_sandbox_limits {
    uint64_t steps;      /* of one run; default 10,000,000 */
    size_t memory_bytes; /* of the whole sandbox; default 64 MiB */
    int64_t time_us;     /* of one run; default 2 s */
};

/* What a run takes the time and new ids from. */
struct ms_sandbox_moment {
    int64_t now_ms;       /* since 1970 */
    struct ms_bytes seed; /* the id of the event or command; may be empty */
};

enum ms_sandbox_outcome {
    MS_SANDBOX_DONE,
    MS_SANDBOX_REJECTED, /* reject() was called */
    MS_SANDBOX_FAILED,   /* an ordinary error of the code that ran */
    MS_SANDBOX_STEPS,    /* the budgets: */
    MS_SANDBOX_MEMORY,
    MS_SANDBOX_TIME,
};

#define MS_SANDBOX_CODE_MAX 128u
#define MS_SANDBOX_TEXT_MAX 4096u
struct ms_sandbox_failure {
    enum ms_sandbox_outcome outcome;
    char code[MS_SANDBOX_CODE_MAX]; /* of a rejection */
    char text[MS_SANDBOX_TEXT_MAX]; /* what reject() said; else file:line: what, and the stack */
};

/* MS_ENOMEM. */
int ms_sandbox_new(const struct ms_sandbox_limits *limits, struct ms_clock *clock,
                   struct ms_sandbox **ret_sandbox) MS_MUST_CHECK;
void ms_sandbox_free(struct ms_sandbox *sandbox); /* takes NULL */
/* A run has exceeded its budget of memory or steps in it. */
bool ms_sandbox_is_broken(const struct ms_sandbox *sandbox);
/* Bytes that it holds. */
size_t ms_sandbox_memory(const struct ms_sandbox *sandbox);

/* Adds a global function, or with a library's name one of its. Before files are loaded. */
typedef int ms_sandbox_function(lua_State *L);
int ms_sandbox_define(struct ms_sandbox *sandbox, const char *name, ms_sandbox_function *function)
    MS_MUST_CHECK;
/* Compiles and runs a file of source text; `name` is what errors call it. MS_EINVAL with
 * *ret_failure filled, MS_ENOMEM. */
int ms_sandbox_load(struct ms_sandbox *sandbox, const char *name, struct ms_bytes source,
                    struct ms_sandbox_failure *ret_failure) MS_MUST_CHECK;
void ms_sandbox_freeze(struct ms_sandbox *sandbox);

/* Runs `body`, within the budgets; what it raises (lua_error) ends the run. The stack is empty
 * before and after. 0, or MS_EINVAL with *ret_failure filled. */
typedef void ms_sandbox_body(lua_State *L, void *context);
int ms_sandbox_run(struct ms_sandbox *sandbox, const struct ms_sandbox_moment *moment,
                   ms_sandbox_body *body, void *context, struct ms_sandbox_failure *ret_failure)
    MS_MUST_CHECK;
