/* Bytes written down by hand from the protocol's specification, in versions that clients use: both
 * directions must agree with them. What the round trips of test_codec.c can't notice, a table that
 * is wrong, is noticed here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/kafka/messages.h"

#define BYTES_MAX 512
#define TEXT(literal) MS_BYTES_LITERAL(literal)

static size_t unhex(const char *text, uint8_t *bytes) {
    static const char DIGITS[] = "0123456789abcdef";
    size_t digits = 0;
    for (; *text; text++) {
        const char *digit = strchr(DIGITS, *text);
        if (*text == ' ')
            continue;
        assert_non_null(digit);
        assert_true(digits / 2 < BYTES_MAX);
        uint8_t *byte = &bytes[digits++ / 2];
        *byte = (uint8_t)((digits % 2 ? 0 : *byte << 4) | (digit - DIGITS));
    }
    assert_int_equal(digits % 2, 0);
    return digits / 2;
}

static void same_bytes(struct ms_bytes found, struct ms_bytes wanted) {
    for (size_t i = 0; i < found.len && i < wanted.len; i++)
        if (found.data[i] != wanted.data[i]) {
            print_error("byte %zu\n", i);
            assert_int_equal(found.data[i], wanted.data[i]);
        }
    assert_int_equal(found.len, wanted.len);
}

static void encodes_as(const struct ms_kafka_message *message, int16_t version, const void *value,
                       struct ms_bytes wanted, struct ms_arena *arena) {
    struct ms_kafka_output output = {.arena = arena};
    struct ms_error err = {0};
    ms_buf_init(&output.head, BYTES_MAX);
    if (ms_kafka_encode(message, version, value, &output, &err) < 0)
        fail_msg("%s", err.message);
    same_bytes(ms_buf_bytes(&output.head), wanted);
    ms_buf_deinit(&output.head);
}

/* The value is encoded as these bytes, and what they are decoded to is too. */
static void golden(const struct ms_kafka_message *message, int16_t version, const char *hex,
                   const void *value) {
    uint8_t bytes[BYTES_MAX];
    struct ms_bytes wanted = ms_bytes_of(bytes, unhex(hex, bytes));
    struct ms_arena arena;
    struct ms_error err = {0};
    void *decoded = NULL;
    ms_arena_init(&arena, 1 << 20);
    encodes_as(message, version, value, wanted, &arena);
    if (ms_kafka_decode(message, version, wanted, &arena, &decoded, &err) < 0)
        fail_msg("%s", err.message);
    encodes_as(message, version, decoded, wanted, &arena);
    ms_arena_deinit(&arena);
}

/* ---- ApiVersions ---- */

static void api_versions_v0(void **state) {
    (void)state;
    golden(&ms_kafka_api_versions_request_message, 0, "", &ms_kafka_api_versions_request_default);
    struct ms_kafka_api_versions_response_api_key key = {.api_key = 18, .max_version = 4};
    struct ms_kafka_api_versions_response response = ms_kafka_api_versions_response_default;
    response.error_code = 35;
    response.api_keys = &key;
    response.api_keys_count = 1;
    golden(&ms_kafka_api_versions_response_message, 0,
           "0023"             /* unsupported version */
           "00000001"         /* one key */
           "0012 0000 0004 ", /* 18: 0 to 4 */
           &response);
}

static void api_versions_v3(void **state) {
    (void)state;
    struct ms_kafka_api_versions_request request = {.client_software_name = TEXT("lib"),
                                                    .client_software_version = TEXT("1")};
    golden(&ms_kafka_api_versions_request_message, 3,
           "04 6c6962" /* length + 1, "lib" */
           "02 31"
           "00", /* no tagged fields */
           &request);
    struct ms_kafka_api_versions_response_api_key key = {.api_key = 18, .max_version = 4};
    struct ms_kafka_api_versions_response_supported_feature supported = {
        .name = TEXT("a.b"), .min_version = 0, .max_version = 1};
    struct ms_kafka_api_versions_response_finalized_feature finalized = {
        .name = TEXT("a.b"), .max_version_level = 1, .min_version_level = 0};
    struct ms_kafka_api_versions_response response = ms_kafka_api_versions_response_default;
    response.api_keys = &key;
    response.api_keys_count = 1;
    response.throttle_time_ms = 7;
    golden(&ms_kafka_api_versions_response_message, 3,
           "0000"
           "02 0012 0000 0004 00" /* count + 1; the key's tagged fields */
           "00000007"
           "00",
           &response);
    response.supported_features = &supported;
    response.supported_features_count = 1;
    response.finalized_features_epoch = 5;
    response.finalized_features = &finalized;
    response.finalized_features_count = 1;
    golden(&ms_kafka_api_versions_response_message, 3,
           "0000"
           "02 0012 0000 0004 00"
           "00000007"
           "03"                               /* three tagged fields */
           "00 0a 02 04 612e62 0000 0001 00"  /* tag 0, 10 bytes: from 0 to 1 */
           "01 08 0000000000000005"           /* tag 1, 8 bytes */
           "02 0a 02 04 612e62 0001 0000 00", /* tag 2, 10 bytes: the higher level first */
           &response);
}

/* ---- Metadata ---- */

static struct ms_kafka_metadata_response *metadata_response(void) {
    static int32_t nodes[] = {1};
    static struct ms_kafka_metadata_response_broker broker;
    static struct ms_kafka_metadata_response_partition partition;
    static struct ms_kafka_metadata_response_topic topic;
    static struct ms_kafka_metadata_response response;
    broker = ms_kafka_metadata_response_broker_default;
    broker.node_id = 1;
    broker.host = TEXT("h");
    broker.port = 9092;
    partition = ms_kafka_metadata_response_partition_default;
    partition.leader_id = 1;
    partition.leader_epoch = 0;
    partition.replica_nodes = partition.isr_nodes = nodes;
    partition.replica_nodes_count = partition.isr_nodes_count = 1;
    topic = ms_kafka_metadata_response_topic_default;
    topic.name = TEXT("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    response = ms_kafka_metadata_response_default;
    response.brokers = &broker;
    response.brokers_count = 1;
    response.cluster_id = TEXT("c");
    response.controller_id = 1;
    response.topics = &topic;
    response.topics_count = 1;
    return &response;
}

static void metadata_v1(void **state) {
    (void)state;
    struct ms_kafka_metadata_request request = ms_kafka_metadata_request_default;
    struct ms_kafka_metadata_request_topic topic = {.name = TEXT("t")};
    request.topics_count = -1;
    golden(&ms_kafka_metadata_request_message, 1, "ffffffff", &request);
    request.topics = &topic;
    request.topics_count = 1;
    golden(&ms_kafka_metadata_request_message, 1, "00000001 0001 74", &request);
    golden(&ms_kafka_metadata_response_message, 1,
           "00000001 00000001 0001 68 00002384 ffff" /* one broker: 1, h, 9092, no rack */
           "00000001"                                /* controller; no cluster id before v2 */
           "00000001 0000 0001 74 00"                /* one topic: no error, t, not internal */
           "00000001 0000 00000000 00000001"         /* one partition: no error, 0, leader 1 */
           "00000001 00000001"                       /* one replica */
           "00000001 00000001",                      /* in sync */
           metadata_response());
}

static void metadata_v9(void **state) {
    (void)state;
    struct ms_kafka_metadata_request request = ms_kafka_metadata_request_default;
    struct ms_kafka_metadata_request_topic topic = {.name = TEXT("t")};
    request.topics_count = -1;
    request.include_topic_authorized_operations = true;
    golden(&ms_kafka_metadata_request_message, 9, "00 01 00 01 00", &request);
    request.topics = &topic;
    request.topics_count = 1;
    golden(&ms_kafka_metadata_request_message, 9, "02 02 74 00 01 00 01 00", &request);
    golden(&ms_kafka_metadata_response_message, 9,
           "00000000"                         /* not throttled */
           "02 00000001 02 68 00002384 00 00" /* broker: no rack, no tagged fields */
           "02 63"                            /* cluster c */
           "00000001"                         /* controller */
           "02 0000 02 74 00"                 /* topic t */
           "02 0000 00000000 00000001"        /* partition 0, leader 1 */
           "00000000"                         /* leader's epoch */
           "02 00000001 02 00000001 01 00"    /* replicas, in sync, offline: none; tags */
           "80000000 00"                      /* operations on the topic: not asked for */
           "80000000 00",                     /* on the cluster */
           metadata_response());
}

/* ---- Produce ---- */

static void produce_requests(void **state) {
    (void)state;
    struct ms_kafka_produce_request_partition partition = {.records = {.bytes = TEXT("abc")}};
    struct ms_kafka_produce_request_topic topic = {
        .name = TEXT("t"), .partition_data = &partition, .partition_data_count = 1};
    struct ms_kafka_produce_request request = {
        .acks = -1, .timeout_ms = 1000, .topic_data = &topic, .topic_data_count = 1};
    static const char CLASSIC[] = "ffff"               /* no transactional id */
                                  "ffff 000003e8"      /* acks, timeout */
                                  "00000001 0001 74"   /* topic t */
                                  "00000001 00000000"  /* partition 0 */
                                  "00000003 61 62 63"; /* records */
    golden(&ms_kafka_produce_request_message, 3, CLASSIC, &request);
    golden(&ms_kafka_produce_request_message, 7, CLASSIC, &request);
    golden(&ms_kafka_produce_request_message, 9,
           "00"
           "ffff 000003e8"
           "02 02 74"
           "02 00000000"
           "04 61 62 63" /* records have their length + 1 too */
           "00 00 00",   /* tagged fields of partition, topic, request */
           &request);
    partition.records.bytes = (struct ms_bytes){0};
    golden(&ms_kafka_produce_request_message, 9, "00 ffff 000003e8 02 02 74 02 00000000 00 000000",
           &request);
}

static void produce_responses(void **state) {
    (void)state;
    struct ms_kafka_produce_response_partition partition =
        ms_kafka_produce_response_partition_default;
    struct ms_kafka_produce_response_topic topic = {
        .name = TEXT("t"), .partition_responses = &partition, .partition_responses_count = 1};
    struct ms_kafka_produce_response response = {.responses = &topic, .responses_count = 1};
    partition.base_offset = 258;
    partition.log_start_offset = 3;
    golden(&ms_kafka_produce_response_message, 3,
           "00000001 0001 74 00000001"
           "00000000 0000 0000000000000102" /* partition, error, base offset */
           "ffffffffffffffff"               /* log append time */
           "00000000",                      /* throttling comes last */
           &response);
    golden(&ms_kafka_produce_response_message, 7,
           "00000001 0001 74 00000001"
           "00000000 0000 0000000000000102"
           "ffffffffffffffff"
           "0000000000000003" /* log start offset, since v5 */
           "00000000",
           &response);
    golden(&ms_kafka_produce_response_message, 9,
           "02 02 74 02"
           "00000000 0000 0000000000000102"
           "ffffffffffffffff"
           "0000000000000003"
           "01 00" /* no errors of records, no message */
           "00 00" /* tagged fields of partition, topic */
           "00000000 00" /* throttling; tagged fields */,
           &response);
    partition.error_code = 6;
    partition.current_leader = (struct ms_kafka_produce_response_current_leader){1, 2};
    golden(&ms_kafka_produce_response_message, 10,
           "02 02 74 02"
           "00000000 0006 0000000000000102"
           "ffffffffffffffff"
           "0000000000000003"
           "01 00"
           "01 00 09 00000001 00000002 00" /* tag 0, 9 bytes: the leader, its tagged fields */
           "00"
           "00000000 00",
           &response);
}

/* ---- Fetch ---- */

static void fetch_requests(void **state) {
    (void)state;
    struct ms_kafka_fetch_request_partition partition = ms_kafka_fetch_request_partition_default;
    struct ms_kafka_fetch_request_topic topic = {
        .topic = TEXT("t"), .partitions = &partition, .partitions_count = 1};
    struct ms_kafka_fetch_request request = ms_kafka_fetch_request_default;
    partition.fetch_offset = 5;
    partition.partition_max_bytes = 65536;
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.isolation_level = 1;
    request.topics = &topic;
    request.topics_count = 1;
    golden(&ms_kafka_fetch_request_message, 4,
           "ffffffff 000001f4 00000001 7fffffff 01" /* replica, wait, least, most, isolation */
           "00000001 0001 74"
           "00000001 00000000"
           "0000000000000005 00010000", /* offset, most of the partition */
           &request);
    golden(&ms_kafka_fetch_request_message, 11,
           "ffffffff 000001f4 00000001 7fffffff 01"
           "00000000 ffffffff" /* session, its epoch */
           "00000001 0001 74"
           "00000001 00000000"
           "ffffffff 0000000000000005 ffffffffffffffff 00010000" /* leader's epoch, offset, start */
           "00000000 0000",                                      /* forgotten topics, rack */
           &request);
    golden(&ms_kafka_fetch_request_message, 12,
           "ffffffff 000001f4 00000001 7fffffff 01"
           "00000000 ffffffff"
           "02 02 74"
           "02 00000000"
           "ffffffff 0000000000000005 ffffffff ffffffffffffffff 00010000" /* + last epoch */
           "00 00"                                                        /* tagged fields */
           "01 01 00", /* forgotten topics, rack, tagged fields */
           &request);
    request.cluster_id = TEXT("c");
    request.topics_count = 0;
    golden(&ms_kafka_fetch_request_message, 12,
           "ffffffff 000001f4 00000001 7fffffff 01"
           "00000000 ffffffff"
           "01 01 01"
           "01 00 02 02 63", /* tag 0, 2 bytes: the cluster's id */
           &request);
}

static void fetch_responses(void **state) {
    (void)state;
    struct ms_kafka_fetch_response_partition partition = ms_kafka_fetch_response_partition_default;
    struct ms_kafka_fetch_response_topic topic = {
        .topic = TEXT("t"), .partitions = &partition, .partitions_count = 1};
    struct ms_kafka_fetch_response response = ms_kafka_fetch_response_default;
    response.responses = &topic;
    response.responses_count = 1;
    partition.high_watermark = 9;
    partition.last_stable_offset = 8;
    partition.log_start_offset = 2;
    partition.aborted_transactions_count = -1;
    partition.records.bytes = TEXT("abc");
    golden(&ms_kafka_fetch_response_message, 4,
           "00000000"
           "00000001 0001 74 00000001"
           "00000000 0000 0000000000000009 0000000000000008" /* partition, error, watermarks */
           "ffffffff"                                        /* no list of aborted transactions */
           "00000003 616263",
           &response);
    golden(&ms_kafka_fetch_response_message, 11,
           "00000000 0000 00000000" /* throttling, error, session */
           "00000001 0001 74 00000001"
           "00000000 0000 0000000000000009 0000000000000008 0000000000000002"
           "ffffffff"
           "ffffffff" /* preferred replica */
           "00000003 616263",
           &response);
    struct ms_kafka_fetch_response_aborted_transaction aborted = {7, 4};
    partition.aborted_transactions = &aborted;
    partition.aborted_transactions_count = 1;
    partition.current_leader = (struct ms_kafka_fetch_response_current_leader){1, 2};
    golden(&ms_kafka_fetch_response_message, 12,
           "00000000 0000 00000000"
           "02 02 74 02"
           "00000000 0000 0000000000000009 0000000000000008 0000000000000002"
           "02 0000000000000007 0000000000000004 00"
           "ffffffff"
           "04 616263"
           "01 01 09 00000001 00000002 00" /* tag 1: the leader */
           "00 00",
           &response);
}

/* ---- groups ---- */

static void join_group_v5(void **state) {
    (void)state;
    struct ms_kafka_join_group_request_protocol protocol = {TEXT("range"), TEXT("xy")};
    struct ms_kafka_join_group_request request = ms_kafka_join_group_request_default;
    request.group_id = TEXT("g");
    request.session_timeout_ms = 10000;
    request.rebalance_timeout_ms = 300000;
    request.protocol_type = TEXT("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    golden(&ms_kafka_join_group_request_message, 5,
           "0001 67 00002710 000493e0"
           "0000"                     /* no member id yet */
           "ffff"                     /* no instance id */
           "0008 636f6e73756d6572"    /* consumer */
           "00000001 0005 72616e6765" /* range */
           "00000002 7879",           /* bytes have a length of four bytes */
           &request);
    struct ms_kafka_join_group_response_member member = {.member_id = TEXT("m"),
                                                         .metadata = TEXT("xy")};
    struct ms_kafka_join_group_response response = ms_kafka_join_group_response_default;
    response.generation_id = 1;
    response.protocol_name = TEXT("range");
    response.leader = response.member_id = TEXT("m");
    response.members = &member;
    response.members_count = 1;
    golden(&ms_kafka_join_group_response_message, 5,
           "00000000 0000 00000001"
           "0005 72616e6765"
           "0001 6d 0001 6d"       /* leader, member */
           "00000001 0001 6d ffff" /* its id, no instance id */
           "00000002 7879",
           &response);
    /* An error needs nothing else: there is no null here before v7, so null is sent as empty. */
    response = ms_kafka_join_group_response_default;
    response.error_code = 79;
    response.protocol_name = (struct ms_bytes){NULL, 0};
    response.member_id = TEXT("m");
    uint8_t bytes[BYTES_MAX];
    struct ms_arena arena;
    ms_arena_init(&arena, BYTES_MAX);
    size_t len = unhex("00000000 004f ffffffff 0000 0000 0001 6d 00000000", bytes);
    encodes_as(&ms_kafka_join_group_response_message, 5, &response, ms_bytes_of(bytes, len),
               &arena);
    ms_arena_deinit(&arena);
}

static void offset_fetch_v8(void **state) {
    (void)state;
    int32_t indexes[] = {3};
    struct ms_kafka_offset_fetch_request_topic topic = {
        .name = TEXT("t"), .partition_indexes = indexes, .partition_indexes_count = 1};
    struct ms_kafka_offset_fetch_request_group groups[] = {
        {.group_id = TEXT("g"), .topics = &topic, .topics_count = 1},
        {.group_id = TEXT("h"), .topics_count = -1},
    };
    struct ms_kafka_offset_fetch_request request = {
        .groups = groups, .groups_count = 2, .require_stable = true};
    golden(&ms_kafka_offset_fetch_request_message, 8,
           "03 02 67"             /* two groups, g */
           "02 02 74 02 00000003" /* its topic t, partition 3 */
           "00 00"                /* tagged fields of topic, group */
           "02 68 00 00"          /* h: all topics; tagged fields */
           "01 00",               /* stable; tagged fields */
           &request);
    struct ms_kafka_offset_fetch_response_partition partition =
        ms_kafka_offset_fetch_response_partition_default;
    struct ms_kafka_offset_fetch_response_topic found = {
        .name = TEXT("t"), .partitions = &partition, .partitions_count = 1};
    struct ms_kafka_offset_fetch_response_group group = {
        .group_id = TEXT("g"), .topics = &found, .topics_count = 1};
    struct ms_kafka_offset_fetch_response response = {.groups = &group, .groups_count = 1};
    partition.partition_index = 3;
    partition.committed_offset = 42;
    partition.metadata = TEXT("");
    golden(&ms_kafka_offset_fetch_response_message, 8,
           "00000000"
           "02 02 67"
           "02 02 74"
           "02 00000003 000000000000002a ffffffff" /* partition, offset, no epoch */
           "01 0000 00"                            /* empty metadata, no error; tagged fields */
           "00"
           "0000 00" /* the group's error; its tagged fields */
           "00",
           &response);
}

static void find_coordinator_v4(void **state) {
    (void)state;
    struct ms_bytes keys[] = {TEXT("g"), TEXT("h")};
    struct ms_kafka_find_coordinator_request request = {.coordinator_keys = keys,
                                                        .coordinator_keys_count = 2};
    golden(&ms_kafka_find_coordinator_request_message, 4, "00 03 02 67 02 68 00", &request);
    struct ms_kafka_find_coordinator_response_coordinator coordinator = {
        .key = TEXT("g"), .node_id = 1, .host = TEXT("h"), .port = 9092};
    struct ms_kafka_find_coordinator_response response = {.coordinators = &coordinator,
                                                          .coordinators_count = 1};
    golden(&ms_kafka_find_coordinator_response_message, 4,
           "00000000"
           "02 02 67 00000001 02 68 00002384" /* key, node, host, port */
           "0000 00 00"                       /* no error, no message; tagged fields */
           "00",
           &response);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_versions_v0),     cmocka_unit_test(api_versions_v3),
        cmocka_unit_test(metadata_v1),         cmocka_unit_test(metadata_v9),
        cmocka_unit_test(produce_requests),    cmocka_unit_test(produce_responses),
        cmocka_unit_test(fetch_requests),      cmocka_unit_test(fetch_responses),
        cmocka_unit_test(join_group_v5),       cmocka_unit_test(offset_fetch_v8),
        cmocka_unit_test(find_coordinator_v4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
