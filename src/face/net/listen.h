/*
 * Where a face listens: addresses, their names, and sockets that share a port.
 *
 * Every loop has a listening socket of its own on the same port (SO_REUSEPORT), so the kernel
 * spreads connections and no loop hands one over. SO_REUSEPORT would also let a second server share
 * the port unnoticed; a plain socket is therefore bound first, which fails when somebody listens
 * already.
 *
 * `face` ("http") stands at the head of every error's sentence. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

#define MS_NET_ADDRESS_MAX 64
#define MS_NET_LISTENERS_MAX 64

struct ms_net_address {
    struct sockaddr_storage storage;
    socklen_t len;
    char host[MS_NET_ADDRESS_MAX]; /* as it was given, without brackets */
};

/* "host:port" or "[host]:port"; an empty host is every interface, port 0 picks a free one. May ask
 * a name server. MS_EINVAL. */
int ms_net_address_resolve(const char *face, const char *text, struct ms_net_address *ret_address,
                           struct ms_error *err) MS_MUST_CHECK;
unsigned ms_net_address_port(const struct ms_net_address *address);
/* It is every interface's. */
bool ms_net_address_is_any(const struct ms_net_address *address);
/* By numbers: "127.0.0.1:8080", "[::1]:8080". */
void ms_net_address_name(const struct ms_net_address *address, char out[MS_NET_ADDRESS_MAX]);
/* The host alone: "127.0.0.1", "::1"; empty when it can't be told. */
void ms_net_address_host(const struct ms_net_address *address, char out[MS_NET_ADDRESS_MAX]);
/* The name of a peer. */
void ms_net_peer_name(const struct sockaddr *address, char out[MS_NET_ADDRESS_MAX]);

/* How many loops, each with a listener: `wanted`, or with 0 one per core. */
unsigned ms_net_loop_count(unsigned wanted);
/* Binds `count` sockets that share the address, which is updated with the port that was picked; the
 * caller listens on them and closes them. MS_EEXIST (somebody listens there), MS_EINVAL (not this
 * machine's, or not allowed), MS_EIO: none is open then. */
int ms_net_listen(const char *face, struct ms_net_address *address, unsigned count, int *ret_fds,
                  struct ms_error *err) MS_MUST_CHECK;
