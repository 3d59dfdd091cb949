/*
 * Signals of a server process. They are blocked in every thread and waited for by one, so that no
 * work happens in a handler; only the hard exit is one.
 *
 *   SIGTERM SIGINT   graceful stop; a second one ends the process at once with 128 + its number
 *   SIGHUP           reload
 *   SIGUSR1          sent by the process to itself: the log has stopped
 *   SIGPIPE          ignored: a peer that went away is an error of a write
 */
#pragma once

#include <stdbool.h>

enum ms_serve_signal { MS_SERVE_STOP, MS_SERVE_RELOAD, MS_SERVE_LOG_STOPPED };

/* Blocks them; call it before any thread is started. */
void ms_serve_signals_block(void);
/* Waits for the next one. */
enum ms_serve_signal ms_serve_signals_wait(void);
/* From any thread: the waiting thread gets MS_SERVE_LOG_STOPPED. */
void ms_serve_signals_log_stopped(void);
/* From now on SIGTERM and SIGINT end the process at once. */
void ms_serve_signals_stop_hard(void);
/* Ends the process with `status` unless it has ended within `seconds`. */
void ms_serve_signals_deadline(unsigned seconds);
/* Unblocks everything again, as it was before block. */
void ms_serve_signals_restore(void);

#define MS_SERVE_EXIT_LOG_STOPPED 70
