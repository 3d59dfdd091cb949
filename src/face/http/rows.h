/*
 * Rows of a query as JSON: an array of objects, or one object per line (NDJSON).
 *
 *     [{"order_id":"1","status":"PAID"},
 *      {"order_id":"2","status":"PENDING"}]
 *
 * A sink of projection/target.h. One thread.
 */
#pragma once

#include "projection/target.h"

struct ms_http_rows {
    struct ms_buf *out;
    bool ndjson;
    size_t skip;      /* rows that are left out at the beginning */
    size_t rows_max;  /* then so many are written … */
    size_t bytes_max; /* … in so many bytes: MS_ETOOBIG */
    /* ---- what came of it ---- */
    size_t rows;
    bool more; /* there is a row behind */
    /* ---- inner ---- */
    size_t seen, from;
    struct ms_buf names; /* `"a":` … one after the other */
    size_t *name_ends;
    struct ms_arena *arena;
};

/* Begins to write. The sink's context is `rows`. */
struct ms_row_sink ms_http_rows_begin(struct ms_http_rows *rows, struct ms_arena *arena);
/* Behind the last row. */
int ms_http_rows_end(struct ms_http_rows *rows) MS_MUST_CHECK;
