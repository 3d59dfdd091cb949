/* The commands on a real data directory: what they print and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#include "cli/cli_fixture.h"

static struct cli_fixture fixture;
static char dir[64], file[128];

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *place) {
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/mainstem-cli-XXXXXX");
    assert_non_null(mkdtemp(dir));
    fixture_open(&fixture, "{\"from\":\"input\"}");
    fixture.env.vfs = ms_vfs_posix();
    snprintf(file, sizeof file, "%s/events.ndjson", dir);
    size_t len = strlen(dir);
    snprintf(dir + len, sizeof dir - len, "/data");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_close(&fixture);
    *strrchr(dir, '/') = 0;
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define ON_DATA(...) RUN(&fixture, __VA_ARGS__, "--data", dir)

static size_t lines_out(void) {
    size_t lines = 0;
    for (const char *at = fixture.out; (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

static void append_and_read_back(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "order-1", "order.created", "{\"n\": 1.10}", "--expect",
                             "none", "--id", "e1", "--correlation-id", "c1", "--tag", "x",
                             "--metadata", "{\"m\":1}", "--time", "2026-11-23T10:52:54Z"),
                     0);
    expect_out(&fixture, "{\"stream\":\"order-1\",\"version\":0,");
    expect_out(&fixture, "\"repeated\":false,\"event_id\":\"e1\"}\n");
    assert_int_equal(ON_DATA("read", "order-1"), 0);
    static const char *const members[] = {
        "\"event_id\":\"e1\"",    "\"event_type\":\"order.created\"",
        "\"data\":{\"n\": 1.10}", "\"tags\":[\"x\"]",
        "\"metadata\":{\"m\":1}", "\"correlation_id\":\"c1\"",
        "\"version\":0",          "\"timestamp\":\"2026-11-23T10:52:54"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        expect_out(&fixture, members[i]);
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_DATA("read", "order-1"), 0);
    expect_out(&fixture, "order-1@0  order.created  2026-11-23T10:52:54");
}

static void conflicts_end_with_3_and_name_the_version(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "order-1", "t", "1", "--expect", "none", "--id", "a"), 0);
    assert_int_equal(ON_DATA("append", "order-1", "t", "1", "--expect", "none"), MS_EXIT_CONFLICT);
    expect_err(&fixture, "version 0");
    assert_int_equal(ON_DATA("append", "order-1", "t", "1", "--expect", "7"), MS_EXIT_CONFLICT);
    assert_int_equal(ON_DATA("append", "order-2", "t", "1", "--expect", "exists"),
                     MS_EXIT_CONFLICT);
    assert_int_equal(ON_DATA("append", "order-1", "t", "1", "--expect", "none", "--id", "a"), 0);
    expect_out(&fixture, "\"repeated\":true");
    assert_int_equal(ON_DATA("append", "order-1", "t", "2", "--expect", "0"), 0);
}

static void data_comes_from_argument_file_or_input(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "a-1", "t", "--file", "-"), 0);
    assert_int_equal(ON_DATA("append", "a-1", "t", "plain", "--content-type", "text/plain"), 0);
    assert_int_equal(ON_DATA("append", "a-1", "t"), 0);
    assert_int_equal(ON_DATA("append", "a-1", "t", "--file", "/no/such/file"), MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_DATA("read", "a-1"), 0);
    expect_out(&fixture, "\"data\":{\"from\":\"input\"}");
    expect_out(&fixture, "\"data_base64\":\"cGxhaW4=\"");
    assert_int_equal(lines_out(), 3);
}

static void reading_selects(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "a-1", "t.x", "1", "--time", "2026-01-01T00:00:00Z"), 0);
    assert_int_equal(ON_DATA("append", "a-1", "t.y", "2", "--tag", "k"), 0);
    assert_int_equal(ON_DATA("append", "b-1", "t.x", "3"), 0);
    assert_int_equal(ON_DATA("read"), 0);
    assert_int_equal(lines_out(), 3);
    assert_int_equal(ON_DATA("read", "--backward", "--limit", "1"), 0);
    expect_out(&fixture, "\"stream\":\"b-1\"");
    assert_int_equal(ON_DATA("read", "--type", "t.y"), 0);
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("read", "--tag", "k"), 0);
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("read", "--topic", "b"), 0);
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("read", "a-1", "--from", "1"), 0);
    expect_out(&fixture, "\"version\":1");
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("read", "a-1", "--as-of", "2026-06-01T00:00:00Z"), 0);
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("read", "a-1", "--as-of", "yesterday"), MS_EXIT_USAGE);
    expect_err(&fixture, "--as-of: a time such as");
    assert_int_equal(ON_DATA("read", "c-1"), MS_EXIT_NOT_FOUND);
}

static void tail_follows_from_where_it_is_told(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ON_DATA("append", "a-1", "t", "1"), 0);
    assert_int_equal(ON_DATA("tail", "a-1", "--from", "1", "--limit", "2"), 0);
    assert_int_equal(lines_out(), 2);
    expect_out(&fixture, "\"version\":2");
    assert_int_equal(ON_DATA("tail", "--from", "start", "--limit", "1", "--topic", "a"), 0);
    expect_out(&fixture, "\"version\":0");
}

static void streams_are_shown_deleted_and_given_metadata(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("stream", "show", "a-1", "--data", dir), MS_EXIT_NOT_FOUND);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ON_DATA("append", "a-1", "t", "1"), 0);
    assert_int_equal(ON_DATA("stream", "metadata", "a-1"), MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_DATA("stream", "metadata", "a-1", "{\"$maxCount\":2}"), 0);
    assert_int_equal(ON_DATA("stream", "metadata", "a-1"), 0);
    assert_string_equal(fixture.out, "{\"$maxCount\":2}\n");
    assert_int_equal(ON_DATA("stream", "show", "a-1"), 0);
    expect_out(&fixture, "\"first_version\":1,\"version\":2");
    expect_out(&fixture, "\"metadata\":{\"$maxCount\":2}");
    assert_int_equal(ON_DATA("stream", "delete", "a-1", "--expect", "1"), MS_EXIT_CONFLICT);
    assert_int_equal(ON_DATA("stream", "delete", "a-1", "--expect", "2"), 0);
    assert_int_equal(ON_DATA("read", "a-1"), MS_EXIT_NOT_FOUND);
    assert_int_equal(ON_DATA("append", "a-1", "t", "1", "--expect", "none"), 0);
    expect_out(&fixture, "\"version\":3");
    assert_int_equal(ON_DATA("stream", "delete", "a-1", "--tombstone"), 0);
    assert_int_equal(ON_DATA("append", "a-1", "t", "1"), MS_EXIT_NOT_FOUND);
}

static void topics_are_made_changed_and_deleted(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("topic", "create", "shop", "--partitions", "2", "--retention", "7d",
                             "--retention-bytes", "1GiB", "--retention-count", "1000",
                             "--compression", "zstd", "--require-source",
                             "--require-correlation-id"),
                     0);
    expect_out(&fixture, "\"name\":\"shop\"");
    expect_out(&fixture,
               "\"partitions\":2,\"streams\":true,\"retention_ms\":604800000,"
               "\"retention_bytes\":1073741824,\"retention_count\":1000,\"compact\":false,"
               "\"compression\":\"zstd\",\"require\":[\"source\",\"correlation_id\"]");
    assert_int_equal(ON_DATA("topic", "create", "shop", "--retention", "forever",
                             "--retention-bytes", "unlimited", "--retention-count", "unlimited"),
                     0);
    expect_out(&fixture, "\"partitions\":2,\"streams\":true,\"retention_ms\":null,"
                         "\"retention_bytes\":null,\"retention_count\":null");
    assert_int_equal(ON_DATA("topic", "create", "shop", "--compression", "rar"), MS_EXIT_FAILURE);
    expect_err(&fixture, "topic setting compression has a bad value");
    assert_int_equal(ON_DATA("topic", "list"), 0);
    assert_int_equal(lines_out(), 1);
    assert_int_equal(ON_DATA("topic", "show", "shop"), 0);
    assert_int_equal(ON_DATA("topic", "delete", "shop"), 0);
    assert_int_equal(ON_DATA("topic", "show", "shop"), MS_EXIT_NOT_FOUND);
}

static void a_topic_is_shown_with_the_reach_of_its_partitions(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("topic", "create", "shop", "--partitions", "2"), 0);
    assert_int_equal(ON_DATA("append", "shop-1", "t", "1", "--time", "2026-11-23T10:00:00Z"), 0);
    assert_int_equal(ON_DATA("topic", "show", "shop"), 0);
    assert_int_equal(lines_out(), 1);
    expect_out(&fixture, "{\"name\":\"shop\",");
    expect_out(&fixture, ",\"offsets\":[ {\"partition\":0,\"start_offset\":0,\"end_offset\":");
    expect_out(&fixture, "\"events\":1,\"newest_timestamp\":\"2026-11-23T10:00:00.000Z\"}");
    expect_out(&fixture, "\"events\":0,\"newest_timestamp\":null}");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_DATA("topic", "show", "shop"), 0);
    expect_out(&fixture, "name: shop\n");
    expect_out(&fixture, "\n\nPARTITION  START  END  EVENTS  NEWEST\n        0      0    ");
    expect_out(&fixture, "      1  2026-11-23T10:00:00.000Z\n");
    fixture.cli.out_is_terminal = false;
}

static void groups_need_a_server(void **state) {
    (void)state;
    const char *wanted = "consumer groups are kept by a running server: give --server, not --data";
    assert_int_equal(ON_DATA("group", "list"), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(ON_DATA("group", "show", "g"), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(ON_DATA("group", "delete", "g"), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(ON_DATA("group", "reset", "g", "--to", "latest"), MS_EXIT_FAILURE);
    expect_err(&fixture, wanted);
    assert_int_equal(RUN(&fixture, "group", "list", "--server", "127.0.0.1:1"),
                     MS_EXIT_UNAVAILABLE);
}

static void a_group_is_reset_to_what_is_said(void **state) {
    (void)state;
    const char *const bad[] = {"end", "position:", "position:-1", "offset:x",
                               "2026-13-01T00:00:00Z"};
    assert_int_equal(RUN(&fixture, "group", "reset", "g"), MS_EXIT_USAGE);
    expect_err(&fixture, "say --to where the group goes on");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(RUN(&fixture, "group", "reset", "g", "--to", bad[i]), MS_EXIT_USAGE);
        expect_err(&fixture, "--to: ");
    }
    assert_int_equal(RUN(&fixture, "group", "reset", "--to", "latest"), MS_EXIT_USAGE);
    expect_err(&fixture, "group reset needs GROUP");
}

static void write_events(int count) {
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    for (int i = 0; i < count; i++)
        fprintf(out, "{\"stream\":\"acc-%d\",\"event_type\":\"moved\",\"data\":{\"n\":%d}}\n",
                i % 7, i);
    fclose(out);
}

static void import_twice_adds_nothing_and_export_reads_back(void **state) {
    (void)state;
    write_events(1000);
    assert_int_equal(ON_DATA("import", file, "--batch", "64", "--in-flight", "8"), 0);
    expect_out(&fixture, "{\"events\":1000,\"repeated\":0,\"appends\":16,");
    assert_int_equal(ON_DATA("import", file, "--batch", "64"), 0);
    expect_out(&fixture, "{\"events\":1000,\"repeated\":1000,");
    assert_int_equal(ON_DATA("read", "acc-3"), 0);
    assert_int_equal(lines_out(), 143);
    assert_int_equal(ON_DATA("export", "--output", file), 0);
    expect_err(&fixture, "exported 1000 events");
    char other[96];
    snprintf(other, sizeof other, "%s2", dir);
    assert_int_equal(RUN(&fixture, "import", file, "--data", other), 0);
    expect_out(&fixture, "{\"events\":1000,\"repeated\":0,");
    assert_int_equal(RUN(&fixture, "read", "acc-3", "--limit", "1", "--backward", "--data", other),
                     0);
    expect_out(&fixture, "\"version\":142");
    expect_out(&fixture, "\"data\":{\"n\":997}");
}

static void exported_data_is_what_was_stored_also_when_it_spans_lines(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "a-1", "t", "{\"n\":\r\n [1,\n2]}", "--id", "e1"), 0);
    assert_int_equal(ON_DATA("export", "--output", file), 0);
    assert_int_equal(ON_DATA("import", file), 0); /* compares the bytes of the data */
    expect_out(&fixture, "{\"events\":1,\"repeated\":1,");
    assert_int_equal(ON_DATA("read", "a-1"), 0);
    assert_int_equal(lines_out(), 1);
    expect_out(&fixture, "\"data\":{\"n\":   [1, 2]}");
}

static void an_import_that_fails_names_the_line(void **state) {
    (void)state;
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out, "{\"stream\":\"a-1\",\"event_type\":\"t\"}\n{\"stream\":\"a-1\"}\n");
    fclose(out);
    assert_int_equal(ON_DATA("import", file), MS_EXIT_FAILURE);
    expect_err(&fixture, "line 2: ");
    expect_err(&fixture, "the import stopped after 0 events");
    assert_int_equal(ON_DATA("import", "/no/such/file"), MS_EXIT_NOT_FOUND);
}

static void stats_show_the_store(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("append", "a-1", "t", "1"), 0);
    assert_int_equal(ON_DATA("stats"), 0);
    expect_out(&fixture, "{\"name\":\"mainstem\",\"version\":\"" MS_VERSION "\",\"store\":{");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(ON_DATA("stats"), 0);
    expect_out(&fixture, "store.durability: commit\n");
    assert_int_equal(ON_DATA("stats", "--json"), 0);
    expect_out(&fixture, "\"durability\":\"commit\"");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(append_and_read_back),
        TEST(conflicts_end_with_3_and_name_the_version),
        TEST(data_comes_from_argument_file_or_input),
        TEST(reading_selects),
        TEST(tail_follows_from_where_it_is_told),
        TEST(streams_are_shown_deleted_and_given_metadata),
        TEST(topics_are_made_changed_and_deleted),
        TEST(a_topic_is_shown_with_the_reach_of_its_partitions),
        TEST(groups_need_a_server),
        TEST(a_group_is_reset_to_what_is_said),
        TEST(import_twice_adds_nothing_and_export_reads_back),
        TEST(exported_data_is_what_was_stored_also_when_it_spans_lines),
        TEST(an_import_that_fails_names_the_line),
        TEST(stats_show_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
