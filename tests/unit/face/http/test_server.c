/* The face as a whole: order of answers, refusals, life. See also test_limits.c, test_live.c. */
#include "http_server.h"

#define MANY 200

static void start(struct server *server) {
    server_init(server);
    server_start(server);
}

/* ---- order ---- */

static void pipelined_appends_are_answered_in_order(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    for (int i = 0; i < MANY; i++)
        client_send_append(&client, "order-1", 20);
    for (int i = 0; i < MANY; i++) {
        char version[64];
        struct answer answer = client_answer(&client);
        snprintf(version, sizeof version, "\"first_version\":%d,\"version\":%d,", i, i);
        assert_int_equal(answer.status, 201);
        assert_has(answer.body, version);
    }
    client_close(&client);
    server_stop(&server);
}

static void a_pipelined_read_sees_the_appends_before_it(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    for (int i = 0; i < 5; i++)
        client_send_append(&client, "order-1", 20);
    client_send(&client, "GET /v1/streams/order-1 HTTP/1.1\r\n" HOST "\r\n");
    client_send_append(&client, "order-1", 20);
    for (int i = 0; i < 5; i++)
        assert_int_equal(client_answer(&client).status, 201);
    struct answer page = client_answer(&client);
    assert_int_equal(page.status, 200);
    assert_has(page.head, "ETag: \"4\"");
    assert_null(strstr(page.body, "\"version\":5"));
    assert_has(client_answer(&client).body, "\"version\":5");
    client_close(&client);
    server_stop(&server);
}

static void requests_may_come_byte_by_byte(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    const char *text = "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n"
                       "\r\n10\r\n{\"event_type\":\"x\r\n3\r\ny\"}\r\n0\r\n\r\n";
    for (const char *at = text; *at; at++)
        client_send_bytes(&client, at, 1);
    struct answer answer = client_answer(&client);
    assert_int_equal(answer.status, 201);
    client_close(&client);
    server_stop(&server);
}

static void appends_wait_for_the_stores_budget(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.store_options.inflight_bytes_max = 64 * 1024;
    server_start(&server);
    struct client client = client_open(&server);
    for (int i = 0; i < MANY; i++)
        client_send_append(&client, "order-1", 20000);
    for (int i = 0; i < MANY; i++) {
        char version[64];
        struct answer answer = client_answer(&client);
        snprintf(version, sizeof version, "\"version\":%d,", i);
        assert_int_equal(answer.status, 201);
        assert_has(answer.body, version); /* also those that were parked kept their order */
    }
    client_close(&client);
    server_stop(&server);
}

static void a_large_multi_append_answers_with_its_streams(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    const char *before = "{\"appends\":[{\"stream\":\"order-1\",\"events\":[{\"event_type\":\"x\","
                         "\"data\":\"";
    const char *after = "\"}]},{\"stream\":\"stock-1\",\"expect\":4}]}";
    const char *good_after = "\"}]},{\"stream\":\"stock-1\",\"expect\":\"any\"}]}";
    char *data = malloc(2000000);
    assert_non_null(data);
    memset(data, 'x', 2000000);
    for (int round = 0; round < 2; round++) {
        const char *end = round ? good_after : after;
        char head[256];
        snprintf(head, sizeof head,
                 "POST /v1/append HTTP/1.1\r\n" HOST JSON "Content-Length: %zu\r\n\r\n",
                 strlen(before) + 2000000 + strlen(end));
        client_send(&client, head);
        client_send(&client, before);
        client_send_bytes(&client, data, 2000000);
        client_send(&client, end);
        struct answer answer = client_answer(&client);
        assert_int_equal(answer.status, round ? 201 : 412);
        assert_has(answer.body, round ? "{\"stream\":\"order-1\",\"first_version\":0,\"version\":0}"
                                      : "\"stream\":\"stock-1\"");
    }
    free(data);
    server_await(&server, "mainstem_http_inflight_bytes", 0);
    client_close(&client);
    server_stop(&server);
}

/* ---- refusals ---- */

static void a_refused_body_that_is_small_is_skipped(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    client_send(&client, "POST /v1/streams/a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    client_send(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
    struct answer answer = client_answer(&client);
    assert_int_equal(answer.status, 415);
    assert_has(answer.body, "Content-Type: application/json");
    assert_null(strstr(answer.head, "Connection: close"));
    assert_int_equal(client_answer(&client).status, 200);
    client_close(&client);
    server_stop(&server);
}

static void a_body_over_the_limit_is_refused_before_it_is_read(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.limits.body_bytes_max = 1000;
    server_start(&server);
    struct client client = client_open(&server);
    client_send(&client,
                "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Content-Length: 1001\r\n\r\n");
    struct answer answer = client_answer(&client);
    assert_int_equal(answer.status, 413);
    assert_has(answer.head, "Connection: close");
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static void bytes_that_are_no_http_get_a_problem_and_an_end(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"hello there\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET / HTTP/3.0\r\n" HOST "\r\n", 505},
        {"POST /v1/streams/a HTTP/1.1\r\n" HOST JSON
         "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
         400},
    };
    struct server server;
    start(&server);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client client = client_open(&server);
        struct answer answer = client_request(&client, cases[i].text);
        assert_int_equal(answer.status, cases[i].status);
        assert_has(answer.head, "application/problem+json");
        client_expect_end(&client);
        client_close(&client);
    }
    server_stop(&server);
}

static void headers_over_the_limit_are_431(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    client_send(&client, "GET /healthz HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 120; i++)
        client_send(&client, "X-Filler: y\r\n");
    client_send(&client, "\r\n");
    assert_int_equal(client_answer(&client).status, 431);
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static void continue_is_said_in_turn_and_only_for_good_requests(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    client_send_append(&client, "a", 10);
    client_send(&client, "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON
                         "Content-Length: 18\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(client_answer(&client).status, 201);
    assert_int_equal(client_answer(&client).status, 100);
    assert_int_equal(client_request(&client, "{\"event_type\":\"x\"}").status, 201);
    client_send(&client, "POST /v1/nowhere HTTP/1.1\r\n" HOST JSON
                         "Content-Length: 18\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(client_answer(&client).status, 404);
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static int refuse_all(void *context, const struct ms_http1_request *request, struct ms_error *err) {
    (void)context;
    ms_error_set(err, MS_EINVAL, "no key for %.*s", (int)request->path.len,
                 (const char *)request->path.data);
    return 401;
}

static void authorisation_is_asked_before_the_body(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.authorize = refuse_all;
    server_start(&server);
    struct client client = client_open(&server);
    struct answer answer = client_request(&client, "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON
                                                   "Content-Length: 9000000\r\n\r\n");
    assert_int_equal(answer.status, 401);
    assert_has(answer.body, "no key for /v1/streams/a");
    assert_has(answer.head, "WWW-Authenticate: ");
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static void preflight_is_answered_for_configured_origins_only(void **state) {
    (void)state;
    static const char *const origins[] = {"https://app.example"};
    struct server server;
    server_init(&server);
    server.options.cors_origins = origins;
    server.options.cors_origin_count = 1;
    server_start(&server);
    struct client client = client_open(&server);
    struct answer answer = client_request(
        &client, "OPTIONS /v1/streams/a HTTP/1.1\r\n" HOST
                 "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(answer.status, 204);
    assert_has(answer.head, "Access-Control-Allow-Origin: https://app.example\r\n");
    assert_has(answer.head, "Access-Control-Allow-Methods: GET, HEAD, POST, DELETE, OPTIONS");
    answer = client_request(&client, "OPTIONS /v1/streams/a HTTP/1.1\r\n" HOST
                                     "Origin: https://evil.example\r\n"
                                     "Access-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(answer.status, 403);
    assert_null(strstr(answer.head, "Access-Control-"));
    client_close(&client);
    server_stop(&server);
}

static void a_vanished_client_leaves_nothing_behind(void **state) {
    (void)state;
    struct server server;
    start(&server);
    for (int round = 0; round < 20; round++) {
        struct client client = client_open(&server);
        for (int i = 0; i < 20; i++)
            client_send_append(&client, "order-1", 100);
        client_send(&client, "GET /v1/events HTTP/1.1\r\n" HOST "\r\nPOST /v1/streams/a HT");
        client_close(&client);
    }
    struct client client = client_open(&server);
    assert_int_equal(client_request(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n").status, 200);
    server_await(&server, "mainstem_http_connections", 1);
    server_await(&server, "mainstem_http_inflight_bytes", 0);
    client_close(&client);
    server_stop(&server);
}

/* ---- keeping connections, old clients ---- */

static void http_1_0_keeps_the_connection_only_when_asked(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    struct answer answer =
        client_request(&client, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_has(answer.head, "Connection: keep-alive");
    assert_int_equal(client_request(&client, "GET /healthz HTTP/1.0\r\n\r\n").status, 200);
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static void a_half_closed_client_gets_its_answers(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    for (int i = 0; i < 10; i++)
        client_send_append(&client, "a", 10);
    shutdown(client.fd, SHUT_WR);
    for (int i = 0; i < 10; i++)
        assert_int_equal(client_answer(&client).status, 201);
    client_expect_end(&client);
    client_close(&client);
    server_stop(&server);
}

static void a_large_page_arrives_whole_whatever_the_reader_does(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    for (int i = 0; i < 60; i++) {
        client_send_append(&client, "big", 50000);
        assert_int_equal(client_answer(&client).status, 201);
    }
    for (int i = 0; i < 3; i++)
        client_send(&client, "GET /v1/streams/big?limit=100 HTTP/1.1\r\n" HOST "\r\n");
    ms_clock_sleep_us(server.env.clock, 200000);
    for (int i = 0; i < 3; i++) {
        struct answer page = client_answer(&client);
        assert_int_equal(page.status, 200);
        assert_true(page.body_len > 1000 * 1000 && page.body_len < 1200 * 1000);
        assert_has(page.head, "rel=\"next\"");
        assert_string_equal(page.body + page.body_len - 3, "\n]\n");
    }
    client_close(&client);
    server_stop(&server);
}

/* ---- log, reload, life ---- */

struct logged {
    atomic_int count;
    char last[256];
};

static void keep_log(void *context, const struct ms_http_log_entry *entry) {
    struct logged *logged = context;
    snprintf(logged->last, sizeof logged->last, "%.*s %.*s %s %d %.*s %s", (int)entry->method.len,
             (const char *)entry->method.data, (int)entry->path.len, (const char *)entry->path.data,
             entry->route, entry->status, (int)entry->request_id.len,
             (const char *)entry->request_id.data, entry->problem ? entry->problem : "-");
    atomic_fetch_add(&logged->count, 1);
}

static void every_answered_request_is_logged_once(void **state) {
    (void)state;
    struct server server;
    struct logged logged = {0};
    server_init(&server);
    server.options.on_request = keep_log;
    server.options.context = &logged;
    server_start(&server);
    struct client client = client_open(&server);
    struct answer answer = client_request(&client, "GET /v1/streams/a%20b HTTP/1.1\r\n" HOST
                                                   "X-Request-Id: r/1\r\n\r\n");
    assert_int_equal(answer.status, 404);
    assert_has(answer.head, "X-Request-Id: r/1\r\n");
    client_close(&client);
    server_stop(&server);
    assert_int_equal(atomic_load(&logged.count), 1);
    assert_string_equal(logged.last,
                        "GET /v1/streams/a%20b /v1/streams/{stream} 404 r/1 not-found");
}

static void a_request_id_that_could_do_harm_is_replaced(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    struct answer answer = client_request(&client, "GET /healthz HTTP/1.1\r\n" HOST
                                                   "X-Request-Id: a\"b<script>\r\n\r\n");
    assert_has(answer.head, "X-Request-Id: ");
    assert_null(strstr(answer.head, "script"));
    client_close(&client);
    server_stop(&server);
}

static void a_reload_changes_what_open_connections_may(void **state) {
    (void)state;
    static const char *const hosts[] = {"db.example"};
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    const char *request = "GET /healthz HTTP/1.1\r\nHost: db.example\r\n\r\n";
    assert_int_equal(client_request(&client, request).status, 421);
    server.options.allowed_hosts = hosts;
    server.options.allowed_host_count = 1;
    assert_int_equal(ms_http_reload(server.http, &server.options, NULL), 0);
    int status = 0;
    for (int i = 0; i < 200 && status != 200; i++)
        status = client_request(&client, request).status;
    assert_int_equal(status, 200);
    server.options.page_bytes_max = 0;
    struct ms_error err = {0};
    assert_int_equal(ms_http_reload(server.http, &server.options, &err), MS_EINVAL);
    client_close(&client);
    server_stop(&server);
}

static void a_taken_port_is_noticed(void **state) {
    (void)state;
    struct server server;
    start(&server);
    char address[MS_HTTP_ADDRESS_MAX];
    ms_http_address(server.http, address);
    struct ms_http_options options = server.options;
    options.listen = address;
    struct ms_http *second = NULL;
    struct ms_error err = {0};
    assert_int_equal(ms_http_start(server.store, &options, &second, &err), MS_EEXIST);
    assert_null(second);
    assert_has(err.message, "127.0.0.1");
    assert_has(err.message, strrchr(address, ':') + 1);
    static const char *const wrong[] = {"",        "localhost", "127.0.0.1:",     "127.0.0.1:65536",
                                        ":::1:80", "[::1:80",   "127.0.0.1:http", "256.1.1.1:80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.listen = wrong[i];
        assert_int_equal(ms_http_start(server.store, &options, &second, &err), MS_EINVAL);
    }
    server_stop(&server);
}

static void readiness_follows_the_flag(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    const char *request = "GET /readyz HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(client_request(&client, request).status, 200);
    ms_http_set_ready(server.http, false);
    assert_int_equal(client_request(&client, request).status, 503);
    client_close(&client);
    server_stop(&server);
}

static void a_stop_answers_what_was_asked(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    assert_int_equal(client_request(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n").status, 200);
    for (int i = 0; i < 20; i++)
        client_send_append(&client, "a", 10);
    while (ms_store_end(server.store) < 20) /* all of them are in the store's hands */
        ms_clock_sleep_us(server.env.clock, 1000);
    ms_http_stop(server.http, 5000);
    server.http = NULL;
    for (int i = 0; i < 20; i++)
        assert_int_equal(client_answer(&client).status, 201);
    assert_false(client_receive(&client));
    client_close(&client);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_appends_are_answered_in_order),
        cmocka_unit_test(a_pipelined_read_sees_the_appends_before_it),
        cmocka_unit_test(requests_may_come_byte_by_byte),
        cmocka_unit_test(appends_wait_for_the_stores_budget),
        cmocka_unit_test(a_large_multi_append_answers_with_its_streams),
        cmocka_unit_test(a_refused_body_that_is_small_is_skipped),
        cmocka_unit_test(a_body_over_the_limit_is_refused_before_it_is_read),
        cmocka_unit_test(bytes_that_are_no_http_get_a_problem_and_an_end),
        cmocka_unit_test(headers_over_the_limit_are_431),
        cmocka_unit_test(continue_is_said_in_turn_and_only_for_good_requests),
        cmocka_unit_test(authorisation_is_asked_before_the_body),
        cmocka_unit_test(preflight_is_answered_for_configured_origins_only),
        cmocka_unit_test(a_vanished_client_leaves_nothing_behind),
        cmocka_unit_test(http_1_0_keeps_the_connection_only_when_asked),
        cmocka_unit_test(a_half_closed_client_gets_its_answers),
        cmocka_unit_test(a_large_page_arrives_whole_whatever_the_reader_does),
        cmocka_unit_test(every_answered_request_is_logged_once),
        cmocka_unit_test(a_request_id_that_could_do_harm_is_replaced),
        cmocka_unit_test(a_reload_changes_what_open_connections_may),
        cmocka_unit_test(a_taken_port_is_noticed),
        cmocka_unit_test(readiness_follows_the_flag),
        cmocka_unit_test(a_stop_answers_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
