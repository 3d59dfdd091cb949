/* Status lines and headers of HTTP/1.1 responses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http1.h"

static void status_lines_have_reasons(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *line;
    } cases[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {204, "HTTP/1.1 204 No Content\r\n"},
        {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
        {428, "HTTP/1.1 428 Precondition Required\r\n"},
        {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
        {451, "HTTP/1.1 451 Unavailable For Legal Reasons\r\n"},
        {507, "HTTP/1.1 507 Insufficient Storage\r\n"},
        {599, "HTTP/1.1 599 Unknown\r\n"},
    };
    struct ms_buf out;
    ms_buf_init(&out, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ms_buf_clear(&out);
        assert_int_equal(ms_http1_write_status(&out, cases[i].status), 0);
        assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), cases[i].line));
    }
    ms_buf_clear(&out);
    assert_int_equal(ms_http1_write_status(&out, 99), MS_EINVAL);
    assert_int_equal(ms_http1_write_status(&out, 1000), MS_EINVAL);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

/* Every status that our errors map to can be answered by name. */
static void every_error_has_a_reason(void **state) {
    (void)state;
#define X(name, value, http, type, text) assert_string_not_equal(ms_http1_reason(http), "Unknown");
    MS_ERROR_LIST(X)
#undef X
}

static void header_values_cannot_split_a_response(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 24);
    assert_int_equal(ms_http1_write_header(&out, "Location", MS_BYTES_LITERAL("/a b")), 0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), "Location: /a b\r\n"));
    assert_int_equal(ms_http1_write_header(&out, "A", (struct ms_bytes){0}), 0);
    assert_true(ms_bytes_equal_cstr(ms_buf_bytes(&out), "Location: /a b\r\nA: \r\n"));
    size_t len = out.len;
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\rb")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\nb")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a\0b")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A:", MS_BYTES_LITERAL("a")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "", MS_BYTES_LITERAL("a")), MS_EINVAL);
    assert_int_equal(ms_http1_write_header(&out, "A", MS_BYTES_LITERAL("a")), MS_ETOOBIG);
    assert_int_equal(out.len, len);
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_lines_have_reasons),
        cmocka_unit_test(every_error_has_a_reason),
        cmocka_unit_test(header_values_cannot_split_a_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
