/* Transactions through the protocol, as new clients (KIP-890) and old ones speak it. */
#include "kafka_server.h"
#include "face/kafka/errors.h"
#include "store/produce_world.h"
#include "txn/service.h"

struct fixture {
    struct store_world w;
    struct ms_txn_service *txns;
    struct ms_group_service *groups;
    struct server server;
    struct ms_arena arena;
    int fd;
};

static int setup(void **state) {
    static struct fixture f;
    struct ms_txns_options txns_options = {.env = ms_env_system()};
    struct ms_groups_options groups_options = {.env = ms_env_system()};
    f = (struct fixture){0};
    store_world_init_real(&f.w);
    assert_int_equal(store_world_open(&f.w), 0);
    (void)make_topic(&f.w, "t", plain(&f.w, 2));
    assert_int_equal(ms_txn_service_new(f.w.store, &txns_options, &f.txns, &f.w.error), 0);
    struct ms_group_txns txns = ms_txn_service_group_txns(f.txns);
    assert_int_equal(
        ms_group_service_start(f.w.store, &groups_options, &txns, &f.groups, &f.w.error), 0);
    assert_int_equal(ms_txn_service_start(f.txns, ms_group_service_groups(f.groups), &f.w.error),
                     0);
    server_init(&f.server, NULL, 0);
    f.server.options.groups = ms_group_service_groups(f.groups);
    f.server.options.txns = ms_txn_service_txns(f.txns);
    f.server.store = f.w.store;
    server_start(&f.server);
    f.fd = client_open(&f.server);
    ms_arena_init(&f.arena, MIB);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    ms_arena_deinit(&f->arena);
    close(f->fd);
    ms_txn_service_stop(f->txns);
    ms_group_service_stop(f->groups);
    server_stop(&f->server);
    ms_txn_service_free(f->txns);
    ms_group_service_free(f->groups);
    store_world_deinit(&f->w);
    return 0;
}

static const void *ask(struct fixture *f, int16_t key, int16_t version, const void *value) {
    const struct ms_kafka_api *api = ms_kafka_api_find(key);
    struct ms_buf out;
    ms_buf_init(&out, MIB);
    frame_request(&out, key, version, 42, value);
    client_send_buf(f->fd, &out);
    assert_true(client_receive(f->fd, &out));
    assert_int_equal(ms_get_be32(out.data), 42);
    void *response, *copy = ms_arena_alloc(&f->arena, out.len);
    memcpy(copy, out.data, out.len);
    bool flexible = version >= api->flexible && key != 18;
    size_t header = flexible ? 5 : 4; /* no tags */
    struct ms_bytes body = ms_bytes_of((uint8_t *)copy + header, out.len - header);
    assert_int_equal(ms_kafka_decode(api->response, version, body, &f->arena, &response, NULL), 0);
    ms_buf_deinit(&out);
    return response;
}

/* ---- requests ---- */

static int init_as(struct fixture *f, int16_t version, struct ms_bytes id, int32_t timeout_ms,
                   struct ms_txn_producer *producer) {
    struct ms_kafka_init_producer_id_request request = ms_kafka_init_producer_id_request_default;
    request.transactional_id = id;
    request.transaction_timeout_ms = timeout_ms;
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    const struct ms_kafka_init_producer_id_response *response = ask(f, 22, version, &request);
    *producer = (struct ms_txn_producer){response->producer_id, response->producer_epoch};
    return response->error_code;
}

static struct ms_txn_producer init(struct fixture *f) {
    struct ms_txn_producer producer = MS_TXN_NO_PRODUCER;
    assert_int_equal(init_as(f, 5, B("x"), 60000, &producer), 0);
    return producer;
}

static int add(struct fixture *f, int16_t version, struct ms_txn_producer producer,
               struct ms_bytes topic, int32_t partition, int *ret_second) {
    struct ms_kafka_add_partitions_to_txn_request request =
        ms_kafka_add_partitions_to_txn_request_default;
    int32_t partitions[] = {0, partition};
    struct ms_kafka_add_partitions_to_txn_request_topic topics = {topic, partitions, 2};
    request.v3_and_below_transactional_id = B("x");
    request.v3_and_below_producer_id = producer.id;
    request.v3_and_below_producer_epoch = producer.epoch;
    request.v3_and_below_topics = &topics;
    request.v3_and_below_topics_count = 1;
    const struct ms_kafka_add_partitions_to_txn_response *response = ask(f, 24, version, &request);
    const struct ms_kafka_add_partitions_to_txn_response_topic *to =
        response->results_by_topic_v3_and_below;
    assert_int_equal(response->results_by_topic_v3_and_below_count, 1);
    assert_int_equal(to->results_by_partition_count, 2);
    *ret_second = to->results_by_partition[1].partition_error_code;
    return to->results_by_partition[0].partition_error_code;
}

static int produce_as(struct fixture *f, int16_t version, const char *id,
                      struct ms_txn_producer producer, int32_t sequence, bool transactional) {
    struct ms_buf batch;
    struct ms_batch_writer writer;
    struct ms_bytes value = B("value");
    ms_buf_init(&batch, MIB);
    assert_int_equal(ms_batch_begin(&writer, &batch, MS_CODEC_NONE, 1000), 0);
    writer.producer_id = producer.id;
    writer.producer_epoch = producer.epoch;
    writer.base_sequence = sequence;
    writer.attributes |= transactional ? MS_BATCH_TRANSACTIONAL : 0;
    assert_int_equal(ms_batch_add(&writer, 1000, NULL, &value, NULL, 0), 0);
    assert_int_equal(ms_batch_end(&writer), 0);
    struct ms_kafka_produce_request request = ms_kafka_produce_request_default;
    struct ms_kafka_produce_request_partition partition = {0};
    struct ms_kafka_produce_request_topic topic = ms_kafka_produce_request_topic_default;
    partition.records.bytes = ms_buf_bytes(&batch);
    topic.name = B("t");
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    request.transactional_id = ms_bytes_cstr(id);
    request.acks = -1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    const struct ms_kafka_produce_response *response = ask(f, 0, version, &request);
    ms_buf_deinit(&batch);
    return response->responses[0].partition_responses[0].error_code;
}

static int end(struct fixture *f, int16_t version, struct ms_txn_producer *producer, bool commit) {
    struct ms_kafka_end_txn_request request = {B("x"), producer->id, producer->epoch, commit};
    const struct ms_kafka_end_txn_response *response = ask(f, 26, version, &request);
    if (response->error_code == 0 && version >= 5)
        *producer = (struct ms_txn_producer){response->producer_id, response->producer_epoch};
    return response->error_code;
}

static int add_offsets(struct fixture *f, int16_t version, struct ms_txn_producer producer) {
    struct ms_kafka_add_offsets_to_txn_request request = {B("x"), producer.id, producer.epoch,
                                                          B("g")};
    const struct ms_kafka_add_offsets_to_txn_response *response = ask(f, 25, version, &request);
    return response->error_code;
}

static int commit_offset(struct fixture *f, int16_t version, struct ms_txn_producer producer,
                         int64_t offset) {
    struct ms_kafka_txn_offset_commit_request request = ms_kafka_txn_offset_commit_request_default;
    struct ms_kafka_txn_offset_commit_request_partition partition =
        ms_kafka_txn_offset_commit_request_partition_default;
    partition.committed_offset = offset;
    struct ms_kafka_txn_offset_commit_request_topic topic = {B("t"), &partition, 1};
    request.transactional_id = B("x");
    request.group_id = B("g");
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.topics = &topic;
    request.topics_count = 1;
    const struct ms_kafka_txn_offset_commit_response *response = ask(f, 28, version, &request);
    return response->topics[0].partitions[0].error_code;
}

static int64_t committed_offset(struct fixture *f) {
    struct ms_kafka_offset_fetch_request request = ms_kafka_offset_fetch_request_default;
    int32_t partitions[] = {0};
    struct ms_kafka_offset_fetch_request_topic topic = {B("t"), partitions, 1};
    request.group_id = B("g");
    request.topics = &topic;
    request.topics_count = 1;
    request.require_stable = true;
    const struct ms_kafka_offset_fetch_response *response = ask(f, 9, 7, &request);
    return response->topics[0].partitions[0].error_code != 0
               ? -response->topics[0].partitions[0].error_code
               : response->topics[0].partitions[0].committed_offset;
}

/* ---- the claims ---- */

static void clients_are_told_that_transactions_begin_by_themselves(void **state) {
    struct fixture *f = *state;
    struct ms_kafka_api_versions_request request = ms_kafka_api_versions_request_default;
    request.client_software_name = request.client_software_version = B("test");
    for (int16_t version = 3; version <= 4; version++) {
        const struct ms_kafka_api_versions_response *response = ask(f, 18, version, &request);
        assert_int_equal(response->finalized_features_epoch, 1);
        assert_int_equal(response->finalized_features_count, 1);
        assert_true(
            ms_bytes_equal_cstr(response->finalized_features[0].name, "transaction.version"));
        assert_int_equal(response->finalized_features[0].max_version_level, 2);
        assert_int_equal(response->finalized_features[0].min_version_level, 2);
        assert_int_equal(response->supported_features[0].min_version, version < 4);
        assert_int_equal(response->supported_features[0].max_version, 2);
    }
}

static void new_clients_add_nothing(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f), before;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(produce_as(f, 12, "x", producer, 0, true), 0);
        assert_int_equal(commit_offset(f, 5, producer, 10 + i), 0);
        assert_int_equal(committed_offset(f), -MS_GROUP_UNSTABLE_OFFSETS);
        before = producer;
        assert_int_equal(end(f, 5, &producer, i != 1), 0);
        assert_int_equal(producer.epoch, i + 1);
        assert_int_equal(committed_offset(f), i != 1 ? 10 + i : 10);
        assert_int_equal(end(f, 5, &before, i != 1), 0); /* lost the answer */
        assert_int_equal(before.epoch, i + 1);
        before.epoch = (int16_t)i;
        assert_int_equal(produce_as(f, 12, "x", before, 1, true), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    }
}

static void old_clients_add_everything(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f);
    int second;
    assert_int_equal(produce_as(f, 11, "x", producer, 0, true), MS_KAFKA_INVALID_TXN_STATE);
    assert_int_equal(add(f, 0, producer, B("t"), 1, &second), 0);
    assert_int_equal(second, 0);
    assert_int_equal(produce_as(f, 11, "x", producer, 0, true), 0);
    assert_int_equal(commit_offset(f, 4, producer, 5), MS_KAFKA_INVALID_TXN_STATE);
    assert_int_equal(add_offsets(f, 3, producer), 0);
    assert_int_equal(commit_offset(f, 0, producer, 5), 0);
    assert_int_equal(end(f, 1, &producer, true), 0);
    assert_int_equal(end(f, 1, &producer, true), 0);
    assert_int_equal(end(f, 1, &producer, false), MS_KAFKA_INVALID_TXN_STATE);
    assert_int_equal(committed_offset(f), 5);
}

static int64_t offset_at(struct fixture *f, int8_t isolation, int64_t timestamp) {
    struct ms_kafka_list_offsets_request_partition wanted =
        ms_kafka_list_offsets_request_partition_default;
    struct ms_kafka_list_offsets_request_topic topic = {B("t"), &wanted, 1};
    struct ms_kafka_list_offsets_request request = ms_kafka_list_offsets_request_default;
    wanted.timestamp = timestamp;
    request.isolation_level = isolation;
    request.topics = &topic;
    request.topics_count = 1;
    const struct ms_kafka_list_offsets_response *response = ask(f, 2, 7, &request);
    assert_int_equal(response->topics[0].partitions[0].error_code, 0);
    return response->topics[0].partitions[0].offset;
}

/* Whoever reads committed is sent nowhere that can't be read yet. */
static void offsets_of_the_open_are_for_the_uncommitted(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f);
    static const int64_t times[] = {-1, -3, 500}; /* the end, the newest, at or after that time */
    assert_int_equal(produce_as(f, 12, "x", producer, 0, true), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(offset_at(f, 0, times[i]), i == 0 ? 1 : 0);
        assert_int_equal(offset_at(f, 1, times[i]), i == 0 ? 0 : -1);
    }
    assert_int_equal(end(f, 5, &producer, true), 0);
    assert_int_equal(offset_at(f, 1, 500), 0);
    assert_int_equal(offset_at(f, 1, -1), 2);
}

static void a_zombie_is_told_in_its_own_words(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer old = init(f), expected = old;
    int second;
    (void)init(f);
    assert_int_equal(end(f, 1, &old, true), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(end(f, 2, &old, true), MS_TXN_FENCED);
    assert_int_equal(end(f, 5, &old, true), MS_TXN_FENCED);
    assert_int_equal(add(f, 1, old, B("t"), 1, &second), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(add(f, 3, old, B("t"), 1, &second), MS_TXN_FENCED);
    assert_int_equal(add_offsets(f, 1, old), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(add_offsets(f, 2, old), MS_TXN_FENCED);
    assert_int_equal(commit_offset(f, 5, old, 1), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(init_as(f, 3, B("x"), 1000, &expected), MS_KAFKA_INVALID_PRODUCER_EPOCH);
    expected = old;
    assert_int_equal(init_as(f, 4, B("x"), 1000, &expected), MS_TXN_FENCED);
    old.id += 100;
    assert_int_equal(end(f, 2, &old, true), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
}

static void unknown_partitions_spoil_the_rest(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f);
    int second;
    assert_int_equal(add(f, 3, producer, B("t"), 2, &second), MS_KAFKA_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(second, MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(add(f, 3, producer, B("none"), 0, &second),
                     MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(add(f, 3, producer, B("__transaction_state"), 0, &second),
                     MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static void batches_and_requests_agree_on_what_they_are(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f);
    for (int16_t version = 11; version <= 12; version++) {
        assert_int_equal(produce_as(f, version, "x", producer, 0, false), MS_KAFKA_INVALID_RECORD);
        assert_int_equal(produce_as(f, version, NULL, producer, 0, true), MS_KAFKA_INVALID_RECORD);
    }
    assert_int_equal(produce_as(f, 12, "y", producer, 0, true), MS_TXN_INVALID_PRODUCER_ID_MAPPING);
}

static void producer_ids_are_for_everyone(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer one = MS_TXN_NO_PRODUCER, two = MS_TXN_NO_PRODUCER;
    assert_int_equal(init_as(f, 0, (struct ms_bytes){0}, 0, &one), 0);
    assert_int_equal(init_as(f, 5, (struct ms_bytes){0}, 0, &two), 0);
    assert_int_equal(one.epoch, 0);
    assert_int_not_equal(one.id, two.id);
    assert_int_equal(produce_as(f, 12, NULL, one, 0, false), 0);
    assert_int_equal(produce_as(f, 12, NULL, one, 0, false), 0); /* again */
    assert_int_equal(produce_as(f, 12, NULL, one, 2, false), MS_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(init_as(f, 5, two.id >= 0 ? B("") : B("?"), 1000, &two),
                     MS_KAFKA_INVALID_REQUEST);
    two = MS_TXN_NO_PRODUCER;
    assert_int_equal(init_as(f, 5, B("x"), 900001, &two), MS_TXN_INVALID_TIMEOUT);
}

static void administrators_see_transactions(void **state) {
    struct fixture *f = *state;
    struct ms_txn_producer producer = init(f);
    assert_int_equal(produce_as(f, 12, "x", producer, 0, true), 0);
    struct ms_bytes ids[] = {B("x"), B("y")};
    struct ms_kafka_describe_transactions_request describe = {ids, 2};
    const struct ms_kafka_describe_transactions_response *described = ask(f, 65, 0, &describe);
    assert_int_equal(described->transaction_states_count, 2);
    assert_true(ms_bytes_equal_cstr(described->transaction_states[0].transaction_state, "Ongoing"));
    assert_int_equal(described->transaction_states[0].topics_count, 1);
    assert_int_equal(described->transaction_states[0].topics[0].partitions[0], 0);
    assert_int_equal(described->transaction_states[1].error_code, MS_TXN_NOT_FOUND);
    struct ms_kafka_list_transactions_request list = ms_kafka_list_transactions_request_default;
    struct ms_bytes states[] = {B("Ongoing"), B("Nonsense")};
    list.state_filters = states;
    list.state_filters_count = 2;
    const struct ms_kafka_list_transactions_response *listed = ask(f, 66, 1, &list);
    assert_int_equal(listed->transaction_states_count, 1);
    assert_int_equal(listed->transaction_states[0].producer_id, producer.id);
    assert_int_equal(listed->unknown_state_filters_count, 1);
    states[0] = B("Dead");
    listed = ask(f, 66, 0, &list);
    assert_int_equal(listed->transaction_states_count, 0);
    int32_t partitions[] = {0, 7};
    struct ms_kafka_describe_producers_request_topic topic = {B("t"), partitions, 2};
    struct ms_kafka_describe_producers_request producers = {&topic, 1};
    const struct ms_kafka_describe_producers_response *found = ask(f, 61, 0, &producers);
    assert_int_equal(found->topics[0].partitions[0].active_producers_count, 1);
    assert_int_equal(found->topics[0].partitions[0].active_producers[0].producer_id, producer.id);
    assert_int_equal(found->topics[0].partitions[0].active_producers[0].current_txn_start_offset,
                     0);
    assert_int_equal(found->topics[0].partitions[1].error_code,
                     MS_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(clients_are_told_that_transactions_begin_by_themselves),
        test(new_clients_add_nothing),
        test(old_clients_add_everything),
        test(offsets_of_the_open_are_for_the_uncommitted),
        test(a_zombie_is_told_in_its_own_words),
        test(unknown_partitions_spoil_the_rest),
        test(batches_and_requests_agree_on_what_they_are),
        test(producer_ids_are_for_everyone),
        test(administrators_see_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
