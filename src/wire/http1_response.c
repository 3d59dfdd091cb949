/* Status lines and headers of HTTP/1.1 responses; declared in http1.h. No state; any thread. */
#include "wire/http1_syntax.h"

static const struct reason {
    int status;
    const char *text;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *ms_http1_reason(int status) {
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

int ms_http1_write_status(struct ms_buf *out, int status) {
    if (status < 100 || status > 999)
        return MS_EINVAL;
    return ms_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, ms_http1_reason(status));
}

static bool is_token(struct ms_bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        if (!ms_http1_is_token_char(name.data[i]))
            return false;
    }
    return name.len > 0;
}

int ms_http1_write_header(struct ms_buf *out, const char *name, struct ms_bytes value) {
    struct ms_bytes name_bytes = ms_bytes_cstr(name);
    if (!is_token(name_bytes))
        return MS_EINVAL;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\r' || value.data[i] == '\n' || value.data[i] == 0)
            return MS_EINVAL;
    }
    uint8_t *to;
    int r = ms_buf_extend(out, name_bytes.len + value.len + 4, &to);
    if (r < 0)
        return r;
    memcpy(to, name_bytes.data, name_bytes.len);
    to += name_bytes.len;
    memcpy(to, ": ", 2);
    if (value.len > 0)
        memcpy(to + 2, value.data, value.len);
    memcpy(to + 2 + value.len, "\r\n", 2);
    return 0;
}
