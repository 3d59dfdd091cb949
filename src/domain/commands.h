/*
 * Commands: a queue before deciders, appends behind them.
 *
 *     submit ──> worker of the instance ──decide──> append ──> settle ──> done
 *                        ↑________ the stream was elsewhere: again ______|
 *
 * Instances are spread over workers, each a thread with a decider of its own. A worker goes on
 * with the next command while appends are on their way, also of the same instance (decider.h). An
 * append that meets another version than was decided on is decided again, on the state as it is
 * now, as often as `attempts` says; who expects a version himself is told instead.
 *
 * Threads: any. `done` is called once per command, by a worker's thread, and must not block.
 */
#pragma once

#include "domain/decider.h"

struct ms_commands;

#define MS_COMMANDS_WORKERS_MAX 64u
struct ms_commands_options {
    struct ms_decider_options decider; /* its files are copied by nobody: they must outlive this */
    unsigned workers;                  /* default 2 */
    unsigned attempts;                 /* default 8 */
    size_t waiting_max; /* commands that are not decided yet, of each worker; default 10,000 */
};

enum ms_command_outcome {
    MS_COMMAND_APPENDED, /* or nothing happened: 0 events */
    MS_COMMAND_REJECTED,
    MS_COMMAND_FAILED, /* the module's fault: `failure` */
    MS_COMMAND_ERROR,  /* `error`, MS_ECONFLICT among them */
};

struct ms_command_result {
    enum ms_command_outcome outcome;
    int64_t version;   /* of the stream now, as far as this command knows; -1 none */
    uint64_t position; /* of the last event; meaningless with 0 events */
    size_t events;
    const struct ms_sandbox_failure *failure;
    const struct ms_error *error;
};
/* What is in the result is borrowed for the call. */
typedef void ms_command_done_fn(void *context, const struct ms_command_result *result);

/* MS_EINVAL: the files are refused, *ret_failure says why; MS_ENOMEM, MS_EIO. */
int ms_commands_new(const struct ms_commands_options *options, struct ms_commands **ret_commands,
                    struct ms_sandbox_failure *ret_failure) MS_MUST_CHECK;
/* Answers what is waiting (MS_ECLOSED), waits for appends that are on their way. Takes NULL. */
void ms_commands_free(struct ms_commands *commands);

/* The command is copied. `expected` is a version that the caller insists on; NULL: any. When this
 * fails, `done` is not called: MS_EAGAIN (too many are waiting), MS_ENOMEM. */
int ms_commands_submit(struct ms_commands *commands, const struct ms_command *command,
                       const int64_t *expected, ms_command_done_fn *done, void *context)
    MS_MUST_CHECK;
