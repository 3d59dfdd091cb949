/* Administration over HTTP: backup and scavenge. */
#include "http_cmocka.h"
#include "http_server.h"
#include "store/backup.h"

static struct server server;
static struct client client;

static int setup(void **state) {
    (void)state;
    server_init(&server);
    server_start(&server);
    client = client_open(&server);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    client_close(&client);
    server_stop(&server);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static struct answer post(const char *path, const char *body) {
    char text[1024];
    snprintf(text, sizeof text, "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", path,
             body[0] ? JSON : "", strlen(body), body);
    client_send(&client, text);
    return client_answer(&client);
}

static struct answer get(const char *path) {
    char text[256];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    client_send(&client, text);
    return client_answer(&client);
}

static void expect(struct answer answer, int status, const char *text) {
    if (answer.status != status || !strstr(answer.body, text))
        fail_msg("%d %s, expected %d with %s", answer.status, answer.body, status, text);
}

static void append_some(void) {
    expect(post("/v1/streams/order-1", "[{\"event_type\":\"a\"},{\"event_type\":\"b\"}]"), 201,
           "\"version\":1");
}

static void a_backup_is_answered_when_it_is_there(void **state) {
    (void)state;
    append_some();
    expect(post("/v1/admin/backup", "{\"dir\":\"/copy\"}"), 200, "{\"dir\":\"/copy\",\"end\":");
    struct ms_restore_options options = {.env = &server.env, .backup = "/copy", .dir = "/restored"};
    struct ms_restore_result result;
    struct ms_error err = {0};
    if (ms_store_restore(&options, &result, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(result.end, ms_store_end(server.store));
}

static void a_backup_needs_an_empty_directory_and_an_absolute_path(void **state) {
    (void)state;
    append_some();
    expect(post("/v1/admin/backup", "{\"dir\":\"/copy\"}"), 200, "\"files\":1");
    expect(post("/v1/admin/backup", "{\"dir\":\"/copy\"}"), 409, "not empty");
    expect(post("/v1/admin/backup", "{\"dir\":\"copy\"}"), 400, "absolute");
    expect(post("/v1/admin/backup", "{\"dir\":7}"), 400, "\\\"dir\\\"");
    expect(post("/v1/admin/backup", "{}"), 400, "\\\"dir\\\"");
    expect(post("/v1/admin/backup", "{\"dir\":\"/x\",\"more\":1}"), 400, "one field");
    expect(post("/v1/admin/backup", "[]"), 400, "object");
    expect(post("/v1/admin/backup", "{\"dir\":"), 400, "line 1");
    expect(post("/v1/admin/backup", "{\"dir\":\"/x\",\"dir\":\"/y\"}"), 400, "line 1");
}

static void await_scavenge(void) {
    for (int i = 0; i < WAIT_MS; i++) {
        struct answer answer = get("/v1/admin/scavenge");
        assert_int_equal(answer.status, 200);
        if (strstr(answer.body, "\"running\":false"))
            return;
        ms_clock_sleep_us(server.env.clock, 1000);
    }
    fail_msg("the scavenge does not end");
}

static void a_scavenge_runs_in_the_background(void **state) {
    (void)state;
    append_some();
    expect(get("/v1/admin/scavenge"), 200,
           "{\"running\":false,\"segments_done\":0,\"segments\":0,"
           "\"last\":null}");
    struct answer answer = post("/v1/admin/scavenge", "");
    expect(answer, 202, "\"last\":");
    assert_non_null(strstr(answer.head, "Location: /v1/admin/scavenge\r\n"));
    await_scavenge();
    expect(get("/v1/admin/scavenge"), 200, "\"error\":null,\"segments\":0,\"rewritten\":0,");
    expect(post("/v1/admin/scavenge", "{\"all\":true,\"bytes_per_second\":1000}"), 202, "running");
    await_scavenge();
}

static void bad_options_of_a_scavenge_are_named(void **state) {
    (void)state;
    expect(post("/v1/admin/scavenge", "{\"all\":1}"), 400, "all");
    expect(post("/v1/admin/scavenge", "{\"bytes_per_second\":-1}"), 400, "bytes_per_second");
    expect(post("/v1/admin/scavenge", "{\"everything\":true}"), 400, "everything");
    expect(get("/v1/admin/scavenge"), 200, "\"last\":null"); /* nothing was begun */
}

static void other_methods_are_not_allowed(void **state) {
    (void)state;
    assert_int_equal(get("/v1/admin/backup").status, 405);
    assert_int_equal(get("/v1/admin/other").status, 404);
}

/* Stopping the server while something runs must neither hang nor crash. */
static void stopping_ends_what_runs(void **state) {
    (void)state;
    append_some();
    assert_int_equal(post("/v1/admin/scavenge", "{\"all\":true}").status, 202);
    client_send(&client, "POST /v1/admin/backup HTTP/1.1\r\n" HOST JSON
                         "Content-Length: 15\r\n\r\n{\"dir\":\"/copy\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(a_backup_is_answered_when_it_is_there),
        test(a_backup_needs_an_empty_directory_and_an_absolute_path),
        test(a_scavenge_runs_in_the_background),
        test(bad_options_of_a_scavenge_are_named),
        test(other_methods_are_not_allowed),
        test(stopping_ends_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
