/* Output: slices go out as they are and are released, slow readers are not read from and dropped,
 * idle peers are closed. */
#include "face/kafka/request.h"
#include "kafka_server.h"

static atomic_int blobs; /* that are not released */

static void release(struct ms_blob *blob) {
    free(blob->data);
    free(blob);
    atomic_fetch_sub(&blobs, 1);
}

/* A slice of `len` bytes that begin with `seed`, with a byte around it that is not its own. */
static struct ms_slice make_slice(size_t len, unsigned seed) {
    struct ms_blob *blob = calloc(1, sizeof *blob);
    blob->data = malloc(len + 2);
    blob->size = len + 2;
    blob->release = release;
    atomic_init(&blob->refs, 1);
    memset(blob->data, 0xee, len + 2);
    for (size_t i = 0; i < len; i++)
        blob->data[i + 1] = (uint8_t)(seed + i * 13);
    atomic_fetch_add(&blobs, 1);
    struct ms_slice slice = ms_slice_of(blob, 1, len);
    ms_blob_unref(blob);
    return slice;
}

/* Answers with min_bytes slices of max_bytes each in one partition. */
static void fetch(struct ms_kafka_request *request) {
    const struct ms_kafka_fetch_request *body = request->body;
    struct ms_kafka_fetch_response response = ms_kafka_fetch_response_default;
    struct ms_kafka_fetch_response_topic *topic = ms_arena_zalloc(&request->arena, sizeof *topic);
    struct ms_kafka_fetch_response_partition *partition =
        ms_arena_zalloc(&request->arena, sizeof *partition);
    size_t count = (size_t)body->min_bytes, len = (size_t)body->max_bytes;
    struct ms_slice *slices = ms_kafka_request_slices(request, count);
    assert_non_null(slices);
    for (size_t i = 0; i < count; i++)
        slices[i] = make_slice(len, (unsigned)i);
    *topic = ms_kafka_fetch_response_topic_default;
    *partition = ms_kafka_fetch_response_partition_default;
    partition->records = (struct ms_kafka_records){
        .slices = slices, .slice_count = count, .slice_bytes = count * len};
    topic->topic = B("t");
    topic->partitions = partition;
    topic->partitions_count = 1;
    response.responses = topic;
    response.responses_count = 1;
    ms_kafka_answer(request, &response);
}

static void heartbeat(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    struct ms_kafka_heartbeat_response response = ms_kafka_heartbeat_response_default;
    response.error_code = (int16_t)body->generation_id;
    ms_kafka_answer(request, &response);
}

static const struct ms_kafka_handler handlers[] = {{1, MS_KAFKA_LARGE_ANSWER, fetch},
                                                   {12, 0, heartbeat}};

static void client_fetch(int fd, int32_t id, size_t count, size_t len) {
    struct ms_kafka_fetch_request request = ms_kafka_fetch_request_default;
    request.min_bytes = (int32_t)count;
    request.max_bytes = (int32_t)len;
    struct ms_buf out;
    ms_buf_init(&out, MIB);
    frame_request(&out, 1, 4, id, &request);
    client_send_buf(fd, &out);
    ms_buf_deinit(&out);
}

static void client_expect_fetched(int fd, int32_t id, size_t count, size_t len) {
    struct ms_buf frame;
    ms_buf_init(&frame, 256 * MIB);
    assert_true(client_receive(fd, &frame));
    assert_int_equal(ms_get_be32(frame.data), id);
    struct ms_arena arena;
    ms_arena_init(&arena, MIB);
    void *value;
    assert_int_equal(ms_kafka_decode(ms_kafka_api_find(1)->response, 4,
                                     ms_bytes_of(frame.data + 4, frame.len - 4), &arena, &value,
                                     NULL),
                     0);
    const struct ms_kafka_fetch_response *response = value;
    struct ms_bytes records = response->responses[0].partitions[0].records.bytes;
    assert_int_equal(records.len, count * len);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < len; j++)
            if (records.data[i * len + j] != (uint8_t)(i + j * 13))
                fail_msg("byte %zu of slice %zu is wrong", j, i);
    ms_arena_deinit(&arena);
    ms_buf_deinit(&frame);
}

static void await_released(void) {
    for (int i = 0; i < WAIT_MS && atomic_load(&blobs); i++)
        pause_ms(1);
    assert_int_equal(atomic_load(&blobs), 0);
}

static void slices_go_out_between_the_heads_and_are_released(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server_start(&server);
    int fd = client_open(&server);
    static const struct {
        size_t count, len;
    } shapes[] = {{1, 1}, {3, 100}, {500, 7}, {0, 0}, {2, 0}, {40, 100000}, {3, 1500000}};
    for (int round = 0; round < 2; round++) { /* one by one, then all at once */
        for (int i = 0; i < 7; i++) {
            client_fetch(fd, i, shapes[i].count, shapes[i].len);
            if (round == 0)
                client_expect_fetched(fd, i, shapes[i].count, shapes[i].len);
        }
        for (int i = 0; round == 1 && i < 7; i++)
            client_expect_fetched(fd, i, shapes[i].count, shapes[i].len);
    }
    await_released();
    server_await(&server, "mainstem_kafka_answer_bytes", 0);
    close(fd);
    server_stop(&server);
}

static void a_slow_reader_is_not_read_from(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.output_bytes_max = 256 * 1024;
    server_start(&server);
    int fd = client_open_slow(&server, 4096);
    for (int i = 0; i < 10; i++)
        client_fetch(fd, i, 4, 1000000);
    pause_ms(100);
    double answered = server_metric(&server, "mainstem_kafka_requests_total");
    assert_true(answered <= 2); /* what the system's buffers took, and one that waits */
    assert_true(server_metric(&server, "mainstem_kafka_answer_bytes") < 9 * 1024 * 1024);
    for (int i = 0; i < 10; i++)
        client_expect_fetched(fd, i, 4, 1000000);
    await_released();
    close(fd);
    server_stop(&server);
}

static void a_peer_that_takes_nothing_is_dropped(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.write_timeout_ms = 100;
    server_start(&server);
    int fd = client_open_slow(&server, 4096);
    client_fetch(fd, 1, 20, 1000000);
    server_await(&server, "mainstem_kafka_connections_timed_out_total", 1);
    server_await(&server, "mainstem_kafka_connections", 0);
    await_released();
    close(fd);
    server_stop(&server);
}

/* Answers beyond their memory are made one after the other. */
static void large_answers_wait_for_memory(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.inflight_bytes_max = 4 * MIB;
    server_start(&server);
    int slow = client_open_slow(&server, 4096), fd = client_open(&server);
    client_fetch(slow, 1, 10, 1000000);
    server_await(&server, "mainstem_kafka_requests_total", 1);
    client_fetch(fd, 2, 1, 1000);
    client_quiet(fd, 50);
    client_expect_fetched(slow, 1, 10, 1000000);
    client_expect_fetched(fd, 2, 1, 1000);
    await_released();
    close(fd);
    close(slow);
    server_stop(&server);
}

static void a_connection_that_dies_releases_what_was_queued(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server_start(&server);
    int fd = client_open_slow(&server, 4096);
    for (int i = 0; i < 5; i++)
        client_fetch(fd, i, 4, 1000000);
    server_await(&server, "mainstem_kafka_requests_total", 1);
    close(fd);
    await_released();
    server_await(&server, "mainstem_kafka_answer_bytes", 0);
    server_stop(&server);
}

static void an_idle_peer_is_closed(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.idle_timeout_ms = 100;
    server_start(&server);
    int fd = client_open(&server);
    client_heartbeat(fd, "group", 4);
    client_expect_heartbeat(fd, 4);
    client_expect_end(fd);
    assert_int_equal(server_metric(&server, "mainstem_kafka_connections_timed_out_total"), 1);
    close(fd);
    server_stop(&server);
}

static void addresses_and_options_are_checked(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server_start(&server);
    char address[MS_KAFKA_ADDRESS_MAX];
    ms_kafka_address(server.kafka, address);
    struct ms_kafka_options options = server.options;
    struct ms_kafka *second = NULL;
    struct ms_error err = {0};
    options.listen = address;
    assert_int_equal(ms_kafka_start(NULL, &options, &second, &err), MS_EEXIST);
    assert_mentions(&err, "kafka can't listen");
    options.listen = "nowhere";
    assert_int_equal(ms_kafka_start(NULL, &options, &second, &err), MS_EINVAL);
    server.options.pipeline_max = 0;
    assert_int_equal(ms_kafka_reload(server.kafka, &server.options, &err), MS_EINVAL);
    assert_mentions(&err, "pipeline_max");
    assert_null(second);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_go_out_between_the_heads_and_are_released),
        cmocka_unit_test(a_slow_reader_is_not_read_from),
        cmocka_unit_test(a_peer_that_takes_nothing_is_dropped),
        cmocka_unit_test(large_answers_wait_for_memory),
        cmocka_unit_test(a_connection_that_dies_releases_what_was_queued),
        cmocka_unit_test(an_idle_peer_is_closed),
        cmocka_unit_test(addresses_and_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
