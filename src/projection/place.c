/* Errors that say where; see place.h. Any thread. */
#include "projection/place.h"

#include <stdarg.h>
#include <stdio.h>

#define FILE_SHOWN_MAX 200 /* a long path must not take the room of what went wrong */

/* Columns count characters: the later bytes of one in UTF-8 don't. */
struct ms_place ms_place_after(struct ms_place place, struct ms_bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((text.data[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

int ms_place_error(struct ms_place place, int code, struct ms_error *err, const char *format, ...) {
    char what[MS_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (len < 0)
        what[0] = '\0';
    return ms_error_set(err, code, "%.*s:%u:%u: %s", FILE_SHOWN_MAX, place.file, place.line,
                        place.column, what);
}
