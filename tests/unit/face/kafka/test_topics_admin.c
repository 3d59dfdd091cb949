/* Making, growing, deleting and describing topics over the protocol. */
#include "kafka_store.h"

typedef struct ms_kafka_create_topics_request_topic new_topic;
typedef struct ms_kafka_create_topics_request_config new_config;
typedef struct ms_kafka_create_topics_request_assignment new_assignment;
typedef struct ms_kafka_create_topics_response_topic made_topic;

/* ---- CreateTopics ---- */

static new_topic named(const char *name, int32_t partitions, int16_t replicas) {
    new_topic topic = ms_kafka_create_topics_request_topic_default;
    topic.name = ms_bytes_cstr(name);
    topic.num_partitions = partitions;
    topic.replication_factor = replicas;
    return topic;
}

static const struct ms_kafka_create_topics_response *create_all(struct kafka_store *k,
                                                                int16_t version, bool validate_only,
                                                                new_topic *topics, int32_t count) {
    struct ms_kafka_create_topics_request request = ms_kafka_create_topics_request_default;
    request.topics = topics;
    request.topics_count = count;
    request.validate_only = validate_only;
    const struct ms_kafka_create_topics_response *answer = call(k, 19, version, &request);
    assert_int_equal(answer->topics_count, count);
    for (int32_t i = 0; i < count; i++) {
        assert_true(ms_bytes_equal(answer->topics[i].name, topics[i].name));
        if (version >= 1)
            assert_int_equal(answer->topics[i].error_code != 0,
                             answer->topics[i].error_message.len > 0);
    }
    return answer;
}

static const made_topic *create(struct kafka_store *k, int16_t version, new_topic topic) {
    return &create_all(k, version, false, &topic, 1)->topics[0];
}

static void topics_are_made_in_every_version(void **state) {
    struct kafka_store *k = *state;
    for (int16_t version = 0; version <= 7; version++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", version);
        new_config config = {B("retention.ms"), B("86400000")};
        new_topic topic = named(name, 5, 1);
        topic.configs = &config;
        topic.configs_count = 1;
        const made_topic *made = create(k, version, topic);
        assert_int_equal(made->error_code, 0);
        struct ms_topic_info info = topic_info(k, name);
        assert_int_equal(info.settings.partitions, 5);
        assert_int_equal(info.settings.retention_ms, 86400000);
        assert_false(info.settings.streams);
        assert_int_equal(create(k, version, topic)->error_code, 36);
        if (version >= 5) {
            assert_int_equal(made->num_partitions, 5);
            assert_int_equal(made->replication_factor, 1);
            bool found = false;
            for (int32_t i = 0; i < made->configs_count; i++)
                if (ms_bytes_equal_cstr(made->configs[i].name, "retention.ms")) {
                    found = true;
                    assert_bytes(made->configs[i].value, "86400000");
                    assert_int_equal(made->configs[i].config_source, 1);
                }
            assert_true(found);
        }
        if (version >= 7)
            assert_true(ms_uuid_equal(&made->topic_id, &info.id));
    }
}

static void what_is_left_open_has_its_default(void **state) {
    struct kafka_store *k = *state;
    assert_int_equal(create(k, 7, named("t", -1, -1))->num_partitions, 3);
    assert_int_equal(topic_info(k, "t").settings.partitions, 3);
    assert_int_equal(topic_info(k, "t").settings.retention_ms, -1);
}

static void validating_makes_nothing(void **state) {
    struct kafka_store *k = *state;
    new_topic topics[] = {named("a", 2, 1), named("b", 0, 1)};
    const struct ms_kafka_create_topics_response *answer = create_all(k, 7, true, topics, 2);
    assert_int_equal(answer->topics[0].error_code, 0);
    assert_int_equal(answer->topics[0].num_partitions, 2);
    assert_int_equal(answer->topics[1].error_code, 37);
    assert_null(ms_store_topic(k->world.store, B("a"), false));
}

static void each_topic_has_its_own_error(void **state) {
    struct kafka_store *k = *state;
    char long_name[251];
    memset(long_name, 'x', 250);
    long_name[250] = 0;
    static const struct {
        const char *name;
        int32_t partitions;
        int16_t replicas;
        int error;
    } cases[] = {
        {"fine", 1, 1, 0},
        {"a b", 1, 1, 17},
        {"", 1, 1, 17},
        {".", 1, 1, 17},
        {"$topics", 1, 1, 17},
        {"$mine", 1, 1, 17},
        {"p0", 0, 1, 37},
        {"p-2", -2, 1, 37},
        {"p1025", 1025, 1, 37},
        {"r0", 1, 0, 38},
        {"r2", 1, 2, 38},
        {"r-2", 1, -2, 38},
        {"__consumer_offsets", 1, 1, 29},
        {"twice", 1, 1, 42},
        {"twice", 2, 1, 42},
    };
    new_topic topics[sizeof cases / sizeof *cases + 1];
    int32_t count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        topics[count++] = named(cases[i].name, cases[i].partitions, cases[i].replicas);
    topics[count++] = named(long_name, 1, 1);
    const struct ms_kafka_create_topics_response *answer = create_all(k, 7, false, topics, count);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (answer->topics[i].error_code != cases[i].error)
            fail_msg("'%s': %d, not %d", cases[i].name, answer->topics[i].error_code,
                     cases[i].error);
    assert_int_equal(answer->topics[count - 1].error_code, 17);
    assert_non_null(ms_store_topic(k->world.store, B("fine"), false));
    assert_null(ms_store_topic(k->world.store, B("twice"), false));
}

static void assignments_name_this_broker(void **state) {
    struct kafka_store *k = *state;
    int32_t one[] = {1}, other[] = {2}, both[] = {1, 2};
    new_assignment right[] = {{1, one, 1}, {0, one, 1}};
    new_topic topic = named("t", -1, -1);
    topic.assignments = right;
    topic.assignments_count = 2;
    assert_int_equal(create(k, 4, topic)->error_code, 0);
    assert_int_equal(topic_info(k, "t").settings.partitions, 2);
    topic.name = B("u");
    topic.num_partitions = 2;
    assert_int_equal(create(k, 4, topic)->error_code, 42);
    topic.num_partitions = -1;
    new_assignment wrong[][2] = {
        {{0, one, 1}, {2, one, 1}},   {{0, one, 1}, {0, one, 1}},   {{0, one, 1}, {-1, one, 1}},
        {{0, one, 1}, {1, other, 1}}, {{0, both, 2}, {1, both, 2}}, {{0, one, 0}, {1, one, 1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        topic.assignments = wrong[i];
        assert_int_equal(create(k, 4, topic)->error_code, 39);
    }
}

static void configs_are_checked(void **state) {
    struct kafka_store *k = *state;
    new_config configs[] = {
        {B("nonsense"), B("1")}, {B("retention.ms"), B("x")}, {B("cleanup.policy"), {0}}};
    for (size_t i = 0; i < 3; i++) {
        new_topic topic = named("t", 1, 1);
        topic.configs = &configs[i];
        topic.configs_count = 1;
        assert_int_equal(create(k, 5, topic)->error_code, 40);
    }
    new_config streams[] = {{B("mainstem.streams"), B("true")},
                            {B("cleanup.policy"), B("compact")},
                            {B("mainstem.compact.force"), B("true")}};
    new_topic topic = named("t", 1, 1);
    topic.configs = streams;
    topic.configs_count = 2;
    assert_int_equal(create(k, 5, topic)->error_code, 44);
    topic.configs_count = 3;
    assert_int_equal(create(k, 5, topic)->error_code, 0);
    assert_true(topic_info(k, "t").settings.compact && topic_info(k, "t").settings.streams);
}

static void too_many_topics_are_a_policy_violation(void **state) {
    struct kafka_store *k = *state;
    char name[8];
    int made = 0, error = 0;
    for (int i = 0; i < 50 && error == 0; i++) {
        snprintf(name, sizeof name, "t%d", i);
        error = create(k, 5, named(name, 1, 1))->error_code;
        made += error == 0;
    }
    assert_int_equal(error, 44);
    assert_int_equal(made, 40);
}

/* ---- DeleteTopics ---- */

static int delete_named(struct kafka_store *k, int16_t version, const char *name) {
    struct ms_kafka_delete_topics_request request = ms_kafka_delete_topics_request_default;
    struct ms_bytes text = ms_bytes_cstr(name);
    struct ms_kafka_delete_topics_request_topic topic = {.name = text};
    request.topic_names = &text;
    request.topic_names_count = version < 6;
    request.topics = &topic;
    request.topics_count = version >= 6;
    const struct ms_kafka_delete_topics_response *answer = call(k, 20, version, &request);
    assert_int_equal(answer->responses_count, 1);
    assert_bytes(answer->responses[0].name, name);
    return answer->responses[0].error_code;
}

static void topics_are_deleted_by_name(void **state) {
    struct kafka_store *k = *state;
    for (int16_t version = 0; version <= 6; version++) {
        make_topic(k, "t", 1);
        assert_int_equal(delete_named(k, version, "t"), 0);
        assert_null(ms_store_topic(k->world.store, B("t"), false));
        assert_int_equal(delete_named(k, version, "t"), 3);
        assert_int_equal(delete_named(k, version, "$topics"), 3);
    }
}

static void topics_are_deleted_by_id(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    make_topic(k, "u", 1);
    struct ms_kafka_delete_topics_request_topic topics[] = {
        {.topic_id = topic_info(k, "t").id},
        {.name = B("u"), .topic_id = topic_info(k, "u").id},
        {.topic_id.bytes = {1, 2, 3}},
        {.name = {0}},
    };
    struct ms_kafka_delete_topics_request request = {.topics = topics, .topics_count = 4};
    const struct ms_kafka_delete_topics_response *answer = call(k, 20, 6, &request);
    assert_int_equal(answer->responses[0].error_code, 0);
    assert_bytes(answer->responses[0].name, "t");
    assert_int_equal(answer->responses[1].error_code, 42);
    assert_int_equal(answer->responses[2].error_code, 100);
    assert_int_equal(answer->responses[3].error_code, 42);
    assert_null(ms_store_topic(k->world.store, B("t"), false));
    assert_non_null(ms_store_topic(k->world.store, B("u"), false));
}

/* ---- CreatePartitions ---- */

static int grow(struct kafka_store *k, int16_t version, const char *name, int32_t count,
                bool validate_only) {
    struct ms_kafka_create_partitions_request_topic topic =
        ms_kafka_create_partitions_request_topic_default;
    topic.name = ms_bytes_cstr(name);
    topic.count = count;
    topic.assignments_count = -1;
    struct ms_kafka_create_partitions_request request = {
        .topics = &topic, .topics_count = 1, .validate_only = validate_only};
    const struct ms_kafka_create_partitions_response *answer = call(k, 37, version, &request);
    assert_int_equal(answer->results_count, 1);
    assert_bytes(answer->results[0].name, name);
    return answer->results[0].error_code;
}

static void partitions_become_more(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    for (int16_t version = 0; version <= 3; version++) {
        int32_t count = version + 2;
        assert_int_equal(grow(k, version, "t", count, true), 0);
        assert_int_equal(topic_info(k, "t").settings.partitions, count - 1);
        assert_int_equal(grow(k, version, "t", count, false), 0);
        assert_int_equal(topic_info(k, "t").settings.partitions, count);
        assert_int_equal(grow(k, version, "t", count, false), 37);
        assert_int_equal(grow(k, version, "t", 1, false), 37);
        assert_int_equal(grow(k, version, "t", 1025, false), 37);
        assert_int_equal(grow(k, version, "none", 2, false), 3);
    }
}

static void new_partitions_are_assigned_to_this_broker(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 1);
    int32_t one[] = {1}, other[] = {2};
    struct ms_kafka_create_partitions_request_assignment assignments[] = {{one, 1}, {one, 1}};
    struct ms_kafka_create_partitions_request_topic topic = {
        .name = B("t"), .count = 3, .assignments = assignments, .assignments_count = 1};
    struct ms_kafka_create_partitions_request request = {.topics = &topic, .topics_count = 1};
    const struct ms_kafka_create_partitions_response *answer = call(k, 37, 2, &request);
    assert_int_equal(answer->results[0].error_code, 39);
    topic.assignments_count = 2;
    assignments[1].broker_ids = other;
    answer = call(k, 37, 2, &request);
    assert_int_equal(answer->results[0].error_code, 39);
    assignments[1].broker_ids = one;
    answer = call(k, 37, 2, &request);
    assert_int_equal(answer->results[0].error_code, 0);
    assert_int_equal(topic_info(k, "t").settings.partitions, 3);
}

/* ---- describing ---- */

static void partitions_are_described_in_pages(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "b", 5);
    make_topic(k, "a", 2);
    make_topic(k, "c", 1);
    struct ms_kafka_describe_topic_partitions_request_cursor cursor;
    struct ms_kafka_describe_topic_partitions_request request =
        ms_kafka_describe_topic_partitions_request_default;
    request.response_partition_limit = 3;
    char seen[256] = "";
    int pages = 0;
    for (bool more = true; more; pages++) {
        const struct ms_kafka_describe_topic_partitions_response *page = call(k, 75, 0, &request);
        int partitions = 0;
        for (int32_t t = 0; t < page->topics_count; t++)
            for (int32_t p = 0; p < page->topics[t].partitions_count; p++, partitions++)
                snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s%d ",
                         (int)page->topics[t].name.len, (const char *)page->topics[t].name.data,
                         page->topics[t].partitions[p].partition_index);
        assert_true(partitions <= 3);
        more = page->next_cursor != NULL;
        if (more)
            cursor = (struct ms_kafka_describe_topic_partitions_request_cursor){
                page->next_cursor->topic_name, page->next_cursor->partition_index};
        request.cursor = &cursor;
    }
    assert_string_equal(seen, "a0 a1 b0 b1 b2 b3 b4 c0 ");
    assert_int_equal(pages, 3);
    struct ms_kafka_describe_topic_partitions_request_topic names[] = {
        {B("none")}, {B("c")}, {B("c")}};
    request.topics = names;
    request.topics_count = 3;
    request.cursor = NULL;
    const struct ms_kafka_describe_topic_partitions_response *page = call(k, 75, 0, &request);
    assert_int_equal(page->topics_count, 2);
    assert_int_equal(page->topics[0].partitions_count, 1);
    assert_int_equal(page->topics[0].partitions[0].leader_id, 1);
    assert_int_equal(page->topics[1].error_code, 3);
    assert_null(page->next_cursor);
}

static void log_dirs_tell_estimates(void **state) {
    struct kafka_store *k = *state;
    make_topic(k, "t", 2);
    for (int16_t version = 0; version <= 4; version++) {
        struct ms_kafka_describe_log_dirs_request request =
            ms_kafka_describe_log_dirs_request_default;
        request.topics_count = -1;
        const struct ms_kafka_describe_log_dirs_response *answer = call(k, 35, version, &request);
        assert_int_equal(answer->results_count, 1);
        assert_int_equal(answer->results[0].topics_count, 1);
        assert_int_equal(answer->results[0].topics[0].partitions_count, 2);
        assert_int_equal(answer->results[0].topics[0].partitions[1].partition_size, 0);
        int32_t partitions[] = {1, 7};
        struct ms_kafka_describe_log_dirs_request_topic topics[] = {{B("t"), partitions, 2},
                                                                    {B("none"), partitions, 2}};
        request.topics = topics;
        request.topics_count = 2;
        answer = call(k, 35, version, &request);
        assert_int_equal(answer->results[0].topics_count, 1);
        assert_int_equal(answer->results[0].topics[0].partitions_count, 1);
        assert_int_equal(answer->results[0].topics[0].partitions[0].partition_index, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        kafka_store_test(topics_are_made_in_every_version),
        kafka_store_test(what_is_left_open_has_its_default),
        kafka_store_test(validating_makes_nothing),
        kafka_store_test(each_topic_has_its_own_error),
        kafka_store_test(assignments_name_this_broker),
        kafka_store_test(configs_are_checked),
        kafka_store_test(too_many_topics_are_a_policy_violation),
        kafka_store_test(topics_are_deleted_by_name),
        kafka_store_test(topics_are_deleted_by_id),
        kafka_store_test(partitions_become_more),
        kafka_store_test(new_partitions_are_assigned_to_this_broker),
        kafka_store_test(partitions_are_described_in_pages),
        kafka_store_test(log_dirs_tell_estimates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
