/* `mainstem projection …` and `mainstem query`, on a server in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>

#include "cli/cli_fixture.h"
#include "face/http/http.h"

static struct cli_fixture fixture;
static char dir[64], url[96], orders[96], strict[96], wrong[96];
static struct ms_store *store;
static struct ms_projections *projections;
static struct ms_http *http;

#define ON_SERVER(...) RUN(&fixture, __VA_ARGS__, "--server", url)

static const char ORDERS[] = "-- projection: orders\n"
                             "-- from: order\n"
                             "create table orders (id text primary key, status text not null);\n"
                             "-- on: order.created\n"
                             "insert into orders (id, status) values (:key, :data ->> 'status');\n"
                             "-- on: order.paid\n"
                             "update orders set status = 'PAID' where id = :key;\n"
                             "-- query: by_status(status text = null)\n"
                             "select id, status, length(id) as n from orders\n"
                             "  where :status is null or status = :status order by id;\n";
static const char STRICT[] = "-- projection: strict\n"
                             "-- from: order\n"
                             "create table strict (n bigint primary key);\n"
                             "-- on: order.created\n"
                             "insert into strict (n) values (:data ->> 'n');\n"
                             "-- query: all\n"
                             "select n from strict order by n;\n";
static const char WRONG[] = "-- projection: wrong\n"
                            "-- from: order\n"
                            "create table wrong (n bigint primary key);\n"
                            "-- on: order.created\n"
                            "insert into wrong (n) values (:data ->> 'n');\n"
                            "-- query: all\n"
                            "select n, absent from wrong;\n";

static void write_file(char path[96], const char *name, const char *text) {
    snprintf(path, 96, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* ---- the server ---- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *place) {
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static void start_server(void) {
    char data[96], own[96];
    struct ms_error err = {0};
    struct ms_store_options store_options;
    struct ms_projections_options options;
    struct ms_http_options http_options;
    snprintf(data, sizeof data, "%s/data", dir);
    snprintf(own, sizeof own, "%s/projections", dir);
    ms_store_options_init(&store_options);
    store_options.dir = data;
    store_options.segment_bytes = 1024 * 1024;
    ms_projections_options_init(&options);
    options.dir = own;
    ms_http_options_init(&http_options);
    http_options.listen = "127.0.0.1:0";
    http_options.threads = 1;
    int rc = ms_store_open(&store_options, &store, &err);
    options.store = store;
    if (rc == 0)
        rc = ms_projections_open(&options, &projections, &err);
    http_options.projections = projections;
    if (rc == 0)
        rc = ms_http_start(store, &http_options, &http, &err);
    if (rc != 0)
        fail_msg("%s", err.message);
    char address[MS_HTTP_ADDRESS_MAX];
    ms_http_address(http, address);
    snprintf(url, sizeof url, "http://%s", address);
}

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/mainstem-cli-XXXXXX");
    assert_non_null(mkdtemp(dir));
    fixture_open(&fixture, ORDERS);
    fixture.env.vfs = ms_vfs_posix();
    write_file(orders, "my-orders.sql", ORDERS);
    write_file(strict, "strict.sql", STRICT);
    write_file(wrong, "wrong.sql", WRONG);
    start_server();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ms_projections_stop(projections);
    ms_http_stop(http, 2000);
    ms_projections_close(projections);
    assert_int_equal(ms_store_close(store, NULL), 0);
    fixture_close(&fixture);
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void append(const char *stream, const char *type, const char *data) {
    assert_int_equal(ON_SERVER("append", stream, type, data), 0);
}

/* The position of what was appended last. */
static const char *position(void) {
    static char text[32];
    const char *found = strstr(fixture.out, "\"position\":");
    assert_non_null(found);
    snprintf(text, sizeof text, "%.*s", (int)strcspn(found + 11, ","), found + 11);
    return text;
}

/* ---- deploying ---- */

static void a_file_is_deployed_and_answers_when_the_command_ends(void **state) {
    (void)state;
    append("order-1", "order.created", "{\"status\":\"NEW\"}");
    append("order-2", "order.created", "{\"status\":\"NEW\"}");
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_string_equal(fixture.out,
                        "{\"projection\":\"orders\",\"version\":1,\"unchanged\":false}\n");
    assert_int_equal(ON_SERVER("query", "orders", "by_status"), 0);
    assert_string_equal(fixture.out, "{\"id\":\"1\",\"status\":\"NEW\",\"n\":1}\n"
                                     "{\"id\":\"2\",\"status\":\"NEW\",\"n\":1}\n");
    assert_int_equal(ON_SERVER("projection", "deploy", "-"), 0); /* the same, from the input */
    expect_out(&fixture, "\"version\":1,\"unchanged\":true}");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_string_equal(fixture.out, "orders: version 1 was there already\n");
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders"), 0);
    assert_string_equal(fixture.out, "orders: version 2 answers now\n");
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders", "--no-wait"), 0);
    expect_out(&fixture, "orders: version 3 is filled beside the one that answers\n");
}

static void mistakes_are_told_with_the_path_that_was_typed(void **state) {
    (void)state;
    char message[256], bad[96];
    write_file(bad, "bad.sql", "-- projection: bad\n-- form: order\n");
    assert_int_equal(ON_SERVER("projection", "deploy", orders, wrong), MS_EXIT_FAILURE);
    snprintf(message, sizeof message, "mainstem: %s:7:11: no such column: absent\n", wrong);
    assert_string_equal(fixture.err, message);
    assert_int_equal(ON_SERVER("projection", "drop", "orders", "--yes"), 0); /* it came before */
    assert_int_equal(ON_SERVER("projection", "deploy", orders, bad), MS_EXIT_FAILURE);
    snprintf(message, sizeof message, "mainstem: %s:2:1: '-- form:' is no directive", bad);
    expect_err(&fixture, message);
    assert_int_equal(ON_SERVER("projection", "list"), 0);
    assert_string_equal(fixture.out, ""); /* nothing was sent */
    assert_int_equal(ON_SERVER("projection", "deploy", "/none.sql"), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "/none.sql");
}

static void an_event_that_stops_it_ends_the_command_with_1(void **state) {
    (void)state;
    char message[256];
    append("order-1", "order.created", "{\"n\":1}");
    append("order-2", "order.created", "{\"n\":1}");
    char stop[32];
    snprintf(stop, sizeof stop, "%s", position());
    assert_int_equal(ON_SERVER("projection", "deploy", strict), MS_EXIT_FAILURE);
    snprintf(message, sizeof message,
             "version 1 of strict stopped at the event at position %s: %s:5:1: UNIQUE", stop,
             strict);
    expect_err(&fixture, message);
    assert_int_equal(ON_SERVER("projection", "errors", "strict"), 0);
    snprintf(message, sizeof message,
             "\"version\":1,\"role\":\"candidate\",\"state\":\"stopped\",\"position\":%s,", stop);
    expect_out(&fixture, message);
    assert_int_equal(ON_SERVER("query", "strict", "all"), MS_EXIT_UNAVAILABLE);
    expect_err(&fixture, "is being built: stopped");
    assert_int_equal(ON_SERVER("projection", "skip", "strict", "--position", "999"),
                     MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_SERVER("projection", "retry", "strict"), MS_EXIT_FAILURE);
    snprintf(message, sizeof message,
             "version 1 can't apply the event at position %s (0 applied): %s:5:1: UNIQUE", stop,
             "strict.sql");
    expect_err(&fixture, message);
    assert_int_equal(ON_SERVER("projection", "deploy", strict), MS_EXIT_FAILURE);
    assert_int_equal(ON_SERVER("projection", "skip", "strict", "--position", stop), 0);
    expect_out(&fixture, "\"tried\":{\"version\":1,\"applied\":0}");
    assert_int_equal(ON_SERVER("projection", "deploy", strict), 0); /* waits */
    expect_out(&fixture, "\"version\":1,\"unchanged\":true}");
    assert_int_equal(ON_SERVER("query", "strict", "all"), 0);
    assert_string_equal(fixture.out, "{\"n\":1}\n");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_SERVER("projection", "errors", "strict"), 0);
    assert_string_equal(fixture.out, "strict has no errors\n");
}

static void a_paused_projection_is_not_waited_for(void **state) {
    (void)state;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_int_equal(ON_SERVER("projection", "pause", "orders"), 0);
    expect_out(&fixture, "\"paused\":true");
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders"), MS_EXIT_UNAVAILABLE);
    expect_err(&fixture, "version 2 of orders waits: the projection is paused");
    assert_int_equal(ON_SERVER("projection", "resume", "orders"), 0);
    expect_out(&fixture, "\"paused\":false");
}

/* ---- asking ---- */

static void queries_take_parameters_and_wait(void **state) {
    (void)state;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    append("order-1", "order.created", "{\"status\":\"a=b c&d\"}");
    assert_int_equal(
        ON_SERVER("query", "orders", "by_status", "status=a=b c&d", "--min-position", position()),
        0);
    assert_string_equal(fixture.out, "{\"id\":\"1\",\"status\":\"a=b c&d\",\"n\":1}\n");
    append("order-1", "order.paid", "{}");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "status=PAID", "--min-version",
                               "order-1:1", "--format", "json"),
                     0);
    assert_string_equal(fixture.out, "[{\"id\":\"1\",\"status\":\"PAID\",\"n\":1}]\n");
    append("order-2", "order.created", "{\"status\":\"NEW\"}");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "page_rows=1", "--min-version",
                               "order-2:0", "--format", "json"),
                     0); /* two pages */
    assert_string_equal(fixture.out, "[{\"id\":\"1\",\"status\":\"PAID\",\"n\":1},\n"
                                     " {\"id\":\"2\",\"status\":\"NEW\",\"n\":1}]\n");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "--format", "table"), 0);
    assert_string_equal(fixture.out, "id  status  n\n"
                                     "1   PAID    1\n"
                                     "2   NEW     1\n");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "status=x", "--format", "table"), 0);
    assert_string_equal(fixture.out, "no rows\n");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "status=x", "--format", "json"), 0);
    assert_string_equal(fixture.out, "[]\n");
}

static void queries_look_at_the_past(void **state) {
    (void)state;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    append("order-1", "order.created", "{\"status\":\"NEW\"}");
    char before[32];
    snprintf(before, sizeof before, "%s", position());
    append("order-1", "order.paid", "{}");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "--as-of", before), 0);
    assert_string_equal(fixture.out, "{\"id\":\"1\",\"status\":\"NEW\",\"n\":1}\n");
    assert_int_equal(
        ON_SERVER("query", "orders", "by_status", "--known-at", "2020-01-01T00:00:00Z"), 0);
    assert_string_equal(fixture.out, "");
}

static void what_is_wrong_with_a_query_is_told(void **state) {
    (void)state;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "PAID"), MS_EXIT_USAGE);
    expect_err(&fixture, "param=value was expected, not \"PAID\"");
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "=x"), MS_EXIT_USAGE);
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "--format", "xml"), MS_EXIT_USAGE);
    expect_err(&fixture, "--format: table, json or ndjson");
    assert_int_equal(
        ON_SERVER("query", "orders", "by_status", "--as-of", "1", "--known-at", "2020-01-01"),
        MS_EXIT_USAGE);
    assert_int_equal(ON_SERVER("query", "orders"), MS_EXIT_USAGE);
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "colour=x"), MS_EXIT_FAILURE);
    expect_err(&fixture, "unknown parameter 'colour'");
    assert_int_equal(ON_SERVER("query", "orders", "none"), MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_SERVER("query", "none", "none"), MS_EXIT_NOT_FOUND);
    assert_int_equal(
        ON_SERVER("query", "orders", "by_status", "--min-position", "99999", "--timeout", "1ms"),
        MS_EXIT_UNAVAILABLE);
    expect_err(&fixture, "position 99999 is not applied yet");
}

/* ---- looking and changing ---- */

static void projections_are_listed_with_their_versions(void **state) {
    (void)state;
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_SERVER("projection", "list"), 0);
    assert_string_equal(
        fixture.out,
        "PROJECTION  VERSION  ROLE  STATE  LAG  SECONDS  RATE  PARKED  INCOMPLETE  ERROR\n");
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders"), 0);
    assert_int_equal(ON_SERVER("projection", "list"), 0);
    expect_out(&fixture, "\norders            2  current   live ");
    expect_out(&fixture, "\norders            1  previous  live ");
    assert_int_equal(ON_SERVER("projection", "show", "orders"), 0);
    expect_out(&fixture, "projection: orders\npaused: false\n\nVERSION  ROLE ");
    assert_int_equal(ON_SERVER("projection", "lag", "orders"), 0);
    expect_out(&fixture, "PROJECTION  VERSION  STATE  POSITION  END  LAG  SECONDS  ");
    assert_int_equal(ON_SERVER("projection", "list", "--json"), 0);
    expect_out(&fixture, "{\"projection\":\"orders\",\"paused\":false,\"versions\":[{");
    assert_int_equal(ON_SERVER("projection", "show", "none"), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "there is no projection 'none'");
}

static void versions_are_switched_and_dropped(void **state) {
    (void)state;
    assert_int_equal(ON_SERVER("projection", "deploy", orders), 0);
    assert_int_equal(ON_SERVER("projection", "switch", "orders"), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "has no version before this one");
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders"), 0);
    assert_int_equal(ON_SERVER("projection", "switch", "orders", "--version", "1"), 0);
    expect_out(&fixture, "{\"version\":1,\"role\":\"current\"");
    assert_int_equal(ON_SERVER("projection", "switch", "orders"), 0);
    expect_out(&fixture, "{\"version\":2,\"role\":\"current\"");
    assert_int_equal(ON_SERVER("projection", "switch", "orders", "--version", "0"), MS_EXIT_USAGE);
    assert_int_equal(ON_SERVER("projection", "drop", "orders"), MS_EXIT_USAGE);
    expect_err(&fixture, "say --yes");
    assert_int_equal(ON_SERVER("projection", "drop", "orders", "--yes"), 0);
    assert_int_equal(ON_SERVER("projection", "drop", "orders", "--yes"), MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_SERVER("projection", "skip", "orders"), MS_EXIT_USAGE);
    expect_err(&fixture, "say --position");
}

static void parked_events_are_shown_and_tried_again(void **state) {
    (void)state;
    char text[sizeof STRICT + 32], path[96];
    snprintf(text, sizeof text, "-- on-error: park\n%s", STRICT);
    write_file(path, "parking.sql", text);
    assert_int_equal(ON_SERVER("projection", "deploy", path), 0);
    append("order-1", "order.created", "{\"n\":1}");
    append("order-2", "order.created", "{\"n\":1}");
    assert_int_equal(ON_SERVER("query", "strict", "all", "--min-version", "order-2:0"), 0);
    assert_int_equal(ON_SERVER("projection", "errors", "strict"), 0);
    expect_out(&fixture, "\"stream\":\"order-2\"");
    expect_out(&fixture, "UNIQUE constraint failed: strict.n");
    assert_int_equal(ON_SERVER("projection", "retry", "strict", "--stream", "order-2"),
                     MS_EXIT_FAILURE);
    expect_err(&fixture, "UNIQUE constraint failed: strict.n");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_SERVER("projection", "errors", "strict"), 0);
    expect_out(&fixture, "VERSION  POSITION  STREAM   TYPE           EVENT ");
}

/* The first two events of order-1 are removed. */
static void lose_two(void) {
    static char text[100000];
    text[0] = text[sizeof text - 2] = '"';
    memset(text + 1, 'x', sizeof text - 3);
    append("order-1", "order.created", "{\"status\":\"NEW\"}");
    append("order-1", "order.paid", "{}");
    append("order-1", "order.paid", "{}");
    assert_int_equal(ON_SERVER("stream", "metadata", "order-1", "{\"$tb\":2}"), 0);
    for (int i = 0; i < 20; i++)
        append("filler-1", "filled", text);
    do /* until the segment is sealed */
        assert_int_equal(RUN(&fixture, "scavenge", "--all", "--server", url), 0);
    while (strstr(fixture.out, "\"events_removed\":2") == NULL);
}

static void what_was_scavenged_is_refused_unless_allowed(void **state) {
    (void)state;
    lose_two();
    assert_int_equal(ON_SERVER("projection", "deploy", orders), MS_EXIT_CONFLICT);
    expect_err(&fixture, "events of topic 'order' at positions ");
    assert_int_equal(ON_SERVER("projection", "deploy", orders, "--allow-incomplete"), 0);
    assert_int_equal(ON_SERVER("projection", "show", "orders"), 0);
    expect_out(&fixture, "\"incomplete\":{\"topic\":\"order\",");
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders"), MS_EXIT_CONFLICT);
    assert_int_equal(ON_SERVER("projection", "rebuild", "orders", "--allow-incomplete"), 0);
    assert_int_equal(ON_SERVER("query", "orders", "by_status"), 0);
    assert_int_equal(ON_SERVER("query", "orders", "by_status", "--as-of", "1000"),
                     MS_EXIT_CONFLICT);
    expect_err(&fixture, "events of topic 'order' at positions ");
    assert_int_equal(
        ON_SERVER("query", "orders", "by_status", "--as-of", "1000", "--allow-incomplete"), 0);
    assert_int_equal(ON_SERVER("projection", "resume", "orders", "--allow-incomplete"), 0);
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_SERVER("projection", "list"), 0);
    expect_out(&fixture, "INCOMPLETE");
    print_message("%s", fixture.out);
}

static void projections_need_a_server(void **state) {
    (void)state;
    static const char wanted[] =
        "projections are kept by a running server: give --server, not --data";
    assert_int_equal(RUN(&fixture, "projection", "list", "--data", dir), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(RUN(&fixture, "query", "a", "b", "--data", dir), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(RUN(&fixture, "projection", "deploy", orders, "--data", dir), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(RUN(&fixture, "projection", "list", "--server", "127.0.0.1:1"),
                     MS_EXIT_UNAVAILABLE);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_deployed_and_answers_when_the_command_ends),
        TEST(mistakes_are_told_with_the_path_that_was_typed),
        TEST(an_event_that_stops_it_ends_the_command_with_1),
        TEST(a_paused_projection_is_not_waited_for),
        TEST(queries_take_parameters_and_wait),
        TEST(queries_look_at_the_past),
        TEST(what_is_wrong_with_a_query_is_told),
        TEST(projections_are_listed_with_their_versions),
        TEST(versions_are_switched_and_dropped),
        TEST(parked_events_are_shown_and_tried_again),
        TEST(what_was_scavenged_is_refused_unless_allowed),
        TEST(projections_need_a_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
