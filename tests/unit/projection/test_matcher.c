/* Which events a projection needs and which handlers they call: against the patterns read one by
 * one, with a cache that is emptied, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "projection/limits.h"
#include "projection/matcher.h"

static struct ms_projection_definition *parse(const char *from, const char *sections) {
    struct ms_projection_definition *definition = NULL;
    struct ms_error err = {0};
    struct ms_buf text;
    ms_buf_init(&text, MS_PROJECTION_FILE_BYTES_MAX);
    assert_int_equal(ms_buf_printf(&text, "-- projection: p\n-- from: %s\n%s", from, sections), 0);
    if (ms_projection_parse("t.sql", ms_buf_bytes(&text), NULL, &definition, &err) != 0)
        fail_msg("%s", err.message);
    ms_buf_deinit(&text);
    return definition;
}

/* "0 2": what is called, "" for nothing. */
static const char *show(struct ms_matcher_handlers handlers, char out[64]) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < handlers.count; i++)
        len += (size_t)snprintf(out + len, 64 - len, "%s%u", len > 0 ? " " : "",
                                (unsigned)handlers.items[i]);
    return out;
}

static const char sections[] = "-- on: order.paid, order.created\nselect 1;\n"
                               "-- on: order.*\nselect 2;\n"
                               "-- query: q\nselect 0;\n"
                               "-- on: customer.registered\nselect 3;\n"
                               "-- on: *\nselect 4;\n"
                               "-- on: order.paid\nselect 5;\n";

static void a_type_calls_its_handlers_in_the_order_of_the_file(void **state) {
    static const struct {
        const char *type, *handlers;
    } rows[] = {
        {"order.paid", "0 1 3 4"},      {"order.created", "0 1 3"},
        {"order.lost", "1 3"},          {"order", "3"},
        {"customer.registered", "2 3"}, {"", "3"},
    };
    struct ms_projection_definition *definition = parse("*", sections);
    struct ms_matcher *matcher;
    char out[64];
    (void)state;
    assert_int_equal(ms_matcher_new(definition, &matcher), 0);
    for (int round = 0; round < 2; round++) /* from the file, then from the cache */
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            assert_string_equal(
                show(ms_matcher_handlers(matcher, ms_bytes_cstr(rows[i].type)), out),
                rows[i].handlers);
    ms_matcher_free(matcher);
    ms_matcher_free(NULL);
    ms_projection_definition_free(definition);
}

static void an_event_is_needed_when_a_source_has_it_and_a_handler_takes_it(void **state) {
    static const struct {
        const char *from, *topic, *stream, *type;
        bool needed;
    } rows[] = {
        {"order", "order", "order-1", "order.paid", true},
        {"order", "order", NULL, "order.paid", true},
        {"order", "order", "order-1", "invoice.paid", false}, /* nothing takes it */
        {"order", "orders", "orders-1", "order.paid", false},
        {"customer, ord*", "orders", "orders-1", "order.paid", true},
        {"stream:order-1", "order", "order-1", "order.paid", true},
        {"stream:order-1", "order", "order-12", "order.paid", false},
        {"stream:order-1*", "order", "order-12", "order.paid", true},
        {"stream:order-1", "order", NULL, "order.paid", false},
        {"stream:*", "order", NULL, "order.paid", false}, /* it is in no stream */
        {"type:order.*", "legacy", "legacy-1", "order.paid", true},
        {"type:invoice.*", "order", "order-1", "order.paid", false},
        {"type:invoice.*, order", "order", "order-1", "order.paid", true},
        {"*", "anything", NULL, "order.paid", true},
        {"*", "$streams", "cart", "order.paid", true},
        {"*", "$users", "$users-1", "order.paid", false}, /* the system's own */
        {"type:*", "$users", "$users-1", "order.paid", false},
        {"$streams", "$streams", "cart", "order.paid", true},
        {"$streams", "order", "order-1", "order.paid", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_projection_definition *definition =
            parse(rows[i].from, "-- on: order.*\nselect 1;\n");
        struct ms_matcher *matcher;
        assert_int_equal(ms_matcher_new(definition, &matcher), 0);
        for (int round = 0; round < 2; round++) {
            struct ms_matcher_handlers handlers =
                ms_matcher_needs(matcher, ms_bytes_cstr(rows[i].topic),
                                 ms_bytes_cstr(rows[i].stream), ms_bytes_cstr(rows[i].type));
            assert_int_equal(handlers.count, rows[i].needed ? 1 : 0);
        }
        ms_matcher_free(matcher);
        ms_projection_definition_free(definition);
    }
}

static void a_type_that_was_seen_is_not_worked_out_again(void **state) {
    struct ms_projection_definition *definition = parse("*", sections);
    struct ms_matcher *matcher;
    char out[64];
    (void)state;
    assert_int_equal(ms_matcher_new(definition, &matcher), 0);
    show(ms_matcher_handlers(matcher, MS_BYTES_LITERAL("order.paid")), out);
    size_t count = definition->handler_count;
    definition->handler_count = 0; /* whoever looks finds nothing now */
    assert_string_equal(show(ms_matcher_handlers(matcher, MS_BYTES_LITERAL("order.paid")), out),
                        "0 1 3 4");
    assert_string_equal(show(ms_matcher_handlers(matcher, MS_BYTES_LITERAL("order.new")), out), "");
    definition->handler_count = count;
    ms_matcher_free(matcher);
    ms_projection_definition_free(definition);
}

/* Types of several lengths, of which the first is asked for again and again. */
static void ask_for_many(struct ms_matcher *matcher, unsigned types) {
    char type[128], out[64];
    for (unsigned i = 0; i < types; i++) {
        snprintf(type, sizeof type, "order.%0*u", (int)(i % 97) + 1, i);
        assert_string_equal(show(ms_matcher_handlers(matcher, ms_bytes_cstr(type)), out), "1 3");
        snprintf(type, sizeof type, "other.%u", i);
        assert_string_equal(show(ms_matcher_handlers(matcher, ms_bytes_cstr(type)), out), "3");
        assert_string_equal(show(ms_matcher_handlers(matcher, MS_BYTES_LITERAL("order.paid")), out),
                            "0 1 3 4");
    }
}

static void a_full_cache_is_emptied_and_answers_stay_right(void **state) {
    struct ms_projection_definition *definition = parse("*", sections);
    struct ms_matcher *matcher;
    (void)state;
    assert_int_equal(ms_matcher_new(definition, &matcher), 0);
    ask_for_many(matcher, MS_PROJECTION_CACHE_TYPES_MAX * 3);
    ms_matcher_free(matcher);
    ms_projection_definition_free(definition);
}

static void a_type_longer_than_any_is_answered_too(void **state) {
    struct ms_projection_definition *definition = parse("*", sections);
    struct ms_matcher *matcher;
    size_t len = MS_PROJECTION_CACHE_BYTES_MAX * 2;
    char *type = ms_alloc(len), out[64];
    (void)state;
    assert_non_null(type);
    memset(type, 'a', len);
    memcpy(type, "order.", 6);
    assert_int_equal(ms_matcher_new(definition, &matcher), 0);
    for (int round = 0; round < 2; round++)
        assert_string_equal(show(ms_matcher_handlers(matcher, ms_bytes_of(type, len)), out), "1 3");
    ms_matcher_free(matcher);
    ms_projection_definition_free(definition);
    ms_free(type);
}

static void without_memory_answers_are_right_all_the_same(void **state) {
    struct ms_projection_definition *definition = parse("*", sections);
    struct ms_matcher *matcher = NULL;
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        ms_alloc_fail_nth(n);
        assert_int_equal(ms_matcher_new(definition, &matcher), MS_ENOMEM);
        assert_null(matcher);
    }
    ms_alloc_fail_nth(0);
    assert_int_equal(ms_matcher_new(definition, &matcher), 0);
    ms_alloc_fail_from(1);
    ask_for_many(matcher, 10);
    ms_alloc_fail_nth(0);
    ask_for_many(matcher, 10);
    ms_alloc_fail_from(1);
    ask_for_many(matcher, MS_PROJECTION_CACHE_TYPES_MAX);
    ms_alloc_fail_nth(0);
    ms_matcher_free(matcher);
    ms_projection_definition_free(definition);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_calls_its_handlers_in_the_order_of_the_file),
        cmocka_unit_test(an_event_is_needed_when_a_source_has_it_and_a_handler_takes_it),
        cmocka_unit_test(a_type_that_was_seen_is_not_worked_out_again),
        cmocka_unit_test(a_full_cache_is_emptied_and_answers_stay_right),
        cmocka_unit_test(a_type_longer_than_any_is_answered_too),
        cmocka_unit_test(without_memory_answers_are_right_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
