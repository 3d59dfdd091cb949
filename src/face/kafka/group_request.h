/* What handlers of groups' requests share. The loop's thread, but for ms_kafka_keep. */
#pragma once

#include <string.h>

#include "face/kafka/connection.h"
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "face/kafka/server.h"
#include "group/group.h"

static inline struct ms_groups *ms_kafka_groups_of(const struct ms_kafka_request *request) {
    return request->loop->kafka->groups;
}

/* Copies the bytes into the arena. False: no memory, and they are empty. */
static inline bool ms_kafka_keep(struct ms_arena *arena, struct ms_bytes *bytes) {
    char *copy = ms_arena_strdup(arena, *bytes);
    *bytes = ms_bytes_of(copy, copy != NULL ? bytes->len : 0);
    return copy != NULL;
}

/* "127.0.0.1:51234" as Kafka's tools show a client's host: "/127.0.0.1". */
static inline struct ms_bytes ms_kafka_client_host(struct ms_kafka_request *request) {
    const char *peer = request->connection->peer, *colon = strrchr(peer, ':');
    size_t len = colon != NULL ? (size_t)(colon - peer) : strlen(peer);
    char *host = ms_arena_alloc(&request->arena, len + 1);
    if (host == NULL)
        return (struct ms_bytes){0};
    host[0] = '/';
    memcpy(host + 1, peer, len);
    return ms_bytes_of(host, len + 1);
}
