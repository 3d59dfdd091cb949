/* A full disk: what is refused, what goes on, and what is kept back for the way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/segment.h"
#include "log_fixture.h"

static void full_disk_refuses_appends_and_service_resumes(void **state) {
    struct log_world *w = *state;
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)3 << 20);
    assert_int_equal(log_world_open(w), 0);
    int rc = 0;
    unsigned accepted = 0;
    while ((rc = log_world_append(w, 100000)) == 0)
        accepted++;
    assert_int_equal(rc, MS_ENOSPC);
    assert_true(accepted > 10);
    assert_true(info_of(w).refusing_appends);
    assert_false(info_of(w).failed);
    assert_int_equal(w->failures, 0);
    assert_int_equal(log_world_append(w, 100000), MS_ENOSPC);
    assert_good(w); /* readers go on */
    /* What frees space may still be written. */
    assert_int_equal(log_world_put(w, 1, 1, 1000, true), 0);
    ms_log_run(w->log);
    assert_int_equal(w->appends[w->count - 1].status, 0);
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    assert_int_equal(log_world_append(w, 100000), 0);
    assert_false(info_of(w).refusing_appends);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

static void reserve_is_not_for_ordinary_appends(void **state) {
    struct log_world *w = *state;
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)2 << 20);
    assert_int_equal(log_world_open(w), 0);
    while (log_world_append(w, 100000) == 0)
        continue;
    while (log_world_append(w, 64) == 0)
        continue;
    /* A reserved append opens a block; an ordinary one must not ride along. */
    assert_int_equal(log_world_put(w, 1, 1, 64, true), 0);
    assert_int_equal(log_world_put(w, 1, 1, 64, false), MS_ENOSPC);
    ms_log_run(w->log);
    assert_good(w);
}

/* The disk may be full before the active segment, or the next one, is prepared as a whole: there is
 * a reserve all the same. */
static void reserve_is_kept_wherever_the_disk_ends(void **state) {
    (void)state;
    for (uint64_t capacity = 400; capacity < 3000; capacity += 100) {
        struct log_world w;
        log_world_init(&w, capacity);
        ms_vfs_sim_set_capacity(w.world.sim, capacity << 10);
        assert_int_equal(log_world_open(&w), 0);
        for (size_t len = 100000; len > 60; len /= 2)
            while (log_world_append(&w, len) == 0)
                continue;
        for (int i = 0; i < 8; i++) {
            if (log_world_put(&w, 1, 1, 64, true) != 0)
                fail_msg("%llu KiB: nothing is kept for delete %d: %s",
                         (unsigned long long)capacity, i, w.error.message);
            ms_log_run(w.log);
            assert_int_equal(log_world_append(&w, 64), MS_ENOSPC);
        }
        assert_good(&w);
        log_world_deinit(&w);
    }
}

static void opens_for_readers_on_a_full_disk(void **state) {
    struct log_world *w = *state;
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)2 << 20);
    assert_int_equal(log_world_open(w), 0);
    while (log_world_append(w, 100000) == 0)
        continue;
    while (log_world_put(w, 1, 1, 3000, true) == 0)
        ms_log_run(w->log);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_world_close(w), 0);
        assert_int_equal(log_world_open(w), 0);
        assert_good(w);
        assert_int_equal(log_world_append(w, 100000), MS_ENOSPC);
    }
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    assert_int_equal(log_world_append(w, 100000), 0);
    reopen(w);
    assert_good(w);
}

static void new_log_on_a_full_disk_opens_and_resumes(void **state) {
    struct log_world *w = *state;
    ms_vfs_sim_set_capacity(w->world.sim, 1000);
    assert_int_equal(log_world_open(w), 0);
    assert_int_equal(log_world_append(w, 100), MS_ENOSPC);
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    assert_int_equal(log_world_append(w, 100), 0);
    assert_good(w);
    reopen(w);
    assert_good(w);
}

/* Made when there is nothing else to do, released only for want of space, made again. */
static void ballast_is_given_up_on_a_full_disk(void **state) {
    struct log_world *w = *state;
    assert_int_equal(log_world_open(w), 0);
    while (ms_keeper_step(w->log))
        continue;
    assert_int_equal(w->log->ballast, MS_BALLAST_THERE);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "ballast"), 1);
    assert_false(ms_ballast_release(w->log)); /* there is room */
    ms_vfs_sim_set_capacity(w->world.sim, (uint64_t)1 << 20);
    reopen(w);
    assert_int_equal(w->log->ballast, MS_BALLAST_THERE); /* over a start */
    assert_true(ms_ballast_release(w->log));
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "ballast"), 0);
    while (ms_keeper_step(w->log)) /* takes none of the room */
        continue;
    assert_int_equal(w->log->ballast, MS_BALLAST_RELEASED);
    assert_false(ms_ballast_release(w->log));
    ms_vfs_sim_set_capacity(w->world.sim, 0);
    ms_ballast_restore(w->log);
    assert_int_equal(w->log->ballast, MS_BALLAST_THERE);
    assert_int_equal(world_count(&w->world, LOG_WORLD_DIR, "ballast"), 1);
    assert_good(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(full_disk_refuses_appends_and_service_resumes),
        test(reserve_is_not_for_ordinary_appends),
        test(reserve_is_kept_wherever_the_disk_ends),
        test(opens_for_readers_on_a_full_disk),
        test(new_log_on_a_full_disk_opens_and_resumes),
        test(ballast_is_given_up_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
