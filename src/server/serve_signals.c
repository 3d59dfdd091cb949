/* See serve_signals.h. The handlers call nothing but _exit. */
#include "server/serve_signals.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.h"

static void waited_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    int rc = sigaction(number, &action, NULL);
    MS_ASSERT(rc == 0);
}

void ms_serve_signals_block(void) {
    sigset_t set;
    waited_set(&set);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    MS_ASSERT(rc == 0);
    handle(SIGPIPE, SIG_IGN);
}

void ms_serve_signals_restore(void) {
    sigset_t set;
    waited_set(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

enum ms_serve_signal ms_serve_signals_wait(void) {
    sigset_t set;
    waited_set(&set);
    int number;
    do {
        number = sigwaitinfo(&set, NULL);
    } while (number < 0 && errno == EINTR);
    if (number == SIGHUP)
        return MS_SERVE_RELOAD;
    if (number == SIGUSR1)
        return MS_SERVE_LOG_STOPPED;
    return MS_SERVE_STOP;
}

void ms_serve_signals_log_stopped(void) { kill(getpid(), SIGUSR1); }

static void exit_hard(int number) { _exit(128 + number); }
static void exit_late(int number) {
    (void)number;
    _exit(MS_SERVE_EXIT_LOG_STOPPED);
}

void ms_serve_signals_stop_hard(void) {
    handle(SIGTERM, exit_hard);
    handle(SIGINT, exit_hard);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void ms_serve_signals_deadline(unsigned seconds) {
    handle(SIGALRM, exit_late);
    alarm(seconds);
}
