/* Power cuts, simulated: at every mutating operation of a script, with every kind of loss, and
 * again on what was left. After each: all that was acknowledged is there, appends are whole or
 * absent (G1, G2), positions are dense (G4), nothing was invented (G5), and what was read once
 * stays.
 *
 *   MS_SIM_SEEDS   seeds of the long random scripts (default 12)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/log_world.h"

enum way { DIRECT, BUFFERED, OS_ONLY };

static void set_way(struct log_world *w, enum way way) {
    w->options.buffered_writes = way != DIRECT;
    w->options.durability = way == OS_ONLY ? MS_DURABILITY_OS : MS_DURABILITY_COMMIT;
}

/* Appends, single and in groups, over at least three segments; segments are sealed on the way. */
static void run_script(struct log_world *w) {
    if (log_world_open(w) != 0)
        return;
    for (unsigned i = 0; i < 14; i++) {
        size_t len = i % 4 == 2 ? 200000 : 64 + i * 700;
        uint32_t entries = 1 + i % 3;
        if (log_world_put(w, entries, 2, len / (2 * entries) + 64, false) == 0 && i % 4 != 0)
            ms_log_run(w->log);
        if (i % 5 == 4)
            while (ms_keeper_step(w->log))
                continue;
    }
    ms_log_run(w->log);
    ms_ignore(log_world_close(w));
}

/* What is only in the operating system's memory may go: nobody was promised it. */
static void forget_promises(struct log_world *w) {
    for (size_t i = 0; i < w->count; i++)
        if (w->appends[i].answers > 0 && w->appends[i].status == 0)
            w->appends[i].status = MS_EUNKNOWN;
}

static void cut(struct log_world *w, enum ms_sim_cut how) {
    ms_vfs_sim_cut(w->world.sim, how);
    log_world_abandon(w);
    if (w->options.durability == MS_DURABILITY_OS && how != MS_SIM_CUT_KEEP_ALL)
        forget_promises(w);
}

static void open_and_check(struct log_world *w, const char *what, uint64_t n) {
    if (log_world_open(w) != 0)
        fail_msg("%s, cut at %llu: opening failed: %s", what, (unsigned long long)n,
                 w->error.message);
    const char *wrong = log_world_check(w);
    if (wrong != NULL)
        fail_msg("%s, cut at %llu: %s", what, (unsigned long long)n, wrong);
}

/* The compound case: cut, start, read, cut again at once; what was read is still there. */
static void cut_twice_and_go_on(struct log_world *w, enum ms_sim_cut how, const char *what,
                                uint64_t n) {
    cut(w, how);
    open_and_check(w, what, n);
    cut(w, MS_SIM_CUT_LOSE_ALL);
    open_and_check(w, what, n);
    if (log_world_append(w, 3000) != 0 || log_world_append(w, 100) != 0)
        fail_msg("%s, cut at %llu: no append afterwards: %s", what, (unsigned long long)n,
                 w->error.message);
    cut(w, how);
    open_and_check(w, what, n);
    assert_int_equal(log_world_close(w), 0);
    open_and_check(w, what, n);
}

static const struct {
    enum ms_sim_cut how;
    const char *name;
    unsigned seeds;
} kinds[] = {
    {MS_SIM_CUT_LOSE_ALL, "all lost", 1},
    {MS_SIM_CUT_KEEP_ALL, "all kept", 1},
    {MS_SIM_CUT_RANDOM, "by chance", 3},
};

static void cut_everywhere(enum way way) {
    uint64_t seeds = world_setting("MS_SIM_SEEDS", 12), step = world_setting("MS_CUT_STEP", 1);
    for (size_t k = 0; k < 3; k++)
        for (uint64_t seed = 0; seed < (kinds[k].seeds * seeds + 11) / 12; seed++) {
            bool was_cut = true;
            for (uint64_t n = 1; was_cut; n += step) {
                struct log_world w;
                log_world_init(&w, n * 1000 + seed);
                set_way(&w, way);
                ms_vfs_sim_cut_at(w.world.sim, n);
                run_script(&w);
                was_cut = ms_vfs_sim_is_cut(w.world.sim);
                cut_twice_and_go_on(&w, kinds[k].how, kinds[k].name, n);
                log_world_deinit(&w);
            }
        }
}

static void cuts_everywhere_with_direct_writes(void **state) {
    (void)state;
    cut_everywhere(DIRECT);
}

static void cuts_everywhere_with_buffered_writes(void **state) {
    (void)state;
    cut_everywhere(BUFFERED);
}

static void cuts_everywhere_without_syncs(void **state) {
    (void)state;
    cut_everywhere(OS_ONLY);
}

/* Recovery itself is cut, at each of its operations. */
static void cuts_during_recovery(void **state) {
    (void)state;
    uint64_t step = world_setting("MS_CUT_STEP", 1);
    for (uint64_t first = 5; first < 60; first += 6) {
        bool was_cut = true;
        for (uint64_t n = 1; was_cut; n += step) {
            struct log_world w;
            log_world_init(&w, first * 100 + n);
            ms_vfs_sim_cut_at(w.world.sim, first);
            run_script(&w);
            cut(&w, MS_SIM_CUT_RANDOM);
            ms_vfs_sim_cut_at(w.world.sim, n);
            if (log_world_open(&w) == 0) {
                const char *wrong = log_world_check(&w);
                if (wrong != NULL && !ms_vfs_sim_is_cut(w.world.sim))
                    fail_msg("cut at %llu, then at %llu: %s", (unsigned long long)first,
                             (unsigned long long)n, wrong);
            }
            was_cut = ms_vfs_sim_is_cut(w.world.sim);
            cut_twice_and_go_on(&w, MS_SIM_CUT_RANDOM, "in recovery", n);
            log_world_deinit(&w);
        }
    }
}

/* Long scripts in which everything is chosen by chance; damage adds up over many rounds. */
static void play(uint64_t seed) {
    struct log_world w;
    log_world_init(&w, seed);
    struct ms_random *random = &w.world.random.random;
    set_way(&w, ms_random_below(random, 3) == 0 ? BUFFERED : DIRECT);
    w.options.tail_cache_bytes = (size_t)ms_random_below(random, 3) * 100000;
    for (int round = 0; round < 25; round++) {
        uint64_t n = ms_random_below(random, 60);
        ms_vfs_sim_cut_at(w.world.sim, n);
        int rc = log_world_open(&w);
        if (rc != 0 && !ms_vfs_sim_is_cut(w.world.sim))
            fail_msg("seed %llu round %d: %s", (unsigned long long)seed, round, w.error.message);
        for (uint64_t i = ms_random_below(random, 25); rc == 0 && i > 0; i--) {
            size_t len = ms_random_below(random, 5) == 0 ? 30000 : 500;
            uint32_t entries = 1 + (uint32_t)ms_random_below(random, 4);
            ms_ignore(log_world_put(&w, entries, 1 + (uint32_t)ms_random_below(random, 3),
                                    64 + (size_t)ms_random_below(random, len), false));
            if (ms_random_below(random, 2) == 0)
                ms_log_run(w.log);
            if (ms_random_below(random, 4) == 0)
                (void)ms_keeper_step(w.log);
            if (ms_random_below(random, 8) == 0) {
                const char *wrong = log_world_check(&w);
                if (wrong != NULL && !ms_vfs_sim_is_cut(w.world.sim))
                    fail_msg("seed %llu round %d: %s", (unsigned long long)seed, round, wrong);
            }
        }
        if (ms_random_below(random, 4) == 0) {
            ms_ignore(log_world_close(&w));
            cut(&w, MS_SIM_CUT_RANDOM);
        } else {
            cut(&w, (enum ms_sim_cut)ms_random_below(random, 3));
        }
        open_and_check(&w, "played", seed);
        log_world_abandon(&w);
    }
    log_world_deinit(&w);
}

static void long_lives_with_many_cuts(void **state) {
    (void)state;
    uint64_t seeds = world_setting("MS_SIM_SEEDS", 12), first = world_setting("MS_SIM_FIRST", 1);
    for (uint64_t seed = first; seed < first + seeds; seed++)
        play(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_everywhere_with_direct_writes),
        cmocka_unit_test(cuts_everywhere_with_buffered_writes),
        cmocka_unit_test(cuts_everywhere_without_syncs),
        cmocka_unit_test(cuts_during_recovery),
        cmocka_unit_test(long_lives_with_many_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
