/* Which requests have a handler, and which close their connection. */
#include "face/kafka/dispatch.h"
#include "kafka_cmocka.h"

static void handle(struct ms_kafka_request *request) { (void)request; }

static const struct ms_kafka_handler handlers[] = {
    {0, 0, handle},
    {12, 0, handle},
    {18, MS_KAFKA_BEFORE_AUTHENTICATION, handle},
};

static enum ms_kafka_route route(int16_t key, int16_t version, bool authenticated,
                                 struct ms_error *err) {
    struct ms_kafka_dispatch dispatch;
    assert_int_equal(ms_kafka_dispatch_init(&dispatch, handlers, 3, 0, NULL), 0);
    struct ms_kafka_request_header header = {.key = key, .version = version};
    const struct ms_kafka_api *api = NULL;
    const struct ms_kafka_handler *handler = NULL;
    enum ms_kafka_route route =
        ms_kafka_dispatch_route(&dispatch, &header, authenticated, &api, &handler, err);
    if (route != MS_KAFKA_ROUTE_REFUSE) {
        assert_int_equal(api->key, key);
        assert_int_equal(handler->key, key);
    }
    return route;
}

static void requests_go_by_key_and_version(void **state) {
    (void)state;
    struct ms_error err = {0};
    int16_t max = ms_kafka_api_find(12)->max;
    assert_int_equal(route(12, 0, true, &err), MS_KAFKA_ROUTE_HANDLE);
    assert_int_equal(route(12, max, true, &err), MS_KAFKA_ROUTE_HANDLE);
    assert_int_equal(route(12, (int16_t)(max + 1), true, &err), MS_KAFKA_ROUTE_REFUSE);
    assert_mentions(&err, "Heartbeat in version");
    assert_int_equal(route(12, -1, true, &err), MS_KAFKA_ROUTE_REFUSE);
    assert_int_equal(route(3, 0, true, &err), MS_KAFKA_ROUTE_REFUSE); /* without a handler */
    assert_mentions(&err, "key 3");
    assert_int_equal(route(999, 0, true, &err), MS_KAFKA_ROUTE_REFUSE);
    assert_int_equal(route(-1, 0, true, &err), MS_KAFKA_ROUTE_REFUSE);
}

static void versions_that_are_only_advertised_are_refused(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(ms_kafka_api_find(0)->min, 0);
    assert_int_equal(route(0, 2, true, &err), MS_KAFKA_ROUTE_REFUSE);
    assert_int_equal(route(0, 3, true, &err), MS_KAFKA_ROUTE_HANDLE);
}

static void api_versions_answers_clients_of_any_age(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(route(18, 0, true, &err), MS_KAFKA_ROUTE_HANDLE);
    assert_int_equal(route(18, 99, true, &err), MS_KAFKA_ROUTE_UNSPOKEN);
    assert_int_equal(route(18, -5, true, &err), MS_KAFKA_ROUTE_UNSPOKEN);
}

static void authentication_comes_first(void **state) {
    (void)state;
    struct ms_error err = {0};
    assert_int_equal(route(18, 0, false, &err), MS_KAFKA_ROUTE_HANDLE);
    assert_int_equal(route(12, 0, false, &err), MS_KAFKA_ROUTE_REFUSE);
    assert_mentions(&err, "authentication");
}

static void a_table_that_contradicts_itself_is_refused(void **state) {
    (void)state;
    const struct ms_kafka_handler twice[] = {{12, 0, handle}, {12, 0, handle}};
    const struct ms_kafka_handler unknown[] = {{999, 0, handle}};
    struct ms_kafka_dispatch dispatch;
    assert_int_equal(ms_kafka_dispatch_init(&dispatch, twice, 2, 0, NULL), MS_EINVAL);
    assert_int_equal(ms_kafka_dispatch_init(&dispatch, unknown, 1, 0, NULL), MS_EINVAL);
    assert_int_equal(
        ms_kafka_dispatch_init(&dispatch, ms_kafka_handlers, ms_kafka_handler_count, 0, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_go_by_key_and_version),
        cmocka_unit_test(versions_that_are_only_advertised_are_refused),
        cmocka_unit_test(api_versions_answers_clients_of_any_age),
        cmocka_unit_test(authentication_comes_first),
        cmocka_unit_test(a_table_that_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
