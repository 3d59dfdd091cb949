/* Time as values: milliseconds and microseconds since 1970 UTC, and their RFC 3339 spelling.
 * Reading a clock is the business of src/os/clock.h. Any thread. */
#pragma once

#include "base/bytes.h"

#define MS_TIME_TEXT_MAX 32 /* "2026-11-23T10:52:54.123456Z" and a terminator */

/* Parses RFC 3339 with 'T' or 't' or ' ', an optional fraction of up to 9 digits and 'Z' or a
 * numeric offset. Years 0001..9999, leap second 60 read as the last instant before the next minute.
 * ret_us is rounded down. MS_EINVAL. */
int ms_time_parse(struct ms_bytes text, int64_t *ret_us) MS_MUST_CHECK;

/* Writes canonical UTC text: seconds, or three digits of fraction when there are milliseconds, or
 * six when there are microseconds. Returns the length. `out` has MS_TIME_TEXT_MAX bytes; the text
 * is terminated. */
size_t ms_time_format_us(int64_t us, char out[MS_TIME_TEXT_MAX]);
/* Always three digits of fraction. */
size_t ms_time_format_ms(int64_t ms, char out[MS_TIME_TEXT_MAX]);

/* Durations as people write them in configuration and queries: "250ms", "30s", "5m", "1h", "7d"; a
 * bare number is milliseconds; ISO 8601 "PT30S" is accepted too. MS_EINVAL. */
int ms_duration_parse_ms(struct ms_bytes text, int64_t *ret_ms) MS_MUST_CHECK;
/* Sizes: "64MiB", "1GiB", "512KiB", "4096"; decimal "10MB" too. MS_EINVAL. */
int ms_size_parse(struct ms_bytes text, uint64_t *ret_bytes) MS_MUST_CHECK;
