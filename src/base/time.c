/* RFC 3339 times, durations and sizes as text; see time.h. Any thread. */
#include "base/time.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)
/* 0001-01-01T00:00:00Z and the last microsecond of the year 9999. */
#define US_MIN (INT64_C(-719162) * US_PER_DAY)
#define US_MAX (INT64_C(2932897) * US_PER_DAY - 1)

/* ---- the calendar ---- */

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* Days before the month's first in a common year; month 1..12. */
static const uint16_t days_before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

static int days_in_month(int64_t year, int64_t month) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the given day of the proleptic Gregorian calendar; year >= 1. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day) {
    int64_t past = year - 1;
    int64_t days = past * 365 + past / 4 - past / 100 + past / 400;
    days += days_before[month - 1] + (month > 2 && is_leap(year)) + day - 1;
    return days - 719162;
}

/* The inverse, for days of the years 1..9999. */
static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
    int64_t since_1 = days + 719162;
    int64_t year = since_1 * 400 / 146097 + 1; /* at most one too many or too few */
    while (days_from_date(year, 1, 1) > days)
        year--;
    while (days_from_date(year + 1, 1, 1) <= days)
        year++;
    int64_t month = 12;
    while (days_from_date(year, month, 1) > days)
        month--;
    *ret_year = (int)year;
    *ret_month = (int)month;
    *ret_day = (int)(days - days_from_date(year, month, 1)) + 1;
}

/* ---- a reader over text: each step fails once and for all ---- */

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static bool next_is_digit(const struct reader *reader) {
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

/* The next character when it is one of `set`, else 0 (and nothing is consumed). */
static char accept_one_of(struct reader *reader, const char *set) {
    if (reader->at < reader->end && *reader->at != '\0' && strchr(set, *reader->at))
        return (char)*reader->at++;
    return '\0';
}

static char expect_one_of(struct reader *reader, const char *set) {
    char found = accept_one_of(reader, set);
    if (!found)
        reader->failed = true;
    return found;
}

/* Exactly `digits` decimal digits with a value of at most `max`. */
static int64_t expect_fixed(struct reader *reader, int digits, int64_t max) {
    int64_t value = 0;
    for (int i = 0; i < digits; i++) {
        if (!next_is_digit(reader)) {
            reader->failed = true;
            return 0;
        }
        value = value * 10 + (*reader->at++ - '0');
    }
    if (value > max)
        reader->failed = true;
    return value;
}

/* One to nine digits of a fraction, in billionths. */
static int64_t expect_fraction(struct reader *reader) {
    int64_t value = 0;
    int digits = 0;
    for (; next_is_digit(reader) && digits < 9; digits++)
        value = value * 10 + (*reader->at++ - '0');
    if (digits == 0 || next_is_digit(reader))
        reader->failed = true;
    for (; digits < 9; digits++)
        value *= 10;
    return value;
}

/* One or more digits; fails past INT64_MAX. */
static int64_t expect_number(struct reader *reader) {
    const uint8_t *start = reader->at;
    while (next_is_digit(reader))
        reader->at++;
    int64_t value = 0;
    if (ms_parse_i64(ms_bytes_of(start, (size_t)(reader->at - start)), &value) < 0)
        reader->failed = true;
    return value;
}

/* ---- points in time ---- */

/* Minutes east of Greenwich. */
static int64_t expect_offset(struct reader *reader) {
    char sign = expect_one_of(reader, "Zz+-");
    if (sign != '+' && sign != '-')
        return 0;
    int64_t hours = expect_fixed(reader, 2, 23);
    expect_one_of(reader, ":");
    int64_t minutes = hours * 60 + expect_fixed(reader, 2, 59);
    return sign == '-' ? -minutes : minutes;
}

int ms_time_parse(struct ms_bytes text, int64_t *ret_us) {
    struct reader reader = {text.data, text.data + text.len, false};
    int64_t year = expect_fixed(&reader, 4, 9999);
    expect_one_of(&reader, "-");
    int64_t month = expect_fixed(&reader, 2, 12);
    expect_one_of(&reader, "-");
    int64_t day = expect_fixed(&reader, 2, 31);
    expect_one_of(&reader, "Tt ");
    int64_t hour = expect_fixed(&reader, 2, 23);
    expect_one_of(&reader, ":");
    int64_t minute = expect_fixed(&reader, 2, 59);
    expect_one_of(&reader, ":");
    int64_t second = expect_fixed(&reader, 2, 60);
    int64_t fraction_us = accept_one_of(&reader, ".") ? expect_fraction(&reader) / 1000 : 0;
    int64_t offset_minutes = expect_offset(&reader);
    if (reader.failed || reader.at != reader.end || year < 1 || month < 1 || day < 1 ||
        day > days_in_month(year, month))
        return MS_EINVAL;
    if (second == 60) {
        second = 59;
        fraction_us = US_PER_SECOND - 1;
    }
    int64_t seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    int64_t us = days_from_date(year, month, day) * US_PER_DAY + seconds * US_PER_SECOND;
    us += fraction_us;
    if (us < US_MIN || us > US_MAX)
        return MS_EINVAL;
    *ret_us = us;
    return 0;
}

static char *put_digits(char *at, int digits, int64_t value) {
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

static size_t format_us(int64_t us, int fraction_digits, char out[MS_TIME_TEXT_MAX]) {
    int64_t days = us / US_PER_DAY;
    int64_t rest = us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    int year, month, day;
    date_from_days(days, &year, &month, &day);
    int64_t seconds = rest / US_PER_SECOND;
    char *at = put_digits(out, 4, year);
    *at++ = '-';
    at = put_digits(at, 2, month);
    *at++ = '-';
    at = put_digits(at, 2, day);
    *at++ = 'T';
    at = put_digits(at, 2, seconds / 3600);
    *at++ = ':';
    at = put_digits(at, 2, seconds / 60 % 60);
    *at++ = ':';
    at = put_digits(at, 2, seconds % 60);
    if (fraction_digits) {
        int64_t fraction = rest % US_PER_SECOND;
        *at++ = '.';
        at = put_digits(at, fraction_digits, fraction_digits == 3 ? fraction / 1000 : fraction);
    }
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}

static int64_t clamp(int64_t value, int64_t min, int64_t max) {
    return value < min ? min : value > max ? max : value;
}

size_t ms_time_format_us(int64_t us, char out[MS_TIME_TEXT_MAX]) {
    us = clamp(us, US_MIN, US_MAX);
    int fraction_digits = us % US_PER_SECOND == 0 ? 0 : us % 1000 == 0 ? 3 : 6;
    return format_us(us, fraction_digits, out);
}

size_t ms_time_format_ms(int64_t ms, char out[MS_TIME_TEXT_MAX]) {
    return format_us(clamp(ms, US_MIN / 1000, US_MAX / 1000) * 1000, 3, out);
}

/* ---- durations and sizes ---- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* The factor of the unit that the rest of the text spells, 0 when there is none. */
static uint64_t unit_factor(const struct reader *reader, const struct unit *units, size_t count) {
    struct ms_bytes rest = ms_bytes_of(reader->at, (size_t)(reader->end - reader->at));
    for (size_t i = 0; i < count; i++)
        if (ms_bytes_equal_cstr(rest, units[i].name))
            return units[i].factor;
    return 0;
}

static bool add_product(int64_t *sum, int64_t number, int64_t factor) {
    int64_t product;
    return !__builtin_mul_overflow(number, factor, &product) &&
           !__builtin_add_overflow(*sum, product, sum);
}

#define MS_PER_SECOND INT64_C(1000)

/* What follows the "P" of ISO 8601: nW, or nD and T with nH, nM, nS in this order, each at most
 * once. Years and months have no fixed length and are refused. Seconds may have a fraction. */
static int parse_iso_duration(struct reader *reader, int64_t *ret_ms) {
    static const struct {
        char name;
        bool is_time;
        int64_t ms;
    } parts[] = {
        {'W', false, 7 * 86400 * MS_PER_SECOND},
        {'D', false, 86400 * MS_PER_SECOND},
        {'H', true, 3600 * MS_PER_SECOND},
        {'M', true, 60 * MS_PER_SECOND},
        {'S', true, MS_PER_SECOND},
    };
    size_t part_count = sizeof parts / sizeof parts[0];
    int64_t total = 0;
    size_t next_part = 0;
    bool in_time = false;
    do {
        in_time = in_time || accept_one_of(reader, "T");
        int64_t number = expect_number(reader);
        bool has_fraction = accept_one_of(reader, ".,") != '\0';
        int64_t fraction_ms = has_fraction ? expect_fraction(reader) / 1000000 : 0;
        char name = expect_one_of(reader, "WDHMS");
        while (next_part < part_count &&
               (parts[next_part].name != name || parts[next_part].is_time != in_time))
            next_part++;
        if (reader->failed || next_part == part_count || (has_fraction && name != 'S'))
            return MS_EINVAL;
        if (!add_product(&total, number, parts[next_part].ms) ||
            !add_product(&total, fraction_ms, 1))
            return MS_EINVAL;
        next_part++;
    } while (reader->at < reader->end);
    *ret_ms = total;
    return 0;
}

int ms_duration_parse_ms(struct ms_bytes text, int64_t *ret_ms) {
    static const struct unit units[] = {
        {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    struct reader reader = {text.data, text.data + text.len, false};
    if (accept_one_of(&reader, "P"))
        return parse_iso_duration(&reader, ret_ms);
    int64_t number = expect_number(&reader);
    uint64_t factor = unit_factor(&reader, units, sizeof units / sizeof units[0]);
    int64_t ms = 0;
    if (reader.failed || factor == 0 || !add_product(&ms, number, (int64_t)factor))
        return MS_EINVAL;
    *ret_ms = ms;
    return 0;
}

int ms_size_parse(struct ms_bytes text, uint64_t *ret_bytes) {
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"kB", UINT64_C(1000)},
        {"KB", UINT64_C(1000)},
        {"MB", UINT64_C(1000000)},
        {"GB", UINT64_C(1000000000)},
        {"TB", UINT64_C(1000000000000)},
    };
    struct reader reader = {text.data, text.data + text.len, false};
    while (next_is_digit(&reader))
        reader.at++;
    uint64_t number, bytes;
    if (ms_parse_u64(ms_bytes_of(text.data, (size_t)(reader.at - text.data)), &number) < 0)
        return MS_EINVAL;
    uint64_t factor = unit_factor(&reader, units, sizeof units / sizeof units[0]);
    if (factor == 0 || __builtin_mul_overflow(number, factor, &bytes))
        return MS_EINVAL;
    *ret_bytes = bytes;
    return 0;
}
