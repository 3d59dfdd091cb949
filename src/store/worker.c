/* The store's worker: a thread for what an append needs from the disk after it was sequenced, so
 * that the committer never waits for a read. In manual mode ms_store_run does its work. */
#include "store/internal.h"

static struct ms_op *take(struct ms_worker *worker) {
    struct ms_op *op = worker->first;
    if (op != NULL) {
        worker->first = op->next;
        if (worker->first == NULL)
            worker->end = &worker->first;
    }
    return op;
}

static void *worker_main(void *argument) {
    struct ms_worker *worker = &((struct ms_store *)argument)->worker;
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        struct ms_op *op = take(worker);
        if (op != NULL) {
            pthread_mutex_unlock(&worker->lock);
            ms_repeat_compare(op);
            pthread_mutex_lock(&worker->lock);
        } else if (worker->stop) {
            break;
        } else {
            pthread_cond_wait(&worker->work, &worker->lock);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

int ms_worker_start(struct ms_store *store) {
    struct ms_worker *worker = &store->worker;
    worker->end = &worker->first;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->work, NULL);
    if (store->options.manual || store->options.read_only)
        return 0;
    worker->started = pthread_create(&worker->thread, NULL, worker_main, store) == 0;
    return worker->started ? 0 : MS_ENOMEM;
}

void ms_worker_stop(struct ms_store *store) {
    struct ms_worker *worker = &store->worker;
    if (!worker->started)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    worker->started = false;
}

void ms_worker_push(struct ms_store *store, struct ms_op *op) {
    struct ms_worker *worker = &store->worker;
    op->next = NULL;
    pthread_mutex_lock(&worker->lock);
    *worker->end = op;
    worker->end = &op->next;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

void ms_worker_run(struct ms_store *store) {
    struct ms_worker *worker = &store->worker;
    pthread_mutex_lock(&worker->lock);
    for (struct ms_op *op; (op = take(worker)) != NULL;) {
        pthread_mutex_unlock(&worker->lock);
        ms_repeat_compare(op);
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
}
