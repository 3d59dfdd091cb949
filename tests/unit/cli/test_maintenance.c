/* verify, repair, inspect, backup, restore, scavenge and bench on real directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#include "cli/cli_fixture.h"

static struct cli_fixture fixture;
static char base[64], dir[96], segment[160];

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *place) {
    (void)stat;
    (void)type;
    (void)place;
    return remove(path);
}

static int set_up(void **state) {
    (void)state;
    snprintf(base, sizeof base, "/tmp/mainstem-cli-XXXXXX");
    assert_non_null(mkdtemp(base));
    fixture_open(&fixture, "");
    fixture.env.vfs = ms_vfs_posix();
    snprintf(dir, sizeof dir, "%s/data", base);
    snprintf(segment, sizeof segment, "%s/shard-000/00000000000000000000.log", dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_close(&fixture);
    return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define ON_DATA(...) RUN(&fixture, __VA_ARGS__, "--data", dir)

static const char *in_base(const char *name) {
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", base, name);
    return path;
}

static void append_some(int count) {
    for (int i = 0; i < count; i++)
        assert_int_equal(ON_DATA("append", "order-1", "order.created", "{\"n\":1}"), 0);
}

/* Flips a bit of the first byte that is `text`'s in the first segment. */
static void damage(const char *text) {
    FILE *file = fopen(segment, "r+");
    assert_non_null(file);
    static char bytes[1 << 20];
    size_t len = fread(bytes, 1, sizeof bytes, file);
    char *found = memmem(bytes, len, text, strlen(text));
    assert_non_null(found);
    fseek(file, found - bytes, SEEK_SET);
    fputc(*found ^ 1, file);
    fclose(file);
}

static size_t lines_out(void) {
    size_t lines = 0;
    for (const char *at = fixture.out; (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

static void verify_says_good(void **state) {
    (void)state;
    append_some(3);
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    expect_out(&fixture, "{\"good\":true,\"damages\":0,\"segments\":1,");
    expect_out(&fixture, "\"events\":4,");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    expect_out(&fixture, "good: 1 segments");
}

static void verify_ends_with_1_when_there_is_damage(void **state) {
    (void)state;
    append_some(3);
    damage("order.created");
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE);
    expect_out(&fixture, "{\"segment\":\"00000000000000000000.log\",\"offset\":");
    expect_out(&fixture, "\"damage\":true,\"what\":\"entry 1 at byte ");
    expect_out(&fixture, "\"good\":false,\"damages\":1");
    expect_err(&fixture, "mainstem repair --dry-run");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE);
    expect_out(&fixture, "damage 00000000000000000000.log at byte ");
    expect_out(&fixture, "DAMAGED: ");
}

static void verify_needs_a_data_directory(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "verify", in_base("none")), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "there is no data directory");
    assert_int_equal(RUN(&fixture, "verify", base), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "is no data directory");
    assert_int_equal(RUN(&fixture, "verify"), MS_EXIT_USAGE);
}

static void a_directory_in_use_is_verified_and_not_repaired(void **state) {
    (void)state;
    append_some(2);
    struct ms_file *lock;
    char path[128];
    snprintf(path, sizeof path, "%s/LOCK", dir);
    assert_int_equal(ms_vfs_lock(ms_vfs_posix(), path, &lock, NULL), 0);
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    expect_err(&fixture, "is in use");
    assert_int_equal(RUN(&fixture, "repair", dir), MS_EXIT_UNAVAILABLE);
    assert_int_equal(RUN(&fixture, "repair", dir, "--dry-run"), 0);
    ms_file_close(lock);
}

static void repair_saves_what_is_whole(void **state) {
    (void)state;
    append_some(5);
    damage("order.created");
    assert_int_not_equal(ON_DATA("read", "order-1"), 0);
    expect_err(&fixture, "mainstem repair");
    assert_int_equal(RUN(&fixture, "repair", dir, "--dry-run"), 0);
    expect_out(&fixture, "events 0 to 1 are lost"); /* the topic's creation is in the same append */
    expect_out(&fixture, "{\"dry_run\":true,\"segments_repaired\":1,");
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE);
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
    expect_out(&fixture, "\"events_saved\":4,\"positions_lost\":2}");
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    fixture.cli.out_is_terminal = true;
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
    expect_out(&fixture, "nothing to repair");
}

static void repair_writes_a_lost_format_file(void **state) {
    (void)state;
    append_some(2);
    char path[128];
    snprintf(path, sizeof path, "%s/FORMAT", dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE);
    expect_err(&fixture, "FORMAT");
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    assert_int_equal(ON_DATA("read", "order-1"), 0);
    assert_int_equal(lines_out(), 2);
}

static void inspect_shows_segments_blocks_and_entries(void **state) {
    (void)state;
    append_some(3);
    assert_int_equal(RUN(&fixture, "inspect", dir), 0);
    assert_int_equal(lines_out(), 1);
    expect_out(&fixture, "{\"segment\":\"00000000000000000000.log\",\"position\":0,");
    expect_out(&fixture, "\"sealed\":false,\"rewritten\":false,\"first_sequence\":0,\"epoch\":1}");
    assert_int_equal(RUN(&fixture, "inspect", segment, "--limit", "2"), 0);
    assert_int_equal(lines_out(), 2);
    expect_out(&fixture,
               "{\"offset\":0,\"kind\":\"mark\",\"bytes\":4096,\"sequence\":0,\"epoch\":1,");
    expect_out(&fixture, "{\"offset\":4096,\"kind\":\"block\",");
    assert_int_equal(RUN(&fixture, "inspect", dir, "--entries", "--from", "2"), 0);
    assert_int_equal(lines_out(), 2);
    expect_out(&fixture, "\"position\":2,\"span\":1,\"events\":1,");
    expect_out(&fixture, "\"first_version\":1,");
    expect_out(&fixture, "\"flags\":[\"stream\",\"last\"]}");
    fixture.cli.out_is_terminal = true;
    assert_int_equal(RUN(&fixture, "inspect", segment, "--entries", "--limit", "1"), 0);
    expect_out(&fixture, "position: 0\n");
}

static void inspect_shows_damage_as_it_lies_there(void **state) {
    (void)state;
    append_some(3);
    damage("order.created");
    assert_int_equal(RUN(&fixture, "inspect", segment), 0);
    expect_out(&fixture, "\"kind\":\"damaged\"");
    expect_out(&fixture, "\"why\":\"entry 1 at byte ");
    assert_int_equal(RUN(&fixture, "inspect", segment, "--entries"), 0);
    expect_out(&fixture, "\"damaged\":true}");
    assert_int_equal(RUN(&fixture, "inspect", in_base("none")), MS_EXIT_NOT_FOUND);
    assert_int_equal(RUN(&fixture, "inspect", dir, "--limit", "0"), MS_EXIT_USAGE);
}

static void what_is_backed_up_can_be_restored(void **state) {
    (void)state;
    append_some(4);
    assert_int_equal(ON_DATA("backup", in_base("copy")), 0);
    expect_out(&fixture, "\"end\":5,\"files\":1,");
    assert_int_equal(RUN(&fixture, "verify", in_base("copy")), 0);
    assert_int_equal(RUN(&fixture, "restore", in_base("copy"), "--data", in_base("new")), 0);
    expect_out(&fixture, "\"end\":5,");
    assert_int_equal(RUN(&fixture, "read", "order-1", "--data", in_base("new")), 0);
    assert_int_equal(lines_out(), 4);
    assert_int_equal(
        RUN(&fixture, "restore", in_base("copy"), "--data", in_base("part"), "--to", "2"), 0);
    assert_int_equal(RUN(&fixture, "read", "order-1", "--data", in_base("part")), 0);
    assert_int_equal(lines_out(), 2);
    assert_int_equal(RUN(&fixture, "restore", in_base("copy"), "--data", in_base("past"), "--to",
                         "2001-01-01T00:00:00Z"),
                     0);
    expect_out(&fixture, "\"end\":0,");
}

static size_t files_in(const char *path) {
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(fixture.env.vfs, path, &entries, &count, NULL), 0);
    ms_dir_entries_free(entries, count);
    return count;
}

static void a_backup_that_is_read_stays_as_it_is(void **state) {
    (void)state;
    append_some(4);
    assert_int_equal(ON_DATA("backup", in_base("copy")), 0);
    size_t files = files_in(in_base("copy"));
    struct stat before, after;
    assert_int_equal(stat(in_base("copy/shard-000/00000000000000000000.log"), &before), 0);
    assert_int_equal(RUN(&fixture, "read", "order-1", "--data", in_base("copy")), 0);
    assert_int_equal(lines_out(), 4);
    assert_int_equal(RUN(&fixture, "stats", "--data", in_base("copy")), 0);
    assert_int_equal(files_in(in_base("copy")), files);
    assert_int_equal(files_in(in_base("copy/shard-000")), 1);
    assert_int_equal(stat(in_base("copy/shard-000/00000000000000000000.log"), &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void backups_and_restores_that_can_not_be_are_refused(void **state) {
    (void)state;
    append_some(1);
    assert_int_equal(ON_DATA("backup", base), MS_EXIT_CONFLICT);
    expect_err(&fixture, "is not empty");
    char path[MS_PATH_MAX];
    snprintf(path, sizeof path, "%s/copies/monday", dir);
    assert_int_equal(ON_DATA("backup", path), MS_EXIT_FAILURE);
    expect_err(&fixture, "lies inside a store");
    snprintf(path, sizeof path, "%s/../beside", dir); /* which is not inside it */
    assert_int_equal(ON_DATA("backup", path), 0);
    assert_int_equal(RUN(&fixture, "backup", "relative"), MS_EXIT_USAGE);
    expect_err(&fixture, "absolute");
    assert_int_equal(RUN(&fixture, "restore", in_base("copy")), MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "restore", dir, "--data", in_base("new")), MS_EXIT_NOT_FOUND);
    expect_err(&fixture, "MANIFEST.json");
    assert_int_equal(ON_DATA("backup", in_base("copy")), 0);
    assert_int_equal(RUN(&fixture, "restore", in_base("copy"), "--data", dir), MS_EXIT_CONFLICT);
    assert_int_equal(
        RUN(&fixture, "restore", in_base("copy"), "--data", in_base("new"), "--to", "yesterday"),
        MS_EXIT_USAGE);
    assert_int_equal(RUN(&fixture, "backup", in_base("x"), "--data", in_base("none")),
                     MS_EXIT_NOT_FOUND);
}

static void scavenge_tells_what_it_did(void **state) {
    (void)state;
    append_some(2);
    assert_int_equal(ON_DATA("scavenge", "--all", "--bytes-per-second", "64MiB"), 0);
    expect_out(&fixture, "{\"segments\":0,\"rewritten\":0,");
    assert_int_equal(ON_DATA("scavenge", "--bytes-per-second", "much"), MS_EXIT_USAGE);
    expect_err(&fixture, "--bytes-per-second");
}

static void bench_measures_appends(void **state) {
    (void)state;
    assert_int_equal(ON_DATA("bench", "--seconds", "1", "--streams", "3", "--batch", "5"), 0);
    expect_out(&fixture, "\"events_per_second\":");
    expect_out(&fixture, "\"p999_us\":");
    assert_int_equal(RUN(&fixture, "read", "bench-1", "--data", dir, "--limit", "1"), 0);
    expect_out(&fixture, "bench.happened");
    assert_int_equal(ON_DATA("bench", "--batch", "0"), MS_EXIT_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(verify_says_good),
        test(verify_ends_with_1_when_there_is_damage),
        test(verify_needs_a_data_directory),
        test(a_directory_in_use_is_verified_and_not_repaired),
        test(repair_saves_what_is_whole),
        test(repair_writes_a_lost_format_file),
        test(inspect_shows_segments_blocks_and_entries),
        test(inspect_shows_damage_as_it_lies_there),
        test(what_is_backed_up_can_be_restored),
        test(a_backup_that_is_read_stays_as_it_is),
        test(backups_and_restores_that_can_not_be_are_refused),
        test(scavenge_tells_what_it_did),
        test(bench_measures_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
