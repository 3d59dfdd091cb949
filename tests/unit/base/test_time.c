/* Tests of base/time: times, durations and sizes as text. The C library's timegm is the second
 * opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/time.h"

static int parse(const char *text, int64_t *ret_us) {
    return ms_time_parse(ms_bytes_cstr(text), ret_us);
}

static void times_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01 00:00:00Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1970-01-01T00:00:00.9Z", 900000},
        {"1970-01-01T00:00:00.123456789Z", 123456},
        {"1969-12-31T23:59:59.999999999Z", -1},
        {"1969-12-31T23:59:59.5Z", -500000},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T19:30:00-04:30", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
        {"2026-11-23T10:52:54.123456Z", INT64_C(1795431174123456)},
        {"1990-12-31T23:59:60Z", INT64_C(662687999999999)},
        {"1990-12-31T15:59:60.25-08:00", INT64_C(662687999999999)},
        {"0001-01-01T00:00:00Z", INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = -77;
        if (parse(cases[i].text, &us) != 0 || us != cases[i].us)
            fail_msg("%s gave %lld", cases[i].text, (long long)us);
    }
}

static void malformed_times_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z",
        "1970-01-01T00:00:00,5Z",
        "1970-01-01T00:00:00Z ",
        " 1970-01-01T00:00:00Z",
        "1970-01-01X00:00:00Z",
        "1970-1-01T00:00:00Z",
        "70-01-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-04-31T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+00:60",
        "1970-01-01T00:00:00+0000",
        "1970-01-01T00:00:00+00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "+1970-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z",
    };
    int64_t us = 5;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (parse(wrong[i], &us) != MS_EINVAL)
            fail_msg("accepted %s", wrong[i]);
    assert_int_equal(ms_time_parse(ms_bytes_of("1970-01-01T00:00:00\0", 20), &us), MS_EINVAL);
    assert_int_equal(us, 5);
}

static void formatting_uses_as_many_digits_as_needed(void **state) {
    (void)state;
    char out[MS_TIME_TEXT_MAX];
    assert_int_equal(ms_time_format_us(0, out), 20);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    assert_int_equal(ms_time_format_us(1000, out), 24);
    assert_string_equal(out, "1970-01-01T00:00:00.001Z");
    assert_int_equal(ms_time_format_us(-1, out), 27);
    assert_string_equal(out, "1969-12-31T23:59:59.999999Z");
    assert_int_equal(ms_time_format_ms(0, out), 24);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    ms_time_format_ms(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
}

static void times_out_of_range_are_clamped(void **state) {
    (void)state;
    char out[MS_TIME_TEXT_MAX];
    ms_time_format_us(INT64_MIN, out);
    assert_string_equal(out, "0001-01-01T00:00:00Z");
    ms_time_format_us(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999999Z");
    ms_time_format_ms(INT64_MIN, out);
    assert_string_equal(out, "0001-01-01T00:00:00.000Z");
    ms_time_format_ms(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

static void assert_round_trip(int64_t us) {
    char out[MS_TIME_TEXT_MAX];
    size_t len = ms_time_format_us(us, out);
    int64_t again;
    if (ms_time_parse(ms_bytes_of(out, len), &again) != 0 || again != us)
        fail_msg("%lld as %s", (long long)us, out);
    time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%04d-%02d-%02dT%02d:%02d:%02d", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    assert_memory_equal(out, wanted, 19);
}

static void every_day_of_ten_thousand_years_round_trips(void **state) {
    (void)state;
    const int64_t day = INT64_C(86400000000);
    for (int64_t days = -719162; days < 2932897; days++) {
        int64_t us = days * day;
        char out[MS_TIME_TEXT_MAX];
        size_t len = ms_time_format_us(us, out);
        int64_t again = 0;
        if (ms_time_parse(ms_bytes_of(out, len), &again) != 0 || again != us)
            fail_msg("day %lld", (long long)days);
        if (days % 97 == 0) {
            assert_round_trip(us + (int64_t)random() % day);
            assert_round_trip(us + day - 1);
        }
    }
}

static void durations_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"250", 250},
        {"250ms", 250},
        {"30s", 30000},
        {"5m", 300000},
        {"1h", 3600000},
        {"7d", 604800000},
        {"PT30S", 30000},
        {"PT0.25S", 250},
        {"PT1,5S", 1500},
        {"PT1.0009S", 1000},
        {"PT1H30M", 5400000},
        {"P1D", 86400000},
        {"P1DT12H", 129600000},
        {"P2W", 1209600000},
        {"P1W1DT1H1M1.001S", 694861001},
        {"9223372036854775807ms", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        if (ms_duration_parse_ms(ms_bytes_cstr(cases[i].text), &ms) != 0 || ms != cases[i].ms)
            fail_msg("%s gave %lld", cases[i].text, (long long)ms);
    }
}

static void malformed_durations_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "s",
        "ms",
        "-1s",
        "+1s",
        "1 s",
        "1.5s",
        "1S",
        "1us",
        "1w",
        "1h30m",
        "P",
        "PT",
        "P1",
        "P1H",
        "P1S",
        "PT1D",
        "P1DT",
        "P1Y",
        "P1M",
        "PT1S1S",
        "PT1M1H",
        "PT1S2",
        "PTT1S",
        "PT1HT1M",
        "PT1.5H",
        "PT.5S",
        "PT1.S",
        "-PT1S",
        "PT-1S",
        "pt1s",
        "PT1S ",
        "P1D1W",
        "PT1.0000000001S",
        "9223372036854775808",
        "9223372036854775807s",
        "P9223372036854775807D",
        "PT9223372036854775S9",
    };
    int64_t ms = 3;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (ms_duration_parse_ms(ms_bytes_cstr(wrong[i]), &ms) != MS_EINVAL)
            fail_msg("accepted %s", wrong[i]);
    assert_int_equal(ms, 3);
}

static void sizes_are_parsed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"17B", 17},
        {"512KiB", 524288},
        {"64MiB", 67108864},
        {"1GiB", 1073741824},
        {"2TiB", UINT64_C(2199023255552)},
        {"10kB", 10000},
        {"10KB", 10000},
        {"10MB", 10000000},
        {"3GB", UINT64_C(3000000000)},
        {"1TB", UINT64_C(1000000000000)},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 1;
        if (ms_size_parse(ms_bytes_cstr(cases[i].text), &bytes) != 0 || bytes != cases[i].bytes)
            fail_msg("%s", cases[i].text);
    }
    static const char *const wrong[] = {
        "",
        "MiB",
        "-1",
        "1 MiB",
        "1.5GiB",
        "1mib",
        "1M",
        "1k",
        "1MiBs",
        "1b",
        "0x10",
        "18446744073709551616",
        "16777216TiB",
        "99999999999999999999B",
    };
    uint64_t bytes = 3;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (ms_size_parse(ms_bytes_cstr(wrong[i]), &bytes) != MS_EINVAL)
            fail_msg("accepted %s", wrong[i]);
    assert_int_equal(bytes, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_parsed),
        cmocka_unit_test(malformed_times_are_refused),
        cmocka_unit_test(formatting_uses_as_many_digits_as_needed),
        cmocka_unit_test(times_out_of_range_are_clamped),
        cmocka_unit_test(every_day_of_ten_thousand_years_round_trips),
        cmocka_unit_test(durations_are_parsed),
        cmocka_unit_test(malformed_durations_are_refused),
        cmocka_unit_test(sizes_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
