/* Event loops; see loop.h. */
#include "face/kafka/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "face/kafka/connection.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "face/net/listen.h"

#define TICK_MS 200
#define DRAIN_TICK_MS 10
#define RETRY_MS 5
#define ACCEPT_PAUSE_MS 100
#define BACKLOG 1024
#define WARN_INTERVAL_US 1000000

static struct timeval milliseconds(int ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static void read_clock(struct ms_kafka_loop *loop) {
    loop->now_us = ms_clock_monotonic_us(loop->kafka->env->clock);
}

void ms_kafka_loop_warn(struct ms_kafka_loop *loop, const char *format, ...) {
    const struct ms_kafka_options *options = &loop->config->options;
    if (!options->on_warning ||
        (loop->warned_us && loop->now_us - loop->warned_us < WARN_INTERVAL_US))
        return;
    loop->warned_us = loop->now_us;
    char text[MS_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    options->on_warning(options->context, text);
}

/* ---- deadlines ---- */

void ms_kafka_loop_set_timer(struct ms_kafka_loop *loop, struct ms_kafka_timer *timer,
                             int64_t at_us) {
    ms_kafka_timers_set(&loop->timers, timer, at_us);
}

void ms_kafka_loop_cancel_timer(struct ms_kafka_loop *loop, struct ms_kafka_timer *timer) {
    ms_kafka_timers_cancel(&loop->timers, timer);
}

/* Before the loop sleeps. An alarm that rings too early, since its timer was cancelled, costs less
 * than setting it at every cancelling. */
static void set_alarm(struct ms_kafka_loop *loop) {
    int64_t next_us = ms_kafka_timers_next_us(&loop->timers);
    if (next_us >= loop->alarm_us)
        return;
    int64_t wait_us = next_us - ms_clock_monotonic_us(loop->kafka->env->clock);
    if (wait_us < 1)
        wait_us = 1; /* 0 would switch it off */
    struct itimerspec when = {
        .it_value = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000}};
    if (timerfd_settime(loop->alarm_fd, 0, &when, NULL) == 0)
        loop->alarm_us = next_us;
}

static void on_alarm(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)what;
    uint64_t ignored;
    (void)!read(fd, &ignored, sizeof ignored);
    loop->alarm_us = INT64_MAX; /* the turn fires what is due and sets the next one */
}

/* ---- connections that have something to do ---- */

void ms_kafka_loop_mark(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection) {
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->next_dirty = loop->dirty;
    loop->dirty = connection;
}

void ms_kafka_loop_retry_later(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection) {
    if (connection->retrying)
        return;
    connection->retrying = true;
    connection->next_retry = loop->retry;
    loop->retry = connection;
    struct timeval soon = milliseconds(RETRY_MS);
    if (!evtimer_pending(loop->retry_event, NULL))
        evtimer_add(loop->retry_event, &soon);
}

static void set_tick(struct ms_kafka_loop *loop) {
    struct timeval interval = milliseconds(loop->stopping ? DRAIN_TICK_MS : TICK_MS);
    evtimer_add(loop->tick_event, &interval);
}

void ms_kafka_loop_adopt(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection) {
    connection->next = loop->connections;
    if (loop->connections)
        loop->connections->previous = connection;
    loop->connections = connection;
    if (!evtimer_pending(loop->tick_event, NULL))
        set_tick(loop);
}

void ms_kafka_loop_forget(struct ms_kafka_loop *loop, struct ms_kafka_connection *connection) {
    struct ms_kafka_connection **at = &loop->dirty;
    while (connection->dirty && *at != connection)
        at = &(*at)->next_dirty;
    if (connection->dirty)
        *at = connection->next_dirty;
    at = &loop->retry;
    while (connection->retrying && *at != connection)
        at = &(*at)->next_retry;
    if (connection->retrying)
        *at = connection->next_retry;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        loop->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
}

/* One at a time from the list's head: a pump may close its connection. */
static void pump_dirty(struct ms_kafka_loop *loop) {
    struct ms_kafka_connection *dirty = loop->dirty;
    loop->dirty = NULL;
    while (dirty) {
        struct ms_kafka_connection *next = dirty->next_dirty;
        dirty->dirty = false;
        ms_kafka_connection_pump(dirty);
        dirty = next;
    }
}

/* ---- events ---- */

static void on_woken(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)fd;
    (void)what;
    ms_net_mailbox_woken(&loop->mailbox);
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)fd;
    (void)what;
    struct ms_kafka_connection *retry = loop->retry;
    loop->retry = NULL;
    while (retry) {
        struct ms_kafka_connection *next = retry->next_retry;
        retry->retrying = false;
        ms_kafka_loop_mark(loop, retry);
        retry = next;
    }
}

/* An idle server does not wake up: the tick goes on only while there is somebody to watch. */
static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)fd;
    (void)what;
    read_clock(loop);
    struct ms_kafka_connection *connection = loop->connections;
    while (connection) {
        struct ms_kafka_connection *next = connection->next;
        ms_kafka_connection_tick(connection);
        connection = next;
    }
    if (loop->connections || loop->stopping)
        set_tick(loop);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int address_len, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)listener;
    (void)address_len;
    read_clock(loop);
    unsigned max = loop->config->options.connections_max;
    if (atomic_load_explicit(&loop->kafka->connections, memory_order_relaxed) >= max) {
        ms_counter_add(&loop->metrics.connections_refused, 1);
        ms_kafka_loop_warn(
            loop, "kafka: %u connections are open (connections_max), closing further ones", max);
        evutil_closesocket(fd);
        return;
    }
    char peer[MS_NET_ADDRESS_MAX];
    ms_net_peer_name(address, peer);
    ms_kafka_connection_open(loop, fd, peer);
}

static void on_accept_resumed(evutil_socket_t fd, short what, void *context) {
    struct ms_kafka_loop *loop = context;
    (void)fd;
    (void)what;
    if (loop->listener)
        evconnlistener_enable(loop->listener);
}

/* Out of descriptors, most likely: accepting pauses rather than spinning. */
static void on_accept_error(struct evconnlistener *listener, void *context) {
    struct ms_kafka_loop *loop = context;
    int problem = EVUTIL_SOCKET_ERROR();
    read_clock(loop);
    ms_kafka_loop_warn(loop, "kafka: accepting a connection: %s; trying again in %d ms",
                       strerror(problem), ACCEPT_PAUSE_MS);
    evconnlistener_disable(listener);
    struct timeval pause = milliseconds(ACCEPT_PAUSE_MS);
    if (event_base_once(loop->base, -1, EV_TIMEOUT, on_accept_resumed, loop, &pause) != 0)
        evconnlistener_enable(listener);
}

/* ---- life ---- */

static int make_base(struct ms_kafka_loop *loop) {
    struct event_config *settings = event_config_new();
    if (!settings)
        return MS_ENOMEM;
    event_config_set_flag(settings, EVENT_BASE_FLAG_NOLOCK); /* one thread */
    loop->base = event_base_new_with_config(settings);
    event_config_free(settings);
    return loop->base ? 0 : MS_ENOMEM;
}

static int make_events(struct ms_kafka_loop *loop) {
    if (make_base(loop) != 0)
        return MS_ENOMEM;
    loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->alarm_fd < 0)
        return MS_EIO;
    loop->wake_event =
        event_new(loop->base, loop->mailbox.wake_fd, EV_READ | EV_PERSIST, on_woken, loop);
    loop->alarm_event = event_new(loop->base, loop->alarm_fd, EV_READ | EV_PERSIST, on_alarm, loop);
    loop->tick_event = evtimer_new(loop->base, on_tick, loop);
    loop->retry_event = evtimer_new(loop->base, on_retry, loop);
    if (!loop->wake_event || !loop->alarm_event || !loop->tick_event || !loop->retry_event ||
        event_add(loop->wake_event, NULL) != 0 || event_add(loop->alarm_event, NULL) != 0)
        return MS_ENOMEM;
    loop->listener =
        evconnlistener_new(loop->base, on_accept, loop,
                           LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, BACKLOG, loop->listen_fd);
    if (!loop->listener)
        return MS_EIO;
    loop->listen_fd = -1;
    evconnlistener_set_error_cb(loop->listener, on_accept_error);
    return 0;
}

int ms_kafka_loop_init(struct ms_kafka_loop *loop, struct ms_kafka *kafka,
                       struct ms_kafka_config *config, int listen_fd, struct ms_error *err) {
    *loop = (struct ms_kafka_loop){
        .kafka = kafka, .listen_fd = listen_fd, .alarm_fd = -1, .alarm_us = INT64_MAX};
    int code = ms_net_mailbox_init(&loop->mailbox, err);
    if (code != 0)
        return code;
    loop->config = ms_kafka_config_ref(config);
    loop->input = ms_alloc(MS_KAFKA_INPUT_BYTES);
    code = loop->input ? make_events(loop) : MS_ENOMEM;
    if (code == 0 && kafka->store)
        code = ms_partition_reader_new(kafka->store, &loop->reader);
    if (code != 0) {
        loop->listen_fd = -1; /* still the caller's */
        ms_kafka_loop_deinit(loop);
        return ms_error_set(err, code, "kafka loop: %s", ms_error_text(code));
    }
    return 0;
}

void ms_kafka_loop_deinit(struct ms_kafka_loop *loop) {
    if (!loop->config)
        return;
    MS_ASSERT(!loop->connections && loop->outstanding == 0);
    struct event *const events[] = {loop->wake_event, loop->alarm_event, loop->tick_event,
                                    loop->retry_event};
    if (loop->listener)
        evconnlistener_free(loop->listener);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (events[i])
            event_free(events[i]);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->alarm_fd >= 0)
        close(loop->alarm_fd);
    ms_net_mailbox_deinit(&loop->mailbox);
    ms_kafka_request_list_free(loop->free_requests);
    ms_kafka_config_unref(loop->config);
    ms_kafka_config_unref(atomic_exchange(&loop->next_config, NULL));
    ms_partition_reader_free(loop->reader);
    ms_free(loop->input);
    *loop = (struct ms_kafka_loop){.listen_fd = -1, .alarm_fd = -1};
}

static void take_config(struct ms_kafka_loop *loop) {
    struct ms_kafka_config *next =
        atomic_exchange_explicit(&loop->next_config, NULL, memory_order_acquire);
    if (next) {
        ms_kafka_config_unref(loop->config);
        loop->config = next;
    }
}

static void begin_stop(struct ms_kafka_loop *loop) {
    loop->stopping = true;
    evconnlistener_free(loop->listener);
    loop->listener = NULL;
    for (struct ms_kafka_connection *connection = loop->connections; connection;
         connection = connection->next)
        ms_kafka_connection_finish(connection);
    set_tick(loop);
}

/* True when everything has come to its end. */
static bool has_stopped(struct ms_kafka_loop *loop) {
    if (!loop->stopping)
        return false;
    while (loop->now_us >= loop->drain_until_us && loop->connections)
        ms_kafka_connection_close(loop->connections);
    return !loop->connections && loop->outstanding == 0;
}

static void *loop_main(void *context) {
    struct ms_kafka_loop *loop = context;
    do {
        set_alarm(loop);
        int flags = EVLOOP_ONCE | (loop->dirty ? EVLOOP_NONBLOCK : 0);
        if (event_base_loop(loop->base, flags) < 0)
            ms_kafka_loop_warn(loop, "kafka: the event loop reports %s", strerror(errno));
        read_clock(loop);
        take_config(loop);
        if (!loop->stopping && atomic_load_explicit(&loop->stop_asked, memory_order_acquire))
            begin_stop(loop);
        (void)ms_net_mailbox_deliver(&loop->mailbox);
        (void)ms_kafka_timers_fire(&loop->timers, loop->now_us);
        pump_dirty(loop);
    } while (!has_stopped(loop));
    return NULL;
}

int ms_kafka_loop_start(struct ms_kafka_loop *loop, struct ms_error *err) {
    int failed = pthread_create(&loop->thread, NULL, loop_main, loop);
    if (failed)
        return ms_error_set(err, MS_EIO, "thread of a Kafka loop: %s", strerror(failed));
    (void)pthread_setname_np(loop->thread, "ms-kafka");
    return 0;
}

void ms_kafka_loop_stop(struct ms_kafka_loop *loop, int64_t drain_ms) {
    loop->drain_until_us = ms_clock_monotonic_us(loop->kafka->env->clock) + drain_ms * 1000;
    atomic_store_explicit(&loop->stop_asked, true, memory_order_release);
    ms_net_mailbox_wake(&loop->mailbox);
}

void ms_kafka_loop_join(struct ms_kafka_loop *loop) { pthread_join(loop->thread, NULL); }

void ms_kafka_loop_set_config(struct ms_kafka_loop *loop, struct ms_kafka_config *config) {
    ms_kafka_config_unref(atomic_exchange_explicit(&loop->next_config, ms_kafka_config_ref(config),
                                                   memory_order_acq_rel));
    ms_net_mailbox_wake(&loop->mailbox);
}
