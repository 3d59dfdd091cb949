/* What comes from JSON goes back to JSON as it was, and what JSON can't say is told by its path. */
#include "domain/lua_json.h"
#include "unit/domain/sandbox_world.h"

struct passing {
    struct sandbox_world *w;
    const char *json;
    const char *function; /* the value goes through it; NULL: as it is */
    bool frozen, copied;
    struct ms_buf out;
};

static void pass(lua_State *L, void *context) {
    struct passing *p = context;
    lua_getfield(L, LUA_REGISTRYINDEX, "ms.globals");
    if (p->function != NULL)
        lua_getfield(L, -1, p->function);
    ms_lua_push_json_text(L, ms_bytes_cstr(p->json));
    if (p->frozen)
        ms_frozen_wrap(L);
    if (p->copied)
        ms_lua_push_copy(L, -1), lua_remove(L, -2);
    if (p->function != NULL)
        lua_call(L, 1, 1);
    ms_lua_write_json(L, -1, "data", &p->out);
}

static const char *through(struct passing *p, const char *source) {
    static char result[8192];
    struct sandbox_world w;
    struct ms_sandbox_limits limits = {0};
    sandbox_open(&w, &limits);
    assert_int_equal(ms_lua_json_open(w.sandbox), 0);
    if (sandbox_load(&w, source) != 0)
        fail_msg("%s", w.failure.text);
    ms_buf_init(&p->out, 1 << 20);
    struct ms_sandbox_moment moment = {0};
    int code = ms_sandbox_run(w.sandbox, &moment, pass, p, &w.failure);
    w.failure.text[strcspn(w.failure.text, "\n")] = '\0';
    snprintf(result, sizeof result, "%.*s", code == 0 ? (int)p->out.len : 8000,
             code == 0 ? (const char *)p->out.data : w.failure.text);
    ms_buf_deinit(&p->out);
    sandbox_close(&w);
    return result;
}

static const char big[] = "123456789012345678901234567890";

static void assert_same(const char *json, const char *wanted) {
    for (unsigned way = 0; way < 4; way++) {
        struct passing p = {.json = json, .frozen = way & 1, .copied = way & 2};
        const char *got = through(&p, "");
        if (strcmp(got, wanted) != 0)
            fail_msg("%s, way %u: %s instead of %s", json, way, got, wanted);
    }
}

static void what_is_not_touched_comes_back(void **state) {
    (void)state;
    static const char *const same[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "-1",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "9223372036854775808",
                                       "18446744073709551615",
                                       big,
                                       "-1e999",
                                       "0.1",
                                       "1.5",
                                       "-0.0",
                                       "1.0",
                                       "100.0",
                                       "1e+300",
                                       "5e-324",
                                       "1.7976931348623157e+308",
                                       "0.30000000000000004",
                                       "\"\"",
                                       "\"text\"",
                                       "\"\\u0000\\n\\\"\\\\\"",
                                       "\"\xc3\xa9\"",
                                       "[]",
                                       "{}",
                                       "[[]]",
                                       "[{}]",
                                       "{\"a\":[]}",
                                       "{\"a\":{}}",
                                       "[null]",
                                       "[null,null]",
                                       "[1,null,3]",
                                       "{\"a\":null,\"b\":{\"c\":[1,2,{\"d\":\"e\"}]}}",
                                       "{\"\":1}",
                                       "{\"1\":2}"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        assert_same(same[i], same[i]);
    assert_same("{ \"b\" : 1 , \"a\" : 2 }", "{\"a\":2,\"b\":1}");
    assert_same("1.10", "1.1");
    assert_same("1e2", "100.0");
    assert_same("-0", "-0.0");
    assert_same("\"\\u00e9\\/\"", "\"\xc3\xa9/\"");
    assert_same("{\"a\":1,\"a\":2}", "{\"a\":2}");
}

static void objects_of_any_size_come_in_the_order_of_names(void **state) {
    (void)state;
    static char json[4096];
    for (int n = 1; n < 200; n += 21) {
        size_t len = 0;
        for (int i = 0; i < n; i++)
            len += (size_t)snprintf(json + len, sizeof json - len, "%c\"k%03d\":%d",
                                    i == 0 ? '{' : ',', i, i);
        snprintf(json + len, sizeof json - len, "}");
        assert_same(json, json);
    }
}

static void check_made(const char *body, const char *wanted) {
    char source[1024];
    struct passing p = {.json = "{\"n\":9007199254740993,\"big\":123456789012345678901234567890}",
                        .function = "f"};
    snprintf(source, sizeof source, "function f(v) %s end", body);
    const char *got = through(&p, source);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: %s instead of %s", body, got, wanted);
}

static void what_a_module_makes_is_written(void **state) {
    (void)state;
    check_made("return v.n + 1", "9007199254740994");
    check_made("return tostring(v.big) .. type(v.big)", "\"123456789012345678901234567890number\"");
    check_made("return v.big == v.big and v.big ~= 1", "true");
    check_made("return v.big + 1",
               "test.lua:1: attempt to perform arithmetic on a number beyond 64 bits value "
               "(field 'big')");
    check_made("return {}", "{}");
    check_made("return array {}", "[]");
    check_made("return { 1, 2 }", "[1,2]");
    check_made("return { 1, null, 3 }", "[1,null,3]");
    check_made("return { a = null, b = array { array {} } }", "{\"a\":null,\"b\":[[]]}");
    check_made("return v.none == nil and null ~= nil and tostring(null) == 'null' "
               "and type(null) == 'null'",
               "true");
    check_made("return 3 // 1, 0", "3");
    check_made("return 3.0", "3.0");
    check_made("return 10 / 2", "5.0");
    check_made("return '\\xff'", "\"\xef\xbf\xbd\"");
    check_made("return null.x", "test.lua:1: attempt to read field 'x' of null");
}

static void what_json_does_not_have_is_told_by_its_path(void **state) {
    (void)state;
    check_made("return nil", "data is nil: write null");
    check_made("return { items = { { price = 0 / 0 } } }",
               "data.items[1].price is no number that JSON has (infinite, or none at all)");
    check_made("return { a = { b = f } }", "data.a.b is nothing that JSON has");
    check_made("return { [1] = 1, a = 2 }",
               "data has keys that are no strings, and they are not 1, 2, 3 … either");
    check_made("return { [2] = 1 }",
               "data has keys that are no strings, and they are not 1, 2, 3 … either");
    check_made("return { x = array { a = 1 } }",
               "data.x is an array with other keys than 1, 2, 3 …, or with gaps: write null");
    struct passing p = {.json = "1", .function = "f"};
    assert_non_null(strstr(through(&p, "function f() local t = {} t.t = t return t end"),
                           "t.t.t. nests too deeply, or is within itself"));
    check_made("return ('x'):rep(2000000)", "data makes the value larger than it may be");
}

static void copies_share_nothing(void **state) {
    (void)state;
    struct passing p = {.json = "{\"a\":[1],\"b\":{\"c\":[]}}", .function = "f", .copied = true};
    assert_string_equal(through(&p, "function f(v) v.a[1] = 2 v.b.d = 1 return v end"),
                        "{\"a\":[2],\"b\":{\"c\":[],\"d\":1}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_touched_comes_back),
        cmocka_unit_test(objects_of_any_size_come_in_the_order_of_names),
        cmocka_unit_test(what_a_module_makes_is_written),
        cmocka_unit_test(what_json_does_not_have_is_told_by_its_path),
        cmocka_unit_test(copies_share_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
