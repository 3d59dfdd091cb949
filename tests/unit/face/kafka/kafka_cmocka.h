/* cmocka and what the tests of the Kafka face have in common. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"

static inline void assert_mentions(const struct ms_error *err, const char *text) {
    if (!strstr(err->message, text))
        fail_msg("\"%s\" does not mention \"%s\"", err->message, text);
}
