/* Assignments of Kafka's consumer protocol as JSON. */
#include "face/http/assignment.h"
#include "http_cmocka.h"

static void expect(const char *protocol_type, const void *bytes, size_t len, const char *wanted) {
    struct ms_buf out;
    ms_buf_init(&out, 4096);
    assert_int_equal(ms_buf_append_u8(&out, '{'), 0);
    assert_int_equal(
        ms_http_assignment_write(&out, ms_bytes_cstr(protocol_type), ms_bytes_of(bytes, len)), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    assert_string_equal((char *)out.data + 1, wanted);
    ms_buf_deinit(&out);
}
#define EXPECT(type, bytes, wanted) expect(type, bytes, sizeof(bytes) - 1, wanted)

#define TWO_TOPICS                                                                                 \
    "\0\1\0\0\0\2\0\5order\0\0\0\2\0\0\0\0\0\0\0\3\0\5stock\0\0\0\1\0\0\1\0\xff\xff\xff\xff"

static void topics_and_partitions_are_told(void **state) {
    (void)state;
    EXPECT("consumer", TWO_TOPICS,
           "\"assigned\":[{\"topic\":\"order\",\"partitions\":[0,3]},"
           "{\"topic\":\"stock\",\"partitions\":[256]}]");
    EXPECT("consumer", "\0\0\0\0\0\0\xff\xff\xff\xff", "\"assigned\":[]");
    EXPECT("consumer", "\0\7\0\0\0\0later fields", "\"assigned\":[]");
}

static void no_bytes_are_no_partitions(void **state) {
    (void)state;
    EXPECT("consumer", "", "\"assigned\":[]");
    EXPECT("connect", "", "\"assigned\":[]");
}

static void what_is_not_understood_is_told_as_it_is(void **state) {
    (void)state;
    EXPECT("connect", "\1\2\3", "\"assigned\":null,\"assignment_base64\":\"AQID\"");
    EXPECT("consumer", "x", "\"assigned\":null,\"assignment_base64\":\"eA==\"");
    EXPECT("consumer", "\0\1\xff\xff\xff\xff",
           "\"assigned\":null,\"assignment_base64\":\"AAH/////\"");
}

static void every_cut_of_an_assignment_is_survived(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 1 << 16);
    for (size_t len = 3; len < sizeof TWO_TOPICS - 1 - 4; len++) {
        ms_buf_clear(&out);
        assert_int_equal(ms_http_assignment_write(&out, MS_BYTES_LITERAL("consumer"),
                                                  ms_bytes_of(TWO_TOPICS, len)),
                         0);
        assert_int_equal(ms_buf_append_u8(&out, 0), 0);
        assert_memory_equal(out.data, "\"assigned\":null,", 16);
    }
    ms_buf_deinit(&out);
}

static void a_full_buffer_is_an_error(void **state) {
    (void)state;
    struct ms_buf out;
    ms_buf_init(&out, 20);
    assert_int_equal(ms_http_assignment_write(&out, MS_BYTES_LITERAL("consumer"),
                                              ms_bytes_of(TWO_TOPICS, sizeof TWO_TOPICS - 1)),
                     MS_ETOOBIG);
    ms_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_and_partitions_are_told),
        cmocka_unit_test(no_bytes_are_no_partitions),
        cmocka_unit_test(what_is_not_understood_is_told_as_it_is),
        cmocka_unit_test(every_cut_of_an_assignment_is_survived),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
