/* The first words between a client and the server: ApiVersions in every version, and SASL. */
#include "kafka_server.h"

static struct ms_arena arena;

static const void *ask(int fd, int16_t key, int16_t version, int16_t answer_version,
                       const void *value) {
    struct ms_buf out;
    ms_buf_init(&out, MIB);
    frame_request(&out, key, version, 42, value);
    client_send_buf(fd, &out);
    assert_true(client_receive(fd, &out));
    assert_int_equal(ms_get_be32(out.data), 42);
    void *response, *copy = ms_arena_alloc(&arena, out.len);
    memcpy(copy, out.data, out.len);
    /* ApiVersions and SaslHandshake answer with the oldest header in every version. */
    struct ms_bytes body = ms_bytes_of((uint8_t *)copy + 4, out.len - 4);
    assert_int_equal(ms_kafka_decode(ms_kafka_api_find(key)->response, answer_version, body, &arena,
                                     &response, NULL),
                     0);
    ms_buf_deinit(&out);
    return response;
}

static void start(struct server *server) {
    server_init(server, NULL, 0); /* the real table */
    server_start(server);
    ms_arena_init(&arena, MIB);
}

static void stop(struct server *server, int fd) {
    ms_arena_deinit(&arena);
    close(fd);
    server_stop(server);
}

/* What needs a coordinator is not offered: there is none. */
static void assert_offered(const struct ms_kafka_api_versions_response *response) {
    int32_t at = 0;
    for (size_t i = 0; i < ms_kafka_handler_count; i++) {
        const struct ms_kafka_handler *handler = &ms_kafka_handlers[i];
        const struct ms_kafka_api *api = ms_kafka_api_find(handler->key);
        if (handler->flags & (MS_KAFKA_GROUPS | MS_KAFKA_TXN))
            continue;
        assert_true(at < response->api_keys_count);
        assert_int_equal(response->api_keys[at].api_key, handler->key);
        assert_int_equal(response->api_keys[at].min_version, api->min);
        assert_int_equal(response->api_keys[at++].max_version, api->max);
    }
    assert_int_equal(response->api_keys_count, at);
    assert_int_equal(response->finalized_features_count, 0);
}

static void every_version_lists_what_has_a_handler(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    struct ms_kafka_api_versions_request request = ms_kafka_api_versions_request_default;
    request.client_software_name = B("test");
    request.client_software_version = B("1");
    for (int16_t version = 0; version <= 4; version++) {
        const struct ms_kafka_api_versions_response *response =
            ask(fd, 18, version, version, &request);
        assert_int_equal(response->error_code, 0);
        assert_offered(response);
    }
    stop(&server, fd);
}

static void a_newer_client_is_answered_in_version_0(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    /* Key 18, version 127, correlation id 7, client id "x", and a body nobody here can read. */
    client_send(fd, "\0\0\0\x0e\0\x12\0\x7f\0\0\0\x07\0\x01x\xff\xff\xff", 18);
    struct ms_buf in;
    ms_buf_init(&in, MIB);
    assert_true(client_receive(fd, &in));
    assert_int_equal(ms_get_be32(in.data), 7);
    void *response;
    assert_int_equal(ms_kafka_decode(ms_kafka_api_find(18)->response, 0,
                                     ms_bytes_of(in.data + 4, in.len - 4), &arena, &response, NULL),
                     0);
    assert_int_equal(((const struct ms_kafka_api_versions_response *)response)->error_code, 35);
    assert_offered(response);
    ms_buf_deinit(&in);
    struct ms_kafka_api_versions_request request = ms_kafka_api_versions_request_default;
    assert_int_equal(
        ((const struct ms_kafka_api_versions_response *)ask(fd, 18, 0, 0, &request))->error_code,
        0); /* and asks again on the same connection */
    stop(&server, fd);
}

static void no_sasl_mechanism_is_offered(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    struct ms_kafka_sasl_handshake_request request = ms_kafka_sasl_handshake_request_default;
    request.mechanism = B("PLAIN");
    const struct ms_kafka_sasl_handshake_response *response = ask(fd, 17, 1, 1, &request);
    assert_int_equal(response->error_code, 33);
    assert_int_equal(response->mechanisms_count, 0);
    stop(&server, fd);
}

static int nobody(void *context, struct ms_bytes mechanism, struct ms_bytes token,
                  struct ms_error *err) {
    (void)context;
    (void)mechanism;
    (void)token;
    return ms_error_set(err, MS_EINVAL, "nobody");
}

static void heartbeat(struct ms_kafka_request *request) {
    (void)request;
    fail_msg("handled before authentication");
}

static void nothing_else_comes_before_authentication(void **state) {
    (void)state;
    static const struct ms_kafka_handler handlers[] = {
        {12, 0, heartbeat},
        {18, MS_KAFKA_BEFORE_AUTHENTICATION, ms_kafka_api_versions},
    };
    struct server server;
    server_init(&server, handlers, 2);
    server.options.authenticate = nobody;
    server_start(&server);
    ms_arena_init(&arena, MIB);
    int fd = client_open(&server);
    struct ms_kafka_api_versions_request request = ms_kafka_api_versions_request_default;
    (void)ask(fd, 18, 0, 0, &request);
    client_heartbeat(fd, "group", 1);
    client_expect_end(fd);
    assert_warned(&server, "before authentication");
    stop(&server, fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_lists_what_has_a_handler),
        cmocka_unit_test(a_newer_client_is_answered_in_version_0),
        cmocka_unit_test(no_sasl_mechanism_is_offered),
        cmocka_unit_test(nothing_else_comes_before_authentication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
