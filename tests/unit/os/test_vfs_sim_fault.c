/* Tests of os/vfs_sim_fault: counts, n-th faults, cuts in the middle, bit flips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/os/sim_world.h"

static void operations_are_counted_by_kind(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
    struct ms_file *file = sim_open(sim, "f", RWC);
    char byte;
    size_t got;
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_file_write(file, 0, "x", 1, NULL), 0);
    assert_int_equal(ms_file_write(file, 1, "x", 1, NULL), 0);
    assert_int_equal(ms_file_read(file, 0, &byte, 1, 0, &got, NULL), 0);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    assert_int_equal(ms_file_truncate(file, 0, NULL), 0);
    assert_int_equal(ms_file_allocate(file, 0, 1, NULL), 0);
    ms_file_close(file);
    assert_int_equal(ms_vfs_mkdir(vfs, "d", NULL), 0);
    assert_int_equal(ms_vfs_rename(vfs, "f", "g", NULL), 0);
    assert_int_equal(ms_vfs_link(vfs, "g", "h", NULL), 0);
    assert_int_equal(ms_vfs_unlink(vfs, "g", NULL), 0);
    assert_int_equal(ms_vfs_rmdir(vfs, "d", NULL), 0);
    assert_int_equal(ms_vfs_sync_dir(vfs, "/", NULL), 0);
    assert_int_equal(ms_vfs_list(vfs, "/", &entries, &count, NULL), 0);
    ms_dir_entries_free(entries, count);
    static const uint64_t wanted[MS_SIM_OP_COUNT] = {
        [MS_SIM_ANY] = 14,     [MS_SIM_OPEN] = 1,     [MS_SIM_READ] = 1,     [MS_SIM_WRITE] = 2,
        [MS_SIM_SYNC] = 1,     [MS_SIM_TRUNCATE] = 1, [MS_SIM_UNLINK] = 2,   [MS_SIM_RENAME] = 1,
        [MS_SIM_LINK] = 1,     [MS_SIM_MKDIR] = 1,    [MS_SIM_SYNC_DIR] = 1, [MS_SIM_LIST] = 1,
        [MS_SIM_ALLOCATE] = 1,
    };
    for (int op = 0; op < MS_SIM_OP_COUNT; op++)
        assert_int_equal(ms_vfs_sim_count(sim, (enum ms_sim_op)op), wanted[op]);
    ms_vfs_sim_free(sim);
}

/* Each kind of operation once, on a tree made ready for it. */
static int run_kind(struct ms_vfs_sim *sim, struct ms_file *file, enum ms_sim_op op,
                    struct ms_error *err) {
    struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
    struct ms_file *opened;
    struct ms_dir_entry *entries;
    size_t count;
    char byte;
    int code = 0;
    switch (op) {
    case MS_SIM_ANY:
    case MS_SIM_OP_COUNT:
        return 0;
    case MS_SIM_OPEN:
        code = ms_vfs_open(vfs, "f", MS_OPEN_READ, &opened, err);
        if (code == 0)
            ms_file_close(opened);
        return code;
    case MS_SIM_READ:
        return ms_file_read(file, 0, &byte, 1, 0, &count, err);
    case MS_SIM_WRITE:
        return ms_file_write(file, 0, "x", 1, err);
    case MS_SIM_SYNC:
        return ms_file_sync(file, err);
    case MS_SIM_TRUNCATE:
        return ms_file_truncate(file, 1, err);
    case MS_SIM_ALLOCATE:
        return ms_file_allocate(file, 0, 1, err);
    case MS_SIM_UNLINK:
        return ms_vfs_unlink(vfs, "gone", err);
    case MS_SIM_RENAME:
        return ms_vfs_rename(vfs, "r1", "r2", err);
    case MS_SIM_LINK:
        return ms_vfs_link(vfs, "f", "l", err);
    case MS_SIM_MKDIR:
        return ms_vfs_mkdir(vfs, "m", err);
    case MS_SIM_SYNC_DIR:
        return ms_vfs_sync_dir(vfs, "/", err);
    case MS_SIM_LIST:
        code = ms_vfs_list(vfs, "/", &entries, &count, err);
        if (code == 0)
            ms_dir_entries_free(entries, count);
        return code;
    }
    return 0;
}

static struct ms_vfs_sim *ready_tree(struct ms_file **ret_file) {
    struct ms_vfs_sim *sim = sim_new(4);
    sim_put(sim, "f", "content", true);
    sim_put(sim, "gone", "", true);
    sim_put(sim, "r1", "", true);
    *ret_file = sim_open(sim, "f", RW);
    return sim;
}

static void every_kind_fails_once_and_then_works(void **state) {
    (void)state;
    for (int op = MS_SIM_OPEN; op < MS_SIM_OP_COUNT; op++) {
        for (int any = 0; any < 2; any++) {
            struct ms_file *file;
            struct ms_vfs_sim *sim = ready_tree(&file);
            struct ms_error err = {0};
            ms_vfs_sim_fail_nth(sim, any ? MS_SIM_ANY : (enum ms_sim_op)op, 1, MS_ENOSPC, false);
            assert_int_equal(run_kind(sim, file, (enum ms_sim_op)op, &err), MS_ENOSPC);
            assert_int_equal(err.code, MS_ENOSPC);
            assert_non_null(strstr(err.message, "simulated fault"));
            assert_int_equal(run_kind(sim, file, (enum ms_sim_op)op, &err), 0);
            ms_file_close(file);
            ms_vfs_sim_free(sim);
        }
    }
}

static void a_sticky_fault_stays_until_it_is_called_off(void **state) {
    (void)state;
    struct ms_file *file;
    struct ms_vfs_sim *sim = ready_tree(&file);
    ms_vfs_sim_fail_nth(sim, MS_SIM_SYNC, 3, MS_EIO, true);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ms_file_sync(file, NULL), MS_EIO);
    assert_int_equal(ms_file_write(file, 0, "x", 1, NULL), 0);
    ms_vfs_sim_fail_nth(sim, MS_SIM_SYNC, 0, 0, false);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

static void only_the_nth_fails(void **state) {
    (void)state;
    struct ms_file *file;
    struct ms_vfs_sim *sim = ready_tree(&file);
    ms_vfs_sim_fail_nth(sim, MS_SIM_WRITE, 3, MS_EIO, false);
    for (int i = 1; i <= 6; i++)
        assert_int_equal(ms_file_write(file, 0, "x", 1, NULL), i == 3 ? MS_EIO : 0);
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

static void a_failed_write_may_be_there_in_part(void **state) {
    (void)state;
    enum { SECTORS = 16 };
    int whole = 0, none = 0, part = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        static char data[SECTORS * 512 - 200], found[SECTORS * 512];
        memset(data, 'd', sizeof data);
        sim_put(sim, "f", "", true);
        struct ms_file *file = sim_open(sim, "f", RW | (seed % 2 ? MS_OPEN_DSYNC : 0));
        assert_int_equal(ms_file_truncate(file, SECTORS * 512, NULL), 0);
        assert_int_equal(ms_file_sync(file, NULL), 0);
        ms_vfs_sim_fail_nth(sim, MS_SIM_WRITE, 1, MS_EIO, false);
        assert_int_equal(ms_file_write(file, 100, data, sizeof data, NULL), MS_EIO);
        ms_file_close(file);
        assert_int_equal(sim_get(sim, "f", found, sizeof found), sizeof found);
        int written = 0;
        for (int i = 0; i < SECTORS; i++) {
            char *sector = found + i * 512;
            bool there = sector[256] == 'd';
            int begin = i == 0 ? 100 : 0, end = i == SECTORS - 1 ? 412 : 512;
            for (int at = 0; at < 512; at++)
                assert_int_equal(sector[at], there && at >= begin && at < end ? 'd' : 0);
            written += there;
        }
        whole += written == SECTORS;
        none += written == 0;
        part += written > 0 && written < SECTORS;
        ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
        sim_get(sim, "f", found, sizeof found);
        for (size_t i = 0; i < sizeof found; i++)
            assert_int_equal(found[i], 0);
        ms_vfs_sim_free(sim);
    }
    assert_true(whole > 20 && none > 20 && part > 20);
}

/* ---- the cut ---- */

static void a_cut_at_the_nth_stops_everything(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
    sim_put(sim, "f", "content", true);
    struct ms_file *file = sim_open(sim, "f", RW), *lock, *second;
    assert_int_equal(ms_vfs_lock(vfs, "LOCK", &lock, NULL), 0);
    ms_vfs_sim_cut_at(sim, 2);
    assert_int_equal(ms_file_write(file, 0, "C", 1, NULL), 0);
    char byte;
    size_t got;
    assert_int_equal(ms_file_read(file, 0, &byte, 1, 0, &got, NULL), 0); /* does not count */
    assert_false(ms_vfs_sim_is_cut(sim));
    struct ms_error err;
    assert_int_equal(ms_file_sync(file, &err), MS_EIO);
    assert_non_null(strstr(err.message, "power cut"));
    assert_true(ms_vfs_sim_is_cut(sim));
    for (int op = MS_SIM_OPEN; op < MS_SIM_OP_COUNT; op++)
        assert_int_equal(run_kind(sim, file, (enum ms_sim_op)op, NULL), MS_EIO);
    uint64_t ignored;
    assert_int_equal(ms_file_size(file, &ignored, NULL), MS_EIO);
    assert_int_equal(ms_vfs_free_space(vfs, "/", &ignored, &ignored, NULL), MS_EIO);
    assert_int_equal(ms_vfs_lock(vfs, "LOCK", &second, NULL), MS_EIO);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_false(ms_vfs_sim_is_cut(sim));
    assert_true(sim_content_is(sim, "f", "content"));
    assert_int_equal(ms_file_read(file, 0, &byte, 1, 0, &got, NULL), MS_EIO);
    assert_int_equal(ms_file_write(file, 0, "x", 1, NULL), MS_EIO);
    assert_int_equal(ms_file_sync(file, NULL), MS_EIO);
    assert_int_equal(ms_file_truncate(file, 0, NULL), MS_EIO);
    assert_int_equal(ms_vfs_lock(vfs, "LOCK", &second, NULL), 0);
    ms_file_close(lock); /* from before the cut: does not touch the new lock */
    assert_int_equal(ms_vfs_lock(vfs, "LOCK", &lock, NULL), MS_ELOCKED);
    ms_file_close(second);
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

static void every_cut_releases_the_locks(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
    sim_put(sim, "LOCK", "", true);
    for (int how = 0; how < 3; how++) {
        struct ms_file *lock, *second;
        assert_int_equal(ms_vfs_lock(vfs, "LOCK", &lock, NULL), 0);
        assert_int_equal(ms_vfs_lock(vfs, "LOCK", &second, NULL), MS_ELOCKED);
        ms_vfs_sim_cut(sim, (enum ms_sim_cut)how);
        assert_int_equal(ms_vfs_lock(vfs, "LOCK", &second, NULL), 0);
        ms_file_close(lock);
        ms_file_close(second);
    }
    ms_vfs_sim_free(sim);
}

static void every_mutating_operation_can_be_cut(void **state) {
    (void)state;
    for (int op = MS_SIM_OPEN; op < MS_SIM_OP_COUNT; op++) {
        struct ms_file *file;
        struct ms_vfs_sim *sim = ready_tree(&file);
        ms_vfs_sim_cut_at(sim, 1);
        bool mutates = op != MS_SIM_OPEN && op != MS_SIM_READ && op != MS_SIM_LIST;
        assert_int_equal(run_kind(sim, file, (enum ms_sim_op)op, NULL), mutates ? MS_EIO : 0);
        assert_int_equal(ms_vfs_sim_is_cut(sim), mutates);
        ms_file_close(file);
        ms_vfs_sim_free(sim);
    }
    struct ms_vfs_sim *sim = sim_new(1);
    ms_vfs_sim_cut_at(sim, 1);
    struct ms_file *file;
    assert_int_equal(ms_vfs_open(ms_vfs_sim_vfs(sim), "f", RWC, &file, NULL), MS_EIO);
    assert_true(ms_vfs_sim_is_cut(sim));
    ms_vfs_sim_free(sim);
}

static void an_interrupted_dsync_write_leaves_any_sectors(void **state) {
    (void)state;
    int counts[9] = {0}, kept_later_lost_earlier = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        static char data[4096], found[4096];
        sim_put(sim, "f", "", true);
        struct ms_file *file = sim_open(sim, "f", RW | MS_OPEN_DSYNC);
        assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), 0);
        memset(data, 'd', sizeof data);
        ms_vfs_sim_cut_at(sim, 1);
        assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), MS_EIO);
        memset(data, 0, sizeof data);
        ms_file_close(file);
        ms_vfs_sim_cut(sim, seed % 2 ? MS_SIM_CUT_RANDOM : MS_SIM_CUT_KEEP_ALL);
        assert_int_equal(sim_get(sim, "f", found, sizeof found), sizeof found);
        int written = 0;
        for (int i = 0; i < 8; i++) {
            for (int at = 1; at < 512; at++)
                assert_int_equal(found[i * 512 + at], found[i * 512]);
            written += found[i * 512] == 'd';
        }
        counts[written]++;
        kept_later_lost_earlier += found[0] == 0 && found[7 * 512] == 'd';
        ms_vfs_sim_free(sim);
    }
    for (int i = 0; i <= 8; i++)
        assert_true(counts[i] > 3);
    assert_true(kept_later_lost_earlier > 30);
}

static void a_cut_calls_off_a_waiting_one(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    ms_vfs_sim_cut_at(sim, 3);
    sim_put(sim, "f", "x", false); /* two of the three */
    ms_vfs_sim_cut(sim, MS_SIM_CUT_KEEP_ALL);
    sim_put(sim, "f", "0123456789", true);
    assert_false(ms_vfs_sim_is_cut(sim));
    ms_vfs_sim_free(sim);
}

/* ---- damage ---- */

static void a_flip_changes_one_bit_for_good(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    sim_put(sim, "f", "aaaaaaaa", true);
    struct ms_file *file = sim_open(sim, "f", RW);
    assert_int_equal(ms_file_write(file, 8, "aa", 2, NULL), 0);
    assert_int_equal(ms_vfs_sim_flip(sim, "f", 3, 1), 0);
    assert_true(sim_content_is(sim, "f", "aaacaaaaaa"));
    assert_int_equal(ms_vfs_sim_flip(sim, "f", 9, 0), 0);
    assert_true(sim_content_is(sim, "f", "aaacaaaaa`"));
    assert_int_equal(ms_vfs_sim_flip(sim, "f", 10, 0), MS_EINVAL);
    assert_int_equal(ms_vfs_sim_flip(sim, "g", 0, 0), MS_ENOTFOUND);
    assert_int_equal(ms_vfs_sim_flip(sim, "/", 0, 0), MS_EINVAL);
    ms_file_close(file);
    ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
    assert_true(sim_content_is(sim, "f", "aaacaaaa"));
    assert_int_equal(ms_vfs_sim_flip(sim, "f", 3, 1), 0);
    assert_true(sim_content_is(sim, "f", "aaaaaaaa"));
    ms_vfs_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_counted_by_kind),
        cmocka_unit_test(every_kind_fails_once_and_then_works),
        cmocka_unit_test(a_sticky_fault_stays_until_it_is_called_off),
        cmocka_unit_test(only_the_nth_fails),
        cmocka_unit_test(a_failed_write_may_be_there_in_part),
        cmocka_unit_test(a_cut_at_the_nth_stops_everything),
        cmocka_unit_test(every_cut_releases_the_locks),
        cmocka_unit_test(every_mutating_operation_can_be_cut),
        cmocka_unit_test(an_interrupted_dsync_write_leaves_any_sectors),
        cmocka_unit_test(a_cut_calls_off_a_waiting_one),
        cmocka_unit_test(a_flip_changes_one_bit_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
