/* The HTTP target, against a server that answers what the test says and remembers what it was
 * asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/http_client.h"

/* ---- the server: one answer per connection, then it is closed ---- */

#define ANSWERS_MAX 8
static struct {
    int listener;
    pthread_t thread;
    const char *answers[ANSWERS_MAX]; /* ends with NULL; "" closes without an answer */
    char requests[ANSWERS_MAX][4096];
    size_t count;
} server;
static struct ms_target *target;
static struct ms_error error;

static void receive_request(int socket, char out[4096]) {
    size_t len = 0;
    out[0] = 0;
    for (;;) {
        ssize_t got = recv(socket, out + len, 4095 - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
        out[len] = 0;
        char *body = strstr(out, "\r\n\r\n");
        char *length = strcasestr(out, "content-length: ");
        size_t wanted = length ? (size_t)strtoul(length + 16, NULL, 10) : 0;
        if (body && len >= (size_t)(body + 4 - out) + wanted)
            return;
    }
}

static void *serve(void *context) {
    (void)context;
    for (size_t i = 0; server.answers[i]; i++) {
        int socket = accept(server.listener, NULL, NULL);
        if (socket < 0)
            break;
        receive_request(socket, server.requests[i]);
        server.count = i + 1;
        send(socket, server.answers[i], strlen(server.answers[i]), MSG_NOSIGNAL);
        shutdown(socket, SHUT_WR);
        char rest[64];
        while (recv(socket, rest, sizeof rest, 0) > 0) {
        }
        close(socket);
    }
    return NULL;
}

static void start(const char *const *answers) {
    memset(&server, 0, sizeof server);
    for (size_t i = 0; answers[i]; i++)
        server.answers[i] = answers[i];
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    char url[64];
    snprintf(url, sizeof url, "127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(ms_target_http_new(ms_env_system(), url, stderr, &target, NULL), 0);
    error = (struct ms_error){0};
}
#define START(...) start((const char *const[]){__VA_ARGS__, NULL})

static void finish(void) {
    ms_target_free(target);
    pthread_join(server.thread, NULL);
    close(server.listener);
}

static void expect_request(size_t i, const char *line) {
    if (strncmp(server.requests[i], line, strlen(line)) != 0)
        fail_msg("request %zu is not \"%s\": %s", i, line, server.requests[i]);
}

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
#define PROBLEM(status, type, detail)                                                              \
    "HTTP/1.1 " status " X\r\nConnection: close\r\nContent-Type: application/problem+json\r\n\r\n" \
    "{\"type\":\"urn:mainstem:problem:" type "\",\"detail\":\"" detail "\"}"

/* ---- reading ---- */

static char seen[1024];
static size_t stop_after;

static int see(void *context, struct ms_bytes event) {
    (void)context;
    size_t len = strlen(seen);
    snprintf(seen + len, sizeof seen - len, "%.*s|", (int)event.len, (const char *)event.data);
    return stop_after > 0 && --stop_after == 0 ? 1 : 0;
}

static int read_events(const struct ms_target_read *read) {
    seen[0] = 0;
    stop_after = 0;
    return ms_target_read(target, read, see, NULL, &error);
}

static void pages_are_followed_to_the_end(void **state) {
    (void)state;
    START(OK "Link: </v1/events?from=2&limit=1000>; rel=\"next\"\r\n\r\n[{\"event_type\":\n1},{}]",
          OK
          "Link: </v1/events?from=9>; rel=\"other\", </v1/events?from=4>; rel=\"next\"\r\n\r\n[]",
          OK "\r\n[{\"x\":[1, 2]}]");
    struct ms_target_read read = {.limit = UINT64_MAX};
    assert_int_equal(read_events(&read), 0);
    finish();
    assert_string_equal(seen, "{\"event_type\":\n1}|{}|{\"x\":[1, 2]}|");
    expect_request(0, "GET /v1/events?limit=1000 ");
    expect_request(1, "GET /v1/events?from=2&limit=1000 ");
    expect_request(2, "GET /v1/events?from=4 ");
}

static void reading_ends_at_the_limit(void **state) {
    (void)state;
    START(OK "Link: </next>; rel=\"next\"\r\n\r\n[{},{},{}]");
    struct ms_target_read read = {.limit = 2};
    assert_int_equal(read_events(&read), 0);
    finish();
    assert_string_equal(seen, "{}|{}|");
    expect_request(0, "GET /v1/events?limit=2 ");
}

static void every_selection_is_in_the_query(void **state) {
    (void)state;
    struct ms_buf path;
    ms_buf_init(&path, 4096);
    const struct ms_bytes types[] = {MS_BYTES_LITERAL("a.b"), MS_BYTES_LITERAL("c&d")};
    const struct ms_bytes tags[] = {MS_BYTES_LITERAL("x=1")};
    struct ms_target_read read = {.backward = true,
                                  .as_of = "2026-11-23T10:00:00+01:00",
                                  .topic = "order",
                                  .stream_prefix = "order-1",
                                  .correlation_id = "c/1",
                                  .types = types,
                                  .type_count = 2,
                                  .tags = tags,
                                  .tag_count = 1,
                                  .include_system = true};
    assert_int_equal(ms_http_read_path(&path, &read, 7), 0);
    assert_int_equal(ms_buf_append_u8(&path, 0), 0);
    assert_string_equal((const char *)path.data,
                        "/v1/events?from=end&direction=backward&limit=7"
                        "&as_of=2026-11-23T10%3A00%3A00%2B01%3A00&topic=order"
                        "&stream_prefix=order-1&correlation_id=c%2F1&type=a.b&type=c%26d"
                        "&tag=x%3D1&system=true");
    ms_buf_clear(&path);
    read = (struct ms_target_read){
        .stream = "odd/name \xc3\xa9", .has_from = true, .from = 3, .known_at = "t"};
    assert_int_equal(ms_http_read_path(&path, &read, 0), 0);
    assert_int_equal(ms_buf_append_u8(&path, 0), 0);
    assert_string_equal((const char *)path.data,
                        "/v1/streams/odd%2Fname%20%C3%A9?from=3&known_at=t");
    ms_buf_deinit(&path);
}

static void problems_become_codes_and_sentences(void **state) {
    (void)state;
    START(PROBLEM("404", "stream-deleted", "it was deleted"), PROBLEM("404", "else", "odd"),
          "HTTP/1.1 502 X\r\nConnection: close\r\n\r\n<html>", OK "\r\n{\"no\":\"page\"}");
    struct ms_target_read read = {.limit = 1};
    assert_int_equal(read_events(&read), MS_EDELETED);
    assert_string_equal(error.message, "it was deleted");
    assert_int_equal(read_events(&read), MS_ENOTFOUND);
    assert_int_equal(read_events(&read), MS_EIO);
    assert_non_null(strstr(error.message, "status 502"));
    assert_int_equal(read_events(&read), MS_EIO);
    finish();
}

static void every_problem_type_has_its_code(void **state) {
    (void)state;
#define X(name, value, http, type, text)                                                           \
    assert_int_equal(ms_http_problem_code(ms_bytes_cstr("urn:mainstem:problem:" type)), name);
    MS_ERROR_LIST(X)
#undef X
    assert_int_equal(ms_http_problem_code(ms_bytes_cstr("about:blank")), MS_EIO);
}

/* ---- appending ---- */

static int append_one(struct ms_target_append_result *ret_result) {
    const struct ms_bytes events[] = {MS_BYTES_LITERAL("{\"event_type\":\"t\"}"),
                                      MS_BYTES_LITERAL("{\"event_type\":\"u\"}")};
    const struct ms_target_part parts[] = {
        {.stream = MS_BYTES_LITERAL("a-\"1\""),
         .condition = {.kind = MS_EXPECT_VERSION, .version = 4},
         .events = events,
         .count = 2},
        {.stream = MS_BYTES_LITERAL("b-1"), .condition = {.kind = MS_EXPECT_NONE}}};
    struct ms_target_append append = {.parts = parts, .part_count = 2};
    return ms_target_append(target, &append, ret_result, &error);
}

static void an_append_is_one_atomic_request(void **state) {
    (void)state;
    START("HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{\"position\":17,\"results\":["
          "{\"stream\":\"a\",\"first_version\":5,\"version\":6},{}]}",
          OK "\r\n{\"position\":17,\"results\":[{\"first_version\":5,\"version\":6}]}");
    struct ms_target_append_result result;
    assert_int_equal(append_one(&result), 0);
    assert_int_equal(result.position, 17);
    assert_int_equal(result.first_version, 5);
    assert_int_equal(result.version, 6);
    assert_false(result.repeated);
    assert_int_equal(append_one(&result), 0);
    assert_true(result.repeated);
    finish();
    expect_request(0, "POST /v1/append ");
    assert_non_null(strcasestr(server.requests[0], "\r\ncontent-type: application/json\r\n"));
    assert_non_null(strstr(server.requests[0],
                           "\r\n\r\n{\"appends\":[{\"stream\":\"a-\\\"1\\\"\",\"expect\":4,"
                           "\"events\":[{\"event_type\":\"t\"},{\"event_type\":\"u\"}]},"
                           "{\"stream\":\"b-1\",\"expect\":\"none\",\"events\":[]}]}"));
}

static void refusals_of_appends_are_told(void **state) {
    (void)state;
    START(PROBLEM("412", "wrong-expected-version", "at 7"),
          PROBLEM("503", "outcome-unknown", "resend"),
          PROBLEM("507", "insufficient-storage", "full"));
    struct ms_target_append_result result;
    assert_int_equal(append_one(&result), MS_ECONFLICT);
    assert_string_equal(error.message, "at 7");
    assert_int_equal(append_one(&result), MS_EUNKNOWN);
    assert_int_equal(append_one(&result), MS_ENOSPC);
    assert_int_equal(target->in_flight, 0);
    finish();
}

static void a_broken_connection_leaves_an_append_unknown_and_a_read_failed(void **state) {
    (void)state;
    START("", "", "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\nnonsense");
    struct ms_target_append_result result;
    struct ms_target_read read = {.limit = 1};
    assert_int_equal(append_one(&result), MS_EUNKNOWN);
    assert_int_equal(read_events(&read), MS_EIO);
    assert_int_equal(append_one(&result), MS_EUNKNOWN); /* it was done, but who knows where */
    finish();
}

/* ---- subscribing ---- */

#define SSE "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n"

static int subscribe(const struct ms_target_read *read, size_t events) {
    seen[0] = 0;
    stop_after = events;
    return ms_target_subscribe(target, read, see, NULL, &error);
}

static void subscriptions_go_on_where_they_broke(void **state) {
    (void)state;
    START(SSE ": hello\n\nid: 4\ndata: {\"a\":1}\n\nid: 5\ndata: {\"b\":\r\ndata: 2}\r\n\r\n"
              ": caught up\nid: 8\n\nid: 9\ndata: {\"half",
          SSE "id: 9\ndata: {\"c\":3}\n\nid: 10\ndata: {}\n\n");
    struct ms_target_read read = {.from_end = true, .topic = "t", .limit = UINT64_MAX};
    assert_int_equal(subscribe(&read, 3), 0);
    finish();
    assert_string_equal(seen, "{\"a\":1}|{\"b\":\n2}|{\"c\":3}|");
    expect_request(0, "GET /v1/events?from=end&topic=t ");
    assert_non_null(strcasestr(server.requests[0], "accept: text/event-stream"));
    assert_null(strcasestr(server.requests[0], "last-event-id"));
    assert_non_null(strcasestr(server.requests[1], "last-event-id: 8\r\n"));
}

static void a_subscription_that_ends_says_why(void **state) {
    (void)state;
    START(SSE "id: 1\ndata: {}\n\nevent: end\ndata: {\"type\":\"urn:mainstem:problem:"
              "stream-tombstoned\",\"detail\":\"gone\"}\n\n",
          PROBLEM("404", "not-found", "no such stream"));
    struct ms_target_read read = {.stream = "a-1", .limit = UINT64_MAX};
    assert_int_equal(subscribe(&read, 0), MS_ETOMBSTONED);
    assert_string_equal(error.message, "gone");
    assert_string_equal(seen, "{}|");
    assert_int_equal(subscribe(&read, 0), MS_ENOTFOUND);
    finish();
}

/* ---- documents ---- */

static void conditions_are_headers(void **state) {
    (void)state;
    START(OK "\r\n{}", OK "\r\n{}", OK "\r\n{}");
    struct ms_condition version = {.kind = MS_EXPECT_VERSION, .version = 3};
    struct ms_condition none = {.kind = MS_EXPECT_NONE};
    struct ms_bytes stream = ms_bytes_cstr("a-1");
    assert_int_equal(ms_target_delete_stream(target, stream, version, true, &error), 0);
    assert_int_equal(
        ms_target_put_metadata(target, stream, none, ms_bytes_cstr("{\"a\":1}"), &error), 0);
    bool created = true;
    assert_int_equal(
        ms_target_put_topic(target, ms_bytes_cstr("t"), ms_bytes_cstr("{}"), &created, &error), 0);
    assert_false(created);
    finish();
    expect_request(0, "DELETE /v1/streams/a-1?tombstone=true ");
    assert_non_null(strcasestr(server.requests[0], "if-match: \"3\"\r\n"));
    expect_request(1, "PUT /v1/streams/a-1/metadata ");
    assert_non_null(strcasestr(server.requests[1], "if-none-match: *\r\n"));
    assert_non_null(strstr(server.requests[1], "\r\n\r\n{\"a\":1}"));
    expect_request(2, "PUT /v1/topics/t ");
}

static void topics_are_listed_one_by_one(void **state) {
    (void)state;
    START(OK "\r\n{\"topics\":[\n{\"name\":\"a\"},{\"name\":\"b\"}]}", OK "\r\n[]");
    seen[0] = 0;
    assert_int_equal(ms_target_list_topics(target, see, NULL, &error), 0);
    assert_string_equal(seen, "{\"name\":\"a\"}|{\"name\":\"b\"}|");
    assert_int_equal(ms_target_list_topics(target, see, NULL, &error), MS_EIO);
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_followed_to_the_end),
        cmocka_unit_test(reading_ends_at_the_limit),
        cmocka_unit_test(every_selection_is_in_the_query),
        cmocka_unit_test(problems_become_codes_and_sentences),
        cmocka_unit_test(every_problem_type_has_its_code),
        cmocka_unit_test(an_append_is_one_atomic_request),
        cmocka_unit_test(refusals_of_appends_are_told),
        cmocka_unit_test(a_broken_connection_leaves_an_append_unknown_and_a_read_failed),
        cmocka_unit_test(subscriptions_go_on_where_they_broke),
        cmocka_unit_test(a_subscription_that_ends_says_why),
        cmocka_unit_test(conditions_are_headers),
        cmocka_unit_test(topics_are_listed_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
