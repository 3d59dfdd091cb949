/* A large request being received; see frame.h. */
#include "face/kafka/frame.h"

#include <stddef.h>

#include "base/alloc.h"

static void release(struct ms_blob *blob) {
    ms_free(blob->data);
    ms_free(blob);
}

/* ---- the pool ---- */

struct ms_kafka_pooled_frame {
    struct ms_blob blob;
    struct ms_kafka_frame_pool *pool;
    struct ms_kafka_pooled_frame *next;
};
_Static_assert(offsetof(struct ms_kafka_pooled_frame, blob) == 0, "release_pooled relies on it");

void ms_kafka_frame_pool_init(struct ms_kafka_frame_pool *pool) {
    *pool = (struct ms_kafka_frame_pool){0};
    pthread_mutex_init(&pool->lock, NULL);
}

void ms_kafka_frame_pool_deinit(struct ms_kafka_frame_pool *pool) {
    while (pool->free) {
        struct ms_kafka_pooled_frame *next = pool->free->next;
        release(&pool->free->blob);
        pool->free = next;
    }
    pthread_mutex_destroy(&pool->lock);
}

static void release_pooled(struct ms_blob *blob) {
    struct ms_kafka_pooled_frame *frame = (struct ms_kafka_pooled_frame *)(void *)blob;
    struct ms_kafka_frame_pool *pool = frame->pool;
    pthread_mutex_lock(&pool->lock);
    bool kept = pool->count < MS_KAFKA_FRAMES_POOLED;
    if (kept) {
        frame->next = pool->free; /* the one used last first: it is in the cache */
        pool->free = frame;
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!kept)
        release(blob);
}

static struct ms_blob *take_pooled(struct ms_kafka_frame_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    struct ms_kafka_pooled_frame *frame = pool->free;
    if (frame) {
        pool->free = frame->next;
        pool->count--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!frame) {
        frame = ms_calloc(1, sizeof *frame);
        uint8_t *data = frame ? ms_alloc(MS_KAFKA_FRAME_POOLED_BYTES) : NULL;
        if (!data) {
            ms_free(frame);
            return NULL;
        }
        frame->blob.data = data;
        frame->blob.release = release_pooled;
        frame->pool = pool;
    }
    atomic_store(&frame->blob.refs, 1);
    return &frame->blob;
}

/* ---- a frame ---- */

size_t ms_kafka_frame_wanted(const struct ms_kafka_frame *frame) {
    size_t capacity = frame->blob ? frame->blob->size : 0;
    if (frame->filled < capacity)
        return capacity;
    size_t wanted = capacity ? 2 * capacity : MS_KAFKA_FRAME_FIRST_BYTES;
    return wanted < frame->size ? wanted : frame->size;
}

/* realloc moves large blocks by their page tables: growing costs no copies where it would hurt. */
int ms_kafka_frame_grow(struct ms_kafka_frame *frame, struct ms_kafka_frame_pool *pool,
                        size_t capacity) {
    struct ms_blob *blob = frame->blob;
    if (!blob && frame->size > MS_KAFKA_FRAME_FIRST_BYTES &&
        frame->size <= MS_KAFKA_FRAME_POOLED_BYTES) {
        frame->blob = take_pooled(pool);
        frame->pooled = frame->blob != NULL;
        if (!frame->blob)
            return MS_ENOMEM;
    }
    if (frame->pooled) {
        frame->blob->size = capacity;
        return 0;
    }
    if (!blob) {
        blob = ms_alloc(sizeof *blob);
        if (!blob)
            return MS_ENOMEM;
        *blob = (struct ms_blob){.release = release};
        atomic_init(&blob->refs, 1);
    }
    uint8_t *data = ms_realloc(blob->data, capacity);
    if (!data) {
        if (!frame->blob)
            ms_free(blob);
        return MS_ENOMEM;
    }
    blob->data = data;
    blob->size = capacity;
    frame->blob = blob;
    return 0;
}
