/*
 * The HTTP face's life: binding, starting loops and readers, reloading, stopping. See http.h.
 *
 * Every loop has a listening socket of its own on the same port (SO_REUSEPORT), so the kernel
 * spreads connections and no loop hands one over. SO_REUSEPORT would also let a second server share
 * the port unnoticed; a plain socket is therefore bound first, which fails when somebody listens
 * already.
 */
#include "face/http/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "face/http/loop.h"

#define LOOPS_MAX 64

/* ---- addresses ---- */

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
    int family;
};

/* "host:port" or "[host]:port", each at most MS_HTTP_ADDRESS_MAX. */
static int split_address(const char *text, char host[MS_HTTP_ADDRESS_MAX], const char **ret_port,
                         struct ms_error *err) {
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (!colon || len >= MS_HTTP_ADDRESS_MAX || (!brackets && memchr(text, ':', len)))
        return ms_error_set(err, MS_EINVAL,
                            "http address \"%s\": expected HOST:PORT or [IPV6]:PORT", text);
    if (brackets) {
        text++;
        len -= 2;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int resolve(const char *text, char host[MS_HTTP_ADDRESS_MAX], struct address *ret_address,
                   struct ms_error *err) {
    const char *port = NULL;
    uint64_t number;
    int code = split_address(text, host, &port, err);
    if (code != 0)
        return code;
    if (ms_parse_u64(ms_bytes_cstr(port), &number) != 0 || number > UINT16_MAX)
        return ms_error_set(err, MS_EINVAL,
                            "http address \"%s\": the port is no number up to 65535", text);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (problem != 0)
        return ms_error_set(err, MS_EINVAL, "http address \"%s\": %s", text, gai_strerror(problem));
    memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
    ret_address->len = found->ai_addrlen;
    ret_address->family = found->ai_family;
    freeaddrinfo(found);
    return 0;
}

static unsigned port_of(const struct address *address) {
    const void *storage = &address->storage;
    return address->family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)storage)->sin6_port)
                                       : ntohs(((const struct sockaddr_in *)storage)->sin_port);
}

static bool is_any(const struct address *address) {
    const void *storage = &address->storage;
    if (address->family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)storage)->sin6_addr);
    return ((const struct sockaddr_in *)storage)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* ---- sockets ---- */

static int bind_failed(const struct ms_http *http, const struct address *address,
                       struct ms_error *err) {
    int code = errno == EADDRINUSE ? MS_EEXIST : MS_EIO;
    if (errno == EADDRNOTAVAIL || errno == EACCES)
        code = MS_EINVAL;
    return ms_error_set(err, code, "http can't listen on host %s, port %u: %s",
                        http->host[0] ? http->host : "*", port_of(address), strerror(errno));
}

/* Binds; the address is updated with the port that was picked. */
static int bind_socket(const struct ms_http *http, struct address *address, bool shared,
                       int *ret_fd, struct ms_error *err) {
    int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0) ||
        bind(fd, (struct sockaddr *)&address->storage, address->len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address->storage, &address->len) != 0) {
        int code = bind_failed(http, address, err);
        if (fd >= 0)
            close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}

/* Somebody else who listens there is found out by a socket that does not share. */
static int check_free(const struct ms_http *http, const struct address *address,
                      struct ms_error *err) {
    if (port_of(address) == 0)
        return 0;
    struct address copy = *address;
    int fd;
    int code = bind_socket(http, &copy, false, &fd, err);
    if (code == 0 && listen(fd, 1) != 0)
        code = bind_failed(http, &copy, err);
    if (code == 0)
        close(fd);
    return code;
}

static void name_address(struct ms_http *http, const struct address *address) {
    char host[MS_HTTP_ADDRESS_MAX - 8];
    if (getnameinfo((const struct sockaddr *)&address->storage, address->len, host, sizeof host,
                    NULL, 0, NI_NUMERICHOST) != 0)
        host[0] = '\0';
    snprintf(http->address, sizeof http->address, strchr(host, ':') ? "[%.54s]:%u" : "%.54s:%u",
             host, port_of(address));
}

/* ---- life ---- */

static void destroy(struct ms_http *http) {
    for (unsigned i = 0; i < http->loop_count; i++)
        ms_http_loop_deinit(&http->loops[i]);
    ms_http_readers_stop(&http->readers);
    ms_http_admin_deinit(&http->admin);
    ms_free(http->loops);
    ms_free(http);
}

static void stop_loops(struct ms_http *http, unsigned started, int64_t drain_ms) {
    for (unsigned i = 0; i < started; i++)
        ms_http_loop_stop(&http->loops[i], drain_ms);
    for (unsigned i = 0; i < started; i++)
        ms_http_loop_join(&http->loops[i]);
}

static int make_loops(struct ms_http *http, struct ms_http_config *config, unsigned count,
                      struct address *address, struct ms_error *err) {
    http->loops = ms_calloc(count, sizeof *http->loops);
    if (!http->loops)
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP loops");
    int code = check_free(http, address, err);
    while (code == 0 && http->loop_count < count) {
        int fd;
        code = bind_socket(http, address, true, &fd, err);
        if (code != 0)
            break;
        code = ms_http_loop_init(&http->loops[http->loop_count], http, config, fd, err);
        if (code != 0)
            close(fd);
        else
            http->loop_count++;
    }
    if (code == 0)
        name_address(http, address);
    return code;
}

static int start_loops(struct ms_http *http, struct ms_error *err) {
    for (unsigned i = 0; i < http->loop_count; i++) {
        int code = ms_http_loop_start(&http->loops[i], err);
        if (code != 0) {
            stop_loops(http, i, 0);
            return code;
        }
    }
    return 0;
}

static unsigned loop_count(const struct ms_http_options *options) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = options->threads ? options->threads : cores > 0 ? (unsigned)cores : 1;
    return count < LOOPS_MAX ? count : LOOPS_MAX;
}

int ms_http_start(struct ms_store *store, const struct ms_http_options *options,
                  struct ms_http **ret_http, struct ms_error *err) {
    struct ms_http_config *config;
    int code = ms_http_config_new(options, &config, err);
    if (code != 0)
        return code;
    struct ms_http *http = ms_calloc(1, sizeof *http);
    struct address address;
    if (!http) {
        ms_http_config_unref(config);
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP face");
    }
    http->env = config->options.env;
    http->store = store;
    http->started_us = ms_clock_monotonic_us(http->env->clock);
    ms_http_admin_init(&http->admin, store, http->env->clock);
    atomic_store(&http->ready, true);
    code = resolve(options->listen, http->host, &address, err);
    if (code == 0) {
        http->any_address = is_any(&address);
        code = make_loops(http, config, loop_count(options), &address, err);
    }
    if (code == 0)
        code = ms_http_readers_start(&http->readers,
                                     options->reader_threads ? options->reader_threads : 1, err);
    if (code == 0)
        code = start_loops(http, err);
    ms_http_config_unref(config);
    if (code != 0) {
        destroy(http);
        return code;
    }
    *ret_http = http;
    return 0;
}

void ms_http_address(const struct ms_http *http, char out[MS_HTTP_ADDRESS_MAX]) {
    memcpy(out, http->address, MS_HTTP_ADDRESS_MAX);
}

int ms_http_reload(struct ms_http *http, const struct ms_http_options *options,
                   struct ms_error *err) {
    struct ms_http_config *config;
    int code = ms_http_config_new(options, &config, err);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < http->loop_count; i++)
        ms_http_loop_set_config(&http->loops[i], config);
    ms_http_config_unref(config);
    return 0;
}

void ms_http_set_ready(struct ms_http *http, bool ready) {
    atomic_store_explicit(&http->ready, ready, memory_order_relaxed);
}

void ms_http_stop(struct ms_http *http, int64_t drain_ms) {
    if (!http)
        return;
    ms_http_admin_stop(&http->admin);
    stop_loops(http, http->loop_count, drain_ms);
    destroy(http);
}
