/* Sandboxes compute the same everywhere, and nothing gets out of one. */
#include "unit/domain/sandbox_world.h"

static void check(const char *expression, const char *wanted) {
    struct sandbox_world w;
    const char *got = sandbox_eval(&w, expression);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: '%s' instead of '%s'", expression, got, wanted);
}

/* ---- the same everywhere ---- */

static void pairs_and_next_go_in_the_order_of_keys(void **state) {
    (void)state;
    check("do local r = '' for k, v in pairs { b = 1, a = 2, [10] = 3, [2] = 4, [true] = 5, "
          "[1.5] = 6, c = 7 } do r = r .. tostring(k) .. '=' .. v .. ' ' end return r",
          "1.5=6 2=4 10=3 a=2 b=1 c=7 true=5 ");
    check("do local r, k, v = '' k, v = next { z = 1, y = 2 } return k .. v", "y2");
    check("do local t, r = { z = 1, y = 2, [3] = 0 }, '' local k, v = next(t) "
          "while k do r = r .. k .. v .. ' ' k, v = next(t, k) end return r",
          "30 y2 z1 ");
    check("next {}", "nil");
    check("do local t, n = { a = 1, b = 2, c = 3 }, 0 for k in pairs(t) do t.b = nil t.d = 1 "
          "n = n + 1 end return n",
          "2");
    check("pairs { [{}] = 1 }",
          "error: test.lua:1: a table as a key has no order: use strings, numbers, true and false");
}

static void sort_is_stable(void **state) {
    (void)state;
    check("do local t = {} for i = 1, 500 do t[i] = { i % 7, i } end "
          "table.sort(t, function(a, b) return a[1] < b[1] end) "
          "for i = 2, 500 do local a, b = t[i - 1], t[i] "
          "if a[1] > b[1] or a[1] == b[1] and a[2] > b[2] then return 'unstable' end end "
          "return t[1][2] .. ' ' .. t[500][2]",
          "7 496");
    check("do local t = { 3, 1, 2 } table.sort(t) return table.concat(t, ',')", "1,2,3");
    check("do local t = { 'b' } table.sort(t) return t[1]", "b");
    check("do local t = {} table.sort(t) return #t", "0");
    check("do local t = { 1, 'a' } table.sort(t)", "error: attempt to compare string with number");
}

static void nothing_has_an_address(void **state) {
    (void)state;
    check("tostring {}", "table");
    check("tostring(print)", "nil");
    check("tostring(pairs)", "function");
    check("string.format('%s %d %q', {}, 3, 'x')", "table 3 \"x\"");
    check("string.format('%p', {})",
          "error: test.lua:1: string.format: %p is not available: nothing has an address");
    check("string.format('%-5p', {})",
          "error: test.lua:1: string.format: %p is not available: nothing has an address");
    check("string.format('%%p %s', true)", "%p true");
}

static void time_and_ids_are_of_the_moment(void **state) {
    (void)state;
    struct sandbox_world w;
    char first[64];
    check("now()", "1234");
    snprintf(first, sizeof first, "%s", sandbox_eval(&w, "uuid()"));
    assert_int_equal(strlen(first), 36);
    check("uuid()", first);
    check("uuid() ~= uuid()", "true");
}

/* ---- nothing gets out ---- */

static void what_is_not_there_is_not_there(void **state) {
    (void)state;
    static const char *const names[] = {
        "load",       "loadstring", "loadfile", "dofile",      "require",        "package",
        "io",         "os",         "debug",    "coroutine",   "setmetatable",   "getmetatable",
        "rawset",     "rawget",     "rawequal", "rawlen",      "collectgarbage", "print",
        "xpcall",     "_G",         "warn",     "string.dump", "math.random",    "math.randomseed",
        "string.pack"};
    char expression[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(expression, sizeof expression, "tostring(%s)", names[i]);
        check(expression, "nil");
    }
    check("_ENV._ENV", "nil");
}

static void libraries_can_not_be_changed(void **state) {
    (void)state;
    check("do string.upper = nil", "error: test.lua:1: libraries can't be changed");
    check("do table.more = 1", "error: test.lua:1: libraries can't be changed");
    check("do ('').x = 1", "error: test.lua:1: attempt to index a string value (constant '')");
    check("('x'):upper()", "X");
    check("('abc'):byte(2)", "98");
    check("select('#', ('abc'):byte(1, -1))", "3");
    check("select('#', table.unpack({ 1, 2 }, 1, 5))", "5");
}

static void globals_are_fixed_once_files_are_loaded(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    sandbox_open(&w, &limits);
    assert_int_equal(sandbox_load(&w, "count = 1 count = count + 1 "
                                      "function old() count = 7 end "
                                      "function new() other = 1 end "
                                      "function env() _ENV.count = 9 end "
                                      "function read() return count end"),
                     0);
    ms_sandbox_freeze(w.sandbox);
    assert_int_equal(sandbox_call(&w, "old"), MS_EINVAL);
    assert_non_null(strstr(w.failure.text, "global 'count' can't be set here"));
    assert_int_equal(sandbox_call(&w, "new"), MS_EINVAL);
    assert_int_equal(sandbox_call(&w, "env"), MS_EINVAL);
    assert_int_equal(sandbox_call(&w, "read"), 0);
    assert_string_equal(w.result, "2");
    sandbox_close(&w);
}

static void bytecode_is_refused(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    sandbox_open(&w, &limits);
    assert_int_equal(sandbox_load(&w, "\x1bLua"), MS_EINVAL);
    assert_non_null(strstr(w.failure.text, "attempt to load a binary chunk"));
    sandbox_close(&w);
}

static void errors_name_file_line_and_stack(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    sandbox_open(&w, &limits);
    assert_int_equal(sandbox_load(&w, "x = = 1"), MS_EINVAL);
    assert_string_equal(w.failure.text, "test.lua:1: unexpected symbol near '='");
    assert_int_equal(w.failure.outcome, MS_SANDBOX_FAILED);
    assert_int_equal(sandbox_load(&w, "local function inner()\n local t\n return t.x\nend\n"
                                      "function run() return (inner()) end\n"),
                     0);
    assert_int_equal(sandbox_call(&w, "run"), MS_EINVAL);
    assert_non_null(strstr(w.failure.text, "test.lua:3: attempt to index a nil value"));
    assert_non_null(strstr(w.failure.text, "test.lua:5: in"));
    assert_null(strstr(w.failure.text, "0x"));
    assert_false(ms_sandbox_is_broken(w.sandbox));
    sandbox_close(&w);
}

/* ---- budgets ---- */

static void assert_over(const char *source, enum ms_sandbox_outcome outcome) {
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {.steps = 3000000, .memory_bytes = (size_t)8 << 20};
    sandbox_open(&w, &limits);
    if (sandbox_load(&w, source) != 0)
        fail_msg("%s", w.failure.text);
    if (sandbox_call(&w, "run") != MS_EINVAL || w.failure.outcome != outcome)
        fail_msg("%s: outcome %d instead of %d: %s %s", source, w.failure.outcome, outcome,
                 w.failure.text, w.result);
    assert_true(ms_sandbox_is_broken(w.sandbox));
    sandbox_close(&w);
}

static void no_bomb_goes_beyond_its_budget(void **state) {
    (void)state;
    static const char *const loops[] = {
        "function run() while true do end end",
        "function run() while true do pcall(function() while true do end end) end end",
        "function run() while true do pcall(error, 'x') end end",
        "function run() local function f() return pcall(f) end while true do f() end end",
        "function run() for i = 1, 1e9 do pcall(pcall, pcall, i) end end",
        "function run() local t = {} for i = 1, 1e4 do t[i] = i end "
        "while true do table.concat(t) end end",
        "function run() local t = {} for i = 1, 1e4 do t[i] = i end "
        "while true do table.insert(t, 1, 1) table.remove(t, 1) end end",
        "function run() local t = {} for i = 1, 1e4 do t[i] = -i end while true do table.sort(t) "
        "for i = 1, 10 do t[i], t[i + 10] = t[i + 10], t[i] end end end",
        "function run() local t = {} for i = 1, 1e4 do t[i] = i end while true do pairs(t) end end",
        "function run() local t = {} for i = 1, 1e4 do t[i] = i end while true do next(t) end end",
        "function run() local s = ('x'):rep(1e6) while true do local t = s .. 'y' end end",
        "function run() local s = ('x'):rep(1e6) while true do s:upper() end end",
        "function run() local s = ('x'):rep(1e6) while true do s:find('y', 1, true) end end",
        "function run() local s = ('x'):rep(1e6) while true do s:gsub('y', '') end end",
        "function run() table.move({}, 1, 1e12, 2) end",
        "function run() while true do table.unpack({}, 1, 1e5) end end",
        "function run() local s = ('x'):rep(1e5) while true do s:byte(1, -1) end end",
        "function run() return string.format('%99.99f', 1e308):rep(1e5):rep(9) end",
    };
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        bool memory = i == sizeof loops / sizeof loops[0] - 1;
        assert_over(loops[i], memory ? MS_SANDBOX_MEMORY : MS_SANDBOX_STEPS);
    }
    assert_over("function run() local t = {} while true do t[#t + 1] = {} end end",
                MS_SANDBOX_MEMORY);
    assert_over("function run() local s = 'x' while true do s = s .. s end end", MS_SANDBOX_MEMORY);
    assert_over("function run() while true do pcall(function() local s = 'x' "
                "while true do s = s .. s end end) end end",
                MS_SANDBOX_MEMORY);
    assert_over("function run() return ('x'):rep(1e9) end", MS_SANDBOX_MEMORY);
    assert_over("function run() return pcall(string.rep, 'x', 1e9) end", MS_SANDBOX_MEMORY);
}

static void time_ends_what_steps_do_not(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {.time_us = 50000};
    sandbox_open(&w, &limits);
    w.sandbox->clock = ms_clock_system();
    w.sandbox->limits.steps = INT64_MAX;
    assert_int_equal(sandbox_load(&w, "function run() while true do pcall(error) end end"), 0);
    assert_int_equal(sandbox_call(&w, "run"), MS_EINVAL);
    assert_int_equal(w.failure.outcome, MS_SANDBOX_TIME);
    sandbox_close(&w);
}

static void recursion_without_end_ends(void **state) {
    (void)state;
    assert_over("function run() local function f() return 1 + f() end return pcall(f) end",
                MS_SANDBOX_MEMORY);
}

static void a_rejection_can_not_be_caught(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    sandbox_open(&w, &limits);
    assert_int_equal(sandbox_load(&w, "function run() pcall(reject, 'order.empty', 'no items') "
                                      "return 'caught' end "
                                      "function short() reject('a') end "
                                      "function bad() reject('') end "
                                      "function fine() return 1 end"),
                     0);
    assert_int_equal(sandbox_call(&w, "run"), MS_EINVAL);
    assert_int_equal(w.failure.outcome, MS_SANDBOX_REJECTED);
    assert_string_equal(w.failure.code, "order.empty");
    assert_string_equal(w.failure.text, "no items");
    assert_int_equal(sandbox_call(&w, "short"), MS_EINVAL);
    assert_string_equal(w.failure.text, "");
    assert_int_equal(sandbox_call(&w, "bad"), MS_EINVAL);
    assert_int_equal(w.failure.outcome, MS_SANDBOX_FAILED);
    assert_false(ms_sandbox_is_broken(w.sandbox));
    assert_int_equal(sandbox_call(&w, "fine"), 0);
    sandbox_close(&w);
}

/* ---- views ---- */

static int freeze_argument(lua_State *L) {
    lua_settop(L, 1);
    ms_frozen_wrap(L);
    return 1;
}

static void check_view(const char *expression, const char *wanted) {
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    char source[2048];
    sandbox_open(&w, &limits);
    assert_int_equal(ms_sandbox_define(w.sandbox, "freeze", freeze_argument), 0);
    snprintf(source, sizeof source,
             "function run() local t = { a = 1, list = { 10, 20, 30 } } "
             "local v = freeze(t) %s end",
             expression);
    if (sandbox_load(&w, source) != 0)
        fail_msg("%s", w.failure.text);
    int code = sandbox_call(&w, "run");
    w.failure.text[strcspn(w.failure.text, "\n")] = '\0';
    const char *got = code == 0 ? w.result : w.failure.text;
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: '%s' instead of '%s'", expression, got, wanted);
    sandbox_close(&w);
}

static void a_view_is_read_like_a_table_and_not_written(void **state) {
    (void)state;
    check_view("return type(v) .. v.a .. v.list[2] .. #v.list", "table1203");
    check_view("return tostring(v.list == v.list) .. tostring(v == freeze {})", "truefalse");
    check_view("v.a = 2", "test.lua:1: field 'a' can't be set here: this may only be read");
    check_view("v.list[1] = 2", "test.lua:1: field '1' can't be set here: this may only be read");
    check_view("table.insert(v.list, 1)", "field '4' can't be set here: this may only be read");
    check_view("for k, x in pairs(v) do if k == 'list' then x[1] = 1 end end",
               "test.lua:1: field '1' can't be set here: this may only be read");
    check_view("local k, x = next(v, 'a') x[1] = 1",
               "test.lua:1: field '1' can't be set here: this may only be read");
    check_view("local r = '' for i, x in ipairs(v.list) do r = r .. i .. '=' .. x .. ' ' end "
               "return r",
               "1=10 2=20 3=30 ");
    check_view("return table.concat(v.list, '+') .. select('#', table.unpack(v.list))",
               "10+20+303");
    check_view("table.sort(v.list)",
               "test.lua:1: bad argument #1 to 'sort' (table expected, got read-only table)");
    check_view("t.a = 5 return v.a", "5");
}

static void sandboxes_need_little_memory(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0}, tiny = {.memory_bytes = 8000};
    sandbox_open(&w, &limits);
    assert_true(ms_sandbox_memory(w.sandbox) < 64 << 10);
    sandbox_close(&w);
    assert_int_equal(ms_sandbox_new(&tiny, &w.clock.clock, &w.sandbox), MS_ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_and_next_go_in_the_order_of_keys),
        cmocka_unit_test(sort_is_stable),
        cmocka_unit_test(nothing_has_an_address),
        cmocka_unit_test(time_and_ids_are_of_the_moment),
        cmocka_unit_test(what_is_not_there_is_not_there),
        cmocka_unit_test(libraries_can_not_be_changed),
        cmocka_unit_test(globals_are_fixed_once_files_are_loaded),
        cmocka_unit_test(bytecode_is_refused),
        cmocka_unit_test(errors_name_file_line_and_stack),
        cmocka_unit_test(no_bomb_goes_beyond_its_budget),
        cmocka_unit_test(time_ends_what_steps_do_not),
        cmocka_unit_test(recursion_without_end_ends),
        cmocka_unit_test(a_rejection_can_not_be_caught),
        cmocka_unit_test(a_view_is_read_like_a_table_and_not_written),
        cmocka_unit_test(sandboxes_need_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
