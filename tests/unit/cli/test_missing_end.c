/* verify and repair of a log that ends before what its index was made from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli_fixture.h"
#include "unit/os/scratch.h"

static struct cli_fixture fixture;
static char base[MS_PATH_MAX], dir[MS_PATH_MAX], segment[MS_PATH_MAX], index_dir[MS_PATH_MAX];

static int set_up(void **state) {
    (void)state;
    assert_int_equal(scratch_make(base), 0);
    assert_int_equal(ms_path_join(dir, base, "data"), 0);
    assert_int_equal(ms_path_join(segment, dir, "shard-000/00000000000000000000.log"), 0);
    assert_int_equal(ms_path_join(index_dir, dir, "shard-000/index"), 0);
    fixture_open(&fixture, "");
    fixture.env.vfs = ms_vfs_posix();
    for (int i = 0; i < 3; i++)
        assert_int_equal(RUN(&fixture, "append", "order-1", "created", "{}", "--data", dir), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fixture_close(&fixture);
    return scratch_remove(base);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static void remove_segment(void) {
    assert_int_equal(ms_vfs_unlink(fixture.env.vfs, segment, NULL), 0);
}

static void verify_finds_the_missing_end(void **state) {
    (void)state;
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    remove_segment();
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE);
    expect_out(&fixture, "{\"segment\":\"00000000000000000000.log\",\"offset\":0,\"damage\":true,"
                         "\"what\":\"the log ends at position 0, but the index");
    expect_out(&fixture, "\"good\":false,\"damages\":1");
    expect_err(&fixture, "mainstem repair --dry-run");
}

static void commands_refuse_to_serve_what_is_left(void **state) {
    (void)state;
    remove_segment();
    assert_int_not_equal(RUN(&fixture, "read", "order-1", "--data", dir), 0);
    expect_err(&fixture, "acknowledged events are missing");
}

static void repair_moves_the_index_aside(void **state) {
    (void)state;
    remove_segment();
    assert_int_equal(RUN(&fixture, "repair", dir, "--dry-run"), 0);
    expect_out(&fixture, "\"what\":\"the log ends at position 0, but the index");
    expect_out(&fixture, "{\"dry_run\":true,\"segments_repaired\":0,\"segments_missing\":0,"
                         "\"events_saved\":0,\"positions_lost\":4}");
    assert_int_equal(RUN(&fixture, "verify", dir), MS_EXIT_FAILURE); /* nothing was done */
    fixture.cli.out_is_terminal = true;
    assert_int_equal(RUN(&fixture, "repair", dir, "--dry-run"), 0);
    expect_out(&fixture, "the index would be moved aside");
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
    expect_out(&fixture, "4 positions are lost");
    expect_out(&fixture, "the index is moved aside");
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
    expect_out(&fixture, "nothing to repair");
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    assert_int_equal(RUN(&fixture, "append", "order-1", "created", "{}", "--data", dir), 0);
}

static void without_an_index_nothing_is_found(void **state) {
    (void)state;
    remove_segment();
    assert_int_equal(scratch_remove(index_dir), 0);
    assert_int_equal(RUN(&fixture, "verify", dir), 0);
    assert_int_equal(RUN(&fixture, "repair", dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(verify_finds_the_missing_end),
        test(commands_refuse_to_serve_what_is_left),
        test(repair_moves_the_index_aside),
        test(without_an_index_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
