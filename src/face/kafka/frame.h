/*
 * A request that is larger than what was received at once: it goes straight into memory of its own,
 * which grows with what has arrived up to exactly its size. A client that announces 100 MiB and
 * sends a byte holds 64 KiB.
 *
 * Whole, it is an ms_blob: batches of records in it are handed on by reference. No I/O; the loop's
 * thread.
 */
#pragma once

#include "base/bytes.h"

#define MS_KAFKA_FRAME_FIRST_BYTES ((size_t)64 * 1024)

struct ms_kafka_frame {
    struct ms_blob *blob; /* NULL: there is none. Its size is the memory that is there */
    size_t size;          /* announced */
    size_t filled;
    size_t charged; /* of the requests' memory */
    bool favoured;  /* see intake.c */
};

static inline bool ms_kafka_frame_whole(const struct ms_kafka_frame *frame) {
    return frame->blob && frame->filled == frame->size;
}
/* How much memory it should have now: more, when it is full. */
size_t ms_kafka_frame_wanted(const struct ms_kafka_frame *frame);
/* Gives it that much, the frame's first memory too. MS_ENOMEM: it is as before. */
int ms_kafka_frame_grow(struct ms_kafka_frame *frame, size_t capacity) MS_MUST_CHECK;
