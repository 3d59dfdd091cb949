/*
 * Who may talk to the server: the checks that keep a web page somewhere else from reaching a local
 * one.
 *
 *   Host     must be a loopback name, the listen address or a configured name (against DNS
 *            rebinding); a server that listens on all interfaces also answers to any IP address,
 *            since an address can't be rebound
 *   Origin   a page of another origin may call only when it is configured; requests that could
 *            change something are refused from others (403), the rest get no CORS headers, so the
 *            browser keeps the answer from the page
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "face/http/config.h"

struct ms_http_guard {
    const struct ms_http_options *options;
    const char *listen_host; /* without brackets and port */
    bool any_address;
};

bool ms_http_guard_host(const struct ms_http_guard *guard, struct ms_bytes host);

enum ms_http_origin {
    MS_HTTP_ORIGIN_NONE,    /* no Origin header, or the server's own */
    MS_HTTP_ORIGIN_ALLOWED, /* configured */
    MS_HTTP_ORIGIN_FOREIGN,
};
enum ms_http_origin ms_http_guard_origin(const struct ms_http_guard *guard, struct ms_bytes origin,
                                         struct ms_bytes host);
