/* Log lines: both formats, escaping, cutting, levels, the slow-operation log, whole lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "server/log_output.h"
#include "wire/json.h"

static struct ms_clock_manual manual;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ms_buf lines;
static size_t line_count;
static bool all_whole;

static void keep_line(void *context, struct ms_bytes line) {
    (void)context;
    pthread_mutex_lock(&mutex);
    line_count++;
    const uint8_t *end = memchr(line.data, '\n', line.len);
    all_whole &= end == line.data + line.len - 1 && line.len <= MS_LOG_LINE_MAX;
    assert_int_equal(ms_buf_append_bytes(&lines, line), 0);
    pthread_mutex_unlock(&mutex);
}

static void start(enum ms_log_format format, enum ms_log_level level, int64_t slow_ms) {
    ms_log_output_init(&(struct ms_log_output_options){.clock = &manual.clock,
                                                       .level = level,
                                                       .format = format,
                                                       .slow_operation_ms = slow_ms,
                                                       .write = keep_line});
}

static int set_up(void **state) {
    (void)state;
    ms_clock_manual_init(&manual, 1795431174123456); /* 2026-11-23T10:52:54.123456Z */
    ms_buf_init(&lines, (size_t)16 << 20);
    line_count = 0;
    all_whole = true;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ms_buf_deinit(&lines);
    return 0;
}

static void expect_lines(const char *wanted) {
    if (lines.len != strlen(wanted) || memcmp(lines.data, wanted, lines.len) != 0)
        fail_msg("wanted: %s   found: %.*s", wanted, (int)lines.len, (const char *)lines.data);
}

static void text_lines_have_time_level_message_and_fields(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_INFO, 0);
    MS_LOG(INFO, "http listening", MS_FIELD_TEXT("address", "127.0.0.1:8080"),
           MS_FIELD_INT("threads", -2), MS_FIELD_REAL("ratio", 0.5), MS_FIELD_BOOL("direct", true));
    MS_LOG(ERROR, "stopped");
    expect_lines("2026-11-23T10:52:54.123Z INFO  http listening address=127.0.0.1:8080 threads=-2 "
                 "ratio=0.5 direct=true\n"
                 "2026-11-23T10:52:54.123Z ERROR stopped\n");
}

static void json_lines_are_objects(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    MS_LOG(WARN, "a \"b\"", MS_FIELD_TEXT("request_id", "r\\1"), MS_FIELD_INT("n", 7));
    expect_lines("{\"time\":\"2026-11-23T10:52:54.123Z\",\"level\":\"warn\","
                 "\"message\":\"a \\\"b\\\"\",\"request_id\":\"r\\\\1\",\"n\":7}\n");
}

static void text_values_with_odd_characters_are_quoted(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m", MS_FIELD_TEXT("a", "two words"), MS_FIELD_TEXT("b", "x=y"),
           MS_FIELD_TEXT("c", ""), MS_FIELD_TEXT("d", "plain"));
    expect_lines("2026-11-23T10:52:54.123Z INFO  m a=\"two words\" b=\"x=y\" c=\"\" d=plain\n");
}

static void no_value_can_forge_a_line_or_reach_the_terminal(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m\nfake", MS_FIELD_TEXT("a", "x\ny\x1b[2J\x7f\xc2\x9b"));
    expect_lines("2026-11-23T10:52:54.123Z INFO  m\\u000afake "
                 "a=\"x\\u000ay\\u001b[2J\\u007f\\u009b\"\n");
    assert_true(all_whole);
}

static void bytes_that_are_not_utf8_become_question_marks(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m",
           MS_FIELD_TEXT("a", "\xff"
                              "ok\xc3"));
    assert_non_null(memmem(lines.data, lines.len, "\"a\":\"?ok?\"", 10));
}

static void absent_fields_are_left_out(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m", MS_FIELD_TEXT("correlation_id", NULL), MS_FIELD_TEXT("a", "b"));
    expect_lines("2026-11-23T10:52:54.123Z INFO  m a=b\n");
}

static void numbers_that_json_lacks_are_null(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m", MS_FIELD_REAL("a", 0.0 / 0.0));
    assert_non_null(memmem(lines.data, lines.len, "\"a\":null}", 9));
}

static void levels_below_the_configured_one_are_silent(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_WARN, 0);
    MS_LOG(DEBUG, "d");
    MS_LOG(INFO, "i");
    MS_LOG(WARN, "w");
    MS_LOG(ERROR, "e");
    assert_int_equal(line_count, 2);
    ms_log_output_set_level(MS_LOG_DEBUG);
    MS_LOG(DEBUG, "d");
    assert_int_equal(line_count, 3);
    assert_true(ms_log_output_enabled(MS_LOG_DEBUG));
}

static void long_values_are_cut_between_characters(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    char value[MS_LOG_VALUE_MAX + 10];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = 0;
    memcpy(value + MS_LOG_VALUE_MAX - 1, "\xe2\x82\xac", 3); /* a character across the cut */
    MS_LOG(INFO, "m", MS_FIELD_TEXT("a", value));
    struct ms_json_value object, text;
    assert_int_equal(ms_json_parse(ms_buf_bytes(&lines), 4, &object, NULL), 0);
    assert_true(ms_json_get(object, "a", &text));
    assert_int_equal(text.text.len, MS_LOG_VALUE_MAX - 1 + 3 + 2); /* cut, ellipsis, quotes */
}

static void a_line_too_long_is_still_valid_and_says_so(void **state) {
    (void)state;
    char value[MS_LOG_VALUE_MAX + 1];
    memset(value, '\n', sizeof value); /* six characters each when escaped */
    value[MS_LOG_VALUE_MAX] = 0;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    MS_LOG(INFO, "m", MS_FIELD_TEXT("a", value), MS_FIELD_TEXT("b", value), MS_FIELD_INT("c", 1));
    struct ms_json_value object, member;
    assert_int_equal(ms_json_parse(ms_buf_bytes(&lines), 4, &object, NULL), 0);
    assert_true(ms_json_get(object, "truncated", &member));
    assert_int_equal(member.type, MS_JSON_TRUE);
    assert_false(ms_json_get(object, "a", &member));
    assert_true(ms_json_get(object, "c", &member));
    ms_buf_clear(&lines);
    start(MS_LOG_TEXT, MS_LOG_INFO, 0);
    MS_LOG(INFO, value);
    assert_true(all_whole);
    assert_non_null(memmem(lines.data, lines.len, " truncated=true\n", 16));
}

static void slow_operations_are_logged_from_the_configured_time_on(void **state) {
    (void)state;
    start(MS_LOG_TEXT, MS_LOG_INFO, 100);
    const struct ms_log_field fields[] = {MS_FIELD_TEXT("request_id", "r1")};
    ms_log_output_slow("append", 99999, fields, 1);
    assert_int_equal(line_count, 0);
    ms_log_output_slow("append", 100000, fields, 1);
    expect_lines("2026-11-23T10:52:54.123Z WARN  slow operation operation=append duration_ms=100 "
                 "request_id=r1\n");
    ms_log_output_set_slow_operation(0);
    ms_log_output_slow("append", 100000000, fields, 1);
    assert_int_equal(line_count, 1);
}

static void a_slow_operation_tells_its_duration_once(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 100);
    const struct ms_log_field fields[] = {MS_FIELD_INT("status", 200),
                                          MS_FIELD_REAL("duration_ms", 150),
                                          MS_FIELD_TEXT("request_id", "r1")};
    ms_log_output_slow("append", 150000, fields, 3);
    expect_lines("{\"time\":\"2026-11-23T10:52:54.123Z\",\"level\":\"warn\","
                 "\"message\":\"slow operation\",\"operation\":\"append\",\"duration_ms\":150,"
                 "\"status\":200,\"request_id\":\"r1\"}\n");
}

static void *write_many(void *context) {
    (void)context;
    for (int i = 0; i < 500; i++)
        MS_LOG(INFO, "from a thread", MS_FIELD_INT("i", i));
    return NULL;
}

static void lines_of_several_threads_never_mix(void **state) {
    (void)state;
    start(MS_LOG_JSON, MS_LOG_INFO, 0);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(line_count, 2000);
    assert_true(all_whole);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(text_lines_have_time_level_message_and_fields),
        TEST(json_lines_are_objects),
        TEST(text_values_with_odd_characters_are_quoted),
        TEST(no_value_can_forge_a_line_or_reach_the_terminal),
        TEST(bytes_that_are_not_utf8_become_question_marks),
        TEST(absent_fields_are_left_out),
        TEST(numbers_that_json_lacks_are_null),
        TEST(levels_below_the_configured_one_are_silent),
        TEST(long_values_are_cut_between_characters),
        TEST(a_line_too_long_is_still_valid_and_says_so),
        TEST(slow_operations_are_logged_from_the_configured_time_on),
        TEST(a_slow_operation_tells_its_duration_once),
        TEST(lines_of_several_threads_never_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
