/* Patterns of names and sources: what they match, how streams are spelled, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "projection/pattern.h"

static const struct ms_place start = {"t.sql", 2, 5};

static void a_star_at_the_end_stands_for_the_rest(void **state) {
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"order.paid", "order.paid", true},
        {"order.paid", "order.paid2", false},
        {"order.paid", "order.pai", false},
        {"order.*", "order.paid", true},
        {"order.*", "order.item.added", true},
        {"order.*", "order.", true},
        {"order.*", "order", false},
        {"order.*", "orders.paid", false},
        {"Order*", "OrderPaid", true},
        {"*", "", true},
        {"*", "anything", true},
        {"order.paid", "Order.paid", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_name_pattern pattern;
        assert_int_equal(
            ms_name_pattern_parse(ms_bytes_cstr(rows[i].pattern), start, &pattern, NULL), 0);
        assert_int_equal(ms_name_pattern_matches(&pattern, ms_bytes_cstr(rows[i].name)),
                         rows[i].matches);
    }
}

static void each_kind_of_source_is_known(void **state) {
    static const struct {
        const char *text;
        enum ms_source_kind kind;
        const char *name;
        bool is_prefix;
    } rows[] = {
        {"*", MS_SOURCE_ALL, "", true},
        {"order", MS_SOURCE_TOPIC, "order", false},
        {"shop.eu-1_*", MS_SOURCE_TOPIC, "shop.eu-1_", true},
        {"$streams", MS_SOURCE_TOPIC, "$streams", false},
        {"stream:order-123", MS_SOURCE_STREAM, "order-123", false},
        {"stream: my cart", MS_SOURCE_STREAM, "my cart", false},
        {"stream:order-eu-*", MS_SOURCE_STREAM, "order-eu-", true},
        {"stream:order-%41", MS_SOURCE_STREAM, "order-A", false}, /* as it is shown */
        {"stream:my%2dtopic-1", MS_SOURCE_STREAM, "my%2Dtopic-1", false},
        {"type:order.*", MS_SOURCE_TYPE, "order.", true},
        {"type: a:b", MS_SOURCE_TYPE, "a:b", false},
    };
    struct ms_arena arena;
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_source source;
        assert_int_equal(ms_source_parse(ms_bytes_cstr(rows[i].text), start, &arena, &source, NULL),
                         0);
        assert_int_equal(source.kind, rows[i].kind);
        assert_true(ms_bytes_equal_cstr(source.name.text, rows[i].name));
        assert_int_equal(source.name.is_prefix, rows[i].is_prefix);
    }
    ms_arena_deinit(&arena);
}

static void what_is_no_source_is_refused(void **state) {
    static const struct {
        const char *text;
        int code;
        const char *message;
    } rows[] = {
        {"order *", MS_EINVAL, "t.sql:2:5: 'order *' has a blank in it; is a comma missing?"},
        {"order*x", MS_EINVAL, "t.sql:2:5: 'order*x': a '*' stands only at the end"},
        {"**", MS_EINVAL, "t.sql:2:5: '**': a '*' stands only at the end"},
        {"topic:order", MS_EINVAL,
         "t.sql:2:5: 'topic:order' is no topic; sources are TOPIC, stream:NAME, type:TYPE and *"},
        {"é", MS_EINVAL,
         "t.sql:2:5: 'é' is no topic; sources are TOPIC, stream:NAME, type:TYPE and *"},
        {"$topics", MS_ERESERVED,
         "t.sql:2:5: '$topics': names beginning with '$' are the system's"},
        {"stream:", MS_EINVAL, "t.sql:2:12: a stream's name is missing here"},
        {"stream: $$a-1", MS_ERESERVED,
         "t.sql:2:13: '$$a-1': names beginning with '$' are the system's"},
        {"stream:a-*b", MS_EINVAL, "t.sql:2:12: 'a-*b': a '*' stands only at the end"},
        {"type:", MS_EINVAL, "t.sql:2:10: a name is missing here"},
        {"type:a b", MS_EINVAL, "t.sql:2:10: 'a b' has a blank in it; is a comma missing?"},
    };
    struct ms_arena arena;
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_source source;
        struct ms_error err = {0};
        assert_int_equal(ms_source_parse(ms_bytes_cstr(rows[i].text), start, &arena, &source, &err),
                         rows[i].code);
        assert_string_equal(err.message, rows[i].message);
    }
    ms_arena_deinit(&arena);
}

static void names_past_the_limits_are_refused(void **state) {
    static const struct {
        const char *before;
        size_t fits;
        const char *message;
    } rows[] = {
        {"", 249, "t.sql:2:5: the topic's name has 250 bytes, the limit is 249"},
        {"type:", 512, "t.sql:2:10: the name has 513 bytes, the limit is 512"},
        {"stream:", 512, "t.sql:2:12: the name has 513 bytes, the limit is 512"},
    };
    struct ms_arena arena;
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[600];
        struct ms_source source;
        struct ms_error err = {0};
        size_t before = strlen(rows[i].before);
        memset(text, 'a', sizeof text);
        memcpy(text, rows[i].before, before);
        struct ms_bytes fits = ms_bytes_of(text, before + rows[i].fits);
        struct ms_bytes over = ms_bytes_of(text, fits.len + 1);
        assert_int_equal(ms_source_parse(fits, start, &arena, &source, &err), 0);
        assert_int_equal(ms_source_parse(over, start, &arena, &source, &err), MS_ETOOBIG);
        assert_string_equal(err.message, rows[i].message);
    }
    ms_arena_deinit(&arena);
}

static void a_source_may_read_the_topics_that_have_its_events(void **state) {
    static const struct {
        const char *source, *topic;
        bool may;
    } rows[] = {
        {"*", "order", true},
        {"*", "$streams", true},
        {"*", "$apps", false},
        {"type:order.paid", "whatever", true},
        {"type:order.paid", "$metadata", false},
        {"order", "order", true},
        {"order", "orders", false},
        {"shop.*", "shop.eu", true},
        {"shop.*", "shops", false},
        {"stream:order-123", "order", true},
        {"stream:order-123", "orders", false},
        {"stream:order-123", "$streams", false},
        {"stream:my%2Dorder-1", "my-order", true},
        {"stream:my%2Dorder-1", "my", false},
        {"stream:cart", "$streams", true},
        {"stream:cart", "cart", false},
        {"stream:order-eu-*", "order", true},
        {"stream:order-eu-*", "order-eu", false},
        {"stream:my orders-*", "$streams", true},
        {"stream:or*", "order", true}, /* it may be any that begins so */
        {"stream:or*", "cart", false},
        {"stream:or*", "$streams", true},
        {"stream:orders*", "order", false},
        {"stream:*", "order", true},
    };
    struct ms_arena arena;
    (void)state;
    ms_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_source source;
        assert_int_equal(
            ms_source_parse(ms_bytes_cstr(rows[i].source), start, &arena, &source, NULL), 0);
        if (ms_source_may_read(&source, ms_bytes_cstr(rows[i].topic)) != rows[i].may)
            fail_msg("%s, %s", rows[i].source, rows[i].topic);
    }
    ms_arena_deinit(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_at_the_end_stands_for_the_rest),
        cmocka_unit_test(each_kind_of_source_is_known),
        cmocka_unit_test(a_source_may_read_the_topics_that_have_its_events),
        cmocka_unit_test(what_is_no_source_is_refused),
        cmocka_unit_test(names_past_the_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
