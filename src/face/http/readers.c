/* The reader pool; see readers.h. */
#include "face/http/readers.h"

#include <string.h>

#include "base/alloc.h"
#include "face/http/request.h"

static void *reader_main(void *context) {
    struct ms_http_readers *readers = context;
    for (;;) {
        pthread_mutex_lock(&readers->mutex);
        while (!readers->first && !readers->stopping)
            pthread_cond_wait(&readers->some, &readers->mutex);
        struct ms_http_request *request = readers->first;
        if (request) {
            readers->first = request->next_job;
            if (!readers->first)
                readers->last = NULL;
        }
        pthread_mutex_unlock(&readers->mutex);
        if (!request)
            return NULL;
        request->run(request);
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
    MS_ASSERT(!readers->first);
    pthread_cond_destroy(&readers->some);
    pthread_mutex_destroy(&readers->mutex);
    ms_free(readers->threads);
    *readers = (struct ms_http_readers){0};
}

void ms_http_readers_push(struct ms_http_readers *readers, struct ms_http_request *request) {
    request->next_job = NULL;
    pthread_mutex_lock(&readers->mutex);
    if (readers->last)
        readers->last->next_job = request;
    else
        readers->first = request;
    readers->last = request;
    pthread_cond_signal(&readers->some);
    pthread_mutex_unlock(&readers->mutex);
}
