/* Tables for people; see output.h. */
#include <stdlib.h>

#include "cli/output.h"

#define CELLS_BYTES_MAX ((size_t)64 << 20)
#define GAP "  "

/* The characters of UTF-8 text. */
static size_t width_of(struct ms_bytes text) {
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width;
}

static int append_cell(struct ms_output *output, struct ms_buf *out,
                       const struct ms_output_column *column, struct ms_json_value object) {
    struct ms_json_value value;
    if (!ms_json_get(object, column->name, &value) || value.type == MS_JSON_NULL)
        return ms_buf_append_u8(out, '-');
    if (column->show)
        return column->show(output, out, value);
    struct ms_bytes text = value.text;
    int rc = value.type == MS_JSON_STRING ? ms_json_string(value, &output->arena, &text) : 0;
    return rc == 0 ? ms_output_shown(out, text, SIZE_MAX) : rc;
}

static int pad(struct ms_buf *line, size_t width, size_t wanted) {
    int rc = 0;
    for (; rc == 0 && width < wanted; width++)
        rc = ms_buf_append_u8(line, ' ');
    return rc;
}

/* Nothing is padded at a line's end. */
static int put_cell(struct ms_buf *line, struct ms_bytes text, size_t width, bool right,
                    bool last) {
    int rc = right ? pad(line, width_of(text), width) : 0;
    if (rc == 0)
        rc = ms_buf_append_bytes(line, text);
    if (rc == 0 && !right && !last)
        rc = pad(line, width_of(text), width);
    return rc == 0 ? ms_buf_append_cstr(line, last ? "\n" : GAP) : rc;
}

/* One line; *widths grow when `measure`, else it is printed. */
static int do_row(struct ms_output *output, const struct ms_output_column *columns, size_t count,
                  const struct ms_json_value *object, size_t *widths, bool measure) {
    struct ms_buf cell;
    int rc = 0;
    ms_buf_init(&cell, CELLS_BYTES_MAX);
    ms_buf_clear(&output->line);
    ms_arena_reset(&output->arena);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        ms_buf_clear(&cell);
        rc = object ? append_cell(output, &cell, &columns[i], *object)
                    : ms_buf_append_cstr(&cell, columns[i].heading);
        size_t width = width_of(ms_buf_bytes(&cell));
        if (measure && width > widths[i])
            widths[i] = width;
        if (rc == 0 && !measure)
            rc = put_cell(&output->line, ms_buf_bytes(&cell), widths[i], columns[i].right,
                          i + 1 == count);
    }
    ms_buf_deinit(&cell);
    if (rc == 0 && !measure &&
        fwrite(output->line.data, 1, output->line.len, output->file) != output->line.len)
        rc = MS_EIO;
    return rc;
}

int ms_output_table(struct ms_output *output, struct ms_json_value rows,
                    const struct ms_output_column *columns, size_t column_count) {
    size_t widths[MS_OUTPUT_COLUMNS_MAX] = {0};
    int rc = 0;
    MS_ASSERT(column_count <= MS_OUTPUT_COLUMNS_MAX);
    for (int pass = 0; rc == 0 && pass < 2; pass++) {
        struct ms_json_value row;
        rc = do_row(output, columns, column_count, NULL, widths, pass == 0);
        for (size_t at = 0; rc == 0 && ms_json_next_element(rows, &at, &row);)
            rc = do_row(output, columns, column_count, &row, widths, pass == 0);
    }
    return rc;
}
