/* Framing of server-sent events, and text between JSON tokens. */
#include "face/http/reads.h"
#include "face/http/sse.h"
#include "http_cmocka.h"

static void an_event_begins_with_its_id(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1024);
    assert_int_equal(ms_http_sse_begin_event(&out, 0), 0);
    assert_int_equal(ms_http_sse_begin_event(&out, UINT64_MAX), 0);
    assert_buf(&out, "id: 0\ndata: id: 18446744073709551615\ndata: ");
    ms_buf_deinit(&out);
}

static void a_chunk_says_its_length_in_hex(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_http_sse_write_chunk(&out, B("0123456789abcdef!")), 0);
    assert_buf(&out, "11\r\n0123456789abcdef!\r\n");
    ms_buf_clear(&out);
    assert_int_equal(ms_http_sse_write_chunk(&out, NO_BYTES), 0); /* an empty one would end it */
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

static void a_full_output_is_an_error_and_left_alone(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 16);
    assert_int_equal(ms_http_sse_write_chunk(&out, B("0123456789abcdef!")), MS_ETOOBIG);
    assert_int_equal(ms_http_sse_begin_event(&out, 1), MS_ETOOBIG);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

static void line_breaks_become_spaces_from_a_place_on(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1024);
    assert_int_equal(ms_buf_append_cstr(&out, "x\n{\"a\":\r\n [1,\n2]}"), 0);
    ms_http_flatten_lines(&out, 2);
    assert_buf(&out, "x\n{\"a\":   [1, 2]}");
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_begins_with_its_id),
        cmocka_unit_test(a_chunk_says_its_length_in_hex),
        cmocka_unit_test(a_full_output_is_an_error_and_left_alone),
        cmocka_unit_test(line_breaks_become_spaces_from_a_place_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
