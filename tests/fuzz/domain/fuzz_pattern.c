/*
 * Patterns on arbitrary bytes, "pattern NUL subject": nothing outside of the subject is told, the
 * budget holds, and what takes few steps is what Lua's own string.find gives.
 */
#include <lauxlib.h>
#include <lualib.h>

#include "domain/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS INT64_C(100000)
#define FEW 2000

static void check_bounds(const struct ms_pattern_match *match, struct ms_bytes subject) {
    MS_ASSERT(match->from <= match->end && match->end <= subject.len);
    for (unsigned i = 0; i < match->capture_count; i++) {
        const struct ms_pattern_capture *capture = &match->captures[i];
        MS_ASSERT(capture->from <= subject.len);
        MS_ASSERT(capture->len == MS_PATTERN_POSITION ||
                  capture->len <= subject.len - capture->from);
    }
}

static void check_capture(lua_State *L, int index, const struct ms_pattern_capture *capture,
                          struct ms_bytes subject) {
    if (capture->len == MS_PATTERN_POSITION) {
        MS_ASSERT(lua_tointeger(L, index) == (lua_Integer)capture->from + 1);
        return;
    }
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    MS_ASSERT(len == capture->len &&
              (len == 0 || memcmp(text, subject.data + capture->from, len) == 0));
}

static void compare(struct ms_bytes pattern, struct ms_bytes subject, int found,
                    const struct ms_pattern_match *match) {
    lua_State *L = luaL_newstate();
    MS_ASSERT(L != NULL);
    luaL_requiref(L, "string", luaopen_string, 0);
    lua_getfield(L, -1, "find");
    lua_pushlstring(L, (const char *)subject.data, subject.len);
    lua_pushlstring(L, (const char *)pattern.data, pattern.len);
    lua_pushinteger(L, 1);
    if (lua_pcall(L, 3, LUA_MULTRET, 0) == LUA_OK) {
        MS_ASSERT(lua_isnil(L, 2) == (found == 0));
        if (found > 0) {
            MS_ASSERT(lua_tointeger(L, 2) == (lua_Integer)match->from + 1);
            MS_ASSERT(lua_tointeger(L, 3) == (lua_Integer)match->end);
            MS_ASSERT(lua_gettop(L) == 3 + (int)match->capture_count);
            for (unsigned i = 0; i < match->capture_count; i++)
                check_capture(L, 4 + (int)i, &match->captures[i], subject);
        }
    }
    lua_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *cut = size > 0 ? memchr(data, 0, size) : NULL;
    if (cut == NULL || size > 4096)
        return 0;
    struct ms_bytes pattern_text = ms_bytes_of(data, (size_t)(cut - data));
    struct ms_bytes subject = ms_bytes_of(cut + 1, size - pattern_text.len - 1);
    struct ms_pattern pattern;
    struct ms_pattern_match match;
    const char *error = NULL;
    if (ms_pattern_compile(pattern_text, true, &pattern, &error) != 0) {
        MS_ASSERT(error != NULL);
        return 0;
    }
    int64_t steps = STEPS;
    int found = ms_pattern_find(&pattern, subject, 0, &steps, &match);
    MS_ASSERT(steps >= 0 && steps <= STEPS);
    MS_ASSERT(found == 0 || found == 1 || found == MS_ELIMIT || found == MS_ETOOBIG ||
              found == MS_EINVAL);
    if (found == 1)
        check_bounds(&match, subject);
    if (found >= 0 && STEPS - steps < FEW)
        compare(pattern_text, subject, found, &match);
    return 0;
}
