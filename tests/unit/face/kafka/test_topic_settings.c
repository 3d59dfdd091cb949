/* Each setting of a topic that Kafka's clients may change does something, over the protocol: for
 * every row of the table a topic is made with it, or gets it and loses it again by either way of
 * altering; what DescribeConfigs then says, and what the topic does, must be the row's. */
#include "face/kafka/topic_config.h"

#include "kafka_store.h"
#include "store/topic_records.h"
#include "store/transactions.h"
#include "wire/compress.h"

#define HOUR_MS ((int64_t)3600000)
enum { FROM_TOPIC = 1, FROM_DEFAULT = 5 };
enum { TOO_LARGE = 10, NO_PARTITION = 3, BAD_TIMESTAMP = 32 };

static struct store_world *world_of(struct kafka_store *k) { return &k->world; }

/* ---- producing over the protocol ---- */

struct produced {
    int error;
    int64_t append_time_ms;
};

static struct produced produce(struct kafka_store *k, const char *topic, int32_t partition,
                               int64_t time_ms, size_t bytes) {
    struct ms_batch_writer writer;
    struct ms_buf batch;
    char text[4096];
    memset(text, 'v', sizeof text);
    struct ms_bytes key = B("key"), value = ms_bytes_of(text, bytes);
    ms_buf_init(&batch, MIB);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, time_ms), 0);
    assert_int_equal(ms_batch_add(&writer, time_ms, &key, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    struct ms_kafka_produce_request_partition data = ms_kafka_produce_request_partition_default;
    data.index = partition;
    data.records.bytes = ms_buf_bytes(&batch);
    struct ms_kafka_produce_request_topic named = ms_kafka_produce_request_topic_default;
    named.name = ms_bytes_cstr(topic);
    named.partition_data = &data;
    named.partition_data_count = 1;
    struct ms_kafka_produce_request request = ms_kafka_produce_request_default;
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = &named;
    request.topic_data_count = 1;
    const struct ms_kafka_produce_response *answer = call(k, 0, 9, &request);
    ms_buf_deinit(&batch);
    return (struct produced){answer->responses[0].partition_responses[0].error_code,
                             answer->responses[0].partition_responses[0].log_append_time_ms};
}

/* ---- what topics do ---- */

/* Everything so far is sealed, and scavenged: as scheduled runs do it, or whatever it gains. */
static void scavenge(struct kafka_store *k, bool all) {
    fill_segment(world_of(k));
    scavenge_store(world_of(k), all);
}

static bool supersedes(struct kafka_store *k, const char *topic) {
    produce_one(world_of(k), topic, 0, "a", "old");
    produce_one(world_of(k), topic, 0, "a", "new");
    scavenge(k, true);
    return strcmp(records_of(world_of(k), topic, 0, 0), "1:a=new") == 0;
}

static void alter_one(struct kafka_store *k, const char *topic, int operation, const char *name,
                      const char *value);

enum { SET, DELETE };

/* With compaction a retention of a millisecond does nothing, but with both. */
static bool compacts_alone(struct kafka_store *k, const char *topic) {
    bool supersedes_old = supersedes(k, topic);
    alter_one(k, topic, SET, "retention.ms", "1");
    scavenge(k, true);
    bool expired = state_of(world_of(k), topic, 0).start_offset > 0;
    return supersedes_old && !expired;
}

static bool compacts_and_deletes(struct kafka_store *k, const char *topic) {
    bool supersedes_old = supersedes(k, topic);
    alter_one(k, topic, SET, "retention.ms", "1");
    scavenge(k, true);
    return supersedes_old && state_of(world_of(k), topic, 0).start_offset == 2;
}

static bool stores_zstd(struct kafka_store *k, const char *topic) {
    struct ms_partition_reader *reader;
    struct ms_slice_list slices = {0};
    struct ms_partition_read_result result;
    struct ms_batch_header header;
    assert_int_equal(produce(k, topic, 0, 1000, 4000).error, 0);
    assert_int_equal(ms_partition_reader_new(world_of(k)->store, &reader), 0);
    struct ms_partition_read read = {
        .topic = topic_named(world_of(k), topic), .bytes_max = 100000, .oversized = true};
    assert_int_equal(ms_store_read_partition(reader, &read, &slices, &result, NULL), 0);
    assert_int_equal(ms_batch_read_header(slices.items[0].bytes, &header, NULL), 0);
    ms_slice_list_deinit(&slices);
    ms_partition_reader_free(reader);
    return (header.attributes & MS_BATCH_CODEC_MASK) == MS_CODEC_ZSTD;
}

/* The first scavenge takes what the tombstone hides, the second the tombstone. */
static bool forgets_tombstones(struct kafka_store *k, const char *topic) {
    alter_one(k, topic, SET, "cleanup.policy", "compact");
    produce_one(world_of(k), topic, 0, "a", "old");
    produce_one(world_of(k), topic, 0, "a", NULL);
    produce_one(world_of(k), topic, 0, "b", "last");
    scavenge(k, true);
    scavenge(k, true);
    return strcmp(records_of(world_of(k), topic, 0, 0), "2:b=last") == 0;
}

static bool spares_the_young(struct kafka_store *k, const char *topic) {
    alter_one(k, topic, SET, "cleanup.policy", "compact");
    return !supersedes(k, topic);
}

/* Two small records among much that is wanted and can't be compressed: no gain worth a rewrite. */
static bool compacts_in_time(struct kafka_store *k, const char *topic) {
    static char noise[60001];
    alter_one(k, topic, SET, "cleanup.policy", "compact");
    for (uint64_t i = 0; i < 12; i++) {
        char key[32];
        for (size_t n = 0; n < sizeof noise - 1; n++)
            noise[n] = (char)(1 + ms_hash64(&n, sizeof n, i) % 255);
        snprintf(key, sizeof key, "n%d", (int)i);
        produce_one(world_of(k), topic, 0, key, noise);
    }
    produce_one(world_of(k), topic, 0, "a", "old");
    produce_one(world_of(k), topic, 0, "a", "new");
    fill_segment(world_of(k));
    struct ms_scavenge_options options = {0};
    struct ms_scavenge_result result;
    assert_int_equal(ms_scavenge_lock(world_of(k)->store), 0);
    assert_int_equal(ms_scavenge_run(world_of(k)->store, &options, true, &result, NULL), 0);
    return strcmp(records_of(world_of(k), topic, 0, 12), "13:a=new") == 0;
}

static bool refuses_large_batches(struct kafka_store *k, const char *topic) {
    assert_int_equal(produce(k, topic, 0, 1000, 100).error, 0);
    int error = produce(k, topic, 0, 1000, 2000).error;
    assert_true(error == 0 || error == TOO_LARGE);
    return error != 0;
}

static bool refuses(struct kafka_store *k, const char *topic, int64_t lead_ms) {
    int64_t now_ms = now_of(world_of(k));
    assert_int_equal(produce(k, topic, 0, now_ms, 10).error, 0);
    assert_int_equal(produce(k, topic, 0, now_ms + lead_ms / 4, 10).error, 0);
    int error = produce(k, topic, 0, now_ms + lead_ms, 10).error;
    assert_true(error == 0 || error == BAD_TIMESTAMP);
    return error != 0;
}

static bool refuses_old_records(struct kafka_store *k, const char *topic) {
    return refuses(k, topic, -4 * HOUR_MS);
}

static bool refuses_early_records(struct kafka_store *k, const char *topic) {
    return refuses(k, topic, 4 * HOUR_MS);
}

static bool refuses_both(struct kafka_store *k, const char *topic) {
    bool old = refuses_old_records(k, topic), early = refuses_early_records(k, topic);
    assert_int_equal(old, early);
    return old;
}

static void take_time(void *context, const struct ms_record *record) {
    *(int64_t *)context = record->timestamp_ms;
}

static bool stamps_records(struct kafka_store *k, const char *topic) {
    int64_t time_ms = -1;
    struct produced produced = produce(k, topic, 0, 1000, 10);
    read_records(world_of(k), topic, 0, 0, take_time, &time_ms);
    bool stamped = produced.append_time_ms != -1;
    assert_true(time_ms == (stamped ? produced.append_time_ms : 1000));
    return stamped;
}

static bool keeps_no_more(struct kafka_store *k, const char *topic) {
    for (int i = 0; i < 3; i++)
        produce_one(world_of(k), topic, 0, "a", "value");
    scavenge(k, true);
    int64_t start = state_of(world_of(k), topic, 0).start_offset;
    assert_true(start == 0 || start == 2 || start == 3);
    return start > 0;
}

/* ---- the table ---- */

static const struct setting {
    const char *name, *value, *standard;
    bool (*acts)(struct kafka_store *k, const char *topic);
} settings[] = {
    {"cleanup.policy", "compact", "delete", compacts_alone},
    {"cleanup.policy", "compact,delete", "delete", compacts_and_deletes},
    {"compression.type", "zstd", "producer", stores_zstd},
    {"delete.retention.ms", "0", "86400000", forgets_tombstones},
    {"max.compaction.lag.ms", "1", "9223372036854775807", compacts_in_time},
    {"max.message.bytes", "1000", "1048588", refuses_large_batches},
    {"message.timestamp.after.max.ms", "7200000", "9223372036854775807", refuses_early_records},
    {"message.timestamp.before.max.ms", "7200000", "9223372036854775807", refuses_old_records},
    {"message.timestamp.difference.max.ms", "7200000", "9223372036854775807", refuses_both},
    {"message.timestamp.type", "LogAppendTime", "CreateTime", stamps_records},
    {"min.compaction.lag.ms", "3600000", "0", spares_the_young},
    {"retention.bytes", "1", "-1", keeps_no_more},
    {"retention.ms", "1", "-1", keeps_no_more},
    {"mainstem.retention.count", "1", "-1", keeps_no_more},
};
#define SETTINGS (sizeof settings / sizeof *settings)

/* ---- ways to set and reset ---- */

static void make(struct kafka_store *k, const char *topic, const char *name, const char *value) {
    struct ms_kafka_create_topics_request_config config =
        ms_kafka_create_topics_request_config_default;
    struct ms_kafka_create_topics_request_topic made = ms_kafka_create_topics_request_topic_default;
    struct ms_kafka_create_topics_request request = ms_kafka_create_topics_request_default;
    made.name = ms_bytes_cstr(topic);
    made.num_partitions = made.replication_factor = 1;
    made.configs = &config;
    made.configs_count = name != NULL;
    if (name != NULL)
        config.name = ms_bytes_cstr(name), config.value = ms_bytes_cstr(value);
    request.topics = &made;
    request.topics_count = 1;
    const struct ms_kafka_create_topics_response *answer = call(k, 19, 7, &request);
    assert_int_equal(answer->topics[0].error_code, 0);
}

static void alter_one(struct kafka_store *k, const char *topic, int operation, const char *name,
                      const char *value) {
    struct ms_kafka_incremental_alter_configs_request_config change = {
        .name = ms_bytes_cstr(name),
        .config_operation = (int8_t)operation,
        .value = value != NULL ? ms_bytes_cstr(value) : (struct ms_bytes){0}};
    struct ms_kafka_incremental_alter_configs_request_resource resource = {.resource_type = 2,
                                                                           .resource_name =
                                                                               ms_bytes_cstr(topic),
                                                                           .configs = &change,
                                                                           .configs_count = 1};
    struct ms_kafka_incremental_alter_configs_request request = {.resources = &resource,
                                                                 .resources_count = 1};
    const struct ms_kafka_incremental_alter_configs_response *answer = call(k, 44, 1, &request);
    assert_int_equal(answer->responses[0].error_code, 0);
}

/* All of them; without a value there is none. */
static void replace_all(struct kafka_store *k, const char *topic, const char *name,
                        const char *value) {
    struct ms_kafka_alter_configs_request_config config = {
        ms_bytes_cstr(name), ms_bytes_cstr(value != NULL ? value : "")};
    struct ms_kafka_alter_configs_request_resource resource = {.resource_type = 2,
                                                               .resource_name =
                                                                   ms_bytes_cstr(topic),
                                                               .configs = &config,
                                                               .configs_count = value != NULL};
    struct ms_kafka_alter_configs_request request = {.resources = &resource, .resources_count = 1};
    const struct ms_kafka_alter_configs_response *answer = call(k, 33, 2, &request);
    assert_int_equal(answer->responses[0].error_code, 0);
}

enum way { LEFT_ALONE, MADE_WITH, ALTERED, ALTERED_BACK, REPLACED, REPLACED_BACK, WAYS };

static bool go(struct kafka_store *k, const char *topic, const struct setting *setting,
               enum way way) {
    const char *name = setting->name, *value = setting->value;
    make(k, topic, way == MADE_WITH ? name : NULL, value);
    if (way == ALTERED || way == ALTERED_BACK)
        alter_one(k, topic, SET, name, value);
    if (way == ALTERED_BACK)
        alter_one(k, topic, DELETE, name, NULL);
    if (way == REPLACED || way == REPLACED_BACK)
        replace_all(k, topic, name, value);
    if (way == REPLACED_BACK)
        replace_all(k, topic, name, NULL);
    return way == MADE_WITH || way == ALTERED || way == REPLACED;
}

static void check_described(struct kafka_store *k, const char *topic, const struct setting *setting,
                            bool set) {
    struct ms_bytes name = ms_bytes_cstr(setting->name);
    struct ms_kafka_describe_configs_request_resource resource = {.resource_type = 2,
                                                                  .resource_name =
                                                                      ms_bytes_cstr(topic),
                                                                  .configuration_keys = &name,
                                                                  .configuration_keys_count = 1};
    struct ms_kafka_describe_configs_request request = ms_kafka_describe_configs_request_default;
    request.resources = &resource;
    request.resources_count = 1;
    const struct ms_kafka_describe_configs_response *answer = call(k, 32, 4, &request);
    assert_int_equal(answer->results[0].configs_count, 1);
    assert_bytes(answer->results[0].configs[0].value, set ? setting->value : setting->standard);
    assert_int_equal(answer->results[0].configs[0].config_source, set ? FROM_TOPIC : FROM_DEFAULT);
    assert_false(answer->results[0].configs[0].read_only);
}

/* Each in a store of its own: what else is in a segment decides whether it is rewritten. */
static void every_setting_acts_and_is_shown(void **state) {
    for (size_t n = 0; n < SETTINGS * WAYS; n++) {
        const struct setting *setting = &settings[n / WAYS];
        enum way way = (enum way)(n % WAYS);
        assert_int_equal(kafka_store_set_up(state), 0);
        struct kafka_store *k = *state;
        bool set = go(k, "t", setting, way);
        check_described(k, "t", setting, set);
        if (setting->acts(k, "t") != set)
            fail_msg("%s=%s %s, way %d", setting->name, setting->value,
                     set ? "does nothing" : "acts without being set", way);
        check_described(k, "t", setting, set);
        assert_int_equal(kafka_store_tear_down(state), 0);
    }
}

/* A setting without a row here is one that has no effect, or can't be set, and says so. */
static void what_is_not_in_the_table_says_that_it_has_no_effect(void **state) {
    (void)state;
    for (size_t i = 0; i < ms_kafka_topic_config_count; i++) {
        const struct ms_kafka_topic_config *config = &ms_kafka_topic_configs[i];
        bool found = config->stays; /* streams, which stay: tests/client/kafka/faces.test.mjs */
        for (size_t n = 0; n < SETTINGS; n++)
            found = found || strcmp(settings[n].name, config->name) == 0;
        bool says = strncmp(config->documentation, "Kept and shown", 14) == 0 ||
                    strncmp(config->documentation, "Only the default", 16) == 0;
        if (found == says)
            fail_msg("%s", config->name);
    }
}

/* ---- partitions ---- */

static void partitions_are_made_and_added(void **state) {
    struct kafka_store *k = *state;
    make(k, "t", NULL, NULL);
    assert_int_equal(produce(k, "t", 0, 1000, 10).error, 0);
    assert_int_equal(produce(k, "t", 1, 1000, 10).error, NO_PARTITION);
    struct ms_kafka_create_partitions_request_topic more =
        ms_kafka_create_partitions_request_topic_default;
    more.name = B("t");
    more.count = 3;
    more.assignments_count = -1;
    struct ms_kafka_create_partitions_request request = ms_kafka_create_partitions_request_default;
    request.topics = &more;
    request.topics_count = 1;
    const struct ms_kafka_create_partitions_response *answer = call(k, 37, 3, &request);
    assert_int_equal(answer->results[0].error_code, 0);
    for (int32_t partition = 0; partition < 3; partition++)
        assert_int_equal(produce(k, "t", partition, 1000, 10).error, 0);
    assert_int_equal(produce(k, "t", 3, 1000, 10).error, NO_PARTITION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_acts_and_is_shown),
        cmocka_unit_test(what_is_not_in_the_table_says_that_it_has_no_effect),
        kafka_store_test(partitions_are_made_and_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
