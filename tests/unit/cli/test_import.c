/* Importing: lines to events, batches, order, errors with line numbers, against a target that only
 * remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/import.h"

/* ---- a target that remembers what it was given ---- */

#define CALLS_MAX 64
#define PENDING_MAX MS_TARGET_IN_FLIGHT_MAX

struct call {
    size_t parts, events;
    char streams[256], text[2048]; /* joined with ' ' and '\n' */
};
struct fake {
    struct ms_target target;
    struct call calls[CALLS_MAX];
    size_t call_count;
    struct {
        ms_target_appended_fn *done;
        void *context;
        size_t call;
    } pending[PENDING_MAX];
    unsigned most_in_flight;
    size_t fail_call;  /* from 1; its append fails */
    bool newest_first; /* completes the newest append first */
    bool repeats;
};

static void add_text(char *out, size_t size, struct ms_bytes text, char end) {
    size_t len = strlen(out);
    assert_true(len + text.len + 2 < size);
    memcpy(out + len, text.data, text.len);
    out[len + text.len] = end;
    out[len + text.len + 1] = 0;
}

static int fake_start(struct ms_target *target, const struct ms_target_append *append,
                      ms_target_appended_fn *done, void *context, struct ms_error *err) {
    struct fake *fake = (struct fake *)target;
    (void)err;
    assert_true(fake->call_count < CALLS_MAX);
    struct call *call = &fake->calls[fake->call_count++];
    call->parts = append->part_count;
    for (size_t i = 0; i < append->part_count; i++) {
        assert_int_equal(append->parts[i].condition.kind, MS_EXPECT_ANY);
        add_text(call->streams, sizeof call->streams, append->parts[i].stream, ' ');
        for (size_t j = 0; j < append->parts[i].count; j++, call->events++)
            add_text(call->text, sizeof call->text, append->parts[i].events[j], '\n');
    }
    fake->pending[target->in_flight].done = done;
    fake->pending[target->in_flight].context = context;
    fake->pending[target->in_flight].call = fake->call_count;
    target->in_flight++;
    if (target->in_flight > fake->most_in_flight)
        fake->most_in_flight = target->in_flight;
    return 0;
}

static int fake_poll(struct ms_target *target, struct ms_error *err) {
    struct fake *fake = (struct fake *)target;
    (void)err;
    size_t at = fake->newest_first ? target->in_flight - 1 : 0;
    ms_target_appended_fn *done = fake->pending[at].done;
    void *context = fake->pending[at].context;
    size_t call = fake->pending[at].call;
    target->in_flight--;
    memmove(&fake->pending[at], &fake->pending[at + 1],
            (target->in_flight - at) * sizeof fake->pending[0]);
    struct ms_error error = {.code = MS_ENOSPC, .message = "no room"};
    struct ms_target_append_result result = {.repeated = fake->repeats};
    if (call == fake->fail_call)
        done(context, MS_ENOSPC, NULL, &error);
    else
        done(context, 0, &result, NULL);
    return 0;
}

static const struct ms_target_ops fake_ops = {.append_start = fake_start, .poll = fake_poll};

/* ---- running ---- */

static struct fake fake;
static struct ms_import_options options;
static struct ms_import_result result;
static struct ms_error error;

static int set_up(void **state) {
    (void)state;
    fake = (struct fake){.target = {.ops = &fake_ops, .keeps_order = true}};
    ms_import_options_init(&options);
    error = (struct ms_error){0};
    return 0;
}

static int import_text(const char *text) {
    char copy[16384];
    size_t len = strlen(text);
    assert_true(len > 0 && len < sizeof copy);
    memcpy(copy, text, len + 1);
    FILE *file = fmemopen(copy, len, "r");
    assert_non_null(file);
    struct ms_line_reader reader;
    assert_int_equal(ms_line_reader_open(&reader, "-", file, 4096, NULL), 0);
    struct ms_cli cli = {.env = ms_env_system()};
    struct ms_progress progress;
    ms_progress_begin(&progress, &cli, "imported");
    int rc = ms_import_run(&fake.target, &reader, &options, &progress, &result, &error);
    ms_line_reader_close(&reader);
    fclose(file);
    assert_int_equal(fake.target.in_flight, 0);
    return rc;
}

#define EVENT(stream, id)                                                                          \
    "{\"stream\":\"" stream "\",\"event_id\":\"" id "\",\"event_type\":\"t\"}\n"
#define OUT(id) "{\"event_id\":\"" id "\",\"event_type\":\"t\"}\n"

static void events_are_gathered_by_stream_in_order(void **state) {
    (void)state;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("b-1", "2") EVENT("a-1", "3")), 0);
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(fake.calls[0].parts, 2);
    assert_string_equal(fake.calls[0].streams, "a-1 b-1 ");
    assert_string_equal(fake.calls[0].text, OUT("1") OUT("3") OUT("2"));
    assert_int_equal(result.events, 3);
    assert_int_equal(result.appends, 1);
}

static void batches_end_at_their_limits(void **state) {
    (void)state;
    options.batch_events = 2;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2") EVENT("a-1", "3")), 0);
    assert_int_equal(fake.call_count, 2);
    assert_int_equal(fake.calls[0].events, 2);
    assert_int_equal(fake.calls[1].events, 1);
    set_up(NULL);
    options.batch_bytes = 1; /* each batch holds one event all the same */
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2") EVENT("a-1", "3")), 0);
    assert_int_equal(fake.call_count, 3);
}

static void many_appends_are_in_flight(void **state) {
    (void)state;
    options.batch_events = 1;
    options.in_flight = 3;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2") EVENT("a-1", "3")
                                     EVENT("a-1", "4") EVENT("a-1", "5")),
                     0);
    assert_int_equal(fake.most_in_flight, 3);
    assert_int_equal(result.events, 5);
}

static void without_order_a_stream_is_in_one_append_at_a_time(void **state) {
    (void)state;
    fake.target.keeps_order = false;
    fake.newest_first = true;
    options.batch_events = 1;
    options.in_flight = 4;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2") EVENT("a-1", "3")), 0);
    assert_int_equal(fake.most_in_flight, 1);
    set_up(NULL);
    fake.target.keeps_order = false;
    options.batch_events = 1;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("b-1", "2") EVENT("c-1", "3")), 0);
    assert_int_equal(fake.most_in_flight, 3);
}

static void fields_of_an_export_are_dropped(void **state) {
    (void)state;
    assert_int_equal(
        import_text("{\"event_id\":\"1\",\"event_type\":\"t\",\"stream\":\"a-1\",\"version\":3,"
                    "\"topic\":\"a\",\"partition\":1,\"offset\":2,\"position\":9,"
                    "\"recorded_at\":\"2026-11-23T10:52:54Z\",\"data\":{\"n\": 1.10}}\n"),
        0);
    assert_string_equal(fake.calls[0].text,
                        "{\"event_id\":\"1\",\"event_type\":\"t\",\"data\":{\"n\": 1.10}}\n");
}

static void lines_without_an_id_get_the_same_one_each_time(void **state) {
    (void)state;
    const char *text = "{\"stream\":\"a-1\",\"event_type\":\"t\"}\n"
                       "{\"stream\":\"a-1\",\"event_type\":\"t\"}\n"
                       "{\"stream\":\"a-1\",\"event_type\":\"t\",\"event_id\":null}\n";
    char first[2048];
    assert_int_equal(import_text(text), 0);
    snprintf(first, sizeof first, "%s", fake.calls[0].text);
    set_up(NULL);
    assert_int_equal(import_text(text), 0);
    assert_string_equal(fake.calls[0].text, first);
    char *second_line = strchr(first, '\n') + 1;
    assert_true(strncmp(first, second_line, strlen(OUT("01a2084b-4660-7512-85c8-9f3c59c3b52f"))) !=
                0);
    assert_non_null(strstr(second_line, "\"event_id\":\""));
}

static void blank_lines_and_a_missing_last_line_break_are_fine(void **state) {
    (void)state;
    assert_int_equal(
        import_text("\n  \t\r\n" EVENT(
            "a-1", "1") "\n"
                        "{\"stream\":\"a-1\",\"event_id\":\"2\",\"event_type\":\"t\"}"),
        0);
    assert_int_equal(result.events, 2);
}

static void expect_line_error(const char *text, const char *message) {
    set_up(NULL);
    assert_int_equal(import_text(text), MS_EINVAL);
    if (!strstr(error.message, message))
        fail_msg("\"%s\" lacks \"%s\"", error.message, message);
}

static void bad_lines_are_named(void **state) {
    (void)state;
    expect_line_error(EVENT("a-1", "1") "{\"stream\":\n", "line 2: ");
    expect_line_error("\n[1]\n", "line 2: a JSON object was expected");
    expect_line_error("{\"event_type\":\"t\"}\n", "line 1: the field stream is missing");
    expect_line_error("{\"stream\":\"\",\"event_type\":\"t\"}\n", "line 1: the field stream must");
    expect_line_error("{\"stream\":7,\"event_type\":\"t\"}\n", "line 1: the field stream must");
    expect_line_error("{\"stream\":\"a-1\"}\n", "line 1: ");
    expect_line_error("{\"stream\":\"a-1\",\"event_type\":\"t\",\"evnt_id\":1}\n", "line 1: ");
}

static void a_line_too_long_is_named(void **state) {
    (void)state;
    char text[8000];
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[sizeof text - 1] = 0;
    assert_int_equal(import_text(text), MS_ETOOBIG);
    assert_string_equal(error.message, "line 1 is longer than 4096 bytes");
}

static void a_refused_append_names_its_lines_and_ends_the_import(void **state) {
    (void)state;
    fake.fail_call = 2;
    options.batch_events = 2;
    options.in_flight = 1;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2") "\n" EVENT("a-1", "3")
                                     EVENT("a-1", "4") EVENT("a-1", "5") EVENT("a-1", "6")),
                     MS_ENOSPC);
    assert_string_equal(error.message, "lines 4 to 5: no room");
    assert_int_equal(result.events, 2);
    assert_int_equal(fake.call_count, 2);
}

static void what_was_there_already_is_counted(void **state) {
    (void)state;
    fake.repeats = true;
    assert_int_equal(import_text(EVENT("a-1", "1") EVENT("a-1", "2")), 0);
    assert_int_equal(result.events, 2);
    assert_int_equal(result.repeated, 2);
}

static void a_batch_finds_each_of_many_streams(void **state) {
    (void)state;
    struct ms_import_batch batch;
    assert_int_equal(ms_import_batch_init(&batch, 1000, (size_t)1 << 20), 0);
    char name[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(name, sizeof name, "s-%d", i % 700);
            assert_int_equal(ms_import_batch_add(&batch, ms_bytes_cstr(name), ms_bytes_cstr("{}"),
                                                 (uint64_t)i + 1),
                             0);
        }
        assert_int_equal(batch.part_count, 700);
        struct ms_target_append append = ms_import_batch_arrange(&batch);
        for (size_t i = 0; i < 700; i++)
            assert_int_equal(append.parts[i].count, i < 300 ? 2 : 1);
        assert_true(ms_import_batch_has(&batch, ms_bytes_cstr("s-699")));
        assert_false(ms_import_batch_has(&batch, ms_bytes_cstr("s-700")));
        ms_import_batch_clear(&batch);
        assert_false(ms_import_batch_has(&batch, ms_bytes_cstr("s-699")));
    }
    ms_import_batch_deinit(&batch);
}

static void a_missing_file_is_named(void **state) {
    (void)state;
    struct ms_line_reader reader;
    struct ms_error err;
    assert_int_equal(ms_line_reader_open(&reader, "/no/such/file", stdin, 100, &err), MS_ENOTFOUND);
    assert_non_null(strstr(err.message, "/no/such/file can't be opened"));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        TEST(events_are_gathered_by_stream_in_order),
        TEST(batches_end_at_their_limits),
        TEST(many_appends_are_in_flight),
        TEST(without_order_a_stream_is_in_one_append_at_a_time),
        TEST(fields_of_an_export_are_dropped),
        TEST(lines_without_an_id_get_the_same_one_each_time),
        TEST(blank_lines_and_a_missing_last_line_break_are_fine),
        TEST(bad_lines_are_named),
        TEST(a_line_too_long_is_named),
        TEST(a_refused_append_names_its_lines_and_ends_the_import),
        TEST(what_was_there_already_is_counted),
        TEST(a_batch_finds_each_of_many_streams),
        TEST(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
