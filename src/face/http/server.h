/*
 * What the loops and readers of one HTTP face share. Constant after start, or atomic.
 */
#pragma once

#include "face/http/admin.h"
#include "face/http/budget.h"
#include "face/http/http.h"
#include "face/net/readers.h"

struct ms_http_loop;

struct ms_http {
    const struct ms_env *env;
    struct ms_store *store;
    struct ms_groups *groups;           /* NULL: none */
    struct ms_projections *projections; /* NULL: none */
    struct ms_http_loop *loops;
    unsigned loop_count;
    struct ms_net_readers readers;
    struct ms_net_readers switches; /* a thread that switches streams on, topic by topic */
    struct ms_net_readers travels;  /* a thread that looks at the past for queries */
    struct ms_http_admin admin;
    atomic_bool ready;
    atomic_uint connections;
    struct ms_http_budget budget;
    int64_t started_us; /* monotonic */
    char address[MS_HTTP_ADDRESS_MAX];
    char host[MS_HTTP_ADDRESS_MAX]; /* its host part, without brackets */
    bool any_address;               /* listens on all interfaces */
};
