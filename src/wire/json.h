/*
 * A strict JSON scanner (RFC 8259) that yields extents of the input and changes nothing: numbers,
 * keys and escapes of a user's data stay the bytes they were. For configuration and administration
 * use jansson instead.
 *
 * Strict: UTF-8 checked, no trailing text, no comments, no NaN, depth bounded, lone surrogate
 * escapes refused. Sans-I/O; any thread.
 */
#pragma once

#include "base/arena.h"

/* No text nests deeper than this, whatever depth_max says. */
#define MS_JSON_DEPTH_LIMIT 1024u

enum ms_json_type {
    MS_JSON_NULL,
    MS_JSON_FALSE,
    MS_JSON_TRUE,
    MS_JSON_NUMBER,
    MS_JSON_STRING,
    MS_JSON_ARRAY,
    MS_JSON_OBJECT
};

struct ms_json_value {
    enum ms_json_type type;
    struct ms_bytes text; /* the value's extent, quotes and brackets included */
};

/* Checks that text is exactly one JSON value (white space around it allowed). One pass, no
 * recursion. MS_EINVAL names line, column and what was expected. */
int ms_json_parse(struct ms_bytes text, size_t depth_max, struct ms_json_value *ret_value,
                  struct ms_error *err) MS_MUST_CHECK;

/* Walks the members / elements of a value that ms_json_parse (or a walk) yielded; such text is
 * known to be valid, so walking cannot fail: true and the next one, or false at the end. *at starts
 * at 0. `ret_name` is the raw string extent, quotes included. A whole walk costs one pass over the
 * value's text. */
bool ms_json_next_member(struct ms_json_value object, size_t *at, struct ms_json_value *ret_name,
                         struct ms_json_value *ret_value);
bool ms_json_next_element(struct ms_json_value array, size_t *at, struct ms_json_value *ret_value);

/* The string's characters with escapes resolved. Borrowed from the input when there is no escape,
 * else from the arena. MS_ENOMEM. */
int ms_json_string(struct ms_json_value value, struct ms_arena *arena, struct ms_bytes *ret_text)
    MS_MUST_CHECK;
/* Integer without fraction or exponent: MS_EINVAL otherwise or out of range. */
int ms_json_i64(struct ms_json_value value, int64_t *ret_number) MS_MUST_CHECK;
/* First member of that name (compared with escapes resolved); false when absent. */
bool ms_json_get(struct ms_json_value object, const char *name, struct ms_json_value *ret_value);

/* Appends text as a JSON string, quoted and escaped (only what must be: quote, backslash, control
 * characters). Bytes that are not UTF-8 become U+FFFD, so that the output is JSON whatever the
 * input was. MS_ENOMEM, MS_ETOOBIG; on failure the buffer is as before. */
int ms_json_write_string(struct ms_buf *out, struct ms_bytes text) MS_MUST_CHECK;
/* Line and column (from 1, in characters) of an offset, for error messages. */
void ms_json_place(struct ms_bytes text, size_t offset, unsigned *ret_line, unsigned *ret_column);
