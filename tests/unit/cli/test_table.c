/* Tables for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/output.h"

static char *text;

static int show_length(struct ms_output *output, struct ms_buf *out, struct ms_json_value value) {
    (void)output;
    return ms_buf_printf(out, "%zu bytes", value.text.len);
}

static void expect(const char *rows, const char *wanted) {
    static const struct ms_output_column columns[] = {
        {"name", "NAME", false, NULL},
        {"n", "NUMBER", true, NULL},
        {"list", "LIST", false, show_length},
    };
    size_t len;
    struct ms_output output = {.file = open_memstream(&text, &len)};
    struct ms_json_value value;
    assert_non_null(output.file);
    ms_arena_init(&output.arena, (size_t)1 << 20);
    ms_buf_init(&output.line, (size_t)1 << 20);
    assert_int_equal(ms_json_parse(ms_bytes_cstr(rows), 4, &value, NULL), 0);
    assert_int_equal(ms_output_table(&output, value, columns, 3), 0);
    fclose(output.file);
    assert_string_equal(text, wanted);
    free(text);
    ms_output_deinit(&output);
}

static void columns_are_as_wide_as_their_widest_cell(void **state) {
    (void)state;
    expect("[]", "NAME  NUMBER  LIST\n");
    expect(
        "[{\"name\":\"order\",\"n\":7,\"list\":[1]},{\"n\":-1234567,\"list\":[],\"name\":\"a\"}]",
        "NAME     NUMBER  LIST\n"
        "order         7  3 bytes\n"
        "a      -1234567  2 bytes\n");
}

static void what_is_null_or_missing_is_a_dash(void **state) {
    (void)state;
    expect("[{\"name\":null,\"list\":null},{}]", "NAME  NUMBER  LIST\n"
                                                 "-          -  -\n"
                                                 "-          -  -\n");
}

static void characters_are_counted_and_controls_replaced(void **state) {
    (void)state;
    expect("[{\"name\":\"\xc3\xbc\xc3\xb6\",\"n\":1},{\"name\":\"\\u001b[1m\xc2\x9b\",\"n\":2}]",
           "NAME   NUMBER  LIST\n"
           "\xc3\xbc\xc3\xb6          1  -\n"
           ".[1m.       2  -\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(what_is_null_or_missing_is_a_dash),
        cmocka_unit_test(characters_are_counted_and_controls_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
