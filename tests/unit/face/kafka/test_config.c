/* The options' copy: what is refused, what is its own, and that no memory is an ordinary error. */
#include "base/alloc.h"
#include "face/kafka/config.h"
#include "face/kafka/handlers.h"
#include "kafka_cmocka.h"

static void a_copy_is_its_own(void **state) {
    (void)state;
    struct ms_kafka_options options;
    ms_kafka_options_init(&options);
    char host[] = "log.example";
    options.advertised_host = host;
    struct ms_kafka_config *config;
    assert_int_equal(ms_kafka_config_new(&options, &config, NULL), 0);
    host[0] = 'x';
    assert_string_equal(config->options.advertised_host, "log.example");
    assert_string_equal(config->options.listen, "127.0.0.1:9092");
    assert_ptr_equal(config->options.handlers, ms_kafka_handlers);
    assert_int_equal(config->options.handler_count, ms_kafka_handler_count);
    assert_non_null(config->options.env);
    ms_kafka_config_unref(ms_kafka_config_ref(config));
    ms_kafka_config_unref(config);
    ms_kafka_config_unref(NULL);
}

static void limits_that_serve_nobody_are_named(void **state) {
    (void)state;
    struct ms_kafka_options good;
    ms_kafka_options_init(&good);
    struct ms_kafka_options bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].listen = NULL;
    bad[1].advertised_port = 65536;
    bad[2].connections_max = 0;
    bad[3].request_bytes_max = (size_t)INT32_MAX + 1;
    bad[4].output_bytes_max = 0;
    bad[5].inflight_bytes_max = 0;
    bad[6].idle_timeout_ms = -1;
    bad[7].write_timeout_ms = 0;
    bad[8].pipeline_max = 0;
    static const char *const names[] = {
        "listen",           "advertised_port",    "connections_max", "request_bytes_max",
        "output_bytes_max", "inflight_bytes_max", "idle_timeout_ms", "write_timeout_ms",
        "pipeline_max"};
    for (size_t i = 0; i < 9; i++) {
        struct ms_kafka_config *config = NULL;
        struct ms_error err = {0};
        assert_int_equal(ms_kafka_config_new(&bad[i], &config, &err), MS_EINVAL);
        assert_mentions(&err, names[i]);
        assert_null(config);
    }
}

static void no_memory_is_an_ordinary_error(void **state) {
    (void)state;
    struct ms_kafka_options options;
    ms_kafka_options_init(&options);
    options.advertised_host = "log.example";
    int code = MS_ENOMEM;
    for (uint64_t n = 1; code != 0; n++) {
        struct ms_kafka_config *config = NULL;
        ms_alloc_fail_nth(n);
        code = ms_kafka_config_new(&options, &config, NULL);
        assert_true(code == 0 || code == MS_ENOMEM);
        assert_int_equal(code == 0, config != NULL);
        ms_kafka_config_unref(config);
    }
    ms_alloc_fail_nth(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(limits_that_serve_nobody_are_named),
        cmocka_unit_test(no_memory_is_an_ordinary_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
