/* The reader pool; see readers.h. */
#include "face/net/readers.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define PROMPT_RUN_MAX 4
#define THREAD_NAME_MAX 16 /* of the system */

/* NULL when nothing is to be done. The mutex is held. */
static struct ms_net_job *take(struct ms_net_readers *readers) {
    bool patient =
        readers->patient.first && (!readers->prompt.first || readers->prompt_run >= PROMPT_RUN_MAX);
    readers->prompt_run = patient || !readers->patient.first ? 0 : readers->prompt_run + 1;
    struct ms_net_reader_line *line = patient ? &readers->patient : &readers->prompt;
    struct ms_net_job *job = line->first;
    if (job)
        line->first = job->next;
    if (!line->first)
        line->last = NULL;
    return job;
}

static void *reader_main(void *context) {
    struct ms_net_readers *readers = context;
    for (;;) {
        pthread_mutex_lock(&readers->mutex);
        while (!readers->prompt.first && !readers->patient.first && !readers->stopping)
            pthread_cond_wait(&readers->some, &readers->mutex);
        struct ms_net_job *job = take(readers);
        pthread_mutex_unlock(&readers->mutex);
        if (!job)
            return NULL;
        job->run(job);
    }
}

int ms_net_readers_start(struct ms_net_readers *readers, unsigned threads, const char *face,
                         struct ms_error *err) {
    *readers = (struct ms_net_readers){0};
    readers->threads = ms_calloc(threads, sizeof *readers->threads);
    if (!readers->threads)
        return ms_error_set(err, MS_ENOMEM, "no memory for the %s readers", face);
    char name[THREAD_NAME_MAX];
    snprintf(name, sizeof name, "ms-%.7s-read", face);
    pthread_mutex_init(&readers->mutex, NULL);
    pthread_cond_init(&readers->some, NULL);
    while (readers->thread_count < threads) {
        pthread_t *thread = &readers->threads[readers->thread_count];
        int failed = pthread_create(thread, NULL, reader_main, readers);
        if (failed) {
            ms_net_readers_stop(readers);
            return ms_error_set(err, MS_EIO, "thread of a %s reader: %s", face, strerror(failed));
        }
        (void)pthread_setname_np(*thread, name);
        readers->thread_count++;
    }
    return 0;
}

void ms_net_readers_stop(struct ms_net_readers *readers) {
    if (!readers->threads)
        return;
    pthread_mutex_lock(&readers->mutex);
    readers->stopping = true;
    pthread_cond_broadcast(&readers->some);
    pthread_mutex_unlock(&readers->mutex);
    for (unsigned i = 0; i < readers->thread_count; i++)
        pthread_join(readers->threads[i], NULL);
    MS_ASSERT(!readers->prompt.first && !readers->patient.first);
    pthread_cond_destroy(&readers->some);
    pthread_mutex_destroy(&readers->mutex);
    ms_free(readers->threads);
    *readers = (struct ms_net_readers){0};
}

void ms_net_readers_push(struct ms_net_readers *readers, struct ms_net_job *job, bool patient) {
    struct ms_net_reader_line *line = patient ? &readers->patient : &readers->prompt;
    job->next = NULL;
    pthread_mutex_lock(&readers->mutex);
    if (line->last)
        line->last->next = job;
    else
        line->first = job;
    line->last = job;
    pthread_cond_signal(&readers->some);
    pthread_mutex_unlock(&readers->mutex);
}
