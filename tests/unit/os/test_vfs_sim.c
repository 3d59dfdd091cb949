/* Tests of os/vfs_sim: space, direct access, large sparse files, threads, and agreement
 * with the real file system on what is not about faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "base/alloc.h"
#include "unit/os/scratch.h"
#include "unit/os/sim_world.h"

static uint64_t free_bytes(struct ms_vfs_sim *sim) {
    uint64_t left, total;
    assert_int_equal(ms_vfs_free_space(ms_vfs_sim_vfs(sim), "/", &left, &total, NULL), 0);
    return left;
}

static void a_write_past_the_capacity_ends_short(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    ms_vfs_sim_set_capacity(sim, 5 * 4096 + 100);
    sim_put(sim, "a", "x", false);
    assert_int_equal(free_bytes(sim), 4 * 4096 + 100);
    static char data[10 * 4096], found[10 * 4096];
    memset(data, 'd', sizeof data);
    struct ms_file *file = sim_open(sim, "b", RWC);
    struct ms_error err;
    assert_int_equal(ms_file_write(file, 0, data, sizeof data, &err), MS_ENOSPC);
    assert_non_null(strstr(err.message, "b"));
    assert_int_equal(sim_get(sim, "b", found, sizeof found), 4 * 4096);
    assert_memory_equal(found, data, 4 * 4096);
    assert_int_equal(free_bytes(sim), 100);
    assert_int_equal(ms_file_write(file, 4 * 4096, "x", 1, NULL), MS_ENOSPC);
    assert_int_equal(ms_file_truncate(file, 5 * 4096, NULL), MS_ENOSPC);
    /* What is there can be overwritten, made smaller, removed. */
    assert_int_equal(ms_file_write(file, 0, data, 4 * 4096, NULL), 0);
    assert_int_equal(ms_file_truncate(file, 3 * 4096 - 5, NULL), 0);
    assert_int_equal(free_bytes(sim), 4096 + 100);
    assert_int_equal(ms_vfs_unlink(ms_vfs_sim_vfs(sim), "b", NULL), 0);
    assert_int_equal(free_bytes(sim), 4096 + 100); /* an open file takes space */
    ms_file_close(file);
    assert_int_equal(free_bytes(sim), 4 * 4096 + 100);
    ms_vfs_sim_set_capacity(sim, 0);
    assert_true(free_bytes(sim) > UINT64_C(1) << 39);
    ms_vfs_sim_free(sim);
}

static void space_is_counted_right_through_cuts(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        struct ms_vfs *vfs = ms_vfs_sim_vfs(sim);
        ms_vfs_sim_set_capacity(sim, 1 << 20);
        static char data[50000];
        for (int i = 0; i < 10; i++) {
            char path[10];
            snprintf(path, sizeof path, "%d", i);
            struct ms_file *file = sim_open(sim, path, RWC);
            assert_int_equal(ms_file_write(file, 0, data, (size_t)i * 5000, NULL), 0);
            if (i % 2)
                assert_int_equal(ms_file_sync(file, NULL), 0);
            if (i == 5)
                assert_int_equal(ms_vfs_sync_dir(vfs, "/", NULL), 0);
            if (i % 3 == 0)
                assert_int_equal(ms_vfs_unlink(vfs, path, NULL), 0);
            ms_file_close(file);
        }
        ms_vfs_sim_cut(sim, (enum ms_sim_cut)(seed % 3));
        struct ms_dir_entry *entries;
        size_t count;
        uint64_t used = 0;
        assert_int_equal(ms_vfs_list(vfs, "/", &entries, &count, NULL), 0);
        for (size_t i = 0; i < count; i++)
            used += (entries[i].size + 4095) / 4096 * 4096;
        ms_dir_entries_free(entries, count);
        assert_int_equal(free_bytes(sim), (1 << 20) - used);
        ms_vfs_sim_free(sim);
    }
}

static void direct_access_can_be_refused(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    ms_vfs_sim_refuse_direct(sim, true);
    struct ms_file *file;
    int flags = RWC | MS_OPEN_EXCL | MS_OPEN_DIRECT;
    assert_int_equal(ms_vfs_open(ms_vfs_sim_vfs(sim), "f", flags, &file, NULL), MS_EUNSUPPORTED);
    assert_false(sim_exists(sim, "f"));
    ms_vfs_sim_refuse_direct(sim, false);
    assert_int_equal(ms_vfs_open(ms_vfs_sim_vfs(sim), "f", flags, &file, NULL), 0);
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

static void large_files_of_zeros_cost_nothing(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    static const uint8_t zeros[1 << 20];
    sim_put(sim, "f", "", true);
    struct ms_file *file = sim_open(sim, "f", RW);
    for (uint64_t i = 0; i < 256; i++)
        assert_int_equal(ms_file_write(file, i << 20, zeros, sizeof zeros, NULL), 0);
    assert_int_equal(ms_file_sync(file, NULL), 0);
    ms_file_close(file);
    for (int round = 0; round < 200; round++) {
        file = sim_open(sim, "f", RW | MS_OPEN_DSYNC);
        assert_int_equal(ms_file_write(file, 200 << 20, "x", 1, NULL), 0);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        ms_file_close(file);
    }
    file = sim_open(sim, "f", MS_OPEN_READ);
    uint64_t size;
    assert_int_equal(ms_file_size(file, &size, NULL), 0);
    assert_int_equal(size, 256 << 20);
    char byte;
    assert_int_equal(ms_file_read_exact(file, 200 << 20, &byte, 1, NULL), 0);
    assert_int_equal(byte, 'x');
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

static void impossible_sizes_are_no_space(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    struct ms_file *file = sim_open(sim, "f", RWC);
    assert_int_equal(ms_file_write(file, UINT64_C(1) << 62, "x", 1, NULL), MS_ENOSPC);
    assert_int_equal(ms_file_truncate(file, UINT64_C(1) << 62, NULL), MS_ENOSPC);
    char byte;
    size_t got;
    assert_int_equal(ms_file_read(file, UINT64_C(1) << 62, &byte, 1, 0, &got, NULL), 0);
    assert_int_equal(got, 0);
    ms_file_close(file);
    ms_vfs_sim_free(sim);
}

/* ---- threads ---- */

struct worker {
    struct ms_vfs_sim *sim;
    int number;
    atomic_bool *stop;
};

static void *write_and_read_back(void *argument) {
    struct worker *worker = argument;
    struct ms_vfs *vfs = ms_vfs_sim_vfs(worker->sim);
    char path[20], shared;
    snprintf(path, sizeof path, "%d", worker->number);
    intptr_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        struct ms_file *file, *common;
        if (ms_vfs_open(vfs, path, RWC, &file, NULL) < 0)
            return (void *)1;
        if (ms_vfs_open(vfs, "common", MS_OPEN_READ, &common, NULL) < 0)
            return (void *)1;
        char data[600], back[600];
        size_t got;
        memset(data, i, sizeof data);
        wrong += ms_file_write(file, (uint64_t)i * 100, data, sizeof data, NULL) != 0;
        wrong += ms_file_read_exact(file, (uint64_t)i * 100, back, sizeof back, NULL) != 0;
        wrong += memcmp(data, back, sizeof data) != 0;
        wrong += ms_file_read(common, 0, &shared, 1, 0, &got, NULL) != 0;
        wrong += ms_file_sync(file, NULL) != 0;
        wrong += ms_vfs_sync_dir(vfs, "/", NULL) != 0;
        ms_file_close(file);
        ms_file_close(common);
    }
    return (void *)wrong;
}

static void threads_work_side_by_side(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    sim_put(sim, "common", "c", true);
    pthread_t threads[4];
    struct worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.sim = sim, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_read_back, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    ms_vfs_sim_free(sim);
}

static void *work_until_stopped(void *argument) {
    struct worker *worker = argument;
    struct ms_vfs *vfs = ms_vfs_sim_vfs(worker->sim);
    char path[20];
    snprintf(path, sizeof path, "%d", worker->number);
    intptr_t wrong = 0;
    while (!atomic_load(worker->stop)) {
        struct ms_file *file;
        int code = ms_vfs_open(vfs, path, RWC, &file, NULL);
        wrong += code != 0 && code != MS_EIO;
        if (code < 0)
            continue;
        for (int i = 0; code == 0 && i < 20; i++)
            code = i % 4 == 3 ? ms_file_sync(file, NULL)
                              : ms_file_write(file, (uint64_t)i * 512, "x", 1, NULL);
        wrong += code != 0 && code != MS_EIO;
        ms_file_close(file);
        code = ms_vfs_unlink(vfs, path, NULL);
        wrong += code != 0 && code != MS_EIO && code != MS_ENOTFOUND;
    }
    return (void *)wrong;
}

static void the_power_may_be_cut_while_threads_work(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = sim_new(1);
    atomic_bool stop = false;
    pthread_t threads[3];
    struct worker workers[3];
    for (int i = 0; i < 3; i++) {
        workers[i] = (struct worker){.sim = sim, .number = i, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, work_until_stopped, &workers[i]), 0);
    }
    for (int i = 0; i < 60; i++) {
        ms_vfs_sim_cut_at(sim, 50);
        while (!ms_vfs_sim_is_cut(sim))
            sched_yield();
        ms_vfs_sim_cut(sim, (enum ms_sim_cut)(i % 3));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    ms_vfs_sim_free(sim);
}

/* ---- agreement with the real file system ---- */

struct side {
    struct ms_vfs *vfs;
    char dir[MS_PATH_MAX];
};

static const char *in(const struct side *side, char out[MS_PATH_MAX], const char *name) {
    assert_int_equal(ms_path_join(out, side->dir, name), 0);
    return out;
}

struct step {
    int kind;
    char from[16], to[16];
    uint64_t offset;
    size_t len;
    uint8_t fill;
    int flags;
};

static void pick(char out[16], const char *name) { memcpy(out, name, strlen(name) + 1); }

static struct step random_step(struct ms_random *random) {
    static const char *const names[] = {"a",   "b", "c",   "d",   "d/a",
                                        "d/b", "e", "e/a", "d/f", "d/f/a"};
    struct step step = {.kind = (int)ms_random_below(random, 9)};
    pick(step.from, names[ms_random_below(random, 10)]);
    pick(step.to, names[ms_random_below(random, 10)]);
    step.offset = ms_random_below(random, 20000);
    step.len = (size_t)ms_random_below(random, 9000);
    step.fill = (uint8_t)ms_random_below(random, 3);
    static const int flags[] = {RW, RWC, RWC | MS_OPEN_EXCL, RWC | MS_OPEN_TRUNCATE};
    step.flags =
        flags[ms_random_below(random, 4)] | (ms_random_below(random, 3) ? 0 : MS_OPEN_DSYNC);
    return step;
}

static int run_write(const struct side *side, const struct step *step, bool truncate) {
    static uint8_t data[9000];
    struct ms_file *file;
    char path[MS_PATH_MAX];
    int code = ms_vfs_open(side->vfs, in(side, path, step->from), step->flags, &file, NULL);
    if (code < 0)
        return code;
    memset(data, step->fill, sizeof data);
    code = truncate ? ms_file_truncate(file, step->offset, NULL)
                    : ms_file_write(file, step->offset, data, step->len, NULL);
    if (code == 0 && step->len % 4 == 0)
        code = ms_file_sync(file, NULL);
    ms_file_close(file);
    return code;
}

static int run_step(const struct side *side, const struct step *step) {
    struct ms_vfs *vfs = side->vfs;
    char from[MS_PATH_MAX], to[MS_PATH_MAX];
    in(side, from, step->from);
    in(side, to, step->to);
    switch (step->kind) {
    case 0:
        return run_write(side, step, true);
    case 1:
        return ms_vfs_mkdir(vfs, from, NULL);
    case 2:
        return ms_vfs_rmdir(vfs, from, NULL);
    case 3:
        return ms_vfs_unlink(vfs, from, NULL);
    case 4:
        return ms_vfs_link(vfs, from, to, NULL);
    case 5:
        return ms_vfs_rename(vfs, from, to, NULL);
    case 6:
        return ms_vfs_sync_dir(vfs, from, NULL);
    default:
        return run_write(side, step, false);
    }
}

/* Everything below a directory as one text: names, sizes, checks of content. */
static void describe(struct ms_vfs *vfs, const char *dir, int depth, struct ms_buf *out) {
    struct ms_dir_entry *entries;
    size_t count;
    assert_int_equal(ms_vfs_list(vfs, dir, &entries, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        char path[MS_PATH_MAX];
        assert_int_equal(ms_path_join(path, dir, entries[i].name), 0);
        assert_int_equal(ms_buf_printf(out, "%*s%s", depth, "", entries[i].name), 0);
        if (entries[i].is_dir) {
            assert_int_equal(ms_buf_printf(out, "/\n"), 0);
            describe(vfs, path, depth + 1, out);
            continue;
        }
        struct ms_buf content;
        ms_buf_init(&content, 1 << 20);
        assert_int_equal(ms_vfs_read_file(vfs, path, &content, NULL), 0);
        uint64_t check = 0;
        for (size_t at = 0; at < content.len; at++)
            check = check * 31 + content.data[at];
        assert_int_equal(ms_buf_printf(out, " %llu %llx\n", (unsigned long long)entries[i].size,
                                       (unsigned long long)check),
                         0);
        ms_buf_deinit(&content);
    }
    ms_dir_entries_free(entries, count);
}

/* One step on both. The real one may do what the simulation refuses: rename a directory over an
 * empty one. That is undone. Of two reasons to refuse a rename or a link either may be told. */
static void step_on_both(const struct side *real, const struct side *sim, const struct step *step) {
    int real_code = run_step(real, step);
    int sim_code = run_step(sim, step);
    if (real_code == sim_code)
        return;
    if (step->kind < 4 || step->kind > 5)
        fail_msg("kind %d %s %s: %s, simulated %s", step->kind, step->from, step->to,
                 ms_error_name(real_code), ms_error_name(sim_code));
    if (real_code < 0 && sim_code < 0)
        return;
    char from[MS_PATH_MAX], to[MS_PATH_MAX];
    assert_int_equal(step->kind, 5);
    assert_int_equal(sim_code, MS_EEXIST);
    assert_int_equal(
        ms_vfs_rename(real->vfs, in(real, to, step->to), in(real, from, step->from), NULL), 0);
    assert_int_equal(ms_vfs_mkdir(real->vfs, to, NULL), 0);
}

static void assert_same_content(const struct side *real, const struct side *sim) {
    struct ms_buf a, b;
    ms_buf_init(&a, 1 << 20);
    ms_buf_init(&b, 1 << 20);
    describe(real->vfs, real->dir, 0, &a);
    describe(sim->vfs, sim->dir, 0, &b);
    assert_int_equal(a.len, b.len);
    assert_true(ms_bytes_equal(ms_buf_bytes(&a), ms_buf_bytes(&b)));
    ms_buf_deinit(&a);
    ms_buf_deinit(&b);
}

static void both_file_systems_agree_on_random_operations(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        struct side simulated = {.vfs = ms_vfs_sim_vfs(sim), .dir = "/"};
        struct side real = {.vfs = ms_vfs_posix()};
        assert_int_equal(scratch_make(real.dir), 0);
        struct ms_random_seeded random;
        ms_random_seeded_init(&random, seed);
        for (int i = 0; i < 150; i++) {
            struct step step = random_step(&random.random);
            step_on_both(&real, &simulated, &step);
            if (i % 10 == 9)
                assert_same_content(&real, &simulated);
            if (i % 50 == 49)
                ms_vfs_sim_cut(sim, MS_SIM_CUT_KEEP_ALL);
        }
        assert_int_equal(scratch_remove(real.dir), 0);
        ms_vfs_sim_free(sim);
    }
}

static void a_new_simulation_needs_memory(void **state) {
    (void)state;
    struct ms_vfs_sim *sim = NULL;
    ms_alloc_fail_nth(1);
    assert_int_equal(ms_vfs_sim_new(1, &sim), MS_ENOMEM);
    ms_alloc_fail_nth(0);
    assert_null(sim);
    ms_vfs_sim_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_past_the_capacity_ends_short),
        cmocka_unit_test(space_is_counted_right_through_cuts),
        cmocka_unit_test(direct_access_can_be_refused),
        cmocka_unit_test(large_files_of_zeros_cost_nothing),
        cmocka_unit_test(impossible_sizes_are_no_space),
        cmocka_unit_test(threads_work_side_by_side),
        cmocka_unit_test(the_power_may_be_cut_while_threads_work),
        cmocka_unit_test(both_file_systems_agree_on_random_operations),
        cmocka_unit_test(a_new_simulation_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
