/* See log_output.h. A line is built on the stack and written with one fwrite on the unbuffered
 * standard error, which is one system call; lines of several threads never mix. */
#include "server/log_output.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/time.h"

#define FIELDS_MAX 24
#define TAIL_RESERVE 32 /* for `truncated` and the end of the line */

static struct {
    _Atomic int level;
    _Atomic int format;
    _Atomic int64_t slow_operation_us;
    struct ms_clock *clock;
    void (*write)(void *context, struct ms_bytes line);
    void *context;
} output = {.level = MS_LOG_INFO, .format = MS_LOG_AUTO};

static const char *const LEVEL_NAMES[] = {"debug", "info", "warn", "error"};
static const char *const LEVEL_TEXT[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

const char *ms_log_level_name(enum ms_log_level level) { return LEVEL_NAMES[level]; }

/* ---- state ---- */

void ms_log_output_init(const struct ms_log_output_options *options) {
    output.clock = options->clock;
    output.write = options->write;
    output.context = options->context;
    ms_log_output_set_level(options->level);
    ms_log_output_set_format(options->format);
    ms_log_output_set_slow_operation(options->slow_operation_ms);
}

void ms_log_output_set_level(enum ms_log_level level) { atomic_store(&output.level, (int)level); }

void ms_log_output_set_format(enum ms_log_format format) {
    if (format == MS_LOG_AUTO)
        format = !output.write && isatty(STDERR_FILENO) ? MS_LOG_TEXT : MS_LOG_JSON;
    atomic_store(&output.format, (int)format);
}

void ms_log_output_set_slow_operation(int64_t slow_operation_ms) {
    atomic_store(&output.slow_operation_us, slow_operation_ms * 1000);
}

bool ms_log_output_enabled(enum ms_log_level level) {
    return (int)level >= atomic_load_explicit(&output.level, memory_order_relaxed);
}

/* ---- building a line ---- */

struct line {
    char text[MS_LOG_LINE_MAX];
    size_t len;
    bool full; /* something did not fit since the last mark */
};

static void put(struct line *line, const char *text, size_t len) {
    if (line->full || len > MS_LOG_LINE_MAX - TAIL_RESERVE - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_cstr(struct line *line, const char *text) { put(line, text, strlen(text)); }

static void put_u8_escape(struct line *line, uint8_t c) {
    char escape[8];
    int len = snprintf(escape, sizeof escape, "\\u%04x", c);
    put(line, escape, (size_t)len);
}

/* U+0080..U+009F: control characters that some terminals obey. */
static bool is_c1_control(const uint8_t *at, const uint8_t *end) {
    return end - at >= 2 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
}

/* At most MS_LOG_VALUE_MAX bytes, not ending within a character. */
static struct ms_bytes cut(struct ms_bytes text) {
    if (text.len <= MS_LOG_VALUE_MAX)
        return text;
    size_t len = MS_LOG_VALUE_MAX;
    while (len > 0 && (text.data[len] & 0xc0) == 0x80)
        len--;
    return ms_bytes_of(text.data, len);
}

/* Within quotes, as JSON has it; bytes that are not UTF-8 become '?'. */
static void put_escaped(struct line *line, struct ms_bytes value) {
    struct ms_bytes text = cut(value);
    bool utf8 = ms_utf8_valid(text);
    const uint8_t *at = text.data, *end = text.data + text.len;
    for (; at < end; at++) {
        if (*at == '"' || *at == '\\') {
            char pair[2] = {'\\', (char)*at};
            put(line, pair, 2);
        } else if (*at < 0x20 || *at == 0x7f) {
            put_u8_escape(line, *at);
        } else if (*at >= 0x80 && !utf8) {
            put(line, "?", 1);
        } else if (is_c1_control(at, end)) {
            put_u8_escape(line, at[1]);
            at++;
        } else {
            put(line, (const char *)at, 1);
        }
    }
    if (text.len < value.len)
        put(line, "…", sizeof "…" - 1);
}

static void put_quoted(struct line *line, struct ms_bytes text) {
    put(line, "\"", 1);
    put_escaped(line, text);
    put(line, "\"", 1);
}

static bool needs_quotes(struct ms_bytes text) {
    if (text.len == 0 || text.len > MS_LOG_VALUE_MAX)
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] == '"' || text.data[i] == '=' ||
            text.data[i] == '\\' || text.data[i] >= 0x7f)
            return true;
    return false;
}

static void put_value(struct line *line, const struct ms_log_field *field, bool json) {
    char number[40];
    switch (field->type) {
    case MS_FIELD_TYPE_TEXT:
        if (json || needs_quotes(field->value.text))
            put_quoted(line, field->value.text);
        else
            put(line, (const char *)field->value.text.data, field->value.text.len);
        return;
    case MS_FIELD_TYPE_INT:
        snprintf(number, sizeof number, "%lld", (long long)field->value.integer);
        break;
    case MS_FIELD_TYPE_REAL:
        snprintf(number, sizeof number, isfinite(field->value.real) ? "%.9g" : "null",
                 field->value.real);
        break;
    case MS_FIELD_TYPE_BOOL:
        snprintf(number, sizeof number, "%s", field->value.boolean ? "true" : "false");
        break;
    }
    put_cstr(line, number);
}

static void put_field(struct line *line, const struct ms_log_field *field, bool json) {
    if (!field->key || (field->type == MS_FIELD_TYPE_TEXT && !field->value.text.data))
        return;
    size_t mark = line->len;
    bool was_full = line->full;
    line->full = false;
    put_cstr(line, json ? ",\"" : " ");
    put_cstr(line, field->key);
    put_cstr(line, json ? "\":" : "=");
    put_value(line, field, json);
    if (line->full)
        line->len = mark; /* the whole field or nothing of it */
    line->full |= was_full;
}

static void put_head(struct line *line, enum ms_log_level level, const char *message, bool json) {
    char time[MS_TIME_TEXT_MAX];
    struct ms_clock *clock = output.clock ? output.clock : ms_clock_system();
    ms_time_format_ms(ms_clock_now_us(clock) / 1000, time);
    put_cstr(line, json ? "{\"time\":\"" : "");
    put_cstr(line, time);
    put_cstr(line, json ? "\",\"level\":\"" : " ");
    put_cstr(line, json ? LEVEL_NAMES[level] : LEVEL_TEXT[level]);
    put_cstr(line, json ? "\",\"message\":\"" : " ");
    put_escaped(line, ms_bytes_cstr(message));
    put_cstr(line, json ? "\"" : "");
}

static void put_tail(struct line *line, bool json) {
    const char *tail = json ? "}\n" : "\n";
    if (line->full)
        tail = json ? ",\"truncated\":true}\n" : " truncated=true\n";
    size_t len = strlen(tail);
    MS_ASSERT(len <= TAIL_RESERVE);
    memcpy(line->text + line->len, tail, len);
    line->len += len;
}

void ms_log_output_write(enum ms_log_level level, const char *message,
                         const struct ms_log_field *fields, size_t count) {
    if (!ms_log_output_enabled(level))
        return;
    if (atomic_load_explicit(&output.format, memory_order_relaxed) == MS_LOG_AUTO)
        ms_log_output_set_format(MS_LOG_AUTO);
    bool json = atomic_load_explicit(&output.format, memory_order_relaxed) == MS_LOG_JSON;
    struct line line;
    line.len = 0;
    line.full = false;
    put_head(&line, level, message, json);
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i], json);
    put_tail(&line, json);
    if (output.write)
        output.write(output.context, ms_bytes_of(line.text, line.len));
    else
        fwrite(line.text, 1, line.len, stderr);
}

void ms_log_output_slow(const char *operation, int64_t duration_us,
                        const struct ms_log_field *fields, size_t count) {
    int64_t slow_us = atomic_load_explicit(&output.slow_operation_us, memory_order_relaxed);
    if (slow_us <= 0 || duration_us < slow_us)
        return;
    struct ms_log_field all[FIELDS_MAX + 2];
    MS_ASSERT(count <= FIELDS_MAX);
    all[0] = MS_FIELD_TEXT("operation", operation);
    all[1] = MS_FIELD_REAL("duration_ms", (double)duration_us / 1000.0);
    size_t used = 2;
    for (size_t i = 0; i < count; i++)
        if (fields[i].key != NULL && strcmp(fields[i].key, all[1].key) != 0)
            all[used++] = fields[i];
    ms_log_output_write(MS_LOG_WARN, "slow operation", all, used);
}
