/*
 * What the loops and readers of one HTTP face share. Constant after start, or atomic.
 */
#pragma once

#include "face/http/admin.h"
#include "face/http/http.h"
#include "face/http/readers.h"

struct ms_http_loop;

struct ms_http {
    const struct ms_env *env;
    struct ms_store *store;
    struct ms_http_loop *loops;
    unsigned loop_count;
    struct ms_http_readers readers;
    struct ms_http_admin admin;
    atomic_bool ready;
    atomic_uint connections;
    atomic_size_t inflight_bytes; /* bodies being received and answers being sent */
    int64_t started_us;           /* monotonic */
    char address[MS_HTTP_ADDRESS_MAX];
    char host[MS_HTTP_ADDRESS_MAX]; /* its host part, without brackets */
    bool any_address;               /* listens on all interfaces */
};

/* The server-wide budget of memory that clients make it hold. `charged` is what one holder has
 * taken so far. */

/* Raises it to `wanted`; false, and nothing changed, when the whole would pass `max`. */
bool ms_http_budget_raise(struct ms_http *http, size_t *charged, size_t wanted, size_t max);
/* Sets it whatever the whole is: what is there is there. */
void ms_http_budget_set(struct ms_http *http, size_t *charged, size_t bytes);
