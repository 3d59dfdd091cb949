/* Files of the source tree, which tests compare with what the code says. */
#pragma once

#include <stdio.h>

/* The tests run in a build directory below the root of the sources, or in the root itself. */
static inline FILE *open_below_root(const char *path) {
    static const char *const up[] = {"", "../", "../../", "../../../"};
    for (size_t i = 0; i < sizeof up / sizeof up[0]; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", up[i], path);
        FILE *file = fopen(name, "r");
        if (file)
            return file;
    }
    return NULL;
}
