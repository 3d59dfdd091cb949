/* What may be in an event: every rule of ms_event_check, and the words it refuses with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/event.h"

#define TEXT(literal) MS_BYTES_LITERAL(literal)

static struct ms_event minimal(void) {
    return (struct ms_event){
        .id = TEXT("i1"),
        .type = TEXT("order.created"),
        .timestamp_ms = 1700000000123,
        .data = TEXT("{\"a\": 1.0}"),
    };
}

static void defaults_are_the_documented_ones(void **state) {
    (void)state;
    struct ms_event_limits limits = ms_event_limits_default();
    assert_int_equal(limits.event_bytes_max, 16777216);
    assert_int_equal(limits.append_bytes_max, 67108864);
    assert_int_equal(limits.append_events_max, 100000);
    assert_int_equal(limits.name_bytes_max, 512);
    assert_int_equal(limits.json_depth_max, 64);
}

static void assert_refused(const struct ms_event *event, int code, const char *message) {
    struct ms_event_limits limits = ms_event_limits_default();
    struct ms_error err = {0};
    limits.name_bytes_max = 20;
    limits.event_bytes_max = 200;
    int r = ms_event_check(event, &limits, &err);
    if (r != code || (message && strncmp(err.message, message, strlen(message)) != 0))
        fail_msg("%d \"%s\" instead of %d \"%s\"", r, err.message, code, message ? message : "");
    assert_int_equal(ms_event_check(event, &limits, NULL), code);
}

#define FIELD(member, name)                                                                        \
    { offsetof(struct ms_event, member), name }

static void names_are_checked(void **state) {
    (void)state;
    static const struct {
        size_t offset;
        const char *name;
    } FIELDS[] = {
        FIELD(id, "event_id"),
        FIELD(type, "event_type"),
        FIELD(source, "source"),
        FIELD(version, "event_version"),
        FIELD(content_type, "content_type"),
        FIELD(correlation_id, "correlation_id"),
        FIELD(causation_id, "causation_id"),
        FIELD(traceparent, "traceparent"),
        FIELD(time_text, "timestamp"),
    };
    static const struct {
        struct ms_bytes text;
        int code;
        const char *message;
    } CASES[] = {
        {TEXT(""), MS_EINVAL, "must not be empty"},
        {TEXT("123456789012345678901"), MS_ETOOBIG, "is 21 bytes long, the limit is 20"},
        {TEXT("a\x1f"), MS_EINVAL, "has a control character at byte 1"},
        {TEXT("12345678\n0123456"), MS_EINVAL, "has a control character at byte 8"},
        {TEXT("123456789\x7f"), MS_EINVAL, "has a control character at byte 9"},
        {TEXT("1234567\x7f"), MS_EINVAL, "has a control character at byte 7"},
        {TEXT("\xc2\x9f"), MS_EINVAL, "has a control character at byte 0"},
        {TEXT("\xef\xbf\xbe"), MS_EINVAL, "has a control character at byte 0"},
        {TEXT("1234567\xef\xbf\xbf"), MS_EINVAL, "has a control character at byte 7"},
        {TEXT("a\0b"), MS_EINVAL, "has a control character at byte 1"},
        {TEXT("abcdefghijk\xff"), MS_EINVAL, "is not valid UTF-8"},
        {TEXT("\xc3"), MS_EINVAL, "is not valid UTF-8"},
    };
    for (size_t f = 0; f < sizeof FIELDS / sizeof FIELDS[0]; f++) {
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
            struct ms_event event = minimal();
            char message[128];
            memcpy((uint8_t *)&event + FIELDS[f].offset, &CASES[i].text, sizeof CASES[i].text);
            snprintf(message, sizeof message, "%s %s", FIELDS[f].name, CASES[i].message);
            assert_refused(&event, CASES[i].code, message);
        }
    }
}

static void printable_text_of_any_script_is_accepted(void **state) {
    (void)state;
    static const char *const TEXTS[] = {
        "a",
        "12345678901234567890",
        "~ !",
        "\xc2\xa0",
        "gr\xc3\xbc\xc3\x9f",
        "\xef\xbf\xbd",
        "\xf0\x9f\x90\xa6",
        "\xe2\x80\x8b",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct ms_event event = minimal();
        event.id = event.type = event.source = ms_bytes_cstr(TEXTS[i]);
        assert_refused(&event, 0, NULL);
    }
}

static void type_is_required_and_id_is_not(void **state) {
    (void)state;
    struct ms_event event = minimal();
    event.id = (struct ms_bytes){0};
    event.timestamp_ms = MS_TIMESTAMP_NONE;
    assert_refused(&event, 0, NULL);
    event.type = (struct ms_bytes){0};
    assert_refused(&event, MS_EINVAL, "event_type is missing");
}

static void version_is_integer_or_major_minor(void **state) {
    (void)state;
    static const char *const GOOD[] = {"0", "1", "2.1", "999999999.999999999"};
    static const char *const BAD[] = {"v1",   "1.",  ".1",  "1.2.3",      "1,2",
                                      "-1",   "1 ",  "+1",  "1234567890", "1.1234567890",
                                      "1..2", "1.x", "a.1", "0x1"};
    struct ms_event event = minimal();
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        event.version = ms_bytes_cstr(GOOD[i]);
        assert_refused(&event, 0, NULL);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        event.version = ms_bytes_cstr(BAD[i]);
        assert_refused(&event, MS_EINVAL, "event_version must be an integer or major.minor");
    }
}

static void time_must_be_rfc_3339(void **state) {
    (void)state;
    struct ms_event event = minimal();
    event.time_text = TEXT("2023-11-14T22:13:20Z");
    assert_refused(&event, 0, NULL);
    event.time_text = TEXT("2023-13-14T22:13:20Z");
    assert_refused(&event, MS_EINVAL, "timestamp must be an RFC 3339 time");
    event.time_text = TEXT("yesterday");
    assert_refused(&event, MS_EINVAL, "timestamp must be an RFC 3339 time");
}

static void tags_are_checked_one_by_one(void **state) {
    (void)state;
    static const struct {
        struct ms_bytes tags;
        int code;
        const char *message;
    } CASES[] = {
        {TEXT("a"), 0, NULL},
        {TEXT("a,b c,\xc3\xbc"), 0, NULL},
        {TEXT(""), MS_EINVAL, "a tag must not be empty"},
        {TEXT(",a"), MS_EINVAL, "a tag must not be empty"},
        {TEXT("a,"), MS_EINVAL, "a tag must not be empty"},
        {TEXT("a,,b"), MS_EINVAL, "a tag must not be empty"},
        {TEXT("a,b\n"), MS_EINVAL, "a tag has a control character at byte 1"},
        {TEXT("a,\xff"), MS_EINVAL, "a tag is not valid UTF-8"},
    };
    struct ms_event event = minimal();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        event.tags = CASES[i].tags;
        assert_refused(&event, CASES[i].code, CASES[i].message);
    }
    char longest[MS_EVENT_TAG_MAX + 4] = "a,";
    memset(longest + 2, 'x', MS_EVENT_TAG_MAX + 1);
    event.tags = ms_bytes_of(longest, 2 + MS_EVENT_TAG_MAX);
    assert_refused(&event, 0, NULL);
    event.tags = ms_bytes_of(longest, 3 + MS_EVENT_TAG_MAX);
    assert_refused(&event, MS_ETOOBIG, "a tag is 129 bytes long, the limit is 128");
}

static void metadata_must_be_a_json_object(void **state) {
    (void)state;
    struct ms_event event = minimal();
    event.metadata = TEXT(" {\"a\":[1,{}]} ");
    assert_refused(&event, 0, NULL);
    event.metadata = TEXT("[1]");
    assert_refused(&event, MS_EINVAL, "metadata must be a JSON object");
    event.metadata = TEXT("{\"a\":}");
    assert_refused(&event, MS_EINVAL, "metadata: ");
    event.metadata = TEXT("");
    assert_refused(&event, MS_EINVAL, "metadata: ");
    event.metadata = TEXT("{} {}");
    assert_refused(&event, MS_EINVAL, "metadata: ");
}

static void extensions_are_checked(void **state) {
    (void)state;
    static const struct {
        struct ms_extension extensions[2];
        int code;
        const char *message;
    } CASES[] = {
        {{{TEXT("a"), TEXT("")}, {TEXT("b0"), TEXT("\xc3\xbc")}}, 0, NULL},
        {{{TEXT("abcdefghijklmnopqrst"), TEXT("x")}, {TEXT("b"), TEXT("x")}}, 0, NULL},
        {{{TEXT("a"), TEXT("1")}, {TEXT("a"), TEXT("2")}}, MS_EINVAL, "extension a is there twice"},
        {{{TEXT("a"), TEXT("1")}, {TEXT(""), TEXT("2")}},
         MS_EINVAL,
         "an extension's name may have"},
        {{{TEXT("A"), TEXT("1")}, {TEXT("b"), TEXT("2")}},
         MS_EINVAL,
         "an extension's name may have"},
        {{{TEXT("a_b"), TEXT("1")}, {TEXT("b"), TEXT("2")}}, MS_EINVAL, "an extension's name may"},
        {{{TEXT("time"), TEXT("1")}, {TEXT("b"), TEXT("2")}}, MS_EINVAL, "extension time has the"},
        {{{TEXT("a"), TEXT("1\n")}, {TEXT("b"), TEXT("2")}},
         MS_EINVAL,
         "extension a: its value has"},
        {{{TEXT("a"), TEXT("\xff")}, {TEXT("b"), TEXT("2")}},
         MS_EINVAL,
         "extension a: its value is"},
        {{{TEXT("abcdefghijklmnopqrstu"), TEXT("")}, {TEXT("b"), TEXT("2")}},
         MS_ETOOBIG,
         "an extension's name is 21 bytes long, the limit is 20"},
    };
    struct ms_event event = minimal();
    event.extension_count = 2;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        event.extensions = CASES[i].extensions;
        assert_refused(&event, CASES[i].code, CASES[i].message);
    }
}

static void size_of_the_whole_event_is_bounded(void **state) {
    (void)state;
    static const uint8_t ZEROS[201];
    struct ms_event event = {.type = TEXT("t"), .data = {ZEROS, 199}};
    assert_refused(&event, 0, NULL);
    event.data.len = 200;
    assert_refused(&event, MS_ETOOBIG, "the event is 201 bytes long, the limit is 200");
    event.data_is_null = true;
    assert_refused(&event, 0, NULL);
    event.data_is_null = false;
    event.data.len = 198;
    event.metadata = TEXT("{}");
    assert_refused(&event, MS_ETOOBIG, "the event is 201 bytes long");
    event.metadata = (struct ms_bytes){0};
    event.extensions = (struct ms_extension[]){{TEXT("x"), TEXT("y")}};
    event.extension_count = 1;
    assert_refused(&event, MS_ETOOBIG, "the event is 201 bytes long");
    event.extension_count = 0;
    event.tags = TEXT("r,g");
    assert_refused(&event, MS_ETOOBIG, "the event is 202 bytes long");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(printable_text_of_any_script_is_accepted),
        cmocka_unit_test(type_is_required_and_id_is_not),
        cmocka_unit_test(version_is_integer_or_major_minor),
        cmocka_unit_test(time_must_be_rfc_3339),
        cmocka_unit_test(tags_are_checked_one_by_one),
        cmocka_unit_test(metadata_must_be_a_json_object),
        cmocka_unit_test(extensions_are_checked),
        cmocka_unit_test(size_of_the_whole_event_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
