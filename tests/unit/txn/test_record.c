/* Keys and values of `__transaction_state`. */
#include "txn_fixture.h"

static void ids_key_has_kafkas_layout(void **state) {
    (void)state;
    static const uint8_t wanted[] = {0, 0, 0, 1, 't'};
    struct ms_buf buf;
    struct ms_txn_key key;
    ms_buf_init(&buf, 1000);
    assert_int_equal(ms_txn_id_key_write(&buf, TEXT("t")), 0);
    assert_int_equal(buf.len, sizeof wanted);
    assert_memory_equal(buf.data, wanted, sizeof wanted);
    assert_int_equal(ms_txn_key_read(ms_buf_bytes(&buf), &key), 0);
    assert_int_equal(key.kind, MS_TXN_KEY_ID);
    assert_true(ms_bytes_equal_cstr(key.id, "t"));
    ms_buf_deinit(&buf);
}

static void write_value(struct ms_buf *buf, const struct ms_txn_value *value) {
    assert_int_equal(ms_txn_value_begin(buf, value), 0);
    assert_int_equal(ms_txn_value_topic(buf, TEXT("one"), 2), 0);
    assert_int_equal(ms_txn_value_partition(buf, 3), 0);
    assert_int_equal(ms_txn_value_partition(buf, 70000), 0);
    assert_int_equal(ms_txn_value_topic_end(buf), 0);
    assert_int_equal(ms_txn_value_topic(buf, TEXT("two"), 0), 0);
    assert_int_equal(ms_txn_value_topic_end(buf), 0);
    assert_int_equal(ms_txn_value_end(buf, value), 0);
}

static const struct ms_txn_value value_1 = {.producer_id = 7,
                                            .previous_producer_id = 6,
                                            .epoch = 5,
                                            .previous_epoch = 4,
                                            .timeout_ms = 1000,
                                            .state = 1,
                                            .changed_ms = 20,
                                            .started_ms = 10,
                                            .topic_count = 2};

static void value_is_read_as_it_was_written(void **state) {
    (void)state;
    struct ms_buf buf;
    struct ms_txn_value value;
    struct ms_txn_topic_value topic;
    ms_buf_init(&buf, 1000);
    write_value(&buf, &value_1);
    assert_int_equal(ms_txn_value_read(ms_buf_bytes(&buf), &value), 0);
    assert_int_equal(value.producer_id, 7);
    assert_int_equal(value.previous_producer_id, 6);
    assert_int_equal(value.epoch, 5);
    assert_int_equal(value.previous_epoch, 4);
    assert_int_equal(value.timeout_ms, 1000);
    assert_int_equal(value.state, 1);
    assert_int_equal(value.changed_ms, 20);
    assert_int_equal(value.started_ms, 10);
    assert_true(ms_txn_topic_next(&value, &topic));
    assert_true(ms_bytes_equal_cstr(topic.topic, "one"));
    assert_int_equal(topic.partition_count, 2);
    assert_int_equal(ms_txn_topic_partition(&topic, 1), 70000);
    assert_true(ms_txn_topic_next(&value, &topic));
    assert_int_equal(topic.partition_count, 0);
    assert_false(ms_txn_topic_next(&value, &topic));
    ms_buf_deinit(&buf);
}

/* Kafka's version 0: classic strings and arrays, no tags. */
static void value_of_version_0_is_read(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0, 0, 0, 0, 0, 0, 0, 0,   0, 7, 0, 5, 0, 0, 3, 0xe8,
                                    4, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 9,
                                    0, 0, 0, 0, 0, 0, 0, 20,  0, 0, 0, 0, 0, 0, 0, 10};
    struct ms_txn_value value;
    struct ms_txn_topic_value topic;
    assert_int_equal(ms_txn_value_read(ms_bytes_of(bytes, sizeof bytes), &value), 0);
    assert_int_equal(value.producer_id, 7);
    assert_int_equal(value.state, 4);
    assert_int_equal(value.previous_producer_id, -1);
    assert_int_equal(value.changed_ms, 20);
    assert_true(ms_txn_topic_next(&value, &topic));
    assert_int_equal(ms_txn_topic_partition(&topic, 0), 9);
}

static void cut_and_foreign_values_are_refused(void **state) {
    (void)state;
    struct ms_buf buf;
    struct ms_txn_value value;
    struct ms_txn_key key;
    ms_buf_init(&buf, 1000);
    write_value(&buf, &value_1);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(ms_txn_value_read(ms_bytes_of(buf.data, len), &value), MS_EINVAL);
    for (size_t len = 0; len < 4; len++)
        assert_int_equal(ms_txn_key_read(ms_bytes_of("\0\0\0\1t", len), &key), MS_EINVAL);
    for (int s = 0; s < 256; s++) {
        buf.data[16] = (uint8_t)s;
        int wanted = s == 0 || s == 1 || s == 4 || s == 5 ? 0 : MS_EINVAL;
        assert_int_equal(ms_txn_value_read(ms_buf_bytes(&buf), &value), wanted);
    }
    for (size_t i = 0; i < buf.len; i++) { /* nothing is read beyond the end */
        uint8_t *copy = malloc(buf.len);
        assert_non_null(copy);
        memcpy(copy, buf.data, buf.len);
        copy[i] = 0xff;
        (void)!ms_txn_value_read(ms_bytes_of(copy, buf.len), &value);
        free(copy);
    }
    ms_buf_deinit(&buf);
}

static void times_before_1970_are_refused(void **state) {
    (void)state;
    struct ms_buf buf;
    struct ms_txn_value value, read;
    ms_buf_init(&buf, 1000);
    for (int which = 0; which < 2; which++)
        for (int64_t time_ms = -2; time_ms < 1; time_ms++) {
            value = value_1;
            *(which == 0 ? &value.started_ms : &value.changed_ms) = time_ms;
            ms_buf_clear(&buf);
            write_value(&buf, &value);
            int wanted = time_ms < -1 ? MS_EINVAL : 0;
            assert_int_equal(ms_txn_value_read(ms_buf_bytes(&buf), &read), wanted);
        }
    struct ms_txn_pending_value pending = {3, INT64_MIN, TEXT("value")};
    ms_buf_clear(&buf);
    assert_int_equal(ms_txn_pending_value_write(&buf, &pending), 0);
    assert_int_equal(ms_txn_pending_value_read(ms_buf_bytes(&buf), &pending), MS_EINVAL);
    ms_buf_deinit(&buf);
}

static void own_kinds_are_read_as_they_were_written(void **state) {
    (void)state;
    struct ms_buf buf;
    struct ms_txn_key key;
    struct ms_txn_pending_value pending = {3, 99, TEXT("value")};
    int64_t next;
    ms_buf_init(&buf, 1000);
    assert_int_equal(ms_txn_ids_key_write(&buf), 0);
    assert_int_equal(ms_txn_key_read(ms_buf_bytes(&buf), &key), 0);
    assert_int_equal(key.kind, MS_TXN_KEY_PRODUCER_IDS);
    ms_buf_clear(&buf);
    assert_int_equal(ms_txn_ids_value_write(&buf, 3000), 0);
    assert_int_equal(ms_txn_ids_value_read(ms_buf_bytes(&buf), &next), 0);
    assert_int_equal(next, 3000);
    ms_buf_clear(&buf);
    assert_int_equal(ms_txn_pending_key_write(&buf, 12, TEXT("key")), 0);
    assert_int_equal(ms_txn_key_read(ms_buf_bytes(&buf), &key), 0);
    assert_int_equal(key.kind, MS_TXN_KEY_PENDING);
    assert_int_equal(key.producer_id, 12);
    assert_true(ms_bytes_equal_cstr(key.offset_key, "key"));
    ms_buf_clear(&buf);
    assert_int_equal(ms_txn_pending_value_write(&buf, &pending), 0);
    assert_int_equal(ms_txn_pending_value_read(ms_buf_bytes(&buf), &pending), 0);
    assert_int_equal(pending.epoch, 3);
    assert_int_equal(pending.started_ms, 99);
    assert_true(ms_bytes_equal_cstr(pending.offset_value, "value"));
    ms_buf_deinit(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_key_has_kafkas_layout),
        cmocka_unit_test(value_is_read_as_it_was_written),
        cmocka_unit_test(value_of_version_0_is_read),
        cmocka_unit_test(cut_and_foreign_values_are_refused),
        cmocka_unit_test(times_before_1970_are_refused),
        cmocka_unit_test(own_kinds_are_read_as_they_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
