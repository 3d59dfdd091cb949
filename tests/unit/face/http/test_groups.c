/* Consumer groups over HTTP, and their metrics, on a coordinator without Kafka clients. */
#include "group/metrics.h"
#include "group/service.h"
#include "http_cmocka.h"
#include "http_server.h"

static struct server server;
static struct client client;
static struct ms_group_service *service;

static int setup(void **state) {
    (void)state;
    struct ms_error err = {0};
    struct ms_groups_options options = {.env = &server.env};
    service = NULL;
    server_init(&server);
    assert_int_equal(ms_store_open(&server.store_options, &server.store, &err), 0);
    assert_int_equal(ms_group_service_start(server.store, &options, NULL, &service, &err), 0);
    server.options.groups = ms_group_service_groups(service);
    server_serve(&server);
    client = client_open(&server);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    client_close(&client);
    ms_group_service_stop(service);
    ms_http_stop(server.http, 2000);
    ms_group_service_free(service);
    assert_int_equal(ms_store_close(server.store, NULL), 0);
    ms_vfs_sim_free(server.sim);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct answer call(const char *method, const char *path, const char *body) {
    char text[2048];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", method,
             path, body[0] ? JSON : "", strlen(body), body);
    client_send(&client, text);
    return client_answer(&client);
}
#define get(path) call("GET", path, "")
#define reset(body) call("PUT", "/v1/groups/g/offsets", body)

static void expect(struct answer answer, int status, const char *text) {
    if (answer.status != status || !strstr(answer.body, text))
        fail_msg("%d %s, expected %d with %s", answer.status, answer.body, status, text);
}

/* Topic "order" with two partitions and 12 events: the keys 1 to 12. */
static void make_events(void) {
    expect(call("PUT", "/v1/topics/order", "{\"partitions\":2}"), 201, "");
    for (int i = 1; i <= 12; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/streams/order-%d", i);
        expect(call("POST", path, "{\"event_type\":\"a\",\"timestamp\":\"2026-01-01T00:00:00Z\"}"),
               201, "");
    }
}

static int64_t number_in(const char *text, const char *name) {
    const char *at = strstr(text, name);
    int64_t number;
    assert_non_null(at);
    at += strlen(name);
    assert_int_equal(ms_parse_i64(ms_bytes_of(at, strspn(at, "-0123456789")), &number), 0);
    return number;
}

static void groups_are_listed_and_shown_with_their_lag(void **state) {
    (void)state;
    expect(get("/v1/groups"), 200, "{\"groups\":[\n]}");
    make_events();
    expect(reset("{\"to\":\"earliest\",\"topics\":[\"order\"]}"), 200,
           "{\"topic\":\"order\",\"partition\":0,\"before\":null,\"offset\":0,\"moved\":null}");
    expect(get("/v1/groups"), 200,
           "{\"group\":\"g\",\"state\":\"Empty\",\"protocol_type\":null,\"protocol\":null,"
           "\"members\":0,\"lag\":12}");
    struct answer answer = get("/v1/groups/g");
    expect(answer, 200, "\"members\":[],\"lag\":12,\"offsets\":[\n");
    expect(answer, 200, "{\"topic\":\"order\",\"partition\":1,\"offset\":0,\"end_offset\":");
    expect(answer, 200, ",\"metadata\":\"\",\"committed_at\":\"20");
    assert_null(strstr(answer.body, "\"lag_seconds\":null"));
    expect(get("/v1/groups/nobody"), 404, "there is no group 'nobody'");
}

static void a_lag_of_a_deleted_topic_is_not_known(void **state) {
    (void)state;
    make_events();
    expect(reset("{\"to\":\"earliest\",\"topics\":[\"order\"]}"), 200, "");
    expect(call("DELETE", "/v1/topics/order", ""), 204, "");
    expect(get("/v1/groups/g"), 200,
           "\"offset\":0,\"end_offset\":null,\"lag\":null,\"lag_seconds\":null");
    expect(get("/v1/groups"), 200, "\"lag\":0}");
    expect(reset("{\"to\":\"latest\"}"), 200, "\"offsets\":[\n]}");
}

static void offsets_are_reset_by_all_that_is_known(void **state) {
    (void)state;
    make_events();
    struct answer answer = get("/v1/topics/order/partitions");
    expect(answer, 200, "\"newest_timestamp\":\"2026-01-01T00:00:00.000Z\"}");
    int64_t end = number_in(answer.body, "{\"partition\":0,\"start_offset\":0,\"end_offset\":");
    char wanted[128];
    expect(reset("{\"to\":\"offset\",\"value\":1,\"partitions\":{\"order\":[0]}}"), 200,
           "\"offsets\":[\n{\"topic\":\"order\",\"partition\":0,\"before\":null,\"offset\":1,"
           "\"moved\":null}\n]}");
    snprintf(wanted, sizeof wanted, "\"before\":1,\"offset\":%lld,\"moved\":%lld}\n]}",
             (long long)end, (long long)end - 1);
    expect(reset("{\"to\":\"latest\",\"dry_run\":true}"), 200, wanted);
    expect(reset("{\"to\":\"latest\"}"), 200, wanted);
    expect(reset("{\"to\":\"offset\",\"value\":4711}"), 200, "\"moved\":0}");
    expect(reset("{\"to\":\"time\",\"value\":\"2025-12-31T23:00:00-01:00\"}"), 200,
           "\"offset\":0,\"moved\":-");
    snprintf(wanted, sizeof wanted, "\"before\":0,\"offset\":%lld,", (long long)end);
    expect(reset("{\"to\":\"time\",\"value\":\"2999-01-01T00:00:00Z\"}"), 200, wanted);
    expect(reset("{\"to\":\"position\",\"value\":0}"), 200, "\"offset\":0,\"moved\":-");
    expect(reset("{\"to\":\"position\",\"value\":4711}"), 200, "\"before\":0,");
    expect(get("/v1/groups/g"), 200, "\"lag\":0,\"lag_seconds\":0.000,");
    /* Twice the same partition is once. */
    expect(reset("{\"to\":\"earliest\",\"topics\":[\"order\",\"order\"],\"partitions\":"
                 "{\"order\":[1,0]}}"),
           200,
           "{\"topic\":\"order\",\"partition\":1,\"before\":null,\"offset\":0,\"moved\":null}\n]}");
}

static void a_dry_run_makes_no_group(void **state) {
    (void)state;
    make_events();
    expect(reset("{\"to\":\"latest\",\"topics\":[\"order\"],\"dry_run\":true}"), 200,
           "{\"group\":\"g\",\"dry_run\":true,");
    expect(get("/v1/groups/g"), 404, "not-found");
}

static void a_bad_reset_is_refused_by_field(void **state) {
    (void)state;
    make_events();
    const struct {
        const char *body;
        int status;
        const char *text;
    } cases[] = {
        {"{\"to\":", 400, "line 1"},
        {"[]", 400, "object"},
        {"{}", 400, "\\\"to\\\""},
        {"{\"to\":\"end\"}", 400, "\\\"to\\\""},
        {"{\"to\":\"latest\",\"value\":1}", 400, "\\\"value\\\""},
        {"{\"to\":\"time\",\"value\":5}", 400, "expected a time"},
        {"{\"to\":\"time\"}", 400, "expected a time"},
        {"{\"to\":\"offset\",\"value\":-1}", 400, "expected an offset"},
        {"{\"to\":\"position\",\"value\":\"7\"}", 400, "expected a position"},
        {"{\"to\":\"latest\",\"dryrun\":true}", 400, "dryrun"},
        {"{\"to\":\"latest\",\"dry_run\":1}", 400, "true or false"},
        {"{\"to\":\"latest\",\"topics\":\"order\"}", 400, "\\\"topics\\\""},
        {"{\"to\":\"latest\",\"topics\":[7]}", 400, "\\\"topics\\\""},
        {"{\"to\":\"latest\",\"topics\":[\"nothing\"]}", 404, "there is no topic 'nothing'"},
        {"{\"to\":\"latest\",\"partitions\":{\"order\":[2]}}", 404,
         "no partition 2 of topic 'order'"},
        {"{\"to\":\"latest\",\"partitions\":{\"order\":[-2]}}", 400, "\\\"partitions\\\""},
        {"{\"to\":\"latest\",\"partitions\":{\"order\":1}}", 400, "\\\"partitions\\\""},
        {"{\"to\":\"latest\",\"partitions\":[]}", 400, "\\\"partitions\\\""},
        {"{\"to\":\"latest\"}", 404, "there is no group 'g'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(reset(cases[i].body), cases[i].status, cases[i].text);
    expect(get("/v1/groups"), 200, "{\"groups\":[\n]}");
    expect(get("/v1/topics/nothing/partitions"), 404, "there is no topic 'nothing'");
}

/* ---- members ---- */

static void on_joined(struct ms_group_join *join, const struct ms_group_join_answer *answer) {
    (void)answer;
    atomic_store((atomic_bool *)join->context, true);
}

static void a_group_with_members_is_neither_reset_nor_deleted(void **state) {
    (void)state;
    make_events();
    static const struct ms_group_protocol protocol = {MS_BYTES_LITERAL("range"),
                                                      MS_BYTES_LITERAL("m")};
    static atomic_bool joined;
    static struct ms_group_join join;
    atomic_store(&joined, false);
    join = (struct ms_group_join){.group = MS_BYTES_LITERAL("g"),
                                  .client_id = MS_BYTES_LITERAL("the client"),
                                  .client_host = MS_BYTES_LITERAL("/127.0.0.1"),
                                  .protocol_type = MS_BYTES_LITERAL("consumer"),
                                  .protocols = &protocol,
                                  .protocol_count = 1,
                                  .session_timeout_ms = 30000,
                                  .rebalance_timeout_ms = 30000,
                                  .done = on_joined,
                                  .context = &joined};
    ms_groups_join(server.options.groups, &join);
    for (int i = 0; i < WAIT_MS && !atomic_load(&joined); i++)
        ms_clock_sleep_us(server.env.clock, 1000);
    assert_true(atomic_load(&joined));
    expect(get("/v1/groups/g"), 200, "\"client_id\":\"the client\",\"host\":\"/127.0.0.1\"");
    const char *wanted = "\"state\":\"CompletingRebalance\",\"members\":1}";
    struct answer answer = reset("{\"to\":\"latest\",\"topics\":[\"order\"]}");
    expect(answer, 409, wanted);
    expect(answer, 409, "problem:group-not-empty");
    expect(answer, 409, "group 'g' is CompletingRebalance and has 1 member: stop them first");
    expect(call("DELETE", "/v1/groups/g", ""), 409, wanted);
}

static void an_empty_group_is_deleted_with_its_offsets(void **state) {
    (void)state;
    make_events();
    expect(reset("{\"to\":\"latest\",\"topics\":[\"order\"]}"), 200, "");
    expect(call("DELETE", "/v1/groups/g", ""), 204, "");
    expect(get("/v1/groups/g"), 404, "");
    expect(call("DELETE", "/v1/groups/g", ""), 404, "there is no group 'g'");
}

static void without_a_coordinator_there_is_a_sentence(void **state) {
    (void)state;
    struct server bare;
    server_init(&bare);
    server_start(&bare);
    struct client other = client_open(&bare);
    const char *const requests[] = {
        "GET /v1/groups HTTP/1.1\r\n" HOST "\r\n",
        "GET /v1/groups/g HTTP/1.1\r\n" HOST "\r\n",
        "DELETE /v1/groups/g HTTP/1.1\r\n" HOST "\r\n",
        "PUT /v1/groups/g/offsets HTTP/1.1\r\n" HOST JSON "Content-Length: 2\r\n\r\n{}",
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        expect(client_request(&other, requests[i]), 501, "this server keeps no consumer groups");
    client_close(&other);
    server_stop(&bare);
}

/* ---- metrics ---- */

static const char *metrics(void) {
    static struct ms_buf out;
    ms_buf_deinit(&out);
    ms_buf_init(&out, 64 << 20);
    assert_int_equal(ms_group_service_metrics(service, &out), 0);
    assert_int_equal(ms_buf_append_u8(&out, 0), 0);
    return (const char *)out.data;
}

static void metrics_tell_the_lag_and_are_kept_for_a_second(void **state) {
    (void)state;
    make_events();
    expect(reset("{\"to\":\"latest\",\"partitions\":{\"order\":[0]}}"), 200, "");
    expect(reset("{\"to\":\"earliest\",\"partitions\":{\"order\":[1]}}"), 200, "");
    const char *text = metrics();
    assert_has(text, "mainstem_groups{state=\"Empty\"} 1\n");
    assert_has(text, "mainstem_group_offsets 2\n");
    assert_has(text, "mainstem_group_lag_events{group=\"g\",topic=\"order\",partition=\"0\"} 0\n");
    assert_has(text, "mainstem_group_lag_seconds{group=\"g\",topic=\"order\",partition=\"0\"} 0\n");
    assert_has(text, "mainstem_group_lag_left_out 0\n");
    int64_t behind = number_in(text, "lag_events{group=\"g\",topic=\"order\",partition=\"1\"} ");
    assert_true(behind > 0);
    expect(reset("{\"to\":\"latest\"}"), 200, "");
    ms_clock_sleep_us(server.env.clock, 1100000);
    text = metrics();
    assert_has(text, "mainstem_group_lag_events{group=\"g\",topic=\"order\",partition=\"1\"} 0\n");
    expect(reset("{\"to\":\"earliest\"}"), 200, "");
    assert_has(metrics(), "lag_events{group=\"g\",topic=\"order\",partition=\"1\"} 0\n");
}

static void on_committed(struct ms_group_commit *commit, enum ms_group_code code) {
    assert_int_equal(code, MS_GROUP_OK);
    atomic_store((atomic_bool *)commit->context, true);
}

/* `count` partitions of topic "t", which need not be there. */
static void commit_offsets(struct ms_bytes group, size_t count) {
    static struct ms_group_offset offsets[MS_GROUP_METRICS_SERIES_MAX + 10];
    static atomic_bool done;
    assert_true(count <= sizeof offsets / sizeof *offsets);
    atomic_store(&done, false);
    for (size_t i = 0; i < count; i++)
        offsets[i] = (struct ms_group_offset){
            .topic = MS_BYTES_LITERAL("t"), .partition = (int32_t)i, .commit_time_ms = -1};
    struct ms_group_commit commit = {.identity = {.group = group, .generation = -1},
                                     .offsets = offsets,
                                     .offset_count = count,
                                     .done = on_committed,
                                     .context = &done};
    ms_groups_commit(server.options.groups, &commit);
    for (int i = 0; i < WAIT_MS && !atomic_load(&done); i++)
        ms_clock_sleep_us(server.env.clock, 1000);
    assert_true(atomic_load(&done));
}

static void metrics_leave_out_what_is_too_much_and_say_so(void **state) {
    (void)state;
    commit_offsets(MS_BYTES_LITERAL("many"), MS_GROUP_METRICS_SERIES_MAX + 7);
    assert_has(metrics(), "mainstem_group_lag_left_out 7\n");
}

static void metrics_leave_out_groups_whose_names_are_no_text(void **state) {
    (void)state;
    expect(call("PUT", "/v1/topics/t", "{\"partitions\":1}"), 201, "");
    commit_offsets(MS_BYTES_LITERAL("a\xff"), 1);
    commit_offsets(MS_BYTES_LITERAL("a\0b"), 1);
    commit_offsets(MS_BYTES_LITERAL("\"q\"\n"), 1);
    const char *text = metrics();
    assert_has(text, "mainstem_group_lag_left_out 2\n");
    assert_has(text, "lag_events{group=\"\\\"q\\\"\\n\",topic=\"t\",partition=\"0\"} 0\n");
    expect(get("/v1/groups"), 200, "{\"group\":\"a\\u0000b\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(groups_are_listed_and_shown_with_their_lag),
        test(a_lag_of_a_deleted_topic_is_not_known),
        test(offsets_are_reset_by_all_that_is_known),
        test(a_dry_run_makes_no_group),
        test(a_bad_reset_is_refused_by_field),
        test(a_group_with_members_is_neither_reset_nor_deleted),
        test(an_empty_group_is_deleted_with_its_offsets),
        cmocka_unit_test(without_a_coordinator_there_is_a_sentence),
        test(metrics_tell_the_lag_and_are_kept_for_a_second),
        test(metrics_leave_out_what_is_too_much_and_say_so),
        test(metrics_leave_out_groups_whose_names_are_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
