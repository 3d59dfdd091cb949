/*
 * An answer on its way out: the bytes of the head, with slices between them, in whatever pieces the
 * socket takes them. Nothing is copied; a slice is released as soon as its last byte is sent.
 *
 *   head     | 0 …… cut | …… cut | … |
 *   slices              ^ a, b   ^ c        sent: head up to the cut, a, b, head up to …
 *
 * No I/O. The loop's thread.
 */
#pragma once

#include <sys/uio.h>

#include "wire/kafka/codec.h"

/* Where the next byte comes from. Zeroed: from the beginning. */
struct ms_kafka_sending {
    size_t head_at;         /* of the head, sent so far */
    size_t cut;             /* the next cut; its slices are due when head_at has reached its `at` */
    size_t slice, slice_at; /* in that cut */
};

/* Bytes of the whole answer. */
size_t ms_kafka_output_bytes(const struct ms_kafka_output *output);
/* The pieces that come next, at most `max`; returns how many. 0: all is sent. */
int ms_kafka_output_pieces(const struct ms_kafka_output *output,
                           const struct ms_kafka_sending *sending, struct iovec *iov, int max);
/* `len` more bytes were sent; returns how many of them were this answer's, the rest is the next
 * one's. Slices that are sent are released. */
size_t ms_kafka_output_sent(struct ms_kafka_output *output, struct ms_kafka_sending *sending,
                            size_t len);
