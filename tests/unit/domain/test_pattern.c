/* Patterns give what Lua's own give, for every function that takes one. */
#include "unit/domain/sandbox_world.h"

static const char *const subjects[] = {
    "",
    "a",
    "abc",
    "hello world",
    "key = value; other=2",
    "  trimmed  ",
    "2026-11-28T07:22:34Z",
    "aXbXc",
    "((a)(b(c)))",
    "THE (quick) fox",
    "a%b%%c",
    "aaa",
    "abcabc",
    "x\\ty",
    "[set]",
    "^$",
};
static const char *const patterns[] = {
    "",
    ".",
    "%a+",
    "%s*",
    "^%s*(.-)%s*$",
    "(%w+)%s*=%s*(%w+)",
    "%d%d%d%d",
    "(%d+)-(%d+)-(%d+)",
    "%b()",
    "%f[%w]%w+",
    "()",
    "()a()",
    "(a*)",
    "(a-)b",
    "a?",
    "^a",
    "a$",
    "[abc]+",
    "[^abc]+",
    "[%a_][%w_]*",
    "[a-c]",
    "[]]",
    "[^]]",
    "[a-]",
    "%%",
    "(.)%1",
    "(a)(b)(c)",
    "o*",
    "%w*",
    "$",
    "^",
    "^$",
    "[%]]",
    "[^a-%]b]",
    "[a-%%]",
    "[%a-z]",
    "[+-%]x]",
    "%.",
    "((a)(b))",
    "%u%l*",
    "%x+",
    "%p",
    "%c",
    "%g+",
    ".-X",
    "-",
    /* wrong ones */
    "(",
    ")",
    "[",
    "[a",
    "[^",
    "%",
    "%1",
    "(a",
    "%b",
    "%bx",
    "%f",
    "(a)%2",
    "[%",
    "a)",
    "(()",
};
/* s and p are the subject and the pattern. */
static const char *const calls[] = {
    "string.find(s, p)",
    "string.find(s, p, 2)",
    "string.find(s, p, -2)",
    "string.find(s, p, 1, true)",
    "string.match(s, p)",
    "string.match(s, p, 3)",
    "string.gsub(s, p, '<%0>')",
    "string.gsub(s, p, '%1-', 2)",
    "string.gsub(s, p, '')",
    "string.gsub(s, p, { a = 'A', hello = 1, o = false })",
    "string.gsub(s, p, function(x, y) return y or x end)",
    ("(function() local r = '' for a, b in string.gmatch(s, p) do "
     "r = r .. '|' .. tostring(a) .. ',' .. tostring(b) end return r end)()"),
};

static const char runner[] =
    "function run() local function show(ok, ...) local r = ok and 'ok' or 'no' "
    "for i = 1, select('#', ...) do r = r .. ';' .. tostring((select(i, ...))) end return r end "
    "return show(pcall(function() return %s end)) end";

static void set_text(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setglobal(L, name);
}

/* By Lua itself. */
static void run_plain(lua_State *L, const char *source, const char *s, const char *p,
                      char *result) {
    set_text(L, "s", s);
    set_text(L, "p", p);
    assert_int_equal(luaL_dostring(L, source), LUA_OK);
    lua_getglobal(L, "run");
    assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_OK);
    snprintf(result, sizeof((struct sandbox_world *)0)->result, "%s", lua_tostring(L, -1));
    lua_settop(L, 0);
}

/* Lua finds out that a pattern is wrong when matching has come so far; we always do. */
#define FIRST_WRONG "("

static bool is_same(const char *ours, const char *theirs, bool wrong) {
    bool failed = strncmp(ours, "no;", 3) == 0;
    return failed ? wrong || strncmp(theirs, "no;", 3) == 0 : strcmp(ours, theirs) == 0;
}

static void every_call_is_as_in_lua(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {.steps = UINT64_C(1) << 40};
    char source[1024], setup[2048], plain[MS_SANDBOX_TEXT_MAX + 16];
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        snprintf(source, sizeof source, runner, calls[c]);
        for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
            bool wrong = false;
            for (size_t k = 0; k < sizeof patterns / sizeof patterns[0]; k++) {
                sandbox_open(&w, &limits);
                snprintf(setup, sizeof setup, "s, p = [==[%s]==], [==[%s]==] %s", subjects[i],
                         patterns[k], source);
                if (sandbox_load(&w, setup) != 0 || sandbox_call(&w, "run") != 0)
                    fail_msg("%s: %s", setup, w.failure.text);
                run_plain(L, source, subjects[i], patterns[k], plain);
                wrong |= strcmp(patterns[k], FIRST_WRONG) == 0;
                if (!is_same(w.result, plain, wrong))
                    fail_msg("%s with s='%s', p='%s': %s instead of %s", calls[c], subjects[i],
                             patterns[k], w.result, plain);
                sandbox_close(&w);
            }
        }
    }
    lua_close(L);
}

static void a_pattern_bomb_is_stopped(void **state) {
    (void)state;
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {.steps = 1000000};
    sandbox_open(&w, &limits);
    assert_int_equal(sandbox_load(&w, "function run() return pcall(string.find, ('a'):rep(60), "
                                      "('a-'):rep(40) .. 'b') end"),
                     0);
    assert_int_equal(sandbox_call(&w, "run"), MS_EINVAL);
    assert_int_equal(w.failure.outcome, MS_SANDBOX_STEPS);
    assert_true(ms_sandbox_is_broken(w.sandbox));
    sandbox_close(&w);
}

static void what_nests_too_deeply_is_an_error(void **state) {
    (void)state;
    struct sandbox_world w;
    assert_string_equal(
        sandbox_eval(&w, "select(2, pcall(string.find, ('a'):rep(300), ('a?'):rep(220) .. 'b'))"),
        "pattern too complex");
    assert_string_equal(
        sandbox_eval(&w, "select(2, pcall(string.find, 'a', ('a'):rep(300) .. '.'))"),
        "the pattern is too long (256 items)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_as_in_lua),
        cmocka_unit_test(a_pattern_bomb_is_stopped),
        cmocka_unit_test(what_nests_too_deeply_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
