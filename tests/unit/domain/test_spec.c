/* Tests of modules: what passes passes, what doesn't says what came instead. */
#include "domain/spec.h"
#include "unit/domain/sandbox_world.h"

static const char order[] =
    "aggregate 'order' {\n"
    "  initial = { status = 'NEW', items = array {} },\n"
    "  apply = {\n"
    "    ['order.created'] = function(state, event)\n"
    "      state.status, state.items = 'PENDING_PAYMENT', event.data.items end,\n"
    "    ['order.paid'] = function(state, event) state.status = 'PAID' end,\n"
    "  },\n"
    "  handle = {\n"
    "    CreateOrder = function(state, command)\n"
    "      if #command.data.items == 0 then reject('order.empty', 'at least one item') end\n"
    "      return { event('order.created', command.data) }\n"
    "    end,\n"
    "    Pay = function(state, command)\n"
    "      if state.status == 'PAID' then return {} end\n"
    "      return { event('order.paid', { at = now(), id = uuid() }) }\n"
    "    end,\n"
    "    Change = function(state) state.status = 'X' return {} end,\n"
    "    Nothing = function() end,\n"
    "    One = function() return event('order.paid') end,\n"
    "    Unknown = function() return { event('order.lost') } end,\n"
    "    Loop = function() while true do end end,\n"
    "  },\n"
    "}\n";

struct reports {
    char text[16384];
    size_t len;
};

static void note(void *context, const struct ms_spec_result *result) {
    struct reports *reports = context;
    reports->len +=
        (size_t)snprintf(reports->text + reports->len, sizeof reports->text - reports->len,
                         "%s %zu %s: %s\n%s", result->passed ? "ok" : "not ok", result->number,
                         result->place, result->title, result->text);
}

static struct reports reports;

/* The app of `order` and what is given; the text of all reports. */
static const char *run(const char *tests) {
    struct ms_module_file files[] = {{"order.lua", ms_bytes_cstr(order)},
                                     {"spec.lua", ms_bytes_cstr(tests)}};
    struct ms_sandbox_limits limits = {.steps = 100000};
    struct ms_spec_summary summary;
    struct ms_sandbox_failure failure = {0};
    struct ms_clock_manual clock;
    ms_clock_manual_init(&clock, 0);
    reports = (struct reports){0};
    if (ms_spec_run(files, 2, &limits, &clock.clock, note, &reports, &summary, &failure) != 0)
        snprintf(reports.text, sizeof reports.text, "refused: %s", failure.text);
    return reports.text;
}

static void check(const char *tests, const char *wanted) {
    const char *got = run(tests);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s\n--- gives\n%s\n--- instead of\n%s", tests, got, wanted);
}

static void check_holds(const char *tests, const char *wanted) {
    if (strstr(run(tests), wanted) == NULL)
        fail_msg("%s\n--- gives\n%s\n--- which lacks\n%s", tests, reports.text, wanted);
}

static void what_is_as_expected_passes(void **state) {
    (void)state;
    check("test 'empty' { aggregate = 'order', command = { type = 'CreateOrder', "
          "data = { items = array {} } }, reject = 'order.empty' }\n"
          "test 'created' { aggregate = 'order', command = { type = 'CreateOrder', "
          "data = { items = { 1, 2 } } }, events = { event('order.created', "
          "{ items = { 1, 2 } }) }, state = { status = 'PENDING_PAYMENT', items = { 1, 2 } } }\n"
          "test 'paid twice' { aggregate = 'order', given = { event('order.paid') }, "
          "command = { type = 'Pay' }, events = {} }\n"
          "test 'others pass by' { aggregate = 'order', given = { event('other.thing') }, "
          "state = { status = 'NEW', items = array {} } }\n"
          "test 'an error' { aggregate = 'order', command = { type = 'Change' }, "
          "error = 'this may only be read' }",
          "ok 1 spec.lua:1: empty\nok 2 spec.lua:2: created\nok 3 spec.lua:3: paid twice\n"
          "ok 4 spec.lua:4: others pass by\nok 5 spec.lua:5: an error\n");
}

static void what_is_not_says_what_came(void **state) {
    (void)state;
    check("test 'wrong' { aggregate = 'order', command = { type = 'CreateOrder', "
          "data = { items = { 1 } } }, events = { event('order.created', { items = { 2 } }) } }",
          "not ok 1 spec.lua:1: wrong\n"
          "expected (-), got (+)\n"
          "  - event {\"data\":{\"items\":[2]},\"type\":\"order.created\"}\n"
          "  + event {\"data\":{\"items\":[1]},\"type\":\"order.created\"}\n");
    check("test 'wrong' { aggregate = 'order', command = { type = 'Pay' }, reject = 'x' , "
          "given = { event('order.paid') } }",
          "not ok 1 spec.lua:1: wrong\nexpected (-), got (+)\n  - reject x\n  + no events\n");
    check("test 'wrong' { aggregate = 'order', state = { status = 'OLD' } }",
          "not ok 1 spec.lua:1: wrong\nexpected state (-), got (+)\n  - {\"status\":\"OLD\"}\n"
          "  + {\"items\":[],\"status\":\"NEW\"}\n");
    check_holds("test 'wrong' { aggregate = 'order', command = { type = 'Change' }, events = {} }",
                "  + error order.lua:17: field 'status' can't be set here: this may only be read");
    check_holds("test 'nothing' { aggregate = 'order' }", "the test expects nothing");
}

static void mistakes_of_handlers_are_told(void **state) {
    (void)state;
    check_holds("test 'a' { aggregate = 'order', command = { type = 'Nothing' }, events = {} }",
                "aggregate \"order\", handle.Nothing returned nothing: it returns its events, {} "
                "when nothing happened");
    check_holds("test 'a' { aggregate = 'order', command = { type = 'One' }, events = {} }",
                "returned one event where it returns an array of them");
    check_holds("test 'a' { aggregate = 'order', command = { type = 'Unknown' }, events = {} }",
                "apply[\"order.lost\"] is missing");
    check_holds("test 'a' { aggregate = 'order', command = { type = 'None' }, events = {} }",
                "aggregate \"order\" has no command 'None'");
    check_holds("test 'a' { aggregate = 'none', command = { type = 'None' }, events = {} }",
                "there is no aggregate \"none\"");
}

static void a_loop_fails_its_test_and_no_other(void **state) {
    (void)state;
    check_holds("test 'loop' { aggregate = 'order', command = { type = 'Loop' }, events = {} }\n"
                "test 'next' { aggregate = 'order', command = { type = 'Pay' }, "
                "error = 'x' }\n"
                "test 'last' { aggregate = 'order', given = { event('order.paid') }, "
                "command = { type = 'Pay' }, events = {} }",
                "ok 3 spec.lua:3: last");
    assert_non_null(strstr(reports.text, "the budget of 100000 steps is exceeded"));
}

static void what_is_kept_outside_of_the_state_is_found(void **state) {
    (void)state;
    check_holds("local seen = 0\n"
                "aggregate 'leaky' { apply = { e = function() end }, handle = { "
                "Do = function() seen = seen + 1 return { event('e', { n = seen }) } end } }\n"
                "test 'a' { aggregate = 'leaky', command = { type = 'Do' }, "
                "events = { event('e', { n = 1 }) } }\n"
                "test 'b' { aggregate = 'leaky', command = { type = 'Do' }, "
                "events = { event('e', { n = 2 }) } }",
                "not ok 2 spec.lua:4: b\nit gives something else in a fresh sandbox");
}

static void mistakes_of_declarations_refuse_the_app(void **state) {
    (void)state;
    check_holds("aggregate 'x' { handel = {} }",
                "refused: spec.lua:1: aggregate \"x\": unknown field 'handel', did you mean "
                "'handle'?");
    check_holds("aggregate 'order' {}", "aggregate \"order\" is declared twice");
    check_holds("aggregate 'x/y' {}", "'x/y' is no name of aggregate");
    check_holds("aggregate 'x' { handle = { A = 1 } }", "'handle' has functions by name");
    check_holds("aggregate 'x' { snapshot_every = 0 }", "a whole number from 1 on");
    check_holds("aggregate 'x' { initial = 1 }", "'initial' is a table, not a number");
    check_holds("test 'x' { given = {} }", "'aggregate' is missing");
    check_holds("x = = 1", "refused: spec.lua:1: unexpected symbol near '='");
    check_holds("error('no')", "refused: spec.lua:1: no");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_as_expected_passes),
        cmocka_unit_test(what_is_not_says_what_came),
        cmocka_unit_test(mistakes_of_handlers_are_told),
        cmocka_unit_test(a_loop_fails_its_test_and_no_other),
        cmocka_unit_test(what_is_kept_outside_of_the_state_is_found),
        cmocka_unit_test(mistakes_of_declarations_refuse_the_app),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
