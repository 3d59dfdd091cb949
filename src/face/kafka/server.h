/*
 * What the loops and readers of one Kafka face share. Constant after start, or atomic.
 */
#pragma once

#include "face/kafka/dispatch.h"
#include "face/kafka/frame.h"
#include "face/kafka/kafka.h"
#include "face/net/readers.h"
#include "face/net/share.h"

struct ms_kafka_loop;
struct ms_kafka_request;

struct ms_kafka {
    const struct ms_env *env;
    struct ms_store *store;             /* NULL only in tests */
    struct ms_groups *groups;           /* NULL: none */
    struct ms_txns *txns;               /* NULL: none */
    struct ms_projections *projections; /* NULL: none */
    struct ms_kafka_loop *loops;
    unsigned loop_count;
    struct ms_net_readers readers;
    struct ms_net_readers switches; /* a thread that switches streams on, topic by topic */
    struct ms_kafka_dispatch dispatch;
    atomic_uint connections;
    struct ms_net_share requests, answers; /* halves of inflight_bytes_max */
    struct ms_kafka_frame_pool frames;
    atomic_bool favour; /* somebody may go beyond the requests' half; intake.c */
    char address[MS_KAFKA_ADDRESS_MAX];
    char host[MS_KAFKA_ADDRESS_MAX]; /* its host part by numbers, without brackets */
    unsigned port;
    bool any_address; /* listens on all interfaces */
};

/* How this client is told to reach the server. Valid until the loop's turn ends. Loop thread, while
 * the connection exists. */
struct ms_kafka_endpoint {
    struct ms_bytes host;
    int32_t port;
};
struct ms_kafka_endpoint ms_kafka_advertised(const struct ms_kafka_request *request);
