/*
 * JSON through Lua on arbitrary values: what comes out is JSON, comes out the same when it goes
 * through again, through a copy and through a view; and equals what went in by jansson's account.
 */
#include <jansson.h>

#include "domain/lua_json.h"
#include "domain/sandbox_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 64u
#define OUT_MAX ((size_t)1 << 20)

struct passing {
    struct ms_json_value value;
    struct ms_buf *out;
    int way;
};

static void pass(lua_State *L, void *context) {
    struct passing *p = context;
    ms_lua_push_json(L, p->value);
    if (p->way == 1)
        ms_lua_push_copy(L, -1);
    if (p->way == 2)
        ms_frozen_wrap(L);
    ms_lua_write_json(L, -1, "value", p->out);
}

static bool through(struct ms_bytes text, int way, struct ms_buf *out) {
    static const struct ms_sandbox_limits limits = {.memory_bytes = (size_t)16 << 20};
    static const struct ms_sandbox_moment none = {0};
    struct passing p = {.out = out, .way = way};
    struct ms_sandbox *sandbox;
    struct ms_sandbox_failure failure;
    if (ms_json_parse(text, DEPTH_MAX, &p.value, NULL) != 0)
        return false;
    MS_ASSERT(ms_sandbox_new(&limits, ms_clock_system(), &sandbox) == 0);
    MS_ASSERT(ms_lua_json_open(sandbox) == 0);
    ms_buf_clear(out);
    int code = ms_sandbox_run(sandbox, &none, pass, &p, &failure);
    ms_sandbox_free(sandbox);
    return code == 0;
}

/* jansson can't say what doesn't fit, nor NUL in names. */
static void check_equal(struct ms_bytes before, struct ms_bytes after) {
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *a = json_loadb((const char *)before.data, before.len, flags, NULL);
    json_t *b = json_loadb((const char *)after.data, after.len, flags, NULL);
    MS_ASSERT(a == NULL || (b != NULL && json_equal(a, b)));
    json_decref(a);
    json_decref(b);
}

/* "-0" is a float here and an integer there. */
static bool has_minus_zero(struct ms_bytes text) {
    return text.len > 1 && memmem(text.data, text.len, "-0", 2) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_buf once, again;
    ms_buf_init(&once, OUT_MAX);
    ms_buf_init(&again, OUT_MAX);
    if (size <= 65536 && through(ms_bytes_of(data, size), 0, &once)) {
        for (int way = 0; way < 3; way++) {
            MS_ASSERT(through(ms_buf_bytes(&once), way, &again));
            MS_ASSERT(ms_bytes_equal(ms_buf_bytes(&once), ms_buf_bytes(&again)));
        }
        if (!has_minus_zero(ms_bytes_of(data, size)))
            check_equal(ms_bytes_of(data, size), ms_buf_bytes(&once));
    }
    ms_buf_deinit(&once);
    ms_buf_deinit(&again);
    return 0;
}
