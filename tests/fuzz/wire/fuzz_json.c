/*
 * The JSON scanner on arbitrary bytes: agrees with jansson on what is JSON, walks stay inside the
 * value and yield values, strings survive being written and read again, depth is kept.
 */
#include <jansson.h>

#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 32u
#define NODES_MAX 2000u /* a walk of every level re-reads its children: keep small inputs fast */

static struct ms_arena arena;
static unsigned nodes;

/* jansson gives up on numbers that don't fit and on NUL in keys, and takes a NUL byte for the end
 * of the text; all else must be the same. */
static void compare(struct ms_bytes text, int ours) {
    if (text.len > 0 && memchr(text.data, 0, text.len)) {
        MS_ASSERT(ours < 0);
        return;
    }
    json_error_t error;
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *theirs = json_loadb((const char *)text.data, text.len, flags, &error);
    bool gave_up = !theirs && (json_error_code(&error) == json_error_numeric_overflow ||
                               json_error_code(&error) == json_error_null_byte_in_key);
    MS_ASSERT(gave_up || (theirs != NULL) == (ours == 0));
    json_decref(theirs);
}

static void check_string(struct ms_json_value value) {
    struct ms_bytes once, twice;
    struct ms_json_value again;
    struct ms_buf out;
    MS_ASSERT(ms_json_string(value, &arena, &once) == 0);
    MS_ASSERT(once.len <= value.text.len - 2 && ms_utf8_valid(once));
    ms_buf_init(&out, 6 * once.len + 2);
    MS_ASSERT(ms_json_write_string(&out, once) == 0);
    MS_ASSERT(ms_json_parse(ms_buf_bytes(&out), 0, &again, NULL) == 0);
    MS_ASSERT(ms_json_string(again, &arena, &twice) == 0 && ms_bytes_equal(once, twice));
    ms_buf_deinit(&out);
}

static void check_value(struct ms_json_value value, struct ms_bytes inside, size_t depth) {
    struct ms_json_value whole, name, child;
    MS_ASSERT(value.text.data >= inside.data);
    MS_ASSERT(value.text.data + value.text.len <= inside.data + inside.len);
    MS_ASSERT(depth <= DEPTH_MAX);
    if (++nodes > NODES_MAX)
        return;
    MS_ASSERT(ms_json_parse(value.text, DEPTH_MAX, &whole, NULL) == 0);
    MS_ASSERT(whole.type == value.type && ms_bytes_equal(whole.text, value.text));
    size_t at = 0;
    int64_t number;
    (void)!ms_json_i64(value, &number);
    if (value.type == MS_JSON_STRING)
        check_string(value);
    while (value.type == MS_JSON_ARRAY && ms_json_next_element(value, &at, &child))
        check_value(child, value.text, depth + 1);
    while (value.type == MS_JSON_OBJECT && ms_json_next_member(value, &at, &name, &child)) {
        check_string(name);
        check_value(child, value.text, depth + 1);
    }
    if (value.type == MS_JSON_OBJECT)
        (void)ms_json_get(value, "a", &child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_bytes text = ms_bytes_of(data, size);
    struct ms_json_value value;
    struct ms_error err;
    compare(text, ms_json_parse(text, MS_JSON_DEPTH_LIMIT, &value, &err));
    if (ms_json_parse(text, DEPTH_MAX, &value, &err) < 0)
        return 0;
    nodes = 0;
    ms_arena_init(&arena, 64 * (size + 64));
    check_value(value, text, 0);
    ms_arena_deinit(&arena);
    return 0;
}
