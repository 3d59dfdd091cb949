/* From settings to the options of the store and the faces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/serve_options.h"

static struct ms_config config;
static struct ms_arena arena;

static int set_up(void **state) {
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 20);
    return ms_config_init(&config, NULL);
}

static int tear_down(void **state) {
    (void)state;
    ms_config_deinit(&config);
    ms_arena_deinit(&arena);
    return 0;
}

static void set(const char *text) {
    struct ms_error err = {0};
    if (ms_config_read_yaml(&config, "m.yaml", ms_bytes_cstr(text), &err) != 0)
        fail_msg("%s", err.message);
}

static void default_settings_are_the_stores_defaults(void **state) {
    (void)state;
    struct ms_store_options defaults, options;
    ms_store_options_init(&defaults);
    ms_serve_store_options(&config, &options);
    assert_int_equal(options.durability, defaults.durability);
    assert_int_equal(options.buffered_writes, defaults.buffered_writes);
    assert_int_equal(options.segment_bytes, defaults.segment_bytes);
    assert_int_equal(options.tail_cache_bytes, defaults.tail_cache_bytes);
    assert_int_equal(options.head_cache_entries, defaults.head_cache_entries);
    assert_int_equal(options.index_cache_bytes, defaults.index_cache_bytes);
    assert_int_equal(options.index_overlay_entries_max, defaults.index_overlay_entries_max);
    assert_int_equal(options.inflight_bytes_max, defaults.inflight_bytes_max);
    assert_int_equal(options.idempotence_window, defaults.idempotence_window);
    assert_int_equal(options.topics_max, defaults.topics_max);
    assert_int_equal(options.topic_partitions, defaults.topic_partitions);
    assert_memory_equal(&options.limits, &defaults.limits, sizeof defaults.limits);
}

static void default_settings_are_the_http_faces_defaults(void **state) {
    (void)state;
    struct ms_http_options defaults, options;
    ms_http_options_init(&defaults);
    assert_int_equal(ms_serve_http_options(&config, &arena, &options, NULL), 0);
    assert_string_equal(options.listen, defaults.listen);
    assert_memory_equal(&options.limits, &defaults.limits, sizeof defaults.limits);
    assert_int_equal(options.threads, defaults.threads);
    assert_int_equal(options.reader_threads, defaults.reader_threads);
    assert_int_equal(options.idle_timeout_ms, defaults.idle_timeout_ms);
    assert_int_equal(options.read_timeout_ms, defaults.read_timeout_ms);
    assert_int_equal(options.write_timeout_ms, defaults.write_timeout_ms);
    assert_int_equal(options.wait_ms_max, defaults.wait_ms_max);
    assert_int_equal(options.heartbeat_ms, defaults.heartbeat_ms);
    assert_int_equal(options.connections_max, defaults.connections_max);
    assert_int_equal(options.pipeline_max, defaults.pipeline_max);
    assert_int_equal(options.output_bytes_max, defaults.output_bytes_max);
    assert_int_equal(options.inflight_bytes_max, defaults.inflight_bytes_max);
    assert_int_equal(options.page_events_max, defaults.page_events_max);
    assert_int_equal(options.page_bytes_max, defaults.page_bytes_max);
    assert_int_equal(options.allowed_host_count, 0);
    assert_int_equal(options.cors_origin_count, 0);
}

static void default_settings_are_the_kafka_faces_defaults(void **state) {
    (void)state;
    struct ms_kafka_options defaults, options;
    ms_kafka_options_init(&defaults);
    assert_int_equal(ms_serve_kafka_options(&config, &arena, &options, NULL), 0);
    assert_string_equal(options.listen, ""); /* off */
    options.listen = defaults.listen;
    assert_memory_equal(&options, &defaults, sizeof defaults);
}

static void the_advertised_address_is_split(void **state) {
    (void)state;
    struct ms_kafka_options options;
    set("kafka.advertised: '[::1]:9093'\n");
    assert_int_equal(ms_serve_kafka_options(&config, &arena, &options, NULL), 0);
    assert_string_equal(options.advertised_host, "::1");
    assert_int_equal(options.advertised_port, 9093);
    set("kafka.advertised: 'log.example:80'\n");
    assert_int_equal(ms_serve_kafka_options(&config, &arena, &options, NULL), 0);
    assert_string_equal(options.advertised_host, "log.example");
    assert_int_equal(options.advertised_port, 80);
}

static void settings_arrive(void **state) {
    (void)state;
    set("durability: os\nlog: {write: buffered, segment_bytes: 1MiB}\ndata: d\n"
        "limits: {event_bytes_max: 1MiB, name_bytes_max: 99}\nstore.topic_partitions: 9\n");
    struct ms_store_options options;
    ms_serve_store_options(&config, &options);
    assert_int_equal(options.durability, MS_DURABILITY_OS);
    assert_true(options.buffered_writes);
    assert_int_equal(options.segment_bytes, 1 << 20);
    assert_string_equal(options.dir, "d");
    assert_int_equal(options.limits.event_bytes_max, 1 << 20);
    assert_int_equal(options.limits.name_bytes_max, 99);
    assert_int_equal(options.topic_partitions, 9);
}

static void lists_are_split_and_trimmed(void **state) {
    (void)state;
    set("http.allowed_hosts: ' a.example , ,b.example,'\nhttp.cors_origins: '*'\n");
    struct ms_http_options options;
    assert_int_equal(ms_serve_http_options(&config, &arena, &options, NULL), 0);
    assert_int_equal(options.allowed_host_count, 2);
    assert_string_equal(options.allowed_hosts[0], "a.example");
    assert_string_equal(options.allowed_hosts[1], "b.example");
    assert_int_equal(options.cors_origin_count, 1);
    assert_string_equal(options.cors_origins[0], "*");
}

static void lists_need_memory(void **state) {
    (void)state;
    struct ms_arena small;
    ms_arena_init(&small, 1);
    struct ms_http_options options;
    assert_int_equal(ms_serve_http_options(&config, &small, &options, NULL), MS_ENOMEM);
    ms_arena_deinit(&small);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(default_settings_are_the_stores_defaults),
        TEST(default_settings_are_the_http_faces_defaults),
        TEST(default_settings_are_the_kafka_faces_defaults),
        TEST(the_advertised_address_is_split),
        TEST(settings_arrive),
        TEST(lists_are_split_and_trimmed),
        TEST(lists_need_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
