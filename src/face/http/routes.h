/*
 * The one table of what the face answers. Dispatch, 404 and 405 with Allow, unknown-parameter
 * errors, /openapi.json and the metrics' labels all come from it.
 *
 * Patterns are matched segment by segment against the raw path, so that an escaped slash stays part
 * of a name; the table's order decides between patterns. Constant; any thread.
 */
#pragma once

#include "base/bytes.h"

struct ms_http_request;

enum ms_http_method {
    MS_HTTP_GET,
    MS_HTTP_HEAD,
    MS_HTTP_POST,
    MS_HTTP_PUT,
    MS_HTTP_DELETE,
    MS_HTTP_OPTIONS,
    MS_HTTP_METHOD_COUNT
};
const char *ms_http_method_name(enum ms_http_method method);
/* False for a method that no route has. */
bool ms_http_method_parse(struct ms_bytes text, enum ms_http_method *ret_method);

enum ms_http_body_kind {
    MS_HTTP_TAKES_NONE,
    MS_HTTP_TAKES_EVENTS, /* any spelling of events */
    MS_HTTP_TAKES_JSON,   /* application/json */
    MS_HTTP_TAKES_TEXT,   /* a file in UTF-8 */
};

struct ms_http_route_answer {
    int status;         /* 0 ends the list */
    const char *schema; /* of components/schemas; NULL: no body */
    const char *text;
};

enum {
    MS_HTTP_ROUTE_PIPELINED = 1,  /* may start before the answers of earlier requests are there */
    MS_HTTP_ROUTE_CONDITIONS = 2, /* takes If-Match and If-None-Match */
    MS_HTTP_ROUTE_EVENTS = 4,     /* answers with events, in the media type that Accept chooses */
    MS_HTTP_ROUTE_KEY = 8,        /* its stream is named by topic and key */
    MS_HTTP_ROUTE_BODY_OPTIONAL = 16,
    MS_HTTP_ROUTE_STREAM = 32, /* its stream is named as a whole */
    MS_HTTP_ROUTE_ROWS = 64,   /* answers with rows; its parameters are declared by a query */
};

struct ms_http_route {
    enum ms_http_method method;
    const char *pattern;
    const char *name; /* operationId and metrics label */
    const char *summary;
    /* Loop thread, once the request is complete and its turn has come (PIPELINED: at once, with the
     * headers there). */
    void (*start)(struct ms_http_request *request);
    /* For what needs headers and waits for its turn: called when the request is complete; may be
     * NULL. */
    int (*prepare)(struct ms_http_request *request, struct ms_error *err);
    uint32_t params; /* bits of enum ms_http_param */
    uint32_t flags;
    enum ms_http_body_kind body;
    const struct ms_http_route_answer *answers;
};

size_t ms_http_route_count(void);
const struct ms_http_route *ms_http_route_at(size_t index);
size_t ms_http_route_index(const struct ms_http_route *route);

#define MS_HTTP_CAPTURES 2
struct ms_http_match {
    const struct ms_http_route *route; /* NULL: no such resource, or not with this method */
    struct ms_bytes captures[MS_HTTP_CAPTURES]; /* raw */
    uint32_t allowed; /* bits 1 << method, when only the method did not fit; 0: no such resource */
};
/* HEAD finds the GET route. */
struct ms_http_match ms_http_route_find(enum ms_http_method method, struct ms_bytes path);
