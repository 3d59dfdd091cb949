/* Requests: pipelining and completion in any order, barriers, readers, waiting, other threads,
 * connections that die in the middle of work. */
#include "face/kafka/loop.h"
#include "face/kafka/request.h"
#include "kafka_server.h"

/* What the handler does, by the first letter of the group:
 *   n  answers now          w  answers after number milliseconds     r  the same, on a reader
 *   h  is handed over to the test, which hands it back               a  waits to be woken
 *   0  has no answer        c  closes                                C  answers and closes */
static struct {
    pthread_mutex_t mutex;
    struct ms_kafka_request *taken[64]; /* handed over to the test */
    unsigned taken_count, handled, forgotten;
    struct ms_kafka_request *armed; /* while it may be woken */
    unsigned woken;
    char order[256]; /* first letters, as they were handled */
} test = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void answer(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    struct ms_kafka_heartbeat_response response = ms_kafka_heartbeat_response_default;
    response.error_code = (int16_t)body->generation_id;
    ms_kafka_request_note_error(request, response.error_code);
    ms_kafka_answer(request, &response);
}

static void answer_woken(struct ms_kafka_request *request) {
    pthread_mutex_lock(&test.mutex);
    unsigned woken = ++test.woken;
    if (woken == 2)
        test.armed = NULL;
    pthread_mutex_unlock(&test.mutex);
    if (woken == 2) /* the first time only looks */
        answer(request);
}

static void run(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    pause_ms(body->generation_id);
}

static void forget(struct ms_kafka_request *request) {
    pthread_mutex_lock(&test.mutex);
    test.forgotten++;
    if (test.armed == request)
        test.armed = NULL;
    pthread_mutex_unlock(&test.mutex);
}

static void note(char letter) {
    pthread_mutex_lock(&test.mutex);
    test.order[test.handled++ % (sizeof test.order - 1)] = letter;
    pthread_mutex_unlock(&test.mutex);
}

static void hand_over(struct ms_kafka_request *request) {
    request->forget = forget;
    ms_kafka_request_handed_over(request, answer);
    pthread_mutex_lock(&test.mutex);
    test.taken[test.taken_count++] = request;
    pthread_mutex_unlock(&test.mutex);
}

static void arm(struct ms_kafka_request *request) {
    request->forget = forget;
    pthread_mutex_lock(&test.mutex);
    test.armed = request;
    pthread_mutex_unlock(&test.mutex);
    ms_kafka_request_arm(request, answer_woken);
}

static void heartbeat(struct ms_kafka_request *request) {
    const struct ms_kafka_heartbeat_request *body = request->body;
    char letter = (char)body->group_id.data[0];
    int64_t number = body->generation_id;
    note(letter);
    if (letter == 'n' || letter == 'C')
        answer(request);
    if (letter == 'w')
        ms_kafka_request_wait(request, request->loop->now_us + number * 1000, answer);
    if (letter == 'r')
        ms_kafka_request_submit(request, run, answer);
    if (letter == 'h')
        hand_over(request);
    if (letter == 'a')
        arm(request);
    if (letter == '0')
        ms_kafka_answer_nothing(request);
    if (letter == 'c' || letter == 'C')
        ms_kafka_request_close(request);
}

static void list_groups(struct ms_kafka_request *request) {
    note('B');
    struct ms_kafka_list_groups_response response = ms_kafka_list_groups_response_default;
    ms_kafka_answer(request, &response);
}

static const struct ms_kafka_handler handlers[] = {{12, 0, heartbeat},
                                                   {16, MS_KAFKA_BARRIER, list_groups}};

static void start(struct server *server) {
    pthread_mutex_lock(&test.mutex);
    test.taken_count = test.handled = test.forgotten = test.woken = 0;
    test.armed = NULL;
    memset(test.order, 0, sizeof test.order);
    pthread_mutex_unlock(&test.mutex);
    server_init(server, handlers, 2);
    server_start(server);
}

static unsigned count_of(const unsigned *count) {
    pthread_mutex_lock(&test.mutex);
    unsigned now = *count;
    pthread_mutex_unlock(&test.mutex);
    return now;
}

static void await(const unsigned *count, unsigned wanted) {
    for (int i = 0; i < WAIT_MS && count_of(count) != wanted; i++)
        pause_ms(1);
    assert_int_equal(count_of(count), wanted);
}

static void assert_order(const char *expected) {
    pthread_mutex_lock(&test.mutex);
    assert_string_equal(test.order, expected);
    pthread_mutex_unlock(&test.mutex);
}

static void answers_leave_in_order_whatever_completes_first(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    client_heartbeat(fd, "h", 1);
    client_heartbeat(fd, "h", 2);
    client_heartbeat(fd, "n", 3);
    client_heartbeat(fd, "r", 4);
    client_heartbeat(fd, "0", 5); /* has no answer */
    client_heartbeat(fd, "w", 6);
    client_heartbeat(fd, "n", 7);
    await(&test.handled, 7); /* nobody waits for the first */
    client_quiet(fd, 30);
    ms_kafka_request_hand_back(test.taken[1]);
    client_quiet(fd, 30);
    ms_kafka_request_hand_back(test.taken[0]);
    static const int16_t numbers[] = {1, 2, 3, 4, 6, 7};
    for (int i = 0; i < 6; i++)
        client_expect_heartbeat(fd, numbers[i]);
    assert_order("hhnr0wn");
    assert_int_equal(server_metric(&server, "mainstem_kafka_errors_total"), 6);
    assert_int_equal(server.requests, 7);
    close(fd);
    server_stop(&server);
}

static void a_barrier_waits_and_makes_wait(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    struct ms_buf out, frame;
    ms_buf_init(&out, MIB);
    ms_buf_init(&frame, MIB);
    struct ms_kafka_list_groups_request list = ms_kafka_list_groups_request_default;
    frame_heartbeat(&out, "h", 1);
    frame_heartbeat(&out, "n", 2);
    frame_request(&out, 16, 0, 3, &list);
    frame_heartbeat(&out, "n", 4);
    client_send_buf(fd, &out);
    await(&test.taken_count, 1);
    pause_ms(20);
    assert_order("hn");
    ms_kafka_request_hand_back(test.taken[0]);
    client_expect_heartbeat(fd, 1);
    client_expect_heartbeat(fd, 2);
    assert_true(client_receive(fd, &frame));
    assert_int_equal(ms_get_be32(frame.data), 3);
    client_expect_heartbeat(fd, 4);
    assert_order("hnBn");
    ms_buf_deinit(&out);
    ms_buf_deinit(&frame);
    close(fd);
    server_stop(&server);
}

static void the_pipeline_has_a_depth(void **state) {
    (void)state;
    struct server server;
    start(&server);
    server.options.pipeline_max = 3;
    assert_int_equal(ms_kafka_reload(server.kafka, &server.options, NULL), 0);
    int fd = client_open(&server);
    for (int16_t i = 0; i < 6; i++)
        client_heartbeat(fd, "h", i);
    await(&test.taken_count, 3);
    pause_ms(20);
    assert_int_equal(count_of(&test.taken_count), 3);
    ms_kafka_request_hand_back(test.taken[0]);
    await(&test.taken_count, 4);
    for (unsigned i = 1; i < 6; i++) {
        await(&test.taken_count, i + 3 > 6 ? 6 : i + 3);
        ms_kafka_request_hand_back(test.taken[i]);
    }
    for (int16_t i = 0; i < 6; i++)
        client_expect_heartbeat(fd, i);
    close(fd);
    server_stop(&server);
}

static void deadlines_are_met_to_some_milliseconds(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    int64_t least_us = INT64_MAX;
    for (int16_t wait_ms = 1; wait_ms <= 40; wait_ms += 3) {
        int64_t began_us = clock_us();
        client_heartbeat(fd, "w", wait_ms);
        client_expect_heartbeat(fd, wait_ms);
        int64_t late_us = clock_us() - began_us - wait_ms * 1000;
        assert_true(late_us >= -50);
        if (late_us < least_us)
            least_us = late_us;
    }
    assert_true(least_us < 3000);            /* a busy machine may delay any of them, not all */
    assert_true(server.duration_us < 30000); /* waiting is not counted as work */
    close(fd);
    server_stop(&server);
}

static void a_waiting_request_is_woken_from_any_thread(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    client_heartbeat(fd, "a", 9);
    await(&test.handled, 1);
    pause_ms(5);
    for (unsigned i = 1; i <= 2; i++) {
        pthread_mutex_lock(&test.mutex);
        ms_kafka_request_wake(test.armed);
        pthread_mutex_unlock(&test.mutex);
        await(&test.woken, i);
    }
    client_expect_heartbeat(fd, 9);
    assert_int_equal(server_metric(&server, "mainstem_kafka_waiting_requests"), 0);
    close(fd);
    server_stop(&server);
}

static void a_handler_can_close_after_earlier_answers(void **state) {
    (void)state;
    struct server server;
    start(&server);
    static const char *const ways[] = {"c", "C"};
    for (int i = 0; i < 2; i++) {
        int fd = client_open(&server);
        struct ms_buf out;
        ms_buf_init(&out, MIB);
        frame_heartbeat(&out, "r", 5);
        frame_heartbeat(&out, ways[i], 6);
        frame_heartbeat(&out, "n", 7); /* too late */
        client_send_buf(fd, &out);
        client_expect_heartbeat(fd, 5);
        if (i == 1)
            client_expect_heartbeat(fd, 6);
        client_expect_end(fd);
        ms_buf_deinit(&out);
        close(fd);
    }
    server_stop(&server);
}

static void a_connection_may_die_in_the_middle_of_work(void **state) {
    (void)state;
    struct server server;
    start(&server);
    struct linger abort_it = {.l_onoff = 1};
    int fd = client_open(&server);
    client_heartbeat(fd, "h", 1);
    client_heartbeat(fd, "a", 2);
    client_heartbeat(fd, "w", 20000);
    client_heartbeat(fd, "r", 30);
    client_heartbeat(fd, "n", 5);
    await(&test.handled, 5);
    pthread_mutex_lock(&test.mutex);
    ms_kafka_request_wake(test.armed);
    pthread_mutex_unlock(&test.mutex);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it), 0);
    close(fd);
    server_await(&server, "mainstem_kafka_connections", 0);
    await(&test.forgotten, 2);
    assert_null(test.armed);
    ms_kafka_request_hand_back(test.taken[0]); /* frees it */
    fd = client_open(&server);
    client_heartbeat(fd, "n", 6);
    client_expect_heartbeat(fd, 6);
    assert_int_equal(server_metric(&server, "mainstem_kafka_waiting_requests"), 0);
    close(fd);
    server_stop(&server);
}

/* A peer that has sent its last byte gets what it asked for, unless that only waits. */
static void a_half_closed_peer_is_answered(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server);
    client_heartbeat(fd, "h", 1);
    client_heartbeat(fd, "n", 2);
    client_heartbeat(fd, "w", 30000);
    await(&test.handled, 3);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    pause_ms(20);
    ms_kafka_request_hand_back(test.taken[0]);
    client_expect_heartbeat(fd, 1);
    client_expect_heartbeat(fd, 2);
    client_expect_end(fd);
    close(fd);
    server_stop(&server);
}

static void a_stop_drains(void **state) {
    (void)state;
    struct server server;
    start(&server);
    int fd = client_open(&server), idle = client_open(&server);
    client_heartbeat(fd, "r", 100);
    client_heartbeat(fd, "w", 30000); /* its deadline is the stop */
    client_heartbeat(fd, "n", 3);
    await(&test.handled, 3);
    int64_t began_us = clock_us();
    server_stop(&server);
    assert_true(clock_us() - began_us < 4000000);
    client_expect_heartbeat(fd, 100);
    client_expect_heartbeat(fd, 30000);
    client_expect_heartbeat(fd, 3);
    client_expect_end(fd);
    client_expect_end(idle);
    close(fd);
    close(idle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_leave_in_order_whatever_completes_first),
        cmocka_unit_test(a_barrier_waits_and_makes_wait),
        cmocka_unit_test(the_pipeline_has_a_depth),
        cmocka_unit_test(deadlines_are_met_to_some_milliseconds),
        cmocka_unit_test(a_waiting_request_is_woken_from_any_thread),
        cmocka_unit_test(a_handler_can_close_after_earlier_answers),
        cmocka_unit_test(a_connection_may_die_in_the_middle_of_work),
        cmocka_unit_test(a_half_closed_peer_is_answered),
        cmocka_unit_test(a_stop_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
