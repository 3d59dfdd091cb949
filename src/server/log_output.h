/*
 * Log lines for operators: text on a terminal, JSON lines otherwise, on standard error.
 *
 *   text   2026-11-23T10:52:54.123Z INFO  http listening address=127.0.0.1:8080
 *   JSON   {"time":"2026-11-23T10:52:54.123Z","level":"info","message":"http listening",
 *           "address":"127.0.0.1:8080"}
 *
 * A line is written with one call, is at most MS_LOG_LINE_MAX bytes, and is always well-formed: a
 * long value is cut, a field that no longer fits is left out and `truncated` says so. Control
 * characters are escaped, so that no value can forge a line or talk to a terminal. Events' payloads
 * are never logged. Requests carry the fields request_id and correlation_id.
 *
 * This is the one module with state at file scope besides main (STYLE rule 2): the level, the
 * format and the sink. Every function from any thread; ms_log_output_init before threads start.
 */
#pragma once

#include "base/bytes.h"
#include "os/clock.h"

#define MS_LOG_LINE_MAX 8192
#define MS_LOG_VALUE_MAX 2048

enum ms_log_level { MS_LOG_DEBUG, MS_LOG_INFO, MS_LOG_WARN, MS_LOG_ERROR };
enum ms_log_format { MS_LOG_AUTO, MS_LOG_TEXT, MS_LOG_JSON };

enum ms_log_field_type {
    MS_FIELD_TYPE_TEXT,
    MS_FIELD_TYPE_INT,
    MS_FIELD_TYPE_REAL,
    MS_FIELD_TYPE_BOOL
};
struct ms_log_field {
    const char *key; /* snake_case; a field without a key or with absent text is left out */
    enum ms_log_field_type type;
    union {
        struct ms_bytes text;
        int64_t integer;
        double real;
        bool boolean;
    } value;
};
#define MS_FIELD_BYTES(key_, bytes_)                                                               \
    ((struct ms_log_field){.key = (key_), .type = MS_FIELD_TYPE_TEXT, .value.text = (bytes_)})
#define MS_FIELD_TEXT(key_, text_) MS_FIELD_BYTES(key_, ms_bytes_cstr(text_))
#define MS_FIELD_INT(key_, integer_)                                                               \
    ((struct ms_log_field){                                                                        \
        .key = (key_), .type = MS_FIELD_TYPE_INT, .value.integer = (int64_t)(integer_)})
#define MS_FIELD_REAL(key_, real_)                                                                 \
    ((struct ms_log_field){.key = (key_), .type = MS_FIELD_TYPE_REAL, .value.real = (real_)})
#define MS_FIELD_BOOL(key_, boolean_)                                                              \
    ((struct ms_log_field){.key = (key_), .type = MS_FIELD_TYPE_BOOL, .value.boolean = (boolean_)})

struct ms_log_output_options {
    struct ms_clock *clock;
    enum ms_log_level level;
    enum ms_log_format format;
    int64_t slow_operation_ms; /* 0: no slow-operation log */
    /* Where lines go; NULL = standard error. Called with one whole line, from any thread. */
    void (*write)(void *context, struct ms_bytes line);
    void *context;
};
/* Without a call to it, lines go to standard error at level info. */
void ms_log_output_init(const struct ms_log_output_options *options);
/* What a reload changes. */
void ms_log_output_set_level(enum ms_log_level level);
void ms_log_output_set_format(enum ms_log_format format);
void ms_log_output_set_slow_operation(int64_t slow_operation_ms);

bool ms_log_output_enabled(enum ms_log_level level);
void ms_log_output_write(enum ms_log_level level, const char *message,
                         const struct ms_log_field *fields, size_t count);

/* MS_LOG(INFO, "http listening", MS_FIELD_TEXT("address", address)); */
#define MS_LOG(level_, message_, ...)                                                              \
    do {                                                                                           \
        const struct ms_log_field ms_fields_[] = {{.key = NULL}, __VA_ARGS__};                     \
        ms_log_output_write(MS_LOG_##level_, (message_), ms_fields_,                               \
                            sizeof ms_fields_ / sizeof ms_fields_[0]);                             \
    } while (0)

/* The slow-operation log: a warning "slow operation" with operation, duration_ms and the fields
 * (without their own duration_ms), when the duration reaches the configured time. */
void ms_log_output_slow(const char *operation, int64_t duration_us,
                        const struct ms_log_field *fields, size_t count);

const char *ms_log_level_name(enum ms_log_level level);
