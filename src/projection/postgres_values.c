/* Values to and from PostgreSQL; see postgres_values.h. */
#include "projection/postgres_values.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/endian.h"

/* pg_type.dat: they never change. */
enum type_oid {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802,
};

#define ONES4 1, 1, 1, 1
#define ONES16 ONES4, ONES4, ONES4, ONES4
const int ms_postgres_binary[MS_PROJECTION_PARAMETERS_MAX] = {ONES16, ONES16, ONES16, ONES16};
_Static_assert(MS_PROJECTION_PARAMETERS_MAX == 64, "as many ones as parameters");

/* ---- to PostgreSQL ---- */

static void add(struct ms_postgres_parameters *parameters, const void *value, size_t len) {
    MS_ASSERT(parameters->count < MS_PROJECTION_PARAMETERS_MAX);
    parameters->values[parameters->count] = value;
    parameters->lengths[parameters->count++] = (int)len;
    parameters->bytes += len;
}

static uint8_t *number_place(struct ms_postgres_parameters *parameters) {
    MS_ASSERT(parameters->count < MS_PROJECTION_PARAMETERS_MAX);
    return parameters->numbers[parameters->count];
}

void ms_postgres_bind_text(struct ms_postgres_parameters *parameters, struct ms_bytes text) {
    add(parameters, text.data != NULL ? (const char *)text.data : "", text.len);
}

void ms_postgres_bind_bigint(struct ms_postgres_parameters *parameters, int64_t number) {
    uint8_t *place = number_place(parameters);
    ms_put_be64(place, (uint64_t)number);
    add(parameters, place, 8);
}

static int bind_text(struct ms_postgres_parameters *parameters, struct ms_bytes text,
                     struct ms_place place, struct ms_error *err) {
    if (text.len > INT_MAX / 2)
        return ms_place_error(place, MS_ETOOBIG, err, "a value is too large for PostgreSQL");
    if (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return ms_place_error(place, MS_EINVAL, err,
                              "a text has a NUL character, which PostgreSQL can't hold");
    ms_postgres_bind_text(parameters, text);
    return 0;
}

static int bind_integer(struct ms_postgres_parameters *parameters, int64_t number,
                        struct ms_place place, struct ms_error *err) {
    if (number < INT32_MIN || number > INT32_MAX)
        return ms_place_error(place, MS_EINVAL, err, "%lld is no integer of 32 bits",
                              (long long)number);
    ms_put_be32(number_place(parameters), (uint32_t)(int32_t)number);
    add(parameters, number_place(parameters), 4);
    return 0;
}

static void bind_double(struct ms_postgres_parameters *parameters, const struct ms_value *value) {
    double number = value->kind == MS_VALUE_DOUBLE ? value->number : (double)value->integer;
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    ms_postgres_bind_bigint(parameters, (int64_t)bits);
}

static void bind_boolean(struct ms_postgres_parameters *parameters, bool value) {
    *number_place(parameters) = value;
    add(parameters, number_place(parameters), 1);
}

static bool is_text(const struct ms_value *value) {
    return value->kind == MS_VALUE_TEXT || value->kind == MS_VALUE_JSON;
}

int ms_postgres_bind(struct ms_postgres_parameters *parameters, enum ms_sql_type type,
                     const struct ms_value *value, struct ms_place place, struct ms_error *err) {
    if (value->kind == MS_VALUE_NULL) {
        add(parameters, NULL, 0);
        return 0;
    }
    bool wants_text = type == MS_SQL_TYPE_TEXT || type == MS_SQL_TYPE_JSON;
    if (wants_text != is_text(value))
        return ms_place_error(place, MS_EINVAL, err, "a parameter is no %s",
                              ms_sql_type_name(type));
    switch (type) {
    case MS_SQL_TYPE_TEXT:
    case MS_SQL_TYPE_JSON:
        return bind_text(parameters, value->text, place, err);
    case MS_SQL_TYPE_INTEGER:
        return bind_integer(parameters, value->integer, place, err);
    case MS_SQL_TYPE_BIGINT:
        ms_postgres_bind_bigint(parameters, value->integer);
        break;
    case MS_SQL_TYPE_DOUBLE:
        bind_double(parameters, value);
        break;
    case MS_SQL_TYPE_BOOLEAN:
        bind_boolean(parameters, value->integer != 0);
        break;
    }
    return 0;
}

/* ---- from PostgreSQL ---- */

struct ms_bytes ms_postgres_text(const PGresult *result, int row, int column) {
    return ms_bytes_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

int64_t ms_postgres_bigint(const PGresult *result, int row, int column) {
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static struct ms_value text_value(enum ms_value_kind kind, struct ms_bytes text) {
    return (struct ms_value){.kind = kind, .text = text};
}

static struct ms_value integer_value(enum ms_value_kind kind, int64_t integer) {
    return (struct ms_value){.kind = kind, .integer = integer};
}

/* The text ends with a zero byte, as all of libpq's. */
static struct ms_value double_value(struct ms_bytes text) {
    double number = strtod((const char *)text.data, NULL);
    if (!isfinite(number))
        return text_value(MS_VALUE_TEXT, text);
    return (struct ms_value){.kind = MS_VALUE_DOUBLE, .number = number};
}

static struct ms_value numeric_value(struct ms_bytes text) {
    const uint8_t *point = memchr(text.data, '.', text.len);
    struct ms_bytes whole = text;
    int64_t integer;
    if (point != NULL) {
        while (whole.data[whole.len - 1] == '0')
            whole.len--;
        if (whole.data[whole.len - 1] != '.')
            return double_value(text);
        whole.len--;
    }
    uint8_t last = whole.data[whole.len - 1];
    if (last < '0' || last > '9') /* NaN, Infinity */
        return text_value(MS_VALUE_TEXT, text);
    if (ms_parse_i64(whole, &integer) == 0)
        return integer_value(MS_VALUE_INTEGER, integer);
    return text_value(MS_VALUE_JSON, whole);
}

/* "2026-01-31 12:00:00.5+00" as RFC 3339 has it. What has no such form (infinity, years before
 * Christ) stays as it is. */
static struct ms_value time_value(PGresult *result, int row, int column, bool zoned) {
    char *text = PQgetvalue(result, row, column);
    struct ms_bytes bytes = ms_postgres_text(result, row, column);
    char *space = memchr(text, ' ', bytes.len);
    bool utc = bytes.len > 3 && memcmp(text + bytes.len - 3, "+00", 3) == 0;
    if (space == NULL || memchr(space + 1, ' ', strlen(space + 1)) != NULL || (zoned && !utc))
        return text_value(MS_VALUE_TEXT, bytes);
    *space = 'T';
    if (zoned) {
        bytes.len -= 2;
        text[bytes.len - 1] = 'Z';
    }
    return text_value(MS_VALUE_TEXT, bytes);
}

struct ms_value ms_postgres_value(PGresult *result, int row, int column) {
    if (PQgetisnull(result, row, column))
        return (struct ms_value){.kind = MS_VALUE_NULL};
    struct ms_bytes text = ms_postgres_text(result, row, column);
    switch (PQftype(result, column)) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return integer_value(MS_VALUE_INTEGER, ms_postgres_bigint(result, row, column));
    case OID_BOOL:
        return integer_value(MS_VALUE_BOOLEAN, text.len > 0 && text.data[0] == 't');
    case OID_FLOAT4:
    case OID_FLOAT8:
        return double_value(text);
    case OID_NUMERIC:
        return numeric_value(text);
    case OID_JSON:
    case OID_JSONB:
        return text_value(MS_VALUE_JSON, text);
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return time_value(result, row, column, PQftype(result, column) == OID_TIMESTAMPTZ);
    default:
        return text_value(MS_VALUE_TEXT, text);
    }
}
