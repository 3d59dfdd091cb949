/*
 * Query parameters: one table of names, meanings and parsers, from which the routes choose
 * (routes.c) and the OpenAPI document is written (openapi.c). A parameter that a route does not
 * list is refused by name: a misspelt one must not vanish.
 *
 * Sans-I/O; any thread.
 */
#pragma once

#include "store/store.h"

enum ms_http_param {
    MS_HTTP_PARAM_FROM,
    MS_HTTP_PARAM_LIMIT,
    MS_HTTP_PARAM_DIRECTION,
    MS_HTTP_PARAM_AS_OF,
    MS_HTTP_PARAM_KNOWN_AT,
    MS_HTTP_PARAM_WAIT,
    MS_HTTP_PARAM_TOPIC,
    MS_HTTP_PARAM_STREAM_PREFIX,
    MS_HTTP_PARAM_TYPE,
    MS_HTTP_PARAM_TAG,
    MS_HTTP_PARAM_CORRELATION_ID,
    MS_HTTP_PARAM_SYSTEM,
    MS_HTTP_PARAM_TOMBSTONE,
    MS_HTTP_PARAM_VERSION,
    MS_HTTP_PARAM_ALLOW_INCOMPLETE,
    MS_HTTP_PARAM_COUNT
};
#define MS_HTTP_PARAM_BIT(name) (UINT32_C(1) << MS_HTTP_PARAM_##name)

#define MS_HTTP_PARAM_LIST_MAX 32 /* types and tags in one request */
#define MS_HTTP_LIMIT_DEFAULT 100

struct ms_http_param_info {
    const char *name;
    const char *schema;      /* JSON schema, as JSON text */
    const char *description; /* one sentence */
    bool repeatable;
};
const struct ms_http_param_info *ms_http_param_info(enum ms_http_param param);

struct ms_http_params {
    uint32_t given; /* bits of enum ms_http_param */
    bool from_end, backward, include_system, tombstone, allow_incomplete;
    uint64_t from;
    size_t limit;
    int64_t version, wait_ms;
    struct ms_time_travel travel;
    struct ms_bytes topic, stream_prefix, correlation_id;
    struct ms_bytes *types, *tags; /* MS_HTTP_PARAM_LIST_MAX places, NULL when none was given */
    size_t type_count, tag_count;
};
static inline bool ms_http_param_given(const struct ms_http_params *params,
                                       enum ms_http_param param) {
    return (params->given >> param) & 1;
}

struct ms_http_params_rules {
    uint32_t known; /* bits: what the route takes */
    size_t limit_max;
    int64_t wait_ms_max;
};

/* Parses a raw query string (absent: all defaults). Texts are copied to the arena. MS_EINVAL names
 * the parameter and what it should be, or lists the known ones; MS_ENOMEM. */
int ms_http_params_parse(struct ms_bytes query, const struct ms_http_params_rules *rules,
                         struct ms_arena *arena, struct ms_http_params *ret_params,
                         struct ms_error *err) MS_MUST_CHECK;

/* Appends text with everything but unreserved characters percent-escaped, fit for a path segment or
 * a query value. */
int ms_http_percent_encode(struct ms_buf *out, struct ms_bytes text) MS_MUST_CHECK;
/* Appends a part of a target as it was received, with what would break out of a Link header
 * escaped. */
int ms_http_target_escape(struct ms_buf *out, struct ms_bytes text) MS_MUST_CHECK;
/* Appends the query without the parameters of `dropped` (bits), as `?a=b&c=d&` or `?`: ready for
 * one more pair. */
int ms_http_query_without(struct ms_buf *out, struct ms_bytes query, uint32_t dropped)
    MS_MUST_CHECK;
