/* Comparing a generated document with the file in docs/ that it should be. For tests. */
#pragma once

#include <stdlib.h>

#include "base/bytes.h"
#include "support/sources.h"

static inline void expect_generated(const char *path, const char *command,
                                    const struct ms_buf *wanted) {
    FILE *file = open_below_root(path);
    if (!file)
        fail_msg("%s is missing: make it with `%s > %s`", path, command, path);
    char *found = malloc(wanted->len + 2);
    assert_non_null(found);
    size_t len = fread(found, 1, wanted->len + 1, file);
    fclose(file);
    bool same = len == wanted->len && memcmp(found, wanted->data, len) == 0;
    free(found);
    if (!same)
        fail_msg("%s is stale: make it anew with `%s > %s`", path, command, path);
}
