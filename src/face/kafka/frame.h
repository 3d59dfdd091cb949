/*
 * A request that is larger than what was received at once: it goes straight into memory of its own,
 * which grows with what has arrived up to exactly its size. A client that announces 100 MiB and
 * sends a byte holds 64 KiB.
 *
 * Whole, it is an ms_blob: batches of records in it are handed on by reference.
 *
 * Producers send a request of about a megabyte after another: memory of that size is used again,
 * which spares the pages' making and moving, and is in the processor's cache. It is there as a
 * whole from the beginning, and counts as far as it was grown to.
 *
 * No I/O. The loop's thread; a pool may be shared by all loops.
 */
#pragma once

#include <pthread.h>

#include "base/bytes.h"

#define MS_KAFKA_FRAME_FIRST_BYTES ((size_t)64 * 1024)

/* Requests up to this size; the largest batch of most clients' defaults is one million bytes. */
#define MS_KAFKA_FRAME_POOLED_BYTES ((size_t)1088 * 1024)
#define MS_KAFKA_FRAMES_POOLED 8u

struct ms_kafka_pooled_frame;
struct ms_kafka_frame_pool {
    pthread_mutex_t lock; /* a leaf */
    struct ms_kafka_pooled_frame *free;
    unsigned count;
};
void ms_kafka_frame_pool_init(struct ms_kafka_frame_pool *pool);
/* Every frame that came from it must be gone. */
void ms_kafka_frame_pool_deinit(struct ms_kafka_frame_pool *pool);

struct ms_kafka_frame {
    struct ms_blob *blob; /* NULL: there is none. Its size is the memory that is there */
    size_t size;          /* announced */
    size_t filled;
    size_t charged; /* of the requests' memory */
    bool favoured;  /* see intake.c */
    bool pooled;    /* memory from the pool: all of it is there already */
};

static inline bool ms_kafka_frame_whole(const struct ms_kafka_frame *frame) {
    return frame->blob && frame->filled == frame->size;
}
/* How much memory it should have now: more, when it is full. */
size_t ms_kafka_frame_wanted(const struct ms_kafka_frame *frame);
/* Gives it that much, the frame's first memory too: from the pool if it is of its sizes. MS_ENOMEM:
 * it is as before. */
int ms_kafka_frame_grow(struct ms_kafka_frame *frame, struct ms_kafka_frame_pool *pool,
                        size_t capacity) MS_MUST_CHECK;
