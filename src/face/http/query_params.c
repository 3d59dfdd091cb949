/* Parameters of queries; see query_params.h. */
#include "face/http/query_params.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "wire/http1.h"
#include "wire/json.h"

#define NUMBER_TEXT_MAX 64

struct parsing {
    const struct ms_declaration *declaration;
    size_t rows_max;
    struct ms_arena *arena;
    struct ms_http_query_params *params;
    bool *given; /* of the declared ones */
    uint32_t reserved_given;
    struct ms_bytes name, value;
    struct ms_error *err;
};

static int wrong(const struct parsing *parsing, const char *expected) {
    return ms_error_set(parsing->err, MS_EINVAL, "parameter '%.*s': expected %s, got '%.*s'",
                        MS_PLACE_SHOWN(parsing->name), expected, MS_PLACE_SHOWN(parsing->value));
}

/* ---- those that every query has ---- */

static int parse_min_position(struct parsing *parsing) {
    parsing->params->has_min_position = true;
    if (ms_parse_u64(parsing->value, &parsing->params->min_position) != 0 ||
        parsing->params->min_position >= INT64_MAX)
        return wrong(parsing, "a position: a number from 0 on");
    return 0;
}

/* <stream>:<version>; a stream's name may have a ':' in it. */
static int parse_min_version(struct parsing *parsing) {
    struct ms_bytes value = parsing->value;
    size_t at = value.len;
    uint64_t version;
    while (at > 0 && value.data[at - 1] != ':')
        at--;
    if (at < 2 || ms_parse_u64(ms_bytes_of(value.data + at, value.len - at), &version) != 0 ||
        version >= INT64_MAX)
        return wrong(parsing, "a stream and a version of it, as in 'order-123:4'");
    parsing->params->min_stream = ms_bytes_of(value.data, at - 1);
    parsing->params->min_version = (int64_t)version;
    return 0;
}

static int parse_as_of(struct parsing *parsing) {
    struct ms_time_travel *travel = &parsing->params->travel.to;
    int64_t us;
    if (ms_parse_u64(parsing->value, &travel->position) == 0) {
        if (travel->position >= INT64_MAX)
            return wrong(parsing, "a position that there can be");
        travel->kind = MS_AS_OF_POSITION;
        return 0;
    }
    if (ms_time_parse(parsing->value, &us) != 0)
        return wrong(parsing, "a position, or a time as in '2026-11-24T12:00:00Z'");
    travel->kind = MS_AS_OF_TIME;
    travel->time_ms = us / 1000;
    return 0;
}

static int parse_known_at(struct parsing *parsing) {
    int64_t us;
    if (ms_time_parse(parsing->value, &us) != 0)
        return wrong(parsing, "a time as in '2026-11-24T12:00:00Z'");
    parsing->params->travel.to.kind = MS_KNOWN_AT;
    parsing->params->travel.to.time_ms = us / 1000;
    return 0;
}

static int parse_timeout(struct parsing *parsing) {
    int64_t *ms = &parsing->params->timeout_ms;
    if (ms_duration_parse_ms(parsing->value, ms) != 0 || *ms < 0 ||
        *ms > MS_HTTP_QUERY_TIMEOUT_MAX_MS)
        return wrong(parsing, "a duration up to 5m, as in '2s'");
    return 0;
}

static int parse_max_staleness(struct parsing *parsing) {
    int64_t *ms = &parsing->params->max_staleness_ms;
    if (ms_duration_parse_ms(parsing->value, ms) != 0 || *ms < 0)
        return wrong(parsing, "a duration, as in '500ms'");
    return 0;
}

static int parse_page_rows(struct parsing *parsing) {
    uint64_t rows;
    char expected[64];
    snprintf(expected, sizeof expected, "a number from 1 to %zu", parsing->rows_max);
    if (ms_parse_u64(parsing->value, &rows) != 0 || rows < 1 || rows > parsing->rows_max)
        return wrong(parsing, expected);
    parsing->params->page_rows = (size_t)rows;
    return 0;
}

static int parse_page_skip(struct parsing *parsing) {
    uint64_t rows;
    if (ms_parse_u64(parsing->value, &rows) != 0 || rows > INT32_MAX)
        return wrong(parsing, "a number of rows");
    parsing->params->page_skip = (size_t)rows;
    return 0;
}

static int parse_allow_incomplete(struct parsing *parsing) {
    bool *allow = &parsing->params->travel.allow_incomplete;
    *allow = ms_bytes_equal_cstr(parsing->value, "true");
    return *allow || ms_bytes_equal_cstr(parsing->value, "false") ? 0
                                                                  : wrong(parsing, "true or false");
}

static const struct {
    const char *name;
    int (*parse)(struct parsing *parsing);
} reserved[] = {
    {"min_position", parse_min_position},
    {"min_version", parse_min_version},
    {"as_of", parse_as_of},
    {"known_at", parse_known_at},
    {"timeout", parse_timeout},
    {"max_staleness", parse_max_staleness},
    {"page_rows", parse_page_rows},
    {"page_skip", parse_page_skip},
    {"allow_incomplete", parse_allow_incomplete},
};
#define RESERVED_COUNT (sizeof reserved / sizeof *reserved)

/* ---- declared ones ---- */

static int parse_integer(struct parsing *parsing, int64_t low, int64_t high, const char *expected,
                         struct ms_value *ret_value) {
    struct ms_json_value number = {MS_JSON_NUMBER, parsing->value};
    struct ms_bytes text = parsing->value;
    bool digits = text.len > 0 && text.len < NUMBER_TEXT_MAX;
    for (size_t i = 0; digits && i < text.len; i++)
        digits = (text.data[i] >= '0' && text.data[i] <= '9') ||
                 (i == 0 && text.data[i] == '-' && text.len > 1);
    ret_value->kind = MS_VALUE_INTEGER;
    if (!digits || ms_json_i64(number, &ret_value->integer) != 0 || ret_value->integer < low ||
        ret_value->integer > high)
        return wrong(parsing, expected);
    return 0;
}

static int parse_double(struct parsing *parsing, struct ms_value *ret_value) {
    char text[NUMBER_TEXT_MAX], *end;
    struct ms_json_value json;
    ret_value->kind = MS_VALUE_DOUBLE;
    if (parsing->value.len >= sizeof text || ms_json_parse(parsing->value, 1, &json, NULL) != 0 ||
        json.type != MS_JSON_NUMBER)
        return wrong(parsing, "a number, as in '-1.5' or '1e9'");
    memcpy(text, parsing->value.data, parsing->value.len);
    text[parsing->value.len] = '\0';
    ret_value->number = strtod(text, &end);
    return isfinite(ret_value->number) ? 0 : wrong(parsing, "a number of 64 bits");
}

static int parse_boolean(struct parsing *parsing, struct ms_value *ret_value) {
    ret_value->kind = MS_VALUE_BOOLEAN;
    ret_value->integer = ms_bytes_equal_cstr(parsing->value, "true");
    if (!ret_value->integer && !ms_bytes_equal_cstr(parsing->value, "false"))
        return wrong(parsing, "true or false");
    return 0;
}

static int parse_text(struct parsing *parsing, enum ms_value_kind kind,
                      struct ms_value *ret_value) {
    struct ms_json_value json;
    struct ms_error err = {0};
    ret_value->kind = kind;
    ret_value->text = parsing->value;
    if (kind == MS_VALUE_JSON &&
        ms_json_parse(parsing->value, MS_JSON_DEPTH_LIMIT, &json, &err) != 0)
        return wrong(parsing, "JSON");
    if (parsing->value.len > 0 && memchr(parsing->value.data, 0, parsing->value.len) != NULL)
        return wrong(parsing, "text without zero bytes");
    return 0;
}

static int parse_declared(struct parsing *parsing, const struct ms_query_parameter *parameter,
                          struct ms_value *ret_value) {
    switch (parameter->type) {
    case MS_SQL_TYPE_TEXT:
        return parse_text(parsing, MS_VALUE_TEXT, ret_value);
    case MS_SQL_TYPE_JSON:
        return parse_text(parsing, MS_VALUE_JSON, ret_value);
    case MS_SQL_TYPE_BIGINT:
        return parse_integer(parsing, INT64_MIN, INT64_MAX, "an integer of 64 bits", ret_value);
    case MS_SQL_TYPE_INTEGER:
        return parse_integer(parsing, INT32_MIN, INT32_MAX, "an integer of 32 bits", ret_value);
    case MS_SQL_TYPE_DOUBLE:
        return parse_double(parsing, ret_value);
    case MS_SQL_TYPE_BOOLEAN:
        return parse_boolean(parsing, ret_value);
    }
    return MS_EINVAL;
}

static struct ms_value default_of(const struct ms_query_parameter *parameter) {
    const struct ms_sql_value *from = &parameter->otherwise;
    struct ms_value value = {.kind = MS_VALUE_NULL};
    if (from->is_null)
        return value;
    switch (parameter->type) {
    case MS_SQL_TYPE_TEXT:
        return (struct ms_value){.kind = MS_VALUE_TEXT, .text = from->text};
    case MS_SQL_TYPE_JSON:
        return (struct ms_value){.kind = MS_VALUE_JSON, .text = from->text};
    case MS_SQL_TYPE_BIGINT:
    case MS_SQL_TYPE_INTEGER:
        return (struct ms_value){.kind = MS_VALUE_INTEGER, .integer = from->integer};
    case MS_SQL_TYPE_DOUBLE:
        return (struct ms_value){.kind = MS_VALUE_DOUBLE, .number = from->number};
    case MS_SQL_TYPE_BOOLEAN:
        return (struct ms_value){.kind = MS_VALUE_BOOLEAN, .integer = from->boolean};
    }
    return value;
}

/* ---- all of them ---- */

static int unknown(const struct parsing *parsing) {
    const struct ms_declaration *declaration = parsing->declaration;
    char names[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < declaration->parameter_count && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%.*s", len > 0 ? ", " : "",
                                (int)declaration->parameters[i].name.len,
                                (const char *)declaration->parameters[i].name.data);
    return ms_error_set(
        parsing->err, MS_EINVAL, "unknown parameter '%.*s'; query '%.*s' declares: %s",
        MS_PLACE_SHOWN(parsing->name), MS_PLACE_SHOWN(declaration->name), len > 0 ? names : "none");
}

static int twice(const struct parsing *parsing) {
    return ms_error_set(parsing->err, MS_EINVAL, "parameter '%.*s' is given twice",
                        MS_PLACE_SHOWN(parsing->name));
}

static int parse_pair(struct parsing *parsing) {
    for (size_t i = 0; i < parsing->declaration->parameter_count; i++) {
        const struct ms_query_parameter *parameter = &parsing->declaration->parameters[i];
        if (!ms_bytes_equal(parsing->name, parameter->name))
            continue;
        if (parsing->given[i])
            return twice(parsing);
        parsing->given[i] = true;
        return parse_declared(parsing, parameter, &parsing->params->values[i]);
    }
    for (size_t i = 0; i < RESERVED_COUNT; i++) {
        if (!ms_bytes_equal_cstr(parsing->name, reserved[i].name))
            continue;
        if (parsing->reserved_given & (1u << i))
            return twice(parsing);
        parsing->reserved_given |= 1u << i;
        return reserved[i].parse(parsing);
    }
    return unknown(parsing);
}

static int fill_defaults(struct parsing *parsing) {
    for (size_t i = 0; i < parsing->declaration->parameter_count; i++) {
        const struct ms_query_parameter *parameter = &parsing->declaration->parameters[i];
        if (parsing->given[i])
            continue;
        if (!parameter->has_default)
            return ms_error_set(parsing->err, MS_EINVAL,
                                "parameter '%.*s' (%s) of query '%.*s' is missing",
                                MS_PLACE_SHOWN(parameter->name), ms_sql_type_name(parameter->type),
                                MS_PLACE_SHOWN(parsing->declaration->name));
        parsing->params->values[i] = default_of(parameter);
    }
    return 0;
}

static int parse_all(struct parsing *parsing, struct ms_bytes query) {
    size_t at = 0;
    while (query.len > 0) {
        int more = ms_query_next(query, &at, parsing->arena, &parsing->name, &parsing->value);
        if (more < 0)
            return ms_error_set(parsing->err, more, "query string: %s",
                                more == MS_EINVAL ? "bad percent escape" : ms_error_text(more));
        if (more == 0)
            break;
        int code = parse_pair(parsing);
        if (code != 0)
            return code;
    }
    return fill_defaults(parsing);
}

int ms_http_query_params_parse(struct ms_bytes query, const struct ms_projection_query *declared,
                               size_t rows_max, struct ms_arena *arena,
                               struct ms_http_query_params *ret_params, struct ms_error *err) {
    const struct ms_declaration *declaration = &declared->declaration;
    size_t count = declaration->parameter_count + 1;
    struct ms_http_query_params params = {
        .values = ms_arena_zalloc(arena, count * sizeof *params.values),
        .timeout_ms = MS_HTTP_QUERY_TIMEOUT_MS,
        .max_staleness_ms = -1,
        .page_rows = rows_max,
    };
    struct parsing parsing = {
        .declaration = declaration,
        .rows_max = rows_max,
        .arena = arena,
        .params = &params,
        .given = ms_arena_zalloc(arena, count * sizeof *parsing.given),
        .err = err,
    };
    if (params.values == NULL || parsing.given == NULL)
        return ms_error_set(err, MS_ENOMEM, "no memory for the query's parameters");
    int code = parse_all(&parsing, query);
    if (code == 0)
        *ret_params = params;
    return code;
}
