/* Framing over a real socket: split and joined requests, absurd sizes, large ones, memory. */
#include "face/kafka/request.h"
#include "kafka_server.h"

static void heartbeat(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    struct ms_kafka_heartbeat_response response = ms_kafka_heartbeat_response_default;
    response.error_code = (int16_t)body->generation_id;
    ms_kafka_answer(request, &response);
}

/* Answers the error code 77, and nothing when the records are not what produce_frame makes. */
static void produce(struct ms_kafka_request *request) {
    const struct ms_kafka_produce_request *body = request->body;
    struct ms_bytes records = body->topic_data[0].partition_data[0].records.bytes;
    assert_ptr_equal(request->frame.data, request->blob->data);
    assert_int_equal(request->frame.len, request->blob->size);
    assert_in_range(records.data - request->blob->data, 1, request->blob->size);
    for (size_t i = 0; i < records.len; i++)
        if (records.data[i] != (uint8_t)(i * 7))
            fail_msg("byte %zu of %zu is wrong", i, records.len);
    struct ms_kafka_produce_response response = ms_kafka_produce_response_default;
    response.throttle_time_ms = (int32_t)records.len;
    ms_kafka_answer(request, &response);
}

static const struct ms_kafka_handler handlers[] = {{0, 0, produce}, {12, 0, heartbeat}};

static void start(struct server *server) {
    server_init(server, handlers, 2);
    server_start(server);
}

static void frame_produce(struct ms_buf *out, int32_t correlation_id, size_t len) {
    uint8_t *records = malloc(len);
    for (size_t i = 0; i < len; i++)
        records[i] = (uint8_t)(i * 7);
    struct ms_kafka_produce_request_partition partition =
        ms_kafka_produce_request_partition_default;
    partition.records.bytes = ms_bytes_of(records, len);
    struct ms_kafka_produce_request_topic topic = ms_kafka_produce_request_topic_default;
    topic.name = B("t");
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    struct ms_kafka_produce_request request = ms_kafka_produce_request_default;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    frame_request(out, 0, 3, correlation_id, &request);
    free(records);
}

static void client_expect_produced(int fd, int32_t correlation_id, size_t len) {
    struct ms_buf frame;
    ms_buf_init(&frame, MIB);
    assert_true(client_receive(fd, &frame));
    assert_int_equal(ms_get_be32(frame.data), correlation_id);
    assert_int_equal(ms_get_be32(frame.data + frame.len - 4), len); /* throttle_time_ms */
    ms_buf_deinit(&frame);
}

static void requests_split_at_every_byte_arrive(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    struct ms_buf out;
    ms_buf_init(&out, MIB);
    frame_heartbeat(&out, "group", 7);
    size_t one = out.len;
    frame_heartbeat(&out, "group", 8);
    for (size_t cut = 1; cut < out.len; cut++) {
        client_send(fd, out.data, cut);
        if (cut >= one)
            client_expect_heartbeat(fd, 7);
        else if (cut % 8 == 0)
            pause_ms(1); /* else the pieces may be joined, which is fine too */
        client_send(fd, out.data + cut, out.len - cut);
        if (cut < one)
            client_expect_heartbeat(fd, 7);
        client_expect_heartbeat(fd, 8);
    }
    for (size_t i = 0; i < out.len; i++) {
        client_send(fd, out.data + i, 1);
        if (i % 16 == 0)
            pause_ms(1);
    }
    client_expect_heartbeat(fd, 7);
    client_expect_heartbeat(fd, 8);
    ms_buf_deinit(&out);
    close(fd);
    server_stop(&server);
}

static void many_requests_in_one_segment_are_answered_in_order(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    struct ms_buf out;
    ms_buf_init(&out, 16 * MIB);
    for (int16_t i = 0; i < 5000; i++) /* more than pipeline_max, more than one buffer */
        frame_heartbeat(&out, "group", i);
    client_send_buf(fd, &out);
    for (int16_t i = 0; i < 5000; i++)
        client_expect_heartbeat(fd, i);
    assert_int_equal(server_metric(&server, "mainstem_kafka_requests_total"), 5000);
    ms_buf_deinit(&out);
    close(fd);
    server_stop(&server);
}

static void absurd_sizes_close_the_connection(void **state) {
    (void)state;
    struct server server;
    start(&server);
    static const int32_t sizes[] = {-1, 0, 9, INT32_MIN, INT32_MAX, 100 * 1024 * 1024 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int fd = client_open(&server);
        struct ms_buf out;
        ms_buf_init(&out, MIB);
        frame_heartbeat(&out, "before", 5);
        uint8_t size[4];
        ms_put_be32(size, (uint32_t)sizes[i]);
        assert_int_equal(ms_buf_append(&out, size, sizeof size), 0);
        client_send_buf(fd, &out);
        client_expect_heartbeat(fd, 5); /* what was asked before is answered */
        client_expect_end(fd);
        ms_buf_deinit(&out);
        close(fd);
    }
    assert_int_equal(server_metric(&server, "mainstem_kafka_protocol_errors_total"), 6);
    assert_warned(&server, "-1 bytes");
    assert_warned(&server, "127.0.0.1:");
    server_stop(&server);
}

static void malformed_requests_close_the_connection(void **state) {
    (void)state;
    static const char *const rests[] = {
        "\x00\x0c\x00\x00\x00\x00\x00\x01\xff\xff", /* Heartbeat without a body */
        "\x00\x0c\x00\x63\x00\x00\x00\x01\xff\xff", /* in version 99 */
        "\x03\xe7\x00\x00\x00\x00\x00\x01\xff\xff", /* of key 999 */
        "\x00\x0c\x00\x00\x00\x00\x00\x01\x00\x63", /* client id beyond the end */
        "\x00\x0c\x00\x00\x00\x00\x00\x01\x80\x00", /* of a negative length */
    };
    static const char *const words[] = {"Heartbeat in version 0", "Heartbeat in version 99",
                                        "key 999", "kafka", "kafka"};
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        struct server server; /* anew: warnings come once a second */
        start(&server);
        int fd = client_open(&server);
        client_send(fd, "\x00\x00\x00\x0a", 4);
        client_send(fd, rests[i], 10);
        client_expect_end(fd);
        assert_warned(&server, words[i]);
        close(fd);
        server_stop(&server);
    }
}

static void large_requests_arrive_in_memory_of_their_own(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    static const size_t sizes[] = {3000, 60000, 65500, 65536, 131072, 200001, 3 * 1024 * 1024 + 1};
    struct ms_buf out;
    ms_buf_init(&out, 64 * MIB);
    for (int round = 0; round < 2; round++) { /* one by one, then all at once */
        out.len = 0;
        for (int i = 0; i < 7; i++) {
            frame_produce(&out, i, sizes[i]);
            frame_heartbeat(&out, "after", (int16_t)i);
            if (round == 0) {
                client_send_buf(fd, &out);
                out.len = 0;
            }
        }
        client_send_buf(fd, &out);
        for (int i = 0; i < 7; i++) {
            client_expect_produced(fd, i, sizes[i]);
            client_expect_heartbeat(fd, (int16_t)i);
        }
    }
    server_await(&server, "mainstem_kafka_request_bytes", 0);
    ms_buf_deinit(&out);
    close(fd);
    server_stop(&server);
}

static void what_is_announced_and_not_sent_holds_no_memory(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = client_open(&server);
        client_send(fds[i], "\x06\x00\x00\x00\x00", 5); /* 96 MiB, and the first byte of them */
    }
    server_await(&server, "mainstem_kafka_received_bytes_total", 100);
    assert_true(server_metric(&server, "mainstem_kafka_request_bytes") <= 20 * 64 * 1024);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    server_await(&server, "mainstem_kafka_connections", 0);
    server_await(&server, "mainstem_kafka_request_bytes", 0);
    server_stop(&server);
}

struct sending {
    struct server *server;
    int32_t number;
    size_t len;
};

static void *send_large(void *context) {
    struct sending *sending = context;
    int fd = client_open(sending->server);
    struct ms_buf out;
    ms_buf_init(&out, 64 * MIB);
    frame_produce(&out, sending->number, sending->len);
    client_send_buf(fd, &out);
    client_expect_produced(fd, sending->number, sending->len);
    ms_buf_deinit(&out);
    close(fd);
    return NULL;
}

/* Six requests of 3 MiB at once in half of 4 MiB: none fits, each is received in its turn. */
static void requests_beyond_the_budget_get_on_one_by_one(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.threads = 2;
    server.options.inflight_bytes_max = 4 * MIB;
    server_start(&server);
    pthread_t threads[6];
    struct sending sendings[6];
    for (int i = 0; i < 6; i++) {
        sendings[i] = (struct sending){&server, i, 3 * MIB + (size_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_large, &sendings[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_true(server_metric(&server, "mainstem_kafka_starved_total") > 0);
    server_await(&server, "mainstem_kafka_request_bytes", 0);
    server_stop(&server);
}

static void more_connections_than_allowed_are_closed(void **state) {
    (void)state;
    struct server server;
    server_init(&server, handlers, 2);
    server.options.connections_max = 2;
    server_start(&server);
    int fds[3];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_open(&server);
        client_heartbeat(fds[i], "group", 1);
        client_expect_heartbeat(fds[i], 1);
    }
    fds[2] = client_open(&server);
    client_expect_end(fds[2]);
    assert_warned(&server, "connections_max");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_split_at_every_byte_arrive),
        cmocka_unit_test(many_requests_in_one_segment_are_answered_in_order),
        cmocka_unit_test(absurd_sizes_close_the_connection),
        cmocka_unit_test(malformed_requests_close_the_connection),
        cmocka_unit_test(large_requests_arrive_in_memory_of_their_own),
        cmocka_unit_test(what_is_announced_and_not_sent_holds_no_memory),
        cmocka_unit_test(requests_beyond_the_budget_get_on_one_by_one),
        cmocka_unit_test(more_connections_than_allowed_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
