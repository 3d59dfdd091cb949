/* Event loops; see loop.h. */
#include "face/http/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "face/http/connection.h"
#include "face/http/request.h"
#include "face/http/server.h"
#include "face/http/sse.h"
#include "face/net/listen.h"

#define TICK_MS 200
#define DRAIN_TICK_MS 10
#define RETRY_MS 5
/* What a turn does for event streams at most. */
#define STREAMS_US 2000
#define STREAMS_MAX 256
#define ACCEPT_PAUSE_MS 100
#define BACKLOG 1024
#define WARN_INTERVAL_US 1000000

_Static_assert(MS_HTTP_PEER_MAX == MS_NET_ADDRESS_MAX, "one length of addresses");

static struct timeval milliseconds(int ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static void read_clock(struct ms_http_loop *loop) {
    loop->now_us = ms_clock_monotonic_us(loop->http->env->clock);
}

void ms_http_loop_warn(struct ms_http_loop *loop, const char *format, ...) {
    const struct ms_http_options *options = &loop->config->options;
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

/* "Date: Mon, 23 Nov 2026 10:52:54 GMT\r\n", by hand since strftime depends on the locale. */
void ms_http_loop_date(struct ms_http_loop *loop) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t second = ms_clock_now_us(loop->http->env->clock) / 1000000;
    if (second == loop->date_second && loop->date_len)
        return;
    time_t when = (time_t)second;
    struct tm tm;
    gmtime_r(&when, &tm);
    int len =
        snprintf(loop->date, sizeof loop->date, "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
                 days[tm.tm_wday], (unsigned)tm.tm_mday % 100u, months[tm.tm_mon],
                 (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
                 (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
    loop->date_len = (size_t)len;
    loop->date_second = second;
}

/* ---- connections that have something to do ---- */

void ms_http_loop_mark(struct ms_http_loop *loop, struct ms_http_connection *connection) {
    if (connection->dirty)
        return;
    connection->dirty = true;
    bool streams = connection->first && connection->first->sse;
    connection->next_dirty = streams ? NULL : loop->dirty;
    if (!streams) {
        loop->dirty = connection;
    } else {
        if (loop->last_stream)
            loop->last_stream->next_dirty = connection;
        else
            loop->streams = connection;
        loop->last_stream = connection;
    }
}

static void arm_retry(struct ms_http_loop *loop) {
    struct timeval soon = milliseconds(RETRY_MS);
    if (!evtimer_pending(loop->retry_event, NULL))
        evtimer_add(loop->retry_event, &soon);
}

void ms_http_loop_feed_later(struct ms_http_loop *loop) { arm_retry(loop); }

void ms_http_loop_retry_later(struct ms_http_loop *loop, struct ms_http_connection *connection) {
    if (connection->retrying)
        return;
    connection->retrying = true;
    connection->next_retry = loop->retry;
    loop->retry = connection;
    arm_retry(loop);
}

static void forget_dirty(struct ms_http_loop *loop, struct ms_http_connection *connection) {
    struct ms_http_connection **at = &loop->dirty, *before = NULL;
    while (*at && *at != connection)
        at = &(*at)->next_dirty;
    if (*at) {
        *at = connection->next_dirty;
        return;
    }
    for (at = &loop->streams; *at != connection; at = &(*at)->next_dirty)
        before = *at;
    *at = connection->next_dirty;
    if (loop->last_stream == connection)
        loop->last_stream = before;
}

void ms_http_loop_forget(struct ms_http_loop *loop, struct ms_http_connection *connection) {
    if (connection->dirty)
        forget_dirty(loop, connection);
    struct ms_http_connection **at = &loop->retry;
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
    loop->connection_count--;
}

static void pump_dirty(struct ms_http_loop *loop) {
    struct ms_http_connection *dirty = loop->dirty;
    loop->dirty = NULL;
    while (dirty) {
        struct ms_http_connection *next = dirty->next_dirty;
        dirty->dirty = false;
        ms_http_connection_pump(dirty);
        dirty = next;
    }
}

static void pump_streams(struct ms_http_loop *loop) {
    int64_t until_us = ms_clock_monotonic_us(loop->http->env->clock) + STREAMS_US;
    for (unsigned i = 0; i < STREAMS_MAX && loop->streams; i++) {
        struct ms_http_connection *connection = loop->streams;
        loop->streams = connection->next_dirty;
        if (!loop->streams)
            loop->last_stream = NULL;
        connection->dirty = false;
        ms_http_connection_pump(connection);
        if (ms_clock_monotonic_us(loop->http->env->clock) >= until_us)
            break;
    }
}

/* ---- events ---- */

static void on_woken(evutil_socket_t fd, short what, void *context) {
    struct ms_http_loop *loop = context;
    (void)fd;
    (void)what;
    ms_net_mailbox_woken(&loop->mailbox);
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct ms_http_loop *loop = context;
    (void)fd;
    (void)what;
    struct ms_http_connection *retry = loop->retry;
    loop->retry = NULL;
    while (retry) {
        struct ms_http_connection *next = retry->next_retry;
        retry->retrying = false;
        ms_http_loop_mark(loop, retry);
        retry = next;
    }
    read_clock(loop);
    ms_http_sse_feed(loop);
}

static void set_tick(struct ms_http_loop *loop) {
    struct timeval interval = milliseconds(loop->stopping ? DRAIN_TICK_MS : TICK_MS);
    evtimer_add(loop->tick_event, &interval);
}

/* An idle server does not wake up: the tick goes on only while there is somebody to watch. */
static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct ms_http_loop *loop = context;
    (void)fd;
    (void)what;
    read_clock(loop);
    struct ms_http_connection *connection = loop->connections;
    while (connection) {
        struct ms_http_connection *next = connection->next;
        ms_http_connection_tick(connection);
        connection = next;
    }
    bool trim = ms_http_budget_trim(&loop->http->budget, loop->now_us);
    if (loop->connections || loop->stopping || trim)
        set_tick(loop);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int address_len, void *context) {
    struct ms_http_loop *loop = context;
    (void)listener;
    (void)address_len;
    read_clock(loop);
    const struct ms_http_options *options = &loop->config->options;
    if (atomic_load_explicit(&loop->http->connections, memory_order_relaxed) >=
        options->connections_max) {
        ms_counter_add(&loop->metrics.connections_refused, 1);
        ms_http_loop_warn(loop,
                          "http: %u connections are open (connections_max), closing further ones",
                          options->connections_max);
        evutil_closesocket(fd);
        return;
    }
    char peer[MS_HTTP_PEER_MAX];
    ms_net_peer_name(address, peer);
    ms_http_connection_open(loop, fd, peer);
    if (loop->connections && !evtimer_pending(loop->tick_event, NULL))
        set_tick(loop);
}

static void on_accept_resumed(evutil_socket_t fd, short what, void *context) {
    struct ms_http_loop *loop = context;
    (void)fd;
    (void)what;
    if (loop->listener)
        evconnlistener_enable(loop->listener);
}

/* Out of descriptors, most likely: accepting pauses rather than spinning. */
static void on_accept_error(struct evconnlistener *listener, void *context) {
    struct ms_http_loop *loop = context;
    int problem = EVUTIL_SOCKET_ERROR();
    read_clock(loop);
    ms_http_loop_warn(loop, "http: accepting a connection: %s; trying again in %d ms",
                      strerror(problem), ACCEPT_PAUSE_MS);
    evconnlistener_disable(listener);
    struct timeval pause = milliseconds(ACCEPT_PAUSE_MS);
    if (event_base_once(loop->base, -1, EV_TIMEOUT, on_accept_resumed, loop, &pause) != 0)
        evconnlistener_enable(listener);
}

/* ---- life ---- */

static int make_events(struct ms_http_loop *loop) {
    struct event_config *settings = event_config_new();
    if (!settings)
        return MS_ENOMEM;
    event_config_set_flag(settings, EVENT_BASE_FLAG_NOLOCK); /* one thread */
    loop->base = event_base_new_with_config(settings);
    event_config_free(settings);
    if (!loop->base)
        return MS_ENOMEM;
    loop->wake_event =
        event_new(loop->base, loop->mailbox.wake_fd, EV_READ | EV_PERSIST, on_woken, loop);
    loop->tick_event = evtimer_new(loop->base, on_tick, loop);
    loop->retry_event = evtimer_new(loop->base, on_retry, loop);
    if (!loop->wake_event || !loop->tick_event || !loop->retry_event ||
        event_add(loop->wake_event, NULL) != 0)
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

int ms_http_loop_init(struct ms_http_loop *loop, struct ms_http *http,
                      struct ms_http_config *config, int listen_fd, struct ms_error *err) {
    *loop = (struct ms_http_loop){.http = http, .listen_fd = listen_fd};
    int code = ms_net_mailbox_init(&loop->mailbox, err);
    if (code != 0)
        return code;
    loop->config = ms_http_config_ref(config);
    uint64_t random = ms_random_u64(http->env->random);
    snprintf(loop->id_prefix, sizeof loop->id_prefix, "%012llx",
             (unsigned long long)(random & 0xffffffffffff));
    loop->input = ms_alloc(MS_HTTP_INPUT_BYTES);
    code = loop->input ? make_events(loop) : MS_ENOMEM;
    if (code != 0) {
        loop->listen_fd = -1; /* still the caller's */
        ms_http_loop_deinit(loop);
        return ms_error_set(err, code, "http loop: %s", ms_error_text(code));
    }
    return 0;
}

void ms_http_loop_deinit(struct ms_http_loop *loop) {
    if (!loop->config)
        return;
    MS_ASSERT(!loop->connections && loop->outstanding == 0);
    if (loop->listener)
        evconnlistener_free(loop->listener);
    if (loop->wake_event)
        event_free(loop->wake_event);
    if (loop->tick_event)
        event_free(loop->tick_event);
    if (loop->retry_event)
        event_free(loop->retry_event);
    if (loop->base)
        event_base_free(loop->base);
    ms_net_mailbox_deinit(&loop->mailbox);
    ms_http_request_list_free(loop->free_requests);
    ms_http_config_unref(loop->config);
    ms_http_config_unref(atomic_exchange(&loop->next_config, NULL));
    ms_free(loop->input);
    *loop = (struct ms_http_loop){.listen_fd = -1};
}

static void take_config(struct ms_http_loop *loop) {
    struct ms_http_config *next =
        atomic_exchange_explicit(&loop->next_config, NULL, memory_order_acquire);
    if (next) {
        ms_http_config_unref(loop->config);
        loop->config = next;
    }
}

static void begin_stop(struct ms_http_loop *loop) {
    loop->stopping = true;
    evconnlistener_free(loop->listener);
    loop->listener = NULL;
    struct ms_http_connection *connection = loop->connections;
    while (connection) {
        struct ms_http_connection *next = connection->next;
        ms_http_connection_finish(connection);
        connection = next;
    }
    set_tick(loop);
}

/* True when everything has come to its end. */
static bool has_stopped(struct ms_http_loop *loop) {
    if (!loop->stopping)
        return false;
    while (loop->now_us >= loop->drain_until_us && loop->connections)
        ms_http_connection_close(loop->connections);
    return !loop->connections && loop->outstanding == 0;
}

static void *loop_main(void *context) {
    struct ms_http_loop *loop = context;
    do {
        int flags = EVLOOP_ONCE | (loop->dirty || loop->streams ? EVLOOP_NONBLOCK : 0);
        if (event_base_loop(loop->base, flags) < 0)
            ms_http_loop_warn(loop, "http: the event loop reports %s", strerror(errno));
        read_clock(loop);
        ms_http_loop_date(loop);
        take_config(loop);
        if (!loop->stopping && atomic_load_explicit(&loop->stop_asked, memory_order_acquire))
            begin_stop(loop);
        (void)ms_net_mailbox_deliver(&loop->mailbox);
        pump_dirty(loop);
        pump_streams(loop);
    } while (!has_stopped(loop));
    return NULL;
}

int ms_http_loop_start(struct ms_http_loop *loop, struct ms_error *err) {
    int failed = pthread_create(&loop->thread, NULL, loop_main, loop);
    if (failed)
        return ms_error_set(err, MS_EIO, "thread of an HTTP loop: %s", strerror(failed));
    (void)pthread_setname_np(loop->thread, "ms-http");
    return 0;
}

void ms_http_loop_stop(struct ms_http_loop *loop, int64_t drain_ms) {
    loop->drain_until_us = ms_clock_monotonic_us(loop->http->env->clock) + drain_ms * 1000;
    atomic_store_explicit(&loop->stop_asked, true, memory_order_release);
    ms_net_mailbox_wake(&loop->mailbox);
}

void ms_http_loop_join(struct ms_http_loop *loop) { pthread_join(loop->thread, NULL); }

void ms_http_loop_set_config(struct ms_http_loop *loop, struct ms_http_config *config) {
    ms_http_config_unref(atomic_exchange_explicit(&loop->next_config, ms_http_config_ref(config),
                                                  memory_order_acq_rel));
    ms_net_mailbox_wake(&loop->mailbox);
}
