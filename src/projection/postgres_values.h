/*
 * Values on their way to PostgreSQL and back.
 *
 * Parameters go in binary form (text and JSON are their bytes, numbers are big-endian), so nothing
 * is copied and nothing needs to be quoted. Answers come as text:
 *
 *     int2 int4 int8      MS_VALUE_INTEGER
 *     bool                MS_VALUE_BOOLEAN
 *     float4 float8       MS_VALUE_DOUBLE
 *     numeric             MS_VALUE_INTEGER when it is whole (12.00 is 12); larger than 64 bits:
 *                         MS_VALUE_JSON, its digits; else MS_VALUE_DOUBLE, the nearest
 *     json jsonb          MS_VALUE_JSON
 *     timestamp(tz)       MS_VALUE_TEXT, 2026-01-31T12:00:00.5Z (without a zone: no Z)
 *     NaN and infinity    MS_VALUE_TEXT
 *     everything else     MS_VALUE_TEXT, as PostgreSQL writes it
 */
#pragma once

#include <libpq-fe.h>

#include "projection/definition.h"
#include "projection/event_values.h"
#include "projection/limits.h"

/* Of one execution. Texts are borrowed, numbers live in it. */
struct ms_postgres_parameters {
    const char *values[MS_PROJECTION_PARAMETERS_MAX];
    int lengths[MS_PROJECTION_PARAMETERS_MAX];
    uint8_t numbers[MS_PROJECTION_PARAMETERS_MAX][8];
    size_t count, bytes;
};

/* Appends one. MS_EINVAL: the text has a NUL character, the number does not fit; MS_ETOOBIG. */
int ms_postgres_bind(struct ms_postgres_parameters *parameters, enum ms_sql_type type,
                     const struct ms_value *value, struct ms_place place, struct ms_error *err)
    MS_MUST_CHECK;
/* For ours. */
void ms_postgres_bind_text(struct ms_postgres_parameters *parameters, struct ms_bytes text);
void ms_postgres_bind_bigint(struct ms_postgres_parameters *parameters, int64_t number);
/* "1, 1, …": the format of every parameter. */
extern const int ms_postgres_binary[MS_PROJECTION_PARAMETERS_MAX];

/* A field of a row; its text is borrowed from the result, where a time is rewritten. */
struct ms_value ms_postgres_value(PGresult *result, int row, int column);
struct ms_bytes ms_postgres_text(const PGresult *result, int row, int column);
int64_t ms_postgres_bigint(const PGresult *result, int row, int column);
