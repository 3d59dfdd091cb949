/* Events and objects for people and as JSON lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/output.h"

static char *text;
static size_t text_len;
static struct ms_output output;

static void start(bool json) {
    output = (struct ms_output){.file = open_memstream(&text, &text_len), .json = json};
    assert_non_null(output.file);
    ms_arena_init(&output.arena, (size_t)1 << 20);
    ms_buf_init(&output.line, (size_t)1 << 20);
}

static void finish(const char *wanted) {
    fclose(output.file);
    assert_string_equal(text, wanted);
    free(text);
    ms_output_deinit(&output);
}

static void event(const char *json) {
    assert_int_equal(ms_output_event(&output, ms_bytes_cstr(json)), 0);
}

static void people_see_stream_version_type_time_and_data(void **state) {
    (void)state;
    start(false);
    event(
        "{\"event_id\":\"1\",\"event_type\":\"order.created\",\"stream\":\"order-1\",\"version\":4,"
        "\"timestamp\":\"2026-11-23T10:52:54.123Z\",\"data\":{\"total\":1}}");
    event("{\"event_type\":\"t\",\"data_base64\":\"aGk=\"}");
    finish("order-1@4  order.created  2026-11-23T10:52:54.123Z  {\"total\":1}\n"
           "t  aGk=\n");
}

static void pipes_get_the_event_as_it_is(void **state) {
    (void)state;
    start(true);
    event("{\"event_type\":\"t\",\"data\":{\"n\": 1.10}}");
    finish("{\"event_type\":\"t\",\"data\":{\"n\": 1.10}}\n");
}

static void an_event_is_one_line_in_a_pipe(void **state) {
    (void)state;
    start(true);
    event("{\"event_type\":\"t\",\"data\":{\"n\":\r\n1}}");
    finish("{\"event_type\":\"t\",\"data\":{\"n\":  1}}\n");
    start(false);
    event("{\"stream\":\"s-1\",\"version\":0,\"data\":{\"n\":\n1}}");
    finish("s-1@0  {\"n\": 1}\n");
}

static void an_exact_event_keeps_the_line_breaks_of_its_data(void **state) {
    (void)state;
    start(true);
    output.exact = true;
    event("{\"event_type\":\"t\",\"metadata\":{\"a\":\n1},\"data\":[1,\r\n2]}");
    event("{\"event_type\":\"t\",\"metadata\":{\"a\":\n1},\"data\":[1, 2]}");
    event("{\"event_type\":\"t\",\"data\":[1, 2]}");
    finish("{\"event_type\":\"t\",\"metadata\":{\"a\": 1},\"data_base64\":\"WzEsDQoyXQ==\"}\n"
           "{\"event_type\":\"t\",\"metadata\":{\"a\": 1},\"data\":[1, 2]}\n"
           "{\"event_type\":\"t\",\"data\":[1, 2]}\n");
}

static void events_cannot_talk_to_the_terminal(void **state) {
    (void)state;
    start(false);
    event("{\"stream\":\"a\\u001b[2J\\u009b-\\u007f\",\"version\":0,\"event_type\":\"x\\ny\"}");
    finish("a.[2J.-.@0  x.y\n");
}

static void long_data_is_cut_between_characters(void **state) {
    (void)state;
    char json[512];
    char data[200] = "";
    for (int i = 0; i < 60; i++)
        memcpy(data + i * 3, "\xe2\x82\xac", 4);
    snprintf(json, sizeof json, "{\"data\":\"%s\"}", data);
    start(false);
    event(json);
    fclose(output.file);
    assert_true(ms_utf8_valid(ms_bytes_of(text, text_len)));
    assert_true(text_len < 180);
    assert_non_null(strstr(text, "…\n"));
    free(text);
    ms_output_deinit(&output);
}

static void objects_are_names_and_values_for_people(void **state) {
    (void)state;
    start(false);
    const char *json =
        "{\"name\":\"a\",\"store\":{\"end\":3,\"recovery\":{\"ms\":0}},\"x\":[1,2]}\n";
    assert_int_equal(ms_output_object(&output, ms_bytes_cstr(json), "Store"), 0);
    finish("Store\nname: a\nstore.end: 3\nstore.recovery.ms: 0\nx: [1,2]\n");
}

static void objects_are_one_line_in_a_pipe(void **state) {
    (void)state;
    start(true);
    assert_int_equal(ms_output_object(&output, ms_bytes_cstr("{\"a\":\n1}\r\n"), NULL), 0);
    assert_int_equal(ms_output_object(&output, ms_bytes_cstr("[1]"), NULL), MS_EINVAL);
    assert_int_equal(ms_output_object(&output, ms_bytes_cstr("{"), NULL), MS_EINVAL);
    finish("{\"a\": 1}\n");
}

static void progress_is_drawn_now_and_then_and_taken_away(void **state) {
    (void)state;
    struct ms_clock_manual clock;
    ms_clock_manual_init(&clock, 1000000);
    struct ms_env env = {.clock = &clock.clock};
    struct ms_cli cli = {.env = &env, .err_is_terminal = true};
    cli.err = open_memstream(&text, &text_len);
    struct ms_progress progress;
    ms_progress_begin(&progress, &cli, "imported");
    ms_progress_update(&progress, 1, 0, 0);
    fflush(cli.err);
    assert_int_equal(text_len, 0);
    ms_clock_manual_advance(&clock, 1000000);
    ms_progress_update(&progress, 500, 25, 100);
    ms_clock_manual_advance(&clock, 1000000);
    ms_progress_positions(&progress, 30, 40, 7.4);
    ms_progress_end(&progress);
    fclose(cli.err);
    assert_string_equal(text, "\r\033[Kimported 500 events, 500/s, 25%"
                              "\r\033[Kimported 30 of 40, 75%, 7/s\r\033[K");
    free(text);
    cli.err_is_terminal = false;
    ms_progress_begin(&progress, &cli, "imported");
    ms_clock_manual_advance(&clock, 1000000);
    ms_progress_update(&progress, 500, 25, 100);
    ms_progress_end(&progress);
    assert_true(ms_progress_seconds(&progress) > 0.9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_stream_version_type_time_and_data),
        cmocka_unit_test(pipes_get_the_event_as_it_is),
        cmocka_unit_test(an_event_is_one_line_in_a_pipe),
        cmocka_unit_test(an_exact_event_keeps_the_line_breaks_of_its_data),
        cmocka_unit_test(events_cannot_talk_to_the_terminal),
        cmocka_unit_test(long_data_is_cut_between_characters),
        cmocka_unit_test(objects_are_names_and_values_for_people),
        cmocka_unit_test(objects_are_one_line_in_a_pipe),
        cmocka_unit_test(progress_is_drawn_now_and_then_and_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
