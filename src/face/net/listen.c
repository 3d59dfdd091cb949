/* Addresses and listening sockets; see listen.h. */
#include "face/net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

/* ---- addresses ---- */

static int split_address(const char *face, const char *text, char host[MS_NET_ADDRESS_MAX],
                         const char **ret_port, struct ms_error *err) {
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (!colon || len >= MS_NET_ADDRESS_MAX || (!brackets && memchr(text, ':', len)))
        return ms_error_set(err, MS_EINVAL, "%s address \"%s\": expected HOST:PORT or [IPV6]:PORT",
                            face, text);
    if (brackets) {
        text++;
        len -= 2;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return 0;
}

int ms_net_address_resolve(const char *face, const char *text, struct ms_net_address *ret_address,
                           struct ms_error *err) {
    struct ms_net_address address = {0};
    const char *port = NULL;
    uint64_t number;
    int code = split_address(face, text, address.host, &port, err);
    if (code != 0)
        return code;
    if (ms_parse_u64(ms_bytes_cstr(port), &number) != 0 || number > UINT16_MAX)
        return ms_error_set(err, MS_EINVAL, "%s address \"%s\": the port is no number up to 65535",
                            face, text);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(address.host[0] ? address.host : NULL, port, &hints, &found);
    if (problem != 0)
        return ms_error_set(err, MS_EINVAL, "%s address \"%s\": %s", face, text,
                            gai_strerror(problem));
    memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    address.len = found->ai_addrlen;
    freeaddrinfo(found);
    *ret_address = address;
    return 0;
}

unsigned ms_net_address_port(const struct ms_net_address *address) {
    const void *storage = &address->storage;
    return address->storage.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)storage)->sin6_port)
               : ntohs(((const struct sockaddr_in *)storage)->sin_port);
}

bool ms_net_address_is_any(const struct ms_net_address *address) {
    const void *storage = &address->storage;
    if (address->storage.ss_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)storage)->sin6_addr);
    return ((const struct sockaddr_in *)storage)->sin_addr.s_addr == htonl(INADDR_ANY);
}

void ms_net_address_host(const struct ms_net_address *address, char out[MS_NET_ADDRESS_MAX]) {
    if (getnameinfo((const struct sockaddr *)&address->storage, address->len, out,
                    MS_NET_ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) != 0)
        out[0] = '\0';
}

void ms_net_address_name(const struct ms_net_address *address, char out[MS_NET_ADDRESS_MAX]) {
    char host[MS_NET_ADDRESS_MAX];
    ms_net_address_host(address, host);
    snprintf(out, MS_NET_ADDRESS_MAX, strchr(host, ':') ? "[%.54s]:%u" : "%.54s:%u", host,
             ms_net_address_port(address));
}

void ms_net_peer_name(const struct sockaddr *address, char out[MS_NET_ADDRESS_MAX]) {
    char host[INET6_ADDRSTRLEN] = "";
    unsigned port = 0;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        port = ntohs(v4->sin_port);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        port = ntohs(v6->sin6_port);
    }
    snprintf(out, MS_NET_ADDRESS_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* ---- sockets ---- */

unsigned ms_net_loop_count(unsigned wanted) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = wanted ? wanted : cores > 0 ? (unsigned)cores : 1;
    return count < MS_NET_LISTENERS_MAX ? count : MS_NET_LISTENERS_MAX;
}

static int bind_failed(const char *face, const struct ms_net_address *address,
                       struct ms_error *err) {
    int code = errno == EADDRINUSE ? MS_EEXIST : MS_EIO;
    if (errno == EADDRNOTAVAIL || errno == EACCES)
        code = MS_EINVAL;
    return ms_error_set(err, code, "%s can't listen on host %s, port %u: %s", face,
                        address->host[0] ? address->host : "*", ms_net_address_port(address),
                        strerror(errno));
}

/* Binds; the address is updated with the port that was picked. */
static int bind_socket(const char *face, struct ms_net_address *address, bool shared, int *ret_fd,
                       struct ms_error *err) {
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0) ||
        bind(fd, (struct sockaddr *)&address->storage, address->len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address->storage, &address->len) != 0) {
        int code = bind_failed(face, address, err);
        if (fd >= 0)
            close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}

/* Somebody else who listens there is found out by a socket that does not share. */
static int check_free(const char *face, const struct ms_net_address *address,
                      struct ms_error *err) {
    if (ms_net_address_port(address) == 0)
        return 0;
    struct ms_net_address copy = *address;
    int fd;
    int code = bind_socket(face, &copy, false, &fd, err);
    if (code != 0)
        return code;
    if (listen(fd, 1) != 0)
        code = bind_failed(face, &copy, err);
    close(fd);
    return code;
}

int ms_net_listen(const char *face, struct ms_net_address *address, unsigned count, int *ret_fds,
                  struct ms_error *err) {
    int code = check_free(face, address, err);
    for (unsigned i = 0; code == 0 && i < count; i++) {
        code = bind_socket(face, address, true, &ret_fds[i], err);
        while (code != 0 && i > 0)
            close(ret_fds[--i]);
    }
    return code;
}
