/* `mainstem query`: asks a read model of a running server, and prints all rows of the answer. */
#include "cli/projection_answer.h"

#define ROWS_BYTES_MAX ((size_t)512 << 20)

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_LINES };

struct asking {
    struct ms_invocation *invocation;
    enum format format;
    struct ms_target_parameter parameters[MS_ARGS_MAX + MS_OPTIONS_MAX];
    size_t parameter_count;
    struct ms_output output;
    struct ms_buf rows; /* of the table: "[{…},{…}" */
    size_t count;
};

/* ---- the question ---- */

static void add(struct asking *asking, struct ms_bytes name, struct ms_bytes value) {
    MS_ASSERT(asking->parameter_count < sizeof asking->parameters / sizeof *asking->parameters);
    asking->parameters[asking->parameter_count++] = (struct ms_target_parameter){name, value};
}

/* status=PAID; a value may have a '=' in it. */
static int add_argument(struct asking *asking, const char *text, struct ms_error *err) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return ms_error_set(err, MS_EINVAL, "param=value was expected, not \"%.64s\"", text);
    add(asking, ms_bytes_of(text, (size_t)(equals - text)), ms_bytes_cstr(equals + 1));
    return 0;
}

static int read_format(struct asking *asking, struct ms_error *err) {
    const char *format = ms_option_text(asking->invocation, "format");
    asking->format = ms_wants_json(asking->invocation) ? FORMAT_LINES : FORMAT_TABLE;
    if (!format)
        return 0;
    if (strcmp(format, "table") == 0)
        asking->format = FORMAT_TABLE;
    else if (strcmp(format, "json") == 0)
        asking->format = FORMAT_JSON;
    else if (strcmp(format, "ndjson") == 0)
        asking->format = FORMAT_LINES;
    else
        return ms_error_set(err, MS_EINVAL,
                            "--format: table, json or ndjson was expected, not \"%.64s\"", format);
    return 0;
}

/* The options are parameters that every query has; the server says what is wrong with them. */
static int read_question(struct asking *asking, struct ms_error *err) {
    static const char *const options[][2] = {
        {"min-position", "min_position"}, {"min-version", "min_version"}, {"as-of", "as_of"},
        {"known-at", "known_at"},         {"timeout", "timeout"},
    };
    const struct ms_invocation *invocation = asking->invocation;
    int rc = read_format(asking, err);
    for (size_t i = 2; rc == 0 && i < invocation->arg_count; i++)
        rc = add_argument(asking, invocation->args[i], err);
    for (size_t i = 0; rc == 0 && i < sizeof options / sizeof *options; i++)
        if (ms_option_given(invocation, options[i][0]))
            add(asking, ms_bytes_cstr(options[i][1]),
                ms_bytes_cstr(ms_option_text(invocation, options[i][0])));
    if (ms_option_given(invocation, "allow-incomplete"))
        add(asking, ms_bytes_cstr("allow_incomplete"), ms_bytes_cstr("true"));
    if (rc == 0 && ms_option_given(invocation, "as-of") && ms_option_given(invocation, "known-at"))
        rc = ms_error_set(err, MS_EINVAL, "give --as-of or --known-at, not both");
    return rc;
}

/* ---- the answer ---- */

static int take_row(void *context, struct ms_bytes row) {
    struct asking *asking = context;
    bool first = asking->count++ == 0;
    int rc;
    switch (asking->format) {
    case FORMAT_TABLE:
        rc = ms_buf_append_cstr(&asking->rows, first ? "[" : ",");
        return rc == 0 ? ms_buf_append_bytes(&asking->rows, row) : rc;
    case FORMAT_JSON:
        return fprintf(asking->output.file, "%s%.*s", first ? "[" : ",\n ", (int)row.len,
                       (const char *)row.data) < 0
                   ? MS_EIO
                   : 0;
    case FORMAT_LINES:
        asking->output.json = true;
        return ms_output_object(&asking->output, row, NULL);
    }
    return MS_EINVAL;
}

/* A text of its own, ended, that a terminal can be shown. */
static const char *shown(struct ms_invocation *invocation, struct ms_bytes text) {
    struct ms_buf safe;
    ms_buf_init(&safe, ROWS_BYTES_MAX);
    char *copy = NULL;
    if (ms_output_shown(&safe, text, SIZE_MAX) == 0)
        copy = ms_arena_zalloc(&invocation->arena, safe.len + 1);
    if (copy && safe.len > 0)
        memcpy(copy, safe.data, safe.len);
    ms_buf_deinit(&safe);
    return copy;
}

static int make_column(struct asking *asking, struct ms_json_value name, struct ms_json_value value,
                       struct ms_output_column *ret_column) {
    struct ms_bytes text;
    struct ms_arena *arena = &asking->invocation->arena;
    int rc = ms_json_string(name, arena, &text);
    char *copy = rc == 0 ? ms_arena_zalloc(arena, text.len + 1) : NULL;
    if (!copy)
        return MS_ENOMEM;
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    *ret_column = (struct ms_output_column){.name = copy,
                                            .heading = shown(asking->invocation, text),
                                            .right = value.type == MS_JSON_NUMBER};
    return ret_column->heading ? 0 : MS_ENOMEM;
}

/* The columns are the first row's. */
static int print_table(struct asking *asking, struct ms_error *err) {
    struct ms_output_column columns[MS_OUTPUT_COLUMNS_MAX];
    struct ms_json_value rows, row, name, value;
    size_t count = 0, at = 0;
    if (asking->count == 0)
        return fprintf(asking->output.file, "no rows\n") < 0 ? MS_EIO : 0;
    int rc = ms_buf_append_u8(&asking->rows, ']');
    if (rc == 0)
        rc = ms_json_parse(ms_buf_bytes(&asking->rows), MS_JSON_DEPTH_LIMIT, &rows, err);
    if (rc != 0 || !ms_json_next_element(rows, &at, &row))
        return rc;
    for (at = 0; rc == 0 && ms_json_next_member(row, &at, &name, &value); count++) {
        if (count == MS_OUTPUT_COLUMNS_MAX)
            return ms_error_set(err, MS_ETOOBIG,
                                "a table has at most %d columns: ask with --format json",
                                MS_OUTPUT_COLUMNS_MAX);
        rc = make_column(asking, name, value, &columns[count]);
    }
    return rc == 0 ? ms_output_table(&asking->output, rows, columns, count) : rc;
}

static int print_end(struct asking *asking, struct ms_error *err) {
    if (asking->format == FORMAT_TABLE)
        return print_table(asking, err);
    if (asking->format == FORMAT_JSON)
        fputs(asking->count == 0 ? "[]\n" : "]\n", asking->output.file);
    return 0;
}

static int ask(struct asking *asking, struct ms_error *err) {
    struct ms_invocation *invocation = asking->invocation;
    struct ms_target_query query = {.projection = ms_bytes_cstr(invocation->args[0]),
                                    .query = ms_bytes_cstr(invocation->args[1]),
                                    .parameters = asking->parameters,
                                    .parameter_count = asking->parameter_count};
    struct ms_target *target;
    int rc = ms_projection_server(invocation, &target, err);
    if (rc != 0)
        return rc;
    ms_output_init(&asking->output, invocation);
    ms_buf_init(&asking->rows, ROWS_BYTES_MAX);
    rc = ms_target_query(target, &query, take_row, asking, err);
    if (rc == 0)
        rc = print_end(asking, err);
    ms_buf_deinit(&asking->rows);
    ms_output_deinit(&asking->output);
    ms_target_free(target);
    return rc;
}

int ms_cmd_query(struct ms_invocation *invocation) {
    struct ms_error error = {0};
    struct asking asking = {.invocation = invocation};
    if (read_question(&asking, &error) != 0)
        return ms_usage(invocation, "%s", error.message);
    int rc = ask(&asking, &error);
    return rc == 0 ? MS_EXIT_OK : ms_cli_fail(invocation->cli, rc, &error);
}
