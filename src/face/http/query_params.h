/*
 * The parameters of a projection's query, from the query string: those that every query has, and
 * those that it declares, each by its type. An unknown one, a missing one, one given twice and one
 * of another type are refused by name. Sans-I/O; any thread.
 */
#pragma once

#include "projection/definition.h"
#include "projection/event_values.h"
#include "projection/travel.h"

#define MS_HTTP_QUERY_TIMEOUT_MS 5000
#define MS_HTTP_QUERY_TIMEOUT_MAX_MS 300000

struct ms_http_query_params {
    struct ms_value *values; /* of the declared ones; arena */
    bool has_min_position;
    uint64_t min_position;
    struct ms_bytes min_stream; /* absent: no min_version */
    int64_t min_version;
    int64_t timeout_ms;
    int64_t max_staleness_ms; /* -1: any */
    struct ms_travel travel;
    size_t page_rows, page_skip;
};

/* MS_EINVAL, MS_ENOMEM. */
int ms_http_query_params_parse(struct ms_bytes query, const struct ms_projection_query *declared,
                               size_t rows_max, struct ms_arena *arena,
                               struct ms_http_query_params *ret_params, struct ms_error *err)
    MS_MUST_CHECK;
