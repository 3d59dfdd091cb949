/*
 * `mainstem serve`: the life of a server process.
 *
 *   start    raise the limit of open files, open the store (with progress in the log), start the
 *            faces, write one line per face to `out`, write the ready file
 *   running  wait for signals: reload, stop, or the log has stopped
 *   stop     no more connections, requests in flight finish (http.drain_timeout, then
 *            kafka.drain_timeout), store closed cleanly; a second signal ends the process at once
 *
 * The ready file is JSON: {"http":"127.0.0.1:8080","kafka":"127.0.0.1:9092","pid":4711}, where a
 * face that is off is missing. It is written atomically after
 * everything serves, and removed by a graceful stop; one that is there at the start is removed
 * first, so that it never speaks of another process.
 *
 * Call it from the main thread, before any other thread is started; it owns the process' signals.
 */
#pragma once

#include <stdio.h>

#include "os/env.h"
#include "server/config.h"

struct ms_serve_options {
    const struct ms_env *env;
    struct ms_config *config;                /* changed by reloads */
    const struct ms_config_sources *sources; /* read again by reloads */
    FILE *out;
};

/* Returns when the server has stopped: 0 after a graceful stop. *ret_log_stopped (always written):
 * the log could not go on, nothing more was acknowledged; *err says why and it has been logged.
 * Else the errors of opening the store and of binding the addresses. */
int ms_serve(const struct ms_serve_options *options, bool *ret_log_stopped, struct ms_error *err)
    MS_MUST_CHECK;
