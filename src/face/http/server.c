/*
 * The HTTP face's life: binding, starting loops and readers, reloading, stopping. See http.h.
 */
#include "face/http/server.h"

#include <unistd.h>

#include "base/alloc.h"
#include "face/http/loop.h"
#include "face/net/listen.h"

_Static_assert(MS_HTTP_ADDRESS_MAX == MS_NET_ADDRESS_MAX, "one length of addresses");

/* ---- life ---- */

static void destroy(struct ms_http *http) {
    for (unsigned i = 0; i < http->loop_count; i++)
        ms_http_loop_deinit(&http->loops[i]);
    ms_net_readers_stop(&http->readers);
    ms_net_readers_stop(&http->switches);
    ms_net_readers_stop(&http->travels);
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
                      struct ms_net_address *address, struct ms_error *err) {
    int fds[MS_NET_LISTENERS_MAX];
    http->loops = ms_calloc(count, sizeof *http->loops);
    if (!http->loops)
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP loops");
    int code = ms_net_listen("http", address, count, fds, err);
    if (code != 0)
        return code;
    for (unsigned i = 0; i < count; i++) {
        if (code == 0)
            code = ms_http_loop_init(&http->loops[i], http, config, fds[i], err);
        if (code == 0)
            http->loop_count++;
        else
            close(fds[i]);
    }
    if (code == 0)
        ms_net_address_name(address, http->address);
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

int ms_http_start(struct ms_store *store, const struct ms_http_options *options,
                  struct ms_http **ret_http, struct ms_error *err) {
    struct ms_http_config *config;
    int code = ms_http_config_new(options, &config, err);
    if (code != 0)
        return code;
    struct ms_http *http = ms_calloc(1, sizeof *http);
    struct ms_net_address address;
    if (!http) {
        ms_http_config_unref(config);
        return ms_error_set(err, MS_ENOMEM, "no memory for the HTTP face");
    }
    http->env = config->options.env;
    http->store = store;
    http->groups = options->groups;
    http->projections = options->projections;
    http->started_us = ms_clock_monotonic_us(http->env->clock);
    ms_http_admin_init(&http->admin, store, http->env->clock);
    atomic_store(&http->ready, true);
    code = ms_net_address_resolve("http", options->listen, &address, err);
    if (code == 0) {
        memcpy(http->host, address.host, sizeof http->host);
        http->any_address = ms_net_address_is_any(&address);
        code = make_loops(http, config, ms_net_loop_count(options->threads), &address, err);
    }
    if (code == 0)
        code = ms_net_readers_start(
            &http->readers, options->reader_threads ? options->reader_threads : 1, "http", err);
    if (code == 0)
        code = ms_net_readers_start(&http->switches, 1, "http", err);
    if (code == 0)
        code = ms_net_readers_start(&http->travels, 1, "http", err);
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
