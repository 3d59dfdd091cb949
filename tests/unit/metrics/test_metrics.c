/* Metrics: what histograms count, and the exposition format, character by character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "metrics/metrics.h"
#include "os/vfs.h"

static void expect_text(const struct ms_buf *buf, const char *wanted) {
    assert_int_equal(buf->len, strlen(wanted));
    assert_memory_equal(buf->data, wanted, buf->len);
}

static bool contains(const struct ms_buf *buf, const char *text) {
    return memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

static void counter_has_help_type_and_sample(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_metrics_counter(&out, "mainstem_x_total", "Things\\ done.\nAll.", NULL, 7),
                     0);
    expect_text(&out, "# HELP mainstem_x_total Things\\\\ done.\\nAll.\n"
                      "# TYPE mainstem_x_total counter\nmainstem_x_total 7\n");
    ms_buf_deinit(&out);
}

static void counter_prints_the_largest_value(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_metrics_counter(&out, "a", NULL, NULL, UINT64_MAX), 0);
    expect_text(&out, "a 18446744073709551615\n");
    ms_buf_deinit(&out);
}

static void gauge_prints_whole_and_broken_numbers(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_metrics_gauge(&out, "a", NULL, NULL, 1073741824.0), 0);
    assert_int_equal(ms_metrics_gauge(&out, "a", NULL, "b=\"c\"", 0.25), 0);
    assert_int_equal(ms_metrics_gauge(&out, "a", NULL, "", -1.0 / 0.0), 0);
    expect_text(&out, "a 1073741824\na{b=\"c\"} 0.25\na -Inf\n");
    ms_buf_deinit(&out);
}

static void without_help_only_the_sample_is_written(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_metrics_counter_real(&out, "s_total", "Time.", NULL, 1.5), 0);
    assert_int_equal(ms_metrics_counter_real(&out, "s_total", NULL, "a=\"1\"", 2.5), 0);
    expect_text(&out, "# HELP s_total Time.\n# TYPE s_total counter\ns_total 1.5\n"
                      "s_total{a=\"1\"} 2.5\n");
    ms_buf_deinit(&out);
}

static void label_values_are_escaped(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_metrics_label(&out, "topic", ms_bytes_cstr("a\"b\\c\nd")), 0);
    expect_text(&out, "topic=\"a\\\"b\\\\c\\nd\"");
    ms_buf_deinit(&out);
}

static void histogram_buckets_hold_values_up_to_their_bound(void **state) {
    (void)state;
    static const struct {
        uint64_t value;
        size_t bucket;
    } rows[] = {{0, 0},          {1, 0}, {2, 1},         {3, 2},
                {4, 2},          {5, 3}, {1u << 26, 26}, {(1u << 26) + 1, 27},
                {UINT64_MAX, 27}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_histogram histogram = {0};
        ms_histogram_add(&histogram, rows[i].value);
        for (size_t b = 0; b < MS_HISTOGRAM_BUCKETS; b++)
            assert_int_equal(histogram.buckets[b], b == rows[i].bucket);
        assert_int_equal(histogram.sum, rows[i].value);
    }
}

static void quantile_is_the_bound_of_its_bucket(void **state) {
    (void)state;
    struct ms_histogram histogram = {0};
    assert_int_equal(ms_histogram_quantile(&histogram, 0.5), 0);
    for (int i = 0; i < 98; i++)
        ms_histogram_add(&histogram, 100);
    ms_histogram_add(&histogram, 5000);
    ms_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(ms_histogram_count(&histogram), 100);
    assert_int_equal(ms_histogram_quantile(&histogram, 0), 128);
    assert_int_equal(ms_histogram_quantile(&histogram, 0.98), 128);
    assert_int_equal(ms_histogram_quantile(&histogram, 0.99), 8192);
    assert_int_equal(ms_histogram_quantile(&histogram, 1), UINT64_MAX);
    assert_int_equal(ms_histogram_quantile(&histogram, 7), UINT64_MAX);
}

static void histogram_text_is_cumulative_and_scaled(void **state) {
    (void)state;
    struct ms_histogram histogram = {0};
    ms_histogram_add(&histogram, 1);
    ms_histogram_add(&histogram, 3);
    ms_histogram_add(&histogram, (uint64_t)1 << 40);
    struct ms_buf out;
    ms_buf_init(&out, 65536);
    assert_int_equal(ms_metrics_histogram(&out, "h_seconds", "Time.", "a=\"b\"", &histogram, 1e-6),
                     0);
    assert_true(contains(&out, "# TYPE h_seconds histogram\n"
                               "h_seconds_bucket{a=\"b\",le=\"1e-06\"} 1\n"
                               "h_seconds_bucket{a=\"b\",le=\"2e-06\"} 1\n"
                               "h_seconds_bucket{a=\"b\",le=\"4e-06\"} 2\n"));
    assert_true(contains(&out, "h_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n"
                               "h_seconds_sum{a=\"b\"} 1099511.63\n"
                               "h_seconds_count{a=\"b\"} 3\n"));
    ms_buf_deinit(&out);
}

static void a_full_buffer_keeps_nothing_of_a_family(void **state) {
    (void)state;
    struct ms_histogram histogram = {0};
    struct ms_buf out;
    for (size_t max = 0; max < 500; max += 50) {
        ms_buf_init(&out, max);
        assert_int_equal(ms_metrics_histogram(&out, "h", "H.", NULL, &histogram, 1), MS_ETOOBIG);
        assert_int_equal(out.len, 0);
        ms_buf_deinit(&out);
    }
    ms_buf_init(&out, 30);
    assert_int_equal(ms_metrics_counter(&out, "c_total", "C.", NULL, 1), MS_ETOOBIG);
    assert_int_equal(ms_metrics_gauge(&out, "g", "G.", NULL, 1), MS_ETOOBIG);
    assert_int_equal(ms_metrics_label(&out, "name", ms_bytes_cstr("a value that is too long")),
                     MS_ETOOBIG);
    assert_int_equal(out.len, 0);
    ms_buf_deinit(&out);
}

static void process_metrics_come_from_the_system(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 65536);
    assert_int_equal(ms_metrics_process(&out, ms_vfs_posix()), 0);
    static const char *const names[] = {"\nprocess_resident_memory_bytes ",
                                        "\nprocess_virtual_memory_bytes ",
                                        "\nprocess_threads ",
                                        "\nprocess_start_time_seconds ",
                                        "\nprocess_open_fds ",
                                        "\nprocess_max_fds ",
                                        "\nprocess_cpu_seconds_total "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(contains(&out, names[i]));
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_has_help_type_and_sample),
        cmocka_unit_test(counter_prints_the_largest_value),
        cmocka_unit_test(gauge_prints_whole_and_broken_numbers),
        cmocka_unit_test(without_help_only_the_sample_is_written),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(histogram_buckets_hold_values_up_to_their_bound),
        cmocka_unit_test(quantile_is_the_bound_of_its_bucket),
        cmocka_unit_test(histogram_text_is_cumulative_and_scaled),
        cmocka_unit_test(a_full_buffer_keeps_nothing_of_a_family),
        cmocka_unit_test(process_metrics_come_from_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
