/*
 * The reader pool: threads that do what would block a loop (reads of older data, topics, metadata)
 * and hand each request back to its loop. A request's job is bounded (a page, a batch of a
 * subscription), so nobody holds a reader for long. First come, first served, in two lines: those
 * of subscriptions, which may be thousands at once, let the others pass, yet get every fifth turn.
 *
 * The queue is intrusive and needs no bound of its own: a connection has at most one job. Any
 * thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

struct ms_http_request;

struct ms_http_readers {
    pthread_mutex_t mutex; /* guards the queue; a leaf: nothing is locked under it */
    pthread_cond_t some;
    struct ms_http_reader_line {
        struct ms_http_request *first, *last;
    } prompt, patient;
    unsigned prompt_run; /* taken one after the other while patient ones waited */
    bool stopping;
    pthread_t *threads;
    unsigned thread_count;
};

/* MS_ENOMEM, MS_EIO (no thread). */
int ms_http_readers_start(struct ms_http_readers *readers, unsigned threads, struct ms_error *err)
    MS_MUST_CHECK;
/* The queue must be empty: stop the loops first. Takes a zeroed pool. */
void ms_http_readers_stop(struct ms_http_readers *readers);
/* request->run is called on a reader, then the request is handed back. A patient one lets others
 * pass. */
void ms_http_readers_push(struct ms_http_readers *readers, struct ms_http_request *request,
                          bool patient);
