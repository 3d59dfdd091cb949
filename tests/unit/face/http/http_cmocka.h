/* cmocka and what the tests of the HTTP face have in common. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

#define B(text) MS_BYTES_LITERAL(text)
#define NO_BYTES ((struct ms_bytes){0})

static inline void assert_bytes(struct ms_bytes bytes, const char *expected) {
    assert_int_equal(bytes.len, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.len);
}

static inline void assert_buf(const struct ms_buf *buf, const char *expected) {
    assert_bytes(ms_buf_bytes(buf), expected);
}

static inline void assert_mentions(const struct ms_error *err, const char *text) {
    if (!strstr(err->message, text))
        fail_msg("\"%s\" does not mention \"%s\"", err->message, text);
}
