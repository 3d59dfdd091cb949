/* The face as a whole: limits of connections, time and memory. */
#include "http_server.h"

static void connections_beyond_the_limit_are_closed(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.connections_max = 2;
    server_start(&server);
    struct client first = client_open(&server), second = client_open(&server);
    const char *request = "GET /healthz HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(client_request(&first, request).status, 200);
    assert_int_equal(client_request(&second, request).status, 200);
    struct client third = client_open(&server);
    assert_false(client_receive(&third));
    assert_true(server_metric(&server, "mainstem_http_connections_refused_total") == 1);
    client_close(&third);
    client_close(&first);
    client_close(&second);
    server_stop(&server);
}

static void a_request_that_never_ends_is_408(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.read_timeout_ms = 300;
    server_start(&server);
    struct client head = client_open(&server), body = client_open(&server);
    client_send(&head, "GET /healthz HT");
    client_send(&body, "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Content-Length: 18\r\n\r\n{");
    assert_int_equal(client_answer(&head).status, 408);
    assert_int_equal(client_answer(&body).status, 408);
    client_expect_end(&head);
    client_expect_end(&body);
    client_close(&head);
    client_close(&body);
    server_stop(&server);
}

static void a_body_that_finds_no_memory_in_time_is_503(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.inflight_bytes_max = 300 * 1024;
    server.options.read_timeout_ms = 400;
    server_start(&server);
    struct client first = client_open(&server), second = client_open(&server);
    const char *head =
        "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Content-Length: 200000\r\n\r\n{";
    client_send(&first, head);
    server_await(&server, "mainstem_http_inflight_bytes", 200000);
    client_send(&second, head);
    int one = client_answer(&first).status, other = client_answer(&second).status;
    assert_int_equal(one, 408);
    assert_true(other == 503 || other == 408); /* or the first one made room just before */
    client_close(&first);
    client_close(&second);
    struct client third = client_open(&server);
    client_send(&third,
                "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Content-Length: 400000\r\n\r\n");
    assert_int_equal(client_answer(&third).status, 413); /* more than there will ever be */
    client_close(&third);
    server_stop(&server);
}

static void an_idle_connection_is_closed_without_words(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.idle_timeout_ms = 300;
    server_start(&server);
    struct client client = client_open(&server);
    assert_int_equal(client_request(&client, "GET /healthz HTTP/1.1\r\n" HOST "\r\n").status, 200);
    assert_false(client_receive(&client));
    client_close(&client);
    server_stop(&server);
}

static void bodies_wait_for_the_servers_budget(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.inflight_bytes_max = 300 * 1024;
    server_start(&server);
    const char *before = "{\"event_type\":\"test.made\",", *member = "\"data\":\"";
    char *rest = malloc(200000);
    assert_non_null(rest);
    memset(rest, 'x', 200000);
    struct client clients[4];
    for (int i = 0; i < 4; i++) {
        char head[256];
        snprintf(head, sizeof head,
                 "POST /v1/streams/a HTTP/1.1\r\n" HOST JSON "Content-Length: %zu\r\n\r\n%s",
                 strlen(before) + strlen(member) + 200000 + 2, before);
        clients[i] = client_open(&server);
        client_send(&clients[i], head);
    }
    for (int i = 0; i < 4; i++) {
        client_send(&clients[i], member);
        client_send_bytes(&clients[i], rest, 200000);
        client_send(&clients[i], "\"}");
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(client_answer(&clients[i]).status, 201);
    free(rest);
    server_await(&server, "mainstem_http_inflight_bytes", 0);
    for (int i = 0; i < 4; i++)
        client_close(&clients[i]);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_beyond_the_limit_are_closed),
        cmocka_unit_test(a_request_that_never_ends_is_408),
        cmocka_unit_test(a_body_that_finds_no_memory_in_time_is_503),
        cmocka_unit_test(an_idle_connection_is_closed_without_words),
        cmocka_unit_test(bodies_wait_for_the_servers_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
