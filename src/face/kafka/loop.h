/*
 * An event loop of the Kafka face: one thread with its own listener (SO_REUSEPORT shares the port
 * among the loops), its connections, its mailbox, its deadlines and its free requests. Nothing of
 * it is touched by other threads but the mailbox and what is marked atomic.
 *
 *   each turn:  events (accept, receive) -> mail -> deadlines -> connections with something to do
 *
 * Output is therefore written once a turn and connection, whatever became ready in it. Deadlines
 * are met to the millisecond: a timerfd, since the event library's own timeouts are coarser, and
 * there are clients that give a long poll up 100 ms after its time.
 */
#pragma once

#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>

#include "face/kafka/config.h"
#include "face/kafka/metrics.h"
#include "face/kafka/timers.h"
#include "face/net/mailbox.h"
#include "store/partitions.h"

struct ms_kafka;
struct ms_kafka_connection;
struct ms_kafka_request;

#define MS_KAFKA_INPUT_BYTES ((size_t)64 * 1024)

struct ms_kafka_loop {
    struct ms_kafka *kafka;
    struct event_base *base;
    pthread_t thread;
    struct ms_net_mailbox mailbox;
    struct event *wake_event, *alarm_event, *tick_event, *retry_event;
    struct evconnlistener *listener;
    int listen_fd;  /* until the listener owns it */
    uint8_t *input; /* MS_KAFKA_INPUT_BYTES, what the connection being read received */

    struct ms_kafka_timers timers;
    int alarm_fd;
    int64_t alarm_us; /* what alarm_fd is set to; INT64_MAX: nothing */

    struct ms_kafka_config *config;
    _Atomic(struct ms_kafka_config *) next_config; /* set by a reload, taken between two turns */
    atomic_bool stop_asked;
    bool stopping;
    int64_t drain_until_us;

    struct ms_kafka_connection *connections; /* all of them */
    struct ms_kafka_connection *dirty;       /* to be pumped at the end of this turn */
    struct ms_kafka_connection *retry; /* wait for memory: pumped again after some milliseconds */
    struct ms_kafka_request *free_requests;
    size_t free_request_count;
    size_t outstanding; /* requests whose mail has not come back */

    struct ms_partition_reader *reader; /* for what is in memory; NULL without a store */

    int64_t now_us; /* monotonic, read once a turn */
    int64_t warned_us;

    struct ms_kafka_loop_metrics metrics;
};

/* Makes the loop without starting its thread; takes listen_fd over on success. MS_ENOMEM,
 * MS_EIO. */
int ms_kafka_loop_init(struct ms_kafka_loop *loop, struct ms_kafka *kafka,
                       struct ms_kafka_config *config, int listen_fd, struct ms_error *err)
    MS_MUST_CHECK;
int ms_kafka_loop_start(struct ms_kafka_loop *loop, struct ms_error *err) MS_MUST_CHECK;
/* Any thread: stop within drain_ms. Then join. */
void ms_kafka_loop_stop(struct ms_kafka_loop *loop, int64_t drain_ms);
void ms_kafka_loop_join(struct ms_kafka_loop *loop);
void ms_kafka_loop_deinit(struct ms_kafka_loop *loop); /* takes a zeroed loop */
/* Any thread: the loop goes over to `config` (referenced here). */
void ms_kafka_loop_set_config(struct ms_kafka_loop *loop, struct ms_kafka_config *config);

/* The rest: loop thread only. */

/* A deadline of the loop, on the clock of loop->now_us; see timers.h. */
void ms_kafka_loop_set_timer(struct ms_kafka_loop *loop, struct ms_kafka_timer *timer,
                             int64_t at_us);
void ms_kafka_loop_cancel_timer(struct ms_kafka_loop *loop, struct ms_kafka_timer *timer);

/* The connection is pumped at the end of this turn. */
void ms_kafka_loop_mark(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection);
/* The connection is pumped again in a few milliseconds. */
void ms_kafka_loop_retry_later(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection);
/* Takes a connection that was opened in, and forgets one that is being closed. */
void ms_kafka_loop_adopt(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection);
void ms_kafka_loop_forget(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection);
/* options.on_warning, at most once a second. */
void ms_kafka_loop_warn(struct ms_kafka_loop *loop, const char *format, ...) MS_PRINTF(2, 3);
