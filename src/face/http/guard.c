/* Host and Origin checks; see guard.h. */
#include "face/http/guard.h"

#include <arpa/inet.h>
#include <strings.h>

static bool same(struct ms_bytes text, const char *name) {
    return strlen(name) == text.len && strncasecmp((const char *)text.data, name, text.len) == 0;
}

/* "name:port", "[v6]:port" or either without a port; the name without brackets. */
static struct ms_bytes host_name(struct ms_bytes host) {
    if (host.len && host.data[0] == '[') {
        const uint8_t *end = memchr(host.data, ']', host.len);
        return end ? ms_bytes_of(host.data + 1, (size_t)(end - host.data) - 1) : host;
    }
    const uint8_t *colon = host.len ? memchr(host.data, ':', host.len) : NULL;
    return colon ? ms_bytes_of(host.data, (size_t)(colon - host.data)) : host;
}

static bool is_address(struct ms_bytes name, struct in_addr *ret_v4, bool *ret_is_v4) {
    char text[INET6_ADDRSTRLEN];
    if (name.len == 0 || name.len >= sizeof text)
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    struct in6_addr v6;
    *ret_is_v4 = inet_pton(AF_INET, text, ret_v4) == 1;
    return *ret_is_v4 || inet_pton(AF_INET6, text, &v6) == 1;
}

static bool in_list(const char *const *list, size_t count, struct ms_bytes text) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], "*") == 0 || same(text, list[i]))
            return true;
    }
    return false;
}

bool ms_http_guard_host(const struct ms_http_guard *guard, struct ms_bytes host) {
    struct ms_bytes name = host_name(host);
    if (same(name, "localhost") || same(name, "127.0.0.1") || same(name, "::1") ||
        same(name, guard->listen_host))
        return true;
    struct in_addr v4;
    bool is_v4;
    if (is_address(name, &v4, &is_v4) &&
        (guard->any_address || (is_v4 && (ntohl(v4.s_addr) >> 24) == 127)))
        return true;
    const struct ms_http_options *options = guard->options;
    return in_list(options->allowed_hosts, options->allowed_host_count, name) ||
           in_list(options->allowed_hosts, options->allowed_host_count, host);
}

enum ms_http_origin ms_http_guard_origin(const struct ms_http_guard *guard, struct ms_bytes origin,
                                         struct ms_bytes host) {
    if (!origin.data)
        return MS_HTTP_ORIGIN_NONE;
    const struct ms_http_options *options = guard->options;
    if (in_list(options->cors_origins, options->cors_origin_count, origin))
        return MS_HTTP_ORIGIN_ALLOWED;
    static const struct ms_bytes schemes[] = {{(const uint8_t *)"http://", 7},
                                              {(const uint8_t *)"https://", 8}};
    for (size_t i = 0; i < 2; i++) {
        if (ms_bytes_starts_with(origin, schemes[i]) &&
            ms_bytes_equal(ms_bytes_of(origin.data + schemes[i].len, origin.len - schemes[i].len),
                           host))
            return MS_HTTP_ORIGIN_NONE;
    }
    return MS_HTTP_ORIGIN_FOREIGN;
}
