/* HTTP/1.1 requests: what is accepted, and how the parser is driven. What is refused is in
 * test_http1_refusals.c. */
#include "base/alloc.h"
#include "http1_story.h"

/* ---- accepted ---- */

static void reads_a_request_without_body(void **state) {
    (void)state;
    assert_story("GET /a%20b/c?x=1&y=?2 HTTP/1.1\r\nHost: x:80\r\nX-Empty:\r\n"
                 "aCCEPT: \t a, b \t\r\n\r\n",
                 "GET /a%20b/c?x=1&y=?2 path=/a%20b/c query=x=1&y=?2 [host=x:80] [x-empty=] "
                 "[accept=a, b] length=-1\ncomplete\nbetween\n");
    assert_story("GET /? HTTP/1.1\r\n" HOST "\r\n",
                 "GET /? path=/ query= [host=x] length=-1\ncomplete\nbetween\n");
}

static void reads_a_body_of_known_length(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello\r\nworl",
                 "POST / path=/ [host=x] [content-length=11] length=11 body\n"
                 "body hello\r\nworl\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                 "POST / path=/ [host=x] [content-length=0] length=0\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell",
                 "POST / path=/ [host=x] [content-length=5] length=5 body\n"
                 "body hellin message\n");
}

static void reads_a_chunked_body(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
                 "5;a=b;c=\"d e\"\r\nhel\r\n\r\n0005\r\nworld\r\n0;last\r\n"
                 "X-Trailer: t\r\nContent-Length: 5\r\n\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=Chunked] length=-1 body\n"
                 "body hel\r\nworld\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "complete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n",
                 "POST / path=/ [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "body 0123456789in message\n");
}

static void pipelined_requests_come_one_after_the_other(void **state) {
    (void)state;
    assert_story("POST /1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\none"
                 "\r\n"
                 "GET /2 HTTP/1.1\r\n" HOST "\r\n"
                 "\r\n"
                 "POST /3 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "2\r\nhi\r\n0\r\n\r\n"
                 "GET /4 HTTP/1.1\r\nHo",
                 "POST /1 path=/1 [host=x] [content-length=3] length=3 body\nbody one\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\n"
                 "POST /3 path=/3 [host=x] [transfer-encoding=chunked] length=-1 body\n"
                 "body hi\ncomplete\n"
                 "in message\n");
}

static void connection_header_decides_about_more(void **state) {
    (void)state;
    assert_story("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET / HTTP/9.9\r\nrubbish",
                 "GET / path=/ [host=x] [connection=close] length=-1 close\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.1\r\n" HOST "Connection: foo, Close\r\n\r\n",
                 "GET / path=/ [host=x] [connection=foo, Close] length=-1 close\ncomplete\n"
                 "between\n");
    assert_story("GET / HTTP/1.0\r\n\r\n", "GET / path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                 "GET / path=/ [connection=keep-alive] length=-1 1.0\ncomplete\n"
                 "GET / path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
                 "GET / path=/ [connection=keep-alive] [connection=close] length=-1 close 1.0\n"
                 "complete\nbetween\n");
}

static void targets_come_in_three_forms(void **state) {
    (void)state;
    assert_story("OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
                 "OPTIONS * path=* [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET http://X/p?q HTTP/1.1\r\n" HOST "\r\n",
                 "GET http://X/p?q path=/p query=q [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET http://x?q HTTP/1.1\r\n" HOST "\r\n",
                 "GET http://x?q path=/ query=q [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("GET HTTPS://x HTTP/1.0\r\n\r\n",
                 "GET HTTPS://x path=/ length=-1 close 1.0\ncomplete\nbetween\n");
    assert_story("GET //x/../y HTTP/1.1\r\n" HOST "\r\n",
                 "GET //x/../y path=//x/../y [host=x] length=-1\ncomplete\nbetween\n");
}

static void upgrade_requests_are_read_as_plain_ones(void **state) {
    (void)state;
    assert_story("GET /1 HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                 "GET /2 HTTP/1.1\r\n" HOST "\r\n",
                 "GET /1 path=/1 [host=x] [upgrade=h2c] [connection=Upgrade] length=-1\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\nbetween\n");
    assert_story("POST /1 HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: upgrade\r\n"
                 "Content-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\n" HOST "\r\n",
                 "POST /1 path=/1 [host=x] [upgrade=websocket] [connection=upgrade] "
                 "[content-length=2] length=2 body\nbody hi\ncomplete\n"
                 "GET /2 path=/2 [host=x] length=-1\ncomplete\nbetween\n");
}

static void expect_continue_is_reported(void **state) {
    (void)state;
    assert_story("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
                 "POST / path=/ [host=x] [expect=100-Continue] [content-length=1] length=1 body "
                 "expect\nbody x\ncomplete\nbetween\n");
    assert_story("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n",
                 "POST / path=/ [host=x] [expect=100-continue] length=-1\ncomplete\nbetween\n");
    assert_story("GET / HTTP/1.0\r\nExpect: magic\r\n\r\n",
                 "GET / path=/ [expect=magic] length=-1 close 1.0\ncomplete\nbetween\n");
}

/* ---- driving ---- */

static void a_callback_can_stop_the_parser(void **state) {
    (void)state;
    static const char input[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello...";
    static const size_t consumed_at[] = {sizeof input - 1 - 8, sizeof input - 1 - 3,
                                         sizeof input - 1 - 3};
    for (int where = 0; where < 3; where++) {
        struct recorder recorder;
        recorder_init(&recorder);
        recorder.stop_at_headers = where == 0 ? 42 : 0;
        recorder.stop_at_body = where == 1 ? MS_ELIMIT : 0;
        recorder.stop_at_complete = where == 2 ? MS_ECANCELED : 0;
        int expected = where == 0 ? 42 : where == 1 ? MS_ELIMIT : MS_ECANCELED;
        size_t consumed;
        int status = -1;
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, NULL),
            expected);
        assert_int_equal(consumed, consumed_at[where]);
        assert_int_equal(status, 0);
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, NULL),
            expected);
        assert_int_equal(consumed, 0);
        recorder_deinit(&recorder);
    }
}

static void a_paused_parser_consumes_nothing_until_resume(void **state) {
    (void)state;
    static const char first[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n";
    static const char both[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n";
    struct recorder recorder;
    recorder_init(&recorder);
    recorder.pauses = true;
    struct ms_bytes input = ms_bytes_cstr(both);
    size_t consumed;
    int status;
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, sizeof first - 1);
    assert_int_equal(recorder.completed, 0); /* paused by on_headers */
    assert_true(ms_http1_in_message(recorder.parser));
    input = ms_bytes_of(input.data + consumed, input.len - consumed);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, 0);
    ms_http1_resume(recorder.parser);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, 0);
    assert_int_equal(recorder.completed, 1); /* paused by on_complete */
    assert_false(ms_http1_in_message(recorder.parser));
    recorder.pauses = false;
    ms_http1_resume(recorder.parser);
    assert_int_equal(ms_http1_feed(recorder.parser, input, &consumed, &status, NULL), 0);
    assert_int_equal(consumed, input.len);
    assert_int_equal(recorder.completed, 2);
    recorder_deinit(&recorder);
}

static void in_message_is_true_from_first_byte_to_last(void **state) {
    (void)state;
    static const char input[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi";
    struct recorder recorder;
    recorder_init(&recorder);
    assert_false(ms_http1_in_message(recorder.parser));
    for (size_t i = 0; i < sizeof input - 1; i++) {
        size_t consumed;
        int status;
        assert_int_equal(
            ms_http1_feed(recorder.parser, ms_bytes_of(input + i, 1), &consumed, &status, NULL), 0);
        assert_int_equal(ms_http1_in_message(recorder.parser), i + 1 < sizeof input - 1);
    }
    assert_int_equal(recorder.completed, 1);
    recorder_deinit(&recorder);
}

static void header_is_found_by_name(void **state) {
    (void)state;
    static const struct ms_http1_header headers[] = {
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
        {{(const uint8_t *)"a", 1}, {(const uint8_t *)"2", 1}},
        {{(const uint8_t *)"b", 1}, {(const uint8_t *)"", 0}}};
    struct ms_http1_request request = {.headers = headers, .header_count = 3};
    assert_true(ms_bytes_equal_cstr(ms_http1_header(&request, "a"), "1"));
    assert_non_null(ms_http1_header(&request, "b").data);
    assert_null(ms_http1_header(&request, "c").data);
}

static void every_failed_allocation_is_503(void **state) {
    (void)state;
    static const char input[] =
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: t\r\n\r\n";
    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct recorder recorder = {0};
        struct ms_error err = {0};
        size_t consumed;
        int status = 0;
        ms_buf_init(&recorder.story, 1 << 16);
        assert_int_equal(ms_buf_reserve(&recorder.story, 4096), 0);
        ms_alloc_fail_nth(n);
        int r = ms_http1_parser_new(&limits, &callbacks, &recorder, &recorder.parser);
        if (r == 0)
            r = ms_http1_feed(recorder.parser, ms_bytes_cstr(input), &consumed, &status, &err);
        bool failed = ms_alloc_has_failed();
        ms_alloc_fail_nth(0);
        assert_int_equal(r, failed ? MS_ENOMEM : 0);
        if (failed && recorder.parser)
            assert_int_equal(status, 503);
        recorder_deinit(&recorder);
        if (!failed)
            break;
        failures++;
    }
    assert_true(failures >= 3);
}

static void header_limit_is_capped(void **state) {
    (void)state;
    struct ms_http1_limits large = limits;
    struct ms_http1_parser *parser = NULL;
    large.header_bytes_max = MS_HTTP1_HEADER_BYTES_LIMIT + 1;
    assert_int_equal(ms_http1_parser_new(&large, &callbacks, NULL, &parser), MS_EINVAL);
    assert_null(parser);
    large.header_bytes_max--;
    assert_int_equal(ms_http1_parser_new(&large, &callbacks, NULL, &parser), 0);
    ms_http1_parser_free(parser);
    ms_http1_parser_free(NULL);
}

static int count_request(void *context, const struct ms_http1_request *request) {
    size_t *count = context;
    *count += request->header_count;
    return 0;
}

static int ignore_piece(void *context, struct ms_bytes piece) {
    (void)context;
    (void)piece;
    return 0;
}

static int ignore_end(void *context) {
    (void)context;
    return 0;
}

/* A head as large as is allowed passes http_parser's own limit too, and the next one as well. */
static void the_largest_header_block_is_read(void **state) {
    (void)state;
    struct ms_http1_limits large = limits;
    large.header_bytes_max = MS_HTTP1_HEADER_BYTES_LIMIT;
    const struct ms_http1_callbacks counting = {count_request, ignore_piece, ignore_end};
    struct ms_http1_parser *parser;
    size_t count = 0, consumed;
    int status;
    assert_int_equal(ms_http1_parser_new(&large, &counting, &count, &parser), 0);
    static uint8_t input[MS_HTTP1_HEADER_BYTES_LIMIT];
    memset(input, 'v', sizeof input);
    memcpy(input, "GET / HTTP/1.1\r\nHost: x\r\nA: ", 28);
    memcpy(input + sizeof input / 2, "\r\nB: ", 5);
    memcpy(input + sizeof input - 4, "\r\n\r\n", 4);
    for (size_t round = 1; round <= 3; round++) {
        assert_int_equal(
            ms_http1_feed(parser, ms_bytes_of(input, sizeof input), &consumed, &status, NULL), 0);
        assert_int_equal(consumed, sizeof input);
        assert_int_equal(count, 3 * round);
    }
    ms_http1_parser_free(parser);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request_without_body),
        cmocka_unit_test(reads_a_body_of_known_length),
        cmocka_unit_test(reads_a_chunked_body),
        cmocka_unit_test(pipelined_requests_come_one_after_the_other),
        cmocka_unit_test(connection_header_decides_about_more),
        cmocka_unit_test(targets_come_in_three_forms),
        cmocka_unit_test(upgrade_requests_are_read_as_plain_ones),
        cmocka_unit_test(expect_continue_is_reported),
        cmocka_unit_test(a_callback_can_stop_the_parser),
        cmocka_unit_test(a_paused_parser_consumes_nothing_until_resume),
        cmocka_unit_test(in_message_is_true_from_first_byte_to_last),
        cmocka_unit_test(header_is_found_by_name),
        cmocka_unit_test(every_failed_allocation_is_503),
        cmocka_unit_test(header_limit_is_capped),
        cmocka_unit_test(the_largest_header_block_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
