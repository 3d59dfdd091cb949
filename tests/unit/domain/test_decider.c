/* Deciders: what is decided is what the stream's events make of it, kept or folded anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "domain/decider.h"
#include "support/store_world.h"

static const char counter[] =
    "aggregate 'counter' { initial = { n = 0, list = array {} },\n"
    "  apply = {\n"
    "    added = function(state, event)\n"
    "      state.n = state.n + event.data.by\n"
    "      state.last = event.key .. event.version .. event.id .. event.timestamp\n"
    "      state.list[#state.list + 1] = event.data.by end,\n"
    "    broken = function() error('apply is broken') end,\n"
    "    refused = function() reject('not.here') end },\n"
    "  handle = {\n"
    "    Add = function(state, command)\n"
    "      if state.n + command.data.by > 100 then reject('too.many', 'it is ' .. state.n) end\n"
    "      return { event('added', { by = command.data.by, sum = state.n }) } end,\n"
    "    Twice = function(state, command)\n"
    "      return { event('added', { by = 1 }), event('added', { by = 2 }, { why = 'x' }) } end,\n"
    "    None = function() return {} end,\n"
    "    Break = function() return { event('added', { by = 1 }), event('broken') } end,\n"
    "    Refuse = function() return { event('refused') } end,\n"
    "    Loop = function() while true do end end,\n"
    "    Wrong = function() return nil + 1 end } }\n";

struct fixture {
    struct store_world w;
    struct ms_decider *decider;
    struct ms_arena arena;
    struct ms_decision decision;
    struct ms_module_file file;
};

static int setup(void **state) {
    struct fixture *f = ms_calloc(1, sizeof *f);
    struct ms_sandbox_failure failure;
    store_world_init(&f->w, 1);
    assert_int_equal(store_world_open(&f->w), 0);
    ms_arena_init(&f->arena, 1 << 20);
    f->file = (struct ms_module_file){"counter.lua", ms_bytes_cstr(counter)};
    struct ms_decider_options options = {.store = f->w.store,
                                         .clock = f->w.env.clock,
                                         .limits = {.steps = 100000},
                                         .files = &f->file,
                                         .file_count = 1,
                                         .kept_max = 4};
    assert_int_equal(ms_decider_new(&options, &f->decider, &failure), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    ms_decider_free(f->decider);
    ms_arena_deinit(&f->arena);
    store_world_deinit(&f->w);
    ms_free(f);
    return 0;
}

static int decide(struct fixture *f, const char *key, const char *type, const char *data,
                  const char *id) {
    struct ms_command command = {.aggregate = MS_BYTES_LITERAL("counter"),
                                 .key = ms_bytes_cstr(key),
                                 .type = ms_bytes_cstr(type),
                                 .data = ms_bytes_cstr(data),
                                 .id = ms_bytes_cstr(id),
                                 .now_ms = 5000};
    ms_arena_reset(&f->arena);
    return ms_decider_decide(f->decider, &command, &f->arena, &f->decision, &f->w.error);
}

/* Appends what was decided; the code. */
static int append(struct fixture *f) {
    bool none = f->decision.expected < 0;
    struct ms_append_part part = {.stream = f->decision.stream,
                                  .condition = none ? NONE : AT(f->decision.expected),
                                  .events = f->decision.events,
                                  .count = f->decision.count};
    struct ms_append_request request = {.parts = &part, .part_count = 1};
    struct store_answer answer = store_request(&f->w, &request);
    ms_decider_settle(f->decider, f->decision.stream, answer.code == 0);
    return answer.code;
}

static void add(struct fixture *f, const char *key, int by, const char *id) {
    char data[64];
    snprintf(data, sizeof data, "{\"by\":%d}", by);
    assert_int_equal(decide(f, key, "Add", data, id), 0);
    assert_int_equal(f->decision.kind, MS_DECIDED);
    assert_int_equal(append(f), 0);
}

/* What the state is, by what a rejection says of it. */
static void assert_sum(struct fixture *f, const char *key, int sum) {
    char text[32];
    snprintf(text, sizeof text, "it is %d", sum);
    assert_int_equal(decide(f, key, "Add", "{\"by\":1000}", "ask"), 0);
    assert_int_equal(f->decision.kind, MS_DECISION_REJECTED);
    assert_string_equal(f->decision.failure.code, "too.many");
    assert_string_equal(f->decision.failure.text, text);
}

static void what_is_decided_is_appended_and_kept(void **state) {
    struct fixture *f = *state;
    add(f, "1", 5, "a");
    add(f, "1", 7, "b");
    add(f, "2", 1, "c");
    assert_sum(f, "1", 12);
    assert_sum(f, "2", 1);
    assert_int_equal(decide(f, "1", "Twice", "", "d"), 0);
    assert_int_equal(f->decision.count, 2);
    assert_int_equal(f->decision.expected, 1);
    const struct ms_event *events = f->decision.events;
    assert_true(ms_bytes_equal_cstr(events[0].data, "{\"by\":1}"));
    assert_true(ms_bytes_equal_cstr(events[1].metadata, "{\"why\":\"x\"}"));
    assert_false(ms_bytes_equal(events[0].id, events[1].id));
    assert_true(ms_bytes_equal_cstr(events[0].correlation_id, "d"));
    assert_int_equal(append(f), 0);
    assert_int_equal(decide(f, "1", "None", "", "e"), 0);
    assert_int_equal(f->decision.count, 0);
}

static void a_state_that_is_not_kept_is_folded_from_its_stream(void **state) {
    struct fixture *f = *state;
    char key[16], id[16];
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "%d", i);
            snprintf(id, sizeof id, "%d/%d", round, i);
            add(f, key, i + 1, id);
        }
    assert_sum(f, "3", 12);
    assert_sum(f, "19", 60);
}

static void the_same_command_gives_the_same_events(void **state) {
    struct fixture *f = *state;
    char first[64], second[64];
    assert_int_equal(decide(f, "1", "Add", "{\"by\":3}", "id"), 0);
    snprintf(first, sizeof first, "%.*s", (int)f->decision.events[0].id.len,
             (const char *)f->decision.events[0].id.data);
    ms_decider_settle(f->decider, f->decision.stream, false);
    assert_int_equal(decide(f, "1", "Add", "{\"by\":3}", "id"), 0);
    snprintf(second, sizeof second, "%.*s", (int)f->decision.events[0].id.len,
             (const char *)f->decision.events[0].id.data);
    assert_string_equal(first, second);
    assert_int_equal(append(f), 0);
    assert_int_equal(decide(f, "2", "Add", "{\"by\":3}", "id"), 0);
    assert_false(ms_bytes_equal_cstr(f->decision.events[0].id, first));
}

static void the_next_command_needs_not_wait_for_the_append(void **state) {
    struct fixture *f = *state;
    assert_int_equal(decide(f, "1", "Add", "{\"by\":1}", "a"), 0);
    assert_int_equal(f->decision.expected, -1);
    assert_int_equal(decide(f, "1", "Add", "{\"by\":2}", "b"), 0);
    assert_int_equal(f->decision.expected, 0);
    assert_true(ms_bytes_equal_cstr(f->decision.events[0].data, "{\"by\":2,\"sum\":1}"));
    assert_int_equal(append(f), MS_ECONFLICT); /* the first one never was */
    assert_sum(f, "1", 0);
}

static void what_others_append_is_seen_after_the_conflict(void **state) {
    struct fixture *f = *state;
    add(f, "1", 1, "a");
    assert_int_equal(store_append(&f->w, "counter-1", AT(0), "x").code, 0);
    assert_int_equal(decide(f, "1", "Add", "{\"by\":1}", "b"), 0);
    assert_int_equal(append(f), MS_ECONFLICT);
    add(f, "1", 1, "b"); /* "happened" is no event of it, but has a version */
    assert_int_equal(f->decision.expected, 1);
    assert_sum(f, "1", 2);
}

static void errors_leave_the_state_as_the_stream_has_it(void **state) {
    struct fixture *f = *state;
    add(f, "1", 9, "a");
    assert_int_equal(decide(f, "1", "Break", "", "b"), 0);
    assert_int_equal(f->decision.kind, MS_DECISION_FAILED);
    assert_non_null(strstr(f->decision.failure.text, "counter.lua:7: apply is broken"));
    assert_sum(f, "1", 9);
    assert_int_equal(decide(f, "1", "Refuse", "", "b"), 0);
    assert_int_equal(f->decision.kind, MS_DECISION_FAILED); /* apply can't reject */
    assert_sum(f, "1", 9);
    assert_int_equal(decide(f, "1", "Wrong", "", "c"), 0);
    assert_non_null(strstr(f->decision.failure.text, "attempt to perform arithmetic on a nil"));
    assert_int_equal(decide(f, "1", "Unknown", "", "d"), 0);
    assert_non_null(strstr(f->decision.failure.text, "has no command 'Unknown'"));
    assert_int_equal(decide(f, "1", "Add", "{\"by\":", "e"), 0);
    assert_int_equal(f->decision.kind, MS_DECISION_FAILED);
    assert_sum(f, "1", 9);
}

static void a_loop_is_ended_and_nothing_is_lost(void **state) {
    struct fixture *f = *state;
    add(f, "1", 9, "a");
    assert_int_equal(decide(f, "1", "Loop", "", "b"), 0);
    assert_int_equal(f->decision.kind, MS_DECISION_FAILED);
    assert_int_equal(f->decision.failure.outcome, MS_SANDBOX_STEPS);
    assert_sum(f, "1", 9);
}

static void what_is_not_there_is_told(void **state) {
    struct fixture *f = *state;
    struct ms_command command = {.aggregate = MS_BYTES_LITERAL("none"),
                                 .key = MS_BYTES_LITERAL("1"),
                                 .id = MS_BYTES_LITERAL("a")};
    assert_int_equal(ms_decider_decide(f->decider, &command, &f->arena, &f->decision, &f->w.error),
                     MS_ENOTFOUND);
    assert_string_equal(f->w.error.message, "there is no aggregate 'none'");
    add(f, "1", 9, "a");
    assert_int_equal(store_delete(&f->w, "counter-1", ANY, true).code, 0);
    ms_decider_settle(f->decider, MS_BYTES_LITERAL("counter-1"), false);
    assert_int_equal(decide(f, "1", "Add", "{\"by\":1}", "b"), MS_ETOMBSTONED);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(what_is_decided_is_appended_and_kept),
        test(a_state_that_is_not_kept_is_folded_from_its_stream),
        test(the_same_command_gives_the_same_events),
        test(the_next_command_needs_not_wait_for_the_append),
        test(what_others_append_is_seen_after_the_conflict),
        test(errors_leave_the_state_as_the_stream_has_it),
        test(a_loop_is_ended_and_nothing_is_lost),
        test(what_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
