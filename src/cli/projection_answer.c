/* See projection_answer.h. */
#include "cli/projection_answer.h"

#include <stdlib.h>

#define DEPTH_MAX 16
#define NUMBER_TEXT_MAX 64

int ms_projection_server(struct ms_invocation *invocation, struct ms_target **ret_target,
                         struct ms_error *err) {
    if (ms_option_given(invocation, "data"))
        return ms_error_set(err, MS_EUNSUPPORTED,
                            "projections are kept by a running server: give --server, not --data");
    return ms_target_open(invocation, MS_TARGET_READS, ret_target, err);
}

static int not_understood(struct ms_error *err) {
    return ms_error_set(err, MS_EIO, "the server's answer was not understood");
}

int ms_projection_ask(struct ms_target *target, const struct ms_target_projection *request,
                      struct ms_buf *text, struct ms_json_value *ret_object, struct ms_error *err) {
    ms_buf_clear(text);
    int rc = ms_target_projection(target, request, text, err);
    if (rc != 0)
        return rc;
    if (ms_json_parse(ms_buf_bytes(text), DEPTH_MAX, ret_object, NULL) != 0 ||
        ret_object->type != MS_JSON_OBJECT)
        return not_understood(err);
    return 0;
}

int ms_projection_array(struct ms_json_value object, const char *member,
                        struct ms_json_value *ret_array, struct ms_error *err) {
    if (object.type != MS_JSON_OBJECT || !ms_json_get(object, member, ret_array) ||
        ret_array->type != MS_JSON_ARRAY)
        return not_understood(err);
    return 0;
}

/* ---- tables ---- */

/* {"version":2,…} as {"projection":"orders","version":2,…}. */
static int add_row(struct ms_buf *rows, struct ms_json_value name, struct ms_json_value version) {
    int rc = ms_buf_append_cstr(rows, rows->len > 1 ? ",{\"projection\":" : "{\"projection\":");
    if (rc == 0)
        rc = ms_buf_append_bytes(rows, name.text);
    if (rc == 0)
        rc = ms_buf_append_u8(rows, ',');
    return rc == 0 ? ms_buf_append(rows, version.text.data + 1, version.text.len - 1) : rc;
}

int ms_projection_add_rows(struct ms_buf *rows, struct ms_json_value projection) {
    struct ms_json_value name, versions, version;
    if (projection.type != MS_JSON_OBJECT || !ms_json_get(projection, "projection", &name) ||
        !ms_json_get(projection, "versions", &versions) || versions.type != MS_JSON_ARRAY)
        return MS_EIO;
    int rc = rows->len == 0 ? ms_buf_append_u8(rows, '[') : 0;
    for (size_t at = 0; rc == 0 && ms_json_next_element(versions, &at, &version);)
        if (version.type == MS_JSON_OBJECT)
            rc = add_row(rows, name, version);
    return rc;
}

int ms_projection_print_rows(struct ms_output *output, struct ms_buf *rows,
                             const struct ms_output_column *columns, size_t column_count) {
    struct ms_json_value table;
    int rc = ms_buf_append_cstr(rows, rows->len == 0 ? "[]" : "]");
    if (rc == 0)
        rc = ms_json_parse(ms_buf_bytes(rows), DEPTH_MAX, &table, NULL);
    return rc == 0 ? ms_output_table(output, table, columns, column_count) : rc;
}

/* ---- one version ---- */

static bool read_text(struct ms_json_value object, const char *name, struct ms_bytes *ret_text) {
    struct ms_json_value value;
    if (!ms_json_get(object, name, &value) || value.type != MS_JSON_STRING)
        return false;
    *ret_text = ms_bytes_of(value.text.data + 1, value.text.len - 2); /* words without escapes */
    return true;
}

static bool read_number(struct ms_json_value object, const char *name, uint64_t *ret_number) {
    struct ms_json_value value;
    int64_t number;
    if (!ms_json_get(object, name, &value) || ms_json_i64(value, &number) != 0 || number < 0)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static double read_rate(struct ms_json_value object) {
    struct ms_json_value value;
    char text[NUMBER_TEXT_MAX];
    if (!ms_json_get(object, "rate", &value) || value.type != MS_JSON_NUMBER)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)value.text.len, (const char *)value.text.data);
    return strtod(text, NULL);
}

int ms_projection_read_state(struct ms_json_value version, struct ms_projection_state *ret_state,
                             struct ms_error *err) {
    struct ms_projection_state state = {0};
    if (version.type != MS_JSON_OBJECT || !read_text(version, "role", &state.role) ||
        !read_text(version, "state", &state.state) ||
        !read_number(version, "version", &state.version) ||
        !read_number(version, "position", &state.position) ||
        !read_number(version, "end", &state.end) || !ms_json_get(version, "error", &state.error))
        return not_understood(err);
    if (!read_number(version, "error_position", &state.error_position))
        state.error_position = 0;
    state.rate = read_rate(version);
    *ret_state = state;
    return 0;
}
