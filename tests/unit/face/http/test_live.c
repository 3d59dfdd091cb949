/* What stays open: server-sent events and long polls. */
#include "http_server.h"

#define SSE "Accept: text/event-stream\r\n"

static void start(struct server *server) {
    server_init(server);
    server_start(server);
}

static void append(struct server *server, const char *stream, size_t size, int count) {
    struct client client = client_open(server);
    for (int i = 0; i < count; i++) {
        client_send_append(&client, stream, size);
        assert_int_equal(client_answer(&client).status, 201);
    }
    client_close(&client);
}

static void a_subscription_catches_up_and_goes_live(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 3);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/streams/order-1 HTTP/1.1\r\n" HOST SSE "\r\n");
    client_expect(&client, "Transfer-Encoding: chunked\r\n");
    client_expect(&client, "retry: 1000\n\n");
    client_expect(&client, "id: 0\ndata: {");
    client_expect(&client, "id: 2\ndata: {");
    client_expect(&client, ": caught up\n");
    append(&server, "order-2", 10, 1);
    append(&server, "order-1", 10, 2);
    assert_null(strstr(client_expect(&client, "id: 3\ndata: {"), "order-2"));
    client_expect(&client, "id: 4\ndata: {");
    client_expect(&client, ": caught up\n");
    client_close(&client);
    server_stop(&server);
}

static void a_subscription_resumes_behind_the_last_id(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 5);
    struct client client = client_open(&server);
    client_send(&client,
                "GET /v1/streams/order-1 HTTP/1.1\r\n" HOST SSE "Last-Event-ID: 3\r\n\r\n");
    const char *text = client_expect(&client, ": caught up\n");
    assert_has(text, "id: 4\n");
    assert_null(strstr(text, "id: 3\n"));
    client_close(&client);
    client = client_open(&server);
    struct answer answer =
        client_request(&client, "GET /v1/events HTTP/1.1\r\n" HOST SSE "Last-Event-ID: x\r\n\r\n");
    assert_int_equal(answer.status, 400);
    client_close(&client);
    server_stop(&server);
}

static void from_end_tells_only_what_is_new(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 3);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/events?from=end HTTP/1.1\r\n" HOST SSE "\r\n");
    assert_null(strstr(client_expect(&client, ": caught up\n"), "data:"));
    append(&server, "order-1", 10, 1);
    assert_has(client_expect(&client, ": caught up\n"), "\"version\":3");
    client_close(&client);
    server_stop(&server);
}

static void a_filter_is_applied_and_told_how_far_it_looked(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 3);
    append(&server, "stock-1", 10, 1);
    append(&server, "order-1", 10, 3);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/events?topic=stock HTTP/1.1\r\n" HOST SSE "\r\n");
    const char *text = client_expect(&client, ": caught up\nid: ");
    assert_null(strstr(text, "order-1"));
    uint64_t looked = strtoull(client_expect(&client, "\n\n"), NULL, 10);
    assert_true(looked + 1 == ms_store_end(server.store));
    client_close(&client);
    server_stop(&server);
}

static void an_idle_subscription_has_a_heartbeat(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.heartbeat_ms = 300;
    server_start(&server);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/events HTTP/1.1\r\n" HOST SSE "\r\n");
    client_expect(&client, ": heartbeat\n");
    client_expect(&client, ": heartbeat\n");
    client_close(&client);
    server_stop(&server);
}

static void a_tombstone_ends_the_subscription(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 1);
    struct client client = client_open(&server), other = client_open(&server);
    const char *subscribe = "GET /v1/streams/order-1 HTTP/1.1\r\n" HOST SSE "\r\n";
    client_send(&client, subscribe);
    client_expect(&client, ": caught up\n");
    assert_int_equal(
        client_request(&other, "DELETE /v1/streams/order-1?tombstone=true HTTP/1.1\r\n" HOST "\r\n")
            .status,
        200);
    client_expect(&client,
                  "event: end\ndata: {\"type\":\"urn:mainstem:problem:stream-tombstoned\"");
    client_expect(&client, "0\r\n\r\n");
    client_expect_end(&client);
    assert_int_equal(client_request(&other, subscribe).status, 410);
    client_close(&client);
    client_close(&other);
    server_stop(&server);
}

static void http_1_0_gets_events_without_chunks(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 1);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/streams/order-1 HTTP/1.0\r\n" SSE "\r\n");
    const char *head = client_expect(&client, "\r\n\r\n");
    assert_null(strstr(head, "chunked"));
    assert_has(head, "Connection: close");
    assert_memory_equal(client_expect(&client, ": caught up\n"), "retry: 1000\n\nid: 0\ndata: {",
                        25);
    client_close(&client);
    server_stop(&server);
}

/* 20 MB (more than sockets buffer) wait for a subscriber that does not read: the server holds about
 * one batch of them. */
static void a_slow_subscriber_costs_one_batch_and_misses_nothing(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct client client = client_open(&server);
    int small = 64 * 1024;
    assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    client_send(&client, "GET /v1/streams/big HTTP/1.1\r\n" HOST SSE "\r\n");
    client_expect(&client, ": caught up\n");
    append(&server, "big", 1000 * 1000, 20);
    for (int i = 0; i < 20; i++) {
        ms_clock_sleep_us(server.env.clock, 10000);
        assert_true(server_metric(&server, "mainstem_http_inflight_bytes") < 4e6);
    }
    for (int i = 0; i < 20; i++) {
        char id[32];
        snprintf(id, sizeof id, "id: %d\ndata: {", i);
        client_expect(&client, id);
    }
    client_expect(&client, ": caught up\n");
    client_close(&client);
    server_stop(&server);
}

/* The share for answers is 192 KiB here: an event that it could never hold has it to itself. */
static void events_beyond_the_whole_share_are_delivered_one_by_one(void **state) {
    (void)state;
    struct server server;
    server_init(&server);
    server.options.inflight_bytes_max = 1024 * 1024;
    server_start(&server);
    append(&server, "big", 700 * 1000, 4);
    append(&server, "big", 10, 20);
    struct client clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = client_open(&server);
        client_send(&clients[i], "GET /v1/streams/big HTTP/1.1\r\n" HOST SSE "\r\n");
    }
    for (int i = 0; i < 3; i++) {
        for (int version = 0; version < 24; version++) {
            char id[32];
            snprintf(id, sizeof id, "id: %d\ndata: {", version);
            client_expect(&clients[i], id);
        }
        client_expect(&clients[i], ": caught up\n");
        client_close(&clients[i]);
    }
    server_await(&server, "mainstem_http_event_streams_waiting", 0);
    server_await(&server, "mainstem_http_inflight_bytes", 0);
    server_stop(&server);
}

static void a_stop_ends_subscriptions_and_long_polls(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 1);
    struct client live = client_open(&server), poll_client = client_open(&server);
    client_send(&live, "GET /v1/events HTTP/1.1\r\n" HOST SSE "\r\n");
    client_expect(&live, ": caught up\n");
    client_send(&poll_client, "GET /v1/streams/order-1?from=1&wait=60s HTTP/1.1\r\n" HOST "\r\n");
    server_await(&server, "mainstem_http_long_polls", 1);
    ms_http_stop(server.http, 5000);
    server.http = NULL;
    client_expect(&live, "0\r\n\r\n");
    client_expect_end(&live);
    struct answer answer = client_answer(&poll_client);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "[]\n");
    client_close(&live);
    client_close(&poll_client);
    server_stop(&server);
}

static void a_long_poll_answers_when_an_event_comes(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 2);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/streams/order-1?from=2&wait=60s HTTP/1.1\r\n" HOST "\r\n");
    server_await(&server, "mainstem_http_long_polls", 1);
    append(&server, "order-2", 10, 1);
    assert_true(server_metric(&server, "mainstem_http_long_polls") == 1);
    append(&server, "order-1", 10, 1);
    struct answer answer = client_answer(&client);
    assert_int_equal(answer.status, 200);
    assert_has(answer.body, "\"version\":2");
    assert_has(answer.head, "Mainstem-Next: 3");
    assert_true(server_metric(&server, "mainstem_http_long_polls") == 0);
    client_close(&client);
    server_stop(&server);
}

static void a_long_poll_that_finds_something_does_not_wait(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 2);
    struct client client = client_open(&server);
    struct answer answer =
        client_request(&client, "GET /v1/events?wait=60s HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer.status, 200);
    assert_has(answer.body, "\"version\":1");
    client_close(&client);
    server_stop(&server);
}

static void a_long_poll_from_the_end_waits_for_what_is_new(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 2);
    struct client client = client_open(&server);
    client_send(&client, "GET /v1/events?from=end&wait=60s HTTP/1.1\r\n" HOST "\r\n");
    server_await(&server, "mainstem_http_long_polls", 1);
    append(&server, "order-3", 10, 1);
    struct answer answer = client_answer(&client);
    assert_has(answer.body, "order-3");
    assert_null(strstr(answer.body, "order-1"));
    client_close(&client);
    server_stop(&server);
}

static void a_long_poll_whose_time_is_over_is_a_plain_read(void **state) {
    (void)state;
    struct server server;
    start(&server);
    append(&server, "order-1", 10, 2);
    struct client client = client_open(&server);
    struct answer answer = client_request(
        &client, "GET /v1/streams/order-1?from=2&wait=200ms HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "[]\n");
    assert_has(answer.head, "ETag: \"1\"");
    answer = client_request(&client, "GET /v1/streams/nope?wait=200ms HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(answer.status, 404);
    client_close(&client);
    server_stop(&server);
}

static void waiting_clients_that_vanish_leave_nothing_behind(void **state) {
    (void)state;
    struct server server;
    start(&server);
    for (int i = 0; i < 40; i++) {
        struct client client = client_open(&server);
        client_send(&client, i % 2 ? "GET /v1/events HTTP/1.1\r\n" HOST SSE "\r\n"
                                   : "GET /v1/events?from=end&wait=60s HTTP/1.1\r\n" HOST "\r\n");
        if (i % 4 < 2)
            append(&server, "order-1", 10, 1);
        client_close(&client);
    }
    server_await(&server, "mainstem_http_connections", 0);
    server_await(&server, "mainstem_http_event_streams", 0);
    server_await(&server, "mainstem_http_long_polls", 0);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_catches_up_and_goes_live),
        cmocka_unit_test(a_subscription_resumes_behind_the_last_id),
        cmocka_unit_test(from_end_tells_only_what_is_new),
        cmocka_unit_test(a_filter_is_applied_and_told_how_far_it_looked),
        cmocka_unit_test(an_idle_subscription_has_a_heartbeat),
        cmocka_unit_test(a_tombstone_ends_the_subscription),
        cmocka_unit_test(http_1_0_gets_events_without_chunks),
        cmocka_unit_test(a_slow_subscriber_costs_one_batch_and_misses_nothing),
        cmocka_unit_test(events_beyond_the_whole_share_are_delivered_one_by_one),
        cmocka_unit_test(a_stop_ends_subscriptions_and_long_polls),
        cmocka_unit_test(a_long_poll_answers_when_an_event_comes),
        cmocka_unit_test(a_long_poll_that_finds_something_does_not_wait),
        cmocka_unit_test(a_long_poll_from_the_end_waits_for_what_is_new),
        cmocka_unit_test(a_long_poll_whose_time_is_over_is_a_plain_read),
        cmocka_unit_test(waiting_clients_that_vanish_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
