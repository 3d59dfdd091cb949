/* DeleteRecords, and what consumers see of it. */
#include "kafka_store.h"
#include "store/topic_records.h"

static struct ms_kafka_delete_records_response_partition delete_before(
    struct kafka_store *k, int16_t version, const char *topic, int32_t partition, int64_t offset) {
    struct ms_kafka_delete_records_request_partition wanted = {.partition_index = partition,
                                                               .offset = offset};
    struct ms_kafka_delete_records_request_topic named = {
        .name = ms_bytes_cstr(topic), .partitions = &wanted, .partitions_count = 1};
    struct ms_kafka_delete_records_request request = {.topics = &named, .topics_count = 1};
    const struct ms_kafka_delete_records_response *answer = call(k, 21, version, &request);
    assert_int_equal(answer->topics_count, 1);
    assert_bytes(answer->topics[0].name, topic);
    assert_int_equal(answer->topics[0].partitions_count, 1);
    assert_int_equal(answer->topics[0].partitions[0].partition_index, partition);
    return answer->topics[0].partitions[0];
}

static void assert_deleted(struct kafka_store *k, int16_t version, int64_t offset, int64_t start) {
    struct ms_kafka_delete_records_response_partition answer =
        delete_before(k, version, "t", 0, offset);
    assert_int_equal(answer.error_code, 0);
    assert_int_equal(answer.low_watermark, start);
}

static int64_t offset_at(struct kafka_store *k, int64_t timestamp) {
    struct ms_kafka_list_offsets_request_partition wanted =
        ms_kafka_list_offsets_request_partition_default;
    wanted.timestamp = timestamp;
    struct ms_kafka_list_offsets_request_topic named = {
        .name = B("t"), .partitions = &wanted, .partitions_count = 1};
    struct ms_kafka_list_offsets_request request = ms_kafka_list_offsets_request_default;
    request.topics = &named;
    request.topics_count = 1;
    const struct ms_kafka_list_offsets_response *answer = call(k, 2, 5, &request);
    assert_int_equal(answer->topics[0].partitions[0].error_code, 0);
    return answer->topics[0].partitions[0].offset;
}

static struct ms_kafka_fetch_response_partition fetch(struct kafka_store *k, int64_t offset) {
    struct ms_kafka_fetch_request_partition wanted = ms_kafka_fetch_request_partition_default;
    wanted.fetch_offset = offset;
    wanted.partition_max_bytes = 100000;
    struct ms_kafka_fetch_request_topic named = ms_kafka_fetch_request_topic_default;
    named.topic = B("t");
    named.partitions = &wanted;
    named.partitions_count = 1;
    struct ms_kafka_fetch_request request = ms_kafka_fetch_request_default;
    request.max_bytes = 100000;
    request.topics = &named;
    request.topics_count = 1;
    const struct ms_kafka_fetch_response *answer = call(k, 1, 11, &request);
    assert_int_equal(answer->responses_count, 1);
    assert_int_equal(answer->responses[0].partitions_count, 1);
    return answer->responses[0].partitions[0];
}

static void consumers_begin_where_records_were_deleted_to(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    for (int i = 0; i < 4; i++)
        produce_one(&k->world, "t", 0, "key", "value");
    for (int16_t version = 0; version <= 2; version++) {
        assert_deleted(k, version, version + 1, version + 1);
        assert_deleted(k, version, 0, version + 1); /* it never moves back */
        assert_int_equal(offset_at(k, -2), version + 1);
        assert_int_equal(offset_at(k, 0), version + 1);
        assert_int_equal(offset_at(k, -1), 4);
        struct ms_kafka_fetch_response_partition fetched = fetch(k, version);
        assert_int_equal(fetched.error_code, 1);
        fetched = fetch(k, version + 1);
        assert_int_equal(fetched.error_code, 0);
        assert_int_equal(fetched.log_start_offset, version + 1);
        assert_true(fetched.records.bytes.len > 0);
    }
    assert_deleted(k, 2, -1, 4);
    assert_int_equal(offset_at(k, -2), 4);
    assert_int_equal(fetch(k, 4).records.bytes.len, 0);
}

static void what_cannot_be_deleted_says_why(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    produce_one(&k->world, "t", 0, "key", "value");
    assert_int_equal(delete_before(k, 2, "t", 0, 2).error_code, 1);
    assert_int_equal(delete_before(k, 2, "t", 0, -2).error_code, 1);
    assert_int_equal(delete_before(k, 2, "t", 1, 0).error_code, 3);
    assert_int_equal(delete_before(k, 2, "t", -1, 0).error_code, 3);
    assert_int_equal(delete_before(k, 2, "none", 0, 0).error_code, 3);
    struct ms_topic_settings settings = topic_info(k, "t").settings;
    settings.compact = settings.retention_ignored = true;
    put_topic(&k->world, "t", settings);
    assert_int_equal(delete_before(k, 2, "t", 0, 1).error_code, 44);
    assert_int_equal(delete_before(k, 2, "t", 0, 1).low_watermark, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        kafka_store_test(consumers_begin_where_records_were_deleted_to),
        kafka_store_test(what_cannot_be_deleted_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
