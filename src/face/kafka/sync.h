/*
 * Producers and projections of mode sync: what was produced is acknowledged when those that read
 * its topics have applied it, or when the time is over: it is durable, and nothing can undo it.
 *
 * Kafka's answers can't name a projection that is behind; a metric of the projection counts them
 * (mainstem_projection_sync_pending_total). The loop's thread.
 */
#pragma once

#include "face/kafka/request.h"

struct ms_kafka_sync;

/* What was appended to these topics (NULL: whichever) at `position` and below: calls `answer` at
 * once, or when it is applied, at `until_us` of the loop's clock at the latest. */
void ms_kafka_sync_wait(struct ms_kafka_request *request, const struct ms_bytes *topics,
                        size_t topic_count, uint64_t position, int64_t until_us,
                        ms_kafka_step *answer);
