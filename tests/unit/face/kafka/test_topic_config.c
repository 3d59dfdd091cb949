/* The table of a topic's configs, and describing and altering them over the protocol. */
#include "face/kafka/topic_config.h"

#include "kafka_store.h"

typedef struct ms_kafka_describe_configs_request_resource describe_resource;
typedef struct ms_kafka_describe_configs_response described;
typedef struct ms_kafka_describe_configs_response_config described_config;
typedef struct ms_kafka_incremental_alter_configs_request_config change_type;

enum { SET, DELETE, APPEND, SUBTRACT };

/* ---- the table ---- */

static struct ms_topic_settings standard_settings(void) {
    return (struct ms_topic_settings){
        .partitions = 1,
        .retention_ms = -1,
        .retention_bytes = -1,
        .retention_count = -1,
        .message_bytes_max = MS_MESSAGE_BYTES_MAX,
        .delete_retention_ms = MS_DELETE_RETENTION_MS,
        .timestamp_before_ms = MS_TIMESTAMP_ANY,
        .timestamp_after_ms = MS_TIMESTAMP_ANY,
    };
}

static void table_is_in_order_and_agrees_with_the_defaults(void **state) {
    (void)state;
    struct ms_topic_settings settings = standard_settings();
    uint64_t bits = 0;
    for (size_t i = 0; i < ms_kafka_topic_config_count; i++) {
        const struct ms_kafka_topic_config *config = &ms_kafka_topic_configs[i];
        char value[MS_KAFKA_CONFIG_VALUE_MAX];
        if (i > 0)
            assert_true(strcmp(ms_kafka_topic_configs[i - 1].name, config->name) < 0);
        assert_ptr_equal(ms_kafka_topic_config_find(ms_bytes_cstr(config->name)), config);
        ms_kafka_topic_config_get(config, &settings, value);
        assert_string_equal(value, config->standard);
        assert_int_equal(ms_kafka_topic_config_source(config, &settings), MS_KAFKA_CONFIG_DEFAULT);
        assert_true(config->bit < 63);
        assert_int_equal(bits >> config->bit & 1, 0);
        bits |= (uint64_t)1 << config->bit;
        assert_int_equal(config->documentation[strlen(config->documentation) - 1], '.');
    }
    assert_null(ms_kafka_topic_config_find(B("retention")));
}

static void every_value_is_read_back(void **state) {
    (void)state;
    static const char *const values[][2] = {
        {"cleanup.policy", "compact"},
        {"cleanup.policy", "compact,delete"},
        {"compression.type", "gzip"},
        {"compression.type", "uncompressed"},
        {"compression.type", "zstd"},
        {"delete.retention.ms", "0"},
        {"flush.ms", "12345678"},
        {"flush.messages", "1"},
        {"index.interval.bytes", "0"},
        {"max.compaction.lag.ms", "1"},
        {"max.message.bytes", "2147483647"},
        {"message.timestamp.after.max.ms", "3600000"},
        {"message.timestamp.before.max.ms", "0"},
        {"message.timestamp.difference.max.ms", "60000"},
        {"message.timestamp.type", "LogAppendTime"},
        {"min.cleanable.dirty.ratio", "0.01"},
        {"min.cleanable.dirty.ratio", "0"},
        {"min.compaction.lag.ms", "77"},
        {"retention.bytes", "1000"},
        {"retention.ms", "604800000"},
        {"segment.bytes", "52428800"},
        {"segment.ms", "1"},
        {"segment.jitter.ms", "5"},
        {"segment.index.bytes", "4"},
        {"file.delete.delay.ms", "0"},
        {"mainstem.retention.count", "10"},
        {"mainstem.streams", "true"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct ms_topic_settings settings = standard_settings();
        char value[MS_KAFKA_CONFIG_VALUE_MAX];
        const struct ms_kafka_topic_config *config =
            ms_kafka_topic_config_find(ms_bytes_cstr(values[i][0]));
        assert_non_null(config);
        assert_int_equal(
            ms_kafka_topic_config_set(config, &settings, ms_bytes_cstr(values[i][1]), NULL), 0);
        ms_kafka_topic_config_get(config, &settings, value);
        assert_string_equal(value, values[i][1]);
        assert_int_equal(ms_kafka_topic_config_source(config, &settings), MS_KAFKA_CONFIG_TOPIC);
        ms_kafka_topic_config_reset(config, &settings);
        ms_kafka_topic_config_get(config, &settings, value);
        assert_string_equal(value, config->stays ? values[i][1] : config->standard);
    }
}

static void set_config(struct ms_topic_settings *settings, const char *name, const char *value) {
    const struct ms_kafka_topic_config *config = ms_kafka_topic_config_find(ms_bytes_cstr(name));
    if (value == NULL)
        ms_kafka_topic_config_reset(config, settings);
    else
        assert_int_equal(ms_kafka_topic_config_set(config, settings, ms_bytes_cstr(value), NULL),
                         0);
}

/* Kafka's older config holds where the newer ones are not set. */
static void one_bound_of_timestamps_stands_for_both(void **state) {
    (void)state;
    struct ms_topic_settings settings = standard_settings();
    set_config(&settings, "message.timestamp.before.max.ms", "100");
    set_config(&settings, "message.timestamp.difference.max.ms", "7");
    assert_int_equal(settings.timestamp_before_ms, 100);
    assert_int_equal(settings.timestamp_after_ms, 7);
    set_config(&settings, "message.timestamp.after.max.ms", "200");
    assert_int_equal(settings.timestamp_after_ms, 200);
    set_config(&settings, "message.timestamp.before.max.ms", NULL);
    assert_int_equal(settings.timestamp_before_ms, 7);
    set_config(&settings, "message.timestamp.difference.max.ms", NULL);
    assert_true(settings.timestamp_before_ms == MS_TIMESTAMP_ANY);
    assert_int_equal(settings.timestamp_after_ms, 200);
}

static void senseless_values_are_refused_with_a_sentence(void **state) {
    (void)state;
    static const char *const values[][2] = {
        {"cleanup.policy", ""},
        {"cleanup.policy", "shred"},
        {"cleanup.policy", "compact,x"},
        {"compression.type", "none"},
        {"compression.type", "brotli"},
        {"delete.retention.ms", "-1"},
        {"flush.ms", "1s"},
        {"max.compaction.lag.ms", "0"},
        {"max.message.bytes", "60"},
        {"max.message.bytes", "2147483648"},
        {"message.timestamp.after.max.ms", "-1"},
        {"message.timestamp.before.max.ms", "1h"},
        {"message.timestamp.type", "now"},
        {"min.cleanable.dirty.ratio", "1.5"},
        {"min.cleanable.dirty.ratio", "nan"},
        {"min.insync.replicas", "2"},
        {"retention.ms", "-2"},
        {"retention.ms", "9223372036854775808"},
        {"retention.ms", ""},
        {"remote.storage.enable", "true"},
        {"preallocate", "true"},
        {"mainstem.streams", "yes"},
        {"unclean.leader.election.enable", "true"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct ms_topic_settings settings = standard_settings(), before = settings;
        struct ms_error err = {0};
        const struct ms_kafka_topic_config *config =
            ms_kafka_topic_config_find(ms_bytes_cstr(values[i][0]));
        assert_non_null(config);
        if (ms_kafka_topic_config_set(config, &settings, ms_bytes_cstr(values[i][1]), &err) == 0)
            fail_msg("%s was set to %s", values[i][0], values[i][1]);
        assert_non_null(strstr(err.message, values[i][0]));
        assert_memory_equal(&settings, &before, sizeof before);
    }
}

/* ---- over the protocol ---- */

static const described *describe(struct kafka_store *k, int16_t version, int8_t type,
                                 const char *name, const char *key) {
    struct ms_bytes keys = key != NULL ? ms_bytes_cstr(key) : (struct ms_bytes){0};
    describe_resource resource = {.resource_type = type,
                                  .resource_name = ms_bytes_cstr(name),
                                  .configuration_keys = &keys,
                                  .configuration_keys_count = key != NULL ? 1 : -1};
    struct ms_kafka_describe_configs_request request = ms_kafka_describe_configs_request_default;
    request.resources = &resource;
    request.resources_count = 1;
    request.include_synonyms = request.include_documentation = true;
    const described *answer = call(k, 32, version, &request);
    assert_int_equal(answer->results_count, 1);
    assert_int_equal(answer->results[0].resource_type, type);
    assert_bytes(answer->results[0].resource_name, name);
    return answer;
}

static const described_config *find(const described *answer, const char *name) {
    for (int32_t i = 0; i < answer->results[0].configs_count; i++)
        if (ms_bytes_equal_cstr(answer->results[0].configs[i].name, name))
            return &answer->results[0].configs[i];
    fail_msg("%s is not described", name);
    return NULL;
}

static void assert_config(struct kafka_store *k, const char *topic, const char *name,
                          const char *value, int source) {
    const described_config *config = find(describe(k, 4, 2, topic, name), name);
    assert_bytes(config->value, value);
    assert_int_equal(config->config_source, source);
}

/* Changes "name=value" (DELETE without a value). */
static int alter(struct kafka_store *k, const char *topic, bool validate_only, int count,
                 const change_type *changes) {
    struct ms_kafka_incremental_alter_configs_request_resource resource = {
        .resource_type = 2,
        .resource_name = ms_bytes_cstr(topic),
        .configs = (change_type *)(uintptr_t)changes,
        .configs_count = count,
    };
    struct ms_kafka_incremental_alter_configs_request request = {
        .resources = &resource, .resources_count = 1, .validate_only = validate_only};
    const struct ms_kafka_incremental_alter_configs_response *answer = call(k, 44, 1, &request);
    assert_int_equal(answer->responses_count, 1);
    assert_bytes(answer->responses[0].resource_name, topic);
    assert_int_equal(answer->responses[0].resource_type, 2);
    assert_int_equal(answer->responses[0].error_code != 0,
                     answer->responses[0].error_message.len > 0);
    return answer->responses[0].error_code;
}

static int alter_one(struct kafka_store *k, const char *topic, int operation, const char *name,
                     const char *value) {
    change_type change = {.name = ms_bytes_cstr(name),
                          .config_operation = (int8_t)operation,
                          .value = value != NULL ? ms_bytes_cstr(value) : (struct ms_bytes){0}};
    return alter(k, topic, false, 1, &change);
}

static void topic_is_described_in_every_version(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    assert_int_equal(alter_one(k, "t", SET, "retention.ms", "1000"), 0);
    for (int16_t version = 0; version <= 4; version++) {
        const described *answer = describe(k, version, 2, "t", NULL);
        assert_int_equal(answer->results[0].error_code, 0);
        assert_int_equal(answer->results[0].configs_count, ms_kafka_topic_config_count);
        const described_config *config = find(answer, "retention.ms");
        assert_bytes(config->value, "1000");
        assert_false(config->is_default);
        assert_false(config->read_only);
        assert_false(find(answer, "mainstem.streams")->read_only);
        if (version >= 1) {
            assert_int_equal(config->config_source, 1);
            assert_int_equal(config->synonyms_count, 2);
            assert_bytes(config->synonyms[0].value, "1000");
            assert_bytes(config->synonyms[1].value, "-1");
            assert_int_equal(config->synonyms[1].source, 5);
            assert_int_equal(find(answer, "flush.ms")->synonyms_count, 1);
        }
        if (version >= 3) {
            assert_int_equal(config->config_type, MS_KAFKA_CONFIG_LONG);
            assert_true(config->documentation.len > 0);
        }
        assert_int_equal(describe(k, version, 2, "t", "flush.ms")->results[0].configs_count, 1);
        assert_int_equal(describe(k, version, 2, "t", "nonsense")->results[0].configs_count, 0);
        assert_int_equal(describe(k, version, 2, "none", NULL)->results[0].error_code, 3);
    }
}

static void broker_is_described_and_not_altered(void **state) {
    struct kafka_store *k = *state;
    for (int i = 0; i < 2; i++) {
        const described *answer = describe(k, 4, 4, i == 0 ? "1" : "", NULL);
        assert_int_equal(answer->results[0].error_code, 0);
        assert_bytes(find(answer, "num.partitions")->value, "3");
        assert_bytes(find(answer, "auto.create.topics.enable")->value, "true");
        assert_bytes(find(answer, "log.retention.ms")->value, "-1");
        assert_true(find(answer, "message.max.bytes")->read_only);
    }
    assert_int_equal(describe(k, 4, 4, "2", NULL)->results[0].error_code, 42);
    assert_int_equal(describe(k, 4, 8, "1", NULL)->results[0].error_code, 42);
    change_type change = {.name = B("num.partitions"), .value = B("7")};
    struct ms_kafka_incremental_alter_configs_request_resource resource = {
        .resource_type = 4, .resource_name = B("1"), .configs = &change, .configs_count = 1};
    struct ms_kafka_incremental_alter_configs_request request = {.resources = &resource,
                                                                 .resources_count = 1};
    const struct ms_kafka_incremental_alter_configs_response *answer = call(k, 44, 0, &request);
    assert_int_equal(answer->responses[0].error_code, 42);
}

static void configs_change_one_by_one(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    assert_int_equal(alter_one(k, "t", SET, "retention.ms", "5"), 0);
    assert_int_equal(alter_one(k, "t", SET, "flush.ms", "12345678"), 0);
    assert_config(k, "t", "retention.ms", "5", 1);
    assert_config(k, "t", "flush.ms", "12345678", 1);
    assert_int_equal(topic_info(k, "t").settings.retention_ms, 5);
    assert_int_equal(alter_one(k, "t", DELETE, "retention.ms", NULL), 0);
    assert_config(k, "t", "retention.ms", "-1", 5);
    assert_config(k, "t", "flush.ms", "12345678", 1);
    assert_int_equal(alter_one(k, "t", SET, "retention.ms", "-1"), 0); /* is remembered */
    assert_config(k, "t", "retention.ms", "-1", 1);
    assert_int_equal(alter_one(k, "t", SET, "nonsense", "1"), 40);
    assert_int_equal(alter_one(k, "t", SET, "retention.ms", "x"), 40);
    assert_int_equal(alter_one(k, "t", SET, "retention.ms", NULL), 42);
    assert_int_equal(alter_one(k, "t", 9, "retention.ms", "1"), 42);
    assert_int_equal(alter_one(k, "none", SET, "retention.ms", "1"), 3);
    assert_int_equal(alter_one(k, "t", SET, "mainstem.streams", "false"), 0);
}

static void lists_gain_and_lose_items(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    assert_int_equal(alter_one(k, "t", APPEND, "cleanup.policy", "compact"), 0);
    assert_config(k, "t", "cleanup.policy", "compact,delete", 1);
    assert_int_equal(alter_one(k, "t", APPEND, "cleanup.policy", "compact"), 0);
    assert_int_equal(alter_one(k, "t", SUBTRACT, "cleanup.policy", "delete"), 0);
    assert_config(k, "t", "cleanup.policy", "compact", 1);
    assert_true(topic_info(k, "t").settings.retention_ignored);
    assert_int_equal(alter_one(k, "t", SUBTRACT, "cleanup.policy", "compact"), 40);
    assert_int_equal(alter_one(k, "t", APPEND, "retention.ms", "1"), 40);
}

static void all_configs_of_a_topic_change_or_none(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    const change_type changes[] = {{.name = B("retention.ms"), .value = B("1")},
                                   {.name = B("retention.bytes"), .value = B("x")}};
    assert_int_equal(alter(k, "t", false, 2, changes), 40);
    assert_config(k, "t", "retention.ms", "-1", 5);
    assert_int_equal(alter(k, "t", true, 1, changes), 0); /* validated only */
    assert_config(k, "t", "retention.ms", "-1", 5);
    const change_type twice[] = {changes[0], changes[0]};
    assert_int_equal(alter(k, "t", false, 2, twice), 42);
}

static int replace(struct kafka_store *k, const char *topic, int16_t version, int32_t count,
                   struct ms_kafka_alter_configs_request_config *configs) {
    struct ms_kafka_alter_configs_request_resource resource = {.resource_type = 2,
                                                               .resource_name =
                                                                   ms_bytes_cstr(topic),
                                                               .configs = configs,
                                                               .configs_count = count};
    struct ms_kafka_alter_configs_request request = {.resources = &resource, .resources_count = 1};
    const struct ms_kafka_alter_configs_response *answer = call(k, 33, version, &request);
    return answer->responses[0].error_code;
}

static void alter_configs_replaces_them_all(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    for (int16_t version = 0; version <= 2; version++) {
        assert_int_equal(alter_one(k, "t", SET, "retention.ms", "5"), 0);
        struct ms_kafka_alter_configs_request_config given = {B("segment.bytes"), B("1000000")};
        assert_int_equal(replace(k, "t", version, 1, &given), 0);
        assert_config(k, "t", "retention.ms", "-1", 5);
        assert_config(k, "t", "segment.bytes", "1000000", 1);
        assert_int_equal(replace(k, "t", version, 0, NULL), 0);
        assert_config(k, "t", "segment.bytes", "1073741824", 5);
    }
}

/* What tools do: read all, change one, write all. */
static void what_was_described_can_be_written_back(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    assert_int_equal(alter_one(k, "t", SET, "compression.type", "lz4"), 0);
    const described *before = describe(k, 4, 2, "t", NULL);
    struct ms_kafka_alter_configs_request_config configs[64];
    int32_t count = before->results[0].configs_count;
    for (int32_t i = 0; i < count; i++)
        configs[i] = (struct ms_kafka_alter_configs_request_config){
            before->results[0].configs[i].name, before->results[0].configs[i].value};
    assert_int_equal(replace(k, "t", 2, count, configs), 0);
    const described *after = describe(k, 4, 2, "t", NULL);
    for (int32_t i = 0; i < count; i++)
        assert_true(ms_bytes_equal(before->results[0].configs[i].value,
                                   after->results[0].configs[i].value));
}

static void compaction_of_streams_wants_force(void **state) {
    struct kafka_store *k = *state;
    struct ms_topic_settings settings = ms_topic_settings_default(k->world.store);
    bool created;
    assert_int_equal(ms_store_put_topic(k->world.store, B("s"), &settings, &created, NULL), 0);
    assert_int_equal(alter_one(k, "s", SET, "cleanup.policy", "compact"), 44);
    const change_type changes[] = {{.name = B("cleanup.policy"), .value = B("compact")},
                                   {.name = B("mainstem.compact.force"), .value = B("true")}};
    assert_int_equal(alter(k, "s", false, 2, changes), 0);
    assert_int_equal(alter_one(k, "s", SET, "retention.ms", "7"), 0); /* it was said once */
    assert_config(k, "s", "cleanup.policy", "compact", 1);
    assert_config(k, "s", "mainstem.streams", "true", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_in_order_and_agrees_with_the_defaults),
        cmocka_unit_test(every_value_is_read_back),
        cmocka_unit_test(one_bound_of_timestamps_stands_for_both),
        cmocka_unit_test(senseless_values_are_refused_with_a_sentence),
        kafka_store_test(topic_is_described_in_every_version),
        kafka_store_test(broker_is_described_and_not_altered),
        kafka_store_test(configs_change_one_by_one),
        kafka_store_test(lists_gain_and_lose_items),
        kafka_store_test(all_configs_of_a_topic_change_or_none),
        kafka_store_test(alter_configs_replaces_them_all),
        kafka_store_test(what_was_described_can_be_written_back),
        kafka_store_test(compaction_of_streams_wants_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
