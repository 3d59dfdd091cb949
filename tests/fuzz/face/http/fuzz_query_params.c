/*
 * Query strings against a query with a parameter of each type. Asserted: what is refused is told;
 * what is taken is within the limits, and of its type; the same string is taken the same way twice.
 */
#include "base/alloc.h"
#include "face/http/query_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MAX 1000u

static const char file[] =
    "-- projection: p\n-- from: *\ncreate table t (a);\n-- on: *\ndelete from t;\n"
    "-- query: q(t text, b bigint = -5, i integer = 7, d double = 1.5, y boolean = true,"
    " j json = '{}', n text = null)\nselect :t, :b, :i, :d, :y, :j, :n;\n";

static struct ms_projection_definition *definition(void) {
    struct ms_projection_definition *made;
    MS_ASSERT(ms_projection_parse("p.sql", ms_bytes_cstr(file), NULL, &made, NULL) == 0);
    return made;
}

static void check_values(const struct ms_http_query_params *params,
                         const struct ms_declaration *declared) {
    for (size_t i = 0; i < declared->parameter_count; i++) {
        const struct ms_value *value = &params->values[i];
        switch (declared->parameters[i].type) {
        case MS_SQL_TYPE_TEXT:
            MS_ASSERT(value->kind == MS_VALUE_TEXT || value->kind == MS_VALUE_NULL);
            break;
        case MS_SQL_TYPE_INTEGER:
            MS_ASSERT(value->kind == MS_VALUE_INTEGER && value->integer >= INT32_MIN &&
                      value->integer <= INT32_MAX);
            break;
        case MS_SQL_TYPE_BIGINT:
            MS_ASSERT(value->kind == MS_VALUE_INTEGER);
            break;
        case MS_SQL_TYPE_DOUBLE:
            MS_ASSERT(value->kind == MS_VALUE_DOUBLE || value->kind == MS_VALUE_INTEGER);
            break;
        case MS_SQL_TYPE_BOOLEAN:
            MS_ASSERT(value->kind == MS_VALUE_BOOLEAN && (value->integer | 1) == 1);
            break;
        case MS_SQL_TYPE_JSON:
            MS_ASSERT(value->kind == MS_VALUE_JSON || value->kind == MS_VALUE_TEXT);
            break;
        }
    }
}

static int parse(const struct ms_projection_query *query, struct ms_bytes text) {
    struct ms_arena arena;
    struct ms_http_query_params params;
    struct ms_error err = {0};
    ms_arena_init(&arena, (size_t)16 << 20);
    int code = ms_http_query_params_parse(text, query, ROWS_MAX, &arena, &params, &err);
    if (code != 0) {
        MS_ASSERT(code == MS_EINVAL || code == MS_ENOMEM);
        MS_ASSERT(err.code == code && err.message[0] != '\0');
    } else {
        MS_ASSERT(params.timeout_ms >= 0 && params.timeout_ms <= MS_HTTP_QUERY_TIMEOUT_MAX_MS);
        MS_ASSERT(params.max_staleness_ms >= -1 && params.page_rows <= ROWS_MAX);
        MS_ASSERT(params.min_stream.data == NULL || params.min_version >= 0);
        check_values(&params, &query->declaration);
    }
    ms_arena_deinit(&arena);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_projection_definition *made = definition();
    struct ms_bytes text = ms_bytes_of(data, size);
    int code = parse(&made->queries[0], text);
    MS_ASSERT(code == parse(&made->queries[0], text));
    ms_projection_definition_free(made);
    return 0;
}
