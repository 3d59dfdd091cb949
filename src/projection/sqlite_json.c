/* PostgreSQL's JSON operators for SQLite; see sqlite_json.h. */
#include "projection/sqlite_json.h"

#include <stdio.h>

#include "wire/json.h"

#define SUBTYPE_JSON 74 /* SQLite's own mark of text that is JSON */
#define STRING_BYTES_MAX ((size_t)64 << 20)

static struct ms_bytes bytes_of(sqlite3_value *value) {
    const void *data = sqlite3_value_blob(value); /* of text: its bytes, without a copy */
    int len = sqlite3_value_bytes(value);
    return ms_bytes_of(data != NULL ? data : "", (size_t)len);
}

/* False: not JSON, and the function has failed. */
static bool parse(sqlite3_context *context, sqlite3_value *argument,
                  struct ms_json_value *ret_value) {
    const struct ms_sqlite_json *json = sqlite3_user_data(context);
    struct ms_bytes text = bytes_of(argument);
    struct ms_error err = {0};
    bool known = (text.data == json->known.data && text.len == json->known.len) ||
                 sqlite3_value_subtype(argument) == SUBTYPE_JSON; /* what "->" yields */
    if (known && text.len > 0 && (text.data[0] == '{' || text.data[0] == '[')) {
        *ret_value = (struct ms_json_value){
            .type = text.data[0] == '{' ? MS_JSON_OBJECT : MS_JSON_ARRAY, .text = text};
        return true;
    }
    if (ms_json_parse(text, MS_JSON_DEPTH_LIMIT, ret_value, &err) == 0)
        return true;
    char message[MS_ERROR_TEXT_MAX + 32];
    snprintf(message, sizeof message, "not JSON: %s", err.message);
    sqlite3_result_error(context, message, -1);
    return false;
}

static bool is_named(struct ms_json_value name, struct ms_bytes wanted) {
    struct ms_bytes inner = ms_bytes_of(name.text.data + 1, name.text.len - 2);
    if (memchr(inner.data, '\\', inner.len) == NULL)
        return ms_bytes_equal(inner, wanted);
    struct ms_arena arena;
    struct ms_bytes text;
    ms_arena_init(&arena, STRING_BYTES_MAX);
    bool same = ms_json_string(name, &arena, &text) == 0 && ms_bytes_equal(text, wanted);
    ms_arena_deinit(&arena);
    return same;
}

/* The last of several, as PostgreSQL. */
static bool find_member(struct ms_json_value object, struct ms_bytes wanted,
                        struct ms_json_value *ret_value) {
    struct ms_json_value name, value;
    bool found = false;
    for (size_t at = 0; ms_json_next_member(object, &at, &name, &value);)
        if (is_named(name, wanted)) {
            *ret_value = value;
            found = true;
        }
    return found;
}

static bool find_element(struct ms_json_value array, int64_t index,
                         struct ms_json_value *ret_value) {
    struct ms_json_value value;
    if (index < 0) {
        for (size_t at = 0; ms_json_next_element(array, &at, &value);)
            index++;
        if (index < 0)
            return false;
    }
    for (size_t at = 0; ms_json_next_element(array, &at, &value);)
        if (index-- == 0) {
            *ret_value = value;
            return true;
        }
    return false;
}

static bool find(sqlite3_context *context, sqlite3_value **arguments,
                 struct ms_json_value *ret_value) {
    struct ms_json_value json;
    int type = sqlite3_value_type(arguments[1]);
    if (sqlite3_value_type(arguments[0]) == SQLITE_NULL || type == SQLITE_NULL ||
        !parse(context, arguments[0], &json))
        return false;
    if (json.type == MS_JSON_OBJECT && type == SQLITE_TEXT)
        return find_member(json, bytes_of(arguments[1]), ret_value);
    return json.type == MS_JSON_ARRAY && type == SQLITE_INTEGER &&
           find_element(json, sqlite3_value_int64(arguments[1]), ret_value);
}

static void result_text(sqlite3_context *context, struct ms_bytes text) {
    sqlite3_result_text64(context, (const char *)text.data, text.len, SQLITE_TRANSIENT,
                          SQLITE_UTF8);
}

/* json -> key */
static void as_json(sqlite3_context *context, int count, sqlite3_value **arguments) {
    struct ms_json_value value;
    (void)count;
    if (!find(context, arguments, &value))
        return;
    result_text(context, value.text);
    sqlite3_result_subtype(context, SUBTYPE_JSON);
}

/* json ->> key */
static void as_text(sqlite3_context *context, int count, sqlite3_value **arguments) {
    struct ms_json_value value;
    struct ms_arena arena;
    struct ms_bytes text;
    (void)count;
    if (!find(context, arguments, &value) || value.type == MS_JSON_NULL)
        return;
    if (value.type != MS_JSON_STRING) {
        result_text(context, value.text);
        return;
    }
    ms_arena_init(&arena, STRING_BYTES_MAX);
    if (ms_json_string(value, &arena, &text) == 0)
        result_text(context, text);
    else
        sqlite3_result_error_nomem(context);
    ms_arena_deinit(&arena);
}

int ms_sqlite_json_register(sqlite3 *db, struct ms_sqlite_json *json) {
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_SUBTYPE;
    int code = sqlite3_create_function(db, "->", 2, flags, json, as_json, NULL, NULL);
    return code != SQLITE_OK
               ? code
               : sqlite3_create_function(db, "->>", 2, flags, json, as_text, NULL, NULL);
}
