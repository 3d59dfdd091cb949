/*
 * The `mainstem` command: what every part of it shares.
 *
 *   main.c           the process: standard streams, environment
 *   run.c            which command, and how its failure ends
 *   command_table.c  the one table of commands and options
 *   args.c           command line to invocation, checked against the table
 *   help.c man.c     help and the manual page, from the table
 *   target.h         a server or a data directory, behind one interface
 *   cmd_*.c          the commands
 *   output.c         events and objects for people or as JSON lines; progress
 *
 * Output is for people on a terminal and JSON lines in a pipe or with --json; messages and progress
 * go to standard error. One thread.
 */
#pragma once

#include <stdio.h>

#include "os/env.h"

/* Exit statuses, for the manual too. */
#define MS_EXIT_LIST(X)                                                                            \
    X(MS_EXIT_OK, 0, "success")                                                                    \
    X(MS_EXIT_FAILURE, 1, "failure")                                                               \
    X(MS_EXIT_USAGE, 2, "the command line or a setting is wrong")                                  \
    X(MS_EXIT_CONFLICT, 3,                                                                         \
      "conflict: the stream is not at the expected version, an event id was used for something "   \
      "else, a query condition failed, or a group has members")                                    \
    X(MS_EXIT_NOT_FOUND, 4,                                                                        \
      "no such stream, topic, group, projection, query or file, or it was deleted")                \
    X(MS_EXIT_UNAVAILABLE, 5,                                                                      \
      "no server answers there, or it can't do this now, or the data directory is in use")         \
    X(MS_EXIT_UNKNOWN, 6, "the outcome is not known: send again with the same event ids")          \
    X(MS_EXIT_LOG_STOPPED, 70, "serve: the log could not be made durable and has stopped")
enum ms_exit {
#define X(name, value, text) name = (value),
    MS_EXIT_LIST(X)
#undef X
};

struct ms_cli {
    const struct ms_env *env;
    const char *const *environment; /* "NAME=value", ends with NULL */
    FILE *in, *out, *err;
    bool out_is_terminal, err_is_terminal;
};

/* Runs one command; returns the exit status. */
int ms_cli_run(struct ms_cli *cli, int argc, const char *const *argv);

/* The exit status for an error code. */
int ms_cli_exit_status(int code);
/* Prints "mainstem: <message>" and returns the exit status for the code. */
int ms_cli_fail(struct ms_cli *cli, int code, const struct ms_error *err);
/* NULL when the variable is not set. */
const char *ms_cli_variable(const struct ms_cli *cli, const char *name);
