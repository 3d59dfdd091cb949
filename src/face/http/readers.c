/* The reader pool; see readers.h. */
#include "face/http/readers.h"

#include <string.h>

#include "base/alloc.h"
#include "face/http/request.h"

#define PROMPT_RUN_MAX 4

/* NULL when nothing is to be done. The mutex is held. */
static struct ms_http_request *take(struct ms_http_readers *readers) {
    bool patient =
        readers->patient.first && (!readers->prompt.first || readers->prompt_run >= PROMPT_RUN_MAX);
    readers->prompt_run = patient || !readers->patient.first ? 0 : readers->prompt_run + 1;
    struct ms_http_reader_line *line = patient ? &readers->patient : &readers->prompt;
    struct ms_http_request *request = line->first;
    if (request)
        line->first = request->next_job;
    if (!line->first)
        line->last = NULL;
    return request;
}

static void *reader_main(void *context) {
    struct ms_http_readers *readers = context;
    for (;;) {
        pthread_mutex_lock(&readers->mutex);
        while (!readers->prompt.first && !readers->patient.first && !readers->stopping)
            pthread_cond_wait(&readers->some, &readers->mutex);
        struct ms_http_request *request = take(readers);
        pthread_mutex_unlock(&readers->mutex);
        if (!request)
            return NULL;
        bool hands_on = request->hands_on;
        request->run(request);
        if (!hands_on)
            ms_http_request_hand_back(request);
    }
}

int ms_http_readers_start(struct ms_http_readers *readers, unsigned threads, struct ms_error *err) {
    *readers = (struct ms_http_readers){0};
    readers->threads = ms_calloc(threads, sizeof *readers->threads);
    if (!readers->threads)
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP readers");
    pthread_mutex_init(&readers->mutex, NULL);
    pthread_cond_init(&readers->some, NULL);
    while (readers->thread_count < threads) {
        pthread_t *thread = &readers->threads[readers->thread_count];
        int failed = pthread_create(thread, NULL, reader_main, readers);
        if (failed) {
            ms_http_readers_stop(readers);
            return ms_error_set(err, MS_EIO, "thread of an HTTP reader: %s", strerror(failed));
        }
        (void)pthread_setname_np(*thread, "ms-http-read");
        readers->thread_count++;
    }
    return 0;
}

void ms_http_readers_stop(struct ms_http_readers *readers) {
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
    *readers = (struct ms_http_readers){0};
}

void ms_http_readers_push(struct ms_http_readers *readers, struct ms_http_request *request,
                          bool patient) {
    struct ms_http_reader_line *line = patient ? &readers->patient : &readers->prompt;
    request->next_job = NULL;
    pthread_mutex_lock(&readers->mutex);
    if (line->last)
        line->last->next_job = request;
    else
        line->first = request;
    line->last = request;
    pthread_cond_signal(&readers->some);
    pthread_mutex_unlock(&readers->mutex);
}
