/* Tests of os/vfs_sim_file: what of a file's content survives a power cut. The oracle is
 * independent: for every sector the list of contents it has had since it was last durable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "unit/os/sim_world.h"

enum { SECTOR = 512, SECTORS = 64, FILE_MAX = SECTOR * SECTORS, VERSIONS = 200 };

struct oracle {
    uint8_t now[FILE_MAX];
    size_t size;
    uint8_t durable[FILE_MAX];
    size_t durable_size;
    /* content after each write since the last sync; versions[0] is the durable one */
    uint8_t versions[VERSIONS][FILE_MAX];
    size_t sizes[VERSIONS];
    int count;
};

static void oracle_remember(struct oracle *oracle) {
    assert_true(oracle->count < VERSIONS);
    memcpy(oracle->versions[oracle->count], oracle->now, FILE_MAX);
    oracle->sizes[oracle->count++] = oracle->size;
}

static void oracle_sync(struct oracle *oracle) {
    memcpy(oracle->durable, oracle->now, FILE_MAX);
    oracle->durable_size = oracle->size;
    oracle->count = 0;
    oracle_remember(oracle);
}

/* Takes over what was found on the disk after a cut. */
static void oracle_adopt(struct oracle *oracle, const uint8_t *content, size_t size) {
    memset(oracle->now, 0, FILE_MAX);
    memcpy(oracle->now, content, size);
    oracle->size = size;
    oracle_sync(oracle);
}

static void random_write(struct ms_random *random, struct ms_file *file, struct oracle *oracle) {
    static uint8_t data[FILE_MAX];
    size_t offset = (size_t)ms_random_below(random, FILE_MAX / 2);
    size_t len = (size_t)ms_random_below(random, ms_random_below(random, 2) ? FILE_MAX / 2 : 700);
    if (ms_random_below(random, 2) == 0)
        offset -= offset % SECTOR;
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)ms_random_below(random, 256);
    if (ms_random_below(random, 4) == 0)
        memset(data, 0, len);
    size_t split = (size_t)ms_random_below(random, len + 1);
    struct ms_iovec iov[2] = {{data, split}, {data + split, len - split}};
    assert_int_equal(ms_file_writev(file, offset, iov, 2, NULL), 0);
    memcpy(oracle->now + offset, data, len);
    if (len > 0 && offset + len > oracle->size)
        oracle->size = offset + len;
    oracle_remember(oracle);
}

/* The index of a version that has this sector (as far as the size reaches), or -1. */
static int find_version(const struct oracle *oracle, const uint8_t *content, size_t size,
                        int sector) {
    size_t start = (size_t)sector * SECTOR;
    size_t len = size - start < SECTOR ? size - start : SECTOR;
    for (int i = oracle->count - 1; i >= 0; i--)
        if (memcmp(oracle->versions[i] + start, content + start, len) == 0)
            return i;
    return -1;
}

static void after_lose_all_the_last_synced_state_is_there(void **state) {
    (void)state;
    static struct oracle oracle;
    static uint8_t found[FILE_MAX];
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct ms_random_seeded random;
        ms_random_seeded_init(&random, seed);
        struct ms_vfs_sim *sim = sim_new(seed);
        memset(&oracle, 0, sizeof oracle);
        sim_put(sim, "f", "", true);
        oracle_sync(&oracle);
        for (int round = 0; round < 5; round++) {
            struct ms_file *file = sim_open(sim, "f", RW);
            for (int i = 0; i < 12; i++) {
                random_write(&random.random, file, &oracle);
                if (ms_random_below(&random.random, 5) == 0) {
                    size_t size = (size_t)ms_random_below(&random.random, FILE_MAX);
                    assert_int_equal(ms_file_truncate(file, size, NULL), 0);
                    memset(oracle.now + size, 0, FILE_MAX - size);
                    oracle.size = size;
                }
                if (ms_random_below(&random.random, 4) == 0) {
                    assert_int_equal(ms_file_sync(file, NULL), 0);
                    oracle_sync(&oracle);
                }
            }
            ms_file_close(file);
            assert_int_equal(sim_get(sim, "f", found, FILE_MAX), oracle.size);
            assert_memory_equal(found, oracle.now, oracle.size);
            ms_vfs_sim_cut(sim, MS_SIM_CUT_KEEP_ALL);
            assert_int_equal(sim_get(sim, "f", found, FILE_MAX), oracle.size);
            assert_memory_equal(found, oracle.now, oracle.size);
            ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
            size_t size = sim_get(sim, "f", found, FILE_MAX);
            assert_int_equal(size, oracle.durable_size);
            assert_memory_equal(found, oracle.durable, size);
            oracle_adopt(&oracle, found, size);
        }
        ms_vfs_sim_free(sim);
    }
}

/* What the cuts of many seeds must have shown at least once. */
struct seen {
    int lost, kept, older_than_newest, newer_than_lost, mixed_write, sizes_between;
};

static void judge_cut(const struct oracle *oracle, const uint8_t *found, size_t size,
                      struct seen *seen) {
    size_t sectors = (size + SECTOR - 1) / SECTOR;
    bool any_old = false, any_new = false;
    for (size_t i = 0; i < sectors; i++) {
        int version = find_version(oracle, found, size, (int)i);
        if (version < 0)
            fail_msg("sector %zu holds what was never written", i);
        bool is_old = memcmp(found + i * SECTOR, oracle->versions[0] + i * SECTOR, SECTOR) == 0;
        any_old |= is_old;
        any_new |= !is_old;
        seen->older_than_newest += version > 0 && version < oracle->count - 1;
    }
    const int newest = oracle->count - 1;
    seen->lost += size == oracle->sizes[0] && memcmp(found, oracle->versions[0], size) == 0;
    seen->kept +=
        size == oracle->sizes[newest] && memcmp(found, oracle->versions[newest], size) == 0;
    seen->mixed_write += any_new && any_old;
    assert_true(size >= oracle->sizes[0]);
    assert_true(size <= oracle->size);
    bool known_size = false;
    for (int i = 0; i < oracle->count; i++)
        known_size |= oracle->sizes[i] == size;
    seen->sizes_between += !known_size;
    if (!known_size)
        assert_int_equal(size % SECTOR, 0);
}

static void after_a_random_cut_each_sector_is_a_version_it_had(void **state) {
    (void)state;
    static struct oracle oracle;
    static uint8_t found[FILE_MAX];
    struct seen seen = {0};
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct ms_random_seeded random;
        ms_random_seeded_init(&random, seed);
        struct ms_vfs_sim *sim = sim_new(seed);
        ms_vfs_sim_set_stale_bytes(sim, false);
        memset(&oracle, 0, sizeof oracle);
        sim_put(sim, "f", "", true);
        oracle_sync(&oracle);
        for (int round = 0; round < 3; round++) {
            struct ms_file *file = sim_open(sim, "f", RW);
            int writes = 1 + (int)ms_random_below(&random.random, 5);
            for (int i = 0; i < writes; i++)
                random_write(&random.random, file, &oracle);
            if (ms_random_below(&random.random, 3) == 0) {
                assert_int_equal(ms_file_sync(file, NULL), 0);
                oracle_sync(&oracle);
                random_write(&random.random, file, &oracle);
            }
            ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
            uint64_t ignored;
            assert_int_equal(ms_file_size(file, &ignored, NULL), MS_EIO);
            ms_file_close(file);
            size_t size = sim_get(sim, "f", found, FILE_MAX);
            judge_cut(&oracle, found, size, &seen);
            oracle_adopt(&oracle, found, size);
            /* What survived is durable. */
            ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
            assert_int_equal(sim_get(sim, "f", found, FILE_MAX), size);
            assert_memory_equal(found, oracle.now, size);
        }
        ms_vfs_sim_free(sim);
    }
    assert_true(seen.lost > 20);
    assert_true(seen.kept > 20);
    assert_true(seen.mixed_write > 100);
    assert_true(seen.older_than_newest > 100);
    assert_true(seen.sizes_between > 20);
}

static void where_a_file_grew_stale_bytes_may_be(void **state) {
    (void)state;
    int zeros = 0, stale = 0, written = 0, foreign = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        static char secret[8192], data[8192], found[8192];
        memset(secret, 's', sizeof secret);
        memset(data, 'd', sizeof data);
        struct ms_file *other = sim_open(sim, "other", RWC);
        assert_int_equal(ms_file_write(other, 0, secret, sizeof secret, NULL), 0);
        assert_int_equal(ms_file_sync(other, NULL), 0);
        assert_int_equal(ms_file_truncate(other, 0, NULL), 0);
        assert_int_equal(ms_file_sync(other, NULL), 0);
        ms_file_close(other);
        sim_put(sim, "f", "begin", true);
        struct ms_file *file = sim_open(sim, "f", RW);
        assert_int_equal(ms_file_write(file, 4096, data, 4096, NULL), 0);
        ms_file_close(file);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        size_t size = sim_get(sim, "f", found, sizeof found);
        assert_memory_equal(found, "begin", 5);
        for (size_t i = 5; i < 512 && i < size; i++)
            assert_int_equal(found[i], 0);
        for (size_t i = 4096; i < size; i += SECTOR) {
            zeros += found[i] == 0;
            written += found[i] == 'd';
            stale += found[i] != 0 && found[i] != 'd';
            foreign += found[i] == 's';
        }
        ms_vfs_sim_free(sim);
    }
    assert_true(zeros > 50);
    assert_true(written > 50);
    assert_true(stale > 50);
    assert_true(foreign > 5);
}

static void without_stale_bytes_there_are_zeros(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        ms_vfs_sim_set_stale_bytes(sim, false);
        static char data[8192], found[8192];
        memset(data, 'd', sizeof data);
        sim_put(sim, "f", "", true);
        struct ms_file *file = sim_open(sim, "f", RW);
        assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), 0);
        ms_file_close(file);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        size_t size = sim_get(sim, "f", found, sizeof found);
        for (size_t i = 0; i < size; i++)
            assert_true(found[i] == 0 || found[i] == 'd');
        ms_vfs_sim_free(sim);
    }
}

static void dsync_writes_are_durable_at_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        sim_put(sim, "f", "", true);
        struct ms_file *plain = sim_open(sim, "f", RW);
        struct ms_file *dsync = sim_open(sim, "f", RW | MS_OPEN_DSYNC);
        static char a[4096], b[4096], found[20000];
        memset(a, 'a', sizeof a);
        memset(b, 'b', sizeof b);
        /* Before, below, and after the durable write: what is not, must not undo what is. */
        if (seed % 3 != 0) {
            assert_int_equal(ms_file_write(plain, 0, a, sizeof a, NULL), 0);
            assert_int_equal(ms_file_write(plain, 8192, a, sizeof a, NULL), 0);
        }
        if (seed % 4 == 0) {
            assert_int_equal(ms_file_truncate(plain, 100, NULL), 0);
            assert_int_equal(ms_file_truncate(plain, 10000, NULL), 0);
        }
        assert_int_equal(ms_file_write(dsync, 2048, b, sizeof b, NULL), 0);
        if (seed % 5 == 0)
            assert_int_equal(ms_file_write(plain, 6144, a, 2048, NULL), 0);
        ms_file_close(plain);
        ms_file_close(dsync);
        ms_vfs_sim_cut(sim, seed % 2 ? MS_SIM_CUT_RANDOM : MS_SIM_CUT_LOSE_ALL);
        size_t size = sim_get(sim, "f", found, sizeof found);
        assert_true(size >= 6144);
        assert_memory_equal(found + 2048, b, sizeof b);
        ms_vfs_sim_free(sim);
    }
}

static void a_truncation_survives_or_not_as_a_whole(void **state) {
    (void)state;
    int kept = 0, lost = 0, regrown = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        ms_vfs_sim_set_stale_bytes(sim, false);
        static char data[10000], found[10000];
        memset(data, 'x', sizeof data - 1);
        sim_put(sim, "f", data, true);
        struct ms_file *file = sim_open(sim, "f", RW);
        assert_int_equal(ms_file_truncate(file, 3000, NULL), 0);
        if (seed % 2)
            assert_int_equal(ms_file_truncate(file, 5000, NULL), 0);
        ms_file_close(file);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
        size_t size = sim_get(sim, "f", found, sizeof found);
        assert_true(size == 9999 || size == 3000 || (size == 5000 && seed % 2));
        assert_memory_equal(found, data, 3000);
        for (size_t i = 3000; i < size; i++)
            assert_int_equal(found[i], size == 9999 ? 'x' : 0);
        kept += size == 3000;
        lost += size == 9999;
        regrown += size == 5000;
        ms_vfs_sim_free(sim);
    }
    assert_true(kept > 20 && lost > 20 && regrown > 20);
}

static void after_a_failed_sync_the_next_one_does_not_help(void **state) {
    (void)state;
    int missing = 0, complete = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        sim_put(sim, "f", "0000000000", true);
        struct ms_file *file = sim_open(sim, "f", RW);
        assert_int_equal(ms_file_write(file, 0, "1111111111", 10, NULL), 0);
        ms_vfs_sim_fail_nth(sim, MS_SIM_SYNC, 1, MS_EIO, false);
        assert_int_equal(ms_file_sync(file, NULL), MS_EIO);
        assert_true(sim_content_is(sim, "f", "1111111111"));
        assert_int_equal(ms_file_sync(file, NULL), 0);
        assert_true(sim_content_is(sim, "f", "1111111111"));
        ms_file_close(file);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_KEEP_ALL);
        assert_true(sim_content_is(sim, "f", "1111111111"));
        ms_vfs_sim_cut(sim, seed % 2 ? MS_SIM_CUT_LOSE_ALL : MS_SIM_CUT_RANDOM);
        missing += sim_content_is(sim, "f", "0000000000");
        complete += sim_content_is(sim, "f", "1111111111");
        ms_vfs_sim_free(sim);
    }
    assert_int_equal(missing + complete, 200);
    assert_true(missing > 20 && complete > 20);
}

static void written_again_after_a_failed_sync_it_is_durable(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct ms_vfs_sim *sim = sim_new(seed);
        sim_put(sim, "f", "", true);
        struct ms_file *file = sim_open(sim, "f", RW);
        static char data[20000], found[20000];
        memset(data, 'z', sizeof data);
        assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), 0);
        ms_vfs_sim_fail_nth(sim, MS_SIM_SYNC, 1, MS_EIO, false);
        assert_int_equal(ms_file_sync(file, NULL), MS_EIO);
        assert_int_equal(ms_file_write(file, 0, data, sizeof data, NULL), 0);
        assert_int_equal(ms_file_sync(file, NULL), 0);
        ms_file_close(file);
        ms_vfs_sim_cut(sim, MS_SIM_CUT_LOSE_ALL);
        assert_int_equal(sim_get(sim, "f", found, sizeof found), sizeof data);
        assert_memory_equal(found, data, sizeof data);
        ms_vfs_sim_free(sim);
    }
}

static void one_seed_gives_one_outcome(void **state) {
    (void)state;
    static char found[2][4 * 65536];
    size_t sizes[2];
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int run = 0; run < 2; run++) {
            struct ms_vfs_sim *sim = sim_new(seed);
            static char data[65536];
            memset(data, 'q', sizeof data);
            sim_put(sim, "f", "", true);
            struct ms_file *file = sim_open(sim, "f", RW);
            for (int i = 0; i < 4; i++)
                assert_int_equal(ms_file_write(file, (uint64_t)i * 65536, data, 65536, NULL), 0);
            ms_file_close(file);
            ms_vfs_sim_cut(sim, MS_SIM_CUT_RANDOM);
            sizes[run] = sim_get(sim, "f", found[run], sizeof found[run]);
            ms_vfs_sim_free(sim);
        }
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(found[0], found[1], sizes[0]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_lose_all_the_last_synced_state_is_there),
        cmocka_unit_test(after_a_random_cut_each_sector_is_a_version_it_had),
        cmocka_unit_test(where_a_file_grew_stale_bytes_may_be),
        cmocka_unit_test(without_stale_bytes_there_are_zeros),
        cmocka_unit_test(dsync_writes_are_durable_at_once),
        cmocka_unit_test(a_truncation_survives_or_not_as_a_whole),
        cmocka_unit_test(after_a_failed_sync_the_next_one_does_not_help),
        cmocka_unit_test(written_again_after_a_failed_sync_it_is_durable),
        cmocka_unit_test(one_seed_gives_one_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
