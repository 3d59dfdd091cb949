/* The columns of the error list, filling of struct ms_error, and the end of the process on a broken
 * invariant; see error.h. Any thread. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cut in the middle of a UTF-8 sequence would make the message unfit for JSON: drop the rest of
 * it. */
static void drop_broken_tail(char *text) {
    size_t len = strlen(text);
    size_t back = 0;
    while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == len)
        return;
    unsigned char lead = (unsigned char)text[len - 1 - back];
    size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (wanted > back)
        text[len - 1 - back] = '\0';
}

/* Formats into scratch space and not into *err, so that err->message may be among the arguments. */
static void format_message(char out[MS_ERROR_TEXT_MAX], const char *format, va_list args) {
    int len = vsnprintf(out, MS_ERROR_TEXT_MAX, format, args);
    if (len < 0)
        out[0] = '\0';
    else if (len >= MS_ERROR_TEXT_MAX)
        drop_broken_tail(out);
}

int ms_error_set(struct ms_error *err, int code, const char *format, ...) {
    if (!err)
        return code;
    char text[MS_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_message(text, format, args);
    va_end(args);
    err->code = code;
    memcpy(err->message, text, strlen(text) + 1);
    return code;
}

int ms_error_settle(struct ms_error *err, int code, const char *what) {
    if (code == 0 || err == NULL || (err->code == code && err->message[0] != 0))
        return code;
    return ms_error_set(err, code, "%s: %s", what, ms_error_text(code));
}

void ms_error_prefix(struct ms_error *err, const char *format, ...) {
    if (!err)
        return;
    char text[MS_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    format_message(text, format, args);
    va_end(args);

    size_t prefix_len = strlen(text);
    size_t room = MS_ERROR_TEXT_MAX - 1 - prefix_len;
    const char *separator = err->message[0] ? ": " : "";
    size_t separator_len = strlen(separator);
    if (separator_len > room)
        separator_len = room;
    size_t message_len = strlen(err->message);
    size_t keep = message_len < room - separator_len ? message_len : room - separator_len;
    memmove(err->message + prefix_len + separator_len, err->message, keep);
    memcpy(err->message, text, prefix_len);
    memcpy(err->message + prefix_len, separator, separator_len);
    err->message[prefix_len + separator_len + keep] = '\0';
    if (keep < message_len)
        drop_broken_tail(err->message);
}

struct error_row {
    int code;
    int http_status;
    const char *name;
    const char *type;
    const char *text;
};

static const struct error_row error_rows[] = {{MS_OK, 200, "MS_OK", "ok", "no error"},
#define X(name, value, http, type, text) {(value), (http), #name, (type), (text)},
                                              MS_ERROR_LIST(X)
#undef X
};

static const struct error_row unknown_row = {1, 500, "MS_E?", "internal", "unknown error"};

/* The list is dense, so the row of code -n is the n-th; a unit test holds the list to that. */
static const struct error_row *row_of(int code) {
    size_t count = sizeof error_rows / sizeof error_rows[0];
    if (code > 0 || code <= -(int)count)
        return &unknown_row;
    const struct error_row *row = &error_rows[-code];
    MS_ASSERT(row->code == code);
    return row;
}

const char *ms_error_name(int code) { return row_of(code)->name; }

const char *ms_error_text(int code) { return row_of(code)->text; }

const char *ms_error_type(int code) { return row_of(code)->type; }

int ms_error_http_status(int code) { return row_of(code)->http_status; }

static const struct {
    int errno_value;
    int code;
} errno_rows[] = {
    {0, MS_OK},
    {ENOSPC, MS_ENOSPC},
    {EDQUOT, MS_ENOSPC},
    {ENOENT, MS_ENOTFOUND},
    {ENOTDIR, MS_ENOTFOUND},
    {EEXIST, MS_EEXIST},
    {ENOTEMPTY, MS_EEXIST},
    {ENOMEM, MS_ENOMEM},
    {ENOBUFS, MS_ENOMEM},
    {EAGAIN, MS_EAGAIN},
    {EINTR, MS_EAGAIN},
    {EINVAL, MS_EINVAL},
    {EISDIR, MS_EINVAL},
    {ENAMETOOLONG, MS_ETOOBIG},
    {EFBIG, MS_ETOOBIG},
    {EMFILE, MS_ELIMIT},
    {ENFILE, MS_ELIMIT},
    {EOPNOTSUPP, MS_EUNSUPPORTED},
    {ENOSYS, MS_EUNSUPPORTED},
    {ETIMEDOUT, MS_ETIMEOUT},
    {ECANCELED, MS_ECANCELED},
    {EPIPE, MS_ECLOSED},
    {ECONNRESET, MS_ECLOSED},
    {ECONNABORTED, MS_ECLOSED},
};

int ms_error_from_errno(int errno_value) {
    for (size_t i = 0; i < sizeof errno_rows / sizeof errno_rows[0]; i++)
        if (errno_rows[i].errno_value == errno_value)
            return errno_rows[i].code;
    return MS_EIO;
}

void ms_assert_failed(const char *expression, const char *file, int line, const char *function) {
    fprintf(stderr, "mainstem: %s:%d: %s: assertion failed: %s\n", file, line, function,
            expression);
    abort();
}
