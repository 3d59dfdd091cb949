/*
 * Waiting for an append's outcome, for who changes the store itself: topics, starts of partitions.
 * Any thread but the committer's.
 */
#include "store/internal.h"

void ms_settling_init(struct ms_settling *settling) {
    *settling = (struct ms_settling){0};
    pthread_mutex_init(&settling->lock, NULL);
    pthread_cond_init(&settling->cond, NULL);
}

void ms_settling_deinit(struct ms_settling *settling) {
    pthread_cond_destroy(&settling->cond);
    pthread_mutex_destroy(&settling->lock);
}

void ms_settling_done(void *context, const struct ms_append_result *result) {
    struct ms_settling *settling = context;
    pthread_mutex_lock(&settling->lock);
    settling->done = true;
    settling->code = result->code;
    pthread_cond_signal(&settling->cond);
    pthread_mutex_unlock(&settling->lock);
}

int ms_settling_wait(struct ms_settling *settling, struct ms_store *store) {
    if (store->options.manual)
        ms_store_run(store);
    pthread_mutex_lock(&settling->lock);
    while (!settling->done)
        pthread_cond_wait(&settling->cond, &settling->lock);
    pthread_mutex_unlock(&settling->lock);
    return settling->code;
}
