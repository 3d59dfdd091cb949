/*
 * The reader pool of a face: threads that do what would block a loop (reads of older data, topics,
 * metadata). A job is bounded (a page, a batch of a subscription), so nobody holds a reader for
 * long. First come, first served, in two lines: patient jobs, of which there may be thousands at
 * once, let the prompt ones pass, yet get every fifth turn.
 *
 * The queue is intrusive and needs no bound of its own: a job is embedded in what it is for, and
 * the faces bound that. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

/* Embedded in what the job is for; in one queue at a time. */
struct ms_net_job {
    struct ms_net_job *next;
    void (*run)(struct ms_net_job *job); /* called on a reader; may free the job */
};

struct ms_net_readers {
    pthread_mutex_t mutex; /* guards the queue; a leaf: nothing is locked under it */
    pthread_cond_t some;
    struct ms_net_reader_line {
        struct ms_net_job *first, *last;
    } prompt, patient;
    unsigned prompt_run; /* taken one after the other while patient ones waited */
    bool stopping;
    pthread_t *threads;
    unsigned thread_count;
};

/* `face` ("http") names the threads and the pool in errors. MS_ENOMEM, MS_EIO (no thread). */
int ms_net_readers_start(struct ms_net_readers *readers, unsigned threads, const char *face,
                         struct ms_error *err) MS_MUST_CHECK;
/* The queue must be empty: stop the loops first. Takes a zeroed pool. */
void ms_net_readers_stop(struct ms_net_readers *readers);
/* job->run is called on a reader. A patient job lets others pass. */
void ms_net_readers_push(struct ms_net_readers *readers, struct ms_net_job *job, bool patient);
