/*
 * Which handler answers a request: by key and version, and by what the connection may do.
 */
#pragma once

#include "face/kafka/handlers.h"
#include "wire/kafka/codec.h"

#define MS_KAFKA_APIS_MAX 64

struct ms_kafka_connection;

/* By api->index; NULL: not offered. */
struct ms_kafka_dispatch {
    const struct ms_kafka_handler *handlers[MS_KAFKA_APIS_MAX];
};

/* `lacking`: MS_KAFKA_GROUPS, MS_KAFKA_TXN where there is no such coordinator. MS_EINVAL: a handler
 * for an API that the codec doesn't know, or two for one. */
int ms_kafka_dispatch_init(struct ms_kafka_dispatch *dispatch,
                           const struct ms_kafka_handler *handlers, size_t count, unsigned lacking,
                           struct ms_error *err) MS_MUST_CHECK;

/* What becomes of a request whose header has been read. */
enum ms_kafka_route {
    MS_KAFKA_ROUTE_HANDLE,
    MS_KAFKA_ROUTE_UNSPOKEN, /* ApiVersions in an unknown version: answered in version 0 */
    MS_KAFKA_ROUTE_REFUSE,   /* close the connection */
};
/* *ret_api and *ret_handler (not for REFUSE): what it is. *err says why it is refused. */
enum ms_kafka_route ms_kafka_dispatch_route(const struct ms_kafka_dispatch *dispatch,
                                            const struct ms_kafka_request_header *header,
                                            bool authenticated, const struct ms_kafka_api **ret_api,
                                            const struct ms_kafka_handler **ret_handler,
                                            struct ms_error *err);
