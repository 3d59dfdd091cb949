/* Places in a projection file: every error says "file:line:column: what". Any thread. */
#pragma once

#include "base/bytes.h"

struct ms_place {
    const char *file; /* as the user named it; outlives the place */
    unsigned line;    /* from 1 */
    unsigned column;  /* from 1, in characters */
};

/* The place behind `text`, which begins at `place`. */
struct ms_place ms_place_after(struct ms_place place, struct ms_bytes text);

/* Fills *err (NULL is allowed) and returns `code`. */
int ms_place_error(struct ms_place place, int code, struct ms_error *err, const char *format, ...)
    MS_PRINTF(4, 5);

/* How much of the user's text a message shows: for "%.*s". */
#define MS_PLACE_SHOWN_MAX 80u
#define MS_PLACE_SHOWN(text)                                                                       \
    (int)((text).len < MS_PLACE_SHOWN_MAX ? (text).len : MS_PLACE_SHOWN_MAX), (text).data
