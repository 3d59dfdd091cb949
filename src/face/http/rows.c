/* Rows as JSON; see rows.h. */
#include "face/http/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/json.h"

#define NAMES_MAX ((size_t)1 << 20)

static int take_columns(void *context, const struct ms_bytes *names, size_t count) {
    struct ms_http_rows *rows = context;
    int code = 0;
    rows->name_ends = ms_arena_alloc(rows->arena, (count + 1) * sizeof *rows->name_ends);
    if (rows->name_ends == NULL)
        return MS_ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = ms_json_write_string(&rows->names, names[i]);
        if (code == 0)
            code = ms_buf_append_u8(&rows->names, ':');
        rows->name_ends[i] = rows->names.len;
    }
    return code == 0 && !rows->ndjson ? ms_buf_append_u8(rows->out, '[') : code;
}

/* The shortest text that reads back as the same number. */
static int write_double(struct ms_buf *out, double number) {
    char text[40];
    if (!isfinite(number))
        return ms_buf_append_cstr(out, "null");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return ms_buf_append_cstr(out, text);
}

/* A database may hold what is called JSON there and isn't. */
static int write_json(struct ms_buf *out, struct ms_bytes text) {
    struct ms_json_value ignored;
    return ms_json_parse(text, MS_JSON_DEPTH_LIMIT, &ignored, NULL) == 0
               ? ms_buf_append_bytes(out, ignored.text)
               : ms_json_write_string(out, text);
}

static int write_value(struct ms_buf *out, const struct ms_value *value) {
    switch (value->kind) {
    case MS_VALUE_NULL:
        break;
    case MS_VALUE_INTEGER:
        return ms_buf_printf(out, "%lld", (long long)value->integer);
    case MS_VALUE_DOUBLE:
        return write_double(out, value->number);
    case MS_VALUE_BOOLEAN:
        return ms_buf_append_cstr(out, value->integer ? "true" : "false");
    case MS_VALUE_TEXT:
        return ms_json_write_string(out, value->text);
    case MS_VALUE_JSON:
        return write_json(out, value->text);
    }
    return ms_buf_append_cstr(out, "null");
}

static int write_row(struct ms_http_rows *rows, const struct ms_value *values, size_t count) {
    struct ms_buf *out = rows->out;
    const char *before = rows->rows == 0 ? "" : ",\n ";
    int code = rows->ndjson ? 0 : ms_buf_append_cstr(out, before);
    size_t from = 0;
    if (code == 0)
        code = ms_buf_append_u8(out, '{');
    for (size_t i = 0; code == 0 && i < count; i++) {
        if (i > 0)
            code = ms_buf_append_u8(out, ',');
        if (code == 0)
            code = ms_buf_append(out, rows->names.data + from, rows->name_ends[i] - from);
        if (code == 0)
            code = write_value(out, &values[i]);
        from = rows->name_ends[i];
    }
    return code == 0 ? ms_buf_append_cstr(out, rows->ndjson ? "}\n" : "}") : code;
}

static int take_row(void *context, const struct ms_value *values, size_t count) {
    struct ms_http_rows *rows = context;
    if (rows->seen++ < rows->skip)
        return 0;
    if (rows->rows == rows->rows_max) {
        rows->more = true;
        return 1;
    }
    int code = write_row(rows, values, count);
    rows->rows++;
    return code == 0 && rows->out->len - rows->from > rows->bytes_max ? MS_ETOOBIG : code;
}

struct ms_row_sink ms_http_rows_begin(struct ms_http_rows *rows, struct ms_arena *arena) {
    rows->arena = arena;
    rows->from = rows->out->len;
    rows->rows = rows->seen = 0;
    rows->more = false;
    ms_buf_init(&rows->names, NAMES_MAX);
    return (struct ms_row_sink){take_columns, take_row, rows};
}

int ms_http_rows_end(struct ms_http_rows *rows) {
    ms_buf_deinit(&rows->names);
    return rows->ndjson ? 0 : ms_buf_append_cstr(rows->out, "]\n");
}
