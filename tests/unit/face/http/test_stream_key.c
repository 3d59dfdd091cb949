/* Streams named by topic and key. */
#include "face/http/stream_key.h"
#include "http_cmocka.h"

static void assert_stream(struct ms_bytes topic, struct ms_bytes key, const char *expected) {
    struct ms_arena arena;
    struct ms_bytes stream;
    ms_arena_init(&arena, 64 * 1024);
    assert_int_equal(ms_http_stream_of_key(topic, key, &arena, &stream, NULL), 0);
    assert_bytes(stream, expected);
    ms_arena_deinit(&arena);
}

static void topic_and_key_are_joined(void **state) {
    (void)state;
    assert_stream(B("order"), B("123"), "order-123");
    assert_stream(B("order"), B("a-b"), "order-a-b");
    assert_stream(B("order"), B("\xc3\xa4 x"), "order-\xc3\xa4 x");
    assert_stream(B("$streams"), B("cart"), "cart");
}

static void what_can_not_stand_in_a_name_is_escaped(void **state) {
    (void)state;
    assert_stream(B("order"), B("50%"), "order-50%25");
    assert_stream(B("order"), B("a\nb\x7f"), "order-a%0Ab%7F");
    assert_stream(B("order"), B("\xff\xc3\xa4"), "order-%FF%C3%A4"); /* no UTF-8 as a whole */
    assert_stream(B("order"), B("x\xc2\x85y"), "order-x%C2%85y");    /* a C1 control character */
}

static void the_dash_of_a_topic_is_escaped(void **state) {
    (void)state;
    assert_stream(B("my-order"), B("1"), "my%2Dorder-1");
    assert_stream(B("a--b-"), B("x-%"), "a%2D%2Db%2D-x-%25");
    assert_stream(B("-"), B("1"), "%2D-1");
}

/* Not the stream order-1: that is another topic's. */
static void a_key_of_plain_streams_is_not_taken_for_another_topic(void **state) {
    (void)state;
    assert_stream(B("$streams"), B("order-1"), "$streams-order-1");
    assert_stream(B("$streams"), B("my orders-1"), "my orders-1");
    assert_stream(B("$streams"), B("\n"), "$streams-%0A");
}

static void what_is_no_topic_is_refused(void **state) {
    (void)state;
    static const char *const topics[] = {"a b", "", ".", "a%", "$$a", "$", "\xc3\xa9"};
    struct ms_arena arena;
    struct ms_bytes stream = NO_BYTES;
    struct ms_error err = {0};
    ms_arena_init(&arena, 64 * 1024);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        assert_int_equal(
            ms_http_stream_of_key(ms_bytes_cstr(topics[i]), B("1"), &arena, &stream, &err),
            MS_EINVAL);
    assert_null(stream.data);
    ms_arena_deinit(&arena);
    ms_arena_init(&arena, 16);
    assert_int_equal(ms_http_stream_of_key(B("order"), B("1234567890"), &arena, &stream, &err),
                     MS_ENOMEM);
    ms_arena_deinit(&arena);
}

static void a_whole_name_gets_the_spelling_of_answers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool writes;
        const char *expected;
    } rows[] = {
        {"order-%31", true, "order-1"},
        {"order-%31", false, "order-1"},
        {"order-100%", true, "order-100%25"},
        {"$streams-cart", false, "cart"},
        {"$streams-cart", true, "$streams-cart"},
        {"$$order-%31", true, "$$order-1"},
        {"cart", true, "cart"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ms_arena arena;
        struct ms_bytes stream;
        ms_arena_init(&arena, 64 * 1024);
        assert_int_equal(ms_http_stream_of_name(ms_bytes_cstr(rows[i].text), rows[i].writes, &arena,
                                                &stream, NULL),
                         0);
        assert_bytes(stream, rows[i].expected);
        ms_arena_deinit(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_and_key_are_joined),
        cmocka_unit_test(what_can_not_stand_in_a_name_is_escaped),
        cmocka_unit_test(the_dash_of_a_topic_is_escaped),
        cmocka_unit_test(a_key_of_plain_streams_is_not_taken_for_another_topic),
        cmocka_unit_test(what_is_no_topic_is_refused),
        cmocka_unit_test(a_whole_name_gets_the_spelling_of_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
