/* Names of streams: how they split into topic and key, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "os/random.h"
#include "store/internal.h"

#define NAME_MAX_BYTES 512u

static int split(struct ms_bytes text, struct ms_arena *arena, struct ms_bytes *topic,
                 struct ms_bytes *key) {
    return ms_name_split(text, NAME_MAX_BYTES, arena, topic, key, NULL);
}

static void names_split_as_the_table_says(void **state) {
    (void)state;
    static const struct {
        const char *text, *topic, *key;
    } rows[] = {
        {"order-123", "order", "123"},
        {"order-a-b", "order", "a-b"},
        {"order-50%25", "order", "50%"},
        {"order-%2d%2D", "order", "--"},
        {"order-100%", "order", "100%"},
        {"order-%zz", "order", "%zz"},
        {"order-%2", "order", "%2"},
        {"order-", "order", ""},
        {"cart", "$streams", "cart"},
        {"my orders-1", "$streams", "my orders-1"},
        {"-1", "$streams", "-1"},
        {".-1", "$streams", ".-1"},
        {"..-1", "$streams", "..-1"},
        {"...-1", "...", "1"},
        {"a.b_C9-x", "a.b_C9", "x"},
        {"\xc3\xa9-1", "$streams", "\xc3\xa9-1"},
        {"order-\xc3\xa9", "order", "\xc3\xa9"},
        {"$$order-123", "$metadata", "order-123"},
        {"$$", "$metadata", ""},
        {"$topics-order", "$topics", "order"},
        {"$-1", "$streams", "$-1"},
        {"50%25", "$streams", "50%25"},
        {"my%2Dorder-1", "my-order", "1"},
        {"my%2dorder-a-b%25", "my-order", "a-b%"},
        {"%2D-1", "-", "1"},
        {"my%2Dorder", "$streams", "my%2Dorder"},
        {"%6Frder-1", "$streams", "%6Frder-1"},
        {"my%2-1", "$streams", "my%2-1"},
        {"$streams-order-1", "$streams", "order-1"},
        {"$a%2Db-1", "$a-b", "1"},
        {"$$order-%2D", "$metadata", "order--"},
        {"$$order-100%", "$metadata", "order-100%25"},
        {"$$$streams-cart", "$metadata", "cart"},
        {"$$$$order-%2D", "$metadata", "$$order-%2D"},
    };
    uint8_t room[MS_STREAM_TOPIC_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_bytes topic, key;
        ms_arena_init(&arena, 65536);
        assert_int_equal(split(ms_bytes_cstr(rows[i].text), &arena, &topic, &key), 0);
        assert_true(
            ms_bytes_equal(ms_store_stream_topic(ms_bytes_cstr(rows[i].text), room), topic));
        if (!ms_bytes_equal_cstr(topic, rows[i].topic) || !ms_bytes_equal_cstr(key, rows[i].key))
            fail_msg("%s: topic %.*s, key %.*s", rows[i].text, (int)topic.len, topic.data,
                     (int)key.len, key.data);
        ms_arena_deinit(&arena);
    }
}

static void unusable_names_are_refused(void **state) {
    (void)state;
    char name_long[NAME_MAX_BYTES + 2];
    struct ms_arena arena;
    struct ms_bytes topic, key;
    static const char *const names[] = {"",     "a\x01-b", "a-\x7f",     "a-\n",
                                        "\xff", "a-\xc3",  "a-\xc2\x80", "a-\xed\xa0\x80"};
    ms_arena_init(&arena, 65536);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(split(ms_bytes_cstr(names[i]), &arena, &topic, &key), MS_EINVAL);
    assert_int_equal(split(ms_bytes_of("a\0b", 3), &arena, &topic, &key), MS_EINVAL);
    memset(name_long, 'a', sizeof name_long);
    assert_int_equal(split(ms_bytes_of(name_long, NAME_MAX_BYTES), &arena, &topic, &key), 0);
    assert_int_equal(split(ms_bytes_of(name_long, NAME_MAX_BYTES + 1), &arena, &topic, &key),
                     MS_EINVAL);
    ms_arena_deinit(&arena);
}

/* A prefix of 250 bytes is no topic name, so the whole is a key of "$streams". */
static void long_prefix_is_no_topic(void **state) {
    (void)state;
    char text[300];
    struct ms_arena arena;
    struct ms_bytes topic, key;
    ms_arena_init(&arena, 65536);
    memset(text, 'a', sizeof text);
    text[249] = '-';
    assert_int_equal(split(ms_bytes_of(text, 255), &arena, &topic, &key), 0);
    assert_int_equal(topic.len, 249);
    text[249] = 'a';
    text[250] = '-';
    assert_int_equal(split(ms_bytes_of(text, 255), &arena, &topic, &key), 0);
    assert_true(ms_bytes_equal_cstr(topic, "$streams"));
    ms_arena_deinit(&arena);
}

static void check_round_trip(const char *topic_name, struct ms_bytes key) {
    struct ms_arena arena;
    struct ms_buf text;
    struct ms_bytes topic, back;
    ms_arena_init(&arena, 65536);
    ms_buf_init(&text, 65536);
    assert_int_equal(ms_name_join(ms_bytes_cstr(topic_name), key, &text), 0);
    assert_int_equal(ms_name_split(ms_buf_bytes(&text), 65536, &arena, &topic, &back, NULL), 0);
    if (!ms_bytes_equal_cstr(topic, topic_name) || !ms_bytes_equal(back, key))
        fail_msg("topic %s, text '%.*s'", topic_name, (int)text.len, text.data);
    ms_buf_deinit(&text);
    ms_arena_deinit(&arena);
}

static void any_key_of_a_topic_survives_the_text_form(void **state) {
    (void)state;
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, 5);
    for (unsigned i = 0; i < 256; i++) {
        uint8_t one[3] = {'a', (uint8_t)i, 'b'};
        check_round_trip("order", ms_bytes_of(one, 3));
        check_round_trip("order", ms_bytes_of(one + 1, 1));
    }
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t key[24];
        size_t len = (size_t)ms_random_below(&random.random, sizeof key);
        ms_random_fill(&random.random, key, sizeof key);
        for (size_t k = 0; k < len && i % 2 == 0; k++)
            key[k] = (uint8_t) "%2-\xc3\xa9\x01$ abc%"[key[k] % 13];
        check_round_trip("order", ms_bytes_of(key, len));
    }
    check_round_trip("$streams", MS_BYTES_LITERAL("cart"));
    check_round_trip("$streams", MS_BYTES_LITERAL("my cart-%41"));
    check_round_trip("$metadata", MS_BYTES_LITERAL("order-1%25"));
    check_round_trip("$snapshots", MS_BYTES_LITERAL("order-1%25"));
}

/* What is shown names the same pair again, and only that. */
static void any_pair_survives_the_text_form(void **state) {
    (void)state;
    static const char *const topics[] = {"my-order", "-", "a--b-", "$streams"};
    static const char *const keys[] = {
        "1",          "order-1",      "my%2Dorder-1", "my-order-1", "a-1", "$$order-1",
        "$streams-x", "$topics-x",    "\n",           "\xff",       "",    "-",
        "cart%2D",    "$streams-%0A", "%2D-1",        "my orders-1"};
    char texts[80][64];
    size_t count = 0;
    for (size_t t = 0; t < 4; t++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            struct ms_buf text;
            check_round_trip(topics[t], ms_bytes_cstr(keys[k]));
            ms_buf_init(&text, 64);
            assert_int_equal(
                ms_store_stream_name(ms_bytes_cstr(topics[t]), ms_bytes_cstr(keys[k]), &text, NULL),
                0);
            snprintf(texts[count], sizeof texts[0], "%.*s", (int)text.len, (char *)text.data);
            for (size_t i = 0; i < count; i++)
                assert_string_not_equal(texts[i], texts[count]);
            count++;
            ms_buf_deinit(&text);
        }
}

static void every_spelling_has_one_canonical_name(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"order-1", "order-1"},
        {"order-100%", "order-100%25"},
        {"order-100%25", "order-100%25"},
        {"order-%31%2d%2D", "order-1--"},
        {"order-%0a", "order-%0A"},
        {"my%2dorder-1", "my%2Dorder-1"},
        {"50%25", "50%25"},
        {"$streams-cart", "cart"},
        {"$streams-order-1", "$streams-order-1"},
        {"$$order-%31", "$$order-1"},
        {"$", "$"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_arena arena;
        struct ms_bytes name, again;
        ms_arena_init(&arena, 65536);
        assert_int_equal(ms_store_canonical_name(ms_bytes_cstr(rows[i][0]), &arena, &name, NULL),
                         0);
        if (!ms_bytes_equal_cstr(name, rows[i][1]))
            fail_msg("%s: %.*s", rows[i][0], (int)name.len, name.data);
        assert_int_equal(ms_store_canonical_name(name, &arena, &again, NULL), 0);
        assert_true(ms_bytes_equal(name, again));
        ms_arena_deinit(&arena);
    }
}

static void what_has_no_canonical_name(void **state) {
    (void)state;
    struct ms_arena arena;
    struct ms_bytes name = {0};
    struct ms_error err = {0};
    ms_arena_init(&arena, 16);
    assert_int_equal(ms_store_canonical_name(ms_bytes_cstr("order-%31"), &arena, &name, &err),
                     MS_ENOMEM);
    assert_true(err.message[0] != 0);
    assert_int_equal(ms_store_canonical_name(ms_bytes_cstr("a%-\n"), &arena, &name, &err),
                     MS_EINVAL);
    assert_null(name.data);
    ms_arena_deinit(&arena);
}

/* What holds a name has the limit of that name, in whatever spelling. */
static void metadata_and_snapshots_have_the_limit_of_their_stream(void **state) {
    (void)state;
    static const char *const prefixes[] = {"", "$$", "$snapshots-"};
    static const char *const fills[] = {"x", "%25"};
    for (size_t i = 0; i < 6; i++)
        for (size_t more = 0; more < 2; more++) {
            struct ms_arena arena;
            struct ms_buf text;
            struct ms_bytes topic, key;
            bool twice = i / 2 == 2 && i % 2 == 1; /* escaped in the name that it holds already */
            ms_arena_init(&arena, MS_NAME_ARENA_MAX);
            ms_buf_init(&text, 65536);
            assert_int_equal(ms_buf_append_cstr(&text, prefixes[i / 2]), 0);
            assert_int_equal(ms_buf_append_cstr(&text, "order-"), 0);
            for (size_t n = 6; n < NAME_MAX_BYTES + more; n++)
                assert_int_equal(ms_buf_append_cstr(&text, twice ? "%2525" : fills[i % 2]), 0);
            assert_int_equal(split(ms_buf_bytes(&text), &arena, &topic, &key),
                             more == 0 ? 0 : MS_EINVAL);
            ms_buf_deinit(&text);
            ms_arena_deinit(&arena);
        }
}

/* Escapes don't count: whatever topic and key fit have a text form. */
static void the_limit_is_that_of_the_decoded_name(void **state) {
    (void)state;
    uint8_t key[NAME_MAX_BYTES];
    struct ms_arena arena;
    struct ms_buf text;
    struct ms_bytes topic, back;
    memset(key, 1, sizeof key);
    ms_arena_init(&arena, 65536);
    ms_buf_init(&text, 65536);
    size_t fits = NAME_MAX_BYTES - sizeof "my-order";
    assert_int_equal(ms_name_join(MS_BYTES_LITERAL("my-order"), ms_bytes_of(key, fits), &text), 0);
    assert_int_equal(split(ms_buf_bytes(&text), &arena, &topic, &back), 0);
    assert_int_equal(back.len, fits);
    assert_int_equal(ms_buf_append_u8(&text, 'x'), 0);
    assert_int_equal(split(ms_buf_bytes(&text), &arena, &topic, &back), MS_EINVAL);
    ms_buf_deinit(&text);
    ms_arena_deinit(&arena);
}

static void assert_rule(int rc, const struct ms_error *err, const char *rule) {
    assert_int_equal(rc, rule != NULL ? MS_ERESERVED : 0);
    if (rule != NULL && strstr(err->message, rule) == NULL)
        fail_msg("'%s' does not say '%s'", err->message, rule);
}

#define SYSTEMS "names beginning with '$' are reserved for the system"
#define METADATA "hold the metadata of streams"

static void a_reserved_name_is_told_the_rule_it_breaks(void **state) {
    (void)state;
    static const struct {
        const char *name, *rule;
    } rows[] = {
        {"$streams", SYSTEMS},
        {"$a", SYSTEMS},
        {"$", SYSTEMS},
        {"$topics-x", SYSTEMS},
        {"$$order-1", METADATA},
        {"__consumer_offsets",
         "'__consumer_offsets', alone or before a '-', is reserved for Kafka's"},
        {"__consumer_offsets-1",
         "'__consumer_offsets', alone or before a '-', is reserved for Kafka's"},
        {"__transaction_state-",
         "'__transaction_state', alone or before a '-', is reserved for Kafka's"},
        {"_schemas", "'_schemas', alone or before a '-', is reserved for Kafka's"},
        {"_schemas-x", "'_schemas', alone or before a '-', is reserved for Kafka's"},
        {"_schemas%2Dx-1", "'_schemas', alone or before a '-', is reserved for Kafka's"},
        {"order", NULL},
        {"order-$", NULL},
        {"_schemasx", NULL},
        {"_schemasx-1", NULL},
        {"_mine-1", NULL},
        {"__consumer", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_error err = {0};
        int rc = ms_name_check_stream(ms_bytes_cstr(rows[i].name), false, &err);
        assert_rule(rc, &err, rows[i].rule);
        assert_int_equal(ms_name_check_stream(ms_bytes_cstr(rows[i].name), false, NULL), rc);
    }
    assert_int_equal(ms_name_check_stream(MS_BYTES_LITERAL("$$order-1"), true, NULL), 0);
}

static void a_reserved_topic_is_told_the_rule_it_breaks(void **state) {
    (void)state;
    static const struct {
        const char *name, *rule;
    } rows[] = {
        {"$streams", SYSTEMS},
        {"$", SYSTEMS},
        {"$$order", NULL}, /* no legal name anyway */
        {"_schemas", "'_schemas', alone or before a '-', is reserved for Kafka's"},
        {"__transaction_state",
         "'__transaction_state', alone or before a '-', is reserved for Kafka's"},
        {"_schemas-x", "'_schemas', alone or before a '-', is reserved for Kafka's"},
        {"_schemasx", NULL},
        {"order", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ms_error err = {0};
        int rc = ms_name_check_topic(ms_bytes_cstr(rows[i].name), &err);
        assert_rule(rc, &err, rows[i].rule);
    }
}

static void legal_topic_names(void **state) {
    (void)state;
    char text[251];
    memset(text, 'x', sizeof text);
    assert_true(ms_topic_name_legal(ms_bytes_of(text, 249)));
    assert_false(ms_topic_name_legal(ms_bytes_of(text, 250)));
    static const char *const bad[] = {"", ".", "..", "a b", "a/b", "\xc3\xa9", "$x", "a%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ms_topic_name_legal(ms_bytes_cstr(bad[i])));
    assert_true(ms_topic_name_legal(MS_BYTES_LITERAL("a.B_9-z")));
}

/* Values that Kafka's own clients compute (murmur2 of the key, modulo partitions). */
static void partitions_are_those_of_kafkas_default_partitioner(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint32_t hash; /* murmur2, as the Kafka project's tests list it */
    } rows[] = {
        {"21", (uint32_t)-973932308},
        {"foobar", (uint32_t)-790332482},
        {"a-little-bit-long-string", (uint32_t)-985981536},
        {"a-little-bit-longer-string", (uint32_t)-1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint16_t partitions = 1; partitions < 40; partitions += 3)
            assert_int_equal(ms_partition_of(ms_bytes_cstr(rows[i].key), partitions),
                             (rows[i].hash & 0x7fffffff) % partitions);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_split_as_the_table_says),
        cmocka_unit_test(unusable_names_are_refused),
        cmocka_unit_test(long_prefix_is_no_topic),
        cmocka_unit_test(any_key_of_a_topic_survives_the_text_form),
        cmocka_unit_test(any_pair_survives_the_text_form),
        cmocka_unit_test(every_spelling_has_one_canonical_name),
        cmocka_unit_test(what_has_no_canonical_name),
        cmocka_unit_test(metadata_and_snapshots_have_the_limit_of_their_stream),
        cmocka_unit_test(the_limit_is_that_of_the_decoded_name),
        cmocka_unit_test(a_reserved_name_is_told_the_rule_it_breaks),
        cmocka_unit_test(a_reserved_topic_is_told_the_rule_it_breaks),
        cmocka_unit_test(legal_topic_names),
        cmocka_unit_test(partitions_are_those_of_kafkas_default_partitioner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
